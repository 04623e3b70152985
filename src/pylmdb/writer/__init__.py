# SPDX-License-Identifier: MIT
"""Writer: durable writes from many threads, which share commits.

>>> with env.writer() as writer:
...     future = writer.put(b"key", b"value")   # from any thread
...     future.result()                         # on disk when this returns
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future
from operator import index
from typing import TYPE_CHECKING, Any, TypeVar

from .._base.buffers import freeze_bytes
from .._core_rules.writer_gate import Deadline
from ..errors import ForkedError, ReadonlyError
from .group_commit import Operation
from .queue import WriteQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from typing_extensions import Self

    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction
    from ..types import BytesLike

__all__ = ["WriteFuture", "Writer"]

T = TypeVar("T")


class WriteFuture(Future[T]):
    """The fate of one write: a :class:`concurrent.futures.Future`.

    Its result is there once the write is committed.  ``cancel()`` takes the write back if it
    has not begun.  Where waiting could never end it raises instead.
    """

    def __init__(self, queue: WriteQueue) -> None:
        super().__init__()
        self._queue = queue
        self._settled = False

    def result(self, timeout: float | None = None) -> T:
        """Wait for the commit and return what the operation returned; or raise what it raised.

        :param timeout: how many seconds to wait; for ever by default.
        :raises concurrent.futures.TimeoutError: they are over.
        :raises BusyError: this thread has a write transaction open, so the commit could
            never come.
        :raises ForkedError: in a forked child: the parent has it.
        """
        self._refuse_endless_wait(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait as :meth:`result` does, and return the exception, or None."""
        self._refuse_endless_wait(timeout)
        return super().exception(timeout)

    def _refuse_endless_wait(self, timeout: float | None) -> None:
        if self._settled:
            return
        if self._queue.forked:
            raise ForkedError("this write belongs to the parent process, which knows its fate")
        if timeout is None and not self.done():
            self._queue.refuse_self_wait()

    def settle(self, result: T, error: BaseException | None) -> None:
        """Give it its end."""
        if error is None:
            self.set_result(result)
        else:
            self.set_exception(error)
        self._settled = True


class _FutureWrite(Operation):
    """An operation that somebody holds a future of."""

    __slots__ = ("future",)

    def __init__(self, method: str | None, args: tuple[Any, ...], queue: WriteQueue) -> None:
        super().__init__(method, args)
        self.future: WriteFuture[Any] = WriteFuture(queue)

    def start(self) -> bool:
        return self.future.set_running_or_notify_cancel()

    @staticmethod
    def deliver(operations: Sequence[_FutureWrite]) -> None:
        for operation in operations:
            try:
                operation.future.settle(operation.result, operation.error)
            except SystemExit:  # out of a callback: as from a thread, it ends nothing else
                continue
            except BaseException:  # nor does anything else
                seen = *sys.exc_info(), threading.current_thread()
                threading.excepthook(threading.ExceptHookArgs(seen))


class Writer:
    """Writes of many threads to one environment, made by :meth:`Environment.writer`.

    What the threads put in is carried out by a thread of the writer, in the order in which it
    was put in, and committed together; a future tells each when its own write is on disk.  An
    operation that fails is left out of the commit, and only its own future says so.

    As a context manager it closes itself at the end of the block.  What waits when the
    program ends is still written.  A forked child needs a writer of its own.

    :param env: the :class:`Environment`.
    :param db: the database that is meant where an operation names none.
    :param max_pending: how many operations may wait for the next commit.
    :param sync: False to leave the commits' flush to the system (see ``open``).
    :param metasync: False to leave the flush of their meta page to the system.
    :raises ReadonlyError: the environment was opened with ``readonly=True``.
    """

    def __init__(
        self,
        env: Environment,
        *,
        db: Database | None = None,
        max_pending: int = 4096,
        sync: bool | None = None,
        metasync: bool | None = None,
    ) -> None:
        max_pending = index(max_pending)
        if max_pending < 1:
            raise ValueError(f"max_pending must be at least 1, not {max_pending}")
        env._use()
        if env.readonly:
            raise ReadonlyError("writer: the environment is read-only")
        self._queue = WriteQueue(self, env, db, max_pending, sync, metasync)
        self._queue.start()

    # -- operations --------------------------------------------------------------

    def put(
        self,
        key: BytesLike,
        value: BytesLike,
        db: Database | None = None,
        *,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
        timeout: float | None = None,
    ) -> WriteFuture[bool]:
        """Store a record; the future's result is that of :meth:`Transaction.put`.

        Key and value are taken as they are now, so a buffer can be used again at once.

        :param db: the database; the writer's by default.
        :param dupdata: False to write nothing when the pair exists already.
        :param overwrite: False to write nothing when the key exists already.
        :param append: True to write at the end of the database.
        :param timeout: how many seconds to wait for room in the queue.
        :raises LockTimeoutError: there was none.
        :raises ClosedError: the writer or the environment is closed.

        ``mdb_put``.
        """
        args = (
            freeze_bytes("key", key),
            freeze_bytes("value", value),
            dupdata,
            overwrite,
            append,
            db,
        )
        return self._add("put", args, timeout)

    def delete(
        self,
        key: BytesLike,
        value: BytesLike | None = None,
        db: Database | None = None,
        *,
        timeout: float | None = None,
    ) -> WriteFuture[bool]:
        """Delete ``key``, or one of its duplicates; see :meth:`Transaction.delete`.

        :param value: the duplicate to delete; None or an empty value for all.
        :param db: the database; the writer's by default.
        :param timeout: how many seconds to wait for room in the queue.

        ``mdb_del``.
        """
        value = None if value is None else freeze_bytes("value", value)
        return self._add("delete", (freeze_bytes("key", key), value, db), timeout)

    def call(
        self, function: Callable[[Transaction[Any]], T], *, timeout: float | None = None
    ) -> WriteFuture[T]:
        """Call ``function(txn)`` in the writer's thread; the future's result is what it returns.

        All that it writes is committed, or nothing if it raises.  The transaction ends with
        the call, and with it cursors and iterators.  Where another operation of the same
        commit makes that impossible (a full map), the function may be called again; what the
        earlier call wrote is undone.

        :param timeout: how many seconds to wait for room in the queue.
        """
        if not callable(function):
            raise TypeError(f"function must be callable, not {type(function).__name__}")
        return self._add(None, (function,), timeout)

    def _add(
        self, method: str | None, args: tuple[Any, ...], timeout: float | None
    ) -> WriteFuture[Any]:
        operation = _FutureWrite(method, args, self._queue)
        self._queue.add((operation,), timeout)
        return operation.future

    # -- life --------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True once the writer or its environment is closed."""
        return self._queue.closed

    @property
    def pending(self) -> int:
        """How many operations were put in and are not committed yet."""
        return self._queue.pending

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all that was put in before is committed, or has failed.

        It raises no error of theirs: their futures do.

        :param timeout: how many seconds to wait; for ever by default.
        :raises LockTimeoutError: they are over.
        :raises BusyError: this thread has a write transaction open, so that the commit could
            never come; or it is called from a function or callback of this writer.
        """
        if self._queue.forked:
            self._queue.check()
        self._queue.flush(Deadline(timeout))

    def close(self) -> None:
        """Accept nothing more, commit what waits, and end the thread; repeatable.

        In a forked child it does nothing.

        :raises BusyError: this thread has a write transaction open, so that the commit could
            never come.  The writer is closed all the same, and what waits is written later.
        """
        self._queue.finish()
        if not self._queue.forked and self._queue.pending:
            self._queue.refuse_self_wait()
        self._queue.join()

    def __enter__(self) -> Self:
        self._queue.check()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        queue = getattr(self, "_queue", None)
        if queue is not None:
            queue.finish()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a writer cannot be pickled or copied; call env.writer() there")

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self.pending} pending"
        return f"<pylmdb.writer.Writer of {self._queue.env!r}, {state}>"
