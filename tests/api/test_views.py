# SPDX-License-Identifier: MIT
"""Views (buffers=True): valid while any object can reach them, read-only, and visible in
env.info() and the reader table while they pin a snapshot.
"""

import ctypes
import gc
import random
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest
from dropped import free
from numpy_if_any import np
from programs import PATIENCE

import pylmdb
from pylmdb import _which_core

SMALL, LARGE = b"small value", bytes(range(256)) * 400
RECORDS = {b"large": LARGE, b"small": SMALL, b"k": b"abcdefgh" * 8}


@pytest.fixture
def env(open_env):
    """Return an environment with a few records, one of them over many pages."""
    env = open_env(map_size=64 << 20, max_readers=20)
    with env.begin(write=True) as txn:
        for key, value in RECORDS.items():
            txn.put(key, value)
    return env


def overwrite(env, rounds=6):
    """Commit until every page that may be reused has been."""
    rng = random.Random(1)
    for _ in range(rounds):
        with env.begin(write=True) as txn:
            for key in RECORDS:
                txn.put(key, rng.randbytes(len(RECORDS[key])))
            for n in range(50):
                txn.put(b"filler %d" % n, rng.randbytes(3000))


def take(txn):
    return {key: txn.get(key) for key in RECORDS}


def assert_right(views):
    for key, view in views.items():
        assert bytes(view) == RECORDS[key]


ENDS = {
    "abort": lambda env, txn: txn.abort(),
    "commit": lambda env, txn: txn.commit(),
    "with": lambda env, txn: txn.__exit__(None, None, None),
    "exception": lambda env, txn: txn.__exit__(KeyError, KeyError("x"), None),
    "close": lambda env, txn: env.close(),
    "nothing": lambda env, txn: None,
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("writemap", [False, True])
def test_views_stay_right_after(open_env, env, end, writemap):
    if writemap:
        env.close()
        env = open_env(map_size=64 << 20, writemap=True)
    txn = env.begin(buffers=True)
    views = take(txn)
    ENDS[end](env, txn)
    assert_right(views)
    if env.closed:
        env = open_env(map_size=64 << 20, writemap=writemap)
    overwrite(env)
    assert_right(views)
    del txn
    gc.collect()
    overwrite(env)
    assert_right(views)
    with env.begin() as reader:
        assert reader.get(b"k") != RECORDS[b"k"]


def test_views_stay_right_after_everything_is_dropped(lib_version, core, tmp_path):
    env = pylmdb.open(tmp_path / "mine", lib_version=lib_version)
    with env.begin(write=True) as txn:
        for key, value in RECORDS.items():
            txn.put(key, value)
    txn = env.begin(buffers=True)
    views = take(txn)
    del env, txn
    gc.collect()
    assert_right(views)
    again = pylmdb.open(tmp_path / "mine", map_size=64 << 20)
    overwrite(again)
    assert_right(views)
    again.close()
    assert_right(views)


def test_slices_casts_and_arrays_hold_the_snapshot(env):
    with env.begin(buffers=True) as txn:
        holders = [
            txn.get(b"k")[8:16],
            txn.get(b"k").cast("Q")[1:2].cast("B"),
            np.frombuffer(txn.get(b"k"), np.uint8)[8:16],
            np.frombuffer(txn.get(b"k"), "S8").reshape(2, 4)[:, 1:2][:1],
            np.frombuffer(txn.get(b"k"), np.uint64)[1:2].view("S8"),
            memoryview(np.asarray(txn.get(b"k")))[8:16],
            iter([txn.get(b"k")[8:16]]),
            {"in": [(txn.get(b"k")[8:16],)]},
        ]
    gc.collect()
    overwrite(env)
    assert env.info()["pinned"] == 1
    *holders, iterator, nested = holders
    for holder in (*holders, next(iterator), nested["in"][0][0]):
        assert bytes(holder) == b"abcdefgh"


@pytest.mark.parametrize("dropped", range(4))
def test_the_last_holder_frees_the_snapshot(env, dropped):
    with env.begin(buffers=True) as txn:
        view = txn.get(b"k")
        holders = [view, view[1:], np.frombuffer(view, np.uint8), view.cast("Q")]
        del view
    del txn
    kept = holders[dropped]
    del holders
    gc.collect()
    assert env.info()["pinned"] == 1
    assert len(env.reader_list()) == 1
    assert len(kept)
    del kept
    gc.collect()
    assert env.info()["pinned"] == 0
    assert env.reader_list() == []


def test_releasing_a_view_frees_its_share(env):
    with env.begin(buffers=True) as txn:
        view = txn.get(b"k")
        other = txn.get(b"small")
    view.release()
    assert env.info()["pinned"] == 1
    assert bytes(other) == SMALL
    other.release()
    del view, other
    gc.collect()
    assert env.info()["pinned"] == 0


def test_pins_are_counted_and_shown(env):
    assert env.info()["pinned"] == 0
    views = []
    for count in range(1, 4):
        with env.begin(buffers=True) as txn:
            views.append((txn.get(b"k"), txn.get(b"small")))
        assert env.info()["pinned"] == count
        assert len(env.reader_list()) == count
        overwrite(env, rounds=1)
    txnids = {row.txnid for row in env.reader_list()}
    assert len(txnids) == 3
    assert all(str(txnid) in env.readers() for txnid in txnids)
    views.clear()
    gc.collect()
    assert env.info()["pinned"] == 0
    assert env.reader_list() == []


def test_bytes_pin_nothing(env):
    with env.begin() as txn:
        values = take(txn)
    with env.begin(buffers=True) as txn:
        copies = [bytes(txn.get(b"k")), txn.get(b"k").tobytes(), np.array(txn.get(b"k"))]
        assert txn.get(b"missing") is None
    gc.collect()
    assert env.info()["pinned"] == 0
    assert env.reader_list() == []
    assert_right(values)
    assert len(copies) == 3


def test_an_open_transaction_with_views_is_not_pinned_yet(env):
    txn = env.begin(buffers=True)
    view = txn.get(b"k")
    assert env.info()["pinned"] == 0
    txn.abort()
    assert env.info()["pinned"] == 1
    assert bytes(view[:8]) == b"abcdefgh"


def test_a_transaction_can_be_used_after_its_views_were_freed(env):
    txn = env.begin(buffers=True)
    for _ in range(100):
        view = txn.get(b"large")
        del view
    assert bytes(txn.get(b"k")) == RECORDS[b"k"]
    assert len(env.reader_list()) == 1


def test_pinned_views_end_the_transaction_for_its_user(env):
    txn = env.begin(buffers=True)
    cursor = txn.cursor()
    cursor.first()
    view = cursor.value()
    txn.abort()
    for use in (lambda: txn.get(b"k"), cursor.value, cursor.next):
        with pytest.raises(pylmdb.ClosedError):
            use()
    assert bytes(view) == RECORDS[b"k"]


def test_spares_do_not_lose_a_pinned_snapshot(open_env, env):
    env.close()
    env = open_env(map_size=64 << 20, max_spare_txns=2)
    held = []
    for _ in range(5):
        with env.begin(buffers=True) as txn:
            held.append(take(txn))
        with env.begin() as txn:
            assert txn.get(b"k") == RECORDS[b"k"]
    while held:
        free([])
        assert env.info()["pinned"] == len(held)
        assert_right(held.pop())
    gc.collect()
    assert env.info()["pinned"] == 0
    assert len(env.reader_list()) <= 2


def read_only_consumers(view):
    with pytest.raises(TypeError):
        view[0] = 0
    with pytest.raises(TypeError):
        view[0:2] = b"xx"
    if sys.implementation.name != "pypy":  # whose ctypes takes any read-only memory
        with pytest.raises(TypeError):
            ctypes.c_char.from_buffer(view)
        with pytest.raises((BufferError, TypeError)):
            (ctypes.c_char * len(view)).from_buffer(view)
    array = np.frombuffer(view, np.uint8)
    assert not array.flags.writeable
    with pytest.raises(ValueError, match=r"writ|WRITE"):
        array.flags.writeable = True
    assert not np.asarray(view).flags.writeable
    assert view.readonly
    assert view.cast("B")[1:].readonly
    with pytest.raises(TypeError):
        memoryview(view)[0:1] = b"x"


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("writemap", [False, True])
def test_views_are_read_only(open_env, env, write, writemap):
    env.close()
    env = open_env(map_size=64 << 20, writemap=writemap)
    with env.begin(buffers=True, write=write) as txn:
        cursor = txn.cursor()
        cursor.first()
        for view in (txn.get(b"k"), cursor.key(), cursor.value(), *cursor.item()):
            read_only_consumers(view)
        for view in (*next(iter(cursor)), *next(txn.range()), *txn.get_many([b"k", b"small"])):
            assert view.readonly
        for view in cursor.getmulti([b"k"])[0]:
            assert view.readonly


def test_views_have_the_value_s_own_bounds(env):
    with env.begin(buffers=True) as txn:
        view = txn.get(b"small")
        assert (view.nbytes, view.itemsize, view.format, view.ndim) == (len(SMALL), 1, "B", 1)
        assert (view.contiguous, view.shape) == (True, (len(SMALL),))
        with pytest.raises(IndexError):
            view[len(SMALL)]
        assert view[:1000] == SMALL
        assert np.frombuffer(view, np.uint8).nbytes == len(SMALL)


@pytest.mark.parametrize("write", [False, True])
def test_views_are_hashable_and_equal_to_bytes(env, write):
    with env.begin(buffers=True, write=write) as txn:
        view = txn.get(b"small")
        assert view == SMALL
        assert {view: 1}[SMALL] == 1
        assert set(txn.range(values=False)) == set(RECORDS)


@pytest.mark.skipif(
    _which_core.compiled is None, reason="cffi has no exporter that is read-only; see platforms.md"
)
@pytest.mark.parametrize("write", [False, True])
def test_the_exporter_of_a_view_is_read_only(env, write):
    with env.begin(buffers=True, write=write) as txn:
        behind = txn.get(b"small").obj
        assert behind is None or memoryview(behind).readonly


def test_empty_values(env):
    with env.begin(write=True) as txn:
        txn.put(b"empty", b"")
    with env.begin(buffers=True) as txn:
        cursor = txn.cursor()
        assert cursor.item() == (b"", b"")
        assert type(cursor.key()) is memoryview
        assert txn.get(b"empty") == b""
        assert type(txn.get(b"empty")) is memoryview
        assert txn.get(b"missing", b"default") == b"default"


def test_write_transactions_give_copies(env):
    with env.begin(buffers=True, write=True) as txn:
        cursor = txn.cursor()
        views = take(txn)
        cursor.set_key(b"k")
        views[b"k"] = cursor.value()
        for key, value in RECORDS.items():
            txn.put(key, b"x" * len(value))
        txn.delete(b"small")
        assert_right(views)
        txn.put(b"k", txn.get(b"k")[1:])
    assert env.info()["pinned"] == 0
    assert_right(views)
    env.close()
    assert_right(views)


def test_views_as_arguments(env):
    reader = env.begin(buffers=True)
    view = reader.get(b"k")
    with env.begin(write=True) as txn:
        assert txn.put(view, view)
        assert txn.get(view) == RECORDS[b"k"]
        assert txn.delete(b"k")
    assert_right({b"k": view})


def test_views_in_another_thread(env):
    with env.begin(buffers=True) as txn:
        box = [take(txn)]
    wrong = []
    go = threading.Event()

    def read():
        go.wait(PATIENCE)
        views = box.pop()
        try:
            for _ in range(50):
                assert_right(views)
        except AssertionError as error:
            wrong.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    del txn
    go.set()
    overwrite(env)
    thread.join(PATIENCE)
    assert wrong == []
    gc.collect()
    assert env.info()["pinned"] == 0
    assert env.reader_list() == []


def test_a_view_in_a_cycle(env):
    class Node:
        pass

    with env.begin(buffers=True) as txn:
        node = Node()
        node.view, node.me, node.txn = txn.get(b"k"), node, txn
        gone = weakref.ref(node)
    del node, txn
    gc.collect()
    assert gone() is None
    assert env.info()["pinned"] == 0


def test_pins_hold_back_the_reuse_of_pages_and_let_go(env):
    with env.begin(buffers=True) as txn:
        view = txn.get(b"k")
    overwrite(env, 10)
    held = env.info()["last_pgno"]
    assert_right({b"k": view})
    del view, txn
    gc.collect()
    overwrite(env, 10)
    assert env.info()["last_pgno"] < held * 1.2


def test_the_environment_closes_with_its_last_view(env, open_env, env_path):
    txn = env.begin(buffers=True)
    view = txn.get(b"large")
    env.close()
    assert view == LARGE
    del view, txn
    gc.collect()
    # Nothing of it is left: another native environment can be opened with other options.
    again = open_env(writemap=True, max_dbs=1000, map_size=64 << 20)
    assert again.reader_list() == []


def test_set_mapsize_never_moves_memory_from_under_a_view(env):
    with env.begin(buffers=True) as txn:
        views = take(txn)
    try:
        env.set_mapsize(128 << 20)
    except pylmdb.Error:
        pass
    else:
        assert env.info()["map_size"] == 128 << 20
    assert_right(views)
    views.clear()
    gc.collect()
    env.set_mapsize(128 << 20)
    overwrite(env)


def test_views_alive_at_interpreter_exit(lib_version, tmp_path):
    program = textwrap.dedent(
        """
        import sys, pylmdb
        env = pylmdb.open(sys.argv[1], lib_version=int(sys.argv[2]))
        with env.begin(write=True) as txn:
            txn.put(b"k", b"value" * 1000)
        txn = env.begin(buffers=True)
        views = [txn.get(b"k"), txn.get(b"k")[1:]]
        class Late:
            def __init__(self, view): self.view = view
            def __del__(self): assert bytes(self.view[:5]) == b"value"
        late = Late(txn.get(b"k"))
        sys.modules["late"] = late
        if sys.argv[3] == "closed":
            env.close()
        """
    )
    for state in ("open", "closed"):
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path / state, str(lib_version), state],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
