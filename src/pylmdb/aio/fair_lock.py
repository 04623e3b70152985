# SPDX-License-Identifier: MIT
"""One at a time among the tasks of an event loop, in the order in which they came.

What :class:`asyncio.Lock` does not do: a turn can be given back by a callback, when a thread is
really done with what a cancelled task has left to it; and taking it has a timeout of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from ..errors import LockTimeoutError


class FairLock:
    """A turn that one task has; ``held`` says whether one does."""

    __slots__ = ("_waiting", "locked")

    def __init__(self) -> None:
        self.locked = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self, timeout: float | None = None) -> None:
        """Wait for the turn; cancelling that, and the timeout, leave it to the next."""
        if not self.locked:
            self.locked = True
            return
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append(future)
        timer = None if timeout is None else loop.call_later(timeout, _expire, future)
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release()  # it came in the moment of the cancellation
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def release(self) -> None:
        """Give the turn to the next who still waits."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return
        self.locked = False


def _expire(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(LockTimeoutError("begin: the writer lock was not free in time"))


def resolve(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    """Give a future its end, unless its task was cancelled."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # a coroutine would take it for its own end
        substitute = RuntimeError(f"{type(error).__name__} left the function")
        substitute.__cause__ = error
        future.set_exception(substitute)
    else:
        future.set_exception(error)
