# SPDX-License-Identifier: MIT
"""Random programs, run on pylmdb and on py-lmdb side by side.

A program is a list of steps, each one call with its arguments as source text, so
that a failing one can be printed and pasted.  Every step runs on both libraries,
each with an environment of its own, and the outcomes must agree: values, or the
class of the exception (ours may be a subclass of theirs).

py-lmdb can crash on hostile programs.  So programs run in a child process (this
file as a script), which notes in a small file what it is about to do.

    python tests/differential.py FIRST_SEED COUNT    runs programs and prints differences
"""

from __future__ import annotations

import array
import itertools
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
import numpy
from differential_programs import About, Program, Step, make_program

import pylmdb

LIBRARIES = {"pylmdb": pylmdb, "py-lmdb": lmdb}


class Difference(NamedTuple):
    """Where and how a program went apart."""

    step: int
    ours: Any
    theirs: Any


# -- functions that programs call beside methods -------------------------------------


def take(iterator: Any, count: int) -> list[Any]:
    """The next ``count`` items, or as many as there are."""
    return list(itertools.islice(iterator, count))


def leave(transaction: Any, failing: bool) -> Any:
    """What the end of a ``with`` block does."""
    if failing:
        error = RuntimeError("in the block")
        return transaction.__exit__(RuntimeError, error, None)
    return transaction.__exit__(None, None, None)


def dump(env: Any) -> dict[Any, Any]:
    """All records of all databases."""
    with env.begin() as txn:
        names = env.dbs(txn)
        handles = {name: env.open_db(name, txn=txn, create=False) for name in names}
        contents: dict[Any, Any] = {}
        for name, handle in handles.items():
            contents[name] = (handle.flags(txn), list(txn.cursor(handle)))
        contents[None] = [key for key in txn.cursor().iternext(True, False)]
    return contents


def reopen(env: Any, options: dict[str, Any]) -> Any:
    """Close and open again, as another run of a program would."""
    path = env.path()
    env.close()
    return LIBRARIES["pylmdb" if isinstance(env, pylmdb.Environment) else "py-lmdb"].open(
        path, **options
    )


TOOLS = {"take": take, "leave": leave, "dump": dump, "reopen": reopen, "array": array.array,
         "numpy": numpy}  # fmt: skip


# -- running one program ----------------------------------------------------------------


# What depends on where the files lie, or on how many transactions the binding
# itself has used: not compared.
UNCOMPARED = {"map_addr", "num_readers", "last_pgno", "pinned"}


def plain(value: Any) -> Any:
    """A result in a form in which both libraries' results can be compared."""
    if isinstance(value, memoryview):
        return ("memoryview", bytes(value))
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key not in UNCOMPARED}
    if isinstance(value, (tuple, list)):
        return type(value)(plain(each) for each in value)
    if value is None or isinstance(value, (bool, int, bytes, str)):
        return value
    return "an object"


CLOSED = "closed/deleted/dropped"


class Raised:
    """An exception's class."""

    def __init__(self, exception: BaseException) -> None:
        self.names = [each.__name__ for each in type(exception).__mro__]
        self.text = f"{type(exception).__name__}: {exception}"

    def __repr__(self) -> str:
        return f"<{self.text}>"


def agree(ours: Any, theirs: Any) -> bool:
    """Whether a program written for py-lmdb would notice nothing."""
    if isinstance(ours, Raised) and isinstance(theirs, Raised):
        # An ended object given unusable arguments: either complaint will do.
        ended = CLOSED in ours.text or CLOSED in theirs.text
        return ended or theirs.names[0] in ours.names
    if isinstance(ours, Raised) or isinstance(theirs, Raised):
        return False
    return type(ours) is type(theirs) and bool(ours == theirs)


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


class Intended:
    """Leaves out the steps in which pylmdb differs on purpose (see ``allows``)."""

    def __init__(self, about: dict[str, About], names: dict[str, Any]) -> None:
        self.about, self.names = about, names
        self.writes = self.deletes = 0
        self.fresh: dict[str, int] = {}  # iterator -> deletes when last used
        self.placed: dict[str, int] = {}  # cursor -> writes when last placed
        self.unset: dict[str, int] = {}  # cursor without position -> writes when it missed
        self.written: set[str] = set()  # cursors placed by nothing but a write
        self.replaced: set[str] = set()  # the same, by replace() of a missing key

    def open_transactions(self, write: bool = False) -> bool:
        found = (self.names.get(name) for name, what in self.about.items() if what.sort == "txn")
        return any(txn and not txn.closed and (txn.write or not write) for txn in found)

    def has_open_child(self, txn: str) -> bool:
        return any(
            what.sort == "txn" and what.owner == txn and name in self.names
            and not self.names[name].closed
            for name, what in self.about.items()
        )  # fmt: skip

    def allows(self, step: Step) -> bool:
        method, target = step.method, step.target
        what = self.about.get(target)
        # Without txn=, and while this thread writes, ours uses the write transaction.
        if method == "open_db" and "txn=" not in step.args and self.open_transactions(write=True):
            return False
        # The map grows without ending transactions.
        if method == "set_mapsize" and self.open_transactions():
            return False
        if what is None or what.sort not in ("cursor", "iterator"):
            return method in self.ENDING or not self.has_open_child(target)
        cursor = target if what.sort == "cursor" else what.owner
        # No part of a parent can be used while a child is open.
        if self.has_open_child(self.about[cursor].owner):
            return False
        if what.sort == "iterator":
            # Deleting under an iterator makes theirs skip records.
            return self.fresh.get(target, self.deletes) == self.deletes
        return self.allows_cursor(method, target, what)

    def allows_cursor(self, method: str, target: str, what: About) -> bool:
        reading = method in ("key", "value", "item")
        starting = method == "delete" or "iter" in method
        # Theirs does not take a cursor as positioned by its first write alone, until read;
        # and replace() of a missing key leaves it nowhere.
        if (target in self.written and starting) or (target in self.replaced and reading):
            return False
        # Theirs reads the native cursor again after any write, though it has missed.
        if target in self.unset and (reading or starting):
            return self.unset[target] == self.writes
        # liblmdb may delete another duplicate after relative movements.
        if "dup" in what.kind and method == "delete":
            return self.placed.get(target) == self.writes
        return True

    ENDING = frozenset(["commit", "abort", "leave", "del", "begin", "get", "put", "delete", "pop"])
    PLACING = frozenset(["first", "last", "set_key", "set_range", "set_key_dup", "set_range_dup"])
    DELETING = frozenset(["delete", "pop", "replace", "drop"])
    PUTTING = frozenset(["put", "putmulti", "replace"])
    WRITING = DELETING | {"put", "putmulti", "abort", "commit", "leave", "del"}

    def note(self, step: Step, result: Any) -> None:
        method, target = step.method, step.target
        what = self.about.get(target)
        self.writes += method in self.WRITING
        self.deletes += method in self.DELETING
        if what and what.sort == "cursor":
            self.note_cursor(method, target, result)
        if what and what.sort == "iterator":
            self.placed.pop(what.owner, None)
            self.unset[what.owner] = self.writes
        if step.result in self.about:
            self.fresh[step.result] = self.deletes
            if self.about[step.result].sort == "cursor":
                self.unset[step.result] = self.writes

    def note_cursor(self, method: str, target: str, result: Any) -> None:
        if method in ("key", "value", "item", "count"):
            self.written.discard(target)
            return
        self.placed.pop(target, None)
        if method in self.PUTTING:
            if target in self.unset or (method == "replace" and result is None):
                self.written.add(target)
            if method == "replace" and result is None:
                self.replaced.add(target)
            self.unset.pop(target, None)
            return
        self.written.discard(target)
        self.replaced.discard(target)
        if method in self.PLACING and result is True:
            self.placed[target] = self.writes
        if result is True or (method == "get" and isinstance(result, bytes)):
            self.unset.pop(target, None)
        else:
            self.unset[target] = self.writes


class Progress:
    """Tells the parent process what is about to run, should that be the last."""

    def __init__(self, path: str | None) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600) if path else -1

    def note(self, seed: int, step: int, library: str) -> None:
        if self.fd >= 0:
            os.pwrite(self.fd, f"{seed} {step} {library:8}\n".encode(), 0)


def run(program: Program, folder: str, progress: Progress) -> Difference | None:
    """Run a program on both libraries; the first difference, or None."""
    names: dict[str, dict[str, Any]] = {}
    for library, module in LIBRARIES.items():
        path = f"{folder}/{library}"
        for old in (path, f"{path}-lock"):
            Path(old).unlink(missing_ok=True)
        progress.note(program.seed, -1, library)
        names[library] = {**TOOLS, "e": module.open(path, **program.options)}
    ours, theirs = names.values()
    intended = Intended(program.about, ours)
    difference = None
    for number, step in enumerate(program.steps):
        if not intended.allows(step):
            continue
        code = compile(step.call(), "<program>", "eval") if step.method != "del" else None
        progress.note(program.seed, number, "pylmdb")
        mine = outcome(step, code, ours)
        progress.note(program.seed, number, "py-lmdb")
        other = outcome(step, code, theirs)
        intended.note(step, mine)
        if not agree(mine, other):
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
    """Drop steps for as long as some difference remains."""
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
    """A program and its difference, for a person to read."""
    lines = [f"# seed {program.seed}", f"e = lmdb.open(path, **{program.options!r})"]
    lines += [step.text() for step in program.steps]
    lines += [f"#   pylmdb:  {difference.ours!r:.600}", f"#   py-lmdb: {difference.theirs!r:.600}"]
    return "\n".join(lines)


def run_seeds(seeds: Iterator[int], folder: str, progress: Progress) -> Iterator[dict[str, Any]]:
    """Differences as they are found, then how much was run."""
    programs = steps = 0
    for seed in seeds:
        program = make_program(random.Random(seed), seed)
        found = run(program, folder, progress)
        if found is not None:
            yield {"seed": seed, "difference": text(*shrink(program, found, folder, progress))}
        programs += 1
        steps += len(program.steps)
    yield {"programs": programs, "steps": steps}


def main() -> None:
    first, count = int(sys.argv[1]), int(sys.argv[2])
    progress = Progress(sys.argv[3] if len(sys.argv) > 3 else None)
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        for report in run_seeds(iter(range(first, first + count)), folder, progress):
            if progress.fd >= 0:
                print(json.dumps(report), flush=True)
            else:
                print(report.pop("difference", report), flush=True)


if __name__ == "__main__":
    main()
