# SPDX-License-Identifier: MIT
"""Where the operations of a transaction run.

A read of memory that is warm takes less than a microsecond, and going to a thread and back
takes fifty.  So the small operations of a read transaction run in the event loop itself
(:class:`Inline`), and now and then let the others have it; batches go to threads.

All operations of a write transaction run on one thread, because liblmdb's writer lock belongs to
the thread that took it (:class:`Lane`).  A lane carries calls out in order.  So a task that is
cancelled while its call runs leaves nothing to wait for: whatever ends the transaction comes
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

from .fair_lock import Turn, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Executor
    from typing import TypeVar

    T = TypeVar("T")

# After how many inline operations other tasks get the loop.
PACE = 200
# How many records the first piece of an iteration in a thread has, and the bytes and records
# that later ones have at most.
_FIRST, _MOST_BYTES, _MOST = 32, 1 << 20, 1000


class Place:
    """Where operations run."""

    __slots__ = ()

    def ready(self) -> bool:
        """Whether a small operation can be called right here and now."""
        return False

    async def small(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a function that takes microseconds."""
        raise NotImplementedError

    async def large(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a function that may take long."""
        raise NotImplementedError

    def now(self, function: Callable[[], T]) -> T:
        """Call a small function without the event loop's having a say."""
        raise NotImplementedError

    async def walk(self, make: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
        """The items of the iterator that ``make()`` returns, fetched a piece at a time."""
        iterator = await self.small(make)
        count = _FIRST
        while True:
            piece = await self.large(_take, iterator, count)
            for item in piece:
                yield item
            if len(piece) < count:
                return
            count = _next_count(piece)


class Inline(Place):
    """The event loop, for a read transaction.

    :param executor: where large operations go.
    :param inline: False for small ones, too.
    """

    __slots__ = ("_executor", "_inline", "_left", "_turn")

    def __init__(self, executor: Executor | None, inline: bool) -> None:
        self._executor = executor
        self._inline = inline
        self._left = PACE
        # a thread is at work in this transaction
        self._turn = Turn()

    def ready(self) -> bool:
        self._left -= 1
        return self._left > 0 and self._inline and not self._turn.held

    async def small(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        if not self._inline:
            return await self.large(function, *args, **kwargs)
        if self._left <= 0:
            self._left = PACE
            await asyncio.sleep(0)
        await self._turn.take()
        try:
            return function(*args, **kwargs)
        finally:
            self._turn.give()

    async def large(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        await self._turn.take()
        try:
            loop = asyncio.get_running_loop()
            call = loop.run_in_executor(self._executor, partial(function, *args, **kwargs))
        except BaseException:
            self._turn.give()
            raise
        call.add_done_callback(lambda _: self._turn.give())
        return await asyncio.shield(call)  # the thread goes on even if nobody waits for it

    def now(self, function: Callable[[], T]) -> T:
        return function()

    async def walk(self, make: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
        if not self._inline:
            async for item in super().walk(make):
                yield item
            return
        for item in await self.small(make):
            yield item
            if not self.ready():
                await self.small(_nothing)


class Lane(Place):
    """A thread that carries out calls in order.  It ends with the object."""

    __slots__ = ("__weakref__", "_calls")

    def __init__(self) -> None:
        self._calls: SimpleQueue[Any] = SimpleQueue()
        # a callback that is C, so that no exception keeps it from ending the thread
        end = weakref.ref(self, self._calls.put)
        threading.Thread(
            target=_work, args=(self._calls, end), name="pylmdb transactions", daemon=True
        ).start()

    async def small(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        return await self.send(partial(function, *args, **kwargs))

    large = small

    def send(
        self, function: Callable[[], T], after: Callable[[], None] | None = None
    ) -> asyncio.Future[T]:
        """Have a function called; ``after`` then is called in the event loop, also if nobody
        waits for the result any more."""
        loop = asyncio.get_running_loop()
        call = _Call(function, loop, after)
        self._calls.put(call)
        return call.future

    def leave(
        self,
        function: Callable[[], Any],
        loop: asyncio.AbstractEventLoop,
        after: Callable[[], None] | None,
    ) -> None:
        """The same from any thread, where nobody waits for the result."""
        self._calls.put(_Call(function, loop, after))

    def now(self, function: Callable[[], T]) -> T:
        call = _Call(function, None, None)
        call.done = threading.Event()
        self._calls.put(call)
        call.done.wait()
        if call.error is not None:
            raise call.error
        result: T = call.result
        return result


class _Call:
    """A call for a lane."""

    __slots__ = ("after", "done", "error", "function", "future", "loop", "result")

    def __init__(
        self,
        function: Callable[[], Any],
        loop: asyncio.AbstractEventLoop | None,
        after: Callable[[], None] | None,
    ) -> None:
        self.function = function
        self.loop, self.after = loop, after
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
                self.loop.call_soon_threadsafe(self._settle)
            except RuntimeError:
                return  # the loop is closed: nobody waits

    def _settle(self) -> None:
        """In the event loop."""
        if self.after is not None:
            self.after()
        settle(self.future, self.result, self.error)


def _work(calls: SimpleQueue[Any], end: weakref.ref[Lane]) -> None:
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
    iterator, found, count = make(), [], _FIRST
    while True:
        piece = _take(iterator, count)
        found += piece
        if len(piece) < count:
            return found
        count = _next_count(piece)
        sleep(0)


def _next_count(piece: list[Any]) -> int:
    """How many records to take after a piece."""
    return max(1, min(_MOST, _MOST_BYTES // _size(piece[-1])))


def _take(iterator: Iterator[Any], count: int) -> list[Any]:
    return list(islice(iterator, count))


def _size(item: bytes | memoryview | tuple[bytes | memoryview, ...]) -> int:
    """The bytes of a record, about."""
    parts = item if isinstance(item, tuple) else (item,)
    return 1 + sum(map(len, parts))


def _nothing() -> None:
    """What is called for the wait before it."""
