# SPDX-License-Identifier: MIT
"""range() against sorted lists, in all orders, with writes between the steps; and how it ends."""

import bisect
import gc
import itertools
import os
import random
import signal
import struct
import threading
import weakref

import pytest
from dropped import free
from numpy_if_any import np

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
        bisect.insort(self.records, record, key=lambda r: (self.order(r[0]), r[1]))

    def delete(self, txn):
        key = self.key()
        txn.delete(key, db=self.db)
        self.records = [record for record in self.records if record[0] != key]

    def within(self, start, stop, include_start=True, include_stop=False):
        first, end = 0, len(self.records)
        if start is not None:
            side = bisect.bisect_left if include_start else bisect.bisect_right
            first = side(self.records, self.order(start), key=self.order_of)
        if stop is not None:
            side = bisect.bisect_right if include_stop else bisect.bisect_left
            end = side(self.records, self.order(stop), key=self.order_of)
        return self.records[first:end]

    def bounds(self):
        return self.rng.choice([None, self.key()]), self.rng.choice([None, self.key()])

    def order_of(self, record):
        return self.order(record[0])

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
            for _ in range(8):
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


@pytest.mark.parametrize("write", [False, True])
def test_what_the_bounds_include_and_how_many_records(env, database, write):
    with env.begin(write=True) as txn:
        for _ in range(40):
            database.put(txn)
    with env.begin(write=write) as txn:
        for _ in range(30):
            start, stop = database.bounds()
            include = {"include_start": database.rng.random() < 0.5}
            include["include_stop"] = database.rng.random() < 0.5
            offset, limit = database.rng.choice([0, 1, 7, 50]), database.rng.choice([None, 0, 1, 9])
            records = database.within(start, stop, **include)
            for reverse, (keys, values) in itertools.product([False, True], BOTH):
                options = {"reverse": reverse, "keys": keys, "values": values, **include}
                expected = project(records[:: -1 if reverse else 1], keys, values)[offset:]
                options |= {"offset": offset, "limit": limit}
                assert [*txn.range(start, stop, db=database.db, **options)] == expected[:limit]
                found = txn.cursor(database.db).range(start, stop, **options)
                assert [*found] == expected[:limit], (start, stop, options)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("write", [False, True])
def test_an_offset_of_many_pages(env, write, reverse):
    keys = [b"%06d" % i for i in range(30_000)]
    with env.begin(write=True) as txn:
        txn.cursor().putmulti([(key, b"v" * 20) for key in keys])
        txn.put(b"large", b"v" * 100_000)
    keys.append(b"large")
    if reverse:
        keys.reverse()
    with env.begin(write=write) as txn:
        for offset in (1, 99, 4095, 4096, 4097, 8192, 20_001, 29_999, 30_000):
            options = {"reverse": reverse, "values": False}
            assert [*txn.range(offset=offset, limit=3, **options)] == keys[offset : offset + 3]
        for offset in (30_001, 10**6, 2**63, 10**30):
            assert [*txn.range(offset=offset, limit=10**30, **options)] == []
        # it ends at the bound, and does not walk through the rest of the database
        bounds = {"stop": b"015000"} if not reverse else {"start": b"015000"}
        inside = [key for key in keys if (key < b"015000") != reverse]
        for offset in (len(inside) - 1, len(inside), 10**15):
            assert [*txn.range(**bounds, offset=offset, **options)] == inside[offset:]


def test_an_offset_and_writes_afterwards(env):
    with env.begin(write=True) as txn:
        for i in range(10):
            txn.put(b"%d" % i, b"")
        found = txn.range(offset=3, limit=4, values=False)
        txn.delete(b"3")
        assert next(found) == b"4"
        txn.put(b"45", b"")
        txn.delete(b"5")
        assert [*found] == [b"45", b"6", b"7"]


@pytest.mark.parametrize("limit", [0, 2])
def test_a_range_that_has_reached_its_limit_does_not_keep_its_transaction(env, limit):
    with env.begin(write=True) as txn:
        for key in (b"a", b"b", b"c"):
            txn.put(key, key)
    txn = env.begin()
    found, gone = txn.range(limit=limit), weakref.ref(txn)
    del txn
    assert len([*found]) == limit
    gc.collect()
    assert gone() is None
    assert [*found] == []
    assert repr(found) == "<pylmdb.RangeIterator ended>"


@pytest.mark.parametrize("name", ["limit", "offset"])
def test_a_number_of_records_that_ends_the_transaction(env, name):
    class Ending:
        def __index__(self):
            txn.abort()
            return 1

    txn = env.begin()
    with pytest.raises(pylmdb.ClosedError):
        txn.range(**{name: Ending()})


def test_what_counts_as_a_number_of_records(env):
    with env.begin(write=True) as txn:
        for key in (b"a", b"b", b"c"):
            txn.put(key, key)
        for two in (2, np.int32(2), np.uint64(2)):
            assert len([*txn.range(limit=two)]) == 2
            assert len([*txn.range(offset=two)]) == 1
        for other in (2.0, "2", b"2", [2]):
            for name in ("limit", "offset"):
                with pytest.raises(TypeError, match=rf"{name} must be an integer .* not "):
                    txn.range(**{name: other})
        for negative in (-1, -(2**70)):
            for name in ("limit", "offset"):
                with pytest.raises(ValueError, match=rf"{name} must be at least 0, not {negative}"):
                    txn.range(**{name: negative})


def test_an_interrupt_while_records_are_left_out(env):
    dups = env.open_db(b"dups", dupsort=True)
    with env.begin(write=True, db=dups) as txn:
        txn.cursor().putmulti([(b"k", b"%06d" % i) for i in range(50_000)])

    def strike(*args):
        txn.abort()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, strike)
    try:
        txn = env.begin(db=dups)
        with pytest.raises((KeyboardInterrupt, pylmdb.ClosedError)):  # noqa: PT012
            threading.Timer(0, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            for _ in range(10_000):
                txn.range(offset=10**9)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert txn.closed


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
                expected = expected[:: -1 if reverse else 1]
                for given in (prefix, bytearray(prefix), memoryview(prefix * 2)[:length]):
                    found = list(txn.range(prefix=given, reverse=reverse, db=database.db))
                    assert found == expected, prefix
                options = {"reverse": reverse, "limit": 2, "offset": 1}
                assert [*txn.range(prefix=prefix, db=database.db, **options)] == expected[1:3]


@pytest.mark.parametrize("reverse", [False, True])
def test_each_step_yields_the_next_record_of_that_moment(env, database, reverse):
    rng = database.rng
    with env.begin(write=True) as txn:
        for _ in range(50):
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
                    there = database.within(start, stop)
                    if reverse:
                        ahead = there[: bisect.bisect_left(there, last, key=database.rank)]
                    else:
                        ahead = there[bisect.bisect_right(there, last, key=database.rank) :]
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
        with pytest.raises(pylmdb.InvalidParameterError, match=rf"size {len(other)};.* size 8"):
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
            free([])
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


@pytest.mark.parametrize("flag", ["reverse", "keys", "values", "include_start", "include_stop"])
def test_a_flag_that_ends_the_transaction(env, flag):
    txn = env.begin()
    with pytest.raises(pylmdb.ClosedError):
        txn.range(b"a", **{flag: Ends(txn)})
