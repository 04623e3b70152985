# SPDX-License-Identifier: MIT
"""Copy a range of records, or the values of one key, into arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.buffers import as_buffer
from .._base.flags import MDB_INTEGERKEY
from .._base.numpy import np
from .._base.owners import owned
from .._core_rules.failures import database_error
from ..errors import error
from .gather import Rows, row_form, wrong_size

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from .._aliases import CData
    from .._core import DbSlot, TransactionCore
    from .._shared.environment import SharedEnv
    from ..database import Database
    from ..types import BytesLike


class Records:
    """Addresses and sizes of the records of a range, in key order.

    They are valid until the transaction writes or ends.  Each is uintp, shape ``(n,)``.
    """

    __slots__ = ("key_at", "key_sizes", "value_at", "value_sizes")

    def __init__(self, table: CData) -> None:
        self.key_sizes, self.key_at, self.value_sizes, self.value_at = table.T

    def __len__(self) -> int:
        return len(self.key_at)


def scan(
    ptr: CData, txn: TransactionCore, slot: DbSlot, start: bytes | None, stop: bytes | None
) -> Records:
    """Inside the guard: find the records with ``start <= key < stop``."""
    engine = txn._engine
    ffi, lib = engine.ffi, engine.lib
    found = owned(ffi, ffi.new("struct pylmdb_records *"), lib.pylmdb_scan_free)
    bounds = [_bound(ffi, bound) for bound in (start, stop)]
    begin, end = (bound[0] for bound in bounds)
    code = lib.pylmdb_scan(ptr, slot.dbi, slot.flags, begin, end, found)
    if code:
        raise database_error("mdb_cursor_get", code, slot, operation="snapshot")
    count = int(found.count)
    table = np.empty((count, 4), np.uintp)
    if count:
        ffi.memmove(ffi.from_buffer(table), found.records, table.nbytes)
    return Records(table)


def _bound(ffi: CData, key: bytes | None) -> tuple[Any, Any]:
    if key is None:
        return ffi.NULL, None
    raw = ffi.from_buffer(key)
    return ffi.new("MDB_val *", {"mv_size": len(key), "mv_data": raw}), raw


def uniform(sizes: NDArray[Any]) -> int | None:
    """Return the size that all have; None if sizes differ, or there are none."""
    return int(sizes[0]) if len(sizes) and (sizes == sizes[0]).all() else None


def key_dtype(width: int, flags: int) -> np.dtype[Any]:
    """Return the dtype of keys that all have one width."""
    if flags & MDB_INTEGERKEY and width in (4, 8):
        return np.dtype(np.uint32 if width == 4 else np.uint64)
    return np.dtype(f"S{width}")


def exact(keys: NDArray[Any]) -> NDArray[Any]:
    """Return keys of dtype ``S`` as ``V`` if one ends in a zero byte, which ``S`` would hide."""
    if keys.dtype.kind != "S" or not len(keys):
        return keys
    last = keys.view(np.uint8).reshape(len(keys), -1)[:, -1]
    return keys if last.all() else keys.view(f"V{keys.itemsize}")


def copy_column(
    shared: SharedEnv, sizes: NDArray[Any], addresses: NDArray[Any], rows: Rows
) -> NDArray[Any]:
    """Inside the guard: copy values, each of the size of a row, from their addresses."""
    ffi, lib = shared.engine.ffi, shared.engine.lib
    column = np.empty((rows.count, 2), np.uintp)
    column[:, 0], column[:, 1] = sizes, addresses
    code = lib.pylmdb_copy_rows(
        shared.ptr, ffi.from_buffer("MDB_val[]", column), rows.count, rows.size,
        rows.address(ffi), rows.stride, 1,
    )  # fmt: skip
    if code:
        raise error("mdb_cursor_get", code)
    return rows.written()


def keys_of(shared: SharedEnv, records: Records, flags: int) -> NDArray[Any] | list[bytes]:
    """Return the keys: an array where all have one width, else a list of bytes."""
    width = uniform(records.key_sizes)
    if width is None and len(records):
        ffi = shared.engine.ffi
        pairs = zip(records.key_at.tolist(), records.key_sizes.tolist(), strict=True)
        return [ffi.buffer(ffi.cast("char *", at), size)[:] for at, size in pairs]
    rows = Rows("keys", len(records), key_dtype(width or 1, flags), ())
    return exact(copy_column(shared, records.key_sizes, records.key_at, rows))


def range_arrays(
    txn: TransactionCore,
    start: BytesLike | None,
    stop: BytesLike | None,
    dtype: DTypeLike,
    shape: int | tuple[int, ...],
    db: Database | None,
) -> tuple[NDArray[Any] | list[bytes], NDArray[Any]]:
    """Implement ``Transaction.range_arrays``."""
    start, stop = (
        None if key is None else bytes(as_buffer(name, key))
        for name, key in (("start", start), ("stop", stop))
    )
    start = start or None  # an empty key is less than all others
    row_form("range_arrays", dtype, shape)
    return txn._do(_range_arrays, txn, db, start, stop, dtype, shape)


def _range_arrays(
    ptr: CData,
    txn: TransactionCore,
    db: Database | None,
    start: bytes | None,
    stop: bytes | None,
    dtype: DTypeLike,
    shape: int | tuple[int, ...],
) -> tuple[Any, Any]:
    engine, slot = txn._engine, txn._slot_in(ptr, db)
    records = scan(ptr, txn, slot, start, stop)
    rows = Rows("range_arrays", len(records), dtype, shape)
    wrong = records.value_sizes != rows.size
    if wrong.any():
        first = int(wrong.argmax())
        at, size = int(records.key_at[first]), int(records.key_sizes[first])
        key = engine.ffi.buffer(engine.ffi.cast("char *", at), size)[:]
        raise wrong_size("range_arrays", key, int(records.value_sizes[first]), rows)
    keys = keys_of(txn._shared, records, slot.flags)
    return keys, copy_column(txn._shared, records.value_sizes, records.value_at, rows)


def dup_array(
    txn: TransactionCore,
    key: BytesLike,
    dtype: DTypeLike,
    shape: int | tuple[int, ...],
    db: Database | None,
) -> NDArray[Any]:
    """Implement ``Transaction.dup_array``."""
    row_form("dup_array", dtype, shape)
    return txn._do(_dup_array, txn, db, bytes(as_buffer("key", key)), dtype, shape)


def _dup_array(
    ptr: CData,
    txn: TransactionCore,
    db: Database | None,
    key: bytes,
    dtype: DTypeLike,
    shape: int | tuple[int, ...],
) -> NDArray[Any]:
    engine, slot = txn._engine, txn._slot_in(ptr, db)
    ffi, lib = engine.ffi, engine.lib
    count, size = ffi.new("size_t *"), ffi.new("size_t *")
    at = (ptr, slot.dbi, slot.flags, key, len(key))
    code = lib.pylmdb_count_values(*at, count, size)
    if code and code != lib.MDB_NOTFOUND:
        raise database_error("mdb_cursor_get", code, slot, key, operation="dup_array")
    rows = Rows("dup_array", 0 if code else int(count[0]), dtype, shape)
    if code:
        return rows.out
    if size[0] == rows.size:
        code = lib.pylmdb_copy_values(*at, rows.address(ffi), rows.count, size)
    if code == lib.PYLMDB_MISFIT or size[0] != rows.size:
        raise wrong_size("dup_array", key, int(size[0]), rows)
    if code:
        raise error("mdb_cursor_get", code)
    return rows.out
