# SPDX-License-Identifier: MIT
"""Random batches of 256: pylmdb.datasets.Loader, and the usual recipe with py-lmdb.

The usual recipe is a loop over ``get``, ``numpy.frombuffer`` and ``numpy.stack``.  Records of 3 KB
and of 150 KB, in the page cache; each contender has a file of its own and reads every record
once, in random order, per round.  In one process, alternately; the best of several rounds of
each counts.  A figure is microseconds per record; the ratio is how many times as long the recipe
takes.  The files take 16 GB of disk and of memory.  ``--cold`` drops the files from the page
cache before each round and closes them after it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from measure import Job, best, drop_from_memory

import pylmdb
from pylmdb.datasets import Dataset, Loader

BATCH = 256


class Files:
    """The same records in two files: ours and the recipe's."""

    def __init__(self, folder: Path, size: int, count: int) -> None:
        self.size, self.count = size, count
        self.ours, self.theirs = folder / f"ours-{size}", folder / f"theirs-{size}"
        rng = np.random.default_rng(size)
        with pylmdb.open(self.ours, sync=False) as env:
            for begin in range(0, count, 1000):
                some = range(begin, min(begin + 1000, count))
                records = rng.integers(0, 256, (len(some), size), np.uint8)
                with env.begin(write=True) as txn:
                    txn.put_arrays(some, records, key_format="%08d")
        shutil.copytree(self.ours, self.theirs)

    def drop(self) -> None:
        """Out of the page cache with them."""
        for folder in (self.ours, self.theirs):
            drop_from_memory(folder / "data.mdb")


def recipe(env: Any, count: int, size: int, most: int) -> None:
    """One epoch as tutorials have it."""
    order = np.random.permutation(count)[:most].tolist()
    with env.begin() as txn:
        for begin in range(0, len(order), BATCH):
            keys = [b"%08d" % number for number in order[begin : begin + BATCH]]
            batch = np.stack([np.frombuffer(txn.get(key), np.uint8) for key in keys])
            assert batch.shape[1] == size


def epoch(loader: Any, most: int) -> None:
    """The same through a Loader."""
    for number, batch in enumerate(loader, 1):
        assert len(batch)
        if number * BATCH >= most:
            break


def open_theirs(files: Files) -> Any:
    return lmdb.open(str(files.theirs), readonly=True, lock=False, readahead=False, meminit=False)


def hot(files: Files) -> dict[str, Job]:
    """Everything in memory, and open."""
    dataset = Dataset(files.ours, dtype=np.uint8, shape=files.size)
    env, count = open_theirs(files), files.count

    def ours(prefetch: int, threads: int) -> Callable[[], None]:
        loader = Loader(dataset, BATCH, True, prefetch=prefetch, threads=threads)
        return lambda: epoch(loader, count)

    return {
        "no thread": Job(count, ours(0, 1)),
        "one thread": Job(count, ours(2, 1)),
        "two threads": Job(count, ours(2, 2)),
        "recipe": Job(count, lambda: recipe(env, count, files.size, count)),
    }


def cold(files: Files) -> dict[str, Job]:
    """Nothing in memory, and nothing open: some of the records."""
    most = min(files.count, 2048)

    def ours() -> None:
        with Dataset(files.ours, dtype=np.uint8, shape=files.size) as dataset:
            epoch(Loader(dataset, BATCH, True), most)

    def theirs() -> None:
        with open_theirs(files) as env:
            recipe(env, files.count, files.size, most)

    return {
        "one thread": Job(most, ours, files.drop),
        "recipe": Job(most, theirs, files.drop),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", type=int, default=50_000, help="how many records of 3 KB")
    parser.add_argument("--large", type=int, default=50_000, help="how many of 150 KB, twice")
    parser.add_argument("--cold", action="store_true", help="from the disk")
    parser.add_argument("--quick", action="store_true", help="less data: does it run")
    parser.add_argument("--folder", help="where the files are made")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    given = parser.parse_args()
    counts = (2000, 300) if given.quick else (given.small, given.large)
    figures: dict[str, dict[str, float]] = {}
    print(f"{'records':>20} {'contender':>12} {'us/record':>10} {'ratio':>7}")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for size, count in zip((3_000, 150_000), counts, strict=True):
            files = Files(Path(folder), size, count)
            jobs = (cold if given.cold else hot)(files)
            found = best(jobs, 2 if given.quick else given.rounds)
            figures[f"{count} x {size}"] = found
            for name, nanoseconds in found.items():
                ratio = found["recipe"] / nanoseconds
                print(
                    f"{f'{count} x {size}':>20} {name:>12} {nanoseconds / 1e3:10.2f} {ratio:7.2f}"
                )
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
