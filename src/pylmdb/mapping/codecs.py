# SPDX-License-Identifier: MIT
"""Codecs: they convert the keys and values of a Map to bytes and back.

LMDB compares keys byte by byte.  A codec of keys keeps the order of the keys if smaller keys have
smaller bytes.  UTF-8 does: it sorts as the code points do.  Integers are stored with the highest
byte first; signed ones also have the sign bit inverted.  ``tuples.py`` describes the bytes of
tuples.
"""

from __future__ import annotations

from numbers import Number
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from .._base.integers import integer
from .._base.words import counted
from ..errors import InvalidParameterError, unknown_word

if TYPE_CHECKING:
    from collections.abc import Callable

_WORD = Struct(">Q")
_SIGN_OFFSET, _UINT64_END = 2**63, 2**64


class Codec(NamedTuple):
    """A pair of functions, and a third one for keys that can have prefixes.

    ``encode_prefix(prefix)`` returns the bytes with which all keys with that prefix begin.
    """

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    encode_prefix: Callable[[Any], bytes] | None = None


def key_codec(codec: object) -> Codec:
    """Return the codec for the ``key`` argument of a Map."""
    return _find("key", codec, _KEYS)


def value_codec(codec: object) -> Codec:
    """Return the codec for the ``value`` argument of a Map."""
    return _find("value", codec, _VALUES)


def _find(role: str, codec: Any, known: dict[str, Callable[[], Codec]]) -> Codec:
    if isinstance(codec, str):
        if codec in known:
            return known[codec]()
        raise unknown_word(f"Map: {role}", codec, known, ", or a pair of functions")
    try:
        encode, decode = codec
    except (TypeError, ValueError):
        pass
    else:
        if all(map(callable, (encode, decode))):
            return Codec(encode, decode)
    names = ", ".join(map(repr, known))
    raise TypeError(
        f"Map: {role} must be one of {names}, or a pair of functions (encode, decode),"
        f" not {codec!r}"
    )


def _with_prefixes(encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]) -> Codec:
    return Codec(encode, decode, encode)


# the codecs that take values of other types
_TAKES: dict[str, tuple[tuple[type, str], ...]] = {
    "key": ((str, "str"), (int, "int"), (tuple, "tuple")),
    "value": ((str, "str"), *((kind, "json") for kind in (int, float, dict, list, tuple))),
}


# -- bytes and text --------------------------------------------------------------------


def _encoder_of_bytes(role: str) -> Callable[[Any], bytes]:
    def encode(value: object) -> bytes:
        if type(value) is bytes:
            return value
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        name = next((name for kind, name in _TAKES[role] if isinstance(value, kind)), None)
        hint = f"{role}= chooses another type" if name is None else f"use {role}={name!r}"
        raise TypeError(f"{role} must be bytes, not {type(value).__name__}; for this Map, {hint}")

    return encode


def _encoder_of_text(role: str) -> Callable[[Any], bytes]:
    def encode(value: object) -> bytes:
        if isinstance(value, str):
            return value.encode()
        raise TypeError(f"{role} must be str, not {type(value).__name__}")

    return encode


def _encoder_of_bytes_or_text(role: str) -> Callable[[Any], bytes]:
    def encode(value: object) -> bytes:
        if isinstance(value, str):
            return value.encode("latin-1")
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        raise TypeError(f"{role} must be bytes or str, not {type(value).__name__}")

    return encode


# -- integers --------------------------------------------------------------------------


def _integer(value: Any) -> int:
    return integer("key", value)


def _encode_signed(value: object) -> bytes:
    number = _integer(value)
    if not -_SIGN_OFFSET <= number < _SIGN_OFFSET:
        raise OverflowError(
            f"key must be between {-_SIGN_OFFSET} and {_SIGN_OFFSET - 1}, not {number}"
        )
    return _WORD.pack(number + _SIGN_OFFSET)


def _encode_unsigned(value: object) -> bytes:
    number = _integer(value)
    if not 0 <= number < _UINT64_END:
        raise OverflowError(f"key must be between 0 and {_UINT64_END - 1}, not {number}")
    return _WORD.pack(number)


def _decode_unsigned(data: bytes) -> int:
    if len(data) != 8:
        raise InvalidParameterError(
            f"key {data!r} is not an integer: it has {counted(len(data), 'byte')}, not 8"
        )
    number: int = _WORD.unpack(data)[0]
    return number


def _decode_signed(data: bytes) -> int:
    return _decode_unsigned(data) - _SIGN_OFFSET


# -- objects ---------------------------------------------------------------------------


def _tuples() -> Codec:
    from . import tuples as _tuples_module

    return Codec(_tuples_module.encode, _tuples_module.decode, _tuples_module.encode_prefix)


def _json() -> Codec:
    import json

    def encode(value: object) -> bytes:
        try:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        except TypeError as failure:
            raise TypeError(
                f"Map: value='json' cannot store a value: {failure}; use what JSON has, or open the"
                " Map with value='pickle' or a pair of functions"
            ) from failure
        # A str may have half of a surrogate pair; json.loads() can read that.
        return text.encode("utf-8", "surrogatepass")

    return Codec(encode, json.loads)


def _npy() -> Codec:
    from .. import arrays

    return Codec(arrays.dumps, arrays.loads)


def _pickle() -> Codec:
    import pickle

    return Codec(lambda value: pickle.dumps(value, pickle.HIGHEST_PROTOCOL), pickle.loads)


def check_number(what: str, value: object) -> None:
    """Raise TypeError if a value is not a number, for ``increment``."""
    if not isinstance(value, Number) or isinstance(value, bool):
        raise TypeError(f"increment: {what} must be a number, not {type(value).__name__}")


_KEYS: dict[str, Callable[[], Codec]] = {
    "bytes": lambda: _with_prefixes(_encoder_of_bytes("key"), bytes),
    "str": lambda: _with_prefixes(_encoder_of_text("key"), bytes.decode),
    "int": lambda: Codec(_encode_signed, _decode_signed),
    "uint": lambda: Codec(_encode_unsigned, _decode_unsigned),
    "tuple": _tuples,
    "dbm": lambda: _with_prefixes(_encoder_of_bytes_or_text("key"), bytes),
}
_VALUES: dict[str, Callable[[], Codec]] = {
    "bytes": lambda: Codec(_encoder_of_bytes("value"), bytes),
    "str": lambda: Codec(_encoder_of_text("value"), bytes.decode),
    "json": _json,
    "npy": _npy,
    "pickle": _pickle,
    "dbm": lambda: Codec(_encoder_of_bytes_or_text("value"), bytes),
}
