# SPDX-License-Identifier: MIT
"""Files that are written beside their place and put there when they are whole.

**Replacing an environment** renames its data file and then its lock file, each over the old one.
Who has the old ones open keeps them, and no name is ever missing.  Between the two, and if the
process is killed there, somebody may open the new data file with the old lock file, whose readers
have had other transaction numbers: then the parity of a number decides which of the two meta
pages is read.  So a commit without changes makes both say the same before.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .._ends import Owner
from .._fsync import fsync_path
from ..errors import ReplacedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._options import Options
    from ..environment import Environment


def publish_file(path: str, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with beside(path) as new, open(new, "wb") as file:
        file.write(content)


@contextmanager
def beside(path: str) -> Iterator[str]:
    """A name to write a file under, which gets the name ``path`` at the end of the block, or is
    removed if that raises."""
    new = _NewFile(f"{path}.new-{os.getpid()}")
    with new, new:
        yield new.name
        fsync_path(new.name)
        os.replace(new.name, path)
        fsync_path(os.path.dirname(os.path.abspath(path)))


class _NewFile(Owner):
    """The name of a file that is removed at the end, if it is still there."""

    def __init__(self, name: str) -> None:
        self.name, self._pid = name, os.getpid()

    def end(self) -> None:
        if self._pid == os.getpid():
            with suppress(FileNotFoundError):
                os.unlink(self.name)


class Replacement(Owner):
    """A new environment beside the one it will replace.

    What an earlier writer has left there is removed.

    :ivar path: of its data file, for ``Environment(path, subdir=False)``.
    """

    _pid = 0  # until it is made

    def __init__(self, place: Options) -> None:
        self._place, self._pid = place, os.getpid()
        self.path = place.data_path + b".new"
        self._identity: tuple[int, int] | None = None
        self._is_published = False
        self._remove()
        if place.subdir:
            with suppress(FileExistsError):
                os.mkdir(place.path, 0o755)

    def __del__(self) -> None:  # it has no block of its own
        self.end()

    def opened(self) -> None:
        """It has been opened: from now on it is known by its inode."""
        self._identity = _identity(self.path)

    def publish(self, env: Environment) -> None:
        """Close ``env`` and put it in its place.

        :raises ReplacedError: another writer has put its file where this one was.
        """
        with env.begin(write=True) as txn:
            value = txn.get(b"\0")
            txn.put(b"\0", value or b"")
            if value is None:
                txn.delete(b"\0")
        env.sync(True)
        env.close()
        if not self._is_there():
            raise ReplacedError(f"{os.fsdecode(self.path)!r} is another writer's now")
        with suppress(FileNotFoundError):
            os.chmod(self.path, os.stat(self._place.data_path).st_mode & 0o7777)
        os.rename(self.path, self._place.data_path)
        self._publish_lock_file()
        fsync_path(os.path.dirname(self.path))

    def _publish_lock_file(self) -> None:
        with suppress(FileNotFoundError):  # with lock=False there is none
            os.rename(self.path + b"-lock", self._place.lock_path)
        self._is_published = True

    def end(self) -> None:
        """Remove it, unless it was published; or complete that if it has begun."""
        if self._pid != os.getpid() or self._identity is None or self._is_published:
            return
        if self._is_there():
            self._remove()
        elif _identity(self._place.data_path) == self._identity:
            self._publish_lock_file()

    def _is_there(self) -> bool:
        return self._identity is not None and _identity(self.path) == self._identity

    def _remove(self) -> None:
        for name in (self.path, self.path + b"-lock"):
            with suppress(FileNotFoundError):
                os.unlink(name)


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
