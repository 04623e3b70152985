# SPDX-License-Identifier: MIT
"""Batches of samples that are arrays of one form: nothing but copying.

Every shard is held by a read transaction, in whose snapshot nothing moves.  So a record is
looked up once, and where it lies is noted, relative to the map, for as long as nobody commits:
a batch is a list of addresses, from however many shards, and one call of C copies what lies
there without the GIL.

Of values in ``.npy`` format the headers are copied, too, and compared with the first one.  Of
Caffe's Datum values, too: everything before the pixels; and what follows them has to be a label and
nothing else.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from .._base.numpy import np
from .._core_rules.refusals import database_error
from ..arrays import keys as _array_keys
from ..arrays import npy as _npy
from ..arrays.gather import Rows
from ..arrays.snapshot import Place
from ..errors import error
from . import datum
from ._orders import Formatted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._aliases import CData
    from ..arrays.keys import Keys
    from ..transaction import Transaction
    from ._orders import Order
    from ._shards import Shards


# the tag of a Datum's label
_LABEL = 5 << 3


class Form(NamedTuple):
    """What each sample is: an array, behind a header, in a value of ``size`` bytes; or where it is
    labelled, of ``size`` bytes and those of a Datum's label."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int
    header: bytes = b""
    labelled: bool = False


def form_of(value: memoryview) -> Form | None:
    """The form of a value in ``.npy`` format; None if copying does not make it an array."""
    found = _npy.whole_form(value)
    if found.order == "F" and len(found.shape) > 1:
        return None
    return Form(found.dtype, found.shape, len(value), bytes(value[: found.header]))


def datum_form(value: memoryview) -> Form | None:
    """The form of a Datum of pixels with a label; None for others."""
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


class Misfit(Exception):  # noqa: N818 - nobody sees it
    """Some values are missing, or not of the form."""


class _Held:
    """One shard, held, and where its samples are as far as they were looked up."""

    def __init__(self, shards: Shards, shard: int, form: Form) -> None:
        opened = shards.opened(shard)
        self.order: Order = shards.recognised(shard).order
        self._db, self._form = opened.db, form
        self._txn: Transaction[Any] = opened.env.begin(opened.db, buffers=True)
        self.engine = self._txn._engine
        self.place: Place = self._txn._do(lambda ptr: Place(ptr, self._txn))
        self._lock = threading.Lock()
        # after the same commit everything is where it was, if the map's place is known
        state = (self.place.file, self._txn.id(), form) if self.place.base else object()
        # addresses, and labels if there are any
        self._table = opened.table(state, (1 + form.labelled, self.order.count))

    def find(self, ordinals: NDArray[Any]) -> NDArray[Any]:
        """Where the values of samples lie, shape ``(1, n)``, and in a second row their labels."""
        found: NDArray[Any] = self._table[:, ordinals]
        new = np.flatnonzero(found[0] == 0)
        if len(new):
            found[:, new] = self._look_up(ordinals[new])
            # the address last: it says that the label is there
            for row in reversed(range(len(found))):
                self._table[row, ordinals[new]] = found[row, new]
        found[0] += np.uintp(self.place.base)
        return found

    def _look_up(self, ordinals: NDArray[Any]) -> NDArray[Any]:
        if isinstance(self.order, Formatted):
            numbers, text = ordinals + self.order.start, self.order.formats[0]
            keys = _array_keys.batch(numbers, text, self.engine)
        else:
            keys = _array_keys.batch(self.order.keys(ordinals), None, self.engine)
        values = np.empty((len(ordinals), 2), np.uintp)
        with self._lock:
            self._txn._do(self._locate, keys, values)
        at = values[:, 1] - np.uintp(self.place.base)
        if self._form.labelled:
            return np.stack([at, self._labels(values)])
        if (values[:, 0] != self._form.size).any():
            raise Misfit
        return at[None]

    def _labels(self, values: NDArray[Any]) -> NDArray[Any]:
        """What follows the pixels: the field 5, an integer in groups of seven bits."""
        sizes = values[:, 0].astype(np.int64) - self._form.size
        if sizes.min() < 2 or sizes.max() > 11:
            raise Misfit
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
                raise Misfit
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
            raise Misfit
        if code:
            raise database_error("mdb_cursor_get", code, slot)


class Gather:
    """Copies samples into arrays; it holds the shards that it has read, as many as are to be open
    at once."""

    def __init__(self, shards: Shards, form: Form) -> None:
        self._shards, self._form = shards, form
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._lock = threading.Lock()

    def _hold(self, shard: int) -> _Held:
        with self._lock:
            found = self._held.get(shard)
            if found is None:
                while len(self._held) >= self._shards.options.max_open:
                    self._held.popitem(last=False)
                found = self._held[shard] = _Held(self._shards, shard, self._form)
            self._held.move_to_end(shard)
            return found

    def __call__(
        self, numbers: NDArray[Any], out: NDArray[Any] | None = None
    ) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
        """The samples of these numbers, of which there is one at least, in an array of shape
        ``(len(numbers), *shape)``; where they are labelled, also the labels, shape ``(n,)``.

        :raises Misfit: some are not there, or not of the form.
        """
        form = self._form
        rows = Rows("Loader", len(numbers), form.dtype, form.shape, out)
        # sizes and addresses
        values = np.full((len(numbers), 2), form.size, np.uintp)
        held = []
        labels = np.empty(len(numbers), np.int64)
        for shard, where, ordinals in self._shards.parts(numbers):
            held.append(self._hold(shard))
            values[where, 1], *label = held[-1].find(ordinals)
            if label:
                labels[where] = label[0].view(np.intp)
        ffi, lib = held[0].engine.ffi, held[0].engine.lib
        lib.pylmdb_read_ahead(ffi.from_buffer("MDB_val[]", values), len(values))
        if form.header:
            self._check_headers(values, held)
            values[:, 1] += np.uintp(len(form.header))
        _copy(values, rows, held)
        return (rows.written(), labels) if form.labelled else rows.written()

    def _check_headers(self, values: NDArray[Any], held: list[_Held]) -> None:
        rows = Rows("Loader", len(values), np.uint8, len(self._form.header))
        _copy(values, rows, held)
        if (rows.out != np.frombuffer(self._form.header, np.uint8)).any():
            raise Misfit


def _copy(values: NDArray[Any], rows: Rows, held: list[_Held]) -> None:
    """As many bytes as a row has from each address, which lie in the maps that are held."""
    ffi, lib = held[0].engine.ffi, held[0].engine.lib
    code = lib.pylmdb_copy_rows(
        held[0].place.env, ffi.from_buffer("MDB_val[]", values), rows.count, rows.size,
        rows.address(ffi), rows.stride, 1,
    )  # fmt: skip
    for each in held:
        lib = each.engine.lib
        if code or lib.pylmdb_env_is_cut(each.place.env):
            raise error("Loader", code or lib.MDB_CORRUPTED)
