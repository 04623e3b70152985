# SPDX-License-Identifier: MIT
"""How the cost of an operation grows with the size of a file, and with the number of readers, named
databases, descriptors, environments, views and free pages.

    python benchmarks/scale.py

pylmdb and py-lmdb run alternately on files of their own; the best round of each counts.  A figure
is processor time of an operation.  The ratio is py-lmdb's time divided by pylmdb's.  "Added" is how
much longer an operation takes at the greatest n than at the least: pylmdb's, and py-lmdb's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import lmdb
from machine import machine
from measure import best
from scale_cases import GROUPS, Group

import pylmdb

# A cost grows faster than py-lmdb's if it adds more than this many times as much, and more than
# this part of itself.  Smaller differences are also seen between equal costs.
MORE, PART = 1.5, 0.25


@contextmanager
def folder() -> Iterator[Path]:
    """In memory if that is possible: the cost in question is not that of a disk."""
    path = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path)


def measure(group: Group, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """For each title the nanoseconds of both bindings."""
    with folder() as path, ExitStack() as stack:
        jobs = {
            module.__name__: stack.enter_context(
                contextmanager(group.make)(module, path / module.__name__, count)
            )
            for module in (pylmdb, lmdb)
        }
        return {
            title: best({name: each[title] for name, each in jobs.items()}, rounds)
            for title in jobs["pylmdb"]
        }


def time_text(ns: float) -> str:
    return f"{ns:,.0f} ns" if abs(ns) < 1e4 else f"{ns / 1e3:,.0f} us"


def row_of(things: str, title: str, figures: dict[int, dict[str, dict[str, float]]]) -> Any:
    counts = list(figures)
    ours, theirs = ([figures[n][title][name] for n in counts] for name in ("pylmdb", "lmdb"))
    added, their_added = ours[-1] - ours[0], theirs[-1] - theirs[0]
    return {
        "things": things,
        "title": title,
        "counts": counts,
        "pylmdb_ns": ours,
        "py_lmdb_ns": theirs,
        "ratios": [other / own for own, other in zip(ours, theirs, strict=True)],
        "added": added,
        "their_added": their_added,
        "faster": added > max(MORE * their_added, PART * ours[-1]),
    }


def show(row: dict[str, Any]) -> None:
    cells = "".join(
        f"{time_text(own):>11}{time_text(other):>10} {ratio:5.2f}"
        for own, other, ratio in zip(
            row["pylmdb_ns"], row["py_lmdb_ns"], row["ratios"], strict=True
        )
    )
    mark = "  GROWS FASTER" if row["faster"] else ""
    added = f"{time_text(row['added']):>11}{time_text(row['their_added']):>10}"
    print(f"{row['title']:38}{cells}{added}{mark}", flush=True)


def run(group: Group, counts: tuple[int, ...], rounds: int) -> list[dict[str, Any]]:
    """Measure and print a group; a row for each of its operations."""
    figures = {count: measure(group, count, rounds) for count in counts}
    heads = "".join(f"{count:>27,}" for count in counts)
    print(f"\n{group.things:38}{heads}{'added':>21}")
    rows = [row_of(group.things, title, figures) for title in figures[counts[0]]]
    for row in rows:
        show(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="small counts and three rounds")
    parser.add_argument("--group", action="append", help="only those whose name contains this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    given = parser.parse_args()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    rows = []
    for group in GROUPS:
        if given.group and not any(each in group.things for each in given.group):
            continue
        counts = group.quick if given.quick else group.counts
        rows += run(group, counts, 3 if given.quick else given.rounds)
    if given.json:
        result = {"machine": machine(), "rows": rows}
        given.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
