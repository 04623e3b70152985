# SPDX-License-Identifier: MIT
"""Store arrays in a database and read them: put_array, get_array and put_arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .._base.buffers import as_buffer
from .._base.flags import MDB_DUPSORT, put_flags
from .._base.numpy import np
from .._base.words import counted
from .._core_rules.failures import database_error, shown
from .._core_rules.reserve import reserve, stored
from ..errors import InvalidParameterError, error
from . import keys as _array_keys
from . import npy as _npy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .._aliases import CData
    from .._array_methods import Keys as Several
    from .._array_methods import TransactionArrays
    from .._core import DbSlot, TransactionCore
    from ..database import Database
    from ..types import BytesLike
    from .keys import Keys

T = TypeVar("T")


def put_array(
    txn: TransactionCore,
    key: BytesLike,
    array: ArrayLike,
    overwrite: bool,
    append: bool,
    db: Database | None,
) -> bool:
    """Implement ``Transaction.put_array``."""
    key, array = as_buffer("key", key), _npy.storable(array)
    overwrite, append = bool(overwrite), bool(append)
    return bool(txn._do(_put_array, txn, db, key, array, overwrite, append))


def _page_layout(txn: TransactionCore) -> _npy.PageLayout:
    return _npy.page_layout(txn._engine.version[0], txn._shared.page_size)


def _put_array(
    ptr: CData,
    txn: TransactionCore,
    db: Database | None,
    key: bytes | memoryview,
    array: NDArray[Any],
    overwrite: bool,
    append: bool,
) -> bool:
    slot = txn._slot_in(ptr, db)
    flags = put_flags(True, overwrite, append)
    if slot.flags & MDB_DUPSORT:
        plan = _npy.plan(array, None, 0)
        value = plan.header + _npy.without_fields(array).tobytes(plan.order)
        return _put_bytes(ptr, txn, slot, key, value, flags)
    plan = _npy.plan(array, _page_layout(txn), len(key))
    address = reserve(ptr, txn, "put_array", slot, key, plan.size, flags)
    if address is None:
        return False
    _npy.fill(txn._engine.ffi.buffer(address, plan.size), plan, array)
    return True


def _put_bytes(
    ptr: CData,
    txn: TransactionCore,
    slot: DbSlot,
    key: bytes | memoryview,
    value: bytes,
    flags: int,
) -> bool:
    lib, raw = txn._engine.lib, txn._engine.ffi.from_buffer(key)
    code = lib.pylmdb_put(ptr, slot.dbi, slot.flags, raw, len(key), value, len(value), flags)
    return stored(txn, "put_array", slot, key, len(value), code)


def get_array(
    txn: TransactionArrays, key: BytesLike, default: T, copy: bool, db: Database | None
) -> NDArray[Any] | T:
    """Implement ``Transaction.get_array``."""
    value = txn.view(key, None, db)
    if value is None:
        return default
    return copied_array(txn, value) if copy else _npy.decode(value)


def copied_array(txn: TransactionCore, value: memoryview) -> NDArray[Any]:
    """Return a copy of the array in a view of ``txn``.

    :raises CorruptedError: another program has truncated the data file before the end of the value.
    """
    # numpy would meet the end of the file as SIGBUS
    if not txn._thread:
        ffi, lib = txn._engine.ffi, txn._engine.lib
        lib.pylmdb_touch(ffi.from_buffer(value), len(value))
        if lib.pylmdb_env_is_truncated(txn._shared.ptr):
            raise error("read", lib.MDB_CORRUPTED)
    return _npy.decode(value).copy("K")


def put_arrays(
    txn: TransactionCore,
    keys: Several,
    values: ArrayLike,
    overwrite: bool,
    key_format: str | bytes | None,
    db: Database | None,
) -> int:
    """Implement ``Transaction.put_arrays``."""
    batch = _array_keys.batch(keys, key_format, txn._engine)
    values = _npy.storable(values)
    if values.ndim == 0 or len(values) != batch.count:
        raise InvalidParameterError(
            f"put_arrays: values has shape {values.shape}; it must have a row for each of"
            f" {counted(batch.count, 'key')}"
        )
    if values.nbytes and not values[0].flags.c_contiguous:
        values = np.ascontiguousarray(_npy.without_fields(values))
    return int(txn._do(_put_arrays, txn, db, batch, values, bool(overwrite)))


def _put_arrays(
    ptr: CData,
    txn: TransactionCore,
    db: Database | None,
    batch: Keys,
    values: NDArray[Any],
    overwrite: bool,
) -> int:
    engine, slot = txn._engine, txn._slot_in(ptr, db)
    ffi, lib = engine.ffi, engine.lib
    keys = _array_keys.for_database(batch, ptr, slot, engine)
    struct, *_alive = keys.native(ffi)
    begin = ffi.cast("char *", values.__array_interface__["data"][0])
    count = len(values)
    stride, size = (values.strides[0], values[:1].nbytes) if count else (0, 0)
    written, bad = ffi.new("size_t *"), ffi.new("size_t *")
    flags = put_flags(True, overwrite)
    txn._mutations += txn._write
    code = lib.pylmdb_put_rows(
        ptr, slot.dbi, slot.flags, struct, begin, stride, size, flags, written, bad
    )
    if code:
        key = keys[bad[0]] if count else b""
        where = f" of {shown(key)} (number {bad[0]} of keys)" if count else ""
        raise database_error("mdb_cursor_put", code, slot, key, size, f"put_arrays{where}")
    return int(written[0])
