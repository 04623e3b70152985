# SPDX-License-Identifier: MIT
"""A failed assertion inside liblmdb is a PanicError, and the process goes on."""

import pytest

import pylmdb


@pytest.fixture
def failed(tmp_path):
    """An environment in which an assertion has failed: LMDB 1.0.2 has one that a
    page which is allocated and given back in one transaction trips with writemap."""
    path = tmp_path / "env"
    env = pylmdb.open(path, lib_version=1, writemap=True)
    db = env.open_db(b"db")
    with env.begin(write=True) as txn:
        txn.put(b"kept", b"1")
    txn = env.begin(write=True)
    txn.put(b"f", b"86", db=db)
    txn.put(b"lost", b"6")
    txn.delete(b"f", db=db)
    with pytest.raises(pylmdb.PanicError, match="open it again"):
        txn.commit()
    assert txn.closed
    yield env
    env.close()


def test_every_begin_says_so(failed):
    for write in (False, True, True):
        with pytest.raises(pylmdb.PanicError):
            failed.begin(write=write, timeout=0.5)


def test_the_file_is_as_it_was_and_the_lock_is_free(failed):
    path = failed.path()
    failed.close()
    with pylmdb.open(path) as env, env.begin(write=True, timeout=1) as txn:
        assert txn.get(b"kept") == b"1"
        assert txn.get(b"lost") is None
        assert env.dbs(txn) == [b"db"]
        txn.put(b"more", b"2")
