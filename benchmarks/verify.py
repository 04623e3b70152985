# SPDX-License-Identifier: MIT
"""Check whole files: pylmdb.verify, py-lmdb's scan of all records, and plain reads.

For each size of values a file is filled once and is in the page cache; then the three alternate.
The check does not read the data of large values, so it can take less time than reading the file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
from measure import Job, best

import pylmdb

VALUES = {"100 B": 100, "3 KB": 3000, "150 KB": 150_000}
FORMATS = {"0.9": 0, "1.0": 1}
BATCH, BLOCK = 4 << 20, 1 << 20


def batches(total: int, size: int) -> Iterator[list[tuple[bytes, bytes]]]:
    value, step = bytes(size), max(BATCH // size, 1)
    count = total // (size + 16)
    for start in range(0, count, step):
        yield [(b"%016d" % i, value) for i in range(start, min(start + step, count))]


def fill(folder: Path, total: int, size: int, lib_version: int) -> int:
    """Make a file, and return how long it is."""
    with pylmdb.open(folder, lib_version=lib_version, sync=False) as env:
        for items in batches(total, size):
            with env.begin(write=True) as txn:
                txn.cursor().putmulti(items, append=True)
    return (folder / "data.mdb").stat().st_size


def scan(folder: Path) -> None:
    """Every record through py-lmdb, without a copy of the values."""
    with lmdb.open(str(folder), readonly=True, lock=False) as env, env.begin(buffers=True) as txn:
        for _ in txn.cursor():
            pass


def read(path: Path) -> None:
    block = bytearray(BLOCK)
    with path.open("rb", buffering=0) as file:
        while file.readinto(block):
            pass


def verify(folder: Path) -> None:
    if not pylmdb.verify(folder).ok:
        raise AssertionError(f"{folder} is damaged")


def measure(total: int, size: int, lib_version: int, rounds: int) -> dict[str, float]:
    """MB/s of each way."""
    with tempfile.TemporaryDirectory(prefix="verify-") as name:
        folder = Path(name, "env")
        length = fill(folder, total, size, lib_version)
        ways = {
            "verify": Job(1, lambda: verify(folder)),
            "py-lmdb, scan": Job(1, lambda: scan(folder)),
            "read": Job(1, lambda: read(folder / "data.mdb")),
        }
        return {way: length * 1000 / taken for way, taken in best(ways, rounds).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=1024, help="MiB of records in each file (1024)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    found: dict[str, Any] = {}
    for release, lib_version in FORMATS.items():
        for title, size in VALUES.items():
            speeds = measure(given.size << 20, size, lib_version, given.rounds)
            found[f"{release}, {title}"] = speeds
            shown = "  ".join(f"{way} {speed:7,.0f} MB/s" for way, speed in speeds.items())
            ratio = speeds["verify"] / speeds["py-lmdb, scan"]
            print(f"{release}, values of {title:7} {shown}  verify/scan {ratio:6.1f}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
