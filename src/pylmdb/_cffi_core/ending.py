# SPDX-License-Identifier: MIT
"""Native transactions of the cffi core, and their end.

A Transaction can be dropped, closed and interrupted at any moment and in any thread: by a
finalizer, a signal handler or a KeyboardInterrupt.  So its resources are kept apart from it, in a
:class:`NativeTxn`, and each step of its end can be repeated.  One call of C clears the pointer to
the native transaction and ends it; the other steps remove entries from dicts and lists.

Ending has two halves.  *Revoking* sets a flag: from then on the transaction is ended for the
program.  *Finishing* ends the native transaction.  It must wait until no operation of the
transaction tree is in progress: neither in another thread, nor further down on the stack of this
one.  The operation that leaves last finishes what was revoked.
"""

from __future__ import annotations

import sys
import threading
import weakref
from _warnings import warn  # that of warnings, without its import
from collections import deque
from typing import TYPE_CHECKING, Any

from .._base.owners import owned
from .._core_rules.failures import database_error
from .._core_rules.refusals import refusal
from . import views as _views

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._base.threads import ThreadIdentity
    from .._core import DbSlot
    from .._shared.environment import SharedEnv
    from .transaction import TransactionCore


# How many seconds an ending thread waits for another thread that is ending its transaction.  The
# system releases the writer lock at the end of the thread.
_PATIENCE = 1.0


class TransactionTree:
    """A top-level transaction and those nested in it.  They have one lock and one guard."""

    __slots__ = (
        "busy", "dirty", "dropped_cursors", "holds", "lock", "members", "reserved", "slot",
    )  # fmt: skip

    def __init__(self) -> None:
        self.lock = threading.RLock()
        # an operation is in progress, so nothing may be finished
        self.busy = False
        # the slot of the database that the operation uses
        self.slot: DbSlot | None = None
        # the program has memory of a page to write to, so nothing may be finished either
        self.reserved = False
        # by identity: weak references to the holds, and the slots that these use
        self.holds: dict[int, tuple[weakref.ref[Any], DbSlot]] = {}
        # something was revoked and must be finished
        self.dirty = False
        self.members: list[NativeTxn] = []
        self.dropped_cursors: deque[tuple[NativeTxn, int]] = deque()

    @property
    def uses_dead_slot(self) -> bool:
        """Whether the database of the operation in progress was dropped since."""
        slot = self.slot
        return slot is not None and not slot.alive

    @property
    def is_held(self) -> bool:
        """Whether C code outside of pylmdb uses it: a hold is alive."""
        return any(hold() is not None for hold, _ in list(self.holds.values()))

    @property
    def holds_dead_slot(self) -> bool:
        """Whether a hold uses a database that was dropped."""
        return any(hold() and not slot.alive for hold, slot in list(self.holds.values()))

    @property
    def must_stay(self) -> bool:
        """Whether the program uses its memory by itself, so that nothing may be finished."""
        return self.reserved or self.is_held

    def end_reservation(self) -> None:
        """The program no longer has the memory of the reservation."""
        self.reserved = False
        self.drain()

    def drain(self) -> None:
        """Finish what was revoked.  If an operation is in progress, that does it when it leaves.

        The operation may also be further down on the stack of this thread.
        """
        while self.dirty and not (self.busy or self.must_stay or self.is_inside()):
            with self.lock:
                if self.busy or self.must_stay:
                    return
                try:
                    self.busy = True
                    self.finish_revoked()
                finally:
                    self.busy = False

    def is_inside(self) -> bool:
        """Whether an operation is in progress further down on the stack of this thread."""
        return bool(self.lock._is_owned())  # type: ignore[attr-defined]

    def finish_revoked(self) -> None:
        """Finish all revoked transactions; the caller holds the lock and has set ``busy``."""
        try:
            self.dirty = False
            while self.dropped_cursors:
                native, number = self.dropped_cursors.popleft()
                native.close_cursor(number)
            for native in reversed(self.members):
                if native.revoked:
                    native.finish()
            self.members = [native for native in self.members if not native.finished]
        except BaseException:
            self.dirty = True  # something may be left to finish
            raise


class NativeTxn:
    """A native transaction and all resources that its end releases."""

    __slots__ = (
        "__weakref__",
        "children",
        "commit_flags",
        "cursors",
        "depth",
        "exporter",
        "finished",
        "handles",
        "in_block",
        "inherited_cursors",
        "owner",
        "parent",
        "resumed",
        "revoked",
        "shared",
        "thread",
        "tree",
        "txn",
        "write",
        "writers",
    )

    # bound here, because it can be called when the interpreter exits
    owned = staticmethod(owned)

    def __init__(
        self,
        owner: TransactionCore,
        shared: SharedEnv,
        *,
        parent: NativeTxn | None = None,
        thread: ThreadIdentity | None = None,
        write: bool = False,
    ) -> None:
        self.owner = weakref.ref(owner)
        self.shared = shared
        self.parent = parent
        self.write = write
        self.tree: TransactionTree = TransactionTree() if parent is None else parent.tree
        ffi, lib = shared.engine.ffi, shared.engine.lib
        # If everything else fails, its deallocation frees the reader slot or the writer lock.
        native, within = ffi.new("struct pylmdb_txn *"), None if parent is None else parent.txn
        self.txn: Any = self.owned(ffi, native, lib.pylmdb_abort, within)
        # the number of its thread, 0 if threads may share it; the write transactions of the thread
        self.thread: int = thread.number if thread else parent.thread if parent else 0
        self.writers: set[Any] = thread.writers if thread else set()
        self.exporter: _views.Exporter | None = None
        self.children: list[NativeTxn] = []
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.cursors: dict[int, tuple[Any, DbSlot]] = {}
        # those of the parent process that were not used in this process yet
        self.inherited_cursors: dict[int, tuple[Any, DbSlot]] = {}
        # in a forked child: what continues it in an environment of that process, and the slot of
        # its database
        self.resumed: dict[Any, tuple[NativeTxn, DbSlot]] = {}
        # the databases that it has opened and dropped
        self.handles = ffi.new("struct pylmdb_handles *")
        core: Any = shared
        self.handles.reuses = core.slots.reuses
        # the sync flags to commit with; None means abort
        self.commit_flags: int | None = None
        self.revoked = self.finished = False
        # a with block refers to its owner, so that was not dropped
        self.in_block = False
        self.tree.members.append(self)
        if parent is not None:
            parent.children.append(self)

    @property
    def abandoned(self) -> bool:
        """The program cannot use it any more, but it may not be finished."""
        return self.revoked or self.owner() is None

    @property
    def has_open_child(self) -> bool:
        """A transaction that is nested in it has not ended for the program."""
        return any(not child.revoked for child in self.children)

    @property
    def is_open(self) -> bool:
        """It has begun, and has not ended for the program."""
        return bool(self.txn.ptr) and not (self.revoked or self.lost)

    @property
    def lost(self) -> bool:
        """It was begun before fork(), and a forked child cannot use it."""
        return self.shared.forked and (self.write or self.parent is not None)

    @property
    def waits_for_caller(self) -> bool:
        """Its end waits for a reservation, a hold, or an operation of the calling thread."""
        return self.tree.must_stay or self.tree.is_inside()

    def revoke(self) -> None:
        """End it and its children for the program, and natively as soon as possible.

        In a forked child only the flags are set: the native transaction belongs to the parent, and
        a thread that does not exist in the child may hold its lock.
        """
        if self.shared.forked:
            self.revoked = self.finished = True
            return
        for child in list(self.children):
            child.revoke()
        self.revoked = True
        self.tree.dirty = True
        self.tree.drain()

    def loss(
        self, owner: TransactionCore | None, refused: Callable[..., Exception] = refusal
    ) -> str:
        """Return the text of the warning that an abort loses changes; "" if there are none."""
        if owner is None or not self.write or self.revoked or not self.txn.ptr:
            return ""
        if self.shared.forked:
            return ""
        changed = self.shared.engine.lib.pylmdb_txn_is_changed(self.txn.ptr)
        if not (owner._mutations if changed < 0 else changed):
            return ""
        return str(refused("changes lost", owner.env._options.given_path))

    # What it needs is bound in parameters: the main thread ends when the interpreter has exited.
    def end_with_thread(
        self,
        _warn: Any = warn,
        _is_finalizing: Callable[[], bool] = sys.is_finalizing,
        _patience: float = _PATIENCE,
    ) -> None:
        """End it with its thread.  If another thread is using it, wait a moment for that."""
        lost = ""
        try:
            lost = self.loss(self.owner())
        finally:
            self.revoke()
        if lost:
            _warn(lost, ResourceWarning, stacklevel=1)
        if self.finished or self.shared.forked or _is_finalizing():
            return
        if self.tree.lock.acquire(timeout=_patience):
            self.tree.lock.release()
        self.tree.drain()

    def finish(self) -> None:
        """End it natively.  If it is interrupted, it can be called again."""
        if self.finished or self.shared.forked:
            self.finished = True
            return
        for child in reversed(list(self.children)):
            child.revoked = True
            child.finish()
        while self.cursors:
            self.close_cursor(next(reversed(self.cursors)))
        if self.write or self.parent is not None:
            self._finish_writer()
        elif self.exporter is not None:
            self.exporter.let_go()
            self.exporter = None
        else:
            self.shared.end_reader(self.txn)
        self.finished = True

    def _finish_writer(self) -> None:
        shared, parent, token = self.shared, self.parent, 0
        if self.handles.opened or self.handles.dropped:
            # the environment is not closed before they are settled
            token = shared.new_token()
            shared.calls[token] = shared.counted(self, token)
            with shared.dbi_lock:
                self._end_native_writer()
                self._settle_handles(self.commit_flags is not None and not self.txn.code)
        else:
            self._end_native_writer()
        if parent is None:
            self.writers.discard(self)
            shared.gate.leave(self)
        elif self in parent.children:
            parent.children.remove(self)
        shared.leave(token)

    def _end_native_writer(self) -> None:
        shared = self.shared
        if self.commit_flags is None:
            shared.engine.lib.pylmdb_abort(self.txn)
        else:
            env = shared.ptr if self.parent is None else shared.engine.ffi.NULL
            shared.engine.lib.pylmdb_commit(self.txn, env, self.commit_flags)

    def _settle_handles(self, kept: bool) -> None:
        """Publish what it has opened and dropped, to all transactions or to its parent, or undo
        it (not ``kept``).  Repeatable."""
        shared: Any = self.shared
        parents = shared.engine.ffi.NULL if self.parent is None else self.parent.handles
        shared.engine.lib.pylmdb_slots_settle(shared.slots, self.handles, parents, kept)
        shared.drop_released()

    # -- cursors ----------------------------------------------------------------

    def has_cursor(self, number: int) -> bool:
        """Whether a cursor is open."""
        return number in self.cursors or number in self.inherited_cursors

    def resume_cursor(self, number: int) -> tuple[Any, DbSlot] | None:
        """Return a native cursor with the position of one that was opened before fork()."""
        ffi, lib = self.shared.engine.ffi, self.shared.engine.lib
        inherited = self.inherited_cursors.get(number)
        if inherited is None or not inherited[1].alive:
            return None
        slot, out = self.shared.slot_again(self.txn.ptr, inherited[1]), ffi.new("MDB_cursor **")
        code = lib.pylmdb_cursor_open(self.txn.ptr, slot.dbi, out)
        if code:
            raise database_error("mdb_cursor_open", code, slot)
        if lib.pylmdb_cursor_go_on(out[0], inherited[0]):
            lib.mdb_cursor_close(out[0])
            raise refusal("cursor of another process")
        self.cursors[number] = out[0], slot
        self.inherited_cursors.pop(number, None)
        return out[0], slot

    def drop_cursor(self, number: int) -> None:
        """Close a native cursor as soon as no operation is in progress."""
        self.inherited_cursors.pop(number, None)
        if number in self.cursors and not self.shared.forked:
            self.tree.dropped_cursors.append((self, number))
            self.tree.dirty = True
            self.tree.drain()

    def close_cursor(self, number: int) -> None:
        """Close a native cursor now; no other operation of the tree is in progress."""
        entry = self.cursors.pop(number, None)
        if entry is not None and not self.shared.forked:
            self.shared.engine.lib.mdb_cursor_close(entry[0])

    def note_dropped(self, slot: Any, dies: bool) -> None:
        """Note that a database was dropped or renamed, and close its native cursors."""
        shared: Any = self.shared
        lib = shared.engine.lib
        lib.pylmdb_slots_drop(shared.slots, self.handles, slot.native, dies)
        of: Any
        for number, (_, of) in list(self.cursors.items()):
            if of.native.held & lib.PYLMDB_IN_DROPPED:
                self.close_cursor(number)
