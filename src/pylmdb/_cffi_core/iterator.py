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

    __slots__ = ("_cursor", "_iteration", "_keys", "_values")

    def __init__(self, cursor: CursorCore, op: int, keys: Any, values: Any) -> None:
        keys, self._values = bool(keys), bool(values)
        self._cursor, self._keys = cursor, keys or not self._values
        ffi, lib = cursor._ffi, cursor._lib
        made = ffi.new("struct pylmdb_iteration *")
        self._iteration = ffi.gc(made, lib.pylmdb_iteration_free)
        cursor._do(self._start, op)

    def _start(self, native: Any, op: int) -> None:
        cursor = self._cursor
        start = cursor._lib.pylmdb_iteration_start
        cursor._found(start(self._iteration, cursor._position, op, self._values))

    def __iter__(self) -> CursorIterator:
        return self

    def __next__(self) -> Any:
        result = self._cursor._do(self._advance)
        if result is None:
            raise StopIteration
        return result[0]

    def _advance(self, native: Any) -> tuple[Any] | None:
        cursor, to_python = self._cursor, self._cursor.txn._to_python
        position = cursor._position
        if not cursor._found(cursor._lib.pylmdb_iteration_next(self._iteration, position)):
            return None
        if not self._values:
            return (to_python(position.key),)
        if not self._keys:
            return (to_python(position.value),)
        return ((to_python(position.key), to_python(position.value)),)
