# SPDX-License-Identifier: MIT
"""Random batches and scans of files that are not in memory.

    python benchmarks/cold.py

Before each measurement all environments of the file are closed, the system is told to forget the
file, ``mincore`` says whether it did, and the contender opens the file.  In one process,
alternately; the best of several rounds of each counts.  A figure is thousands of records per
second; the ratio is beside py-lmdb's loop over ``get``.  ``pread`` is what 1 and 16 threads in C
get that read pages at random offsets of the same file, a page per record, and look nothing up.

``--folder`` must be on the disk that is to be measured: the files take 0.6 and 0.9 GB.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from measure import Job, best, drop_from_memory

import pylmdb

BATCH = 256
# bytes of a value, and how many records
FILES = {"100 B": (100, 4_000_000), "3 KB": (3000, 200_000)}
THREADS = (1, 16)


def write(path: Path, size: int, count: int) -> None:
    value = random.Random(size).randbytes(2 * size)
    with pylmdb.open(path, sync=False, subdir=False) as env:
        for begin in range(0, count, 50_000):
            records = [
                (b"%012d" % i, value[i % size : i % size + size])
                for i in range(begin, min(begin + 50_000, count))
            ]
            with env.begin(write=True) as txn:
                txn.cursor().putmulti(records, append=True)
        env.sync(True)


def part_in_memory(path: Path) -> float:
    """Return the fraction of a file's pages that are in memory."""
    library = ctypes.CDLL(None, use_errno=True)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        pages = -(-len(mapped) // mmap.PAGESIZE)
        vector = (ctypes.c_ubyte * pages)()
        view = np.frombuffer(mapped, np.uint8)
        address = ctypes.c_void_p(view.ctypes.data)
        failed = library.mincore(address, ctypes.c_size_t(len(mapped)), vector)
        del view
        if failed:
            raise OSError(ctypes.get_errno(), "mincore")
        return (np.frombuffer(vector, np.uint8) & 1).mean()


def disk_of(path: Path) -> str:
    """Describe the disk that a folder is on."""
    found = subprocess.run(
        ["df", "--output=source,fstype", path], capture_output=True, text=True, check=False
    )
    source, kind = (found.stdout.split() or ["?", "?"])[-2:]
    device = Path("/sys/class/block") / Path(source).name
    device = device if (device / "queue").exists() else device.resolve().parent
    notes = [f"{source}, {kind}"]
    for name in ("rotational", "read_ahead_kb", "nr_requests"):
        if (device / "queue" / name).exists():
            notes.append(f"{name} {(device / 'queue' / name).read_text().strip()}")
    return ", ".join(notes)


class Cold:
    """A file, and the contenders that read it, each in an environment of its own."""

    def __init__(self, path: Path, size: int, count: int, reads: int, readahead: bool) -> None:
        self.path, self.size, self.count, self.reads = path, size, count, reads
        self.options = {"readonly": True, "subdir": False, "readahead": readahead}
        self.env: Any = None
        self.random = random.Random(size)
        self.coldest = 0.0

    def batches(self) -> list[list[bytes]]:
        return [
            [b"%012d" % self.random.randrange(self.count) for _ in range(BATCH)]
            for _ in range(self.reads // BATCH)
        ]

    def forget(self) -> None:
        drop_from_memory(self.path)
        self.coldest = max(self.coldest, part_in_memory(self.path))

    def job(self, module: Any, read: Callable[[Any, list[bytes]], Any]) -> Job:
        """Look up batches with ``read``, which gets a transaction and keys."""

        def before() -> None:
            self.keys = self.batches()
            self.forget()
            self.env = module.open(os.fspath(self.path), **self.options)

        def run() -> None:
            with self.env.begin() as txn:
                for keys in self.keys:
                    found = read(txn, keys)
                    assert len(found) == len(keys), len(found)

        return Job(self.reads, run, before, lambda: self.env.close())

    def scan(self, module: Any, read: Callable[[Any, bytes, bytes], int]) -> Job:
        """Read a tenth of the file in key order."""
        part = self.count // 10

        def before() -> None:
            begin = self.random.randrange(self.count - part)
            self.ends = b"%012d" % begin, b"%012d" % (begin + part)
            self.forget()
            self.env = module.open(os.fspath(self.path), **self.options)

        def run() -> None:
            with self.env.begin() as txn:
                assert read(txn, *self.ends) == part

        return Job(part, run, before, lambda: self.env.close())

    def pread(self, library: Any, threads: int) -> Job:
        pages = self.path.stat().st_size // 4096

        def before() -> None:
            offsets = [4096 * self.random.randrange(pages) for _ in range(self.reads)]
            self.offsets = (ctypes.c_longlong * self.reads)(*offsets)
            self.forget()
            self.fd = os.open(self.path, os.O_RDONLY)
            os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_RANDOM)

        def run() -> None:
            size = ctypes.c_size_t(self.reads)
            if library.read_pages(self.fd, self.offsets, size, threads):
                raise OSError("pread failed")

        return Job(self.reads, run, before, lambda: os.close(self.fd))


def take(size: int) -> Callable[[Any, list[bytes]], Any]:
    return lambda txn, keys: txn.take(keys, np.uint8, size)


def their_scan(txn: Any, start: bytes, stop: bytes) -> int:
    found = 0
    cursor = txn.cursor()
    cursor.set_range(start)
    for key, _ in cursor:
        if key >= stop:
            break
        found += 1
    return found


def measured(cold: Cold, library: Any, rounds: int) -> None:
    size = cold.size
    contenders: dict[str, Any] = {
        "py-lmdb, loop over get": cold.job(lmdb, lambda txn, keys: [txn.get(key) for key in keys]),
        "py-lmdb getmulti": cold.job(lmdb, lambda txn, keys: txn.cursor().getmulti(keys)),
        "pylmdb, loop over get": cold.job(pylmdb, lambda txn, keys: [txn.get(key) for key in keys]),
        "pylmdb get_many": cold.job(pylmdb, lambda txn, keys: txn.get_many(keys)),
        "pylmdb getmulti": cold.job(pylmdb, lambda txn, keys: txn.cursor().getmulti(keys)),
        "pylmdb take": cold.job(pylmdb, take(size)),
    }
    for threads in THREADS:
        contenders[f"pread, {threads} threads"] = cold.pread(library, threads)
    show(contenders, "py-lmdb, loop over get", rounds)
    show(
        {
            "py-lmdb, scan with a cursor": cold.scan(lmdb, their_scan),
            "pylmdb range": cold.scan(
                pylmdb, lambda txn, start, stop: sum(1 for _ in txn.range(start, stop))
            ),
        },
        "py-lmdb, scan with a cursor",
        rounds,
    )


def show(contenders: dict[str, Any], beside: str, rounds: int) -> None:
    found = best(contenders, rounds)
    for name, nanoseconds in found.items():
        print(f"  {name:30} {1e6 / nanoseconds:8.1f}  {found[beside] / nanoseconds:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reads", type=int, default=8192, help="records per measurement")
    parser.add_argument("--folder", type=Path, help="where the files are written")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pylmdb-cold-", dir=given.folder))
    try:
        library = folder / "pread.so"
        source = Path(__file__).with_name("pread.c")
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-pthread", "-o", library, source], check=True
        )
        print(f"{disk_of(folder)}; Linux {os.uname().release}; {os.cpu_count()} cores")
        for name, (size, count) in FILES.items():
            path = folder / "data"
            write(path, size, count)
            for readahead in (True, False):
                cold = Cold(path, size, count, given.reads, readahead)
                print(f"\n{name}, {count:,} records, {path.stat().st_size >> 20:,} MiB,", end=" ")
                print(f"readahead={readahead}: thousands per second, ratio")
                measured(cold, ctypes.CDLL(os.fspath(library)), given.rounds)
                print(f"  (at most {cold.coldest:.2%} of the file in memory before a measurement)")
                sys.stdout.flush()
            path.unlink()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
