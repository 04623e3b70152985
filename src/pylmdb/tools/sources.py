# SPDX-License-Identifier: MIT
"""Environments that are only read: opened by path, or again where they are open."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from .._shared.options import DEFAULT_MAX_DBS, locate
from .._shared.options import data_path as data_path_of
from ..environment import Environment
from ..errors import FileSystemError, LockFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import Any

    Source = Environment | str | bytes | PathLike[str] | PathLike[bytes]


def open_source(
    source: Source, subdir: bool | None = None, *, lock: bool = True, max_dbs: int | None = None
) -> Environment:
    """A read-only Environment of one's own; nothing in it is read yet."""
    path: Any = source
    if isinstance(source, Environment):
        flags = source.flags()
        path, subdir, lock = source.path(), flags.subdir, flags.lock
    return Environment(
        path, subdir=subdir, readonly=True, create=False, map_size=0, lock=lock, max_dbs=max_dbs
    )


def open_whole(source: Source, subdir: bool | None = None, *, lock: bool = True) -> Environment:
    """The same, with room for all named databases."""
    return with_room(partial(open_source, source, subdir, lock=lock))


def open_unlocked_if_safe(
    path: str | bytes | PathLike[str] | PathLike[bytes],
    opens: Callable[..., Environment],
    warn: Callable[[str], None],
) -> Environment:
    """What ``opens(lock=True)`` opens for reading; where the lock file cannot be had,
    ``opens(lock=False)``, if no process with the rights of this one can write to the files.

    One with more rights still can, as the owner of a data set can, and nothing keeps it from
    writing over pages that are being read.  So ``warn`` is called with a sentence that says so.
    """
    try:
        return opens(lock=True)
    except (LockFileError, FileSystemError) as refusal:
        if _is_writable(path):
            raise
        reason = refusal.reason
    env = opens(lock=False)
    warn(
        f"{os.fsdecode(path)!r} is read without a lock, because its lock file cannot be used"
        f" ({reason}); no process must write to it meanwhile"
    )
    return env


def _is_writable(path: str | bytes | PathLike[str] | PathLike[bytes]) -> bool:
    """Whether this process may write to a data file, or make and delete files beside it."""
    absolute, _, subdir = locate(path, None)
    name = data_path_of(absolute, subdir)
    effective = os.access in os.supports_effective_ids
    return any(
        os.access(each, os.W_OK, effective_ids=effective) for each in (name, os.path.dirname(name))
    )


def with_room(open_env: Callable[..., Environment], more: int = 0) -> Environment:
    """What ``open_env`` opens, with room for all named databases and so many more.

    They are counted first: every leaf of the main database is read for that.
    """
    env = open_env()
    room = room_for(len(env.dbs()) + more)
    if room is None:
        return env
    env.close()
    return open_env(max_dbs=room)


def room_for(databases: int) -> int | None:
    """The ``max_dbs`` to open with; None where what there is by default will do, so that an
    environment that is open in this process is shared whatever its room."""
    return databases if databases > DEFAULT_MAX_DBS else None


def data_path(env: Environment) -> bytes:
    """The file that holds the pages."""
    path: bytes = env._options.data_path
    return path
