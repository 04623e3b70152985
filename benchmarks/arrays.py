# SPDX-License-Identifier: MIT
"""Vectors, images and duplicates as arrays: pylmdb, py-lmdb, numpy's memory map, and others.

The records: 100,000 vectors of 512 float32 under keys of 8 digits, 256 records of 150 KB, and a
key with 1,000,000 duplicates of 16 bytes, each in the page cache, read from the disk.  In one
process, alternately; the best of several rounds of each counts.  A figure is nanoseconds per
record; the ratio is how many times as long the other one takes.
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from measure import Job, best, drop_from_memory

import pylmdb

DIM, BATCH, LARGE = 512, 256, 150_000
RECORD = np.dtype([("key", ">u8"), ("value", "<f8")])
MAP = 4 << 30


class Records:
    """The same records in the files of each contender, and batches of random numbers."""

    def __init__(self, root: Path, count: int, duplicates: int, batches: int) -> None:
        rng = np.random.default_rng(1)
        self.root, self.count = root, count
        self.vectors = rng.random((count, DIM), np.float32)
        self.large = rng.integers(0, 255, (BATCH, LARGE), np.uint8)
        self.duplicates = np.empty(duplicates, RECORD)
        self.duplicates["key"], self.duplicates["value"] = np.arange(duplicates), 0.5
        self.numbers = rng.integers(0, count, (batches, BATCH))
        self.keys = [[b"%08d" % n for n in row] for row in self.numbers]
        with pylmdb.open(root / "vectors", map_size=MAP) as env, env.begin(write=True) as txn:
            txn.put_arrays(range(count), self.vectors, key_format="%08d")
        self._write(pylmdb.open(root / "others", map_size=MAP, max_dbs=4))
        for name in ("vectors", "others"):
            shutil.copytree(root / name, root / f"{name}-copy")
        np.save(root / "vectors.npy", self.vectors)
        for file in (*root.glob("*/data.mdb"), root / "vectors.npy"):
            read_from_disk(file)

    def _write(self, env: Any) -> None:
        named = {
            name: env.open_db(name, dupfixed=name == b"dup")
            for name in (b"arrays", b"pickles", b"large", b"dup")
        }
        some = min(10_000, self.count)
        with env.begin(write=True) as txn:
            for i, vector in enumerate(self.vectors[:some]):
                txn.put_array(b"%08d" % i, vector, db=named[b"arrays"])
                txn.put(b"%08d" % i, pickle.dumps(vector, -1), db=named[b"pickles"])
            txn.put_arrays(range(BATCH), self.large, key_format="%08d", db=named[b"large"])
            one = [b"k"] * len(self.duplicates)
            txn.put_arrays(one, self.duplicates, db=named[b"dup"])
        env.close()
        self.some = [[b"%08d" % (n % some) for n in row] for row in self.numbers]


def read_from_disk(path: Path) -> None:
    """Have a file in the page cache as the system reads it, in large pieces: as it was written it
    lies there in small ones, which take longer to reach."""
    drop_from_memory(path)
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def gather_views(txn: Any, batches: list[list[bytes]], out: Any, db: Any = None) -> None:
    """What users of py-lmdb write: a view of each value, and a copy of it into the batch."""
    for keys in batches:
        for row, key in enumerate(keys):
            out[row] = np.frombuffer(txn.get(key, db=db), out.dtype)


def cases(records: Records) -> list[tuple[str, float | None, int, dict[str, Callable[[], Any]]]]:
    """Title, least ratio, records per run, and the contenders: ours first."""
    vectors = pylmdb.open(records.root / "vectors", readonly=True)
    their_vectors = lmdb.open(str(records.root / "vectors-copy"), readonly=True)
    ours = pylmdb.open(records.root / "others", readonly=True, max_dbs=4)
    theirs = lmdb.open(str(records.root / "others-copy"), readonly=True, max_dbs=4)
    first, their_first = vectors.begin(), their_vectors.begin(buffers=True)
    db = {n: ours.open_db(n) for n in (b"arrays", b"pickles", b"large", b"dup")}
    their = {n: theirs.open_db(n, create=False) for n in (b"pickles", b"large", b"dup")}
    mine, other, plain = ours.begin(), theirs.begin(buffers=True), theirs.begin()
    memmap = np.load(records.root / "vectors.npy", mmap_mode="r")
    snapshot = vectors.snapshot()
    out = np.empty((BATCH, DIM), np.float32)
    large = np.empty((BATCH, LARGE), np.uint8)
    numbers, keys, some = records.numbers, records.keys, records.some
    each = numbers.size
    tenth = len(keys) // 10 or 1
    all_large = range(BATCH)
    large_keys = [[b"%08d" % n for n in all_large]]

    def take_large(threads: int) -> Any:
        return mine.take(
            all_large, np.uint8, LARGE, large, threads=threads, key_format="%08d", db=db[b"large"]
        )

    pool, half = ThreadPoolExecutor(2), BATCH // 2

    def copy_half(number: int) -> None:
        rows = np.s_[number * half : (number + 1) * half]
        np.copyto(large[rows], records.large[rows])

    return [
        ("take by key / py-lmdb view, frombuffer, copy", 4.0, each, {
            "pylmdb": lambda: [first.take(row, "f4", DIM, out) for row in keys],
            "py-lmdb": lambda: gather_views(their_first, keys, out),
        }),
        ("take by number (%08d) / the same", None, each, {
            "pylmdb": lambda: [first.take(row, "f4", DIM, out, key_format="%08d")
                               for row in numbers],
            "py-lmdb": lambda: gather_views(their_first, keys, out),
        }),
        ("snapshot.take / np.take of a memmap", 0.9, each, {
            "pylmdb": lambda: [snapshot.take(row, "f4", DIM, out) for row in numbers],
            "numpy": lambda: [np.take(memmap, row, 0, out, "clip") for row in numbers],
        }),
        ("take of 150 KB, two threads / one", 1.7, BATCH, {
            "pylmdb, two": lambda: take_large(2),
            "pylmdb, one": lambda: take_large(1),
        }),
        ("what the machine gains: numpy copy, two / one", None, BATCH, {
            "numpy, two": lambda: [*pool.map(copy_half, (0, 1))],
            "numpy, one": lambda: np.copyto(large, records.large),
        }),
        ("take of 150 KB, one thread / py-lmdb", None, BATCH, {
            "pylmdb": lambda: take_large(1),
            "py-lmdb": lambda: gather_views(other, large_keys, large, their[b"large"]),
        }),
        ("get_array / py-lmdb get, pickle.loads", 3.0, tenth * BATCH, {
            "pylmdb": lambda: [mine.get_array(k, None, False, db[b"arrays"])
                               for row in some[:tenth] for k in row],
            "py-lmdb": lambda: [pickle.loads(plain.get(k, db=their[b"pickles"]))
                                for row in some[:tenth] for k in row],
        }),
        ("get_array / view", 0.5, tenth * BATCH, {
            "get_array": lambda: [mine.get_array(k, None, False, db[b"arrays"])
                                  for row in some[:tenth] for k in row],
            "view": lambda: [mine.view(k, None, db[b"arrays"])
                             for row in some[:tenth] for k in row],
        }),
        ("dup_array / py-lmdb getmulti keyfixed", 5.0, len(records.duplicates), {
            "pylmdb": lambda: mine.dup_array(b"k", RECORD, db=db[b"dup"]),
            "py-lmdb": lambda: np.frombuffer(
                plain.cursor(their[b"dup"]).getmulti([b"k"], True, 16, True), np.uint8),
        }),
        ("range_arrays / py-lmdb cursor, copy", None, records.count, {
            "pylmdb": lambda: first.range_arrays(None, b"1", "f4", DIM),
            "py-lmdb": lambda: walk(their_first, records.count),
        }),
    ]  # fmt: skip


def walk(txn: Any, count: int) -> Any:
    """All vectors in key order, by a loop."""
    out = np.empty((count, DIM), np.float32)
    for row, value in zip(out, txn.cursor().iternext(False, True), strict=False):
        row[:] = np.frombuffer(value, np.float32)
    return out


def others(records: Records) -> list[tuple[str, int, Callable[[], Any]]]:
    """What else people keep vectors in, where it is installed: one batch at a time."""
    found: list[tuple[str, int, Callable[[], Any]]] = []
    out = np.empty((BATCH, DIM), np.float32)
    batches = records.numbers[: max(1, len(records.numbers) // 40)]
    try:
        import h5py
    except ImportError:
        pass
    else:
        file = h5py.File(records.root / "vectors.h5", "w")
        data = file.create_dataset("vectors", data=records.vectors)
        found.append(("h5py, one row per read", batches.size, lambda: [
            data.read_direct(out, np.s_[int(n)], np.s_[row])
            for batch in batches for row, n in enumerate(batch)]))  # fmt: skip
    try:
        import zarr
    except ImportError:
        pass
    else:
        some = records.vectors[: min(20_000, records.count)]
        store = zarr.create_array(str(records.root / "vectors.zarr"), shape=some.shape,
                                  chunks=(64, DIM), dtype="f4", compressors=None)  # fmt: skip
        store[:] = some
        few = batches[:2] % len(some)
        found.append(
            ("zarr 3, a batch per read", few.size, lambda: [store.oindex[batch] for batch in few])
        )
    folder = records.root / "files"
    folder.mkdir()
    count = min(20_000, records.count)
    for i in range(count):
        (folder / f"{i:08d}").write_bytes(records.vectors[i].tobytes())
    found.append(("a file per record", batches.size, lambda: [
        out[row].data.cast("B").__setitem__(slice(None), (folder / f"{n % count:08d}").read_bytes())
        for batch in batches for row, n in enumerate(batch)]))  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="less data: does it run")
    parser.add_argument("--case", help="only those whose title contains this")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    given = parser.parse_args()
    size = (5_000, 20_000, 10) if given.quick else (100_000, 1_000_000, 100)
    rounds = 2 if given.quick else given.rounds
    with tempfile.TemporaryDirectory() as folder:
        records = Records(Path(folder), *size)
        figures = {}
        print(f"{'case':48} {'ours':>10} {'other':>10} {'ratio':>7} {'at least':>9}")
        for title, least, count, contenders in cases(records):
            if given.case and given.case not in title:
                continue
            jobs = {name: Job(count, run) for name, run in contenders.items()}
            ours, other = best(jobs, rounds).values()
            figures[title] = {"ours": ours, "other": other, "ratio": other / ours}
            wanted = "" if least is None else f"{least:.1f}"
            print(f"{title:48} {ours:10.1f} {other:10.1f} {other / ours:7.2f} {wanted:>9}")
        for title, count, run in [] if given.case else others(records):
            (figure,) = best({title: Job(count, run)}, min(rounds, 3)).values()
            figures[title] = {"other": figure}
            print(f"{title:48} {'':10} {figure:10.1f}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
