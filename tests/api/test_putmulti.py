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
def test_an_empty_database_gets_what_puts_store(env, overwrite):
    """Keys with long common beginnings, zeros at their ends, and several values of one key."""
    rng = random.Random(1)
    parts = [b"\0", b"\0\0", b"a", b"common-beginning", b"\xff"]
    items = [
        (b"k" + b"".join(rng.choices(parts, k=rng.randrange(6))), rng.randbytes(3))
        for _ in range(5000)
    ]
    distinct = dict(items) if overwrite else dict(reversed(items))
    with env.begin(write=True) as txn:
        cursor = txn.cursor()
        added = len(items) if overwrite else len(distinct)
        assert cursor.putmulti(items, overwrite=overwrite) == (len(items), added)
        assert cursor.item() == (items[-1][0], distinct[items[-1][0]])
        assert list(txn.cursor()) == sorted(distinct.items())
    assert pylmdb.verify(env.path()).ok


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


# -- appended: what an iterator runs sees the records that it has given --------------------------


@pytest.fixture(params=[100, 5000], ids=["few", "many"])
def step(request):
    """After how many records an iterator uses the transaction: before and after some of them were
    built into pages."""
    return request.param


def appended(txn, use, step):
    """Append records of a generator that uses the transaction after some of them."""

    def records():
        for i in range(5 * step):
            if i and i % step == 0:
                use(i)
            yield b"%06d" % i, VALUE

    return txn.cursor().putmulti(records(), append=True)


def test_an_iterator_sees_the_records_that_it_has_given(env, step):
    seen, count = [], 5 * step
    with env.begin(write=True) as txn:
        other = txn.cursor()

        def use(i):
            assert other.last()
            seen.append((txn.stat().entries, other.key(), txn.get(b"%06d" % (i - 1))))

        assert appended(txn, use, step) == (count, count)
        assert list(txn.cursor().iternext(values=False)) == [b"%06d" % i for i in range(count)]
    assert seen == [(i, b"%06d" % (i - 1), VALUE) for i in range(step, count, step)]


def test_an_iterator_may_change_what_it_has_given(env, step):
    with env.begin(write=True) as txn:

        def use(i):
            assert txn.delete(b"%06d" % (i - 1))
            assert txn.put(b"%06d" % (i - 2), b"other")
            with env.begin(write=True, parent=txn) as child:
                assert child.get(b"%06d" % (i - 2)) == b"other"
                assert child.delete(b"%06d" % (i - 3))

        assert appended(txn, use, step) == (5 * step, 5 * step)
        assert txn.stat().entries == 5 * step - 8


def test_an_iterator_that_fails_leaves_what_it_has_given(env, step):
    def fail(i):
        raise ZeroDivisionError

    with env.begin(write=True) as txn:
        with pytest.raises(ZeroDivisionError):
            appended(txn, fail, step)
        assert txn.stat().entries == step
    assert env.stat().entries == step


def test_an_iterator_may_append_itself(env, step):
    with env.begin(write=True) as txn:

        def use(i):
            assert txn.cursor().putmulti([(b"%06d." % (i - 1), b"")], append=True) == (1, 1)

        assert appended(txn, use, step) == (5 * step, 5 * step)
        assert txn.stat().entries == 5 * step + 4


@pytest.mark.parametrize("end", ["abort", "commit"])
def test_an_iterator_may_end_the_transaction(env, step, end):
    txn = env.begin(write=True)
    with pytest.raises(pylmdb.Error):
        appended(txn, lambda i: getattr(txn, end)(), step)
    assert env.stat().entries == (step if end == "commit" else 0)


def test_an_iterator_may_close_the_cursor(env, step):
    with env.begin(write=True) as txn:
        cursor = txn.cursor()

        def records():
            for i in range(step):
                yield b"%06d" % i, VALUE
            cursor.close()
            yield b"more", VALUE

        with pytest.raises(pylmdb.Error):
            cursor.putmulti(records(), append=True)
        assert txn.stat().entries == step


def test_an_iterator_may_close_the_environment(open_env, step):
    env = open_env()
    txn = env.begin(write=True)
    with pytest.raises(pylmdb.Error):
        appended(txn, lambda i: env.close(), step)
    assert open_env().stat().entries == 0


def test_an_iterator_may_give_other_buffers(env, step):
    """Reading their memory may run code, so they are not gathered."""
    items = [(b"%06d" % i, VALUE if i % step else bytearray(VALUE)) for i in range(2 * step + 5)]
    with env.begin(write=True) as txn:
        assert txn.cursor().putmulti(iter(items), append=True) == (len(items), len(items))
        assert list(txn.cursor()) == items


@pytest.mark.parametrize("kind", [list, iter])
def test_records_that_are_not_greater_are_not_appended(env, kind):
    items = [(b"%06d" % i, VALUE) for i in range(3000)]
    given = [each for i, item in enumerate(items) for each in ([item] * 2 if i % 7 else [item])]
    given.insert(2000, items[0])
    with env.begin(write=True) as txn:
        cursor = txn.cursor()
        assert cursor.putmulti(kind(given), append=True) == (len(given), 3000)
        assert list(txn.cursor()) == items
        assert cursor.item() == items[-1]


@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize("flags", [{}, {"dupfixed": True}], ids=["dupsort", "dupfixed"])
def test_without_overwrite_a_key_gets_one_value(env, kind, flags):
    """Also where the records are built into pages."""
    db = env.open_db(b"dups", dupsort=True, **flags)
    items = [(b"%05d" % i, b"%d" % j) for i in range(900) for j in range(3)]
    with env.begin(write=True) as txn:
        cursor = txn.cursor(db)
        assert cursor.putmulti(kind(items), overwrite=False, append=True) == (2700, 900)
        assert cursor.item() == items[-3]
        assert list(txn.cursor(db)) == items[::3]


@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize("bad", [b"", b"k" * 5000])
def test_a_key_that_is_refused_leaves_those_before_it(env, kind, bad):
    items = [(b"%06d" % i, VALUE) for i in range(1000)]
    with env.begin(write=True) as txn:
        with pytest.raises(pylmdb.BadValsizeError):
            txn.cursor().putmulti(kind([*items, (bad, VALUE), (b"z", VALUE)]), append=True)
        assert list(txn.cursor()) == items
    with env.begin() as txn:
        assert list(txn.cursor()) == items


@pytest.mark.parametrize("kind", [list, iter])
def test_buffers_are_appended_among_bytes(env, kind):
    items = [(b"%06d" % i, VALUE) for i in range(1000)]
    given = [
        (key, memoryview(value)) if i % 50 == 0 else (bytearray(key), value) if i % 70 == 0
        else (key, value)
        for i, (key, value) in enumerate(items)
    ]  # fmt: skip
    with env.begin(write=True) as txn:
        assert txn.cursor().putmulti(kind(given), append=True) == (1000, 1000)
        assert list(txn.cursor()) == items
