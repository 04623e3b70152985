# SPDX-License-Identifier: MIT
"""pylmdb for asyncio: :func:`wrap` an environment, and await its operations.

The examples can be typed at the prompt of ``python -m asyncio``, after ``import pylmdb``.

>>> aenv = pylmdb.aio.wrap(pylmdb.open("example"))
>>> async with aenv.begin(write=True) as txn:
...     await txn.put(b"key", b"value")
True
>>> await aenv.put(b"other", b"value")   # shares its commit with other tasks
True
>>> await pylmdb.aio.dump(aenv, "text")  # in a thread
2
>>> (await pylmdb.aio.verify("example")).ok
True
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload
from weakref import WeakKeyDictionary

from .._base.buffers import freeze_bytes
from .._base.keywords import explains_keywords
from .._base.public_names import directory
from .._environment.waiting import CommitWait, checked_number, newest
from ..environment import Environment
from ..writer.group_commit import put_operation
from .cursor import AsyncCursor
from .executors import YIELD_INTERVAL, InlineExecutor, TransactionExecutor
from .loop_state import CommitBatcher, LoopState
from .methods import AwaitableContext, Wrapper, documented_by
from .transaction import AsyncTransaction
from .whole_files import (
    backup,
    backup_info,
    bulk_load,
    convert,
    dump,
    load,
    merge,
    restore,
    salvage,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
    from concurrent.futures import Executor
    from os import PathLike
    from types import EllipsisType
    from typing import Concatenate, Literal

    from typing_extensions import ParamSpec, Self

    from ..database import Database
    from ..transaction import Transaction
    from ..types import BytesLike
    from ..writer import Writer

    P = ParamSpec("P")

T = TypeVar("T")

__all__ = [
    "AsyncCursor", "AsyncEnvironment", "AsyncTransaction", "backup_info", "bulk_load",
    "convert", "dump", "load", "merge", "restore", "salvage", "verify", "wrap",
]  # fmt: skip
__dir__ = directory(__all__)


@explains_keywords
def wrap(
    env: Environment,
    executor: Executor | None = None,
    *,
    inline: bool = True,
    max_pending: int = 4096,
) -> AsyncEnvironment:
    """Return an :class:`AsyncEnvironment`.

    >>> aenv = pylmdb.aio.wrap(pylmdb.open("example"), max_pending=64)
    >>> (await aenv.stat()).entries
    0

    :param env: as for :class:`AsyncEnvironment`, and so are ``executor``, ``inline`` and
        ``max_pending``.
    """
    return AsyncEnvironment(env, executor, inline=inline, max_pending=max_pending)


def _in_thread(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Make an asynchronous method of one of Environment that may take long or wait."""
    name = method.__name__

    @documented_by(method)
    async def coroutine(self: AsyncEnvironment, /, *args: P.args, **kwargs: P.kwargs) -> T:
        given = (*args, *kwargs.values())
        executors = [each._executor for each in given if isinstance(each, AsyncTransaction)]
        call: partial[T] = partial(
            getattr(self._wrapped, name),
            *map(_synchronous, args),
            **{key: _synchronous(value) for key, value in kwargs.items()},
        )
        return await (executors[0].run_long if executors else self._run_in_thread)(call)

    return coroutine


def _direct(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Make a method, which is not awaited, of one of Environment."""
    name = method.__name__

    @documented_by(method)
    def function(self: AsyncEnvironment, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call: Callable[P, T] = getattr(self._wrapped, name)
        return call(*args, **kwargs)

    return function


class AsyncEnvironment(Wrapper):
    """A :class:`pylmdb.Environment` for coroutines.

    It has the operations of Environment.  They are awaited, except ``path()``, ``flags()``,
    ``lib_version()``, ``max_key_size()`` and ``max_readers()``, which return at once, and
    :meth:`commits`, which ``async for`` iterates over.  It may be used in several event loops,
    one after another or at the same time.  It can be used in a forked child as the environment
    can.

    As a context manager (``async with``) it closes the environment at the end of the block.

    >>> aenv = pylmdb.aio.wrap(pylmdb.open("fruit"))
    >>> await aenv.put(b"apple", b"red")
    True
    >>> async with aenv.begin(write=True) as txn:
    ...     await txn.put(b"banana", b"yellow")
    True
    >>> async with aenv.begin() as txn:
    ...     await txn.range(values=False)
    [b'apple', b'banana']

    :param env: an open :class:`pylmdb.Environment`.
    :param executor: a :class:`concurrent.futures.Executor` for batches and other long
        operations; None for the default executor of the event loop.  Write transactions have
        a thread of their own.
    :param inline: False to run short reads in ``executor``, too.  By default they run in the
        event loop, which is right for data that is mostly in memory: a read that must come
        from the disk blocks the loop meanwhile.
    :param max_pending: how many tasks may wait for the next shared commit; further calls of
        :meth:`put`, :meth:`delete` and :meth:`call` wait until there is room.
    :raises TypeError: ``env`` is not an Environment.
    :raises ValueError: ``max_pending`` is less than 1.
    """

    __slots__ = (
        "__weakref__",
        "_inline",
        "_loop_states",
        "_max_pending",
        "_pool",
        "_until_yield",
        "_wrapped",
        "_writer",
    )  # fmt: skip

    def __init__(
        self,
        env: Environment,
        executor: Executor | None = None,
        *,
        inline: bool = True,
        max_pending: int = 4096,
    ) -> None:
        if not isinstance(env, Environment):
            raise TypeError(f"env must be a pylmdb.Environment, not {type(env).__name__}")
        if max_pending < 1:
            raise ValueError(f"max_pending must be at least 1, not {max_pending}")
        self._wrapped = env
        self._pool = executor
        self._inline = bool(inline)
        self._max_pending = max_pending
        self._until_yield = YIELD_INTERVAL
        self._loop_states: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopState] = (
            WeakKeyDictionary()
        )
        self._writer: Writer | None = None

    def _state(self) -> LoopState:
        """Return the state of the running event loop; in a forked child it is new."""
        loop = asyncio.get_running_loop()
        state = self._loop_states.get(loop)
        if state is None or state.pid != os.getpid():
            state = self._loop_states[loop] = LoopState()
        return state

    async def _run_in_thread(
        self, function: Callable[..., T], *args: object, **kwargs: object
    ) -> T:
        """Call a function in a thread; if this task has a write transaction open, in its thread."""
        state = self._state()
        if state.task_is_writing:
            result: T = await state.worker.run_long(function, *args, **kwargs)
            return result
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(function, *args, **kwargs))

    # -- closing ---------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, *, wait: float | None = None) -> None:
        """Wait for the shared commits that tasks wait for, and close the environment.

        Open write transactions are aborted.  Operations that wait for them raise
        ClosedError.

        :param wait: see :meth:`pylmdb.Environment.close`.
        """
        if not self._state().write_lock.locked:
            await self.flush()
        writer, self._writer = self._writer, None
        await self._run_in_thread(self._wrapped.close, wait=wait)
        if writer is not None:
            writer.close()

    # -- transactions --------------------------------------------------------------

    if TYPE_CHECKING:

        @overload
        def begin(
            self,
            db: Database | None = None,
            parent: AsyncTransaction[Any] | None = None,
            write: bool = False,
            buffers: Literal[False] = False,
            *,
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> AwaitableContext[AsyncTransaction[bytes]]: ...
        @overload
        def begin(
            self,
            db: Database | None = None,
            parent: AsyncTransaction[Any] | None = None,
            write: bool = False,
            *,
            buffers: Literal[True],
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> AwaitableContext[AsyncTransaction[memoryview]]: ...
        @overload
        def begin(
            self,
            db: Database | None,
            parent: AsyncTransaction[Any] | None,
            write: bool,
            buffers: Literal[True],
            *,
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> AwaitableContext[AsyncTransaction[memoryview]]: ...
        @overload
        def begin(
            self,
            db: Database | None = None,
            parent: AsyncTransaction[Any] | None = None,
            write: bool = False,
            buffers: bool = False,
            *,
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> AwaitableContext[AsyncTransaction[Any]]: ...

    def begin(
        self,
        db: Database | None = None,
        parent: AsyncTransaction[Any] | None = None,
        write: bool = False,
        buffers: bool = False,
        *,
        timeout: float | None = None,
        sync: bool | None = None,
        metasync: bool | None = None,
    ) -> AwaitableContext[AsyncTransaction[Any]]:
        """Begin a transaction: ``await aenv.begin()`` or ``async with aenv.begin() as txn``.

        Write transactions of one event loop run one at a time, first come, first served.  All
        operations of a write transaction run on one thread.

        >>> async with aenv.begin(write=True) as txn:
        ...     await txn.delete(b"apple")
        True

        :param db: the default database of the transaction's operations; the main one if None.
        :param parent: a write transaction; the new one is nested in it.
        :param write: True for a write transaction.
        :param buffers: True to get keys and values as read-only memoryviews.
        :param timeout: how many seconds to wait for other write transactions; None for no
            limit.
        :param sync: False to let the operating system flush this commit later.
        :param metasync: False to let the operating system flush its meta page later.
        :return: an :class:`AsyncTransaction`.
        :raises LockTimeoutError: other write transactions were open for ``timeout`` seconds.
        :raises BusyError: this task has a write transaction open.

        ``mdb_txn_begin``.
        """
        options = {"sync": sync, "metasync": metasync}

        async def make() -> AsyncTransaction[Any]:
            if parent is not None:
                begin = partial(self._wrapped.begin, db, parent._wrapped, write, buffers, **options)
                return await parent._begin_nested(begin)
            begin = partial(self._wrapped.begin, db, None, bool(write), buffers, **options)
            if write:
                state = self._state()
                txn, txn_id = await state.begin(self._wrapped, begin, timeout)
                return AsyncTransaction(txn, state.worker, txn_id, state=state)
            txn = begin()
            executor: TransactionExecutor = InlineExecutor(self._pool, self._inline)
            return AsyncTransaction(txn, executor, txn.id())

        return AwaitableContext(make)

    # -- single reads and writes -----------------------------------------------------

    @overload
    async def get(
        self, key: BytesLike, default: None = None, db: Database | None = None
    ) -> bytes | None: ...
    @overload
    async def get(self, key: BytesLike, default: T, db: Database | None = None) -> bytes | T: ...
    async def get(
        self, key: BytesLike, default: object = None, db: Database | None = None
    ) -> object:
        """Return the last committed value of ``key``, or ``default`` if the key does not exist.

        >>> await aenv.get(b"apple"), await aenv.get(b"plum", b"none")
        (b'red', b'none')

        :param db: the database; the main one by default.

        ``mdb_get``.
        """
        if not self._inline:
            return await self._run_in_thread(self._get, key, default, db)
        self._until_yield -= 1
        if self._until_yield <= 0:
            self._until_yield = YIELD_INTERVAL
            await asyncio.sleep(0)
        with self._wrapped.begin(db) as txn:
            return txn.get(key, default)

    def _get(self, key: BytesLike, default: object, db: Database | None) -> object:
        with self._wrapped.begin(db) as txn:
            return txn.get(key, default)

    @overload
    async def get_many(
        self, keys: Iterable[BytesLike], default: None = None, db: Database | None = None
    ) -> list[bytes | None]: ...
    @overload
    async def get_many(
        self, keys: Iterable[BytesLike], default: T, db: Database | None = None
    ) -> list[bytes | T]: ...
    async def get_many(
        self, keys: Iterable[BytesLike], default: object = None, db: Database | None = None
    ) -> list[Any]:
        """Return the last committed values of many keys, in the order of ``keys``.

        All values are of one snapshot.  They are read in a thread.  ``mdb_get``.

        >>> await aenv.get_many([b"banana", b"plum"])
        [b'yellow', None]

        :param default: the value for keys that do not exist.
        :param db: the database; the main one by default.
        """
        return await self._run_in_thread(self._get_many, keys, default, db)

    def _get_many(
        self, keys: Iterable[BytesLike], default: object, db: Database | None
    ) -> list[Any]:
        with self._wrapped.begin(db) as txn:
            found: list[Any] = txn.get_many(keys, default)
        return found

    async def put(
        self,
        key: BytesLike,
        value: BytesLike,
        db: Database | None = None,
        *,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
        if_value: BytesLike | EllipsisType | None = ...,
    ) -> bool:
        """Store a record durably; return True if it was written.

        Tasks that write at the same time share a commit.  Each call returns when its own write
        is on disk.  An error is raised only in the task that caused it.  If the task is
        cancelled, the write may or may not be made.

        >>> import asyncio
        >>> await asyncio.gather(aenv.put(b"cherry", b"red"), aenv.put(b"plum", b"blue"))
        [True, True]

        :param key: a non-empty key; bytes or another buffer.  It is copied when the call begins.
        :param value: bytes or another buffer.  It is copied when the call begins.
        :param db: the database; the main one by default.
        :param dupdata: False to write nothing if the pair of key and value exists.
        :param overwrite: False to write nothing if the key exists.
        :param append: True to write at the end of the database; the key must be greater than
            all others.
        :param if_value: as for :meth:`pylmdb.Transaction.put`; compared with the value that the
            key has when the write is made.
        :raises BusyError: this task has a write transaction open, and the commit would wait
            for its end.

        ``mdb_put``.
        """
        method, args = put_operation(key, value, dupdata, overwrite, append, db, if_value)
        result: bool = await self._write(method, args, "put")
        return result

    async def delete(
        self, key: BytesLike, value: BytesLike | None = None, db: Database | None = None
    ) -> bool:
        """Delete ``key``, or one of its duplicates, durably; return True if it existed.

        It shares commits as :meth:`put` does, and raises the same errors.

        >>> await aenv.delete(b"apple"), await aenv.delete(b"apple")
        (True, False)

        :param value: the duplicate to delete; None for all values of the key.
        :param db: the database; the main one by default.

        ``mdb_del``.
        """
        value = None if value is None else freeze_bytes("value", value)
        result: bool = await self._write("delete", (freeze_bytes("key", key), value, db))
        return result

    async def call(self, function: Callable[[Transaction[bytes]], T]) -> T:
        """Call ``function(txn)`` in a write transaction, in a thread; return its result when
        its changes are on disk.

        If the function raises, none of its changes are committed.  It shares commits as
        :meth:`put` does, and raises the same errors.  It may be called more than once;
        :meth:`pylmdb.writer.Writer.call` says when.

        >>> def rename(txn):
        ...     return txn.put(b"new", txn.pop(b"apple"))
        >>> await aenv.call(rename)
        True
        """
        if not callable(function):
            raise TypeError(f"function must be callable, not {type(function).__name__}")
        result: T = await self._write(None, (function,))
        return result

    async def flush(self) -> None:
        """Wait until the writes of this event loop's tasks are committed, or have failed."""
        batcher = self._state().batcher
        if batcher is not None and batcher.busy and not self._wrapped.closed:
            await self._write(None, (_no_operation,))

    async def _write(self, method: str | None, args: tuple[Any, ...], called: str = "") -> Any:
        """Run a write of a :class:`~pylmdb.writer.Writer`; ``called`` is its name in messages."""
        state = self._state()
        state.refuse_self_wait(called or method or "call")
        writer = self._writer
        if writer is None or writer.closed or writer._queue.forked:
            writer = self._writer = self._wrapped.writer(max_pending=self._max_pending)
        batcher = state.batcher
        if batcher is None or batcher.queue is not writer._queue:
            batcher = state.batcher = CommitBatcher(writer._queue, self._max_pending)
        return await batcher.write(method, args)

    # -- commits ------------------------------------------------------------------------

    async def wait(self, after: int | None = None, timeout: float | None = None) -> int:
        """Wait until another transaction is committed, by any task, thread or process.

        Other tasks run meanwhile; no thread is used.  See :meth:`pylmdb.Environment.wait`.

        >>> import asyncio
        >>> waiting = asyncio.create_task(aenv.wait(timeout=60))
        >>> await asyncio.sleep(0)
        >>> await aenv.put(b"news", b"1")
        True
        >>> await waiting == (await aenv.info()).last_txnid
        True

        :param after: the number of the transaction that the program knows; None: the newest one.
        :param timeout: how many seconds to wait; None for no limit.
        :return: the number of the newest transaction.
        :raises LockTimeoutError: none was committed within ``timeout`` seconds.
        :raises BusyError: this task has a write transaction open, so it would wait for itself.
        """
        waiting = CommitWait(self._wrapped, after, timeout)
        while (number := waiting.poll()) is None:
            self._state().refuse_self_wait("wait")
            await asyncio.sleep(waiting.pause())
        return number

    def commits(self, after: int | None = None) -> AsyncIterator[int]:
        """Iterate over the numbers of committed transactions: ``async for number in ...``.

        Each step waits as :meth:`wait` does.  Several commits between two steps count as one, the
        newest.

        >>> seen = (await aenv.info()).last_txnid
        >>> await aenv.put(b"news", b"1")
        True
        >>> async for number in aenv.commits(seen):
        ...     print(number - seen)
        ...     break
        1

        :param after: the number of the transaction that the program knows; None: the newest one
            at the time of this call.
        """
        known = newest(self._wrapped) if after is None else checked_number("commits", after)
        return self._commits(known)

    async def _commits(self, after: int) -> AsyncIterator[int]:
        while True:
            after = await self.wait(after)
            yield after

    # -- methods of Environment -----------------------------------------------------------

    path = _direct(Environment.path)
    flags = _direct(Environment.flags)
    lib_version = _direct(Environment.lib_version)
    max_key_size = _direct(Environment.max_key_size)
    max_readers = _direct(Environment.max_readers)

    stat = _in_thread(Environment.stat)
    info = _in_thread(Environment.info)
    sync = _in_thread(Environment.sync)
    set_flags = _in_thread(Environment.set_flags)
    set_mapsize = _in_thread(Environment.set_mapsize)
    compact = _in_thread(Environment.compact)
    readers = _in_thread(Environment.readers)
    reader_list = _in_thread(Environment.reader_list)
    reader_check = _in_thread(Environment.reader_check)
    snapshot = _in_thread(Environment.snapshot)
    warm = _in_thread(Environment.warm)
    rename_db = _in_thread(Environment.rename_db)
    backup = backup

    if TYPE_CHECKING:  # those with an AsyncTransaction where Environment has a Transaction
        closed: bool
        readonly: bool

        async def open_db(
            self,
            key: bytes | None = None,
            txn: AsyncTransaction[Any] | None = None,
            reverse_key: bool = False,
            dupsort: bool = False,
            create: bool = True,
            integerkey: bool = False,
            integerdup: bool = False,
            dupfixed: bool = False,
        ) -> Database: ...
        async def dbs(self, txn: AsyncTransaction[Any] | None = None) -> list[bytes]: ...
        async def copy(
            self,
            path: str | bytes | PathLike[str] | PathLike[bytes],
            compact: bool = False,
            txn: AsyncTransaction[Any] | None = None,
        ) -> None: ...
        async def copy_db(
            self, name: bytes, new: bytes, env: Environment | AsyncEnvironment | None = None
        ) -> int: ...
        async def copyfd(
            self, fd: int, compact: bool = False, txn: AsyncTransaction[Any] | None = None
        ) -> None: ...
    else:
        open_db = _in_thread(Environment.open_db)
        dbs = _in_thread(Environment.dbs)
        copy = _in_thread(Environment.copy)
        copyfd = _in_thread(Environment.copyfd)
        copy_db = _in_thread(Environment.copy_db)


def _synchronous(argument: object) -> object:
    wrappers = AsyncTransaction, AsyncEnvironment
    return argument._wrapped if isinstance(argument, wrappers) else argument


def _no_operation(txn: Transaction[Any]) -> None:
    """Do nothing; a commit with this call comes after all earlier ones."""
