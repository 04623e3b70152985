# SPDX-License-Identifier: MIT
"""Encode and decode Caffe's ``Datum`` messages, without protobuf and Caffe.

>>> import numpy
>>> from pylmdb.datasets import datum
>>> value = datum.encode(numpy.zeros((3, 8, 8), "u1"), label=7)    # (channels, height, width)
>>> image, label = datum.decode(value)                             # shares the memory of value
>>> image.shape, label
((3, 8, 8), 7)

A Datum is a protocol buffer with the fields channels = 1, height = 2, width = 3, data = 4, label =
5, float_data = 6 and encoded = 7.  Messages have the same bytes as those that the protobuf runtime
encodes: fields in the order of their numbers, numbers as int32, ``float_data`` unpacked.
Everything that the wire format allows is decoded: fields in any order; repeated fields, of which
the last counts; packed floats; and unknown fields, which are skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .._base.buffers import as_buffer
from .._base.integers import integer
from .._base.public_names import directory
from .._base.words import counted
from ..errors import InvalidParameterError
from ._protobuf_wire import Fields, MalformedError, varint

if TYPE_CHECKING:
    from typing import SupportsIndex

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from ..types import BytesLike

__all__ = ["Datum", "decode", "encode", "parse"]
__dir__ = directory(__all__)

_CHANNELS, _HEIGHT, _WIDTH, _DATA, _LABEL, _FLOATS, _ENCODED = range(1, 8)
# wire types
_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_INT32 = range(-(2**31), 2**31)


class Datum(NamedTuple):
    """The fields of a message, as :func:`parse` returns them.

    :param channels: 0 if the message has no such field, as ``height`` and ``width``.
    :param data: a view of the message; empty if it has no such field.
    :param label: None if the message has no such field.
    :param float_data: an array of little-endian float32, shape (n,); None if the message has no
        such field.
    :param encoded: True if ``data`` is an image file.
    """

    channels: int
    height: int
    width: int
    data: memoryview
    label: int | None
    float_data: NDArray[np.float32] | None
    encoded: bool


def encode(array: ArrayLike | BytesLike, label: int | None = None, encoded: bool = False) -> bytes:
    """Encode an image as a Datum message.

    :param array: an array of shape (channels, height, width).  ``uint8`` is stored in ``data``;
        floats of any size, and integers of up to 16 bits, in ``float_data`` as float32.
        With ``encoded=True``, the bytes of an image file, which are stored in ``data``.
    :param label: an int32, or None for no label.
    :param encoded: True if ``array`` is the bytes of an image file.
    :return: the message.
    :raises InvalidParameterError: the array does not have three dimensions; the label or the size
        is not an int32.
    :raises TypeError: the array has another dtype.
    """
    parts: list[bytes | memoryview] = []
    floats = b""
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
    """Decode the image and the label of a Datum message.

    :param value: a bytes-like object, such as a view of a value in the memory map.
    :return: a pair (image, label).  The image is an array of shape (channels, height, width):
        ``uint8``, which shares the memory of ``value``, or ``float32``.  If the message says that
        it is encoded, the image is a memoryview of the bytes of an image file.  As in Caffe,
        ``data`` is preferred if a message also has ``float_data``.  The label is an int, or None
        if the message has none.
    :raises InvalidParameterError: it is not a Datum message, or the size of its data is not that of
        its shape.
    """
    fields = parse(value)
    if fields.encoded:
        return fields.data, fields.label
    return _array(fields), fields.label


def parse(value: BytesLike) -> Datum:
    """Parse all fields of a Datum message, without a check that they fit each other.

    :param value: a bytes-like object.
    :raises InvalidParameterError: it is not a protocol buffer.
    """
    view = memoryview(as_buffer("value", value))
    numbers: dict[int, int] = {}
    data = view[:0]
    floats: list[NDArray[np.float32]] = []
    try:
        for number, wire, found in Fields(view, repeated=_FLOATS):
            if wire == _VARINT and number in _NUMBERS:
                numbers[number] = found
            elif number == _DATA and wire == _BYTES:
                data = found
            elif number == _FLOATS and wire in (_BYTES, _FIXED32):
                floats.append(_packed(found) if wire == _BYTES else _unpacked(found))
    except MalformedError as problem:
        raise InvalidParameterError(f"the value is not a Datum message: {problem}") from None
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
    number = integer(what, value)
    if number not in _INT32:
        raise InvalidParameterError(
            f"{what} is {number}; it must be an int32, from -2**31 to 2**31 - 1"
        )
    return varint(field << 3 | _VARINT) + varint(number & 2**64 - 1)


def _of_length(field: int, data: bytes | memoryview) -> list[bytes | memoryview]:
    size = memoryview(data).nbytes
    return [varint(field << 3 | _BYTES), varint(size), data]


def _plain(
    array: ArrayLike | BytesLike,
) -> tuple[tuple[int, ...], memoryview | None, bytes]:
    """Return the shape; the data or None; and the encoded floats or nothing."""
    from .._base.numpy import np

    array = np.asarray(array)
    if array.ndim != 3:
        raise InvalidParameterError(
            f"the array has shape {array.shape}; a Datum has shape (channels, height, width)",
            hint="array[None] adds a dimension, transpose(2, 0, 1) puts the channels first",
        )
    if array.dtype == np.uint8:
        return array.shape, np.ascontiguousarray(array).reshape(-1).data, b""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind != "f" and not (kind in "iub" and size <= 2):
        raise TypeError(
            f"the array has dtype {array.dtype}; a Datum holds uint8, floats, and integers of up"
            " to 16 bits; use astype()"
        )
    tagged = np.empty(array.size, _tagged())
    tagged["tag"] = _FLOATS << 3 | _FIXED32
    with np.errstate(over="ignore"):
        tagged["value"] = array.reshape(-1)
    return array.shape, None, tagged.tobytes()


def _tagged() -> np.dtype[Any]:
    """Return the dtype of consecutive unpacked floats, each after its tag."""
    from .._base.numpy import np

    return np.dtype([("tag", "u1"), ("value", "<f4")])


# -- reading --------------------------------------------------------------------------


def _int32(value: int) -> int:
    """Return the low 32 bits of a number as int32, as protobuf does."""
    return (value & 2**32 - 1 ^ 2**31) - 2**31


def _packed(found: memoryview) -> NDArray[np.float32]:
    from .._base.numpy import np

    if len(found) % 4:
        raise MalformedError(
            f"its packed float_data has {counted(len(found), 'byte')}, which is not a multiple of 4"
        )
    return np.frombuffer(found, "<f4")


def _unpacked(found: memoryview) -> NDArray[np.float32]:
    """Return consecutive floats, each after its tag; or one float without its tag."""
    from .._base.numpy import np

    if len(found) == 4:
        return np.frombuffer(found, "<f4")
    values: NDArray[np.float32] = np.frombuffer(found, _tagged())["value"]
    return values


def _joined(floats: list[NDArray[np.float32]]) -> NDArray[np.float32] | None:
    if len(floats) < 2:
        return floats[0] if floats else None
    from .._base.numpy import np

    return np.concatenate(floats)


def _array(fields: Datum) -> NDArray[Any]:
    from .._base.numpy import np
    from ..arrays.npy import check_extent

    shape = fields.channels, fields.height, fields.width
    flat: NDArray[Any] | None = fields.float_data
    if len(fields.data) or flat is None:
        flat = np.frombuffer(fields.data, np.uint8)
    if min(shape) < 0 or shape[0] * shape[1] * shape[2] != flat.size or shape == (0, 0, 0):
        raise InvalidParameterError(
            f"the Datum has {counted(flat.size, 'element')}; its shape {shape} needs another number"
        )
    check_extent("the Datum's array", flat.dtype, shape)
    # floats with tags in between are not contiguous
    return np.ascontiguousarray(flat).reshape(shape)
