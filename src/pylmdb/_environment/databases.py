# SPDX-License-Identifier: MIT
"""Renaming and copying named databases, each in one transaction.

A rename moves the database's record in the main database to another key, and no record of the
database itself.  A copy is a merge of one source into an empty database, which writes full pages
one after the other, so its memory is bounded.
"""

from __future__ import annotations

import errno
from contextlib import suppress

from .._base.flags import MDB_DUPSORT, MDB_INTEGERKEY
from .._base.words import counted
from .._core_rules.failures import database_error, shown
from .._core_rules.refusals import refusal
from .._typing import TYPE_CHECKING
from .._which_core import EnvironmentCore
from ..errors import BusyError, Error, IncompatibleError, KeyExistsError, NotFoundError, error
from . import catalog as _catalog
from .record_source import DatabaseSource

if TYPE_CHECKING:
    from typing import Any

    from .._aliases import CData
    from .._core import DbSlot
    from ..environment import Environment
    from ..transaction import Transaction

# bytes of records that are copied between two checks for signals
_STEP = 8 << 20


def rename(env: Environment, old: object, new: object) -> None:
    """``Environment.rename_db``."""
    shared = env._use()
    major = shared.engine.version[0]
    old_name = _catalog.checked_name(old, major, "rename_db", "old")
    new_name = _catalog.checked_name(new, major, "rename_db", "new")
    _check_writable(env, "rename_db")
    _make_room(env)
    with env.begin(write=True) as txn:
        slot = _source(env, old_name, txn, "rename_db")
        _refuse_existing(env, new_name, txn, "rename_db")
        if shared.slot_named(new_name) is not None:
            # another process has dropped that database: the lookup retires its handle
            with suppress(NotFoundError):
                _catalog.open_slot(env, shared, new_name, txn, 0, create=False)
        txn._do(_rename, txn, slot, new_name)


def _rename(ptr: CData, txn: Transaction[Any], slot: DbSlot, name: bytes) -> None:
    shared = txn._shared
    with shared.dbi_lock:
        txn._mutations += 1
        code = shared.engine.lib.pylmdb_dbi_rename(ptr, slot.dbi, name)
        if code == errno.ENOSYS:
            raise error(
                "rename_db",
                code,
                "copy_db() and drop() do the same",
                "rename_db: this build uses the system's liblmdb, which cannot rename a database",
            )
        if code:
            raise _name_error(code, slot, name, "rename_db")
        txn._note_dropped(slot, False)


def copy(env: Environment, name: object, new: object, dest: Environment | None) -> int:
    """``Environment.copy_db``."""
    target = env if dest is None else dest
    if not isinstance(target, EnvironmentCore):
        raise TypeError(f"copy_db: env must be an Environment, not {type(target).__name__}")
    old_name = _catalog.checked_name(name, env.lib_version()[0], "copy_db", "name")
    new_name = _catalog.checked_name(new, target.lib_version()[0], "copy_db", "new")
    _check_writable(target, "copy_db")
    _make_room(env)
    _make_room(target)
    # The writer comes first: in one environment no commit can come between the two then.
    with target.begin(write=True) as writer, env.begin() as reader:
        source = _source(env, old_name, reader, "copy_db")
        _refuse_existing(target, new_name, writer, "copy_db")
        slot = _open_slot(target, new_name, writer, source.flags, True, "copy_db")
        with DatabaseSource(reader, env._handle(old_name, source)) as records:
            return _copy_records(records, writer, slot)


def _copy_records(records: DatabaseSource, writer: Transaction[Any], slot: DbSlot) -> int:
    """Write all records to an empty database; return their number."""
    engine = writer._engine
    ffi, lib = engine.ffi, engine.lib
    source, heap = ffi.new("struct pylmdb_source *"), ffi.new("size_t[]", 1)
    merge = ffi.new("struct pylmdb_merge *", {"sources": source, "heap": heap, "count": 1})
    records.init(source, engine)
    code = writer._do(lib.pylmdb_merge_begin, slot.dbi, slot.flags, merge)
    while not code:
        code = writer._do(lib.pylmdb_merge_some, slot.dbi, slot.flags, merge, _STEP)
    if code != lib.MDB_NOTFOUND:
        key = bytes(ffi.buffer(source.key.mv_data, source.key.mv_size))
        raise database_error("mdb_cursor_put", code, slot, key, operation="copy_db")
    if records.is_truncated():
        raise error("copy_db", lib.MDB_CORRUPTED)
    return int(merge.written)


def _check_writable(env: Environment, operation: str) -> None:
    if env.readonly:
        raise refusal("environment is read-only", operation)
    if env._use().own_writer() is not None:
        raise error(
            operation,
            errno.EBUSY,
            "end it first",
            f"{operation}: this thread has a write transaction open and would wait for itself",
        )


def _make_room(env: Environment) -> None:
    """Make room for two more handles, if that is possible, before a transaction begins."""
    shared = env._use()
    needed = shared.databases + 2
    if needed > shared.max_dbs:
        with suppress(BusyError):
            shared.grow_dbs(needed)


def _source(env: Environment, name: bytes, txn: Transaction[Any], operation: str) -> DbSlot:
    """Return the database to rename or copy.

    :raises NotFoundError: it does not exist.
    :raises IncompatibleError: it is the key of a record.
    """
    if not name:
        raise ValueError(f"{operation}: the name of a database must not be empty")
    return _open_slot(env, name, txn, 0, False, operation)


def _open_slot(
    env: Environment, name: bytes, txn: Transaction[Any], flags: int, create: bool, operation: str
) -> DbSlot:
    """Open a database; exceptions name ``operation``."""
    try:
        return _catalog.open_slot(env, env._use(), name, txn, flags, create=create)
    except Error as failure:
        if not failure.problem.startswith("open_db:"):
            raise
        problem = operation + failure.problem.removeprefix("open_db")
        raise type(failure)(failure.what, failure.code, failure.hint, problem) from None


def _refuse_existing(env: Environment, name: bytes, txn: Transaction[Any], operation: str) -> None:
    """Raise if a database cannot get this name."""
    if not name:
        raise ValueError(f"{operation}: the name of a database must not be empty")
    if env._use().main.flags & (MDB_DUPSORT | MDB_INTEGERKEY):
        return  # open_slot() says that it cannot hold named databases
    key = _catalog.key_of(name, txn._engine.version[0])
    with txn.cursor(env.open_db()) as cursor:
        if not cursor.set_key(key):
            return
    if key in _catalog.keys(env, txn):
        raise KeyExistsError(
            f"{operation}: there is a database {shown(name)} already",
            hint="drop() it first, or choose another name",
        )
    raise IncompatibleError(
        f"{operation}: {shown(name)} is the key of a record of the main database",
        hint="choose another name",
    )


def _name_error(code: int, slot: DbSlot, name: bytes, operation: str) -> Exception:
    """Return the exception for a name that the main database cannot store."""
    shared = slot.shared
    if code != shared.engine.lib.MDB_BAD_VALSIZE:
        return database_error("mdb_cursor_put", code, shared.main, operation=operation)
    longest = shared.max_key_size - (shared.engine.version[0] > 0)
    problem = f"the name has {counted(len(name), 'byte')}; names have 1 to {longest} bytes"
    return error("mdb_cursor_put", code, "choose another name", f"{operation}: {problem}")
