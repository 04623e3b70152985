# SPDX-License-Identifier: MIT
"""Check that memory does not grow while pylmdb works."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from data import VALUE, Sizes, Stage, hot_key, key

import pylmdb

CALLS, TRANSACTIONS = 1_000_000, 100_000
# The allocator and the kernel may keep this much; a leak of 16 bytes per call is 16 MB.
ALLOWED_KIB = 1024


def resident_kib() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def works(stage: Stage) -> dict[str, Callable[[int], None]]:
    """What is done, by name; each gets the number of times."""
    (wanted,) = hot_key(stage.sizes)

    def get(count: int, buffers: bool = False) -> None:
        with stage.hot.begin(buffers=buffers) as txn:
            for _ in range(count):
                txn.get(wanted)

    def iterate(count: int, buffers: bool = False) -> None:
        done = 0
        with stage.large.begin(buffers=buffers) as txn:
            while done < count:
                for _key, _value in txn.cursor():
                    done += 1

    def read_transactions(count: int) -> None:
        for _ in range(count):
            with stage.hot.begin() as txn:
                txn.get(wanted)

    def write_transactions(count: int) -> None:
        for i in range(count):
            with stage.nosync.begin(write=True) as txn:
                txn.put(key(i % stage.sizes.hot), VALUE)

    return {
        "get": get,
        "get, buffers=True": lambda count: get(count, True),
        "iteration": iterate,
        "iteration, buffers=True": lambda count: iterate(count, True),
        "read transaction": read_transactions,
        "write transaction": write_transactions,
    }


def check() -> int:
    """Print resident memory before and after each work; 1 if it grew."""
    if not sys.platform.startswith("linux"):
        print("--memory reads /proc/self/statm, which only Linux has")
        return 0
    grown = []
    print(f"{'work':24} {'times':>10} {'before, KiB':>12} {'after, KiB':>12} {'more':>8}")
    with tempfile.TemporaryDirectory(prefix="pylmdb-bench-") as folder:
        stage = Stage(pylmdb, Path(folder) / "ours", Sizes(), ours=True)
        for name, work in works(stage).items():
            times = TRANSACTIONS if "transaction" in name else CALLS
            # Reads the whole file once, too: its pages count as resident memory from then on.
            work(times // 10)
            before = resident_kib()
            work(times)
            after = resident_kib()
            more = after - before
            print(f"{name:24} {times:10,} {before:12,} {after:12,} {more:8,}", flush=True)
            if more > ALLOWED_KIB:
                grown.append(name)
        stage.close()
    print(f"grew: {', '.join(grown)}" if grown else "memory stays where it was")
    return 1 if grown else 0
