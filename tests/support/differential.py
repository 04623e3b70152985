# SPDX-License-Identifier: MIT
"""Run random programs on pylmdb and on py-lmdb side by side.

A program is a list of steps, each one call with its arguments as source text, so
that a failing one can be printed and pasted.  Every step runs on both libraries,
each with an environment of its own, and the outcomes must agree: values, or the
class of the exception (ours may be a subclass of theirs).  Where pylmdb differs on
purpose is written in ``differential_intended.py``.

py-lmdb can crash on hostile programs.  So programs run in a child process (this
file as a script), which notes in a small file what it is about to do.

    python tests/support/differential.py FIRST_SEED COUNT FOLDER [alone]
"""

from __future__ import annotations

import array
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
import numpy
from differential_intended import Intended, Raised, agree
from differential_programs import Program, Step, make_program

import pylmdb

LIBRARIES = {"pylmdb": pylmdb, "py-lmdb": lmdb}


class Difference(NamedTuple):
    """A difference between the results of a program: where and how."""

    step: int
    ours: Any
    theirs: Any


# -- functions that programs call besides methods ------------------------------------


def take(iterator: Any, count: int) -> list[Any]:
    """Return the next ``count`` items, or as many as there are."""
    return list(itertools.islice(iterator, count))


def iter_from(cursor: Any, key: Any, reverse: bool, count: int) -> list[Any]:
    """Return the first items of the result of the undocumented method."""
    return take(cursor._iter_from(key, reverse), count)


def leave(transaction: Any, failing: bool) -> Any:
    """Do what the end of a ``with`` block does."""
    if failing:
        error = RuntimeError("in the block")
        return transaction.__exit__(RuntimeError, error, None)
    return transaction.__exit__(None, None, None)


def dump(env: Any) -> dict[Any, Any]:
    """Return all records of all databases."""
    with env.begin() as txn:
        names = env.dbs(txn)
        handles = {name: env.open_db(name, txn=txn, create=False) for name in names}
        contents: dict[Any, Any] = {}
        for name, handle in handles.items():
            contents[name] = (handle.flags(txn), list(txn.cursor(handle)))
        contents[None] = list(txn.cursor().iternext(True, False))
    return contents


def reopen(env: Any, options: dict[str, Any]) -> Any:
    """Close the environment and open it again, as another run of a program would."""
    path = env.path()
    env.close()
    return open_with("pylmdb" if isinstance(env, pylmdb.Environment) else "py-lmdb", path, options)


def open_with(library: str, path: str, options: dict[str, Any]) -> Any:
    """Open an environment; py-lmdb with those of the options that it has.

    Without a lock file py-lmdb overwrites what older readers read, so it always gets one.
    """
    if library == "py-lmdb":
        options = {name: value for name, value in options.items() if name not in OURS}
    return LIBRARIES[library].open(path, **options)


OURS = {"page_size", "checksums", "guard", "lock"}
TOOLS = {"take": take, "iter_from": iter_from, "leave": leave, "dump": dump, "reopen": reopen,
         "array": array.array, "numpy": numpy}  # fmt: skip


# -- running one program ----------------------------------------------------------------


# Depends on where the files lie, on how many transactions the binding itself has used, on
# whether it deletes before it puts or after, and on the options that only one side has.
UNCOMPARED = {"lock", "psize", "map_addr", "num_readers", "last_pgno", "pinned", "max_map_size",
              "reserved", "used", "page_size", "free_pages", "depth", "branch_pages",
              "leaf_pages", "overflow_pages"}  # fmt: skip


def plain(value: Any) -> Any:
    """Convert a result to a form in which both libraries' results can be compared."""
    if isinstance(value, memoryview):
        return ("memoryview", bytes(value))
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key not in UNCOMPARED}
    if isinstance(value, (tuple, list)):
        return type(value)(plain(each) for each in value)
    if isinstance(value, bytes) and len(value) == 48 and value.count(0) > 24:
        return value[:8]  # the record of a named database; the rest depends on the page size
    if value is None or isinstance(value, (bool, int, bytes, str)):
        return value
    return "an object"


def outcome(step: Step, code: Any, names: dict[str, Any]) -> Any:
    try:
        if step.method == "del":
            names.pop(step.target, None)
            return None
        value = eval(code, names)
        if step.result:
            names[step.result] = value
        return plain(value)
    except Exception as exception:
        return Raised(exception)


class Progress:
    """Tell the parent process the next step, in case the step ends this process."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)

    def note(self, seed: int, step: int, library: str) -> None:
        os.pwrite(self.fd, f"{seed} {step} {library:8}\n".encode(), 0)


def run(program: Program, folder: str, progress: Progress) -> Difference | None:
    """Run a program on both libraries; return the first difference, or None."""
    names: dict[str, dict[str, Any]] = {}
    for library in LIBRARIES:
        shutil.rmtree(f"{folder}/{library}", ignore_errors=True)
        os.mkdir(f"{folder}/{library}")
        progress.note(program.seed, -1, library)
        env = open_with(library, f"{folder}/{library}/env", program.options)
        names[library] = {**TOOLS, "e": env}
    ours, theirs = names["pylmdb"], names.get("py-lmdb", {})
    intended = Intended(program.about, ours)
    difference = None
    for number, step in enumerate(program.steps):
        if not intended.allows(step):
            continue
        code = compile(step.call(), "<program>", "eval") if step.method != "del" else None
        progress.note(program.seed, number, "pylmdb")
        mine = outcome(step, code, ours)
        progress.note(program.seed, number, "py-lmdb")
        other = outcome(step, code, theirs) if theirs else mine
        intended.note(step, mine)
        if agree(mine, other):
            continue
        # Which write is the first that does not fit depends on a page more or less.  And theirs
        # gives the slot of a database to another one while transactions know it.
        if "MapFullError" in f"{mine}{other}" or "BadDbiError" in f"{other}":
            break
        if intended.excuses(step, mine, other):
            for variables in names.values():
                variables.pop(step.result, None)
        else:
            difference = Difference(number, mine, other)
            break
    for library, variables in names.items():
        progress.note(program.seed, len(program.steps), library)
        env = variables["e"]
        variables.clear()
        env.close()
    return difference


# -- shrinking -----------------------------------------------------------------------------


def shrink(
    program: Program, found: Difference, folder: str, progress: Progress
) -> tuple[Program, Difference]:
    """Remove steps as long as a difference remains."""
    again = run(program, folder, progress)
    if again is None:
        return program, found._replace(ours="NOT AGAIN", theirs=found)
    found = again
    program = program._replace(steps=program.steps[: found.step + 1])
    size = len(program.steps) // 2
    while size:
        start = 0
        while start < len(program.steps):
            kept = program.steps[:start] + program.steps[start + size :]
            again = run(program._replace(steps=kept), folder, progress)
            if again is None:
                start += size
            else:
                program, found = program._replace(steps=kept[: again.step + 1]), again
        size = size // 2
    return program, found


def text(program: Program, difference: Difference) -> str:
    """Format a program and its difference for a reader."""
    lines = [f"# seed {program.seed}", f"e = lmdb.open(path, **{program.options!r})"]
    lines += [step.text() for step in program.steps]
    lines += [f"#   pylmdb:  {difference.ours!r:.600}", f"#   py-lmdb: {difference.theirs!r:.600}"]
    return "\n".join(lines)


# -- many programs, in child processes ---------------------------------------------------------


def run_here(seeds: Iterable[int], folder: str, progress: Progress) -> Iterator[dict[str, Any]]:
    """Yield the differences that programs show: each as found, then shrunk."""
    for seed in seeds:
        signal.alarm(PATIENCE)
        program = make_program(random.Random(seed), seed)
        found = run(program, folder, progress)
        if found is not None:
            yield {"seed": seed, "difference": text(program, found)}
            yield {"seed": seed, "difference": text(*shrink(program, found, folder, progress))}


PATIENCE = 30  # seconds for one program and its shrinking; then the child is ended


class Report:
    """The results of a survey."""

    def __init__(self) -> None:
        self.programs = 0
        self.differences: dict[int, str] = {}
        self.rival_failures: list[str] = []  # crashes and hangs of py-lmdb


def survey(first: int, count: int) -> Report:
    """Run the programs of ``count`` seeds in child processes."""
    report, end = Report(), first + count
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    while first < end:
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            first = _survey_until_failure(report, first, end, folder)
    report.programs = count
    return report


def _survey_until_failure(report: Report, first: int, end: int, folder: str) -> int:
    """Start a child on the seeds; return the seed to continue with."""
    arguments = [sys.executable, __file__, str(first), str(end - first), folder]
    child = subprocess.run(arguments, capture_output=True, check=False)
    for line in child.stdout.splitlines():
        found = json.loads(line)
        report.differences[found["seed"]] = found["difference"]
    if not child.returncode:
        return end
    progress = Path(folder, "progress")
    seed, step, library = progress.read_text().split()[:3] if progress.exists() else (first, 0, "?")
    failure = f"seed {seed}, step {step}, {library}: status {child.returncode}"
    if library == "py-lmdb" and child.returncode < 0 and survives(int(seed), folder):
        report.rival_failures.append(failure)
    else:
        report.differences[int(seed)] = f"{failure}\n{child.stderr.decode()[-2000:]}"
    return int(seed) + 1


def survives(seed: int, folder: str) -> bool:
    """Return True if pylmdb alone runs a program on which py-lmdb has crashed."""
    arguments = [sys.executable, __file__, str(seed), "1", folder, "alone"]
    return subprocess.run(arguments, check=False).returncode == 0


def main() -> None:
    first, count, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if len(sys.argv) > 4:
        del LIBRARIES["py-lmdb"]
    for found in run_here(range(first, first + count), folder, Progress(f"{folder}/progress")):
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
