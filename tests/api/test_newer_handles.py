# SPDX-License-Identifier: MIT
"""Handles that are newer than the transaction they are used in, by every operation."""

import sys

import pytest
from numpy_if_any import np
from programs import in_thread, run

import pylmdb

NOT_HERE = "this transaction does not have the database b'{}'"


def number(value):
    return value.to_bytes(8, sys.byteorder)


KEY, VALUE = number(1), number(2)

# each returns VALUE
READS = {
    "get": lambda txn, db: txn.get(KEY, db=db),
    "view": lambda txn, db: bytes(txn.view(KEY, db=db)),
    "get_many": lambda txn, db: txn.get_many([KEY], db=db)[0],
    "cursor": lambda txn, db: txn.cursor(db).getmulti([KEY])[0][1],
    "stat": lambda txn, db: number(2 * txn.stat(db).entries),
    "take": lambda txn, db: txn.take([KEY], "u8", (), db=db).tobytes(),
    "range_arrays": lambda txn, db: txn.range_arrays(None, None, "u8", db=db)[1].tobytes(),
    "dup_array": lambda txn, db: txn.dup_array(KEY, "u8", db=db).tobytes(),
}
WRITES = {
    "put": lambda txn, db: txn.put(KEY, VALUE, db=db),
    "put of a strided buffer": lambda txn, db: txn.put(KEY, np.zeros((4, 4))[:, 1], db=db),
    "delete": lambda txn, db: txn.delete(KEY, db=db),
    "pop": lambda txn, db: txn.pop(KEY, db=db) == VALUE,
    "replace": lambda txn, db: txn.replace(KEY, VALUE, db=db) == VALUE,
    "put_arrays": lambda txn, db: txn.put_arrays([KEY], np.array([5], "u8"), db=db) == 1,
    "put_array": lambda txn, db: txn.put_array(KEY, np.array([5], "u8"), db=db),
    "reserve": lambda txn, db: reserved(txn, db),
    "drop": lambda txn, db: txn.drop(db) is None,
}
USES = {**READS, **WRITES}


def reserved(txn, db):
    with txn.reserve(KEY, 8, db=db) as view:
        view[:] = VALUE
    return True


@pytest.fixture
def env(tmp_path, lib_version):
    """An environment with the databases "a" to "c", of which this opening knows none."""
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=lib_version) as env, env.begin(write=True) as txn:
        for name in (b"a", b"b", b"c"):
            txn.put(KEY, VALUE, db=env.open_db(name, txn=txn, integerkey=True))
    with pylmdb.open(path) as env:
        yield env


@pytest.mark.parametrize("use", USES)
def test_a_handle_that_was_opened_after_the_transaction_began(env, use):
    """Also where others were opened in between, which it does not learn of by that."""
    txn = env.begin(write=use in WRITES)
    dbs = in_thread(lambda: [env.open_db(name) for name in (b"a", b"b", b"c")])
    for db in (dbs[1], dbs[2], dbs[0]):
        assert USES[use](txn, db) == (VALUE if use in READS else True)
    txn.abort()


@pytest.mark.parametrize("use", WRITES)
def test_a_child_learns_of_a_handle_and_so_does_its_parent(env, use):
    with env.begin(write=True) as parent:
        db = in_thread(lambda: env.open_db(b"b"))
        with env.begin(write=True, parent=parent) as txn:
            assert USES[use](txn, db)
        if use != "drop":
            assert parent.put(KEY, VALUE, db=db)


@pytest.mark.parametrize("use", READS)
def test_a_database_that_is_newer_than_the_snapshot(env, use):
    txn = env.begin()
    db = env.open_db(b"new", integerkey=True)
    for _ in range(2):
        with pytest.raises(pylmdb.InvalidParameterError, match=NOT_HERE.format("new")):
            USES[use](txn, db)
    txn.abort()
    assert env.open_db(b"new") is db


DROP = """
with pylmdb.open(path) as env, env.begin(write=True) as txn:
    txn.drop(env.open_db(b"b", txn=txn))
"""


@pytest.mark.parametrize("use", USES)
def test_a_database_that_another_process_has_dropped(env, use, lib_version):
    """The transaction goes on, and the name leads to a new database."""
    db = env.open_db(b"b")
    run(DROP, env.path(), lib_version)
    with env.begin(write=True) as txn:
        with pytest.raises(pylmdb.InvalidParameterError, match=NOT_HERE.format("b")):
            USES[use](txn, db)
        txn.put(b"main", b"goes on")
    again = env.open_db(b"b")
    assert again is not db
    assert db.closed
    with env.begin(write=True, db=again) as txn:
        assert txn.put(b"key", b"value")
        assert txn.stat(again).entries == 1


def test_a_number_is_not_used_again_under_an_operation(tmp_path, lib_version, monkeypatch):
    """Another thread drops the database while ``take`` runs, and opens others up to the limit."""
    names = [b"%02d" % i for i in range(20)]
    with (
        pylmdb.open(tmp_path / "env", lib_version=lib_version) as env,
        env.begin(write=True) as txn,
    ):
        for name in names:
            txn.put(b"key", name, db=env.open_db(name, txn=txn))
    env = pylmdb.open(tmp_path / "env", max_dbs=2)
    reader = env.begin()
    db = env.open_db(names[0])
    opened = []

    def drop_and_open_others():
        try:
            for name in names[1:]:
                with env.begin(write=True) as txn:
                    txn.drop(opened[-1] if opened else db)
                opened.append(env.open_db(name))
                if opened[-1]._slot.dbi == db._slot.dbi:
                    return
        except pylmdb.DbsFullError:
            pass

    def address(rows, ffi):
        monkeypatch.undo()
        in_thread(drop_and_open_others)
        return rows.address(ffi)

    monkeypatch.setattr("pylmdb.arrays.gather.Rows.address", address)
    with pytest.raises(pylmdb.InvalidParameterError, match=NOT_HERE.format("00")):
        reader.take([b"key"], "S2", (), db=db)
    assert len(opened) > 5
    # now none uses it
    assert env.open_db(names[-1])
    reader.abort()
    env.close()
