# SPDX-License-Identifier: MIT
"""Iteration over a Map, and the views that keys(), values() and items() return.

A program may stop iterating for an hour, change the Map, or end its transaction meanwhile.  So
no transaction stays open between two steps.  Each step starts after the key of the step before,
and sees the records of that moment.  A transaction for each record would cost more than reading
the record, so records are prefetched in batches.  A batch is valid until anything is committed,
and until the thread's own write transaction, if there is one, changes anything.
"""

from __future__ import annotations

from _collections_abc import ItemsView, KeysView, ValuesView
from sys import maxsize
from weakref import ref

from .._core_rules.ranges import following
from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from ..database import Database
    from ..transaction import Transaction
    from .ordered import Ordered

    K = TypeVar("K")
    V = TypeVar("V")
else:
    K, V = "K", "V"

# the number of records in the first batch, and the most records and bytes in each later one
_FIRST_BATCH, _MAX_BATCH, _MAX_BATCH_BYTES = 4, 256, 1 << 16


def iterate(
    mapping: Ordered[Any, Any],
    decode: Callable[[Any], Any],
    start: bytes | None,
    stop: bytes | None,
    reverse: bool,
    values: bool,
    limit: int = maxsize,
    offset: int = 0,
) -> Iterator[Any]:
    """Yield ``decode(record)`` for each record with ``start <= key < stop``.

    A record is (key, value); without ``values`` it is the key.

    :param limit: how many records to yield at most.
    :param offset: how many records to leave out first.
    """
    count = _FIRST_BATCH
    while limit:
        count = min(count, limit)
        batch, shared, own_writer, version = _prefetch(
            mapping, start, stop, reverse, values, count, offset
        )
        if not batch:
            return
        offset = 0
        for record in batch:
            limit -= 1
            key = record[0] if values else record
            if reverse:
                stop = key
            else:
                start = following(key)
            yield decode(record)
            own = shared.own_writer()
            if own is None:
                is_current = own_writer is None and shared.last_commit == version
            else:
                is_current = (
                    own_writer is not None and own_writer() is own and own._mutations == version
                )
            del own  # no transaction is kept alive between two steps
            if not is_current or mapping._env._shared is not shared:
                count = _FIRST_BATCH
                break
        else:
            count = min(4 * len(batch), _MAX_BATCH)


def _prefetch(
    mapping: Ordered[Any, Any],
    start: bytes | None,
    stop: bytes | None,
    reverse: bool,
    values: bool,
    count: int,
    offset: int,
) -> tuple[list[Any], Any, Any, int]:
    """Return the next records, the native environment, and the state in which they are current.

    The last two items are a weak reference to this thread's write transaction and its number of
    changes; if there is none, they are None and the ID of the last commit.
    """
    own = mapping._own_writer()
    if own is not None:
        version = own._mutations
        batch = _read(own, mapping._db, start, stop, reverse, values, count, offset)
        return batch, own._shared, ref(own), version
    with mapping._env.begin(mapping._db) as txn:
        batch = _read(txn, mapping._db, start, stop, reverse, values, count, offset)
        return batch, txn._shared, None, txn.id()


def _read(
    txn: Transaction[Any],
    db: Database,
    start: bytes | None,
    stop: bytes | None,
    reverse: bool,
    values: bool,
    count: int,
    offset: int,
) -> list[Any]:
    """Return the next records, or their keys; at most ``count``."""
    records = txn.range(
        start, stop, reverse=reverse, values=values, limit=count, offset=offset, db=db
    )
    batch = _take_limited(records) if values else list(records)
    if batch and isinstance(batch[0][0] if values else batch[0], memoryview):
        batch[:] = [tuple(map(bytes, each)) if values else bytes(each) for each in batch]
    return batch


def _take_limited(records: Iterator[Any]) -> list[Any]:
    batch, room = [], _MAX_BATCH_BYTES
    for record in records:
        batch.append(record)
        room -= len(record[1])
        if room < 0:
            break
    return batch


class Keys(KeysView[K]):
    """The keys of a Map, in order.  It has the operations of a set."""

    __slots__ = ()

    def __init__(self, mapping: Ordered[K, Any]) -> None:
        self._mapping: Ordered[K, Any] = mapping

    def __iter__(self) -> Iterator[K]:
        return self._mapping._walk_keys(False)

    def __reversed__(self) -> Iterator[K]:
        return self._mapping._walk_keys(True)


class Values(ValuesView[V]):
    """The values of a Map, in the order of their keys."""

    __slots__ = ()

    def __init__(self, mapping: Ordered[Any, V]) -> None:
        self._mapping: Ordered[Any, V] = mapping

    def __iter__(self) -> Iterator[V]:
        return self._mapping._walk_values(False)

    def __reversed__(self) -> Iterator[V]:
        return self._mapping._walk_values(True)

    def __contains__(self, value: object) -> bool:
        return any(each is value or each == value for each in self)


class Items(ItemsView[K, V]):
    """The keys and values of a Map, in the order of the keys.

    It has the operations of a set if the values are hashable.
    """

    __slots__ = ()

    def __init__(self, mapping: Ordered[K, V]) -> None:
        self._mapping: Ordered[K, V] = mapping

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping.range()

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return self._mapping.range(reverse=True)
