# SPDX-License-Identifier: MIT
"""The seam: what a core gives to the classes that stand on it.

A core is two types.  Each engine joins them with the public classes: Transaction
with TransactionCore, Cursor with CursorCore (``_engine.Engine.concrete``).  They
implement the operations that run once per record, which Transaction and Cursor
document, and begin, commit and abort; everything else is written once above the
seam with ``_do``.  ``_core_cffi.py`` is one core; a C core keeps the same names.
"""

from collections.abc import Callable
from typing import Any

from ._shared_env import DbSlot, SharedEnv
from .environment import Environment

class TransactionCore:
    env: Environment
    _shared: SharedEnv
    # the native transaction; None once it has ended for the user
    _ptr: Any
    # what the core keeps apart from the object, so that no end is lost: its
    # attributes opened, parent, children and revoked are used above the seam
    _native: Any
    _write: bool
    _buffers: bool
    # the number of the thread it belongs to; 0 where threads may share it
    _thread: int
    # counts changes made by this transaction
    _mutations: int

    def _do(self, operation: Callable[..., Any], *args: Any) -> Any:
        """The guard: run ``operation(native transaction, *args)``, or raise."""

    def _revoke(self) -> None:
        """The closer: end the transaction from any thread, without waiting."""

    def _slot_in(self, ptr: Any, db: Any) -> DbSlot:
        """Inside ``_do``: the native handle that a ``db`` argument means."""

    def _handle(self, db: Any) -> Any:
        """The database handle that a ``db`` argument means."""

    def _retry_adopted(self, ptr: Any, slot: DbSlot, code: int, call: Callable[[], int]) -> int:
        """Inside ``_do``: repeat ``call`` if it failed for a handle opened later."""

    def _note_opened(self, slot: DbSlot) -> None:
        """A handle that dies if this transaction is aborted."""

    def _note_dropped(self, slot: DbSlot) -> None:
        """Inside ``_do``: the slot's database was dropped by this transaction."""

class CursorCore:
    db: Any
    txn: Any
    _slot: DbSlot
    _lib: Any
    _ffi: Any

    def _do(self, operation: Callable[..., Any], *args: Any) -> Any:
        """The guard: run ``operation(native cursor, *args)``, or raise."""
