# SPDX-License-Identifier: MIT
"""The encoding of tuples as bytes that sort as the tuples do.

Each element is stored as a code, which is its type, and its content.  The bytes of one element
are never a prefix of those of another, so an earlier element always decides before a later one.
A tuple is stored as its elements, one after the other.  So a shorter tuple is a prefix of longer
ones, and sorts before them.  The codes are in the order of the types:

    None < False < True < integers < floats < bytes < str < tuples

- An integer is its bytes, the highest first, after a code that grows with their number.
  A negative integer has all bits inverted, and codes that decrease.  If there are more than
  8 bytes, their number follows the code.
- A float is its 64 bits of IEEE 754.  The sign bit is set if it is positive; all bits are
  inverted if it is negative.  -0.0 is stored as 0.0, which is equal.
- bytes and str (as UTF-8) end with a zero byte.  Inside, 0 is stored as 1 1, and 1 as 1 2.
- A tuple within a tuple ends with a zero byte, which is not a code.
- The empty tuple is one zero byte, because keys of LMDB are not empty.

Each tuple has exactly one encoding, and other bytes are refused.  So a lookup finds every key that
iteration returns.
"""

from __future__ import annotations

from operator import index
from struct import Struct
from typing import Any

from ..errors import InvalidParameterError

_END = 0x00
_NONE, _FALSE, _TRUE = 0x02, 0x03, 0x04
# the integer 0 has no bytes; the 8 codes on each side are for 1 to 8 bytes, the next one for more
_ZERO = 0x14
_MAX_SMALL, _LARGE_NEGATIVE, _LARGE = 8, _ZERO - 9, _ZERO + 9
_FLOAT, _BYTES, _TEXT, _TUPLE = 0x20, 0x28, 0x29, 0x30

_EMPTY = bytes([_END])
_DOUBLE, _BITS = Struct(">d"), Struct(">Q")
_SIGN, _ALL_BITS = 2**63, 2**64 - 1
# how deep tuples may be nested, so that neither direction runs out of stack
MAX_DEPTH = 100
_ACCEPTED = "None, bool, int, float, bytes, str and tuples of these"


def encode(value: object) -> bytes:
    """Return the key of a tuple."""
    return encode_prefix(value) or _EMPTY


def encode_prefix(value: object) -> bytes:
    """Return the bytes with which the keys of all tuples begin that begin with these elements."""
    if not isinstance(value, tuple):
        raise TypeError(f"key must be a tuple, not {type(value).__name__}")
    out = bytearray()
    for element in value:
        _write(out, element, 0)
    return bytes(out)


def _write(out: bytearray, element: object, depth: int) -> None:
    if element is None:
        out.append(_NONE)
    elif isinstance(element, bool):
        out.append(_TRUE if element else _FALSE)
    elif isinstance(element, int):
        _write_integer(out, element)
    elif isinstance(element, str):
        _write_string(out, _TEXT, element.encode())
    elif isinstance(element, bytes):
        _write_string(out, _BYTES, element)
    elif isinstance(element, float):
        _write_float(out, element)
    elif isinstance(element, tuple):
        if depth == MAX_DEPTH:
            raise InvalidParameterError(f"tuples in a key can be nested at most {MAX_DEPTH} deep")
        out.append(_TUPLE)
        for inner in element:
            _write(out, inner, depth + 1)
        out.append(_END)
    else:
        _write_integer(out, _as_integer(element))


def _as_integer(element: Any) -> int:
    try:
        return index(element)
    except TypeError:
        raise TypeError(f"a key can contain {_ACCEPTED}, not {type(element).__name__}") from None


def _write_integer(out: bytearray, number: int) -> None:
    size = (number.bit_length() + 7) // 8
    if size > 255:
        raise OverflowError(f"an integer in a key can have at most 255 bytes, not {size}")
    negative = number < 0
    if size <= _MAX_SMALL:
        out.append(_ZERO - size if negative else _ZERO + size)
    else:
        out += bytes([_LARGE_NEGATIVE, 255 - size] if negative else [_LARGE, size])
    if negative:
        number += (1 << 8 * size) - 1
    out += number.to_bytes(size, "big")


def _write_float(out: bytearray, number: float) -> None:
    if number != number:
        raise ValueError("a key cannot contain nan, which cannot be ordered")
    (bits,) = _BITS.unpack(_DOUBLE.pack(number or 0.0))
    out.append(_FLOAT)
    out += _BITS.pack(bits ^ (_ALL_BITS if bits & _SIGN else _SIGN))


def _write_string(out: bytearray, code: int, data: bytes) -> None:
    out.append(code)
    out += _escape(data)
    out.append(_END)


def _escape(data: bytes) -> bytes:
    return data.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1")


def decode(data: bytes) -> tuple[Any, ...]:
    """Return the tuple of a key."""
    if data == _EMPTY:
        return ()
    try:
        if not data:
            raise ValueError("it is empty")
        return _read_until(data, 0, len(data), 0)[0]
    except IndexError:
        raise InvalidParameterError(
            f"the key {data!r} is not an encoded tuple: it is too short"
        ) from None
    except ValueError as problem:
        raise InvalidParameterError(
            f"the key {data!r} is not an encoded tuple: {problem}"
        ) from problem


def _read_until(
    data: bytes, position: int, stop: int | None, depth: int
) -> tuple[tuple[Any, ...], int]:
    """Return the elements up to ``stop``, or to the end of the tuple, and the position after it."""
    elements = []
    while position != stop:
        code = data[position]
        position += 1
        if code == _END and stop is None:
            break
        element, position = _read(data, code, position, depth)
        elements.append(element)
    return tuple(elements), position


def _read(data: bytes, code: int, position: int, depth: int) -> tuple[Any, int]:
    """Return the element after a code, and the position after the element."""
    if code in (_BYTES, _TEXT):
        return _read_string(data, code, position)
    if _LARGE_NEGATIVE <= code <= _LARGE:
        return _read_integer(data, code, position)
    if code == _FLOAT:
        (bits,) = _BITS.unpack(_read_bytes(data, position, 8))
        bits ^= _SIGN if bits & _SIGN else _ALL_BITS
        number = _DOUBLE.unpack(_BITS.pack(bits))[0]
        if number != number or bits == _SIGN:
            raise ValueError("nan and -0.0 are not stored")
        return number, position + 8
    if code == _TUPLE:
        if depth == MAX_DEPTH:
            raise ValueError(f"its tuples are nested more than {MAX_DEPTH} deep")
        return _read_until(data, position, None, depth + 1)
    if code in (_NONE, _FALSE, _TRUE):
        return {_NONE: None, _FALSE: False, _TRUE: True}[code], position
    raise ValueError(f"{code} is not the code of a type")


def _read_integer(data: bytes, code: int, position: int) -> tuple[int, int]:
    negative = code < _ZERO
    size = abs(code - _ZERO)
    is_large = size > _MAX_SMALL
    if is_large:
        size = 255 - data[position] if negative else data[position]
        position += 1
    number = int.from_bytes(_read_bytes(data, position, size), "big")
    if negative:
        number += 1 - (1 << 8 * size)
    if size != (number.bit_length() + 7) // 8 or is_large != (size > _MAX_SMALL):
        raise ValueError(f"the integer {number} is not stored in its shortest form")
    return number, position + size


def _read_string(data: bytes, code: int, position: int) -> tuple[bytes | str, int]:
    end = data.index(_END, position)
    escaped = data[position:end]
    content = escaped.replace(b"\1\1", b"\0").replace(b"\1\2", b"\1")
    if _escape(content) != escaped:
        raise ValueError("a byte 1 is followed by neither 1 nor 2")
    return content.decode() if code == _TEXT else content, end + 1


def _read_bytes(data: bytes, position: int, size: int) -> bytes:
    part = data[position : position + size]
    if len(part) != size:
        raise ValueError("it is too short")
    return part
