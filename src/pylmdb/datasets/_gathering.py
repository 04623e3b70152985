# SPDX-License-Identifier: MIT
"""Batches of samples that are arrays of one form: nothing but copying.

Every shard is held as a snapshot, which tells where each record is.  So a batch is a list of
addresses, from however many shards, and one call of C copies what lies there without the GIL.

Of values in ``.npy`` format the headers are copied, too, and compared with the first one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import _npy
from .._gather import Rows
from .._numpy import np
from ..errors import InvalidParameterError, error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._snapshot import Snapshot
    from ._orders import Order
    from ._shards import Shards


class Form(NamedTuple):
    """What each sample is: an array, behind a header, in a value of ``size`` bytes."""

    dtype: Any
    shape: tuple[int, ...]
    size: int
    header: bytes = b""


def form_of(value: memoryview) -> Form | None:
    """The form of a value in ``.npy`` format; None if copying does not make it an array."""
    found = _npy.whole_form(value)
    if found.order == "F" and len(found.shape) > 1:
        return None
    return Form(found.dtype, found.shape, len(value), bytes(value[: found.header]))


def ranks(order: Order, snapshot: Snapshot) -> NDArray[Any] | None:
    """Which records of a snapshot the samples are, by their ordinals; None if they are the same.

    :raises InvalidParameterError: a sample has no record.
    """
    wanted, there = order.all_keys(), snapshot.keys()
    if len(wanted) == len(there) and _bytes(wanted) == _bytes(there):
        return None
    place = {key: i for i, key in enumerate(_each(there))}
    try:
        return np.fromiter((place[key] for key in _each(wanted)), np.int64, len(wanted))
    except KeyError as problem:
        raise InvalidParameterError(
            f"there is no record {problem.args[0]!r}",
            hint="the layout 'plain' takes the keys that are there",
        ) from None


def _bytes(keys: Any) -> Any:
    """What two equal tables of keys have in common."""
    if isinstance(keys, np.ndarray):
        return keys.dtype.itemsize, keys.tobytes()
    widths = {*map(len, keys)}
    return (widths.pop(), b"".join(keys)) if len(widths) == 1 else list(keys)


def _each(keys: Any) -> Any:
    if not isinstance(keys, np.ndarray):
        return keys
    return map(bytes, keys.view(np.uint8).reshape(len(keys), -1)) if len(keys) else ()


class Misfit(Exception):  # noqa: N818 - nobody sees it
    """Some values are not of the form."""


class _Located:
    """One shard, held: where its samples are."""

    def __init__(self, shards: Shards, shard: int, form: Form) -> None:
        self.snapshot, self.ranks = shards.located(shard, ranks)
        sizes = self.snapshot.sizes()
        if ((sizes if self.ranks is None else sizes[self.ranks]) != form.size).any():
            raise Misfit

    def addresses(self, ordinals: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        numbers = ordinals if self.ranks is None else self.ranks[ordinals]
        place, found = self.snapshot._locate(numbers)
        return place, found


class Gather:
    """Copies samples into arrays; it holds the snapshots of the shards that it has read."""

    def __init__(self, shards: Shards, form: Form) -> None:
        self._shards, self._form = shards, form
        # None for a shard with other values
        self._located: dict[int, _Located | None] = {}
        self._lock = threading.Lock()

    def _at(self, shard: int) -> _Located:
        with self._lock:
            if shard not in self._located:
                self._located[shard] = self._locate(shard)
            found = self._located[shard]
        if found is None:
            raise Misfit
        return found

    def _locate(self, shard: int) -> _Located | None:
        try:
            return _Located(self._shards, shard, self._form)
        except Misfit:
            return None

    def __call__(self, numbers: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The samples of these numbers, in an array of shape ``(len(numbers), *shape)``.

        :raises Misfit: some are not of the form, or lie in a shard that has such ones.
        """
        form = self._form
        rows = Rows("Loader", len(numbers), form.dtype, form.shape, out)
        column = np.empty((len(numbers), 2), np.uintp)
        places = []
        for shard, where, ordinals in self._shards.parts(numbers):
            at = self._at(shard)
            place, column[where, 1] = at.addresses(ordinals)
            places.append((at.snapshot, place))
        if places and form.header:
            self._check_headers(column, places)
            column[:, 1] += np.uintp(len(form.header))
        if places:
            _copy(column, rows, places)
        found: NDArray[Any] = rows.written()
        return found

    def _check_headers(self, column: NDArray[Any], places: Any) -> None:
        rows = Rows("Loader", len(column), np.uint8, len(self._form.header))
        _copy(column, rows, places)
        if (rows.out != np.frombuffer(self._form.header, np.uint8)).any():
            raise Misfit


def _copy(column: NDArray[Any], rows: Rows, places: Any) -> None:
    """What lies at addresses in the maps of ``places``, which live meanwhile."""
    column[:, 0] = rows.size
    snapshot, place = places[0]
    ffi, lib = snapshot._engine.ffi, snapshot._engine.lib
    code = lib.pylmdb_copy_rows(
        place.env, ffi.from_buffer("MDB_val[]", column), rows.count, rows.size,
        rows.address(ffi), rows.stride, 1,
    )  # fmt: skip
    for snapshot, place in places:
        lib = snapshot._engine.lib
        if code or lib.pylmdb_env_is_cut(place.env):
            raise error("Loader", code or lib.MDB_CORRUPTED)
        snapshot._check_held(place)
