# SPDX-License-Identifier: MIT
"""Rewriting the data file in place."""

import os
import pickle
import signal
import stat
import threading
import time

import pytest
from lmdb import verify
from programs import Rival, finish, run, start

import pylmdb


def fill(env, count=3000, **options):
    with env.begin(write=True, **options) as txn:
        for i in range(count):
            txn.put(b"%05d" % i, b"%05d" % i * 100)


def thin(env, keep=10):
    with env.begin(write=True) as txn:
        for i in range(3000):
            if i % keep:
                txn.delete(b"%05d" % i)


def size(env):
    return os.stat(os.path.join(env.path(), "data.mdb")).st_size


def test_the_file_becomes_smaller_and_keeps_all_records(open_env, env_path):
    env = open_env()
    dups, fixed = env.open_db(b"dups", dupsort=True), env.open_db(b"fixed", dupfixed=True)
    fill(env)
    with env.begin(write=True) as txn:
        for i in range(2000):
            txn.put(b"k%d" % (i % 3), b"%05d" % i, db=dups)
            txn.put(b"k%d" % (i % 3), b"%05d" % i, db=fixed)
        txn.put(b"large", b"v" * 1_000_000)
    thin(env)
    before = size(env)

    def contents():
        with env.begin() as txn:
            main = [item for item in txn.cursor() if not item[0].startswith((b"dups", b"fixed"))]
            return [main, *(list(txn.cursor(db)) for db in (dups, fixed))]

    expected = contents()
    env.compact()
    assert size(env) < before // 1.5
    assert env.info().free_pages == 0
    assert contents() == expected
    fill(env)
    with env.begin(write=True) as txn:
        assert txn.put(b"k", b"v", db=dups)
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]
    env.close()
    assert verify.verify(env_path, subdir=True) == []


def test_again_and_again(open_env):
    env = open_env()
    for round in range(5):
        fill(env, 100 * round)
        env.compact()
        with env.begin() as txn:
            assert txn.stat().entries == max(0, 100 * round)


@pytest.mark.parametrize(
    "options",
    [
        {"subdir": False},
        {"writemap": True},
        {"map_size": 8 << 20},
        {"sync": False},
        {"max_dbs": 5},
        {"max_map_size": 1 << 30},
    ],
)
def test_the_options_stay(open_env, env_path, options):
    env = open_env(**options)
    fill(env)
    thin(env)
    os.chmod(os.path.join(env_path, "data.mdb") if options.get("subdir", True) else env_path, 0o640)
    flags, info = env.flags(), env.info()
    env.compact()
    assert env.flags() == flags
    assert (env.info().max_map_size, env.max_readers()) == (info.max_map_size, info.max_readers)
    path = os.path.join(env_path, "data.mdb") if options.get("subdir", True) else env_path
    assert os.stat(path).st_mode & 0o777 == 0o640
    again = pickle.loads(pickle.dumps(env))
    assert again.stat().entries == 300
    again.close()


def test_users_in_this_process_that_prevent_compacting_are_named(open_env):
    env = open_env()
    fill(env, 10)
    other = open_env()
    with pytest.raises(pylmdb.BusyError, match="1 other Environment"):
        env.compact()
    other.close()
    with env.begin(buffers=True) as txn:
        view = txn.get(b"00001")
        with pytest.raises(pylmdb.BusyError, match="transaction"):
            env.compact()
    with pytest.raises(pylmdb.BusyError, match="views"):
        env.compact()
    assert view == b"00001" * 100
    del view
    with env.begin(write=True), pytest.raises(pylmdb.BusyError, match="write transaction"):
        env.compact()
    env.compact()
    assert env.stat().entries == 10


def test_other_processes_that_prevent_compacting_are_named(open_env, env_path, lib_version):
    env = open_env()
    fill(env, 10)
    with Rival(env_path, lib_version) as rival:
        assert rival.can_write()
        with pytest.raises(pylmdb.BusyError, match=f"other processes.*{rival.process.pid}"):
            env.compact()
        assert rival.ask("put", "key", "value") == "put"
        fill(env, 20)
    env.compact()
    with env.begin() as txn:
        assert txn.get(b"key") == b"value"


def test_a_process_that_opens_it_meanwhile_gets_the_new_file(
    open_env, env_path, lib_version, monkeypatch
):
    """It waits at the lock file, and must not look for the snapshot of the old file."""
    env = open_env()
    for _ in range(7):
        fill(env)
    thin(env)
    with Rival(env_path, lib_version) as rival:
        rename = os.rename

        def slow_rename(*args):
            rival.tell("put", "key", "value")
            time.sleep(0.3)
            rename(*args)

        monkeypatch.setattr(os, "rename", slow_rename)
        env.compact()
        assert rival.answer() == "put"
        with env.begin() as txn:
            assert txn.get(b"key") == b"value"
            assert txn.stat().entries == 301
        fill(env, 50)
        assert rival.can_write()


def test_what_cannot_be_compacted(open_env, env_path):
    with open_env() as env:
        fill(env, 10)
    for name, error in (("readonly", pylmdb.ReadonlyError), ("lock", pylmdb.Error)):
        options = {name: name == "readonly"}
        with open_env(**options) as env:
            with pytest.raises(error):
                env.compact()
            assert env.stat().entries == 10
    with pytest.raises(pylmdb.ClosedError):
        env.compact()


def test_a_failure_leaves_all_as_it_was(open_env, env_path, lib_version, monkeypatch):
    env = open_env()
    fill(env, 10)

    def no_rename(*args):
        raise OSError(5, "no")

    monkeypatch.setattr(os, "rename", no_rename)
    with pytest.raises(pylmdb.DiskError):
        env.compact()
    monkeypatch.undo()
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]
    fill(env, 20)
    with Rival(env_path, lib_version) as rival:
        assert rival.can_write()
    env.compact()
    assert env.stat().entries == 20


@pytest.mark.parametrize("moment", ["rename", "sync"])
def test_a_failure_with_the_new_file_in_place(open_env, env_path, lib_version, monkeypatch, moment):
    env = open_env()
    for _ in range(6):
        fill(env, 10)
    rename, fsync = os.rename, os.fsync

    def rename_and_be_interrupted(*args):
        rename(*args)
        raise KeyboardInterrupt

    def sync_no_directory(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(5, "no")
        fsync(fd)

    if moment == "rename":
        monkeypatch.setattr(os, "rename", rename_and_be_interrupted)
    else:
        monkeypatch.setattr(os, "fsync", sync_no_directory)
    with pytest.raises((KeyboardInterrupt, pylmdb.DiskError)):
        env.compact()
    monkeypatch.undo()
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]
    with Rival(env_path, lib_version) as rival:
        assert rival.ask("put", "key", "value") == "put"
        with env.begin() as txn:
            assert txn.get(b"key") == b"value"
            assert txn.stat().entries == 11
    fill(env, 20)
    env.compact()
    assert env.stat().entries == 21


def test_the_file_is_complete_after_a_kill_during_compacting(env_path, lib_version):
    run(
        """
env = pylmdb.open(path, lib_version=lib_version)
with env.begin(write=True) as txn:
    txn.put(b"k", b"v" * 100_000)
os.rename = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
env.compact()
""",
        env_path,
        lib_version,
        status=-signal.SIGKILL,
    )
    env = pylmdb.open(env_path)
    assert env.stat().entries == 1
    env.compact()
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]
    env.close()


@pytest.mark.parametrize("turns", [6, 7])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_a_process_waits_to_open_it(env_path, lib_version, moment, turns):
    """The lock file must not name a snapshot that the file does not have."""
    compactor = start(
        f"""
env = pylmdb.open(path, lib_version=lib_version)
for i in range({turns}):
    with env.begin(write=True) as txn:
        txn.put(b"%d" % i, b"v" * 10_000)
rename = os.rename
def die(*args):
    if "{moment}" == "after":
        rename(*args)
    print("there", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
os.rename = die
env.compact()
""",
        env_path,
        lib_version,
    )
    assert compactor.stdout.readline() == "there\n"
    waiting = [
        start(
            """
print("ready", flush=True)
env = pylmdb.open(path)
with env.begin(write=True) as txn:
    txn.put(b"new %d" % os.getpid(), b"")
    print(txn.stat().entries)
""",
            env_path,
            lib_version,
        )
        for _ in range(2)
    ]
    assert [each.stdout.readline() for each in waiting] == ["ready\n"] * 2
    time.sleep(0.3)
    assert not any(each.poll() for each in waiting)
    compactor.communicate("die\n")
    assert sorted(finish(each) for each in waiting) == [f"{turns + 1}\n", f"{turns + 2}\n"]
    assert verify.verify(env_path, subdir=True) == []
    env = pylmdb.open(env_path)
    assert env.stat().entries == turns + 2
    env.compact()
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]
    env.close()


def test_other_threads_wait_or_raise(open_env):
    env = open_env()
    fill(env)
    going, wrong, done = threading.Event(), [], []

    def read():
        while not going.is_set():
            try:
                with env.begin() as txn:
                    assert txn.get(b"00007") == b"00007" * 100
                done.append(1)
            except pylmdb.BusyError:
                pass
            except BaseException as error:
                wrong.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    compacted = 0
    try:
        for _ in range(10):
            try:
                env.compact()
                compacted += 1
            except pylmdb.BusyError:
                pass
            time.sleep(0.005)
    finally:
        going.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert compacted
    assert done
