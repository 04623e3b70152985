# SPDX-License-Identifier: MIT
"""Iteration with a cursor, in the cffi core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cursor import CursorCore


class CursorIterator:
    """Yields the record under the cursor, then moves on, in one direction.

    It moves the cursor itself, so a program that moves the cursor in between
    continues from there, and ends if that was nowhere.  Where records were
    deleted in between, it continues from the record it gave last, whether or not
    that still exists.
    """

    __slots__ = ("_cursor", "_keys", "_last", "_moves", "_mutations", "_op", "_values")

    def __init__(self, cursor: CursorCore, op: int, keys: bool, values: bool) -> None:
        self._cursor, self._op = cursor, op
        self._keys, self._values = keys, values
        self._last: tuple[bytes, bytes] | None = None
        self._moves = self._mutations = 0

    def __iter__(self) -> CursorIterator:
        return self

    def __next__(self) -> Any:
        result = self._cursor._do(self._advance)
        if result is None:
            raise StopIteration
        return result[0]

    def _advance(self, native: Any) -> tuple[Any] | None:
        cursor, txn = self._cursor, self._cursor.txn
        if self._last is not None:
            if cursor._moves == self._moves and txn._mutations != self._mutations:
                self._continue(native, *self._last)
            elif cursor._moves == self._moves or cursor._positioned:
                cursor._move(native, self._op)
        if not cursor._refresh(native):
            return None
        cursor._unseen = False
        self._moves, self._mutations = cursor._moves, txn._mutations
        self._last = (b"", b"")
        if txn._write:
            self._last = (txn._copy(cursor._key), txn._copy(cursor._value))
        if not self._values:
            return (txn._to_python(cursor._key),)
        if not self._keys:
            return (txn._to_python(cursor._value),)
        return ((txn._to_python(cursor._key), txn._to_python(cursor._value)),)

    def _continue(self, native: Any, key: bytes, value: bytes) -> None:
        cursor = self._cursor
        cursor._moves += 1
        code = cursor._lib.pylmdb_cursor_continue(
            native, cursor._slot.flags, key, len(key), value, len(value), self._op,
            cursor._key, cursor._value,
        )  # fmt: skip
        cursor._settle(native, code)
