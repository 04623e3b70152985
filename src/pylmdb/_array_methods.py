# SPDX-License-Identifier: MIT
"""The array methods of Transaction, Cursor and Environment, which inherit them.

What they do is in modules that need numpy, and are imported at the first call.
"""

from __future__ import annotations

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import Any, Literal, TypeVar, overload

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from ._core import CursorCore, TransactionCore
    from .arrays.snapshot import Snapshot
    from .database import Database
    from .types import BytesLike

    T = TypeVar("T")
    # several keys: bytes, an array of them, or numbers
    Keys = Sequence[BytesLike] | Sequence[int] | NDArray[Any] | range
else:
    from ._typing import overload

    CursorCore = TransactionCore = object


class TransactionArrays(TransactionCore):
    """The array methods of :class:`~pylmdb.Transaction`."""

    __slots__ = ()

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
        """Store an array with its dtype, shape and order; True if it was written.

        The value is what ``numpy.save`` writes (``.npy`` format, version 1.0), so
        ``numpy.load`` reads it; it is written straight into its page, from any strides.
        Header and value are padded such that the data begins on a 64-byte boundary of
        the map: always where it is large enough for pages of its own, and on pages that
        hold nothing but arrays.  In a database with duplicates there is no padding.

        :param array: of any dtype but those with Python objects, and any shape; Fortran
            order is kept, other strides become C order.  A subclass is stored as a plain
            array: a masked one without its mask.
        :param overwrite: False to return False when the key exists already.
        :param append: True for a key greater than all others; see ``put``.
        :raises TypeError: the array holds Python objects.
        :raises ValueError: its fields overlap or are too many to be described.

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
        """The array that ``put_array`` or ``numpy.save`` has stored, or ``default``.

        In a read transaction its memory is the memory map: nothing is copied, it is
        read-only, and valid for as long as it or anything made from it is alive, as
        with :meth:`~pylmdb.Transaction.view`.  In a write transaction it is a copy.

        :param copy: True for an array of its own, which can be written to and keeps no
            snapshot.
        :raises InvalidParameterError: the value is not in ``.npy`` format, or has
            another size than its header says.

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
        """A ``with`` block in which a value is written in its place.

        The block gets a memoryview of ``nbytes`` bytes of a page, to be filled by
        ``readinto()``, ``numpy.frombuffer()`` and the like; what it holds at first can
        be anything.  In the block, and as long as anything made of the view is alive,
        all other operations of the transaction raise BufferError.  If the block raises, the
        record may be there in part: abort the transaction.

        :raises BufferError: at the end of the block: slices or arrays of the view are
            still alive.
        :raises KeyExistsError: with ``overwrite=False``, the key exists already; with
            ``append=True``, it is not behind all others.
        :raises IncompatibleError: the database has duplicates.

        ``mdb_put`` with ``MDB_RESERVE``.
        """
        from .arrays import reserve as _reserve

        return _reserve.reservation(self, key, nbytes, overwrite, append, db)

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
        shape: int | tuple[int, ...] = (),
        out: NDArray[Any] | None = None,
        missing: Literal["fill"] = ...,
        threads: int = 1,
        *,
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
        """Gather fixed-size values into one array of shape ``(len(keys), *shape)``.

        Row ``i`` is the value of ``keys[i]``, whose bytes are those of an array of
        ``dtype`` and ``shape`` in C order.  Keys are looked up in key order, and the
        values copied without the GIL.

        :param keys: a sequence of bytes; an array of fixed-width bytes (dtype ``S``,
            whose elements end before the zeros that fill them up, ``V``, or two
            dimensions of ``uint8``); or integers, as a sequence, array or range.
            Integers mean native keys in a database of integer keys, else 8 bytes,
            unsigned, the highest first.
        :param shape: of one value.
        :param out: an array for the result, of that dtype and shape, with any strides.
        :param missing: ``"raise"``, or ``"fill"`` to fill rows of missing keys with
            zeros and return a mask, too.
        :param threads: how many threads copy, from 1 to 64.  They help with large
            values: one has 256 KiB to do at least.
        :param key_format: what makes keys of integers: ``"%08d"``, ``"image-%09d"``.
        :return: the array; with ``missing="fill"`` a pair of it and an array of bool,
            shape ``(len(keys),)``, True where a key is missing.
        :raises NotFoundError: a key is missing (the first one is named).
        :raises InvalidParameterError: a value has another size.  ``out`` may be
            written in part then.

        ``mdb_cursor_get`` with ``MDB_SET_KEY``.
        """
        from .arrays import gather as _gather

        return _gather.take(self, keys, dtype, shape, out, missing, threads, key_format, db)

    def range_arrays(
        self,
        start: BytesLike | None,
        stop: BytesLike | None,
        dtype: DTypeLike,
        shape: int | tuple[int, ...] = (),
        *,
        db: Database | None = None,
    ) -> tuple[NDArray[Any] | list[bytes], NDArray[Any]]:
        """The records with ``start <= key < stop`` as two arrays, keys and values.

        :param start: the first key; None for the beginning.
        :param stop: the key to stop before; None for the end.
        :param shape: of one value.
        :return: the keys, shape ``(n,)``: unsigned integers in a database of integer
            keys, else bytes of fixed width, dtype ``S``, or ``V`` if one ends in a zero
            byte (``keys.view(">u8")`` gives the numbers of 8 bytes); a list of bytes
            where they have several widths.  The values, shape ``(n, *shape)``.  Both are
            copies.
        :raises InvalidParameterError: a value has another size.

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
        """All values of a key as one array of shape ``(n, *shape)``, in their order.

        With ``dupfixed=True`` whole pages of them are copied; elsewhere one by one.  A
        key that is missing has none.

        :raises InvalidParameterError: a value has another size.

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
        """Store a record for each key: the bytes of a row of ``values`` in C order.

        Keys that rise, from behind the last one in the database, are appended: that
        fills pages wholly.  Others are stored in key order.

        :param keys: as for :meth:`take`.
        :param values: an array of shape ``(len(keys), ...)``.
        :param overwrite: False to leave keys alone that exist already.
        :param key_format: as for :meth:`take`.
        :return: how many records were written.
        :raises BadValsizeError: a key, or with duplicates a value, cannot have its size.
            What was written before stays in the transaction.

        ``mdb_cursor_put``, with ``MDB_APPEND`` where that is right.
        """
        from .arrays import store as _array_store

        return _array_store.put_arrays(self, keys, values, overwrite, key_format, db)


class CursorArrays(CursorCore):
    """The array methods of :class:`~pylmdb.Cursor`."""

    __slots__ = ()

    if TYPE_CHECKING:

        def view(self) -> memoryview: ...

    def array(self, copy: bool = False) -> NDArray[Any]:
        """The value under the cursor as an array; see :meth:`Transaction.get_array`.

        :raises InvalidParameterError: the value is not in ``.npy`` format, or there is
            none, because the cursor has no position.
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
        """The records of a database as they are now, by their number in key order.

        :return: a :class:`pylmdb.arrays.Snapshot`.  It keeps its pages from being used
            again until it is closed or gone.
        """
        from .arrays import snapshot as _snapshot

        return _snapshot.Snapshot(self, db)
