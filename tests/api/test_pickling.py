# SPDX-License-Identifier: MIT
"""Environments and database handles can be pickled; transactions and cursors refuse."""

import copy
import multiprocessing
import os
import pickle
from pathlib import Path

import pytest

import pylmdb

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def read_in_child(env, db, key, db_key):
    with env.begin() as txn:
        return txn.get(key), txn.get(db_key, db=db), dict(db.flags()), env.path(), os.getpid()


def write_in_child(env, db):
    with env.begin(write=True) as txn:
        txn.put(b"child", b"1")
        txn.put(b"child", b"2", db=db)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_to_another_process_and_back(env, method):
    db = env.open_db(b"named", dupsort=True)
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
        txn.put(b"k", b"w", db=db)
    context = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        value, named, flags, path, pid = pool.apply(read_in_child, (env, db, b"k", b"k"))
        assert (value, named, path) == (b"v", b"w", env.path())
        assert flags["dupsort"]
        assert pid != os.getpid()
        pool.apply(write_in_child, (env, db))
        pool.close()
        pool.join()
    with env.begin() as txn:
        assert txn.get(b"child") == b"1"
        assert txn.get(b"child", db=db) == b"2"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_options_are_pickled_with_the_environment(open_env, protocol):
    env = open_env(
        map_size=1 << 22, metasync=False, sync=False, max_readers=7, max_dbs=3,
        readahead=False, meminit=False, max_spare_txns=2,
    )  # fmt: skip
    with pickle.loads(pickle.dumps(env, protocol)) as again:
        assert again.flags() == env.flags()
        assert again.info()["map_size"] == 1 << 22
    data = pickle.dumps(env, protocol)
    info, flags = env.info(), env.flags()
    env.close()
    with pickle.loads(data) as again:
        assert again.flags() == flags
        assert again.info()["map_size"] == info["map_size"]
        assert again.max_readers() == 7


def test_readonly_and_lockless_environments(open_env, env_path):
    open_env().close()
    for options in ({"readonly": True}, {"lock": False}, {"writemap": True, "map_async": True}):
        with pylmdb.open(env_path, **options) as env, pickle.loads(pickle.dumps(env)) as again:
            assert again.flags() == env.flags()
            assert again.readonly == env.readonly


def test_unpickling_in_the_same_process_shares(env):
    again = pickle.loads(pickle.dumps(env))
    assert again is not env
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
        with pytest.raises(pylmdb.BusyError):
            again.begin(write=True)
    env.close()
    with again.begin() as txn:
        assert txn.get(b"k") == b"v"
    again.close()


def test_relative_paths_and_files(tmp_path, monkeypatch, lib_version):
    monkeypatch.chdir(tmp_path)
    with pylmdb.open("file.lmdb", subdir=False, lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v")
        data = pickle.dumps(env)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pickle.loads(data) as again, again.begin() as txn:
        assert txn.get(b"k") == b"v"
    assert list(elsewhere.iterdir()) == []


def test_unpickling_never_creates(env, tmp_path):
    data = pickle.dumps(env)
    path = Path(env.path())
    env.close()
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    with pytest.raises(pylmdb.Error):
        pickle.loads(data)
    assert not path.exists()


def test_closed_environments_refuse(env):
    db = env.open_db(b"named")
    env.close()
    for wrong in (env, db):
        with pytest.raises(pylmdb.ClosedError):
            pickle.dumps(wrong)
        with pytest.raises(pylmdb.ClosedError):
            copy.copy(wrong)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_transactions_cursors_and_iterators_refuse(env, how):
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
        cursor = txn.cursor()
        for wrong in (txn, cursor):
            with pytest.raises(TypeError, match="cannot be pickled or copied"):
                how(wrong)
        assert txn.get(b"k") == b"v"
    for wrong in (txn, cursor):
        with pytest.raises(TypeError):
            how(wrong)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_copies_of_an_environment_and_a_handle(env, how):
    db = env.open_db(b"named")
    again, db_again = how(env), how(db)
    with again.begin(write=True) as txn:
        txn.put(b"k", b"v", db=db_again)
    with env.begin() as txn:
        assert txn.get(b"k", db=db) == b"v"
        assert txn.get(b"k", db=db_again) == b"v"
    assert db_again.flags() == db.flags()
    again.close()
    with env.begin() as txn:
        assert txn.get(b"k", db=db) == b"v"


def test_a_handle_is_pickled_with_its_environment(env):
    db = env.open_db(b"named", integerkey=True)
    main = env.open_db(None)
    db, main = pickle.loads(pickle.dumps((db, main)))
    assert db.flags()["integerkey"]
    assert repr(db)
    with env.begin(write=True) as txn:
        txn.put(b"12345678", b"v", db=db)
        txn.put(b"k", b"v", db=main)
        assert txn.stat(db).entries == 1
        with txn.cursor(db) as cursor:
            assert cursor.first()
        with pytest.raises(pylmdb.BadValsizeError):
            txn.put(b"odd", b"v", db=db)


def test_a_handle_whose_database_is_gone(env):
    db = env.open_db(b"named")
    data = pickle.dumps(db)
    with env.begin(write=True) as txn:
        txn.drop(db)
    lost = pickle.loads(data)
    with env.begin(write=True) as txn, pytest.raises(pylmdb.NotFoundError):
        txn.put(b"k", b"v", db=lost)
    with pytest.raises(pylmdb.Error):
        pickle.dumps(db)


def test_a_handle_to_another_environment_is_refused(env, tmp_path, lib_version):
    with pylmdb.open(tmp_path / "other", lib_version=lib_version) as other:
        other.open_db(b"named")
        foreign = pickle.loads(pickle.dumps(other.open_db(b"named")))
        with env.begin(write=True) as txn, pytest.raises(pylmdb.InvalidParameterError):
            txn.put(b"k", b"v", db=foreign)


class Mine(pylmdb.Environment):
    """A subclass with state of its own."""


def test_subclasses_keep_their_class(env_path, lib_version):
    with (
        Mine(env_path, lib_version=lib_version) as env,
        pickle.loads(pickle.dumps(env)) as again,
    ):
        assert type(again) is Mine


def test_exceptions_travel():
    for error in (
        pylmdb.MapFullError("mdb_put", -30792),
        pylmdb.ClosedError("gone", hint="open it"),
        pylmdb.NotFoundError("x"),
        pylmdb.DiskError("mdb_txn_commit", 28),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert (again.what, again.code, again.reason) == (error.what, error.code, error.reason)
        assert getattr(again, "errno", None) == getattr(error, "errno", None)
