# SPDX-License-Identifier: MIT
"""Where a backup is written to: a path, a descriptor, or an object with ``write()``."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from .._base.integers import is_descriptor
from .._base.new_files import mode_of_copy
from .._base.progress import can_stop, check_stop
from .._base.words import counted
from .._core_rules.writer_gate import Deadline
from .._shared.output_files import output, refuse_own_file, shown
from ..errors import InvalidParameterError, LockTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, TypeAlias

    from .._base.new_files import Path
    from ..environment import Environment
    from .backup_file import BackupReader

    BackupDestination = Path | int | BinaryIO
    BackupOutput: TypeAlias = "BinaryIO | Descriptor | _Whole"


class Limit:
    """A limit of time."""

    def __init__(self, seconds: float | None, path: str) -> None:
        """:param path: of the environment, for the message."""
        self._deadline, self._path = Deadline(seconds, "backup: max_seconds"), path

    def check(self) -> None:
        """:raises LockTimeoutError: the time is over."""
        if not self._deadline.slice():
            raise LockTimeoutError(
                f"backup: that of {self._path!r} was not complete within"
                f" {counted(self._deadline.timeout or 0, 'second')} (max_seconds=)",
                hint="allow more time, or make an increment (since=)",
            )

    @property
    def can_end(self) -> bool:
        """Whether the backup may end early."""
        return self._deadline.timeout is not None or can_stop()

    def wait(self, ready: Callable[[float], object]) -> None:
        """Wait until ``ready()``, which is called with how many milliseconds to wait."""
        while not ready(1000 * self._deadline.slice()):
            self.check()
            check_stop()


class Descriptor:
    """Writes all bytes that it is given to a descriptor.

    If the backup may end early, a pipe that is full is waited for in slices.  One that is ready
    takes ``PIPE_BUF`` bytes without waiting; larger writes are faster.
    """

    def __init__(self, number: int, limit: Limit) -> None:
        self._number, self._limit, self._poll = number, limit, select.poll()
        self._poll.register(number, select.POLLOUT)
        self._can_wait = limit.can_end and not stat.S_ISREG(os.fstat(number).st_mode)

    def write(self, data: bytes | memoryview) -> None:
        """Write all bytes."""
        rest = memoryview(data)
        while rest:
            part = rest
            if self._can_wait:
                self._limit.wait(self._poll.poll)
                part = rest[: select.PIPE_BUF]
            try:
                rest = rest[os.write(self._number, part) :]
            except BlockingIOError:
                self._limit.wait(self._poll.poll)

    def flush(self) -> None:
        """Do nothing: no bytes are kept back."""


def open_destination(
    stack: ExitStack,
    env: Environment,
    dest: BackupDestination,
    previous: BackupReader | None,
    overwrite: bool,
    limit: Limit,
) -> tuple[BackupOutput, str | None]:
    """Open the destination; return what writes to it, and its path if it has one."""
    if isinstance(dest, (str, bytes, os.PathLike)):
        return _open_path(stack, env, dest, previous, overwrite, limit)
    if isinstance(dest, io.TextIOBase) or not (is_descriptor(dest) or hasattr(dest, "write")):
        raise TypeError(
            "backup: dest must be a path, a descriptor, or a file opened for binary writing, not"
            f" {type(dest).__name__}"
        )
    number = dest if isinstance(dest, int) else _descriptor(dest)
    if number is not None:
        refuse_own_file("backup", env._options, number)
        _refuse_previous(previous, number)
    if isinstance(dest, int):
        return Descriptor(dest, limit), None
    if isinstance(dest, io.BufferedIOBase):
        return dest, None
    return _Whole(dest, limit), None


class _Whole:
    """Writes all bytes that it is given to an object whose ``write()`` may write fewer.

    Nothing is kept back, so nothing is written after a failure or an interrupt.
    """

    _MOST = 1 << 16

    def __init__(self, file: BinaryIO | io.RawIOBase, limit: Limit) -> None:
        self._file, self._limit = file, limit

    def write(self, data: bytes | memoryview) -> None:
        """Write all bytes; an object that does not tell how many it has written has written all."""
        rest = memoryview(data)
        while rest:
            part = bytes(rest[: self._MOST])
            written = self._file.write(part)
            if written is None and isinstance(self._file, io.RawIOBase):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            count = len(part) if written is None else int(written)
            if not 0 <= count <= len(part):
                raise OSError(f"backup: write() returned {count} for {counted(len(part), 'byte')}")
            rest = rest[count:]
            if not count:
                self._limit.check()

    def flush(self) -> None:
        """Flush the object, if it can."""
        if hasattr(self._file, "flush"):
            self._file.flush()


def _descriptor(file: BinaryIO) -> int | None:
    with suppress(AttributeError, OSError, ValueError):
        return int(file.fileno())
    return None


def _refuse_previous(previous: BackupReader | None, dest: str | int) -> None:
    """Raise InvalidParameterError if a backup would be written over the one that it continues."""
    if previous is not None and previous.is_at(dest):
        raise InvalidParameterError(
            f"backup: the destination, {shown(dest)}, is the backup that since= names",
            hint="write the increment to another file; restoring needs both",
        )


def _open_path(
    stack: ExitStack,
    env: Environment,
    dest: Path,
    previous: BackupReader | None,
    overwrite: bool,
    limit: Limit,
) -> tuple[Descriptor, str]:
    options = env._options
    path = os.path.abspath(os.fsdecode(dest))
    _refuse_previous(previous, path)
    try:
        mode = mode_of_copy(options.data_path, options.subdir)
    except FileNotFoundError:
        mode = 0o600  # the data file was moved: the backup stays private
    file = stack.enter_context(output("backup", dest, overwrite, mode, source=options))
    return Descriptor(file.fileno(), limit), path
