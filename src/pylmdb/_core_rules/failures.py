# SPDX-License-Identifier: MIT
"""What a failure of liblmdb means: the exceptions for error codes of operations on databases.

liblmdb returns a number.  Here it becomes a sentence with what it is about: the operation, the
sizes of key and value, the limit, the database's name and flags.  Both cores call these functions,
with what they know, only after an operation has failed.
"""

from __future__ import annotations

import errno
import sys

from .._base.flags import (
    DATABASE_FLAGS,
    MDB_DUPFIXED,
    MDB_DUPSORT,
    MDB_INTEGERDUP,
    MDB_INTEGERKEY,
)
from .._base.words import counted
from .._typing import TYPE_CHECKING
from ..errors import DAMAGED_HINT, error
from .refusals import READ_ONLY, refusal
from .system_errors import unusable

if TYPE_CHECKING:
    from .._core import DbSlot
    from .._engine import Engine
    from .._shared.environment import SharedEnv
    from ..errors import Error

    # what was wrong, and what to do; without the first the meaning of the code is enough
    Explanation = tuple[str, str | None]

_CORRUPTED = -30796
_KEY_EXIST, _NOT_FOUND, _MAP_FULL, _DBS_FULL = -30799, -30798, -30792, -30791
_INCOMPATIBLE, _BAD_VALSIZE, _IS_READONLY = -30784, -30781, -30770
_BAD_TXN = -30782
_GONE, _NOT_IN_SNAPSHOT = -30703, -30704

_LONGEST_VALUE = 0xFFFFFFFF
# the longest key with lib_version=1 and pages of 4096 bytes
_LONGEST_KEY = 1978
# how many bytes of a key or a name a message shows
_SHOWN = 64

# The operation of a C function, where the caller does not say which one has called it.
_OPERATIONS = {
    "mdb_cursor_get": "cursor", "mdb_cursor_del": "delete", "mdb_del": "delete",
    "mdb_cursor_open": "cursor", "mdb_env_copyfd2": "copy", "mdb_env_copyfd3": "copy",
}  # fmt: skip
# functions of C that read with a cursor
_MOVES = ("mdb_cursor_get", "mdb_cursor_count")

_PACK = "pack integers with struct, as '=I' (4 bytes) or '=Q' (8 bytes)"
_BEGIN_WRITE = "begin one that writes, with begin(write=True)"
_NOT_NESTED = (
    "nested transactions are not possible with writemap=True",
    "end the parent first, or open the environment without writemap",
)


class Failed:
    """The operation that failed."""

    __slots__ = ("code", "key", "size", "what")

    def __init__(self, what: str, code: int, key: bytes | memoryview | None, size: int) -> None:
        self.what, self.code, self.key, self.size = what, code, key, size


def shown(name: bytes | memoryview) -> str:
    """Return a key or a name for a message, cut at 64 bytes."""
    return repr(bytes(name[:_SHOWN])) + ("..." if len(name) > _SHOWN else "")


def described(name: bytes | None, flags: int) -> str:
    """Return a database for a message: its name and its flags."""
    where = "the main database" if name is None else f"the database {shown(name)}"
    words = [word for word, flag in DATABASE_FLAGS.items() if flags & flag]
    return f"{where} ({', '.join(words)})" if words else where


def database_error(
    what: str,
    code: int,
    slot: DbSlot,
    key: bytes | memoryview | None = None,
    size: int = -1,
    operation: str | None = None,
) -> Exception:
    """Return the exception for a code of an operation on a database.

    :param what: the C function.
    :param key: of the record, if it is about one.
    :param size: of the record's value in bytes; -1 if there is none.
    :param operation: the method that was called.
    """
    if code == _GONE:
        slot.doubted = True
    if code in (_GONE, _NOT_IN_SNAPSHOT):
        return refusal("database is missing", slot.name)
    operation = operation or _OPERATIONS.get(what) or what.rpartition("_")[2]
    explain = _EXPLAIN.get(code)
    problem, hint = explain(slot, Failed(what, code, key, size)) if explain else ("", None)
    return error(what, code, hint, problem and f"{operation}: {problem}")


# -- damaged pages ------------------------------------------------------------------------


def damage(engine: Engine, page_size: int) -> str:
    """Return which page this thread has found damaged last, and what is wrong with it; "" if it is
    not known.  It is told once.

    :param page_size: in bytes, for the place in the file; 0 if it is not known.
    """
    page = engine.ffi.new("size_t *")
    what = engine.lib.pylmdb_take_damage(page)
    if what == engine.lib.PYLMDB_NO_DAMAGE:
        return ""
    wrong = "has a wrong checksum" if what == engine.lib.PYLMDB_WRONG_SUM else "is damaged"
    where = f", at byte {page[0] * page_size} of the file," if page_size else ""
    return f"page {page[0]}{where} {wrong}"


def damaged(what: str, operation: str, engine: Engine, page_size: int) -> Error:
    """Return the exception for an operation that has found a damaged page.

    :param what: the C function.
    """
    found = damage(engine, page_size)
    hint = DAMAGED_HINT if found else None
    return error(what, _CORRUPTED, hint, found and f"{operation}: {found}")


def read_error(what: str, operation: str, code: int, shared: SharedEnv) -> Error:
    """Return the exception for an operation that reads the environment, and no one database."""
    if code == _CORRUPTED:
        return damaged(what, operation, shared.engine, shared.page_size)
    return error(what, code)


# -- each code: what was wrong, and what to do ----------------------------------------


def _read_only(slot: DbSlot, failed: Failed) -> Explanation:
    if slot.shared.options.readonly:
        return READ_ONLY
    return "this is a read transaction", _BEGIN_WRITE


def _bad_size(slot: DbSlot, failed: Failed) -> Explanation:
    """Say which size a record must have, for one that its database cannot take."""
    longest, where, size = slot.shared.max_key_size, described(slot.name, slot.flags), failed.size
    length = -1 if failed.key is None else len(failed.key)
    if slot.flags & MDB_INTEGERKEY and length not in (-1, 4, 8):
        return f"key has {counted(length, 'byte')}; {_integer('keys', where)}", _PACK
    if length == 0:
        return f"key is empty; {_allowed(longest)}", "LMDB has no empty keys"
    if length > longest:
        advice = "hash long keys"
        if not slot.shared.engine.version[0]:
            advice += f", or use a file of LMDB 1.0 (lib_version=1), which allows {_LONGEST_KEY}"
        return f"key has {counted(length, 'byte')}; {_allowed(longest)}", advice
    if slot.flags & MDB_DUPSORT and size >= 0 and not 1 <= size <= longest:
        given = f"has {counted(size, 'byte')}" if size else "is empty"
        limit = f"values of {where} have 1 to {longest} bytes (max_key_size())"
        return f"value {given}; {limit}", "store it in a database without dupsort"
    if size > _LONGEST_VALUE:
        return f"value has {size} bytes; values have at most {_LONGEST_VALUE}", "split it"
    return _bad_width(slot.flags, where, length, size)


def _bad_width(flags: int, where: str, length: int, size: int) -> Explanation:
    """The same for a size that must be that of other records; -1 is a size that is not known."""
    if flags & MDB_INTEGERDUP and size not in (-1, 4, 8):
        return f"value has {counted(size, 'byte')}; {_integer('values', where)}", _PACK
    if flags & MDB_INTEGERKEY and flags & MDB_DUPFIXED and size >= 0:
        given = f"key has {counted(length, 'byte')} and value {size}"
        return f"{given}; {where} has others", "keys have one size, and so have values of a key"
    if flags & MDB_DUPFIXED and size >= 0:
        given = f"value has {counted(size, 'byte')}"
        return f"{given}; the other values of its key in {where} have another size", ""
    if flags & MDB_INTEGERKEY and length >= 0:
        return f"key has {counted(length, 'byte')}; the keys of {where} have {12 - length}", _PACK
    if flags & MDB_INTEGERKEY:
        return f"a key has another size; {_integer('keys', where)}", _PACK
    given = f"key has {counted(length, 'byte')} and value {size}"
    if length < 0:
        given = "a key has a size"
    return f"{given} that {where} cannot store", ""


def _integer(what: str, where: str) -> str:
    return f"{what} of {where} have 4 or 8 bytes, all the same"


def _allowed(longest: int) -> str:
    return f"this environment allows 1 to {longest} bytes (max_key_size())"


def _incompatible(slot: DbSlot, failed: Failed) -> Explanation:
    where = described(slot.name, slot.flags)
    if failed.what in _MOVES:
        if slot.flags & MDB_DUPSORT:
            return f"{where} has no values of fixed size", "open_db(dupfixed=True) creates one"
        return f"{where} has no duplicates", "open_db(dupsort=True) creates a database with them"
    if slot.name is None and failed.key is not None and not slot.flags & MDB_DUPSORT:
        # LMDB 1.0 stores the name with a NUL at its end
        name = bytes(failed.key).removesuffix(b"\0")
        return (
            f"{shown(name)} is the name of a named database, not the key of a record",
            "drop() deletes the database, open_db() gives access to its records",
        )
    return "", None


def _missing(slot: DbSlot, failed: Failed) -> Explanation:
    if failed.key is None:
        return "", None
    value = "" if failed.size < 0 else " with such a value"
    return f"{described(slot.name, slot.flags)} has no key {shown(failed.key)}{value}", None


def _exists(slot: DbSlot, failed: Failed) -> Explanation:
    if failed.key is None:
        return "", None
    where = described(slot.name, slot.flags)
    problem = f"the record with key {shown(failed.key)} exists in {where}"
    return f"{problem}, or with APPEND its key is not greater than the last one", None


def _is_nested_with_writemap(slot: DbSlot, failed: Failed) -> bool:
    """Whether that is the reason; LMDB 0.9 and 1.0 have different codes for it."""
    return failed.what == "mdb_txn_begin" and slot.shared.options.writemap


def _invalid(slot: DbSlot, failed: Failed) -> Explanation:
    if _is_nested_with_writemap(slot, failed):
        return _NOT_NESTED
    if failed.what not in _MOVES:
        return "", None
    return "the cursor has no position", "move it to a record first"


def _damaged(slot: DbSlot, failed: Failed) -> Explanation:
    found = damage(slot.shared.engine, slot.shared.page_size)
    if not found:
        return "", None
    return f"{found}; it was read for {described(slot.name, slot.flags)}", DAMAGED_HINT


def _map_full(slot: DbSlot, failed: Failed) -> Explanation:
    limit = slot.shared.map_limit
    if limit == sys.maxsize:  # liblmdb of the system, whose map cannot grow
        return "", None
    return (
        f"the map is full; its limit is {limit} bytes (map_size= or max_map_size=)",
        "set_mapsize() raises it; without these options the map grows by itself",
    )


def _bad_txn(slot: DbSlot, failed: Failed) -> Explanation:
    if _is_nested_with_writemap(slot, failed):
        return _NOT_NESTED
    return (
        "an earlier operation of this transaction has failed, so it cannot be committed",
        "abort it and begin another one",
    )


def _not_written(slot: DbSlot, failed: Failed) -> Explanation:
    problem, hint = unusable(failed.code, "written")
    return f"the data file {problem}; earlier commits are not affected", hint


_EXPLAIN = {
    _NOT_FOUND: _missing,
    _KEY_EXIST: _exists,
    errno.EACCES: _read_only,
    _IS_READONLY: _read_only,
    _BAD_VALSIZE: _bad_size,
    _INCOMPATIBLE: _incompatible,
    errno.EINVAL: _invalid,
    _MAP_FULL: _map_full,
    _BAD_TXN: _bad_txn,
    _CORRUPTED: _damaged,
    errno.ENOSPC: _not_written,
    errno.EDQUOT: _not_written,
    errno.EFBIG: _not_written,
    errno.EIO: _not_written,
}


# -- databases ------------------------------------------------------------------------


def open_db_error(code: int, name: bytes | None, shared: SharedEnv) -> Exception:
    """Return the exception for a database that could not be opened."""
    what = "mdb_dbi_open"
    if code == _CORRUPTED:
        return damaged(what, "open_db", shared.engine, shared.page_size)
    if name is None:
        return error(what, code)
    if code == _MAP_FULL:
        return database_error(what, code, shared.main, operation="open_db")
    problem, hint = _unopened(code, name, shared)
    return error(what, code, hint, problem and f"open_db: {problem}")


def _unopened(code: int, name: bytes, shared: SharedEnv) -> Explanation:
    has = shared.main.flags
    if code == _NOT_FOUND:
        return f"there is no database {shown(name)}", "env.dbs() lists those that exist"
    if code in (errno.EACCES, _IS_READONLY):
        what, hint = "a read transaction", _BEGIN_WRITE
        if shared.options.readonly:
            what, hint = "an environment opened with readonly=True", READ_ONLY[1]
        return f"there is no database {shown(name)}, and {what} cannot create it", hint
    if code == _INCOMPATIBLE and has & (MDB_DUPSORT | MDB_INTEGERKEY):
        return f"{described(None, has)} cannot hold named databases", "use another file"
    if code == _INCOMPATIBLE:
        return (
            f"{shown(name)} is the key of a record of the main database, not a database's name",
            "get() returns its value; choose another name",
        )
    if code == _BAD_VALSIZE:
        longest = shared.max_key_size - (shared.engine.version[0] > 0)
        return (
            f"the name has {counted(len(name), 'byte')}; names have 1 to {longest} bytes",
            "choose another name",
        )
    if code == _DBS_FULL:
        limit = shared.max_dbs
        problem = f"{shown(name)} is one database too many"
        if shared.databases < limit:
            kept = "transactions that are open keep the handles of others, dropped or renamed"
            problem = f"{problem}; {shared.databases} are open, and {kept} ({limit} in all)"
            return problem, "end these transactions, and try again"
        if shared.options.max_dbs is not None:
            advice = f"open the environment with a larger max_dbs=, such as {2 * limit}"
            return f"{problem}; max_dbs limits them to {limit}", advice
        return (
            f"{problem}; {limit} are open, and the table cannot grow while a transaction is open",
            f"open it before the transaction begins, or the environment with max_dbs={2 * limit}",
        )
    return "", None
