# SPDX-License-Identifier: MIT
"""The cases of scale.py: operations while there are n of something.

A group makes the n things once for a binding, and yields its operations: a job for each title, in
the order in which they are measured.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from time import thread_time
from types import ModuleType
from typing import Any

from measure import Job, nothing

import pylmdb

VALUE, MAP_SIZE = b"v" * 100, 1 << 36
# How many operations a round has.
LOOPS, WRITES, OPENS = 1000, 50, 5
Jobs = dict[str, Job]
Make = Callable[[ModuleType, Path, int], Iterator[Jobs]]


@dataclass(frozen=True)
class Group:
    """The operations beside n things.

    :param things: what there are n of.
    :param quick: the counts for a rough idea.
    """

    make: Make
    things: str
    counts: tuple[int, ...]
    quick: tuple[int, ...]


GROUPS: list[Group] = []


def group(things: str, counts: tuple[int, ...], quick: tuple[int, ...]) -> Callable[[Make], Make]:
    def note(make: Make) -> Make:
        GROUPS.append(Group(make, things, counts, quick))
        return make

    return note


def job(
    operations: int,
    run: Callable[[], Any],
    before: Callable[[], Any] = nothing,
    after: Callable[[], Any] = nothing,
) -> Job:
    """A job in processor time of its thread, which other programs of the machine disturb less."""
    return Job(operations, run, before, after, clock=thread_time)


def opening(run: Callable[[], Any]) -> Job:
    return job(OPENS, lambda: [run() for _ in repeat(None, OPENS)])


def key(number: int) -> bytes:
    return b"%016d" % number


# -- records ---------------------------------------------------------------------------


class Records:
    """A file with the even keys below 2 * count, in full pages, and jobs on it."""

    def __init__(self, module: ModuleType, path: Path, count: int) -> None:
        self.module, self.path, self.count, self.pick = module, path, count, random.Random(1)
        self.added = 0
        self.options = {"map_size": MAP_SIZE, "sync": False}
        self.env = module.open(str(path), **self.options)
        for start in range(0, count, 100_000):
            part = range(start, min(count, start + 100_000))
            with self.env.begin(write=True) as txn:
                txn.cursor().putmulti([(key(2 * i), VALUE) for i in part], append=True)

    def choose(self) -> None:
        """Choose the keys of the next round."""
        self.keys = [key(2 * self.pick.randrange(self.count)) for _ in range(5000)]
        self.new = [(key(2 * self.pick.randrange(self.count) + 1), VALUE) for _ in range(5000)]
        first = 2 * self.count + self.added
        self.last = [(key(i), VALUE) for i in range(first, first + 5000)]
        self.added += 5000

    def get(self) -> None:
        with self.env.begin() as txn:
            for each in self.keys:
                txn.get(each)

    def get_many(self) -> None:
        with self.env.begin() as txn:
            if self.module is pylmdb:
                txn.get_many(self.keys)
            else:
                txn.cursor().getmulti(self.keys)

    def scan(self) -> None:
        with self.env.begin() as txn:
            for _key, _value in txn.cursor():
                pass

    def put(self) -> None:
        for start in range(0, 5000, 1000):
            with self.env.begin(write=True) as txn:
                txn.cursor().putmulti(self.new[start : start + 1000])

    def append(self) -> None:
        for start in range(0, 5000, 1000):
            with self.env.begin(write=True) as txn:
                txn.cursor().putmulti(self.last[start : start + 1000], append=True)

    def reopen(self) -> None:
        self.env.close()
        self.env = self.module.open(str(self.path), **self.options)


@group("records", (10_000, 100_000, 1_000_000, 10_000_000), (1_000, 10_000))
def records(module: ModuleType, path: Path, count: int) -> Iterator[Jobs]:
    """The writes are last: they change the file."""
    file = Records(module, path, count)
    yield {
        "scan, a record": job(count, file.scan),
        "get, in random order": job(5000, file.get, file.choose),
        "get_many (py-lmdb: getmulti)": job(5000, file.get_many, file.choose),
        "open and close": opening(file.reopen),
        "append, batches of 1,000": job(5000, file.append, file.choose),
        "put in random order, batches of 1,000": job(5000, file.put, file.choose),
    }
    file.env.close()


# -- transactions ----------------------------------------------------------------------


def begin_and_end(env: Any) -> None:
    for _ in repeat(None, LOOPS):
        env.begin().abort()


def begin_get_end(env: Any) -> None:
    for _ in repeat(None, LOOPS):
        with env.begin() as txn:
            txn.get(b"k")


def write(env: Any) -> None:
    for _ in repeat(None, WRITES):
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v")


def transactions(env: Any) -> Jobs:
    return {
        "begin, abort": job(LOOPS, partial(begin_and_end, env)),
        "begin, get, end": job(LOOPS, partial(begin_get_end, env)),
        "write transaction": job(WRITES, partial(write, env)),
    }


@group("live readers", (1, 100, 1000, 5000), (1, 100))
def readers(module: ModuleType, path: Path, count: int) -> Iterator[Jobs]:
    env = module.open(str(path), sync=False, max_readers=6000)
    write(env)
    live = [env.begin() for _ in range(count)]
    several: list[Any] = []

    def ten() -> None:
        several.extend(env.begin() for _ in repeat(None, 10))

    def end_ten() -> None:
        while several:
            several.pop().abort()

    yield {**transactions(env), "begin ten more": job(10, ten, after=end_ten)}
    for each in live:
        each.abort()
    env.close()


def hold_views(env: Any, stack: ExitStack, count: int, each_its_own: bool) -> list[Any]:
    """So many views of one transaction, or of one each, which has ended."""
    if not each_its_own:
        txn = stack.enter_context(env.begin(buffers=True))
        return [txn.get(b"k") for _ in range(count)]
    views = []
    for _ in range(count):
        with env.begin(buffers=True) as txn:
            views.append(txn.get(b"k"))
    return views


def views_of(each_its_own: bool, module: ModuleType, path: Path, count: int) -> Iterator[Jobs]:
    env = module.open(str(path), sync=False, max_readers=12_000)
    write(env)
    with ExitStack() as stack:
        views = hold_views(env, stack, count, each_its_own)
        jobs = transactions(env)
        if each_its_own:
            del jobs["write transaction"]
        yield jobs
        views.clear()
    env.close()


@group("views of one transaction", (1, 100, 10_000), (1, 100))
def views(module: ModuleType, path: Path, count: int) -> Iterator[Jobs]:
    yield from views_of(False, module, path, count)


@group("views of as many ended transactions", (1, 100, 10_000), (1, 100))
def pinned(module: ModuleType, path: Path, count: int) -> Iterator[Jobs]:
    """py-lmdb's views are not valid any more, and keep nothing; so writes are not compared: they
    cannot use the pages of snapshots that are kept."""
    yield from views_of(True, module, path, count)


# -- databases, files ------------------------------------------------------------------


@group("named databases", (10, 1000, 10_000), (10, 100))
def databases(module: ModuleType, path: Path, count: int) -> Iterator[Jobs]:
    names = [b"db%05d" % number for number in range(count)]
    options = {"map_size": MAP_SIZE, "sync": False, "max_dbs": count + 1010}
    env = module.open(str(path), **options)
    new = iter(range(100))

    def open_all() -> None:
        for name in names:
            env.open_db(name)

    def reopen() -> None:
        nonlocal env
        env.close()
        env = module.open(str(path), **options)

    def create() -> None:
        with env.begin(write=True) as txn:
            first = next(new) * 10
            for number in range(first, first + 10):
                env.open_db(b"new%05d" % number, txn=txn)

    with env.begin(write=True) as txn:
        for name in names:
            env.open_db(name, txn=txn)
    yield {
        "open and close the environment": opening(reopen),
        "open_db, for the first time": job(count, open_all, reopen),
        "open_db again": job(count, open_all),
        "begin, abort": job(LOOPS, lambda: begin_and_end(env)),
        "begin, get, end": job(LOOPS, lambda: begin_get_end(env)),
        "write transaction": job(WRITES, lambda: write(env)),
        "create a database": job(10, create),
    }
    env.close()


@group("open descriptors", (10, 1000, 10_000), (10, 100))
def descriptors(module: ModuleType, path: Path, count: int) -> Iterator[Jobs]:
    """Each binding's group opens half of them."""
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(count // 2)]
    yield {"open and close": opening(lambda: module.open(str(path)).close())}
    for file in files:
        os.close(file)


@group("open environments", (10, 100, 1000), (10, 100))
def environments(module: ModuleType, path: Path, count: int) -> Iterator[Jobs]:
    path.mkdir()
    envs = [module.open(str(path / str(number)), subdir=False) for number in range(count)]
    one = str(path / "one")
    yield {"open and close": opening(lambda: module.open(one, subdir=False).close())}
    for env in envs:
        env.close()


# -- free pages ------------------------------------------------------------------------


def scatter(path: Path, count: int) -> None:
    """A file with about as many free pages, five beside each other, freed by 20 transactions.

    The values are reserved and not written, so a copy with holes needs little memory.
    """
    values = range(0, count // 5 * 2, 2)
    with pylmdb.open(str(path), subdir=False, writemap=True, sync=False) as env:
        with env.begin(write=True) as txn:
            for number in values:
                for each, size in ((number, 5 * 4096 - 100), (number + 1, 2500)):
                    with txn.reserve(key(each), size):
                        pass
        freed = random.Random(1).sample(values, len(values))
        for part in range(20):
            with env.begin(write=True) as txn:
                for number in freed[part::20]:
                    txn.delete(key(number))


def copy_with_holes(path: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", str(path), str(target)], check=True)


@group("free pages", (1_000, 10_000, 100_000, 1_000_000), (1_000, 10_000))
def free_pages(module: ModuleType, path: Path, count: int) -> Iterator[Jobs]:
    prepared = path.with_name("prepared")
    if not prepared.exists():
        scatter(prepared.with_name("full"), count)
        copy_with_holes(prepared.with_name("full"), prepared)
        prepared.with_name("full").unlink()
    copy_with_holes(prepared, path)
    options = {"map_size": MAP_SIZE, "sync": False, "subdir": False}
    env = module.open(str(path), **options)
    assert env.info()["last_pgno"] > count
    numbers = iter(range(1_000_000))

    def reopen() -> None:
        nonlocal env
        env.close()
        env = module.open(str(path), **options)

    def put(size: int) -> None:
        with env.begin(write=True) as txn:
            txn.put(b"new%d" % next(numbers), bytes(size))

    def puts(size: int, count: int) -> Job:
        return job(count, lambda: [put(size) for _ in repeat(None, count)])

    yield {
        "the first write transaction": job(1, lambda: put(10), reopen),
        "write transaction": puts(10, 5),
        "put 16 KB, where free pages suffice": puts(16_000, 5),
        "put 100 KB, where they do not": puts(100_000, 1),
    }
    env.close()
