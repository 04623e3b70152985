# SPDX-License-Identifier: MIT
"""Iterators and ranges: their results, repeated, and while records are changed and deleted."""

import os
import random
import struct
from collections.abc import Iterator

import pytest

import pylmdb

PLAIN = [(b"%02d" % n, b"v%d" % n) for n in range(10, 30)]
PAIRS = [(key, value) for key in (b"a", b"b", b"c", b"d") for value in (b"1", b"2", b"3")]
FIRSTS = [pair for pair in PAIRS if pair[1] == b"1"]
LASTS = [pair for pair in PAIRS if pair[1] == b"3"]


@pytest.fixture(params=[False, True], ids=["read", "write"])
def begin(env, request):
    """Begin a transaction that is to read: of either kind."""
    return lambda *args, **options: env.begin(*args, write=request.param, **options)


@pytest.fixture
def plain(env):
    """Return a named database with PLAIN."""
    db = env.open_db(b"plain")
    with env.begin(db, write=True) as txn:
        txn.cursor().putmulti(PLAIN)
    return db


@pytest.fixture
def dup(env):
    """Return a database with the duplicates of PAIRS."""
    db = env.open_db(b"dup", dupsort=True)
    with env.begin(db, write=True) as txn:
        txn.cursor().putmulti(PAIRS)
    return db


def project(records, keys, values):
    """What an iterator gives of records: py-lmdb gives keys when neither is asked for."""
    if keys and values:
        return records
    return [record[0] if keys or not values else record[1] for record in records]


BOTH = [(True, True), (True, False), (False, True)]
ANY = [*BOTH, (False, False)]


@pytest.mark.parametrize(("keys", "values"), ANY)
def test_every_iterator(begin, dup, keys, values):
    expected = {
        "iternext": PAIRS,
        "iterprev": PAIRS[::-1],
        "iternext_nodup": FIRSTS,
        "iterprev_nodup": LASTS[::-1],
    }
    with begin(dup) as txn:
        for name, records in expected.items():
            iterator = getattr(txn.cursor(), name)(keys, values)
            assert isinstance(iterator, Iterator)
            assert list(iterator) == project(records, keys, values), name
            assert list(iterator) == []
            iterator = getattr(txn.cursor(), name)(keys=keys, values=values)
            assert list(iterator) == project(records, keys, values)
        for name, at, records in (
            ("iternext_dup", b"1", PAIRS[3:6]),
            ("iternext_dup", b"2", PAIRS[4:6]),
            ("iterprev_dup", b"2", PAIRS[4:2:-1]),
            ("iterprev_dup", b"3", PAIRS[5:2:-1]),
        ):
            cursor = txn.cursor()
            cursor.set_key_dup(b"b", at)
            got = list(getattr(cursor, name)(keys, values))
            assert got == project(records, keys, values), name


def test_defaults_of_the_iterators(begin, dup):
    with begin(dup) as txn:
        cursor = txn.cursor()
        cursor.first()
        assert next(cursor.iternext()) == PAIRS[0]
        assert next(cursor.iternext_dup()) == b"1"
        assert next(cursor.iternext_nodup()) == b"a"
        assert next(txn.cursor().iterprev()) == PAIRS[-1]
        cursor.last()
        assert next(cursor.iterprev_dup()) == b"3"
        assert next(cursor.iterprev_nodup()) == b"d"


def test_iteration_starts_at_the_position(begin, plain):
    with begin(plain) as txn:
        cursor = txn.cursor()
        cursor.set_key(b"20")
        assert list(cursor) == PLAIN[10:]
        cursor.set_key(b"20")
        assert list(cursor.iterprev()) == PLAIN[10::-1]
        cursor.set_range(b"205")
        assert list(cursor.iternext(values=False)) == [key for key, _ in PLAIN[11:]]


def test_iteration_over_a_cursor_can_be_repeated(begin, plain):
    with begin(plain) as txn:
        cursor = txn.cursor()
        for _ in range(3):
            assert list(cursor) == PLAIN
            assert list(cursor.iterprev()) == PLAIN[::-1]


def test_the_iterator_moves_the_cursor(begin, plain):
    with begin(plain) as txn:
        cursor = txn.cursor()
        for index, item in enumerate(cursor):
            assert cursor.item() == item == PLAIN[index]
        assert cursor.item() == (b"", b"")


def test_an_iterator_positions_the_cursor_when_it_is_made(begin, plain):
    with begin(plain) as txn:
        cursor = txn.cursor()
        iterator = cursor.iternext()
        assert cursor.item() == PLAIN[0]
        assert list(iterator) == PLAIN
        iterator = cursor.iterprev()
        assert cursor.item() == PLAIN[-1]
        assert next(iterator) == PLAIN[-1]


def test_moving_the_cursor_between_steps(begin, plain):
    with begin(plain) as txn:
        cursor = txn.cursor()
        iterator = iter(cursor)
        assert next(iterator) == PLAIN[0]
        cursor.set_key(b"20")
        assert next(iterator) == PLAIN[11]


def test_iter_from(begin, plain):
    with begin(plain) as txn:
        cursor = txn.cursor()
        assert list(cursor._iter_from(b"15", False)) == PLAIN[5:]
        assert list(cursor._iter_from(b"15", True)) == PLAIN[5::-1]
        assert list(cursor._iter_from(b"", False)) == PLAIN
        assert list(cursor._iter_from(b"99", True)) == PLAIN[::-1]


# -- range -----------------------------------------------------------------------------


BOUNDS = [None, b"", b"1", b"10", b"155", b"15", b"29", b"29\0", b"3", b"\xff\xff"]


@pytest.mark.parametrize("reverse", [False, True])
def test_range_against_a_list(begin, plain, reverse):
    with begin() as txn:
        for start in BOUNDS:
            for stop in BOUNDS:
                expected = [
                    (key, value)
                    for key, value in PLAIN
                    if (start is None or key >= start) and (stop is None or key < stop)
                ][:: -1 if reverse else 1]
                got = list(txn.range(start, stop, reverse=reverse, db=plain))
                assert got == expected, (start, stop)
                assert list(txn.cursor(plain).range(start, stop, reverse=reverse)) == expected


@pytest.mark.parametrize("reverse", [False, True])
def test_range_of_duplicates(begin, dup, reverse):
    with begin(dup) as txn:
        step = -1 if reverse else 1
        assert list(txn.range(b"b", b"d", reverse=reverse)) == PAIRS[3:9][::step]
        assert list(txn.range(b"bb", reverse=reverse)) == PAIRS[6:][::step]


@pytest.mark.parametrize("reverse", [False, True])
def test_prefix(env, reverse):
    keys = [
        b"a",
        b"a\xff",
        b"a\xff\xff",
        b"a\xffb",
        b"b",
        b"b1",
        b"\xff",
        b"\xff\xff",
        b"\xff\xffz",
    ]
    with env.begin(write=True) as txn:
        for key in keys:
            txn.put(key, key * 2)
    prefixes = [b"", b"a", b"a\xff", b"a\xff\xff", b"b", b"c", b"\xff", b"\xff\xff", b"0"]
    with env.begin() as txn:
        for prefix in prefixes:
            expected = sorted(key for key in keys if key.startswith(prefix))
            expected = expected[:: -1 if reverse else 1]
            assert list(txn.range(prefix=prefix, reverse=reverse, values=False)) == expected


@pytest.mark.parametrize(("keys", "values"), BOTH)
@pytest.mark.parametrize("buffers", [False, True])
def test_range_of_keys_or_values(begin, plain, keys, values, buffers):
    with begin(plain, buffers=buffers) as txn:
        got = list(txn.range(b"12", b"15", keys=keys, values=values))
        assert got == project(PLAIN[2:5], keys, values)
        one = got[0][0] if keys and values else got[0]
        assert type(one) is (memoryview if buffers else bytes)


def test_range_refuses_what_makes_no_sense(begin, plain):
    with begin(plain) as txn:
        with pytest.raises(ValueError, match="nothing"):
            txn.range(keys=False, values=False)
        for bounds in ((b"a", None), (None, b"b")):
            with pytest.raises(TypeError):
                txn.range(*bounds, prefix=b"p")
        with pytest.raises(TypeError):
            txn.range(b"a", b"b", b"c")


@pytest.mark.parametrize("reverse", [False, True])
def test_range_in_other_key_orders(env, reverse):
    step = -1 if reverse else 1
    integers = env.open_db(b"integers", integerkey=True)
    reversed_keys = env.open_db(b"reversed", reverse_key=True)
    pack = struct.Struct("=Q").pack
    with env.begin(write=True) as txn:
        for n in (1, 255, 256, 65536, 1 << 40):
            txn.put(pack(n), b"", db=integers)
        for key in (b"ab", b"ba", b"cc", b"za"):
            txn.put(key, b"", db=reversed_keys)
        got = list(txn.range(pack(2), pack(65536), reverse=reverse, values=False, db=integers))
        assert got == [pack(255), pack(256)][::step]
        options = {"reverse": reverse, "values": False, "db": reversed_keys}
        assert list(txn.range(b"ba", b"cc", **options)) == [b"ba", b"za", b"ab"][::step]
        for db in (integers, reversed_keys):
            with pytest.raises(pylmdb.InvalidParameterError):
                txn.range(prefix=b"a", db=db)


# -- changes while iterating ------------------------------------------------------------------

ITERATORS = {
    "iternext": PAIRS,
    "iterprev": PAIRS[::-1],
    "iternext_nodup": FIRSTS,
    "iterprev_nodup": LASTS[::-1],
}


@pytest.mark.parametrize("name", ITERATORS)
@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("through", ["cursor", "transaction", "other cursor"])
def test_deleting_while_iterating_skips_nothing(env, dup, name, every, through):
    expected = ITERATORS[name]
    with env.begin(dup, write=True) as txn:
        cursor, other = txn.cursor(), txn.cursor()
        seen, deleted = [], set()
        for item in getattr(cursor, name)(True, True):
            seen.append(item)
            assert len(seen) <= len(expected)
            if len(seen) % every:
                continue
            deleted.add(item)
            if through == "cursor":
                assert cursor.delete()
            elif through == "transaction":
                assert txn.delete(*item)
            else:
                assert other.set_key_dup(*item)
                assert other.delete()
        left = [pair for pair in PAIRS if pair not in deleted]
        assert list(txn.range()) == left
        if "nodup" in name:
            assert [key for key, _ in seen] == [key for key, _ in expected]
        else:
            assert seen == expected


@pytest.mark.parametrize("name", ["iternext_dup", "iterprev_dup"])
@pytest.mark.parametrize("through", ["cursor", "transaction"])
def test_deleting_while_iterating_over_one_key_s_values(env, dup, name, through):
    with env.begin(dup, write=True) as txn:
        cursor = txn.cursor()
        cursor.set_key_dup(b"b", b"1" if name == "iternext_dup" else b"3")
        seen = []
        for item in getattr(cursor, name)(True, True):
            seen.append(item)
            assert cursor.delete() if through == "cursor" else txn.delete(*item)
        assert seen == (PAIRS[3:6] if name == "iternext_dup" else PAIRS[5:2:-1])
        assert list(txn.range()) == PAIRS[:3] + PAIRS[6:]


@pytest.mark.parametrize("name", ["iternext", "iterprev"])
def test_deleting_while_iterating_over_many_pages(env, name):
    records = [(b"%06d" % n, bytes([n % 256]) * 100) for n in range(3000)]
    with env.begin(write=True) as txn:
        txn.cursor().putmulti(records, append=True)
        cursor = txn.cursor()
        seen = []
        for item in getattr(cursor, name)():
            seen.append(item)
            assert cursor.delete()
        assert seen == (records if name == "iternext" else records[::-1])
        assert txn.stat().entries == 0


def test_deleting_all_values_of_a_key_while_iterating(env, dup):
    with env.begin(dup, write=True) as txn:
        cursor = txn.cursor()
        seen = []
        for item in cursor:
            seen.append(item)
            if item == (b"b", b"2"):
                assert cursor.delete(dupdata=True)
        assert seen == PAIRS[:5] + PAIRS[6:]


@pytest.mark.parametrize("reverse", [False, True])
def test_range_while_deleting_and_changing(env, plain, reverse):
    with env.begin(plain, write=True) as txn:
        seen = []
        for key, value in txn.range(b"12", b"25", reverse=reverse):
            seen.append((key, value))
            if int(key) % 2:
                assert txn.delete(key)
            else:
                assert txn.put(key, value * 200)
        assert seen == PLAIN[2:15][:: -1 if reverse else 1]


def test_changing_values_while_iterating_over_many_pages(env):
    with env.begin(write=True) as txn:
        txn.cursor().putmulti([(b"%04d" % n, b"x") for n in range(2000)])
        seen = []
        for key, _ in txn.range():
            seen.append(key)
            txn.put(key, b"y" * (int(key) % 500))
        assert seen == [b"%04d" % n for n in range(2000)]


@pytest.mark.parametrize("reverse", [False, True])
def test_random_deletions_around_an_iterator(env, reverse):
    """Whatever is deleted, the order is kept, and the records that are left come."""
    rng = random.Random(7)
    for _ in range(30):
        keys = [b"%03d" % n for n in range(60)]
        with env.begin(write=True) as txn:
            txn.drop(env.open_db(), delete=False)
            for key in keys:
                txn.put(key, b"v")
            seen, gone = [], set()
            for key in txn.range(values=False, reverse=reverse):
                assert key not in gone
                seen.append(key)
                for victim in rng.sample(keys, rng.randrange(4)):
                    txn.delete(victim)
                    gone.add(victim)
            assert seen == sorted(seen, reverse=reverse)
            assert set(keys) - gone <= set(seen)


def test_adding_ahead_while_iterating_is_seen(env):
    with env.begin(write=True) as txn:
        txn.put(b"0", b"")
        seen = []
        for key in txn.range(values=False):
            seen.append(key)
            if len(seen) < 5:
                txn.put(key + b"0", b"")
                txn.put(b"!", b"")
        assert seen == [b"0" * n for n in range(1, 6)]


@pytest.mark.skipif(os.environ.get("PYLMDB_CORE") != "cffi", reason="test_core_faults.py has it")
def test_a_record_that_could_not_be_copied_is_yielded_by_the_next_step(begin, plain, monkeypatch):
    with begin(plain) as txn:
        records = txn.cursor().iternext()
        assert next(records) == PLAIN[0]
        with monkeypatch.context() as patch:
            patch.setattr(type(txn), "_copy", fail_to_copy, raising=False)
            with pytest.raises(MemoryError):
                next(records)
        assert list(records) == PLAIN[1:]


def fail_to_copy(txn, value):
    raise MemoryError
