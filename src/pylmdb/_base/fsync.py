# SPDX-License-Identifier: MIT
"""Flush files and directories, so that content and names outlast a power failure."""

from __future__ import annotations

import os

from .owners import Descriptor


def fsync_path(path: str | bytes) -> None:
    """Flush a file or a directory to disk.  The new name of a renamed file is durable only after
    its directory was flushed."""
    fd = Descriptor()
    with fd, fd:
        os.fsync(fd.open(path, os.O_RDONLY))
