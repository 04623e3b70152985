# SPDX-License-Identifier: MIT
"""AsyncTransaction: one consistent state of an environment, for coroutines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .._typing import Generic, ValueT, overload
from ..transaction import Transaction
from .cursor import AsyncCursor
from .executors import TransactionExecutor, WorkerThread
from .methods import AwaitableContext, Wrapper, long_call, record_iteration, short_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Literal, TypeVar

    from numpy import bool_
    from numpy.typing import DTypeLike, NDArray
    from typing_extensions import Self

    from .._array_methods import Keys
    from ..database import Database
    from ..environment import Environment
    from ..types import BytesLike
    from ._iterations import RangeInTransaction
    from .loop_state import LoopState

    T = TypeVar("T")
    Range = range  # the class has a method of that name


class AsyncTransaction(Wrapper, Generic[ValueT]):
    """A :class:`pylmdb.Transaction` for coroutines, begun by :meth:`AsyncEnvironment.begin`.

    It has the operations of Transaction, and they are awaited.  Several tasks may share it;
    its operations run one at a time.  The short operations of a read transaction run in the
    event loop.  All operations of a write transaction run on one thread.

    As a context manager (``async with``) it commits when the block ends, and aborts when
    the block raises or its task is cancelled.  A transaction that is no longer referenced is
    aborted.

    >>> aenv = pylmdb.aio.wrap(pylmdb.open("fruit"))
    >>> txn = await aenv.begin(write=True)     # the examples of the methods continue here
    >>> await txn.put(b"apple", b"red"), await txn.put(b"banana", b"yellow")
    (True, True)
    >>> async for key, value in txn.range():
    ...     print(key)
    b'apple'
    b'banana'
    """

    __slots__ = ("__weakref__", "_executor", "_loop", "_parent", "_state", "_txn_id", "_wrapped")

    if TYPE_CHECKING:
        env: Environment
        write: bool
        closed: bool

    def __init__(
        self,
        txn: Transaction[ValueT],
        executor: TransactionExecutor,
        txn_id: int,
        parent: AsyncTransaction[Any] | None = None,
        state: LoopState | None = None,
    ) -> None:
        self._wrapped = txn
        self._executor = executor
        self._txn_id = txn_id
        self._parent = parent
        # the loop state whose write lock is released when the transaction ends
        self._state = state
        self._loop = asyncio.get_running_loop()

    # -- end -------------------------------------------------------------------

    async def commit(self) -> None:
        """Make the changes permanent and end the transaction.

        A commit that has begun is completed even if the task is cancelled.
        :meth:`pylmdb.Transaction.commit` lists the errors.  ``mdb_txn_commit``.
        """
        await self._end(self._wrapped.commit)

    async def abort(self) -> None:
        """Undo the changes and end the transaction; a second call does nothing.
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
            self._wrapped.abort()  # ends a read transaction at once, even if the task was cancelled

    def _detach(self) -> Callable[[], None] | None:
        """Detach from the loop; return the function to call when the transaction has ended."""
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

    async def _begin_nested(self, begin: Callable[[], Transaction[Any]]) -> AsyncTransaction[Any]:
        """Begin a nested transaction; abort it if the task is cancelled meanwhile.

        Until a nested transaction ends, this one cannot be used.
        """
        begun: list[Transaction[Any]] = []

        def abort() -> None:
            for txn in begun:
                txn.abort()

        try:
            await self._executor.run_short(lambda: begun.append(begin()))
        except BaseException:
            if isinstance(self._executor, WorkerThread):
                self._executor.submit(abort)
            raise
        return AsyncTransaction(begun[0], self._executor, self.id(), self)

    def id(self) -> int:
        """Return the ID of the snapshot that is read, or of the one that is being written.

        ``mdb_txn_id``.
        """
        return self._txn_id

    def cursor(self, db: Database | None = None) -> AwaitableContext[AsyncCursor[ValueT]]:
        """Open an :class:`AsyncCursor` on ``db``; by default on the transaction's database.

        Use it as ``cursor = await txn.cursor()`` or ``async with txn.cursor() as cursor``.
        ``mdb_cursor_open``.
        """

        async def make() -> AsyncCursor[ValueT]:
            cursor = await self._executor.run_short(self._wrapped.cursor, db)
            return AsyncCursor(cursor, self._executor, self)

        return AwaitableContext(make)

    async def call(self, function: Callable[[Transaction[ValueT]], T]) -> T:
        """Call ``function(txn)`` with the :class:`pylmdb.Transaction`, in the thread that may
        use it, and return the result.

        This is the fastest way to run many operations: together they cost one switch of
        threads.  An exception of ``function`` is raised to the caller.
        """
        return await self._executor.run_long(function, self._wrapped)

    # -- operations --------------------------------------------------------------

    @overload
    async def get(
        self, key: BytesLike, default: None = None, db: Database | None = None
    ) -> ValueT | None: ...
    @overload
    async def get(self, key: BytesLike, default: T, db: Database | None = None) -> ValueT | T: ...
    async def get(
        self, key: BytesLike, default: object = None, db: Database | None = None
    ) -> object:
        """Return the value of ``key``, or ``default`` if the key does not exist.

        See :meth:`pylmdb.Transaction.get`.

        :param db: the database; None for the transaction's.

        ``mdb_get``.
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
        """Return the value of ``key`` as a read-only memoryview, or ``default``.

        See :meth:`pylmdb.Transaction.view`.

        :param db: the database; None for the transaction's.

        ``mdb_get``.
        """
        if self._executor.can_run_inline():
            return self._wrapped.view(key, default, db)
        return await self._executor.run_short(self._wrapped.view, key, default, db)

    @overload
    async def get_many(
        self, keys: Iterable[BytesLike], default: None = None, db: Database | None = None
    ) -> list[ValueT | None]: ...
    @overload
    async def get_many(
        self, keys: Iterable[BytesLike], default: T, db: Database | None = None
    ) -> list[ValueT | T]: ...
    async def get_many(
        self, keys: Iterable[BytesLike], default: object = None, db: Database | None = None
    ) -> list[Any]:
        """Return the values of many keys, in the order of ``keys``; they are read in a thread.

        See :meth:`pylmdb.Transaction.get_many`.

        :param default: the value for keys that do not exist.
        :param db: the database; None for the transaction's.

        ``mdb_get``.
        """
        return await self._executor.run_long(self._wrapped.get_many, keys, default, db)

    put = short_call(Transaction.put)
    delete = short_call(Transaction.delete)
    pop = short_call(Transaction.pop)
    replace = short_call(Transaction.replace)
    stat = short_call(Transaction.stat)
    next_id = short_call(Transaction.next_id)
    drop = long_call(Transaction.drop)
    count = long_call(Transaction.count)
    delete_range = long_call(Transaction.delete_range)

    put_array = short_call(Transaction.put_array)
    range_arrays = long_call(Transaction.range_arrays)
    dup_array = long_call(Transaction.dup_array)
    put_arrays = long_call(Transaction.put_arrays)

    if TYPE_CHECKING:
        range: RangeInTransaction[ValueT]

        async def first(self, db: Database | None = None) -> tuple[ValueT, ValueT] | None: ...
        async def last(self, db: Database | None = None) -> tuple[ValueT, ValueT] | None: ...
        async def floor(
            self, key: BytesLike, db: Database | None = None
        ) -> tuple[ValueT, ValueT] | None: ...
        async def ceiling(
            self, key: BytesLike, db: Database | None = None
        ) -> tuple[ValueT, ValueT] | None: ...
        @overload
        async def has_many(  # type: ignore[overload-overlap]  # mypy takes items of arrays for bytes
            self,
            keys: NDArray[Any],
            db: Database | None = None,
            *,
            key_format: str | bytes | None = None,
        ) -> NDArray[bool_]: ...
        @overload
        async def has_many(
            self,
            keys: Sequence[int] | Range,
            db: Database | None = None,
            *,
            key_format: str | bytes,
        ) -> list[bool]: ...
        @overload
        async def has_many(
            self,
            keys: Iterable[BytesLike] | Range,
            db: Database | None = None,
            *,
            key_format: None = None,
        ) -> list[bool]: ...
        async def has_many(self, *args: object, **kwargs: object) -> object: ...
        @overload
        async def get_array(
            self,
            key: BytesLike,
            default: None = None,
            copy: bool = False,
            db: Database | None = None,
        ) -> NDArray[Any] | None: ...
        @overload
        async def get_array(
            self, key: BytesLike, default: T, copy: bool = False, db: Database | None = None
        ) -> NDArray[Any] | T: ...
        async def get_array(self, *args: object, **kwargs: object) -> object: ...
        @overload
        async def take(
            self,
            keys: Keys,
            dtype: DTypeLike,
            shape: int | tuple[int, ...] = (),
            out: NDArray[Any] | None = None,
            missing: Literal["raise"] = "raise",
            threads: int = 1,
            *,
            key_format: str | bytes | None = None,
            db: Database | None = None,
        ) -> NDArray[Any]: ...
        @overload
        async def take(
            self,
            keys: Keys,
            dtype: DTypeLike,
            shape: int | tuple[int, ...] = (),
            out: NDArray[Any] | None = None,
            *,
            missing: Literal["fill"],
            threads: int = 1,
            key_format: str | bytes | None = None,
            db: Database | None = None,
        ) -> tuple[NDArray[Any], NDArray[Any]]: ...
        async def take(self, *args: object, **kwargs: object) -> object: ...
    else:
        range = record_iteration(Transaction.range)
        first = short_call(Transaction.first)
        last = short_call(Transaction.last)
        floor = short_call(Transaction.floor)
        ceiling = short_call(Transaction.ceiling)
        has_many = long_call(Transaction.has_many)

        def __contains__(self, key):
            raise TypeError("pylmdb.aio: 'in' cannot be awaited; use 'await txn.has_many([key])'")

        get_array = short_call(Transaction.get_array)
        take = long_call(Transaction.take)
