# SPDX-License-Identifier: MIT
"""``reserve()``: memory of a page, for a value that the caller fills in.

``MDB_RESERVE`` gives an address in a page that the next write of the transaction may move.  So as
long as anything can reach the buffer of ``reserve()``, every other operation of the transaction
raises BufferError, and the native transaction does not end.
"""

from __future__ import annotations

from os import getpid

from .._base.buffers import as_buffer
from .._base.flags import put_flags
from .._base.integers import BYTES, integer
from .._typing import TYPE_CHECKING
from ..errors import Error, KeyExistsError, error
from .failures import database_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._aliases import CData
    from .._array_methods import TransactionArrays
    from .._core import DbSlot, TransactionCore
    from ..database import Database
    from ..types import BytesLike


def stored(
    txn: TransactionCore,
    operation: str,
    slot: DbSlot,
    key: bytes | memoryview,
    size: int,
    code: int,
) -> bool:
    """Raise the error for a code of putting a record.  Return False if the key exists."""
    lib = txn._engine.lib
    txn._mutations += txn._write
    if code == lib.MDB_INCOMPATIBLE and slot.flags & lib.MDB_DUPSORT:
        problem = "reserve: a database with duplicates sorts values, which are not known yet"
        raise error("mdb_put", code, "use put()", problem)
    if code and code != lib.MDB_KEYEXIST:
        raise database_error("mdb_put", code, slot, key, size, operation)
    return not code


def reserve(
    ptr: CData,
    txn: TransactionCore,
    operation: str,
    slot: DbSlot,
    key: bytes | memoryview,
    size: int,
    flags: int,
) -> CData:
    """Inside the guard: return the address of a new value; None if the key exists.

    It is valid until the next write.
    """
    ffi, lib = txn._engine.ffi, txn._engine.lib
    raw, out = ffi.from_buffer(key), ffi.new("void **")
    code = lib.pylmdb_reserve(ptr, slot.dbi, slot.flags, raw, len(key), size, flags, out)
    return out[0] if stored(txn, operation, slot, key, size, code) else None


class CopiedLease:
    """Memory that is copied into the page at the end of the block, for a Python in which no C type
    can count views.

    :param address: where the value is in the page, until ``end`` is called.
    :param end: tells the transaction that the program no longer has the memory.
    """

    def __init__(self, ffi: CData, address: int, size: int, end: Callable[[], None]) -> None:
        self.memory = bytearray(size)
        self._ffi, self._address, self._pid = ffi, address, getpid()
        self._end: Callable[[], None] | None = end

    def close(self) -> bool:
        """Copy the memory into the page.  A forked child copies nothing."""
        if self._end is not None:
            if self._pid == getpid():
                target = self._ffi.cast("char *", self._address)
                self._ffi.memmove(target, self.memory, len(self.memory))
            self.__del__()
        return True

    def __del__(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()


class Reservation:
    """The context manager that ``Transaction.reserve`` returns.  It can be entered once."""

    def __init__(
        self,
        txn: TransactionArrays,
        key: BytesLike,
        nbytes: int,
        overwrite: bool,
        append: bool,
        db: Database | None,
    ) -> None:
        self._txn, self._db = txn, db
        self._key = bytes(as_buffer("key", key))
        self._size = integer("reserve: nbytes", nbytes, BYTES)
        if self._size < 0:
            raise ValueError(f"reserve: nbytes must be at least 0, not {self._size}")
        self._flags = put_flags(True, bool(overwrite), bool(append))
        self._other = ", or a greater one," if append else ""
        self._view: memoryview | None = None
        self._lease: CData = None

    def __enter__(self) -> memoryview:
        if self._lease is not None:
            raise Error("this reservation was entered before", hint="make another one")
        self._txn._do(self._begin)
        lease: CData = self._lease
        memory: CData = getattr(lease, "memory", lease)
        view = self._view = memoryview(memory)
        return view

    def _begin(self, ptr: CData) -> None:
        txn = self._txn
        slot, engine = txn._slot_in(ptr, self._db), txn._engine
        pointer = reserve(ptr, txn, "reserve", slot, self._key, self._size, self._flags)
        if pointer is None:
            raise KeyExistsError(f"reserve: the key {self._key[:64]!r}{self._other} exists already")
        address = int(engine.ffi.cast("uintptr_t", pointer))
        # ending a reservation that has not begun does nothing
        if engine.lease_class is None:
            self._lease = CopiedLease(engine.ffi, address, self._size, txn._end_reservation)
        else:
            self._lease = engine.lease_class(address, self._size, txn._end_reservation)
        txn._begin_reservation()

    def __exit__(self, kind: object, *exc: object) -> None:
        view, self._view = self._view, None
        if view is None:
            return
        # without globals, because the interpreter may be exiting
        try:  # noqa: SIM105
            view.release()
        except BufferError:
            pass
        if not self._lease.close() and kind is None:
            raise BufferError(
                "reserve: slices, arrays or other views of the buffer are still alive; the"
                " transaction can be used again when they are gone"
            )
