# SPDX-License-Identifier: MIT
"""Where whole environments are written to.

A new one is written under another name beside its own and gets its own when it is
whole and on disk, so nobody ever sees half of it; it is committed in portions, which
bounds the memory.  Into one that exists everything is written in one transaction.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from .._options import DEFAULT_MAX_DBS
from ..environment import Environment
from ..errors import error
from ._sources import data_path

if TYPE_CHECKING:
    from ..transaction import Transaction
    from ._sources import Source

# how many bytes a new environment is committed at
PORTION = 128 << 20
_numbers = count()


class Destination:
    """A ``with`` block that writes into ``env`` by ``txn``, and whose end makes that last."""

    env: Environment
    txn: Transaction[Any]

    def __init__(
        self, place: Source, subdir: bool, lib_version: int | None = None, databases: int = 0
    ) -> None:
        self._place: Any = place
        self._path = b"" if isinstance(place, Environment) else os.path.abspath(os.fsencode(place))
        self._subdir, self._is_new = subdir, is_new(place)
        self._options: dict[str, Any] = {
            "lib_version": lib_version,
            "max_dbs": max(databases, DEFAULT_MAX_DBS),
        }
        self._written = 0
        self._partial = self._path + b".partial-%d-%d" % (os.getpid(), next(_numbers))

    @property
    def data_path(self) -> bytes:
        """The file that holds, or will hold, the pages."""
        if isinstance(self._place, Environment):
            return data_path(self._place)
        return _in_directory(self._path)

    def __enter__(self) -> Destination:
        if isinstance(self._place, Environment):
            self.env = self._place
        elif self._is_new:
            self._remove()
            # each page is written once and not read again: nothing is read ahead, either
            options = {"sync": False, "readahead": False, **self._options}
            self.env = Environment(self._partial, subdir=self._subdir, **options)
        else:
            self.env = Environment(self._place, create=False, **self._options)
        try:
            self.txn = self.env.begin(write=True)
        except BaseException:
            self._close()
            raise
        return self

    def wrote(self, size: int) -> None:
        """To be called when so many bytes more are written."""
        self._written += size
        if self._is_new and self._written >= PORTION:
            self.txn.commit()
            self.txn = self.env.begin(write=True)
            self._written = 0

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if kind is None:
                self.txn.commit()
                if self._is_new:
                    self.env.sync(True)
            else:
                self.txn.abort()
        except BaseException:
            kind = True
            raise
        finally:
            self._close(keep=kind is None)

    def _close(self, keep: bool = False) -> None:
        if self.env is not self._place:
            self.env.close()
        try:
            if self._is_new and keep:
                self._publish()
        finally:
            if self._is_new:
                self._remove()

    def _publish(self) -> None:
        """Give the new environment its name, unless somebody else has taken it."""
        try:
            if self._subdir:
                os.unlink(self._partial + b"/lock.mdb")
                os.rename(self._partial, self._path)
            else:
                os.link(self._partial, self._path)
        except OSError as failure:
            raise error(
                f"{os.fsdecode(self._path)!r} was made meanwhile by somebody else",
                failure.errno or errno.EEXIST,
                "write to another path",
            ) from failure
        _sync_directory(os.path.dirname(self._path))

    def _remove(self) -> None:
        """Remove what a failure, also of an earlier process of this number, has left."""
        if self._subdir:
            shutil.rmtree(self._partial, ignore_errors=True)
            return
        for path in (self._partial, self._partial + b"-lock"):
            with suppress(FileNotFoundError):
                os.unlink(path)


def is_new(place: Source) -> bool:
    """Whether there is nothing yet where an environment is to be."""
    if isinstance(place, Environment):
        return False
    return not os.path.exists(_in_directory(os.fsencode(place)))


def _in_directory(path: bytes) -> bytes:
    """The data file of an environment, which is a directory or the file itself."""
    return os.path.join(path, b"data.mdb") if os.path.isdir(path) else path


def _sync_directory(path: bytes) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
