# SPDX-License-Identifier: MIT
"""Iteration with a cursor, in the cffi core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cursor import CursorCore


class CursorIterator:
    """Yields the record under the cursor, then moves on, in one direction.

    How it moves is in ``_native/position.h``.
    """

    __slots__ = ("_cursor", "_iteration", "_parts")

    def __init__(self, cursor: CursorCore, op: int, keys: Any, values: Any) -> None:
        keys, values = bool(keys), bool(values)
        self._cursor = cursor
        self._parts = ["key", "value"] if keys and values else ["value"] if values else ["key"]
        ffi, lib = cursor._ffi, cursor._lib
        made = ffi.new("struct pylmdb_iteration *")
        self._iteration = ffi.gc(made, lib.pylmdb_iteration_free)
        cursor._do(self._start, op, values)

    def _start(self, native: Any, op: int, values: bool) -> None:
        cursor = self._cursor
        start = cursor._lib.pylmdb_iteration_start
        cursor._found(start(self._iteration, cursor._position, op, values))

    def __iter__(self) -> CursorIterator:
        return self

    def __next__(self) -> Any:
        result = self._cursor._do(self._advance)
        if result is None:
            raise StopIteration
        return result[0]

    def _advance(self, native: Any) -> tuple[Any] | None:
        cursor, iteration, parts = self._cursor, self._iteration, self._parts
        position, to_python = cursor._position, cursor.txn._to_python
        if not cursor._found(cursor._lib.pylmdb_iteration_next(iteration, position)):
            return None
        iteration.started = 0  # if this fails, the next call gives the same record
        made = [to_python(getattr(position, part)) for part in parts]
        iteration.started = 1
        return (tuple(made) if len(made) > 1 else made[0],)
