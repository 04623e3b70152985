# SPDX-License-Identifier: MIT
"""Backups: the pages of one snapshot, written to a file.

Pages are read from the file of the environment and not through the map, about a mebibyte at a
time.  An increment compares the hash of each page with the one in the backup that it continues.
So it is right whatever has happened to the file in between.  The numbers of transactions, which
LMDB 1.0 keeps in pages, would not show that a file was restored and changed again.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import time
from array import array
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Any

from .._base.new_files import mode_of_copy
from .._base.progress import Reporter
from .._shared.output_files import output, refuse_own_file, shown
from ..errors import Error, InvalidParameterError, LockTimeoutError, error
from .backup_file import (
    BackupWriter,
    Header,
    Table,
    hashes_of,
    microseconds,
    pages_in_block,
    reading,
)
from .copying import check_pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from _typeshed import ReadableBuffer

    from .._aliases import CData
    from .._base.new_files import Path
    from .._base.progress import Progress
    from ..environment import Environment
    from ..transaction import Transaction
    from .backup_file import Backup, BackupReader, Source

    Destination = Path | int | BinaryIO

COMPRESSIONS = (None, "zstd")
# of bits, one for each page
_COUNTED_BYTES = 1 << 16
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def backup(
    env: Environment,
    dest: Destination,
    since: Source | None,
    compression: str | None,
    overwrite: bool,
    progress: Progress,
    max_seconds: float | None,
) -> Backup:
    """``Environment.backup``."""
    if compression not in COMPRESSIONS:
        raise ValueError(f"backup: compression must be None or 'zstd', not {compression!r}")
    limit = _Limit(max_seconds)
    shared = env._use()
    with disk_errors("backup"), ExitStack() as stack:
        previous = None if since is None else stack.enter_context(reading("backup", since))
        file, path = _open(stack, env, dest, previous, overwrite)
        with env.begin() as txn:
            if shared.has_sums:
                check_pages("backup", env, lambda done, total: limit.check())
            writer = _write_pages(txn, file, previous, compression, progress, limit)
        found = writer.finish(path)
        if hasattr(file, "flush"):
            file.flush()
        return found


class _Limit:
    """A limit of time."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._until = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """:raises LockTimeoutError: the time is over."""
        if self._until is not None and time.monotonic() > self._until:
            raise LockTimeoutError(
                f"backup: it was not complete within {self._seconds} seconds (max_seconds=)",
                hint="allow more time, or make an increment (since=)",
            )


@contextmanager
def disk_errors(operation: str) -> Iterator[None]:
    """A ``with`` block in which an error of the disk becomes a DiskError."""
    try:
        yield
    except OSError as failure:
        if isinstance(failure, Error) or failure.errno not in _DISK_ERRORS:
            raise
        problem = f"{operation}: the file could not be written"
        raise error(operation, failure.errno or errno.EIO, problem=problem) from failure


def _open(
    stack: ExitStack,
    env: Environment,
    dest: Destination,
    previous: BackupReader | None,
    overwrite: bool,
) -> tuple[BinaryIO, str | None]:
    """Open the destination; return its file, and its path if it has one."""
    if isinstance(dest, (str, bytes, os.PathLike)):
        return _open_path(stack, env, dest, previous, overwrite)
    file = io.FileIO(dest, "wb", closefd=False) if isinstance(dest, int) else dest
    if isinstance(file, io.TextIOBase) or not hasattr(file, "write"):
        raise TypeError(
            "backup: dest must be a path, a descriptor, or a file opened for binary writing, not"
            f" {type(dest).__name__}"
        )
    number = _descriptor(file)
    if number is not None:
        refuse_own_file("backup", env._options, number)
        _refuse_previous(previous, number)
    if isinstance(file, io.BufferedIOBase):
        return file, None
    # its write() may write less than it is given
    raw: io.RawIOBase = file if isinstance(file, io.RawIOBase) else _Raw(file)
    buffered = io.BufferedWriter(raw)
    stack.callback(buffered.detach)
    return buffered, None


class _Raw(io.RawIOBase):
    """An object that has only ``write()``."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some bytes, and return how many; an object that does not tell has written all."""
        part = bytes(data)
        written = self._file.write(part)
        return len(part) if written is None else int(written)

    def flush(self) -> None:
        """Flush the object, if it can."""
        if hasattr(self._file, "flush"):
            self._file.flush()


def _descriptor(file: BinaryIO | io.FileIO) -> int | None:
    with suppress(AttributeError, OSError, ValueError):
        return int(file.fileno())
    return None


def _refuse_previous(previous: BackupReader | None, dest: str | int) -> None:
    """Raise InvalidParameterError if a backup would be written over the one that it continues."""
    if previous is not None and previous.is_at(dest):
        raise InvalidParameterError(
            f"backup: the destination, {shown(dest)}, is the backup that since= names",
            hint="write the increment to another file; restoring needs both",
        )


def _open_path(
    stack: ExitStack,
    env: Environment,
    dest: Path,
    previous: BackupReader | None,
    overwrite: bool,
) -> tuple[BinaryIO, str]:
    options = env._options
    path = os.path.abspath(os.fsdecode(dest))
    _refuse_previous(previous, path)
    try:
        mode = mode_of_copy(options.data_path, options.subdir)
    except FileNotFoundError:
        mode = 0o600  # the data file was moved: the backup stays private
    return stack.enter_context(output("backup", dest, overwrite, mode, source=options)), path


class _Snapshot:
    """The pages of a read transaction."""

    def __init__(self, txn: Transaction[Any]) -> None:
        self._txn, self._engine = txn, txn._engine
        ffi = self._engine.ffi
        found = ffi.new("struct pylmdb_snapshot *")
        self._call(self._engine.lib.pylmdb_snapshot, found)
        self.time = datetime.now(timezone.utc)
        self.txnid, self.pages = int(found.txnid), int(found.pages)
        self.page_size, self.format = int(found.page_size), int(found.format)
        self._bits = ffi.new("unsigned char[]", self.pages // 8 + 1)
        self._call(self._engine.lib.pylmdb_snapshot_free, self._bits)
        self._most = pages_in_block(self.page_size)

    def _call(self, function: CData, *args: CData | int) -> None:
        code = self._txn._do(function, *args)
        if code == errno.ENOSYS:
            problem = "backup: this build uses the system's liblmdb, which cannot read pages"
            raise error("backup", code, "copy() writes the whole file", problem)
        if code:
            raise error("backup", code)

    def used(self) -> int:
        """How many pages the snapshot uses."""
        # a sparse file can say that it has a great many pages: count many at once
        bits = memoryview(self._engine.ffi.buffer(self._bits))
        parts = (bits[at : at + _COUNTED_BYTES] for at in range(0, len(bits), _COUNTED_BYTES))
        return self.pages - sum(int.from_bytes(part, "little").bit_count() for part in parts)

    def blocks(self) -> Iterator[tuple[array[int], memoryview]]:
        """Read all pages; yield numbers and content.  The content is valid until the next ones."""
        ffi, lib = self._engine.ffi, self._engine.lib
        buffer, at = bytearray(self._most * self.page_size), 0
        pages, into = memoryview(buffer), ffi.from_buffer(buffer)
        while True:
            numbers = array("Q", bytes(8 * self._most))
            listed = ffi.from_buffer("unsigned long long[]", numbers)
            count = lib.pylmdb_snapshot_list(self._bits, self.pages, at, listed, self._most)
            if not count:
                return
            self._call(lib.pylmdb_snapshot_read, listed, count, into)
            ffi.release(listed)
            del numbers[count:]
            at = numbers[-1] + 1
            yield numbers, pages[: count * self.page_size]


def _write_pages(
    txn: Transaction[Any],
    file: BinaryIO,
    previous: BackupReader | None,
    compression: str | None,
    progress: Progress,
    limit: _Limit,
) -> BackupWriter:
    snapshot = _Snapshot(txn)
    header = _header(snapshot, previous)
    writer = BackupWriter(file.write, header, compression is not None)
    table = None if previous is None else Table(previous)
    size = snapshot.page_size
    with Reporter(progress, snapshot.used(), " pages") as reporter:
        for numbers, pages in snapshot.blocks():
            hashes = hashes_of("backup", pages, header)
            known = {} if table is None else table.find(numbers)
            kept = bytes(map(ne, map(known.get, numbers), hashes))
            writer.add(numbers, hashes, kept, _chosen(pages, size, kept))
            limit.check()
            reporter.add(len(numbers))
    return writer


def _chosen(pages: memoryview, size: int, kept: bytes) -> memoryview | bytes:
    if all(kept):
        return pages
    return b"".join(pages[i * size : (i + 1) * size] for i in compress(range(len(kept)), kept))


def _header(snapshot: _Snapshot, previous: BackupReader | None) -> Header:
    parent, chain, from_txnid = None, secrets.token_bytes(16), 0
    if previous is not None:
        earlier = previous.info
        _refuse_other(previous, snapshot)
        parent, chain = bytes.fromhex(earlier.identity), bytes.fromhex(earlier.chain)
        from_txnid = earlier.txnid
    return Header(
        format=snapshot.format,
        page_size=snapshot.page_size,
        txnid=snapshot.txnid,
        from_txnid=from_txnid,
        pages=snapshot.pages,
        time=microseconds(snapshot.time),
        chain=chain,
        parent=parent,
    )


def _refuse_other(previous: BackupReader, snapshot: _Snapshot) -> None:
    """Raise an exception if a backup cannot be continued."""
    earlier = previous.info
    if (earlier.format, earlier.page_size) != (snapshot.format, snapshot.page_size):
        raise InvalidParameterError(
            f"backup: {previous.name!r} is of an environment of format {earlier.format} with pages"
            f" of {earlier.page_size} bytes, and this one has format {snapshot.format} and"
            f" {snapshot.page_size} bytes",
            hint="make a full backup: leave out since=",
        )
    if earlier.txnid > snapshot.txnid:
        raise InvalidParameterError(
            f"backup: {previous.name!r} has transaction {earlier.txnid}, and the environment is at"
            f" {snapshot.txnid}: it is another one, or it was compacted or restored since",
            hint="make a full backup: leave out since=",
        )
