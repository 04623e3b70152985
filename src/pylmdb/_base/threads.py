# SPDX-License-Identifier: MIT
"""The identity of a thread, and what must end with the thread.

A write transaction belongs to the thread that began it.  The operating system and
:func:`threading.get_ident` give the numbers of ended threads to new threads.  So the identity here
is a counter value that is never used again.

The identity object is freed when Python clears the state of the ending thread, which happens in
that thread.  Its open write transactions are aborted then, so the thread that took the writer lock
releases it.
"""

from __future__ import annotations

import itertools
import sys
from _thread import _local as local

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    class _NativeTxn(Protocol):
        def end_with_thread(self) -> None: ...


_numbers = itertools.count(1)


class ThreadIdentity:
    """A thread; ``number`` is unique in the life of the process."""

    __slots__ = ("at_end", "number", "writers")

    def __init__(self, numbers: Iterator[int] = _numbers) -> None:
        self.number = next(numbers)
        # the open top-level write transactions of this thread
        self.writers: set[_NativeTxn] = set()
        # functions to call when this thread ends, each with the number to pass
        self.at_end: list[tuple[Callable[[int], object], int]] = []

    def __del__(self) -> None:
        for native in list(self.writers):
            native.end_with_thread()
        for end, number in list(self.at_end):
            end(number)


class _Local(local):
    make = ThreadIdentity

    def __init__(self) -> None:
        self.identity = self.make()


_local = _Local()


def current(local: _Local = _local) -> ThreadIdentity:
    """The identity of the calling thread.  It works also when the interpreter exits and has set the
    globals of modules to None."""
    return local.identity


def report_exception() -> None:
    """Give the exception that is being handled to ``threading.excepthook``, as that of a thread."""
    import threading  # which is slow

    seen = *sys.exc_info(), threading.current_thread()
    threading.excepthook(threading.ExceptHookArgs(seen))
