# SPDX-License-Identifier: MIT
"""count() and delete_range(): bounds and prefixes as those of range(), what they refuse, views and
snapshots, and what other programs read afterwards.  Cursors: ``tests/core/test_delete_range.py``.
"""

import itertools
import random
import struct

import pytest

import pylmdb

KEYS = [b"", b"a", b"a\xff", b"a\xff\xff", b"a\xffb", b"b", b"b1", b"\xff", b"\xff\xff", b"0"]
pack = struct.Struct("=Q").pack


def keys_of(txn, db=None):
    return [bytes(key) for key in txn.range(values=False, db=db)]


def fill(env, count, size=100, **options):
    """Put this number of records with ascending keys into the main database; return the keys."""
    keys = [b"%07d" % number for number in range(count)]
    with env.begin(write=True) as txn:
        txn.cursor().putmulti([(key, key * (size // 7)) for key in keys], **options)
    return keys


def check(env, keys):
    """The main database has these keys, and the file is sound."""
    with env.begin() as txn:
        assert keys_of(txn) == keys
        assert txn.stat().entries == len(keys)
    report = pylmdb.verify(env.path())
    assert report.ok, str(report)


# -- bounds ---------------------------------------------------------------------------------


def check_range(env, txn, **bounds):
    """Compare with range(), in a child transaction, which is aborted."""
    within = list(txn.range(**bounds, values=False))
    assert txn.count(**bounds) == len(within), bounds
    child = env.begin(write=True, parent=txn)
    if any(bound is not None for bound in bounds.values()):
        assert child.delete_range(**bounds) == len(within), bounds
        assert keys_of(child) == sorted(set(KEYS[1:]) - set(within)), bounds
        assert child.count(**bounds) == child.delete_range(**bounds) == 0
    child.abort()


def test_bounds(env):
    with env.begin(write=True) as txn:
        for key in KEYS[1:]:
            txn.put(key, key)
        for start, stop in itertools.product([None, *KEYS], repeat=2):
            check_range(env, txn, start=start, stop=stop)
        for prefix in (*KEYS, b"c", b"\xff\xff\xff"):
            check_range(env, txn, prefix=bytearray(prefix))
        with pytest.raises(TypeError):
            txn.count(b"a", b"b", b"c")


def test_no_bounds(env):
    db = env.open_db(b"db", dupsort=True)
    with env.begin(write=True) as txn:
        assert txn.count(db=db) == 0
        txn.put(b"a", b"1", db=db), txn.put(b"a", b"2", db=db), txn.put(b"b", b"1", db=db)
        assert txn.count(db=db) == 3
        assert txn.count() == 1  # the name
        with pytest.raises(TypeError, match=r"txn\.drop\(db, delete=False\)"):
            txn.delete_range(db=db)
        assert txn.count(db=db) == 3


def test_each_value_of_a_key_counts(env):
    db = env.open_db(b"db", dupsort=True)
    with env.begin(db, write=True) as txn:
        for key, count in ((b"a", 1), (b"b", 3), (b"c", 2000), (b"d", 1)):
            txn.cursor().putmulti([(key, b"%04d" % number) for number in range(count)])
        assert [txn.count(key, key + b"0") for key in (b"a", b"b", b"c", b"d")] == [1, 3, 2000, 1]
        assert txn.count(b"b", b"d") == 2003
        assert txn.delete_range(b"b", b"d") == 2003
        assert list(txn.range()) == [(b"a", b"0000"), (b"d", b"0000")]


def test_integer_keys(env):
    db = env.open_db(b"db", integerkey=True)
    with env.begin(db, write=True) as txn:
        assert txn.count(None, b"abc") == txn.delete_range(None, pack(1)) == 0
        for number in (1, 255, 256, 65536, 1 << 40):
            txn.put(pack(number), b"")
        assert txn.count(pack(2), pack(65536)) == 2
        assert txn.count(b"", pack(256)) == 2
        for use in (txn.count, txn.delete_range):
            for start in (b"abc", b"abcd"):
                with pytest.raises(pylmdb.BadValsizeError):
                    use(start)
            for stop in (b"abc", b"abcd", b""):
                with pytest.raises(pylmdb.InvalidParameterError, match=f"has the size {len(stop)}"):
                    use(pack(1), stop)
        assert txn.delete_range(pack(2), pack(65536)) == 2
        assert keys_of(txn) == [pack(1), pack(65536), pack(1 << 40)]


def test_a_prefix_needs_the_usual_order(env):
    for options in ({"integerkey": True}, {"reverse_key": True}):
        db = env.open_db(repr(options).encode(), **options)
        with env.begin(db, write=True) as txn:
            for use in (txn.count, txn.delete_range):
                with pytest.raises(pylmdb.InvalidParameterError, match=f"{use.__name__}: .*order"):
                    use(prefix=b"a")


def test_large_ranges(open_env):
    env = open_env(sync=False)
    keys = fill(env, 10_000)
    assert env.stat().depth == 3
    chance = random.Random(5)
    with env.begin(write=True) as txn:
        for _ in range(10):
            low, high = sorted(chance.choices(range(len(keys) + 1), k=2))
            start = keys[low] if low < len(keys) else b"9"
            stop = keys[high] if high < len(keys) else chance.choice([None, b"9"])
            child = env.begin(write=True, parent=txn)
            assert child.count(start, stop) == high - low
            assert child.delete_range(start, stop) == high - low
            assert keys_of(child) == keys[:low] + keys[high:]
            child.abort()
        assert keys_of(txn) == keys
        assert txn.delete_range(keys[10], keys[-10]) == len(keys) - 20
    check(env, keys[:10] + keys[-10:])


# -- what is refused ---------------------------------------------------------------------------


def test_named_databases_are_not_records(env):
    fill(env, 5000)
    named = env.open_db(b"named")
    with env.begin(named, write=True) as txn:
        txn.put(b"k", b"v")
    with env.begin(write=True) as txn:
        every = keys_of(txn)
        for bounds in ({"start": b"0"}, {"stop": b"z"}, {"prefix": b"n"}, {"prefix": b""}):
            with pytest.raises(pylmdb.IncompatibleError, match=r"b'named' is the name.*drop\(\)"):
                txn.delete_range(**bounds)
            assert keys_of(txn) == every
        assert txn.count(prefix=b"named") == 1
        assert txn.delete_range(b"0000001", b"0004999") == 4998
        assert txn.get(b"k", db=named) == b"v"
    with env.begin() as txn:
        assert keys_of(txn) == [every[0], every[-2], every[-1]]


def test_read_transactions_cannot_delete(env):
    fill(env, 10)
    with env.begin() as txn:
        for start, stop in ((b"0", None), (b"z", None), (b"z", b"a"), (b"a", b"")):
            with pytest.raises(pylmdb.ReadonlyError, match="delete_range: this is a read trans"):
                txn.delete_range(start, stop)
        assert txn.count() == 10


@pytest.mark.parametrize("writemap", [False, True])
def test_a_full_map(open_env, writemap):
    """Pages are copied before they change; if none are left, the transaction has failed."""
    with open_env() as env:
        keys = fill(env, 1000)
        used, psize = env.info().used, env.stat().psize
    found = set()
    for room in range(8):
        with open_env(map_size=used + room * psize, writemap=writemap) as env:
            txn = env.begin(write=True)
            try:
                found.add(txn.delete_range(keys[1], keys[-1]))
            except pylmdb.MapFullError:
                found.add(None)
                with pytest.raises(pylmdb.BadTxnError):
                    txn.get(keys[0])
            txn.abort()
            check(env, keys)
    assert found == {None, 998}


# -- what stays -----------------------------------------------------------------------------------


def test_views_and_snapshots(env):
    keys = fill(env, 3000)
    with env.begin(buffers=True) as old:
        views = [old.get(key) for key in keys[::100]]
        with env.begin(write=True) as txn:
            assert txn.delete_range(keys[10]) == 2990
        assert keys_of(old) == keys
        assert old.count(keys[10]) == 2990
    for _ in range(3):
        with env.begin(write=True) as txn:
            txn.cursor().putmulti([(b"x" + key, b"x" * 100) for key in keys])
    assert views == [key * 14 for key in keys[::100]]
    check(env, keys[:10] + [b"x" + key for key in keys])


def test_records_of_the_same_transaction(open_env):
    """Their pages are in memory, or, if they were built in bulk, written already."""
    env = open_env(sync=False)
    keys = [b"%07d" % number for number in range(20_000)]
    with env.begin(write=True) as txn:
        for append in (False, True):
            txn.cursor().putmulti([(key, key * 10) for key in keys], append=append)
            assert txn.delete_range(keys[100], keys[-100]) == 19_800
            with env.begin(write=True, parent=txn) as child:
                assert child.delete_range(keys[50]) == 150
            child = env.begin(write=True, parent=txn)
            assert child.delete_range(b"") == 50
            child.abort()
            assert keys_of(txn) == keys[:50]
            assert txn.delete_range(b"") == 50
        txn.put(b"k", b"v")
    check(env, [b"k"])


def test_freed_pages_are_used_again(open_env):
    env = open_env(sync=False)
    sizes = []
    for _ in range(8):
        keys = fill(env, 4000, 700)
        with env.begin(write=True) as txn:
            txn.put(b"large", b"v" * 3_000_000)
            assert txn.delete_range(b"0", b"z") == 4001
        sizes.append(env.info().last_pgno)
    assert sizes[-1] == sizes[3]
    with env.begin(write=True) as txn:
        txn.cursor().putmulti([(key, key) for key in keys])
    check(env, keys)


def test_other_programs_read_what_is_left(env, env_path, lib_version):
    lmdb = pytest.importorskip("lmdb")
    keys = fill(env, 5000)
    dups = env.open_db(b"dups", dupsort=True)
    pairs = [(b"%03d" % (number // 50), b"%05d" % number) for number in range(20_000)]
    with env.begin(write=True) as txn:
        txn.cursor(dups).putmulti(pairs)
        assert txn.delete_range(keys[7], keys[-7]) == 5000 - 14
        assert txn.delete_range(b"001", b"399", db=dups) == 398 * 50
    env.close()
    with lmdb.open(env_path, max_dbs=1) as theirs, theirs.begin(write=True) as txn:
        left = list(txn.cursor().iternext(values=False))
        assert left == keys[:7] + keys[-7:] + [b"dups"] or lib_version
        db = theirs.open_db(b"dups", txn, create=False)
        assert list(txn.cursor(db)) == pairs[:50] + pairs[-50:]
        assert txn.cursor(db).putmulti(pairs[50:100])[1] == 50
    env.close()
