# SPDX-License-Identifier: MIT
"""view(), and what the reader list and close() say of snapshots that views pin."""

import functools
import threading
import time
import warnings

import pytest

import pylmdb
from pylmdb._shared import pinned as _pinned

RECORDS = {b"k": b"abcdefgh" * 8, b"small": b"small value", b"large": bytes(range(256)) * 400}


@pytest.fixture
def env(open_env):
    """Return an environment with a few records, one of them over many pages."""
    env = open_env(map_size=64 << 20, max_readers=20)
    with env.begin(write=True) as txn:
        for key, value in RECORDS.items():
            txn.put(key, value)
    return env


def overwrite(env):
    """Commit until every page that may be reused has been."""
    for n in range(6):
        with env.begin(write=True) as txn:
            for key, value in RECORDS.items():
                txn.put(key, bytes([n]) * len(value))


# -- what holds is visible, and can be waited for ---------------------------------------------


def test_the_reader_list_says_since_when_views_hold(env):
    before = time.time()
    held = env.begin(buffers=True)
    view = held.get(b"k")
    other = env.begin()
    assert [row.held_since for row in env.reader_list()] == [None, None]
    held.abort()
    times = sorted(env.reader_list(), key=lambda row: row.held_since is None)
    assert before <= times[0].held_since <= time.time()
    assert times[1].held_since is None
    assert times[0].txnid == other.id()
    view.release()
    assert [row.held_since for row in env.reader_list()] == [None]


def test_close_waits_for_views(open_env, env):
    with env.begin() as txn:
        views = [txn.view(b"k"), txn.view(b"small")]
    threading.Timer(0.2, views.clear).start()
    start = time.monotonic()
    env.close(wait=30)
    assert 0.1 < time.monotonic() - start < 20
    assert not views
    env.close(wait=0)


def test_close_says_when_views_do_not_go(open_env, env):
    with env.begin() as txn:
        view = txn.view(b"k")
    with pytest.raises(pylmdb.BusyError, match="1 snapshot"):
        env.close(wait=0.05)
    assert env.closed
    assert bytes(view) == RECORDS[b"k"]
    with pytest.raises(ValueError, match="timeout"):
        open_env(map_size=64 << 20).close(wait=-1)


def test_closing_warns_of_old_views(env, monkeypatch):
    with env.begin() as txn:
        view = txn.view(b"k")
    at_once = functools.partial(_pinned.after_close, long=0.0)
    monkeypatch.setattr(env, "_after_close", at_once)
    with pytest.warns(ResourceWarning, match="pin 1 snapshot"):
        env.close()
    assert bytes(view) == RECORDS[b"k"]


def test_closing_does_not_warn_of_young_views(env):
    with env.begin() as txn:
        view = txn.view(b"k")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.close()
    assert bytes(view) == RECORDS[b"k"]


# -- view() -----------------------------------------------------------------------------------


@pytest.mark.parametrize("buffers", [False, True])
def test_view_is_a_view_whatever_buffers_says(env, buffers):
    with env.begin(buffers=buffers) as txn:
        view = txn.view(b"k")
        assert (type(view), view.readonly, view.format, view.ndim) == (memoryview, True, "B", 1)
        missing = object()
        assert txn.view(b"missing") is None
        assert txn.view(b"missing", missing) is missing
        assert txn.view(key=b"missing", default=1, db=env.open_db()) == 1
        with pytest.raises(TypeError, match="bytes, not str"):
            txn.view("k")
        with pytest.raises(pylmdb.BadValsizeError):
            txn.view(b"")
    overwrite(env)
    assert view == RECORDS[b"k"]
    with pytest.raises(pylmdb.ClosedError):
        txn.view(b"k")


def test_view_in_a_write_transaction_is_a_copy(env):
    with env.begin(write=True) as txn:
        view = txn.view(b"k")
        assert (type(view), view.readonly) == (memoryview, True)
        txn.put(b"k", bytes(64))
        assert view == RECORDS[b"k"]
    assert env.info()["pinned"] == 0
    assert view == RECORDS[b"k"]


def test_view_of_another_database(open_env):
    env = open_env()
    other = env.open_db(b"other")
    with env.begin(write=True, db=other) as txn:
        txn.put(b"k", b"in the other")
    with env.begin() as txn:
        assert txn.view(b"k") is None
        assert txn.view(b"k", db=other) == b"in the other"


def test_arrow_buffers_hold_the_snapshot(env):
    pyarrow = pytest.importorskip("pyarrow")
    with env.begin() as txn:
        buffers = {key: pyarrow.py_buffer(txn.view(key)) for key in RECORDS}
    env.close()
    for key, buffer in buffers.items():
        assert not buffer.is_mutable
        assert buffer.to_pybytes() == RECORDS[key]
