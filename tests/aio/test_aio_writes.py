# SPDX-License-Identifier: MIT
"""Writes of many tasks share commits, and a cancelled task keeps no lock and no thread."""

import asyncio
import contextlib
import os
import random
import threading
import time

import pytest
from programs import ROUNDS, Rival, run

import pylmdb
import pylmdb.aio

SEED = int(os.environ.get("PYLMDB_SEED", random.getrandbits(32)))
CANCELLATIONS = 600 * ROUNDS


@pytest.fixture
def aenv(env):
    return pylmdb.aio.wrap(env)


def contents(env, db=None):
    with env.begin(db) as txn:
        return dict(txn.cursor())


def commits(env):
    return env.info().last_txnid


# -- shared commits -------------------------------------------------------------------


def test_writes_awaited_together_share_a_commit(env, aenv):
    async def main():
        before = commits(env)
        results = await asyncio.gather(*(aenv.put(b"%03d" % i, b"v") for i in range(500)))
        assert results == [True] * 500
        assert commits(env) == before + 1

    asyncio.run(main())
    assert len(contents(env)) == 500


def test_many_tasks_share_commits_and_each_sees_its_own_write(env, aenv):
    async def work(number):
        for i in range(20):
            key = b"%d.%d" % (number, i)
            assert await aenv.put(key, b"v")
            assert await aenv.get(key) == b"v", "it is there when put returns"

    async def main():
        await asyncio.gather(*map(work, range(50)))

    before = commits(env)
    asyncio.run(main())
    assert len(contents(env)) == 1000
    assert commits(env) - before < 500


def test_writes_are_carried_out_in_order(env, aenv):
    db = env.open_db(b"named", dupsort=True)

    async def main():
        calls = [aenv.put(b"k", b"%d" % i) for i in range(9)]
        calls += [aenv.call(lambda txn: txn.get(b"k")), aenv.delete(b"k"), aenv.delete(b"k")]
        calls += [aenv.put(b"k", b"last"), aenv.put(b"k", b"no", overwrite=False)]
        calls += [aenv.put(b"d", b"1", db), aenv.put(b"d", b"1", db=db, dupdata=False)]
        calls += [aenv.put(b"d", b"2", db), aenv.delete(b"d", b"1", db)]
        found = await asyncio.gather(*calls)
        assert found[9:] == [b"8", True, False, True, False, True, False, True, True]

    asyncio.run(main())
    assert contents(env)[b"k"] == b"last"
    assert contents(env, db) == {b"d": b"2"}


def test_an_error_reaches_only_the_task_that_caused_it(open_env, tmp_path):
    env = open_env(tmp_path / "small", map_size=1 << 18)
    aenv = pylmdb.aio.wrap(env)

    def half(txn):
        txn.put(b"half", b"x")
        raise KeyError("half")

    async def main():
        found = await asyncio.gather(
            aenv.put(b"a", b"1"),
            aenv.put(b"", b"1"),
            aenv.put(b"large", bytes(1 << 19)),
            aenv.call(half),
            aenv.put(b"b", b"1"),
            aenv.put("text", b"1"),
            aenv.call(lambda txn: next(iter(()))),
            aenv.put(b"c", b"1"),
            return_exceptions=True,
        )
        return [each if each is True else type(each) for each in found]

    assert asyncio.run(main()) == [
        True, pylmdb.BadValsizeError, pylmdb.MapFullError, KeyError, True, TypeError,
        RuntimeError, True,
    ]  # fmt: skip
    assert set(contents(env)) == {b"a", b"b", b"c"}


def test_the_number_of_waiting_writes_is_bounded(env):
    aenv = pylmdb.aio.wrap(env, max_pending=3)

    async def main():
        tasks = [asyncio.create_task(aenv.put(b"%d" % i, b"v")) for i in range(20)]
        most = 0
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            batcher = aenv._state().batcher
            most = max(most, batcher._pending if batcher else 0)
        assert most == 3
        for task in tasks[5:]:
            task.cancel()

    asyncio.run(main())
    assert len(contents(env)) == 20


def test_a_task_cancelled_while_it_waits_for_room(env):
    aenv = pylmdb.aio.wrap(env, max_pending=1)

    async def main():
        with env.begin(write=True) as txn:
            first = asyncio.create_task(aenv.put(b"a", b"v"))
            await asyncio.sleep(0.01)
            waiting = [asyncio.create_task(aenv.put(b"%d" % i, b"v")) for i in range(5)]
            await asyncio.sleep(0.01)
            for task in waiting[:4]:
                task.cancel()
            txn.abort()
        assert await first
        assert await asyncio.wait_for(waiting[4], 10)

    asyncio.run(main())
    assert set(contents(env)) == {b"a", b"4"}


def test_a_task_that_is_cancelled_when_it_has_room_gives_it_to_the_next(env):
    aenv = pylmdb.aio.wrap(env, max_pending=1)

    async def main():
        async def put_and_cancel():
            await aenv.put(b"a", b"v")
            tasks[1].cancel()  # it has room now, and has not run since

        tasks = [asyncio.create_task(put_and_cancel())]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(aenv.put(key, b"v")) for key in (b"b", b"c")]
        assert await asyncio.wait_for(tasks[2], 10)

    asyncio.run(main())
    assert set(contents(env)) == {b"a", b"c"}


def test_flush_and_close_wait_for_what_was_written(open_env, tmp_path):
    env = open_env(tmp_path / "flushed")

    async def main():
        async with pylmdb.aio.wrap(env) as aenv:
            await aenv.flush()
            first = [asyncio.create_task(aenv.put(b"a%d" % i, b"v")) for i in range(50)]
            await asyncio.sleep(0)
            await aenv.flush()
            assert set(contents(env)) == {b"a%d" % i for i in range(50)}
            second = [asyncio.create_task(aenv.put(b"b%d" % i, b"v")) for i in range(50)]
            await asyncio.sleep(0)
        assert all(await asyncio.gather(*first, *second))

    asyncio.run(main())
    assert env.closed
    assert len(contents(open_env(tmp_path / "flushed"))) == 100


def test_a_write_that_is_acknowledged_survives_a_kill(env_path, lib_version):
    told = run(
        """
import asyncio, pylmdb.aio
aenv = pylmdb.aio.wrap(pylmdb.open(path, lib_version=lib_version))
enough = threading.Event()
async def work(name):
    for i in range(10 ** 9):
        await aenv.put(b"%d.%d" % (name, i), b"v")
        os.write(1, b"%d.%d\\n" % (name, i))
        if i == 20:
            enough.set()
async def main():
    await asyncio.gather(*map(work, range(20)))
def kill():
    enough.wait()
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=kill, daemon=True).start()
asyncio.run(main())
""",
        env_path,
        lib_version,
        status=-9,
    ).split()
    with pylmdb.open(env_path) as env:
        there = contents(env)
    assert len(told) > 20
    assert {name.encode() for name in told} <= set(there)


# -- cancellation -----------------------------------------------------------------------


async def cancelled(coroutine, after=0.02):
    """Cancel a running coroutine."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(after)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def assert_free(env, aenv):
    """Assert that the writer lock is free for tasks and threads of this process."""
    async with aenv.begin(write=True, timeout=5) as txn:
        await txn.put(b"free", b"v")
    assert await asyncio.wait_for(aenv.put(b"free", b"w"), 10)
    with env.begin(write=True, timeout=5) as txn:
        txn.delete(b"free")


def test_cancelled_while_another_task_writes(env, aenv):
    async def main():
        async with aenv.begin(write=True) as txn:

            async def wait():
                await aenv.begin(write=True)

            async def wait_in_block():
                async with aenv.begin(write=True):
                    pytest.fail("it was cancelled")

            async def wait_for_commit():
                await aenv.put(b"shared", b"v")

            for waits in (wait, wait_in_block, wait_for_commit):
                await cancelled(waits())
            await txn.put(b"k", b"v")
        await assert_free(env, aenv)

    asyncio.run(main())
    assert contents(env) == {b"k": b"v"}


def test_cancelled_while_another_process_writes(env, aenv, env_path, lib_version):
    with Rival(env_path, lib_version) as rival:

        async def wait():
            async with aenv.begin(write=True):
                pytest.fail("it was cancelled")

        async def main():
            assert rival.ask("hold") == "holds"
            await cancelled(wait())
            await cancelled(wait())
            await cancelled(aenv.put(b"unwanted", b"v"))
            await asyncio.sleep(0.3)
            assert not aenv._state().write_lock.locked, "a thread still waits for the lock"
            assert rival.ask("drop") == "dropped"
            await assert_free(env, aenv)

        asyncio.run(main())
        assert rival.can_write()


@pytest.mark.parametrize("where", ["body", "operation", "commit", "abort", "iteration"])
def test_cancelled_inside(env, aenv, env_path, lib_version, where):
    async def work(entered):
        txn = await aenv.begin(write=True)
        async with txn:
            await txn.put(b"k", b"v")
            entered.set()
            if where == "body":
                await asyncio.sleep(30)
            if where == "operation":
                await txn.call(lambda inner: time.sleep(0.1))
            if where == "iteration":
                while True:
                    async for _ in txn.range():
                        pass
            await txn.call(lambda inner: time.sleep(0.05))
            await (txn.commit() if where == "commit" else txn.abort())

    async def main():
        for number in range(5):
            entered = asyncio.Event()
            task = asyncio.ensure_future(work(entered))
            await entered.wait()
            if where in ("commit", "abort"):
                await asyncio.sleep(0.05)
            else:
                await asyncio.sleep(0.005 * number)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            async with aenv.begin(write=True, timeout=5) as txn:
                await txn.get(b"k")
        await assert_free(env, aenv)

    asyncio.run(main())
    if where != "commit":
        assert contents(env) == {}
    with Rival(env_path, lib_version) as rival:
        assert rival.can_write()


def test_cancelled_reads_leave_the_transaction_usable(env, aenv):
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")

    async def main():
        async with aenv.begin() as txn:
            await cancelled(txn.call(lambda inner: time.sleep(0.15)))
            assert txn._executor._lock.locked, "the thread is not done yet"
            assert await asyncio.wait_for(txn.get(b"k"), 5) == b"v"
            call = txn.call(lambda inner: time.sleep(0.15))
            others = [asyncio.ensure_future(txn.get(b"k")) for _ in range(5)]
            tasks = [asyncio.ensure_future(call), *others]
            await asyncio.sleep(0.02)
            for task in tasks[:3]:
                task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert found[3:] == [b"v"] * 3
        for _ in range(200):  # more than reader slots
            await cancelled(aenv.get_many([b"k"] * 10), 0)
        assert await aenv.get_many([b"k"]) == [b"v"]

    asyncio.run(main())


def test_cancelled_while_it_begins_a_nested_transaction(env, aenv):
    """The nested transaction is aborted, and the outer one can be used at once."""

    async def main():
        async with aenv.begin(write=True) as txn:
            await txn.put(b"a", b"1")
            release = threading.Event()
            blocking = asyncio.create_task(txn.call(lambda _: release.wait(10)))
            nested = asyncio.create_task(aenv.begin(parent=txn, write=True))
            await asyncio.sleep(0)
            nested.cancel()
            with pytest.raises(asyncio.CancelledError):
                await nested
            release.set()
            await txn.put(b"b", b"1")
            assert await blocking

    asyncio.run(main())
    assert set(contents(env)) == {b"a", b"b"}


def test_cancelled_at_random(env, aenv, env_path, lib_version):
    """Acknowledged writes are there, others are complete or absent, and no task hangs."""
    rng = random.Random(SEED)
    told, cancellations = set(), 0

    async def in_transaction(key):
        async with aenv.begin(write=True) as txn:
            await txn.put(key, b"1")
            if rng.random() < 0.3:
                async with aenv.begin(parent=txn, write=True) as child:
                    await child.put(key, b"3")
            async with txn.cursor() as cur:
                await cur.set_key(key)
                async for _ in cur:
                    break
            await txn.put(key + b"+", b"2")
        told.add(key)

    async def shared(key):
        await aenv.put(key, b"1")
        await aenv.call(lambda txn: txn.put(key + b"+", b"2"))
        told.add(key)

    async def reads(key):
        async with aenv.begin() as txn, txn.cursor() as cur:
            async for found, _ in cur:
                await txn.get(found)
            await cur.getmulti([key])
            await txn.get_many([key])

    async def main():
        nonlocal cancellations
        number, tasks = 0, set()
        while cancellations < CANCELLATIONS or len(told) < 10:
            while len(tasks) < 12:
                number += 1
                kind = rng.choice([in_transaction, shared, reads])
                tasks.add(asyncio.create_task(kind(b"%c%d" % (kind.__name__.encode()[0], number))))
            await asyncio.sleep(rng.choice([0, 0, 0.0005, 0.003]))
            for task in rng.sample(sorted(tasks, key=id), 3):
                cancellations += task.cancel()
            for task in [task for task in tasks if task.done()]:
                tasks.discard(task)
                with contextlib.suppress(asyncio.CancelledError):
                    task.result()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=10)
        await assert_free(env, aenv)

    asyncio.run(main())
    there = contents(env)
    print(f"PYLMDB_SEED={SEED}: {len(told)} told, {len(there)} there, {cancellations} cancelled")
    for key in told:
        assert {key, key + b"+"} <= set(there)
    for key in there:
        if key.startswith(b"i"):
            assert key.rstrip(b"+") in there
            assert key.rstrip(b"+") + b"+" in there, "a transaction is torn"
    assert threading.active_count() < 20
    with Rival(env_path, lib_version) as rival:
        assert rival.can_write()
