# SPDX-License-Identifier: MIT
"""What getmulti takes, and one of the two things that it gives."""

from __future__ import annotations

import operator
from typing import Any


def checked_width(dupfixed_bytes: Any, dupdata: bool, keyfixed: bool, values: bool) -> int:
    """The size of each value for getmulti, 0 where it is not given."""
    width = 0 if dupfixed_bytes is None else operator.index(dupfixed_bytes)
    if width < 0:
        raise OverflowError(f"dupfixed_bytes must be at least 0, not {width}")
    if (width or keyfixed) and not dupdata:
        raise TypeError("dupfixed_bytes and keyfixed need dupdata=True")
    if keyfixed and not width:
        raise TypeError("keyfixed needs dupfixed_bytes")
    if not values and dupdata:
        raise TypeError("values=False cannot be combined with dupdata=True")
    return int(width)


def join_records(records: list[tuple[Any, Any]]) -> memoryview:
    """Keys and values one after another, all keys of one width."""
    if len({len(key) for key, _ in records}) > 1:
        raise ValueError("keyfixed needs keys of one width")
    return memoryview(bytearray().join(part for record in records for part in record))
