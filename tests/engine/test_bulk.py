# SPDX-License-Identifier: MIT
"""Records that are appended many at a time: their pages are built and written before the commit
(lib/liblmdb/bulk.c).

Random programs append batches, then change what they have appended in the same transaction, in
every way; what is in the file afterwards is compared with a model, by us, by verify() and by
py-lmdb.
"""

import os
import random
import struct

import lmdb
import numpy
import pytest

import pylmdb
from pylmdb.verify import verify

KINDS = {
    None: {},
    b"plain": {},
    b"numbers": {"integerkey": True},
    b"reverse": {"reverse_key": True},
    b"dups": {"dupsort": True},
    b"fixed": {"dupsort": True, "dupfixed": True},
    b"integers": {"dupsort": True, "dupfixed": True, "integerdup": True},
}
SEED = int(os.environ.get("PYLMDB_SEED", random.getrandbits(32)))


def key_of(kind, number):
    if kind == b"numbers":
        return struct.pack("=Q", number)
    text = b"z%07d" % number  # behind the names of databases
    return text[::-1] if kind == b"reverse" else text


def order(kind):
    """Return the order of a database's keys, as a key for sorted()."""
    if kind == b"numbers":
        return lambda key: struct.unpack("=Q", key)
    return (lambda key: key[::-1]) if kind == b"reverse" else lambda key: key


def value_order(kind):
    if kind == b"integers":
        return lambda value: struct.unpack("=I", value)
    return lambda value: value


class Program:
    """One random program, and the model of what it has stored."""

    def __init__(self, env, rng, sizes):
        self.env, self.rng, self.sizes = env, rng, sizes
        self.dbs = {kind: env.open_db(kind, **flags) for kind, flags in KINDS.items()}
        self.model = {kind: {} for kind in KINDS}
        self.next = dict.fromkeys(KINDS, 1)

    def value(self, kind):
        rng = self.rng
        if kind in (b"fixed", b"integers"):
            return struct.pack("=I", rng.randrange(1 << 20))
        if kind == b"dups":
            return rng.randbytes(rng.choice([1, 8, 60, 300]))
        return rng.randbytes(rng.choice(self.sizes))

    def is_dup(self, kind):
        return "dupsort" in KINDS[kind]

    def batch(self, kind, count):
        """Return records behind the last one, and put them into the model."""
        records, model = [], self.model[kind]
        while len(records) < count:
            key = key_of(kind, self.next[kind])
            self.next[kind] += self.rng.choice([1, 1, 1, 7])
            if not self.is_dup(kind):
                records.append((key, self.value(kind)))
                model[key] = records[-1][1]
                continue
            values = {self.value(kind) for _ in range(self.rng.choice([1, 1, 2, 5, 40, 300]))}
            model[key] = values
            records += [(key, value) for value in sorted(values, key=value_order(kind))]
        return records

    def append(self, txn):
        kind = self.rng.choice(list(KINDS))
        records = self.batch(kind, self.rng.choice([1, 5, 60, 400, 1500]))
        cursor = txn.cursor(self.dbs[kind])
        give = self.rng.choice([list, iter, lambda records: (each for each in records)])
        assert cursor.putmulti(give(records), append=True) == (len(records), len(records))
        assert cursor.item() == records[-1]
        cursor.close()

    def append_arrays(self, txn):
        kind = self.rng.choice([None, b"plain", b"numbers", b"reverse"])
        count, size = self.rng.choice([3, 300, 2000]), self.rng.choice(self.sizes) or 1
        values = numpy.frombuffer(self.rng.randbytes(count * size), "u1").reshape(count, size)
        keys = [key_of(kind, self.next[kind] + i) for i in range(count)]
        self.next[kind] += count
        self.model[kind].update(zip(keys, map(bytes, values), strict=True))
        keys = numpy.frombuffer(b"".join(keys), "=u8" if kind == b"numbers" else "S8")
        assert txn.put_arrays(keys, values, db=self.dbs[kind]) == count

    def some_key(self, kind):
        """Return a key that is there, most of the time one that was appended lately."""
        keys = list(self.model[kind])
        return self.rng.choice(keys[-200:] if self.rng.random() < 0.7 else keys)

    def change(self, txn):
        for _ in range(self.rng.choice([1, 10, 100])):
            kind = self.rng.choice(list(KINDS))
            if not self.model[kind]:
                continue
            key, db = self.some_key(kind), self.dbs[kind]
            what = self.rng.choice(["put", "delete", "replace", "cursor"])
            if self.is_dup(kind):
                self.change_duplicates(txn, kind, key, what)
            elif what == "put":
                self.model[kind][key] = value = self.value(kind)
                assert txn.put(key, value, db=db)
            elif what == "replace":
                value = self.value(kind)
                assert txn.replace(key, value, db=db) == self.model[kind][key]
                self.model[kind][key] = value
            elif what == "delete":
                assert txn.delete(key, db=db)
                del self.model[kind][key]
            else:
                with txn.cursor(db) as cursor:
                    assert cursor.set_key(key) and cursor.value() == self.model[kind].pop(key)
                    assert cursor.delete()

    def change_duplicates(self, txn, kind, key, what):
        values, db = self.model[kind][key], self.dbs[kind]
        if what in ("put", "replace"):
            value = self.value(kind)
            assert txn.put(key, value, dupdata=False, db=db) == (value not in values)
            values.add(value)
        elif what == "cursor":
            assert txn.delete(key, db=db)
            del self.model[kind][key]
        else:
            value = self.rng.choice(sorted(values))
            assert txn.delete(key, value, db=db)
            values.remove(value)
            if not values:
                del self.model[kind][key]

    def drop(self, txn):
        kind = self.rng.choice(list(KINDS)[1:])
        txn.drop(self.dbs[kind], delete=False)
        self.model[kind] = {}

    def nested(self, txn):
        saved = {
            kind: {k: v.copy() if isinstance(v, set) else v for k, v in records.items()}
            for kind, records in self.model.items()
        }
        with self.env.begin(write=True, parent=txn) as child:
            self.steps(child, 3)
            if self.rng.random() < 0.5:
                child.abort()
                self.model = saved

    def other_cursor(self, txn):
        """Append while other cursors are on the database's records; they stay there."""
        kind = self.rng.choice([None, b"plain", b"numbers", b"reverse"])
        if not self.model[kind]:
            return
        cursors = [txn.cursor(self.dbs[kind]) for _ in range(3)]
        cursors[0].last(), cursors[1].first(), cursors[2].set_key(self.some_key(kind))
        items = [cursor.item() for cursor in cursors]
        records = self.batch(kind, 700)
        txn.cursor(self.dbs[kind]).putmulti(records, append=True)
        assert [cursor.item() for cursor in cursors] == items
        rest = self.records(kind)
        assert list(cursors[2]) == rest[rest.index(items[2]) :]
        if len(rest) > len(records) + 1:
            assert cursors[0].prev() and cursors[0].item() == rest[-len(records) - 2]
        for cursor in cursors:
            cursor.close()

    def steps(self, txn, count, nested=True):
        steps = [
            self.append,
            self.append,
            self.append_arrays,
            self.change,
            self.change,
            self.drop,
            self.other_cursor,
        ]
        for _ in range(count):
            self.rng.choice(steps)(txn)
        if self.rng.random() < 0.3:
            self.check(txn)

    def records(self, kind):
        if not self.is_dup(kind):
            return sorted(self.model[kind].items(), key=lambda item: order(kind)(item[0]))
        return [
            (key, value)
            for key in sorted(self.model[kind])
            for value in sorted(self.model[kind][key], key=value_order(kind))
        ]

    def check(self, txn):
        for kind, db in self.dbs.items():
            found = [
                (key, value)
                for key, value in txn.cursor(db)
                if kind is not None or key.rstrip(b"\0") not in KINDS
            ]
            assert found == self.records(kind), kind

    def run(self, transactions):
        reader = self.env.begin()
        for _ in range(transactions):
            saved = {
                kind: {k: v.copy() if isinstance(v, set) else v for k, v in records.items()}
                for kind, records in self.model.items()
            }
            with self.env.begin(write=True) as txn:
                self.steps(txn, self.rng.choice([1, 4, 8]))
                if self.rng.random() < 0.4 and not self.env.flags().get("writemap"):
                    self.nested(txn)
                    self.steps(txn, 2)
                if self.rng.random() < 0.2:
                    txn.abort()
                    self.model = saved
            if self.rng.random() < 0.5:
                reader.abort()
                reader = self.env.begin()
                self.check(reader)
        reader.abort()


def saved_by_py_lmdb(path, lib_version, dbs):
    with lmdb.open(path, max_dbs=16, lib_version=lib_version, readonly=True) as env:
        handles = {kind: env.open_db(kind) for kind in dbs}
        with env.begin() as txn:
            return {kind: list(txn.cursor(handles[kind])) for kind in dbs}


@pytest.mark.parametrize(
    "sizes", [(0, 20, 100), (1, 40, 900, 3000, 20_000)], ids=["small", "large"]
)
@pytest.mark.parametrize(
    "options", [{}, {"writemap": True}, {"map_size": 1 << 27}], ids=["default", "writemap", "fixed"]
)
def test_random_programs_leave_what_the_model_has(open_env, env_path, lib_version, sizes, options):
    rng = random.Random(f"{SEED} {sizes} {options} {lib_version}")
    print(f"PYLMDB_SEED={SEED}")
    env = open_env(max_dbs=16, sync=False, **options)
    program = Program(env, rng, sizes)
    program.run(8)
    with env.begin() as txn:
        program.check(txn)
    env.close()
    assert verify(env_path) == []
    found = saved_by_py_lmdb(env_path, lib_version, [kind for kind in KINDS if kind])
    assert found == {kind: program.records(kind) for kind in KINDS if kind}
