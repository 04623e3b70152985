# SPDX-License-Identifier: MIT
"""The numbers of liblmdb's flags that Python code uses; no other file has them.

They are the same in all releases of liblmdb.  A test compares each with the engines' own.
"""

from __future__ import annotations

# of a database
MDB_REVERSEKEY, MDB_DUPSORT, MDB_INTEGERKEY = 0x02, 0x04, 0x08
MDB_DUPFIXED, MDB_INTEGERDUP, MDB_REVERSEDUP = 0x10, 0x20, 0x40
# the keywords of open_db
DATABASE_FLAGS = {
    "reverse_key": MDB_REVERSEKEY,
    "dupsort": MDB_DUPSORT,
    "integerkey": MDB_INTEGERKEY,
    "integerdup": MDB_INTEGERDUP,
    "dupfixed": MDB_DUPFIXED,
}
# of mdb_dbi_open
MDB_CREATE = 0x40000
# of mdb_put
MDB_NOOVERWRITE, MDB_NODUPDATA, MDB_APPEND = 0x10, 0x20, 0x20000
# of mdb_txn_begin
MDB_NOSYNC, MDB_NOMETASYNC = 0x10000, 0x40000
# of mdb_env_copyfd2 and mdb_env_copyfd3
MDB_CP_COMPACT = 0x01


def put_flags(dupdata: object, overwrite: object, append: object = False) -> int:
    """The flags for the keywords of the operations that put; they are the same for all databases,
    because the C functions that put make ``MDB_APPENDDUP`` of ``MDB_APPEND`` where it has to be.
    """
    flags = 0 if dupdata else MDB_NODUPDATA
    if not overwrite:
        flags |= MDB_NOOVERWRITE
    return flags | MDB_APPEND if append else flags
