# SPDX-License-Identifier: MIT
"""Paths that the system refuses: why, and what to do."""

from __future__ import annotations

import errno
import os

from .._typing import TYPE_CHECKING
from ..errors import Error, path_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_LONG_NAME = "choose a shorter name (most file systems allow 255 bytes)"
_PERMISSIONS = "change the permissions, or choose another path"
_ROOM = "make room on the disk"
# why the system refuses a path, and what to do
_SYSTEM_REASONS = {
    errno.ENAMETOOLONG: ("a name in it is too long", _LONG_NAME),
    errno.EACCES: ("this process has no permission", _PERMISSIONS),
    errno.EPERM: ("this process has no permission", _PERMISSIONS),
    errno.EROFS: ("its file system is read-only", "choose another path"),
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("the file would be too large", "raise the limit (ulimit -f), or split the data"),
    errno.EIO: ("the disk has failed", "check the disk"),
    errno.ELOOP: ("it has too many symbolic links", "check the path"),
    errno.ENOTDIR: ("a part of it is not a directory", "check the path"),
    errno.EISDIR: ("it is a directory", "name a file"),
    errno.EMFILE: (
        "this process has too many files open", "close some, or raise the limit (ulimit -n)"
    ),
    errno.ENFILE: ("the system has too many files open", "close some, and try again"),
}  # fmt: skip


def system_reason(code: int | None) -> tuple[str, str]:
    """Return why the system refuses a path, and what to do; empty for other error numbers."""
    return _SYSTEM_REASONS.get(code or 0, ("", ""))


def unusable(code: int | None, use: str) -> tuple[str, str]:
    """Return that something cannot be used, and why if that is known; and what to do.

    :param use: as for :func:`refused_path`.
    """
    reason, hint = system_reason(code)
    return f"cannot be {use}: {reason}" if reason else f"cannot be {use}", hint


def refused_path(
    operation: str, path: str | bytes | os.PathLike[str] | os.PathLike[bytes], code: int,
    use: str = "opened",
) -> Error:  # fmt: skip
    """The exception for a path that the system refuses.

    :param code: its error number.
    :param use: what cannot be done with the path, as a participle.
    """
    problem, hint = unusable(code, use)
    return path_error(operation, path, code, problem, hint)


class Explained:
    """A ``with`` block in which the system may refuse a path: its error becomes one of pylmdb, if
    it names the path and the reason is known.

    :param path: as the user has given it.
    :param use: as for :func:`refused_path`.
    :param place: the same path as the block uses it, if that differs.
    """

    def __init__(
        self, operation: str, path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        use: str = "opened", place: bytes | None = None,
    ) -> None:  # fmt: skip
        self._operation, self._path, self._use = operation, path, use
        self._names = {os.fsdecode(path), os.fsdecode(path if place is None else place)}

    def __enter__(self) -> None:
        pass

    def __exit__(self, _cls: object, failure: BaseException | None, _traceback: object) -> None:
        if isinstance(failure, OSError) and not isinstance(failure, Error):
            name = failure.filename
            is_ours = isinstance(name, (str, bytes)) and os.fsdecode(name) in self._names
            if is_ours and failure.errno in _SYSTEM_REASONS:
                raise refused_path(
                    self._operation, self._path, failure.errno, self._use
                ) from failure


def require_path(operation: str, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
    """Raise the exception for a path that an operation reads if there is nothing, or if the system
    refuses the path."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise path_error(operation, path, errno.ENOENT, "does not exist") from None
    except OSError as failure:
        raise refused_path(operation, path, failure.errno or errno.EIO, "read") from failure


def open_to_read(
    operation: str, path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    opener: Callable[[str, int], int] | None = None,
) -> BinaryIO:  # fmt: skip
    """Open a file that the user of an operation has named.

    :raises PathNotFoundError: it does not exist.
    :raises Error: the system refuses to open it.
    """
    require_path(operation, path)
    with Explained(operation, path, "read"):
        return open(os.fspath(path), "rb", opener=opener)
