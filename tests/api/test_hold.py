# SPDX-License-Identifier: MIT
"""lowlevel.hold: a native transaction stays as long as C code uses it."""

import gc
import os
import threading

import pytest
from programs import in_child, in_thread, in_threads, raised_by

import pylmdb
from pylmdb import lowlevel


class Native:
    """Reads through the native handles of a hold."""

    def __init__(self, env):
        engine = lowlevel.engine(env)
        self.ffi, self.lib = engine.ffi, engine.lib

    def get(self, hold, key):
        raw = self.ffi.from_buffer(key)
        name = self.ffi.new("MDB_val *", {"mv_size": len(key), "mv_data": raw})
        found = self.ffi.new("MDB_val *")
        code = self.lib.mdb_get(hold.txn, hold.dbi, name, found)
        return None if code else self.ffi.buffer(found.mv_data, found.mv_size)[:]

    def put(self, hold, key, value):
        raws = self.ffi.from_buffer(key), self.ffi.from_buffer(value)
        pairs = zip((key, value), raws, strict=True)
        parts = [self.ffi.new("MDB_val *", (len(data), raw)) for data, raw in pairs]
        assert self.lib.mdb_put(hold.txn, hold.dbi, *parts, 0) == 0


@pytest.fixture
def native(env):
    return Native(env)


@pytest.fixture
def db(env):
    db = env.open_db(b"db")
    with env.begin(db, write=True) as txn:
        txn.put(b"k", b"v")
    return db


def test_it_has_the_native_handles(env, db, native):
    ffi = native.ffi
    with env.begin() as txn, lowlevel.hold(txn, db) as hold:
        assert isinstance(hold, lowlevel.Hold)
        assert ffi.typeof(hold.txn) is ffi.typeof("MDB_txn *")
        assert hold.dbi == lowlevel.database_number(db, txn)
        assert native.lib.mdb_txn_id(hold.txn) == txn.id()
        assert native.get(hold, b"k") == b"v"
        assert not hold.released
    with env.begin(db) as txn, lowlevel.hold(txn) as hold:
        assert native.get(hold, b"k") == b"v"


def test_a_released_hold_has_none(env):
    with env.begin() as txn:
        hold = lowlevel.hold(txn)
        hold.release()
        hold.release()
        assert hold.released
        for use in (lambda: hold.txn, lambda: hold.dbi, hold.__enter__):
            with pytest.raises(pylmdb.ClosedError, match="hold was released"):
                use()
        hold.__exit__(None, None, None)


def test_it_takes_a_transaction_and_a_database(env, db):
    with env.begin() as txn:
        for wrong in (None, env, 7):
            with pytest.raises(TypeError, match="txn must be a Transaction, not"):
                lowlevel.hold(wrong)
        with pytest.raises(TypeError, match="db must be a database handle"):
            lowlevel.hold(txn, b"db")
        with pytest.raises(TypeError):
            lowlevel.hold()
    with pytest.raises(pylmdb.ClosedError):
        lowlevel.hold(txn)
    with pytest.raises(pylmdb.ClosedError):
        lowlevel.hold(pylmdb.Transaction.__new__(pylmdb.Transaction))
    with env.begin(write=True) as txn:
        env.open_db(b"new", txn=txn)
        txn.drop(db)
        with pytest.raises(pylmdb.InvalidParameterError):
            lowlevel.hold(txn, db)


@pytest.mark.parametrize("end", ["abort", "commit", "close", "drop", "exit"])
def test_a_read_transaction_that_ends_stays_natively(env, db, native, end):
    txn = env.begin(db)
    number = txn.id()
    hold = lowlevel.hold(txn)
    if end == "close":
        env.close()
    elif end == "exit":
        with txn:
            pass
    elif end != "drop":
        getattr(txn, end)()
    if end != "drop":
        assert txn.closed
        assert raised_by(txn.get, b"k") is pylmdb.ClosedError
        assert raised_by(lowlevel.hold, txn) is pylmdb.ClosedError
    del txn
    gc.collect()
    assert native.get(hold, b"k") == b"v"
    assert native.lib.mdb_txn_id(hold.txn) == number
    if end != "close":
        assert len(env.reader_list()) == 1
    hold.release()
    if end != "close":
        gc.collect()
        assert env.reader_list() == []


def test_the_environment_closes_with_the_last_hold(env, db, native, env_path):
    from programs import maps

    txn = env.begin(db)
    one, two = lowlevel.hold(txn), lowlevel.hold(txn)
    env.close()
    one.release()
    assert native.get(two, b"k") == b"v"
    assert maps(env_path)
    two.release()
    assert not maps(env_path)


def test_a_dropped_hold_is_released(env):
    txn = env.begin()
    hold = lowlevel.hold(txn)
    txn.abort()
    assert len(env.reader_list()) == 1
    del hold
    gc.collect()
    assert env.reader_list() == []


def test_a_read_transaction_can_be_used_while_it_is_held(env, db, native):
    with env.begin(db) as txn, lowlevel.hold(txn) as hold:
        assert txn.get(b"k") == b"v"
        assert list(txn.cursor()) == [(b"k", b"v")]
        assert in_thread(lambda: txn.get(b"k")) == b"v"
        assert in_thread(lambda: native.get(hold, b"k")) == b"v"
        other = in_thread(lambda: lowlevel.hold(txn))
        assert other.txn == hold.txn
        other.release()


def test_a_write_transaction_that_is_held_refuses_all_else(env, db, native):
    with env.begin(db, write=True) as txn:
        cursor = txn.cursor()
        with lowlevel.hold(txn) as hold:
            native.put(hold, b"x", b"1")
            for use in (
                lambda: txn.get(b"k"),
                lambda: txn.put(b"k", b"w"),
                lambda: env.begin(parent=txn, write=True),
                lambda: env.open_db(b"other", txn=txn),
                lambda: txn.reserve(b"k", 1).__enter__(),
                cursor.first,
                txn.commit,
            ):
                with pytest.raises(pylmdb.BusyError, match=r"held .*release the hold first"):
                    use()
            assert raised_by(in_thread, lambda: txn.get(b"k")) is pylmdb.WrongThreadError
            assert raised_by(in_thread, lambda: lowlevel.hold(txn)) is pylmdb.WrongThreadError
        assert txn.get(b"x") == b"1"
        assert txn.put(b"k", b"w")
    with env.begin(db) as txn:
        assert dict(txn.range()) == {b"k": b"w", b"x": b"1"}


def test_holds_nest(env, db, native):
    with env.begin(db, write=True) as txn:
        with lowlevel.hold(txn) as outer:
            with lowlevel.hold(txn) as inner:
                native.put(inner, b"a", b"1")
            assert native.get(outer, b"a") == b"1"
            assert raised_by(txn.get, b"a") is pylmdb.BusyError
        assert txn.get(b"a") == b"1"
        with env.begin(db, parent=txn, write=True) as child:
            assert raised_by(lowlevel.hold, txn) is pylmdb.BadTxnError
            with lowlevel.hold(child) as hold:
                native.put(hold, b"b", b"2")
                assert raised_by(child.commit) is pylmdb.BusyError
                assert raised_by(txn.commit) is pylmdb.BusyError
        assert txn.get(b"b") == b"2"


def test_abort_of_a_write_transaction_waits_for_the_release(env, db, native):
    txn = env.begin(db, write=True)
    hold = lowlevel.hold(txn)
    native.put(hold, b"x", b"1")
    txn.abort()
    assert txn.closed
    assert native.get(hold, b"x") == b"1"
    assert raised_by(env.begin, write=True) is pylmdb.BusyError
    assert raised_by(in_thread, lambda: env.begin(write=True, timeout=0)) is (
        pylmdb.LockTimeoutError
    )
    hold.release()
    with env.begin(db, write=True) as txn:
        assert txn.get(b"x") is None


def test_what_an_operation_in_progress_calls_cannot_hold(env):
    raised = []

    def items():
        yield b"a", b"1"
        raised.append(raised_by(lowlevel.hold, txn))
        yield b"b", b"2"

    with env.begin(write=True) as txn:
        assert txn._do(lambda pointer: raised_by(lowlevel.hold, txn)) is pylmdb.BusyError
        txn.cursor().putmulti(items())
        assert raised in ([None], [pylmdb.BusyError])
        assert dict(txn.range()) == {b"a": b"1", b"b": b"2"}


def test_compact_and_a_new_map_wait_for_the_hold(env, db, native):
    txn = env.begin(db)
    hold = lowlevel.hold(txn)
    txn.abort()
    with pytest.raises(pylmdb.BusyError, match="a transaction is open"):
        env.compact()
    hold.release()
    env.compact()


def test_the_map_grows_while_it_is_held(open_env):
    env = open_env(map_size=1 << 20, max_map_size=1 << 30)
    native = Native(env)
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    txn = env.begin()
    with lowlevel.hold(txn) as hold:
        before = env.info()["map_size"]
        with env.begin(write=True) as writer:
            writer.put(b"large", bytes(1 << 22))
        assert env.info()["map_size"] > before
        assert native.get(hold, b"k") == b"v"


def test_a_dropped_database_stays_for_the_hold(open_env):
    """Its number is not used again, although the table of handles is full."""
    env = open_env(max_dbs=2)
    native = Native(env)
    db = env.open_db(b"one")
    with env.begin(db, write=True) as txn:
        txn.put(b"k", b"one")
    reader = env.begin(db)
    hold = lowlevel.hold(reader)
    for number in range(12):
        with env.begin(write=True) as txn:
            txn.drop(env.open_db(b"one", txn=txn))
        try:
            other = env.open_db(b"one")
        except pylmdb.DbsFullError:
            break
        with env.begin(other, write=True) as txn:
            with lowlevel.hold(txn) as own:
                assert own.dbi != hold.dbi
            txn.put(b"k", b"other%d" % number)
        assert native.get(hold, b"k") == b"one"
    else:
        pytest.fail("the table of handles was never full")
    assert native.get(hold, b"k") == b"one"
    hold.release()
    reader.abort()


def test_a_forked_child_has_no_hold(env, db, native):
    txn = env.begin(db)
    hold = lowlevel.hold(txn)

    def child():
        assert raised_by(lambda: hold.txn) is pylmdb.ForkedError
        assert raised_by(lambda: hold.dbi) is pylmdb.ForkedError
        assert txn.get(b"k") == b"v"
        with lowlevel.hold(txn) as own:
            hold.release()
            txn.abort()
            assert Native(env).get(own, b"k") == b"v"
        os._exit(0)

    assert in_child(child) == 0
    assert native.get(hold, b"k") == b"v"
    hold.release()
    txn.abort()
    assert env.reader_list() == []


def test_a_child_of_a_process_that_holds_a_writer(env, db, native):
    txn = env.begin(db, write=True)
    hold = lowlevel.hold(txn)

    def child():
        assert raised_by(lambda: hold.txn) is pylmdb.ForkedError
        hold.release()
        assert raised_by(txn.get, b"k") is pylmdb.ForkedError
        os._exit(0)

    assert in_child(child) == 0
    native.put(hold, b"x", b"1")
    hold.release()
    txn.commit()
    with env.begin(db) as txn:
        assert txn.get(b"x") == b"1"


def test_threads_hold_one_snapshot(env, db, native):
    with env.begin(db, write=True) as txn:
        txn.put(b"n", b"0")
    txn, stop = env.begin(db), threading.Event()

    def read():
        while not stop.is_set():
            with lowlevel.hold(txn) as hold:
                assert native.get(hold, b"n") == b"0"

    def write():
        for number in range(50):
            with env.begin(db, write=True) as writer:
                writer.put(b"n", b"%d" % number)
                assert txn.get(b"n") == b"0"
        stop.set()

    in_threads(read, read, write)
    txn.abort()
    assert env.reader_list() == []


def test_help_shows_it():
    assert "MDB_txn" in lowlevel.Hold.txn.__doc__
    assert lowlevel.Hold.release.__doc__
    assert lowlevel.hold.__doc__
