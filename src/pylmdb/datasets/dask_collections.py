# SPDX-License-Identifier: MIT
"""Data sets as collections of Dask, whose workers read parts of them at the same time.

What goes to a worker is a part of a Dataset, which pickles as paths and numbers: the workers must
see the files.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._base.numpy import np
from ..errors import InvalidParameterError
from ._exporting import check_like

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    """The samples, arrays of one form, as a ``dask.array.Array`` of shape
    ``(len(dataset), *shape)``.

    Their form is the ``dtype`` and ``shape`` of the Dataset, or else those of the first value in
    ``.npy`` format.

    :param dataset: what is read.
    :param partitions: how many chunks it has along the first axis; by default as many as
        there are shards.
    :raises InvalidParameterError: the samples are no arrays of one form, or the Dataset has a
        ``transform``; computing raises it for a sample that is unlike the first one.
    """
    form = _form(dataset)
    dask, array = _dask("array")
    read = dask.delayed(_whole, pure=False)
    dtype, shape = form
    return array.concatenate(
        [
            array.from_delayed(read(part, dtype, shape), (len(part), *shape), dtype)
            for part in _parts(dataset, partitions)
        ]
    )


def _form(dataset: Dataset) -> tuple[Any, tuple[int, ...]]:
    """The dtype and shape of the samples."""
    decoder, form = dataset._decoder, dataset._decoder.form
    plain = decoder.sample == "value" and dataset._transform is None
    if plain and decoder.decode == "npy" and len(dataset):
        first = dataset[0]
        form = first.dtype, first.shape
    if form is None or dataset._transform is not None:
        raise InvalidParameterError(
            "the samples are not arrays of one form, and a dask.array is made of such",
            hint="give the Dataset dtype= and shape=, and no transform, or use to_dask_bag()",
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
