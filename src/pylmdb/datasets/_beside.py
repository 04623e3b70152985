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
    new = f"{path}.new-{os.getpid()}"
    try:
        yield new
        fsync_path(new)
        os.replace(new, path)
        fsync_path(os.path.dirname(os.path.abspath(path)))
    finally:
        with suppress(FileNotFoundError):
            os.unlink(new)


class Replacement:
    """A new environment beside the one it will replace.

    What an earlier writer has left there is removed.

    :ivar path: of its data file, for ``Environment(path, subdir=False)``.
    """

    def __init__(self, place: Options) -> None:
        self._place = place
        self.path = place.data_path + b".new"
        self._identity: tuple[int, int] | None = None
        self._remove()
        if place.subdir:
            with suppress(FileExistsError):
                os.mkdir(place.path, 0o755)

    def opened(self) -> None:
        """It has been opened: from now on it is known by its inode."""
        self._identity = self._found()

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
        with suppress(FileNotFoundError):  # with lock=False there is none
            os.rename(self.path + b"-lock", self._place.lock_path)
        fsync_path(os.path.dirname(self.path))

    def discard(self, env: Environment) -> None:
        """Close ``env`` and remove it."""
        env.close()
        if self._is_there():
            self._remove()

    def _is_there(self) -> bool:
        return self._identity is not None and self._found() == self._identity

    def _found(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _remove(self) -> None:
        for name in (self.path, self.path + b"-lock"):
            with suppress(FileNotFoundError):
                os.unlink(name)
