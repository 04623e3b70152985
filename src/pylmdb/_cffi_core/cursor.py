# SPDX-License-Identifier: MIT
"""The cursor core in cffi: movements, reads and writes through one cursor.

The native cursor belongs to its transaction, which closes it when it ends; a Cursor object has its
number.  The rules for its position are C that both cores call (``_native/position.h``).
"""

from __future__ import annotations

import itertools
from typing import Any

from .._base.flags import put_flags
from .._base.integers import integer
from .._base.owners import owned
from .._core_rules.failures import database_error
from .._core_rules.refusals import refusal
from . import transaction
from .calls import Caller, NotReady, take_keys
from .iterator import CursorIterator, iterate_range

_numbers = itertools.count(1)


_never_opened: Any = NotReady("cursor never opened")


def _movement(name: str) -> Any:
    """Return the method for a movement without a key."""
    op = f"MDB_{name.upper()}"

    def move(self: CursorCore) -> bool:
        lib = self._lib
        return bool(self._do(self._find, name, lib.pylmdb_position_move, getattr(lib, op)))

    move.__name__ = name
    return move


def _iteration(name: str, *, with_keys: bool = True, with_values: bool = True) -> Any:
    """Return the method for an iteration; the keywords are the defaults of its parameters."""
    op = f"MDB_{name.removeprefix('iter').upper()}"

    def iterate(
        self: CursorCore, keys: bool = with_keys, values: bool = with_values
    ) -> CursorIterator:
        lib = self._lib
        return CursorIterator(self, keys, values, lib.pylmdb_iteration_start, getattr(lib, op))

    iterate.__name__ = name
    return iterate


class CursorCore(Caller):
    """A native cursor and its operations."""

    txn: Any
    db: Any
    _slot: Any
    _number: int
    # a struct pylmdb_position
    _position: Any

    __slots__ = ("__weakref__", "_number", "_position", "_slot", "db", "txn")

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        self.txn = self.db = self._slot = self._position = None
        self._ffi = self._lib = _never_opened
        self._number = 0
        return self

    def __init__(self, db: Any, txn: Any) -> None:
        if self.txn is not None:
            raise refusal("cursor opened already")
        if not isinstance(txn, transaction.TransactionCore):
            raise refusal("not a transaction", "txn", type(txn))
        engine = txn._engine
        self._ffi, self._lib = engine.ffi, engine.lib
        txn._do(self._open, txn, db)

    @property
    def _engine(self) -> Any:
        if self.txn is None:
            raise refusal("cursor never opened")
        return self.txn._engine

    def _open(self, ptr: Any, txn: Any, db: Any) -> None:
        ffi, lib, slot = self._ffi, self._lib, txn._slot_in(ptr, db)
        out = ffi.new("MDB_cursor **")
        code = lib.pylmdb_cursor_open(ptr, slot.dbi, out)
        if code:
            raise database_error("mdb_cursor_open", code, slot)
        position = owned(ffi, ffi.new("struct pylmdb_position *"), lib.pylmdb_position_free)
        writes = txn._writes if txn._write else ffi.NULL
        if lib.pylmdb_position_init(position, out[0], slot.flags, writes):
            lib.mdb_cursor_close(out[0])
            raise MemoryError
        self.txn, self.db, self._slot, self._position = txn, txn._handle(db), slot, position
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
        """True once the cursor cannot be used any more."""
        if self.txn is None or self.txn.closed or not self._slot.alive:
            return True
        return not self.txn._native.has_cursor(self._number)

    # -- the guard ------------------------------------------------------------

    def _do(self, operation: Any, *args: Any) -> Any:
        """Call ``operation(native cursor, *args)`` if it is allowed; else raise."""
        if self.txn is None:
            raise refusal("cursor never opened")
        return self.txn._do(self._checked, operation, args)

    def _checked(self, ptr: Any, operation: Any, args: tuple[Any, ...]) -> Any:
        native = self.txn._native.cursors.get(self._number)
        if native is None:
            native = self._resume()
        self.txn._native.tree.slot = self._slot  # before the check, as in _slot_in
        if native is None or not self._slot.alive:
            raise refusal("cursor ended")
        return operation(native[0], *args)

    def _resume(self) -> Any:
        """In a forked child: return a native cursor with the position of the inherited one."""
        native = self.txn._native.resume_cursor(self._number)
        if native is not None:
            self._position.cursor, self._slot = native
            self._position.fresh = self._lib.PYLMDB_NOT_FRESH
        return native

    def _nothing(self, native: Any) -> None:
        """Do nothing.  The guard raises if no operation is allowed."""

    # -- codes of C functions --------------------------------------------------------

    def _found(self, operation: str, code: int, key: Any = None, size: int = -1) -> bool:
        """Return whether a movement or a read has found a record; raise for other codes.

        :param key: the address and size of the key that it has sought; None: it has sought none.
        :param size: that of the value that it has sought.
        """
        if code not in (0, self._lib.MDB_NOTFOUND):
            sought = None if key is None else self._copied(key)
            raise database_error("mdb_cursor_get", code, self._slot, sought, size, operation)
        return not code

    def _find(self, native: Any, operation: str, function: Any, *args: Any) -> bool:
        return self._found(operation, function(self._position, *args))

    def _write(
        self, native: Any, operation: str, otherwise: int, function: Any, *args: Any
    ) -> bool:
        """Return whether a record was written or deleted: False for the code ``otherwise``."""
        code = function(self._position, *args)
        if code not in (0, otherwise):
            ffi, position = self._ffi, self._position
            key, value, failed = position.key, position.value, position.failed
            key = ffi.buffer(key.mv_data, key.mv_size)[:] if key.mv_size else b""
            what = ffi.string(failed).decode()
            raise database_error(what, code, self._slot, key, value.mv_size, operation)
        return not code

    # -- movements --------------------------------------------------------------

    first = _movement("first")
    first_dup = _movement("first_dup")
    last = _movement("last")
    last_dup = _movement("last_dup")
    next = _movement("next")
    next_dup = _movement("next_dup")
    next_nodup = _movement("next_nodup")
    prev = _movement("prev")
    prev_dup = _movement("prev_dup")
    prev_nodup = _movement("prev_nodup")

    def _seek(self, native: Any, operation: str, op: int, key: Any, value: Any = None) -> bool:
        seek = self._lib.pylmdb_position_seek
        code = seek(self._position, *key, *(value or (self._ffi.NULL, 0)), op)
        size = value[1] if value else -1
        return self._found(operation, code, key, size)

    def set_key(self, key: Any, /) -> bool:
        key = self._raw("key", key)
        return bool(self._do(self._seek, "set_key", self._lib.MDB_SET_KEY, key))

    def set_key_dup(self, key: Any, value: Any) -> bool:
        key, value = self._raw("key", key), self._raw("value", value)
        return bool(self._do(self._seek, "set_key_dup", self._lib.MDB_GET_BOTH, key, value))

    def set_range(self, key: Any, /) -> bool:
        key = self._raw("key", key)
        return bool(self._do(self._seek, "set_range", self._lib.MDB_SET_RANGE, key))

    def set_range_dup(self, key: Any, value: Any) -> bool:
        key, value = self._raw("key", key), self._raw("value", value)
        return bool(self._do(self._seek, "set_range_dup", self._lib.MDB_GET_BOTH_RANGE, key, value))

    # -- reads --------------------------------------------------------------------

    def _empty(self) -> Any:
        return memoryview(b"") if self.txn._buffers else b""

    def _read(self, native: Any, *parts: str) -> tuple[Any, ...]:
        """Return the record's key, value or both; they are empty if there is no record."""
        if not self._find(native, "cursor", self._lib.pylmdb_position_show):
            return tuple(self._empty() for _ in parts)
        return tuple(self.txn._to_python(getattr(self._position, part)) for part in parts)

    def key(self) -> Any:
        return self._do(self._read, "key")[0]

    def value(self) -> Any:
        return self._do(self._read, "value")[0]

    def item(self) -> Any:
        return self._do(self._read, "key", "value")

    def _peek(self) -> Any:
        """The key at the position, which does not change, or None."""
        return self._do(self._read_key)

    def _read_key(self, native: Any) -> Any:
        key = self._ffi.new("MDB_val *")
        if not self._found("repr", self._lib.pylmdb_position_peek(self._position, key)):
            return None
        return self.txn._copy(key[0])

    def _read_view(self, native: Any) -> Any:
        if not self._find(native, "cursor", self._lib.pylmdb_position_show):
            return memoryview(b"")
        return self.txn._to_view(self._position.value)

    def view(self) -> Any:
        return self._do(self._read_view)

    def _seek_value(self, native: Any, key: Any, default: Any) -> Any:
        if not self._seek(native, "get", self._lib.MDB_SET_KEY, key):
            return default
        return self.txn._to_python(self._position.value)

    def get(self, key: Any, default: Any = None) -> Any:
        return self._do(self._seek_value, self._raw("key", key), default)

    def _count(self, native: Any) -> int:
        out = self._ffi.new("size_t *")
        code = self._lib.pylmdb_position_count(self._position, out)
        if code:
            raise database_error("mdb_cursor_count", code, self._slot)
        return int(out[0])

    def count(self) -> int:
        return int(self._do(self._count))

    # -- writes -------------------------------------------------------------------

    def _put(self, native: Any, operation: str, key: Any, value: Any, flags: int) -> bool:
        lib, put = self._lib, self._lib.pylmdb_position_put
        return self._write(native, operation, lib.MDB_KEYEXIST, put, *key, *value, flags)

    def put(
        self,
        key: Any,
        value: Any,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
    ) -> bool:
        flags = put_flags(dupdata, overwrite, append)
        key, value = self._raw("key", key), self._raw("value", value)
        return bool(self._do(self._put, "put", key, value, flags))

    def _append_list(self, native: Any, items: list[Any], flags: int) -> tuple[int, int]:
        """Append the pairs of bytes at the beginning; how many there are, and were added."""
        lib, position, added, at = self._lib, self._position, 0, 0
        try:
            while at < len(items):
                item = items[at]
                if type(item) is not tuple or [*map(type, item)] != [bytes, bytes]:
                    break
                key, value = item
                added += self._write(
                    native, "putmulti", lib.MDB_KEYEXIST, lib.pylmdb_position_append,
                    key, len(key), value, len(value), flags,
                )  # fmt: skip
                at += 1
        finally:
            code = lib.pylmdb_position_appended(position)
        if code:
            what = self._ffi.string(position.failed).decode()
            raise database_error(what, code, self._slot, operation="putmulti")
        return at, added

    def putmulti(
        self, items: Any, dupdata: bool = True, overwrite: bool = True, append: bool = False
    ) -> tuple[int, int]:
        flags = put_flags(dupdata, overwrite, append)
        consumed = added = 0
        self._do(self._nothing)
        if append and type(items) is list:
            consumed, added = self._do(self._append_list, items, flags)
            items = items[consumed:]
        for item in items:
            if type(item) is not tuple or len(item) != 2:
                raise refusal("putmulti without pairs")
            key, value = self._raw("key", item[0]), self._raw("value", item[1])
            added += self._do(self._put, "putmulti", key, value, flags)
            consumed += 1
        self._do(self._find, "putmulti", self._lib.pylmdb_position_refresh)
        return consumed, added

    def _delete(self, native: Any, operation: str, dupdata: bool) -> bool:
        lib = self._lib
        return self._write(native, operation, lib.MDB_NOTFOUND, lib.pylmdb_position_delete, dupdata)

    def delete(self, dupdata: bool = False) -> bool:
        return bool(self._do(self._delete, "delete", bool(dupdata)))

    def _copy_old(self, native: Any, operation: str, key: Any) -> bytes | None:
        found = self._seek(native, operation, self._lib.MDB_SET_KEY, key)
        return self.txn._copy(self._position.value) if found else None

    def _pop(self, native: Any, key: Any) -> bytes | None:
        old = self._copy_old(native, "pop", key)
        if old is not None:
            self._delete(native, "pop", False)
        return old

    def pop(self, key: Any) -> Any:
        return self._do(self._pop, self._raw("key", key))

    def _replace(self, native: Any, key: Any, value: Any) -> bytes | None:
        old = self._copy_old(native, "replace", key)
        self._write(native, "replace", 0, self._lib.pylmdb_position_replace, *key, *value)
        return old

    def replace(self, key: Any, value: Any) -> Any:
        key, value = self._raw("key", key), self._raw("value", value)
        return self._do(self._replace, key, value)

    # -- iteration ------------------------------------------------------------------

    def __iter__(self) -> CursorIterator:
        lib = self._lib
        return CursorIterator(self, True, True, lib.pylmdb_iteration_start, lib.MDB_NEXT)

    iternext = _iteration("iternext")
    iternext_dup = _iteration("iternext_dup", with_keys=False)
    iternext_nodup = _iteration("iternext_nodup", with_values=False)
    iterprev = _iteration("iterprev")
    iterprev_dup = _iteration("iterprev_dup", with_keys=False)
    iterprev_nodup = _iteration("iterprev_nodup", with_values=False)

    def range(
        self,
        start: Any = None,
        stop: Any = None,
        *,
        prefix: Any = None,
        reverse: Any = False,
        keys: Any = True,
        values: Any = True,
        limit: Any = None,
        offset: Any = 0,
        include_start: Any = True,
        include_stop: Any = False,
    ) -> Any:
        bounds = start, stop, prefix, include_start, include_stop
        return iterate_range(self, bounds, reverse, keys, values, limit, offset)

    # -- batches ----------------------------------------------------------------------

    def _collect_first(self, native: Any, key: Any, values: bool, result: list[Any]) -> None:
        if self._seek(native, "getmulti", self._lib.MDB_SET_KEY, key):
            found = [self.txn._to_python(self._position.key)]
            if values:
                found.append(self.txn._to_python(self._position.value))
            result.append(tuple(found) if values else found[0])

    def _collect_all(self, native: Any, key: Any, width: int, result: list[Any]) -> None:
        """Append the records of one key; ``width`` splits pages of fixed-size values."""
        lib, position, to_python = self._lib, self._position, self.txn._to_python
        code = lib.pylmdb_getmulti_first(position, *key, width)
        if code == lib.PYLMDB_OTHER_WIDTH:
            raise refusal("values of another width", position.value.mv_size, width)
        if not self._found("getmulti", code, key):
            return
        found_key, more = to_python(position.key), True
        while more:
            page = to_python(position.value)
            pieces = [page[i : i + width] for i in range(0, len(page), width)] if width else [page]
            result += [(found_key, piece) for piece in pieces]
            more = self._found("getmulti", lib.pylmdb_getmulti_next(position, width), key)

    def getmulti(
        self,
        keys: Any,
        dupdata: bool = False,
        dupfixed_bytes: int | None = None,
        keyfixed: bool = False,
        values: bool = True,
    ) -> Any:
        dupdata, keyfixed, values = bool(dupdata), bool(keyfixed), bool(values)
        width = 0 if dupfixed_bytes is None else integer("dupfixed_bytes", dupfixed_bytes)
        refused = self._lib.pylmdb_getmulti_refusal(width, dupdata, keyfixed, values)
        self._refuse(refused, width)
        result: list[Any] = []
        self._do(self._nothing)
        listed = take_keys("getmulti", keys)
        if dupdata:
            for key in listed:
                self._do(self._collect_all, self._raw("key", key), width, result)
        else:
            for raw in self.txn._ahead(listed, self.db):
                self._do(self._collect_first, raw, values, result)
        return _joined(result) if keyfixed else result


def _joined(records: list[tuple[Any, Any]]) -> memoryview:
    """Join keys and values; all keys must have one width."""
    if len({len(key) for key, _ in records}) > 1:
        raise refusal("keys of several widths")
    return memoryview(bytearray().join(part for record in records for part in record))
