# SPDX-License-Identifier: MIT
"""first(), last(), floor() and ceiling() against sorted lists, in databases of all orders."""

import struct

import pytest

import pylmdb

NUMBERS = [struct.pack("=Q", n) for n in (0, 1, 255, 256, 65536, 1 << 40, (1 << 64) - 1)]
KEYS = [b"a", b"ab", b"b", b"ba", b"c\0", b"\xff", b"z" * 511]
KINDS = {
    "plain": ({}, KEYS, lambda key: key),
    "integer": ({"integerkey": True}, NUMBERS, lambda key: struct.unpack("=Q", key)),
    "reversed": ({"reverse_key": True}, KEYS, lambda key: key[::-1]),
}


@pytest.fixture(params=[False, True], ids=["one value", "duplicates"])
def dupsort(request):
    return request.param


def check(txn, db, records, keys, order, as_item):
    """Compare each result with the record that a list has; records are in order."""
    assert as_item(txn.first(db)) == (records[0] if records else None)
    assert as_item(txn.last(db)) == (records[-1] if records else None)
    for key in keys:
        upwards = [record for record in records if order(record[0]) >= order(key)]
        downwards = [record for record in records if order(record[0]) <= order(key)]
        assert as_item(txn.ceiling(key, db)) == (upwards[0] if upwards else None)
        assert as_item(txn.floor(key, db)) == (downwards[-1] if downwards else None)


@pytest.mark.parametrize("buffers", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_each_against_a_list(env, kind, dupsort, buffers):
    options, keys, order = KINDS[kind]
    db = env.open_db(b"db", dupsort=dupsort, **options)
    kept = []

    def as_item(item):
        if item is None:
            return None
        assert {type(part) for part in item} == {memoryview if buffers else bytes}
        kept.append(item)
        return tuple(map(bytes, item))

    for count in range(0, len(keys) + 1, 2):
        stored = keys[1 : count + 1]
        values = (b"1", b"2", b"3") if dupsort else (b"1",)
        records = [(key, value) for key in sorted(stored, key=order) for value in values]
        with env.begin(write=True) as txn:
            txn.drop(db, delete=False)
            for key, value in records:
                txn.put(key, value, db=db)
            with env.begin(write=True, parent=txn, buffers=buffers) as child:
                check(child, db, records, keys, order, as_item)
        with env.begin(buffers=buffers) as txn:
            check(txn, db, records, keys, order, as_item)
    assert all(len(part) for item in kept for part in item), "views outlive their transaction"


def test_records_of_many_pages(env):
    with env.begin(write=True) as txn:
        for i in range(0, 5000, 2):
            txn.put(b"%06d" % i, b"%d" % i * 20)
    with env.begin() as txn:
        assert txn.first()[0], txn.last()[0] == (b"000000", b"004998")
        for i in range(0, 5000, 7):
            key, below = b"%06d" % i, b"%06d" % (i - i % 2)
            assert txn.floor(key) == (below, txn.get(below))
            above = b"%06d" % (i + i % 2)
            assert txn.ceiling(key) == ((above, txn.get(above)) if above in txn else None)


def test_they_are_the_ends_of_ranges(env):
    db = env.open_db(b"db", dupsort=True)
    with env.begin(write=True, db=db) as txn:
        for key in (b"a", b"b", b"c"):
            for value in (b"1", b"2"):
                txn.put(key, value)
        assert txn.first() == next(txn.range()) == (b"a", b"1")
        assert txn.last() == next(txn.range(reverse=True)) == (b"c", b"2")
        for key in (b"a", b"b", b"bb"):
            assert txn.ceiling(key) == next(txn.range(key))
            reverse = txn.range(stop=key, include_stop=True, reverse=True)
            assert txn.floor(key) == next(reverse)


def test_an_empty_key_is_before_all_keys(env):
    """As in range() and set_range()."""
    with env.begin(write=True) as txn:
        txn.put(b"a", b"1")
        assert txn.ceiling(b"") == (b"a", b"1")
        assert txn.floor(b"") is None


def test_a_key_need_not_be_one_that_could_be_stored(env):
    with env.begin(write=True) as txn:
        txn.put(b"a", b"1")
        long = b"x" * 9000
        assert txn.floor(long) == (b"a", b"1")
        assert txn.ceiling(long) is None
        assert txn.ceiling(memoryview(b"a-a-")[::2]) is None
        assert txn.floor(bytearray(b"aa")) == (b"a", b"1")


def test_a_handle_that_was_opened_after_the_transaction_began(env):
    env.open_db(b"db")
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=env.open_db(b"db", txn))
    txn = env.begin()
    other = env.open_db(b"db")
    assert txn.first(other) == txn.last(other) == txn.floor(b"z", other) == (b"k", b"v")
    txn.abort()
    with pytest.raises(pylmdb.ClosedError):
        txn.first()


def test_what_a_write_transaction_has_written_counts(env):
    with env.begin(write=True) as txn:
        assert txn.first() is txn.last() is None
        txn.put(b"b", b"2")
        txn.put(b"a", b"1")
        assert (txn.first(), txn.last()) == ((b"a", b"1"), (b"b", b"2"))
        txn.delete(b"b")
        assert txn.floor(b"z") == (b"a", b"1")
