# SPDX-License-Identifier: MIT
"""Operations while there are many named databases, descriptors, environments or free pages.

    python benchmarks/many.py

For pylmdb and py-lmdb, in processor time.  The ratio is py-lmdb's time divided by pylmdb's.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lmdb

import pylmdb

COUNTS = (10, 1000, 10_000)
ROUNDS = 5


@contextmanager
def folder() -> Iterator[str]:
    path = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def timed(function: Callable[[], Any]) -> float:
    start = time.thread_time()
    function()
    return time.thread_time() - start


def databases(module: Any, count: int) -> dict[str, float]:
    """Creating and opening named databases, each."""
    names = [b"db%05d" % number for number in range(count)]
    with folder() as path:
        options = {"map_size": 1 << 30, "sync": False, "max_dbs": count + 10}
        env = module.open(path, **options)

        def create() -> None:
            with env.begin(write=True) as txn:
                for name in names:
                    env.open_db(name, txn=txn)

        created = timed(create)
        env.close()
        env = module.open(path, **options)
        opened = timed(lambda: [env.open_db(name) for name in names])
        env.close()
    return {"create a database": created / count, "open a database": opened / count}


def descriptors(module: Any, count: int) -> dict[str, float]:
    """Opening an environment while so many files are open."""
    with folder() as path:
        module.open(path).close()
        files = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
        took = []
        for _ in range(ROUNDS):
            start = time.thread_time()
            env = module.open(path)
            took.append(time.thread_time() - start)
            env.close()
        for file in files:
            os.close(file)
    return {"open beside so many files": statistics.median(took)}


def environments(module: Any, count: int) -> dict[str, float]:
    """Opening and closing environments, each, with so many open."""
    count = min(count, 2000)
    with folder() as path:
        paths = [f"{path}/{number}" for number in range(count)]
        for each in paths:
            module.open(each, subdir=False, sync=False).close()
        envs: list[Any] = []
        opened = timed(lambda: envs.extend(module.open(each, subdir=False) for each in paths))
        closed = timed(lambda: [env.close() for env in envs])
    return {"open one of so many": opened / count, "close one of so many": closed / count}


def fragmented(module: Any, count: int) -> dict[str, float]:
    """Writing a large value to a file with scattered free pages."""
    with folder() as path:
        env = module.open(path, map_size=1 << 30, sync=False)
        pick = random.Random(1)
        for part in range(21):
            with env.begin(write=True) as txn:
                if not part:
                    for number in range(count * 2):
                        txn.put(b"%08d" % number, b"x" * 2100)
                for number in range((part - 1) * count // 10, part * count // 10):
                    if part and pick.random() < 0.5:
                        txn.delete(b"%08d" % number)

        def write() -> None:
            for number in range(20):
                with env.begin(write=True) as txn:
                    txn.put(b"large%d" % number, b"y" * 30_000)

        took = timed(write)
        env.close()
    return {"large value beside free pages": took / 20}


def main() -> None:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    print(f"{'':32}{'n':>8}{'py-lmdb':>12}{'pylmdb':>12}{'ratio':>8}")
    for measure in (databases, descriptors, environments, fragmented):
        for count in COUNTS:
            if count + 100 > files:
                continue
            theirs, ours = measure(lmdb, count), measure(pylmdb, count)
            for what, took in ours.items():
                times = f"{theirs[what] * 1e6:9.1f} us{took * 1e6:9.1f} us"
                print(f"{what:32}{count:>8}{times}{theirs[what] / took:8.2f}")


if __name__ == "__main__":
    main()
