# SPDX-License-Identifier: MIT
"""Reading in two threads, each with a transaction of its own.

    python benchmarks/threads.py

Printed is the gain of each case: how many times as much two threads do in a second as one does.
2 would be twice as much.  The lines of numpy say what the machine gains: it copies as many bytes in
as large pieces, without the GIL.  In each round all of them run; the best round of each counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import lmdb
import numpy as np
from data import QUICK, VALUE, Sizes, Stage, key, random_keys
from machine import machine

import pylmdb

# How many keys a batch has, and how often the large values are read in a round.
BATCH, TIMES = 256, 20
# What one thread does in a round, made for it from the data of its binding.
Work = Callable[[], Any]
Make = Callable[[Stage], Iterator[Work]]


def batches(sizes: Sizes) -> list[list[bytes]]:
    keys = random_keys(sizes)
    return [keys[at : at + BATCH] for at in range(0, len(keys) - BATCH + 1, BATCH)]


def big_keys(sizes: Sizes) -> list[bytes]:
    return [key(i) for i in range(sizes.big)] * TIMES


def get(stage: Stage) -> Iterator[Work]:
    keys = big_keys(stage.sizes)
    with stage.big.begin() as txn:

        def run() -> None:
            for each in keys:
                txn.get(each)

        yield run


def scan(stage: Stage) -> Iterator[Work]:
    with stage.big.begin() as txn:

        def run() -> None:
            for _ in range(TIMES):
                for _key, _value in txn.cursor():
                    pass

        yield run


def copied_array(stage: Stage) -> Iterator[Work]:
    keys = big_keys(stage.sizes)
    with stage.arrays.begin() as txn:

        def run() -> None:
            for each in keys:
                txn.get_array(each, copy=True)

        yield run


def scan_small(stage: Stage) -> Iterator[Work]:
    with stage.large.begin() as txn:

        def run() -> None:
            for _key, _value in txn.cursor():
                pass

        yield run


def getmulti(stage: Stage, buffers: bool = False) -> Iterator[Work]:
    parts = batches(stage.sizes)
    with stage.large.begin(buffers=buffers) as txn, txn.cursor() as cursor:

        def run() -> None:
            for part in parts:
                cursor.getmulti(part)

        yield run


def getmulti_views(stage: Stage) -> Iterator[Work]:
    return getmulti(stage, buffers=True)


def get_many(stage: Stage) -> Iterator[Work]:
    parts = batches(stage.sizes)
    with stage.large.begin() as txn:

        def run() -> None:
            for part in parts:
                txn.get_many(part)

        yield run


def take(stage: Stage) -> Iterator[Work]:
    parts, out = batches(stage.sizes), np.empty((BATCH, len(VALUE)), np.uint8)
    with stage.large.begin() as txn:

        def run() -> None:
            for part in parts:
                txn.take(part, np.uint8, len(VALUE), out)

        yield run


class Numpy(Stage):
    """The same bytes in arrays."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        super().__init__(np, folder, sizes, ours=False)
        rng = np.random.default_rng(1)
        self.large_values = rng.integers(0, 255, (sizes.big, sizes.big_bytes), np.uint8)
        self.values = rng.integers(0, 255, (sizes.many, len(VALUE)), np.uint8)
        self.rows = [rng.integers(0, sizes.many, BATCH) for _ in range(sizes.batch // BATCH)]


def numpy_copy(stage: Numpy) -> Iterator[Work]:
    def run() -> None:
        for _ in range(TIMES):
            for each in stage.large_values:
                each.copy()

    yield run


def numpy_copy_into(stage: Numpy) -> Iterator[Work]:
    out = np.empty(stage.sizes.big_bytes, np.uint8)

    def run() -> None:
        for _ in range(TIMES):
            for each in stage.large_values:
                np.copyto(out, each)

    yield run


def numpy_take(stage: Numpy) -> Iterator[Work]:
    out = np.empty((BATCH, len(VALUE)), np.uint8)

    def run() -> None:
        for rows in stage.rows:
            np.take(stage.values, rows, 0, out, "clip")

    yield run


# Title, what pylmdb does, and whether py-lmdb has it.
CASES: list[tuple[str, Make, bool]] = [
    ("get, 100 KB", get, True),
    ("scan, 100 KB", scan, True),
    ("get_array(copy=True), 100 KB", copied_array, False),
    ("scan, 96 bytes", scan_small, True),
    ("getmulti, 96 bytes", getmulti, True),
    ("getmulti, 96 bytes, buffers=True", getmulti_views, True),
    ("get_many, 96 bytes", get_many, False),
    ("take, 96 bytes", take, False),
]
NUMPY: list[tuple[str, Callable[[Numpy], Iterator[Work]]]] = [
    ("numpy: copy of 100 KB", numpy_copy),
    ("numpy: copy of 100 KB into an array", numpy_copy_into),
    ("numpy: take of 256 rows", numpy_take),
]


def seconds(works: list[Work]) -> float:
    """How long so many threads take."""
    threads = [Thread(target=each) for each in works]
    start = time.perf_counter()
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return time.perf_counter() - start


def measure(contenders: dict[str, Callable[[], Iterator[Work]]], rounds: int) -> dict[str, Any]:
    """For each contender the best time of one thread and of two, and the gain."""
    best = {name: [float("inf")] * 2 for name in contenders}
    with ExitStack() as stack:
        works = {
            name: [stack.enter_context(contextmanager(make)()) for _ in range(2)]
            for name, make in contenders.items()
        }
        for number in range(rounds):
            for name in works if number % 2 else reversed(works):
                for count in (1, 2):
                    took = seconds(works[name][:count])
                    best[name][count - 1] = min(best[name][count - 1], took)
    return {name: {"seconds": both, "gain": 2 * both[0] / both[1]} for name, both in best.items()}


def fill_arrays(stage: Stage) -> None:
    """Give a stage the large values as arrays."""
    env = stage.open("arrays")
    with env.begin(write=True) as txn:
        for i in range(stage.sizes.big):
            txn.put_array(key(i), np.full(stage.sizes.big_bytes, i, np.uint8))
    stage.arrays = env


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--quick", action="store_true", help="less data and three rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    given = parser.parse_args()
    sizes, rounds = (QUICK, 3) if given.quick else (Sizes(), given.rounds)
    with tempfile.TemporaryDirectory(prefix="pylmdb-threads-") as folder, ExitStack() as stack:
        ours = Stage(pylmdb, Path(folder) / "pylmdb", sizes, ours=True)
        theirs = Stage(lmdb, Path(folder) / "lmdb", sizes, ours=False)
        arrays = Numpy(Path(folder) / "numpy", sizes)
        stack.callback(ours.close)
        stack.callback(theirs.close)
        fill_arrays(ours)
        figures = {}
        print(f"{'two threads, gain':40} {'pylmdb':>8} {'py-lmdb':>8}")
        for title, numpys in NUMPY:
            figures[title] = measure({"numpy": lambda make=numpys: make(arrays)}, rounds)
            print(f"{title:40} {figures[title]['numpy']['gain']:8.2f}", flush=True)
        for title, make, both in CASES:
            contenders = {"pylmdb": lambda make=make: make(ours)}
            if both:
                contenders["py-lmdb"] = lambda make=make: make(theirs)
            figures[title] = measure(contenders, rounds)
            gains = "".join(f" {each['gain']:8.2f}" for each in figures[title].values())
            print(f"{title:40}{gains}", flush=True)
    if given.json:
        result = {"machine": machine(), "figures": figures}
        given.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
