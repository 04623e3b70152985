# SPDX-License-Identifier: MIT
"""AsyncCursor: a position in a database, for coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..cursor import Cursor
from .methods import Wrapper, direct, large, records, small

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from typing_extensions import Self

    from ..types import BytesLike
    from .executors import Place


class AsyncCursor(Wrapper):
    """A :class:`pylmdb.Cursor` for coroutines, opened by :meth:`AsyncTransaction.cursor`.

    Its operations are those of Cursor, awaited, but for ``key()``, ``value()``, ``item()``
    and ``view()``, which return at once.

    ``async for key, value in cursor`` takes the records as they come.  So do ``iternext()``
    and its like and ``range()``; awaited, they give a list.  In a write transaction the
    records come in pieces from its thread, and the cursor is ahead of the loop.

    As a context manager (``async with``) it is closed at the end of the block.
    """

    __slots__ = ("_place", "_txn", "_wrapped")

    def __init__(self, cursor: Cursor[Any], place: Place, txn: object) -> None:
        self._wrapped = cursor
        self._place = place
        # what ends the transaction when nobody has it any more
        self._txn = txn

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Any]:
        """The same as ``iternext()``."""
        return self.iternext().__aiter__()

    close = small(Cursor.close)

    # -- movements ----------------------------------------------------------------

    first = small(Cursor.first)
    first_dup = small(Cursor.first_dup)
    last = small(Cursor.last)
    last_dup = small(Cursor.last_dup)
    next = small(Cursor.next)
    next_dup = small(Cursor.next_dup)
    next_nodup = small(Cursor.next_nodup)
    prev = small(Cursor.prev)
    prev_dup = small(Cursor.prev_dup)
    prev_nodup = small(Cursor.prev_nodup)
    set_key = small(Cursor.set_key)
    set_key_dup = small(Cursor.set_key_dup)
    set_range = small(Cursor.set_range)
    set_range_dup = small(Cursor.set_range_dup)

    # -- reads ----------------------------------------------------------------------

    key = direct(Cursor.key)
    value = direct(Cursor.value)
    item = direct(Cursor.item)
    view = direct(Cursor.view)
    count = small(Cursor.count)
    getmulti = large(Cursor.getmulti)

    async def get(self, key: BytesLike, default: object = None) -> Any:
        """Move to ``key`` and return its value, or ``default`` if it does not exist."""
        if self._place.ready():
            return self._wrapped.get(key, default)
        return await self._place.small(self._wrapped.get, key, default)

    # -- writes -----------------------------------------------------------------------

    put = small(Cursor.put)
    putmulti = large(Cursor.putmulti)
    delete = small(Cursor.delete)
    pop = small(Cursor.pop)
    replace = small(Cursor.replace)

    # -- iteration ----------------------------------------------------------------------

    iternext = records(Cursor.iternext)
    iternext_dup = records(Cursor.iternext_dup)
    iternext_nodup = records(Cursor.iternext_nodup)
    iterprev = records(Cursor.iterprev)
    iterprev_dup = records(Cursor.iterprev_dup)
    iterprev_nodup = records(Cursor.iterprev_nodup)
    range = records(Cursor.range)
