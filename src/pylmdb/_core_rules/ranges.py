# SPDX-License-Identifier: MIT
"""Iteration between two keys, in either direction, for transactions and cursors."""

from __future__ import annotations

from .._base.buffers import as_buffer
from .._base.flags import MDB_INTEGERKEY, MDB_REVERSEKEY
from .._typing import TYPE_CHECKING
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .._aliases import CData
    from ..cursor import Cursor
    from ..types import BytesLike


def walk(
    cursor: Cursor[Any],
    start: BytesLike | None,
    stop: BytesLike | None,
    prefix: BytesLike | None,
    reverse: object,
    keys: object,
    values: object,
) -> Iterator[Any]:
    """Iterate over the records of the cursor's database with ``start <= key < stop``."""
    if not keys and not values:
        raise ValueError("range: keys=False and values=False leave nothing to return")
    cursor._do(lambda native: None)  # raises if the cursor cannot be used
    flags = cursor._slot.flags
    start, stop, prefix = (
        None if key is None else bytes(as_buffer(name, key))
        for name, key in (("start", start), ("stop", stop), ("prefix", prefix))
    )
    if prefix is not None:
        start, stop = _prefix_bounds(prefix, start, stop, flags)
    compare = _comparison(cursor, flags)
    if reverse:
        found = seek_last(cursor, stop)
        items = cursor.iterprev(True, bool(values)) if found else nothing(cursor)
        outside = None if start is None else (lambda key: compare(key, start) < 0)
    else:
        found = cursor.first() if start is None else cursor.set_range(start)
        items = cursor.iternext(True, bool(values)) if found else nothing(cursor)
        outside = None if stop is None else (lambda key: compare(key, stop) >= 0)
    return _take(items, outside, bool(keys), bool(values))


def nothing(cursor: Cursor[Any]) -> Iterator[Any]:
    """An empty iterator, which raises if its cursor cannot be used."""
    cursor._do(lambda native: None)
    return
    yield


def _take(
    items: Iterator[Any], outside: Callable[[Any], bool] | None, keys: bool, values: bool
) -> Iterator[Any]:
    for item in items:
        if outside is not None and outside(item[0] if values else item):
            return
        yield item if keys else item[1]


def seek_last(cursor: Cursor[Any], stop: bytes | None) -> bool:
    """Move the cursor to the last record before ``stop``."""
    if stop is not None and cursor.set_range(stop):
        return bool(cursor.prev())
    return bool(cursor.last())


def _prefix_bounds(
    prefix: bytes, start: bytes | None, stop: bytes | None, flags: int
) -> tuple[bytes | None, bytes | None]:
    if start is not None or stop is not None:
        raise TypeError("range: give start and stop, or prefix, not both")
    if flags & (MDB_INTEGERKEY | MDB_REVERSEKEY):
        raise InvalidParameterError(
            "range: a database with integerkey or reverse_key is not ordered by the first bytes of"
            " its keys, so it has no prefix; give start and stop"
        )
    return prefix or None, successor(prefix)


def successor(prefix: bytes) -> bytes | None:
    """The smallest key that is greater than every key with ``prefix``."""
    body = prefix.rstrip(b"\xff")
    return body[:-1] + bytes([body[-1] + 1]) if body else None


def _comparison(cursor: Cursor[Any], flags: int) -> Callable[[Any, bytes], int]:
    if not flags & (MDB_INTEGERKEY | MDB_REVERSEKEY):
        return _compare_bytes
    return lambda key, bound: int(cursor._do(_compare_native, cursor, bytes(key), bound))


def _compare_bytes(key: bytes | memoryview, bound: bytes) -> int:
    own = bytes(key)
    return (own > bound) - (own < bound)


def _compare_native(native: CData, cursor: Cursor[Any], key: bytes, bound: bytes) -> int:
    """``mdb_cmp``: the order of a database with integer or reversed keys."""
    ffi, lib = cursor._engine.ffi, cursor._engine.lib
    if cursor._slot.flags & MDB_INTEGERKEY and len(key) != len(bound):
        raise InvalidParameterError(
            f"range: start or stop has {len(bound)} bytes; the keys have {len(key)}"
        )
    raw_key, raw_bound = ffi.from_buffer(key), ffi.from_buffer(bound)
    a = ffi.new("MDB_val *", {"mv_size": len(key), "mv_data": raw_key})
    b = ffi.new("MDB_val *", {"mv_size": len(bound), "mv_data": raw_bound})
    return int(lib.mdb_cmp(lib.mdb_cursor_txn(native), cursor._slot.dbi, a, b))
