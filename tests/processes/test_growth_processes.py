# SPDX-License-Identifier: MIT
"""Several processes grow one file."""

import os

import pytest
from lmdb import verify
from programs import ROUNDS, finish, start

import pylmdb

WRITERS, PUTS = 6, 150 * min(ROUNDS, 20)

# Each process has a map of another size, because the file was smaller when it was opened.
WRITER = """
number, writemap, puts = int(sys.argv[3]), sys.argv[4] == "True", int(sys.argv[5])
import random
chance = random.Random(number)
env = pylmdb.open(path, lib_version=lib_version, writemap=writemap, sync=False)
sys.stdin.readline()
for i in range(puts):
    with env.begin(write=True) as txn:
        key = b"%d-%06d" % (number, i)
        assert txn.put(key, key * chance.choice([1, 10, 100, 2000]))
    print(i, flush=True)
    if i % 50 == number:
        with env.begin() as txn:
            seen = sum(1 for _ in txn.cursor())
            assert seen > i
        env.close()
        env = pylmdb.open(path, writemap=writemap, sync=False)
env.close()
"""


@pytest.fixture(params=[False, True], ids=["plain", "writemap"])
def writemap(request):
    return request.param


def command(source, *arguments):
    """Return a program that gets more arguments than path and lib_version."""
    return f"sys.argv += {[str(each) for each in arguments]!r}\n{source}"


def test_they_all_grow_it_at_once(env_path, lib_version, writemap, core):
    os.mkdir(env_path)
    for round in range(max(1, ROUNDS // 10)):
        path = os.path.join(env_path, str(round))
        pylmdb.open(path, lib_version=lib_version).close()
        writers = [
            start(command(WRITER, number, writemap, PUTS), path, lib_version)
            for number in range(WRITERS)
        ]
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        for writer in writers:
            assert len(finish(writer, timeout=120).split()) == PUTS
        with pylmdb.open(path) as env, env.begin() as txn:
            assert txn.stat().entries == WRITERS * PUTS
            for key, value in txn.cursor():
                assert value == key * (len(value) // len(key))
            assert env.info().used > 1 << 20
        assert verify.verify(path, subdir=True) == []


def test_a_reader_sees_what_another_process_has_made_larger(open_env, env_path, lib_version):
    env = open_env(map_size=1 << 20)
    reader = env.begin()
    grown = """
env = pylmdb.open(path, map_size=32 << 20)
with env.begin(write=True) as txn:
    txn.put(b"large", b"v" * (20 << 20))
"""
    finish(start(grown, env_path, lib_version))
    assert reader.get(b"large") is None
    with env.begin(buffers=True) as txn:
        assert len(txn.get(b"large")) == 20 << 20
    with env.begin(write=True) as txn:  # our size is now that of the other process
        assert txn.put(b"more", b"v" * (1 << 20))
    assert env.info().map_size == 32 << 20
    assert reader.get(b"more") is None
    reader.abort()


@pytest.mark.parametrize("ours", ["small", "none"])
def test_a_smaller_map_never_shortens_the_file(open_env, env_path, lib_version, writemap, ours):
    """One process continues with an old, small map; another opens the file with a small size."""
    env = open_env(writemap=writemap, **({"map_size": 1 << 20} if ours == "small" else {}))
    grown = """
env = pylmdb.open(path, writemap=sys.argv[3] == "True")
with env.begin(write=True) as txn:
    txn.put(b"large", b"v" * (20 << 20))
"""
    finish(start(command(grown, writemap), env_path, lib_version))
    size = os.stat(os.path.join(env_path, "data.mdb")).st_size
    assert size > 20 << 20
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    env.close()
    with pylmdb.open(env_path, map_size=1 << 20, writemap=True) as env, env.begin() as txn:
        assert txn.get(b"large") == b"v" * (20 << 20)
        assert txn.get(b"k") == b"v"
    assert os.stat(os.path.join(env_path, "data.mdb")).st_size >= size


DYING = """
env = pylmdb.open(path)
reader = env.begin()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_dead_readers_do_not_make_the_file_grow(open_env, env_path, lib_version):
    """A process that has the file open already clears them before the map grows."""
    env = open_env(sync=False)
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v" * (1 << 20))
    finish(start(DYING, env_path, lib_version), status=-9)
    assert len(env.reader_list()) == 1
    for _ in range(60):
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v" * (1 << 20))
    assert env.reader_list() == []
    assert env.info().used < 20 << 20
