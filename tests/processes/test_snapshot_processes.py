# SPDX-License-Identifier: MIT
"""Snapshots in other processes: forked children, and processes that unpickle one."""

import copy
import pickle
import struct

import pytest
from programs import run


def test_pickling(open_env, lib_version, env_path, tmp_path):
    env = open_env(max_dbs=1)
    db = env.open_db(b"named", integerkey=True)
    with env.begin(write=True) as txn:
        txn.put(b"00000", b"value")
        txn.put_arrays([1, 2], [10, 20], db=db)
    for original, key in ((env.snapshot(), b"00000"), (env.snapshot(db), struct.pack("=Q", 1))):
        for other in (pickle.loads(pickle.dumps(original)), copy.copy(original)):
            assert other is not original
            assert other.key(0) == key
            assert list(other) == list(original)
    (tmp_path / "snapshots").write_bytes(pickle.dumps([env.snapshot(), env.snapshot(db)]))
    env.close()
    program = """
import pickle
main, named = pickle.load(open(path + "/../snapshots", "rb"))
print(len(main), named.keys().tolist(), named.take([-1, 0], "i8").tolist())
"""
    assert run(program, env_path, lib_version) == "2 [1, 2] [20, 10]\n"


FORKS = """
import numpy as np
env = pylmdb.open(path, lib_version=lib_version, sync=False)
table = np.arange(200 * 300).reshape(200, 300)
def fill(factor):
    with env.begin(write=True) as txn:
        txn.put_arrays(range(200), table * factor, key_format="%05d")
def churn():
    for n in range(2, 9):
        fill(n)
fill(1)
snapshot = env.snapshot()
numbers = np.array([5, -1, 0, 5, 199, -200])
def check():
    assert np.array_equal(snapshot.take(numbers, "i8", 300), table[numbers])
    assert snapshot[7] == table[7].tobytes()
    assert snapshot.key(3) == b"00003"
    assert snapshot.keys()[-1] == b"00199"
def refused():
    for use in (lambda: snapshot.take(numbers, "i8", 300), lambda: snapshot[7], snapshot.keys):
        assert raised_by(use) is pylmdb.ForkedError, raised_by(use)
def pids():
    return sorted(row.pid for row in env.reader_list())
"""

FORKED = {
    # nothing was committed: the child has its own reader slot, so it outlives the parent's
    "nothing committed": """
def child():
    check()
    assert os.getpid() in pids()
    view = snapshot[9]
    churn()
    check()
    assert view == table[9].tobytes()
assert in_child(child) == 0
check()
""",
    "the parent lets it go": """
go, gone = os.pipe(), os.pipe()
def child():
    check()
    os.write(gone[1], b"x")
    os.read(go[0], 1)
    check()
pid = start_child(child)
os.read(gone[0], 1)
snapshot.close()
churn()
os.write(go[1], b"x")
assert wait_for(pid) == 0
""",
    # the parent has committed: the child gets the snapshot that its parent pins
    "the parent commits": """
churn()
def child():
    check()
    view = snapshot[9]
    churn()
    check()
    assert view == table[9].tobytes()
assert in_child(child) == 0
check()
churn()
check()
""",
    "the parent commits meanwhile": """
go, gone = os.pipe(), os.pipe()
def child():
    os.read(go[0], 1)
    check()
    os.write(gone[1], b"x")
    os.read(go[0], 1)
    check()
pid = start_child(child)
churn()
os.write(go[1], b"x")
os.read(gone[0], 1)
snapshot.close()
churn()
os.write(go[1], b"x")
assert wait_for(pid) == 0
""",
    "the parent has closed it": """
churn()
kept = snapshot._map
def child():
    snapshot._map = kept_in_child
    refused()
kept_in_child, kept = kept, None
go = os.pipe()
def last():
    os.read(go[0], 1)
    refused()
    again = env.snapshot()
    assert again[7] == (table[7] * 9).tobytes()
    assert raised_by(lambda: snapshot[3]) is pylmdb.ForkedError
    snapshot.close()
    assert raised_by(lambda: snapshot[3]) is pylmdb.ClosedError
pid = start_child(last)
del kept_in_child
snapshot.close()
fill(9)
os.write(go[1], b"x")
assert wait_for(pid) == 0
""",
    "grandchildren": """
def grandchild():
    check()
def child():
    assert in_child(grandchild) == 0
    check()
    assert in_child(grandchild) == 0
    churn()
    assert in_child(grandchild) == 0
    check()
assert in_child(child) == 0
churn()
assert in_child(child) == 0
check()
""",
    "another snapshot in the child": """
churn()
def child():
    check()
    with env.snapshot() as other:
        assert other[7] == (table[7] * 8).tobytes()
    with env.begin() as txn:
        assert txn.get(b"00007") == (table[7] * 8).tobytes()
    snapshot.close()
    del other
    gc.collect()
    assert os.getpid() not in pids()
assert in_child(child) == 0
assert in_child(child) == 0
check()
""",
    "an inherited view": """
view = snapshot[9]
def child():
    global view
    assert view == table[9].tobytes()
    view = None
    gc.collect()
    check()
assert in_child(child) == 0
churn()
check()
assert view == table[9].tobytes()
""",
    "the environment is closed": """
env.close()
def child():
    assert raised_by(lambda: snapshot[7]) is pylmdb.ClosedError
assert in_child(child) == 0
check()
""",
    "pickled in the child": """
import pickle
def child():
    other = pickle.loads(pickle.dumps(snapshot))
    assert other[7] == table[7].tobytes()
assert in_child(child) == 0
""",
}


@pytest.mark.parametrize("story", FORKED)
def test_forks(story, lib_version, env_path):
    run(FORKS + FORKED[story], env_path, lib_version)
