# SPDX-License-Identifier: MIT
"""range() against sorted lists, in all orders, with writes between the steps; and how it ends."""

import gc
import itertools
import random
import struct
import weakref

import pytest

import pylmdb

NUMBER = struct.Struct("=Q")
OPTIONS = {
    "plain": {},
    "integer": {"integerkey": True},
    "reversed": {"reverse_key": True},
    "dup": {"dupsort": True},
    "integer dup": {"integerkey": True, "dupsort": True},
    "reversed dup": {"reverse_key": True, "dupsort": True},
}


class Database:
    """A named database of one kind, and its records as a list."""

    def __init__(self, env, kind, seed=1):
        self.db = env.open_db(kind.encode(), **OPTIONS[kind])
        self.kind, self.dup, self.rng = kind, "dup" in kind, random.Random(seed)
        self.records = []

    def order(self, key):
        if "integer" in self.kind:
            return NUMBER.unpack(key)
        return key[::-1] if "reversed" in self.kind else key

    def key(self):
        if "integer" in self.kind:
            return NUMBER.pack(self.rng.choice([1, 2, 3, 255, 256, 257, 65536, 1 << 40, 1 << 63]))
        return bytes(self.rng.choices(b"\0ab\xff", k=self.rng.randrange(1, 4)))

    def put(self, txn):
        record = self.key(), b"%d" % self.rng.randrange(5)
        txn.put(*record, db=self.db)
        self.records = [r for r in self.records if r != record and (self.dup or r[0] != record[0])]
        self.records.append(record)
        self.records.sort(key=lambda r: (self.order(r[0]), r[1]))

    def delete(self, txn):
        key = self.key()
        txn.delete(key, db=self.db)
        self.records = [record for record in self.records if record[0] != key]

    def within(self, start, stop):
        return [
            (key, value)
            for key, value in self.records
            if (start is None or self.order(key) >= self.order(start))
            and (stop is None or self.order(key) < self.order(stop))
        ]

    def bounds(self):
        return self.rng.choice([None, self.key()]), self.rng.choice([None, self.key()])

    def rank(self, record):
        return self.order(record[0]), record[1] if self.dup else b""


@pytest.fixture(params=sorted(OPTIONS))
def database(env, request):
    return Database(env, request.param)


def project(records, keys, values):
    return records if keys and values else [key if keys else value for key, value in records]


def as_bytes(item):
    return tuple(map(bytes, item)) if type(item) is tuple else bytes(item)


BOTH = [(True, True), (True, False), (False, True)]


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("buffers", [False, True])
def test_every_combination_against_a_list(env, database, write, buffers):
    for count in (0, 1, 30):
        with env.begin(write=True) as txn:
            for _ in range(count):
                database.put(txn)
        with env.begin(write=write, buffers=buffers) as txn:
            for _ in range(20):
                start, stop = database.bounds()
                records = database.within(start, stop)
                for reverse, (keys, values) in itertools.product([False, True], BOTH):
                    options = {"reverse": reverse, "keys": keys, "values": values}
                    expected = project(records[:: -1 if reverse else 1], keys, values)
                    for found in (
                        txn.range(start, stop, db=database.db, **options),
                        txn.cursor(database.db).range(start, stop, **options),
                    ):
                        items = list(found)
                        assert list(map(as_bytes, items)) == expected, (start, stop, options)
                        parts = [
                            part for item in items for part in (item if keys and values else [item])
                        ]
                        assert all(type(p) is (memoryview if buffers else bytes) for p in parts)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["plain", "dup"])
def test_prefixes_against_a_list(env, kind, reverse):
    database = Database(env, kind)
    with env.begin(write=True) as txn:
        for _ in range(60):
            database.put(txn)
        for length in range(4):
            for prefix in map(bytes, itertools.product(b"\0ab\xff", repeat=length)):
                expected = [r for r in database.records if r[0].startswith(prefix)]
                for given in (prefix, bytearray(prefix), memoryview(prefix * 2)[:length]):
                    found = list(txn.range(prefix=given, reverse=reverse, db=database.db))
                    assert found == expected[:: -1 if reverse else 1], prefix


@pytest.mark.parametrize("reverse", [False, True])
def test_each_step_yields_the_next_record_of_that_moment(env, database, reverse):
    rng = database.rng
    with env.begin(write=True) as txn:
        for _ in range(150):
            for _ in range(rng.randrange(12)):
                database.put(txn)
            start, stop = database.bounds()
            last, records = None, database.within(start, stop)[:: -1 if reverse else 1]
            # Where nothing is found at first, a range stays empty.
            found = txn.range(start, stop, reverse=reverse, db=database.db)
            for item in found:
                if last is None:
                    assert item[0] == records[0][0]
                else:
                    ahead = [
                        record
                        for record in database.within(start, stop)
                        if (
                            database.rank(record) < last
                            if reverse
                            else database.rank(record) > last
                        )
                    ]
                    assert item == ahead[-1 if reverse else 0]
                last = database.rank(item)
                for _ in range(rng.choice([0, 0, 1, 3])):
                    rng.choice([database.put, database.delete])(txn)
            if last is None:
                assert not records
            assert next(found, None) is None


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("other", [b"", b"abc", struct.pack("=I", 7)])
def test_an_integer_bound_of_another_width_is_refused_at_the_first_record(env, other, reverse):
    database = Database(env, "integer")
    bound = {"reverse": reverse, "start" if reverse else "stop": other}
    with env.begin(database.db, write=True) as txn:
        assert list(txn.range(**bound)) == []
        for n in range(3):
            txn.put(NUMBER.pack(n), b"")
        found = txn.range(**bound)
        with pytest.raises(pylmdb.InvalidParameterError, match=rf"has {len(other)} bytes.*have 8"):
            next(found)
        assert list(found) == []


@pytest.mark.parametrize("bounds", [(None, None), (b"a", b"b"), (b"b", b"c")])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_range_that_has_ended_stays_ended(env, bounds, reverse):
    with env.begin(write=True) as txn:
        txn.put(b"a", b"1")
        cursor = txn.cursor()
        found = cursor.range(*bounds, reverse=reverse)
        assert list(found) == ([] if bounds[0] == b"b" else [(b"a", b"1")])
        for key in (b"aa", b"bb", b"0", b"z"):
            txn.put(key, b"2")
            cursor.first()
            assert list(found) == []
    assert list(found) == []


def test_an_empty_range_looks_at_its_transaction_once(env):
    with env.begin() as txn:
        found = txn.range(b"a")
    with pytest.raises(pylmdb.ClosedError):
        next(found)
    assert list(found) == []


def test_a_range_that_has_raised_has_ended(env):
    with env.begin(write=True) as txn:
        txn.put(b"a", b"1")
        found = txn.range()
    with pytest.raises(pylmdb.ClosedError):
        next(found)
    assert list(found) == []


@pytest.mark.parametrize("bounds", [(None, None), (b"a", b"b"), (b"b", b"c")])
def test_a_range_that_has_ended_does_not_keep_its_transaction(env, bounds):
    with env.begin(write=True) as txn:
        txn.put(b"a", b"1")
    txn = env.begin()
    found, gone = txn.range(*bounds), weakref.ref(txn)
    del txn
    gc.collect()
    assert gone() is not None
    assert len(list(found)) == (bounds[0] != b"b")
    gc.collect()
    assert gone() is None
    assert list(found) == []


def test_the_bound_is_copied(env):
    with env.begin(write=True) as txn:
        for key in (b"a", b"b", b"c"):
            txn.put(key, key)
        start, stop = bytearray(b"a"), bytearray(b"c")
        for reverse in (False, True):
            found = txn.range(start, stop, reverse=reverse, values=False)
            start[:], stop[:] = b"zz", b"zz"  # also: nothing holds their buffers
            assert list(found) == [b"a", b"b"][:: -1 if reverse else 1]
            start[:], stop[:] = b"a", b"c"


@pytest.mark.parametrize("name", ["start", "stop", "prefix"])
def test_bounds_may_be_slices_with_a_step(env, name):
    with env.begin(write=True) as txn:
        for key in (b"ab", b"ac", b"b"):
            txn.put(key, b"")
        expected = {"start": [b"ac", b"b"], "stop": [b"ab"], "prefix": [b"ac"]}
        given = {name: memoryview(b"a-c-")[::2]}
        assert list(txn.range(**given, values=False)) == expected[name]


class Ends:
    """A flag whose truth value ends a transaction."""

    def __init__(self, txn):
        self.txn = txn

    def __bool__(self):
        self.txn.abort()
        return True


@pytest.mark.parametrize("flag", ["reverse", "keys", "values"])
def test_a_flag_that_ends_the_transaction(env, flag):
    txn = env.begin()
    with pytest.raises(pylmdb.ClosedError):
        txn.range(b"a", **{flag: Ends(txn)})
