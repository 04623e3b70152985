# SPDX-License-Identifier: MIT
"""The cases about the whole process: opening, importing, and several threads.

The cases with threads are the last of all.  Once a process has started a thread, glibc's locks cost
more for the rest of its life, and so does releasing the GIL.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from threading import Thread

import data
from data import Stage
from measure import Job, Timed
from registry import Cases

CASES = Cases()


@CASES.case("open and close an environment", 1.0)
def open_close(stage: Stage) -> Iterator[Timed]:
    count, path, binding = stage.sizes.opens, str(stage.folder / "opened"), stage.binding

    def run() -> None:
        for _ in repeat(None, count):
            binding.open(path).close()

    yield Job(count, run)


class Import:
    """Imports a binding in a fresh process, which times the import and nothing else of itself.

    All but the first round find compiled Python files, also where the source is imported in place
    and the environment forbids Python to write them beside it.
    """

    operations = 1

    def __init__(self, name: str, compiled: Path) -> None:
        self._environment = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(compiled),
        }
        self._program = (
            "import time; start = time.perf_counter(); "
            f"import {name}; print(time.perf_counter() - start)"
        )

    def seconds(self) -> float:
        command = [sys.executable, "-c", self._program]
        done = subprocess.run(
            command, capture_output=True, check=True, text=True, env=self._environment
        )
        return float(done.stdout)


@CASES.case("import", at_most_more=5e6, rounds=10)
def import_binding(stage: Stage) -> Iterator[Timed]:
    yield Import(stage.binding.__name__, stage.folder / "compiled")


def get_big(stage: Stage, threads: int) -> Iterator[Timed]:
    env, keys = stage.big, [data.key(i) for i in range(stage.sizes.big)] * 16

    def read() -> None:
        with env.begin() as txn:
            for each in keys:
                txn.get(each)

    def run() -> None:
        readers = [Thread(target=read) for _ in range(threads)]
        for each in readers:
            each.start()
        for each in readers:
            each.join()

    yield Job(len(keys) * threads, run)


@CASES.case("get, 100 KB, one thread")
def get_big_one_thread(stage: Stage) -> Iterator[Timed]:
    yield from get_big(stage, 1)


@CASES.case("get, 100 KB, two threads", 1.0)
def get_big_two_threads(stage: Stage) -> Iterator[Timed]:
    yield from get_big(stage, 2)
