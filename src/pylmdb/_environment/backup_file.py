# SPDX-License-Identifier: MIT
"""The file of a backup: ``docs/how-to/backup.md`` describes it byte by byte.

A header, blocks of pages, and an end.  A block lists pages of the snapshot, in ascending order, by
number and hash, and has the content of those that changed since the backup that it continues; a
full backup has all.  So the hashes in a file are those of the whole snapshot, and the next
increment is made by comparing with them.

The hash of a page is XXH3 with 128 bits; its seed is a part of the random number of the chain, so
nobody can choose values of records whose pages have the same hash.

The end has a hash of everything except the content of pages, which has the hashes in the blocks.
That hash identifies the backup, and an increment names the one that it continues.  Files are read
as hostile: nothing is believed before it was checked, and the memory is that of one block.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from itertools import compress
from operator import lt
from typing import TYPE_CHECKING, Any

from .. import _engine
from .._base.words import counted
from ..errors import (
    CorruptedError,
    InvalidError,
    VersionMismatchError,
    error,
)
from . import zstd as _zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

# The first byte is not ASCII, and the line breaks show a transfer as text.
MAGIC, VERSION = b"\x89LMDB\r\n\x1a", 1
_HEAD = struct.Struct("<8sHHIBBBxxxxxQQQQ16s32s")
_BLOCK = struct.Struct("<4sIIIQ")
_END = struct.Struct("<4sxxxxQQQ32s")
_BLOCK_MARK, _END_MARK = b"PAGE", b"DONE"
_PLAIN, _ZSTD = 0, 1
_FULL, _INCREMENT = 0, 1
HASH = 16
# the bytes of pages in a block
_BLOCK_BYTES = 1 << 20
_MIN_PAGE, _MAX_PAGE = 256, 65536
_RELEASES = {1: "LMDB 0.9", 3: "LMDB 1.0"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ORDER, _WORD = int(sys.byteorder == "big"), struct.calcsize("P")


@dataclass(frozen=True)
class Backup:
    """A backup, as :meth:`Environment.backup` and :func:`pylmdb.backup_info` return it.

    ``path``, its file, None if it was written to an open file; ``identity``, a hash of it, in
    hexadecimal; ``parent``, the identity of the backup that it continues, None for a full backup;
    ``chain``, a number that a full backup and its increments share, in hexadecimal; ``txnid``, the
    transaction of the snapshot; ``from_txnid``, the one of ``parent``, or None; ``time``, when the
    snapshot was taken, in UTC; ``size`` of the file in bytes; ``format``, 1 (LMDB 0.9) or 3
    (LMDB 1.0); ``page_size`` in bytes; ``pages``, how many pages there are up to the last one;
    ``used``, how many of them the snapshot uses; ``stored``, how many the file has.
    """

    path: str | None
    identity: str
    parent: str | None
    chain: str
    txnid: int
    from_txnid: int | None
    time: datetime
    size: int
    format: int
    page_size: int
    pages: int
    used: int
    stored: int

    @property
    def is_full(self) -> bool:
        """True for a full backup, False for an increment."""
        return self.parent is None

    def __str__(self) -> str:
        kind = "full backup" if self.is_full else f"increment since transaction {self.from_txnid}"
        lines = [
            f"{self.path or 'backup'}: {kind}, {self.size:,} bytes",
            f"  transaction {self.txnid}, {self.time.isoformat(sep=' ', timespec='seconds')}",
            f"  format {self.format} ({_RELEASES[self.format]}), pages of {self.page_size} bytes",
            f"  {counted(self.used, 'page', ',')} in use, {self.stored:,} stored",
            f"  identity {self.identity}",
        ]
        if not self.is_full:
            lines.append(f"  continues {self.parent}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a dict that can be written as JSON; the time in ISO 8601."""
        return {**asdict(self), "time": self.time.isoformat()}


def pages_in_block(page_size: int) -> int:
    """How many pages a block has at most."""
    return max(_BLOCK_BYTES // page_size, 1)


def hashes_of(operation: str, pages: memoryview, header: Header) -> list[bytes]:
    """The hashes of pages that follow each other.

    :param operation: its name, for messages.
    """
    engine, count = _engine.default(), len(pages) // header.page_size
    if not count:
        return []
    hashes = bytearray(HASH * count)
    seed = int.from_bytes(header.chain[:8], "little")
    code = engine.lib.pylmdb_hash_pages(
        seed,
        engine.ffi.from_buffer("unsigned char[]", pages),
        header.page_size,
        count,
        engine.ffi.from_buffer("unsigned char[]", hashes),
    )
    if code:
        problem = f"{operation}: this build uses the system's liblmdb, and has no XXH3"
        raise error(operation, code, "install pylmdb from a wheel", problem)
    return [bytes(hashes[at : at + HASH]) for at in range(0, len(hashes), HASH)]


@dataclass(frozen=True)
class Header:
    """What the header of a file says."""

    format: int
    page_size: int
    txnid: int
    from_txnid: int
    pages: int
    time: int
    chain: bytes
    parent: bytes | None

    def packed(self) -> bytes:
        """Return the bytes of the header, for pages of this machine."""
        kind = _FULL if self.parent is None else _INCREMENT
        return _HEAD.pack(
            MAGIC, VERSION, self.format, self.page_size, _ORDER, _WORD, kind, self.from_txnid,
            self.txnid, self.pages, self.time, self.chain, self.parent or bytes(32),
        )  # fmt: skip

    def backup(
        self, path: str | None, identity: bytes, size: int, used: int, stored: int
    ) -> Backup:
        """Return the description of the backup."""
        return Backup(
            path=path,
            identity=identity.hex(),
            parent=None if self.parent is None else self.parent.hex(),
            chain=self.chain.hex(),
            txnid=self.txnid,
            from_txnid=None if self.parent is None else self.from_txnid,
            time=_EPOCH + timedelta(microseconds=self.time),
            size=size,
            format=self.format,
            page_size=self.page_size,
            pages=self.pages,
            used=used,
            stored=stored,
        )


def microseconds(time: datetime) -> int:
    """Return a time as a header has it."""
    return (time - _EPOCH) // timedelta(microseconds=1)


class BackupWriter:
    """Writes a backup.

    :param write: writes all of the bytes that it is given.
    """

    def __init__(self, write: Callable[[Any], object], header: Header, compressed: bool) -> None:
        self._write, self._header = write, header
        self._compress = _zstd.compressor() if compressed else None
        self._hash, self._size, self._used, self._stored = sha256(), 0, 0, 0
        self._put(header.packed())

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        self._write(data)
        self._size += len(data)

    def add(
        self, numbers: array[int], hashes: Sequence[bytes], kept: bytes, data: bytes | memoryview
    ) -> None:
        """Write a block.

        :param kept: for each page 1 if ``data`` has it, else 0.
        """
        codec, stored = _PLAIN, sum(kept)
        if self._compress is not None and stored:
            packed = self._compress(data)
            if len(packed) < len(data):
                codec, data = _ZSTD, packed
        listed = numbers if sys.byteorder == "little" else _swapped(numbers)
        head = _BLOCK.pack(_BLOCK_MARK, len(numbers), stored, codec, len(data))
        self._put(b"".join([head, listed.tobytes(), *hashes, kept]))
        if stored:
            self._write(data)
        self._size += len(data)
        self._used += len(numbers)
        self._stored += stored

    def finish(self, path: str | None) -> Backup:
        """Write the end.

        :param path: of the file, for the description.
        """
        size = self._size + _END.size
        end = _END.pack(_END_MARK, self._used, self._stored, size, bytes(32))[:-32]
        self._put(end)
        identity = self._hash.digest()
        self._write(identity)
        return self._header.backup(path, identity, size, self._used, self._stored)


def _swapped(numbers: array[int]) -> array[int]:
    other = array("Q", numbers)
    other.byteswap()
    return other


@dataclass(frozen=True)
class Block:
    """Pages in a file.

    :ivar kept: for each page 1 if the file has its content, else 0.
    :ivar data: the pages that it has; empty if they were not read.
    """

    numbers: array[int]
    hashes: list[bytes]
    kept: bytes
    data: memoryview

    def stored(self) -> Iterator[int]:
        """The numbers of the pages whose content is there."""
        return compress(self.numbers, self.kept)


class BackupReader:
    """Reads a backup.

    :param operation: its name, for messages.
    :param file: a binary file that can be read and can seek.
    :param name: of the file, for messages.
    :ivar info: what the backup is, once it was checked.
    """

    info: Backup

    def __init__(self, operation: str, file: BinaryIO, name: str, path: str | None) -> None:
        self._operation, self._file, self.name, self._path = operation, file, name, path
        self._start = file.tell()

    def is_at(self, path: str | int) -> bool:
        """Whether a path, or a descriptor, leads to the file."""
        with suppress(OSError, ValueError):
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(path))
        return False

    def check(self, pages: bool = False) -> Backup:
        """Check the file, and fill ``info``.

        :param pages: True to check the content of pages, too, which reads the whole file.
        """
        for _ in self.blocks(pages):
            pass
        return self.info

    def fails(self, problem: str) -> CorruptedError:
        """The exception for a damaged file."""
        what = f"{self._operation}: {self.name!r} is damaged: {problem}"
        return CorruptedError(what, hint="use another copy of this backup")

    def _read(self, size: int) -> bytes:
        parts, left = [], size
        while left:
            part = self._file.read(left)
            if not part:
                what = f"{self._operation}: {self.name!r} was cut short: it has no end"
                raise CorruptedError(what, hint="use another copy of this backup")
            parts.append(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def blocks(self, pages: bool = True) -> Iterator[Block]:
        """Read all blocks, from the beginning; at the end, check the file as a whole.

        :param pages: False to pass over the content of pages.
        """
        self._file.seek(self._start)
        raw = self._header_bytes()
        header, hasher = self._header(raw), sha256(raw)
        size, used, stored, last = len(raw), 0, 0, -1
        while True:
            head = self._read(_BLOCK.size)
            if head[:4] == _END_MARK:
                break
            block, listed, length = self._block(header, head, last, pages)
            hasher.update(head)
            hasher.update(listed)
            size += len(head) + len(listed) + length
            used, stored = used + len(block.numbers), stored + sum(block.kept)
            last = block.numbers[-1]
            yield block
        head += self._read(_END.size - len(head))
        hasher.update(head[:-32])
        _, said_used, said_stored, said_size, identity = _END.unpack(head)
        size += len(head)
        if (said_used, said_stored, said_size) != (used, stored, size):
            raise self.fails("its end says other numbers of pages or bytes than it has")
        if hasher.digest() != identity:
            raise self.fails("its hash is wrong")
        if self._file.read(1):
            raise self.fails("there are bytes after its end")
        # each page that is not in use is free, and the free list has 8 bytes for it
        if used < 2 or header.pages > used + used * header.page_size // 8:
            raise self.fails("it has fewer pages than its header says")
        self.info = header.backup(self._path, identity, size, used, stored)

    def _header_bytes(self) -> bytes:
        start = self._file.read(len(MAGIC))
        if start != MAGIC:
            what = "is empty" if not start else "is not a backup of pylmdb"
            raise InvalidError(
                f"{self._operation}: {self.name!r} {what}",
                hint="give a file that backup() has written",
            )
        return start + self._read(_HEAD.size - len(MAGIC))

    def _header(self, raw: bytes) -> Header:
        (
            _, version, data_format, page_size, order, word, kind, from_txnid, txnid, pages, time,
            chain, parent,
        ) = _HEAD.unpack(raw)  # fmt: skip
        if version != VERSION:
            raise VersionMismatchError(
                f"{self._operation}: {self.name!r} is a backup of version {version}, and this"
                f" pylmdb reads version {VERSION}",
                hint="use a newer pylmdb",
            )
        sizes = _MIN_PAGE <= page_size <= _MAX_PAGE and not page_size & (page_size - 1)
        if data_format not in _RELEASES or not sizes or kind not in (_FULL, _INCREMENT):
            raise self.fails("its header has values that are not possible")
        if pages < 2 or pages > 2**63 // page_size or time > 250_000_000_000_000_000:
            raise self.fails("its header has values that are not possible")
        if (order, word) != (_ORDER, _WORD):
            raise InvalidError(
                f"{self._operation}: {self.name!r} is of a machine with another byte order or word"
                " size",
                hint="restore it on such a machine; dump() and load() move data between them",
            )
        return Header(
            format=data_format,
            page_size=page_size,
            txnid=txnid,
            from_txnid=from_txnid,
            pages=pages,
            time=time,
            chain=chain,
            parent=parent if kind == _INCREMENT else None,
        )

    def _block(
        self, header: Header, head: bytes, last: int, pages: bool
    ) -> tuple[Block, bytes, int]:
        """Read a block; return it, the bytes of its lists, and how many bytes its pages take."""
        mark, count, stored, codec, length = _BLOCK.unpack(head)
        if mark != _BLOCK_MARK or not 0 < count <= pages_in_block(header.page_size):
            raise self.fails("a block has a header that is not possible")
        whole = stored * header.page_size
        fits = length == whole if codec == _PLAIN else codec == _ZSTD and length < whole
        if stored > count or not fits or (header.parent is None and stored < count):
            raise self.fails("a block has a header that is not possible")
        listed = self._read(count * (8 + HASH + 1))
        numbers = array("Q", listed[: count * 8])
        if sys.byteorder == "big":
            numbers.byteswap()
        kept = listed[-count:]
        if (
            numbers[0] <= last
            or numbers[-1] >= header.pages
            or not all(map(lt, numbers, numbers[1:]))
        ):
            raise self.fails("its pages are not in order")
        if kept.count(1) != stored or kept.count(0) != count - stored:
            raise self.fails("a block has another number of pages than it says")
        hashes = [listed[at : at + HASH] for at in range(count * 8, count * (8 + HASH), HASH)]
        data = memoryview(b"")
        if pages:
            data = self._pages(header, length, codec, whole)
            found = hashes_of(self._operation, data, header)
            if found != [*compress(hashes, kept)]:
                wrong = next(
                    number
                    for number, expected, each in zip(
                        compress(numbers, kept), compress(hashes, kept), found, strict=True
                    )
                    if expected != each
                )
                raise self.fails(f"the content of page {wrong} is wrong")
        else:
            self._file.seek(length, os.SEEK_CUR)
        return Block(numbers, hashes, kept, data), listed, length

    def _pages(self, header: Header, length: int, codec: int, whole: int) -> memoryview:
        data = self._read(length)
        if codec == _ZSTD:
            data = _zstd.decompressed(self._operation, self.name, data, whole)
            if len(data) != whole:
                raise self.fails("compressed pages have another size than their block says")
        return memoryview(data)


class Table:
    """Looks up the hashes of a backup while the blocks of another one are gone through."""

    def __init__(self, reader: BackupReader) -> None:
        self._blocks = reader.blocks(pages=False)
        self._block: Block | None = None

    def find(self, numbers: array[int]) -> dict[int, bytes]:
        """The hashes of pages, by number; a later call has greater numbers."""
        wanted = set(numbers)
        found: dict[int, bytes] = {}
        while True:
            block = self._block
            if block is not None:
                pairs = zip(block.numbers, block.hashes, strict=True)
                found.update(pair for pair in pairs if pair[0] in wanted)
                if block.numbers[-1] >= numbers[-1]:
                    return found
            self._block = next(self._blocks, None)
            if self._block is None:
                return found
