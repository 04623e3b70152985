# SPDX-License-Identifier: MIT
"""Keys and values are bytes, or views with ``buffers=True``.  Checked for types, never run."""

from collections.abc import Iterator
from typing import Any

from typing_extensions import assert_type

import pylmdb

env = pylmdb.open("x")

with env.begin() as plain:
    assert_type(plain, pylmdb.Transaction[bytes])
    assert_type(plain.get(b"k"), bytes | None)
    assert_type(plain.get(b"k", 0), bytes | int)
    assert_type(plain.get_many([b"k"]), list[bytes | None])
    assert_type(plain.cursor(), pylmdb.Cursor[bytes])
    assert_type(plain.cursor().item(), tuple[bytes, bytes])
    assert_type(list(plain.cursor()), list[tuple[bytes, bytes]])

with env.begin(buffers=True) as viewing:
    assert_type(viewing.get(b"k"), memoryview | None)
    assert_type(viewing.cursor().key(), memoryview)
    assert_type(viewing.pop(b"k"), bytes | None)
    assert_type(viewing.range(), Iterator[tuple[memoryview, memoryview]])

assert_type(env.begin(None, None, True, True), pylmdb.Transaction[memoryview])
assert_type(env.begin(buffers=bool(env.stat().depth)), pylmdb.Transaction[Any])

flag = bool(env.stat().depth)
txn = env.begin()
assert_type(txn.range(), Iterator[tuple[bytes, bytes]])
assert_type(txn.range(b"a", b"b", reverse=True), Iterator[tuple[bytes, bytes]])
assert_type(txn.range(prefix=b"a", values=False), Iterator[bytes])
assert_type(txn.range(keys=False), Iterator[bytes])
assert_type(txn.range(keys=flag), Iterator[Any])

cursor = txn.cursor()
assert_type(cursor.range(), Iterator[tuple[bytes, bytes]])
assert_type(cursor.range(values=False), Iterator[bytes])
assert_type(cursor.iternext(), Iterator[tuple[bytes, bytes]])
assert_type(cursor.iternext(True, False), Iterator[bytes])
assert_type(cursor.iternext(values=False), Iterator[bytes])
assert_type(cursor.iternext(keys=False), Iterator[bytes])
assert_type(cursor.iternext(flag), Iterator[Any])
assert_type(cursor.iterprev(), Iterator[tuple[bytes, bytes]])
assert_type(cursor.iterprev(values=False), Iterator[bytes])
assert_type(cursor.iternext_dup(), Iterator[bytes])
assert_type(cursor.iternext_dup(keys=True), Iterator[tuple[bytes, bytes]])
assert_type(cursor.iternext_dup(True, False), Iterator[bytes])
assert_type(cursor.iterprev_dup(), Iterator[bytes])
assert_type(cursor.iternext_nodup(), Iterator[bytes])
assert_type(cursor.iternext_nodup(values=True), Iterator[tuple[bytes, bytes]])
assert_type(cursor.iternext_nodup(True, True), Iterator[tuple[bytes, bytes]])
assert_type(cursor.iterprev_nodup(), Iterator[bytes])
assert_type(cursor.getmulti([b"k"]), list[tuple[bytes, bytes]])
assert_type(cursor.getmulti([b"k"], values=False), list[bytes])
assert_type(cursor.getmulti([b"k"], dupfixed_bytes=4, keyfixed=True), memoryview)
assert_type(cursor.getmulti([b"k"], True, 4, True), memoryview)
for key, value in txn.range():
    assert_type(key + value, bytes)


async def coroutines(aenv: pylmdb.aio.AsyncEnvironment) -> None:
    assert_type(await aenv.get(b"k"), bytes | None)
    assert_type(await aenv.get(b"k", 0), bytes | int)
    assert_type(await aenv.get_many([b"k"]), list[bytes | None])
    assert_type(await aenv.put(b"k", bytearray(8)), bool)
    async with aenv.begin() as atxn:
        assert_type(await atxn.view(b"k"), memoryview | None)
        await atxn.range(values=False)
        await atxn.put(b"k", b"v", overwrite=False)
        async with atxn.cursor() as acursor:
            await acursor.iternext(keys=True, values=False)
            await acursor.getmulti([b"k"], values=False)
    assert_type(env.snapshot()[0], memoryview)
    assert_type(env.snapshot()[:2], list[memoryview])
