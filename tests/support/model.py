# SPDX-License-Identifier: MIT
"""The model that ``test_model.py`` compares with: databases as sorted lists of records."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

Record = tuple[bytes, bytes]


class Kind(NamedTuple):
    """A kind of database: its flags, its order, and the records that it takes."""

    flags: dict[str, bool]
    key_order: Callable[[bytes], Any]
    value_order: Callable[[bytes], Any]
    keys: st.SearchStrategy[bytes]
    values: st.SearchStrategy[bytes]

    @property
    def dupsort(self) -> bool:
        return self.flags.get("dupsort", False)

    def order(self, record: Record) -> Any:
        return self.key_order(record[0]), self.value_order(record[1]) if self.dupsort else 0


def same(data: bytes) -> bytes:
    return data


def mirrored(data: bytes) -> bytes:
    return data[::-1]


def native(data: bytes) -> int:
    return int(struct.unpack("@Q", data)[0])


WORDS = st.one_of(
    st.sampled_from([b"a", b"aa", b"ab", b"b", b"b\0", b"\0", b"\xff", b"\xff\xff"]),
    st.integers(0, 60).map(lambda n: b"k%02d" % n),
    st.binary(min_size=1, max_size=6),
)
INTEGERS = st.one_of(st.integers(0, 40), st.integers(0, 2**64 - 1))
NUMBERS = INTEGERS.map(lambda n: struct.pack("@Q", n))
# LMDB refuses empty values among duplicates.
SHORT = st.one_of(st.sampled_from([b"1", b"2", b"22"]), st.binary(min_size=1, max_size=5), WORDS)
LONG = st.one_of(
    SHORT,
    st.just(b""),
    st.builds(lambda word, n: (word * n)[:9000], WORDS, st.integers(1, 5000)),
)
PADDED = st.builds(lambda word, n: word + b"." * n, WORDS, st.integers(0, 300))
TRIPLES = st.integers(0, 999).map(lambda n: b"%03d" % n)

KINDS = {
    b"plain": Kind({}, same, same, WORDS, LONG),
    b"dup": Kind({"dupsort": True}, same, same, WORDS, PADDED),
    b"dupfixed": Kind({"dupsort": True, "dupfixed": True}, same, same, WORDS, TRIPLES),
    b"integerdup": Kind({"dupsort": True, "dupfixed": True, "integerdup": True}, same, native,
                        WORDS, NUMBERS),
    b"integerkey": Kind({"integerkey": True}, native, same, NUMBERS, LONG),
    b"integerkey_dup": Kind({"integerkey": True, "dupsort": True}, native, same, NUMBERS, SHORT),
    b"reverse": Kind({"reverse_key": True}, mirrored, same, WORDS, LONG),
    b"reverse_dup": Kind({"reverse_key": True, "dupsort": True}, mirrored, same, WORDS, SHORT),
}  # fmt: skip


class Table:
    """The records of one database."""

    def __init__(self, kind: Kind, records: list[Record] | None = None) -> None:
        self.kind, self.records = kind, records or []

    def copy(self) -> Table:
        return Table(self.kind, list(self.records))

    def place(self, record: Record) -> int:
        """Return the index of the first record that is not smaller."""
        return bisect.bisect_left(self.records, self.kind.order(record), key=self.kind.order)

    def of_key(self, key: bytes) -> list[Record]:
        return [record for record in self.records if record[0] == key]

    def first_of(self, key: bytes) -> Record | None:
        return next(iter(self.of_key(key)), None)

    def from_key(self, key: bytes) -> Record | None:
        """Return the first record with a key that is not smaller."""
        order = self.kind.key_order
        return next((each for each in self.records if order(each[0]) >= order(key)), None)

    def put(self, key: bytes, value: bytes, dupdata: bool = True, overwrite: bool = True) -> bool:
        old = self.of_key(key)
        if old and not overwrite:
            return False
        if (key, value) in old and self.kind.dupsort:
            return dupdata
        if old and not self.kind.dupsort:
            self.records.remove(old[0])
        self.records.insert(self.place((key, value)), (key, value))
        return True

    def remove(self, gone: list[Record]) -> bool:
        for record in gone:
            self.records.remove(record)
        return bool(gone)

    def after(self, record: Record) -> Record | None:
        """Return the smallest record that is greater; ``record`` need not exist."""
        order = self.kind.order
        return next((each for each in self.records if order(each) > order(record)), None)

    def after_or_at(self, record: Record) -> Record | None:
        return next(iter(self.records[self.place(record) :]), None)

    def before(self, record: Record) -> Record | None:
        order = self.kind.order
        return next((each for each in self.records[::-1] if order(each) < order(record)), None)


class Place:
    """A cursor and its position: a record, None, or UNKNOWN until it is read."""

    def __init__(self, cursor: Any, name: bytes) -> None:
        self.cursor, self.name = cursor, name
        self.at: Any = None


UNKNOWN = "unknown"


class Level:
    """A write transaction, its tables, and its cursors by number."""

    def __init__(self, txn: Any, tables: dict[bytes, Table], handles: dict[bytes, Any]) -> None:
        self.txn, self.tables, self.handles = txn, tables, handles
        self.places: dict[int, Place] = {}


class Snapshot(NamedTuple):
    """A read transaction and what it must show."""

    txn: Any
    tables: dict[bytes, Table]
    handles: list[Any]
