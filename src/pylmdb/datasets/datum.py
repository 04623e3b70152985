# SPDX-License-Identifier: MIT
"""Caffe's ``Datum`` messages, encoded and decoded without protobuf and Caffe.

>>> value = datum.encode(image, label=3)      # uint8 of shape (channels, height, width)
>>> image, label = datum.decode(value)        # shows the memory of value

A Datum is a protocol buffer with the fields channels = 1, height = 2, width = 3, data = 4,
label = 5, float_data = 6 and encoded = 7.  What is written is what the protobuf runtime
writes for Caffe's definition, byte for byte: fields in order of their numbers, numbers as
int32, ``float_data`` unpacked.  All that the wire format allows is read: fields in any order
and more than once (the last one counts), packed floats, unknown fields, which are skipped.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple

from .._base.buffers import as_buffer
from ..errors import InvalidParameterError
from ._protobuf_wire import Fields, MalformedError, varint

if TYPE_CHECKING:
    from typing import SupportsIndex

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from ..types import BytesLike

__all__ = ["Datum", "decode", "encode", "parse"]

_CHANNELS, _HEIGHT, _WIDTH, _DATA, _LABEL, _FLOATS, _ENCODED = range(1, 8)
# wire types
_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_INT32 = range(-(2**31), 2**31)


class Datum(NamedTuple):
    """The fields of a message, as :func:`parse` returns them."""

    #: 0 where the message has none
    channels: int
    height: int
    width: int
    #: the bytes, a view of what was parsed
    data: memoryview
    #: None where the message has none
    label: int | None
    #: the floats: an ndarray of little-endian float32, shape (n,); None where there are none
    float_data: NDArray[Any] | None
    #: True if ``data`` is an image file
    encoded: bool


def encode(array: ArrayLike | BytesLike, label: int | None = None, encoded: bool = False) -> bytes:
    """An image as a Datum message.

    :param array: an array of shape (channels, height, width).  ``uint8`` is stored in ``data``;
        floats of any size, and integers of up to 16 bits, in ``float_data`` as float32.
        With ``encoded``: the bytes of an image file, stored in ``data`` as they are.
    :param label: an int32, or None for no label.
    :param encoded: True to say that ``array`` is the bytes of an image file.
    :raises InvalidParameterError: the array has other dimensions; the label is no int32.
    :raises TypeError: the array has another dtype.
    """
    parts: list[Any] = []
    floats: Any = b""
    if encoded:
        parts += _of_length(_DATA, as_buffer("array", array))
    else:
        dimensions, data, floats = _plain(array)
        for number, size in zip((_CHANNELS, _HEIGHT, _WIDTH), dimensions, strict=True):
            parts.append(_number(number, size, "the array's size"))
        parts += _of_length(_DATA, data) if data is not None else []
    if label is not None:
        parts.append(_number(_LABEL, label, "label"))
    parts.append(floats)
    if encoded:
        parts.append(_number(_ENCODED, 1, "encoded"))
    return b"".join(parts)


def decode(value: BytesLike) -> tuple[Any, int | None]:
    """The image and the label of a Datum message.

    The image is an ndarray of shape (channels, height, width): of ``uint8``, showing the
    memory of ``value``, or of ``float32``; or, where the message says that it is encoded, a
    memoryview of the bytes of an image file.  As with Caffe, ``data`` goes before
    ``float_data`` where a message has both.  The label is None where the message has none.

    :param value: a bytes-like object, such as a view of a value in the map.
    :raises InvalidParameterError: it is no Datum, or its size is not that of its data.
    """
    fields = parse(value)
    if fields.encoded:
        return fields.data, fields.label
    return _array(fields), fields.label


def parse(value: BytesLike) -> Datum:
    """All fields of a Datum message, without looking at whether they fit.

    :raises InvalidParameterError: it is no protocol buffer.
    """
    view = memoryview(as_buffer("value", value))
    numbers: dict[int, int] = {}
    data = view[:0]
    floats: list[memoryview] = []
    try:
        for number, wire, found in Fields(view, repeated=_FLOATS):
            if wire == _VARINT and number in _NUMBERS:
                numbers[number] = found
            elif number == _DATA and wire == _BYTES:
                data = found
            elif number == _FLOATS and wire in (_BYTES, _FIXED32):
                floats.append(_packed(found) if wire == _BYTES else _unpacked(found))
    except MalformedError as problem:
        raise InvalidParameterError(f"the value is not a Datum: {problem}") from None
    label = numbers.get(_LABEL)
    return Datum(
        _int32(numbers.get(_CHANNELS, 0)),
        _int32(numbers.get(_HEIGHT, 0)),
        _int32(numbers.get(_WIDTH, 0)),
        data,
        None if label is None else _int32(label),
        _joined(floats),
        bool(numbers.get(_ENCODED, 0)),
    )


_NUMBERS = {_CHANNELS, _HEIGHT, _WIDTH, _LABEL, _ENCODED}


# -- writing --------------------------------------------------------------------------


def _number(field: int, value: SupportsIndex, what: str) -> bytes:
    number = index(value)
    if number not in _INT32:
        raise InvalidParameterError(f"{what}: {number} is not an int32")
    return varint(field << 3 | _VARINT) + varint(number & 2**64 - 1)


def _of_length(field: int, data: Any) -> list[Any]:
    size = memoryview(data).nbytes
    return [varint(field << 3 | _BYTES), varint(size), data]


def _plain(array: ArrayLike | BytesLike) -> tuple[tuple[int, ...], Any, Any]:
    """Its shape, and the two kinds of data: one of them, and nothing."""
    from .._base.numpy import np

    array = np.asarray(array)
    if array.ndim != 3:
        raise InvalidParameterError(
            f"a Datum holds an array of shape (channels, height, width), not {array.shape}",
            hint="array[None] adds a dimension, transpose(2, 0, 1) puts the channels first",
        )
    if array.dtype == np.uint8:
        return array.shape, np.ascontiguousarray(array).reshape(-1), b""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind != "f" and not (kind in "iub" and size <= 2):
        raise TypeError(
            f"a Datum holds uint8 or float32, and {array.dtype} does not fit; use astype()"
        )
    tagged = np.empty(array.size, _tagged())
    tagged["tag"] = _FLOATS << 3 | _FIXED32
    with np.errstate(over="ignore"):
        tagged["value"] = array.reshape(-1)
    return array.shape, None, tagged.tobytes()


def _tagged() -> np.dtype[Any]:
    """Unpacked floats in a row: each behind its tag."""
    from .._base.numpy import np

    return np.dtype([("tag", "u1"), ("value", "<f4")])


# -- reading --------------------------------------------------------------------------


def _int32(value: int) -> int:
    """The low 32 bits of a number count, as for protobuf."""
    return (value & 2**32 - 1 ^ 2**31) - 2**31


def _packed(found: memoryview) -> Any:
    from .._base.numpy import np

    if len(found) % 4:
        raise MalformedError(f"its packed float_data has {len(found)} bytes")
    return np.frombuffer(found, "<f4")


def _unpacked(found: memoryview) -> Any:
    """Those of a run of floats, each behind its tag; or the one whose tag is longer than usual."""
    from .._base.numpy import np

    if len(found) == 4:
        return np.frombuffer(found, "<f4")
    return np.frombuffer(found, _tagged())["value"]


def _joined(floats: list[Any]) -> NDArray[Any] | None:
    if len(floats) < 2:
        return floats[0] if floats else None
    from .._base.numpy import np

    return np.concatenate(floats)


def _array(fields: Datum) -> NDArray[Any]:
    from .._base.numpy import np
    from ..arrays.npy import check_extent

    shape = fields.channels, fields.height, fields.width
    flat = fields.float_data
    if len(fields.data) or flat is None:
        flat = np.frombuffer(fields.data, np.uint8)
    if min(shape) < 0 or shape[0] * shape[1] * shape[2] != flat.size or shape == (0, 0, 0):
        raise InvalidParameterError(
            f"the Datum has {flat.size} elements, which do not fill an array of shape {shape}"
        )
    check_extent("the Datum's array", flat.dtype, shape)
    # floats behind their tags are not in a row
    return np.ascontiguousarray(flat).reshape(shape)
