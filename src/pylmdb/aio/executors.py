# SPDX-License-Identifier: MIT
"""Where the operations of a transaction run.

A read of memory that is warm takes less than a microsecond, and going to a thread and back
takes fifty.  So the small operations of a read transaction run in the event loop itself
(:class:`InlineExecutor`), and now and then let the others have it; batches go to threads.

All operations of a write transaction run on one thread, because liblmdb's writer lock belongs to
the thread that took it (:class:`WorkerThread`).  The thread carries calls out in order.  So a
task that is cancelled while its call runs leaves nothing to wait for: whatever ends the
transaction comes after it, on the same thread.
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

# After how many inline operations other tasks get the loop.
YIELD_INTERVAL = 200
# How many records the first piece of an iteration in a thread has, and the bytes and records
# that later ones have at most.
_FIRST_BATCH, _MAX_BATCH_BYTES, _MAX_BATCH = 32, 1 << 20, 1000


class TransactionExecutor:
    """Where operations run."""

    __slots__ = ()

    def can_run_inline(self) -> bool:
        """Whether a small operation can be called right here and now."""
        return False

    async def run_short(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a function that takes microseconds."""
        raise NotImplementedError

    async def run_long(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a function that may take long."""
        raise NotImplementedError

    def run_blocking(self, function: Callable[[], T]) -> T:
        """Call a small function without the event loop's having a say."""
        raise NotImplementedError

    async def iterate(self, make: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
        """The items of the iterator that ``make()`` returns, fetched a piece at a time."""
        iterator = await self.run_short(make)
        count = _FIRST_BATCH
        while True:
            piece = await self.run_long(_take, iterator, count)
            for item in piece:
                yield item
            if len(piece) < count:
                return
            count = _next_count(piece)


class InlineExecutor(TransactionExecutor):
    """The event loop, for a read transaction.

    :param executor: where large operations go.
    :param inline: False for small ones, too.
    """

    __slots__ = ("_inline", "_lock", "_pool", "_until_yield")

    def __init__(self, executor: Executor | None, inline: bool) -> None:
        self._pool = executor
        self._inline = inline
        self._until_yield = YIELD_INTERVAL
        # a thread is at work in this transaction
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
        return await asyncio.shield(call)  # the thread goes on even if nobody waits for it

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
    """A thread that carries out calls in order.  It ends with the object."""

    __slots__ = ("__weakref__", "_calls")

    def __init__(self) -> None:
        self._calls: SimpleQueue[Any] = SimpleQueue()
        # a callback that is C, so that no exception keeps it from ending the thread
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
        """Have a function called; ``after`` then is called in the event loop, also if nobody
        waits for the result any more."""
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
        """The same from any thread, where nobody waits for the result."""
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
    """A call for a worker."""

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
        """In the thread."""
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
                return  # the loop is closed: nobody waits

    def _resolve(self) -> None:
        """In the event loop."""
        if self.on_done is not None:
            self.on_done()
        resolve(self.future, self.result, self.error)


def _run_calls(calls: SimpleQueue[Any], end: weakref.ref[WorkerThread]) -> None:
    while True:
        call = calls.get()
        if call is end:
            return
        call.run()
        del call  # what it holds must not live on while the thread sleeps


def collect(make: Callable[[], Iterator[Any]]) -> list[Any]:
    """All items of the iterator that ``make()`` returns, for a thread.

    An iterator in C keeps the GIL while ``list()`` consumes it.  So they are taken in pieces of
    less than a millisecond, and between two of them the event loop can run.
    """
    iterator, found, count = make(), [], _FIRST_BATCH
    while True:
        piece = _take(iterator, count)
        found += piece
        if len(piece) < count:
            return found
        count = _next_count(piece)
        sleep(0)


def _next_count(piece: list[Any]) -> int:
    """How many records to take after a piece."""
    return max(1, min(_MAX_BATCH, _MAX_BATCH_BYTES // _size(piece[-1])))


def _take(iterator: Iterator[Any], count: int) -> list[Any]:
    return list(islice(iterator, count))


def _size(item: bytes | memoryview | tuple[bytes | memoryview, ...]) -> int:
    """The bytes of a record, about."""
    parts = item if isinstance(item, tuple) else (item,)
    return 1 + sum(map(len, parts))


def _no_operation() -> None:
    """What is called for the wait before it."""
