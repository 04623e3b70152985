# SPDX-License-Identifier: MIT
"""Loading many records at once: processor time per record, and the size of the file.

- Records with random keys of 16 bytes into a new environment: ``pylmdb.bulk_load``, also with
  little memory, and py-lmdb's ``put`` of each record in the order given, with ``sync=False``.
- The text of mdb_dump: ``pylmdb.load`` and LMDB's program ``mdb_load``.

They run alternately, and the best round of each counts.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lmdb

import pylmdb

MAP_SIZE = 1 << 36


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--value", type=int, default=16, help="bytes of a value (default 16)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="16 MiB", help="of the load in parts (16 MiB)")
    return parser.parse_args()


def processor_time() -> float:
    """Return the time of this process and its children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def compare(contenders: dict[str, Callable[[Path], object]], rounds: int, records: int) -> None:
    """Print nanoseconds per record and the size of the file for each contender."""
    best = dict.fromkeys(contenders, float("inf"))
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, run in contenders.items():
                dest = Path(folder) / "env"
                begin = processor_time()
                run(dest)
                best[name] = min(best[name], processor_time() - begin)
                sizes[name] = os.stat(dest / "data.mdb").st_size
                shutil.rmtree(dest)
    slowest = [*best.values()][-1]
    for name, seconds in best.items():
        print(
            f"{name:32} {seconds / records * 1e9:8,.0f} ns {slowest / seconds:7.2f}"
            f" {sizes[name] / 2**20:9,.1f} MiB"
        )


def random_records(count: int, size: int) -> list[tuple[bytes, bytes]]:
    rng = random.Random(1)
    return [(rng.randbytes(16), bytes(size)) for _ in range(count)]


def put_each(dest: Path, records: list[tuple[bytes, bytes]]) -> None:
    with (
        lmdb.open(str(dest), map_size=MAP_SIZE, sync=False) as env,
        env.begin(write=True) as txn,
    ):
        for key, value in records:
            txn.put(key, value)


def compare_loads(given: argparse.Namespace) -> None:
    records = random_records(given.records, given.value)
    compare(
        {
            "bulk_load": lambda dest: pylmdb.bulk_load(dest, records),
            f"bulk_load, memory={given.memory!r}": lambda dest: pylmdb.bulk_load(
                dest, records, memory=given.memory
            ),
            "py-lmdb put": lambda dest: put_each(dest, records),
        },
        given.rounds,
        given.records,
    )


def run_mdb_load(text: Path, dest: Path) -> None:
    dest.mkdir()
    command = ["mdb_load", "-f", str(text), str(dest)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def compare_texts(given: argparse.Namespace) -> None:
    rng = random.Random(1)
    records = sorted((rng.randbytes(16), rng.randbytes(100)) for _ in range(given.records))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pylmdb.bulk_load(folder / "source", records)
        for printable in (False, True):
            text = folder / "text"
            pylmdb.dump(folder / "source", text, printable=printable, overwrite=True)
            # mdb_load takes the size of its map from the header
            header, _, rest = text.read_bytes().partition(b"HEADER=END")
            header = re.sub(rb"mapsize=\d+", b"mapsize=%d" % MAP_SIZE, header)
            text.write_bytes(header + b"HEADER=END" + rest)
            kind = "print" if printable else "bytevalue"
            compare(
                {
                    f"load, format={kind}": lambda dest: pylmdb.load(text, dest),  # noqa: B023
                    "mdb_load": lambda dest: run_mdb_load(text, dest),  # noqa: B023
                },
                given.rounds,
                given.records,
            )


def main() -> None:
    given = arguments()
    print(f"{'':32} {'a record':>11} {'ratio':>7} {'file':>13}")
    compare_loads(given)
    compare_texts(given)


if __name__ == "__main__":
    main()
