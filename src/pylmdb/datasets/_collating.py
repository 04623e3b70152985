# SPDX-License-Identifier: MIT
"""Make batches of samples: copied if all are arrays of one dtype and shape, else collated."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

from .._base.numpy import np
from ..errors import Error, InvalidParameterError
from ._batch_copy import BatchCopier, DifferentFormError, Form, datum_form, npy_form
from ._buffer_pool import BufferPool
from ._epochs import EndlessOrder

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ._epochs import Ordinals
    from .dataset import Dataset

# A task of a thread prepares batches of this many bytes, and at most this many batches: to submit a
# task costs as much as to copy some 100 KB.
_TASK_BYTES = 4 << 20
_TASK_BATCHES = 32


class Failed:
    """An exception in place of a batch."""

    def __init__(self, problem: Exception) -> None:
        self.problem = problem


class CollatedBatches:
    """Batches of samples that are read, decoded and transformed one by one."""

    # how many batches a task prepares
    batches_per_task = 1

    def __init__(
        self, dataset: Dataset, batch_size: int, collate: Callable[[list[Any]], Any] | None
    ) -> None:
        self._dataset, self._size = dataset, batch_size
        self._collate = collate or stack

    def load(self, order: Ordinals, start: int, stop: int) -> list[Any]:
        """Return the batches ``start`` to ``stop`` of an order of samples, or :class:`Failed`."""
        return [self._one(order[k * self._size : (k + 1) * self._size]) for k in range(start, stop)]

    def _one(self, ordinals: NDArray[Any]) -> object:
        try:
            return self._collate(self._dataset._samples(ordinals))
        except Exception as problem:
            return Failed(problem)


class CopiedBatches(CollatedBatches):
    """Batches that are copied from the memory map; if that fails, they are collated.

    A copier pins its snapshots.  An endless order gets another one in each epoch.
    """

    def __init__(
        self, dataset: Dataset, batch_size: int, form: Form, kept: int, endless: bool
    ) -> None:
        super().__init__(dataset, batch_size, None)
        nbytes = batch_size * math.prod(form.shape) * np.dtype(form.dtype).itemsize
        self.batches_per_task = max(1, min(_TASK_BATCHES, _TASK_BYTES // max(nbytes, 1)))
        self._form = form
        self._epoch, self._copier = 0, BatchCopier(dataset._shards, form)
        self._lock = threading.Lock()
        most = self.batches_per_task * batch_size
        if not endless:
            most = min(most, len(dataset))
        self._pool = BufferPool((most, *form.shape), form.dtype, kept)

    def load(self, order: Ordinals, start: int, stop: int) -> list[Any]:
        size = self._size
        numbers = self._dataset._numbers(order[start * size : stop * size])
        try:
            copier = self._copier_for(order, start * size)
            found = copier(numbers, self._pool.take()[: len(numbers)])
        except (DifferentFormError, Error):  # some of the batches may still be collated
            return super().load(order, start, stop)
        except Exception as problem:
            return [Failed(problem)] * (stop - start)
        cuts = [slice(begin, begin + size) for begin in range(0, len(numbers), size)]
        if isinstance(found, tuple):
            return [tuple(each[cut] for each in found) for cut in cuts]
        return [found[cut] for cut in cuts]

    def _copier_for(self, order: Ordinals, element: int) -> BatchCopier:
        with self._lock:
            epoch = order.epoch(element) if isinstance(order, EndlessOrder) else 0
            if epoch > self._epoch:
                self._epoch, self._copier = epoch, BatchCopier(self._dataset._shards, self._form)
            return self._copier


def choose_batches(
    dataset: Dataset,
    batch_size: int,
    collate: Callable[[list[Any]], Any] | None,
    kept: int,
    endless: bool = False,
) -> CollatedBatches:
    """Return the object that makes the batches of a data set.

    :param kept: how many batches are in memory at once, about.
    :param endless: True if the order is an :class:`EndlessOrder`.
    """
    form = None if collate or dataset._transform or not len(dataset) else _form(dataset)
    if form is None or not form.size:
        return CollatedBatches(dataset, batch_size, collate)
    return CopiedBatches(dataset, batch_size, form, kept, endless)


def _form(dataset: Dataset) -> Form | None:
    decoder = dataset._decoder
    if decoder.form is not None and decoder.sample == "value" and not dataset._is_npy:
        dtype, shape = decoder.form
        return Form(dtype, shape, math.prod(shape) * dtype.itemsize)
    forms = {("value", "npy"): npy_form, ("value", "datum"): datum_form,
             ("datum", "auto"): datum_form, ("datum", "datum"): datum_form}  # fmt: skip
    find = None
    if isinstance(decoder.decode, str):
        find = forms.get((decoder.sample, decoder.decode))
    if dataset._is_npy and decoder.sample == "value":
        find = npy_form
    if find is None:
        return None
    ((first,),) = dataset._raw(dataset._numbers(np.zeros(1, np.int64)))
    try:
        found = find(first)
    except InvalidParameterError:
        return None  # reading that sample raises it
    if found and decoder.form not in (None, (found.dtype, found.shape)):
        return None  # reading that sample raises an exception
    return found


def stack(samples: list[Any]) -> object:
    """Collate samples of one type.

    Arrays of one shape and dtype are stacked; numbers become an array; tuples and dicts are
    collated by element; other samples stay a list.
    """
    first = samples[0]
    if {*map(type, samples)} != {type(first)}:
        return samples
    if isinstance(first, np.ndarray):
        alike = all(each.shape == first.shape and each.dtype == first.dtype for each in samples)
        return np.stack(samples) if alike else samples
    if isinstance(first, (bool, int, float, np.generic)):
        return np.array(samples)
    if type(first) is tuple and {*map(len, samples)} == {len(first)}:
        return tuple(stack(list(column)) for column in zip(*samples, strict=True))
    if type(first) is dict and all(each.keys() == first.keys() for each in samples):
        return {name: stack([each[name] for each in samples]) for name in first}
    return samples
