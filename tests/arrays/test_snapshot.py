# SPDX-License-Identifier: MIT
"""Environment.snapshot(): the records of a database by number, unchanged while it is kept."""

import copy
import gc
import pickle
import shutil
import time

import pytest
from programs import in_threads

import pylmdb

np = pytest.importorskip("numpy")

RNG = np.random.default_rng(1)
COUNT = 200


@pytest.fixture
def env(open_env):
    """Return a new environment that does not wait for the disk."""
    return open_env(max_dbs=8, sync=False)


def rows(count=COUNT, size=300):
    return RNG.integers(0, 2**31, (count, size), np.int32)


def fill(env, table, db=None):
    with env.begin(write=True) as txn:
        txn.put_arrays(range(len(table)), table, key_format="%05d", db=db)


def overwrite(env, rounds=5):
    """Commit until every page that may be reused has been."""
    for n in range(rounds):
        with env.begin(write=True) as txn:
            txn.put_arrays(range(COUNT), rows(), key_format="%05d")
            txn.put(b"filler", bytes([n]) * 100_000)
            txn.delete(b"%05d" % (n * 7))


@pytest.fixture
def table(env):
    """Return the values of the records 00000 to 00199, which an environment has."""
    table = rows()
    fill(env, table)
    return table


@pytest.fixture
def snapshot(env, table):
    """Return a snapshot of these."""
    return env.snapshot()


def assert_right(snapshot, table):
    count = len(table)
    assert len(snapshot) == count
    assert np.array_equal(snapshot.take(range(count), "i4", table.shape[1:]), table)
    assert snapshot[count // 2] == table[count // 2].tobytes()
    assert snapshot.key(-1) == b"%05d" % (count - 1)
    assert snapshot.keys()[7] == b"00007"


# -- records by number -----------------------------------------------------------------------


def test_records_by_number(snapshot, table):
    assert_right(snapshot, table)
    assert isinstance(snapshot, pylmdb.arrays.Snapshot)
    for i in (0, 1, COUNT - 1, -1, -COUNT, np.int64(5), np.uint8(3)):
        view = snapshot[i]
        assert (type(view), view.readonly, view.format, view.ndim) == (memoryview, True, "B", 1)
        assert view == table[i].tobytes()
        assert snapshot.key(i) == b"%05d" % (i % COUNT)
    for i in (COUNT, -COUNT - 1, 2**62, 2**64, -(2**70)):
        for get in (snapshot.__getitem__, snapshot.key):
            with pytest.raises(IndexError, match=f"there are {COUNT} records"):
                get(i)
    for i in (1.0, "1", None, b"00001", (1, 2)):
        with pytest.raises(TypeError):
            snapshot[i]


def test_slices_and_iteration(snapshot, table):
    values = [row.tobytes() for row in table]
    for part in (slice(None), slice(3, 9), slice(None, None, -7), slice(-5, None), slice(9, 3),
                 slice(150, 9999), slice(-9999, 4, 2)):  # fmt: skip
        assert snapshot[part] == values[part]
    assert list(snapshot) == values
    assert [bytes(value) for value in reversed(snapshot)] == values[::-1]
    assert values[3] in snapshot
    assert b"none" not in snapshot


def test_keys(env):
    assert env.snapshot().keys().tolist() == []
    table = np.arange(30)
    fixed, native4, native8, several = (
        env.open_db(b"fixed"),
        env.open_db(b"4", integerkey=True),
        env.open_db(b"8", integerkey=True),
        env.open_db(b"several"),
    )
    with env.begin(write=True) as txn:
        txn.put_arrays(range(30), table, db=fixed)
        txn.put_arrays(np.arange(30, dtype="u4"), table, db=native4)
        txn.put_arrays(np.arange(30, dtype="u8"), table, db=native8)
        txn.put_arrays(range(30), table, key_format="%d", db=several)
    assert env.snapshot(fixed).keys().dtype == "V8"  # the first is all zeros
    assert env.snapshot(fixed).keys().view(">u8").tolist() == list(range(30))
    assert env.snapshot(native4).keys().dtype == np.uint32
    assert env.snapshot(native4).keys().tolist() == list(range(30))
    assert env.snapshot(native8).keys().dtype == np.uint64
    assert env.snapshot(native8).keys().tolist() == list(range(30))
    names = sorted(b"%d" % n for n in range(30))
    assert env.snapshot(several).keys() == names
    assert [env.snapshot(several).key(i) for i in range(30)] == names
    for db in (fixed, native4, native8, several):
        keys = env.snapshot(db).keys()
        with env.begin() as txn:
            right = np.array(list(txn.range(keys=False, db=db))).view("i8")
            assert txn.take(keys, "i8", db=db).tolist() == right.tolist()


def test_an_empty_database(env):
    snapshot = env.snapshot()
    assert len(snapshot) == 0
    assert not snapshot
    assert list(snapshot) == snapshot[:] == []
    assert snapshot.take([], "f4", (2, 3)).shape == (0, 2, 3)
    for use in (lambda: snapshot[0], lambda: snapshot.key(-1), lambda: snapshot.take([0], "i4")):
        with pytest.raises(IndexError):
            use()


def test_databases_with_duplicates(env):
    several, fixed = env.open_db(b"s", dupsort=True), env.open_db(b"f", dupsort=True, dupfixed=True)
    numbers = RNG.permutation(3000).astype(">u4")
    for db in (several, fixed):
        with env.begin(write=True) as txn:
            txn.put_arrays([b"a"] * 10 + [b"b"] + [b"c"] * 2989, numbers, db=db)
            right = [(key, bytes(value)) for key, value in txn.range(db=db)]
        snapshot = env.snapshot(db)
        assert len(snapshot) == 3000
        assert [(snapshot.key(i), bytes(v)) for i, v in enumerate(snapshot)] == right
        found = snapshot.take(range(3000), ">u4")
        assert found.tobytes() == b"".join(value for _, value in right)
        assert snapshot.keys().tolist() == [key for key, _ in right]


def test_values_of_every_size(env):
    values = [RNG.bytes(int(size)) for size in RNG.integers(0, 9000, 100)]
    with env.begin(write=True) as txn:
        for i, value in enumerate(values):
            txn.put(b"%d" % (1000 + i), value)
    snapshot = env.snapshot()
    assert list(snapshot) == values
    for i, value in enumerate(values):
        assert snapshot.take([i, i - 100], "u1", len(value)).tobytes() == 2 * value


# -- take ------------------------------------------------------------------------------------


def test_take_by_any_numbers(snapshot, table):
    numbers = RNG.integers(-COUNT, COUNT, 500)
    for given in (numbers, numbers.tolist(), numbers.astype(">i2"), numbers[::-1][::-1],
                  np.array([numbers, numbers]).T[:, 0], tuple(numbers)):  # fmt: skip
        assert np.array_equal(snapshot.take(given, "i4", 300), table[numbers])
    for dtype in ("u1", "i1", "u2", "i4", "u8"):
        found = snapshot.take(np.array([5, 100, 0], dtype), "<i4", (3, 100))
        assert np.array_equal(found, table[[5, 100, 0]].reshape(3, 3, 100))
    assert np.array_equal(snapshot.take(range(10, 0, -3), "i4", 300), table[10:0:-3])
    assert snapshot.take([], "i4", 300).shape == (0, 300)
    assert snapshot.take(np.empty(0, int), "i4", 300).shape == (0, 300)


def test_take_of_no_numbers(snapshot):
    out = np.full((3, 300), 7, "i4")
    for wrong in ([1, True, None], [0.0, 1.0, 2.0], np.ones(3, bool), [[1, 2, 3]], 5, "012", None,
                  np.array(5), [b"0", b"1"], [2**64, 0, 1], np.zeros(3, "M8[s]")):  # fmt: skip
        with pytest.raises(TypeError):
            snapshot.take(wrong, "i4", 300, out)
    for wrong in (COUNT, -COUNT - 1, 2**31, 2**62, -(2**63), 2**63, 2**64 - 1):
        for numbers in ([0, 1, wrong], [wrong, 1, 2]):
            if wrong < 2**63:
                with pytest.raises(IndexError, match=str(wrong)):
                    snapshot.take(numbers, "i4", 300, out)
            with pytest.raises(IndexError):
                snapshot.take(np.array(numbers, "i8" if wrong < 2**63 else "u8"), "i4", 300, out)
    assert (out == 7).all()


def test_take_of_another_size(env, snapshot, table):
    with pytest.raises(pylmdb.InvalidParameterError, match="b'00000' has 1200 bytes"):
        snapshot.take([3], "i4", 299)
    with pytest.raises(TypeError, match="Python objects"):
        snapshot.take([3], "O")
    with env.begin(write=True) as txn:
        txn.put(b"00007", b"short")
    other = env.snapshot()
    out = np.full((2, 300), 7, "i4")
    for numbers in ([6, 7], [-193, 8], [7, 7]):
        with pytest.raises(pylmdb.InvalidParameterError, match=r"b'00007' has 5 bytes.*takes 1200"):
            other.take(numbers, "i4", 300, out)
    for wrong in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError, match=str(wrong)):
            other.take([0, wrong], "i4", 300, out)
    assert (out == 7).all()
    assert other.take([7], "u1", 5).tobytes() == b"short"
    assert np.array_equal(other.take([6, 8, -1], "i4", 300), table[[6, 8, -1]])
    assert snapshot[7] == table[7].tobytes()


def test_take_into_out(snapshot, table):
    numbers = RNG.integers(-COUNT, COUNT, 60)
    for whole, view in (
        ((60, 300), lambda a: a), ((60, 300), lambda a: a[::-1]), ((300, 60), lambda a: a.T),
        ((180, 300), lambda a: a[::3]), ((60, 900), lambda a: a[:, ::3]),
        ((60, 300), lambda a: a[:, ::-1]), ((70, 310), lambda a: a[5:-5, 5:-5]),
    ):  # fmt: skip
        owner = np.full(whole, -1, "i4")
        out = view(owner)
        for threads in (1, 3):
            assert snapshot.take(numbers, "i4", (300,), out, threads) is out
            assert np.array_equal(out, table[numbers])
            out[:] = -1
            assert (owner == -1).all()
    frozen = np.zeros((60, 300), "i4")
    frozen.flags.writeable = False
    for kind, out in ((TypeError, np.zeros((60, 300), "u4")), (TypeError, bytearray(72_000)),
                      (ValueError, np.zeros((59, 300), "i4")), (ValueError, frozen)):  # fmt: skip
        with pytest.raises(kind, match="out"):
            snapshot.take(numbers, "i4", 300, out)


def test_take_with_threads(env):
    table = rows(40, 50_000)
    fill(env, table)
    snapshot = env.snapshot()
    numbers = RNG.integers(-40, 40, 100)
    for threads in range(1, 9):
        found = snapshot.take(numbers, "i4", 50_000, threads=threads)
        assert np.array_equal(found, table[numbers])
    for threads in (0, 65):
        with pytest.raises(pylmdb.InvalidParameterError, match="threads"):
            snapshot.take([0], "i4", 50_000, threads=threads)


def test_several_threads_at_once(snapshot, table, env):
    def gather(seed):
        rng = np.random.default_rng(seed)
        for _ in range(100):
            numbers = rng.integers(-COUNT, COUNT, 50)
            assert np.array_equal(snapshot.take(numbers, "i4", 300, threads=2), table[numbers])
            assert snapshot[numbers[0]] == table[numbers[0]].tobytes()

    in_threads(*(lambda seed=seed: gather(seed) for seed in range(3)), lambda: overwrite(env))


def test_numbers_that_change_meanwhile(snapshot, table):
    """Another thread cannot make it read what is no record."""
    numbers = np.ones(50_000, np.int64)
    done = []

    def change():
        while not done:
            numbers[:] = 2**40
            numbers[:] = 1

    def gather():
        try:
            for _ in range(30):
                try:
                    found = snapshot.take(numbers, "i4", 300)
                except IndexError:
                    continue
                assert np.array_equal(found[[0, -1]], table[[1, 1]])
        finally:
            done.append(True)

    in_threads(change, gather)


# -- how long it is right --------------------------------------------------------------------


def test_it_stays_right(open_env, env, snapshot, table, env_path):
    overwrite(env)
    assert_right(snapshot, table)
    env.set_mapsize(1 << 30)
    overwrite(env, 2)
    with pytest.raises(pylmdb.BusyError):
        env.compact()
    assert_right(snapshot, table)
    env.close()
    assert_right(snapshot, table)
    again = open_env()
    overwrite(again)
    again.close()
    shutil.rmtree(env_path)
    del env, again
    gc.collect()
    assert_right(snapshot, table)


@pytest.mark.parametrize("writemap", [False, True])
def test_growth(open_env, writemap):
    env = open_env(max_map_size=1 << 30, writemap=writemap, sync=False)
    table = rows()
    fill(env, table)
    snapshot = env.snapshot()
    size = env.info()["map_size"]
    with env.begin(write=True) as txn:
        for n in range(12):
            txn.put(b"%d" % n, bytes(2_000_000))
    assert env.info()["map_size"] > size
    overwrite(env, 2)
    assert_right(snapshot, table)


def test_what_it_holds_is_visible_and_let_go(env, table):
    before = time.time()
    snapshot = env.snapshot()
    number = snapshot.txnid
    assert env.info()["pinned"] == 1
    (row,) = env.reader_list()
    assert before <= row.held_since <= time.time()
    assert row.txnid == number == env.info()["last_txnid"]
    snapshot.close()
    assert snapshot.closed
    assert env.info()["pinned"] == 0
    assert env.reader_list() == []
    other = env.snapshot()
    assert env.info()["pinned"] == 1
    del other
    gc.collect()
    assert env.info()["pinned"] == 0
    with env.snapshot() as third:
        assert env.info()["pinned"] == 1
        assert_right(third, table)
    assert env.info()["pinned"] == 0
    env.compact()


def test_views_outlive_it(env, table):
    snapshot = env.snapshot()
    views = [snapshot[3], snapshot[-1][10:20], np.frombuffer(snapshot[5], "i4"), *snapshot[8:9]]
    right = [table[3].tobytes(), table[-1].tobytes()[10:20], table[5].tobytes(), table[8].tobytes()]
    snapshot.close()
    del snapshot
    gc.collect()
    overwrite(env)
    assert [bytes(view) for view in views] == right
    assert env.info()["pinned"] == 1
    env.close()
    assert [bytes(view) for view in views] == right


def test_a_closed_snapshot(env, snapshot):
    iterator = iter(snapshot)
    next(iterator)
    for _ in range(2):
        snapshot.close()
    assert "closed" in repr(snapshot)
    for use in (
        lambda: snapshot[0], lambda: snapshot[:], lambda: snapshot.key(0), snapshot.keys,
        lambda: snapshot.take([0], "i4", 300), lambda: snapshot.take([], "i4"),
        lambda: next(iter(snapshot)), lambda: next(iterator), snapshot.__enter__,
        lambda: pickle.dumps(snapshot), lambda: copy.copy(snapshot),
    ):  # fmt: skip
        with pytest.raises(pylmdb.ClosedError, match="snapshot"):
            use()


def test_it_shows_what_was_committed(env, table):
    with env.begin(write=True) as txn:
        txn.put(b"zzz", b"new")
        before = env.snapshot()
    assert len(before) == COUNT
    assert len(env.snapshot()) == COUNT + 1
    assert env.snapshot().txnid == before.txnid + 1
    assert_right(before, table)
    env.close()
    with pytest.raises(pylmdb.ClosedError):
        env.snapshot()


def test_databases_that_are_not_there(env, open_env, tmp_path):
    db = env.open_db(b"db")
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=db)
    snapshot = env.snapshot(db)
    with env.begin(write=True) as txn:
        txn.drop(db)
    assert bytes(snapshot[0]) == b"v"
    with pytest.raises(pylmdb.InvalidParameterError):
        env.snapshot(db)
    with pytest.raises(TypeError):
        env.snapshot(b"db")
    other = open_env(str(tmp_path / "other"), max_dbs=2).open_db(b"db")
    with pytest.raises(pylmdb.InvalidParameterError):
        env.snapshot(other)
