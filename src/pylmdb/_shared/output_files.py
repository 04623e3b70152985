# SPDX-License-Identifier: MIT
"""Files that the user of an operation names to be written: dumps and exports."""

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from .._base.new_files import NamedFile, replacing
from .._core_rules.system_errors import Explained
from ..errors import path_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._base.new_files import Path
    from ..errors import Error
    from .options import Options


@contextmanager
def output(
    operation: str,
    path: Path,
    overwrite: bool,
    mode: int | None = None,
    source: Options | None = None,
) -> Iterator[BinaryIO]:
    """A ``with`` block that writes the file that the user of an operation named.

    The file appears when it is complete.  A pipe, a terminal or the like is written to directly,
    and so is an open file, such as ``/dev/stdout``, from where its descriptor is.

    :param overwrite: True to replace a file that exists.
    :param mode: the permissions of a file that replaces none; None for the usual ones.
    :param source: of the environment that is read; its files must not be written.
    :raises PathExistsError: it exists, and may not.
    :raises PathNotFoundError: its directory does not exist.
    :raises ValueError: it is a file of the source.
    """
    if source is not None:
        refuse_own_file(operation, source, path)
    if _is_stream(os.fsencode(path)):
        with Explained(operation, path, "written"), _open_stream(os.fsencode(path)) as stream:
            yield stream
        return
    check_output(operation, path, overwrite)
    # a symbolic link stays, and leads to the new file
    place = os.fsencode(os.path.realpath(path))
    refusal = None if overwrite else _exists(operation, path)
    with Explained(operation, path, "written", place), replacing(place, refusal, mode) as file:
        yield file


def check_output(operation: str, path: Path, overwrite: bool) -> None:
    """Raise what :func:`output` raises if the file cannot be written."""
    if os.path.isdir(path):
        raise path_error(operation, path, errno.EISDIR, "is a directory", "name a file")
    if not overwrite and os.path.lexists(path):
        raise _exists(operation, path)
    if not os.path.isdir(os.path.dirname(os.path.realpath(path))):
        problem = "cannot be written: its directory does not exist"
        raise path_error(operation, path, errno.ENOENT, problem, "create it first")


def refuse_own_file(operation: str, options: Options, file: Path | int) -> None:
    """Raise ValueError if a file that is to be written is a file of an environment.

    :param file: a path or a descriptor.
    """
    if _are_same(options.data_path, file):
        raise ValueError(f"{operation}: {shown(file)} is both the source and the destination")
    if _are_same(options.lock_path, file):
        raise ValueError(f"{operation}: {shown(file)} is the lock file of the source")


def _are_same(path: bytes, file: Path | int) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.stat(path), os.stat(file))
    return False


def shown(file: Path | int) -> str:
    """Return a path or a descriptor as it is in messages."""
    return f"descriptor {file}" if isinstance(file, int) else repr(os.fsdecode(file))


def _exists(operation: str, path: Path) -> Error:
    hint = "overwrite=True replaces it"
    return path_error(operation, path, errno.EEXIST, "exists", hint)


def _is_stream(path: bytes) -> bool:
    """Whether a path leads to something that is written to, and cannot be replaced.

    That is a pipe, a device or a socket.  An open descriptor, such as ``/dev/stdout``, is written
    to even if it is a regular file.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    if stat.S_ISDIR(mode):
        return False
    return not stat.S_ISREG(mode) or bool(_descriptor(path))


def _open_stream(path: bytes) -> BinaryIO:
    """Open for writing what :func:`_is_stream` is true for.

    A descriptor that was opened again by its name would write over what a file has.
    """
    folder, name = os.path.split(_descriptor(path))
    if folder in (b"/dev/fd", b"/proc/%d/fd" % os.getpid()):
        return io.BufferedWriter(NamedFile(os.dup(int(name)), "wb", path))
    return io.BufferedWriter(NamedFile(path, "ab" if name else "wb", path))


def _descriptor(path: bytes) -> bytes:
    """Return the path of the descriptor of a process that a path, which exists, is or is a symbolic
    link to, such as ``/dev/fd/1``; empty if it is none."""
    while True:
        folder, name = os.path.realpath(os.path.dirname(path)), os.path.basename(path)
        if folder == b"/dev/fd" or (folder.startswith(b"/proc/") and folder.endswith(b"/fd")):
            return os.path.join(folder, name)
        if not os.path.islink(path):
            return b""
        path = os.path.join(folder, os.readlink(path))
