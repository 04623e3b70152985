# SPDX-License-Identifier: MIT
"""Ranges of keys in the cffi core: their bounds, and ``count`` and ``delete_range``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.buffers import freeze_bytes
from .._base.flags import MDB_INTEGERKEY, MDB_REVERSEKEY
from .._core_rules.failures import database_error
from .._core_rules.ranges import successor
from .._core_rules.refusals import refusal

if TYPE_CHECKING:
    from .._core import DbSlot
    from .._engine import Engine
    from ..types import BytesLike

    # start, stop and prefix, as they are given
    Bounds = tuple[bytes | None, bytes | None, bytes | None]


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
    operation: str, engine: Engine, flags: int, bounds: Bounds, are_changed: bool = False
) -> tuple[bytes | None, bytes | None]:
    """Return the first key of the range and the key to stop before.

    :param flags: of the database.
    :param are_changed: whether ``include_start`` or ``include_stop`` is not its default.
    """
    start, stop, prefix = bounds
    if prefix is None:
        return start, stop
    has_bounds = are_changed or start is not None or stop is not None
    refused = engine.lib.pylmdb_prefix_refusal(
        has_bounds, flags & (MDB_INTEGERKEY | MDB_REVERSEKEY)
    )
    if refused:
        raise refusal(engine.ffi.string(refused).decode(), operation)
    return prefix, successor(prefix)


def count_range(ptr: Any, txn: Any, db: Any, bounds: Bounds) -> int:
    """Inside the guard: implement ``Transaction.count``."""
    slot, lib = txn._slot_in(ptr, db), txn._engine.lib
    return _call(ptr, txn, slot, "count", lib.pylmdb_count, bounds)


def delete_range(ptr: Any, txn: Any, db: Any, bounds: Bounds) -> int:
    """Inside the guard: implement ``Transaction.delete_range``."""
    slot, engine = txn._slot_in(ptr, db), txn._engine
    txn._mutations += txn._write
    name = engine.ffi.new("MDB_val *")
    return _call(ptr, txn, slot, "delete_range", engine.lib.pylmdb_del_range, bounds, name)


def _call(
    ptr: Any,
    txn: Any,
    slot: DbSlot,
    operation: str,
    function: Any,
    bounds: Bounds,
    *name: Any,
) -> int:
    """Call a function of ``plain/ranges.c``, and return the number of records."""
    engine = txn._engine
    ffi, lib = engine.ffi, engine.lib
    start, stop = resolve_prefix(operation, engine, slot.flags, bounds)
    first = (ffi.NULL, 0) if start is None else (start, len(start))
    end = (ffi.NULL, 0) if stop is None else (stop, len(stop))
    count = ffi.new("size_t *")
    code = function(ptr, slot.dbi, slot.flags, *first, *end, count, *name)
    if code == lib.PYLMDB_OTHER_WIDTH:
        raise refusal("bound of another width", operation, end[1], int(count[0]))
    if code:
        key = start
        if name and name[0].mv_data:
            key = ffi.buffer(name[0].mv_data, name[0].mv_size)[:]
        what = "mdb_cursor_del" if name else "mdb_cursor_get"
        raise database_error(what, code, slot, key, operation=operation)
    return int(count[0])
