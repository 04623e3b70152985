# SPDX-License-Identifier: MIT
"""Functions on whole environments; the command line uses them, too."""

from .._base.public_names import directory
from .bulk_loading import bulk_load
from .conversion import convert
from .dumping import dump
from .loading import load
from .merging import merge
from .salvaging import salvage
from .verification import verify

__all__ = ["bulk_load", "convert", "dump", "load", "merge", "salvage", "verify"]
__dir__ = directory(__all__)
