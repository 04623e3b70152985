# SPDX-License-Identifier: MIT
"""An environment in which liblmdb has failed raises PanicError; the process continues."""

import os

import pytest

import pylmdb
from pylmdb import lowlevel


def descriptor_of_the_meta_page(env, path):
    """liblmdb writes the meta page through a descriptor of its own."""
    engine = lowlevel.engine(env)
    of_pages = engine.ffi.new("int *")
    assert engine.lib.mdb_env_get_fd(lowlevel.handle(env), of_pages) == 0
    for fd in range(3, 1000):
        try:
            same = os.path.samestat(os.fstat(fd), os.stat(path))
        except OSError:
            continue
        if same and fd != of_pages[0]:
            return fd
    raise AssertionError("liblmdb has one descriptor only")


@pytest.fixture
def failed(tmp_path):
    """An environment whose meta page could be neither written nor restored."""
    path = tmp_path / "env"
    env = pylmdb.open(path)
    env.open_db(b"db")
    with env.begin(write=True) as txn:
        txn.put(b"kept", b"1")
    readonly = os.open(path / "data.mdb", os.O_RDONLY)
    os.dup2(readonly, descriptor_of_the_meta_page(env, path / "data.mdb"), inheritable=False)
    os.close(readonly)
    txn = env.begin(write=True)
    txn.put(b"lost", b"6")
    with pytest.raises(pylmdb.Error):
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
