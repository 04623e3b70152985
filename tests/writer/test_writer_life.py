# SPDX-License-Identifier: MIT
"""The end of env.writer(): closing, dropping, forks, the end of the program, and kills."""

import concurrent.futures
import gc
import pickle
import threading
import time
import weakref
from functools import partial

import pytest
from programs import in_child, in_threads, raised_by, run

import pylmdb
from pylmdb.writer import Writer


@pytest.fixture
def writer(env):
    with env.writer() as writer:
        yield writer


def contents(env):
    with env.begin() as txn:
        return dict(txn.cursor())


def test_close_flushes_and_can_be_repeated(env):
    writer = env.writer()
    futures = [writer.put(b"%d" % i, b"v") for i in range(100)]
    writer.close()
    assert all(future.done() and future.result() for future in futures)
    writer.close()
    writer.flush()
    assert writer.closed
    for operation in (
        lambda: writer.put(b"k", b"v"),
        lambda: writer.delete(b"k"),
        lambda: writer.call(print),
        writer.__enter__,
    ):
        with pytest.raises(pylmdb.ClosedError):
            operation()
    assert "closed" in repr(writer)
    assert writer.put.__doc__


def test_closing_wakes_a_thread_that_waits_for_room(env, release_writer_lock):
    writer = env.writer(max_pending=1)
    writer.put(b"a", b"v")
    errors = []

    def late():
        try:
            writer.put(b"b", b"v")
        except pylmdb.ClosedError as error:
            errors.append(error)

    thread = threading.Thread(target=late)
    thread.start()
    time.sleep(0.1)
    threading.Timer(0.1, release_writer_lock.set).start()
    writer.close()
    thread.join(5)
    assert not thread.is_alive()
    assert set(contents(env)) == {b"a"}
    assert len(errors) == 1


def test_a_thread_that_would_wait_for_itself_is_refused(env):
    writer = env.writer()
    with env.begin(write=True) as txn:
        future = writer.put(b"k", b"v")
        for wait in (future.result, future.exception, writer.flush):
            with pytest.raises(pylmdb.BusyError):
                wait()
        with pytest.raises(concurrent.futures.TimeoutError):
            future.result(0.05)
        with pytest.raises(pylmdb.BusyError):
            writer.close()
        txn.put(b"own", b"v")
    assert future.result()
    assert set(contents(env)) == {b"k", b"own"}
    with env.writer() as writer:
        assert type(writer.call(lambda txn: writer.flush()).exception()) is pylmdb.BusyError
        assert writer.call(lambda txn: env.begin(write=True)).exception() is not None


def test_closing_the_environment_fails_the_writes_that_wait(open_env, tmp_path):
    env = open_env(tmp_path / "closed")
    other = open_env(tmp_path / "closed")
    with other.begin(write=True):
        writer = env.writer()
        futures = [writer.put(b"%d" % i, b"v") for i in range(10)]
        env.close()
        for future in futures:
            assert type(future.exception(5)) is pylmdb.ClosedError
    assert writer.closed
    with pytest.raises(pylmdb.ClosedError):
        writer.put(b"k", b"v")
    writer.flush()
    writer.close()


def put_until_closed(writer, known):
    def put():
        known.append(writer.put(b"k%d" % len(known), b"v"))

    while (error := raised_by(put)) is None:
        pass
    assert error is pylmdb.ClosedError


def test_close_of_the_environment_at_any_time(open_env, tmp_path):
    for number in range(15):
        env, known = open_env(tmp_path / "any"), []
        writer = env.writer(max_pending=50)

        def end(env=env, number=number):
            time.sleep(0.003 * number)
            env.close()

        put = partial(put_until_closed, writer, known)
        in_threads(put, put, end)
        for future in known:
            assert type(future.exception(5)) in (type(None), pylmdb.ClosedError)
        writer.close()


def test_the_file_may_be_compacted_meanwhile(env, writer):
    compacted = 0

    def compact():
        nonlocal compacted
        for _ in range(60):
            compacted += raised_by(env.compact) is None
            time.sleep(0.001)

    def write():
        for i in range(150):
            assert writer.put(b"%d" % i, b"v").result(10)
            time.sleep(0.0005)

    in_threads(compact, write)
    writer.flush()
    assert compacted
    assert raised_by(env.compact) is None
    assert writer.put(b"k", b"v").result(10)
    assert len(contents(env)) == 151


def test_a_read_only_environment_has_no_writer(open_env):
    open_env().close()
    with pytest.raises(pylmdb.ReadonlyError):
        open_env(readonly=True).writer()


def test_a_dropped_writer_writes_and_ends_its_thread(env):
    writer = env.writer()
    queue = weakref.ref(writer._queue)
    thread = writer._queue._thread
    future = writer.put(b"k", b"v")
    del writer
    gc.collect()
    assert future.result(5)
    thread.join(5)
    assert not thread.is_alive()
    del future, thread
    gc.collect()
    assert queue() is None


def test_it_cannot_be_copied(writer):
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(writer)
    assert "pending" in repr(writer)
    assert issubclass(Writer, object)


def test_a_forked_child_needs_its_own_writer(env, release_writer_lock):
    writer = env.writer()
    future = writer.put(b"parent", b"v")

    def child():
        for use in (
            lambda: writer.put(b"k", b"v"),
            lambda: writer.call(print),
            writer.flush,
            writer.__enter__,
            future.result,
            future.exception,
        ):
            with pytest.raises(pylmdb.ForkedError):
                use()
        writer.close()
        writer.__del__()

    assert in_child(child) == 0
    release_writer_lock.set()
    assert future.result(10)

    def write():
        with env.writer() as own:
            assert own.put(b"child", b"v").result(10)

    assert in_child(write) == 0
    writer.close()
    assert set(contents(env)) == {b"parent", b"child"}


EXIT = {
    "idle": ("writer.put(b'k', b'v').result()", 1, ""),
    "full": ("for i in range(2000): writer.put(b'%d' % i, b'v')", 2000, ""),
    "dropped": ("for i in range(2000): writer.put(b'%d' % i, b'v')\ndel writer", 2000, ""),
    "by exception": ("writer.put(b'k', b'v'); sys.exit(5)", 1, ""),
    "main holds the lock": ("txn = env.begin(write=True); writer.put(b'k', b'v')", 0, "were lost"),
}


@pytest.mark.parametrize("how", EXIT)
def test_writes_that_wait_at_the_end_of_the_program_are_made(env_path, lib_version, how):
    source, count, words = EXIT[how]
    run(
        f"""
env = pylmdb.open(path, lib_version=lib_version)
writer = env.writer()
if {words!r}:
    sys.stderr = open(path + "-errors", "w")
{source}
sys.exit(5)
""",
        env_path,
        lib_version,
        status=5,
    )
    with pylmdb.open(env_path) as env:
        assert env.stat().entries == count
    if words:
        with open(env_path + "-errors") as errors:
            assert words in errors.read()


def test_a_write_whose_future_is_done_survives_a_kill(env_path, lib_version):
    told = run(
        """
env = pylmdb.open(path, lib_version=lib_version)
writer = env.writer()
def tell(future, name):
    os.write(1, name + b"\\n")
def work(name):
    for i in range(100000):
        writer.put(b"%d.%d" % (name, i), b"v").result()
        os.write(1, b"%d.%d\\n" % (name, i))
for name in range(4):
    threading.Thread(target=work, args=(name,), daemon=True).start()
time.sleep(0.4)
os.kill(os.getpid(), signal.SIGKILL)
""",
        env_path,
        lib_version,
        status=-9,
    ).split()
    with pylmdb.open(env_path) as env:
        assert len(told) > 10
        there = contents(env)
    assert {name.encode() for name in told} <= set(there)


def test_the_options_sync_and_metasync(env):
    with env.writer(sync=False, metasync=False) as writer:
        assert writer.put(b"k", b"v").result()
    assert contents(env) == {b"k": b"v"}
