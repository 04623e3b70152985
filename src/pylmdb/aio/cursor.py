# SPDX-License-Identifier: MIT
"""AsyncCursor: a position in a database, for coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._typing import Generic, ValueT, overload
from ..cursor import Cursor
from .methods import Wrapper, blocking_call, long_call, record_iteration, short_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from typing import Literal, TypeVar

    from typing_extensions import Self

    from ..database import Database
    from ..transaction import Transaction
    from ..types import BytesLike
    from ._iterations import AllRecords, DuplicateRecords, RangeOfCursor, UniqueKeyRecords
    from .executors import TransactionExecutor

    T = TypeVar("T")


class AsyncCursor(Wrapper, Generic[ValueT]):
    """A :class:`pylmdb.Cursor` for coroutines, opened by :meth:`AsyncTransaction.cursor`.

    It has the operations of Cursor.  They are awaited, except ``key()``, ``value()``,
    ``item()`` and ``view()``, which return at once.

    ``async for key, value in cursor`` yields the records one by one.  So do ``range()`` and
    ``iternext()`` and its variants; if they are awaited, they return a list.  In a write
    transaction records are fetched in batches, so the cursor's position is ahead of the loop.

    As a context manager (``async with``) it is closed at the end of the block.

    >>> aenv = pylmdb.aio.wrap(pylmdb.open("fruit"))
    >>> txn = await aenv.begin(write=True)
    >>> cursor = await txn.cursor()
    >>> await cursor.putmulti([(b"apple", b"red"), (b"banana", b"yellow")])
    (2, 2)
    >>> await cursor.set_range(b"b"), cursor.item()
    (True, (b'banana', b'yellow'))
    """

    __slots__ = ("_executor", "_txn", "_wrapped")

    if TYPE_CHECKING:
        db: Database
        txn: Transaction[ValueT]
        closed: bool

    def __init__(self, cursor: Cursor[ValueT], executor: TransactionExecutor, txn: object) -> None:
        self._wrapped = cursor
        self._executor = executor
        # keeps the transaction alive, which is aborted when it is destroyed
        self._txn = txn

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[tuple[ValueT, ValueT]]:
        """Iterate as ``iternext()`` does."""
        return self.iternext().__aiter__()

    close = short_call(Cursor.close)

    # -- movements ----------------------------------------------------------------

    first = short_call(Cursor.first)
    first_dup = short_call(Cursor.first_dup)
    last = short_call(Cursor.last)
    last_dup = short_call(Cursor.last_dup)
    next = short_call(Cursor.next)
    next_dup = short_call(Cursor.next_dup)
    next_nodup = short_call(Cursor.next_nodup)
    prev = short_call(Cursor.prev)
    prev_dup = short_call(Cursor.prev_dup)
    prev_nodup = short_call(Cursor.prev_nodup)
    set_key = short_call(Cursor.set_key)
    set_key_dup = short_call(Cursor.set_key_dup)
    set_range = short_call(Cursor.set_range)
    set_range_dup = short_call(Cursor.set_range_dup)

    # -- reads ----------------------------------------------------------------------

    view = blocking_call(Cursor.view)
    count = short_call(Cursor.count)

    if TYPE_CHECKING:

        def key(self) -> ValueT: ...
        def value(self) -> ValueT: ...
        def item(self) -> tuple[ValueT, ValueT]: ...

        @overload
        async def getmulti(
            self,
            keys: Iterable[BytesLike],
            dupdata: bool = False,
            dupfixed_bytes: int | None = None,
            keyfixed: Literal[False] = False,
            values: Literal[True] = True,
        ) -> list[tuple[ValueT, ValueT]]: ...
        @overload
        async def getmulti(
            self,
            keys: Iterable[BytesLike],
            dupdata: bool = False,
            dupfixed_bytes: int | None = None,
            keyfixed: Literal[False] = False,
            *,
            values: Literal[False],
        ) -> list[ValueT]: ...
        @overload
        async def getmulti(
            self,
            keys: Iterable[BytesLike],
            dupdata: bool = False,
            *,
            dupfixed_bytes: int,
            keyfixed: Literal[True],
            values: bool = True,
        ) -> memoryview: ...
        @overload
        async def getmulti(
            self,
            keys: Iterable[BytesLike],
            dupdata: bool = False,
            dupfixed_bytes: int | None = None,
            keyfixed: bool = False,
            values: bool = True,
        ) -> Any: ...
        async def getmulti(self, *args: object, **kwargs: object) -> object: ...
    else:
        key = blocking_call(Cursor.key)
        value = blocking_call(Cursor.value)
        item = blocking_call(Cursor.item)
        getmulti = long_call(Cursor.getmulti)

    @overload
    async def get(self, key: BytesLike, default: None = None) -> ValueT | None: ...
    @overload
    async def get(self, key: BytesLike, default: T) -> ValueT | T: ...
    async def get(self, key: BytesLike, default: object = None) -> object:
        """Move to ``key`` and return its value, or ``default`` if the key does not exist.

        See :meth:`pylmdb.Cursor.get`.  ``MDB_SET_KEY``.
        """
        if self._executor.can_run_inline():
            return self._wrapped.get(key, default)
        return await self._executor.run_short(self._wrapped.get, key, default)

    # -- writes -----------------------------------------------------------------------

    put = short_call(Cursor.put)
    putmulti = long_call(Cursor.putmulti)
    delete = short_call(Cursor.delete)
    pop = short_call(Cursor.pop)
    replace = short_call(Cursor.replace)

    # -- iteration ----------------------------------------------------------------------

    if TYPE_CHECKING:
        iternext: AllRecords[ValueT]
        iternext_dup: DuplicateRecords[ValueT]
        iternext_nodup: UniqueKeyRecords[ValueT]
        iterprev: AllRecords[ValueT]
        iterprev_dup: DuplicateRecords[ValueT]
        iterprev_nodup: UniqueKeyRecords[ValueT]
        range: RangeOfCursor[ValueT]
    else:
        iternext = record_iteration(Cursor.iternext)
        iternext_dup = record_iteration(Cursor.iternext_dup)
        iternext_nodup = record_iteration(Cursor.iternext_nodup)
        iterprev = record_iteration(Cursor.iterprev)
        iterprev_dup = record_iteration(Cursor.iterprev_dup)
        iterprev_nodup = record_iteration(Cursor.iterprev_nodup)
        range = record_iteration(Cursor.range)
