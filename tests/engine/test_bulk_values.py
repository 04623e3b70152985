# SPDX-License-Identifier: MIT
"""Values of keys that are appended many at a time: they are gathered, and more of them than a node
takes become trees (lib/liblmdb/bulk_trees.c)."""

import random
import struct

import lmdb
import numpy
import pytest

import pylmdb
from pylmdb.verify import verify


def tree_items(rng, size, counts, fixed):
    """Return a key for each of ``counts``, with that number of ascending values, of ``size`` bytes
    or up to that."""
    items = []
    for key, count in enumerate(counts):
        numbers = sorted(rng.sample(range(256**4), count))
        for number in numbers:
            text = struct.pack(">I", number)
            more = size - 4 if fixed else rng.randrange(size - 3)
            items.append((b"%06d" % key, text + b"v" * more))
    return items


def grouped(items):
    """Return a dict from each key to its values."""
    found = {}
    for key, value in items:
        found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        (4, [3, 20_000, 1, 600, 600]),
        (4, [30_000]),
        (9, [1, 150, 200, 250, 300, 2000]),  # as many as a node takes, and a few more
        (200, [5000, 3, 70]),  # branch pages on several levels
        (500, [4] * 50 + [900, 1, 1]),
    ],
    ids=["several", "one key", "odd", "deep", "large"],
)
# A list and an iterator differ in how records are taken, and not in where their values go.
@pytest.mark.parametrize(("fixed", "give"), [(True, list), (False, iter)], ids=["fixed", "any"])
def test_trees_of_values(open_env, env_path, lib_version, fixed, size, counts, give):
    rng = random.Random(size)
    env = open_env(max_dbs=2, sync=False)
    db = env.open_db(b"db", dupsort=True, dupfixed=fixed)
    items = tree_items(rng, size, counts, fixed)
    with env.begin(db, write=True) as txn:
        cursor = txn.cursor()
        assert cursor.putmulti(give(items), append=True) == (len(items), len(items))
        assert cursor.item() == items[-1]
        assert txn.stat(db).entries == len(items)
        assert list(txn.cursor()) == items
    with env.begin(db, write=True) as txn:
        model = grouped(items)
        cursor = txn.cursor()
        for key, values in model.items():
            assert cursor.set_key(key)
            assert cursor.count() == len(values)
            assert cursor.last_dup()
            assert cursor.value() == values[-1]
            for value in rng.sample(values, min(len(values), 300)):
                assert txn.delete(key, value)
                values.remove(value)
            for value in [values[-1] + b"x"] if values and not fixed else []:
                assert cursor.put(key, value)
                values.append(value)
        left = [(key, value) for key, values in model.items() for value in values]
        assert list(txn.cursor()) == left
    env.close()
    assert verify(env_path) == []
    with lmdb.open(env_path, max_dbs=2, lib_version=lib_version) as theirs:
        handle = theirs.open_db(b"db")
        with theirs.begin(handle, write=True) as txn:
            assert list(txn.cursor()) == left
            txn.drop(handle)
    assert verify(env_path) == []


@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_trees_of_values_of_one_width(open_env, env_path, width):
    """Bounds of such pages are only counters, which may pass the page's end."""
    env = open_env(max_dbs=2)
    db = env.open_db(b"fixed", dupsort=True, dupfixed=True)
    count = min(256**width, 5000)
    values = [i.to_bytes(width, "big") for i in range(count)]
    key = b"k" * 300  # then 256 values of a byte do not fit into a node
    items = [(key + b"%d" % i, value) for i in range(9) for value in values]
    with env.begin(db, write=True) as txn:
        assert txn.cursor().putmulti(items, append=True) == (len(items), len(items))
        assert txn.delete(items[-2][0], items[-2][1])
        assert list(txn.cursor()) == items[:-2] + items[-1:]
    env.close()
    assert verify(env_path) == []


def test_values_that_are_not_greater_are_not_appended(env):
    """A tree, a value that is there, one that belongs before the last one, and another key."""
    db = env.open_db(b"db", dupsort=True)
    items = [(b"key", b"%06d" % i) for i in range(2000)]
    with env.begin(db, write=True) as txn:
        given = [*items, items[-1], items[3], (b"key", b"9"), (b"zzz", b"1"), (b"kez", b"2")]
        assert txn.cursor().putmulti(given, append=True) == (len(given), len(given) - 2)
        assert list(txn.cursor()) == [*items, (b"key", b"9"), (b"kez", b"2"), (b"zzz", b"1")]


def test_a_key_that_exists_gets_more_values(open_env, env_path):
    env = open_env(max_dbs=2)
    db = env.open_db(b"db", dupsort=True)
    items = [(b"key", b"%06d" % i) for i in range(3000)] + [(b"next", b"1")]
    with env.begin(db, write=True) as txn:
        for i in range(0, len(items), 700):
            txn.cursor().putmulti(items[i : i + 700], append=True)
        assert list(txn.cursor()) == items
    env.close()
    assert verify(env_path) == []


@pytest.mark.parametrize("count", [5, 2000])
def test_a_width_that_the_values_of_a_key_do_not_have_is_refused(env, count):
    db = env.open_db(b"fixed", dupsort=True, dupfixed=True)
    items = [(b"a", b"4444")] + [(b"b", b"%08d" % i) for i in range(count)]
    with env.begin(db, write=True) as txn:
        with pytest.raises(pylmdb.BadValsizeError):
            txn.cursor().putmulti([*items, (b"b", b"9999"), (b"c", b"1")], append=True)
        assert list(txn.cursor()) == items


def test_a_record_that_is_refused_leaves_the_cursor(env):
    db = env.open_db(b"fixed", dupsort=True, dupfixed=True)
    with env.begin(db, write=True) as txn:
        for key in (b"a", b"b", b"c"):
            txn.put(key, b"1")
        cursor = txn.cursor()
        assert cursor.set_key(b"a")
        for record in [(b"b", b"22"), (b"d", b"v" * 2000), (b"d" * 2000, b"1")]:
            with pytest.raises(pylmdb.BadValsizeError):
                cursor.putmulti([record], append=True)
            assert cursor.item() == (b"a", b"1")


def test_few_values_or_overwrite_false_leave_the_first_value(env):
    db = env.open_db(b"db", dupsort=True)
    items = [(b"%04d" % (i // 3), b"%04d" % i) for i in range(3000)]
    with env.begin(db, write=True) as txn:
        added = txn.cursor().putmulti(items, overwrite=False, append=True)
        assert added == (3000, 1000)
        assert list(txn.cursor()) == items[::3]


def test_arrays_in_databases_with_duplicates(env):
    db = env.open_db(b"db", dupsort=True, dupfixed=True)
    numbers = numpy.arange(6000)
    keys = numpy.array([b"%05d" % (i // 900) for i in numbers])
    values = numbers.astype(">u8").view("u1").reshape(-1, 8)
    items = [(bytes(key), bytes(value)) for key, value in zip(keys, values, strict=True)]
    with env.begin(db, write=True) as txn:
        assert txn.put_arrays(keys, values) == 6000
        assert list(txn.cursor()) == items
        order = numpy.random.default_rng(1).permutation(6000)
        assert txn.put_arrays(keys[order], values[order], overwrite=False) == 0
        txn.drop(db, delete=False)
        assert txn.put_arrays(keys[order], values[order]) == 6000
        assert list(txn.cursor()) == items
