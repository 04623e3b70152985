# SPDX-License-Identifier: MIT
"""Merging data sets compared with copying them; building with two processes and with one.

The sources of a merge are two environments of 1 GB each, sorted, in the page cache; a merge ends
when its result is on disk, so the copy is flushed, too.  Shards are built of arrays of 150 KB that
take a processor some time to make.  The best of several rounds of each counts.  A figure is
seconds; the ratio is how many times as long the other one takes.  ``datasets_write.py`` measures
packing, and ``datasets_read.py`` reading.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import Job, best

import pylmdb
from pylmdb import datasets

Case = tuple[str, float | None, dict[str, Job]]


def fill(path: Path, first: int, count: int, size: int) -> None:
    """Sorted records of random bytes."""
    block = np.random.default_rng(first).bytes(size + 4096)
    with pylmdb.open(path, sync=False) as env:
        for begin in range(0, count, 1000):
            with env.begin(write=True) as txn, txn.cursor() as cursor:
                numbers = range(begin, min(begin + 1000, count))
                records = ((b"%010d" % (first + i), block[i % 4096 :][:size]) for i in numbers)
                cursor.putmulti(records, append=True)


def merging(root: Path, total: int, size: int) -> Case:
    sources = [root / f"source-{size}-{i}" for i in range(2)]
    count = total // size
    for i, source in enumerate(sources):
        fill(source, i * count, count, size)
    out = root / "merged"

    def clear() -> None:
        shutil.rmtree(out, ignore_errors=True)
        os.sync()

    def copy() -> None:
        out.mkdir()
        files = [source / "data.mdb" for source in sources]
        for number, file in enumerate(files):
            subprocess.run(["cp", file, out / str(number)], check=True)
        subprocess.run(["sync", *out.iterdir()], check=True)

    title = f"merge two of {total >> 20} MiB, values of {size} / cp, sync"
    merge = Job(1, lambda: pylmdb.merge(sources, out), clear)
    return title, 1 / 1.5, {"pylmdb": merge, "cp": Job(1, copy, clear)}


def sample(number: int) -> tuple[bytes, Any]:
    """A record whose making takes some ten times as long as its writing."""
    rng = np.random.default_rng(number)
    image = rng.random((160, 240), np.float32)
    for _ in range(4):
        image = np.sqrt(image + np.roll(image, 1, 0) + np.roll(image, 1, 1))
    return b"%08d" % number, image


def building(root: Path, count: int, merge: bool) -> Case:
    out = root / "built"

    def job(workers: int) -> Job:
        def run() -> None:
            datasets.build(range(count), sample, out, workers=workers, merge=merge, progress=None)

        return Job(1, run, lambda: shutil.rmtree(out, ignore_errors=True))

    what = "build one environment" if merge else "build shards"
    return f"{what}, two workers / one", 1.7, {"two": job(2), "one": job(1)}


def make_some(numbers: range) -> None:
    for number in numbers:
        sample(number)


def scaling(root: Path, count: int) -> Case:
    """What the machine gains by a second process."""
    pool, half = ProcessPoolExecutor(2), count // 2

    def job(parts: list[range]) -> Job:
        return Job(1, lambda: list(pool.map(make_some, parts)))

    contenders = {"two": job([range(half), range(half, count)]), "one": job([range(count)])}
    return "what the machine gains: the samples alone, two / one", None, contenders


def cases(quick: bool) -> list[Callable[[Path], Case]]:
    """What makes each case, in a folder of its own."""
    total = (16 if quick else 1024) << 20
    return [
        *(partial(merging, total=total, size=size) for size in (3000, 150_000, 100)),
        *(partial(building, count=50 if quick else 8000, merge=merge) for merge in (False, True)),
        partial(scaling, count=50 if quick else 8000),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="less data: does it run")
    parser.add_argument("--dir", help="a folder on the disk to write to")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        print(f"{'case':56} {'ours':>8} {'other':>8} {'ratio':>7} {'at least':>9}")
        for number, make in enumerate(cases(given.quick)):
            root = Path(folder, str(number))
            root.mkdir()
            title, least, contenders = make(root)
            ours, other = (each / 1e9 for each in best(contenders, given.rounds).values())
            wanted = "" if least is None else f"{least:.2f}"
            print(f"{title:56} {ours:8.2f} {other:8.2f} {other / ours:7.2f} {wanted:>9}")
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
