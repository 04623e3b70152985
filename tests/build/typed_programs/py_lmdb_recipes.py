# SPDX-License-Identifier: MIT
"""What programs for py-lmdb do most, as its stubs have them write it.  Checked for types, never
run.
"""

import contextlib
import os
import pickle
import struct
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

import pylmdb as lmdb

T = TypeVar("T")


def count_up(env: lmdb.Environment, name: str, by: int = 1) -> int:
    with env.begin(write=True) as txn:
        stored = txn.get(name.encode())
        value: int = struct.unpack("<q", stored)[0] + by if stored is not None else by
        txn.put(name.encode(), struct.pack("<q", value))
    return value


def with_prefix(txn: lmdb.Transaction[bytes], prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    cursor = txn.cursor()
    if not cursor.set_range(prefix):
        return
    for key, value in cursor:
        if not key.startswith(prefix):
            break
        yield key, value


class Queue:
    def __init__(self, env: lmdb.Environment, name: str) -> None:
        self._env = env
        self._db: lmdb._Database = env.open_db(name.encode(), integerkey=True)

    def push(self, payload: bytes) -> int:
        with self._env.begin(db=self._db, write=True) as txn, txn.cursor() as cursor:
            last = int.from_bytes(cursor.key(), "little") if cursor.last() else 0
            cursor.put((last + 1).to_bytes(8, "little"), payload, append=True)
            return last + 1

    def pop(self) -> bytes | None:
        with self._env.begin(db=self._db, write=True) as txn:
            cursor = txn.cursor()
            if not cursor.first():
                return None
            value = cursor.value()
            cursor.delete()
            return value

    def __len__(self) -> int:
        with self._env.begin() as txn:
            return txn.stat(self._db)["entries"]


def vector(env: lmdb.Environment, number: int) -> NDArray[np.float32]:
    with env.begin(buffers=True) as txn:
        found = txn.get(b"%08d" % number)
        if found is None:
            raise KeyError(number)
        return np.frombuffer(found, dtype=np.float32).copy()


def total_size(env: lmdb.Environment) -> int:
    with env.begin(write=False, buffers=True) as txn:
        return sum(len(value) for _, value in txn.cursor().iternext())


class Cache:
    env: lmdb.Environment

    def __init__(self, path: str, size: int = 2**30) -> None:
        self.env = lmdb.Environment(path, map_size=size, max_dbs=2, sync=False, writemap=True)
        self.data = self.env.open_db(b"data")
        self.expiry = self.env.open_db(b"expiry", dupsort=True)

    def __enter__(self) -> "Cache":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.env.close()

    def set(self, key: bytes, value: bytes, seconds: float) -> None:
        try:
            with self.env.begin(write=True) as txn:
                txn.put(key, value, db=self.data)
                txn.put(b"%020d" % int(time.time() + seconds), key, dupdata=True, db=self.expiry)
        except lmdb.MapFullError:
            self.env.set_mapsize(self.env.info()["map_size"] * 2)
            self.set(key, value, seconds)

    def expire(self) -> int:
        gone = 0
        with self.env.begin(write=True) as txn, txn.cursor(self.expiry) as cursor:
            alive = cursor.first()
            while alive and cursor.key() < b"%020d" % int(time.time()):
                gone += txn.delete(cursor.value(), db=self.data)
                alive = cursor.delete()
        return gone


def duplicates(txn: lmdb.Transaction[bytes], db: lmdb._Database, key: bytes) -> list[int]:
    cursor = txn.cursor(db=db)
    if not cursor.set_key(key):
        return []
    return [int.from_bytes(value, "little") for value in cursor.iternext_dup()]


def counts(txn: lmdb.Transaction[bytes], db: lmdb._Database) -> dict[bytes, int]:
    cursor = txn.cursor(db=db)
    return {key: cursor.count() for key in cursor.iternext_nodup(keys=True, values=False)}


def fixed(txn: lmdb.Transaction[bytes], keys: list[bytes]) -> memoryview:
    records: list[tuple[bytes, bytes]] = txn.cursor().getmulti(keys, dupdata=True)
    assert records
    return txn.cursor().getmulti(keys, dupdata=True, dupfixed_bytes=8, keyfixed=True)


class Samples:
    def __init__(self, path: str) -> None:
        self.path = path
        self._env: lmdb.Environment | None = None
        with (
            lmdb.open(path, subdir=False, readonly=True, lock=False, readahead=False) as env,
            env.begin(write=False) as txn,
        ):
            keys = txn.get(b"__keys__")
            assert keys is not None
            self.keys: list[bytes] = pickle.loads(keys)

    @property
    def env(self) -> lmdb.Environment:
        if self._env is None:
            self._env = lmdb.open(self.path, subdir=False, readonly=True, lock=False)
        return self._env

    def __getitem__(self, number: int) -> Any:
        with self.env.begin(write=False) as txn:
            return pickle.loads(txn.get(self.keys[number], b""))


def move(env: lmdb.Environment, source: bytes, target: bytes, amount: int) -> bool:
    with env.begin(write=True) as parent:
        child = env.begin(parent=parent, write=True)
        have = int(child.get(source, b"0"))
        if have < amount:
            child.abort()
            return False
        child.put(source, str(have - amount).encode())
        child.put(target, str(int(child.get(target, default=b"0")) + amount).encode())
        child.commit()
    return True


def back_up(source: str, target: str) -> str:
    env = lmdb.open(source, readonly=True)
    try:
        env.copy(target, compact=True)
        fd = os.open(os.path.join(target, "raw"), os.O_WRONLY | os.O_CREAT)
        env.copyfd(fd)
        stat, info = env.stat(), env.info()
        used = stat["psize"] * (info["last_pgno"] + 1)
        return f"{env.path()} {used} {env.readers()} {env.reader_check()} {env.flags()['sync']}"
    finally:
        env.close()


def load(env: lmdb.Environment, items: Iterable[tuple[bytes, bytes]]) -> int:
    with env.begin(write=True) as txn, txn.cursor() as cursor:
        _, added = cursor.putmulti(items, overwrite=False)
    return added


class Store(Generic[T]):
    def __init__(
        self, env: lmdb.Environment, load: Callable[[bytes], T], dump: Callable[[T], bytes]
    ) -> None:
        self.env, self.load, self.dump = env, load, dump

    def get(self, key: str) -> T | None:
        with self.env.begin() as txn:
            data = txn.get(key.encode("utf-8"))
            return None if data is None else self.load(data)

    def swap(self, key: str, value: T) -> T | None:
        with self.env.begin(write=True) as txn:
            old = txn.replace(key.encode(), self.dump(value))
            return self.load(old) if old else None


class TooLongError(lmdb.Error):
    pass


def put(txn: lmdb.Transaction[bytes], key: bytes, value: bytes) -> bool:
    try:
        return txn.put(key, value)
    except lmdb.BadValsizeError:
        raise TooLongError("the key is too long") from None
    except lmdb.Error as error:
        raise RuntimeError(type(error).__name__, error.code, error.args) from error


def dump(env: lmdb.Environment) -> dict[str, list[tuple[bytes, bytes]]]:
    with env.begin() as txn:
        handles = {key: env.open_db(key, txn, create=False) for key, _ in txn.cursor()}
        return {
            key.decode(): list(txn.cursor(db).iternext(keys=True, values=True))
            for key, db in handles.items()
            if not db.flags()["dupsort"]
        }


@contextlib.contextmanager
def writing(env: lmdb.Environment) -> Generator[lmdb.Transaction[bytes], None, None]:
    txn = env.begin(write=True)
    try:
        yield txn
    except BaseException:
        txn.abort()
        raise
    else:
        txn.commit()


def reading(env: lmdb.Environment) -> AbstractContextManager[lmdb.Transaction[bytes]]:
    return env.begin()


def backward(txn: lmdb.Transaction[bytes], start: bytes) -> Iterator[bytes]:
    cursor = txn.cursor()
    if cursor.set_range(start) or cursor.last():
        yield from cursor.iterprev(values=False)


def clear(env: lmdb.Environment, name: bytes | None = None) -> None:
    db = env.open_db(name)
    with lmdb.Transaction(env, write=True) as txn, lmdb.Cursor(db, txn) as cursor:
        cursor.set_key_dup(b"k", b"v")
        txn.drop(db, delete=False)
        txn.delete(b"k", b"v")
