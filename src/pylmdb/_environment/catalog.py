# SPDX-License-Identifier: MIT
"""The named databases of an environment: opening, creating and listing them.

A named database is a record of the main database.  Opening one needs a transaction.  It is the
caller's transaction, if one is given.  Otherwise it is the write transaction that the calling
thread has open, because another one would wait for it for ever.  Otherwise it is a new one, which
writes only if the database must be created.
"""

from __future__ import annotations

import errno

from .._base.buffers import as_buffer
from .._base.flags import MDB_CREATE
from .._core_rules.database_flags import flags_from
from .._core_rules.failures import described, read_error, shown
from .._typing import TYPE_CHECKING
from ..database import Database
from ..errors import (
    BusyError,
    DbsFullError,
    Error,
    IncompatibleError,
    InvalidParameterError,
    NotFoundError,
    ReadersFullError,
    error,
)
from ..transaction import Transaction

if TYPE_CHECKING:
    from typing import Any

    from .._core import DbSlot
    from .._shared.environment import SharedEnv
    from ..environment import Environment

# more than a page has room for
_LONGEST_KEY = 1 << 16
# among how many records of the main database the names for a message are searched, and how many
# names a message has
_MAX_SEARCHED, _MAX_SHOWN = 1000, 10


def checked_name(key: object, major: int, operation: str = "open_db", what: str = "name") -> bytes:
    """A database name as liblmdb takes it.

    :param major: of the engine's version.
    :param operation: the method that was called, for messages, and so is ``what``, the parameter.
    :raises InvalidParameterError: the name has a NUL byte, where liblmdb would cut it.
    """
    name = key if type(key) is bytes else bytes(as_buffer(what, key))
    if b"\0" not in name:
        return name
    if major >= 1 and name.endswith(b"\0"):
        name = name[:-1]  # as LMDB 1.0 stores it in the main database
    if b"\0" in name:
        problem = f"{operation}: the name {shown(name)} must not contain a NUL byte"
        raise error("mdb_dbi_open", errno.EINVAL, "choose another name", problem)
    return name


def open_db(
    env: Environment,
    key: object,
    txn: Transaction[Any] | None,
    words: dict[str, bool],
    create: bool,
) -> Database:
    """Implement ``Environment.open_db``, for what the core leaves to Python.

    :param words: its keywords that are flags.
    """
    shared = env._use()
    flags = flags_from(**words)
    if key is None:
        if flags:
            raise ValueError("the main database takes no flags; give a name to set some")
        return env._handle(None, shared.main)
    name = key
    if type(name) is not bytes or b"\0" in name:
        name = checked_name(key, shared.engine.version[0])
    slot = None if txn is not None else shared.slot_named(name)
    if slot is None or slot.pending or slot.doubted:
        slot = open_slot(env, shared, name, txn, flags, create)
    if flags & ~slot.flags:
        raise IncompatibleError(
            f"open_db: {described(name, slot.flags)} exists with other flags than asked for",
            hint="open it without flags, or drop it first",
        )
    return env._handle(name, slot)


def open_slot(
    env: Environment,
    shared: SharedEnv,
    name: bytes | None,
    txn: Transaction[Any] | None,
    flags: int,
    create: bool,
) -> DbSlot:
    """Open a database, and create it if it does not exist and ``create`` is True.

    :param name: None for the main database.
    :return: its slot.
    :raises NotFoundError: it does not exist; the message lists those that do.
    """
    try:
        return _open_slot(env, shared, name, txn, flags, create)
    except DbsFullError as failure:
        if txn is not None or shared.own_writer() is not None or not _grow(shared, failure):
            raise
        return _open_slot(env, shared, name, txn, flags, create)
    except NotFoundError as failure:
        hint = _names_for_message(env, txn) or failure.hint
        raise error(failure.what, failure.code, hint, failure.problem) from None


def _grow(shared: SharedEnv, failure: DbsFullError) -> bool:
    """Make room for more named databases; return whether there is room."""
    try:
        return shared.grow_dbs(shared.databases + 1)
    except BusyError as busy:
        problem = f"{failure.problem.partition(';')[0]}; {shared.max_dbs} are open, and {busy.what}"
        raise DbsFullError(failure.what, failure.code, busy.hint, problem) from None


def _names_for_message(env: Environment, txn: Transaction[Any] | None) -> str | None:
    """Say which databases there are, unless finding them takes long; then None."""
    try:
        if txn is None:
            with env.begin(write=False) as reader:
                return _names_for_message(env, reader)
        if txn.stat(env.open_db()).entries > _MAX_SEARCHED:
            return None
        found = [shown(name_of(key)) for key in _list(env, txn)]
    except Error:
        return None
    if not found:
        return "there are no named databases"
    more = f", and {len(found) - _MAX_SHOWN} more" if len(found) > _MAX_SHOWN else ""
    return f"there are {', '.join(found[:_MAX_SHOWN])}{more}"


def _open_slot(
    env: Environment,
    shared: SharedEnv,
    name: bytes | None,
    txn: Transaction[Any] | None,
    flags: int,
    create: bool,
) -> DbSlot:
    if txn is None:
        txn = shared.own_writer()
    elif type(txn) is not Transaction or txn._shared is not shared:
        check_transaction("open_db", shared, txn)
    creating = flags | MDB_CREATE if create else flags
    if txn is not None:
        slot: DbSlot = txn._do(shared.slot_of, txn, name, creating)
        return slot
    if env.readonly:
        return _open_alone(env, shared, name, creating, write=False)
    try:
        return _open_alone(env, shared, name, flags, write=False)
    except NotFoundError:
        if not create:
            raise
    except ReadersFullError:
        pass  # a write transaction needs no reader slot
    return _open_alone(env, shared, name, creating, write=True)


def _open_alone(
    env: Environment, shared: SharedEnv, name: bytes | None, flags: int, write: bool
) -> DbSlot:
    with env.begin(write=write) as txn:
        slot: DbSlot = txn._do(shared.slot_of, txn, name, flags)
        return slot


def check_transaction(what: str, shared: SharedEnv, txn: Transaction[Any] | None) -> None:
    if not isinstance(txn, Transaction):
        raise TypeError(f"txn must be a Transaction, not {type(txn).__name__}")
    if not txn.closed:
        txn.id()  # the first use moves an inherited one to this process's environment
    if not txn.closed and txn._shared is not shared:
        raise InvalidParameterError(
            what,
            errno.EINVAL,
            "pass one that this environment has begun",
            f"{what}: txn belongs to another environment",
        )


def names(env: Environment, txn: Transaction[Any] | None) -> list[bytes]:
    """``Environment.dbs``."""
    return [name_of(key) for key in keys(env, txn)]


def name_of(key: bytes) -> bytes:
    """The name of the database whose record in the main database has this key.  LMDB 1.0 stores the
    name with a NUL at its end."""
    return key[:-1] if key.endswith(b"\0") else key


def keys(env: Environment, txn: Transaction[Any] | None) -> list[bytes]:
    """The keys of those records of the main database that are named databases."""
    if txn is None:
        with env.begin() as reader:
            return _list(env, reader)
    check_transaction("dbs", env._use(), txn)
    return _list(env, txn)


def key_of(name: bytes, major: int) -> bytes:
    """Return the key of the record in the main database for a database with this name."""
    return name + b"\0" if major >= 1 else name


def _list(env: Environment, txn: Transaction[Any]) -> list[bytes]:
    ffi, lib = txn._engine.ffi, txn._engine.lib
    memory, size = ffi.new("char[]", _LONGEST_KEY), ffi.new("size_t *")
    found: list[bytes] = []
    with txn.cursor(env.open_db()) as cursor:
        while True:
            size[0] = _LONGEST_KEY
            code = cursor._do(lib.pylmdb_cursor_next_db, memory, size)
            if code == lib.MDB_NOTFOUND:
                return found
            if code:
                raise read_error("mdb_cursor_get", "dbs", code, env._use())
            found.append(bytes(ffi.buffer(memory, size[0])))


def is_database(env: Environment, txn: Transaction[Any], key: bytes) -> bool:
    """Return True if the record of the main database with this key is a named database."""
    with txn.cursor(env.open_db()) as cursor:
        return cursor.set_key(key) and bool(cursor._do(txn._engine.lib.pylmdb_cursor_is_db))
