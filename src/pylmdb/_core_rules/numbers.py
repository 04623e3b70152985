# SPDX-License-Identifier: MIT
"""Keys that are numbers: the number after the greatest key, for ``next_id``."""

from __future__ import annotations

import sys

from .._base.flags import MDB_INTEGERKEY, MDB_REVERSEKEY
from .._base.words import counted
from .._typing import TYPE_CHECKING
from ..errors import InvalidParameterError
from .failures import shown

if TYPE_CHECKING:
    from typing import Literal


def next_number(key: bytes, flags: int) -> int:
    """Return the number after that of ``key``, the greatest key of a database.

    :param flags: of the database (``MDB_*``).

    A key that could not be the greatest any more, because the number has more digits or bytes,
    would be found before its predecessors, so it is refused.
    """
    if not flags & (MDB_INTEGERKEY | MDB_REVERSEKEY) and key.isdigit():
        number, end = int(key), int(10 ** len(key))
    elif len(key) in (4, 8):
        number, end = int.from_bytes(key, _byte_order(flags)), 1 << 8 * len(key)
    else:
        raise InvalidParameterError(
            f"next_id: the greatest key, {shown(key)}, is not a number",
            hint="keys that are numbers have 4 or 8 bytes, or consist of digits",
        )
    if number + 1 == end:
        raise OverflowError(
            f"next_id: {shown(key)} is the greatest key of {counted(len(key), 'byte')}; store"
            " numbers in longer keys"
        )
    return number + 1


def _byte_order(flags: int) -> Literal["big", "little"]:
    """Return the order of bytes in which numbers sort as numbers."""
    if flags & MDB_INTEGERKEY:
        return sys.byteorder
    return "little" if flags & MDB_REVERSEKEY else "big"
