# SPDX-License-Identifier: MIT
"""A new environment in place of an old one.

It is written under a temporary name; then its data file and its lock file are renamed, each over
the old one.  Whoever has the old ones open keeps them, and no name is ever missing.  Between the
two, and if the process is killed there, somebody may open the new data file with the old lock
file, whose readers have had other transaction numbers: then the parity of a number decides which
of the two meta pages is read.  So a commit without changes makes both say the same before.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from .._base.fsync import fsync_path
from .._base.new_files import Temporary, leads_to, put_in_place, set_mode
from .._base.owners import Owner

if TYPE_CHECKING:
    from .._shared.options import Options
    from ..environment import Environment


class Replacement(Owner):
    """A new environment under a temporary name, which takes the place of another one.

    :param mode: the permissions of its files if there is nothing to replace.
    :ivar path: of its data file, for ``Environment(path, subdir=False)``.
    """

    def __init__(self, target: Options, mode: int) -> None:
        self._target = target
        if target.subdir:
            with suppress(FileExistsError):
                os.mkdir(target.path, mode)
        self._new = Temporary(target.data_path)
        self.path = self._new.name
        # until it is published its owner has to be able to open it
        self._new.make(_mode_of(target.data_path, mode & ~0o111) | 0o600)

    def __del__(self) -> None:  # it has no block of its own
        if hasattr(self, "_new"):
            self.end()

    def publish(self, env: Environment) -> None:
        """Close ``env`` and put it in its place."""
        with env.begin(write=True) as txn:
            value = txn.get(b"\0")
            txn.put(b"\0", value or b"")
            if value is None:
                txn.delete(b"\0")
        env.sync(True)
        env.close()
        target, lock_path, fd = self._target, self.path + b"-lock", self._new.number
        if fd is None:
            return  # it was published
        with suppress(FileNotFoundError):
            mode = os.stat(lock_path).st_mode & 0o7777
            set_mode(lock_path, _mode_of(target.lock_path, mode))
        own_mode = os.fstat(fd).st_mode & 0o7777
        put_in_place(fd, self.path, target.data_path, _mode_of(target.data_path, own_mode))
        self.end()

    def end(self) -> None:
        """Remove it; or complete what puts it in place, if the data file is there already."""
        target, fd = self._target, self._new.number
        if fd is not None and self._new.is_mine and leads_to(target.data_path, fd):
            with suppress(FileNotFoundError):  # with lock=False there is none
                os.rename(self.path + b"-lock", target.lock_path)
            fsync_path(os.path.dirname(target.lock_path))
        self._new.end()


def _mode_of(path: bytes, otherwise: int) -> int:
    """The permissions of a file, if it is there."""
    try:
        return os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        return otherwise
