# SPDX-License-Identifier: MIT
"""Keys and values are bytes, or views with ``buffers=True``.  Checked for types, never run."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
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
    assert_type(viewing.first(), tuple[memoryview, memoryview] | None)
    assert_type(viewing.floor(b"k"), tuple[memoryview, memoryview] | None)

assert_type(env.begin(None, None, True, True), pylmdb.Transaction[memoryview])
assert_type(env.begin(buffers=bool(env.stat().depth)), pylmdb.Transaction[Any])

flag = bool(env.stat().depth)
txn = env.begin()
assert_type(txn.range(), Iterator[tuple[bytes, bytes]])
assert_type(txn.range(b"a", b"b", reverse=True), Iterator[tuple[bytes, bytes]])
assert_type(txn.range(prefix=b"a", values=False), Iterator[bytes])
assert_type(txn.range(keys=False), Iterator[bytes])
assert_type(txn.range(keys=flag), Iterator[Any])
assert_type(txn.range(b"a", limit=3, offset=1), Iterator[tuple[bytes, bytes]])
assert_type(txn.range(b"a", b"b", include_stop=True, keys=False), Iterator[bytes])
assert_type(txn.first(), tuple[bytes, bytes] | None)
assert_type(txn.last(env.open_db(b"db")), tuple[bytes, bytes] | None)
assert_type(txn.floor(b"k"), tuple[bytes, bytes] | None)
assert_type(txn.ceiling(bytearray(b"k")), tuple[bytes, bytes] | None)
assert_type(b"k" in txn, bool)
assert_type(txn.has_many([b"k"]), list[bool])
assert_type(txn.has_many(iter([b"k"])), list[bool])
present: NDArray[np.bool_] = txn.has_many(np.array([b"k"]))
assert_type(txn.has_many(range(3)), list[bool])
assert_type(txn.has_many([1, 2], key_format="%08d"), list[bool])

cursor = txn.cursor()
assert_type(cursor.range(), Iterator[tuple[bytes, bytes]])
assert_type(cursor.range(values=False), Iterator[bytes])
assert_type(cursor.range(limit=None, values=False), Iterator[bytes])
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


assert_type(pylmdb.Transaction(env), pylmdb.Transaction[bytes])
assert_type(pylmdb.Transaction(env, buffers=True), pylmdb.Transaction[memoryview])
assert_type(pylmdb.Transaction(env, None, None, False, True), pylmdb.Transaction[memoryview])
assert_type(pylmdb.Transaction(env, buffers=flag), pylmdb.Transaction[Any])
assert_type(pylmdb.Cursor(env.open_db(), txn), pylmdb.Cursor[bytes])
assert_type(txn.get_many([b"k"], b""), list[bytes])
assert_type(env.snapshot()[0], memoryview)
assert_type(env.snapshot()[:2], list[memoryview])

with env.writer() as writer:
    assert_type(writer.put(b"k", b"v").result(), bool)
    assert_type(writer.call(lambda txn: txn.get(b"k")).result(), bytes | None)
