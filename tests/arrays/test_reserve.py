# SPDX-License-Identifier: MIT
"""reserve(): values are written in place, and their memory stays valid while it is written."""

import contextlib
import gc
import io
import os
import random
import threading

import pytest
from numpy_if_any import np
from programs import in_threads, join, raised_by, run

import pylmdb

# PyPy has no C type that counts views: what is left after the block is memory of its own.
counts_views = pytest.mark.skipif(
    pylmdb._engine.Engine.lease_class is None, reason="views are not counted"
)

SIZES = [0, 1, 2, 100, 1900, 2000, 2100, 4096, 5000, 300_000]


@pytest.fixture
def env(open_env):
    """Return a new environment that does not wait for the disk."""
    return open_env(max_dbs=8, sync=False)


@pytest.fixture
def txn(env):
    """Return a write transaction with one record."""
    txn = env.begin(write=True)
    txn.put(b"old", b"value")
    yield txn
    txn.abort()


def pattern(size, seed=0):
    return random.Random(seed + size).randbytes(size)


def can_write(env):
    """Return True if the writer lock is free."""
    with env.begin(write=True, timeout=5) as txn:
        txn.put(b"free", b"")
    return True


# -- what is written -------------------------------------------------------------------------


def by_slices(view, data):
    half = len(data) // 2
    view[half:] = data[half:]
    view[:half] = data[:half]


def by_numpy(view, data):
    if data:
        np.frombuffer(view, np.uint8)[:] = np.frombuffer(data, np.uint8)


def by_file(view, data):
    assert io.BytesIO(data).readinto(view) == len(data)


def by_parts(view, data):
    for i in range(0, len(data), 999):
        with view[i : i + 999] as part:
            part[:] = data[i : i + 999]


@pytest.mark.parametrize("fill", [by_slices, by_numpy, by_file, by_parts])
@pytest.mark.parametrize("writemap", [False, True])
def test_values_of_every_size(open_env, fill, writemap):
    env = open_env(writemap=writemap, sync=False)
    with env.begin(write=True) as txn:
        for size in SIZES:
            with txn.reserve(b"%07d" % size, size) as view:
                assert (len(view), view.readonly, view.format, view.ndim) == (size, False, "B", 1)
                fill(view, pattern(size))
            assert txn.get(b"%07d" % size) == pattern(size)
    with env.begin() as txn:
        assert dict(txn.range()) == {b"%07d" % size: pattern(size) for size in SIZES}


def test_values_that_are_replaced(txn):
    for size in (*SIZES, *SIZES[::-1], 5, 5):
        with txn.reserve(b"k", size) as view:
            by_slices(view, pattern(size))
        assert txn.get(b"k") == pattern(size)
        assert txn.get(b"old") == b"value"
    cursor = txn.cursor()
    assert cursor.set_key(b"k")
    assert len(cursor.value()) == 5
    with txn.reserve(bytearray(b"k"), np.int64(3)) as view:
        view[:] = b"abc"
    assert txn.get(b"k") == cursor.value() == b"abc"


def test_named_databases(env):
    db = env.open_db(b"numbers", integerkey=True)
    other = env.open_db(b"reverse", reverse_key=True)
    with env.begin(write=True, db=other) as txn:
        with txn.reserve(b"12345678", 3, db=db) as view:
            view[:] = b"one"
        with txn.reserve(b"k", 3) as view:
            view[:] = b"two"
        for key in (b"123", b""):
            with pytest.raises(pylmdb.BadValsizeError), txn.reserve(key, 3, db=db):
                pass
        assert txn.get(b"12345678", db=db) == b"one"
        assert txn.get(b"k") == b"two"


def test_overwrite_and_append(txn):
    with (
        pytest.raises(pylmdb.KeyExistsError, match="b'old'"),
        txn.reserve(b"old", 3, overwrite=False),
    ):
        pytest.fail("there is a record")
    with txn.reserve(b"new", 3, overwrite=False) as view:
        view[:] = b"abc"
    with txn.reserve(b"zzz", 3, append=True) as view:
        view[:] = b"abc"
    for key in (b"zzz", b"abc"):
        with pytest.raises(pylmdb.KeyExistsError), txn.reserve(key, 3, append=True):
            pytest.fail("it is not behind the last one")
    assert dict(txn.range()) == {b"old": b"value", b"new": b"abc", b"zzz": b"abc"}


def test_what_cannot_be(env, txn):
    for flags in ({"dupsort": True}, {"dupsort": True, "dupfixed": True}):
        db = env.open_db(str(flags).encode(), txn, **flags)
        with (
            pytest.raises(pylmdb.IncompatibleError, match="duplicates"),
            txn.reserve(b"k", 3, db=db),
        ):
            pass
    for key in (b"", b"x" * 5000):
        with pytest.raises(pylmdb.BadValsizeError), txn.reserve(key, 3):
            pass
    with pytest.raises(ValueError, match="nbytes"):
        txn.reserve(b"k", -1)
    for key, size in (("k", 3), (b"k", "3"), (b"k", 1.5), (None, 3), (b"k", None)):
        with pytest.raises(TypeError):
            txn.reserve(key, size)
    with pytest.raises(OverflowError), txn.reserve(b"k", 2**70):
        pass
    assert list(txn.range(values=False)).count(b"k") == 0
    with env.begin() as reader, pytest.raises(pylmdb.ReadonlyError), reader.reserve(b"k", 3):
        pass
    assert can_use(txn)


def test_a_map_that_grows_or_is_full(open_env, tmp_path):
    env = open_env(max_map_size=1 << 30, sync=False)
    with env.begin(write=True) as txn:
        for i in range(20):
            with txn.reserve(b"%d" % i, 1_000_000) as view:
                by_slices(view, pattern(1_000_000, i))
        for i in range(20):
            assert txn.get(b"%d" % i) == pattern(1_000_000, i)
    small = open_env(str(tmp_path / "small"), map_size=1 << 20)
    with small.begin(write=True) as txn:
        for size in (1 << 20, 1 << 40):
            with pytest.raises(pylmdb.Error), txn.reserve(b"k", size):
                pass
        txn.abort()
    assert can_write(small)


# -- while it is written ---------------------------------------------------------------------


def can_use(txn):
    txn.put(b"used", b"again")
    return txn.get(b"used") == b"again"


def test_nothing_else_can_be_done(env, txn):
    cursor, walk, db = txn.cursor(), txn.range(), env.open_db(b"db", txn)
    cursor.first()
    next(walk)
    calls = [
        lambda: txn.get(b"old"), lambda: txn.view(b"old"), lambda: txn.get_many([b"old"]),
        lambda: txn.put(b"a", b"b"), lambda: txn.delete(b"old"), lambda: txn.pop(b"old"),
        lambda: txn.replace(b"old", b"b"), txn.commit, txn.stat, txn.id, txn.cursor,
        lambda: txn.count(b"a"), lambda: txn.delete_range(b"a"),
        lambda: txn.drop(db), lambda: list(txn.range()), lambda: txn.__exit__(None, None, None),
        lambda: env.begin(parent=txn, write=True),
        lambda: txn.reserve(b"b", 3).__enter__(), cursor.first, cursor.next, cursor.key,
        cursor.value, cursor.item, cursor.count, cursor.delete, lambda: cursor.put(b"a", b"b"),
        lambda: cursor.putmulti([(b"a", b"b")]), lambda: cursor.getmulti([b"old"]), cursor.view,
        lambda: cursor.set_key(b"old"), lambda: list(cursor), lambda: next(walk),
        lambda: env.open_db(b"other", txn), lambda: env.dbs(txn),
    ]  # fmt: skip
    with txn.reserve(b"k", 3) as view:
        for i, call in enumerate(calls):
            assert raised_by(call) is BufferError, i
        with pytest.raises(BufferError, match="reserve"):
            txn.get(b"old")
        view[:] = b"abc"
        assert not txn.closed
        with env.begin() as reader:
            assert reader.get(b"k") is None
    assert txn.get(b"k") == b"abc"
    assert cursor.next()
    assert can_use(txn)
    txn.commit()


def test_nothing_can_be_done_with_arrays(txn):
    cursor = txn.cursor()
    cursor.first()
    calls = [
        lambda: txn.put_array(b"b", np.ones(1)), lambda: txn.get_array(b"old"),
        lambda: txn.take([b"old"], "u1", 5), lambda: txn.put_arrays([b"b"], np.ones(1)),
        lambda: txn.range_arrays(None, None, "u1", 5), lambda: txn.dup_array(b"old", "u1", 5),
        cursor.array,
    ]  # fmt: skip
    with txn.reserve(b"k", 3):
        for call in calls:
            with pytest.raises(BufferError):
                call()


def test_the_view_ends_with_the_block(txn):
    with txn.reserve(b"k", 3) as view:
        view[:] = b"abc"
    for use in (lambda: view[0], lambda: view.__setitem__(0, 1), lambda: bytes(view)):
        with pytest.raises(ValueError, match="released"):
            use()
    reservation = txn.reserve(b"l", 3)
    with reservation as view:
        view[:] = b"abc"
    with pytest.raises(pylmdb.Error, match="entered before"):
        reservation.__enter__()
    reservation.__exit__(None, None, None)
    never = txn.reserve(b"never", 3)
    never.__exit__(None, None, None)
    assert txn.get(b"never") is None
    with txn.reserve(b"released", 3) as view:
        view[:] = b"abc"
        view.release()
    assert txn.get(b"released") == b"abc"


@counts_views
@pytest.mark.parametrize("hold", [
    lambda view: view[1:2], lambda view: np.frombuffer(view, np.uint8)[2:], memoryview,
    lambda view: view.cast("H"), lambda view: {"in": [view[:1]]}, lambda view: np.asarray(view).T,
])  # fmt: skip
def test_what_is_left_of_the_view(env, txn, hold):
    reservation = txn.reserve(b"k", 4)
    view = reservation.__enter__()
    view[:] = b"abcd"
    kept = hold(view)
    with pytest.raises(BufferError, match="still alive"):
        reservation.__exit__(None, None, None)
    with pytest.raises(BufferError, match="still in use"):
        txn.get(b"k")
    with pytest.raises(BufferError):
        txn.commit()
    assert not txn.closed
    del kept
    gc.collect()
    assert txn.get(b"k") == b"abcd"
    assert can_use(txn)
    txn.commit()
    assert can_write(env)


@counts_views
def test_what_is_left_can_be_written(env, txn):
    array = None
    with pytest.raises(BufferError), txn.reserve(b"k", 100_000) as view:
        array = np.frombuffer(view, np.uint8)
    array[:] = 7
    part = array[5:]
    del array
    with pytest.raises(BufferError):
        txn.get(b"k")
    del part
    assert txn.get(b"k") == b"\x07" * 100_000


def fail(view, *kept):
    view[:] = b"abcd"[: len(view)]
    raise KeyError("mine")


def test_exceptions_in_the_block(env, txn):
    with pytest.raises(KeyError, match="mine"), txn.reserve(b"k", 4) as view:
        fail(view)
    assert can_use(txn)
    assert txn.get(b"k") == b"abcd"


@counts_views
def test_exceptions_that_keep_a_view(env, txn):
    with pytest.raises(KeyError, match="mine") as caught, txn.reserve(b"l", 4) as view:
        fail(view, kept := view[1:])
    with pytest.raises(BufferError):
        txn.get(b"l")
    del kept, caught
    gc.collect()
    assert can_use(txn)
    assert txn.get(b"l") == b"abcd"


# -- ends inside the block -------------------------------------------------------------------

ENDS = {
    "abort": lambda env, txn: txn.abort(),
    "exception": lambda env, txn: txn.__exit__(KeyError, KeyError("x"), None),
    "close": lambda env, txn: env.close(),
    "abort and close": lambda env, txn: (txn.abort(), env.close()),
    "abort elsewhere": lambda env, txn: in_threads(txn.abort),
    "close elsewhere": lambda env, txn: in_threads(env.close),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("writemap", [False, True])
@pytest.mark.parametrize("size", [10, 50_000])
def test_the_transaction_ends_in_the_block(open_env, end, writemap, size):
    env = open_env(writemap=writemap, sync=False)
    txn = env.begin(write=True)
    txn.put(b"other", b"value")
    reservation = txn.reserve(b"k", size)
    view = reservation.__enter__()
    ENDS[end](env, txn)
    assert txn.closed
    assert raised_by(txn.get, b"k") is pylmdb.ClosedError
    by_slices(view, pattern(size))
    assert bytes(view) == pattern(size)
    kept = view[size // 2 :]
    with contextlib.suppress(BufferError):
        reservation.__exit__(None, None, None)
    kept[:] = bytes(len(kept))
    assert not any(kept)
    del kept, view
    gc.collect()
    if env.closed:
        env = open_env(writemap=writemap, sync=False)
    assert can_write(env)
    with env.begin() as reader:
        assert reader.get(b"k") is None
        assert reader.get(b"other") is None


@counts_views
@pytest.mark.filterwarnings("ignore:a write transaction:ResourceWarning")
@pytest.mark.parametrize("end", ["drop", "cycle", "thread"])
def test_everything_is_dropped_in_the_block(env, end):
    kept = []

    def begin():
        class Node:
            pass

        txn = env.begin(write=True)
        node = Node()
        node.txn, node.me = txn, node
        node.reservation = txn.reserve(b"k", 5000)
        node.view = node.reservation.__enter__()
        kept.append(node.view[10:20])
        if end == "drop":
            del node.me

    if end == "thread":
        thread = threading.Thread(target=begin)
        thread.start()
        join(thread)
    else:
        begin()
    gc.collect()
    kept[0][:] = b"0123456789"
    outcome = []
    in_threads(lambda: outcome.append(raised_by(env.begin, write=True, timeout=0.05)))
    assert outcome == [pylmdb.LockTimeoutError]
    assert bytes(kept.pop()) == b"0123456789"
    gc.collect()
    assert can_write(env)
    with env.begin() as reader:
        assert reader.get(b"k") is None


@counts_views
def test_the_lock_is_held_until_the_last_part_is_gone(env):
    txn = env.begin(write=True)
    with contextlib.suppress(BufferError), txn.reserve(b"k", 10) as view:
        kept = view[1:]
        txn.abort()
    assert raised_by(env.begin, write=True, timeout=0.05) in (
        pylmdb.LockTimeoutError, pylmdb.BusyError,
    )  # fmt: skip
    done = []
    writer = threading.Thread(target=lambda: done.append(can_write(env)))
    writer.start()
    kept[:] = b"x" * 9
    del kept, view
    join(writer, 10)
    assert done == [True]


def test_other_threads(env, txn):
    reservation = txn.reserve(b"k", 1000)
    outcomes = []
    in_threads(lambda: outcomes.append(raised_by(reservation.__enter__)))
    assert outcomes == [pylmdb.WrongThreadError]
    with reservation as view:
        in_threads(
            lambda: by_slices(view[:500], pattern(500)),
            lambda: by_slices(view[500:], pattern(500, 1)),
            lambda: outcomes.append(raised_by(txn.get, b"k")),
        )
    assert outcomes[1:] == [pylmdb.WrongThreadError]
    assert txn.get(b"k") == pattern(500) + pattern(500, 1)
    # the block ends in another thread
    reservation = txn.reserve(b"m", 3)
    reservation.__enter__()[:] = b"abc"
    in_threads(lambda: reservation.__exit__(None, None, None))
    assert txn.get(b"m") == b"abc"


@counts_views
def test_the_last_part_goes_in_another_thread(txn):
    box = []
    with pytest.raises(BufferError), txn.reserve(b"l", 8) as view:
        box.append(view[4:])
    in_threads(box.clear)
    assert can_use(txn)


def test_nested_transactions(env, txn):
    with env.begin(parent=txn, write=True) as child:
        with child.reserve(b"k", 5000) as view:
            for use in (lambda: child.get(b"k"), lambda: txn.get(b"k"), txn.commit, child.commit):
                assert raised_by(use) is BufferError
            view[:] = pattern(5000)
        assert child.get(b"k") == pattern(5000)
    assert txn.get(b"k") == pattern(5000)
    child = env.begin(parent=txn, write=True)
    with child.reserve(b"k", 10) as view:
        child.abort()
        view[:] = b"0123456789"
        assert child.closed
    assert txn.get(b"k") == pattern(5000)
    child = env.begin(parent=txn, write=True)
    with child.reserve(b"k", 10) as view:
        txn.abort()
        view[:] = b"0123456789"
        assert child.closed
        assert txn.closed
    del view
    assert can_write(env)


# -- where there is nothing that watches over memory -----------------------------------------


@pytest.mark.parametrize("writemap", [False, True])
def test_memory_that_is_copied(open_env, monkeypatch, writemap):
    """Where views cannot be counted, only what is left after the block is different."""
    env = open_env(sync=False, writemap=writemap)
    monkeypatch.setattr(env._use().engine, "lease_class", None)
    right = {b"%07d" % size: pattern(size) for size in SIZES}
    with env.begin(write=True) as txn:
        for key, value in right.items():
            with txn.reserve(key, len(value)) as view:
                by_slices(view, value)
                assert raised_by(txn.get, key) is BufferError
            assert txn.get(key) == value
        reservation = txn.reserve(b"k", 3, append=True)
        with reservation as view:
            view[:] = b"abc"
            left = view[1:]
        left[0] = 0
        with pytest.raises(pylmdb.Error, match="entered before"):
            reservation.__enter__()
        for options in ({"overwrite": False}, {"append": True}):
            with pytest.raises(pylmdb.KeyExistsError), txn.reserve(b"k", 3, **options):
                pytest.fail("there is a record")
        with pytest.raises(KeyError, match="mine"), txn.reserve(b"l", 3) as view:
            fail(view)
        child = txn.reserve(b"child", 3)
        child.__enter__()[:] = b"abc"
        pid = os.fork()
        if not pid:
            child.__exit__(None, None, None)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        child.__exit__(None, None, None)
        never = txn.reserve(b"never", 3)
        never.__enter__()
        del never
        gc.collect()
        assert can_use(txn)
        txn.delete(b"used"), txn.delete(b"never")
    with env.begin() as txn:
        assert dict(txn.range()) == {**right, b"k": b"abc", b"l": b"abc", b"child": b"abc"}
    txn = env.begin(write=True)
    with txn.reserve(b"k", 3) as view:
        view[:] = b"xyz"
        txn.abort()
        view[:] = b"123"
    assert can_write(env)
    with env.begin() as txn:
        assert txn.get(b"k") == b"abc"


def test_numpy_is_not_needed(env_path, lib_version):
    program = """
sys.modules["numpy"] = None
with pylmdb.open(path, lib_version=lib_version) as env, env.begin(write=True) as txn:
    with txn.reserve(b"k", 3) as view:
        view[:] = b"abc"
    assert txn.get(b"k") == b"abc"
"""
    run(program, env_path, lib_version)


# -- other processes, and the end of this one ------------------------------------------------


@pytest.mark.parametrize("writemap", [False, True])
def test_a_fork_in_the_block(env_path, lib_version, writemap):
    program = f"""
env = pylmdb.open(path, lib_version=lib_version, writemap={writemap})
txn = env.begin(write=True)
with txn.reserve(b"k", 5000) as view:
    def child():
        assert raised_by(txn.get, b"k") is pylmdb.ForkedError
        assert raised_by(txn.reserve(b"l", 3).__enter__) is pylmdb.ForkedError
        with env.begin() as reader:
            assert reader.get(b"k") is None
        try:
            view.release()
        finally:
            gc.collect()
    assert in_child(child) == 0
    pid = os.fork()
    if not pid:
        sys.exit(0)
    assert wait_for(pid) == 0
    view[:] = b"x" * 5000
txn.commit()
with env.begin() as reader:
    assert reader.get(b"k") == b"x" * 5000
"""
    run(program, env_path, lib_version)


@pytest.mark.parametrize("left", ["view", "view[1:]", "txn", "(env, view[5:], txn)"])
def test_the_interpreter_ends_in_the_block(env_path, lib_version, left):
    program = f"""
env = pylmdb.open(path, lib_version=lib_version)
txn = env.begin(write=True)
with txn.reserve(b"k", 5000) as view:
    view[:] = b"x" * 5000
    sys.modules["left"] = {left}
    sys.exit(3)
"""
    run(program, env_path, lib_version, status=3)
    env = pylmdb.open(env_path)
    assert can_write(env)
    with env.begin() as reader:
        assert reader.get(b"k") is None
    env.close()
