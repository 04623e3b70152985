# SPDX-License-Identifier: MIT
"""Making an environment of backups.

All files are checked before anything is written: what they are, and that each continues the one
before it.  The content of their pages is checked while it is written to a new file.  That file gets
its name when it is complete and on disk.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from itertools import compress, pairwise
from operator import index
from typing import TYPE_CHECKING, cast

from .. import _engine
from .._base.fsync import flush
from .._base.keywords import explains_keywords
from .._base.new_files import Temporary, modes_of_copy
from .._base.owners import enter
from .._base.progress import Reporter
from .._core_rules.system_errors import Explained
from .._environment.backup import disk_errors
from .._environment.backup_file import Backup, Table
from .._environment.backup_source import is_backup_file, is_backup_source, reading
from .._environment.compaction import refuse_others, replace_data_file
from .._shared.opening import no_parent
from ..environment import Environment
from ..errors import (
    CorruptedError,
    Error,
    InvalidError,
    InvalidParameterError,
    VersionMismatchError,
    path_error,
)
from .destination import data_file, is_new, publish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._base.new_files import Path
    from .._base.progress import Progress
    from .._environment.backup_file import BackupReader, Block
    from .._environment.backup_source import BackupSource

__all__ = ["Backup", "backup_info", "restore"]

_RELEASE = {1: 0, 3: 1}


@explains_keywords
def restore(
    backups: BackupSource | Iterable[BackupSource],
    path: Path,
    *,
    until: int | datetime | None = None,
    overwrite: bool = False,
    subdir: bool = True,
    progress: Progress = None,
) -> Backup:
    """Make an environment of a full backup and the increments that continue it.

    All backups are checked first: each must continue the one before it.  The environment is written
    under another name, with every page checked, and gets its own name when it is complete and on
    disk.

    >>> with pylmdb.open("fruit") as env:
    ...     backups = [env.backup("full"), env.backup("increment", since="full")]
    >>> restored = pylmdb.restore(["full", "increment"], "restored")
    >>> pylmdb.verify("restored").ok
    True

    :param backups: the full backup and then its increments, in their order: each a path, a
        :class:`Backup`, or a file opened for binary reading, which may be a pipe, also a
        non-blocking one.  One full backup can be given alone.
    :param path: a path that does not exist, or a directory without ``data.mdb``.
    :param until: restore the newest of the backups up to this transaction (int) or time
        (datetime; without a time zone it is local time).  None for all.  The states between two
        backups cannot be restored.
    :param overwrite: True to replace the environment at ``path``.  No process may have it open.
    :param subdir: True to make a directory, False for a single file.
    :param progress: a function that is called, at intervals and at the end, with the number of
        pages that are done and their total number; an exception of it ends the call.  True shows
        a bar (tqdm).
    :return: the :class:`Backup` whose snapshot was restored.
    :raises PathNotFoundError: a backup does not exist.
    :raises InvalidError: a file is not a backup, or is of another kind of machine.
    :raises CorruptedError: a backup was cut short, or is damaged.
    :raises InvalidParameterError: an increment is missing, given twice, out of order, or of another
        chain; or ``until`` is before the full backup.
    :raises PathExistsError: ``path`` exists, and ``overwrite`` is False.
    :raises BusyError: the environment that is to be replaced is open.
    :raises DiskError: the disk is full or has failed.
    """
    sources = _listed(backups)
    with disk_errors("restore", path), ExitStack() as stack:
        target = enter(stack, _Target(path, bool(subdir), bool(overwrite)))
        target.check()
        readers = [stack.enter_context(reading("restore", each, target.folder)) for each in sources]
        _check_chain(readers)
        readers = readers[: _how_many(readers, until)]
        found = readers[-1].info
        total = sum(each.info.used for each in readers)
        with Reporter(progress, total, " pages") as reporter:
            fd = target.open(stack, readers)
            _write(readers, fd, reporter)
        target.finish(found)
        return found


@explains_keywords
def backup_info(file: BackupSource, *, check: bool = False, progress: Progress = None) -> Backup:
    """Return what a backup is, and check that its file is whole.

    >>> with pylmdb.open("fruit") as env:
    ...     backup = env.backup("full")
    >>> pylmdb.backup_info("full").is_full
    True

    :param file: a path, a :class:`Backup`, or a file opened for binary reading that can seek.
    :param check: True to read the whole file and check the content of its pages, too; False to
        read the lists of pages only.
    :param progress: as for :func:`pylmdb.restore`, with ``check=True``.
    :raises PathNotFoundError: it does not exist.
    :raises InvalidError: it is not a backup, or is of another kind of machine.
    :raises CorruptedError: it was cut short, or is damaged.
    """
    with reading("backup_info", file) as reader:
        if check:
            with Reporter(progress, reader.info.used, " pages") as reporter:
                for block in reader.blocks():
                    reporter.add(len(block.numbers))
        return reader.info


def _listed(backups: BackupSource | Iterable[BackupSource]) -> list[BackupSource]:
    if is_backup_source(backups) or not isinstance(backups, Iterable):
        return [cast("BackupSource", backups)]
    found = [*cast("Iterable[BackupSource]", backups)]
    if not found:
        raise InvalidParameterError("restore: no backup is given", hint="give a full backup")
    return found


# -- the chain ----------------------------------------------------------------------------


def _described(reader: BackupReader) -> str:
    return f"{reader.name!r} (transaction {reader.info.txnid})"


def _check_chain(readers: Sequence[BackupReader]) -> None:
    """Raise InvalidParameterError unless each backup continues the one before it."""
    first = readers[0].info
    if not first.is_full:
        raise InvalidParameterError(
            f"restore: {_described(readers[0])} is an increment, which continues the backup"
            f" {first.parent} of transaction {first.from_txnid}",
            hint="give the full backup first, and then all increments in their order",
        )
    seen = {first.identity: readers[0]}
    for before, reader in pairwise(readers):
        info = reader.info
        if info.identity in seen:
            other = seen[info.identity].name
            raise InvalidParameterError(
                f"restore: {reader.name!r} and {other!r} are the same backup",
                hint="give each backup once",
            )
        seen[info.identity] = reader
        if info.parent != before.info.identity:
            raise _not_continued(readers, before, reader)
        if _kind(info) != _kind(first) or info.txnid < before.info.txnid:
            raise reader.fails("it does not match the backup that it continues")


def _kind(info: Backup) -> tuple[object, ...]:
    return info.chain, info.format, info.page_size


def _not_continued(
    readers: Sequence[BackupReader], before: BackupReader, reader: BackupReader
) -> Error:
    """The exception for a backup that does not continue the one before it."""
    info, first = reader.info, readers[0]
    if info.is_full:
        what = f"{_described(reader)} is a full backup, and does not continue {before.name!r}"
        hint = "give one full backup, first, and then its increments"
    elif info.chain != first.info.chain:
        what = f"{_described(reader)} continues another full backup than {first.name!r}"
        hint = "give increments of this full backup only"
    else:
        names = {each.info.identity: each.name for each in readers}
        what = f"{_described(reader)} does not continue {_described(before)}"
        if info.parent in names:
            what += f", but {names[info.parent]!r}"
            hint = "give the increments in their order, without branches"
        else:
            what += f": the backup {info.parent} of transaction {info.from_txnid} is missing"
            hint = "give it, too"
    return InvalidParameterError(f"restore: {what}", hint=hint)


def _how_many(readers: Sequence[BackupReader], until: int | datetime | None) -> int:
    """Return how many of the backups are to be restored."""
    if until is None:
        return len(readers)
    if isinstance(until, datetime):
        limit = _with_zone(until)
        fits = [each.info.time <= limit for each in readers]
        first = f"of {readers[0].info.time.isoformat(sep=' ')}"
    elif not hasattr(until, "__index__"):
        raise TypeError(
            "restore: until must be the number of a transaction or a datetime, not"
            f" {type(until).__name__} ({until!r:.64})"
        )
    else:
        number = index(until)
        fits = [each.info.txnid <= number for each in readers]
        first = f"of transaction {readers[0].info.txnid}"
    if not any(fits):
        raise InvalidParameterError(
            f"restore: until={until} is before the full backup, {readers[0].name!r} {first}",
            hint="give an older full backup",
        )
    return len(fits) - fits[::-1].index(True)


def _with_zone(time: datetime) -> datetime:
    """Return a time with its zone, which is that of the system if it has none."""
    try:
        return time if time.utcoffset() is not None else time.astimezone()
    except (ValueError, OverflowError) as failure:
        raise InvalidParameterError(
            f"restore: until={time} has no zone, and is out of the range of the system's times",
            hint="give a time with a zone, or the number of a transaction",
        ) from failure


# -- pages --------------------------------------------------------------------------------


def _write(readers: Sequence[BackupReader], fd: int, reporter: Reporter) -> None:
    """Write the pages of a chain to a file."""
    before: BackupReader | None = None
    for reader in readers:
        table = None if before is None else Table(before)
        size = reader.info.page_size
        for block in reader.blocks():
            if table is not None:
                _check_unchanged(reader, block, table)
            _write_block(fd, block, size)
            reporter.add(len(block.numbers))
        before = reader
    last = readers[-1]
    os.ftruncate(fd, last.info.pages * last.info.page_size)
    if _engine.default().lib.pylmdb_newest_txnid(fd) != last.info.txnid:
        raise last.fails("its meta pages are not of its transaction")


def _check_unchanged(reader: BackupReader, block: Block, table: Table) -> None:
    """Raise CorruptedError if a page that a backup does not have is another one before it."""
    if all(block.kept):
        return
    known = table.find(block.numbers)
    for number, expected, kept in zip(block.numbers, block.hashes, block.kept, strict=True):
        if not kept and known.get(number) != expected:
            raise reader.fails(f"it needs another page {number} than the backup before it has")


def _write_block(fd: int, block: Block, size: int) -> None:
    """Write the pages of a block, those that follow each other at once."""
    numbers = [*compress(block.numbers, block.kept)]
    begin = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
            _write_at(fd, block.data[begin * size : i * size], numbers[begin] * size)
            begin = i


def _write_at(fd: int, data: memoryview, at: int) -> None:
    while data:
        done = os.pwrite(fd, data, at)
        data, at = data[done:], at + done


# -- the destination ----------------------------------------------------------------------


class _Target(Temporary):
    """The new environment, under a temporary name, until it is complete."""

    __slots__ = ("_env", "_given", "_overwrite", "_path", "_subdir")

    def __init__(self, path: Path, subdir: bool, overwrite: bool) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            raise TypeError(
                f"restore: path must be the path of the new environment, not {type(path).__name__};"
                " the backups come first"
            )
        self._given = os.fsdecode(path)
        self._env: Environment | None = None
        place = os.path.realpath(os.fsencode(path))
        self._subdir, self._path = subdir and not os.path.isdir(place), data_file(place)
        self._overwrite = overwrite
        super().__init__(self._path)

    @property
    def folder(self) -> bytes:
        """The directory of the new file."""
        return os.path.dirname(self._path)

    def check(self) -> None:
        """Raise an exception if nothing may be written there."""
        if not os.path.isdir(self.folder):
            raise no_parent(self._given, self._path)
        if is_backup_file(self._path):
            raise InvalidParameterError(
                f"restore: {self._given!r} is a backup, and cannot be replaced by an environment",
                hint="give the backups first, and then the path of the environment",
            )
        if not is_new(self._given) and not self._overwrite:
            raise path_error(
                "restore", self._given, errno.EEXIST, "exists", "overwrite=True replaces it"
            )

    def open(self, stack: ExitStack, readers: Sequence[BackupReader]) -> int:
        """Create the file, and return its descriptor."""
        with Explained("restore", self._given, "created", self._path):
            return self._make(stack, readers)

    def _make(self, stack: ExitStack, readers: Sequence[BackupReader]) -> int:
        if not is_new(self._given):
            self._env = env = stack.enter_context(self._existing(readers[0].info))
            refuse_others(env, "restore")
            return self.make(0o600)
        sources = [os.fsencode(each.info.path) for each in readers if each.info.path]
        if len(sources) < len(readers):
            return self.make_environment(self._subdir, (0o600, 0o700))
        modes = modes_of_copy([(each, False) for each in sources], self._subdir)
        return self.make_environment(self._subdir, modes)

    def _existing(self, backup: Backup) -> Environment:
        """Open the environment that is to be replaced."""
        hint = "move it away, and restore to its path then"
        try:
            env = Environment(self._given, create=False)
        except (CorruptedError, InvalidError, VersionMismatchError) as failure:
            what = f"restore: {self._given!r} exists and cannot be opened"
            raise InvalidParameterError(what, hint=hint) from failure
        if (env.lib_version()[0], env.stat().psize) != (_RELEASE[backup.format], backup.page_size):
            env.close()
            raise InvalidParameterError(
                f"restore: {self._given!r} has another format or page size than the backup",
                hint=hint,
            )
        return env

    def finish(self, backup: Backup) -> None:
        """Flush the file to disk, and give it its name."""
        if self._env is not None:
            replace_data_file(self._env, "restore", self, lambda shared, new: None)
        elif self.number is not None:
            flush(self.number)
            publish(self.name, self._path, self._subdir)
