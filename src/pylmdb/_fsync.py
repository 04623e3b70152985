# SPDX-License-Identifier: MIT
"""What a power failure must leave: a file's content, and the names in a directory."""

from __future__ import annotations

import os


def fsync_path(path: str | bytes) -> None:
    """Flush a file, or a directory: a file that was renamed is found there only then."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
