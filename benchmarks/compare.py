# SPDX-License-Identifier: MIT
"""pylmdb compared with py-lmdb 3.0.0: nanoseconds per operation, and the ratio.

Both run in one process, alternately, for several rounds.  So other work of the machine disturbs
both alike.  The best round of each counts.  A ratio above 1 means that pylmdb is faster.
README.md says what each case does.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import baseline
import cases_process
import cases_read
import cases_write
import lmdb
import memory
from data import QUICK, Sizes, Stage
from floor import FloorMissingError, Floors
from machine import machine
from measure import Timed, best
from registry import Case

import pylmdb

# Those of cases_process last, for the reason that it gives.
CASES = [*cases_read.CASES, *cases_write.CASES, *cases_process.CASES]

HEADER = (
    f"{'case':40} {'pylmdb':>9} {'py-lmdb':>9} {'ratio':>7} {'at least':>9} {'met':>4}"
    f" {'C floor':>9} {'ours/C':>7} {'at most':>8} {'met':>4}"
)


def arguments() -> tuple[argparse.Namespace, list[Case]]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, help="rounds of each case (default 9, quick: 3)")
    parser.add_argument(
        "--case",
        action="append",
        metavar="PATTERN",
        help="only cases whose name or title contains this (* and ? allowed); repeatable",
    )
    parser.add_argument("--quick", action="store_true", help="less data and fewer rounds")
    parser.add_argument(
        "--threaded",
        action="store_true",
        help="start a thread before all cases, as most larger programs have done (see README.md)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument(
        "--store-baseline", action="store_true", help="store the ratios in baseline.json"
    )
    kept.add_argument(
        "--compare", action="store_true", help="print the ratios that fell below the stored ones"
    )
    parser.add_argument(
        "--memory", action="store_true", help="only see whether memory grows while pylmdb works"
    )
    given = parser.parse_args()
    given.rounds = given.rounds or (3 if given.quick else 9)
    selected = [case for case in CASES if matches(case, given.case)]
    if not selected:
        parser.error("no case matches; the names are " + ", ".join(case.name for case in CASES))
    return given, selected


def matches(case: Case, patterns: Sequence[str] | None) -> bool:
    return not patterns or any(
        fnmatchcase(text.lower(), f"*{pattern.lower()}*")
        for pattern in patterns
        for text in (case.name, case.title)
    )


def measure(
    case: Case, stages: Sequence[Stage], floors: Floors | None, rounds: int
) -> dict[str, Any]:
    """The figures of one case."""
    with ExitStack() as stack:
        contenders: dict[str, Timed] = {
            stage.binding.__name__: stack.enter_context(case.prepare(stage)) for stage in stages
        }
        if floors and case.floor:
            contenders["floor"] = stack.enter_context(floors.job(case.floor, stages[0]))
        found = best(contenders, max(rounds, case.rounds))
    ours, theirs, floor = found["pylmdb"], found["lmdb"], found.get("floor")
    over, at_most = floor and ours / floor, case.floor and case.floor.at_most
    if case.at_most_more is not None:
        met: bool | None = ours <= theirs + case.at_most_more
    else:
        met = None if case.at_least is None else theirs / ours >= case.at_least
    return {
        "case": case.name,
        "title": case.title,
        "pylmdb_ns": ours,
        "py_lmdb_ns": theirs,
        "ratio": theirs / ours,
        "at_least": case.at_least,
        "at_most_more_ns": case.at_most_more,
        "met": met,
        "floor_ns": floor,
        "over_floor": over,
        "over_floor_at_most": at_most,
        "floor_met": over <= at_most if over and at_most else None,
    }


def time_text(ns: float | None) -> str:
    if ns is None:
        return "-"
    return f"{ns:,.0f}" if ns < 1e6 else f"{ns / 1e6:.1f} ms"


def ratio_text(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def met_text(met: bool | None) -> str:
    return {None: "", True: "yes", False: "NO"}[met]


def line(row: dict[str, Any]) -> str:
    wanted, at_most = ratio_text(row["at_least"]), row["over_floor_at_most"]
    if row["at_most_more_ns"] is not None:
        wanted = f"+{row['at_most_more_ns'] / 1e6:.0f} ms"
    return (
        f"{row['title']:40} {time_text(row['pylmdb_ns']):>9} {time_text(row['py_lmdb_ns']):>9}"
        f" {row['ratio']:7.2f} {wanted:>9} {met_text(row['met']):>4}"
        f" {time_text(row['floor_ns']):>9} {ratio_text(row['over_floor']):>7}"
        f" {ratio_text(at_most):>8} {met_text(row['floor_met']):>4}"
    ).rstrip()


def compiled_floors() -> Floors | None:
    try:
        return Floors()
    except FloorMissingError as error:
        print(f"no C floor: {error}")
        return None


def run(cases: Sequence[Case], sizes: Sizes, rounds: int) -> list[dict[str, Any]]:
    """Measure and print the cases one after another."""
    floors = compiled_floors()
    rows = []
    with tempfile.TemporaryDirectory(prefix="pylmdb-bench-") as folder, ExitStack() as stack:
        stages = [
            Stage(binding, Path(folder) / binding.__name__, sizes, ours=binding is pylmdb)
            for binding in (pylmdb, lmdb)
        ]
        for stage in stages:
            stack.callback(stage.close)
        print(f"{HEADER}\n(nanoseconds per operation, unless marked; best of {rounds} rounds)")
        for case in cases:
            rows.append(measure(case, stages, floors, rounds))
            print(line(rows[-1]), flush=True)
    for what, key in (("ratios", "met"), ("distances from C", "floor_met")):
        judged = [row for row in rows if row[key] is not None]
        missed = [row["case"] for row in judged if not row[key]]
        text = f"{len(judged) - len(missed)} of {len(judged)} {what} met"
        print(f"{text}; not: {', '.join(missed)}" if missed else text)
    return rows


def main() -> int:
    given, cases = arguments()
    if given.memory:
        return memory.check()
    stored = baseline.load() if given.compare else None
    where, load = machine(), round(os.getloadavg()[0], 1)
    if given.compare or given.store_baseline:
        baseline.warn(load)
    print(
        f"pylmdb {where['pylmdb']}, py-lmdb {where['py_lmdb']}; {where['python']},"
        f" {where['platform']}, {where['processors']} x {where['processor']}"
    )
    if given.threaded:
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
    rows = run(cases, QUICK if given.quick else Sizes(), given.rounds)
    settings = {name: getattr(given, name) for name in ("rounds", "quick", "threaded")}
    depends_on = {**where, **settings, "load": load}
    if given.store_baseline:
        baseline.store(rows, depends_on)
    if stored:
        print(*baseline.compare(rows, depends_on, stored), sep="\n")
    if given.json:
        result = {"machine": where, **settings, "rows": rows}
        given.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
