# SPDX-License-Identifier: MIT
"""A program that was written for py-lmdb and its stubs.  Checked for types, never run."""

from collections.abc import Iterator

from typing_extensions import assert_type

import pylmdb as lmdb


class Store:
    def __init__(self, path: str) -> None:
        self.env: lmdb.Environment = lmdb.open(path, map_size=2**30, max_dbs=2)
        self.db = self.env.open_db(b"records", dupsort=True)
        self.txn: lmdb.Transaction | None = None

    def begin(self) -> lmdb.Transaction:
        return self.env.begin(write=True, db=self.db)

    def cursor(self, txn: lmdb.Transaction) -> lmdb.Cursor:
        return txn.cursor(self.db)

    def keys(self, cursor: lmdb.Cursor) -> Iterator[bytes]:
        return cursor.iternext(keys=True, values=False)

    def first(self, txn: lmdb.Transaction) -> bytes | None:
        with txn.cursor() as cursor:
            return cursor.value() if cursor.first() else None

    def copy(self, txn: lmdb.Transaction) -> dict[bytes, bytes]:
        return dict(txn.cursor())

    def entries(self) -> int:
        return self.env.stat()["entries"]


def length(txn: lmdb.Transaction[bytes] | lmdb.Transaction[memoryview], key: bytes) -> int:
    value = txn.get(key)
    return 0 if value is None else len(value)


def either(txn: lmdb.Transaction[bytes | memoryview], key: bytes) -> bytes:
    return bytes(txn.get(key, b""))


store = Store("x")
with store.begin() as txn:
    assert_type(txn, lmdb.Transaction[bytes])
    assert_type(store.cursor(txn).key(), bytes)
    either(txn, b"k")
    length(store.env.begin(buffers=True), b"k")
