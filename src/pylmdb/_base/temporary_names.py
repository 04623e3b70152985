# SPDX-License-Identifier: MIT
"""What temporary names look like.  ``new_files.py`` makes them, and imports slower modules."""

from __future__ import annotations

import os

# A temporary name is the beginning of the final name, this, and random hexadecimal digits.
INFIX, DIGITS = b".tmp-", 16


def is_temporary(path: bytes) -> bool:
    """Whether the last part of a path is a temporary name, or one with an addition."""
    _, infix, rest = os.path.basename(path).rpartition(INFIX)
    digits = rest[:DIGITS]
    return bool(infix) and len(digits) == DIGITS and not digits.strip(b"0123456789abcdef")
