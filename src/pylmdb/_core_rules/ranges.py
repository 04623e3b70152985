# SPDX-License-Identifier: MIT
"""The bounds of a range of keys, and the operations on a whole range."""

from __future__ import annotations

from .._base.buffers import freeze_bytes
from .._base.flags import MDB_INTEGERKEY, MDB_REVERSEKEY
from .._typing import TYPE_CHECKING
from .failures import database_error
from .refusals import refusal

if TYPE_CHECKING:
    from typing import Any

    from .._aliases import CData
    from .._core import DbSlot, TransactionCore
    from .._shared.environment import SharedEnv
    from ..database import Database
    from ..types import BytesLike

    # start, stop and prefix, as they are given
    Bounds = tuple[bytes | None, bytes | None, bytes | None]


def successor(prefix: bytes) -> bytes | None:
    """The smallest key that is greater than every key with ``prefix``; None if there is none."""
    body = prefix.rstrip(b"\xff")
    return body[:-1] + bytes([body[-1] + 1]) if body else None


def freeze_bounds(
    start: BytesLike | None, stop: BytesLike | None, prefix: BytesLike | None
) -> Bounds:
    """Return copies of the arguments, which later changes of their buffers do not affect."""
    return (
        None if start is None else freeze_bytes("start", start),
        None if stop is None else freeze_bytes("stop", stop),
        None if prefix is None else freeze_bytes("prefix", prefix),
    )


def resolve_prefix(
    operation: str, engine: Any, flags: int, bounds: Bounds
) -> tuple[bytes | None, bytes | None]:
    """Return the first key of the range and the key to stop before.

    :param flags: of the database.
    """
    start, stop, prefix = bounds
    if prefix is None:
        return start, stop
    has_bounds = start is not None or stop is not None
    refused = engine.lib.pylmdb_prefix_refusal(
        has_bounds, flags & (MDB_INTEGERKEY | MDB_REVERSEKEY)
    )
    if refused:
        raise refusal(engine.ffi.string(refused).decode(), operation)
    return prefix, successor(prefix)


def count_range(ptr: CData, txn: TransactionCore, db: Database | None, bounds: Bounds) -> int:
    """Inside the guard: implement ``Transaction.count``."""
    slot, count = txn._slot_in(ptr, db), txn._engine.ffi.new("size_t *")
    return _use(ptr, txn, slot, "count", bounds, count)


def delete_range(ptr: CData, txn: TransactionCore, db: Database | None, bounds: Bounds) -> int:
    """Inside the guard: implement ``Transaction.delete_range``."""
    slot, ffi = txn._slot_in(ptr, db), txn._engine.ffi
    txn._mutations += txn._write
    return _use(ptr, txn, slot, "delete_range", bounds, ffi.new("size_t *"), ffi.new("MDB_val *"))


def _use(
    ptr: CData,
    txn: TransactionCore,
    slot: DbSlot,
    operation: str,
    bounds: Bounds,
    count: CData,
    name: CData | None = None,
) -> int:
    """Count the records, or delete them if ``name`` is given, for the name of a database."""
    engine = txn._engine
    lib, null = engine.lib, engine.ffi.NULL
    start, stop = resolve_prefix(operation, engine, slot.flags, bounds)
    sizes = len(start or b""), len(stop or b"")
    ends = (
        null if start is None else start, sizes[0], null if stop is None else stop, sizes[1], count
    )  # fmt: skip
    if name is None:
        what, code = "mdb_cursor_get", lib.pylmdb_count(ptr, slot.dbi, slot.flags, *ends)
    else:
        what = "mdb_cursor_del"
        code = lib.pylmdb_del_range(ptr, slot.dbi, slot.flags, *ends, name)
    if not code:
        return int(count[0])
    if code == lib.PYLMDB_OTHER_WIDTH:
        raise refusal("bound of another width", operation, sizes[1], int(count[0]))
    if name and name.mv_data:
        start = engine.ffi.buffer(name.mv_data, name.mv_size)[:]
    raise database_error(what, code, slot, start, operation=operation)
