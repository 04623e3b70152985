# SPDX-License-Identifier: MIT
"""Merging environments into one, in linear time and bounded memory."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .._base.keywords import explains_keywords
from .._base.owners import enter
from .._base.progress import Reporter
from .._core_rules.failures import database_error
from .._environment.record_source import DatabaseSource
from ..errors import IncompatibleError, KeyExistsError, NotFoundError, error, unknown_word
from .destination import Destination, NewFile, describe_database, is_new
from .sources import data_path, open_whole, require_source, several

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .._aliases import CData
    from .._base.progress import Progress
    from .._engine import Engine
    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction
    from .sources import Source

CONFLICTS = ("error", "first", "last")
# bytes that are written between two checks for signals
_STEP = 4 << 20


@explains_keywords
def merge(
    sources: Iterable[Source],
    dest: Source,
    on_conflict: Literal["error", "first", "last"] = "error",
    progress: Progress = None,
    *,
    databases: Iterable[bytes | None] | None = None,
    subdir: bool | None = None,
    lib_version: int | None = None,
    page_size: int | None = None,
    checksums: bool | None = None,
) -> int:
    """Merge environments: the main database and all named ones, with their flags.

    Each source is read once, in order and in one snapshot.  Records that sort after those of
    the destination are appended, so pages are full and written once.  Sources of both data
    formats can be merged.

    >>> for path, key in ("one", b"a"), ("two", b"b"):
    ...     with pylmdb.open(path) as env, env.begin(write=True) as txn:
    ...         written = txn.put(key, b"value")
    >>> pylmdb.merge(["one", "two"], "all")                # the number of records
    2

    :param sources: paths or open Environments; at least one.
    :param dest: a path, or an open Environment.  A new environment gets its name when it is
        complete.  Into an existing one everything is written in one transaction, so an error
        leaves it unchanged.
    :param on_conflict: what happens to a key with different values: ``"error"`` raises,
        ``"first"`` and ``"last"`` keep the value of the first or last source that has the key.
        An existing destination counts as the first source.  In a database with duplicates a
        key gets the values of all sources.
    :param progress: a function that is called with the number of records that are done and
        their total number; True shows a bar (tqdm).
    :param databases: names of databases, with None for the main one, to merge only these; one
        that a source lacks is left out of it.
    :param subdir: True to make a new environment as a directory, False for a single file; by
        default as the first source is.
    :param lib_version: the data format of a new environment, as for ``open``; by default the
        newest of the sources.
    :param page_size: the page size of a new environment, as for ``open``.
    :param checksums: True to give the pages of a new environment checksums, as for ``open``; by
        default if a source has them and the data format can.
    :return: the number of records written.
    :raises KeyExistsError: a key has different values; the message has the key and the files.
    :raises IncompatibleError: a database has different flags in two environments.
    :raises NotFoundError: no source has a database of ``databases``.
    :raises InvalidParameterError: a key is not valid in the destination's data format.
    :raises PathNotFoundError: a source does not exist.
    :raises ValueError: ``on_conflict`` is unknown (:exc:`InvalidParameterError`), there are no
        sources, or one of them is the destination.
    :raises TypeError: ``sources`` or ``databases`` is one, and not a list.

    ``mdb_cursor_put`` with ``MDB_APPEND`` where possible.
    """
    check_conflict("merge", on_conflict)
    return write_all(
        "merge", several("merge", "sources", sources), dest, on_conflict, progress,
        databases=None if databases is None else several("merge", "databases", databases),
        subdir=subdir, lib_version=lib_version, page_size=page_size, checksums=checksums,
    )  # fmt: skip


def write_all(
    what: str,
    sources: list[Source],
    dest: Source,
    on_conflict: str,
    progress: Progress,
    *,
    databases: list[bytes | None] | None = None,
    subdir: bool | None,
    lib_version: int | None,
    page_size: int | None,
    checksums: bool | None,
) -> int:
    """Merge environments as :func:`merge` does.

    :param what: the operation, for messages.
    """
    for source in sources:
        require_source(what, source)
    with ExitStack() as stack:
        envs = [stack.enter_context(open_whole(source)) for source in sources]
        if not envs:
            raise ValueError(f"{what} needs at least one source")
        readers = [stack.enter_context(env.begin()) for env in envs]
        found = _databases(what, envs, readers, databases)
        if subdir is None:
            subdir = envs[0].flags().subdir
        if lib_version is None and is_new(dest):
            lib_version = max(bool(checksums), *(env.lib_version()[0] for env in envs))
        if checksums is None and is_new(dest):
            checksums = bool(lib_version) and any(env.checksums for env in envs)
        new_file = NewFile(lib_version, page_size, bool(checksums))
        modes = [(data_path(env), bool(env.flags().subdir)) for env in envs]
        destination = Destination(dest, subdir, new_file, len(found), modes)
        _refuse_own_file(what, envs, destination)
        total = sum(reader.stat(db).entries for members in found.values() for reader, db in members)
        target = enter(stack, destination)
        target.open()
        reporter = stack.enter_context(Reporter(progress, total, " records"))
        written = 0
        for name, members in found.items():
            flags = members[0][1]._flags
            each = [stack.enter_context(DatabaseSource(*member)) for member in members]
            merging = Merging(what, target, name, flags, on_conflict, each)
            written += merging.run(reporter)
        target.finish()
        return written


def check_conflict(operation: str, on_conflict: str) -> None:
    """Raise InvalidParameterError if ``on_conflict`` is unknown."""
    if on_conflict not in CONFLICTS:
        raise unknown_word(f"{operation}: on_conflict", on_conflict, CONFLICTS)


# a database in one source: the read transaction, and the handle
Member = tuple["Transaction[Any]", "Database"]


def _databases(
    what: str,
    envs: list[Environment],
    readers: list[Transaction[Any]],
    chosen: list[bytes | None] | None,
) -> dict[Any, list[Member]]:
    """Return a dict from the name of each database to its sources; the main one is first.

    :param chosen: names; None for all databases.
    """
    found: dict[Any, list[Member]] = {}
    for env, reader in zip(envs, readers, strict=True):
        for name in [None, *env.dbs(reader)]:
            if chosen is not None and name not in chosen:
                continue
            db = env.open_db(name, reader, create=False)
            found.setdefault(name, []).append((reader, db))
    for name in chosen or ():
        if name not in found:
            raise NotFoundError(f"{what}: no source has the database {name!r}")
    for name, ((first, same), *others) in found.items():
        for reader, db in others:
            if db._flags != same._flags:
                raise IncompatibleError(
                    f"{what}: {describe_database(name)} has other flags in"
                    f" {reader.env.path()!r}, {db!r},"
                    f" than in {first.env.path()!r}, {same!r}"
                )
    return found


def _refuse_own_file(what: str, envs: list[Environment], destination: Destination) -> None:
    path = destination.data_path
    for env in envs:
        if os.path.exists(path) and os.path.samefile(data_path(env), path):
            raise ValueError(f"{what}: {env.path()!r} is both a source and the destination")


class MergeSource(Protocol):
    """Sorted records; ``path`` is that of their file, for messages."""

    path: str

    def init(self, source: CData, engine: Engine) -> None:
        """Set the fields of a ``struct pylmdb_source`` of ``engine``."""

    def is_truncated(self) -> bool:
        """Return True if records may be missing, because their file was truncated."""
        ...


class Merging:
    """Merges one database from all sources."""

    def __init__(
        self, what: str, target: Destination, name: bytes | None, flags: int, on_conflict: str,
        sources: Sequence[MergeSource],
    ) -> None:  # fmt: skip
        self.what, self.target, self.name, self.flags = what, target, name, flags
        self.members = sources
        self.engine = target.env._use().engine
        ffi, count = self.engine.ffi, len(sources)
        self.sources = ffi.new("struct pylmdb_source[]", count)
        self.heap = ffi.new("size_t[]", count)
        self.state = ffi.new("struct pylmdb_merge *")
        self.state.sources, self.state.heap, self.state.count = self.sources, self.heap, count
        self.state.on_conflict = getattr(self.engine.lib, f"PYLMDB_CONFLICT_{on_conflict.upper()}")
        for source, member in zip(self.sources, sources, strict=True):
            member.init(source, self.engine)
            source.plain_only = name is None

    def run(self, reporter: Reporter) -> int:
        """Write all records; return their number."""
        state, lib = self.state, self.engine.lib
        code = self._call(lib.pylmdb_merge_begin, state)
        while not code:
            read, size = state.read, state.bytes
            code = self._call(lib.pylmdb_merge_some, state, _STEP)
            reporter.add(state.read - read)
            self.target.add_written(state.bytes - size)
        if code != lib.MDB_NOTFOUND:
            raise self._failure(code)
        self._refuse_truncated()
        return int(state.written)

    def _refuse_truncated(self) -> None:
        """Raise CorruptedError if a source was truncated after its last record was read."""
        for member in self.members:
            if member.is_truncated():
                what = f"{self.what}: {describe_database(self.name)} of {member.path!r}"
                raise error(what, self.engine.lib.MDB_CORRUPTED)

    def _call(self, function: Callable[..., int], *rest: object) -> int:
        slot = self.slot = self.target.slot(self.what, self.name, self.flags)
        return int(self.target.txn._do(lambda ptr: function(ptr, slot.dbi, slot.flags, *rest)))

    def _failure(self, code: int) -> Exception:
        state, lib = self.state, self.engine.lib
        source = self.sources[state.at]
        key = bytes(self.engine.ffi.buffer(source.key.mv_data, source.key.mv_size))
        if code != lib.MDB_KEYEXIST:
            what = f"{self.what}: {describe_database(self.name)}{self._origin()}, key {key!r}"
            return database_error(what, code, self.slot, key, operation=what)
        return KeyExistsError(
            f"{self.what}: in {describe_database(self.name)} the key {key!r} has different values"
            f" {self._conflict()}",
            hint="choose one of them with on_conflict='first' or 'last'",
        )

    def _origin(self) -> str:
        """Return the words for the source at which the merge stopped."""
        return f" of {self.members[self.state.at].path!r}"

    def _conflict(self) -> str:
        """Return the words for the two sources of different values."""
        others = [*(member.path for member in self.members), self.target.env.path()]
        return f"in {others[self.state.other]!r} and {others[self.state.at]!r}"
