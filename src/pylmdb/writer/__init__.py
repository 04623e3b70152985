# SPDX-License-Identifier: MIT
"""Writer: durable writes of many threads that share commits.

>>> env = pylmdb.open("example")
>>> with env.writer() as writer:
...     future = writer.put(b"key", b"value")   # from any thread
...     future.result()                         # on disk when this returns
True
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from .._base.buffers import freeze_bytes
from .._base.integers import integer
from .._base.keywords import explains_keywords
from .._base.public_names import directory
from .._base.threads import report_exception
from .._core_rules.refusals import refusal
from .._core_rules.writer_gate import Deadline
from ..errors import ForkedError
from .group_commit import Operation, put_operation
from .queue import WriteQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import EllipsisType
    from typing import NoReturn

    from typing_extensions import Self

    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction
    from ..types import BytesLike

__all__ = ["WriteFuture", "Writer"]
__dir__ = directory(__all__)

T = TypeVar("T")


class WriteFuture(Future[T]):
    """The outcome of one write: a :class:`concurrent.futures.Future`.

    It has a result when the write is committed.  ``cancel()`` removes the write from the queue
    if its commit has not begun.  A wait that could never end raises an error instead.

    >>> env = pylmdb.open("example")
    >>> with env.writer() as writer:
    ...     future = writer.put(b"key", b"value")
    >>> future.done(), future.result()
    (True, True)
    """

    def __init__(self, queue: WriteQueue) -> None:
        super().__init__()
        self._queue = queue
        self._settled = False

    def result(self, timeout: float | None = None) -> T:
        """Wait for the commit, and return what the operation returned or raise what it raised.

        :param timeout: how many seconds to wait; None for no limit.
        :raises concurrent.futures.TimeoutError: the timeout is over.
        :raises concurrent.futures.CancelledError: the write was cancelled.
        :raises BusyError: this thread has a write transaction open, and the commit would wait
            for its end.
        :raises ForkedError: this is a forked child; only the parent process gets the result.
        """
        self._refuse_endless_wait(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait as :meth:`result` does, and return the exception of the write, or None.

        :param timeout: how many seconds to wait; None for no limit.
        """
        self._refuse_endless_wait(timeout)
        return super().exception(timeout)

    def _refuse_endless_wait(self, timeout: float | None) -> None:
        if self._settled:
            return
        if self._queue.forked:
            raise ForkedError("this write belongs to the parent process; only that gets the result")
        if timeout is None and not self.done():
            self._queue.refuse_self_wait()

    def settle(self, result: T, error: BaseException | None) -> None:
        """Set the ``result``, or ``error`` as the exception."""
        if error is None:
            self.set_result(result)
        else:
            self.set_exception(error)
        self._settled = True


class _FutureWrite(Operation):
    """An operation with a :class:`WriteFuture`."""

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
            except SystemExit:  # raised by a callback; as in a thread, it is ignored
                continue
            except BaseException:  # raised by a callback
                report_exception()


class Writer:
    """Collects the writes of many threads and commits them together.
    :meth:`Environment.writer` makes it.

    A thread of the writer runs the operations in the order in which they were added, and
    commits them together.  The future of an operation has a result when the operation is on
    disk.  An operation that fails is left out of the commit, and its future gets the error.

    As a context manager it is closed at the end of the block.  Operations that are waiting
    when the program ends are still written.  A forked child needs a writer of its own.

    >>> env = pylmdb.open("example")
    >>> writer = env.writer()          # the examples of the methods continue here
    >>> writer.put(b"key", b"value").result()
    True

    :param env: the :class:`Environment`.
    :param db: the default database of the operations; the main one if None.
    :param max_pending: how many operations may wait for the next commit.
    :param sync: False to let the operating system flush the commits later (see ``open``).
    :param metasync: False to let the operating system flush their meta pages later.
    :raises ReadonlyError: the environment was opened with ``readonly=True``.
    :raises ValueError: ``max_pending`` is less than 1.
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
        max_pending = integer("max_pending", max_pending)
        if max_pending < 1:
            raise ValueError(f"max_pending must be at least 1, not {max_pending}")
        env._use()
        if env.readonly:
            raise refusal("environment is read-only", "writer")
        self._queue = WriteQueue(self, env, db, max_pending, sync, metasync)
        self._queue.start()

    # -- operations --------------------------------------------------------------

    @explains_keywords
    def put(
        self,
        key: BytesLike,
        value: BytesLike,
        db: Database | None = None,
        *,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
        if_value: BytesLike | EllipsisType | None = ...,
        timeout: float | None = None,
    ) -> WriteFuture[bool]:
        """Store a record; the result of the future is that of :meth:`Transaction.put`.

        Key and value are copied, so a buffer can be reused when this returns.

        >>> future = writer.put(b"key", b"other", if_value=b"value")
        >>> future.result()                                    # waits until it is on disk
        True

        :param db: the database; by default that of the writer.
        :param dupdata: False to write nothing if the pair of key and value exists.
        :param overwrite: False to write nothing if the key exists.
        :param append: True to write at the end of the database.
        :param if_value: as for :meth:`Transaction.put`; compared with the value that the key has
            when the write is made.
        :param timeout: how many seconds to wait for room in the queue; None for no limit.
        :raises LockTimeoutError: the queue was full for ``timeout`` seconds.
        :raises ClosedError: the writer or the environment is closed.
        :raises ForkedError: the writer belongs to the parent process.

        ``mdb_put``.
        """
        method, args = put_operation(key, value, dupdata, overwrite, append, db, if_value)
        return self._add(method, args, timeout)

    @explains_keywords
    def delete(
        self,
        key: BytesLike,
        value: BytesLike | None = None,
        db: Database | None = None,
        *,
        timeout: float | None = None,
    ) -> WriteFuture[bool]:
        """Delete ``key``, or one of its duplicates; see :meth:`Transaction.delete`.

        It raises the errors of :meth:`put`.

        >>> writer.delete(b"key").result()
        True

        :param value: the duplicate to delete; None or an empty value for all.
        :param db: the database; by default that of the writer.
        :param timeout: how many seconds to wait for room in the queue; None for no limit.

        ``mdb_del``.
        """
        value = None if value is None else freeze_bytes("value", value)
        return self._add("delete", (freeze_bytes("key", key), value, db), timeout)

    def call(
        self, function: Callable[[Transaction[bytes]], T], *, timeout: float | None = None
    ) -> WriteFuture[T]:
        """Call ``function(txn)`` in the writer's thread; the future's result is what it returns.

        If the function raises, none of its changes are committed.  The transaction ends with
        the call, and so do its cursors and iterators.  Another operation of the same commit
        can make the transaction unusable, for example if the map is full.  Then the changes
        of this function are undone, and it may be called again.

        It raises the errors of :meth:`put`.

        >>> def rename(txn):
        ...     return txn.put(b"new", txn.pop(b"key"))
        >>> writer.call(rename).result()
        True

        :param timeout: how many seconds to wait for room in the queue; None for no limit.
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

    # -- closing ---------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True once the writer or its environment is closed."""
        return self._queue.closed

    @property
    def pending(self) -> int:
        """How many operations were added and have no outcome yet."""
        return self._queue.pending

    @explains_keywords
    def flush(self, timeout: float | None = None) -> None:
        """Wait until all operations that were added before are committed, or have failed.

        Errors of the operations are raised by their futures only.

        :param timeout: how many seconds to wait; None for no limit.
        :raises LockTimeoutError: the timeout is over.
        :raises BusyError: this thread has a write transaction open, and the commit would wait
            for its end; or a function or callback of this writer calls this.
        """
        if self._queue.forked:
            self._queue.check()
        self._queue.flush(Deadline(timeout))

    def close(self) -> None:
        """Accept no more operations, commit those that wait, and end the thread.

        A second call does nothing.  A call in a forked child does nothing.

        :raises BusyError: this thread has a write transaction open, and the commit would wait
            for its end.  The writer is closed nevertheless; the operations are committed later.
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
        raise TypeError(
            "a writer cannot be pickled or copied; call env.writer() in the other process"
        )

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self.pending} pending"
        return f"<pylmdb.writer.Writer of {self._queue.env!r}, {state}>"
