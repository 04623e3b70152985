# SPDX-License-Identifier: MIT
"""Opening environments that are only read, by a path or by an open Environment."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from .._base.log import WARNING, log
from .._shared.options import DEFAULT_MAX_DBS, locate, require_data_file
from .._shared.options import data_path as data_path_of
from ..environment import Environment
from ..errors import FileSystemError, LockFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike
    from typing import TypeVar

    T = TypeVar("T")

    Source = Environment | str | bytes | PathLike[str] | PathLike[bytes]


def several(operation: str, parameter: str, values: Iterable[T]) -> list[T]:
    """Return several values as a list; refuse one, whose parts would be taken for them."""
    if isinstance(values, (str, bytes, os.PathLike, Environment)):
        raise TypeError(
            f"{operation}: {parameter} must be a list, not one {type(values).__name__};"
            f" write {parameter}=[{values!r}]"
        )
    return [*values]


def require_source(operation: str, source: Source, subdir: bool | None = None) -> None:
    """Raise PathNotFoundError if a source is a path where there is no environment."""
    if not isinstance(source, Environment):
        require_data_file(operation, source, subdir)


def open_source(
    source: Source, subdir: bool | None = None, *, lock: bool = True, max_dbs: int | None = None
) -> Environment:
    """Open a new read-only Environment; no page is read yet."""
    if isinstance(source, Environment):
        flags = source.flags()
        source, subdir, lock = source.path(), flags.subdir, flags.lock
    return Environment(
        source, subdir=subdir, readonly=True, create=False, map_size=0, lock=lock, max_dbs=max_dbs
    )


def open_whole(source: Source, subdir: bool | None = None, *, lock: bool = True) -> Environment:
    """Open a new read-only Environment with a ``max_dbs`` for all its named databases."""
    return with_room(partial(open_source, source, subdir, lock=lock))


def open_unlocked_if_safe(
    path: str | bytes | PathLike[str] | PathLike[bytes],
    opens: Callable[..., Environment],
    warn: Callable[[str], None],
) -> Environment:
    """Return ``opens(lock=True)``; if the lock file cannot be used, ``opens(lock=False)``.

    The second call is made only if this process has no right to write to the files.  A process
    with more rights, such as one of the owner, can still overwrite pages that are being read.
    So ``warn`` is called with a sentence that warns of that, which is logged, too.
    """
    try:
        return opens(lock=True)
    except (LockFileError, FileSystemError) as refusal:
        if _is_writable(path):
            raise
        reason = refusal.reason
    env = opens(lock=False)
    text = (
        f"{os.fsdecode(path)!r} is read without a lock, because its lock file cannot be used"
        f" ({reason}); other processes must not write to it meanwhile"
    )
    log(WARNING, "%s", text)
    warn(text)
    return env


def _is_writable(path: str | bytes | PathLike[str] | PathLike[bytes]) -> bool:
    """Return True if this process may write to the data file or to its directory."""
    absolute, _, subdir = locate(path, None)
    name = data_path_of(absolute, subdir)
    effective = os.access in os.supports_effective_ids
    return any(
        os.access(each, os.W_OK, effective_ids=effective) for each in (name, os.path.dirname(name))
    )


def with_room(open_env: Callable[..., Environment], more: int = 0) -> Environment:
    """Return ``open_env()`` with a ``max_dbs`` for all named databases and ``more`` others.

    The databases are counted first, which reads every leaf page of the main database.
    """
    env = open_env()
    room = room_for(len(env.dbs()) + more)
    if room is None:
        return env
    env.close()
    return open_env(max_dbs=room)


def room_for(databases: int) -> int | None:
    """Return the ``max_dbs`` for a number of databases; None if the default is enough.

    With None, an environment that this process has open is shared, whatever its ``max_dbs``.
    """
    return databases if databases > DEFAULT_MAX_DBS else None


def data_path(env: Environment) -> bytes:
    """Return the path of the data file."""
    path: bytes = env._options.data_path
    return path
