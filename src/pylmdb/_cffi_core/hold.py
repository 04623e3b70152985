# SPDX-License-Identifier: MIT
"""Holds: transactions that C code outside of pylmdb uses."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from .._core_rules.failures import database_error
from .._core_rules.refusals import refusal
from .transaction import TransactionCore

if TYPE_CHECKING:
    from .ending import NativeTxn


class Hold:
    """A hold of a transaction (``txn``) with one of its databases (``db``), for C functions, which
    get its native handles; :func:`pylmdb.lowlevel.hold` makes it."""

    # The tree of the transaction has a weak reference to it, so a hold that was dropped does not
    # count.  It is released once its entry in the tree is removed, which can be repeated.
    _native: NativeTxn | None
    _txn: Any

    __slots__ = ("__weakref__", "_dbi", "_native", "_ptr", "_txn")

    def __new__(cls, txn: Any, db: Any = None) -> Hold:
        if not isinstance(txn, TransactionCore):
            raise refusal("not a transaction", "txn", type(txn))
        self = object.__new__(cls)
        self._native, self._txn = None, txn
        txn._guard(False, self._acquire, (db,), holding=True)
        return self

    def _acquire(self, ptr: Any, db: Any) -> None:
        txn = self._txn
        slot, native = txn._slot_in(ptr, db), txn._native
        # The transaction learns of the database, before C code uses it in several threads.
        out = txn._ffi.new("MDB_cursor **")
        code = txn._lib.pylmdb_cursor_open(ptr, slot.dbi, out)
        if code:
            raise database_error("mdb_cursor_open", code, slot)
        txn._lib.mdb_cursor_close(out[0])
        self._ptr, self._dbi, self._native = ptr, slot.dbi, native
        native.tree.holds[id(self)] = weakref.ref(self), slot

    def _use(self) -> None:
        if self._native is None:
            raise refusal("hold released")
        if self._native.shared.forked:
            raise refusal("hold of another process")

    @property
    def txn(self) -> Any:
        """The native transaction: ``MDB_txn *``."""
        self._use()
        return self._ptr

    @property
    def dbi(self) -> int:
        """The number of the database in this transaction: ``MDB_dbi``."""
        self._use()
        return int(self._dbi)

    @property
    def released(self) -> bool:
        """True once the hold was released."""
        return self._native is None

    def release(self) -> None:
        """End the hold; does nothing the second time."""
        native = self._native
        if native is not None:
            native.tree.holds.pop(id(self), None)
            self._native = self._txn = None
            native.tree.drain()

    def __enter__(self) -> Hold:
        self._use()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def __del__(self) -> None:
        native = getattr(self, "_native", None)  # an exception may have struck in __new__
        if native is not None:
            self.release()
