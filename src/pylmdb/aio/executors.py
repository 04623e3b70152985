# SPDX-License-Identifier: MIT
"""Executors: they run the operations of a transaction, in the event loop or in a thread.

A read of a page that is in memory takes less than a microsecond; a call in another thread takes
fifty.  So :class:`InlineExecutor` runs the short operations of a read transaction in the event
loop, and yields to other tasks at intervals.  Batches run in threads.

All operations of a write transaction run on one thread, because liblmdb's writer lock belongs to
the thread that took it (:class:`WorkerThread`).  The thread runs calls in order.  So a task that
is cancelled while its call runs need not be waited for: the call that ends the transaction runs
after it, on the same thread.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from functools import partial
from itertools import islice
from queue import SimpleQueue
from time import sleep
from typing import TYPE_CHECKING, Any

from .fair_lock import FairLock, resolve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Executor
    from typing import TypeVar

    T = TypeVar("T")

# Number of inline operations after which other tasks get the event loop.
YIELD_INTERVAL = 200
# Iteration in a thread: the number of records in the first batch, and the most bytes and records
# in each later one.
_FIRST_BATCH, _MAX_BATCH_BYTES, _MAX_BATCH = 32, 1 << 20, 1000


class TransactionExecutor:
    """Runs the operations of transactions."""

    __slots__ = ()

    def can_run_inline(self) -> bool:
        """Return True if a short operation can be called now, in the event loop."""
        return False

    async def run_short(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a function that takes microseconds, and return its result."""
        raise NotImplementedError

    async def run_long(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a function that may take long, and return its result."""
        raise NotImplementedError

    def run_blocking(self, function: Callable[[], T]) -> T:
        """Call a short function and block the event loop until it returns."""
        raise NotImplementedError

    async def iterate(self, make: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
        """Yield the items of the iterator that ``make()`` returns; they are fetched in batches."""
        iterator = await self.run_short(make)
        count = _FIRST_BATCH
        while True:
            batch = await self.run_long(_take, iterator, count)
            for item in batch:
                yield item
            if len(batch) < count:
                return
            count = _next_count(batch)


class InlineExecutor(TransactionExecutor):
    """Runs the short operations of a read transaction in the event loop.

    :param executor: runs the long operations; None for the default executor of the loop.
    :param inline: False to run the short operations in ``executor``, too.
    """

    __slots__ = ("_inline", "_lock", "_pool", "_until_yield")

    def __init__(self, executor: Executor | None, inline: bool) -> None:
        self._pool = executor
        self._inline = inline
        self._until_yield = YIELD_INTERVAL
        # locked while an operation of the transaction runs, possibly in a thread
        self._lock = FairLock()

    def can_run_inline(self) -> bool:
        self._until_yield -= 1
        return self._until_yield > 0 and self._inline and not self._lock.locked

    async def run_short(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        if not self._inline:
            return await self.run_long(function, *args, **kwargs)
        if self._until_yield <= 0:
            self._until_yield = YIELD_INTERVAL
            await asyncio.sleep(0)
        await self._lock.acquire()
        try:
            return function(*args, **kwargs)
        finally:
            self._lock.release()

    async def run_long(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        await self._lock.acquire()
        try:
            loop = asyncio.get_running_loop()
            call = loop.run_in_executor(self._pool, partial(function, *args, **kwargs))
        except BaseException:
            self._lock.release()
            raise
        call.add_done_callback(lambda _: self._lock.release())
        return await asyncio.shield(call)  # the thread goes on even if the task is cancelled

    def run_blocking(self, function: Callable[[], T]) -> T:
        return function()

    async def iterate(self, make: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
        if not self._inline:
            async for item in super().iterate(make):
                yield item
            return
        for item in await self.run_short(make):
            yield item
            if not self.can_run_inline():
                await self.run_short(_no_operation)


class WorkerThread(TransactionExecutor):
    """A thread that runs calls in order.  The thread ends when the object is destroyed."""

    __slots__ = ("__weakref__", "_calls")

    def __init__(self) -> None:
        self._calls: SimpleQueue[Any] = SimpleQueue()
        # The callback is a C function, so no exception can keep it from ending the thread.
        end = weakref.ref(self, self._calls.put)
        threading.Thread(
            target=_run_calls, args=(self._calls, end), name="pylmdb transactions", daemon=True
        ).start()

    async def run_short(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        return await self.submit(partial(function, *args, **kwargs))

    run_long = run_short

    def submit(
        self, function: Callable[[], T], on_done: Callable[[], None] | None = None
    ) -> asyncio.Future[T]:
        """Call a function in the thread and return a future of its result.

        ``on_done`` is called in the event loop afterwards, even if the task that waits for the
        result was cancelled.
        """
        loop = asyncio.get_running_loop()
        call = _WorkItem(function, loop, on_done)
        self._calls.put(call)
        return call.future

    def submit_detached(
        self,
        function: Callable[[], Any],
        loop: asyncio.AbstractEventLoop,
        on_done: Callable[[], None] | None,
    ) -> None:
        """Call a function in the thread.  May be called from any thread; no result is kept."""
        self._calls.put(_WorkItem(function, loop, on_done))

    def run_blocking(self, function: Callable[[], T]) -> T:
        call = _WorkItem(function, None, None)
        call.done = threading.Event()
        self._calls.put(call)
        call.done.wait()
        if call.error is not None:
            raise call.error
        result: T = call.result
        return result


class _WorkItem:
    """A call that a :class:`WorkerThread` is to run."""

    __slots__ = ("done", "error", "function", "future", "loop", "on_done", "result")

    def __init__(
        self,
        function: Callable[[], Any],
        loop: asyncio.AbstractEventLoop | None,
        on_done: Callable[[], None] | None,
    ) -> None:
        self.function = function
        self.loop, self.on_done = loop, on_done
        if loop is not None:
            self.future: asyncio.Future[Any] = loop.create_future()
        self.done: threading.Event | None = None
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Run the call.  Called in the worker thread."""
        try:
            self.result = self.function()
        except BaseException as error:
            self.error = error
        del self.function
        if self.done is not None:
            self.done.set()
        if self.loop is not None:
            try:
                self.loop.call_soon_threadsafe(self._resolve)
            except RuntimeError:
                return  # the loop is closed, so no task waits

    def _resolve(self) -> None:
        """Pass the outcome to the future.  Called in the event loop."""
        if self.on_done is not None:
            self.on_done()
        resolve(self.future, self.result, self.error)


def _run_calls(calls: SimpleQueue[Any], end: weakref.ref[WorkerThread]) -> None:
    while True:
        call = calls.get()
        if call is end:
            return
        call.run()
        del call  # what the call refers to must not stay alive while the thread waits


def collect(make: Callable[[], Iterator[Any]]) -> list[Any]:
    """Return all items of the iterator that ``make()`` returns.  Called in a thread.

    An iterator in C keeps the GIL while ``list()`` consumes it.  So items are taken in batches
    that take less than a millisecond, and the event loop can run between two batches.
    """
    iterator, found, count = make(), [], _FIRST_BATCH
    while True:
        batch = _take(iterator, count)
        found += batch
        if len(batch) < count:
            return found
        count = _next_count(batch)
        sleep(0)


def _next_count(batch: list[Any]) -> int:
    """Return the size of the next batch, in records."""
    return max(1, min(_MAX_BATCH, _MAX_BATCH_BYTES // _size(batch[-1])))


def _take(iterator: Iterator[Any], count: int) -> list[Any]:
    return list(islice(iterator, count))


def _size(item: bytes | memoryview | tuple[bytes | memoryview, ...]) -> int:
    """Return about how many bytes a record has."""
    parts = item if isinstance(item, tuple) else (item,)
    return 1 + sum(map(len, parts))


def _no_operation() -> None:
    """Do nothing; awaiting this lets other tasks run."""
