# SPDX-License-Identifier: MIT
"""Environment.wait, and aio's wait and commits: waiting for a commit of any process."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading

import pytest

import pylmdb
from pylmdb import aio
from pylmdb._environment import waiting


def put(env, key=b"k"):
    with env.begin(write=True) as txn:
        txn.put(key, b"v")
        return txn.id()


def in_thread(function):
    """Start a thread; returns it and the list that gets its result or exception."""
    results = []

    def run():
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


@pytest.fixture
def looked(monkeypatch):
    """Return an event that is set when a wait has polled once."""
    event, poll = threading.Event(), waiting.CommitWait.poll

    def note(self):
        number = poll(self)
        event.set()
        return number

    monkeypatch.setattr(waiting.CommitWait, "poll", note)
    return event


def test_it_returns_at_once_if_there_is_another_commit(env):
    before = env.info().last_txnid
    number = put(env)
    assert env.wait(before) == number
    with env.begin() as txn:
        seen = txn.id()
    assert seen == number
    number = put(env)
    assert env.wait(seen, timeout=0) == number
    assert env.wait(number + 1000) == number, "another file, which has another number"


def test_a_thread_that_commits_ends_it(env, looked):
    thread, results = in_thread(env.wait)
    assert looked.wait(20)
    number = put(env)
    thread.join()
    assert results == [number]


def test_a_process_that_commits_ends_it(env, looked):
    seen = put(env)
    thread, results = in_thread(lambda: env.wait(seen))
    assert looked.wait(20)
    program = "import sys, pylmdb; pylmdb.Map(sys.argv[1])[b'k'] = b'other'"
    subprocess.run([sys.executable, "-c", program, env.path()], check=True, timeout=60)
    thread.join()
    assert results == [seen + 1]
    with env.begin() as txn:
        assert (txn.id(), txn.get(b"k")) == (seen + 1, b"other")


def test_a_snapshot_has_what_it_has_seen(env):
    done = threading.Event()

    def write():
        for i in range(200):
            with env.begin(write=True, sync=False) as txn:
                txn.put(b"n", b"%d" % i)
        done.set()

    thread, results = in_thread(write)
    seen = 0
    while not done.is_set():
        with contextlib.suppress(pylmdb.LockTimeoutError):
            seen = env.wait(seen, timeout=0.1)
            with env.begin() as txn:
                assert txn.id() >= seen
    thread.join()
    assert results == [None]


def test_an_abort_does_not_end_it(env, looked):
    seen = put(env)
    with env.begin(write=True) as txn:
        txn.put(b"x", b"v")
        txn.abort()
    with pytest.raises(pylmdb.LockTimeoutError, match="no transaction was committed"):
        env.wait(seen, timeout=0.02)
    with pytest.raises(TimeoutError):
        env.wait(timeout=0)


def test_without_a_lock_file_and_read_only(open_env, env_path):
    env = open_env(lock=False)
    number = put(env)
    assert env.wait(number - 1, timeout=5) == number
    env.close()
    reader = open_env(readonly=True)
    assert reader.wait(number - 1, timeout=5) == number


def test_closing_ends_it(env, looked):
    thread, results = in_thread(env.wait)
    assert looked.wait(20)
    env.close()
    thread.join()
    assert isinstance(results[0], pylmdb.ClosedError)


def test_compact_ends_it(env, looked):
    for _ in range(10):
        seen = put(env)
    thread, results = in_thread(lambda: env.wait(seen))
    assert looked.wait(20)
    while True:
        with contextlib.suppress(pylmdb.BusyError):
            env.compact()
            break
    with env.begin() as txn:
        number = txn.id()
    if number == seen:  # this release keeps the number
        number = put(env)
    thread.join()
    assert results == [number]


def test_files_that_were_replaced_end_it(env, env_path, monkeypatch):
    monkeypatch.setattr(waiting, "_ASK_PATH", 0)
    put(env)
    os.rename(env_path, env_path + "-moved")
    with pytest.raises(pylmdb.ReplacedError):
        env.wait(timeout=20)


def test_a_thread_that_writes_is_refused(env):
    with env.begin(write=True):
        for call in (env.wait, lambda: env.wait(timeout=10)):
            with pytest.raises(pylmdb.BusyError, match="this thread has a write transaction"):
                call()
        assert env.wait(env.info().last_txnid - 1) == env.info().last_txnid


def test_ctrl_c_ends_it(env_path, lib_version):
    program = """
import os, signal, sys, threading, pylmdb
env = pylmdb.open(sys.argv[1], lib_version=int(sys.argv[2]))
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    env.wait()
except KeyboardInterrupt:
    print("interrupted")
"""
    command = [sys.executable, "-c", program, env_path, str(lib_version)]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "interrupted\n"


def test_a_forked_child(env):
    seen = put(env)
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = 0 if env.wait(seen, timeout=30) == seen + 1 else 2
        finally:
            os._exit(status)
    put(env)
    assert os.waitpid(pid, 0)[1] == 0


def test_wrong_arguments(env):
    for options, cls in (
        ({"timeout": -1}, ValueError),
        ({"timeout": "1"}, TypeError),
        ({"after": "1"}, TypeError),
        ({"after": 1.5}, TypeError),
    ):
        with pytest.raises(cls):
            env.wait(**options)
    env.close()
    with pytest.raises(pylmdb.ClosedError):
        env.wait()


# -- coroutines --------------------------------------------------------------------------


def test_a_task_waits_while_others_run(env):
    async def main():
        async with aio.wrap(env) as aenv:
            seen = put(env)
            task = asyncio.create_task(aenv.wait(seen))
            await asyncio.sleep(0.01)
            assert not task.done()
            await aenv.put(b"k", b"v")
            assert await task == seen + 1
            with pytest.raises(pylmdb.LockTimeoutError):
                await aenv.wait(timeout=0.01)
            async with aenv.begin(write=True):
                with pytest.raises(pylmdb.BusyError, match="wait: this task has a write"):
                    await aenv.wait()

    asyncio.run(main())


def test_a_waiting_task_can_be_cancelled(env):
    async def main():
        task = asyncio.create_task(aio.wrap(env).wait())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_commits_refuses_what_is_not_a_number(env):
    with pytest.raises(TypeError, match=r"^commits: after must be an integer, .* not str"):
        pylmdb.aio.wrap(env).commits("x")


def test_async_for_iterates_over_commits(env):
    async def main():
        aenv = aio.wrap(env)
        seen, numbers = put(env), []
        commits = aenv.commits()
        last = put(env)
        async for number in commits:
            numbers.append(number)
            if len(numbers) == 3:
                break
            last = put(env)
        assert numbers == [seen + 1, seen + 2, seen + 3]
        assert last == seen + 3
        assert await aenv.commits(after=seen).__anext__() == last

    asyncio.run(main())


def test_closing_ends_the_iteration(env):
    async def main():
        async with aio.wrap(env) as aenv:
            commits = aenv.commits()
        with pytest.raises(pylmdb.ClosedError):
            await commits.__anext__()

    asyncio.run(main())
