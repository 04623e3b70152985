# SPDX-License-Identifier: MIT
"""Who is calling: an identity per thread, and what must end with the thread.

A write transaction belongs to the thread that began it.  The operating system
and :func:`threading.get_ident` give the numbers of ended threads to new ones, so
the identity here is a counter value that is never given twice.

The identity object dies when Python clears the ending thread's state, which
happens on that very thread.  Write transactions still open then are aborted, so
the writer lock is given back by the thread that took it.
"""

from __future__ import annotations

import itertools
from _thread import _local as local

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    class _Native(Protocol):
        def end_with_thread(self) -> None: ...


_numbers = itertools.count(1)


class ThreadIdentity:
    """The calling thread: ``number`` is unique in the life of the process."""

    __slots__ = ("at_end", "number", "writers")

    def __init__(self, numbers: Iterator[int] = _numbers) -> None:
        self.number = next(numbers)
        # the open write transactions of this thread, and what is natively behind them
        self.writers: dict[int, tuple[weakref.ref[Any], _Native]] = {}
        # what else is to be told that this thread has ended, and by which number
        self.at_end: list[tuple[Callable[[int], object], int]] = []

    def __del__(self) -> None:
        for _, native in list(self.writers.values()):
            native.end_with_thread()
        for end, number in list(self.at_end):
            end(number)


class _Local(local):
    make = ThreadIdentity

    def __init__(self) -> None:
        self.identity = self.make()


_local = _Local()


def current(local: _Local = _local) -> ThreadIdentity:
    """The identity of the calling thread; also when the interpreter exits and has set the
    globals of modules to None."""
    return local.identity
