# SPDX-License-Identifier: MIT
"""pylmdb compared with other embedded stores: records written and read in a second.

    python benchmarks/stores.py

Keys have 16 bytes, values 100.  Each store runs in a process of its own, one after the other; the
best round of each operation counts.  Writes are measured in elapsed time, which includes waiting
for the disk of TMPDIR; reads, of files in memory, in processor time of their thread.  Stores that
are not installed are left out.  store_kinds.py says how each is configured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from machine import machine
from store_kinds import KINDS, MissingError

# Records in a batch, keys in a call, single writes, records that a scan reads.
BATCH, MANY, SINGLES, STEPS = 1000, 256, 200, 50_000
OPERATIONS = {
    "load": "bulk load, in key order",
    "batches": f"durable batches of {BATCH:,}, random keys",
    "singles": "durable writes of one record",
    "get": "get, random keys",
    "get_many": f"get {MANY} random keys at once",
    "scan": "scan in key order",
}


def key(number: int) -> bytes:
    return b"%016d" % number


def value(number: int) -> bytes:
    return b"%020d" % number * 5


def parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Seconds(dict[str, float]):
    """The best time of each operation, for one record."""

    def write(self, name: str, count: int, run: Callable[[], Any]) -> None:
        start = time.perf_counter()
        run()
        took = (time.perf_counter() - start) / count
        self[name] = min(took, self.get(name, took))

    def read(self, name: str, count: int, run: Callable[[], Any]) -> Any:
        """Time as many runs as two seconds are enough for, at most nine, and return what one
        returned.  Reads do not wait, so other programs of the machine need not count."""
        end = time.perf_counter() + 2
        for _ in range(9):
            start = time.thread_time()
            result = run()
            took = (time.thread_time() - start) / count
            self[name] = min(took, self.get(name, took))
            if time.perf_counter() > end:
                break
        return result


def measure(kind: str, path: str, count: int) -> dict[str, float]:
    """All operations of one store, on a file with the even numbers below 2 * count."""
    seconds, pick = Seconds(), random.Random(1)
    records = [(key(2 * i), value(2 * i)) for i in range(count)]
    wanted = [2 * pick.randrange(count) for _ in range(min(count, 20_000))]
    keys = [key(number) for number in wanted]
    new = [2 * each + 1 for each in pick.sample(range(count), 20 * BATCH + SINGLES)]
    writes = [(key(number), value(number)) for number in new]
    store = KINDS[kind](path)
    seconds.write("load", count, lambda: store.load(records))
    steps = min(count, STEPS)
    assert seconds.read("scan", steps, lambda: store.scan(steps)) == steps
    found = seconds.read("get", len(keys), lambda: store.get(keys))
    assert found == [value(number) for number in wanted]
    found = seconds.read(
        "get_many", len(keys), lambda: [store.get_many(part) for part in parts(keys, MANY)]
    )
    assert sum(map(len, found)) == len(keys)
    for part in parts(writes[:-SINGLES], BATCH):
        seconds.write("batches", BATCH, lambda part=part: store.write(part))
    for part in parts(writes[-SINGLES:], 20):
        seconds.write("singles", 20, lambda part=part: [store.write([record]) for record in part])
    assert store.get([key(new[0]), key(new[-1])]) == [value(new[0]), value(new[-1])]
    store.close()
    return seconds


def measure_in_process(kind: str, count: int) -> dict[str, float] | str:
    """The seconds, or why there are none."""
    folder = tempfile.mkdtemp(prefix="pylmdb-stores-")
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--records", str(count), "--one", kind, folder],
            stdout=subprocess.PIPE, check=True, text=True,
        )  # fmt: skip
        result: dict[str, float] | str = json.loads(done.stdout)
        return result
    finally:
        shutil.rmtree(folder)


def compare(kinds: list[str], count: int, rounds: int) -> dict[str, dict[str, float]]:
    """The rates of each store that is installed: records in a second."""
    best: dict[str, dict[str, float]] = {}
    missing = set()
    for number in range(rounds):
        for kind in kinds if number % 2 == 0 else reversed(kinds):
            if kind in missing:
                continue
            seconds = measure_in_process(kind, count)
            if isinstance(seconds, str):
                print(f"{kind} is left out: {seconds}")
                missing.add(kind)
                continue
            before = best.setdefault(kind, seconds)
            best[kind] = {name: min(took, before[name]) for name, took in seconds.items()}
    return {
        kind: {name: 1 / best[kind][name] for name in OPERATIONS} for kind in kinds if kind in best
    }


def show(rates: dict[str, dict[str, float]]) -> None:
    """Print a table in Markdown: a row for each operation."""
    print(f"\n| records in a second | {' | '.join(rates)} |\n|---|{'---:|' * len(rates)}")
    for name, title in OPERATIONS.items():
        cells = [f"{each[name]:,.3g}" if each[name] < 1000 else f"{each[name]:,.0f}"
                 for each in rates.values()]  # fmt: skip
        print(f"| {title} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer records and one round")
    parser.add_argument("--store", action="append", choices=list(KINDS), help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--one", nargs=2, metavar=("STORE", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        kind, folder = given.one
        try:
            print(json.dumps(measure(kind, os.path.join(folder, "store"), given.records)))
        except MissingError as missing:
            print(json.dumps(str(missing)))
        return
    count, rounds = (50_000, 1) if given.quick else (given.records, given.rounds)
    rates = compare(given.store or list(KINDS), count, rounds)
    show(rates)
    if given.json:
        result = {"machine": machine(), "records": count, "rates": rates}
        given.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
