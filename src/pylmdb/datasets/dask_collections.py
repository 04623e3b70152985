# SPDX-License-Identifier: MIT
"""Data sets as collections of Dask, whose workers read parts of them in parallel.

A worker gets a part of a Dataset, which pickles as paths and numbers.  So workers must be able to
open the files.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._base.integers import integer
from .._base.numpy import np
from ..errors import InvalidParameterError
from ._exporting import check_like

if TYPE_CHECKING:
    from dask.array import Array
    from dask.bag import Bag
    from numpy.typing import NDArray

    from .dataset import Dataset


def to_dask_bag(dataset: Dataset, partitions: int | None = None) -> Bag:
    """Return the samples as a ``dask.bag.Bag``, in their order.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> with datasets.Writer("numbers") as writer:
    ...     ordinals = [writer.append(numpy.full(2, number)) for number in range(10)]
    >>> bag = datasets.to_dask_bag(datasets.Dataset("numbers"), partitions=2)
    >>> bag.count().compute(scheduler="threads")
    10

    :param dataset: the Dataset to read.
    :param partitions: how many partitions the bag has, at most; None for the number of shards.
    :raises InvalidParameterError: ``partitions`` is less than 1.
    :raises ImportError: Dask is not installed.
    """
    dask, bag = _dask("bag")
    parts = _parts(dataset, partitions)
    read = dask.delayed(list, pure=False)
    found: Bag = bag.from_delayed([read(part) for part in parts])
    return found


def to_dask_array(dataset: Dataset, partitions: int | None = None) -> Array:
    """Return the samples, which are arrays of one dtype and shape, as a ``dask.array.Array``.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> with datasets.Writer("numbers") as writer:
    ...     ordinals = [writer.append(numpy.full(2, number)) for number in range(10)]
    >>> array = datasets.to_dask_array(datasets.Dataset("numbers"), partitions=2)
    >>> int(array.sum().compute(scheduler="threads"))
    90

    :param dataset: the Dataset to read.  Its ``dtype`` and ``shape`` are those of a sample; without
        them, those of the first value in ``.npy`` format are.
    :param partitions: how many chunks the array has along the first axis, at most; None for the
        number of shards.
    :return: an array of shape ``(len(dataset), *shape)``.
    :raises InvalidParameterError: the samples are not arrays of one dtype and shape; the Dataset
        has a ``transform``; ``partitions`` is less than 1.  Computing raises it for a sample
        whose dtype or shape is not that of the first one.
    :raises ImportError: Dask is not installed.
    """
    form = _form(dataset)
    dask, array = _dask("array")
    read = dask.delayed(_whole, pure=False)
    dtype, shape = form
    found: Array = array.concatenate(
        [
            array.from_delayed(read(part, dtype, shape), (len(part), *shape), dtype)
            for part in _parts(dataset, partitions)
        ]
    )
    return found


def _form(dataset: Dataset) -> tuple[Any, tuple[int, ...]]:
    """Return the dtype and shape of the samples."""
    decoder, form = dataset._decoder, dataset._decoder.form
    plain = decoder.sample == "value" and dataset._transform is None
    if plain and decoder.decode == "npy" and len(dataset):
        first = dataset[0]
        form = first.dtype, first.shape
    if form is None or dataset._transform is not None:
        raise InvalidParameterError(
            "the samples must be arrays of one dtype and shape, for a dask.array",
            hint="give the Dataset dtype= and shape=, and no transform; or use to_dask_bag()",
        )
    return form


def _whole(part: Dataset, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    samples = part[np.arange(len(part))]
    if isinstance(samples, np.ndarray):
        return samples
    for number, sample in enumerate(samples):
        check_like(sample, shape, dtype, number)
    return np.stack(samples)


def _parts(dataset: Dataset, partitions: int | None) -> list[Dataset]:
    count = len(dataset.paths) if partitions is None else integer("partitions", partitions)
    if count < 1:
        raise InvalidParameterError(f"partitions must be at least 1, not {count}")
    size = max(1, math.ceil(len(dataset) / count))
    return [dataset[begin : begin + size] for begin in range(0, max(len(dataset), 1), size)]


def _dask(module: str) -> tuple[Any, Any]:
    try:
        import dask
        from dask import array, bag
    except ImportError as problem:
        raise ImportError("Dask is not installed: pip install 'pylmdb[dask]'") from problem
    return dask, {"array": array, "bag": bag}[module]
