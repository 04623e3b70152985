# SPDX-License-Identifier: MIT
"""The flags of databases, as keywords of ``open_db`` and as numbers of liblmdb."""

from __future__ import annotations

from .._base.flags import DATABASE_FLAGS, MDB_DUPFIXED, MDB_DUPSORT, MDB_INTEGERDUP
from ..types import DbFlags


def flags_from(**wanted: bool) -> int:
    """Return the ``mdb_dbi_open`` flags for the keywords of ``open_db``.

    Fixed-size values are duplicates, and integer values have a fixed size.
    """
    flags = 0
    for name, flag in DATABASE_FLAGS.items():
        if wanted[name]:
            flags |= flag
    if flags & MDB_INTEGERDUP:
        flags |= MDB_DUPFIXED
    if flags & MDB_DUPFIXED:
        flags |= MDB_DUPSORT
    return flags


def flag_words(flags: int) -> DbFlags:
    """Return the keywords of ``open_db`` for ``flags``."""
    return DbFlags({name: bool(flags & flag) for name, flag in DATABASE_FLAGS.items()})


def words_of(flags: DbFlags) -> list[str]:
    """Return the names of the flags that are set."""
    return [word for word, is_set in flags.items() if is_set]
