# SPDX-License-Identifier: MIT
"""The stores that stores.py compares: how each is configured and used.

All are on the same disk, and have memory for all the data.  ``write`` returns when its records are
durable, and ``load`` when all are.  Each uses the quickest calls that its documentation has for
this.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from typing import Any, Protocol

Record = tuple[bytes, bytes]
MEMORY = 1 << 29


class MissingError(Exception):
    """A store is not installed."""


def imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as failure:
        raise MissingError(f"{failure}; the extra [stores] installs it") from None


def counted(items: Iterable[Any], limit: int) -> int:
    """Go through the first ones, and return their number.  Each is unpacked, as in a loop that uses
    both keys and values."""
    count = 0
    for _key, _value in islice(items, limit):
        count += 1
    return count


class Store(Protocol):
    """One store, opened in a folder that does not exist yet."""

    def __init__(self, path: str) -> None: ...

    def load(self, records: Sequence[Record]) -> None: ...

    def write(self, records: Sequence[Record]) -> None: ...

    def get(self, keys: Sequence[bytes]) -> list[bytes]:
        """The values, found one by one."""

    def get_many(self, keys: Sequence[bytes]) -> Sequence[object]: ...

    def scan(self, limit: int) -> int: ...

    def close(self) -> None: ...


class Lmdb:
    """A memory map of 4 GiB, all other options as they are by default.

    Gets and scans are in one read transaction, each write in a transaction of its own.
    """

    def __init__(self, path: str) -> None:
        self.env = self.module().open(path, map_size=4 << 30)

    @staticmethod
    def module() -> Any:
        return imported("lmdb")

    def load(self, records: Sequence[Record]) -> None:
        with self.env.begin(write=True) as txn:
            txn.cursor().putmulti(records, append=True)

    def write(self, records: Sequence[Record]) -> None:
        with self.env.begin(write=True) as txn:
            txn.cursor().putmulti(records)

    def get(self, keys: Sequence[bytes]) -> list[bytes]:
        with self.env.begin() as txn:
            return [txn.get(key) for key in keys]

    def get_many(self, keys: Sequence[bytes]) -> Sequence[object]:
        with self.env.begin() as txn:
            return txn.cursor().getmulti(keys)

    def scan(self, limit: int) -> int:
        with self.env.begin() as txn:
            return counted(txn.cursor(), limit)

    def close(self) -> None:
        self.env.close()


class Zlmdb(Lmdb):
    """The low level of zlmdb: py-lmdb's cffi variant, which it contains."""

    @staticmethod
    def module() -> Any:
        return imported("zlmdb").lmdb


class Pylmdb(Lmdb):
    @staticmethod
    def module() -> Any:
        return imported("pylmdb")

    def get_many(self, keys: Sequence[bytes]) -> Sequence[object]:
        with self.env.begin() as txn:
            return txn.get_many(keys)


class Sqlite:
    """A table WITHOUT ROWID in WAL mode, synchronous=FULL, a cache and a memory map of 512 MiB.

    Gets are in one transaction, each write in a transaction of its own.
    """

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        for pragma in (
            "journal_mode=WAL", "synchronous=FULL", f"cache_size=-{MEMORY >> 10}",
            f"mmap_size={MEMORY}",
        ):  # fmt: skip
            self.db.execute(f"PRAGMA {pragma}")
        self.db.execute("CREATE TABLE t (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID")

    def load(self, records: Sequence[Record]) -> None:
        self.write(records)

    def write(self, records: Sequence[Record]) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT OR REPLACE INTO t VALUES (?, ?)", records)
        self.db.execute("COMMIT")

    def get(self, keys: Sequence[bytes]) -> list[bytes]:
        execute, query = self.db.execute, "SELECT v FROM t WHERE k = ?"
        self.db.execute("BEGIN")
        values = [execute(query, (key,)).fetchone()[0] for key in keys]
        self.db.execute("COMMIT")
        return values

    def get_many(self, keys: Sequence[bytes]) -> Sequence[object]:
        marks = ",".join(repeat("?", len(keys)))
        found = dict(self.db.execute(f"SELECT k, v FROM t WHERE k IN ({marks})", keys))
        return [found[key] for key in keys]

    def scan(self, limit: int) -> int:
        return counted(self.db.execute("SELECT k, v FROM t ORDER BY k"), limit)

    def close(self) -> None:
        self.db.close()


class RocksDb:
    """rocksdict with keys and values as bytes, a block cache of 512 MiB, Bloom filters of 10 bits.

    The load writes an SST file and ingests it; writes are a batch with sync=True.
    """

    def __init__(self, path: str) -> None:
        self.module = module = imported("rocksdict")
        self.options = module.Options(raw_mode=True)
        self.options.create_if_missing(True)
        blocks = module.BlockBasedOptions()
        blocks.set_block_cache(module.Cache(MEMORY))
        blocks.set_bloom_filter(10, False)
        self.options.set_block_based_table_factory(blocks)
        self.path, self.db = path, module.Rdict(path, self.options)
        self.durable = module.WriteOptions()
        self.durable.sync = True

    def load(self, records: Sequence[Record]) -> None:
        writer = self.module.SstFileWriter(self.options)
        writer.open(self.path + ".sst")
        for key, value in records:
            writer[key] = value
        writer.finish()
        self.db.ingest_external_file([self.path + ".sst"])

    def write(self, records: Sequence[Record]) -> None:
        batch = self.module.WriteBatch(raw_mode=True)
        for key, value in records:
            batch.put(key, value)
        self.db.write(batch, self.durable)

    def get(self, keys: Sequence[bytes]) -> list[bytes]:
        get = self.db.get
        return [get(key) for key in keys]

    def get_many(self, keys: Sequence[bytes]) -> Sequence[object]:
        values: list[object] = self.db.get(list(keys))
        return values

    def scan(self, limit: int) -> int:
        return counted(self.db.items(), limit)

    def close(self) -> None:
        self.db.close()


class LevelDb:
    """plyvel with a block cache of 512 MiB, Bloom filters of 10 bits and a write buffer of 64 MiB.

    It has no call for several keys, so they are got one by one.  The load writes batches of 10,000,
    and only the last with sync=True.
    """

    def __init__(self, path: str) -> None:
        self.db = imported("plyvel").DB(
            path, create_if_missing=True, lru_cache_size=MEMORY, bloom_filter_bits=10,
            write_buffer_size=64 << 20,
        )  # fmt: skip

    def _write(self, records: Sequence[Record], sync: bool) -> None:
        with self.db.write_batch(sync=sync) as batch:
            for key, value in records:
                batch.put(key, value)

    def load(self, records: Sequence[Record]) -> None:
        for start in range(0, len(records), 10_000):
            self._write(records[start : start + 10_000], start + 10_000 >= len(records))

    def write(self, records: Sequence[Record]) -> None:
        self._write(records, True)

    def get(self, keys: Sequence[bytes]) -> list[bytes]:
        get = self.db.get
        return [get(key) for key in keys]

    get_many = get

    def scan(self, limit: int) -> int:
        return counted(self.db, limit)

    def close(self) -> None:
        self.db.close()


class DiskCache:
    """diskcache without eviction, values in its SQLite file, synchronous=FULL.

    It has no calls for several keys or for pairs, so there is one call for each key.
    """

    def __init__(self, path: str) -> None:
        self.cache = imported("diskcache").Cache(
            path, eviction_policy="none", size_limit=1 << 40, cull_limit=0, statistics=0,
            disk_min_file_size=1 << 20, sqlite_synchronous=2, sqlite_mmap_size=MEMORY,
            sqlite_cache_size=MEMORY >> 12,
        )  # fmt: skip

    def load(self, records: Sequence[Record]) -> None:
        self.write(records)

    def write(self, records: Sequence[Record]) -> None:
        with self.cache.transact():
            for key, value in records:
                self.cache.set(key, value)

    def get(self, keys: Sequence[bytes]) -> list[bytes]:
        get = self.cache.get
        return [get(key) for key in keys]

    get_many = get

    def scan(self, limit: int) -> int:
        cache = self.cache
        return counted(((key, cache[key]) for key in cache.iterkeys()), limit)

    def close(self) -> None:
        self.cache.close()


KINDS: dict[str, type[Store]] = {
    "pylmdb": Pylmdb,
    "py-lmdb": Lmdb,
    "zlmdb": Zlmdb,
    "sqlite3": Sqlite,
    "rocksdict": RocksDb,
    "plyvel": LevelDb,
    "diskcache": DiskCache,
}
