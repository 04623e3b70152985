# SPDX-License-Identifier: MIT
"""Arrays and reservations with odd arrays, garbage, forks, and files that change."""

import contextlib
import gc
import sys
import threading

import numpy as np
import pytest
from programs import join, raised_by, run

import pylmdb


@pytest.fixture
def env(open_env):
    """Return a new environment that does not wait for the disk."""
    return open_env(max_dbs=8, sync=False)


# -- writes ----------------------------------------------------------------------------------


def test_strides_and_a_handle_that_is_newer(open_env, env):
    with env.begin(write=True) as txn:
        env.open_db(b"named", txn)
    env.close()
    env = open_env(max_dbs=8)
    with env.begin(write=True) as txn:
        found = []
        opener = threading.Thread(target=lambda: found.append(env.open_db(b"named")))
        opener.start()
        join(opener)
        assert txn.put(b"k", np.arange(8, dtype="u1")[::2], db=found[0])
        assert txn.get(b"k", db=found[0]) == bytes([0, 2, 4, 6])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes have no buffers")
def test_the_end_of_a_buffer_ends_the_transaction(env):
    db = env.open_db(b"several", dupsort=True)

    class Value:
        def __buffer__(self, flags):
            return memoryview(b"abcdef")[::2]

        def __release_buffer__(self, view):
            txn.abort()

    txn = env.begin(write=True)
    # the cffi core copies the value before it looks at the transaction
    assert raised_by(txn.put, b"k", Value(), db=db) in (None, pylmdb.ClosedError)
    assert txn.closed
    with env.begin() as txn:
        assert txn.get(b"k", db=db) is None


# -- gathers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["S", "U", np.dtype("U0")])
def test_elements_of_no_length(env, dtype):
    with env.begin(write=True) as txn:
        txn.put(b"k", b"")
        for read in (
            lambda: txn.take([b"k"], dtype),
            lambda: txn.range_arrays(None, None, dtype),
            lambda: txn.dup_array(b"k", dtype),
        ):
            assert raised_by(read) is pylmdb.InvalidParameterError
    with env.snapshot() as snapshot:
        assert raised_by(snapshot.take, [0], dtype) is pylmdb.InvalidParameterError


class Odd(np.ndarray):
    """An array that reports other elements and other memory than it has."""

    def __getitem__(self, at):
        return str(super().__getitem__(at))

    @property
    def strides(self):
        return tuple(0 for _ in self.shape)


@pytest.mark.parametrize("step", [1, 2, -1])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_out_of_another_class(env, step, shape):
    table = np.arange(12).reshape(4, 3)[(...,) if shape else (slice(None), 0)]
    with env.begin(write=True) as txn:
        txn.put_arrays(range(4), table)
    with env.begin() as txn, env.snapshot() as snapshot:
        for take, numbers in ((txn.take, range(4)), (snapshot.take, np.arange(4))):
            memory = np.zeros((8, *shape), int)
            out = memory[:4].view(Odd) if step == 1 else memory[::step][:4].view(Odd)
            assert take(numbers, int, shape, out=out) is out
            assert np.array_equal(out.view(np.ndarray), table)


# -- reservations ----------------------------------------------------------------------------


class Rooted(pylmdb.Transaction):
    """A transaction with attributes, so that it can be part of a reference cycle."""


@pytest.mark.filterwarnings("ignore:a write transaction:ResourceWarning")
@pytest.mark.parametrize("kept", ["view", "slice", "reservation"])
def test_a_reservation_in_a_cycle(env, kept):
    txn = Rooted(env, write=True)
    reservation = txn.reserve(b"k", 8)
    view = reservation.__enter__()
    txn.kept = {
        "view": view,
        "slice": view[2:],
        "reservation": reservation,
    }[kept]
    txn.itself = txn
    del txn, reservation, view
    gc.collect()
    with env.begin(write=True, timeout=5) as txn:
        assert txn.get(b"k") is None


def test_a_thread_whose_reservation_is_alive_gets_busy_error(env):
    txn = env.begin(write=True)
    with contextlib.suppress(BufferError), txn.reserve(b"k", 8) as view:
        kept = np.frombuffer(view, np.uint8)
    txn.abort()
    assert raised_by(env.begin, write=True, timeout=0.2) is pylmdb.BusyError
    del kept
    with env.begin(write=True, timeout=5) as txn:
        assert txn.get(b"k") is None


# -- files that change -----------------------------------------------------------------------

REPLACED = """
import numpy as np
env = pylmdb.open(path, lib_version=lib_version, sync=False)
with env.begin(write=True) as txn:
    txn.put_arrays(range(3000), np.arange(3000), key_format="%08d")
    for i in range(0, 3000, 2):
        txn.delete(b"%08d" % i)
snapshot = env.snapshot()
go = os.pipe()
pid = os.fork()
if not pid:
    status = 1
    try:
        os.read(go[0], 1)
        for use in (lambda: snapshot.take([1], "i8"), lambda: snapshot[1], snapshot.keys):
            assert raised_by(use) is pylmdb.ForkedError
        assert env.snapshot().take([1, 500], "i8").tolist() == answer
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(status)
number = snapshot.txnid
snapshot.close()
env.close()
"""

REPLACEMENTS = {
    "compacted": """
assert in_child(lambda: pylmdb.open(path).compact()) == 0
""",
    "another file": """
with pylmdb.open(path + "-other", lib_version=lib_version) as other:
    with other.begin(write=True) as txn:
        txn.put_arrays(range(3000), 7 * np.arange(3000), key_format="%08d")
os.rename(path + "-other/data.mdb", path + "/data.mdb")
""",
}


@pytest.mark.parametrize("by", REPLACEMENTS)
def test_a_snapshot_in_a_child_whose_file_was_replaced(by, lib_version, env_path):
    answer = {"compacted": [3, 1001], "another file": [7, 3500]}[by]
    end = """
with pylmdb.open(path) as env, env.begin() as txn:
    assert txn.id() == number
os.write(go[1], b"x")
assert wait_for(pid) == 0
"""
    run(f"answer = {answer}\n" + REPLACED + REPLACEMENTS[by] + end, env_path, lib_version)


INHERITED = """
import numpy as np
env = pylmdb.open(path, lib_version=lib_version, sync=False)
with env.begin(write=True) as txn:
    txn.put_arrays(range(3000), np.ones(3000, int), key_format="%08d")
snapshot = env.snapshot()
with env.begin(write=True) as txn:
    txn.put(b"more", b"")
def child():
    assert len(snapshot.take([0], "i8")) == 1
    os.truncate(path + "/data.mdb", os.path.getsize(path + "/data.mdb") // 4)
    for use in (lambda: snapshot.take(range(3000), "i8"), snapshot.keys):
        assert raised_by(use) is pylmdb.CorruptedError
assert in_child(child) == 0
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads are guarded on Linux")
def test_an_inherited_snapshot_of_a_file_that_is_cut_short(lib_version, env_path):
    run(INHERITED, env_path, lib_version)


CUT = """
import numpy as np
env = pylmdb.open(path, lib_version=lib_version, sync=False)
with env.begin(write=True) as txn:
    WRITE
snapshot, txn = env.snapshot(), env.begin()
cursor = txn.cursor()
cursor.first()
os.truncate(path + "/data.mdb", os.path.getsize(path + "/data.mdb") // 2)
assert raised_by(lambda: READ) is pylmdb.CorruptedError
"""
RECORDS = 'txn.put_arrays(range(3000), np.ones(3000, int), key_format="%08d")'
ARRAY = 'txn.put_array(b"array", np.ones(100_000))'


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads are guarded on Linux")
@pytest.mark.parametrize(
    ("write", "read"),
    [
        (RECORDS, "[snapshot.key(i) for i in range(3000)]"),
        (ARRAY, 'txn.get_array(b"array", copy=True)'),
        (ARRAY, "cursor.array(copy=True)"),
    ],
    ids=["keys", "get_array", "cursor"],
)
def test_what_is_copied_of_a_file_that_is_cut_short(write, read, lib_version, env_path):
    run(CUT.replace("WRITE", write).replace("READ", read), env_path, lib_version)
