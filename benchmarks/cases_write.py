# SPDX-License-Identifier: MIT
"""The cases that begin and end transactions, and those that write.

In the loops a method is called as users write it, ``txn.put(key, value)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import data
import numpy
from data import VALUE, Stage
from floor import MDB_NOSYNC, Floor
from measure import Job, Timed
from registry import Cases

CASES = Cases()

# -- transactions ---------------------------------------------------------------------


@CASES.case("begin, get, end", 1.5, Floor("begin_get_end", "hot", data.hot_key, data.transactions))
def begin_get_end(stage: Stage) -> Iterator[Timed]:
    env, count, (wanted,) = stage.hot, stage.sizes.transactions, data.hot_key(stage.sizes)

    def run() -> None:
        for _ in repeat(None, count):
            with env.begin() as txn:
                txn.get(wanted)

    yield Job(count, run)


@CASES.case("begin, abort")
def begin_abort(stage: Stage) -> Iterator[Timed]:
    env, count = stage.hot, stage.sizes.transactions

    def run() -> None:
        for _ in repeat(None, count):
            env.begin().abort()

    yield Job(count, run)


ONE_PUT = Floor("write_transaction", "nosync", data.hot_keys, data.commits, flags=MDB_NOSYNC)


@CASES.case("write transaction of one put, sync=False", 1.02, ONE_PUT)
def write_transaction(stage: Stage) -> Iterator[Timed]:
    env, keys = stage.nosync, data.hot_keys(stage.sizes)[: stage.sizes.commits]

    def run() -> None:
        for each in keys:
            with env.begin(write=True) as txn:
                txn.put(each, VALUE)

    yield Job(len(keys), run)


# -- writes ---------------------------------------------------------------------------


@contextmanager
def dirty(stage: Stage) -> Iterator[tuple[Any, Callable[[], None]]]:
    """A write transaction in which the pages of all hot records have been copied already.

    It is aborted at the end.  Beside it: what puts the records back.
    """
    records = [(each, VALUE) for each in data.hot_keys(stage.sizes)]
    txn = stage.hot.begin(write=True)

    def restore() -> None:
        txn.cursor().putmulti(records)

    try:
        restore()
        yield txn, restore
    finally:
        txn.abort()


@CASES.case("put, hot pages", 1.3, Floor("put", "hot", data.hot_keys, data.loops, flags=MDB_NOSYNC))
def put(stage: Stage) -> Iterator[Timed]:
    keys = data.hot_keys(stage.sizes)
    with dirty(stage) as (txn, _restore):

        def run() -> None:
            for each in keys:
                txn.put(each, VALUE)

        yield Job(len(keys), run, repeat=10)


@CASES.case("replace, hot pages", 1.3)
def replace(stage: Stage) -> Iterator[Timed]:
    keys = data.hot_keys(stage.sizes)
    with dirty(stage) as (txn, _restore):

        def run() -> None:
            for each in keys:
                txn.replace(each, VALUE)

        yield Job(len(keys), run, repeat=10)


@CASES.case("delete, hot pages", 1.3)
def delete(stage: Stage) -> Iterator[Timed]:
    keys = data.hot_keys(stage.sizes)
    with dirty(stage) as (txn, restore):

        def run() -> None:
            for each in keys:
                txn.delete(each)

        yield Job(len(keys), run, after=restore, repeat=10)


@CASES.case("delete_range of half the records", 10)
def delete_range(stage: Stage) -> Iterator[Timed]:
    """The transaction is aborted, so each round finds the same file."""
    yield from delete_between(stage, *data.middle_half(stage.sizes), stage.sizes.many // 2)


@CASES.case("delete_range of 10 records")
def delete_range_ten(stage: Stage) -> Iterator[Timed]:
    start = stage.sizes.many // 2 + 5
    yield from delete_between(stage, data.key(start), data.key(start + 10), 10, repeat=50)


def delete_between(
    stage: Stage, start: bytes, stop: bytes, count: int, repeat: int = 1
) -> Iterator[Timed]:
    begun: list[Any] = []

    def before() -> None:
        begun.append(stage.large.begin(write=True))

    def ours() -> None:
        begun[-1].delete_range(start, stop)

    def theirs() -> None:
        cursor = begun[-1].cursor()
        cursor.set_range(start)
        while cursor.key() < stop:
            cursor.delete()

    def after() -> None:
        begun.pop().abort()

    yield Job(count, ours if stage.ours else theirs, before, after, repeat)


def fill(
    stage: Stage, count: int, write: Callable[[Any], Any], env: Any = None, db: Any = None
) -> Iterator[Timed]:
    """Each round fills an empty database and commits, without a flush; emptying is untimed."""
    env = env or stage.unsynced

    def before() -> None:
        with env.begin(write=True) as txn:
            txn.drop(db or env.open_db(None, txn=txn), delete=False)

    def run() -> None:
        with env.begin(write=True) as txn:
            write(txn)

    yield Job(count, run, before)


def putmulti(
    stage: Stage, keys: list[bytes], append: bool, value: bytes = VALUE
) -> Iterator[Timed]:
    items = [(each, value) for each in keys]
    yield from fill(stage, len(items), lambda txn: txn.cursor().putmulti(items, append=append))


@CASES.case("putmulti, random keys", 1.3)
def putmulti_random(stage: Stage) -> Iterator[Timed]:
    yield from putmulti(stage, data.random_keys(stage.sizes), append=False)


@CASES.case("putmulti, append=True", 1.3)
def putmulti_append(stage: Stage) -> Iterator[Timed]:
    yield from putmulti(stage, data.many_keys(stage.sizes), append=True)


@CASES.case("putmulti, append=True, 16 bytes", 2.0)
def putmulti_append_small(stage: Stage) -> Iterator[Timed]:
    yield from putmulti(stage, data.many_keys(stage.sizes), append=True, value=VALUE[:16])


@CASES.case("putmulti, append=True, 1,000 values a key", 2.0)
def putmulti_append_values(stage: Stage) -> Iterator[Timed]:
    count, env = len(data.many_keys(stage.sizes)), stage.values
    items = [(b"%08d" % (i // 1000), b"%08d" % i) for i in range(count)]
    db = env.open_db(b"values", dupsort=True, dupfixed=True)
    yield from fill(stage, count, lambda txn: txn.cursor(db).putmulti(items, append=True), env, db)


@CASES.case("put_arrays, sorted keys", 1.3)
def put_arrays(stage: Stage) -> Iterator[Timed]:
    """Beside putmulti(append=True) of the same records."""
    keys = data.many_keys(stage.sizes)
    if not stage.ours:
        yield from putmulti(stage, keys, append=True)
        return
    names = numpy.array(keys)
    rows = numpy.frombuffer(VALUE * len(keys), "u1").reshape(len(keys), len(VALUE))
    yield from fill(stage, len(keys), lambda txn: txn.put_arrays(names, rows))
