# SPDX-License-Identifier: MIT
"""Conversion of keys and values between bytes and text for the terminal."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Any

from .._base.flags import MDB_INTEGERDUP, MDB_INTEGERKEY
from ..errors import Error
from ._output import visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, NoReturn

    from numpy.typing import NDArray

    from ..database import Database
    from ..transaction import Transaction

# the first bytes of an array in the .npy format
_NPY = b"\x93NUMPY"


class FormatError(ValueError):
    """Bytes that are not in the requested format."""


def _hex(data: bytes) -> str:
    return data.hex()


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as problem:
        raise FormatError(f"not text in UTF-8: {problem}") from None


def _json(data: bytes) -> object:
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        raise FormatError(f"not JSON: {problem}") from None


def _refuse_constant(word: str) -> NoReturn:
    raise FormatError(f"{word} is not a number of JSON")


def _integer(order: Literal["little", "big"], signed: bool = False) -> Callable[[bytes], Any]:
    def read(data: bytes) -> int:
        if len(data) not in (1, 2, 4, 8):
            raise FormatError(f"not an integer: {len(data)} bytes, not 1, 2, 4 or 8")
        return int.from_bytes(data, order, signed=signed)

    return read


def _npy(data: bytes) -> NDArray[Any]:
    from ..arrays import loads

    return loads(data)


# by the name of a format: a function that decodes it
DECODERS: dict[str, Callable[[bytes], Any]] = {
    "text": _text,
    "hex": _hex,
    "int": _integer("big"),
    "signed": _integer("big", signed=True),
    "native": _integer(sys.byteorder),
    "json": _json,
    "npy": _npy,
}


def _readable_text(data: bytes) -> str | None:
    """Return the data as text, or None if it is not readable."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\n\t" for char in text) else None


def _is_array(data: bytes) -> bool:
    """Return True if the data is an array that can be read here."""
    if not data.startswith(_NPY):
        return False
    try:
        _npy(data)
    except (Error, ValueError, TypeError, ImportError):
        return False
    return True


def _format_text(data: bytes, format_name: str, width: int = 0) -> str:
    """Return data as a line of text, cut to ``width`` characters (0: not cut)."""
    if format_name == "auto":
        text = _readable_text(data)
        if text is None and _is_array(data):
            return _format_text(data, "npy", width)
        result = "0x" + data.hex() if text is None else text
    elif format_name == "npy":
        array = _npy(data)
        values = " ".join(str(array).split())
        result = f"{array.dtype} {array.shape} {values}"
    else:
        value = DECODERS[format_name](data)
        result = json.dumps(value, ensure_ascii=False) if format_name == "json" else str(value)
    result = visible(result)
    if width and len(result) > width:
        return f"{result[: width - 1]}… ({len(data)} bytes)"
    return result


def _format_json(data: bytes, format_name: str) -> object:
    """Return data as a value for JSON; with ``auto``, unreadable data is {"hex": ...}."""
    if format_name == "auto":
        if _is_array(data):
            return _format_json(data, "npy")
        text = _readable_text(data)
        return {"hex": data.hex()} if text is None else text
    value = DECODERS[format_name](data)
    if format_name == "npy":
        return {
            "dtype": str(value.dtype),
            "shape": value.shape,
            "data": _json_value(value.tolist()),
        }
    return value


def _json_value(value: object) -> object:
    """Convert the elements of an array for JSON; nan and infinite numbers become null."""
    if isinstance(value, (list, tuple)):
        return [_json_value(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, complex):
        return [_json_value(value.real), _json_value(value.imag)]
    if isinstance(value, bytes):
        return _format_json(value, "auto")
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _parse(text: str, format_name: str, width: int) -> bytes:
    """Return the bytes of a command-line argument."""
    if format_name in ("auto", "text"):
        return text.encode("utf-8", "surrogateescape")
    if format_name == "hex":
        return bytes.fromhex(text.removeprefix("0x"))
    if format_name == "json":
        data = text.encode("utf-8", "surrogateescape")
        _json(data)
        return data
    if format_name == "npy":
        raise ValueError("an array cannot be given as an argument; use put -f FILE")
    try:
        number = int(text, 0)
        order: Literal["little", "big"] = sys.byteorder if format_name == "native" else "big"
        return number.to_bytes(width, order, signed=format_name == "signed")
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not an integer of {width * 8} bits") from None


class Format:
    """The format in which the keys, or the values, of a database are shown and typed."""

    def __init__(self, name: str, is_native: int, first: bytes) -> None:
        self._name = "native" if name == "auto" and is_native else name
        # integers of integerkey databases have the width of the existing ones
        self._width = len(first) if is_native and first else 8

    def read(self, text: str) -> bytes:
        """Return the bytes of a command-line argument."""
        return _parse(text, self._name, self._width)

    def text(self, data: bytes, width: int = 0) -> str:
        """Return data as a line of text, cut to ``width`` characters (0: not cut)."""
        return _format_text(data, self._name, width)

    def json(self, data: bytes) -> object:
        """Return data as a value for JSON."""
        return _format_json(data, self._name)


def formats(
    args: argparse.Namespace, txn: Transaction[bytes], db: Database
) -> tuple[Format, Format]:
    """Return the formats of keys and values; ``auto`` recognizes databases of integers."""
    flags = db._flags
    key = value = b""
    if flags & (MDB_INTEGERKEY | MDB_INTEGERDUP):
        with txn.cursor(db) as cursor:
            if cursor.first():
                key, value = cursor.item()
    return (
        Format(args.key_format, flags & MDB_INTEGERKEY, key),
        Format(args.value_format, flags & MDB_INTEGERDUP, value),
    )


def add_formats(command: argparse.ArgumentParser) -> None:
    """Add the options for the formats of keys and values."""
    for what, choices in (
        ("key", ["text", "hex", "int", "signed", "native"]),
        ("value", [*DECODERS]),
    ):
        command.add_argument(
            f"--{what}-format", choices=["auto", *choices], default="auto",
            help=f"show and read {what}s in this format; int is a big-endian integer, native is one"
            " as in integerkey databases; auto (the default) is text, or 0x... if the bytes are"
            " not readable text",
        )  # fmt: skip
