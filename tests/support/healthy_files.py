# SPDX-License-Identifier: MIT
"""Write healthy files by random programs, with pylmdb or with py-lmdb; a seed decides what they
do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from open_options import at_random, deepest, of_a_new_file, of_an_open

import pylmdb

KINDS: dict[bytes, dict[str, bool]] = {
    b"plain": {},
    b"large": {},
    b"reverse": {"reverse_key": True},
    b"numbers": {"integerkey": True},
    b"dups": {"dupsort": True},
    b"reverse dups": {"dupsort": True, "reverse_key": True},
    b"numbered dups": {"dupsort": True, "integerkey": True},
    b"fixed": {"dupsort": True, "dupfixed": True},
    b"bytes": {"dupsort": True, "dupfixed": True},
    b"integers": {"dupsort": True, "dupfixed": True, "integerdup": True},
    b"halves": {"dupsort": True, "dupfixed": True, "integerdup": True},
}
WIDTHS = {b"fixed": 11, b"bytes": 1}
LARGEST = 40_000


class Program:
    """Writes to an environment; each step is a transaction that is committed or aborted.

    :param binding: pylmdb or lmdb.
    :param options: of ``open``; for pylmdb, those that are not given are drawn.
    """

    def __init__(self, binding: Any, path: Path, seed: int, **options: Any) -> None:
        self.rng = Random(seed)
        self.spread = self.rng.choice([5, 60, 3000])
        names = self.rng.sample(sorted(KINDS), self.rng.randrange(1, len(KINDS)))
        names += [b"many%d" % i for i in range(self.rng.choice([0, 0, 3, 60]))]
        if binding is pylmdb:
            version = options.get("lib_version", self.rng.randrange(2))
            new_file = of_a_new_file(at_random(self.rng), version)
            options = {**of_an_open(at_random(self.rng), new_file), **options}
        self.deepest = deepest(options)
        # when py-lmdb has aborted a drop in a nested transaction, it frees pages twice, or cannot
        # commit
        self.drops_nested = binding is pylmdb
        self.env = binding.open(str(path), **{"max_dbs": 128, "sync": False, **options})
        self.longest = self.env.max_key_size()
        self.names: list[bytes | None] = [*names, None]

    def steps(self, count: int) -> Iterator[None]:
        """Yield after each transaction that has ended."""
        for _ in range(count):
            self.transaction(None, 1)
            yield

    def transaction(self, parent: Any, depth: int) -> None:
        txn = self.env.begin(write=True, parent=parent)
        for _ in range(self.rng.choice([1, 1, 3, 6])):
            self.act(txn, depth)
        if self.rng.random() < 0.15:
            txn.abort()
        else:
            txn.commit()

    def act(self, txn: Any, depth: int) -> None:
        rng, name = self.rng, self.rng.choice(self.names)
        db = self.database(txn, name)
        kind = rng.random()
        if kind < 0.08 and depth < self.deepest:
            self.transaction(txn, depth + 1)
        elif kind < 0.11 and db is not None and (depth == 1 or self.drops_nested):
            txn.drop(db, delete=rng.random() < 0.4)
        elif kind < 0.2:
            self.clear(txn, name, db)
        elif kind < 0.5:
            for _ in range(rng.choice([1, 20, 300])):
                txn.delete(self.key(name), db=db)
        else:
            dups = KINDS.get(name or b"", {}).get("dupsort")
            for _ in range(rng.choice([1, 30, 600])):
                key = self.key(name)
                for _ in range(rng.choice([1, 4, 60]) if dups else rng.choice([1, 1, 2])):
                    txn.put(key, self.value(name), db=db)

    def database(self, txn: Any, name: bytes | None) -> Any:
        if name is None:
            return None
        return self.env.open_db(name, txn=txn, **KINDS.get(name, {}))

    def clear(self, txn: Any, name: bytes | None, db: Any) -> None:
        """Delete a range by cursor, some values of a key, or every other record."""
        rng = self.rng
        if name is None:
            return
        cursor = txn.cursor(db)
        key = self.key(name)
        for _ in range(rng.choice([3, 50, 2000])):
            if not cursor.set_range(key):
                break
            if rng.random() < 0.3 and not cursor.next():
                break
            key = bytes(cursor.key())
            cursor.delete(rng.random() < 0.3)

    def key(self, name: bytes | None) -> bytes:
        number = self.rng.randrange(self.spread)
        if name in (b"numbers", b"numbered dups"):
            return struct.pack("=Q", number)
        if name is None:
            return b"main%d" % number
        key = b"%05d" % number + b"k" * (number * 7919 % self.rng.choice([1, 40, 480]))
        return key[: self.longest]

    def value(self, name: bytes | None) -> bytes:
        rng = self.rng
        if name == b"integers":
            return struct.pack("=Q", rng.choice([rng.randrange(99), rng.getrandbits(64)]))
        if name == b"halves":
            return struct.pack("=I", rng.choice([rng.randrange(99), rng.getrandbits(32)]))
        if name in WIDTHS:
            return rng.randbytes(WIDTHS[name])
        if name is not None and KINDS.get(name, {}).get("dupsort"):
            return rng.randbytes(rng.choice([1, 7, 40, rng.randrange(1, min(self.longest, 511))]))
        largest = LARGEST if name == b"large" else 2600
        return rng.randbytes(rng.choice([0, 10, 100, rng.randrange(largest)]))


def check(env: Any, path: Path) -> None:
    """Assert that the file is healthy, and that the check counts as liblmdb does."""
    report = pylmdb.verify(path)
    assert report.ok, str(report)
    assert not report.changed
    assert report.pages == report.used + report.free + report.leaked
    with env.begin() as txn:
        for found in report.databases:
            db = None if found.name is None else env.open_db(found.name, txn=txn, create=False)
            stat = txn.stat(env.open_db(None) if db is None else db)
            assert found.entries == found.readable == stat["entries"]
            assert found.depth == stat["depth"]
            assert not found.damaged
            assert not found.lost
            pages = stat["branch_pages"], stat["leaf_pages"], stat["overflow_pages"]
            # where liblmdb does not count all pages, and counts some that are gone
            if not KINDS.get(found.name or b"", {}).get("dupsort"):
                assert pages == (found.branch_pages, found.leaf_pages, found.large_pages)


def make_empty(path: Path, lib_version: int, page_size: int) -> None:
    """Make a new file with pages of this size, which liblmdb accepts."""
    header = 24 if lib_version else 16
    data = bytearray(2 * page_size)
    nothing = struct.pack("=4QQ", 0, 0, 0, 0, 2**64 - 1)
    for page in range(2):
        start = page * page_size
        struct.pack_into("=Q", data, start, page)
        struct.pack_into("=H", data, start + header - 6, 8)
        meta = struct.pack("=IIQQ", 0xBEEFC0DE, 3 if lib_version else 1, 0, 1 << 20)
        meta += struct.pack("=IHH", page_size, 8, 0) + nothing
        meta += struct.pack("=IHH", 0, 0, 0) + nothing
        meta += struct.pack("=QQ", 1, 0)
        data[start + header : start + header + len(meta)] = meta
    path.mkdir()
    (path / "data.mdb").write_bytes(data)
