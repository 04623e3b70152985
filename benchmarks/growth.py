# SPDX-License-Identifier: MIT
"""Loading a file of unknown size: growth in place, and the right size from the start.

Four ways load the same records in transactions of 1,000, one after another, in several rounds,
each into a new file: pylmdb with no size given, pylmdb with the right size given, and py-lmdb with
the right size and with the usual recipe for an unknown one (double the map and do the transaction
again when MapFullError comes).  The best round of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb

import pylmdb

VALUE, BATCH, START = os.urandom(1000), 1000, 10 << 20


def batches(total: int) -> Iterator[list[tuple[bytes, bytes]]]:
    for start in range(0, total // len(VALUE), BATCH):
        yield [(b"%016d" % i, VALUE) for i in range(start, start + BATCH)]


def load(env: Any, total: int) -> None:
    for items in batches(total):
        with env.begin(write=True) as txn:
            txn.cursor().putmulti(items)


def load_doubling(env: Any, total: int) -> None:
    """What programs do that use py-lmdb and do not know how large their data will be."""
    size = START
    for items in batches(total):
        while True:
            try:
                with env.begin(write=True) as txn:
                    txn.cursor().putmulti(items)
                break
            except lmdb.MapFullError:
                size *= 2
                env.set_mapsize(size)


def seconds(
    binding: Any, options: dict[str, Any], fill: Callable[[Any, int], None], total: int
) -> float:
    folder = tempfile.mkdtemp(prefix="growth-")
    try:
        env = binding.open(folder, sync=False, **options)
        start = time.perf_counter()
        fill(env, total)
        taken = time.perf_counter() - start
        assert env.stat()["entries"] >= total // len(VALUE)
        env.close()
        return taken
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=1024, help="MiB of values to load (1024)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--writemap", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    total, enough = given.size << 20, {"map_size": (given.size << 20) * 4}
    ways: dict[str, tuple[Any, dict[str, Any], Callable[[Any, int], None]]] = {
        "pylmdb, no size": (pylmdb, {}, load),
        "pylmdb, the right size": (pylmdb, enough, load),
        "py-lmdb, the right size": (lmdb, enough, load),
        "py-lmdb, doubling": (lmdb, {"map_size": START}, load_doubling),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(given.rounds):
        order = list(ways) if round_ % 2 else list(ways)[::-1]
        for name in order:
            binding, options, fill = ways[name]
            options = {**options, "writemap": given.writemap}
            times[name].append(seconds(binding, options, fill, total))
    best = {name: min(each) for name, each in times.items()}
    for name, taken in best.items():
        print(f"{name:26} {taken:7.2f} s  {taken / best['pylmdb, the right size']:6.3f}")
    if given.json:
        given.json.write_text(json.dumps({"seconds": times, "mib": given.size}, indent=2) + "\n")


if __name__ == "__main__":
    main()
