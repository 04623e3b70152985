# SPDX-License-Identifier: MIT
"""The reader table: who reads, what that costs, and what becomes of the dead."""

import os

import pytest
from programs import PRELUDE, run

import pylmdb


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "env")


def test_a_reader_keeps_pages(path, lib_version):
    with pylmdb.open(path, lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            txn.put(b"k", bytes(40_000))
        reader = env.begin()
        assert [row.pages for row in env.reader_list()] == [0]
        for _ in range(3):
            with env.begin(write=True) as txn:
                txn.put(b"k", bytes(40_000))
        (row,) = env.reader_list()
        assert (row.pid, row.txnid) == (os.getpid(), reader.id())
        assert row.pages >= 3 * 10
        fresh = env.begin()
        kept = {row.txnid: row.pages for row in env.reader_list()}
        assert kept[reader.id()] > kept[fresh.id()] + 20
        reader.abort()
        fresh.abort()
        assert env.reader_list() == []


DEAD = (
    PRELUDE
    + """
import subprocess
def reader_that_dies():
    source = "import sys, os, signal, pylmdb;" \\
        "txn = pylmdb.open(sys.argv[1]).begin(); os.kill(os.getpid(), signal.SIGKILL)"
    child = subprocess.run([sys.executable, "-c", source, path])
    assert child.returncode == -signal.SIGKILL
"""
)


def test_dead_readers_are_cleared_at_open(path, lib_version):
    run(
        """
first = subprocess.Popen([sys.executable, "-c", "import sys, pylmdb; "
    f"env = pylmdb.open(sys.argv[1], lib_version={lib_version}); print(1, flush=True); input()",
    path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
first.stdout.readline()  # keeps the reader table from being made anew
for _ in range(3):
    reader_that_dies()
env = pylmdb.open(path)
assert env.reader_list() == [], env.readers()
assert env.reader_check() == 0
first.communicate(b"\\n")
""",
        path,
        lib_version,
        prelude=DEAD,
    )


def test_dead_readers_make_room_when_slots_run_out(path, lib_version):
    run(
        """
env = pylmdb.open(path, max_readers=3, lib_version=lib_version)
with env.begin(write=True) as txn:
    txn.put(b"k", b"v")
living = env.begin()
for _ in range(2):
    reader_that_dies()
more = [env.begin(), env.begin()]
assert all(txn.get(b"k") == b"v" for txn in [living, *more])
try:
    env.begin()
except pylmdb.ReadersFullError:
    pass
else:
    raise AssertionError("a fourth reader")
""",
        path,
        lib_version,
        prelude=DEAD,
    )
