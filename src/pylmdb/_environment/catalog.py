# SPDX-License-Identifier: MIT
"""The named databases of an environment: opening, creating and listing them.

A named database is a record of the main database.  Opening one needs a transaction.  It is the
caller's transaction, if one is given.  Otherwise it is the write transaction that the calling
thread has open, because another one would wait for it for ever.  Otherwise it is a new one, which
writes only if the database must be created.
"""

from __future__ import annotations

import errno
from _weakref import ref

from .._base.buffers import as_buffer
from .._base.flags import MDB_CREATE
from .._typing import TYPE_CHECKING
from ..database import Database
from ..errors import Error, IncompatibleError, NotFoundError, ReadersFullError, error
from ..transaction import Transaction

if TYPE_CHECKING:
    from typing import Any

    from .._core import DbSlot
    from .._shared.environment import SharedEnv
    from ..environment import Environment

# more than a page has room for
_LONGEST_KEY = 1 << 16


def checked_name(key: object, major: int) -> bytes:
    """A database name as liblmdb takes it.

    :param major: of the engine's version.
    :raises InvalidParameterError: the name has a NUL byte, where liblmdb would cut it.
    """
    name = key if type(key) is bytes else bytes(as_buffer("key", key))
    if b"\0" not in name:
        return name
    if major >= 1 and name.endswith(b"\0"):
        name = name[:-1]  # as LMDB 1.0 stores it in the main database
    if b"\0" in name:
        raise error(f"open_db: the name {name[:64]!r} must not contain a NUL byte", errno.EINVAL)
    return name


def open_db(
    env: Environment, key: object, txn: Transaction[Any] | None, flags: int, create: bool
) -> Database:
    """Implement ``Environment.open_db``, for what the core leaves to Python."""
    shared = env._use()
    if key is None:
        if flags:
            raise ValueError("the main database takes no flags; give a name to set some")
        return handle(env, None, shared.main)
    name = key
    if type(name) is not bytes or b"\0" in name:
        name = checked_name(key, shared.engine.version[0])
    slot = None if txn is not None else shared.slots.get(name)
    if slot is None or slot.pending or not slot.alive or slot.doubted:
        slot = open_slot(env, shared, name, txn, flags, create)
    if flags & ~slot.flags:
        raise IncompatibleError(
            f"open_db: {name!r} exists with other flags: {Database(env, name, slot)!r}",
            hint="open it with these flags, or drop it first",
        )
    return handle(env, name, slot)


def handle(env: Environment, name: bytes | None, slot: DbSlot) -> Database:
    """Return the environment's handle to a slot; there is one for each name."""
    handles = env._handles
    if handles is None:
        handles = env._handles = {}
    known = handles.get(name)
    found = None if known is None else known()
    if found is None or found._slot is not slot:
        if not len(handles) % 128 and len(handles) > 2 * len(slot.shared.slots):
            for dead in [each for each, known in handles.items() if known() is None]:
                handles.pop(dead, None)
        found = Database(env, name, slot)
        handles[name] = ref(found)
    return found


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
    """
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
        raise error(f"{what}: txn belongs to another environment", errno.EINVAL)


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


def _list(env: Environment, txn: Transaction[Any]) -> list[bytes]:
    ffi, lib = txn._engine.ffi, txn._engine.lib
    memory, size, sure = ffi.new("char[]", _LONGEST_KEY), ffi.new("size_t *"), ffi.new("int *")
    found: list[bytes] = []
    with txn.cursor(env.open_db()) as cursor:
        while True:
            size[0] = _LONGEST_KEY
            code = cursor._do(lib.pylmdb_cursor_next_db, memory, size, sure)
            if code == lib.MDB_NOTFOUND:
                return found
            if code:
                raise error("mdb_cursor_get", code)
            key = bytes(ffi.buffer(memory, size[0]))
            if sure[0] or _opens(env, key, txn):
                found.append(key)


def _opens(env: Environment, name: bytes, txn: Transaction[Any]) -> bool:
    try:
        open_slot(env, env._use(), name, txn, 0, create=False)
    except Error:
        return False
    return True
