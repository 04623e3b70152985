# SPDX-License-Identifier: MIT
"""Read the samples of a data set for export, one by one or as rows of one array."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .._base.numpy import np
from .._base.progress import Reporter
from .._base.words import counted
from ..arrays import npy as _npy
from ..errors import InvalidParameterError
from . import datum
from .dataset import Dataset
from .layouts import folder_of, mmsr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from .._base.progress import Progress
    from ._images import Axes, Mode

    Path = str | os.PathLike[str]
    Source = Dataset | Path

# how many keys are looked up at once
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

    def pixels(self) -> tuple[Axes, Mode]:
        """Return the order of axes and of channels of arrays of pixels."""
        if self._pillow_decodes():
            return "HWC", "RGB"
        # the first value shows whether they are Datum messages, whose layout may have any keys
        if self.dataset._decoder.sample == "datum":
            return "CHW", "BGR"
        return "HWC", "BGR" if self.dataset.layouts[:1] == ["mmsr"] else "RGB"

    def _pillow_decodes(self) -> bool:
        """Whether arrays come of image files; Datum messages hold files or pixels."""
        dataset = self.dataset
        if dataset._decoder.decode != "image" or dataset._decoder.sample != "datum":
            return dataset._decoder.decode == "image"
        first = dataset._raw(dataset._numbers(np.arange(min(1, len(dataset)))))
        return any(datum.parse(value).encoded for (value,) in first)

    def named(self) -> Iterator[tuple[bytes, Any, Any]]:
        """Yield (key, value, label) of each sample; the label is None if there is none."""
        dataset = self.dataset
        sizes = _sizes_of(dataset)
        with Reporter(self._progress, len(dataset), " samples") as reporter:
            for begin in range(0, len(dataset), _SLICE):
                part = dataset[begin : begin + _SLICE]
                for key, sample in zip(part.keys(), part, strict=True):
                    whole = sample if isinstance(sample, tuple) else (sample,)
                    value, label, *_ = (*whole, None)
                    if key in sizes and isinstance(value, bytes):
                        value = _pixels(key, value, sizes[key])
                    yield key, value, label
                    reporter.add(1)

    def samples(self) -> Iterator[tuple[Any, Any]]:
        """Yield (value, label) of each sample."""
        return ((value, label) for _, value, label in self.named())

    def rows(self, write: Callable[[bytes], object]) -> list[Any]:
        """Write all values as rows of one array in ``.npy`` format.

        :return: the labels.
        :raises InvalidParameterError: a value is not an array of the dtype and shape of the first.
        """
        labels, shape, dtype = [], None, None
        for number, (value, label) in enumerate(self.samples()):
            array = as_array(value, number)
            if shape is None:
                shape, dtype = array.shape, array.dtype
                write(_npy.header((len(self), *shape), dtype))
            check_like(array, shape, dtype, number)
            write(_npy.without_fields(array).tobytes())
            labels.append(label)
        if shape is None:
            write(_npy.header((0,), np.dtype(np.float32)))
        return labels


def _sizes_of(dataset: Dataset) -> dict[bytes, str]:
    """Return the sizes of the images of the layout ``"mmsr"``, whose values are pixels."""
    found: dict[bytes, str] = {}
    for path, layout in zip(dataset.paths, dataset.layouts, strict=True):
        if layout == "mmsr":
            found.update(mmsr.read_sizes(folder_of(path)))
    return found


def _pixels(key: bytes, value: bytes, size: str) -> NDArray[Any]:
    """Return the pixels of one of them, uint8 of shape (height, width, channels)."""
    try:
        channels, height, width = map(int, size.split("_"))
        _npy.check_extent("the image", np.dtype(np.uint8), (height, width, channels))
        return np.frombuffer(value, np.uint8).reshape(height, width, channels)
    except ValueError:
        raise InvalidParameterError(
            f"the value of {key[:64]!r} has {counted(len(value), 'byte')}, which is not an"
            f" image of the size {size!r}, written CHANNELS_HEIGHT_WIDTH"
        ) from None


def key_text(key: bytes, what: str) -> str:
    """Return a key as text, for a name or a path in a file.

    :raises InvalidParameterError: it is not text.
    """
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise InvalidParameterError(
            f"the key {key[:64]!r} cannot be a {what}: it is not text in UTF-8"
        ) from None


def as_array(value: object, number: int) -> NDArray[Any]:
    if not isinstance(value, np.ndarray):
        raise InvalidParameterError(
            f"sample {number} is {type(value).__name__}; it must be an array",
            hint="give a Dataset with decode='image', or another decode= that makes arrays",
        )
    return value


def check_like(
    array: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any] | None, number: int
) -> None:
    """Refuse an array of another dtype or shape than the first one.

    :raises InvalidParameterError: it has another.
    """
    if array.shape != shape or array.dtype != dtype:
        raise InvalidParameterError(
            f"sample {number} has dtype {array.dtype} and shape {array.shape}; all must have that"
            f" of the first one, {dtype} and {shape}"
        )


def label_array(labels: list[Any]) -> NDArray[Any]:
    """Return labels as an array of numbers or of text.

    :raises InvalidParameterError: a sample has no label.
    """
    if None in labels:
        raise InvalidParameterError(
            f"sample {labels.index(None)} has no label; labels= needs one for each sample"
        )
    return np.array(labels) if labels else np.zeros(0, np.int64)
