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
    from collections.abc import Callable, Iterator

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


class Lines:
    """A dump that is read line by line; ``number`` is that of the last line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.number, self.size = file, 0, 0

    def next(self) -> bytes | None:
        """Return the next line without its line break; None at the end of the file."""
        line = self._file.readline()
        if not line:
            return None
        self.number += 1
        self.size += len(line)
        if not line.endswith(b"\n"):
            raise self.error("the dump is truncated: this line has no line break")
        return line[:-1]

    def error(self, problem: str) -> InvalidParameterError:
        """Return the exception for an invalid line."""
        return InvalidParameterError(f"load: line {self.number}: {problem}")

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

    def records(self, encoding: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys and values of a section."""
        read = ENCODINGS[encoding][1]
        while True:
            key = self._datum(read)
            if key is None:
                return
            value = self._datum(read)
            if value is None:
                raise self.error("the last key has no value")
            yield key, value

    def _datum(self, read: Callable[[bytes], bytes]) -> bytes | None:
        line = self.next()
        if line is None:
            raise self.error("the dump is truncated: it ends without DATA=END")
        if line == b"DATA=END":
            return None
        if line[:1] != b" ":
            raise self.error(f"a line of a record must begin with a space, not be {_shorten(line)}")
        return self._decode(read, line[1:])

    def _decode(self, read: Callable[[bytes], bytes], text: bytes) -> bytes:
        try:
            return read(text)
        except ValueError as problem:
            raise self.error(str(problem)) from None

    def plain_records(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values of text without headers and leading spaces (``mdb_load -T``)."""
        while True:
            key = self.next()
            if key is None:
                return
            value = self.next()
            if value is None:
                raise self.error("the last key has no value")
            yield self._decode(from_printable, key), self._decode(from_printable, value)


def _shorten(text: bytes) -> str:
    return repr(text if len(text) <= 40 else text[:40] + b"...")
