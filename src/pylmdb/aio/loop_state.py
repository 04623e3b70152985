# SPDX-License-Identifier: MIT
"""The state that an AsyncEnvironment keeps for one event loop.

Write transactions of one loop wait for a fair lock of the loop before they go to the worker
thread.  So waiting costs no thread, the order is first come, first served, and a task that would
wait for itself gets an error.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from .._core_rules import writer_gate
from .._core_rules.writer_gate import Deadline
from ..errors import BusyError, ClosedError, LockTimeoutError
from ..writer.group_commit import Operation
from .executors import WorkerThread
from .fair_lock import FairLock, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._shared.options import Options
    from ..environment import Environment
    from ..transaction import Transaction
    from ..writer.queue import WriteQueue


class LoopState:
    """The write lock, the worker thread and the shared commits of one event loop."""

    __slots__ = ("_worker", "batcher", "pid", "write_lock", "writing_task")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.write_lock = FairLock()
        # the task that has a write transaction open, until it commits or aborts
        self.writing_task: asyncio.Task[Any] | None = None
        self.batcher: CommitBatcher | None = None
        self._worker: WorkerThread | None = None

    @property
    def worker(self) -> WorkerThread:
        """The thread that runs write transactions; started at the first use."""
        if self._worker is None:
            self._worker = WorkerThread()
        return self._worker

    @property
    def task_is_writing(self) -> bool:
        """True if the running task has a write transaction open."""
        return self.writing_task is not None and self.writing_task is asyncio.current_task()

    def refuse_self_wait(self, what: str) -> None:
        """Raise if the running task would wait for the end of its own write transaction."""
        if self.task_is_writing:
            raise BusyError(
                f"{what}: this task has a write transaction open and would wait for itself",
                hint="end it first, or write in it",
            )

    async def begin(
        self, env: Environment, begin: Callable[..., Transaction[Any]], timeout: float | None
    ) -> tuple[Transaction[Any], int]:
        """Wait for the write lock, and call ``begin(timeout=)`` in the worker thread.

        :return: the transaction and its ID.
        """
        self.refuse_self_wait("begin")
        pending = _PendingBegin(env, begin, timeout)
        await self._wait(pending)
        self.writing_task = asyncio.current_task()
        try:
            worker = self.worker
        except BaseException:
            self.release()
            raise
        try:
            found: tuple[Transaction[Any], int] = await worker.submit(pending.run)
        except BaseException:
            pending.cancelled = True
            self.writing_task = None
            worker.submit(pending.undo, self.release)
            raise
        return found

    async def _wait(self, pending: _PendingBegin) -> None:
        """Wait for the write lock of the loop."""
        if not self.write_lock.locked:
            await self.write_lock.acquire()
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(writer_gate.LONG_WAIT, pending.log_wait_for_task)
        try:
            await self.write_lock.acquire(pending.timeout, pending.expired_for_task)
        finally:
            timer.cancel()

    def release(self) -> None:
        """Release the write lock after a write transaction has ended in the worker thread."""
        self.writing_task = None
        self.write_lock.release()


class _PendingBegin(Deadline):
    """A write transaction that is being begun, which ends when it is cancelled."""

    __slots__ = ("_begin", "_env", "_txn", "cancelled")

    def __init__(
        self, env: Environment, begin: Callable[..., Transaction[Any]], timeout: float | None
    ) -> None:
        super().__init__(timeout)
        self._env, self._begin = env, begin
        self._txn: Transaction[Any] | None = None
        self.cancelled = False

    def run(self) -> tuple[Transaction[Any], int]:
        """Begin.  Runs in the worker thread, and calls check() at short intervals."""
        txn = self._txn = self._begin(timeout=self)
        return txn, txn.id()

    def check(self, options: Options, holder: str) -> None:
        """Raise LockTimeoutError after the deadline, and also when it was cancelled."""
        if self.cancelled:
            raise LockTimeoutError("begin: cancelled")
        super().check(options, holder)

    def log_wait_for_task(self) -> None:
        """Log that another task of the loop has the write lock for long."""
        self.log_wait(self._env, writer_gate.TASK)

    def expired_for_task(self) -> Exception:
        """The exception if another task of the loop has the write lock at the deadline."""
        return self.expired(self._env._options, writer_gate.TASK)

    def undo(self) -> None:
        """Abort the transaction, if it was begun.  Runs in the worker thread."""
        if self._txn is not None:
            self._txn.abort()


class CommitBatcher:
    """Collects the writes of one event loop, so that they share commits.

    The writes of all tasks in one iteration of the loop go to the queue in one call.  The results
    of one commit come back to the loop in one call.
    """

    def __init__(self, queue: WriteQueue, max_pending: int) -> None:
        self.queue, self._max_pending = queue, max_pending
        self._pending = 0
        self._batch: list[PendingWrite] = []
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def busy(self) -> bool:
        """True if a task waits for a commit."""
        return self._pending > 0

    async def write(self, method: str | None, args: tuple[Any, ...]) -> Any:
        """Add an operation to the next commit, wait for that, and return the result."""
        while self._pending >= self._max_pending:
            await self._wait_for_room()
        self._pending += 1
        try:
            loop = asyncio.get_running_loop()
            operation = PendingWrite(method, args, loop)
            self._batch.append(operation)
            if len(self._batch) == 1:
                loop.call_soon(self._send_batch)
            return await operation.future
        finally:
            self._pending -= 1
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

    def _send_batch(self) -> None:
        batch, self._batch = self._batch, []
        try:
            self.queue.add(batch, bound=False)
        except ClosedError as error:
            for operation in batch:
                operation.fail(error)
            _resolve(batch)


class PendingWrite(Operation):
    """An operation whose commit a task waits for."""

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
    def deliver(operations: Sequence[PendingWrite]) -> None:
        for loop in {operation.loop for operation in operations}:
            of_loop = [operation for operation in operations if operation.loop is loop]
            try:
                loop.call_soon_threadsafe(_resolve, of_loop)
            except RuntimeError:
                continue  # the loop is closed, so no task waits


def _resolve(operations: Sequence[PendingWrite]) -> None:
    for operation in operations:
        resolve(operation.future, operation.result, operation.error)
