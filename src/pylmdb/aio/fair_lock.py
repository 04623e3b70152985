# SPDX-License-Identifier: MIT
"""A lock for the tasks of an event loop, granted in the order of the requests.

It differs from :class:`asyncio.Lock` in two ways.  A callback can release it, which is needed
when a thread is still running the call of a cancelled task.  And ``acquire()`` has a timeout.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class FairLock:
    """A first-come, first-served lock; ``locked`` is True while a task has it."""

    __slots__ = ("_waiting", "locked")

    def __init__(self) -> None:
        self.locked = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(
        self, timeout: float | None = None, expired: Callable[[], Exception] = TimeoutError
    ) -> None:
        """Wait for the lock.

        If the task is cancelled or the timeout is over, the next task in line gets the lock.

        :param timeout: seconds; None for no limit.
        :param expired: makes the exception that is raised when the timeout is over.
        """
        if not self.locked:
            self.locked = True
            return
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append(future)
        timer = None if timeout is None else loop.call_later(timeout, _expire, future, expired)
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release()  # the lock was granted just before the cancellation
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def release(self) -> None:
        """Pass the lock to the next task that still waits."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return
        self.locked = False


def _expire(future: asyncio.Future[None], expired: Callable[[], Exception]) -> None:
    if not future.done():
        future.set_exception(expired())


def resolve(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    """Set the result or the exception of a future, unless its task was cancelled."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # a coroutine cannot raise StopIteration
        substitute = RuntimeError(
            "the function raised StopIteration, which a coroutine cannot raise"
        )
        substitute.__cause__ = error
        future.set_exception(substitute)
    else:
        future.set_exception(error)
