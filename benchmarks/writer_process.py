# SPDX-License-Identifier: MIT
"""Records of one process that another one commits: pylmdb.writer_process() compared with the usual
recipe, a multiprocessing.Queue to a process that has py-lmdb.

In turn; the best of several rounds of each counts.  Commits are not flushed (sync=False), because
the time of the disk would be the same.  A figure is microseconds per record, from the first put
until all records are committed; the ratio is how many times as long the recipe takes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import lmdb

import pylmdb

MAP = 1 << 30
BATCH = 100


def by_put(folder: Path, count: int, value: bytes) -> float:
    with pylmdb.writer_process(folder / "put", sync=False) as writer:
        writer.flush()
        begin = time.perf_counter()
        for number in range(count):
            writer.put(b"%08d" % number, value)
        writer.flush()
        return time.perf_counter() - begin


def by_put_many(folder: Path, count: int, value: bytes) -> float:
    with pylmdb.writer_process(folder / "put_many", sync=False) as writer:
        writer.flush()
        begin = time.perf_counter()
        for first in range(0, count, BATCH):
            writer.put_many([(b"%08d" % n, value) for n in range(first, first + BATCH)])
        writer.flush()
        return time.perf_counter() - begin


def commit(path: str, queue: multiprocessing.Queue[tuple[bytes, bytes] | None]) -> None:
    """Commit 1,000 records at a time, until None comes."""
    with lmdb.open(path, map_size=MAP, sync=False) as env:
        record = queue.get()
        while record is not None:
            with env.begin(write=True) as txn:
                for _ in range(1000):
                    txn.put(*record)
                    record = queue.get()
                    if record is None:
                        break


def by_queue(folder: Path, count: int, value: bytes) -> float:
    queue: multiprocessing.Queue[tuple[bytes, bytes] | None] = multiprocessing.Queue(1024)
    process = multiprocessing.Process(target=commit, args=(str(folder / "queue"), queue))
    process.start()
    begin = time.perf_counter()
    for number in range(count):
        queue.put((b"%08d" % number, value))
    queue.put(None)
    process.join()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=20_000)
    options = parser.parse_args()
    works = {"put": by_put, "put_many": by_put_many, "Queue, py-lmdb": by_queue}
    print(f"{'':16}" + "".join(f"{name:>18}" for name in works) + f"{'ratios':>16}")
    for size in (100, 10_000):
        best = dict.fromkeys(works, float("inf"))
        for _ in range(options.rounds):
            for name, work in works.items():
                with tempfile.TemporaryDirectory() as folder:
                    taken = work(Path(folder), options.records, bytes(size))
                best[name] = min(best[name], taken / options.records * 1e6)
        *ours, theirs = best.values()
        figures = "".join(f"{each:18.2f}" for each in best.values())
        ratios = " ".join(f"{theirs / each:7.2f}" for each in ours)
        print(f"{size:,} bytes".ljust(16) + figures + ratios.rjust(16))


if __name__ == "__main__":
    main()
