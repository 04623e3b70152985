# SPDX-License-Identifier: MIT
"""Tuples as bytes that sort as the tuples do.

Each element is a code, which says its type, and then its content; no element's bytes
are the beginning of another's, so what follows never decides before what comes first.
A tuple is its elements one after the other: a shorter one is the beginning of the
longer ones, and comes before them.  Codes are in the order of the types:

    None < False < True < integers < floats < bytes < str < tuples

- An integer is its bytes, the highest first, behind a code that grows with their number.
  A negative one has all bits turned over, and codes that fall.  Beyond 8 bytes the
  number of bytes stands behind the code.
- A float is its IEEE 754 bits: with the sign bit set if it is positive, with all bits
  turned over if it is negative.  -0.0 is stored as 0.0, which equals it.
- bytes and str (as UTF-8) end with a zero.  Inside, 0 is stored as 1 1, and 1 as 1 2.
- A tuple within a tuple ends with a zero, which is no code either.
- The empty tuple is a zero, as LMDB has no empty keys.
"""

from __future__ import annotations

from operator import index
from struct import Struct
from typing import Any

from .errors import InvalidParameterError

_END = 0x00
_NONE, _FALSE, _TRUE = 0x02, 0x03, 0x04
# 0 has no bytes; 8 codes on either side are for 1 to 8 of them, and the next for more
_ZERO = 0x14
_MOST, _LARGE_NEGATIVE, _LARGE = 8, _ZERO - 9, _ZERO + 9
_FLOAT, _BYTES, _TEXT, _TUPLE = 0x20, 0x28, 0x29, 0x30

_EMPTY = bytes([_END])
_DOUBLE, _BITS = Struct(">d"), Struct(">Q")
_SIGN, _ALL = 2**63, 2**64 - 1
_KINDS = "None, bool, int, float, bytes, str and tuples of these"


def encode(given: Any) -> bytes:
    """The key of a tuple."""
    return encode_prefix(given) or _EMPTY


def encode_prefix(given: Any) -> bytes:
    """What the keys of all tuples begin with that begin with these elements."""
    if not isinstance(given, tuple):
        raise TypeError(f"key must be a tuple, not {type(given).__name__}")
    out = bytearray()
    for element in given:
        _write(out, element)
    return bytes(out)


def _write(out: bytearray, element: Any) -> None:
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
        out.append(_TUPLE)
        for inner in element:
            _write(out, inner)
        out.append(_END)
    else:
        _write_integer(out, _as_integer(element))


def _as_integer(element: Any) -> int:
    try:
        return index(element)
    except TypeError:
        raise TypeError(f"a key can hold {_KINDS}, but not {type(element).__name__}") from None


def _write_integer(out: bytearray, number: int) -> None:
    size = (number.bit_length() + 7) // 8
    if size > 255:
        raise OverflowError(f"an integer in a key can have 255 bytes, not {size}")
    negative = number < 0
    if size <= _MOST:
        out.append(_ZERO - size if negative else _ZERO + size)
    else:
        out += bytes([_LARGE_NEGATIVE, 255 - size] if negative else [_LARGE, size])
    if negative:
        number += (1 << 8 * size) - 1
    out += number.to_bytes(size, "big")


def _write_float(out: bytearray, number: float) -> None:
    if number != number:
        raise ValueError("a key cannot hold nan, which has no place in an order")
    (bits,) = _BITS.unpack(_DOUBLE.pack(number or 0.0))
    out.append(_FLOAT)
    out += _BITS.pack(bits ^ (_ALL if bits & _SIGN else _SIGN))


def _write_string(out: bytearray, code: int, data: bytes) -> None:
    out.append(code)
    out += data.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1")
    out.append(_END)


def decode(data: bytes) -> tuple[Any, ...]:
    """The tuple of a key."""
    if data == _EMPTY:
        return ()
    try:
        return _read_until(data, 0, len(data))[0]
    except (IndexError, ValueError) as problem:
        raise InvalidParameterError(f"the key {data!r} is no tuple") from problem


def _read_until(data: bytes, position: int, stop: int | None) -> tuple[tuple[Any, ...], int]:
    """The elements up to ``stop``, or up to the end of a tuple; and where that is."""
    elements = []
    while position != stop:
        code = data[position]
        position += 1
        if code == _END and stop is None:
            break
        element, position = _read(data, code, position)
        elements.append(element)
    return tuple(elements), position


def _read(data: bytes, code: int, position: int) -> tuple[Any, int]:
    """The element behind a code, and where the next one begins."""
    if code in (_BYTES, _TEXT):
        return _read_string(data, code, position)
    if _LARGE_NEGATIVE <= code <= _LARGE:
        return _read_integer(data, code, position)
    if code == _FLOAT:
        (bits,) = _BITS.unpack(_piece(data, position, 8))
        bits ^= _SIGN if bits & _SIGN else _ALL
        return _DOUBLE.unpack(_BITS.pack(bits))[0], position + 8
    if code == _TUPLE:
        return _read_until(data, position, None)
    if code in (_NONE, _FALSE, _TRUE):
        return {_NONE: None, _FALSE: False, _TRUE: True}[code], position
    raise ValueError(f"{code} is no code")


def _read_integer(data: bytes, code: int, position: int) -> tuple[int, int]:
    negative = code < _ZERO
    size = abs(code - _ZERO)
    if size > _MOST:
        size = 255 - data[position] if negative else data[position]
        position += 1
    number = int.from_bytes(_piece(data, position, size), "big")
    return number - (1 << 8 * size) + 1 if negative else number, position + size


def _read_string(data: bytes, code: int, position: int) -> tuple[bytes | str, int]:
    end = data.index(_END, position)
    content = data[position:end].replace(b"\1\1", b"\0").replace(b"\1\2", b"\1")
    return content.decode() if code == _TEXT else content, end + 1


def _piece(data: bytes, position: int, size: int) -> bytes:
    piece = data[position : position + size]
    if len(piece) != size:
        raise ValueError("it is too short")
    return piece
