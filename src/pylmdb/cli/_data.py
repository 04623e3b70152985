# SPDX-License-Identifier: MIT
"""Keys and values between bytes and what people type and read."""

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

# an array in the .npy format begins so
_NPY = b"\x93NUMPY"


class UnfitError(ValueError):
    """Bytes that are not in the format they are to be shown in."""


def _hex(data: bytes) -> str:
    return data.hex()


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as problem:
        raise UnfitError(f"not text in UTF-8: {problem}") from None


def _json(data: bytes) -> object:
    try:
        return json.loads(data, parse_constant=_no_json)
    except (ValueError, RecursionError) as problem:
        raise UnfitError(f"not JSON: {problem}") from None


def _no_json(word: str) -> NoReturn:
    raise UnfitError(f"{word} is none of its numbers")


def _integer(order: Literal["little", "big"], signed: bool = False) -> Callable[[bytes], Any]:
    def read(data: bytes) -> int:
        if len(data) not in (1, 2, 4, 8):
            raise UnfitError(f"not an integer: {len(data)} bytes")
        return int.from_bytes(data, order, signed=signed)

    return read


def _npy(data: bytes) -> NDArray[Any]:
    from ..arrays import loads

    return loads(data)


# by the name of the format
SHOW: dict[str, Callable[[bytes], Any]] = {
    "text": _text,
    "hex": _hex,
    "int": _integer("big"),
    "signed": _integer("big", signed=True),
    "native": _integer(sys.byteorder),
    "json": _json,
    "npy": _npy,
}


def _auto(data: bytes) -> str | None:
    """Text where it is readable, else hexadecimal."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\n\t" for char in text) else None


def _is_array(data: bytes) -> bool:
    """Whether this is an array that can be read here."""
    if not data.startswith(_NPY):
        return False
    try:
        _npy(data)
    except (Error, ValueError, TypeError, ImportError):
        return False
    return True


def _shown(data: bytes, form: str, width: int = 0) -> str:
    """Bytes for a line of text; beyond ``width`` characters they are cut (0: never)."""
    if form == "auto":
        text = _auto(data)
        if text is None and _is_array(data):
            return _shown(data, "npy", width)
        result = "0x" + data.hex() if text is None else text
    elif form == "npy":
        array = _npy(data)
        values = " ".join(str(array).split())
        result = f"{array.dtype} {array.shape} {values}"
    else:
        value = SHOW[form](data)
        result = json.dumps(value, ensure_ascii=False) if form == "json" else str(value)
    result = visible(result)
    if width and len(result) > width:
        return f"{result[: width - 1]}… ({len(data)} bytes)"
    return result


def _for_json(data: bytes, form: str) -> object:
    """Bytes as a value of JSON; in ``auto``, what is no text is {"hex": ...}."""
    if form == "auto":
        if _is_array(data):
            return _for_json(data, "npy")
        text = _auto(data)
        return {"hex": data.hex()} if text is None else text
    value = SHOW[form](data)
    if form == "npy":
        return {"dtype": str(value.dtype), "shape": value.shape, "data": _plain(value.tolist())}
    return value


def _plain(value: object) -> object:
    """An array's elements as JSON has them: null for what is no finite number."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, bytes):
        return _for_json(value, "auto")
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _parsed(text: str, form: str, width: int) -> bytes:
    """The bytes that an argument means."""
    if form in ("auto", "text"):
        return text.encode("utf-8", "surrogateescape")
    if form == "hex":
        return bytes.fromhex(text.removeprefix("0x"))
    if form == "json":
        data = text.encode("utf-8", "surrogateescape")
        _json(data)
        return data
    if form == "npy":
        raise ValueError("an array cannot be typed; put -f takes a file")
    try:
        number = int(text, 0)
        order: Literal["little", "big"] = sys.byteorder if form == "native" else "big"
        return number.to_bytes(width, order, signed=form == "signed")
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not an integer of {width * 8} bits") from None


class Format:
    """How the keys, or the values, of a database are written."""

    def __init__(self, name: str, is_native: int, first: bytes) -> None:
        self._name = "native" if name == "auto" and is_native else name
        # integers of liblmdb's own have the width of those that are there
        self._width = len(first) if is_native and first else 8

    def read(self, text: str) -> bytes:
        """What an argument means."""
        return _parsed(text, self._name, self._width)

    def text(self, data: bytes, width: int = 0) -> str:
        """Bytes for a line of text; beyond ``width`` characters they are cut (0: never)."""
        return _shown(data, self._name, width)

    def json(self, data: bytes) -> object:
        """Bytes as a value of JSON."""
        return _for_json(data, self._name)


def formats(
    args: argparse.Namespace, txn: Transaction[bytes], db: Database
) -> tuple[Format, Format]:
    """Those of a database's keys and of its values; ``auto`` knows databases of integers."""
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
    """The options that say how keys and values are written."""
    for what, choices in (("key", ["text", "hex", "int", "signed", "native"]), ("value", [*SHOW])):
        command.add_argument(
            f"--{what}-format", choices=["auto", *choices], default="auto",
            help=f"how {what}s are written: int is big-endian, native as integerkey databases"
            " have them; by default text, and 0x... where that is not readable",
        )  # fmt: skip
