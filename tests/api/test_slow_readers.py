# SPDX-License-Identifier: MIT
"""open(on_slow_reader=): a callback for read transactions that keep old snapshots."""

import gc
import os
import queue
import threading
import weakref

import pytest
from programs import finish, start

import pylmdb
from pylmdb._environment import reader_watch


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Look every 10 ms."""
    monkeypatch.setattr(reader_watch, "_LONGEST", 0.01)


@pytest.fixture
def found():
    """Return the queue of the readers that were reported."""
    return queue.Queue()


@pytest.fixture
def looks(monkeypatch):
    """Return a function that waits until a look began and ended after the call."""
    counts, look = queue.Queue(), reader_watch.ReaderWatch._look

    def note(self):
        try:
            return look(self)
        finally:
            counts.put(None)

    monkeypatch.setattr(reader_watch.ReaderWatch, "_look", note)

    def wait():
        while not counts.empty():
            counts.get()
        for _ in range(3):
            counts.get(timeout=20)

    return wait


def commit(env, times=1):
    for i in range(times):
        with env.begin(write=True) as txn:
            txn.put(b"k", b"%d" % i)
            number = txn.id()
    return number


def test_a_reader_that_is_many_transactions_behind(open_env, found, looks):
    env = open_env(on_slow_reader=found.put, slow_reader=(3, None))
    commit(env)
    with env.begin() as reader:
        commit(env, 3)
        looks()
        assert found.empty()
        commit(env)
        slow = found.get(timeout=20)
        assert (slow.pid, slow.own, slow.txnid) == (os.getpid(), True, reader.id())
        assert slow.pages is not None
        looks()
        commit(env)
        looks()
        assert found.empty(), "it is reported once"
    with env.begin() as second:
        commit(env, 4)
        assert found.get(timeout=20).txnid == second.id()


def test_a_reader_whose_snapshot_is_old(open_env, found, looks):
    env = open_env(on_slow_reader=found.put, slow_reader=(None, 0))
    commit(env)
    with env.begin() as reader:
        looks()
        assert found.empty(), "it reads the newest snapshot"
        commit(env)
        assert found.get(timeout=20).txnid == reader.id()


def test_time_that_has_not_passed(open_env, found, looks):
    env = open_env(on_slow_reader=found.put, slow_reader=(1000, 3600))
    commit(env)
    with env.begin():
        commit(env, 5)
        looks()
    assert found.empty()


def test_a_reader_in_another_process(open_env, env_path, found, lib_version):
    env = open_env(on_slow_reader=found.put, slow_reader=(0, None))
    commit(env)
    source = """
env = pylmdb.open(path, lib_version=lib_version)
txn = env.begin()
print("open", flush=True)
sys.stdin.read()
"""
    other = start(source, env_path, lib_version)
    assert other.stdout.readline() == "open\n"
    commit(env)
    slow = found.get(timeout=20)
    assert (slow.own, slow.pid) == (False, other.pid)
    finish(other)


def test_the_callback_may_do_anything(open_env, found):
    def report(reader):
        commit(env)  # no lock is held
        found.put((reader.txnid, threading.current_thread() is not threading.main_thread()))
        env.close()

    env = open_env(on_slow_reader=report, slow_reader=(0, None))
    commit(env)
    reader = env.begin()
    number = reader.id()
    commit(env)
    assert found.get(timeout=20) == (number, True)
    while not env.closed:
        pass


def test_an_exception_is_reported_and_the_next_reader_is_found(open_env, found, monkeypatch):
    raised = queue.Queue()
    monkeypatch.setattr(threading, "excepthook", raised.put)

    def report(reader):
        found.put(reader.txnid)
        raise ValueError("mine")

    env = open_env(on_slow_reader=report, slow_reader=(0, None))
    commit(env)
    for _ in range(2):
        with env.begin() as reader:
            commit(env)
            assert found.get(timeout=20) == reader.id()
            assert str(raised.get(timeout=20).exc_value) == "mine"


def watches():
    return [each for each in threading.enumerate() if each.name == "pylmdb-reader-watch"]


def test_the_thread_ends_with_the_environment(open_env, lib_version, env_path):
    before = watches()
    env = open_env(on_slow_reader=print, slow_reader=(5, None))
    (thread,) = set(watches()) - set(before)
    env.close()
    thread.join(20)
    assert not thread.is_alive()
    env = pylmdb.open(env_path, on_slow_reader=print, lib_version=lib_version)
    (thread,) = set(watches()) - set(before)
    gone = weakref.ref(env)
    del env
    while gone() is not None:  # the thread may be looking
        gc.collect()
    thread.join(20)
    assert not thread.is_alive()


def test_a_callback_that_refers_to_the_environment_does_not_keep_it(env_path, lib_version, looks):
    class Store:
        def __init__(self):
            options = {"on_slow_reader": self.report, "slow_reader": (0, None)}
            self.env = pylmdb.open(env_path, lib_version=lib_version, **options)

        def report(self, reader):
            raise AssertionError

    before = watches()
    store = Store()
    (thread,) = set(watches()) - set(before)
    looks()
    del store
    while thread.is_alive():  # it may be looking
        gc.collect()
        thread.join(0.05)


def test_it_goes_on_after_compact(open_env, found):
    env = open_env(on_slow_reader=found.put, slow_reader=(0, None))
    commit(env, 5)
    while True:
        try:
            env.compact()
            break
        except pylmdb.BusyError:  # the thread was looking
            continue
    with env.begin() as reader:
        commit(env)
        assert found.get(timeout=20).txnid == reader.id()


def test_wrong_options(open_env, env_path):
    for options, cls, text in (
        ({"on_slow_reader": 3}, TypeError, "on_slow_reader must be callable, not int"),
        ({"slow_reader": 3}, TypeError, "slow_reader must be a pair"),
        ({"slow_reader": (1, 2, 3)}, TypeError, "slow_reader must be a pair"),
        ({"slow_reader": ("1", None)}, TypeError, "slow_reader must be a pair"),
        ({"slow_reader": (-1, None)}, ValueError, "none below 0"),
        ({"slow_reader": (None, None)}, ValueError, "at least one limit"),
        ({"lock": False}, ValueError, "lock=False leaves out"),
    ):
        with pytest.raises(cls, match=text):
            open_env(**{"on_slow_reader": print, **options})
    with pytest.raises(ValueError, match="slow_reader needs on_slow_reader="):
        open_env(slow_reader=(None, 5))
    assert not os.path.exists(env_path)
