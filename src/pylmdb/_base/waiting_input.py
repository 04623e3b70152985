# SPDX-License-Identifier: MIT
"""Reading files that the caller has opened, such as pipes, which may be non-blocking."""

from __future__ import annotations

import io
import os
import select
from typing import TYPE_CHECKING

from .progress import check_stop

if TYPE_CHECKING:
    from typing import BinaryIO

    from typing_extensions import Buffer

# for how many milliseconds a read waits until it looks whether it must end
_SLICE = 50


def waiting_input(file: BinaryIO) -> BinaryIO:
    """Return a file whose reads wait until there is data: the same one, unless its descriptor is
    non-blocking.

    A non-blocking file says that it is at its end, or returns None, while no data are there.  The
    descriptor is not changed, because other processes may use it.
    """
    try:
        fd = file.fileno()
        if os.get_blocking(fd):
            return file
    except (AttributeError, OSError, ValueError):
        return file  # it has no descriptor
    return io.BufferedReader(_Waiting(file, fd), 1 << 16)


class _Waiting(io.RawIOBase):
    """Reads from a non-blocking file, and waits for it."""

    def __init__(self, file: BinaryIO, fd: int) -> None:
        self._file = file
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        while True:
            try:
                data = self._file.read(len(view))
            except BlockingIOError:
                data = None
            if data is not None:
                view[: len(data)] = data
                return len(data)
            self._poll.poll(_SLICE)
            check_stop()
