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

    __slots__ = ("_memory", "dbi", "flags", "name", "native", "shared")
    # open_slot() sets these
    dbi: int
    flags: int

    alive = property(lambda self: self.native.alive)
    pending = property(lambda self: self.native.pending)

    @property
    def doubted(self) -> Any:
        return self.native.doubted

    @doubted.setter
    def doubted(self, doubted: bool) -> None:
        self.native.doubted = doubted

    def __init__(self, shared: Any, name: bytes | None) -> None:
        self.shared, self.name = shared, name
        ffi, lib = shared.engine.ffi, shared.engine.lib
        self.native = ffi.new("struct pylmdb_slot *")
        if name is None:
            self.dbi = self.native.dbi = lib.PYLMDB_MAIN_DBI
            self.flags, self.native.alive = 0, True
        else:
            self._memory = self.native.name = ffi.new("char[]", name)
            self.native.name_size, self.native.hash = len(name), hash(name)


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
    # bound here, because it can be called when the interpreter exits
    owned = staticmethod(owned)
    main: DbSlot
    # SharedEnv sets it
    dbi_lock: HandleLock

    if TYPE_CHECKING:
        engine: Any
        gate: Any
        forked: bool

        pool: Any

        def call(self, what: str, function: Any, *args: Any) -> None: ...

    def attach(self, engine: Any, pool: int) -> None:
        """Begin without transactions.  SharedEnv has the engine already."""
        ffi, lib = self.engine.ffi, self.engine.lib
        self.pool = self.owned(ffi, self.pool, lib.pylmdb_pool_release)
        self._children, self._pinned = {}, {}
        self.slots = self.owned(ffi, ffi.new("struct pylmdb_slots *"), lib.pylmdb_slots_free)
        self.slots.pool, self.main = self.pool, DbSlot(self, None)
        # the slots in lists of the table, and new ones; those that were opened last under a name,
        # which are looked up without the lock
        self._held: dict[Any, DbSlot] = {self.main.native: self.main}
        self._names: dict[bytes | None, DbSlot] = {}

    @property
    def databases(self) -> int:
        """How many named databases are open."""
        return int(self.slots.databases)

    @property
    def max_dbs(self) -> int:
        """How many may be open."""
        return int(self.slots.max_dbs)

    @max_dbs.setter
    def max_dbs(self, count: int) -> None:
        self.slots.max_dbs = count

    def slot_named(self, name: bytes) -> DbSlot | None:
        """Return the slot that was opened last under a name, if it is alive."""
        slot = self._names.get(name)
        return slot if slot is not None and slot.alive else None

    def open_slot(self, pointer: int, txn: Any, name: bytes | None, flags: int) -> DbSlot:
        """Return the slot of a database as a native transaction sees it."""
        lib, ffi = self.engine.lib, self.engine.ffi
        shared: Any = self  # a SharedEnv
        fresh = self.main if name is None else DbSlot(self, name)
        # The reference of the table comes first, because an exception can strike after the call.
        self._held[fresh.native] = fresh
        opening = ffi.new("struct pylmdb_db_opening *")
        opening.txn, opening.flags = ffi.cast("MDB_txn *", pointer), flags
        opening.fresh, opening.live, opening.used = fresh.native, self.live, 1
        if txn is not None and txn._thread:
            opening.handles = txn._native.handles
        code = lib.pylmdb_slots_open(self.slots, opening)
        # all transactions are checked only if a slot must be used again
        if code == lib.MDB_DBS_FULL and not self._dead_slot_is_used(txn):
            opening.used = 0
            code = lib.pylmdb_slots_open(self.slots, opening)
        found = self._held.get(opening.found)  # None: a finalizer has dropped the database since
        if found is not None:
            found.dbi, found.flags = int(found.native.dbi), int(found.native.flags)
        if found is not None and name is not None:
            self._names[name] = found
        if name is not None and not fresh.native.held:
            self._held.pop(fresh.native, None)
        self.drop_released()
        if code or found is None:
            raise open_db_error(code or lib.MDB_NOTFOUND, name, shared)
        return found

    def drop_released(self) -> None:
        """Drop the slots that are in no list any more."""
        while released := self.slots.released:
            self.slots.released = released.next_released
            slot = self._held.pop(released, None)
            if slot is not None and self._names.get(slot.name) is slot:
                del self._names[slot.name]

    def close_slots(self) -> None:
        """The environment is closed: all slots die.  Nothing else uses the table any more."""
        self.engine.lib.pylmdb_slots_close(self.slots, self.main.native)
        self.drop_released()

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
            if not len(handles) % 128 and len(handles) > 2 * slot.shared.databases:
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
