# SPDX-License-Identifier: MIT
"""Atomic replace: a new environment in place of an old one.

It is written under a temporary name.  Then its data file and its lock file are renamed over the old
ones.  Programs that have the old files open keep them, and both names exist at any time.

Between the two renames, or if the process is killed there, a program may open the new data file
with the old lock file, which has another transaction number.  The parity of that number decides
which of the two meta pages is read.  So a commit without changes is made first, after which both
meta pages show the same records.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from .._base.fsync import fsync_path
from .._base.new_files import Temporary, leads_to, put_in_place, set_mode
from .._base.owners import Owner
from .._core_rules.system_errors import Explained
from .._shared.opening import no_parent

if TYPE_CHECKING:
    from .._shared.options import Options
    from ..environment import Environment


class Replacement(Owner):
    """A new environment under a temporary name, which replaces another one.

    :param target: the environment to replace.
    :param mode: the permissions of the files, if there is nothing to replace.
    :ivar path: the path of the data file, for ``Environment(path, subdir=False)``.
    """

    def __init__(self, target: Options, mode: int) -> None:
        self._target = target
        if not os.path.isdir(os.path.dirname(target.path)):
            raise no_parent(target.given_path, target.path)
        self._new = Temporary(target.data_path)
        self.path = self._new.name
        with Explained("Writer", target.given_path, "created", target.path):
            if target.subdir:
                with suppress(FileExistsError):
                    os.mkdir(target.path, mode)
        # its owner must be able to open it until it is published
        with Explained("Writer", target.given_path, "created", target.data_path):
            self._new.make(_mode_of(target.data_path, mode & ~0o111) | 0o600)

    def __del__(self) -> None:  # it is not used as a context manager
        if hasattr(self, "_new"):
            self.end()

    def publish(self, env: Environment) -> None:
        """Close ``env``, and rename its files over the old ones."""
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
        """Remove the new files; if the data file was renamed already, rename the lock file, too."""
        target, fd = self._target, self._new.number
        if fd is not None and self._new.is_mine and leads_to(target.data_path, fd):
            with suppress(FileNotFoundError):  # with lock=False there is none
                os.rename(self.path + b"-lock", target.lock_path)
            fsync_path(os.path.dirname(target.lock_path))
        self._new.end()


def _mode_of(path: bytes, otherwise: int) -> int:
    """Return the permissions of a file; ``otherwise`` if it does not exist."""
    try:
        return os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        return otherwise
