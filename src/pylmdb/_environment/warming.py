# SPDX-License-Identifier: MIT
"""Read records into memory before they are needed: ``Environment.warm``."""

from __future__ import annotations

from .._base.buffers import as_buffer, freeze_bytes, pack_keys
from .._core_rules.failures import database_error
from .._typing import TYPE_CHECKING
from ..errors import InvalidParameterError, error

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .._aliases import BytesLike, CData
    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction

# how many bytes of a whole file one call of C reads; between calls Python handles signals
_BYTES = 8 << 20


def warm(
    env: Environment,
    keys: Iterable[BytesLike] | None,
    start: BytesLike | None,
    stop: BytesLike | None,
    db: Database | None,
) -> int:
    """Implement ``Environment.warm``."""
    if keys is not None and (start is not None or stop is not None):
        raise InvalidParameterError("warm: give keys, or start and stop, not both")
    if isinstance(keys, (bytes, bytearray, memoryview, str)):
        raise TypeError(f"warm: keys must be several keys, not one of type {type(keys).__name__}")
    first, end = (None if key is None else freeze_bytes("key", key) for key in (start, stop))
    listed = None if keys is None else [as_buffer("key", key) for key in keys]
    with env.begin() as txn:
        if listed is not None:
            return _warm_keys(txn, listed, db)
        if start is None and stop is None and db is None:
            return _warm_file(txn)
        return _warm_range(txn, first or None, end, db)  # no bytes are before all keys


def _warm_keys(txn: Transaction[Any], keys: list[Any], db: Database | None) -> int:
    ffi, most = txn._engine.ffi, txn._engine.lib.PYLMDB_READ_AHEAD_MAX
    size = ffi.new("size_t *")
    for at in range(0, len(keys), most):
        txn._do(_keys, txn, keys[at : at + most], db, size)
    return int(size[0])


def _keys(
    ptr: CData, txn: Transaction[Any], keys: list[Any], db: Database | None, size: CData
) -> None:
    engine, slot = txn._engine, txn._slot_in(ptr, db)
    struct, *_alive = pack_keys(engine.ffi, keys)
    code = engine.lib.pylmdb_warm_keys(ptr, slot.dbi, slot.flags, struct, size)
    if code:
        raise database_error("warm", code, slot)


def _warm_range(
    txn: Transaction[Any], start: bytes | None, stop: bytes | None, db: Database | None
) -> int:
    size = txn._engine.ffi.new("size_t *")
    more = True
    while more:
        start = txn._do(_range, txn, start, stop, db, size)
        more = start is not None
    return int(size[0])


def _range(
    ptr: CData,
    txn: Transaction[Any],
    start: bytes | None,
    stop: bytes | None,
    db: Database | None,
    size: CData,
) -> bytes | None:
    """Warm for a while; return the key at which to continue."""
    engine, slot = txn._engine, txn._slot_in(ptr, db)
    ffi, lib = engine.ffi, engine.lib
    bounds, alive = [], []
    for key in (start, stop):
        alive.append(ffi.from_buffer(key or b""))
        bounds.append(ffi.NULL if key is None else ffi.new("MDB_val *", (len(key), alive[-1])))
    following = ffi.new("MDB_val *")
    code = lib.pylmdb_warm_range(ptr, slot.dbi, slot.flags, *bounds, following, size)
    if code:
        raise database_error("warm", code, slot)
    if not following.mv_data:
        return None
    return bytes(ffi.buffer(following.mv_data, following.mv_size))


def _warm_file(txn: Transaction[Any]) -> int:
    page = txn.stat()["psize"]
    step, at, found = max(_BYTES // page, 1), 0, -1
    while found:
        found = txn._do(_pages, txn, at, step)
        at += found
    return int(at * page)


def _pages(ptr: CData, txn: Transaction[Any], at: int, count: int) -> int:
    lib = txn._engine.lib
    found = int(lib.pylmdb_warm_pages(ptr, at, count))
    if lib.pylmdb_env_is_truncated(lib.mdb_txn_env(ptr)):
        raise error("warm", lib.MDB_CORRUPTED)
    return found
