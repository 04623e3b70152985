# SPDX-License-Identifier: MIT
"""Results that are awaited, and tasks.  Checked for types, never run."""

import asyncio
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import pylmdb
from pylmdb.aio import AsyncCursor, AsyncEnvironment, AsyncTransaction


async def environment(aenv: AsyncEnvironment, flag: bool) -> None:
    assert_type(await aenv.get(b"k"), bytes | None)
    assert_type(await aenv.get(b"k", 0), bytes | int)
    assert_type(await aenv.get_many([b"k"]), list[bytes | None])
    assert_type(await aenv.put(b"k", bytearray(8)), bool)
    assert_type(await aenv.call(lambda txn: txn.get(b"k")), bytes | None)
    assert_type(await aenv.stat(), pylmdb.types.Stat)
    assert_type(await aenv.dbs(), list[bytes])
    assert_type(aenv.path(), str)
    assert_type(aenv.closed, bool)
    assert_type(await aenv.begin(), AsyncTransaction[bytes])
    assert_type(await aenv.begin(None, None, True, True), AsyncTransaction[memoryview])
    assert_type(await aenv.begin(buffers=flag), AsyncTransaction[Any])
    async with aenv.begin(write=True) as txn, aenv.begin(parent=txn, write=True) as child:
        db = await aenv.open_db(b"name", txn=child)
        await aenv.dbs(txn)
        await aenv.copy("copy", compact=True, txn=txn)
        assert_type(await child.stat(db), pylmdb.types.Stat)


async def tasks(aenv: AsyncEnvironment) -> None:
    assert_type(asyncio.create_task(aenv.get(b"k")), asyncio.Task[bytes | None])
    assert_type(asyncio.create_task(aenv.put(b"k", b"v")), asyncio.Task[bool])
    assert_type(asyncio.create_task(aenv.begin()), asyncio.Task[AsyncTransaction[bytes]])
    assert_type(await asyncio.gather(aenv.get(b"a"), aenv.get(b"b", 0)), tuple[bytes | None, bytes | int])
    async with aenv.begin() as txn:
        pairs = asyncio.create_task(txn.range())
        assert_type(await pairs, list[tuple[bytes, bytes]])


async def transaction(txn: AsyncTransaction) -> None:
    assert_type(await txn.get(b"k"), bytes | None)
    assert_type(await txn.get(b"k", 0), bytes | int)
    assert_type(await txn.get_many([b"k"], 0), list[bytes | int])
    assert_type(await txn.view(b"k"), memoryview | None)
    assert_type(await txn.pop(b"k"), bytes | None)
    assert_type(await txn.put(b"k", b"v", overwrite=False), bool)
    assert_type(await txn.call(lambda sync: sync.get(b"k", 0)), bytes | int)
    assert_type(await txn.range(), list[tuple[bytes, bytes]])
    assert_type(await txn.range(values=False), list[bytes])
    assert_type(await txn.count(b"a", b"b"), int)
    assert_type(await txn.delete_range(prefix=b"a"), int)
    assert_type(await txn.range(limit=2, offset=1, include_start=False), list[tuple[bytes, bytes]])
    assert_type(await txn.first(), tuple[bytes, bytes] | None)
    assert_type(await txn.floor(b"k"), tuple[bytes, bytes] | None)
    assert_type(await txn.has_many([b"k"]), list[bool])
    present: NDArray[np.bool_] = await txn.has_many(np.array([b"k"]))
    print(present)
    assert_type(txn.env, pylmdb.Environment)
    async for key, value in txn.range(prefix=b"k"):
        assert_type(key + value, bytes)
    async for value in txn.range(keys=False):
        assert_type(value, bytes)


async def views(aenv: AsyncEnvironment) -> None:
    async with aenv.begin(buffers=True) as txn, txn.cursor() as cursor:
        assert_type(await txn.get(b"k"), memoryview | None)
        assert_type(await txn.last(), tuple[memoryview, memoryview] | None)
        assert_type(cursor, AsyncCursor[memoryview])
        assert_type(cursor.item(), tuple[memoryview, memoryview])
        assert_type(await cursor.iternext(), list[tuple[memoryview, memoryview]])
        async for key, _ in cursor:
            assert_type(key, memoryview)


async def positions(cursor: AsyncCursor) -> None:
    assert_type(await cursor.first(), bool)
    assert_type(cursor.key(), bytes)
    assert_type(await cursor.get(b"k"), bytes | None)
    assert_type(await cursor.iternext(keys=True, values=False), list[bytes])
    assert_type(await cursor.iternext_dup(), list[bytes])
    assert_type(await cursor.iternext_dup(keys=True), list[tuple[bytes, bytes]])
    assert_type(await cursor.iterprev_nodup(), list[bytes])
    assert_type(await cursor.iterprev_nodup(values=True), list[tuple[bytes, bytes]])
    assert_type(await cursor.range(b"a", reverse=True), list[tuple[bytes, bytes]])
    assert_type(await cursor.getmulti([b"k"]), list[tuple[bytes, bytes]])
    assert_type(await cursor.getmulti([b"k"], values=False), list[bytes])
    assert_type(await cursor.getmulti([b"k"], dupfixed_bytes=4, keyfixed=True), memoryview)
    assert_type(await cursor.putmulti([(b"k", b"v")]), tuple[int, int])


async def commits(aenv: AsyncEnvironment, other: AsyncEnvironment) -> None:
    assert_type(await aenv.wait(timeout=1), int)
    async for number in aenv.commits():
        assert_type(number, int)
    assert_type(await aenv.put(b"k", b"v", if_value=b"old"), bool)
    assert_type(await aenv.copy_db(b"a", b"b", other), int)
    await aenv.rename_db(b"a", b"b")
