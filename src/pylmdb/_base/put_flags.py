# SPDX-License-Identifier: MIT
"""The flags of ``mdb_put`` for the keywords of the operations that put."""

from __future__ import annotations

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._core import DbSlot

_DUPSORT = 0x04
_NOOVERWRITE, _NODUPDATA, _APPEND, _APPENDDUP = 0x10, 0x20, 0x20000, 0x40000


def put_flags(dupdata: object, overwrite: object) -> int:
    """Those that are the same for all databases."""
    flags = 0 if dupdata else _NODUPDATA
    return flags if overwrite else flags | _NOOVERWRITE


def append_flag(slot: DbSlot, append: bool) -> int:
    """MDB_APPEND, or its form for databases with duplicates."""
    if not append:
        return 0
    return _APPENDDUP if slot.flags & _DUPSORT else _APPEND
