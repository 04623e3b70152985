# SPDX-License-Identifier: MIT
"""A process that is killed loses nothing that it has committed, whatever the flags.

PYLMDB_ROUNDS=100 makes 1,000 kills for each engine and way to write.
"""

import fcntl
import os
import random
import struct
import sys

import crashes
import pytest
from lmdb import verify
from programs import ROUNDS, finish, run, start

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
        timeout=60 + KILLS,
    )
    print(f"PYLMDB_SEED={SEED} {mode}: {found}")


def test_one_that_dies_while_it_opens_leaves_the_numbers_alone(env_path, lib_version):
    """It has the lock file to itself, and has begun to fill it in, when another one waits."""
    with pylmdb.open(env_path, lib_version=lib_version, sync=False) as env:
        while env.info().last_txnid < 777:
            with env.begin(write=True) as txn:
                txn.put(b"k", b"%d" % (env.info().last_txnid + 1))
    with open(os.path.join(env_path, "lock.mdb"), "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1)
        waits = start(
            """
env = pylmdb.open(path, lib_version=lib_version)
with env.begin() as txn:
    assert txn.get(b"k") == b"777"
with env.begin(write=True) as txn:
    assert txn.id() == 778
    txn.put(b"k", b"778")
""",
            env_path,
            lib_version,
        )
        while f"{os.fstat(file.fileno()).st_ino} " not in waiting_locks():
            assert waits.poll() is None
        at = file.read().index(struct.pack("Q", 777))
        file.seek(at)
        file.write(bytes(8))
        file.flush()
    finish(waits)
    assert verify.verify(env_path, subdir=True) == []
    with pylmdb.open(env_path) as env, env.begin() as txn:
        assert (txn.get(b"k"), txn.id()) == (b"778", 778)


def waiting_locks():
    """What the system says of locks that somebody waits for."""
    with open("/proc/locks") as file:
        return "".join(line.replace(":", " ") for line in file if "->" in line)
