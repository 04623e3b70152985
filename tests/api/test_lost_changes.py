# SPDX-License-Identifier: MIT
"""A write transaction that is dropped with changes issues a ResourceWarning."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import warnings

import numpy as np
import pytest

import pylmdb

LEFT = "left without commit"


@pytest.fixture
def warned():
    """Return the warnings so far."""
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        yield lambda: [str(each.message) for each in log if each.category is ResourceWarning]


WRITES = {
    "put": lambda env, txn: txn.put(b"new", b"1"),
    "put of a large value": lambda env, txn: txn.put(b"new", bytes(100_000)),
    "delete": lambda env, txn: txn.delete(b"k"),
    "replace": lambda env, txn: txn.replace(b"k", b"2"),
    "pop": lambda env, txn: txn.pop(b"k"),
    "cursor.put": lambda env, txn: txn.cursor().put(b"new", b"1"),
    "cursor.delete": lambda env, txn: first(txn).delete(),
    "putmulti": lambda env, txn: txn.cursor().putmulti([(b"new", b"1")]),
    "put_arrays": lambda env, txn: txn.put_arrays([b"new"], np.arange(1)),
    "a nested transaction that was committed": lambda env, txn: nested(env, txn, b"new").commit(),
    "a new database": lambda env, txn: env.open_db(b"new", txn) and None,
    "drop": lambda env, txn: txn.drop(env.open_db(None, txn), delete=False),
}
NOTHING = {
    "nothing": lambda env, txn: None,
    "get": lambda env, txn: txn.get(b"k"),
    "a key that exists": lambda env, txn: txn.put(b"k", b"2", overwrite=False),
    "delete of no record": lambda env, txn: txn.delete(b"none"),
    "putmulti of nothing": lambda env, txn: txn.cursor().putmulti([]),
    "a nested transaction that was aborted": lambda env, txn: nested(env, txn, b"new").abort(),
    "abort": lambda env, txn: txn.put(b"new", b"1") and txn.abort(),
    "commit": lambda env, txn: txn.put(b"new", b"1") and txn.commit(),
    "an exception in its block": lambda env, txn: block(txn),
}


def first(txn):
    cursor = txn.cursor()
    assert cursor.first()
    return cursor


def nested(env, txn, key):
    child = env.begin(parent=txn, write=True)
    child.put(key, b"1")
    return child


def block(txn):
    with pytest.raises(KeyError), txn:  # noqa: PT012
        txn.put(b"new", b"1")
        raise KeyError


@pytest.fixture
def env(env):
    with env.begin(write=True) as txn:
        txn.put(b"k", b"1")
    return env


@pytest.mark.parametrize("write", WRITES)
def test_dropping_changes_warns_and_names_the_environment(env, env_path, warned, write):
    txn = env.begin(write=True)
    WRITES[write](env, txn)
    assert warned() == []
    del txn
    gc.collect()
    assert len(warned()) == 1
    assert LEFT in warned()[0]
    assert repr(env_path) in warned()[0]
    with env.begin(write=True, timeout=5) as txn:
        assert txn.get(b"new") is None


@pytest.mark.parametrize("what", NOTHING)
def test_dropping_nothing_says_nothing(env, warned, what):
    txn = env.begin(write=True)
    NOTHING[what](env, txn)
    del txn
    gc.collect()
    assert warned() == []


def test_with_writemap(open_env, warned):
    env = open_env(writemap=True)
    for writes in (False, True):
        txn = env.begin(write=True)
        if writes:
            txn.put(b"new", b"1")
        del txn
        gc.collect()
        assert len(warned()) == writes


def test_a_nested_transaction_that_is_dropped(env, warned):
    with env.begin(write=True) as txn:
        child = nested(env, txn, b"new")
        del child
        gc.collect()
        assert len(warned()) == 1
        txn.put(b"later", b"1")
    assert len(warned()) == 1


def test_closing_the_environment_is_no_dropping(env, warned):
    txn = env.begin(write=True)
    txn.put(b"new", b"1")
    env.close()
    with pytest.raises(pylmdb.ClosedError):
        txn.commit()
    del txn
    gc.collect()
    assert warned() == []


def test_a_transaction_in_a_cycle(env, warned):
    class Holder:
        pass

    holder = Holder()
    holder.me, holder.txn = holder, env.begin(write=True)
    holder.txn.put(b"new", b"1")
    del holder
    gc.collect()
    assert len(warned()) == 1


def test_a_subclass_with_a_finalizer(env, warned):
    class Mine(pylmdb.Transaction):
        def __del__(self):
            getattr(super(), "__del__", lambda: None)()

    txn = Mine(env, write=True)
    txn.put(b"new", b"1")
    del txn
    gc.collect()
    assert len(warned()) == 1
    env.begin(write=True, timeout=5).abort()


def test_dropping_in_another_thread(env, warned):
    kept = [env.begin(write=True)]
    kept[0].put(b"new", b"1")
    thread = threading.Thread(target=lambda: (kept.clear(), gc.collect()))
    thread.start()
    thread.join()
    assert len(warned()) == 1
    env.begin(write=True, timeout=5).abort()


def test_a_thread_that_ends_and_leaves_it_open(env, warned):
    kept = []

    def leave():
        kept.append(env.begin(write=True))
        kept[0].put(b"new", b"1")

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    env.begin(write=True, timeout=5).abort()
    assert len(warned()) == 1
    kept.clear()
    gc.collect()
    assert len(warned()) == 1


def test_what_shows_the_warning_may_write_to_the_environment(env, monkeypatch):
    def show(message, *rest, **more):
        with env.begin(write=True, timeout=5) as txn:
            txn.put(b"shown", str(message).encode())

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        txn = env.begin(write=True)
        txn.put(b"new", b"1")
        del txn
        gc.collect()
    with env.begin() as txn:
        assert LEFT in txn.get(b"shown").decode()


def test_a_warning_that_is_an_error_changes_nothing(env, monkeypatch):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_type))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            raise KeyError("mine")
        except KeyError as error:
            txn = env.begin(write=True)
            txn.put(b"new", b"1")
            del txn
            gc.collect()
            assert sys.exc_info()[1] is error  # noqa: PT017
    assert unraisable == [ResourceWarning]
    env.begin(write=True, timeout=5).abort()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_says_nothing_of_its_parent_s(env, warned):
    txn = env.begin(write=True)
    txn.put(b"new", b"1")
    child = os.fork()
    if not child:
        del txn
        gc.collect()
        os._exit(len(warned()))
    assert os.waitpid(child, 0)[1] == 0
    txn.abort()


def test_at_the_exit_of_the_interpreter(open_env, env_path, lib_version):
    open_env().close()
    program = f"""
        import pylmdb
        env = pylmdb.open({env_path!r})
        txn = env.begin(write=True)
        txn.put(b"new", b"1")
    """
    for flags, told in ((["-W", "always"], 1), ([], 0), (["-W", "error"], 1)):
        done = subprocess.run(
            [sys.executable, *flags, "-c", textwrap.dedent(program)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0
        assert done.stderr.count(LEFT) == told, done.stderr
