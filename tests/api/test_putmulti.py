# SPDX-License-Identifier: MIT
"""putmulti sorts a list, with the same result as in the given order."""

import os
import random

import pytest

import pylmdb
from pylmdb import lowlevel

VALUE = b"v" * 40


def shuffled(count, seed=1):
    keys = [b"%06d" % i for i in range(count)]
    random.Random(seed).shuffle(keys)
    return keys


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_all_records_arrive(env, kind):
    items = [(key, key[::-1]) for key in shuffled(5000)]
    with env.begin(write=True) as txn:
        assert txn.cursor().putmulti(kind(items)) == (5000, 5000)
        assert list(txn.cursor()) == sorted(items)


def test_the_c_core_fills_the_pages_of_an_empty_database(env, core):
    """The other core, which it is compared with, keeps the order of the list."""
    items = [(key, VALUE) for key in shuffled(5000)]
    with env.begin(write=True) as txn:
        txn.cursor().putmulti(items)
        in_order = env.open_db(b"in order", txn=txn)
        txn.cursor(in_order).putmulti(sorted(items), append=True)
        full = txn.stat().leaf_pages <= txn.stat(in_order).leaf_pages + 1
        assert full == (core == "c")


def test_of_one_key_the_last_value_stays(env):
    items = [(b"%03d" % (i % 100), b"%d" % i) for i in range(1000)]
    with env.begin(write=True) as txn:
        assert txn.cursor().putmulti(items) == (1000, 1000)
        assert list(txn.cursor()) == sorted(items[-100:])


def test_of_one_key_the_first_value_stays_without_overwrite(env):
    items = [(b"%03d" % (i % 100), b"%d" % i) for i in range(1000)]
    with env.begin(write=True) as txn:
        txn.put(b"050", b"before")
        assert txn.cursor().putmulti(items, overwrite=False) == (1000, 99)
        expected = dict(items[:100]) | {b"050": b"before"}
        assert dict(txn.cursor()) == expected


@pytest.mark.parametrize("overwrite", [True, False])
def test_the_cursor_stays_on_the_last_of_the_list(env, overwrite):
    keys = shuffled(300)
    with env.begin(write=True) as txn:
        txn.put(keys[-1], b"before")
        cursor = txn.cursor()
        cursor.putmulti([(key, VALUE) for key in keys], overwrite=overwrite)
        assert cursor.item() == (keys[-1], VALUE if overwrite else b"before")


BAD = {
    "no tuple": (["key", b"value"], TypeError),
    "three": ((b"key", b"value", b"more"), TypeError),
    "text": ((b"key", "value"), TypeError),
    "empty key": ((b"", b"value"), pylmdb.BadValsizeError),
    "long key": ((b"k" * 5000, b"value"), pylmdb.BadValsizeError),
}


@pytest.mark.parametrize("name", BAD)
def test_items_before_a_bad_one_are_put_and_none_after_it(env, name):
    item, error = BAD[name]
    keys = shuffled(100)
    items = [(key, VALUE) for key in keys]
    with env.begin(write=True) as txn:
        with pytest.raises(error):
            txn.cursor().putmulti([*items[:60], item, *items[60:]])
        assert list(txn.cursor().iternext(values=False)) == sorted(keys[:60])


def test_other_objects_among_bytes(env):
    keys = shuffled(200)
    items = [
        (bytearray(key), memoryview(VALUE)) if i % 7 == 0 or 90 < i < 120 else (key, VALUE)
        for i, key in enumerate(keys)
    ]
    with env.begin(write=True) as txn:
        assert txn.cursor().putmulti(items) == (200, 200)
        assert list(txn.cursor()) == [(key, VALUE) for key in sorted(keys)]


@pytest.mark.parametrize(
    "flags",
    [
        {"dupsort": True},
        {"reverse_key": True},
        {"integerkey": True},
        {"dupfixed": True},
    ],
)
def test_every_kind_of_database(env, flags):
    items = [((i * 7919 % 500).to_bytes(8, "little"), b"%03d" % (i % 3)) for i in range(500)]
    db = env.open_db(b"kind", **flags)
    with env.begin(write=True) as txn:
        assert txn.cursor(db).putmulti(items) == (500, 500)
        assert sorted(txn.cursor(db)) == sorted(items)
        assert txn.stat(db).entries == 500


def test_append_refuses_what_is_out_of_order(env):
    items = [(key, VALUE) for key in shuffled(100)]
    with env.begin(write=True) as txn:
        consumed, added = txn.cursor().putmulti(items, append=True)
        assert (consumed, added < 100) == (100, True)


def test_large_values(env):
    items = [(key, key * 2000) for key in shuffled(40)]
    with env.begin(write=True) as txn:
        assert txn.cursor().putmulti(items) == (40, 40)
        assert list(txn.cursor()) == sorted(items)


def test_a_key_that_is_too_long_for_small_pages(open_env, env_path):
    """LMDB 1.0 takes keys of what fits a page: in these less than the usual 511 bytes."""
    engine = lowlevel.engines()[1]
    out = engine.ffi.new("MDB_env **")
    assert engine.lib.mdb_env_create(out) == 0
    assert engine.lib.mdb_env_set_pagesize(out[0], 512) == 0
    os.mkdir(env_path)
    assert engine.lib.mdb_env_open(out[0], os.fsencode(env_path), 0, 0o644) == 0
    engine.lib.mdb_env_close(out[0])
    env, keys = open_env(lib_version=None), shuffled(100)
    long = b"000000" * 80
    assert env.max_key_size() < len(long) < 511
    items = [(key, VALUE) for key in keys]
    with env.begin(write=True) as txn:
        with pytest.raises(pylmdb.BadValsizeError):
            txn.cursor().putmulti([*items[:60], (long, VALUE), *items[60:]])
        assert list(txn.cursor().iternext(values=False)) == sorted(keys[:60])
    env.close()
    with open_env(lib_version=None) as env:
        assert env.stat().psize == 512
