# SPDX-License-Identifier: MIT
"""The destination of operations that write a whole environment.

A new environment is written under a temporary name in the same directory.  It gets its own name
when it is complete and on disk, so no other process sees a part of it.  It is committed in
portions, which limits the memory.  If the directory of the environment exists, it keeps its mode
and its other files, and only the data file is renamed.  Into an existing environment everything
is written in one transaction.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from .._base.fsync import fsync_path
from .._base.new_files import Temporary, modes_of_copy, rename_no_replace
from .._base.owners import Owner
from .._core_rules.database_flags import flag_words, words_of
from .._core_rules.system_errors import Explained, refused_path
from .._environment import catalog as _catalog
from .._shared.opening import no_parent
from .._shared.options import nearest_page_size, refuse_empty_path
from ..environment import Environment
from ..errors import Error, IncompatibleError, error
from .sources import data_path, room_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._core import DbSlot
    from ..transaction import Transaction
    from .sources import Source

# bytes in each commit of a new environment: few enough to fit in a processor's cache
COMMIT_BYTES = 32 << 20
# errors of the system if a file exists
_EXISTS_ERRORS = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)


class NewFile(NamedTuple):
    """What a new environment is like, as for ``open``; None for the default."""

    lib_version: int | None = None
    page_size: int | None = None
    checksums: bool = False

    def options(self) -> dict[str, Any]:
        """Return the options of ``open``."""
        return {
            "lib_version": self.lib_version,
            "page_size": self.page_size,
            "checksums": self.checksums,
        }


def new_file_like(env: Environment) -> NewFile:
    """Return what a new environment is like that can store the keys of another one."""
    version = env.lib_version()[0]
    return NewFile(version, nearest_page_size(version, env.stat().psize))


class Destination(Owner):
    """A context manager around writing to an environment.

    After ``open()``, ``txn`` is a write transaction in ``env``.  If ``finish()`` was not called
    before the block ends, everything is undone.
    """

    env: Environment
    txn: Transaction[Any]
    _new: Temporary | None = None
    _is_synced = True

    def __init__(
        self, dest: Source, subdir: bool, new_file: NewFile, databases: int = 0,
        mode_sources: Sequence[tuple[bytes, bool]] = (),
    ) -> None:  # fmt: skip
        """
        :param new_file: what a new environment is like, and what an existing one must be like.
        :param mode_sources: the files whose permissions a new environment gets: for each the data
            file, and whether it has a directory of its own.
        """
        self._dest: Any = dest
        self._is_new = is_new(dest)
        self._path = b"" if isinstance(dest, Environment) else os.path.realpath(os.fsencode(dest))
        self._subdir = subdir and not os.path.isdir(self._path)
        self._path = data_file(self._path)
        self._new_file, self._databases = new_file, databases
        self._written = 0
        self._mode_sources = mode_sources
        self._new = Temporary(self._path) if self._is_new else None

    @property
    def data_path(self) -> bytes:
        """The path of the data file, which may not exist yet."""
        return data_path(self._dest) if isinstance(self._dest, Environment) else self._path

    def open(self) -> None:
        """Open the environment and begin a write transaction."""
        if isinstance(self._dest, Environment):
            self.env = self._dest
        elif self._new is not None:
            self.env = self._create(self._new)
        else:
            self.env = self._open_existing()
        self.txn = self.env.begin(write=True)

    def _create(self, new: Temporary) -> Environment:
        if not os.path.isdir(os.path.dirname(self._path)):
            raise no_parent(os.fsdecode(self._dest), self._path)
        given = self._path if self._dest is None else self._dest
        with Explained("open", given, "created", self._path):
            new.make_environment(self._subdir, self._modes())
        # each page is written once and not read again, so readahead would be useless
        return Environment(
            new.name, subdir=self._subdir, max_dbs=room_for(self._databases), sync=False,
            readahead=False, **self._new_file.options(),
        )  # fmt: skip

    def _modes(self) -> tuple[int, int] | None:
        """Return the permissions of a new file and its directory; None for the usual ones."""
        return modes_of_copy(self._mode_sources, self._subdir) if self._mode_sources else None

    def _open_existing(self) -> Environment:
        options: dict[str, Any] = {"create": False, **self._new_file.options()}
        room = room_for(self._databases)
        if room is not None:
            # if this process has it open with a smaller max_dbs, that one is used
            with suppress(Error):
                return Environment(self._dest, max_dbs=room, **options)
        return Environment(self._dest, **options)

    def slot(self, what: str, name: bytes | None, flags: int | None) -> DbSlot:
        """Return a database in the current transaction; create it if it does not exist.

        The main database gets its flags only while a new environment is empty.  Later, flags
        would change the order of records that exist, among them those of named databases.

        :param what: the operation, for messages.
        :param name: the name; None for the main database.
        :param flags: the flags; None to keep those of an existing database.
        :raises IncompatibleError: the database exists with other flags.
        """
        can_set_flags = name is not None or (self._is_new and not self.txn.stat().entries)
        given = (flags or 0) if can_set_flags else 0
        found = _catalog.open_slot(self.env, self.env._use(), name, self.txn, given, create=True)
        if flags is not None and found.flags != flags:
            raise IncompatibleError(
                f"{what}: {describe_database(name)} has other flags in the destination:"
                f" {_flag_names(found.flags)}, not {_flag_names(flags)}"
            )
        return found

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let others write to an existing environment inside a ``with`` block.

        The transaction must not have written anything.  Another one begins after the block.
        """
        if not self._is_new:
            self.txn.abort()
        yield
        if not self._is_new:
            self.txn = self.env.begin(write=True)

    def add_written(self, size: int) -> None:
        """Count ``size`` more bytes as written; a new environment is committed at intervals."""
        self._written += size
        if self._is_new and self._written >= COMMIT_BYTES:
            self.txn.commit()
            if self._is_synced:
                shared = self.env._use()
                shared.engine.lib.pylmdb_begin_flush(shared.ptr)
            self.txn = self.env.begin(write=True)
            self._written = 0

    def finish(self) -> None:
        """Commit, and rename a new environment to its own name.

        If a signal handler interrupts this by an exception, all of it is done or nothing.
        """
        self.txn.commit()
        if self._new is not None:
            self.env.sync(True)
            self.env.close()
            publish(self._new.name, self._path, self._subdir)

    def end(self) -> None:
        """Undo what is not finished.  A forked child leaves the files alone."""
        try:
            if hasattr(self, "txn"):
                self.txn.abort()
        finally:
            if hasattr(self, "env") and self.env is not self._dest:
                self.env.close()
            if self._new is not None:
                self._new.end()


def publish(name: bytes, path: bytes, subdir: bool) -> None:
    """Rename a new environment, which is on disk, to its own name, unless that exists by now."""
    try:
        if subdir:
            with suppress(FileNotFoundError):
                os.unlink(name + b"/lock.mdb")
            fsync_path(name)
            os.rename(name, path)
        else:
            rename_no_replace(name, path)
    except OSError as failure:
        if failure.errno not in _EXISTS_ERRORS:
            raise refused_path("open", path, failure.errno or errno.EIO, "created") from failure
        raise error(
            f"{os.fsdecode(path)!r} was created by another process meanwhile",
            failure.errno,
            "write to another path",
        ) from failure
    fsync_path(os.path.dirname(path))


class Scratch(Destination):
    """A temporary environment beside a destination, for one database.

    It has the destination's data format and page size, which limit the size of keys.

    ``finish()`` commits it; it never gets a name of its own.
    """

    _is_synced = False

    def __init__(self, target: Destination) -> None:
        self._dest, self._is_new, self._written = None, True, 0
        self._path, self._subdir = target.data_path, False
        self._new_file = new_file_like(target.env)
        self._databases = 0
        self._new = Temporary(self._path)

    def _modes(self) -> tuple[int, int]:
        return 0o600, 0o700

    def finish(self) -> None:
        """Commit; the environment stays open until ``end()``."""
        self.txn.commit()


def _flag_names(flags: int) -> str:
    return " ".join(words_of(flag_words(flags))) or "none"


def describe_database(name: bytes | None) -> str:
    """Return the name of a database for a message."""
    return "the main database" if name is None else f"the database {name!r}"


def is_new(dest: Source) -> bool:
    """Return True if the environment ``dest`` does not exist.

    :raises PathNotFoundError: its path is empty.
    :raises PathError: its path is too long, or has too many symbolic links.
    """
    if isinstance(dest, Environment):
        return False
    path = os.fsencode(dest)
    refuse_empty_path("open", path)
    try:
        os.stat(data_file(path))
    except OSError as failure:
        if failure.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise refused_path("open", path, failure.errno) from failure
        return True
    except ValueError:  # it has a NUL, which opening refuses
        return True
    return False


def data_file(path: bytes) -> bytes:
    """Return the path of the data file of an environment, which is a directory or a file."""
    return os.path.join(path, b"data.mdb") if os.path.isdir(path) else path
