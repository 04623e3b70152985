# SPDX-License-Identifier: MIT
"""Saving what can be read of a damaged file.

The check of ``_native/verify`` walks the trees of the newest snapshot and gives the records that it
finds on sound pages, in batches.  They are stored in a new environment as they come.  So what is
saved is what the check calls readable, and the code that reads the file trusts nothing in it.

Pages that no tree refers to are not read.  Some of them may be below a damaged page, but others are
old: they have records that were deleted or changed since, and nothing on a page tells which.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .. import _engine
from .._base.flags import DATABASE_FLAGS, MDB_DUPSORT, put_flags
from .._base.keywords import explains_keywords
from .._base.owners import enter
from .._base.progress import Reporter
from .._base.words import counted
from .._core_rules.failures import database_error, shown
from .._environment import catalog as _catalog
from .._environment.report import Report
from .._environment.verification import Watcher, check_file
from .._shared.options import data_path, locate, nearest_page_size
from ..errors import (
    BadValsizeError,
    CorruptedError,
    IncompatibleError,
    InvalidError,
    InvalidParameterError,
    error,
)
from .destination import Destination, NewFile, is_new

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._aliases import CData
    from .._base.progress import Progress
    from .._core import DbSlot

# how many databases the file may have; the number is known only at its end
_MAX_DATABASES = 1 << 16
# the index of the main database among the trees of a check
_MAIN_TREE = 1
# what else a database can have, and pylmdb does not set: MDB_REVERSEDUP
_KNOWN_FLAGS = sum(DATABASE_FLAGS.values()) | 0x40
# codes that say that liblmdb does not take one record: its sizes, or the name of a database as key
_REFUSED = {-30781, -30784}


@dataclass(frozen=True)
class SalvagedDatabase:
    """What was saved of one database.

    ``name``, None for the main database; ``entries``, how many records it has by its own record,
    without the names of databases; ``saved``, how many are in the new environment; ``refused``, how
    many were read but not stored, because LMDB does not take their sizes or their key came twice;
    ``damaged``, how many pages or large values could not be read, not counting pages below them;
    ``problem``, why the database could not be created, else "".
    """

    name: bytes | None
    entries: int
    saved: int
    refused: int
    damaged: int
    problem: str = ""

    @property
    def lost(self) -> int:
        """How many of the records that the database's own record counts are missing; 0 if all of
        its pages were read, because then that count is wrong."""
        return max(self.entries - self.saved, 0) if self.is_partial else 0

    @property
    def is_partial(self) -> bool:
        """True if a page or a value could not be read, or a record or the database not stored."""
        return bool(self.damaged or self.refused or self.problem)

    def __str__(self) -> str:
        title = "main database" if self.name is None else f"database {shown(self.name)}"
        text = f"{title}: {self.saved:,} of {counted(self.entries, 'record', ',')} saved"
        if self.damaged:
            text += f"; damaged pages and large values: {self.damaged:,}"
        if self.refused:
            text += f"; read, but not stored: {self.refused:,}"
        return f"{text}; {self.problem}" if self.problem else text


@dataclass(frozen=True, repr=False)
class SalvageReport:
    """The result of :func:`pylmdb.salvage`; ``ok`` is True if nothing was lost.

    ``path``, the damaged data file; ``dest``, the new environment; ``databases``, a
    :class:`SalvagedDatabase` each, the main database first; ``stray_leaves``, how many pages look
    like pages of records but belong to no tree and are not free: they are below damaged pages, or
    old; ``report``, the :class:`Report` of :func:`pylmdb.verify` about the damaged file.
    """

    path: str
    dest: str
    databases: tuple[SalvagedDatabase, ...]
    stray_leaves: int
    report: Report

    @property
    def saved(self) -> int:
        """How many records are in the new environment."""
        return sum(database.saved for database in self.databases)

    @property
    def lost(self) -> int:
        """How many records are missing, in all databases that are known."""
        return sum(database.lost for database in self.databases)

    @property
    def ok(self) -> bool:
        """True if nothing was lost: no record, page or value is missing in any database."""
        return not any(database.is_partial for database in self.databases)

    def __repr__(self) -> str:
        return f"<pylmdb.SalvageReport {self._summary()}>"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _summary(self) -> str:
        lost = "nothing was lost" if self.ok else f"{self.lost:,} lost"
        return f"{self.path}: {counted(self.saved, 'record', ',')} saved to {self.dest!r}, {lost}"

    def _lines(self) -> Iterator[str]:
        yield self._summary()
        for database in self.databases:
            yield f"  {database}"
        if self.stray_leaves:
            yield (
                f"  pages of records that belong to no database: {self.stray_leaves:,}; they are"
                " below damaged pages, or old, and were not read"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the result as a dict that can be written as JSON, with names as in
        :meth:`Report.as_dict`."""
        found = {"ok": self.ok, "saved": self.saved, "lost": self.lost, **asdict(self)}
        names = [each["name"] for each in self.report.as_dict()["databases"]]
        for database, name, source in zip(found["databases"], names, self.databases, strict=True):
            database.update(name=name, lost=source.lost)
        found["report"] = self.report.as_dict()
        return found


@explains_keywords
def salvage(
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    dest: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    *,
    previous: bool = False,
    subdir: bool | None = None,
    progress: Progress = None,
) -> SalvageReport:
    """Save what can be read of a damaged data file in a new environment.

    These are the records that :func:`pylmdb.verify` calls readable: those on sound pages to which
    sound pages lead, from the newest meta page that is sound.  Records out of order are put in
    order.  Databases keep their names and flags, and the new environment has the data format and
    the page size of the file, and checksums if the file has them.  It gets its name when it is
    complete.

    The file is read as by ``verify``: nothing in it is trusted, no lock is taken, and nothing is
    written to it.  Pages that no tree refers to are counted, but not saved: some are old, with
    records that were deleted since, and nothing tells which.

    >>> with pylmdb.open("fruit") as env, env.begin(write=True) as txn:
    ...     txn.put(b"apple", b"red")
    True
    >>> report = pylmdb.salvage("fruit", "saved")
    >>> report.ok, report.saved, report.lost
    (True, 1, 0)

    :param path: of the damaged environment, as for :func:`pylmdb.verify`.
    :param dest: a path that does not exist, or a directory without ``data.mdb``.
    :param previous: True to save the snapshot before the last commit, which the file still has.
        If the last commit did not reach the disk as a whole, that snapshot may be undamaged.
    :param subdir: True if ``path`` is a directory with ``data.mdb``, False if it is the data
        file; by default the path decides.  ``dest`` is made in the same way.
    :param progress: a function that is called, at intervals and at the end, with the number of
        pages that are done and their total number; an exception of it ends the call.  True shows
        a bar (tqdm).
    :return: a :class:`SalvageReport`, with what was saved and lost of each database.
    :raises PathNotFoundError: the file does not exist.
    :raises OSError: it cannot be opened.
    :raises InvalidError: the file is not an LMDB file, or of a kind that cannot be read here.
    :raises CorruptedError: neither meta page can be used (with ``previous``, one of them cannot),
        so nothing leads to a record; or another process wrote to the file meanwhile.
    :raises PathExistsError: ``dest`` exists.
    """
    absolute, given_path, is_directory = locate(path, subdir)
    source = data_path(absolute, is_directory)
    if not is_new(dest):
        hint = "name a path that does not exist"
        raise error(f"salvage: {os.fsdecode(dest)!r}", errno.EEXIST, hint)
    with ExitStack() as stack:
        reporter = stack.enter_context(Reporter(progress, 0, " pages"))
        saving = _Saving(stack, dest, is_directory, source)
        watcher = Watcher(reporter.reach, saving.on_records, bool(previous))
        report = check_file("salvage", source, given_path, watcher)
        _refuse_unreadable(report, given_path)
        saving.finish(watcher.check)
        return SalvageReport(
            path=report.path,
            dest=os.fsdecode(dest),
            databases=saving.results(watcher.check, report),
            stray_leaves=watcher.check.stray_leaves,
            report=report,
        )


def _refuse_unreadable(report: Report, given_path: str) -> None:
    """Raise an exception if the file has no trees to be read, or was changed meanwhile."""
    if not report.size:
        raise InvalidError(f"salvage: {given_path!r} is empty", hint="there is nothing to save")
    if not report.databases:
        what = f"salvage: {given_path!r}: {report.findings[-1].text}"
        if report.format is None:
            raise InvalidError(what, hint="give the path of an environment or of its data file")
        raise CorruptedError(what, hint="nothing leads to its records; restore it from a copy")
    if report.changed:
        raise CorruptedError(
            f"salvage: {given_path!r} was written to while it was read",
            hint="copy the file while no process writes to it, and salvage the copy",
        )


class _Tree:
    """What was done with the records of one tree."""

    def __init__(self, name: bytes | None, flags: int) -> None:
        self.name, self.flags = name, flags
        self.saved = self.refused = 0
        self.problem = ""


class _Saving:
    """Stores records in a new environment, which is made when the data format is known."""

    def __init__(self, stack: ExitStack, dest: Any, subdir: bool, source: bytes) -> None:
        self._stack, self._dest, self._subdir, self._source = stack, dest, subdir, source
        self._target: Destination | None = None
        self._trees: dict[int, _Tree] = {}
        self._created = _MAIN_TREE

    def _open(self, check: CData) -> Destination:
        """Return the destination; create it at the first call."""
        if self._target is None:
            version = int(check.format > 1)
            modes = [(self._source, self._subdir)]
            # the page size limits the size of keys
            new_file = NewFile(
                version, nearest_page_size(version, check.page_size), bool(check.has_sums)
            )
            made = Destination(self._dest, self._subdir, new_file, _MAX_DATABASES, modes)
            target = enter(self._stack, made)
            target.open()
            self._target = target
        return self._target

    def _tree(self, check: CData, number: int) -> _Tree:
        if number not in self._trees:
            native, name = check.trees[number], None
            if number != _MAIN_TREE:
                name = bytes(_engine.default().ffi.buffer(native.name, native.name_size))
            self._trees[number] = _Tree(name, native.flags)
        return self._trees[number]

    def _slot(self, target: Destination, tree: _Tree) -> DbSlot | None:
        """Return the database of a tree; None if it cannot be created, which is noted."""
        if tree.problem:
            return None
        if tree.flags & ~_KNOWN_FLAGS:
            tree.problem = f"its flags 0x{tree.flags:04x} are not valid"
            return None
        try:
            name = tree.name
            if name is not None:
                name = _catalog.checked_name(name, target.env.lib_version()[0])
            return target.slot("salvage", name, tree.flags)
        except (BadValsizeError, IncompatibleError, InvalidParameterError) as problem:
            tree.problem = f"it cannot be created: {problem}"
            return None

    def on_records(self, check: CData, number: int, records: CData, count: int) -> None:
        """Store records of a tree."""
        target, tree = self._open(check), self._tree(check, number)
        self._create_all(target, check)
        slot = self._slot(target, tree)
        if slot is None:
            tree.refused += count
            return
        engine = target.env._use().engine
        ffi, lib = engine.ffi, engine.lib
        first = ffi.cast("MDB_val *", _address(records))
        flags = put_flags(False, bool(slot.flags & MDB_DUPSORT))
        done, written, at = ffi.new("size_t *"), ffi.new("size_t *"), 0
        while at < count:
            code = target.txn._do(
                lambda ptr, at=at: lib.pylmdb_store(
                    ptr,
                    slot.dbi,
                    slot.flags,
                    first + 2 * at,
                    count - at,
                    flags,
                    False,
                    done,
                    written,
                )
            )
            tree.saved += written[0]
            tree.refused += done[0] - written[0]
            at += done[0]
            if code:
                if code not in _REFUSED:
                    raise _failure(ffi, code, slot, first + 2 * at)
                tree.refused += 1
                at += 1
        last = records[2 * count - 1]
        target.add_written(_address(last.data) + last.size - _address(records[0].data))

    def _create_all(self, target: Destination, check: CData) -> None:
        """Create the databases that were found, the main one first: it gets its flags while the
        environment is empty.  They come before records that may have a name as their key."""
        while self._created < check.tree_count:
            self._slot(target, self._tree(check, self._created))
            self._created += 1

    def finish(self, check: CData) -> None:
        """Give the new environment its name."""
        target = self._open(check)
        self._create_all(target, check)
        target.finish()

    def results(self, check: CData, report: Report) -> tuple[SalvagedDatabase, ...]:
        """Return what was done with each database."""
        named = len(report.databases) - 1
        found = []
        for number, database in enumerate(report.databases, _MAIN_TREE):
            tree = self._tree(check, number)
            names = named if number == _MAIN_TREE else 0
            found.append(
                SalvagedDatabase(
                    name=tree.name,
                    entries=max(database.entries - names, 0),
                    saved=tree.saved,
                    refused=tree.refused,
                    damaged=database.damaged,
                    problem=tree.problem,
                )
            )
        return tuple(found)


def _address(pointer: CData) -> int:
    return int(_engine.default().ffi.cast("uintptr_t", pointer))


def _failure(ffi: CData, code: int, slot: DbSlot, record: CData) -> Exception:
    key = bytes(ffi.buffer(record[0].mv_data, record[0].mv_size))
    return database_error("salvage", code, slot, key, record[1].mv_size, "salvage")
