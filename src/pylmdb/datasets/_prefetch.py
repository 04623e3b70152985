# SPDX-License-Identifier: MIT
"""Prefetch: threads read files before they are needed, and yield them in order."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from .._base.owners import Descriptor
from ..errors import InvalidParameterError, path_error

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")

# the bytes that a task reads, about, and the files, at most
_TASK_BYTES, _TASK_FILES = 4 << 20, 64
# those that the system has
_NAMES = ("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
_FLAGS = sum(getattr(os, name, 0) for name in _NAMES)


def read_file(path: str) -> bytes:
    """Read a regular file.

    :raises PathNotFoundError: it does not exist.
    :raises InvalidParameterError: it is another kind of file, such as a pipe, which could block.
    """
    file = Descriptor()
    with file, file:
        try:
            fd = file.open(path, _FLAGS)
        except FileNotFoundError:
            raise path_error("read", path, errno.ENOENT, "does not exist") from None
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise InvalidParameterError(
                f"{path!r} has the mode {stat.filemode(found.st_mode)!r}; it must be a regular file"
            )
        parts = [os.read(fd, found.st_size + 1)]
        while parts[-1]:
            parts.append(os.read(fd, 1 << 20))
    return b"".join(parts)


def map_in_order(
    function: Callable[[T], tuple[R, int]], items: Iterable[T], threads: int
) -> Generator[tuple[T, R | Exception], None, None]:
    """Yield (item, result) for each item, in order, while threads compute the next ones.

    The caller must close the generator, which waits for the threads.

    :param function: it returns a result and the size of that in bytes.  An exception is yielded in
        place of the result.
    :param threads: how many threads compute.  Each gets several small items at a time.
    """

    def run(task: list[T]) -> tuple[list[tuple[T, R | Exception]], int]:
        results: list[tuple[T, R | Exception]] = []
        total = 0
        for item in task:
            try:
                result, size = function(item)
            except Exception as problem:
                results.append((item, problem))
            else:
                results.append((item, result))
                total += size
        return results, total

    waiting: deque[Future[tuple[list[tuple[T, R | Exception]], int]]] = deque()
    rest, count = iter(items), 1
    with ThreadPoolExecutor(threads, "pylmdb-read") as pool:
        try:
            while True:
                while len(waiting) <= threads and (task := [*islice(rest, count)]):
                    waiting.append(pool.submit(run, task))
                if not waiting:
                    return
                results, total = waiting.popleft().result()
                mean = total // max(1, len(results)) + 1
                count = min(_TASK_FILES, max(1, _TASK_BYTES // mean))
                yield from results
        finally:
            for each in waiting:
                each.cancel()
