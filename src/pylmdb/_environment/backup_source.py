# SPDX-License-Identifier: MIT
"""Where a backup is read from: a path, a :class:`Backup`, or an open file."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, cast

from .._base.waiting_input import waiting_input
from .._core_rules.system_errors import open_to_read, require_path
from ..errors import InvalidError, InvalidParameterError
from .backup_file import MAGIC, Backup, BackupReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from .._base.new_files import Path

    BackupSource = Path | BinaryIO | Backup


def is_backup_source(given: object) -> bool:
    """Whether an argument is one backup."""
    return isinstance(given, (str, bytes, os.PathLike, Backup)) or hasattr(given, "read")


def is_backup_file(path: bytes) -> bool:
    """Whether there is a file that can be read and begins as a backup does."""
    if not (os.path.isfile(path) and os.access(path, os.R_OK)):
        return False
    with open(path, "rb", opener=_open_at_once) as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def reading(
    operation: str, source: BackupSource, folder: bytes | None = None
) -> Iterator[BackupReader]:
    """A ``with`` block that reads a backup, whose lists were checked.

    :param folder: where a pipe is copied to, in a file without a name; None: a pipe is refused.
    :raises PathNotFoundError: the file does not exist.
    :raises InvalidError: it is not a backup.
    :raises CorruptedError: it is damaged.
    """
    if not is_backup_source(source) or isinstance(source, io.TextIOBase):
        raise TypeError(
            f"{operation}: a backup must be a path, a Backup, or a file opened for binary reading,"
            f" not {type(source).__name__}"
        )
    with ExitStack() as stack:
        if isinstance(source, Backup):
            reader = _open_path(stack, operation, _path_of(operation, source))
        elif isinstance(source, (str, bytes, os.PathLike)):
            reader = _open_path(stack, operation, os.fsdecode(source))
        else:
            reader = _open_file(stack, operation, source, folder)
        reader.check()
        if isinstance(source, Backup) and reader.info.identity != source.identity:
            raise InvalidParameterError(
                f"{operation}: {source.path!r} is another backup than the one that was given",
                hint="give the path of its file",
            )
        yield reader


def _path_of(operation: str, backup: Backup) -> str:
    if backup.path is None:
        raise InvalidParameterError(
            f"{operation}: this Backup was written to an open file, and does not know its path",
            hint="give the path of the file",
        )
    return backup.path


def _open_path(stack: ExitStack, operation: str, path: str) -> BackupReader:
    require_path(operation, path)
    if not os.path.isfile(path):
        raise InvalidError(
            f"{operation}: {path!r} is not a regular file",
            hint="give a file that backup() has written",
        )
    file = stack.enter_context(open_to_read(operation, path, _open_at_once))
    return BackupReader(operation, file, path, os.path.abspath(path))


def _open_file(
    stack: ExitStack, operation: str, file: BinaryIO, folder: bytes | None
) -> BackupReader:
    name = getattr(file, "name", None)
    if not getattr(file, "seekable", bool)():
        if folder is None:
            raise InvalidParameterError(
                f"{operation}: a backup cannot be read from a pipe here",
                hint="write it to a file first",
            )
        copy = stack.enter_context(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115
        shutil.copyfileobj(waiting_input(file), copy, 1 << 20)
        copy.seek(0)
        file = cast("BinaryIO", copy)
    return BackupReader(operation, file, name if isinstance(name, str) else "file", None)


def _open_at_once(name: str, flags: int) -> int:
    """Open a file without waiting, if a named pipe has been put in its place meanwhile."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
