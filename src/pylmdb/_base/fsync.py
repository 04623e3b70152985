# SPDX-License-Identifier: MIT
"""What a power failure must leave: a file's content, and the names in a directory."""

from __future__ import annotations

import os

from .owners import Descriptor


def fsync_path(path: str | bytes) -> None:
    """Flush a file, or a directory: a file that was renamed is found there only then."""
    fd = Descriptor()
    with fd, fd:
        os.fsync(fd.open(path, os.O_RDONLY))
