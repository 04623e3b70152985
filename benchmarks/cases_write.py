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


@CASES.case("write transaction of one put, sync=False", 1.1, ONE_PUT)
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


def putmulti(stage: Stage, keys: list[bytes], append: bool) -> Iterator[Timed]:
    """Each round fills an empty file in a transaction that is aborted, untimed."""
    env, items = stage.empty, [(each, VALUE) for each in keys]
    current: list[Any] = []

    def before() -> None:
        current.append(env.begin(write=True))

    def run() -> None:
        current[0].cursor().putmulti(items, append=append)

    yield Job(len(items), run, before, after=lambda: current.pop().abort())


@CASES.case("putmulti, random keys", 1.3)
def putmulti_random(stage: Stage) -> Iterator[Timed]:
    yield from putmulti(stage, data.random_keys(stage.sizes), append=False)


@CASES.case("putmulti, append=True", 1.3)
def putmulti_append(stage: Stage) -> Iterator[Timed]:
    yield from putmulti(stage, data.sorted_keys(stage.sizes), append=True)
