# SPDX-License-Identifier: MIT
"""The text format of mdb_dump and mdb_load: headers, and records in one of two encodings.

A section has a header, ``HEADER=END``, two lines for each record (the key and the value, each
after a space), and ``DATA=END``.  With ``format=bytevalue`` lines are hexadecimal.  With
``format=print`` printable ASCII is unchanged, a backslash is doubled, and other bytes are a
backslash and two hexadecimal digits.
"""

from __future__ import annotations

import re
import warnings
from binascii import Error as NotHex
from binascii import hexlify, unhexlify
from typing import TYPE_CHECKING, BinaryIO

from .._base import flags
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._engine import Engine

# liblmdb's flags, in the order of mdb_dump's headers
FLAGS = {
    b"reversekey": flags.MDB_REVERSEKEY,
    b"dupsort": flags.MDB_DUPSORT,
    b"integerkey": flags.MDB_INTEGERKEY,
    b"dupfixed": flags.MDB_DUPFIXED,
    b"integerdup": flags.MDB_INTEGERDUP,
    b"reversedup": flags.MDB_REVERSEDUP,
}
# written for other programs; here the map grows by itself, and the system sets the page size
_IGNORED_FIELDS = (b"mapsize", b"mapaddr", b"maxreaders", b"db_pagesize")

# records that are parsed at once
_ROOM = 8192

_PRINTABLE = [bytes([byte]) if 0x20 <= byte < 0x7F else b"\\%02x" % byte for byte in range(256)]
_PRINTABLE[0x5C] = b"\\\\"
_SPECIAL = re.compile(rb"[^ -\[\]-~]")
_ESCAPE = re.compile(rb"\\(\\|[0-9a-fA-F]{2}|)")


def printable(data: bytes) -> bytes:
    """Encode ``data`` for ``format=print``."""
    return b"".join([_PRINTABLE[byte] for byte in data]) if _SPECIAL.search(data) else data


def from_printable(line: bytes) -> bytes:
    """Decode a line of ``format=print``."""
    return _ESCAPE.sub(_escaped, line) if b"\\" in line else line


def _escaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if not code:
        raise ValueError("a backslash must be doubled or be followed by two hexadecimal digits")
    return code if code == b"\\" else unhexlify(code)


def from_hexadecimal(line: bytes) -> bytes:
    """Decode a line of ``format=bytevalue``."""
    try:
        return unhexlify(line)
    except NotHex as problem:
        raise ValueError(f"not hexadecimal: {problem}") from None


# by the value of ``format`` in the header: a function that encodes, and one that decodes
ENCODINGS: dict[bytes, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    b"bytevalue": (hexlify, from_hexadecimal),
    b"print": (printable, from_printable),
}


class Section:
    """A header: the name and flags of the database (None if unknown), and the encoding."""

    def __init__(self, name: bytes | None = None, flags: int | None = 0) -> None:
        self.name, self.flags, self.encoding = name, flags, b"bytevalue"


class TextRecords:
    """Records in text, which are parsed in C.

    :ivar native: the ``struct pylmdb_text *`` that has the records.
    :ivar decode: a function that decodes a line.
    :ivar indented: whether lines begin with a space; they do not in text without headers.
    """

    def __init__(self, engine: Engine, encoding: bytes, indented: bool) -> None:
        self.decode, self.indented = ENCODINGS[encoding][1], indented
        self._engine, self._decoded = engine, engine.ffi.new("char[]", 0)
        self._records = engine.ffi.new("MDB_val[]", 2 * _ROOM)
        self.native = engine.ffi.new("struct pylmdb_text *")
        self.native.printable, self.native.indented = encoding == b"print", indented
        self.native.records, self.native.room = self._records, _ROOM

    def parse(self, text: bytes, at: int) -> tuple[int, int]:
        """Parse text from ``at`` on; return the number of complete records, and of their bytes."""
        ffi, native, size = self._engine.ffi, self.native, len(text) - at
        self._text = ffi.from_buffer(text)
        if len(self._decoded) < size:
            self._decoded = ffi.new("char[]", size)
        native.bytes, native.size, native.decoded = self._text + at, size, self._decoded
        self._engine.lib.pylmdb_text_parse(native)
        return native.count, native.used


class Lines:
    """A dump that is read in large parts; ``number`` is that of the last line, ``size`` the number
    of bytes up to its end."""

    def __init__(self, file: BinaryIO, step: int = 1 << 20) -> None:
        self._file, self._step, self._text, self._at = file, step, b"", 0
        self.number, self.size = 0, 0

    def next(self) -> bytes | None:
        """Return the next line without its line break; None at the end of the file."""
        end = self._text.find(b"\n", self._at)
        while end < 0:
            searched = len(self._text) - self._at
            if not self._read_more():
                break
            end = self._text.find(b"\n", searched)
        line = self._text[self._at : end if end >= 0 else None]
        if end < 0 and not line:
            return None
        self._pass(1, len(line) + (end >= 0))
        if end < 0:
            raise self.error("the dump is truncated: this line has no line break")
        return line

    def _read_more(self) -> bool:
        """Read as much as is waiting, or more; False at the end of the file."""
        rest = self._text[self._at :]
        more = self._file.read(max(self._step, len(rest)))
        if more:
            self._text, self._at = rest + more, 0
        return bool(more)

    def _pass(self, lines: int, size: int) -> None:
        self._at += size
        self.number += lines
        self.size += size

    def error(self, problem: str) -> InvalidParameterError:
        """Return the exception for an invalid line, or for a text without lines."""
        where = f"line {self.number}: " if self.number else ""
        return InvalidParameterError(f"load: {where}{problem}")

    def section(self) -> Section | None:
        """Return the next header; None if there are no more."""
        section = Section()
        line = self.next()
        if line is None:
            return None
        while line != b"HEADER=END":
            word, equals, value = line.partition(b"=")
            if not equals:
                raise self.error(f"a header has lines of the form name=value, not {_shorten(line)}")
            self._apply_field(section, word, value)
            line = self.next()
            if line is None:
                raise self.error("the dump is truncated: it ends inside a header")
        return section

    def _apply_field(self, section: Section, word: bytes, value: bytes) -> None:
        if word == b"VERSION":
            if value not in (b"1", b"2", b"3"):
                raise self.error(f"VERSION must be 1, 2 or 3, not {_shorten(value)}")
        elif word == b"format":
            if value not in ENCODINGS:
                raise self.error(f"format must be bytevalue or print, not {_shorten(value)}")
            section.encoding = value
        elif word == b"type":
            if value != b"btree":
                raise self.error(f"type must be btree, not {_shorten(value)}")
        elif word == b"database":
            section.name = value
        elif word == b"duplicates" or word in FLAGS:
            if value != b"0":
                section.flags = (section.flags or 0) | FLAGS.get(word, flags.MDB_DUPSORT)
        elif word not in _IGNORED_FIELDS:
            warnings.warn(
                f"load: line {self.number}: {_shorten(word)} is not a known field; it is ignored",
                stacklevel=2,
            )

    def parse(self, records: TextRecords) -> int:
        """Parse the next records of a section; return their number, 0 at its end."""
        while True:
            count, used = records.parse(self._text, self._at)
            if count:
                self._pass(2 * count, used)
                return count
            if self._text.count(b"\n", self._at) < 2 and self._read_more():
                continue
            self._end_section(records)
            return 0

    def _end_section(self, records: TextRecords) -> None:
        """Read the end of a section; raise the exception for any other text."""
        if self._datum(records) is None:
            return
        if self._datum(records) is None:
            raise self.error("the last key has no value")
        raise self.error("the record is not valid")

    def _datum(self, records: TextRecords) -> bytes | None:
        """Decode the next line of a record; None at the end of the section."""
        line = self.next()
        if records.indented:
            if line is None:
                raise self.error("the dump is truncated: it ends without DATA=END")
            if line == b"DATA=END":
                return None
            if line[:1] != b" ":
                raise self.error(
                    f"a line of a record must begin with a space, not be {_shorten(line)}"
                )
            line = line[1:]
        return None if line is None else self._decode(records.decode, line)

    def _decode(self, read: Callable[[bytes], bytes], text: bytes) -> bytes:
        try:
            return read(text)
        except ValueError as problem:
            raise self.error(str(problem)) from None


def _shorten(text: bytes) -> str:
    return repr(text if len(text) <= 40 else text[:40] + b"...")
