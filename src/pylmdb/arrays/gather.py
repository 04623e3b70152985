# SPDX-License-Identifier: MIT
"""Many keys in one call: ``take()``, the rows that it fills, and ``has_many()``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._base.integers import integer
from .._base.numpy import np
from .._base.words import counted
from .._core_rules.failures import database_error
from ..errors import InvalidParameterError, NotFoundError
from . import keys as _array_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import DTypeLike, NDArray

    from .._aliases import CData
    from .._array_methods import Keys as Several
    from .._core import TransactionCore
    from ..database import Database
    from ..types import BytesLike
    from .keys import Keys

MISSING = ("raise", "fill")


class Rows:
    """The rows that C fills, one for each key, and the array that they end up in.

    :ivar dtype: of a row.
    :ivar shape: of a row.
    :ivar size: of a row, in bytes.
    :ivar out: the result, of shape ``(count, *shape)``.
    :ivar target: the array that C writes to: ``out``, or one that is copied to ``out``.
    """

    __slots__ = ("array", "count", "dtype", "out", "shape", "size", "target")

    def __init__(
        self,
        what: str,
        count: int,
        dtype: DTypeLike,
        shape: int | tuple[int, ...],
        out: NDArray[Any] | None = None,
    ) -> None:
        self.dtype, self.shape = row_form(what, dtype, shape)
        self.size = math.prod(self.shape) * self.dtype.itemsize
        self.count = count
        whole = (count, *self.shape)
        self.out: NDArray[Any] = (
            np.empty(whole, self.dtype) if out is None else _checked_out(what, out, self, whole)
        )
        # not a subclass, which may behave in another way
        self.array = array = np.asarray(self.out)
        # C writes contiguous rows; others are written to a temporary array and copied
        direct = array.flags.c_contiguous or not count or array[0].flags.c_contiguous
        self.target = array if direct else np.empty(whole, self.dtype)

    def address(self, ffi: CData) -> CData:
        """Return the address of the first row, as ``char *``."""
        if self.target.flags.c_contiguous:
            return ffi.from_buffer(self.target)
        return ffi.cast("char *", self.target.__array_interface__["data"][0])

    @property
    def stride(self) -> int:
        """The distance between rows, in bytes."""
        return int(self.target.strides[0]) if self.count else 0

    def written(self) -> NDArray[Any]:
        """Return the array, after C has written the rows."""
        if self.target is not self.array:
            np.copyto(self.array, self.target)
        return self.out


def row_form(
    what: str, dtype: DTypeLike, shape: int | tuple[int, ...]
) -> tuple[Any, tuple[int, ...]]:
    """Return the dtype and shape of the array in one record, without a subarray dtype.

    :raises InvalidParameterError: the dtype has no size, or the shape a negative length.
    :raises TypeError: the dtype holds Python objects.
    """
    dtype = np.dtype(dtype)
    if dtype.hasobject:
        raise TypeError(
            f"{what}: dtype {dtype} holds Python objects, which are never read; give another dtype"
        )
    lengths = shape if isinstance(shape, (tuple, list)) else (shape,)
    shape = tuple(integer(f"{what}: a length in shape", length) for length in lengths)
    if dtype.subdtype is not None:
        dtype, shape = dtype.base, (*shape, *dtype.shape)
    if dtype.kind in "SU" and not dtype.itemsize:
        raise InvalidParameterError(
            f"{what}: dtype {dtype} has no size; give one, such as {dtype.kind}8"
        )
    if any(length < 0 for length in shape):
        raise InvalidParameterError(
            f"{what}: shape {shape} has a negative length; lengths must be at least 0"
        )
    return dtype, shape


def _checked_out(
    what: str, out: NDArray[Any] | None, rows: Rows, whole: tuple[int, ...]
) -> NDArray[Any]:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{what}: out must be an array, not {type(out).__name__}")
    if out.dtype != rows.dtype:
        raise TypeError(f"{what}: out must have dtype {rows.dtype}, not {out.dtype}")
    if out.shape != whole:
        raise InvalidParameterError(f"{what}: out must have shape {whole}, not {out.shape}")
    if not out.flags.writeable:
        raise InvalidParameterError(f"{what}: out is read-only; it must be writable")
    return out


def wrong_size(what: str, key: bytes, size: int, rows: Rows) -> InvalidParameterError:
    """Return the exception for a value that has another size than a row."""
    return InvalidParameterError(
        f"{what}: the value of {key[:64]!r} has {counted(size, 'byte')}; dtype {rows.dtype}"
        f" with shape {rows.shape} takes {rows.size}"
    )


def thread_count(threads: int) -> int:
    """Check the argument ``threads`` and return it."""
    count = integer("threads", threads)
    if not 1 <= count <= 64:
        raise InvalidParameterError(f"threads must be between 1 and 64, not {count}")
    return count


def take(
    txn: TransactionCore,
    keys: Several,
    dtype: DTypeLike,
    shape: int | tuple[int, ...],
    out: NDArray[Any] | None,
    missing: str,
    threads: int,
    key_format: str | bytes | None,
    db: Database | None,
) -> object:
    """Implement ``Transaction.take``."""
    if missing not in MISSING:
        raise InvalidParameterError(f"missing must be 'raise' or 'fill', not {missing!r}")
    threads = thread_count(threads)
    batch = _array_keys.batch(keys, key_format, txn._engine)
    rows = Rows("take", batch.count, dtype, shape, out)
    absent = None if missing == "raise" else np.empty(batch.count, np.bool_)
    txn._do(_take, txn, db, batch, rows, absent, threads)
    return rows.written() if absent is None else (rows.written(), absent)


def _take(
    ptr: CData,
    txn: TransactionCore,
    db: Database | None,
    batch: Keys,
    rows: Rows,
    absent: NDArray[Any],
    threads: int,
) -> None:
    engine, slot = txn._engine, txn._slot_in(ptr, db)
    ffi, lib = engine.ffi, engine.lib
    keys = _array_keys.for_database(batch, ptr, slot, engine)
    struct, *_alive = keys.native(ffi)
    # the number of the first key that fails, and the size of its value
    bad = ffi.new("size_t [2]")
    mask = ffi.NULL if absent is None else ffi.from_buffer("char[]", absent)
    to = rows.address(ffi), rows.stride
    code = lib.pylmdb_take(
        ptr, slot.dbi, slot.flags, struct, rows.size, *to, threads, mask, bad, bad + 1
    )
    if code == lib.MDB_NOTFOUND:
        raise NotFoundError(
            f"take: there is no key {keys[bad[0]][:64]!r} (number {bad[0]} of keys)",
            hint="missing='fill' returns zeros and a mask",
        )
    if code == lib.PYLMDB_MISFIT:
        raise wrong_size("take", keys[bad[0]], bad[1], rows)
    if code:
        raise database_error("mdb_cursor_get", code, slot, operation="take")


def has_many(
    txn: TransactionCore,
    keys: Several | Iterable[BytesLike],
    key_format: str | bytes | None,
    db: Database | None,
) -> NDArray[np.bool_] | list[bool]:
    """Implement ``Transaction.has_many`` for arrays and for integers."""
    batch = _array_keys.batch(keys, key_format, txn._engine)
    present = np.empty(batch.count, np.bool_)
    txn._do(_has_many, txn, db, batch, present)
    if isinstance(keys, np.ndarray):
        return present
    listed: list[bool] = present.tolist()
    return listed


def _has_many(
    ptr: CData, txn: TransactionCore, db: Database | None, batch: Keys, present: NDArray[np.bool_]
) -> None:
    engine, slot = txn._engine, txn._slot_in(ptr, db)
    ffi, lib = engine.ffi, engine.lib
    struct, *_alive = _array_keys.for_database(batch, ptr, slot, engine).native(ffi)
    to = ffi.from_buffer("char[]", present)
    code = lib.pylmdb_has_many(ptr, slot.dbi, slot.flags, struct, to)
    if code:
        raise database_error("mdb_cursor_get", code, slot, operation="has_many")
