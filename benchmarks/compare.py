# SPDX-License-Identifier: MIT
"""pylmdb beside py-lmdb 3.0.0: nanoseconds per operation, and the ratio.

Both run in one process, in turn, several rounds; the best round of each counts,
so what else the machine does disturbs both alike.  A ratio above 1 means that
pylmdb is faster.

    python benchmarks/compare.py [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import lmdb

import pylmdb

HOT, MANY = 1_000, 200_000
VALUE = b"v" * 96


def key(i: int) -> bytes:
    return b"%016d" % i


class Stage:
    """One binding with its data: 1,000 hot records and 200,000 more."""

    def __init__(self, binding: ModuleType, folder: Path) -> None:
        self.hot = binding.open(str(folder / "hot"), map_size=2**28)
        self.large = binding.open(str(folder / "large"), map_size=2**28)
        for env, count in ((self.hot, HOT), (self.large, MANY)):
            with env.begin(write=True) as txn:
                txn.cursor().putmulti([(key(i), VALUE) for i in range(count)], append=True)


def get_hot(stage: Stage) -> tuple[int, Callable[[], Any]]:
    get, wanted = stage.hot.begin().get, key(500)

    def run() -> None:
        for _ in range(20_000):
            get(wanted)

    return 20_000, run


def get_missing(stage: Stage) -> tuple[int, Callable[[], Any]]:
    get = stage.hot.begin().get

    def run() -> None:
        for _ in range(20_000):
            get(b"0000000000000500x")

    return 20_000, run


def get_view(stage: Stage) -> tuple[int, Callable[[], Any]]:
    get, wanted = stage.hot.begin(buffers=True).get, key(500)

    def run() -> None:
        for _ in range(20_000):
            get(wanted)

    return 20_000, run


def scan(stage: Stage) -> tuple[int, Callable[[], Any]]:
    txn = stage.large.begin()

    def run() -> None:
        for _item in txn.cursor():
            pass

    return MANY, run


def scan_keys(stage: Stage) -> tuple[int, Callable[[], Any]]:
    txn = stage.large.begin()

    def run() -> None:
        for _key in txn.cursor().iternext(True, False):
            pass

    return MANY, run


def begin_get_end(stage: Stage) -> tuple[int, Callable[[], Any]]:
    env, wanted = stage.hot, key(500)

    def run() -> None:
        for _ in range(5_000):
            with env.begin() as txn:
                txn.get(wanted)

    return 5_000, run


def put_hot(stage: Stage) -> tuple[int, Callable[[], Any]]:
    keys = [key(i) for i in range(HOT)] * 10

    def run() -> None:
        txn = stage.hot.begin(write=True)
        put = txn.put
        for each in keys:
            put(each, VALUE)
        txn.abort()

    return len(keys), run


def getmulti(stage: Stage) -> tuple[int, Callable[[], Any]]:
    cursor = stage.large.begin().cursor()
    keys = [key(i * 7919 % MANY) for i in range(50_000)]
    return len(keys), lambda: cursor.getmulti(keys)


CASES = (
    get_hot,
    get_missing,
    get_view,
    scan,
    scan_keys,
    begin_get_end,
    put_hot,
    getmulti,
)


def measure(rounds: int) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        stages = {}
        for binding in (pylmdb, lmdb):
            (Path(folder) / binding.__name__).mkdir()
            stages[binding.__name__] = Stage(binding, Path(folder) / binding.__name__)
        for case in CASES:
            runs = {name: case(stage) for name, stage in stages.items()}
            best = dict.fromkeys(runs, float("inf"))
            for _ in range(rounds):
                for name, (count, run) in runs.items():
                    start = time.perf_counter()
                    run()
                    best[name] = min(best[name], (time.perf_counter() - start) / count * 1e9)
            row = {"case": case.__name__, **best, "ratio": best["lmdb"] / best["pylmdb"]}
            print(f"{row['case']:16} {best['pylmdb']:9.0f} {best['lmdb']:9.0f} {row['ratio']:7.2f}")
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    print(f"{'case':16} {'pylmdb':>9} {'py-lmdb':>9} {'ratio':>7}   (ns per operation)")
    rows = measure(arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
