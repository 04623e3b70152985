# SPDX-License-Identifier: MIT
"""Functions that make records, for workers in other processes."""

import os
import signal
from pathlib import Path


def one(number):
    """A record."""
    return b"%05d" % number, b"value %d" % number


def three(number):
    """Three records, the last one first."""
    for k in (2, 1, 0):
        yield b"%05d-%d" % (number, k), b"%d" % k


def some(number):
    """A list of as many records as its last digit says."""
    return [(b"%05d %d" % (number, k), b"x" * 1000) for k in range(number % 10)]


def same(number):
    """Always the same record."""
    return b"key", b"value"


def clash(number):
    """The same key for all, with another value for each."""
    return b"key", b"value %d" % number


def fail(number):
    """A record, but for one item."""
    return one(number) if number != 77 else 1 // 0


def nothing(number):
    """What is no record."""
    return


def dying(folder, number):
    """A record; but the first process that comes to item 77 is killed."""
    mark = Path(folder, "died")
    if number == 77 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return one(number)


def deadly(number):
    """Kills any process that comes to item 77."""
    return one(number) if number != 77 else os.kill(os.getpid(), signal.SIGKILL)
