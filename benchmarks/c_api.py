# SPDX-License-Identifier: MIT
"""The C API, beside the same loops in plain C over liblmdb 0.9 in the same process; and holds.

    python benchmarks/c_api.py                   nanoseconds per operation, and ratios
    python benchmarks/c_api.py --instructions    instructions per operation, counted by callgrind

The file has 200,000 records, with keys of 16 bytes and values of 96.  It is in the page cache.
``--quick`` has a tenth of that.  ``--lib-version 1`` uses a file of LMDB 1.0; the plain loops stay
those of 0.9.

Nanoseconds are those of the best of several rounds, in which all loops run.  Instructions need
valgrind, and include those that begin and end a loop.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data
from callgrind import count
from floor import BUILD, Floor, Floors, import_module
from measure import Job, best

import pylmdb
from pylmdb import lowlevel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Timed

SOURCE = Path(__file__).with_name("c_api.c")
ROUNDS = 9

# what is measured, the function of c_api.c, and that of floor.c with which it is compared
LOOPS = (
    ("get, every key in random order", "get", "get"),
    ("range, one record", "range", "scan"),
    ("range with a stop, one record", "bounded", "scan"),
    ("cursor, one record", "cursor", "scan"),
)
HOLD = "acquire and release"


def load_loops() -> Any:
    """Compile c_api.c, as a library that uses the C API would be, and import it."""
    name = "pylmdb_c_api_loops"
    built = BUILD / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    BUILD.mkdir(parents=True, exist_ok=True)
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    includes = [f"-I{pylmdb.get_include()}", f"-I{sysconfig.get_paths()['include']}"]
    subprocess.run(
        [*compiler, "-O3", "-shared", "-fPIC", *includes, str(SOURCE), "-o", str(built)], check=True
    )
    return import_module(name, built)


class Loop:
    """A loop of c_api.c, which keeps its own time."""

    def __init__(self, operations: int, function: Any, *args: Any) -> None:
        self.operations, self._run = operations, partial(function, *args)

    def seconds(self) -> float:
        return float(self._run())


def python_gets(txn: Any, key: bytes, count: int) -> None:
    for _ in range(count):
        txn.get(key)


def python_holds(txn: Any, count: int) -> None:
    for _ in range(count):
        with lowlevel.hold(txn):
            pass


def contenders(
    stage: data.Stage, closing: ExitStack, lib_version: int
) -> Iterator[tuple[str, Timed]]:
    """All loops, by name."""
    ours, floors, sizes = load_loops(), Floors(), stage.sizes
    env = stage.large
    if lib_version:
        path = stage.folder / "converted"
        pylmdb.convert(stage.copy_of("large"), path, lib_version=lib_version)
        env = closing.enter_context(pylmdb.open(path))
    txn = closing.enter_context(env.begin())
    keys = data.spread_keys(sizes)
    for title, function, plain in LOOPS:
        arguments = txn, b"".join(keys), len(keys[0]), len(keys)
        yield title, Loop(len(keys), getattr(ours, function), *arguments)
        if plain != "scan" or function == "range":
            floor = Floor(plain, "large", data.spread_keys, data.many)
            yield f"plain {plain}", closing.enter_context(floors.job(floor, stage))
    yield HOLD, Loop(sizes.loops, ours.hold, txn, sizes.loops)
    yield "lowlevel.hold", Job(sizes.loops, partial(python_holds, txn, sizes.loops))
    yield "txn.get", Job(sizes.loops, partial(python_gets, txn, keys[0], sizes.loops))


def show(found: dict[str, float], unit: str) -> None:
    """Print a table, whose last column is the ratio to the plain loop."""
    print(f"{unit} per operation")
    print(f"{'':34} {'C API':>8} {'plain':>8} {'ratio':>6}")
    for title, _function, plain in LOOPS:
        ours, theirs = found[title], found[f"plain {plain}"]
        print(f"{title:34} {ours:8.1f} {theirs:8.1f} {ours / theirs:6.2f}")
    print(f"{HOLD:34} {found[HOLD]:8.1f}")


def measure(stage: data.Stage, closing: ExitStack, lib_version: int) -> None:
    found = best(dict(contenders(stage, closing, lib_version)), ROUNDS)
    show(found, "nanoseconds")
    gets = found["lowlevel.hold"] / found["txn.get"]
    print(f"{'with lowlevel.hold(txn)':34} {found['lowlevel.hold']:8.1f}", end="")
    print(f"   that of {gets:.1f} calls of txn.get()")


def run_each(stage: data.Stage, closing: ExitStack, lib_version: int) -> None:
    """Run each loop in C once, and print how many operations it has made."""
    for title, timed in contenders(stage, closing, lib_version):
        if not isinstance(timed, Job):
            timed.seconds()
            print(title, timed.operations, sep="\t", flush=True)


def count_instructions(arguments: list[str]) -> None:
    """Run this program in callgrind, which counts the instructions of each function."""
    functions = {title: f"c_api_{function}" for title, function, _plain in LOOPS}
    functions |= {
        HOLD: "c_api_hold",
        "plain get": "_cffi_f_loop_get",
        "plain scan": "_cffi_f_loop_scan",
    }
    command = [sys.executable, __file__, "--run-each", *arguments]
    operations, rows = count(command, inclusive=True)
    counts: dict[str, int] = {}
    for instructions, name in rows:
        # A function that others were inlined into may have several rows: the first is the largest.
        counts.setdefault(name.rpartition(":")[2], instructions)
    found = {}
    for line in operations.splitlines():
        title, number = line.split("\t")
        found[title] = counts[functions[title]] / int(number)
    show(found, "instructions")


def main() -> None:
    parser = argparse.ArgumentParser(description="measure the C API")
    parser.add_argument("--quick", action="store_true", help="a tenth of the records")
    parser.add_argument("--lib-version", type=int, choices=[0, 1], default=0)
    parser.add_argument("--instructions", action="store_true", help="count them with callgrind")
    parser.add_argument("--run-each", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.instructions:
        count_instructions([each for each in sys.argv[1:] if each != "--instructions"])
        return
    sizes = data.QUICK if options.quick else data.Sizes()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        stage = data.Stage(pylmdb, Path(folder, "stage"), sizes, ours=True)
        closing.callback(stage.close)
        run = run_each if options.run_each else measure
        run(stage, closing, options.lib_version)


if __name__ == "__main__":
    main()
