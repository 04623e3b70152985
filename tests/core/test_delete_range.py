# SPDX-License-Identifier: MIT
"""delete_range() compared with deletes of single records: the same records are left, every cursor
and iterator is where single deletes leave it, and the file is sound."""

import os
import random
import struct

import pytest
from open_options import at_random, of_a_new_file, of_an_open
from programs import RANDOM_FACTOR

import pylmdb

ROUNDS = 4 * RANDOM_FACTOR


def word(chance):
    # long keys, so that trees of a few hundred records have three levels and more
    return b"%04d" % chance.randrange(3000) + b"k" * chance.choice([0, 100, 300])


def number(chance):
    return struct.pack("@Q", chance.choice([chance.randrange(600), chance.randrange(2**64)]))


def long_value(chance):
    return b"%d" % chance.randrange(3000) * chance.choice([0, 1, 20, 2500])


def short_value(chance):
    return b"%d" % chance.randrange(3000) + b"." * chance.choice([0, 1, 300])


# flags, order of the keys, keys, values
KINDS = {
    "plain": ({}, bytes, word, long_value),
    "reverse": ({"reverse_key": True}, lambda key: key[::-1], word, long_value),
    "numbers": ({"integerkey": True}, lambda key: struct.unpack("@Q", key), number, long_value),
    "dups": ({"dupsort": True}, bytes, lambda c: word(c)[1:], short_value),
    "fixed": ({"dupfixed": True}, bytes, lambda c: word(c)[2:], lambda c: word(c)[:3]),
    "integerdup": ({"integerdup": True}, bytes, lambda c: word(c)[2:], number),
}
MOVES = ["next", "prev", "next_nodup", "prev_nodup", "first", "last", "item", "item"]


class Twins:
    """Two databases with the same records, and cursors at the same places in both."""

    def __init__(self, env, kind, chance):
        flags, self.order, self.new_key, self.new_value = KINDS[kind]
        self.env, self.chance, self.dups = env, chance, "dup" in kind or kind == "fixed"
        self.dbs = [env.open_db(name, **flags) for name in (b"whole", b"single")]
        self.cursors = []

    def open_cursors(self, txn):
        self.cursors = []
        for _ in range(self.chance.randrange(9)):
            pair = [txn.cursor(db) for db in self.dbs]
            key = self.bound()
            how = self.chance.choice(["first", "last", "set_range", "set_range"])
            for cursor in pair:
                getattr(cursor, how)(*[key] * (how == "set_range"))
            self.cursors.append(pair)
            self.move(pair)

    def bound(self):
        if self.keys and self.chance.random() < 0.5:
            return self.chance.choice(self.keys)
        return self.new_key(self.chance)

    def fill(self, txn, count):
        for _ in range(count):
            record = self.new_key(self.chance), self.new_value(self.chance)
            if not self.dups or record[1]:
                for db in self.dbs:
                    txn.put(*record, db=db)
        for _ in range(self.dups * self.chance.randrange(2)):
            key = self.new_key(self.chance)  # so many values that they need a tree of their own
            values = {self.new_value(self.chance) for _ in range(500)}
            for db in self.dbs:
                txn.cursor(db).putmulti([(key, value) for value in sorted(values)])
        self.look(txn)

    def look(self, txn):
        whole, single = (list(txn.cursor(db)) for db in self.dbs)
        assert whole == single
        assert [txn.stat(db).entries for db in self.dbs] == [len(whole)] * 2
        self.records = whole
        self.keys = sorted({key for key, _ in whole}, key=self.order)

    def within(self, start, stop):
        return [
            record for record in self.records
            if (start is None or self.order(record[0]) >= self.order(start))
            and (stop is None or self.order(record[0]) < self.order(stop))
        ]  # fmt: skip

    def delete(self, txn):
        start, stop = (self.chance.choice([None, self.bound(), self.bound()]) for _ in "12")
        gone = self.within(start, stop)
        assert txn.count(start, stop, db=self.dbs[0]) == len(gone)
        if start is stop is None:
            start = self.keys[0] if self.keys else self.new_key(self.chance)
        assert txn.delete_range(start, stop, db=self.dbs[0]) == len(gone)
        for key in dict.fromkeys(key for key, _ in gone):
            assert txn.delete(key, db=self.dbs[1])
        self.check_cursors()
        self.look(txn)

    def check_cursors(self):
        for pair in self.cursors:
            self.move(pair)

    def move(self, pair):
        how = self.chance.choice(MOVES)
        found = [getattr(cursor, how)() for cursor in pair]
        assert found[0] == found[1], how
        assert pair[0].item() == pair[1].item(), how

    def iterate(self, txn):
        """Delete a range between two steps of iterators of both databases."""
        way = self.chance.choice(["iternext", "iterprev"])
        steps = [getattr(txn.cursor(db), way)() for db in self.dbs]
        for _ in range(self.chance.randrange(20)):
            assert next(steps[0], None) == next(steps[1], None)
        self.delete(txn)
        assert list(steps[0]) == list(steps[1])

    def change(self, txn):
        self.open_cursors(txn)
        for _ in range(4):
            if len(self.records) < 50:
                self.fill(txn, 400)
                self.open_cursors(txn)
            self.chance.choice([self.delete, self.delete, self.iterate])(txn)

    def run(self):
        with self.env.begin(write=True) as txn:
            self.fill(txn, 500)
            self.change(txn)
            if not self.env.flags()["writemap"]:  # no nested transactions there
                self.nest(txn)
                self.change(txn)

    def nest(self, txn):
        with self.env.begin(write=True, parent=txn) as child:
            self.change(child)
        self.look(txn)
        before = self.records
        child = self.env.begin(write=True, parent=txn)
        self.change(child)
        child.abort()
        self.look(txn)
        assert self.records == before


@pytest.mark.parametrize("options", ["first", "second"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_as_single_deletes(open_env, lib_version, kind, options):
    seed = int(os.environ.get("PYLMDB_MODEL_SEED") or random.SystemRandom().randrange(10**9))
    print(f"PYLMDB_MODEL_SEED={seed}")
    chance = random.Random(f"{seed} {options}")
    new_file = of_a_new_file(at_random(chance), lib_version)
    env = open_env(**of_an_open(at_random(chance), new_file))
    twins = Twins(env, kind, chance)
    for _ in range(ROUNDS):
        twins.run()
        report = pylmdb.verify(env.path())
        assert report.ok, str(report)
