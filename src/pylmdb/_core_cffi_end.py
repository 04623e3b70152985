# SPDX-License-Identifier: MIT
"""How the cffi core ends native transactions, now or when nothing is in the way.

A family is a top-level transaction with all that are nested in it.  Ending one
of them for its user takes the native handle out of the object and appends a
:class:`NativeEnd` to the family's queue.  The queue is drained by whoever finds
no operation in progress; an operation in progress drains it as it leaves.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._core_cffi import TransactionCore


class Family:
    """What a top-level transaction and those nested in it have in common."""

    __slots__ = ("busy", "depth", "ends", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.busy = False
        self.depth = 0
        self.ends: deque[Callable[[], None]] = deque()

    def drain(self) -> None:
        """Carry out the pending ends, unless an operation is in progress: it will."""
        while self.ends:
            if not self.lock.acquire(blocking=False):
                return
            try:
                if self.busy:
                    return
                try:
                    end = self.ends.popleft()
                except IndexError:
                    return
                end()
            finally:
                self.lock.release()


class NativeEnd:
    """The native end of a transaction, carried out once, by whoever may."""

    __slots__ = (
        "claim",
        "code",
        "commit",
        "cursors",
        "exporter",
        "family",
        "identity",
        "lib",
        "nested",
        "opened",
        "parent_opened",
        "ptr",
        "shared",
        "write",
    )

    def __init__(self, txn: TransactionCore, ptr: Any, commit: Callable[[Any], int] | None) -> None:
        self.ptr, self.commit, self.code = ptr, commit, 0
        self.lib, self.shared, self.family = txn._lib, txn._shared, txn._family
        self.write, self.nested = txn._write, txn._parent is not None
        self.cursors, self.opened = txn._cursors, txn._opened
        self.exporter, self.claim, self.identity = txn._exporter, txn._claim, id(txn)
        self.parent_opened = txn._parent._opened if txn._parent is not None else None
        if txn._parent is not None:
            txn._parent._children.pop(self.identity, None)

    def run(self) -> None:
        shared, lib = self.shared, self.lib
        # In a forked child, which may get here before it is told: all of this is the parent's.
        if shared.forked or shared.ptr is None or os.getpid() != shared.pid:
            return
        while self.cursors:
            lib.mdb_cursor_close(self.cursors.popitem()[1][0])
        if not self.write and not self.nested:
            self._end_reader()
            return
        with shared.dbi_lock if self.opened else nullcontext():
            if self.commit is None:
                lib.mdb_txn_abort(self.ptr)
            else:
                self.code = self.commit(self.ptr)
        self._settle_handles(kept=self.commit is not None and not self.code)
        if self.nested:
            self.family.depth -= 1
        if self.claim is not None:
            self.claim.writers.pop(self.identity, None)
            shared.gate.leave(self.claim)
        shared.end_live()

    def _end_reader(self) -> None:
        exporter, self.exporter = self.exporter, None
        if exporter is None:
            self.shared.end_reader(self.ptr)
            return
        exporter.let_go()  # ends the native transaction now, or with the last view

    def _settle_handles(self, kept: bool) -> None:
        for slot in self.opened:
            if not kept:
                self.shared.forget_slot(slot)
            elif self.parent_opened is None:
                slot.pending = False
        if kept and self.parent_opened is not None:
            self.parent_opened.extend(self.opened)
