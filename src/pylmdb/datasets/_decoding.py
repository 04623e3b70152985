# SPDX-License-Identifier: MIT
"""From the values of a sample's records to the sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import _npy
from .._numpy import np
from ..errors import InvalidParameterError
from . import _plain_pickle, datum
from ._images import Pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    Decode = str | Callable[[memoryview], Any] | None

NAMES = ("auto", "npy", "datum", "image")
_DATUM_LAYOUTS = ("order", "padded", "caffe")


class Decoder:
    """Makes a sample of memoryviews, one for each of its records.

    :param sample: what the layout says a sample is; see :class:`_layouts.Recognised`.
    :param decode: how its content is decoded: a name, a function, or None for bytes.
    :param form: dtype and shape, if the content is the mere bytes of an array.
    """

    def __init__(self, sample: str, decode: Decode, form: tuple[Any, tuple[int, ...]] | None):
        self.sample, self.decode, self.form = sample, decode, form

    def __call__(self, *values: memoryview) -> Any:
        if self.decode is None and self.form is None:
            return bytes(values[0]) if len(values) == 1 else tuple(map(bytes, values))
        if self.sample == "pair":
            image = self._content(values[0])
            return image if len(values) == 1 else (image, bytes(values[1]).decode())
        if self.sample == "pickle":
            return self._pickled(_plain_pickle.loads(values[0]))
        if self.sample == "datum" and self.decode in ("auto", "image"):
            return self._datum(values[0])
        return self._content(values[0])

    def _pickled(self, data: Any) -> Any:
        if isinstance(data, (tuple, list)) and data and isinstance(data[0], (bytes, bytearray)):
            return (self._content(memoryview(data[0])), *data[1:])
        return data

    def _datum(self, value: memoryview) -> tuple[Any, int | None]:
        content, label = datum.decode(value)
        if not isinstance(content, memoryview):
            return np.array(content), label
        return image_array(content) if self.decode == "image" else bytes(content), label

    def _content(self, value: memoryview) -> Any:
        if self.form is not None:
            return raw_array(value, *self.form)
        if callable(self.decode):
            return self.decode(value)
        if self.decode == "npy":
            return np.array(_npy.decode(value))
        if self.decode == "datum":
            return self._datum(value)
        return image_array(value) if self.decode == "image" else bytes(value)


def raw_array(value: memoryview, dtype: Any, shape: tuple[int, ...]) -> Any:
    """The array whose bytes a value is, in memory of its own."""
    size = math.prod(shape) * dtype.itemsize
    if size != len(value):
        raise InvalidParameterError(
            f"a value has {len(value)} bytes, and dtype {dtype} with shape {shape} takes {size}"
        )
    array = np.empty(shape, dtype)
    if size:
        array.reshape(-1).view(np.uint8)[:] = np.frombuffer(value, np.uint8)
    return array


def image_array(value: memoryview) -> Any:
    """The pixels of an encoded image, in an array that can be written to."""
    return np.require(Pixels().of(value), requirements="W")


def resolve(decode: Decode, layout: str, sample: str, first: memoryview | None) -> Decode:
    """What ``"auto"`` means for a data set that begins with the value ``first``."""
    if isinstance(decode, str) and decode not in NAMES:
        raise InvalidParameterError(
            f"decode must be one of {', '.join(NAMES)}, None or a function, not {decode!r}"
        )
    if decode is not None and not isinstance(decode, str) and not callable(decode):
        raise TypeError(f"decode must be a name or a function, not {type(decode).__name__}")
    if decode != "auto" or sample != "value" or first is None:
        return decode
    if bytes(first[: len(_npy.MAGIC)]) == _npy.MAGIC:
        return "npy"
    if layout in _DATUM_LAYOUTS and _is_datum(first):
        return "datum"
    return None


def _is_datum(value: memoryview) -> bool:
    try:
        content = datum.decode(value)[0]
    except ValueError:
        return False
    return len(content) > 0
