# SPDX-License-Identifier: MIT
"""The data file and the lock file: which kinds of file are accepted, and which locks are held."""

import os
import threading

import lmdb
import pytest
from programs import Rival, finish, run, start

import pylmdb
from pylmdb import lowlevel

NOT_REGULAR = {
    "fifo": os.mkfifo,
    "directory": os.mkdir,
    "device": lambda path: os.symlink("/dev/zero", path),
}


# -- what is opened --------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["data.mdb", "lock.mdb"])
@pytest.mark.parametrize("kind", NOT_REGULAR)
@pytest.mark.parametrize("options", [{}, {"readonly": True}, {"writemap": True}])
def test_only_regular_files_are_opened(open_env, env_path, file, kind, options):
    open_env().close()
    os.unlink(os.path.join(env_path, file))
    NOT_REGULAR[kind](os.path.join(env_path, file))
    done = []
    thread = threading.Thread(target=lambda: done.append(failure(open_env, options)))
    thread.start()
    thread.join(5)
    assert not thread.is_alive(), "it waits for a writer of the FIFO"
    assert isinstance(done[0], (pylmdb.Error, OSError)), done


def failure(call, options):
    try:
        call(**options)
    except BaseException as error:
        return error
    return None


def test_nothing_is_written_through_a_link_in_place_of_the_lock_file(open_env, env_path, tmp_path):
    open_env().close()
    target = tmp_path / "target"
    for content in (None, b"precious"):
        if content:
            target.write_bytes(content)
        os.unlink(os.path.join(env_path, "lock.mdb"))
        os.symlink(target, os.path.join(env_path, "lock.mdb"))
        for options in ({}, {"readonly": True}):
            with pytest.raises(pylmdb.Error, match="symbolic link"):
                open_env(**options)
        assert target.read_bytes() == content if content else not target.exists()


def test_a_link_in_place_of_the_data_file_is_for_readers(open_env, env_path, tmp_path):
    """Caches of downloads have a directory of links to files."""
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    data, target = os.path.join(env_path, "data.mdb"), tmp_path / "blob"
    os.rename(data, target)
    os.symlink(target, data)
    before = target.read_bytes()
    with pytest.raises(pylmdb.Error, match="symbolic link"):
        open_env()
    for options in ({"lock": False}, {}):
        with open_env(readonly=True, **options) as env, env.begin() as txn:
            assert txn.get(b"k") == b"v"
    assert target.read_bytes() == before
    named = tmp_path / "named"
    os.symlink(target, named)
    with open_env(named, subdir=False) as env, env.begin(write=True) as txn:
        assert txn.put(b"k2", b"v")


def put(env, key):
    with env.begin(write=True) as txn:
        txn.put(key, b"v")


def test_a_small_file_with_small_pages_is_no_unfinished_one(tmp_path):
    """A file that is shorter than two of our pages can have five smaller pages."""
    path = tmp_path / "env"
    path.mkdir()
    engine = lowlevel.engines()[1]
    out = engine.ffi.new("MDB_env **")
    assert engine.lib.mdb_env_create(out) == 0
    assert engine.lib.mdb_env_set_pagesize(out[0], 512) == 0
    assert engine.lib.mdb_env_open(out[0], os.fsencode(path), 0, 0o644) == 0
    engine.lib.mdb_env_close(out[0])
    for i in range(3):
        with pylmdb.open(path) as env:
            assert env.stat().psize == 512
            with env.begin(write=True) as txn:
                assert txn.stat().entries == i
                txn.put(b"%d" % i, b"v")
    assert (path / "data.mdb").stat().st_size < 8192


# -- locks -----------------------------------------------------------------------------------


def test_locks_do_not_depend_on_who_else_opens_the_lock_file(open_env, env_path, lib_version):
    env = open_env()
    put(env, b"k")
    reader = env.begin()
    with open(os.path.join(env_path, "lock.mdb"), "rb") as file:
        file.read()
    with Rival(env_path, lib_version) as rival:
        assert rival.ask("check") == "0"
        assert os.getpid() in rival.reader_pids()
        assert rival.ask("put", "k", "new") == "put"
        assert reader.get(b"k") == b"v"
        with env.begin(write=True):
            assert not rival.can_write(timeout=0.05)
    reader.abort()


def test_another_binding_in_this_process_does_not_take_our_locks(open_env, env_path, lib_version):
    env = open_env()
    put(env, b"k")
    with env.begin() as reader:
        other = None
        try:
            other = lmdb.open(env_path, lib_version=lib_version)
        except lmdb.Error:
            pass
        else:
            other.close()
        with Rival(env_path, lib_version) as rival:
            assert rival.ask("check") == "0"
            assert os.getpid() in rival.reader_pids()
        assert reader.get(b"k") == b"v"
    del other


DYING = """
import subprocess
env = pylmdb.open(path, lib_version=lib_version)
with env.begin(write=True) as txn:
    txn.put(b"k", b"v")
reader = env.begin()
child = os.fork()
if not child:
    for each in range(3):
        os.close(each)
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_dead_parent_is_known_to_be_dead_while_its_child_lives(env_path, lib_version):
    child = int(finish(start(DYING, env_path, lib_version), status=-9))
    try:
        with pylmdb.open(env_path) as env:
            assert env.reader_list() == []
            put(env, b"k")
    finally:
        os.kill(child, 9)


def test_the_child_of_a_fork_keeps_no_lock_of_the_parent(env_path, lib_version):
    """The parent closes and opens while its children live."""
    run(
        """
env = pylmdb.open(path, lib_version=lib_version)
children = []
for i in range(5):
    reader = env.begin()
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    children.append(child)
    reader.abort()
    env.close()
    env = pylmdb.open(path)
    with env.begin(write=True) as txn:
        txn.put(b"%d" % i, b"v")
    assert env.stat().entries == i + 1
env.close()
env = pylmdb.open(path)
env.compact()  # no other process has it open
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
""",
        env_path,
        lib_version,
    )


HOLDER = """
import fcntl, struct
folder = os.path.dirname(path) and os.makedirs(path, exist_ok=True)
fd = os.open(path + "/lock.mdb", os.O_RDWR | os.O_CREAT, 0o644)
fcntl.lockf(fd, fcntl.LOCK_SH, 1, 0)
print("holds", flush=True)
time.sleep(0.1)
"""


def test_a_lock_file_that_is_being_made_is_waited_for(env_path, lib_version, core):
    holder = start(HOLDER, env_path, lib_version)
    assert holder.stdout.readline() == "holds\n"
    with pylmdb.open(env_path, lib_version=lib_version) as env:
        put(env, b"k")
        assert env.stat().entries == 1
    finish(holder)
