# SPDX-License-Identifier: MIT
"""A read transaction begins while another process commits.

A reader notes the number of the newest transaction in its slot, and then copies the meta page of
that transaction.  Two commits in between overwrite the page.  Here the commits are made at exactly
that moment: the page is not readable, and a handler of SIGSEGV lets the other process commit.
"""

import pytest
from programs import finish, start

READER = """
import ctypes, mmap
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.signal.argtypes, libc.signal.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
METAS = 2 * mmap.PAGESIZE
commits, times = int(sys.argv[3]), int(sys.argv[4])

def commit():
    print("commit", flush=True)
    assert sys.stdin.readline() == "done\\n"

@ctypes.CFUNCTYPE(None, ctypes.c_int)
def on_fault(_):
    global faults
    faults += 1
    libc.mprotect(start, METAS, mmap.PROT_READ)
    for _ in range(commits):
        commit()

env = pylmdb.open(path, lib_version=lib_version)
db = env.open_db(b"counter", create=False)
with open("/proc/self/maps") as maps:
    start = next(int(line.split("-")[0], 16) for line in maps if "/data.mdb" in line)
libc.signal(signal.SIGSEGV, on_fault)
idle = env.begin() if times > 1 else None
for _ in range(times):
    faults = 0
    assert libc.mprotect(start, METAS, 0) == 0
    txn = env.begin()
    assert faults == 1
    commit()  # pages that only older snapshots use are used again
    commit()
    commit()
    number = int(txn.get(b"number", db=db))
    assert number == txn.id(), (number, txn.id())
    assert [int(value) for _, value in txn.range(db=db)] == [number] * 201
    txn.abort()
libc.signal(signal.SIGSEGV, 0)
print("end", flush=True)
"""


def commit(env, db):
    with env.begin(write=True) as txn:
        for i in range(200):
            txn.put(b"%d" % i, b"%200d" % txn.id(), db=db)
        txn.put(b"number", b"%d" % txn.id(), db=db)


@pytest.mark.parametrize("commits", [1, 2, 3, 4])
@pytest.mark.parametrize("times", [1, 3], ids=["new", "renewed"])
def test_commits_in_the_middle_of_a_begin(env, env_path, lib_version, commits, times):
    db = env.open_db(b"counter")
    for _ in range(4):
        commit(env, db)
    arguments = f"sys.argv += [{str(commits)!r}, {str(times)!r}]\n"
    reader = start(arguments + READER, env_path, lib_version)
    while (line := reader.stdout.readline()) == "commit\n":
        commit(env, db)
        reader.stdin.write("done\n")
        reader.stdin.flush()
    assert line == "end\n" or finish(reader)
    finish(reader)
