# SPDX-License-Identifier: MIT
"""Conversion of keys, values and names between bytes and what is shown and typed.

In the format ``auto`` readable text is itself, and other bytes are ``0x`` and hexadecimal digits.
Text that looks like that is written as ``0x...``, too.  So what is shown can be used as an
argument.
In JSON text is a string, and other bytes are ``{"hex": "..."}``.
"""

from __future__ import annotations

import argparse
import ast
import base64
import json
import math
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .._base.flags import MDB_INTEGERDUP, MDB_INTEGERKEY
from .._base.words import counted
from ..errors import Error
from ._output import print_error, visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, NoReturn

    from numpy.typing import NDArray

    from ..database import Database
    from ..transaction import Transaction

# the first bytes of an array in the .npy format
_NPY = b"\x93NUMPY"
# bytes or text in a message, as repr() writes them
_LITERAL = re.compile(r"""(?<!\w)b?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
# how bytes are written that are not readable text
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})+")
# characters that are not printable, but readable in a value
_BLANKS = "\n\t"
# the formats of integers, and the bytes of one if the database has none
_NUMBERS, _WIDTH = ("int", "signed", "native"), 8
# how many records that are not in the requested format are named
_MAX_NAMED = 10


class FormatError(ValueError):
    """Bytes that are not in the requested format."""


def _hex(data: bytes) -> str:
    return data.hex()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


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
    "base64": _base64,
    "int": _integer("big"),
    "signed": _integer("big", signed=True),
    "native": _integer(sys.byteorder),
    "json": _json,
    "npy": _npy,
}


def _readable_text(data: bytes, blanks: str = _BLANKS) -> str | None:
    """Return the data as text, or None if it is not readable.

    :param blanks: unprintable characters that are accepted.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if text.isprintable() or all(char.isprintable() or char in blanks for char in text):
        return text
    return None


def _text_or_hex(data: bytes, blanks: str) -> str:
    """Return readable text, or ``0x...``, from which :func:`_parse` makes the same bytes."""
    text = _readable_text(data, blanks)
    return "0x" + data.hex() if text is None or _HEX.fullmatch(text) else text


def _is_array(data: bytes) -> bool:
    """Return True if the data is an array that can be read here."""
    if not data.startswith(_NPY):
        return False
    try:
        _npy(data)
    except (Error, ValueError, TypeError, ImportError):
        return False
    return True


def _format_text(data: bytes, format_name: str, is_value: bool, width: int = 0) -> str:
    """Return data as a line of text, cut to ``width`` characters (0: not cut)."""
    if format_name == "auto":
        if is_value and _is_array(data):
            return _format_text(data, "npy", is_value, width)
        result = _text_or_hex(data, _BLANKS if is_value else "")
    elif format_name == "npy":
        array = _npy(data)
        values = " ".join(str(array).split())
        result = f"{array.dtype} {array.shape} {values}"
    else:
        value = DECODERS[format_name](data)
        result = json.dumps(value, ensure_ascii=False) if format_name == "json" else str(value)
    result = visible(result)
    if width and len(result) > width:
        return f"{result[: width - 1]}… ({counted(len(data), 'byte')})"
    return result


def _format_json(data: bytes, format_name: str, is_value: bool = False) -> object:
    """Return data as a value for JSON; with ``auto``, unreadable data is {"hex": ...}."""
    if format_name == "auto":
        if is_value and _is_array(data):
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
    """Return the bytes of a command-line argument, or of a cell of a table."""
    if format_name == "auto" and _HEX.fullmatch(text):
        return bytes.fromhex(text[2:])
    if format_name in ("auto", "text"):
        return text.encode("utf-8", "surrogateescape")
    if format_name == "json":
        data = text.encode("utf-8", "surrogateescape")
        _json(data)
        return data
    if format_name == "npy":
        raise FormatError("an array cannot be given as an argument; use put -f FILE")
    try:
        if format_name == "hex":
            return bytes.fromhex(text.removeprefix("0x"))
        if format_name == "base64":
            return base64.b64decode(text, validate=True)
        return _packed(int(text, 0), format_name, width)
    except ValueError:
        raise FormatError(f"{text!r} is not {_described(format_name, width)}") from None


def _packed(number: int, format_name: str, width: int) -> bytes:
    order: Literal["little", "big"] = sys.byteorder if format_name == "native" else "big"
    try:
        return number.to_bytes(width, order, signed=format_name == "signed")
    except OverflowError:
        raise ValueError from None


def _described(format_name: str, width: int) -> str:
    names = {"hex": "hexadecimal", "base64": "base64", "json": "JSON", "text": "text"}
    return names.get(format_name) or f"an integer of {width * 8} bits"


def _parse_json(value: object, format_name: str, width: int) -> bytes:
    """Return the bytes that a value of JSON stands for."""
    if format_name == "json":
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "surrogatepass")
    if format_name == "auto" and isinstance(value, dict):
        for name, data in value.items():
            if len(value) == 1 and name in ("hex", "base64") and isinstance(data, str):
                return _parse(data, name, width)
        raise FormatError(
            f'{_shortened(value)} is neither text nor {{"hex": "..."}}; --value-format json'
            " stores values as JSON"
        )
    if isinstance(value, str) and format_name in ("auto", "text"):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise FormatError(f"{_shortened(value)} has half of a surrogate pair") from None
    if isinstance(value, str):
        return _parse(value, format_name, width)
    if isinstance(value, int) and format_name in _NUMBERS:
        with suppress(ValueError):
            return _packed(value, format_name, width)
    wanted = "text" if format_name == "auto" else _described(format_name, width)
    raise FormatError(f"{_shortened(value)} is not {wanted}; choose another format")


def _shortened(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 64 else f"{text[:63]}…"


class Format:
    """The format in which the keys, or the values, of a database are shown and typed.

    :param is_native: whether they are integers of this machine; ``auto`` shows them as numbers.
    :param first: an existing one.
    :param is_value: True for values, which may be arrays, or text with line breaks and tabs.
    """

    def __init__(self, name: str, is_native: int, first: bytes, is_value: bool = False) -> None:
        self._name, self._is_value = name, is_value
        self._is_native = name == "auto" and bool(is_native)
        self._shown = "native" if self._is_native else name
        # integers of integerkey databases have the width of the existing ones
        self._width = len(first) if is_native and first else _WIDTH

    def read(self, text: str) -> bytes:
        """Return the bytes of a command-line argument, or of a cell of a table."""
        name = self._name if _HEX.fullmatch(text) else self._shown
        return _parse(text, name, self._width)

    def read_json(self, value: object) -> bytes:
        """Return the bytes of a value from JSON."""
        name = self._name if isinstance(value, dict) else self._shown
        return _parse_json(value, name, self._width)

    def text(self, data: bytes, width: int = 0) -> str:
        """Return data as a line of text, cut to ``width`` characters (0: not cut)."""
        return _format_text(data, self._shown, self._is_value, width)

    def json(self, data: bytes) -> object:
        """Return data as a value for JSON."""
        return _format_json(data, self._shown, self._is_value)

    def exact_text(self, data: bytes) -> str:
        """Return data as text from which ``read`` makes the same bytes, also if the database is
        new."""
        if self._is_native and len(data) != _WIDTH:
            return "0x" + data.hex()
        if self._shown == "auto":
            return _text_or_hex(data, _BLANKS)
        value = self._exact_value(data)
        return data.decode() if self._name == "json" else str(value)

    def exact_json(self, data: bytes) -> object:
        """Return a value for JSON from which ``read_json`` makes the same bytes."""
        if self._is_native and len(data) != _WIDTH:
            return {"hex": data.hex()}
        if self._shown != "auto":
            return self._exact_value(data)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return {"hex": data.hex()}

    def _exact_value(self, data: bytes) -> object:
        if self._shown in _NUMBERS and len(data) != _WIDTH:
            raise FormatError(
                f"{counted(len(data), 'byte')}, but an integer is read as {_WIDTH} bytes"
            )
        return DECODERS[self._shown](data)


# the form in which names of databases, and keys in messages, are shown and typed
NAME = Format("auto", 0, b"")


def literals_as_text(text: str) -> str:
    """Return a message of pylmdb with keys and names as they are typed, instead of b'...'."""

    def replaced(found: re.Match[str]) -> str:
        literal = found[0]
        is_bytes = literal.startswith("b")
        return repr(NAME.text(ast.literal_eval(literal))) if is_bytes else literal

    return _LITERAL.sub(replaced, text)


def name_json(name: bytes | None) -> object:
    """Return the name of a database for JSON; the main one is null."""
    return None if name is None else NAME.json(name)


class Failures:
    """Names records that are not in the requested format on stderr.

    :ivar count: how many there were.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._args, self.count = args, 0

    def add(self, key: bytes, problem: FormatError) -> None:
        """Name the key of a record, and the problem with it."""
        self.count += 1
        if self.count <= _MAX_NAMED:
            print_error(self._args, f"key {NAME.text(key)}: {problem}")

    def status(self) -> int:
        """Return the exit status; say how many records were not named."""
        if self.count > _MAX_NAMED:
            print_error(self._args, f"and {self.count - _MAX_NAMED:,} more")
        return int(bool(self.count))


def formats(args: argparse.Namespace, txn: Transaction[Any], db: Database) -> tuple[Format, Format]:
    """Return the formats of keys and values that a command has chosen."""
    return formats_of(txn, db, args.key_format, args.value_format)


def formats_of(
    txn: Transaction[Any], db: Database, key_format: str = "auto", value_format: str = "auto"
) -> tuple[Format, Format]:
    """Return formats of keys and values; ``auto`` recognizes databases of integers."""
    flags = db._flags
    key = value = b""
    if flags & (MDB_INTEGERKEY | MDB_INTEGERDUP):
        with txn.cursor(db) as cursor:
            if cursor.first():
                key, value = cursor.item()
    return (
        Format(key_format, flags & MDB_INTEGERKEY, key),
        Format(value_format, flags & MDB_INTEGERDUP, value, True),
    )


def add_formats(command: argparse.ArgumentParser, *, key: bool = True, value: bool = True,
                arrays: bool = True) -> None:  # fmt: skip
    """Add the options for the formats of keys and values.

    :param arrays: False for commands that read what they write, which arrays shown as text do not
        allow.
    """
    for what, wanted, choices in (
        ("key", key, ["text", "hex", "base64", *_NUMBERS]),
        ("value", value, [name for name in DECODERS if arrays or name != "npy"]),
    ):
        if not wanted:
            continue
        command.add_argument(
            f"--{what}-format", choices=["auto", *choices], default="auto",
            help=f"show and read {what}s in this format; int is a big-endian integer of 8 bytes,"
            " native is one as in integerkey databases; auto (the default) is text, or 0x and"
            " hexadecimal digits if the bytes are not readable text",
        )  # fmt: skip
    if not (key and value):
        command.set_defaults(**{f"{each}_format": "auto" for each in ("key", "value")})
