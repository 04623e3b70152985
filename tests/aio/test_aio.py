# SPDX-License-Identifier: MIT
"""pylmdb.aio: operations are awaited, and the event loop runs meanwhile."""

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import lmdb.aio
import pytest
from numpy_if_any import np
from programs import PATIENCE

import pylmdb
import pylmdb.aio


@pytest.fixture
def aenv(env):
    return pylmdb.aio.wrap(env)


def contents(env, db=None):
    with env.begin(db) as txn:
        return dict(txn.cursor())


def fill(env, count=1000):
    with env.begin(write=True) as txn:
        for i in range(count):
            txn.put(b"%05d" % i, b"v%d" % i)


# -- the surface ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["AsyncEnvironment", "AsyncTransaction", "AsyncCursor"])
def test_everything_of_py_lmdb_is_there(name):
    theirs, ours = getattr(lmdb.aio, name), getattr(pylmdb.aio, name)
    for method in vars(theirs):
        if not method.startswith("_"):
            assert hasattr(ours, method), method
            assert inspect.getdoc(getattr(ours, method)), method
            inspect.signature(getattr(ours, method))
            both = (getattr(cls, method) for cls in (theirs, ours))
            awaited = [inspect.iscoroutinefunction(function) for function in both]
            assert awaited[0] == awaited[1] or method.startswith("iter"), method
    for special in ("__aenter__", "__aexit__"):
        assert hasattr(ours, special)


@pytest.mark.parametrize("name", pylmdb.aio.__all__)
def test_everything_has_a_docstring(name):
    thing = getattr(pylmdb.aio, name)
    assert inspect.getdoc(thing)
    members = vars(thing) if isinstance(thing, type) else {}
    for member, value in members.items():
        if not member.startswith("_"):
            assert inspect.getdoc(value), member
            parameters = inspect.signature(value).parameters
            text = inspect.getdoc(value)
            for line in text.splitlines():
                if line.strip().startswith(":param "):
                    assert line.split(":param ")[1].split(":")[0] in parameters


def test_dir_shows_the_public_names():
    assert dir(pylmdb.aio) == sorted(pylmdb.aio.__all__)


async def failing(begun, key):
    async with begun as txn:
        await txn.put(key, b"x")
        _ = 1 // 0


def a_program(module, env):
    """A program that py-lmdb's users may have written; it runs with both modules."""

    async def main():
        aenv = module.aio.wrap(env)
        found = [aenv.path() == env.path(), aenv.max_key_size(), aenv.flags()["sync"]]
        async with aenv.begin(write=True) as txn:
            for i in range(20):
                found.append(await txn.put(b"%02d" % i, b"v%d" % i))
            found += [await txn.replace(b"00", b"new"), await txn.pop(b"01")]
            found += [await txn.delete(b"02"), await txn.delete(b"none"), await txn.get(b"03")]
            async with txn.cursor() as cur:
                found += [await cur.first(), cur.item(), await cur.next(), cur.key(), cur.value()]
                found += [await cur.put(b"50", b"x"), cur.item(), await cur.delete()]
                found.append(await cur.putmulti([(b"60", b"a"), (b"61", b"b")]))
                found += [await cur.replace(b"60", b"c"), await cur.pop(b"61")]
        with pytest.raises(ZeroDivisionError):
            await failing(aenv.begin(write=True), b"lost")
        txn = await aenv.begin(None, None, True)
        await txn.put(b"lost", b"x")
        await txn.abort()
        txn = await aenv.begin(write=True)
        await txn.put(b"kept", b"x")
        await txn.commit()
        async with aenv.begin() as txn:
            found += [await txn.get(b"kept"), await txn.get(b"lost", default=b"d"), txn.id()]
            found.append((await txn.stat())["entries"])
            cur = await txn.cursor()
            found.append(await cur.iternext())
            found += [await cur.set_range(b"10"), cur.item(), await cur.iterprev(values=False)]
            found += [await cur.set_key(b"10"), await cur.get(b"11"), await cur.last(), cur.key()]
            found.append(await cur.getmulti([b"03", b"04", b"none"]))
            await cur.close()
            found += await asyncio.gather(*(txn.get(b"%02d" % i) for i in range(20)))
        db = await aenv.open_db(b"named", dupsort=True)
        async with aenv.begin(write=True, db=db) as txn:
            found += [await txn.put(b"k", b"%d" % i) for i in range(5)]
            async with txn.cursor(db) as cur:
                found += [await cur.set_key(b"k"), await cur.count(), await cur.last_dup()]
                found += [cur.value(), await cur.first_dup(), await cur.iternext_dup()]
                found += [await cur.set_key_dup(b"k", b"3"), await cur.prev_dup(), cur.item()]
                found.append(await cur.set_range_dup(b"k", b"30"))
        found += [(await aenv.stat())["entries"], await aenv.reader_check()]
        async with aenv.begin(write=True) as txn:
            await txn.drop(db)
        await aenv.sync()
        await aenv.close()
        return found

    return asyncio.run(main())


def test_a_program_of_py_lmdb_runs(env, tmp_path):
    with lmdb.open(str(tmp_path / "theirs"), max_dbs=10, map_size=1 << 24) as theirs:
        expected = a_program(lmdb, theirs)
    found = a_program(pylmdb, env)
    found[1] = expected[1]  # the greatest key, which depends on the engine
    assert found == expected
    assert env.closed


def test_another_object_than_an_environment_is_refused(env):
    with pytest.raises(TypeError, match="Environment"):
        pylmdb.aio.wrap("path")
    with pytest.raises(ValueError, match="max_pending"):
        pylmdb.aio.wrap(env, max_pending=0)
    assert not pylmdb.aio.wrap(env).closed
    with pytest.raises(AttributeError):
        _ = pylmdb.aio.wrap(env).no_such_thing
    with pytest.raises(AttributeError):
        _ = pylmdb.aio.wrap(env).writer
    assert "AsyncEnvironment" in repr(pylmdb.aio.wrap(env))


# -- executors -------------------------------------------------------------------------


def test_short_reads_run_in_the_event_loop_and_batches_in_threads(env, aenv):
    fill(env)

    async def main():
        seen = {}

        def note(name):
            seen[name] = threading.get_ident()

        async with aenv.begin() as txn:
            await txn._executor.run_short(note, "small")
            await txn._executor.run_long(note, "large")
            many = await txn.get_many([b"00001", b"none", b"00003"])
        async with aenv.begin(write=True) as txn:
            for name in ("first", "second"):
                await txn.call(lambda inner, name=name: note(name))
            await txn._executor.run_short(note, "third")
        return seen, many

    seen, many = asyncio.run(main())
    assert many == [b"v1", None, b"v3"]
    assert seen["small"] == threading.get_ident() != seen["large"]
    assert seen["first"] == seen["second"] == seen["third"] != threading.get_ident()


@pytest.mark.parametrize("inline", [True, False])
def test_reads_let_other_tasks_run(env, inline):
    fill(env)
    aenv = pylmdb.aio.wrap(env, inline=inline)
    count = 500 if inline else 20  # a read in a thread is waited for, by a loop that spins

    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        async with aenv.begin() as txn:
            for read in (txn.get, txn.view, aenv.get):
                before = ticks
                for _ in range(count):
                    assert await read(b"00001") == b"v1"
                assert ticks > before + 1
            before = ticks
            async with txn.cursor() as cur:
                for _ in range(count):
                    await cur.set_key(b"00001")
                assert cur.item() == (b"00001", b"v1")
                async for _ in cur:
                    pass
            assert ticks > before + 3
        ticking.cancel()

    asyncio.run(main())


def test_the_executor_that_was_given_is_used(env):
    fill(env)
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:
        aenv = pylmdb.aio.wrap(env, executor, inline=False)

        async def main():
            async with aenv.begin() as txn:
                name = await txn.call(lambda _: threading.current_thread().name)
                assert await txn.get(b"00001") == b"v1"
                assert await asyncio.gather(*(txn.get(b"00001") for _ in range(9))) == [b"v1"] * 9
            return name

        assert asyncio.run(main()).startswith("mine")


def test_a_slow_batch_does_not_block_the_loop(env, aenv):
    fill(env)

    async def main():
        async with aenv.begin() as txn:
            begun, release = threading.Event(), threading.Event()

            def wait(inner):
                begun.set()
                return release.wait(PATIENCE)

            batch = asyncio.create_task(txn.call(wait))
            while not begun.is_set():
                await asyncio.sleep(0.001)
            get = asyncio.create_task(txn.get(b"00001"))  # waits for the lock, without a thread
            await asyncio.sleep(0.01)
            assert not get.done()
            release.set()
            assert await get == b"v1"
            assert batch.done()
            assert await batch, "it was released by the loop"

    asyncio.run(main())


# -- iteration ----------------------------------------------------------------------------


@pytest.mark.parametrize("write", [False, True])
def test_single_records_and_presence(aenv, env, write):
    fill(env)

    async def main():
        async with aenv.begin(write=write) as txn:
            assert await txn.first() == (b"00000", b"v0")
            assert await txn.last() == (b"00999", b"v999")
            assert await txn.floor(b"00007x") == (b"00007", b"v7")
            assert await txn.ceiling(b"00007x") == (b"00008", b"v8")
            assert await txn.ceiling(b"x") is None
            assert await txn.has_many([b"00001", b"x"]) == [True, False]
            found = await txn.has_many(np.arange(998, 1002), key_format="%05d")
            assert found.tolist() == [True, True, False, False]
            with pytest.raises(TypeError, match=r"await txn\.has_many"):
                b"00001" in txn  # noqa: B015

    asyncio.run(main())


@pytest.mark.parametrize("how", ["read", "executor", "write"])
def test_iteration_streams(env, how):
    fill(env, 3000)
    expected = [(b"%05d" % i, b"v%d" % i) for i in range(3000)]
    aenv = pylmdb.aio.wrap(env, inline=how != "executor")

    async def main():
        async with aenv.begin(write=how == "write") as txn, txn.cursor() as cur:
            assert [item async for item in cur] == expected
            await cur.first()
            assert [key async for key in cur.iternext(values=False)] == [k for k, _ in expected]
            await cur.first()
            assert await cur.iternext() == expected
            await cur.last()
            assert await cur.iterprev() == expected[::-1]
            assert [k async for k in txn.range(b"00100", b"00200", values=False)] == [
                b"%05d" % i for i in range(100, 200)
            ]
            assert await cur.range(prefix=b"0000", reverse=True) == expected[9::-1]
            assert await txn.range(b"x") == []
            options = {"limit": 3, "offset": 1, "include_start": False}
            assert await txn.range(b"00100", **options) == expected[102:105]
            assert [item async for item in txn.range(b"00100", **options)] == expected[102:105]
            async for key, _ in cur.range():
                if key == b"00010":
                    break
            if how == "read":
                assert cur.key() == b"00010", "the cursor is where the loop is"

    asyncio.run(main())


@pytest.mark.parametrize("write", [False, True])
def test_iteration_does_not_take_everything_at_once(env, aenv, write):
    tracemalloc = pytest.importorskip("tracemalloc")  # PyPy does not have it
    with env.begin(write=True) as txn:
        for i in range(400):
            txn.put(b"%05d" % i, bytes(100_000))

    async def main():
        async with aenv.begin(write=write) as txn:
            tracemalloc.start()
            count = 0
            async for _, value in txn.range():
                count += len(value) == 100_000
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert count == 400
        assert peak < 12_000_000

    asyncio.run(main())


def test_records_may_be_deleted_on_the_way(env, aenv):
    fill(env, 500)

    async def main():
        async with aenv.begin(write=True) as txn:
            async for key, _ in txn.range():
                assert await txn.delete(key)

    asyncio.run(main())
    assert contents(env) == {}


def test_ranges_are_counted_and_deleted(env, aenv):
    fill(env, 500)
    db = env.open_db(b"db")

    async def main():
        async with aenv.begin(write=True) as txn:
            await txn.put(b"0", b"v", db=db)
            assert await txn.delete_range(prefix=b"0", db=db) == 1
            assert await txn.delete_range(b"00010", b"00490") == 480
            with pytest.raises(pylmdb.IncompatibleError):
                await txn.delete_range(b"00000")
        async with aenv.begin() as txn:
            return await txn.count(), await txn.count(prefix=b"0000"), await txn.count(db=db)

    assert asyncio.run(main()) == (21, 10, 0)  # with the name of the database


# -- arrays, copies, nesting --------------------------------------------------------------


def test_arrays_and_copies(env, aenv, tmp_path):
    (tmp_path / "copy").mkdir()

    async def main():
        async with aenv.begin(write=True) as txn:
            await txn.put_array(b"a", np.arange(5))
            await txn.put_arrays(range(9), np.ones((9, 3)), key_format="%03d")
        async with aenv.begin() as txn:
            assert (await txn.get_array(b"a")).tolist() == [0, 1, 2, 3, 4]
            assert (await txn.take([1, 2], "f8", (3,), key_format="%03d")).shape == (2, 3)
            assert (await txn.view(b"a")).readonly
        await aenv.copy(str(tmp_path / "copy"), compact=True)
        async with aenv.begin() as txn:
            with open(tmp_path / "fd", "wb") as file:
                await aenv.copyfd(file.fileno(), True, txn)
            assert await aenv.dbs(txn=txn) == []
        return await aenv.get_many([b"000", b"none"])

    assert asyncio.run(main()) == [np.ones(3).tobytes(), None]
    with pylmdb.open(tmp_path / "copy") as copy:
        assert copy.stat().entries == 10


def test_nested_transactions(env, aenv):
    async def main():
        async with aenv.begin(write=True) as txn:
            await txn.put(b"a", b"1")
            with pytest.raises(ZeroDivisionError):
                await failing(aenv.begin(parent=txn, write=True), b"b")
            async with aenv.begin(parent=txn, write=True) as child:
                await child.put(b"c", b"1")
                assert await aenv.open_db(b"named", txn=child)

    asyncio.run(main())
    assert set(contents(env)) - {b"named", b"named\0"} == {b"a", b"c"}
    assert env.dbs() == [b"named"]


def test_a_database_is_opened_in_the_write_transaction_of_the_task(env, aenv):
    async def main():
        async with aenv.begin(write=True) as txn:
            db = await aenv.open_db(b"named")
            await txn.put(b"k", b"v", db=db)
            assert await aenv.dbs(txn) == [b"named"]
        assert await aenv.get(b"k", db=db) == b"v"

    asyncio.run(main())


# -- coroutines ---------------------------------------------------------------------------


def test_everything_awaitable_is_a_coroutine(aenv, env):
    fill(env, 10)

    async def main():
        txn = await asyncio.create_task(aenv.begin())
        cur = await asyncio.create_task(txn.cursor())
        for make in (cur.iternext, cur.iternext_nodup, cur.iterprev, cur.range, txn.range):
            assert asyncio.iscoroutine(make())
        await cur.first()
        found = await asyncio.create_task(cur.iternext())
        assert found == list(contents(env).items())
        assert await asyncio.gather(txn.range(), txn.range(b"00005")) == [found, found[5:]]
        loop = asyncio.get_running_loop()
        threadsafe = await asyncio.to_thread(
            lambda: asyncio.run_coroutine_threadsafe(txn.range(), loop).result(PATIENCE)
        )
        assert threadsafe == found
        await txn.abort()

    asyncio.run(main())


def test_a_coroutine_that_is_never_awaited_does_nothing(aenv):
    async def main():
        aenv.begin(write=True).close()
        aenv.begin(write=True)
        async with aenv.begin(write=True, timeout=5) as txn:
            txn.range()
            started = txn.range()
            started.send(None)
            with pytest.raises(RuntimeError):
                started.throw(RuntimeError())

    asyncio.run(main())


def test_many_records_are_collected_in_batches(aenv, env, monkeypatch):
    """An iterator in C keeps the GIL; the thread releases it between two batches."""
    count, pauses = 20_000, []
    monkeypatch.setattr(pylmdb.aio.executors, "sleep", pauses.append)
    with env.begin(write=True) as txn:
        txn.cursor().putmulti([(b"%08d" % i, b"") for i in range(count)], append=True)

    async def main():
        async with aenv.begin() as txn, txn.cursor() as cur:
            await cur.first()
            assert len(await cur.iternext(values=False)) == count

    asyncio.run(main())
    assert len(pauses) >= count // 1000
    assert set(pauses) == {0}
