# SPDX-License-Identifier: MIT
"""Flush files and directories, so that content and names outlast a power failure."""

from __future__ import annotations

import fcntl
import os

from .owners import Descriptor


def flush(fd: int) -> None:
    """Flush an open file or directory to disk.

    On macOS ``fsync()`` may leave data in the memory of the drive, and ``F_FULLFSYNC`` does not;
    some file systems refuse the latter.
    """
    if hasattr(fcntl, "F_FULLFSYNC"):
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError:
            pass
        else:
            return
    os.fsync(fd)


def fsync_path(path: str | bytes) -> None:
    """Flush a file or a directory to disk.  The new name of a renamed file is durable only after
    its directory was flushed."""
    fd = Descriptor()
    with fd, fd:
        flush(fd.open(path, os.O_RDONLY))
