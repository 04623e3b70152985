# SPDX-License-Identifier: MIT
"""Copy batches of samples that are arrays of one dtype and shape.

A read transaction pins a snapshot of each shard, in which records do not move.  So a record is
looked up once, and its address, relative to the memory map, is stored until another transaction
commits.  A batch is a list of addresses in any shards, and one call of C copies it and releases the
GIL.

Values in ``.npy`` format must have the header of the first one.  Datum messages must have the same
bytes before the pixels, and a label and nothing else after them.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from .._base.numpy import np
from .._core_rules.failures import database_error
from ..arrays import keys as _array_keys
from ..arrays import npy as _npy
from ..arrays.gather import Rows
from ..arrays.snapshot import SnapshotMap
from ..errors import error
from . import datum
from ._ordering import Formatted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._aliases import CData
    from ..arrays.keys import Keys
    from ..transaction import Transaction
    from ._ordering import Order
    from ._shards import Shards


# the tag of a Datum's label
_LABEL = 5 << 3


class Form(NamedTuple):
    """The form that all values have: a header, the bytes of an array, and perhaps a label.

    :ivar dtype: of the array.
    :ivar shape: of the array.
    :ivar size: of the header and the array, in bytes.
    :ivar header: its bytes.
    :ivar labelled: True if the label of a Datum message follows.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int
    header: bytes = b""
    labelled: bool = False


def npy_form(value: memoryview) -> Form | None:
    """Return the form of a value in ``.npy`` format; None if it must be transposed."""
    found = _npy.whole_form(value)
    if found.order == "F" and len(found.shape) > 1:
        return None
    return Form(found.dtype, found.shape, len(value), bytes(value[: found.header]))


def datum_form(value: memoryview) -> Form | None:
    """Return the form of a Datum message of pixels with a label; None for other messages."""
    found = datum.parse(value)
    shape = found.channels, found.height, found.width
    if found.encoded or found.label is None or min(shape) < 0 or not len(found.data):
        return None
    if math.prod(shape) != len(found.data):
        return None
    begin = _address(found.data) - _address(value)
    size = begin + len(found.data)
    return Form(np.dtype(np.uint8), shape, size, bytes(value[:begin]), True)


def _address(view: memoryview) -> int:
    return int(np.frombuffer(view, np.uint8).ctypes.data)


class DifferentFormError(Exception):
    """Values are missing, or have another form."""


class _PinnedShard:
    """A shard whose snapshot a read transaction pins, and the addresses of its samples."""

    def __init__(self, shards: Shards, shard: int, form: Form) -> None:
        opened = shards.opened(shard)
        self.order: Order = shards.recognised(shard).order
        self._db, self._form = opened.db, form
        self._txn: Transaction[Any] = opened.env.begin(opened.db, buffers=True)
        self.engine = self._txn._engine
        mapped = self._txn._do(lambda ptr: SnapshotMap(ptr, self._txn))
        self.snapshot_map: SnapshotMap = mapped
        self._lock = threading.Lock()
        # Addresses stay right until another commit, if the address of the map is known.
        state = (mapped.file, self._txn.id(), form) if mapped.base else object()
        # the addresses of samples in a row; their labels, if they have any, in another row
        self._table = opened.address_table(state, (1 + form.labelled, self.order.count))

    def find(self, ordinals: NDArray[Any]) -> NDArray[Any]:
        """Return the addresses of values, shape ``(1, n)``; if labelled, labels in a second row."""
        found: NDArray[Any] = self._table[:, ordinals]
        new = np.flatnonzero(found[0] == 0)
        if len(new):
            found[:, new] = self._locate_samples(ordinals[new])
            # the address last: a thread that finds an address uses the label, too
            for row in reversed(range(len(found))):
                self._table[row, ordinals[new]] = found[row, new]
        found[0] += np.uintp(self.snapshot_map.base)
        return found

    def read_ahead(self, values: NDArray[Any]) -> None:
        """Read ahead values, given by sizes and addresses."""
        ffi, lib = self.engine.ffi, self.engine.lib
        rows = ffi.from_buffer("MDB_val[]", values)
        lib.pylmdb_read_ahead_values(self.snapshot_map.env, rows, len(values))

    def _locate_samples(self, ordinals: NDArray[Any]) -> NDArray[Any]:
        if isinstance(self.order, Formatted):
            numbers, text = ordinals + self.order.start, self.order.formats[0]
            keys = _array_keys.batch(numbers, text, self.engine)
        else:
            keys = _array_keys.batch(self.order.keys(ordinals), None, self.engine)
        values = np.empty((len(ordinals), 2), np.uintp)
        with self._lock:
            self._txn._do(self._locate, keys, values)
        at = values[:, 1] - np.uintp(self.snapshot_map.base)
        if self._form.labelled:
            return np.stack([at, self._labels(values)])
        if (values[:, 0] != self._form.size).any():
            raise DifferentFormError
        return at[None]

    def _labels(self, values: NDArray[Any]) -> NDArray[Any]:
        """Decode the labels after the pixels: the field 5, a varint."""
        sizes = values[:, 0].astype(np.int64) - self._form.size
        if sizes.min() < 2 or sizes.max() > 11:
            raise DifferentFormError
        labels = np.empty(len(values), np.int64)
        for size in np.unique(sizes).tolist():
            where = np.flatnonzero(sizes == size)
            at = values[where]
            at[:, 0], at[:, 1] = size, at[:, 1] + np.uintp(self._form.size)
            rows = Rows("Loader", len(where), np.uint8, size)
            _copy(at, rows, [self])
            field, digits = rows.out[:, 0], rows.out[:, 1:]
            if (field != _LABEL).any() or (
                (digits >= 128) != (np.arange(size - 1) < size - 2)
            ).any():
                raise DifferentFormError
            bits = (digits & 127).astype(np.uint64) << (7 * np.arange(size - 1)).astype(np.uint64)
            labels[where] = bits.sum(1, np.uint64).astype(np.uint32).view(np.int32)
        return labels.view(np.uint64).astype(np.uintp)

    def _locate(self, ptr: CData, keys: Keys, values: NDArray[Any]) -> None:
        ffi, lib = self.engine.ffi, self.engine.lib
        slot = self._txn._slot_in(ptr, self._db)
        struct, *_alive = keys.native(ffi)
        out, bad = ffi.from_buffer("MDB_val[]", values), ffi.new("size_t *")
        code = lib.pylmdb_locate(ptr, slot.dbi, slot.flags, struct, out, bad)
        if code == lib.MDB_NOTFOUND:
            raise DifferentFormError
        if code:
            raise database_error("mdb_cursor_get", code, slot)


class BatchCopier:
    """Copies samples into arrays.  It pins the shards that it has read, at most ``max_open``."""

    def __init__(self, shards: Shards, form: Form) -> None:
        self._shards, self._form = shards, form
        self._pinned: OrderedDict[int, _PinnedShard] = OrderedDict()
        self._lock = threading.Lock()

    def _pin(self, shard: int) -> _PinnedShard:
        with self._lock:
            found = self._pinned.get(shard)
            if found is None:
                while len(self._pinned) >= self._shards.options.max_open:
                    self._pinned.popitem(last=False)
                found = self._pinned[shard] = _PinnedShard(self._shards, shard, self._form)
            self._pinned.move_to_end(shard)
            return found

    def __call__(
        self, numbers: NDArray[Any], out: NDArray[Any] | None = None
    ) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
        """Copy the samples of some numbers, of which there is at least one.

        :return: an array of shape ``(len(numbers), *shape)``; if labelled, a pair of it and an
            array of labels, int64, shape ``(len(numbers),)``.
        :raises DifferentFormError: values are missing, or have another form.
        """
        form = self._form
        rows = Rows("Loader", len(numbers), form.dtype, form.shape, out)
        # sizes and addresses
        values = np.full((len(numbers), 2), form.size, np.uintp)
        pinned = []
        labels = np.empty(len(numbers), np.int64)
        for shard, where, ordinals in self._shards.by_shard(numbers):
            pinned.append(self._pin(shard))
            values[where, 1], *label = pinned[-1].find(ordinals)
            if label:
                labels[where] = label[0].view(np.intp)
            pinned[-1].read_ahead(values[where])
        if form.header:
            self._check_headers(values, pinned)
            values[:, 1] += np.uintp(len(form.header))
        _copy(values, rows, pinned)
        return (rows.written(), labels) if form.labelled else rows.written()

    def _check_headers(self, values: NDArray[Any], pinned: list[_PinnedShard]) -> None:
        rows = Rows("Loader", len(values), np.uint8, len(self._form.header))
        _copy(values, rows, pinned)
        if (rows.out != np.frombuffer(self._form.header, np.uint8)).any():
            raise DifferentFormError


def _copy(values: NDArray[Any], rows: Rows, pinned: list[_PinnedShard]) -> None:
    """Copy the bytes of a row from each address, in the maps of the pinned shards."""
    ffi, lib = pinned[0].engine.ffi, pinned[0].engine.lib
    code = lib.pylmdb_copy_rows(
        pinned[0].snapshot_map.env, ffi.from_buffer("MDB_val[]", values), rows.count, rows.size,
        rows.address(ffi), rows.stride, 1,
    )  # fmt: skip
    for each in pinned:
        lib = each.engine.lib
        if code or lib.pylmdb_env_is_truncated(each.snapshot_map.env):
            raise error("Loader", code or lib.MDB_CORRUPTED)
