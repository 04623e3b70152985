# SPDX-License-Identifier: MIT
"""Timing: in each round all contenders run, one after the other; the best round of each counts."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol


class Timed(Protocol):
    """``seconds()`` does all ``operations`` and returns how long they took."""

    operations: int

    def seconds(self) -> float: ...


def drop_from_memory(path: Path) -> None:
    """Have the system forget a file, which is read from the disk next time."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def nothing() -> None:
    """What a job does before and after when it has nothing to prepare."""


class Job:
    """``run`` between ``before`` and ``after``, of which only ``run`` is timed.

    :param operations: how many operations one call of ``run`` is.
    :param repeat: how often one round goes through the three.
    :param clock: what tells the seconds.
    """

    def __init__(
        self,
        operations: int,
        run: Callable[[], Any],
        before: Callable[[], Any] = nothing,
        after: Callable[[], Any] = nothing,
        repeat: int = 1,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.operations = operations * repeat
        self._run, self._before, self._after, self._repeat = run, before, after, repeat
        self._clock = clock

    def seconds(self) -> float:
        total = 0.0
        for _ in range(self._repeat):
            self._before()
            start = self._clock()
            # What run() returns is freed before the clock stops: its users pay for that, too.
            self._run()
            total += self._clock() - start
            self._after()
        return total


def best(contenders: Mapping[str, Timed], rounds: int) -> dict[str, float]:
    """Nanoseconds per operation in the best round of each contender."""
    found = dict.fromkeys(contenders, float("inf"))
    names = list(contenders)
    for number in range(rounds):
        # Whoever goes second finds the machine as the first one left it, so they swap.
        for name in names if number % 2 == 0 else reversed(names):
            timed = contenders[name]
            gc.collect()
            found[name] = min(found[name], timed.seconds() / timed.operations * 1e9)
    return found
