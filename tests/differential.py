# SPDX-License-Identifier: MIT
"""Random programs, run on pylmdb and on py-lmdb side by side.

A program is a list of steps, each one call with its arguments as source text, so
that a failing one can be printed and pasted.  Every step runs on both libraries,
each with an environment of its own, and the outcomes must agree: values, or the
class of the exception (ours may be a subclass of theirs).

py-lmdb can crash on hostile programs.  So programs run in a child process (this
file as a script), which notes in a small file what it is about to do.

    python tests/differential.py FIRST_SEED COUNT FOLDER [alone]
"""

from __future__ import annotations

import array
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterable, Iterator
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


def iter_from(cursor: Any, key: Any, reverse: bool, count: int) -> list[Any]:
    """The start of what the undocumented method gives."""
    return take(cursor._iter_from(key, reverse), count)


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
        contents[None] = list(txn.cursor().iternext(True, False))
    return contents


def reopen(env: Any, options: dict[str, Any]) -> Any:
    """Close and open again, as another run of a program would."""
    path = env.path()
    env.close()
    return LIBRARIES["pylmdb" if isinstance(env, pylmdb.Environment) else "py-lmdb"].open(
        path, **options
    )


TOOLS = {"take": take, "iter_from": iter_from, "leave": leave, "dump": dump, "reopen": reopen,
         "array": array.array, "numpy": numpy}  # fmt: skip


# -- running one program ----------------------------------------------------------------


# What depends on where the files lie, or on how many transactions the binding
# itself has used: not compared.  Nor are numbers of pages, which depend on whether a
# binding deletes before it puts or after.
UNCOMPARED = {"map_addr", "num_readers", "last_pgno", "pinned", "depth", "branch_pages",
              "leaf_pages", "overflow_pages"}  # fmt: skip


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
        # Two faults, as an ended object given unusable arguments: either complaint will do.
        ended = CLOSED in ours.text or CLOSED in theirs.text
        faults = {ours.names[0], theirs.names[0]}
        two = faults in ({"ReadonlyError", "BadValsizeError"}, {"BadTxnError", "TypeError"})
        return ended or two or theirs.names[0] in ours.names
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
        self.transactions: list[tuple[weakref.ref[Any], str]] = []  # with the parent's name
        self.default: dict[str, list[str]] = {}  # transaction -> its database
        self.fresh: dict[str, int] = {}  # iterator -> deletes when last used
        self.placed: dict[str, int] = {}  # cursor -> writes when last placed
        self.unset: dict[str, int] = {}  # cursor without position -> writes when it missed
        self.written: set[str] = set()  # cursors placed by nothing but a write
        self.lost: set[str] = set()  # cursors that cannot be compared until placed anew

    def open_transactions(self) -> list[Any]:
        found = [reference() for reference, _ in self.transactions]
        return [txn for txn in found if txn is not None and not txn.closed]

    def used(self, step: Step, sort: str) -> list[str]:
        """The variables of a sort among a step's arguments."""
        found = re.findall(rf"\b{sort}\d+", step.args)
        return [name for name in found if name in self.names]

    def has_open_child(self, txn: str) -> bool:
        for reference, parent in self.transactions:
            child = reference()
            if parent == txn and child is not None and not child.closed:
                return True
        return False

    def allows(self, step: Step) -> bool:
        method, target = step.method, step.target
        what = self.about.get(target)
        # Theirs crashes on an ended transaction, and works in another database by a dead handle.
        if method == "open_db" and any(self.names[txn].closed for txn in self.used(step, "txn")):
            return False
        databases = self.used(step, "db") + self.default.get(target, [])
        if any(self.names[db].closed for db in databases):
            return False
        # Cursors of theirs may let go of the transaction.
        if method == "del" and any(each.owner == target for each in self.about.values()):
            return False
        # Without txn=, and while this thread writes, ours uses the write transaction; and what
        # that has opened cannot be opened in another one.
        opening = method == "dump" or (method == "open_db" and "txn=" not in step.args)
        if opening and any(txn.write for txn in self.open_transactions()):
            return False
        # The map grows without ending transactions.
        if method == "set_mapsize" and self.open_transactions():
            return False
        if what is None or what.sort not in ("cursor", "iterator"):
            return method in self.ENDING or not self.has_open_child(target)
        cursor = target if what.sort == "cursor" else what.owner
        native = self.names.get(cursor)
        # Theirs may work on in whatever database has taken the place of a dropped one.
        if native is not None and native.db is not None and native.db.closed:
            return False
        # No part of a parent can be used while a child is open.
        if self.has_open_child(self.about[cursor].owner):
            return False
        if what.sort == "iterator":
            # Deleting under an iterator makes theirs skip records.
            stands = not any(cursor in each for each in (self.unset, self.written, self.lost))
            return stands and self.fresh.get(target) == self.deletes
        return self.allows_cursor(method, target, what)

    def allows_cursor(self, method: str, target: str, what: About) -> bool:
        reading = method in ("key", "value", "item", "count")
        starting = method == "delete" or method.startswith("iter")
        if target in self.lost and self.placed.get(target) != self.writes:
            return not (reading or starting or method in self.RELATIVE)
        if target in self.lost and reading:
            return False
        # Theirs does not take a cursor as positioned by its first write alone, until read.
        if target in self.written and starting:
            return False
        # Theirs reads the native cursor again after any write, though it has missed.
        if target in self.unset and (reading or starting):
            return self.unset[target] == self.writes
        # liblmdb may delete another duplicate after relative movements, and theirs iterates
        # over the duplicates of a record that is gone.
        deleting = "dup" in what.kind and method == "delete"
        if deleting or method in ("iternext_dup", "iterprev_dup"):
            return self.placed.get(target) == self.writes
        return True

    def excuses(self, step: Step, mine: Any, other: Any) -> bool:
        """Differences that show only in the outcome."""
        what = self.about.get(step.target if step.target != "e" else step.result)
        if isinstance(other, Raised) and other.names[0] == "InvalidParameterError":
            # Theirs does not see in a reader what another transaction has opened since.
            return (what is not None and not what.write) or "open child" in repr(mine)
        if isinstance(other, Raised) and other.names[0] == "ReadersFullError":
            return True  # it keeps the slots of ended transactions
        if isinstance(other, Raised) and other.names[0] == "NotFoundError":
            return step.method == "delete" and mine is False  # nothing is left under the cursor
        if isinstance(other, Raised) and other.names[0] == "BadDbiError":
            return mine is None  # a commit after a drop whose slot was taken again
        if not isinstance(mine, Raised):
            return False
        if mine.names[0] == "BadTxnError" and other == (0, 0):
            return True  # putmulti of nothing in a failed transaction
        # Theirs leaves a ``with`` block whose writes are lost, knows its version after close(),
        # enters the block of an ended cursor, and lets a parent have several read-only children.
        excuse = {"leave": "writes are lost", "lib_version": CLOSED, "__enter__": CLOSED,
                  "begin": "open child"}  # fmt: skip
        if "TypeError" in repr(other) and "does not have the database" in mine.text:
            return True  # two faults in one call: either complaint will do
        return step.method in excuse and excuse[step.method] in mine.text

    ENDING = frozenset(["commit", "abort", "leave", "del", "begin"])
    SEEKING = frozenset(["set_key", "set_range", "set_key_dup", "set_range_dup", "get"])
    RELATIVE = frozenset(["next", "prev", "first_dup", "last_dup", "next_dup", "prev_dup",
                          "next_nodup", "prev_nodup"])  # fmt: skip
    LOSING = frozenset(["first_dup", "last_dup", "pop", "getmulti", "iter_from"])
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
        if what and what.sort == "iterator" and not isinstance(result, Raised):
            self.placed.pop(what.owner, None)
            self.unset.pop(what.owner, None)
            self.lost.discard(what.owner)
            if len(result) < int(step.args):
                self.unset[what.owner] = self.writes
        new = self.names.get(step.result)
        if isinstance(new, pylmdb.Transaction):
            parent = self.about[step.result].owner
            self.default[step.result] = self.used(step, "db")
            self.transactions.append((weakref.ref(new), parent))
        # Theirs iterates over what is no more, and goes on in a transaction that has failed.
        failed = isinstance(result, Raised) and result.names[0] in ("MapFullError", "BadTxnError")
        if method == "drop" or failed:
            self.lost |= {name for name, each in self.about.items() if each.sort == "cursor"}
        if step.result in self.about:
            self.fresh[step.result] = self.deletes
            if self.about[step.result].sort == "iterator" and "_dup" not in method:
                self.unset.pop(target, None)
            if self.about[step.result].sort == "cursor":
                self.unset[step.result] = self.writes

    def note_cursor(self, method: str, target: str, result: Any) -> None:
        if method in ("count", "__enter__") or (method == "putmulti" and result == (0, 0)):
            return
        if method in ("key", "value", "item"):
            self.written.discard(target)
            return
        self.placed.pop(target, None)
        missed = result is False or result is None or isinstance(result, Raised)
        # After these liblmdb's cursor, and so theirs, is somewhere, or shows no key.
        if (
            isinstance(result, Raised) or method in self.LOSING
            or (missed and (method in self.SEEKING or method == "replace"))
            or (method == "get" and result == b"none")
            or (method == "delete" and "dup" in self.about[target].kind)
        ):  # fmt: skip
            self.lost.add(target)
            return
        if method in self.PUTTING:
            if target in self.unset:
                self.written.add(target)
            self.unset.pop(target, None)
            return
        self.written.discard(target)
        if method in self.SEEKING or method in ("first", "last"):
            self.lost.discard(target)
        if missed:
            self.unset[target] = self.writes
        else:
            self.unset.pop(target, None)
            if method in self.PLACING:
                self.placed[target] = self.writes
            if method in ("set_key_dup", "set_range_dup"):
                self.lost.add(target)  # theirs may show a key from freed memory


class Progress:
    """Tells the parent process what is about to run, should that be the last."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)

    def note(self, seed: int, step: int, library: str) -> None:
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


# -- many programs, in child processes ---------------------------------------------------------


def run_here(seeds: Iterable[int], folder: str, progress: Progress) -> Iterator[dict[str, Any]]:
    """The differences that programs show: each as found, then shrunk."""
    for seed in seeds:
        signal.alarm(PATIENCE)
        program = make_program(random.Random(seed), seed)
        found = run(program, folder, progress)
        if found is not None:
            yield {"seed": seed, "difference": text(program, found)}
            yield {"seed": seed, "difference": text(*shrink(program, found, folder, progress))}


PATIENCE = 30  # seconds for one program and its shrinking; then the child is ended


class Report:
    """What a survey has found."""

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
    """Start a child on the seeds; returns the seed to go on with."""
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
    """Whether pylmdb alone runs a program on which py-lmdb has crashed."""
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
