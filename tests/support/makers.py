# SPDX-License-Identifier: MIT
"""Functions that make records, for workers in other processes."""

import os
import signal
from pathlib import Path


def one(number):
    """Return a record."""
    return b"%05d" % number, b"value %d" % number


def three(number):
    """Yield three records, the last one first."""
    for k in (2, 1, 0):
        yield b"%05d-%d" % (number, k), b"%d" % k


def some(number):
    """Return a list of records; the last digit of the item is their number."""
    return [(b"%05d %d" % (number, k), b"x" * 1000) for k in range(number % 10)]


def same(number):
    """Return always the same record."""
    return b"key", b"value"


def clash(number):
    """Return one key for all items, with another value for each."""
    return b"key", b"value %d" % number


def fail(number):
    """Return a record; raise for one item."""
    return one(number) if number != 77 else 1 // 0


def nothing(number):
    """Return an object that is not a record."""
    return


def dying(folder, number):
    """Return a record; the first process that comes to item 77 is killed."""
    mark = Path(folder, "died")
    if number == 77 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return one(number)


def deadly(number):
    """Kill each process that comes to item 77."""
    return one(number) if number != 77 else os.kill(os.getpid(), signal.SIGKILL)
