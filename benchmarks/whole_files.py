# SPDX-License-Identifier: MIT
"""Checksums of pages, backups, deep checks and page sizes.

    python benchmarks/whole_files.py [--folder FOLDER] [--only checksums]

- checksums: the time of reads and commits with checksums, divided by that without.
  It is processor time, but where the disk is waited for: a cold scan reads the file from the disk,
  and a commit is flushed to it.
  A first scan opens the file anew, which is in the page cache.  A commit stores one record, whose
  page was checked before, or is checked when it is read for this.
- backup: full backup, increment and restore, beside ``cp`` and a flush to disk of the copy.
- verify: ``verify`` with and without ``deep=True``, beside plain reads.
- pages: the size of a file by page size and size of the values.

All ways of a group alternate, and the best round of each counts.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pylmdb

Call = Callable[[], object]

RECORDS = {"100 B": (100, 300_000), "20 KB": (20_000, 2_000)}
VALUES, PAGES = (100, 1_500, 3_000, 10_000), (4096, 8192, 16384, 32768)


class Way(NamedTuple):
    """What is measured, between what is done before and after."""

    run: Call
    before: Call = int
    after: Call = int
    waits: bool = False  # for the disk


class Took(NamedTuple):
    """Seconds."""

    wall: float
    processor: float


def processor_time() -> float:
    """The processor time of this process and of those that it has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def seconds(way: Way) -> Took:
    way.before()
    wall, processor = time.perf_counter(), processor_time()
    way.run()
    took = Took(time.perf_counter() - wall, processor_time() - processor)
    way.after()
    return took


def best(ways: Mapping[str, Way], rounds: int) -> dict[str, Took]:
    found: dict[str, list[Took]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in [*ways][:: 1 if number % 2 == 0 else -1]:
            found[name].append(seconds(ways[name]))
    return {name: Took(*map(min, zip(*each, strict=True))) for name, each in found.items()}


def fill(path: Path, size: int, count: int, **options: Any) -> None:
    """Make a file with records of keys in order."""
    value = Random(size).randbytes(2 * size)
    with pylmdb.open(path, sync=False, **options) as env:
        for start in range(0, count, 20_000):
            numbers = range(start, min(start + 20_000, count))
            records = [(b"%08d" % i, value[i % size : i % size + size]) for i in numbers]
            with env.begin(write=True) as txn:
                txn.cursor().putmulti(records, append=True)


# -- checksums ----------------------------------------------------------------------------


class Summed:
    """A file, with checksums or without, and what is measured with it."""

    def __init__(self, path: Path, size: int, count: int, checksums: bool) -> None:
        self.path, self.count = path, count
        fill(path, size, count, lib_version=1, checksums=checksums)
        self.value = bytes(size)

    def open(self, **options: Any) -> None:
        self.env = pylmdb.open(self.path, **{"sync": False, **options})
        self.txn = self.env.begin()

    def open_cold(self) -> None:
        """Open the file when none of it is in the page cache."""
        with (self.path / "data.mdb").open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self.open()

    def close(self) -> None:
        self.txn.abort()
        self.env.close()

    def open_and_scan(self) -> None:
        self.open()
        self.scan()

    def scan(self) -> None:
        for _ in self.txn.cursor():
            pass

    def get(self) -> None:
        get, key = self.txn.get, b"%08d" % (self.count // 2)
        for _ in range(300_000):
            get(key)

    def commit(self, count: int = 300) -> None:
        chance = Random(1)
        for _ in range(count):
            with self.env.begin(write=True) as txn:
                txn.put(b"%08d" % chance.randrange(self.count), self.value)

    def ways(self) -> dict[str, Way]:
        return {
            "get, checked before": Way(self.get, self.open_and_scan, self.close),
            "scan, checked before": Way(self.scan, self.open_and_scan, self.close),
            "first scan": Way(self.scan, self.open, self.close),
            "commit, checked before": Way(self.commit, self.open_and_scan, self.close),
            "commit, first read": Way(self.commit, self.open, self.close),
            "cold scan": Way(self.scan, self.open_cold, self.close, waits=True),
            "commit and flush": Way(
                partial(self.commit, 50), partial(self.open, sync=True), self.close, waits=True
            ),
        }


def checksums(folder: Path, given: argparse.Namespace) -> None:
    print("time with checksums / without")
    for title, (size, count) in RECORDS.items():
        plain = Summed(folder / f"plain {title}", size, count, False).ways()
        summed = Summed(folder / f"summed {title}", size, count, True).ways()
        for name, way in plain.items():
            took = best({"plain": way, "summed": summed[name]}, given.rounds)
            unit = "wall" if way.waits else "processor"
            ratio = getattr(took["summed"], unit) / getattr(took["plain"], unit)
            print(f"{name:22} values of {title:6} {ratio:.2f}", flush=True)


# -- backups ------------------------------------------------------------------------------


def copy(source: Path, dest: Path) -> None:
    """Copy a file with cp, and flush the copy to disk."""
    subprocess.run(["cp", source, dest], check=True)
    with dest.open("rb") as file:
        os.fsync(file.fileno())


def backup(folder: Path, given: argparse.Namespace) -> None:
    for kind, options in (("", {}), (" with checksums", {"lib_version": 1, "checksums": True})):
        path = folder / f"env{kind}"
        fill(path, 96, given.records, **options)
        with pylmdb.open(path) as env:
            full = env.backup(folder / "full", overwrite=True)
            ways = {
                "cp, fsync": Way(partial(copy, path / "data.mdb", folder / "copy")),
                "full backup": Way(partial(env.backup, folder / "other", overwrite=True)),
                "increment": Way(partial(env.backup, folder / "other", since=full, overwrite=True)),
                "restore": Way(
                    partial(pylmdb.restore, full, folder / f"new{kind}", overwrite=True)
                ),
            }
            took = best(ways, given.rounds)
        print(f"{full.used:,} pages of {full.page_size} bytes{kind}; microseconds for each page")
        for name, each in took.items():
            wall, processor = (1e6 * value / full.used for value in each)
            print(f"{name:12} {wall:6.2f}, processor time {processor:6.2f}", flush=True)


# -- checks, page sizes -------------------------------------------------------------------


def read(path: Path) -> None:
    block = bytearray(1 << 20)
    with path.open("rb", buffering=0) as file:
        while file.readinto(block):
            pass


def verify(folder: Path, given: argparse.Namespace) -> None:
    for title, (size, count) in RECORDS.items():
        for summed in (False, True):
            path = folder / f"{title} {summed}"
            fill(path, size, given.scale * count, lib_version=1, checksums=summed)
            length = (path / "data.mdb").stat().st_size
            ways = {
                "verify": Way(partial(pylmdb.verify, path)),
                "deep": Way(partial(pylmdb.verify, path, deep=True)),
                "read": Way(partial(read, path / "data.mdb")),
            }
            took = best(ways, given.rounds)
            speeds = (f"{name} {length / 1e6 / each.wall:,.0f} MB/s" for name, each in took.items())
            kind = "with" if summed else "without"
            print(f"values of {title}, {kind} checksums: {', '.join(speeds)}", flush=True)


def pages(folder: Path, given: argparse.Namespace) -> None:
    print("megabytes of 100,000 records; size of a value, then pages of", *PAGES)
    for size in VALUES:
        found = []
        for page_size in PAGES:
            path = folder / "measured"
            fill(path, size, 100_000, page_size=page_size, subdir=False)
            found.append(path.stat().st_size / 1e6)
            path.unlink()
        print(f"{size:6,}", *(f"{each:8,.1f}" for each in found), flush=True)


GROUPS = {"checksums": checksums, "backup": backup, "verify": verify, "pages": pages}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where files are made; /dev/shm is in memory")
    parser.add_argument("--only", choices=GROUPS, help="measure one group")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--records", type=int, default=1_000_000, help="of the backup (1,000,000)")
    parser.add_argument("--scale", type=int, default=10, help="of the files to verify (10)")
    given = parser.parse_args()
    for name in [given.only] if given.only else GROUPS:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            GROUPS[name](Path(folder), given)


if __name__ == "__main__":
    main()
