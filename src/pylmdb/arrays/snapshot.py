# SPDX-License-Identifier: MIT
"""Snapshot: the records of a database by number, without lookups.

Records do not move in a snapshot.  So one ordered scan makes an index of their addresses, relative
to the memory map, which is valid as long as the snapshot is pinned.  A gather only copies.

A forked child inherits the index.  At its first use there the child begins a transaction that
reads the same snapshot (``_core_rules/inherited.py``), so the index is valid for its own map.
"""

from __future__ import annotations

import os
from _operator import index
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, overload

from .._base.numpy import np
from .._base.words import counted
from .._core_rules.inherited import go_back
from ..errors import closed, error
from .gather import Rows, thread_count, wrong_size
from .ranges import exact, key_dtype, scan, uniform

if TYPE_CHECKING:
    from typing import SupportsIndex

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from .._aliases import CData
    from .._core import TransactionCore
    from ..database import Database
    from ..environment import Environment
    from .ranges import Records


class SnapshotMap:
    """The memory map of a snapshot in this process; made inside the guard.

    :ivar env: the native environment whose map it is; it lives as long as ``view``.
    :ivar file: device and inode of the data file.
    :ivar native: the native transaction; it lives as long as ``view``.
    :ivar whole: a view of the map; its slices pin the snapshot.
    :ivar view: the view that is read from.
    :ivar pointer: the address where ``view`` begins.
    :ivar base: the same as a number; 0 if the engine does not tell it.
    """

    __slots__ = ("base", "env", "file", "native", "pid", "pointer", "view", "whole")

    def __init__(self, ptr: CData, txn: TransactionCore) -> None:
        ffi, lib = txn._engine.ffi, txn._engine.lib
        self.pid = os.getpid()
        self.env = txn._shared.ptr
        self.file = txn._shared.key
        self.native = ptr
        self.whole = txn._whole()
        self.view = self.whole
        self.pointer = ffi.cast("char *", lib.pylmdb_env_map(self.env, ffi.new("size_t *")))
        self.base = int(ffi.cast("uintptr_t", self.pointer))

    def read_in(self, inherited: SnapshotMap) -> None:
        """Read from the map that a forked child inherited; the index has its addresses."""
        self.env, self.view, self.pointer = inherited.env, inherited.view, inherited.pointer


class Index:
    """The records in key order: sizes in bytes, and addresses relative to the map's start."""

    __slots__ = ("key_at", "key_sizes", "value_at", "value_sizes")

    def __init__(self, records: Records, base: int) -> None:
        self.key_at = records.key_at - np.uintp(base)
        self.value_at = records.value_at - np.uintp(base)
        self.key_sizes = _shortened(records.key_sizes)
        self.value_sizes = _shortened(records.value_sizes)


def _shortened(sizes: NDArray[Any]) -> NDArray[Any] | int:
    """Return one number if all sizes are equal, 0 if there are none, else an array of uint32."""
    if not len(sizes):
        return 0
    one = uniform(sizes)
    return np.ascontiguousarray(sizes, np.uint32) if one is None else one


def _size_of(sizes: NDArray[Any] | int, i: int) -> int:
    return sizes if isinstance(sizes, int) else int(sizes[i])


class Snapshot:
    """A snapshot of a database: its records by number, in key order.

    :meth:`Environment.snapshot` makes it.  It shows the records as they were then, whatever is
    committed, closed or deleted.  It pins its pages until :meth:`close` is called, or until the
    last reference to it and to its views is gone.  Pinned pages are not reused, so the file may
    grow.

    Several threads may use it at once.  A forked child may use it while the environment is open,
    if the parent still has the snapshot, or if nothing was committed since, when the child first
    uses it.  It pickles as the path of the environment and the name of the database; unpickling
    makes a new snapshot.

    It takes 16 bytes of memory for each record, and 4 bytes more if keys have several sizes, and 4
    if values have.

    >>> import numpy
    >>> env = pylmdb.open("vectors")
    >>> with env.begin(write=True) as txn:
    ...     txn.put_arrays(range(100), numpy.arange(100.0), key_format="%08d")
    100
    >>> snapshot = env.snapshot()
    >>> len(snapshot), snapshot.key(7), snapshot.key(-1)
    (100, b'00000007', b'00000099')

    :param env: the :class:`Environment`.
    :param db: the :class:`Database`; None for the main one.

    ``mdb_cursor_get`` with ``MDB_NEXT``.
    """

    def __init__(self, env: Environment, db: Database | None = None) -> None:
        self._env, self._db = env, db
        with env.begin() as txn:
            self._txnid = txn.id()
            self._engine = txn._engine
            txn._do(self._open, txn, db)

    def _open(self, ptr: CData, txn: TransactionCore, db: Database | None) -> None:
        slot = txn._slot_in(ptr, db)
        records = scan(ptr, txn, slot, None, None)
        current = SnapshotMap(ptr, txn)
        self._flags, self._count = slot.flags, len(records)
        self._index = Index(records, current.base)
        self._map: SnapshotMap | None = current

    # -- life -------------------------------------------------------------------------

    def close(self) -> None:
        """Release the snapshot; repeatable.  Views stay valid, and pin it as long as they live."""
        self._map = None

    @property
    def closed(self) -> bool:
        """True once the snapshot was closed."""
        return self._map is None

    def __enter__(self) -> Snapshot:
        self._current_map()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        self._current_map()
        return Snapshot, (self._env, self._db)

    def __repr__(self) -> str:
        state = "closed" if self.closed else counted(self._count, "record")
        name = "main" if self._db is None else self._db._label
        path = self._env._options.given_path
        return f"<pylmdb.arrays.Snapshot of {name} of {path!r}, transaction {self._txnid}, {state}>"

    @property
    def txnid(self) -> int:
        """The number of the last transaction that the snapshot shows.  ``mdb_txn_id``."""
        return int(self._txnid)

    def _current_map(self) -> SnapshotMap:
        current = self._map
        if current is None:
            raise closed("snapshot", "make another one with Environment.snapshot()")
        return current if current.pid == os.getpid() else self._reopen(current)

    def _reopen(self, inherited: SnapshotMap) -> SnapshotMap:
        """Return the map of the same snapshot in a forked child."""
        with self._env.begin() as txn:
            current: SnapshotMap = txn._do(self._begin_again, txn, inherited)
            self._map = current
        return current

    def _begin_again(self, ptr: CData, txn: TransactionCore, inherited: SnapshotMap) -> SnapshotMap:
        go_back(txn._shared, ptr, inherited.native, inherited.file)
        current = SnapshotMap(ptr, txn)
        if not current.base:
            current.read_in(inherited)
        return current

    # -- reading ----------------------------------------------------------------------

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: SupportsIndex) -> memoryview: ...
    @overload
    def __getitem__(self, number: slice) -> list[memoryview]: ...
    def __getitem__(self, number: SupportsIndex | slice) -> object:
        """Return the value of a record as a read-only memoryview; for a slice, a list of them.

        A view shows the memory map and pins the snapshot, as one of :meth:`Transaction.view` does.

        :param number: from 0 on; a negative one counts from the end.
        :return: a view of bytes, shape (size,), format ``B``.
        :raises ClosedError: the snapshot was closed.
        :raises IndexError: there is no record of this number.
        """
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(self._count))]
        i = self._number(number)
        return self._view(self._index.value_at, self._index.value_sizes, i)

    def __iter__(self) -> Iterator[memoryview]:
        return (self[i] for i in range(self._count))

    def key(self, number: int) -> bytes:
        """Return the key of a record.

        :param number: from 0 on; a negative one counts from the end.
        :raises ClosedError: the snapshot was closed.
        :raises CorruptedError: another program has truncated the data file.
        :raises IndexError: there is no record of this number.
        """
        i = self._number(number)
        size = _size_of(self._index.key_sizes, i)
        return self._read(self._current_map(), int(self._index.key_at[i]), size)

    def _number(self, number: SupportsIndex) -> int:
        i = index(number)
        if not -self._count <= i < self._count:
            raise IndexError(
                f"there are {counted(self._count, 'record')}; record {i} does not exist"
            )
        return i % self._count

    def _view(self, addresses: NDArray[Any], sizes: NDArray[Any] | int, i: int) -> memoryview:
        begin = int(addresses[i])
        view: memoryview = self._current_map().view[begin : begin + _size_of(sizes, i)]
        return view

    def _read(self, current: SnapshotMap, begin: int, size: int) -> bytes:
        lib = self._engine.lib
        lib.pylmdb_touch(current.pointer + begin, size)
        copy = bytes(current.view[begin : begin + size])
        if lib.pylmdb_env_is_truncated(current.env):
            raise error("read", lib.MDB_CORRUPTED)
        return copy

    def keys(self) -> NDArray[Any] | list[bytes]:
        """Return a copy of the keys, in order.

        :return: if all keys have one width, an array of shape ``(len(self),)``: unsigned integers
            in a database of integer keys, else dtype ``S``, or ``V`` if a key ends in a zero byte
            (``keys.view(">u8")`` makes numbers of 8 bytes).  If widths differ, a list of bytes.
        :raises ClosedError: the snapshot was closed.
        :raises CorruptedError: another program has truncated the data file.
        """
        width = self._index.key_sizes
        if not isinstance(width, int):
            return [self.key(i) for i in range(self._count)]
        dtype = key_dtype(width if self._count else 1, self._flags)
        rows = Rows("keys", self._count, dtype, ())
        return exact(self._copy("keys", self._index.key_at, np.arange(self._count), rows, 1))

    def take(
        self,
        numbers: NDArray[Any],
        dtype: DTypeLike,
        shape: int | tuple[int, ...] = (),
        out: NDArray[Any] | None = None,
        threads: int = 1,
    ) -> NDArray[Any]:
        """Copy values, by number, into one array.  The GIL is released.

        >>> snapshot.take(numpy.array([7, -1]), "f8")
        array([ 7., 99.])

        :param numbers: integers of shape ``(n,)``; a negative one counts from the end.
        :param dtype: of the result.  A value holds the bytes of an array of this dtype and
            ``shape``, in C order.
        :param shape: of one value.
        :param out: an array for the result, of that dtype and shape ``(n, *shape)``, with any
            strides; None for a new array.
        :param threads: how many threads copy, from 1 to 64; see :meth:`Transaction.take`.
        :return: an array of shape ``(n, *shape)``; ``out`` if it was given.
        :raises ClosedError: the snapshot was closed.
        :raises CorruptedError: another program has truncated the data file.
        :raises IndexError: there is no record of a number.
        :raises InvalidParameterError: a value has another size, or ``out`` another shape.
        :raises TypeError: ``numbers`` are not integers; ``out`` has another dtype.
        """
        threads = thread_count(threads)
        numbers = _ordinals(numbers)
        rows = Rows("take", len(numbers), dtype, shape, out)
        sizes = self._index.value_sizes
        if isinstance(sizes, int):
            if sizes != rows.size and self._count and len(numbers):
                raise wrong_size("take", self.key(0), sizes, rows)
        else:
            self._check_numbers(numbers)
            wrong = sizes[numbers] != rows.size
            if wrong.any():
                number = int(numbers[wrong.argmax()])
                raise wrong_size("take", self.key(number), int(sizes[number]), rows)
        return self._copy("take", self._index.value_at, numbers, rows, threads)

    def _check_numbers(self, numbers: NDArray[Any]) -> None:
        if len(numbers) and not -self._count <= int(numbers.min()) <= int(numbers.max()) < (
            self._count
        ):
            bad = (numbers < -self._count) | (numbers >= self._count)
            self._number(numbers[bad.argmax()])

    def _copy(
        self, what: str, addresses: NDArray[Any], numbers: NDArray[Any], rows: Rows, threads: int
    ) -> NDArray[Any]:
        ffi, lib, current = self._engine.ffi, self._engine.lib, self._current_map()
        bad = ffi.new("size_t *")
        code = lib.pylmdb_copy_numbered(
            current.env, current.pointer, ffi.from_buffer("size_t[]", addresses),
            self._count, ffi.from_buffer("long long[]", numbers), rows.count, rows.size,
            rows.address(ffi), rows.stride, threads, bad,
        )  # fmt: skip
        if code == lib.PYLMDB_MISFIT:
            self._number(numbers[bad[0]])
        if code:
            raise error(what, code)
        return rows.written()


def _ordinals(numbers: ArrayLike) -> NDArray[Any]:
    array = np.asarray(numbers)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise TypeError(
            f"numbers must be integers in one dimension, not of shape {array.shape} and dtype"
            f" {array.dtype}"
        )
    if array.dtype == np.uint64 and array.size and int(array.max()) >= 2**63:
        raise IndexError(f"record {array.max()} does not exist")
    # a copy: another thread must not change numbers that were checked
    return np.array(array, np.int64, order="C")
