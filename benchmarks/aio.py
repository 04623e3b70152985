# SPDX-License-Identifier: MIT
"""Coroutines: pylmdb.aio compared with py-lmdb's lmdb.aio, and writers in threads.

In one process, alternately; the best of several rounds of each counts.  A figure is microseconds
per operation; the ratio is how many times as long py-lmdb takes.  A durable put waits for the disk
of the temporary directory, which TMPDIR chooses, so the ratio of durable puts depends on it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import lmdb
import lmdb.aio
from measure import Job, best

import pylmdb
import pylmdb.aio

MAP = 1 << 30
RECORDS, VALUE = 10_000, bytes(100)
TASKS = 100

# what one of the contenders does, for so many operations
Work = Callable[[int], Coroutine[Any, Any, Any]]


class Side:
    """One binding: an environment with records, wrapped."""

    def __init__(self, module: Any, path: Path) -> None:
        self.env = module.open(str(path), map_size=MAP)
        with self.env.begin(write=True) as txn:
            txn.cursor().putmulti((b"%08d" % i, VALUE) for i in range(RECORDS))
        self.aenv = module.aio.wrap(self.env)
        self._number = 0

    def key(self) -> bytes:
        """One that was not written before."""
        self._number += 1
        return b"new%08d" % self._number

    async def gets(self, count: int) -> None:
        async with self.aenv.begin() as txn:
            for number in range(count):
                await txn.get(b"%08d" % (number * 7919 % RECORDS))

    async def gets_of_tasks(self, count: int) -> None:
        async with self.aenv.begin() as txn:

            async def task(first: int) -> None:
                for number in range(first, count, TASKS):
                    await txn.get(b"%08d" % (number * 7919 % RECORDS))

            await asyncio.gather(*map(task, range(TASKS)))

    async def transactions(self, count: int) -> None:
        for number in range(count):
            async with self.aenv.begin() as txn:
                await txn.get(b"%08d" % (number * 7919 % RECORDS))

    async def steps(self, count: int) -> None:
        async with self.aenv.begin() as txn, txn.cursor() as cursor:
            await cursor.first()
            for _ in range(count):
                cursor.item()
                await cursor.next()

    async def lists(self, count: int) -> None:
        for _ in range(count // RECORDS):
            async with self.aenv.begin() as txn, txn.cursor() as cursor:
                await cursor.set_range(b"0")
                await cursor.iternext()

    async def stream(self, count: int) -> None:
        for _ in range(count // RECORDS):
            async with self.aenv.begin() as txn:
                async for _ in txn.range(b"0"):
                    pass

    async def puts_in_a_transaction(self, count: int) -> None:
        async with self.aenv.begin(write=True) as txn:
            for _ in range(count):
                await txn.put(self.key(), VALUE)

    async def put_by_transaction(self) -> None:
        async with self.aenv.begin(write=True) as txn:
            await txn.put(self.key(), VALUE)

    async def puts_by_transaction(self, count: int) -> None:
        async def task() -> None:
            for _ in range(count // TASKS):
                await self.put_by_transaction()

        await asyncio.gather(*(task() for _ in range(TASKS)))

    async def puts_together(self, count: int) -> None:
        async def task() -> None:
            for _ in range(count // TASKS):
                await self.aenv.put(self.key(), VALUE)

        await asyncio.gather(*(task() for _ in range(TASKS)))


def cases(ours: Side, theirs: Side) -> list[tuple[str, float | None, tuple[Work, int, Work, int]]]:
    """Title, least ratio, and of each side what it does and how often."""
    return [
        ("get", 10, (ours.gets, 20_000, theirs.gets, 1_000)),
        ("get, 100 tasks", 10, (ours.gets_of_tasks, 20_000, theirs.gets_of_tasks, 1_000)),
        ("begin, get, end", None, (ours.transactions, 2_000, theirs.transactions, 300)),
        ("cursor.item and next", None, (ours.steps, 9_000, theirs.steps, 1_000)),
        ("await cursor.iternext()", None, (ours.lists, RECORDS, theirs.lists, RECORDS)),
        ("async for / await iternext()", None, (ours.stream, RECORDS, theirs.lists, RECORDS)),
        ("put, in one transaction", None,
         (ours.puts_in_a_transaction, 1_000, theirs.puts_in_a_transaction, 1_000)),
        ("durable put, 100 tasks", 20,
         (ours.puts_together, 2_000, theirs.puts_by_transaction, 100)),
        ("the same by transaction", None,
         (ours.puts_by_transaction, 100, theirs.puts_by_transaction, 100)),
    ]  # fmt: skip


def in_threads(count: int, put: Callable[[], Any]) -> None:
    """The same puts by ten threads."""

    def work() -> None:
        for _ in range(count // 10):
            put()

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def thread_jobs(ours: Side, theirs: Side) -> dict[str, Job]:
    """Durable puts of ten threads: by a writer, and each in a transaction."""
    writer = ours.env.writer()

    def by_transaction() -> None:
        with theirs.env.begin(write=True) as txn:
            txn.put(theirs.key(), VALUE)

    return {
        "ours": Job(500, lambda: in_threads(500, lambda: writer.put(ours.key(), VALUE).result())),
        "theirs": Job(100, lambda: in_threads(100, by_transaction)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--case", help="only those whose title contains this")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    given = parser.parse_args()
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(loop):
        ours, theirs = (Side(m, Path(folder, m.__name__)) for m in (pylmdb, lmdb))
        every: list[tuple[str, float | None, dict[str, Job]]] = []
        for title, least, (mine, count, other, their_count) in cases(ours, theirs):
            jobs = {
                "ours": Job(count, lambda f=mine, n=count: loop.run_until_complete(f(n))),
                "theirs": Job(
                    their_count, lambda f=other, n=their_count: loop.run_until_complete(f(n))
                ),
            }
            every.append((title, least, jobs))
        every.append(("durable put, 10 threads, writer()", None, thread_jobs(ours, theirs)))
        figures = {}
        print(f"{'case':36} {'pylmdb':>10} {'py-lmdb':>10} {'ratio':>8} {'at least':>9}")
        for title, least, jobs in every:
            if given.case and given.case not in title:
                continue
            mine, other = (found / 1000 for found in best(jobs, given.rounds).values())
            figures[title] = {"ours": mine, "theirs": other, "ratio": other / mine}
            wanted = "" if least is None else f"{least:.0f}"
            print(f"{title:36} {mine:10.2f} {other:10.2f} {other / mine:8.1f} {wanted:>9}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
