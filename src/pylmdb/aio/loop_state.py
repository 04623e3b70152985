# SPDX-License-Identifier: MIT
"""What an AsyncEnvironment keeps for one event loop: who writes, and what gathers for a commit.

Write transactions of one loop take turns before any of them goes to the lane, so that waiting
costs no thread, the first to come is the first to write, and a task that would wait for itself
is told so.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from .._core_rules.writer_gate import Deadline
from ..errors import BusyError, ClosedError, LockTimeoutError
from ..writer.group_commit import Operation
from .executors import Lane
from .fair_lock import Turn, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..transaction import Transaction
    from ..writer.queue import WriteQueue


class Desk:
    """The writes of one event loop."""

    __slots__ = ("_lane", "gathering", "holder", "pid", "turn")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.turn = Turn()
        # the task that has a write transaction open, until it asks for its end
        self.holder: asyncio.Task[Any] | None = None
        self.gathering: Gathering | None = None
        self._lane: Lane | None = None

    @property
    def lane(self) -> Lane:
        """The thread of the write transactions."""
        if self._lane is None:
            self._lane = Lane()
        return self._lane

    @property
    def own(self) -> bool:
        """Whether the running task has a write transaction open."""
        return self.holder is not None and self.holder is asyncio.current_task()

    def refuse_own(self, what: str) -> None:
        """Raise if the running task would wait for the end of its own write transaction."""
        if self.own:
            raise BusyError(
                f"{what}: this task has a write transaction open and would wait for itself",
                hint="end it first, or write in it",
            )

    async def begin(
        self, begin: Callable[..., Transaction[Any]], timeout: float | None
    ) -> tuple[Transaction[Any], int]:
        """``begin(timeout=)``, in turn and on the lane; the transaction and its number."""
        self.refuse_own("begin")
        beginning = _Beginning(begin, Deadline(timeout))
        await self.turn.take(timeout)
        self.holder = asyncio.current_task()
        try:
            lane = self.lane
        except BaseException:
            self.give()
            raise
        try:
            found: tuple[Transaction[Any], int] = await lane.send(beginning.run)
        except BaseException:
            beginning.given_up = True
            self.holder = None
            lane.send(beginning.undo, self.give)
            raise
        return found

    def give(self) -> None:
        """A write transaction has ended on the lane: it is the next one's turn."""
        self.holder = None
        self.turn.give()


class _Beginning:
    """A write transaction that begins, until it is given up."""

    def __init__(self, begin: Callable[..., Transaction[Any]], deadline: Deadline) -> None:
        self._begin, self._deadline = begin, deadline
        self._txn: Transaction[Any] | None = None
        self.given_up = False

    def run(self) -> tuple[Transaction[Any], int]:
        """On the lane; looks after each slice of the wait whether the task is still there."""
        while True:
            try:
                txn = self._txn = self._begin(timeout=self._deadline.slice())
            except LockTimeoutError:
                if self.given_up or not self._deadline.slice():
                    raise
            else:
                return txn, txn.id()

    def undo(self) -> None:
        """On the lane, after the task was cancelled."""
        if self._txn is not None:
            self._txn.abort()


class Gathering:
    """The writes of one event loop that share commits.

    All that the tasks of one turn of the loop write goes to the queue at once, and what a
    commit settles comes back at once.
    """

    def __init__(self, queue: WriteQueue, limit: int) -> None:
        self.queue, self._limit = queue, limit
        self._open = 0
        self._batch: list[_Awaited] = []
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def busy(self) -> bool:
        """Whether a task waits for a commit."""
        return self._open > 0

    async def write(self, method: str | None, args: tuple[Any, ...]) -> Any:
        """Carry an operation out, and wait for its commit."""
        while self._open >= self._limit:
            await self._wait_for_room()
        self._open += 1
        try:
            loop = asyncio.get_running_loop()
            operation = _Awaited(method, args, loop)
            self._batch.append(operation)
            if len(self._batch) == 1:
                loop.call_soon(self._hand_over)
            return await operation.future
        finally:
            self._open -= 1
            self._wake()

    async def _wait_for_room(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled():
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    def _hand_over(self) -> None:
        batch, self._batch = self._batch, []
        try:
            self.queue.add(batch, bound=False)
        except ClosedError as error:
            for operation in batch:
                operation.fail(error)
            _settle(batch)


class _Awaited(Operation):
    """An operation that a task waits for."""

    __slots__ = ("future", "loop")

    def __init__(
        self, method: str | None, args: tuple[Any, ...], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(method, args)
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def start(self) -> bool:
        return not self.future.cancelled()

    @staticmethod
    def deliver(operations: Sequence[_Awaited]) -> None:
        for loop in {operation.loop for operation in operations}:
            theirs = [operation for operation in operations if operation.loop is loop]
            try:
                loop.call_soon_threadsafe(_settle, theirs)
            except RuntimeError:
                continue  # the loop is closed: nobody waits


def _settle(operations: Sequence[_Awaited]) -> None:
    for operation in operations:
        settle(operation.future, operation.result, operation.error)
