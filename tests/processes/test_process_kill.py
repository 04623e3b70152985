# SPDX-License-Identifier: MIT
"""A killed process loses nothing that it has committed, with any options.

PYLMDB_ROUNDS=100 makes 1,000 kills for each engine and way to write, and for each of compacting
and copying.
"""

import fcntl
import os
import random
import struct
import sys

import crashes
import pytest
from lmdb import verify
from programs import PATIENCE, ROUNDS, finish, run, start

import pylmdb

SEED = int(os.environ.get("PYLMDB_SEED", random.getrandbits(32)))
KILLS = 5 * ROUNDS  # with each core

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="locks that are robust"),
    *([pytest.mark.slow] if ROUNDS > 1 else []),
]


@pytest.mark.parametrize("mode", crashes.MODES)
def test_no_kill_loses_or_tears_a_transaction(env_path, lib_version, mode):
    found = run(
        f"""
import crashes
print(crashes.kill_writers(path, lib_version, {crashes.MODES[mode]}, {KILLS}, {SEED}))
""",
        env_path,
        lib_version,
        timeout=PATIENCE + KILLS,
    )
    print(f"PYLMDB_SEED={SEED} {mode}: {found}")


@pytest.mark.parametrize("mode", ["default", "writemap"])
@pytest.mark.parametrize("kinds", ["Compactor, Visitor, Visitor", "Copier, Writer, Copier"])
def test_no_kill_loses_anything_while_a_file_is_made(env_path, lib_version, kinds, mode):
    """A process compacts while others open the environment; another one copies."""
    found = run(
        f"""
import crashes
kinds = [getattr(crashes, kind) for kind in "{kinds}".split(", ")]
print(crashes.kill_writers(path, lib_version, {crashes.MODES[mode]}, {KILLS}, {SEED}, kinds))
""",
        env_path,
        lib_version,
        timeout=PATIENCE + KILLS,
    )
    print(f"PYLMDB_SEED={SEED} {kinds}, {mode}: {found}")


@pytest.mark.parametrize("unready", ["number", "magic", "everything"])
def test_a_process_that_dies_in_open_does_not_reset_transaction_numbers(
    env_path, lib_version, unready
):
    """It has the lock file exclusively, and has begun to initialise it, when two others wait."""
    with pylmdb.open(env_path, lib_version=lib_version, sync=False) as env:
        while env.info().last_txnid < 777:
            with env.begin(write=True) as txn:
                txn.put(b"k", b"%d" % (env.info().last_txnid + 1))
    with open(os.path.join(env_path, "lock.mdb"), "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1)
        waiting = [start(NEXT, env_path, lib_version) for _ in range(2)]
        while waiting_for(file) < len(waiting):
            assert not any(each.poll() for each in waiting)
        at = {"number": file.read().index(struct.pack("Q", 777)), "magic": 0, "everything": 0}
        if unready == "everything":
            file.truncate(0)
        os.pwrite(file.fileno(), bytes(8), at[unready])
    assert sorted(finish(each) for each in waiting) == ["778", "779"]
    assert verify.verify(env_path, subdir=True) == []
    with pylmdb.open(env_path) as env, env.begin() as txn:
        assert (txn.get(b"k"), txn.id()) == (b"779", 779)


NEXT = """
env = pylmdb.open(path, lib_version=lib_version)
with env.begin(write=True, timeout=10) as txn:
    assert txn.get(b"k") == b"%d" % (txn.id() - 1)
    txn.put(b"k", b"%d" % txn.id())
    print(txn.id(), end="")
"""


def waiting_for(file):
    """Return how many processes wait for a lock of the file, according to the system."""
    inode = f":{os.fstat(file.fileno()).st_ino} "
    with open("/proc/locks") as locks:
        return sum("->" in line and inode in line for line in locks)
