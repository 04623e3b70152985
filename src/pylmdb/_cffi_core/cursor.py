# SPDX-License-Identifier: MIT
"""The cursor core in cffi: movements, reads and writes through one cursor.

The native cursor belongs to its transaction, which closes it at its end; a
Cursor object holds its number.  A cursor is *positioned* after a movement that
found something, until one that did not; its key and value are read from liblmdb
anew at each call, so changes made in any other way show at once.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from typing import Any

from .._base.buffers import as_buffer
from .._base.put_flags import append_flag, put_flags
from .._core_rules.refusals import database_error, refusal
from ..errors import error, write_error
from . import transaction
from .batches import checked_width, join_records
from .iterator import CursorIterator

_numbers = itertools.count(1)


class _NeverOpened:
    """In place of the engine's ``ffi`` and ``lib`` in a cursor that was not opened."""

    def __getattr__(self, name: str) -> Any:
        raise refusal("cursor never opened")


_never_opened = _NeverOpened()


class CursorCore:
    """A native cursor and its operations."""

    _lib: Any
    _ffi: Any
    txn: Any
    db: Any
    _slot: Any
    _number: int
    _moves: int
    _positioned: bool
    # positioned by nothing but a write: iteration starts at an end, as from no position
    _only_written: bool
    # moved to a successor by delete(), which nobody has looked at yet
    _unseen: bool
    # its record, where liblmdb may lose it; or NULL
    _stand: Any

    __slots__ = (
        "__weakref__",
        "_ffi",
        "_key",
        "_lib",
        "_moves",
        "_number",
        "_only_written",
        "_positioned",
        "_slot",
        "_stand",
        "_unseen",
        "_value",
        "db",
        "txn",
    )

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        self.txn = self.db = self._slot = self._stand = None
        self._ffi = self._lib = _never_opened
        self._number = self._moves = 0
        self._positioned = self._only_written = self._unseen = False
        return self

    def __init__(self, db: Any, txn: Any) -> None:
        if self.txn is not None:
            raise refusal("cursor opened already")
        if not isinstance(txn, transaction.TransactionCore):
            raise refusal("not a transaction", "txn", type(txn))
        engine = txn._engine
        self._ffi, self._lib = engine.ffi, engine.lib
        self._key, self._value = self._ffi.new("MDB_val *"), self._ffi.new("MDB_val *")
        txn._do(self._open, txn, db)

    @property
    def _engine(self) -> Any:
        if self.txn is None:
            raise refusal("cursor never opened")
        return self.txn._engine

    def _open(self, ptr: Any, txn: Any, db: Any) -> None:
        lib, slot, stand = self._lib, txn._slot_in(ptr, db), self._ffi.NULL
        if txn._write and slot.flags & lib.MDB_DUPSORT:
            stand = self._ffi.gc(lib.pylmdb_stand_new(ptr), lib.pylmdb_stand_free)
            if not stand:
                raise MemoryError
        out = self._ffi.new("MDB_cursor **")
        code = lib.pylmdb_cursor_open(ptr, slot.dbi, out)
        if code:
            raise database_error("mdb_cursor_open", code, slot)
        self.txn, self.db, self._slot, self._stand = txn, txn._handle(db), slot, stand
        self._number = next(_numbers)
        txn._native.cursors[self._number] = (out[0], slot)

    def close(self) -> None:
        # An exception can strike inside __new__, before there is anything to close.
        if getattr(self, "txn", None) is None or not self._number:
            return
        number, self._number = self._number, 0
        self.txn._native.drop_cursor(number)

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Any:
        if self.closed:
            self._do(self._nothing)
            raise refusal("cursor ended")
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """True once nothing can be done with this cursor any more."""
        if self.txn is None or self.txn.closed or not self._slot.alive:
            return True
        return not self.txn._native.has_cursor(self._number)

    # -- the guard ------------------------------------------------------------

    def _do(self, operation: Any, *args: Any) -> Any:
        """Run ``operation(native cursor, *args)`` where it is allowed."""
        if self.txn is None:
            raise refusal("cursor never opened")
        return self.txn._do(self._checked, operation, args)

    def _checked(self, ptr: Any, operation: Any, args: tuple[Any, ...]) -> Any:
        native = self.txn._native.cursors.get(self._number)
        if native is None:
            native = self._resume()
        if native is None or not self._slot.alive:
            raise refusal("cursor ended")
        return operation(native[0], *args)

    def _resume(self) -> Any:
        """In a forked child: the native cursor that goes on where an inherited one was."""
        native = self.txn._native.resume_cursor(self._number)
        if native is not None:
            self._slot = native[1]
        return native

    def _nothing(self, native: Any) -> None:
        """To be refused where anything would be."""

    # -- movements --------------------------------------------------------------

    def _note(self, native: Any) -> int:
        return int(self._lib.pylmdb_stand_note(self._stand, self.txn._mutations, native))

    def _move_native(self, native: Any, op: int) -> int:
        writes, flags, found = self.txn._mutations, self._slot.flags, (self._key, self._value)
        return int(self._lib.pylmdb_stand_move(self._stand, writes, native, flags, op, *found))

    def _read_current(self, native: Any) -> int:
        """Read the record under the cursor; MDB_NOTFOUND where there is none."""
        code = self._move_native(native, self._lib.MDB_GET_CURRENT)
        return int(self._lib.MDB_NOTFOUND) if code == errno.EINVAL else code

    def _settle(self, native: Any, code: int) -> bool:
        """Note where a movement that returned ``code`` has left the cursor."""
        if code in (0, self._lib.MDB_NOTFOUND):
            code = self._note(native) or code
        self._positioned = not code
        self._only_written = False
        if code:
            self._key.mv_size = self._value.mv_size = 0
            if code != self._lib.MDB_NOTFOUND:
                raise error("mdb_cursor_get", code)
        return self._positioned

    def _move(self, native: Any, op: int) -> bool:
        self._moves += 1
        return self._settle(native, self._move_native(native, op))

    def _seek(self, native: Any, key: Any, value: Any, op: int) -> bool:
        ffi = self._ffi
        raw_key = key if type(key) is bytes else ffi.from_buffer(key)
        raw_value = value if type(value) is bytes else ffi.from_buffer(value)
        self._moves += 1
        self._lib.pylmdb_stand_forget(self._stand)
        code = self._lib.pylmdb_cursor_seek(
            native, self._slot.flags, raw_key, len(key), raw_value, len(value), op,
            self._key, self._value,
        )  # fmt: skip
        return self._settle(native, code)

    def first(self) -> bool:
        return bool(self._do(self._move, self._lib.MDB_FIRST))

    def first_dup(self) -> bool:
        return bool(self._do(self._move, self._lib.MDB_FIRST_DUP))

    def last(self) -> bool:
        return bool(self._do(self._move, self._lib.MDB_LAST))

    def last_dup(self) -> bool:
        return bool(self._do(self._move, self._lib.MDB_LAST_DUP))

    def next(self) -> bool:
        return bool(self._do(self._move, self._lib.MDB_NEXT))

    def next_dup(self) -> bool:
        return bool(self._do(self._move, self._lib.MDB_NEXT_DUP))

    def next_nodup(self) -> bool:
        return bool(self._do(self._move, self._lib.MDB_NEXT_NODUP))

    def prev(self) -> bool:
        return bool(self._do(self._move, self._lib.MDB_PREV))

    def prev_dup(self) -> bool:
        return bool(self._do(self._move, self._lib.MDB_PREV_DUP))

    def prev_nodup(self) -> bool:
        return bool(self._do(self._move, self._lib.MDB_PREV_NODUP))

    def set_key(self, key: Any, /) -> bool:
        return bool(self._do(self._seek, as_buffer("key", key), b"", self._lib.MDB_SET_KEY))

    def set_key_dup(self, key: Any, value: Any) -> bool:
        key, value = as_buffer("key", key), as_buffer("value", value)
        return bool(self._do(self._seek, key, value, self._lib.MDB_GET_BOTH))

    def set_range(self, key: Any, /) -> bool:
        key = as_buffer("key", key)
        if not len(key):
            return self.first()
        return bool(self._do(self._seek, key, b"", self._lib.MDB_SET_RANGE))

    def set_range_dup(self, key: Any, value: Any) -> bool:
        key, value = as_buffer("key", key), as_buffer("value", value)
        return bool(self._do(self._seek, key, value, self._lib.MDB_GET_BOTH_RANGE))

    # -- reads --------------------------------------------------------------------

    def _refresh(self, native: Any) -> bool:
        """Read the record under the cursor; False where there is none."""
        if self._positioned:
            code = self._read_current(native)
            if code not in (0, self._lib.MDB_NOTFOUND):
                raise error("mdb_cursor_get", code)
            self._positioned = not code
        if not self._positioned:
            self._key.mv_size = self._value.mv_size = 0
        return self._positioned

    def _show(self, native: Any) -> bool:
        """Read the record for the caller.  Who looks at the successor of a record
        that was deleted under an iterator has had it from the cursor, and the
        iterator goes on behind it."""
        if self._unseen:
            self._unseen = False
            self._moves += 1
        self._only_written = False
        return self._refresh(native)

    def _empty(self) -> Any:
        return memoryview(b"") if self.txn._buffers else b""

    def _read_key(self, native: Any) -> Any:
        return self.txn._to_python(self._key) if self._show(native) else self._empty()

    def _read_value(self, native: Any) -> Any:
        return self.txn._to_python(self._value) if self._show(native) else self._empty()

    def _read_item(self, native: Any) -> Any:
        if not self._show(native):
            return self._empty(), self._empty()
        return self.txn._to_python(self._key), self.txn._to_python(self._value)

    def key(self) -> Any:
        return self._do(self._read_key)

    def value(self) -> Any:
        return self._do(self._read_value)

    def item(self) -> Any:
        return self._do(self._read_item)

    def _read_view(self, native: Any) -> memoryview:
        found: memoryview = (
            self.txn._to_view(self._value) if self._show(native) else memoryview(b"")
        )
        return found

    def view(self) -> memoryview:
        view: memoryview = self._do(self._read_view)
        return view

    def _seek_value(self, native: Any, key: Any, default: Any) -> Any:
        if not self._seek(native, key, b"", self._lib.MDB_SET_KEY):
            return default
        return self.txn._to_python(self._value)

    def get(self, key: Any, default: Any = None) -> Any:
        return self._do(self._seek_value, as_buffer("key", key), default)

    def _count(self, native: Any) -> int:
        out = self._ffi.new("size_t *")
        code = self._lib.pylmdb_stand_count(
            self._stand, self.txn._mutations, native, self._slot.flags, self._positioned, out
        )
        if code:
            raise error("mdb_cursor_count", code)
        return int(out[0])

    def count(self) -> int:
        return int(self._do(self._count))

    # -- writes -------------------------------------------------------------------

    def _put_native(self, native: Any, key: Any, value: Any, flags: int) -> int:
        ffi = self._ffi
        raw_key = key if type(key) is bytes else ffi.from_buffer(key)
        raw_value = value if type(value) is bytes else ffi.from_buffer(value)
        self.txn._mutations += self.txn._write
        self._moves += 1
        code = self._lib.pylmdb_cursor_put(
            native, self._slot.flags, raw_key, len(key), raw_value, len(value), flags
        )
        noted = self._note(native) if code in (0, self._lib.MDB_KEYEXIST) else code
        if noted:
            raise write_error("mdb_cursor_put", noted, self._slot, key)
        return int(code)

    def _put(self, native: Any, key: Any, value: Any, flags: int, append: bool) -> bool:
        flags |= append_flag(self._slot, append)
        code = self._put_native(native, key, value, flags)
        # The cursor is on the new record, or on the one that is in its way.
        self._only_written = self._only_written or not self._positioned
        self._positioned = True
        return not code

    def put(
        self,
        key: Any,
        value: Any,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
    ) -> bool:
        flags = put_flags(dupdata, overwrite)
        key, value, append = as_buffer("key", key), as_buffer("value", value), bool(append)
        return bool(self._do(self._put, key, value, flags, append))

    def putmulti(
        self, items: Any, dupdata: bool = True, overwrite: bool = True, append: bool = False
    ) -> tuple[int, int]:
        flags, append = put_flags(dupdata, overwrite), bool(append)
        consumed = added = 0
        self._do(self._nothing)
        for item in items:
            if type(item) is not tuple or len(item) != 2:
                raise refusal("putmulti without pairs")
            key, value = as_buffer("key", item[0]), as_buffer("value", item[1])
            added += self._do(self._put, key, value, flags, append)
            consumed += 1
        self._do(self._refresh)
        return consumed, added

    def _delete(self, native: Any, dupdata: bool) -> bool:
        if not self._refresh(native):
            return False
        lib, deleted = self._lib, self._ffi.new("int *")
        flags = lib.MDB_NODUPDATA if dupdata else 0
        code = lib.pylmdb_cursor_del(
            native, self._slot.flags, flags, self._key, self._value, deleted
        )
        self.txn._mutations += self.txn._write
        if code and not deleted[0]:
            key = self._ffi.buffer(self._key.mv_data, self._key.mv_size)[:]
            raise write_error("mdb_cursor_del", code, self._slot, key)
        self._settle(native, code)
        self._unseen = self._positioned
        return True

    def delete(self, dupdata: bool = False) -> bool:
        return bool(self._do(self._delete, bool(dupdata)))

    def _pop(self, native: Any, key: Any) -> bytes | None:
        if not self._seek(native, key, b"", self._lib.MDB_SET_KEY):
            return None
        old: bytes = self.txn._copy(self._value)
        self._delete(native, False)
        return old

    def pop(self, key: Any) -> bytes | None:
        result: bytes | None = self._do(self._pop, as_buffer("key", key))
        return result

    def _replace(self, native: Any, key: Any, value: Any) -> bytes | None:
        old = None
        if self._seek(native, key, b"", self._lib.MDB_SET_KEY):
            old = self.txn._copy(self._value)
            if self._slot.flags & self._lib.MDB_DUPSORT:
                # What cannot be stored must be refused before anything is deleted.
                self._put(native, key, value, 0, False)
                self._delete(native, True)
        self._put(native, key, value, 0, False)
        return old

    def replace(self, key: Any, value: Any) -> bytes | None:
        key, value = as_buffer("key", key), as_buffer("value", value)
        result: bytes | None = self._do(self._replace, key, value)
        return result

    # -- iteration ------------------------------------------------------------------

    def _iterate(self, start: int | None, op: int, keys: Any, values: Any) -> Iterator[Any]:
        keys, values = bool(keys), bool(values)
        self._do(self._start, start)
        return CursorIterator(self, op, keys or not values, values)

    def _start(self, native: Any, op: int | None) -> None:
        if op is None:
            return
        placed = self._positioned and not self._only_written
        # Where there is a record; or the first step will say what is wrong.
        if not placed or self._read_current(native) == self._lib.MDB_NOTFOUND:
            self._move(native, op)

    def iternext(self, keys: bool = True, values: bool = True) -> Iterator[Any]:
        return self._iterate(self._lib.MDB_FIRST, self._lib.MDB_NEXT, keys, values)

    def __iter__(self) -> Iterator[Any]:
        return self._iterate(self._lib.MDB_FIRST, self._lib.MDB_NEXT, True, True)

    def iternext_dup(self, keys: bool = False, values: bool = True) -> Iterator[Any]:
        return self._iterate(None, self._lib.MDB_NEXT_DUP, keys, values)

    def iternext_nodup(self, keys: bool = True, values: bool = False) -> Iterator[Any]:
        return self._iterate(self._lib.MDB_FIRST, self._lib.MDB_NEXT_NODUP, keys, values)

    def iterprev(self, keys: bool = True, values: bool = True) -> Iterator[Any]:
        return self._iterate(self._lib.MDB_LAST, self._lib.MDB_PREV, keys, values)

    def iterprev_dup(self, keys: bool = False, values: bool = True) -> Iterator[Any]:
        return self._iterate(None, self._lib.MDB_PREV_DUP, keys, values)

    def iterprev_nodup(self, keys: bool = True, values: bool = False) -> Iterator[Any]:
        return self._iterate(self._lib.MDB_LAST, self._lib.MDB_PREV_NODUP, keys, values)

    # -- batches ----------------------------------------------------------------------

    def _collect(self, native: Any, key: Any, dupdata: bool, width: int, result: list[Any]) -> None:
        """Append the records of one key; ``width`` splits pages of fixed-size values."""
        lib, to_python = self._lib, self.txn._to_python
        if not self._seek(native, key, b"", lib.MDB_SET_KEY):
            return
        first, step = lib.MDB_GET_CURRENT, lib.MDB_NEXT_DUP
        if width:
            first, step = lib.MDB_GET_MULTIPLE, lib.MDB_NEXT_MULTIPLE
        if width and self._slot.flags & lib.MDB_DUPFIXED and self._value.mv_size != width:
            raise refusal("values of another width", self._value.mv_size, width)
        found_key = to_python(self._key)
        self._move(native, first)
        while self._positioned:
            page = to_python(self._value)
            if width:
                result += [(found_key, page[i : i + width]) for i in range(0, len(page), width)]
            else:
                result.append((found_key, page))
            if not dupdata or not self._slot.flags & lib.MDB_DUPSORT:
                break
            self._move(native, step)

    def _found_key(self, native: Any, key: Any, result: list[Any]) -> None:
        if self._seek(native, key, b"", self._lib.MDB_SET_KEY):
            result.append(self.txn._to_python(self._key))

    def getmulti(
        self,
        keys: Any,
        dupdata: bool = False,
        dupfixed_bytes: int | None = None,
        keyfixed: bool = False,
        values: bool = True,
    ) -> Any:
        dupdata, keyfixed, values = bool(dupdata), bool(keyfixed), bool(values)
        width = checked_width(dupfixed_bytes, dupdata, keyfixed, values)
        result: list[Any] = []
        self._do(self._nothing)
        for key in keys:
            key = as_buffer("key", key)
            if values:
                self._do(self._collect, key, dupdata, width, result)
            else:
                self._do(self._found_key, key, result)
        return join_records(result) if keyfixed else result
