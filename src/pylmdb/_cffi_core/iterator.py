# SPDX-License-Identifier: MIT
"""The iterators of a cursor and of a range in the cffi core."""

from __future__ import annotations

from itertools import islice
from sys import maxsize
from typing import TYPE_CHECKING, Any

from .._base.owners import owned
from .._core_rules.ranges import record_count
from .._core_rules.refusals import refusal
from .ranges import freeze_bounds, resolve_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cursor import CursorCore


class CursorIterator:
    """Yields the record under the cursor, then moves on, in one direction.

    ``_native/position.h`` has the rules for how it moves.
    """

    __slots__ = ("_cursor", "_iteration", "_parts")

    def __init__(
        self,
        cursor: CursorCore,
        keys: Any,
        values: Any,
        begin: Any,
        *args: Any,
        operation: str = "iteration",
        sought: Any = None,
    ) -> None:
        """
        :param begin: the function that starts the iteration; ``args`` come before ``values``.
        :param sought: the address and size of the key at which it starts; None: at no key.
        """
        keys, values = bool(keys), bool(values)
        self._cursor = cursor
        self._parts = ["key", "value"] if keys and values else ["value"] if values else ["key"]
        ffi, lib = cursor._ffi, cursor._lib
        made = ffi.new("struct pylmdb_iteration *")
        self._iteration = owned(ffi, made, lib.pylmdb_iteration_free)
        cursor._do(self._start, operation, sought, begin, *args, values)

    def _start(self, native: Any, operation: str, sought: Any, begin: Any, *args: Any) -> None:
        cursor = self._cursor
        code = begin(self._iteration, cursor._position, *args)
        cursor._found(operation, code, sought)

    def skip(self, count: int) -> None:
        """Leave out the next records; only before the first step of a range."""
        self._cursor._do(self._skip, count)

    def _skip(self, native: Any, count: int) -> None:
        cursor, left = self._cursor, self._cursor._ffi.new("size_t *", count)
        while left[0]:
            code = cursor._lib.pylmdb_range_skip(self._iteration, cursor._position, left)
            cursor._found("range", code)

    def __iter__(self) -> CursorIterator:
        return self

    def __next__(self) -> Any:
        result = self._cursor._do(self._advance)
        if result is None:
            raise StopIteration
        return result[0]

    def __repr__(self) -> str:
        return f"<pylmdb.CursorIterator of {self._cursor!r}>"

    def _advance(self, native: Any) -> tuple[Any] | None:
        cursor, iteration, parts = self._cursor, self._iteration, self._parts
        position, to_python, lib = cursor._position, cursor.txn._to_python, cursor._lib
        code = lib.pylmdb_iteration_next(iteration, position)
        if code == lib.PYLMDB_OTHER_WIDTH:
            sizes = iteration.bound.mv_size, position.key.mv_size
            raise refusal("bound of another width", "range", *sizes)
        if not cursor._found("iteration", code):
            return None
        iteration.started = 0  # if this raises, the next call yields the same record
        made = [to_python(getattr(position, part)) for part in parts]
        iteration.started = 1
        return (tuple(made) if len(made) > 1 else made[0],)


def iterate_range(
    cursor: CursorCore,
    bounds: tuple[Any, Any, Any, Any, Any],
    reverse: Any,
    keys: Any,
    values: Any,
    limit: Any,
    offset: Any,
) -> Iterator[Any]:
    """Iterate over the records of a range.

    :param bounds: start, stop, prefix, include_start, include_stop.
    """
    if not keys and not values:
        raise refusal("range of nothing")
    cursor._do(cursor._nothing)
    include_start, include_stop = map(bool, bounds[3:])
    limit = maxsize if limit is None else record_count("limit", limit)
    offset = record_count("offset", offset)
    ffi, lib = cursor._ffi, cursor._lib
    start, stop = resolve_prefix(
        "range",
        cursor._engine,
        cursor._slot.flags,
        freeze_bounds(*bounds[:3]),
        are_changed=not include_start or include_stop,
    )
    first, end = (
        (ffi.NULL, 0) if key is None else (ffi.from_buffer(key), len(key)) for key in (start, stop)
    )
    fields = (first[1], first[0]), (end[1], end[0]), not include_start, include_stop
    sought = end if reverse else first
    records = CursorIterator(
        cursor,
        keys,
        values,
        lib.pylmdb_range_start,
        ffi.new("struct pylmdb_range *", fields),
        bool(reverse),
        operation="range",
        sought=sought if sought[0] else None,
    )
    if offset:
        records.skip(offset)
    return RangeIterator(records, limit)


class RangeIterator:
    """Yields the records of a range.

    After its end, or an exception, it stays ended, and keeps nothing alive, as a generator does.
    """

    __slots__ = ("_records", "_steps")

    def __init__(self, records: CursorIterator, limit: int) -> None:
        """
        :param limit: how many records it yields at most.
        """
        self._records: CursorIterator | None = records
        self._steps: Any = (record for record in islice(records, limit))

    def __iter__(self) -> RangeIterator:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._steps)
        except BaseException:
            if not self._steps.gi_running:
                self._records = None
            raise

    def __repr__(self) -> str:
        records = self._records
        return f"<pylmdb.RangeIterator {'ended' if records is None else f'of {records._cursor!r}'}>"
