# SPDX-License-Identifier: MIT
"""Batches of keys: from the forms that callers give to the one that C takes.

A caller gives a sequence of bytes, an array of fixed-width bytes, or integers.  Integers become
native integers in a database of integer keys; elsewhere 8 bytes, unsigned and big-endian, which
sort as the integers do; with a format such as ``"%08d"``, text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .._base.buffers import as_buffer
from .._base.flags import MDB_INTEGERKEY
from .._base.numpy import np
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from .._aliases import CData
    from .._array_methods import Keys as Several
    from .._core import DbSlot
    from .._engine import Engine
    from ..types import BytesLike

# one number, perhaps filled up to a width with zeros or spaces
_FORMAT = re.compile(rb"((?:[^%]|%%)*)%(0?)(\d{0,4})d((?:[^%]|%%)*)\Z", re.DOTALL)


class Keys:
    """A batch of keys: their concatenated bytes, and their one width or their ends.

    :ivar bytes: a buffer of C-contiguous memory.
    :ivar width: the width of each key, in bytes, if ``ends`` is None.
    :ivar ends: the offset of each key's end, uintp, shape ``(count,)``.
    """

    __slots__ = ("bytes", "count", "ends", "width")

    def __init__(
        self,
        data: bytes | NDArray[np.uint8],
        count: int,
        width: int = 0,
        ends: NDArray[np.uintp] | None = None,
    ) -> None:
        self.bytes = data
        self.count = count
        self.width = width
        self.ends = ends

    def __getitem__(self, i: int) -> bytes:
        if self.ends is None:
            begin, end = i * self.width, (i + 1) * self.width
        else:
            begin, end = int(self.ends[i - 1]) if i else 0, int(self.ends[i])
        return bytes(self.bytes[begin:end])

    def native(self, ffi: CData) -> tuple[Any, ...]:
        """Return a ``struct pylmdb_keys *``, and the objects that it points to."""
        data = ffi.from_buffer(self.bytes)
        ends = ffi.NULL if self.ends is None else ffi.from_buffer("size_t[]", self.ends)
        fields = {"bytes": data, "ends": ends, "count": self.count, "width": self.width}
        return ffi.new("struct pylmdb_keys *", fields), data, ends


class Numbers:
    """A batch of integers as keys, whose bytes depend on the database."""

    __slots__ = ("array", "count")

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.count = len(array)

    def keys(self, width: int) -> Keys:
        """Return native integers of 4 or 8 bytes; for width 0, 8 bytes, big-endian."""
        array = self.array
        if array.size:
            least, most = int(array.min()), int(array.max())
            if least < 0 or (width == 4 and most >= 2**32):
                raise InvalidParameterError(
                    f"the key {least if least < 0 else most} is not an unsigned integer of"
                    f" {width or 8} bytes",
                    hint="give a key_format to make text of integers, or give the keys as bytes",
                )
        dtype = np.dtype({0: ">u8", 4: "=u4", 8: "=u8"}[width])
        data = np.ascontiguousarray(array, dtype)
        return Keys(data.view(np.uint8), self.count, data.itemsize)


def batch(
    keys: Several | Iterable[BytesLike], key_format: str | bytes | None, engine: Engine
) -> Keys | Numbers:
    """Return the batch that the arguments ``keys`` and ``key_format`` mean.

    :raises InvalidParameterError: an integer is out of range; ``key_format`` is not a format.
    :raises TypeError: keys are neither bytes nor integers.
    """
    if key_format is not None:
        return _formatted(_numbers(keys), key_format, engine)
    if isinstance(keys, np.ndarray):
        return _from_array(keys)
    if isinstance(keys, (bytes, bytearray, memoryview, str)):
        raise TypeError(
            f"keys must be a sequence of keys, not one key of type {type(keys).__name__}"
        )
    if isinstance(keys, range):
        return Numbers(_numbers(keys))
    listed = list(keys)
    found = _of_one_width(listed)
    if found is not None:
        return found
    if listed and all(isinstance(key, (int, np.integer)) for key in listed):
        return Numbers(_numbers(listed))
    return _joined([as_buffer("key", key) for key in listed])


def _of_one_width(keys: list[Any]) -> Keys | None:
    """Return a batch of bytes of one width without a loop in Python; None for other keys."""
    try:
        data, sizes = b"".join(keys), set(map(len, keys))
    except TypeError:
        return None
    width = sizes.pop() if sizes else 0
    if sizes or width * len(keys) != len(data):
        return None
    return Keys(data, len(keys), width)


def _joined(keys: list[Any]) -> Keys:
    data = b"".join(keys)
    sizes = set(map(len, keys))
    if len(sizes) <= 1:
        return Keys(data, len(keys), sizes.pop() if sizes else 0)
    ends = np.cumsum(np.fromiter(map(len, keys), np.uintp, len(keys)), dtype=np.uintp)
    return Keys(data, len(keys), ends=ends)


def _from_array(array: NDArray[Any]) -> Keys | Numbers:
    kind = array.dtype.kind
    if array.ndim == 2 and array.dtype == np.uint8:
        data = np.ascontiguousarray(array)
        return Keys(data.reshape(-1), len(data), data.shape[1])
    if array.ndim != 1:
        raise InvalidParameterError(
            f"keys must have one dimension, or two of dtype uint8, not shape {array.shape} and"
            f" dtype {array.dtype}"
        )
    if kind in "iu":
        return Numbers(array)
    if kind == "V" and not array.dtype.hasobject:
        data = np.ascontiguousarray(array)
        return Keys(data.view(np.uint8).reshape(-1), len(data), data.itemsize)
    if kind == "S":
        return _stripped(np.ascontiguousarray(array))
    raise TypeError(
        f"keys must be bytes or integers, not of dtype {array.dtype}; encode text with"
        " numpy.char.encode()"
    )


def _stripped(array: NDArray[Any]) -> Keys:
    """Return keys without the zeros at their ends, as numpy reads dtype ``S``."""
    width = array.itemsize
    table = array.view(np.uint8).reshape(len(array), width)
    if not len(array) or table[:, -1].all():
        return Keys(table.reshape(-1), len(array), width)
    return _joined(array.tolist())


def _numbers(keys: Iterable[Any]) -> NDArray[Any]:
    keys = keys if isinstance(keys, (np.ndarray, range)) else list(keys)
    array = np.asarray(keys)
    if array.size == 0 and array.ndim == 1:
        return array.astype(np.int64)
    if array.dtype.kind in "fO" and all(isinstance(key, (int, np.integer)) for key in keys):
        array = _large_numbers(keys)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(
            f"keys for key_format must be integers in one dimension, not of shape {array.shape} and"
            f" dtype {array.dtype}"
        )
    return array


def _large_numbers(keys: Collection[Any]) -> NDArray[np.uint64]:
    """Return integers of which some are 2**63 or more: numpy makes floats or objects of them."""
    least, most = min(keys), max(keys)
    if least < 0 or most >= 2**64:
        raise InvalidParameterError(
            f"the keys {least} and {most} are not integers of one type; keys must be between 0 and"
            " 2**64 - 1, or all less than 2**63"
        )
    return np.array(keys, np.uint64)


def _formatted(array: NDArray[Any], key_format: str | bytes, engine: Engine) -> Keys:
    raw = key_format.encode() if isinstance(key_format, str) else bytes(key_format)
    parts = _FORMAT.match(raw)
    if parts is None:
        raise InvalidParameterError(
            f"key_format must have one %d, such as '%08d' or 'image-%09d', not {key_format!r}"
        )
    if array.dtype.kind == "u" and array.size and int(array.max()) >= 2**63:
        raise InvalidParameterError(
            f"the key {array.max()} is too large; with key_format keys must be less than 2**63"
        )
    prefix, suffix = (part.replace(b"%%", b"%") for part in (parts[1], parts[4]))
    width, count = int(parts[3] or 0), len(array)
    ffi, lib = engine.ffi, engine.lib
    numbers = np.ascontiguousarray(array, np.int64)
    room = np.empty(count * (len(prefix) + len(suffix) + max(width, 20)), np.uint8)
    ends = np.empty(count, np.uintp)
    size = lib.pylmdb_format_keys(
        ffi.from_buffer("long long[]", numbers), count, prefix, len(prefix), suffix, len(suffix),
        width, bool(parts[2]), ffi.from_buffer("char[]", room), ffi.from_buffer("size_t[]", ends),
    )  # fmt: skip
    return Keys(room[:size], count, ends=ends)


def for_database(keys: Keys | Numbers, ptr: CData, slot: DbSlot, engine: Engine) -> Keys:
    """Inside the guard: return the keys in the form of a database."""
    if isinstance(keys, Keys):
        return keys
    if not slot.flags & MDB_INTEGERKEY:
        return keys.keys(0)
    ffi, lib = engine.ffi, engine.lib
    given = keys.array.dtype.itemsize if keys.array.dtype.itemsize in (4, 8) else 8
    for width in (given, 12 - given):
        key = ffi.new("MDB_val *", {"mv_size": width})
        code = lib.pylmdb_check_widths(ptr, slot.dbi, slot.flags, key, ffi.NULL)
        if code != lib.MDB_BAD_VALSIZE:
            break
    return keys.keys(width)
