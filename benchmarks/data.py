# SPDX-License-Identifier: MIT
"""The data that cases work on: one stage per binding, each with files of its own."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

VALUE = b"v" * 96
MAP_SIZE = 2**28


@dataclass(frozen=True)
class Sizes:
    """How many records there are, and how many operations a round has."""

    hot: int = 1_000
    many: int = 200_000
    batch: int = 50_000
    dup_keys: int = 1_000
    dups: int = 64
    big: int = 64
    big_bytes: int = 100_000
    loops: int = 20_000
    transactions: int = 5_000
    commits: int = 1_000
    opens: int = 50


QUICK = Sizes(many=20_000, batch=5_000, dup_keys=100, loops=5_000, transactions=1_000, commits=200)


def key(i: int) -> bytes:
    return b"%016d" % i


def hot_key(sizes: Sizes) -> list[bytes]:
    return [key(sizes.hot // 2)]


def missing_key(sizes: Sizes) -> list[bytes]:
    """A key between two hot ones, of their width."""
    return [key(sizes.hot // 2)[:-1] + b"x"]


def hot_keys(sizes: Sizes) -> list[bytes]:
    return [key(i) for i in range(sizes.hot)]


def hot_keys_shuffled(sizes: Sizes) -> list[bytes]:
    return [key(i) for i in random.Random(1).sample(range(sizes.hot), sizes.hot)]


def spread_keys(sizes: Sizes) -> list[bytes]:
    """All keys of the large file, in random order."""
    return [key(i) for i in random.Random(2).sample(range(sizes.many), sizes.many)]


def random_keys(sizes: Sizes) -> list[bytes]:
    return [key(i) for i in random.Random(3).sample(range(sizes.many), sizes.batch)]


def sorted_keys(sizes: Sizes) -> list[bytes]:
    """The keys of ``random_keys`` in order, as objects whose addresses have the same order."""
    return [key(i) for i in sorted(random.Random(3).sample(range(sizes.many), sizes.batch))]


def many_keys(sizes: Sizes) -> list[bytes]:
    return [key(i) for i in range(sizes.many)]


def middle_half(sizes: Sizes) -> tuple[bytes, bytes]:
    """The bounds of a range of half the records of the large file."""
    return key(sizes.many // 4), key(sizes.many // 4 + sizes.many // 2)


def dup_keys(sizes: Sizes) -> list[bytes]:
    return [key(i) for i in range(sizes.dup_keys)]


def loops(sizes: Sizes) -> int:
    return sizes.loops


def many(sizes: Sizes) -> int:
    return sizes.many


def batch(sizes: Sizes) -> int:
    return sizes.batch


def transactions(sizes: Sizes) -> int:
    return sizes.transactions


def commits(sizes: Sizes) -> int:
    return sizes.commits


def dup_records(sizes: Sizes) -> int:
    return sizes.dup_keys * sizes.dups


class Stage:
    """One binding with its files; each is made when a case first asks for it.

    Both bindings write the same records in the same order, and so the same pages.
    """

    def __init__(self, binding: ModuleType, folder: Path, sizes: Sizes, ours: bool) -> None:
        self.binding, self.folder, self.sizes, self.ours = binding, folder, sizes, ours
        self._closing = ExitStack()
        folder.mkdir()

    def close(self) -> None:
        self._closing.close()

    def open(self, name: str, **options: Any) -> Any:
        env = self.binding.open(str(self.folder / name), map_size=MAP_SIZE, **options)
        self._closing.callback(env.close)
        return env

    def _filled(self, name: str, records: Iterable[tuple[bytes, bytes]], **options: Any) -> Any:
        env = self.open(name, **options)
        with env.begin(write=True) as txn, txn.cursor() as cursor:
            cursor.putmulti(records, append=True)
        return env

    @cached_property
    def hot(self) -> Any:
        return self._filled("hot", [(key(i), VALUE) for i in range(self.sizes.hot)])

    @cached_property
    def nosync(self) -> Any:
        """A folder that has just changed costs pylmdb another look-up in each write transaction, as
        `design.md` says.  That lasts 0.1 seconds, which is over when this returns.
        """
        records = [(key(i), VALUE) for i in range(self.sizes.hot)]
        env = self._filled("nosync", records, sync=False)
        time.sleep(0.2)
        return env

    @cached_property
    def large(self) -> Any:
        return self._filled("large", [(key(i), VALUE) for i in range(self.sizes.many)])

    @cached_property
    def big(self) -> Any:
        """Values of 100 KB, all of them read once."""
        value = b"v" * self.sizes.big_bytes
        env = self._filled("big", [(key(i), value) for i in range(self.sizes.big)])
        with env.begin() as txn:
            for _key, _value in txn.cursor():
                pass
        return env

    @cached_property
    def unsynced(self) -> Any:
        return self._filled("unsynced", [], sync=False)

    @cached_property
    def values(self) -> Any:
        """A file for one database of keys with many values."""
        return self.open("values", max_dbs=1, sync=False)

    @cached_property
    def named(self) -> Any:
        """A file with the databases ``plain``, ``dupsort`` and ``dupfixed``."""
        env, sizes = self.open("named", max_dbs=4), self.sizes
        plain = env.open_db(b"plain")
        dupsort = env.open_db(b"dupsort", dupsort=True)
        dupfixed = env.open_db(b"dupfixed", dupsort=True, dupfixed=True)
        with env.begin(write=True) as txn:
            txn.cursor(plain).putmulti([(key(i), VALUE) for i in range(sizes.hot)])
            for db, width in ((dupsort, 16), (dupfixed, 8)):
                pairs = [
                    (k, b"%0*d" % (width, j)) for k in dup_keys(sizes) for j in range(sizes.dups)
                ]
                txn.cursor(db).putmulti(pairs)
        return env

    def copy_of(self, name: str) -> Path:
        """A folder with a copy of a file: a process must not open the same one twice."""
        target = self.folder / f"{name}-copy"
        if not target.exists():
            env = getattr(self, name)
            target.mkdir()
            env.copy(str(target))
        return target
