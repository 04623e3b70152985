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

from ..errors import ReplacedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._options import Options
    from ..environment import Environment

_SUFFIX = b".new"


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
        sync(new)
        os.replace(new, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(new)


def sync(path: str | bytes) -> None:
    """Flush a file or a directory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def new_data_path(options: Options) -> bytes:
    """Where the data file that replaces an environment's is written; what an earlier writer
    left there is removed."""
    path = options.data_path + _SUFFIX
    _remove(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def replace(env: Environment, options: Options) -> None:
    """Put ``env``, which is closed by this, in the place that ``options`` name.

    :raises ReplacedError: another writer has put its file where this one was.
    """
    new = options.data_path + _SUFFIX
    identity = env._use().key
    with env.begin(write=True) as txn:
        value = txn.get(b"\0")
        txn.put(b"\0", value or b"")
        if value is None:
            txn.delete(b"\0")
    env.sync(True)
    env.close()
    found = os.stat(new)
    if (found.st_dev, found.st_ino) != identity:
        raise ReplacedError(f"{os.fsdecode(new)!r} is another writer's now")
    os.rename(new, options.data_path)
    with suppress(FileNotFoundError):  # with lock=False there is none
        os.rename(new + b"-lock", options.lock_path)
    sync(os.path.dirname(options.data_path))


def discard(env: Environment, options: Options) -> None:
    """Close ``env`` and remove it."""
    env.close()
    _remove(options.data_path + _SUFFIX)


def _remove(path: bytes) -> None:
    for name in (path, path + b"-lock"):
        with suppress(FileNotFoundError):
            os.unlink(name)
