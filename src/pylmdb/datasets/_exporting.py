# SPDX-License-Identifier: MIT
"""What exporters share: the samples of a data set, whatever they are, and rows of arrays."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .. import _npy
from .._numpy import np
from ..errors import InvalidParameterError
from ..tools._progress import Reporter
from .dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..tools._progress import Progress

    Path = str | os.PathLike[str]
    Source = Dataset | Path

# so many keys are looked up at once
_SLICE = 256


class Exported:
    """A ``with`` block over the samples of a data set.

    :param source: a :class:`Dataset`, or the path of one, which is opened.
    """

    def __init__(self, source: Source, progress: Progress) -> None:
        self._opened = not isinstance(source, Dataset)
        self.dataset: Dataset = source if isinstance(source, Dataset) else Dataset(source)
        self._progress = progress

    def __enter__(self) -> Exported:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._opened:
            self.dataset.close()

    def __len__(self) -> int:
        return len(self.dataset)

    def samples(self) -> Iterator[tuple[Any, Any]]:
        """(value, label) of each; the label is None where there is none."""
        with Reporter(self._progress, len(self.dataset), " samples") as reporter:
            for sample in self.dataset:
                if isinstance(sample, tuple):
                    yield sample[0], sample[1] if len(sample) > 1 else None
                else:
                    yield sample, None
                reporter.add(1)

    def named(self) -> Iterator[tuple[bytes, Any, Any]]:
        """(key, value, label) of each."""
        found = self.samples()
        for begin in range(0, len(self), _SLICE):
            for key in self.dataset[begin : begin + _SLICE].keys():  # noqa: SIM118
                yield (key, *next(found))

    def rows(self, write: Callable[[bytes], object]) -> list[Any]:
        """Write all values, arrays of one dtype and shape, as one array in ``.npy`` format.

        :return: the labels.
        :raises InvalidParameterError: a value is no array, or another one than the first.
        """
        labels, shape, dtype = [], None, None
        for number, (value, label) in enumerate(self.samples()):
            array = as_array(value, number)
            if shape is None:
                shape, dtype = array.shape, array.dtype
                write(_npy.header((len(self), *shape), dtype))
            check_like(array, shape, dtype, number)
            write(_npy.plain(array).tobytes())
            labels.append(label)
        if shape is None:
            write(_npy.header((0,), np.dtype(np.float32)))
        return labels


def as_array(value: Any, number: int) -> Any:
    if not isinstance(value, np.ndarray):
        raise InvalidParameterError(
            f"sample {number} is {type(value).__name__} and no array",
            hint="give a Dataset(path, decode='image') or with another decode=",
        )
    return value


def check_like(array: Any, shape: Any, dtype: Any, number: int) -> None:
    """Refuse an array that is not like the first one."""
    if array.shape != shape or array.dtype != dtype:
        raise InvalidParameterError(
            f"sample {number} is {array.dtype} of shape {array.shape}, and the first one"
            f" {dtype} of shape {shape}"
        )


def label_array(labels: list[Any]) -> Any:
    """Labels as an array of numbers or of text.

    :raises InvalidParameterError: a sample has none.
    """
    if None in labels:
        raise InvalidParameterError(f"sample {labels.index(None)} has no label")
    return np.array(labels) if labels else np.zeros(0, np.int64)
