# SPDX-License-Identifier: MIT
"""Where whole environments are written to.

A new one is written under another name beside its own and gets its own when it is
whole and on disk, so nobody ever sees half of it; it is committed in portions, which
bounds the memory.  In a directory that exists, the data file appears so: the directory
is somebody's, with its mode and perhaps with other files.  Into an environment that
exists everything is written in one transaction.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .._base.fsync import fsync_path
from .._base.new_files import Temporary, modes_of_copy
from .._base.owners import Owner
from .._environment import catalog as _catalog
from ..database import flag_words, words_of
from ..environment import Environment
from ..errors import Error, IncompatibleError, error
from .sources import data_path, room_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._core import DbSlot
    from ..transaction import Transaction
    from .sources import Source

# how many bytes a new environment is committed at: few enough to lie in a processor's cache
COMMIT_BYTES = 32 << 20
# what the system says where there is something already, and where it has no hard links
_EXISTS_ERRORS = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)
_NO_LINK_ERRORS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Destination(Owner):
    """A ``with`` block in which, once it is opened, ``txn`` writes into ``env``; what is not
    finished at its end is as if it had never been."""

    env: Environment
    txn: Transaction[Any]
    _new: Temporary | None = None

    def __init__(
        self, dest: Source, subdir: bool, lib_version: int | None = None, databases: int = 0,
        mode_sources: Sequence[Environment] = (),
    ) -> None:  # fmt: skip
        self._dest: Any = dest
        self._is_new = is_new(dest)
        self._path = b"" if isinstance(dest, Environment) else os.path.realpath(os.fsencode(dest))
        self._subdir = subdir and not os.path.isdir(self._path)
        self._path = _data_file(self._path)
        self._lib_version, self._databases = lib_version, databases
        self._written = 0
        self._mode_sources = [(data_path(env), bool(env.flags().subdir)) for env in mode_sources]
        self._new = Temporary(self._path) if self._is_new else None

    @property
    def data_path(self) -> bytes:
        """The file that holds, or will hold, the pages."""
        return data_path(self._dest) if isinstance(self._dest, Environment) else self._path

    def open(self) -> None:
        """Open the environment and begin to write."""
        if isinstance(self._dest, Environment):
            self.env = self._dest
        elif self._new is not None:
            self.env = self._create(self._new)
        else:
            self.env = self._open_existing()
        self.txn = self.env.begin(write=True)

    def _create(self, new: Temporary) -> Environment:
        parent = os.path.dirname(self._path)
        if not os.path.isdir(parent):
            raise FileNotFoundError(errno.ENOENT, "there is no directory", os.fsdecode(parent))
        modes = modes_of_copy(self._mode_sources, self._subdir) if self._mode_sources else None
        new.make_environment(self._subdir, modes)
        # each page is written once and not read again: nothing is read ahead, either
        return Environment(
            new.name, subdir=self._subdir, lib_version=self._lib_version,
            max_dbs=room_for(self._databases), sync=False, readahead=False,
        )  # fmt: skip

    def _open_existing(self) -> Environment:
        options: dict[str, Any] = {"create": False, "lib_version": self._lib_version}
        room = room_for(self._databases)
        if room is not None:
            # where it is open in this process with room for fewer, that must do
            with suppress(Error):
                return Environment(self._dest, max_dbs=room, **options)
        return Environment(self._dest, **options)

    def slot(self, what: str, name: bytes | None, flags: int | None) -> DbSlot:
        """A database in the present transaction, which is made with these flags (None: it
        keeps those that it has).

        The main one has no others than it was made with: only while a new environment is
        empty do they say nothing yet of records in another order, nor of named databases.
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

    def add_written(self, size: int) -> None:
        """To be called when so many bytes more are written."""
        self._written += size
        if self._is_new and self._written >= COMMIT_BYTES:
            self.txn.commit()
            self.txn = self.env.begin(write=True)
            self._written = 0

    def finish(self) -> None:
        """Make it last: an interrupt falls either before that, or into cleaning up."""
        self.txn.commit()
        if self._new is not None:
            self.env.sync(True)
            self.env.close()
            self._publish(self._new.name)

    def end(self) -> None:
        """Take back what is not finished; to a forked child the files do not belong."""
        try:
            if hasattr(self, "txn"):
                self.txn.abort()
        finally:
            if hasattr(self, "env") and self.env is not self._dest:
                self.env.close()
            if self._new is not None:
                self._new.end()

    def _publish(self, name: bytes) -> None:
        """Give the new environment its name, unless somebody else has taken it."""
        try:
            if self._subdir:
                os.unlink(name + b"/lock.mdb")
                fsync_path(name)
                os.rename(name, self._path)
            else:
                _rename_no_replace(name, self._path)
        except OSError as failure:
            if failure.errno not in _EXISTS_ERRORS:
                raise
            raise error(
                f"{os.fsdecode(self._path)!r} was made meanwhile by another process",
                failure.errno,
                "write to another path",
            ) from failure
        fsync_path(os.path.dirname(self._path))


def _rename_no_replace(old: bytes, new: bytes) -> None:
    """Unlike a rename, a link never replaces what is there."""
    try:
        os.link(old, new)
    except OSError as failure:
        if failure.errno not in _NO_LINK_ERRORS:
            raise
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from None
        os.rename(old, new)


def _flag_names(flags: int) -> str:
    return " ".join(words_of(flag_words(flags))) or "none"


def describe_database(name: bytes | None) -> str:
    """A database, in a message."""
    return "the main database" if name is None else f"the database {name!r}"


def is_new(dest: Source) -> bool:
    """Whether there is nothing yet where an environment is to be."""
    if isinstance(dest, Environment):
        return False
    return not os.path.exists(_data_file(os.fsencode(dest)))


def _data_file(path: bytes) -> bytes:
    """The data file of an environment, which is a directory or the file itself."""
    return os.path.join(path, b"data.mdb") if os.path.isdir(path) else path
