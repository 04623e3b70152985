# SPDX-License-Identifier: MIT
"""Dropped objects that are not freed yet, as on PyPy, block nothing.

CPython frees what is in a cycle as late as PyPy frees everything.
"""

import gc
import threading

import pytest

import pylmdb
from pylmdb import _which_core
from pylmdb._base import collecting

pytestmark = pytest.mark.skipif(
    _which_core.NAME == "c", reason="the C core is for Pythons that count references"
)


@pytest.fixture(autouse=True)
def late(monkeypatch):
    """Only gc.collect() frees what drop() gets."""
    monkeypatch.setattr(collecting, "COUNTS_REFERENCES", False)
    gc.disable()
    yield
    gc.enable()


def drop(*objects):
    cycle = [*objects]
    cycle.append(cycle)


def test_a_child(env):
    with env.begin(write=True) as parent:
        child = env.begin(parent=parent, write=True)
        cursor = child.cursor()
        drop(child, cursor.iternext(), cursor)
        del child, cursor
        parent.put(b"k", b"v")
        assert list(parent.range()) == [(b"k", b"v")]
    assert env.begin().get(b"k") == b"v"


@pytest.mark.filterwarnings("ignore:a write transaction of")
def test_the_changes_of_a_child_are_lost(env):
    with env.begin(write=True) as parent:
        parent.put(b"k", b"v")
        child = env.begin(parent=parent, write=True)
        child.put(b"k", b"other")
        drop(child)
        del child
        assert parent.get(b"k") == b"v"
        grandchild = env.begin(parent=env.begin(parent=parent, write=True), write=True)
        drop(grandchild)
        del grandchild
        assert parent.get(b"k") == b"v"


def test_a_child_that_is_not_dropped(env):
    with env.begin(write=True) as parent:
        child = env.begin(parent=parent, write=True)
        with pytest.raises(pylmdb.BadTxnError):
            parent.get(b"k")
        child.abort()


@pytest.mark.filterwarnings("ignore:a write transaction of")
def test_a_write_transaction_of_this_thread(env):
    txn = env.begin(write=True)
    txn.put(b"k", b"v")
    drop(txn)
    del txn
    with env.begin(write=True) as txn:
        assert txn.get(b"k") is None
        with pytest.raises(pylmdb.BusyError):
            env.begin(write=True)


def test_a_write_transaction_of_another_thread(env):
    thread = threading.Thread(target=lambda: drop(env.begin(write=True)))
    thread.start()
    thread.join()
    env.begin(write=True, timeout=20).abort()


@pytest.mark.filterwarnings("ignore:a write transaction of")
def test_a_database_is_not_created_in_a_dropped_transaction(open_env):
    env = open_env(max_dbs=3)
    for name, dropped in ((b"a", False), (b"b", True)):
        txn = env.begin(write=True)
        if dropped:
            drop(txn)
            del txn
        db = env.open_db(name)
        if not dropped:
            txn.put(b"k", b"v", db=db)
            txn.commit()
    gc.collect()
    assert env.dbs() == [b"a", b"b"]
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=db)


def test_readers(open_env):
    env = open_env(max_readers=2)
    for _ in range(5):
        drop(env.begin(), env.begin())


@pytest.mark.parametrize("buffers", [False, True])
def test_exclusive_access(open_env, buffers):
    env = open_env(max_dbs=1)
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    txn = env.begin(buffers=buffers)
    drop(txn, txn.get(b"k"))
    del txn
    env.compact()
    with env.begin() as txn:
        view = txn.view(b"k")
    with pytest.raises(pylmdb.BusyError):
        env.compact()
    del view


def test_close_does_not_wait_for_dropped_views(env):
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    with env.begin() as txn:
        drop(txn.view(b"k"))
    env.close(wait=20)


def test_an_environment_with_other_options(open_env, env_path, lib_version):
    drop(pylmdb.open(env_path, max_dbs=1, lib_version=lib_version))
    env = open_env(max_dbs=5)
    other = pylmdb.open(env_path)
    with pytest.raises(pylmdb.Error, match="max_dbs=5"):
        pylmdb.open(env_path, max_dbs=6)
    other.close()
    assert env.stat().entries == 0
