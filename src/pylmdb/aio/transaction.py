# SPDX-License-Identifier: MIT
"""AsyncTransaction: one consistent state of an environment, for coroutines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, overload

from ..transaction import Transaction
from .cursor import AsyncCursor
from .executors import TransactionExecutor, WorkerThread
from .methods import AwaitableContext, Wrapper, long_call, record_iteration, short_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from typing_extensions import Self

    from ..database import Database
    from ..types import BytesLike
    from .loop_state import LoopState

    T = TypeVar("T")


class AsyncTransaction(Wrapper):
    """A :class:`pylmdb.Transaction` for coroutines, begun by :meth:`AsyncEnvironment.begin`.

    Its operations are those of Transaction, awaited.  Tasks may share it: operations take
    turns.  The small operations of a read transaction run in the event loop, everything of
    a write transaction on one thread.

    As a context manager (``async with``) it commits when the block ends, and aborts when
    the block raises or its task is cancelled.  A transaction that nobody has any more is
    aborted.
    """

    __slots__ = ("__weakref__", "_executor", "_loop", "_number", "_parent", "_state", "_wrapped")

    def __init__(
        self,
        txn: Transaction[Any],
        executor: TransactionExecutor,
        number: int,
        parent: AsyncTransaction | None = None,
        state: LoopState | None = None,
    ) -> None:
        self._wrapped = txn
        self._executor = executor
        self._number = number
        self._parent = parent
        # who waits for the end of the transaction
        self._state = state
        self._loop = asyncio.get_running_loop()

    # -- life --------------------------------------------------------------------

    async def commit(self) -> None:
        """Make the changes permanent and end the transaction.

        If the task is cancelled meanwhile the commit is carried out all the same.
        See :meth:`pylmdb.Transaction.commit` for what it raises.  ``mdb_txn_commit``.
        """
        await self._end(self._wrapped.commit)

    async def abort(self) -> None:
        """Undo the changes and end the transaction; does nothing the second time.
        ``mdb_txn_abort``."""
        await self._end(self._wrapped.abort)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._end(lambda: self._wrapped.__exit__(*exc))

    async def _end(self, function: Callable[[], None]) -> None:
        if isinstance(self._executor, WorkerThread):
            await self._executor.submit(function, self._detach())
            return
        try:
            await self._executor.run_short(function)
        finally:
            self._wrapped.abort()  # of a read transaction: at once

    def _detach(self) -> Callable[[], None] | None:
        """The end was asked for; who is to be called when it is there, once."""
        state, self._state = self._state, None
        if state is None:
            return None
        state.writing_task = None
        return state.release

    def __del__(self) -> None:
        executor = getattr(self, "_executor", None)
        if isinstance(executor, WorkerThread) and (
            self._state is not None or not self._wrapped.closed
        ):
            executor.submit_detached(self._wrapped.abort, self._loop, self._detach())

    def id(self) -> int:
        """The number of the snapshot that is read, or of the one being written.

        ``mdb_txn_id``.
        """
        return self._number

    def cursor(self, db: Database | None = None) -> AwaitableContext[AsyncCursor]:
        """A cursor on ``db``, or on the transaction's database: an :class:`AsyncCursor`.

        Either awaited, or as ``async with txn.cursor() as cursor``.  ``mdb_cursor_open``.
        """

        async def make() -> AsyncCursor:
            cursor = await self._executor.run_short(self._wrapped.cursor, db)
            return AsyncCursor(cursor, self._executor, self)

        return AwaitableContext(make)

    async def call(self, function: Callable[[Transaction[Any]], T]) -> T:
        """Call ``function(txn)`` with the :class:`pylmdb.Transaction`, in a thread where
        that may be used; return what it returns.

        The quickest way for many operations: they cost one way to the thread together.
        """
        return await self._executor.run_long(function, self._wrapped)

    # -- operations --------------------------------------------------------------

    async def get(self, key: BytesLike, default: object = None, db: Database | None = None) -> Any:
        """The value of ``key``, or ``default`` if there is none.

        See :meth:`pylmdb.Transaction.get`.  ``mdb_get``.
        """
        if self._executor.can_run_inline():
            return self._wrapped.get(key, default, db)
        return await self._executor.run_short(self._wrapped.get, key, default, db)

    @overload
    async def view(
        self, key: BytesLike, default: None = None, db: Database | None = None
    ) -> memoryview | None: ...
    @overload
    async def view(
        self, key: BytesLike, default: T, db: Database | None = None
    ) -> memoryview | T: ...
    async def view(
        self, key: BytesLike, default: object = None, db: Database | None = None
    ) -> object:
        """The value of ``key`` as a read-only memoryview, or ``default``.

        See :meth:`pylmdb.Transaction.view`.  ``mdb_get``.
        """
        if self._executor.can_run_inline():
            return self._wrapped.view(key, default, db)
        return await self._executor.run_short(self._wrapped.view, key, default, db)

    async def get_many(
        self, keys: Iterable[BytesLike], default: object = None, db: Database | None = None
    ) -> list[Any]:
        """The values of many keys, in the order of ``keys``; looked up in a thread.

        See :meth:`pylmdb.Transaction.get_many`.  ``mdb_get``.
        """
        return await self._executor.run_long(self._wrapped.get_many, keys, default, db)

    put = short_call(Transaction.put)
    delete = short_call(Transaction.delete)
    pop = short_call(Transaction.pop)
    replace = short_call(Transaction.replace)
    stat = short_call(Transaction.stat)
    drop = long_call(Transaction.drop)
    range = record_iteration(Transaction.range)

    get_array = short_call(Transaction.get_array)
    put_array = short_call(Transaction.put_array)
    take = long_call(Transaction.take)
    range_arrays = long_call(Transaction.range_arrays)
    dup_array = long_call(Transaction.dup_array)
    put_arrays = long_call(Transaction.put_arrays)
