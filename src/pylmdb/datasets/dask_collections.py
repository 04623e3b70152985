# SPDX-License-Identifier: MIT
"""Data sets as collections of Dask, whose workers read parts of them at the same time.

What goes to a worker is a part of a Dataset, which pickles as paths and numbers: the workers must
see the files.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._numpy import np
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from .dataset import Dataset


def to_dask_bag(dataset: Dataset, partitions: int | None = None) -> Any:
    """The samples as a ``dask.bag.Bag``, in their order.

    :param dataset: what is read.
    :param partitions: how many parts are read at the same time, at most; by default as many as
        there are shards.
    """
    dask, bag = _dask("bag")
    parts = _parts(dataset, partitions)
    return bag.from_delayed([dask.delayed(list, pure=False)(part) for part in parts])


def to_dask_array(dataset: Dataset, partitions: int | None = None) -> Any:
    """The samples of a Dataset that has a ``dtype`` as a ``dask.array.Array`` of shape
    ``(len(dataset), *shape)``.

    :param dataset: what is read.
    :param partitions: how many chunks it has along the first axis; by default as many as
        there are shards.
    :raises InvalidParameterError: the Dataset has no ``dtype``, or has a ``transform``.
    """
    form = dataset._decoder.form
    if form is None or dataset._transform is not None:
        raise InvalidParameterError(
            "the samples are no arrays of one form: give the Dataset dtype and shape, or use"
            " to_dask_bag()"
        )
    dask, array = _dask("array")
    read = dask.delayed(_whole, pure=False)
    dtype, shape = form
    return array.concatenate(
        [
            array.from_delayed(read(part), (len(part), *shape), dtype)
            for part in _parts(dataset, partitions)
        ]
    )


def _whole(part: Dataset) -> Any:
    return part[np.arange(len(part))]


def _parts(dataset: Dataset, partitions: int | None) -> list[Dataset]:
    count = len(dataset.paths) if partitions is None else partitions
    if count < 1:
        raise InvalidParameterError(f"partitions must be at least 1, not {count}")
    size = max(1, math.ceil(len(dataset) / count))
    return [dataset[begin : begin + size] for begin in range(0, max(len(dataset), 1), size)]


def _dask(module: str) -> tuple[Any, Any]:
    try:
        import dask
        from dask import array, bag
    except ImportError as problem:
        raise ImportError("Dask is missing: pip install 'pylmdb[dask]'") from problem
    return dask, {"array": array, "bag": bag}[module]
