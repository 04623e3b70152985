# SPDX-License-Identifier: MIT
"""Values that are written in their place.

What ``MDB_RESERVE`` gives is memory of a page that the next write in the transaction
may move.  So while anything can reach the buffer of ``reserve()``, the transaction does
nothing else: every operation raises BufferError, and its end, whoever asks for it,
waits.
"""

from __future__ import annotations

from _operator import index
from contextlib import suppress

from .._base.buffers import as_buffer
from .._base.put_flags import append_flag, put_flags
from .._core_rules.refusals import database_error
from .._typing import TYPE_CHECKING
from ..errors import Error, KeyExistsError, error

if TYPE_CHECKING:
    from typing import Any

    from .._aliases import CData
    from .._core import DbSlot, TransactionCore
    from ..database import Database
    from ..types import BytesLike


def stored(txn: TransactionCore, slot: DbSlot, key: bytes | memoryview, code: int) -> bool:
    """What the code of putting a record means; False if one is in the way."""
    lib = txn._engine.lib
    txn._mutations += txn._write
    if code == lib.MDB_INCOMPATIBLE and slot.flags & lib.MDB_DUPSORT:
        hint = "values of a database with duplicates have their place by what they are"
        raise error("mdb_put", code, hint)
    if code and code != lib.MDB_KEYEXIST:
        raise database_error("mdb_put", code, slot, key)
    return not code


def reserve(
    ptr: CData, txn: TransactionCore, slot: DbSlot, key: bytes | memoryview, size: int, flags: int
) -> CData:
    """Inside the guard: the address of a new value, good until the next write; None if
    a record is in the way."""
    ffi, lib = txn._engine.ffi, txn._engine.lib
    raw, out = ffi.from_buffer(key), ffi.new("void **")
    code = lib.pylmdb_reserve(ptr, slot.dbi, slot.flags, raw, len(key), size, flags, out)
    return out[0] if stored(txn, slot, key, code) else None


class Reservation:
    """What ``Transaction.reserve`` returns: a context manager, to be entered once."""

    def __init__(
        self,
        txn: Any,
        key: BytesLike,
        nbytes: int,
        overwrite: bool,
        append: bool,
        db: Database | None,
    ) -> None:
        self._txn, self._db = txn, db
        self._key, self._size = bytes(as_buffer("key", key)), index(nbytes)
        if self._size < 0:
            raise ValueError(f"nbytes must be at least 0, not {self._size}")
        self._overwrite, self._append = bool(overwrite), bool(append)
        self._view: memoryview | None = None
        self._lease: CData = None

    def __enter__(self) -> memoryview:
        if self._lease is not None:
            raise Error("this reservation was entered before", hint="make another one")
        self._txn._do(self._begin)
        lease: CData = self._lease
        view = self._view = memoryview(lease)
        return view

    def _begin(self, ptr: CData) -> None:
        txn = self._txn
        slot, engine = txn._slot_in(ptr, self._db), txn._engine
        flags = put_flags(True, self._overwrite) | append_flag(slot, self._append)
        pointer = reserve(ptr, txn, slot, self._key, self._size, flags)
        if pointer is None:
            raise self._in_the_way()
        address = int(engine.ffi.cast("uintptr_t", pointer))
        # The end of a reservation that has not begun does nothing.
        self._lease = engine.lease_class(address, self._size, txn._end_reservation)
        txn._begin_reservation()

    def _in_the_way(self) -> KeyExistsError:
        other = ", or of one behind it" if self._append else ""
        return KeyExistsError(f"reserve: there is a record of the key {self._key!r}{other}")

    def __exit__(self, kind: object, *exc: object) -> None:
        view, self._view = self._view, None
        if view is None:
            return
        with suppress(BufferError):
            view.release()
        if not self._lease.close() and kind is None:
            raise BufferError(
                "slices, arrays or other buffers made of the reserved one are still alive; the"
                " transaction can be used again when they are gone"
            )


class CopiedReservation(Reservation):
    """The same where there is no C type to watch over memory: the value is copied."""

    def __enter__(self) -> memoryview:
        if self._lease is not None:
            raise Error("this reservation was entered before", hint="make another one")
        self._lease = bytearray(self._size)
        view = self._view = memoryview(self._lease)
        return view

    def __exit__(self, kind: object, *exc: object) -> None:
        view, self._view = self._view, None
        if view is None:
            return
        with suppress(BufferError):
            view.release()
        if kind is not None:
            return
        stored = self._txn.put(
            self._key, self._lease, overwrite=self._overwrite, append=self._append, db=self._db
        )
        if not stored:
            raise self._in_the_way()


def reservation(txn: Any, *args: Any) -> Reservation:
    """``Transaction.reserve``."""
    if txn._engine.lease_class is None:
        return CopiedReservation(txn, *args)
    return Reservation(txn, *args)
