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

from .. import _new_files
from .._fsync import fsync_path

if TYPE_CHECKING:
    from .._options import Options
    from ..environment import Environment


class Replacement:
    """A new environment under a temporary name, which takes the place of another one.

    :param mode: the permissions of its files if there is nothing to replace.
    :ivar path: of its data file, for ``Environment(path, subdir=False)``.
    """

    def __init__(self, place: Options, mode: int) -> None:
        self._place = place
        if place.subdir:
            with suppress(FileExistsError):
                os.mkdir(place.path, mode)
        # until it is published its owner has to be able to open it
        made_with = _mode_of(place.data_path, mode & ~0o111) | 0o600
        self.path = _new_files.temporary_name(place.data_path)
        self._fd = _new_files.open_new(self.path, made_with)

    def publish(self, env: Environment) -> None:
        """Close ``env`` and put it in its place."""
        with env.begin(write=True) as txn:
            value = txn.get(b"\0")
            txn.put(b"\0", value or b"")
            if value is None:
                txn.delete(b"\0")
        env.sync(True)
        env.close()
        place, lock_path = self._place, self.path + b"-lock"
        with suppress(FileNotFoundError):
            mode = os.stat(lock_path).st_mode & 0o7777
            _new_files.set_mode(lock_path, _mode_of(place.lock_path, mode))
        own_mode = os.fstat(self._fd).st_mode & 0o7777
        mode = _mode_of(place.data_path, own_mode)
        _new_files.put_in_place(self._fd, self.path, place.data_path, mode)
        with suppress(FileNotFoundError):  # with lock=False there is none
            os.rename(lock_path, place.lock_path)
        fsync_path(os.path.dirname(place.lock_path))
        self._close()

    def discard(self, env: Environment | None) -> None:
        """Close ``env`` and remove it, unless it has its place."""
        if env is not None:
            env.close()
        if self._fd >= 0:
            _new_files.remove(self.path)
            self._close()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)


def _mode_of(path: bytes, otherwise: int) -> int:
    """The permissions of a file, if it is there."""
    try:
        return os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        return otherwise
