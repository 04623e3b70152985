# SPDX-License-Identifier: MIT
"""The text that mdb_dump writes and mdb_load reads: headers, and records in two spellings.

A section is a header, ``HEADER=END``, for each record a line with the key and one with the
value, each behind a space, and ``DATA=END``.  With ``format=bytevalue`` a line is in
hexadecimal; with ``format=print`` printable ASCII is as it is, a backslash is doubled, and
other bytes are a backslash and two hexadecimal digits.
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
# said for other programs; a map grows by itself, and pages are the system's
_IGNORED = (b"mapsize", b"mapaddr", b"maxreaders", b"db_pagesize")

_PRINTABLE = [bytes([byte]) if 0x20 <= byte < 0x7F else b"\\%02x" % byte for byte in range(256)]
_PRINTABLE[0x5C] = b"\\\\"
_SPECIAL = re.compile(rb"[^ -\[\]-~]")
_ESCAPE = re.compile(rb"\\(\\|[0-9a-fA-F]{2}|)")


def printable(data: bytes) -> bytes:
    """``data`` as ``format=print`` has it."""
    return b"".join([_PRINTABLE[byte] for byte in data]) if _SPECIAL.search(data) else data


def from_printable(line: bytes) -> bytes:
    """What ``printable`` was given."""
    return _ESCAPE.sub(_escaped, line) if b"\\" in line else line


def _escaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if not code:
        raise ValueError("a backslash must be doubled or be followed by two hexadecimal digits")
    return code if code == b"\\" else unhexlify(code)


def from_hexadecimal(line: bytes) -> bytes:
    """The bytes that a line of ``format=bytevalue`` stands for."""
    try:
        return unhexlify(line)
    except NotHex as problem:
        raise ValueError(f"not hexadecimal: {problem}") from None


# by what the header calls it: to a line, and from one
SPELLINGS: dict[bytes, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    b"bytevalue": (hexlify, from_hexadecimal),
    b"print": (printable, from_printable),
}


class Section:
    """What a header says: the database's name and flags (None: nothing), and the spelling."""

    def __init__(self, name: bytes | None = None, flags: int | None = 0) -> None:
        self.name, self.flags, self.spelling = name, flags, b"bytevalue"


class Lines:
    """A dump, read line by line; ``number`` is that of the line read last."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.number, self.size = file, 0, 0

    def next(self) -> bytes | None:
        """The next line without its end; None at the end of the file."""
        line = self._file.readline()
        if not line:
            return None
        self.number += 1
        self.size += len(line)
        if not line.endswith(b"\n"):
            raise self.error("the dump is cut short: this line has no end")
        return line[:-1]

    def error(self, problem: str) -> InvalidParameterError:
        """The exception for a line that cannot be."""
        return InvalidParameterError(f"load: line {self.number}: {problem}")

    def section(self) -> Section | None:
        """The next header; None if there is no more."""
        section = Section()
        line = self.next()
        if line is None:
            return None
        while line != b"HEADER=END":
            word, equals, value = line.partition(b"=")
            if not equals:
                raise self.error(f"a header has lines of the form name=value, not {_short(line)}")
            self._take(section, word, value)
            line = self.next()
            if line is None:
                raise self.error("the dump is cut short: it ends inside a header")
        return section

    def _take(self, section: Section, word: bytes, value: bytes) -> None:
        if word == b"VERSION":
            if value not in (b"1", b"2", b"3"):
                raise self.error(f"VERSION must be at most 3, not {_short(value)}")
        elif word == b"format":
            if value not in SPELLINGS:
                raise self.error(f"format must be bytevalue or print, not {_short(value)}")
            section.spelling = value
        elif word == b"type":
            if value != b"btree":
                raise self.error(f"type must be btree, not {_short(value)}")
        elif word == b"database":
            section.name = value
        elif word == b"duplicates" or word in FLAGS:
            if value != b"0":
                section.flags = (section.flags or 0) | FLAGS.get(word, flags.MDB_DUPSORT)
        elif word not in _IGNORED:
            warnings.warn(f"load: line {self.number}: {_short(word)} is not known", stacklevel=2)

    def records(self, spelling: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The keys and values of a section."""
        read = SPELLINGS[spelling][1]
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
            raise self.error("the dump is cut short: it ends without DATA=END")
        if line == b"DATA=END":
            return None
        if line[:1] != b" ":
            raise self.error(f"a line of a record begins with a space; this is {_short(line)}")
        return self._parsed(read, line[1:])

    def _parsed(self, read: Callable[[bytes], bytes], text: bytes) -> bytes:
        try:
            return read(text)
        except ValueError as problem:
            raise self.error(str(problem)) from None

    def plain_records(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values without headers and spaces before them, as ``mdb_load -T`` reads."""
        while True:
            key = self.next()
            if key is None:
                return
            value = self.next()
            if value is None:
                raise self.error("the last key has no value")
            yield self._parsed(from_printable, key), self._parsed(from_printable, value)


def _short(text: bytes) -> str:
    return repr(text if len(text) <= 40 else text[:40] + b"...")
