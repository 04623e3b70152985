# SPDX-License-Identifier: MIT
"""The native environment: one per file and process, whoever uses it.

liblmdb must not open one file twice in a process, so every :class:`Environment`
of that file stands on one :class:`SharedEnv`.  Its life is counted: each open
Environment, each native transaction and each call in progress holds it, and the
last one to let go closes it.  So closing an Environment never pulls memory from
under a view, a transaction of another Environment, or a call in another thread.

Lock order: the registry's lock, then ``lock``, then ``dbi_lock``.  None of them
is held while waiting for the writer lock, nor while user code runs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._writer_gate import Deadline, WriterGate
from .errors import Error, closed, error

if TYPE_CHECKING:
    from ._engine import Engine
    from ._options import Options

MAIN_DBI = 1
# How long set_mapsize waits for calls in other threads to leave the map.  Seconds.
_RESIZE_WAIT = 1.0


class DbSlot:
    """A native database handle.  It dies once (dropped, its creation aborted,
    the environment closed) and is never revived: opening the same name again
    makes another slot, so a stale handle cannot address what took its number."""

    __slots__ = ("alive", "dbi", "flags", "name", "pending", "shared")

    def __init__(self, shared: SharedEnv, dbi: int, flags: int, name: bytes | None) -> None:
        self.shared = shared
        self.dbi = dbi
        self.flags = flags
        self.name = name
        self.alive = True
        # opened by a write transaction that has not committed yet
        self.pending = False

    def kill(self) -> None:
        """Make every handle on this slot useless for good."""
        self.alive = False


class SharedEnv:
    """A native environment (``MDB_env``) and what this process keeps about it."""

    __slots__ = (
        "__weakref__",
        "closed",
        "dbi_lock",
        "engine",
        "forked",
        "gate",
        "idle",
        "key",
        "live",
        "lock",
        "main",
        "max_spares",
        "on_last_release",
        "options",
        "pid",
        "pinned",
        "ptr",
        "resizing",
        "slots",
        "spares",
        "users",
    )

    def __init__(
        self,
        engine: Engine,
        ptr: Any,
        options: Options,
        on_last_release: Callable[[SharedEnv], None],
    ) -> None:
        self.engine = engine
        self.ptr = ptr
        self.options = options
        self.on_last_release = on_last_release
        self.pid = os.getpid()
        self.key: tuple[int, int] | None = None
        self.lock = threading.RLock()
        self.idle = threading.Condition(self.lock)
        self.resizing = False
        self.dbi_lock = threading.RLock()
        self.gate = WriterGate()
        self.users = 1
        self.live = 0
        self.closed = False
        self.forked = False
        self.spares: list[Any] = []
        self.max_spares = options.max_spare_txns
        self.slots: dict[bytes, DbSlot] = {}
        # ended transactions whose views still hold their snapshot, and since when
        self.pinned: dict[int, float] = {}
        self.main = DbSlot(self, MAIN_DBI, 0, None)

    # -- life -----------------------------------------------------------------

    def retain(self) -> bool:
        """Count one more user; False when the environment is closed already."""
        with self.lock:
            if self.closed:
                return False
            self.users += 1
            return True

    def release(self) -> None:
        """Count one user less; the last one closes the native environment."""
        with self.lock:
            self.users -= 1
            if self.users or self.closed:
                return
            self.closed = True
        if os.getpid() == self.pid:
            self.on_last_release(self)

    def close_native(self) -> None:
        """``mdb_env_close``.  Called once, by the registry, under its lock."""
        ptr, self.ptr = self.ptr, None
        if ptr is None:
            return
        for slot in (self.main, *self.slots.values()):
            slot.kill()
        self.drop_spares()
        self.engine.lib.mdb_env_close(ptr)

    def call(self, what: str, function: Callable[..., int], *args: Any) -> None:
        """Run ``function(env, *args)``; neither the environment nor its map goes meanwhile."""
        self.count_live()
        try:
            code = function(self.ptr, *args)
        finally:
            self.end_live()
        if code:
            raise error(what, code)

    # -- read transactions ------------------------------------------------------

    def begin_reader(self) -> Any:
        """A native read transaction, renewed from an idle one where there is one."""
        lib, ffi = self.engine.lib, self.engine.ffi
        self.count_live()
        try:
            while self.spares:
                try:
                    spare = self.spares.pop()
                except IndexError:
                    break
                if not lib.mdb_txn_renew(spare):
                    return spare
                lib.mdb_txn_abort(spare)
            out = ffi.new("MDB_txn **")
            self._begin(out, ffi.NULL, lib.MDB_RDONLY, -1)
            return out[0]
        except BaseException:
            self.end_live()
            raise

    def end_reader(self, ptr: Any) -> None:
        """End a native read transaction, or keep it idle for the next one."""
        if os.getpid() != self.pid:
            return
        lib = self.engine.lib
        if len(self.spares) < self.max_spares and not self.closed:
            lib.mdb_txn_reset(ptr)
            self.spares.append(ptr)
        else:
            lib.mdb_txn_abort(ptr)
        self.end_live()

    def drop_spares(self) -> None:
        """End all idle read transactions."""
        while self.spares:
            try:
                self.engine.lib.mdb_txn_abort(self.spares.pop())
            except IndexError:
                break

    # -- all transactions -------------------------------------------------------

    def begin_child(self, parent: Any, flags: int) -> Any:
        """A native transaction nested in ``parent``."""
        out = self.engine.ffi.new("MDB_txn **")
        self.count_live()
        try:
            self._begin(out, parent, flags, -1)
        except BaseException:
            self.end_live()
            raise
        return out[0]

    def try_begin(self, out: Any, deadline: Deadline) -> bool:
        """Begin a native write transaction; False if the lock was not free yet."""
        null = self.engine.ffi.NULL
        return self._begin(out, null, 0, int(deadline.slice() * 1000))

    def _begin(self, out: Any, parent: Any, flags: int, wait_ms: int) -> bool:
        lib, ffi = self.engine.lib, self.engine.ffi
        code = lib.pylmdb_txn_begin(self.ptr, parent, flags, wait_ms, out)
        if code == lib.MDB_READERS_FULL:
            self.drop_spares()
            lib.mdb_reader_check(self.ptr, ffi.NULL)
            code = lib.pylmdb_txn_begin(self.ptr, parent, flags, wait_ms, out)
        if code == lib.MDB_MAP_RESIZED and self._adopt_map_size():
            code = lib.pylmdb_txn_begin(self.ptr, parent, flags, wait_ms, out)
        if code == lib.PYLMDB_ETIMEDOUT and wait_ms >= 0:
            return False
        if code:
            raise error("mdb_txn_begin", code)
        return True

    def count_live(self) -> None:
        """A transaction or call is about to use the map; ClosedError if it must not."""
        with self.idle:
            self.idle.wait_for(lambda: not self.resizing)
            if self.closed:
                raise closed("environment", "open it again")
            self.users += 1
            self.live += 1

    def end_live(self) -> None:
        """A transaction or call uses the map no longer."""
        with self.idle:
            self.live -= 1
            if self.resizing and not self.live:
                self.idle.notify_all()
        self.release()

    # -- the map ------------------------------------------------------------------

    def _adopt_map_size(self) -> bool:
        """Take over the size that another process gave the map, if nothing of
        this process (but the beginning transaction) lies in the old one."""
        with self.lock:
            if self.live > 1:
                return False
            self.drop_spares()
            return not self.engine.lib.mdb_env_set_mapsize(self.ptr, 0)

    def set_mapsize(self, size: int, end_transactions: Callable[[], None]) -> None:
        """``mdb_env_set_mapsize``.  The map is replaced, so nothing may lie in it:
        transactions are ended, and new ones wait for the moment it takes."""
        with self.idle:
            if self.closed:
                raise closed("environment", "open it again")
            holder = self.gate.holder
            if self.resizing or (holder is not None and holder.transaction is not None):
                raise Error("set_mapsize: a write transaction is open", hint="end it first")
            self.resizing = True
            try:
                end_transactions()
                if self.pinned:
                    raise Error(
                        "set_mapsize: views into the map are alive",
                        hint="drop the memoryviews and arrays of ended transactions first",
                    )
                if not self.idle.wait_for(lambda: not self.live, timeout=_RESIZE_WAIT):
                    raise Error("set_mapsize: a transaction is open", hint="end it first")
                self.drop_spares()
                code = self.engine.lib.mdb_env_set_mapsize(self.ptr, size)
            finally:
                self.resizing = False
                self.idle.notify_all()
        if code:
            raise error("mdb_env_set_mapsize", code)

    # -- database handles ---------------------------------------------------------

    def open_slot(self, txn: Any, name: bytes | None, flags: int) -> tuple[DbSlot, bool]:
        """The slot of a database as ``txn`` sees it, and whether it is new here.

        ``mdb_dbi_open``; raises NotFoundError for a database that does not exist.
        """
        lib, ffi = self.engine.lib, self.engine.ffi
        dbi, found = ffi.new("MDB_dbi *"), ffi.new("unsigned int *")
        with self.dbi_lock:
            code = lib.pylmdb_dbi_open(txn, ffi.NULL if name is None else name, flags, dbi)
            if code:
                raise error("mdb_dbi_open", code)
            code = lib.mdb_dbi_flags(txn, dbi[0], found)
            if code:
                raise error("mdb_dbi_open", lib.MDB_NOTFOUND)
            if name is None:
                self.main.flags = found[0]
                return self.main, False
            known = self.slots.get(name)
            if known is not None and known.alive and known.dbi == dbi[0]:
                return known, False
            slot = DbSlot(self, dbi[0], found[0], name)
            self.slots[name] = slot
            return slot, True

    def forget_slot(self, slot: DbSlot) -> None:
        """The native handle is gone: dropped, or its creation was aborted."""
        slot.kill()
        with self.dbi_lock:
            if slot.name is not None and self.slots.get(slot.name) is slot:
                del self.slots[slot.name]

    # -- fork ---------------------------------------------------------------------

    def abandon(self) -> None:
        """In a forked child: this belongs to the parent; touch nothing shared."""
        self.forked = True
        self.closed = True
        self.lock = threading.RLock()
        self.idle = threading.Condition(self.lock)
        self.dbi_lock = threading.RLock()
        ptr, self.ptr = self.ptr, None
        if ptr is not None:
            self.engine.lib.pylmdb_env_abandon(ptr)
