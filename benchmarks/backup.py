# SPDX-License-Identifier: MIT
"""The processor time of backups, for each page, beside that of cp.

    python benchmarks/backup.py [FOLDER]

The file is in memory.  Each figure is the least of several runs, in turn.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pylmdb

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS, RUNS = 1_000_000, 7


def processor_time() -> float:
    """The processor time of this process and of those that it has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder, chance = Path(name), Random(1)
        env = pylmdb.open(folder / "env", sync=False)
        with env.begin(write=True) as txn:
            for i in range(RECORDS):
                txn.put(b"%08d" % i, chance.randbytes(96), append=True)
        full = env.backup(folder / "full")
        ways: dict[str, Callable[[], object]] = {
            "cp": lambda: subprocess.run(
                ["cp", folder / "env" / "data.mdb", folder / "copy"], check=True
            ),
            "full backup": lambda: env.backup(folder / "other", overwrite=True),
            "increment": lambda: env.backup(folder / "other", since=full, overwrite=True),
            "restore": lambda: pylmdb.restore(full, folder / "new", overwrite=True),
        }
        pylmdb.restore(full, folder / "new")
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(RUNS):
            for way, call in ways.items():
                before = processor_time()
                call()
                times[way].append(processor_time() - before)
        print(f"microseconds for each of {full.used:,} pages of {full.page_size} bytes")
        for way, each in times.items():
            print(f"{way:12} {1e6 * min(each) / full.used:.2f}")
        env.close()


if __name__ == "__main__":
    main()
