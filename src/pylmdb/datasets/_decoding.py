# SPDX-License-Identifier: MIT
"""Decode the values of the records of a sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._base.numpy import np
from .._base.words import counted
from ..arrays import npy as _npy
from ..errors import InvalidParameterError, unknown_word
from . import _plain_pickle, datum
from ._images import Pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    DecodeOne = str | Callable[[memoryview], Any] | None
    Decode = DecodeOne | tuple[DecodeOne, DecodeOne]

NAMES = ("auto", "npy", "datum", "image")


class Decoder:
    """Makes a sample of memoryviews, one for each of its records.

    :param sample: what a sample is stored as; see :class:`layouts.Recognised`.
    :param decode: how its content is decoded: a name, a function, or None for bytes.
    :param form: dtype and shape, if the content is the bytes of an array.
    :param label: how the second value of ``"pairs"`` is decoded, in a tuple; ``"auto"`` for an
        array if it is in ``.npy`` format, else bytes.  None: bytes if ``decode`` is None, else
        ``"auto"``.
    """

    # pickles of earlier versions have none
    label: tuple[DecodeOne] | None = None

    def __init__(
        self,
        sample: str,
        decode: DecodeOne,
        form: tuple[Any, tuple[int, ...]] | None,
        label: tuple[DecodeOne] | None = None,
    ) -> None:
        self.sample, self.decode, self.form = sample, decode, form
        if label is not None:
            self.label = label

    def __call__(self, *values: memoryview) -> object:
        if self.sample == "pairs":
            return self._content(values[0]), self._second(values[1])
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

    def _pickled(self, data: object) -> object:
        if isinstance(data, (tuple, list)) and data and isinstance(data[0], (bytes, bytearray)):
            return (self._content(memoryview(data[0])), *data[1:])
        return data

    def _datum(self, value: memoryview) -> tuple[Any, int | None]:
        content, label = datum.decode(value)
        if not isinstance(content, memoryview):
            return np.array(content), label
        return decoded_image(content) if self.decode == "image" else bytes(content), label

    def _content(self, value: memoryview) -> object:
        if self.form is not None:
            return raw_array(value, *self.form)
        return self._decoded(value, self.decode)

    def _second(self, value: memoryview) -> object:
        decode: DecodeOne = None if self.decode is None and self.form is None else "auto"
        if self.label is not None:
            (decode,) = self.label
        return _label(value) if decode == "auto" else self._decoded(value, decode)

    def _decoded(self, value: memoryview, decode: DecodeOne) -> object:
        if callable(decode):
            return decode(value)
        if decode == "npy":
            return np.array(_npy.decode(value))
        if decode == "datum":
            return self._datum(value)
        return decoded_image(value) if decode == "image" else bytes(value)


def _label(value: memoryview) -> object:
    """Decode a label: an array, or the element of an array without axes, or bytes."""
    if not is_npy(value):
        return bytes(value)
    found = np.array(_npy.decode(value))
    return found.item() if found.ndim == 0 else found


def raw_array(value: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a copy of an array, whose bytes a value is, or which it holds in ``.npy`` format.

    :raises InvalidParameterError: the value has another size, or holds another array.
    """
    size = math.prod(shape) * dtype.itemsize
    if size != len(value) and is_npy(value):
        found = _npy.decode(value)
        if (found.dtype, found.shape) != (dtype, shape):
            raise InvalidParameterError(
                f"a value holds an array of dtype {found.dtype} and shape {found.shape}; the"
                f" Dataset has dtype {dtype} and shape {shape}"
            )
        return np.array(found)
    if size != len(value):
        raise InvalidParameterError(
            f"a value has {counted(len(value), 'byte')}; dtype {dtype} with shape {shape}"
            f" takes {size}"
        )
    array = np.empty(shape, dtype)
    if size:
        array.reshape(-1).view(np.uint8)[:] = np.frombuffer(value, np.uint8)
    return array


def decoded_image(value: memoryview) -> NDArray[Any]:
    """Decode an image to a writable array of pixels."""
    return np.require(Pixels().decode(value), requirements="W")


def resolve_decode(
    decode: Decode, sample: str, first: memoryview | None
) -> tuple[DecodeOne, tuple[DecodeOne] | None]:
    """Return what ``decode`` means in a data set whose first value is ``first``.

    :return: for the content, and for the second value of ``"pairs"``; see :class:`Decoder`.
    """
    if not isinstance(decode, tuple):
        return _resolve_one(decode, sample, first), None
    if sample != "pairs" or len(decode) != 2:
        raise InvalidParameterError(
            f"decode is {decode!r}; two decodings need samples of two values, pairs=, and this data"
            " set has others",
        )
    content, label = decode
    return _resolve_one(content, sample, first), (_resolve_one(label, sample, None),)


def _resolve_one(decode: DecodeOne, sample: str, first: memoryview | None) -> DecodeOne:
    if isinstance(decode, str) and decode not in NAMES:
        raise unknown_word("decode", decode, NAMES, ", None or a function")
    if decode is not None and not isinstance(decode, str) and not callable(decode):
        raise TypeError(
            f"decode must be one of {', '.join(NAMES)}, None or a function, not"
            f" {type(decode).__name__}"
        )
    if decode != "auto" or sample not in ("value", "pairs") or first is None:
        return decode
    if is_npy(first):
        return "npy"
    return bytes if sample == "pairs" else None  # the label of a pair is decoded by itself


def is_npy(value: memoryview) -> bool:
    """Whether a value begins with the magic of the ``.npy`` format."""
    return bytes(value[: len(_npy.MAGIC)]) == _npy.MAGIC
