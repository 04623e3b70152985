# SPDX-License-Identifier: MIT
"""Compare liblmdb's own cursors with a model: moves, deletes and puts in a database with
duplicates, through ``pylmdb.lowlevel``, without pylmdb's own cursors.
"""

from __future__ import annotations

from bisect import bisect_left
from random import Random
from typing import Any

import pylmdb
from pylmdb import lowlevel

KEYS = [b"%c" % letter for letter in b"abcdefgh"]
MOVES = ["FIRST", "LAST", "NEXT", "PREV", "NEXT_DUP", "PREV_DUP", "NEXT_NODUP", "PREV_NODUP",
         "FIRST_DUP", "LAST_DUP"]  # fmt: skip
NOT_FOUND = -30798

Record = tuple[bytes, bytes]


class WalkError(AssertionError):
    pass


class Model:
    """All records in order, and where the cursor is among them: on one, or in front of one after
    a delete.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.at: int | None = None
        self.deleted = False

    def has(self, at: int) -> bool:
        return 0 <= at < len(self.records)

    def group(self, at: int) -> tuple[int, int]:
        """Return the index of the first record of the key, and of the first behind it."""
        key = self.records[at][0]
        return bisect_left(self.records, (key, b"")), bisect_left(self.records, (key + b"\0", b""))

    def target(self, move: str) -> int | None:
        """Return where a move leads from a valid position."""
        if move in ("FIRST", "LAST"):
            at = 0 if move == "FIRST" else len(self.records) - 1
        else:
            assert self.at is not None
            first, behind = self.group(self.at)
            at = {
                "NEXT": self.at + 1,
                "PREV": self.at - 1,
                "NEXT_DUP": self.at + 1 if self.at + 1 < behind else -1,
                "PREV_DUP": self.at - 1 if self.at > first else -1,
                "NEXT_NODUP": behind,
                "PREV_NODUP": first - 1,
                "FIRST_DUP": first,
                "LAST_DUP": behind - 1,
            }[move]
        return at if self.has(at) else None


class Walk:
    def __init__(self, env: pylmdb.Environment, kind: dict[str, bool], rng: Random) -> None:
        self.rng, self.model, self.trace = rng, Model(), []
        self.engine = lowlevel.engine(env)
        self.ffi, self.lib = self.engine.ffi, self.engine.lib
        self.key, self.data = self.ffi.new("MDB_val *"), self.ffi.new("MDB_val *")
        self.fixed = kind.get("dupfixed", False)
        self.env, self.db = env, env.open_db(b"db", **kind)

    def value(self) -> bytes:
        number = self.rng.randrange(self.rng.choice([2, 4, 400]))
        return b"%08d" % number if self.fixed else b"%d" % number + b"." * (number % 3)

    def note(self, *what: Any) -> None:
        self.trace.append(what)

    def check(self, code: int, allowed: tuple[int, ...] = (0,)) -> int:
        if code not in allowed:
            raise WalkError(f"code {code}\n{self.trace[-25:]}")
        return code

    def shown(self) -> Record:
        def whole(value: Any) -> bytes:
            return self.ffi.buffer(value.mv_data, value.mv_size)[:]

        return whole(self.key), whole(self.data)

    def expect(self, record: Record, what: str) -> None:
        if self.shown() != record:
            raise WalkError(f"{what} shows {self.shown()}, not {record}\n{self.trace[-25:]}")

    def set(self, target: Any, content: bytes) -> Any:
        kept = self.ffi.from_buffer(content)
        target.mv_data, target.mv_size = kept, len(content)
        return kept

    # ---- steps ----

    def get(self, operation: str) -> int:
        number = getattr(self.lib, f"MDB_{operation}")
        return self.lib.mdb_cursor_get(self.cursor, self.key, self.data, number)

    def move(self, move: str) -> None:
        target = self.model.target(move)
        self.note(move)
        code = self.check(self.get(move), (0, NOT_FOUND))
        if (code == 0) != (target is not None):
            raise WalkError(f"{move} says {code}\n{self.trace[-25:]}")
        if target is None:
            self.model.at = None  # liblmdb stays, or is behind the end: sought again
            return
        self.model.at = target
        if move in ("FIRST_DUP", "LAST_DUP"):  # these say nothing about the key
            self.get("GET_CURRENT")
        self.expect(self.model.records[target], move)

    def seek(self) -> None:
        if not self.model.records:
            self.model.at = None
            return
        at = self.rng.randrange(len(self.model.records))
        record = self.model.records[at]
        first, _ = self.model.group(at)
        operation = self.rng.choice(["SET_KEY", "SET_RANGE", "GET_BOTH", "GET_BOTH_RANGE"])
        self.note(operation, record)
        kept = self.set(self.key, record[0]), self.set(self.data, record[1])
        self.check(self.get(operation))
        del kept
        self.model.at = at if "BOTH" in operation else first
        if "BOTH" not in operation:
            self.expect(self.model.records[first], operation)

    def delete(self) -> None:
        """Delete the record at the cursor, read the cursor then, or move on from there."""
        model = self.model
        at = model.at
        first, behind = model.group(at)
        whole = self.rng.random() < 0.15
        self.note("delete", model.records[at], whole)
        self.check(self.lib.mdb_cursor_del(self.cursor, self.lib.MDB_NODUPDATA if whole else 0))
        last_of_key = at + 1 == behind
        if whole:
            del model.records[first:behind]
            model.at = first
        else:
            del model.records[at]
        successor = model.at
        # What follows another key's last value is shown by NEXT alone.
        then = self.rng.choice(["NEXT", "GET_CURRENT", "PREV", "seek"])
        if then == "GET_CURRENT" and (whole or last_of_key):
            then = "NEXT"
        self.note(then)
        if then == "seek":
            model.at = None
            return
        target = successor - 1 if then == "PREV" else successor
        code = self.check(self.get(then), (0, NOT_FOUND))
        if (code == 0) != model.has(target):
            raise WalkError(f"{then} after delete says {code}\n{self.trace[-25:]}")
        model.at = target if code == 0 else None
        if code == 0:
            self.expect(model.records[target], f"{then} after delete")

    def put(self) -> None:
        record = self.rng.choice(KEYS), self.value()
        self.note("put", record)
        kept = self.set(self.key, record[0]), self.set(self.data, record[1])
        code = self.lib.mdb_put(self.txn, self.dbi, self.key, self.data, self.lib.MDB_NODUPDATA)
        at = bisect_left(self.model.records, record)
        known = at < len(self.model.records) and self.model.records[at] == record
        self.check(code, (self.lib.MDB_KEYEXIST,) if known else (0,))
        del kept
        if not known:
            self.model.records.insert(at, record)
        self.model.at = None  # what other cursors show after this is not promised

    def count(self) -> None:
        first, behind = self.model.group(self.model.at)
        number = self.ffi.new("size_t *")
        self.check(self.lib.mdb_cursor_count(self.cursor, number))
        if number[0] != behind - first:
            raise WalkError(f"count {number[0]}, not {behind - first}\n{self.trace[-25:]}")

    def step(self) -> None:
        kind = self.rng.random()
        if kind < 0.25 or len(self.model.records) < 3:
            self.put()
        elif self.model.at is None:
            self.rng.choice([self.seek, lambda: self.move("FIRST"), lambda: self.move("LAST")])()
        elif kind < 0.8:
            self.move(self.rng.choice(MOVES))
        elif kind < 0.95:
            self.delete()
        else:
            self.count()

    def run(self, steps: int) -> None:
        with self.env.begin(write=True) as txn:
            self.txn, self.dbi = lowlevel.handle(txn), lowlevel.database_number(self.db, txn)
            cursor = self.ffi.new("MDB_cursor **")
            self.check(self.lib.mdb_cursor_open(self.txn, self.dbi, cursor))
            self.cursor = cursor[0]
            for _ in range(steps):
                self.step()
            self.lib.mdb_cursor_close(self.cursor)
            assert list(txn.cursor(self.db)) == self.model.records
