# SPDX-License-Identifier: MIT
"""The array methods and ``reserve``, which Transaction, Cursor and Environment inherit.

The modules that implement them are imported at the first call, and need numpy; ``reserve`` does
not.
"""

from __future__ import annotations

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from types import EllipsisType
    from typing import Any, Literal, TypeVar, overload

    from numpy import bool_
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from ._core import CursorCore, TransactionCore
    from .arrays.snapshot import Snapshot
    from .database import Database
    from .types import BytesLike

    T = TypeVar("T")
    # keys as bytes, as an array of bytes, or as integers
    Keys = Sequence[BytesLike] | Sequence[int] | NDArray[Any] | range
else:
    from ._typing import overload

    CursorCore = TransactionCore = object


class TransactionArrays(TransactionCore):
    """The array methods of :class:`~pylmdb.Transaction`."""

    __slots__ = ()

    if TYPE_CHECKING:

        def view(
            self, key: BytesLike, default: None = None, db: Database | None = None
        ) -> memoryview | None: ...
        def put(
            self,
            key: BytesLike,
            value: BytesLike,
            dupdata: bool = True,
            overwrite: bool = True,
            append: bool = False,
            db: Database | None = None,
            *,
            if_value: BytesLike | EllipsisType | None = ...,
        ) -> bool: ...

    # -- one array ------------------------------------------------------------------

    def put_array(
        self,
        key: BytesLike,
        array: ArrayLike,
        *,
        overwrite: bool = True,
        append: bool = False,
        db: Database | None = None,
    ) -> bool:
        """Store an array with its dtype, shape and order.  Return True if it was written.

        The value is what ``numpy.save`` writes (``.npy`` format, version 1.0; 3.0 if a field's
        name needs it), so ``numpy.load`` reads it.  It is written straight into its page, from any
        strides.  Header and value are padded so that the data begins on a 64-byte boundary of the
        map: always on overflow pages, and on leaf pages that hold only arrays.  A database with
        duplicates has no padding.

        >>> import numpy
        >>> txn.put_array(b"mean", numpy.zeros((2, 3)))
        True

        :param array: of any shape, and any dtype without Python objects.  Fortran order is kept;
            other strides become C order.  A subclass is stored as a plain array: a masked array
            without its mask.
        :param overwrite: False to return False if the key exists already.
        :param append: True for a key greater than all others; see ``put``.
        :param db: the database; None for the transaction's.
        :raises TypeError: the array holds Python objects.
        :raises ValueError: fields of the dtype overlap, or its description is too long.

        ``mdb_put`` with ``MDB_RESERVE``.
        """
        from .arrays import store as _array_store

        return _array_store.put_array(self, key, array, overwrite, append, db)

    @overload
    def get_array(
        self,
        key: BytesLike,
        default: None = None,
        copy: bool = False,
        db: Database | None = None,
    ) -> NDArray[Any] | None: ...
    @overload
    def get_array(
        self, key: BytesLike, default: T, copy: bool = False, db: Database | None = None
    ) -> NDArray[Any] | T: ...
    def get_array(
        self, key: BytesLike, default: object = None, copy: bool = False, db: Database | None = None
    ) -> object:
        """Return the array that ``put_array`` or ``numpy.save`` stored at ``key``, or ``default``.

        In a read transaction the array shares the memory map: nothing is copied, and it is
        read-only.  It is valid as long as it or anything made from it is alive, and pins the
        snapshot, as :meth:`~pylmdb.Transaction.view` does.  In a write transaction it is a copy.

        >>> import numpy
        >>> txn.put_array(b"mean", numpy.arange(3))
        True
        >>> txn.get_array(b"mean")
        array([0, 1, 2])

        :param copy: True for a copy, which is writable and pins no snapshot.
        :param db: the database; None for the transaction's.
        :return: an array of the dtype, shape and order that the header of the value says.
        :raises CorruptedError: with ``copy=True``, another program has truncated the data file.
        :raises InvalidParameterError: the value is not in ``.npy`` format, or shorter than its
            header says.

        ``mdb_get``.
        """
        from .arrays import store as _array_store

        return _array_store.get_array(self, key, default, copy, db)

    def reserve(
        self,
        key: BytesLike,
        nbytes: int,
        *,
        overwrite: bool = True,
        append: bool = False,
        db: Database | None = None,
    ) -> AbstractContextManager[memoryview]:
        """Return a ``with`` block that writes a value directly into its page.

        The block gets a writable memoryview of ``nbytes`` bytes of the page, shape (nbytes,),
        format ``B``.  Fill it by ``readinto()``, ``numpy.frombuffer()`` and the like; its first
        content is undefined.  In the block, and as long as anything made of the view is alive, all
        other operations of the transaction raise BufferError.  If the block raises, part of the
        value may be written: abort the transaction.

        >>> with txn.reserve(b"value", 4) as buffer:
        ...     buffer[:] = b"four"
        >>> txn.get(b"value")
        b'four'

        :param nbytes: the size of the value, in bytes.
        :param overwrite: False to raise KeyExistsError if the key exists already.
        :param append: True for a key greater than all others; see ``put``.
        :param db: the database; None for the transaction's.
        :raises BufferError: at the end of the block, slices or arrays of the view are still alive.
        :raises KeyExistsError: with ``overwrite=False``, the key exists already; with
            ``append=True``, it is not greater than all others.
        :raises IncompatibleError: the database has duplicates.
        :raises ValueError: ``nbytes`` is negative.

        ``mdb_put`` with ``MDB_RESERVE``.
        """
        from ._core_rules.reserve import Reservation

        return Reservation(self, key, nbytes, overwrite, append, db)

    # -- many ------------------------------------------------------------------------

    @overload
    def take(
        self,
        keys: Keys,
        dtype: DTypeLike,
        shape: int | tuple[int, ...] = (),
        out: NDArray[Any] | None = None,
        missing: Literal["raise"] = "raise",
        threads: int = 1,
        *,
        key_format: str | bytes | None = None,
        db: Database | None = None,
    ) -> NDArray[Any]: ...
    @overload
    def take(
        self,
        keys: Keys,
        dtype: DTypeLike,
        shape: int | tuple[int, ...],
        out: NDArray[Any] | None,
        missing: Literal["fill"],
        threads: int = 1,
        *,
        key_format: str | bytes | None = None,
        db: Database | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any]]: ...
    @overload
    def take(
        self,
        keys: Keys,
        dtype: DTypeLike,
        shape: int | tuple[int, ...] = (),
        out: NDArray[Any] | None = None,
        *,
        missing: Literal["fill"],
        threads: int = 1,
        key_format: str | bytes | None = None,
        db: Database | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def take(
        self,
        keys: Keys,
        dtype: DTypeLike,
        shape: int | tuple[int, ...] = (),
        out: NDArray[Any] | None = None,
        missing: str = "raise",
        threads: int = 1,
        *,
        key_format: str | bytes | None = None,
        db: Database | None = None,
    ) -> object:
        """Copy values of one size, by key, into one array.

        Row ``i`` is the value of ``keys[i]``.  A value holds the bytes of an array of ``dtype`` and
        ``shape`` in C order, without a header.  Keys are looked up in key order; the GIL is
        released while values are copied.

        >>> import numpy
        >>> txn.put_arrays([b"a", b"b", b"c"], numpy.arange(6).reshape(3, 2))
        3
        >>> txn.take([b"c", b"a"], int, 2)
        array([[4, 5],
               [0, 1]])

        :param keys: a sequence of bytes; an array of fixed-width bytes (dtype ``V``; dtype ``S``,
            whose elements end before the zeros that pad them; or two dimensions of ``uint8``); or
            integers, as a sequence, array or range.  Integers become native integers in a database
            of integer keys, else 8 bytes, unsigned and big-endian.
        :param shape: of one value.
        :param out: an array for the result, of that dtype and shape ``(len(keys), *shape)``, with
            any strides; None for a new array.
        :param missing: ``"raise"``; or ``"fill"`` to fill the rows of missing keys with zeros, and
            to return a mask, too.
        :param threads: how many threads copy, from 1 to 64.  Each copies at least 256 KiB, so
            several help with large values only.
        :param key_format: the format that makes text of integers: ``"%08d"``, ``"image-%09d"``.
        :param db: the database; None for the transaction's.
        :return: an array of shape ``(len(keys), *shape)``; with ``missing="fill"``, a pair of it
            and an array of bool, shape ``(len(keys),)``, True where a key is missing.
        :raises NotFoundError: a key is missing; the message names the first one.
        :raises InvalidParameterError: a value has another size; ``out`` may be partly written.
        :raises TypeError: ``dtype`` holds Python objects; ``out`` has another dtype.

        ``mdb_cursor_get`` with ``MDB_SET_KEY``.
        """
        from .arrays import gather as _gather

        return _gather.take(self, keys, dtype, shape, out, missing, threads, key_format, db)

    @overload
    def has_many(  # type: ignore[overload-overlap]  # mypy takes items of arrays for bytes
        self,
        keys: NDArray[Any],
        db: Database | None = None,
        *,
        key_format: str | bytes | None = None,
    ) -> NDArray[bool_]: ...
    @overload
    def has_many(
        self,
        keys: Sequence[int] | range,
        db: Database | None = None,
        *,
        key_format: str | bytes,
    ) -> list[bool]: ...
    @overload
    def has_many(
        self,
        keys: Iterable[BytesLike] | range,
        db: Database | None = None,
        *,
        key_format: None = None,
    ) -> list[bool]: ...
    def has_many(
        self,
        keys: Iterable[BytesLike] | Keys,
        db: Database | None = None,
        *,
        key_format: str | bytes | None = None,
    ) -> NDArray[bool_] | list[bool]:
        """Return for each key whether it exists, in the order of ``keys``.

        Keys are looked up in key order, without the GIL, and values are not read.

        >>> txn.has_many([b"apple", b"plum"])
        [True, False]

        :param keys: an iterable of bytes; or, as for :meth:`take`, an array of bytes or of
            integers, or a range; with ``key_format`` any integers.
        :param db: the database; None for the transaction's.
        :param key_format: as for :meth:`take`.
        :return: a list of bool; for an array of keys, an array of bool, shape ``(len(keys),)``.
        :raises BadValsizeError: a key is empty, or has not the width of the database's integer
            keys.

        ``mdb_cursor_get`` with ``MDB_SET_KEY``.
        """
        if key_format is None and not hasattr(keys, "dtype") and type(keys) is not range:
            return self._has_many(keys, db)
        from .arrays import gather as _gather

        return _gather.has_many(self, keys, key_format, db)

    def range_arrays(
        self,
        start: BytesLike | None,
        stop: BytesLike | None,
        dtype: DTypeLike,
        shape: int | tuple[int, ...] = (),
        *,
        db: Database | None = None,
    ) -> tuple[NDArray[Any] | list[bytes], NDArray[Any]]:
        """Copy the records with ``start <= key < stop`` into two arrays, keys and values.

        >>> import numpy
        >>> txn.put_arrays([b"n1", b"n2"], numpy.array([10, 20]))
        2
        >>> txn.range_arrays(b"n", b"o", int)
        (array([b'n1', b'n2'], dtype='|S2'), array([10, 20]))

        :param start: the first key; None for the beginning.
        :param stop: the key to stop before; None for the end.
        :param dtype: of the values.  A value holds the bytes of an array of this dtype and
            ``shape``, in C order.
        :param shape: of one value.
        :param db: the database; None for the transaction's.
        :return: the keys, shape ``(n,)``: unsigned integers in a database of integer keys, else
            dtype ``S``, or ``V`` if a key ends in a zero byte (``keys.view(">u8")`` makes numbers
            of 8 bytes); a list of bytes if keys have several widths.  The values, shape
            ``(n, *shape)``.  Both are copies.
        :raises InvalidParameterError: a value has another size.
        :raises TypeError: ``dtype`` holds Python objects.

        ``mdb_cursor_get`` with ``MDB_SET_RANGE`` and ``MDB_NEXT``.
        """
        from .arrays import ranges as _array_ranges

        keys, values = _array_ranges.range_arrays(self, start, stop, dtype, shape, db)
        return keys, values

    def dup_array(
        self,
        key: BytesLike,
        dtype: DTypeLike,
        shape: int | tuple[int, ...] = (),
        *,
        db: Database | None = None,
    ) -> NDArray[Any]:
        """Copy all values of a key into one array, in the order of the database.

        With ``dupfixed=True`` whole pages are copied; without it, one value at a time.

        >>> many = env.open_db(b"many", txn, dupsort=True, dupfixed=True)
        >>> for number in 1, 2:
        ...     written = txn.put(b"key", number.to_bytes(2, "big"), db=many)
        >>> txn.dup_array(b"key", ">u2", db=many).tolist()
        [1, 2]

        :param dtype: of the values.  A value holds the bytes of an array of this dtype and
            ``shape``, in C order.
        :param shape: of one value.
        :param db: the database; None for the transaction's.
        :return: an array of shape ``(n, *shape)``; ``n`` is 0 if the key is missing.
        :raises InvalidParameterError: a value has another size.
        :raises TypeError: ``dtype`` holds Python objects.

        ``mdb_cursor_get`` with ``MDB_GET_MULTIPLE`` and ``MDB_NEXT_MULTIPLE``.
        """
        from .arrays import ranges as _array_ranges

        values: NDArray[Any] = _array_ranges.dup_array(self, key, dtype, shape, db)
        return values

    def put_arrays(
        self,
        keys: Keys,
        values: ArrayLike,
        *,
        overwrite: bool = True,
        key_format: str | bytes | None = None,
        db: Database | None = None,
    ) -> int:
        """Store a record for each key: the bytes of a row of ``values``, in C order.

        Ascending keys that are greater than the last one in the database are appended, which fills
        pages completely.  Other keys are stored in key order.

        >>> import numpy
        >>> txn.put_arrays(range(3), numpy.zeros((3, 8)), key_format="row-%03d")
        3
        >>> txn.first()[0], txn.last()[0]
        (b'apple', b'row-002')

        :param keys: as for :meth:`take`.
        :param values: an array of shape ``(len(keys), ...)``.
        :param overwrite: False to skip keys that exist already.
        :param key_format: as for :meth:`take`.
        :param db: the database; None for the transaction's.
        :return: the number of records that were written.
        :raises BadValsizeError: the size of a key, or with duplicates of a value, is not allowed.
            Records that were written before stay in the transaction.
        :raises InvalidParameterError: ``values`` has another length than ``keys``.
        :raises TypeError: ``values`` holds Python objects.

        ``mdb_cursor_put``, with ``MDB_APPEND`` for ascending keys.
        """
        from .arrays import store as _array_store

        return _array_store.put_arrays(self, keys, values, overwrite, key_format, db)


class CursorArrays(CursorCore):
    """The array methods of :class:`~pylmdb.Cursor`."""

    __slots__ = ()

    if TYPE_CHECKING:

        def view(self) -> memoryview: ...

    def array(self, copy: bool = False) -> NDArray[Any]:
        """Return the value at the cursor as an array; see :meth:`Transaction.get_array`.

        >>> import numpy
        >>> txn.put_array(b"mean", numpy.arange(3)), cursor.set_key(b"mean")
        (True, True)
        >>> cursor.array()
        array([0, 1, 2])

        :param copy: True for a copy, which is writable and pins no snapshot.
        :raises InvalidParameterError: the value is not in ``.npy`` format, or the cursor has no
            position.
        """
        from .arrays import npy as _npy
        from .arrays import store as _array_store

        value = self.view()
        array: NDArray[Any] = (
            _array_store.copied_array(self.txn, value) if copy else _npy.decode(value)
        )
        return array


class EnvironmentArrays:
    """The array methods of :class:`~pylmdb.Environment`."""

    __slots__ = ()

    def snapshot(self, db: Database | None = None) -> Snapshot:
        """Return a :class:`pylmdb.arrays.Snapshot`: the records of a database by number.

        It shows the records as they are now, in key order.  It pins its pages until it is closed,
        or the last reference to it is gone.

        >>> snapshot = env.snapshot()
        >>> len(snapshot), snapshot.key(0)
        (1, b'apple')
        >>> snapshot.close()

        :param db: the :class:`Database`; None for the main one.
        """
        from .arrays import snapshot as _snapshot

        # Environment is the one class that inherits this
        return _snapshot.Snapshot(self, db)  # type: ignore[arg-type]
