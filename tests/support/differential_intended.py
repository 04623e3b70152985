# SPDX-License-Identifier: MIT
"""Say which results ``differential.py`` accepts as equal, and where pylmdb differs on purpose."""

from __future__ import annotations

import re
import weakref
from typing import Any

from differential_programs import About, Step

import pylmdb

CLOSED = "closed/deleted/dropped"
TWO_FAULTS = (
    {"ReadonlyError", "BadValsizeError"}, {"ReadonlyError", "InvalidParameterError"},
    {"BadTxnError", "TypeError"}, {"InvalidParameterError", "TypeError"},
)  # fmt: skip


class Raised:
    """Copy an exception without its references."""

    def __init__(self, exception: BaseException) -> None:
        self.names = [each.__name__ for each in type(exception).__mro__]
        self.text = f"{type(exception).__name__}: {exception}"

    def __repr__(self) -> str:
        return f"<{self.text}>"


def agree(ours: Any, theirs: Any) -> bool:
    """Return True if a program written for py-lmdb would not notice the difference."""
    if isinstance(ours, Raised) and isinstance(theirs, Raised):
        # Two faults, as an ended object given unusable arguments: either complaint will do.
        ended = CLOSED in ours.text or CLOSED in theirs.text
        faults = {ours.names[0], theirs.names[0]}
        two = faults in TWO_FAULTS
        return ended or two or theirs.names[0] in ours.names
    if isinstance(ours, Raised) or isinstance(theirs, Raised):
        return False
    return type(ours) is type(theirs) and bool(ours == theirs)


class Intended:
    """Leave out steps in which pylmdb differs on purpose (see ``allows``)."""

    def __init__(self, about: dict[str, About], names: dict[str, Any]) -> None:
        self.about, self.names = about, names
        self.writes = self.deletes = 0
        self.transactions: list[tuple[weakref.ref[Any], str]] = []  # with the parent's name
        self.default: dict[str, list[str]] = {}  # transaction -> its database
        self.fresh: dict[str, int] = {}  # iterator -> deletes when last used
        self.placed: dict[str, int] = {}  # cursor -> writes when last placed
        self.moved: dict[str, int] = {}  # cursor -> writes when it last moved or wrote
        self.unset: dict[str, int] = {}  # cursor without position -> writes when it missed
        self.written: set[str] = set()  # cursors placed by nothing but a write
        self.lost: set[str] = set()  # cursors that cannot be compared until placed anew
        self.inner: set[str] = set()  # databases that a nested transaction has opened
        self.listed = False  # a transaction has listed the databases
        self.failed = False  # a transaction of theirs has failed, and ours has not

    def open_transactions(self) -> list[Any]:
        found = [reference() for reference, _ in self.transactions]
        return [txn for txn in found if txn is not None and not txn.closed]

    def used(self, step: Step, sort: str) -> list[str]:
        """Return the variables of one kind among a step's arguments."""
        found = re.findall(rf"\b{sort}\d+", step.args)
        return [name for name in found if name in self.names]

    def has_open_child(self, txn: str) -> bool:
        for reference, parent in self.transactions:
            child = reference()
            if parent == txn and child is not None and not child.closed:
                return True
        return False

    def allows(self, step: Step) -> bool:
        if self.failed:
            return False
        method, target = step.method, step.target
        what = self.about.get(target)
        # Theirs crashes on an ended transaction, and works in another database by a dead handle.
        if method == "open_db" and any(self.names[txn].closed for txn in self.used(step, "txn")):
            return False
        databases = self.used(step, "db") + self.default.get(target, [])
        if any(self.names[db].closed for db in databases):
            return False
        # A drop that is refused in a reader ends the cursors of theirs, and one in a child that is
        # aborted damages the parent.
        if method == "drop" and (not self.about[target].write or self.about[target].owner):
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
        # Theirs may lose a cursor among duplicates when others write.
        left = "dup" in what.kind and self.moved.get(target, self.writes) != self.writes
        if left and (reading or starting or method in self.RELATIVE):
            return False
        # Theirs does not take a cursor as positioned by its first write alone, until read.
        if target in self.written and starting:
            return False
        # Theirs reads the native cursor again after any write, though it has missed.
        if target in self.unset and (reading or starting):
            return self.unset[target] == self.writes
        # liblmdb may delete another duplicate after relative movements and count() those of
        # before a change; theirs iterates over the duplicates of a record that is gone.
        deleting = "dup" in what.kind and method in ("delete", "count")
        if deleting or method in ("iternext_dup", "iterprev_dup"):
            return self.placed.get(target) == self.writes
        return True

    def excuses(self, step: Step, mine: Any, other: Any) -> bool:
        """Differences that show only in the outcome."""
        what = self.about.get(step.target if step.target != "e" else step.result)
        if step.method == "count" and isinstance(mine, int) and isinstance(other, int):
            return True  # theirs may be the number from before a change; the model checks ours
        if isinstance(other, list) and (b"", b"") in other:
            return True  # theirs goes on over a record that is gone
        if isinstance(other, Raised) and other.names[0] == "InvalidParameterError":
            # Theirs does not see in a reader what another transaction has opened since, and in a
            # parent what a child had opened that was aborted.  When a reader of theirs that has
            # listed the databases ends, it closes handles that others have got meanwhile.
            used = self.used(step, "db") + self.default.get(step.target, [])
            hidden = (what is not None and not what.write) or not self.inner.isdisjoint(used)
            return hidden or self.listed or "open child" in repr(mine)
        if isinstance(other, Raised) and other.names[0] == "ReadersFullError":
            return True  # it keeps the slots of ended transactions
        if isinstance(other, Raised) and other.names[0] == "NotFoundError":
            return step.method == "delete" and mine is False  # nothing is left under the cursor
        if step.method == "getmulti" and mine == [] and isinstance(other, Raised):
            return CLOSED in other.text  # theirs ends the cursors when a drop fails, too
        if step.method in self.RELATIVE and mine is False and step.target in self.unset:
            return other is True  # theirs goes on from where a deleted record was
        if not isinstance(mine, Raised):
            return False
        if mine.names[0] == "BadTxnError" and other == (0, 0):
            return True  # putmulti of nothing in a failed transaction
        if "does not have the database" in mine.text:
            return what is not None and not what.write  # created after the snapshot
        # Theirs leaves a ``with`` block whose writes are lost, knows its version after close(),
        # enters the block of an ended cursor, and lets a parent have several read-only children.
        # pylmdb keeps the slot of a dropped database while a transaction can know it.
        excuse = {"leave": "writes are lost", "lib_version": CLOSED, "__enter__": CLOSED,
                  "begin": "open child", "open_db": "MDB_DBS_FULL"}  # fmt: skip
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
        # Deleting the name of a database as a record ends their transaction.
        if method in self.DELETING and isinstance(result, Raised):
            self.failed |= "is the name of a named database" in result.text
        what = self.about.get(target)
        self.writes += method in self.WRITING
        self.deletes += method in self.DELETING
        if what and what.sort == "cursor":
            self.note_cursor(method, target, result)
        if what and what.sort == "iterator" and not isinstance(result, Raised):
            self.moved[what.owner] = self.writes
            self.placed.pop(what.owner, None)
            self.unset.pop(what.owner, None)
            self.lost.discard(what.owner)
            if len(result) < int(step.args):
                self.unset[what.owner] = self.writes
        if method == "open_db" and any(self.about[txn].owner for txn in self.used(step, "txn")):
            self.inner.add(step.result)
        self.listed |= method == "dbs" and bool(step.args)
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
        self.moved[target] = self.writes
        self.placed.pop(target, None)
        missed = result is False or result is None or isinstance(result, Raised)
        # After these liblmdb's cursor, and so theirs, is somewhere, or shows no key.
        if (
            isinstance(result, Raised) or method in self.LOSING
            or (missed and (method in self.SEEKING or method == "replace"))
            or (method == "get" and result == b"none")
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
        if missed or method == "delete":
            self.unset[target] = self.writes
        else:
            self.unset.pop(target, None)
            if method in self.PLACING:
                self.placed[target] = self.writes
            if method in ("set_key_dup", "set_range_dup"):
                self.lost.add(target)  # theirs may show a key from freed memory
