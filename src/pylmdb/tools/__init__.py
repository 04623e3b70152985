# SPDX-License-Identifier: MIT
"""Functions on whole environments; the command line uses them, too."""

from .._base.public_names import directory
from .bulk_loading import bulk_load
from .conversion import convert
from .dumping import dump
from .loading import load
from .merging import merge
from .restoring import backup_info, restore
from .salvaging import salvage
from .verification import verify

__all__ = [
    "backup_info", "bulk_load", "convert", "dump", "load", "merge", "restore", "salvage", "verify"
]  # fmt: skip
__dir__ = directory(__all__)
