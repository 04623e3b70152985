# SPDX-License-Identifier: MIT
"""The core's half of the native environment: slots of databases, and open transactions."""

from __future__ import annotations

import time
import weakref
from _thread import RLock
from typing import TYPE_CHECKING, Any

from .._base import threads as _threads
from .._base.collecting import free_dropped
from .._base.keywords import explains_keywords
from .._base.owners import owned
from .._core_rules.failures import open_db_error
from .._core_rules.refusals import refusal

# held while handles are opened, dropped, or settled
HandleLock = RLock

# The classes of new objects, by the name of the core's type; publish() sets them.
public_classes: dict[str, type] = {}


class DbSlot:
    """A native database handle (``MDB_dbi``).  It dies once: when the database is dropped, its
    creation is aborted, or the environment is closed.  It is never revived.  Opening the same name
    again makes another slot, so an old handle cannot refer to another database of its number."""

    __slots__ = (
        "alive", "dbi", "doubted", "flags", "name", "pending", "reuse", "shared", "since",
    )  # fmt: skip

    def __init__(self, shared: Any, dbi: int, flags: int, name: bytes | None) -> None:
        self.shared = shared
        self.dbi = dbi
        self.flags = flags
        self.name = name
        self.alive = True
        # opened by a write transaction that has not committed yet
        self.pending = False
        # its database may no longer exist: open_db() must look
        self.doubted = False
        # if its number has meant another database before: how often numbers had been used again
        # then, and the transaction that used this one again
        self.reuse = self.since = 0

    def kill(self) -> None:
        """Make all handles of this slot invalid for ever."""
        self.alive = False


class SharedCore:
    """The transactions of a native environment; SharedEnv derives from it."""

    # the open transactions, by identity
    _children: dict[int, weakref.ref[Any]]
    admitting = False
    # compact() has replaced the file
    replaced = False
    # the pinned snapshots, by address: their numbers, and since when
    _pinned: dict[int, tuple[int, float]]
    # how many transactions the pool does not count: here it counts all of them
    live = 0
    # the open databases by name, and the last slot of each number, None once the number was
    # retired; how many databases may be open; how often a number was used again
    slots: dict[bytes, DbSlot]
    numbers: dict[int, DbSlot | None]
    max_dbs = reuses = 0
    # bound here, so that what it has given out stays when the interpreter exits
    owned = staticmethod(owned)
    # SharedEnv sets these
    main: DbSlot
    dbi_lock: HandleLock

    if TYPE_CHECKING:
        engine: Any
        gate: Any
        forked: bool

        pool: Any

        def call(self, what: str, function: Any, *args: Any) -> None: ...
        def retire(self, number: int) -> None: ...

    def attach(self, engine: Any, pool: int) -> None:
        """Begin without transactions.  SharedEnv has the engine already."""
        self.pool = self.owned(engine.ffi, self.pool, engine.lib.pylmdb_pool_release)
        self._children, self._pinned = {}, {}
        self.slots, self.numbers = {}, {}
        self._opened: list[Any] = []

    def open_slot(self, pointer: int, txn: Any, name: bytes | None, flags: int) -> DbSlot:
        """Return the slot of a database as a native transaction sees it, as ``slot.c`` does."""
        lib, ffi = self.engine.lib, self.engine.ffi
        ptr = ffi.cast("MDB_txn *", pointer)
        known = self.main if name is None else self.slots.get(name)
        shared: Any = self  # a SharedEnv
        if known is None and len(self.slots) >= self.max_dbs:
            raise open_db_error(lib.MDB_DBS_FULL, name, shared)
        # not used by another call: a finalizer can open a database during this call
        found = self._opened.pop() if self._opened else ffi.new("struct pylmdb_opened *")
        args = self.pool, ptr, ffi.NULL if name is None else name, flags, self.live
        if known is not None:
            known.doubted = False  # so that another thread can set it from now on
        code = self._open_or_reuse(args, txn, found)
        if code == lib.PYLMDB_GONE:
            self.retire(found.dbi)
            code = self._open_or_reuse(args, txn, found)
        slot = known if code else self._take_slot(ptr, txn, name, found)
        is_pending = found.pending
        if slot is not None and (code or lib.pylmdb_txn_is_old(ptr)):
            slot.doubted = True
        if code or slot is None:
            raise open_db_error(code, name, shared)
        self._opened.append(found)
        # There is one write transaction at a time, so it sees all databases that are not committed.
        # A reader sees the database if the writer has dropped it and is creating it again: then the
        # handle that was found is not pending.  Without the shim, a handle that a read transaction
        # has opened is closed with the transaction, too.
        writes = txn is not None and txn._thread
        hidden = slot.pending and is_pending and not writes
        if hidden and (txn is None or slot not in txn._opened):
            raise open_db_error(lib.MDB_NOTFOUND, name, shared)
        return slot

    def _open_or_reuse(self, args: tuple[Any, ...], opener: Any, found: Any) -> int:
        """Open a database.  All transactions are checked only if a slot must be used again."""
        lib = self.engine.lib
        code = lib.pylmdb_open_db(*args, 1, found)
        if code == lib.MDB_DBS_FULL and not self._dead_slot_is_used(opener):
            code = lib.pylmdb_open_db(*args, 0, found)
        return int(code)

    def _dead_slot_is_used(self, opener: Any) -> bool:
        """Whether an operation in progress uses the slot of a dropped database."""
        own = None if opener is None else opener._native.tree
        trees = {
            txn._native.tree
            for txn in [reference() for reference in list(self._children.values())]
            if txn is not None and txn._native is not None
        }
        if any(each.holds_dead_slot for each in trees):
            return True
        return any(each.busy and each.uses_dead_slot for each in trees if each is not own)

    def _take_slot(self, ptr: Any, txn: Any, name: bytes | None, found: Any) -> DbSlot:
        """Return the slot of the database that was found: the known one, or a new one."""
        if name is None:
            self.main.flags = found.flags
            return self.main
        known, number = self.slots.get(name), found.dbi
        if known is not None and known.alive and known.dbi == number:
            return known
        slot = DbSlot(self, number, found.flags, name)
        before = self.numbers.get(number)
        if before is not None and before.name == name:
            # the number was not retired since then, so it has always meant this database
            slot.reuse, slot.since = before.reuse, before.since
        elif number in self.numbers:
            self.reuses += 1
            slot.reuse, slot.since = self.reuses, int(self.engine.lib.mdb_txn_id(ptr))
        if found.pending:
            slot.pending = True
            txn._opened.append(slot)
        self.numbers[number] = self.slots[name] = slot
        return slot

    @property
    def left_behind(self) -> bool:
        """Whether its Environments use another native environment now."""
        return self.replaced or self.forked

    def pinned(self) -> list[tuple[int, float]]:
        """Return the pinned snapshots: their numbers, and since when."""
        return [] if self.forked else list(self._pinned.values())

    def note_pinned(self, key: int, number: int) -> None:
        """From now on views pin a snapshot."""
        self._pinned[key] = number, time.time()

    def forget_pinned(self, key: int) -> None:
        """The last view of a snapshot was freed."""
        self._pinned.pop(key, None)

    def free_idle(self) -> None:
        """Free the idle read transactions that the pool does not have; here it has all of them."""

    def adopt_child(self, transaction: Any) -> None:
        """Add a transaction to those that end with their Environment."""
        children, key = self._children, id(transaction)
        children[key] = weakref.ref(transaction, lambda _: children.pop(key, None))
        if transaction.env._shared is not self:
            raise refusal("environment closed")

    def revoke_children(self, env: Any) -> None:
        """End the transactions of an Environment, the newest first."""
        for reference in reversed(list(self._children.values())):
            transaction = reference()
            if transaction is not None and transaction.env is env:
                transaction._revoke()

    @property
    def writer_open(self) -> bool:
        """Whether a write transaction of this process is open."""
        holder = self.gate.holder
        return holder is not None and not holder.abandoned

    @property
    def last_commit(self) -> int | None:
        """The number of the last committed transaction of any process; None if a transaction
        could not begin at once."""
        if not self.admitting or self.forked:
            return None
        out = self.engine.ffi.new("MDB_envinfo *")
        self.call("mdb_env_info", self.engine.lib.mdb_env_info, out)
        return int(out.me_last_txnid)

    def own_writer(self) -> Any:
        """The innermost write transaction that the calling thread has open, or None."""
        native = self._own_native()
        if native is not None and not native.in_block:
            dropped = native
            free_dropped(lambda: dropped.abandoned)
            native = self._own_native()
        return None if native is None else native.owner()

    def _own_native(self) -> Any:
        native, inner = None, self.gate.holder
        if inner is not None and inner.thread != _threads.current().number:
            return None
        while inner is not None and inner.is_open:
            native, writers = inner, [each for each in inner.children if each.write]
            inner = next((each for each in writers if each.is_open), None)
        return native


class DatabaseCore:
    """What a Database consists of; one whose __init__ was never called is closed."""

    _env: Any = None
    _name: bytes | None = None
    _slot: DbSlot | None = None

    if TYPE_CHECKING:

        def _slot_for(self, shared: Any, ptr: Any, txn: Any) -> Any: ...


class EnvironmentCore:
    """The base of Environment, with the methods that the C core has in C."""

    _shared: Any = None
    _readonly, _sync, _metasync = False, True, True
    # the living handles, by name; made by the first one
    _handles: dict[bytes | None, weakref.ref[Any]] | None = None

    if TYPE_CHECKING:

        def _use(self) -> Any: ...
        def _open_db(self, *args: Any) -> Any: ...
        def _ask(self, what: str) -> Any: ...

    @explains_keywords
    def begin(
        self,
        db: Any = None,
        parent: Any = None,
        write: bool = False,
        buffers: bool = False,
        *,
        timeout: float | None = None,
        sync: bool | None = None,
        metasync: bool | None = None,
    ) -> Any:
        self._use()  # a closed environment is refused before anything else
        return public_classes["TransactionCore"](
            self, db, parent, write, buffers, timeout=timeout, sync=sync, metasync=metasync
        )

    @explains_keywords
    def open_db(
        self,
        key: Any = None,
        txn: Any = None,
        reverse_key: bool = False,
        dupsort: bool = False,
        create: bool = True,
        integerkey: bool = False,
        integerdup: bool = False,
        dupfixed: bool = False,
    ) -> Any:
        return self._open_db(
            key, txn, reverse_key, dupsort, create, integerkey, integerdup, dupfixed
        )

    def _handle(self, name: bytes | None, slot: DbSlot) -> Any:
        """Return the handle to a database: the one that is alive, or a new one."""
        handles = self._handles
        if handles is None:
            handles = self._handles = {}
        known = handles.get(name)
        handle = None if known is None else known()
        if handle is None or handle._slot is not slot:
            if not len(handles) % 128 and len(handles) > 2 * len(slot.shared.slots):
                for dead in [each for each, known in handles.items() if known() is None]:
                    handles.pop(dead, None)
            handle = public_classes["DatabaseCore"](self, name, slot)
            handles[name] = weakref.ref(handle)
        return handle

    def stat(self) -> Any:
        return self._ask("stat")

    def info(self) -> Any:
        return self._ask("info")

    def max_key_size(self) -> int:
        return int(self._ask("max_key_size"))

    def max_readers(self) -> int:
        return int(self._ask("max_readers"))
