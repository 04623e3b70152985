# SPDX-License-Identifier: MIT
"""Transactions of coroutines: their order, their end, and the lifetimes of objects."""

import asyncio
import gc
import threading

import pytest
from programs import in_child, run

import pylmdb
import pylmdb.aio


@pytest.fixture
def aenv(env):
    return pylmdb.aio.wrap(env)


def contents(env, db=None):
    with env.begin(db) as txn:
        return dict(txn.cursor())


def test_errors_arrive(env, aenv):
    async def main():
        async with aenv.begin() as txn:
            with pytest.raises(pylmdb.BadValsizeError):
                await txn.get(b"")
            with pytest.raises(pylmdb.ReadonlyError):
                await txn.put(b"k", b"v")
            with pytest.raises(TypeError, match="encode"):
                await txn.get("k")
        with pytest.raises(pylmdb.ClosedError):
            await txn.get(b"k")
        async with aenv.begin(write=True) as txn:
            with pytest.raises(pylmdb.BadValsizeError):
                await txn.put(b"", b"v")
            with pytest.raises(RuntimeError, match="StopIteration"):
                await txn.call(lambda inner: next(iter(())))
            await txn.put(b"k", b"v")
            assert txn.write
            assert not txn.closed
        assert txn.closed
        with pytest.raises(pylmdb.ClosedError):
            await txn.put(b"k", b"v")
        with pytest.raises(pylmdb.ClosedError):
            await txn.commit()
        await txn.abort()

    asyncio.run(main())
    assert contents(env) == {b"k": b"v"}


def test_write_transactions_run_one_at_a_time_in_order(env, aenv):
    async def main():
        order, threads = [], set()

        async def write(number):
            async with aenv.begin(write=True) as txn:
                order.append(number)
                value = int(await txn.get(b"n", b"0"))
                await asyncio.sleep(0)
                await txn.put(b"n", b"%d" % (value + 1))
                threads.add(await txn.call(lambda _: threading.get_ident()))

        await asyncio.gather(*map(write, range(50)))
        return order, threads

    order, threads = asyncio.run(main())
    assert order == list(range(50))
    assert len(threads) == 1
    assert contents(env) == {b"n": b"50"}


def test_a_task_that_would_wait_for_itself_is_refused_and_others_time_out(env, aenv):
    async def main():
        async with aenv.begin(write=True) as txn:
            for wait in (
                aenv.begin(write=True),
                aenv.put(b"k", b"v"),
                aenv.delete(b"k"),
                aenv.call(print),
            ):
                with pytest.raises(pylmdb.BusyError):
                    await wait

            async def other():
                with pytest.raises(pylmdb.LockTimeoutError) as caught:
                    await aenv.begin(write=True, timeout=0.1)
                assert str(caught.value) == (
                    f"begin: the writer lock of {env.path()!r} was not free within 0.1 seconds"
                    " (timeout=); another task of this process has it; end its write transaction,"
                    " or wait longer"
                )

            await asyncio.create_task(other())
            await txn.put(b"k", b"v")
        with env.begin(write=True), pytest.raises(TimeoutError):
            await aenv.begin(write=True, timeout=0.1)
        async with aenv.begin(write=True, timeout=5):
            pass

    asyncio.run(main())


def test_a_transaction_of_another_task_is_used_in_its_own_thread(env, aenv):
    async def main():
        async with aenv.begin(write=True) as txn:
            await asyncio.create_task(txn.put(b"k", b"v"))
            for call in (aenv.open_db(b"a", txn), aenv.open_db(b"b", txn=txn), aenv.dbs(txn)):
                await asyncio.create_task(call)

    asyncio.run(main())
    assert env.dbs() == [b"a", b"b"]


def test_a_transaction_without_references_is_aborted(env, aenv):
    async def main():
        for _ in range(3):
            txn = await aenv.begin(write=True, timeout=5)
            cur = await txn.cursor()
            await cur.put(b"lost", b"x")
            del txn
            gc.collect()
            assert await cur.first(), "the cursor keeps its transaction"
            del cur
            gc.collect()
        for _ in range(200):  # more than reader slots
            await aenv.begin()
        async with aenv.begin(write=True, timeout=5) as txn:
            await txn.put(b"kept", b"x")

    asyncio.run(main())
    assert contents(env) == {b"kept": b"x"}


def test_several_loops(env, aenv):
    async def main(number):
        async with aenv.begin(write=True) as txn:
            await txn.put(b"t%d" % number, b"v")
            await asyncio.sleep(0.01)
        await aenv.put(b"p%d" % number, b"v")
        assert await aenv.get(b"t%d" % number) == b"v"
        stuck.append(await aenv.begin(write=True))  # not ended before its loop ends

    stuck = []
    for number in range(3):
        asyncio.run(main(number))
        stuck.clear()
        gc.collect()

    async def work(number):
        for i in range(20):
            async with aenv.begin(write=True) as txn:
                await txn.put(b"%d.%d" % (number, i), b"v")
            await aenv.put(b"%d.p%d" % (number, i), b"v")

    numbers = [7, 8, 9]
    threads = [threading.Thread(target=lambda n=n: asyncio.run(work(n))) for n in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert len(contents(env)) == 6 + 3 * 40


def test_a_forked_child_works_by_itself(env, aenv):
    async def both(name):
        async with aenv.begin(write=True, timeout=5) as txn:
            await txn.put(name + b"1", b"v")
        await asyncio.wait_for(aenv.put(name + b"2", b"v"), 10)

    asyncio.run(both(b"a"))
    assert in_child(lambda: asyncio.run(both(b"b"))) == 0
    asyncio.run(both(b"c"))
    assert set(contents(env)) == {b"a1", b"a2", b"b1", b"b2", b"c1", b"c2"}


def test_a_forked_child_can_continue_with_the_same_loop(env, aenv):
    async def both(name):
        async with aenv.begin(write=True, timeout=5) as txn:
            await txn.put(name + b"1", b"v")
        await asyncio.wait_for(aenv.put(name + b"2", b"v"), 5)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(both(b"a"))
    assert in_child(lambda: loop.run_until_complete(asyncio.wait_for(both(b"b"), 5))) == 0
    loop.run_until_complete(both(b"c"))
    loop.close()
    assert set(contents(env)) == {b"a1", b"a2", b"b1", b"b2", b"c1", b"c2"}


def test_closing_while_others_work(open_env, tmp_path):
    async def main(env):
        aenv = pylmdb.aio.wrap(env)
        txn = await aenv.begin(write=True)
        await txn.put(b"lost", b"v")

        async def other():
            with pytest.raises(pylmdb.ClosedError):
                await aenv.put(b"lost", b"v")

        async def third():
            with pytest.raises(pylmdb.ClosedError):
                await aenv.begin(write=True)

        tasks = [asyncio.create_task(other()), asyncio.create_task(third())]
        await asyncio.sleep(0.05)
        await aenv.close()
        with pytest.raises(pylmdb.ClosedError):
            await txn.put(b"k", b"v")
        with pytest.raises(pylmdb.ClosedError):
            await txn.commit()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        with pytest.raises(pylmdb.ClosedError):
            await aenv.get(b"k")
        await aenv.close()

    asyncio.run(main(open_env(tmp_path / "closed")))
    assert contents(open_env(tmp_path / "closed")) == {}


@pytest.mark.parametrize(
    "left",
    [
        "await aenv.begin(write=True)",
        "await (await aenv.begin(write=True)).put(b'k', b'v')",
        "asyncio.create_task(aenv.put(b'k', b'v')); await asyncio.sleep(0)",
        "txn = env.begin(write=True); asyncio.create_task(aenv.put(b'k', b'v')); txn.abort()",
        "task = asyncio.create_task(one()); await asyncio.sleep(0.01)",
        "global txn; txn = await aenv.begin(write=True); os._exit(5)",
        "global txn; txn = await aenv.begin(write=True)",
    ],
)
def test_the_program_ends_with_anything_left(env_path, lib_version, left):
    run(
        f"""
import asyncio, pylmdb.aio
env = pylmdb.open(path, lib_version=lib_version)
aenv = pylmdb.aio.wrap(env)
async def one():
    async with aenv.begin(write=True) as txn:
        await txn.put(b"k", b"v")
        await asyncio.Event().wait()
async def main():
    {left}
asyncio.run(main())
sys.exit(5)
""",
        env_path,
        lib_version,
        status=5,
    )
