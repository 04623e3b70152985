# SPDX-License-Identifier: MIT
"""Iteration over a Map, and the views that keys(), values() and items() give.

Whoever iterates may stop for an hour, change the Map, or end what he had begun.  So no
transaction stays open between two steps: each step begins behind the key before it, and
sees what is there by then.  To begin a transaction for every record would cost more than
the records, so some are read ahead; they count for as long as nobody commits anything,
and the thread's own write transaction, if there is one, changes nothing.
"""

from __future__ import annotations

from _collections_abc import ItemsView, KeysView, ValuesView
from itertools import islice
from weakref import ref

from .._core_rules.ranges import seek_last
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

# how many records, and of how many bytes, are read ahead: few at first
_FIRST, _MOST, _BYTES = 4, 256, 1 << 16


def walk(
    mapping: Ordered[Any, Any],
    decode: Callable[[Any], Any],
    start: bytes | None,
    stop: bytes | None,
    reverse: bool,
    values: bool,
) -> Iterator[Any]:
    """``decode`` of each record with ``start <= key < stop``: of (key, value), or without
    ``values`` of the key."""
    count = _FIRST
    while True:
        ahead, shared, writer, at = _read_ahead(mapping, start, stop, reverse, values, count)
        if not ahead:
            return
        for record in ahead:
            key = record[0] if values else record
            if reverse:
                stop = key
            else:
                start = key + b"\0"  # the smallest key that is greater
            yield decode(record)
            own = shared.own_writer()
            if own is None:
                is_so = writer is None and shared.last_commit == at
            else:
                is_so = writer is not None and writer() is own and own._mutations == at
            del own  # nobody holds a transaction while he waits for the next step
            if not is_so or mapping._env._shared is not shared:
                count = _FIRST
                break
        else:
            count = min(4 * len(ahead), _MOST)


def _read_ahead(
    mapping: Ordered[Any, Any],
    start: bytes | None,
    stop: bytes | None,
    reverse: bool,
    values: bool,
    count: int,
) -> tuple[list[Any], Any, Any, int]:
    """The next records; the native environment; and in which state of it they are so: with
    a write transaction of this thread, after so many changes, else after which commit."""
    own = mapping._own_writer()
    if own is not None:
        at = own._mutations
        ahead = _read(own, mapping._db, start, stop, reverse, values, count)
        return ahead, own._shared, ref(own), at
    with mapping._env.begin(mapping._db) as txn:
        ahead = _read(txn, mapping._db, start, stop, reverse, values, count)
        return ahead, txn._shared, None, txn.id()


def _read(
    txn: Transaction[Any],
    db: Database,
    start: bytes | None,
    stop: bytes | None,
    reverse: bool,
    values: bool,
    count: int,
) -> list[Any]:
    """The next records, or their keys; up to ``count`` of them."""
    cursor = txn.cursor(db)
    if reverse:
        found, step = seek_last(cursor, stop), cursor.iterprev
    else:
        found, step = cursor.set_range(start) if start else cursor.first(), cursor.iternext
    if not found:
        return []
    records = islice(step(True, values), count)
    ahead = _limited(records) if values else list(records)
    if isinstance(ahead[0][0] if values else ahead[0], memoryview):
        ahead = [tuple(map(bytes, each)) if values else bytes(each) for each in ahead]
    while ahead and not _inside(ahead[-1][0] if values else ahead[-1], start, stop):
        ahead.pop()
    return ahead


def _limited(records: Iterator[Any]) -> list[Any]:
    ahead, room = [], _BYTES
    for record in records:
        ahead.append(record)
        room -= len(record[1])
        if room < 0:
            break
    return ahead


def _inside(key: bytes, start: bytes | None, stop: bytes | None) -> bool:
    return (start is None or key >= start) and (stop is None or key < stop)


class Keys(KeysView[K]):
    """The keys of a Map, in order; a set."""

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
    """The keys and values of a Map, in the order of the keys; a set where values are
    hashable."""

    __slots__ = ()

    def __init__(self, mapping: Ordered[K, V]) -> None:
        self._mapping: Ordered[K, V] = mapping

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping.range()

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return self._mapping.range(reverse=True)
