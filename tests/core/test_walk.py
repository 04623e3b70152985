# SPDX-License-Identifier: MIT
"""A long random walk through an environment, compared step by step with a sorted list.

``test_model.py`` looks for faults in short programs.  This one makes thousands of steps, so trees
are deep, pages are split and merged, and cursors live long.
Each run draws a fresh seed and prints it; PYLMDB_MODEL_SEED repeats one.  PYLMDB_MODEL=n takes n
times as many steps; 25 is a million for each engine and core.
"""

import os
import random
import struct
from bisect import bisect_left, bisect_right
from itertools import islice

import pytest
from open_options import at_random, deepest, of_a_new_file, of_an_open
from programs import RANDOM_FACTOR

STEPS = 40_000 * RANDOM_FACTOR


def same(data):
    return data


def mirrored(data):
    return data[::-1]


def native(data):
    return struct.unpack("@Q", data)[0]


def word(chance):
    return b"%d" % chance.randrange(3000)


def number(chance):
    return struct.pack("@Q", chance.choice([chance.randrange(600), chance.randrange(2**64)]))


def value(chance):
    return word(chance) * chance.choice([0, 1, 1, 5, 50, 1200])


def short(chance):
    return word(chance) + b"." * chance.choice([0, 1, 100])


def triple(chance):
    return b"%03d" % chance.randrange(1000)


# name: flags, order of keys, order of values, keys, values
KINDS = {
    b"plain": ({}, same, None, word, value),
    b"reverse": ({"reverse_key": True}, mirrored, None, word, value),
    b"numbers": ({"integerkey": True}, native, None, number, value),
    b"dups": ({"dupsort": True}, same, same, lambda c: b"%d" % c.randrange(60), short),
    b"fixed": ({"dupfixed": True}, same, same, lambda c: b"%d" % c.randrange(20), triple),
    b"integerdup": ({"integerdup": True}, same, native, lambda c: b"%d" % c.randrange(20), number),
    b"few": ({"dupsort": True}, same, same, word, lambda c: b"%d" % c.randrange(3)),
}


class Table:
    """The records of a database, in order."""

    def __init__(self, name, records=()):
        self.name = name
        _, self.key_order, self.value_order, self.new_key, self.new_value = KINDS[name]
        self.dups = self.value_order is not None
        self.records = list(records)

    def order(self, record):
        return (self.key_order(record[0]), self.value_order(record[1]) if self.dups else 0)

    def left(self, record):
        return bisect_left(self.records, self.order(record), key=self.order)

    def span(self, key):
        """Return the range of indexes of a key's records."""
        wanted = self.key_order(key)
        low = bisect_left(self.records, wanted, key=lambda each: self.key_order(each[0]))
        high = bisect_right(self.records, wanted, key=lambda each: self.key_order(each[0]))
        return low, high

    def at(self, index):
        return self.records[index] if 0 <= index < len(self.records) else None


class Place:
    """A cursor and the record that it is on; None for no record."""

    def __init__(self, cursor):
        self.cursor, self.record = cursor, None


class Level:
    """An open transaction, what it must show, and two cursors for each database."""

    def __init__(self, txn, tables, dbs):
        self.txn, self.tables = txn, tables
        self.places = {name: [Place(txn.cursor(dbs[name])) for _ in "12"] for name in KINDS}

    def look_again(self):
        """Read the cursors again: a child may have changed the values of their records."""
        for name, table in self.tables.items():
            for place in self.places[name]:
                place.record = place.record and table.at(table.left(place.record))


class Walk:
    def __init__(self, open_env, lib_version, chance):
        self.open_env, self.chance, self.levels = open_env, chance, []
        self.new_file = of_a_new_file(at_random(chance), lib_version)
        self.committed = {name: Table(name) for name in KINDS}
        self.open()

    def open(self):
        options = of_an_open(at_random(self.chance), self.new_file)
        self.env, self.deepest = self.open_env(**options), deepest(options)
        self.dbs = {name: self.env.open_db(name, **KINDS[name][0]) for name in KINDS}

    # -- transactions ----------------------------------------------------------------------

    def begin(self):
        tables = self.levels[-1].tables if self.levels else self.committed
        parent = self.levels[-1].txn if self.levels else None
        txn = self.env.begin(write=True, parent=parent)
        copied = {name: Table(name, table.records) for name, table in tables.items()}
        self.levels.append(Level(txn, copied, self.dbs))

    def end(self):
        done = self.levels.pop()
        if self.chance.random() < 0.7:
            done.txn.commit()
            if self.levels:
                self.levels[-1].tables = done.tables
            else:
                self.committed = done.tables
        else:
            done.txn.abort()
        if self.levels:
            self.levels[-1].look_again()
        if not self.levels and self.chance.random() < 0.05:
            self.env.close()
            self.open()
        if not self.levels and self.chance.random() < 0.1:
            self.compare()

    def compare(self):
        with self.env.begin() as txn:
            for name, table in self.committed.items():
                assert list(txn.cursor(self.dbs[name])) == table.records
                assert txn.stat(self.dbs[name]).entries == len(table.records)

    # -- steps -----------------------------------------------------------------------------

    def step(self):
        if not self.levels or (len(self.levels) < self.deepest and self.chance.random() < 0.002):
            self.begin()
        elif self.chance.random() < 0.004:
            return self.end()
        level = self.levels[-1]
        name = self.chance.choice(list(KINDS))
        table, place = level.tables[name], self.chance.choice(level.places[name])
        size = len(table.records)
        # Databases grow and shrink in turn.
        falling = (self.count // 8000) % 2
        writes = (self.put, self.put, self.put_at) if not falling else (self.put,)
        removals = (self.delete, self.delete_at, self.delete_at, self.delete_all)
        removals += (self.delete_range,)
        moves = (self.move, self.move, self.move, self.seek, self.seek, self.read)
        kinds = moves + writes + (removals if falling or size > 3000 else (self.delete,))
        return self.chance.choice(kinds)(level.txn, table, place)

    def key(self, table):
        if table.records and self.chance.random() < 0.5:
            return self.chance.choice(table.records)[0]
        return table.new_key(self.chance)

    def record(self, table):
        if table.records and self.chance.random() < 0.4:
            return self.chance.choice(table.records)
        return self.key(table), table.new_value(self.chance)

    def note_gone(self, table, gone):
        """Do not check cursors whose records were deleted in another way."""
        orders = {table.order(each) for each in gone}
        for level in self.levels:
            for place in level.places[table.name]:
                if place.record and table.order(place.record) in orders:
                    place.record = None

    def put(self, txn, table, place):
        key, new = self.record(table)
        if table.dups and not new:
            return
        overwrite = self.chance.random() < 0.8
        low, high = table.span(key)
        db = self.dbs[table.name]
        added = txn.put(key, new, overwrite=overwrite, db=db)
        if high > low and not overwrite:
            assert added is False
            return
        assert added is True
        self.stored(table, key, new, low, high)

    def stored(self, table, key, new, low, high):
        if table.dups:
            index = table.left((key, new))
            if table.at(index) != (key, new):
                table.records.insert(index, (key, new))
        elif high > low:
            table.records[low] = key, new
            for place in self.levels[-1].places[table.name]:
                if place.record and place.record[0] == key:
                    place.record = key, new
        else:
            table.records.insert(low, (key, new))

    def put_at(self, txn, table, place):
        key, new = self.record(table)
        if table.dups and not new:
            return
        low, high = table.span(key)
        there = table.dups and (key, new) in table.records[low:high]
        dupdata = self.chance.random() < 0.7
        assert place.cursor.put(key, new, dupdata=dupdata) is not (there and not dupdata)
        self.stored(table, key, new, low, high)
        place.record = key, new
        assert place.cursor.item() == place.record

    def delete(self, txn, table, place):
        key, old = self.record(table)
        low, high = table.span(key)
        db = self.dbs[table.name]
        if table.dups and self.chance.random() < 0.8 and old:
            gone = [each for each in table.records[low:high] if each[1] == old]
            assert txn.delete(key, old, db=db) is bool(gone)
        else:
            gone = table.records[low:high]
            assert txn.delete(key, db=db) is bool(gone)
        for each in gone:
            del table.records[table.left(each)]
        self.note_gone(table, gone)

    def delete_at(self, txn, table, place):
        if place.record is None:
            return
        index = table.left(place.record)
        assert table.records[index] == place.record
        assert place.cursor.delete() is True
        key = place.record[0]
        self.note_gone(table, [table.records.pop(index)])
        low, high = table.span(key)
        behind = low < index == high  # of the key's other values
        place.record = None if behind else table.at(index)
        assert place.cursor.item() == (place.record or (b"", b""))

    def delete_all(self, txn, table, place):
        if place.record is None or self.chance.random() < 0.7:
            return
        low, high = table.span(place.record[0])
        assert place.cursor.delete(dupdata=True) is True
        self.note_gone(table, table.records[low:high])
        del table.records[low:high]
        place.record = table.at(low)
        assert place.cursor.item() == (place.record or (b"", b""))

    def delete_range(self, txn, table, place):
        if self.chance.random() < 0.8:
            return
        db, start = self.dbs[table.name], self.key(table)
        low = table.span(start)[0]
        high = min(low + self.chance.choice([1, 30, 300]), len(table.records))
        stop = None if high == len(table.records) else table.records[high][0]
        high = len(table.records) if stop is None else table.span(stop)[0]
        gone = table.records[low:high]
        assert txn.count(start, stop, db=db) == len(gone)
        assert txn.delete_range(start, stop, db=db) == len(gone)
        del table.records[low:high]
        self.note_gone(table, gone)

    def move(self, txn, table, place):
        records, here = table.records, place.record
        how = self.chance.choice(
            [
                "first",
                "last",
                "next",
                "prev",
                "next",
                "prev",
                "next_nodup",
                "prev_nodup",
                "next_dup",
                "prev_dup",
                "first_dup",
                "last_dup",
            ]
        )
        if here is None and how not in ("first", "last"):
            return  # where it would go without a position does not matter
        index = -1 if here is None else table.left(here)
        low, high = (0, 0) if here is None else table.span(here[0])
        if how.endswith("dup") and "nodup" not in how and not table.dups:
            return
        to = {
            "first": 0, "last": len(records) - 1, "next": index + 1,
            "prev": index - 1, "next_nodup": high, "prev_nodup": low - 1,
            "next_dup": index + 1 if index + 1 < high else -1,
            "prev_dup": index - 1 if index > low else -1, "first_dup": low, "last_dup": high - 1,
        }[how]  # fmt: skip
        expected = table.at(to)
        assert getattr(place.cursor, how)() is (expected is not None), how
        place.record = expected
        if expected is not None:
            assert (how, place.cursor.item()) == (how, expected)
            if table.dups and self.chance.random() < 0.2:
                low, high = table.span(expected[0])
                assert place.cursor.count() == high - low

    def seek(self, txn, table, place):
        key, new = self.record(table)
        low, high = table.span(key)
        how = self.chance.choice(["set_key", "set_range", "set_key_dup", "set_range_dup"])
        if how.endswith("dup") and (not table.dups or not new):
            return
        index = table.left((key, new))
        if how == "set_key":
            expected = table.at(low) if high > low else None
        elif how == "set_range":
            expected = table.at(low)
        elif how == "set_key_dup":
            expected = (key, new) if table.at(index) == (key, new) else None
        else:
            expected = table.at(index) if low <= index < high else None
        arguments = (key, new) if how.endswith("dup") else (key,)
        assert getattr(place.cursor, how)(*arguments) is (expected is not None), how
        assert place.cursor.item() == (expected or (b"", b""))
        place.record = expected

    def read(self, txn, table, place):
        key = self.key(table)
        low, high = table.span(key)
        db = self.dbs[table.name]
        assert txn.get(key, db=db) == (table.records[low][1] if high > low else None)
        if self.chance.random() < 0.05:
            cursor = txn.cursor(db)
            found = cursor.set_range(key) and list(islice(cursor, 30))
            assert (found or []) == table.records[low : low + 30]

    def run(self, steps):
        for self.count in range(steps):
            self.step()
        while self.levels:
            self.levels.pop().txn.abort()
        self.compare()


@pytest.mark.slow
def test_a_long_walk(open_env, lib_version):
    seed = int(os.environ.get("PYLMDB_MODEL_SEED") or random.SystemRandom().randrange(10**9))
    print(f"PYLMDB_MODEL_SEED={seed}")
    Walk(open_env, lib_version, random.Random(seed)).run(STEPS)
