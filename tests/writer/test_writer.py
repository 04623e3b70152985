# SPDX-License-Identifier: MIT
"""env.writer(): writes of many threads share commits, and each has its own outcome."""

import concurrent.futures
import threading
import time

import pytest
from programs import PATIENCE, in_threads

import pylmdb
from pylmdb.writer import WriteFuture


@pytest.fixture
def writer(env):
    with env.writer() as writer:
        yield writer


def contents(env, db=None):
    with env.begin(db) as txn:
        return dict(txn.cursor())


def commits(env):
    return env.info().last_txnid


def test_a_write_is_visible_when_its_future_is_done(env, writer):
    future = writer.put(b"k", b"v")
    assert isinstance(future, WriteFuture)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result() is True
    assert contents(env) == {b"k": b"v"}
    assert writer.delete(b"k").result() is True
    assert writer.delete(b"k").result() is False
    assert writer.call(lambda txn: txn.put(b"a", b"1") and txn.id()).result() == commits(env)
    assert contents(env) == {b"a": b"1"}


def test_the_options_of_put_and_delete(env, writer):
    db = env.open_db(b"dup", dupsort=True)
    assert writer.put(b"k", b"2", db).result() is True
    assert writer.put(b"k", b"1", db=db).result() is True
    assert writer.put(b"k", b"1", db, dupdata=False).result() is False
    assert writer.put(b"k", b"3", db, overwrite=False).result() is False
    assert writer.put(b"k", b"0", db, append=True).result() is False
    assert writer.delete(b"k", b"1", db).result() is True
    assert contents(env, db) == {b"k": b"2"}
    with env.writer(db=db) as own:
        assert own.put(b"own", b"1").result()
        assert own.call(lambda txn: txn.get(b"own")).result() == b"1"
    assert contents(env, db)[b"own"] == b"1"


def test_waiting_writes_share_a_commit_in_order(env, writer, release_writer_lock):
    before = commits(env)
    futures = [writer.put(b"k", b"%d" % i) for i in range(300)]
    seen = writer.call(lambda txn: txn.get(b"k"))
    futures.append(writer.put(b"k", b"last"))
    assert writer.pending > 290
    release_writer_lock.set()
    assert all(future.result() for future in futures)
    assert seen.result() == b"299"
    assert contents(env)[b"k"] == b"last"
    assert commits(env) == before + 1
    writer.flush()
    assert writer.pending == 0


def test_threads_share_commits(env, writer):
    before, count = commits(env), 40

    def work(name):
        for i in range(count):
            assert writer.put(b"%d.%d" % (name, i), b"v").result()
            with env.begin() as txn:
                assert txn.get(b"%d.%d" % (name, i)) == b"v", "it is there when the future says so"

    in_threads(*(lambda name=name: work(name) for name in range(8)))
    assert len(contents(env)) == 8 * count
    assert commits(env) - before < 8 * count


def test_an_error_reaches_only_the_caller_that_caused_it(env, writer, release_writer_lock):
    good = [writer.put(b"a", b"1")]
    bad = [writer.put(b"", b"x"), writer.put(b"k" * 5000, b"x"), writer.put(b"c", b"1", db="name")]
    good.append(writer.put(b"b", b"2"))
    half = writer.call(lambda txn: (txn.put(b"half", b"x"), 1 // 0))
    good.append(writer.call(lambda txn: txn.put(b"c", b"3")))
    release_writer_lock.set()
    assert all(future.result() for future in good)
    for future, kind in zip(
        [*bad, half],
        [pylmdb.BadValsizeError, pylmdb.BadValsizeError, TypeError, ZeroDivisionError],
        strict=True,
    ):
        with pytest.raises(kind):
            future.result()
    assert contents(env) == {b"a": b"1", b"b": b"2", b"c": b"3"}


@pytest.mark.parametrize("writemap", [False, True])
def test_a_full_map_fails_only_the_writes_that_fill_it(open_env, tmp_path, writemap):
    env = open_env(tmp_path / "small", map_size=1 << 18, writemap=writemap)
    large = bytes(1 << 19)

    def too_much(txn):
        txn.put(b"half", b"x")
        txn.put(b"large", large)

    def swallowed(txn):
        txn.put(b"half", b"x")
        with pytest.raises(pylmdb.MapFullError):
            txn.put(b"large", large)

    with env.begin(write=True) as txn, env.writer() as writer:
        good = [writer.put(b"%d" % i, b"v") for i in range(20)] + [writer.put(b"20", b"old")]
        bad = [writer.put(b"large", large), writer.call(too_much)]
        good += [writer.put(b"%d" % i, b"v") for i in range(20, 40)]
        bad += [writer.call(swallowed), writer.put(b"large", large)]
        good += [writer.call(lambda txn: txn.put(b"40", b"v"))]
        txn.abort()
        assert all(future.result() for future in good)
        kinds = [type(future.exception()) for future in bad]
    assert kinds[:2] == [pylmdb.MapFullError] * 2
    assert kinds[2] in (pylmdb.MapFullError, pylmdb.BadTxnError)
    assert kinds[3] is pylmdb.MapFullError
    assert contents(env) == {b"%d" % i: b"v" for i in range(41)}


@pytest.mark.parametrize("writemap", [False, True])
def test_a_function_may_end_its_transaction(open_env, tmp_path, writemap):
    env = open_env(tmp_path / "own", writemap=writemap)

    def ends(how):
        def function(txn):
            txn.put(how.encode(), b"x")
            getattr(txn, how)()

        return function

    with env.begin(write=True) as txn, env.writer() as writer:
        futures = [
            writer.put(b"a", b"1"),
            writer.call(ends("abort")),
            writer.put(b"b", b"1"),
            writer.call(ends("commit")),
            writer.put(b"c", b"1"),
        ]
        txn.abort()
        assert [future.result() for future in futures] == [True, None, True, None, True]
    assert set(contents(env)) == {b"a", b"b", b"c", b"commit"}


def test_a_commit_that_fails_fails_all_of_it(env, writer, release_writer_lock, monkeypatch):
    def refuse(txn):
        raise pylmdb.DiskError("mdb_txn_commit", 28)

    futures = [writer.put(b"%d" % i, b"v") for i in range(10)]
    own = writer.put(b"", b"v")
    monkeypatch.setattr(pylmdb.Transaction, "commit", refuse)
    release_writer_lock.set()
    errors = [future.exception() for future in futures]
    assert {type(error) for error in errors} == {pylmdb.DiskError}
    assert len({id(error) for error in errors}) == 10
    assert all(error.errno == 28 for error in errors)
    assert type(own.exception()) is pylmdb.BadValsizeError
    monkeypatch.undo()
    assert contents(env) == {}
    assert writer.put(b"k", b"v").result()


def test_a_write_that_fails_after_a_change_is_undone(env, writer, release_writer_lock, monkeypatch):
    with env.begin() as txn:
        put = type(txn).put

    def failing(txn, key, *args):
        written = put(txn, key, *args)
        if key == b"disk":
            raise pylmdb.DiskError("mdb_put", 28)
        return written

    monkeypatch.setattr(type(txn), "put", failing, raising=False)
    futures = [writer.put(key, b"v") for key in (b"a", b"disk", b"b")]
    release_writer_lock.set()
    assert [type(future.exception()) for future in futures] == [
        type(None), pylmdb.DiskError, type(None),
    ]  # fmt: skip
    assert set(contents(env)) == {b"a", b"b"}


def test_the_arguments_are_copied_at_once(env, writer, release_writer_lock):
    key, value = bytearray(b"key"), bytearray(b"value")
    future = writer.put(key, memoryview(value)[::2])
    key[:], value[:] = b"xxx", b"xxxxx"
    release_writer_lock.set()
    assert future.result()
    assert contents(env) == {b"key": b"vle"}
    with pytest.raises(TypeError, match=r"\.encode"):
        writer.put("key", b"value")
    with pytest.raises(TypeError):
        writer.put(b"key", None)
    with pytest.raises(TypeError):
        writer.call(b"key")


def test_the_queue_is_bounded(env, release_writer_lock):
    with env.writer(max_pending=5) as writer:
        futures = [writer.put(b"%d" % i, b"v") for i in range(5)]
        start = time.monotonic()
        with pytest.raises(TimeoutError, match="as max_pending=5 allows"):
            writer.put(b"late", b"v", timeout=0.15)
        assert time.monotonic() - start > 0.1
        threading.Timer(0.2, release_writer_lock.set).start()
        futures.append(writer.put(b"waits", b"v"))  # until there is room
        assert all(future.result() for future in futures)
    assert set(contents(env)) == {b"waits", *(b"%d" % i for i in range(5))}
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="max_pending"):
            env.writer(max_pending=wrong)


def test_a_callback_may_put_though_the_queue_is_full(env):
    with env.writer(max_pending=1) as writer:
        done = threading.Event()
        last = []

        def again(future):
            last.extend(writer.put(b"%d" % i, b"v") for i in range(5))
            done.set()

        writer.put(b"k", b"v").add_done_callback(again)
        assert done.wait(PATIENCE)
        assert all(future.result(PATIENCE) for future in last)


def test_a_callback_that_raises_systemexit_harms_no_other(env, writer, release_writer_lock):
    def leave(future):
        raise SystemExit

    futures = [writer.put(b"%d" % i, b"v") for i in range(10)]
    futures[0].add_done_callback(leave)
    release_writer_lock.set()
    assert all(future.result(PATIENCE) for future in futures)
    assert writer.put(b"k", b"v").result(PATIENCE)


def test_a_callback_that_leaves_a_transaction_open_causes_an_error(env, writer):
    left = []
    writer.put(b"k", b"v").add_done_callback(lambda _: left.append(env.begin(write=True)))
    writer.flush()
    assert type(writer.put(b"k", b"v").exception(10)) is pylmdb.BusyError
    left.pop().abort()
    assert writer.put(b"k", b"v").result(PATIENCE)


def test_a_write_can_be_cancelled(env, writer, release_writer_lock):
    writer.put(b"a", b"v")
    time.sleep(0.1)  # the thread waits for the lock
    unwanted = writer.put(b"b", b"v")
    assert unwanted.cancel()
    release_writer_lock.set()
    writer.flush()
    assert set(contents(env)) == {b"a"}
    with pytest.raises(concurrent.futures.CancelledError):
        unwanted.result()


def test_flush_waits_and_has_a_timeout(env, writer, release_writer_lock):
    futures = [writer.put(b"%d" % i, b"v") for i in range(10)]
    with pytest.raises(TimeoutError):
        writer.flush(timeout=0.1)
    release_writer_lock.set()
    writer.flush(timeout=PATIENCE)
    assert all(future.done() for future in futures)
    writer.flush()
