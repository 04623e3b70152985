# SPDX-License-Identifier: MIT
"""Backups: the pages of one snapshot, written to a file.

Pages are read from the file of the environment and not through the map, about a mebibyte at a
time.  An increment compares the hash of each page with the one in the backup that it continues.
So it is right whatever has happened to the file in between.  The numbers of transactions, which
LMDB 1.0 keeps in pages, would not show that a file was restored and changed again.
"""

from __future__ import annotations

import errno
import os
from array import array
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Any

from .._base.progress import Reporter
from .._core_rules.system_errors import system_reason
from .._shared.output_files import shown
from ..errors import BusyError, CorruptedError, Error, InvalidParameterError, error
from .backup_destination import Limit, open_destination
from .backup_file import (
    BackupWriter,
    Header,
    Table,
    hashes_of,
    microseconds,
    pages_in_block,
)
from .backup_source import reading
from .copying import check_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._aliases import CData
    from .._base.progress import Progress
    from ..environment import Environment
    from ..transaction import Transaction
    from .backup_destination import BackupDestination, BackupOutput
    from .backup_file import Backup, BackupReader
    from .backup_source import BackupSource


COMPRESSIONS = (None, "zstd")
# of bits, one for each page
_COUNTED_BYTES = 1 << 16
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def backup(
    env: Environment,
    dest: BackupDestination,
    since: BackupSource | None,
    compression: str | None,
    overwrite: bool,
    progress: Progress,
    max_seconds: float | None,
) -> Backup:
    """``Environment.backup``."""
    if compression not in COMPRESSIONS:
        raise ValueError(f"backup: compression must be None or 'zstd', not {compression!r}")
    shared = env._use()
    limit = Limit(max_seconds, env._options.given_path)
    with disk_errors("backup", dest), ExitStack() as stack:
        previous = None if since is None else stack.enter_context(reading("backup", since))
        file, path = open_destination(stack, env, dest, previous, overwrite, limit)
        with env.begin() as txn, _kept_snapshot(env, txn):
            if shared.has_sums:
                check_pages("backup", env, lambda done, total: limit.check())
            writer = _write_pages(txn, file, previous, compression, progress, limit)
        found = writer.finish(path)
        file.flush()
        return found


@contextmanager
def _kept_snapshot(env: Environment, txn: Transaction[Any]) -> Iterator[None]:
    """A ``with`` block that reads pages of a transaction, and fails if these may be of a later one.

    Without a reader table, other processes use the pages of the snapshot again after some commits.
    """
    has_table = env.info().num_readers > 0
    damaged = None
    try:
        yield
    except CorruptedError as failure:
        damaged = failure
    if not has_table and env.info().last_txnid != txn.id():
        raise BusyError(
            "backup: a transaction was committed meanwhile, and without a lock file (lock=False)"
            " other processes do not keep the pages of a snapshot",
            hint="open the environment with its lock file, or stop writing for the backup",
        ) from damaged
    if damaged is not None:
        raise damaged


@contextmanager
def disk_errors(operation: str, file: object) -> Iterator[None]:
    """A ``with`` block in which an error of the disk becomes a DiskError.

    :param file: what is written, for the message: a path, a descriptor or another object.
    """
    try:
        yield
    except OSError as failure:
        if isinstance(failure, Error) or failure.errno not in _DISK_ERRORS:
            raise
        name = shown(file) if isinstance(file, (str, bytes, os.PathLike, int)) else "the file"
        reason, hint = system_reason(failure.errno)
        problem = f"{operation}: {name} cannot be written: {reason}"
        raise error(operation, failure.errno or errno.EIO, hint, problem) from failure


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
    file: BackupOutput,
    previous: BackupReader | None,
    compression: str | None,
    progress: Progress,
    limit: Limit,
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
    parent, chain, from_txnid = None, os.urandom(16), 0
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
