# SPDX-License-Identifier: MIT
"""Commands that observe an environment for some time: watch, bench."""

from __future__ import annotations

import argparse
import csv
import random
import sys
import time
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from ._commands import add_database, number, seconds
from ._opening import database, reading
from ._output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..environment import Environment
    from ._commands import Commands

_COLUMNS = ("time", "txnid", "entries", "used", "free_pages", "readers")
# number of keys that bench looks up
_BENCH_KEYS = 10_000


def add(commands: Commands) -> None:
    """Add the commands."""
    watch = commands.on_path(
        "watch", watch_environment, "Print a line of counters at intervals.",
        examples="""\
pylmdb watch fruit -n 1
pylmdb watch fruit -i 0.1 -n 3 --csv > counters.csv""",
    )  # fmt: skip
    watch.add_argument("--csv", action="store_true", help="print CSV")
    watch.add_argument("--window", type=number, help=argparse.SUPPRESS)
    watch.add_argument(
        "-i",
        "--interval",
        type=seconds,
        default=1.0,
        metavar="SECONDS",
        help="seconds between two lines; the default is 1",
    )
    watch.add_argument("-n", "--count", type=number, metavar="N", help="stop after N lines")
    bench = commands.on_path(
        "bench", bench_environment, "Measure how fast an environment is read.",
        examples="pylmdb bench fruit --seconds 0.1",
    )  # fmt: skip
    add_database(bench, "read a named database instead of the main one")
    bench.add_argument(
        "--seconds", type=seconds, default=1.0, help="seconds for each case; the default is 1"
    )


def watch_environment(args: argparse.Namespace) -> None:
    """``pylmdb watch``; text has tabs between the columns."""
    if args.json and args.csv:
        args.refuse("--json and --csv cannot be used together")
    rows = csv.writer(sys.stdout, delimiter="," if args.csv else "\t", lineterminator="\n")
    with reading(args, whole=True) as env:
        if not args.json:
            rows.writerow(_COLUMNS)
        for number in count() if args.count is None else range(args.count):
            if number:
                time.sleep(args.interval)
            row = _counters(env)
            if args.json:
                print_json(row, lines=True)
            else:
                rows.writerow(row.values())
            sys.stdout.flush()


def _counters(env: Environment) -> dict[str, Any]:
    info = env.info()
    with env.begin() as txn:
        dbs = [None, *env.dbs(txn)]
        entries = sum(txn.stat(env.open_db(name, txn, create=False)).entries for name in dbs)
    return dict(
        zip(
            _COLUMNS,
            (time.strftime("%H:%M:%S"), info.last_txnid, entries, info.used, info.free_pages,
             sum(reader.txnid is not None for reader in env.reader_list())),
            strict=True,
        )
    )  # fmt: skip


def bench_environment(args: argparse.Namespace) -> None:
    """``pylmdb bench``."""
    with reading(args) as env, env.begin() as txn:
        db = database(env, args, txn)
        keys = [*islice(txn.cursor(db).iternext(True, False), _BENCH_KEYS)]
        if not keys:
            raise ValueError("the database has no records to read")
        random.Random(0).shuffle(keys)
        cases = {
            "get": lambda: sum(txn.get(key, db=db) is not None for key in keys),
            "get_many": lambda: len(txn.get_many(keys, db=db)),
            "scan keys": lambda: sum(1 for _ in txn.cursor(db).iternext(True, False)),
            "scan": lambda: sum(1 for _ in txn.cursor(db)),
        }
        rows = [(name, *_timed(case, args.seconds)) for name, case in cases.items()]
    if args.json:
        print_json([{"case": name, "records": done, "ns": ns} for name, done, ns in rows])
    else:
        print_table(
            ("case", "records", "ns each", "per second"),
            ((name, done, round(ns), round(1e9 / ns)) for name, done, ns in rows),
        )


def _timed(case: Callable[[], int], seconds: float) -> tuple[int, float]:
    """Run a case for some seconds; return the number of records and the ns for each."""
    begin, done = time.perf_counter(), 0
    while True:
        done += case()
        passed = time.perf_counter() - begin
        if passed >= seconds:
            return done, passed * 1e9 / done
