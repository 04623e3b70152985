# SPDX-License-Identifier: MIT
"""The functions for whole files as coroutines: results, environments, cancellation."""

import asyncio
import inspect
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import pylmdb
from pylmdb import aio, tools

NAMES = [
    "backup_info", "bulk_load", "convert", "dump", "load", "merge", "restore", "salvage", "verify"
]  # fmt: skip


def records(count=3000):
    return [(b"%05d" % (i * 7919 % count), b"v%d" % i) for i in range(count)]


def contents(path):
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        return dict(txn.range())


def parameters(function):
    """The names of the parameters, their kinds and their defaults."""
    found = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in found]


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_parameters_of_the_function(name):
    ours, theirs = getattr(aio, name), getattr(tools, name)
    assert inspect.iscoroutinefunction(ours)
    assert parameters(ours) == parameters(theirs)
    assert ours.__module__.startswith("pylmdb.aio")
    assert "CancelledError" in ours.__doc__


def test_each_function(tmp_path, lib_version):
    async def main():
        new = tmp_path / "new"
        assert await aio.bulk_load(new, records(), lib_version=lib_version) == 3000
        assert (await aio.verify(new)).ok
        assert await aio.dump(new, tmp_path / "text") == 3000
        assert await aio.load(tmp_path / "text", tmp_path / "loaded") == 3000
        assert await aio.merge([new], tmp_path / "merged") == 3000
        assert await aio.convert(new, tmp_path / "other", 1 - lib_version) == 3000
        assert (await aio.salvage(new, tmp_path / "saved")).ok
        with pylmdb.open(new) as env:
            made = await aio.wrap(env).backup(tmp_path / "backup")
        assert await aio.backup_info(tmp_path / "backup") == made
        assert await aio.restore([made], tmp_path / "restored") == made
        with pytest.raises(pylmdb.PathExistsError):
            await aio.dump(new, tmp_path / "text")

    asyncio.run(main())
    for name in ("new", "loaded", "merged", "other", "saved", "restored"):
        assert contents(tmp_path / name) == dict(records()), name


def test_environments_and_their_wrappers(open_env, tmp_path):
    env, other = open_env(), open_env(tmp_path / "other")

    async def main():
        aenv = aio.wrap(env)
        assert await aio.bulk_load(aenv, records(), b"named") == 3000
        assert await aio.bulk_load(env, [(b"a", b"b")]) == 1
        assert await aio.merge([aenv, env], aio.wrap(other), "last") == 3001
        async with aenv.begin(write=True):
            with pytest.raises(pylmdb.BusyError, match="this task has a write transaction open"):
                await aio.bulk_load(aenv, [])

    asyncio.run(main())
    with other.begin(other.open_db(b"named")) as txn:
        assert dict(txn.range()) == dict(records())


def test_an_asynchronous_iterable_runs_in_the_loop(tmp_path):
    threads = set()

    async def produced(fails):
        for number, record in enumerate(records()):
            threads.add(threading.get_ident())
            if number % 100 == 0:
                await asyncio.sleep(0)
            if number == fails:
                raise LookupError("of the producer")
            yield record

    async def main():
        assert await aio.bulk_load(tmp_path / "new", produced(-1)) == 3000
        with pytest.raises(LookupError, match="of the producer"):
            await aio.bulk_load(tmp_path / "failed", produced(2500))

    asyncio.run(main())
    assert threads == {threading.get_ident()}
    assert contents(tmp_path / "new") == dict(records())
    assert os.listdir(tmp_path) == ["new"]


def test_records_may_need_the_default_executor(tmp_path):
    """Loads that wait for records do not have all its threads."""

    async def slow(name):
        yield name, await asyncio.to_thread(bytes, 3)

    async def main():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        loads = [aio.bulk_load(tmp_path / str(i), slow(b"%d" % i)) for i in range(4)]
        assert await asyncio.wait_for(asyncio.gather(*loads), 60) == [1] * 4

    asyncio.run(main())
    assert contents(tmp_path / "3") == {b"3": bytes(3)}


def test_cancellation_while_records_are_awaited(tmp_path):
    async def never():
        yield b"a", b"b"
        await asyncio.get_running_loop().create_future()

    async def main():
        task = asyncio.create_task(aio.bulk_load(tmp_path / "new", never()))
        while not os.listdir(tmp_path):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert os.listdir(tmp_path) == []

    asyncio.run(main())


@pytest.mark.parametrize("name", [*NAMES, "backup", "sort"])
def test_cancellation_at_work(name, tmp_path, monkeypatch):
    """The function is cancelled when it reports progress, and leaves nothing behind."""
    source, text = tmp_path / "source", tmp_path / "text"
    pylmdb.bulk_load(source, records())
    pylmdb.dump(source, text)
    env = pylmdb.open(source)
    made = env.backup(tmp_path / "backup")
    before = sorted(os.listdir(tmp_path))
    calls = {
        "backup_info": lambda new, tell: aio.backup_info(made, check=True, progress=tell),
        "bulk_load": lambda new, tell: aio.bulk_load(new, records(), progress=tell),
        "sort": lambda new, tell: aio.bulk_load(new, records()),
        "convert": lambda new, tell: aio.convert(source, new, 1, tell),
        "dump": lambda new, tell: aio.dump(source, new, progress=tell),
        "load": lambda new, tell: aio.load(text, new, progress=tell),
        "merge": lambda new, tell: aio.merge([source], new, progress=tell),
        "backup": lambda new, tell: aio.wrap(env).backup(new, progress=tell),
        "restore": lambda new, tell: aio.restore(made, new, progress=tell),
        "salvage": lambda new, tell: aio.salvage(source, new, progress=tell),
        "verify": lambda new, tell: aio.verify(source, progress=tell),
    }

    async def main():
        task = None
        loop = asyncio.get_running_loop()

        def tell(*_):
            """Cancel the task, and go on when the loop has done that."""
            asyncio.run_coroutine_threadsafe(cancel(), loop).result()

        async def cancel():
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        if name == "sort":
            sort = tools.sorting.Sorter.sort
            monkeypatch.setattr(tools.sorting.Sorter, "sort", lambda self: (tell(), sort(self)))
        task = asyncio.create_task(calls[name](tmp_path / "new", tell))
        with pytest.raises(asyncio.CancelledError):
            await task

    with env:
        asyncio.run(main())
    assert sorted(os.listdir(tmp_path)) == before
