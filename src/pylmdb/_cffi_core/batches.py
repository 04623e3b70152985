# SPDX-License-Identifier: MIT
"""What getmulti takes, and one of the two things that it gives."""

from __future__ import annotations

import operator
from typing import Any

from .._core_rules.refusals import refusal


def checked_width(dupfixed_bytes: Any, dupdata: bool, keyfixed: bool, values: bool) -> int:
    """The size of each value for getmulti, 0 where it is not given."""
    width = 0 if dupfixed_bytes is None else operator.index(dupfixed_bytes)
    if width < 0:
        raise refusal("negative width", width)
    if (width or keyfixed) and not dupdata:
        raise refusal("width without dupdata")
    if keyfixed and not width:
        raise refusal("keyfixed without width")
    if not values and dupdata:
        raise refusal("dupdata without values")
    return int(width)


def join_records(records: list[tuple[Any, Any]]) -> memoryview:
    """Keys and values one after another, all keys of one width."""
    if len({len(key) for key, _ in records}) > 1:
        raise refusal("keys of several widths")
    return memoryview(bytearray().join(part for record in records for part in record))
