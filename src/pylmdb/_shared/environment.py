# SPDX-License-Identifier: MIT
"""The native environment: one per file and process, whoever uses it.

liblmdb must not open one file twice in a process, so every :class:`Environment`
of that file stands on one :class:`SharedEnv`.  It is counted: by its ``users``,
the open Environments; by its ``calls``, which are in progress; and by the native
transactions that are alive, which C counts.  The last to leave closes it.  So
closing an Environment never pulls memory from under a view, a transaction of
another Environment, or a call in another thread.

Users, calls and claims to resize are dicts of tokens, because adding and removing a
token is atomic and can be repeated: neither threads, nor finalizers, nor an exception
between any two steps can make the count wrong.  With each token goes a weak reference
to what it stands for; one that is dead does not count.  What enters puts its token in and
then looks at ``closed`` and ``resizing``; what closes or resizes sets these and
then looks for tokens; so one of the two sees the other.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from _thread import RLock, get_ident
from _weakref import ref

from .._core_rules.refusals import refusal
from .._core_rules.writer_gate import WriterGate
from .._typing import TYPE_CHECKING
from .._which_core import DbSlot, SharedCore
from ..errors import (
    BusyError,
    ReplacedError,
    checksums,
    error,
)
from .exclusive import LOOK, Alone, Resizing
from .growth import plan
from .options import DEFAULT_MAX_DBS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._aliases import CData
    from .._core_rules.writer_gate import Deadline
    from .._engine import Engine
    from ..errors import Error
    from .options import Options

MAIN_DBI = 1

# tells the users and calls of all environments apart
tokens = itertools.count(1)


class _Call:
    """A call in progress; it dies with its frame."""

    __slots__ = ("__weakref__", "token")

    def __init__(self) -> None:
        self.token = next(tokens)


class SharedEnv(SharedCore):
    """A native environment (``MDB_env``) and what this process keeps about it."""

    # of the data file, once somebody has asked
    page_size: int | None = None
    # for what can run when the interpreter exits and has set the names in os to None
    getpid = staticmethod(os.getpid)

    def __init__(
        self,
        engine: Engine,
        box: CData,
        options: Options,
        on_last_leave: Callable[[SharedEnv], None],
    ) -> None:
        self.engine = engine
        # where the native environment is noted until it is closed; its address for use
        self.box, self.ptr = box, box[0]
        self.options = options
        self.on_last_leave = on_last_leave
        self.pid = os.getpid()
        self.key: tuple[int, int] | None = None
        # all that it is known by in the registry
        self.keys: tuple[tuple[int, int], ...] = ()
        self.users: dict[int, ref[Any]] = {}
        self.calls: dict[int, ref[_Call]] = {}
        self.resizing: dict[int, ref[Resizing]] = {}
        ffi, lib = engine.ffi, engine.lib
        self.pool = ffi.gc(
            lib.pylmdb_pool_new(self.ptr, options.max_spare_txns), lib.pylmdb_pool_release
        )
        if not self.pool:
            raise MemoryError
        self.attach(engine, int(ffi.cast("uintptr_t", self.pool)))
        self.closed = self.replaced = False
        self.dbi_lock = RLock()
        self.gate = WriterGate()
        self.max_dbs = DEFAULT_MAX_DBS if options.max_dbs is None else options.max_dbs
        self.main = DbSlot(self, MAIN_DBI, 0, None)

    # -- life -----------------------------------------------------------------

    @staticmethod
    def new_token() -> int:
        """What a user or call is counted by."""
        return next(tokens)

    @property
    def forked(self) -> bool:
        """True in a child of fork(): all of this belongs to the parent."""
        return self.getpid() != self.pid

    @property
    def in_use(self) -> bool:
        """Whether a transaction or call lies in the map."""
        return bool(self._live()) or bool(self._alive(self.calls))

    @staticmethod
    def _alive(references: dict[int, ref[Any]]) -> list[Any]:
        """What is still alive of that to which weak references lead; the others are dropped."""
        found = []
        for token, reference in list(references.items()):
            owner = reference()
            if owner is None:
                references.pop(token, None)
            else:
                found.append(owner)
        return found

    def _live(self) -> int:
        return self.live + int(self.engine.lib.pylmdb_pool_live(self.pool))

    @property
    def resizer(self) -> Resizing | None:
        """Whose claim to replace the map is granted: the first one's."""
        return next(iter(self._alive(self.resizing)), None) if self.resizing else None

    def used_by(self) -> list[Any]:
        """The Environments that are open, and what has exclusive access."""
        return self._alive(self.users)

    @property
    def gone(self) -> bool:
        """True once the native environment is closed."""
        return not self.box[0]

    def pins(self) -> int:
        """How many ended transactions are held by views."""
        return len(self.held())

    def drain(self) -> None:
        """End all idle transactions."""
        self.drop_parked()
        self.engine.lib.pylmdb_pool_drain(self.pool)

    def widen(self, options: Options) -> None:
        """Somebody else opens the environment, too: he gets at least as many idle
        transactions and as much room as he asks for."""
        wanted = max(int(self.pool.keep), options.max_spare_txns)
        self.pool.keep = min(wanted, self.engine.lib.PYLMDB_MAX_IDLE)
        _, most, _, fixed = plan(options)
        self.engine.lib.pylmdb_env_widen(self.ptr, most, fixed)
        if options.subdir == self.options.subdir:
            self.engine.lib.pylmdb_env_named(self.ptr, options.path)

    def admit(self) -> None:
        """Let the core begin transactions at once, if nothing speaks against it.

        Who closes or resizes takes that back before he looks who is inside.
        """
        self.admitting = bool(self.users) and not self.closed and self.resizer is None

    def enter(self, token: int, user: object) -> None:
        """Count an Environment among the users."""
        self.users[token] = self._noted(user, token)
        self.admit()

    def _noted(self, owner: object, token: int) -> ref[Any]:
        """A reference to a user or call that leaves for it if it dies without that."""
        return ref(owner, lambda _: self.leave(token))

    def leave(self, token: int = 0) -> None:
        """A call, a transaction or an Environment is done; the last one closes."""
        self.admitting = False
        self.calls.pop(token, None)
        self.users.pop(token, None)
        if not (self.gone or self.forked or self.used_by() or self.in_use):
            self.on_last_leave(self)
        self.admit()

    def close_native(self) -> None:
        """``mdb_env_close``.  Called by the registry, under its lock."""
        if self.gone:
            return
        self.ptr = None
        for slot in (self.main, *self.slots.values()):
            slot.kill()
        self.drain()
        self.engine.lib.pylmdb_env_end(self.box)

    def abandon(self) -> None:
        """In a forked child: close what the child has inherited for itself."""
        self.dbi_lock, self.ptr = RLock(), None
        if not self.gone:
            self.engine.lib.pylmdb_env_abandon(self.box[0])

    def run(
        self, function: Callable[..., int], *args: object, deadline: Deadline | None = None
    ) -> int:
        """``function(env, *args)``; neither the environment nor its map goes meanwhile.

        A map that is being replaced is waited for, until the deadline.
        """
        call = _Call()
        try:
            while True:
                self.calls[call.token] = self._noted(call, call.token)
                if self.replaced:
                    raise BusyError("the environment was compacted meanwhile", hint="call again")
                if self.closed:
                    raise refusal("environment closed")
                resizer = self.resizer
                if resizer is None:
                    return function(self.ptr, *args)
                self.calls.pop(call.token, None)
                if resizer.thread == get_ident():
                    raise BusyError(
                        "this thread is replacing the map or the file, and would wait for itself",
                        hint="finalizers and signal handlers can run inside such a call",
                    )
                del resizer  # it counts as long as anything refers to it
                if deadline is not None:
                    deadline.check()
                time.sleep(LOOK)
        finally:
            self.leave(call.token)

    def call(self, what: str, function: Callable[..., int], *args: object) -> None:
        """The same for a function that returns an error code, which is raised."""
        code = self.run(function, *args)
        if code:
            raise error(what, code)

    # -- transactions -----------------------------------------------------------

    def begin_reader(self, box: CData) -> None:
        """Begin a native read transaction, renewing an idle one where there is one."""
        self.run(self._begin, self.engine.lib.pylmdb_begin_reader, box, -1)

    def end_reader(self, box: CData) -> None:
        """End a native read transaction, or keep it idle for the next one."""
        self.engine.lib.pylmdb_end_reader(box)
        if not self.forked:
            self.leave()

    def begin_child(self, box: CData, parent: CData, flags: int) -> None:
        """Begin a native transaction nested in ``parent``."""
        self.run(self._begin, self.engine.lib.pylmdb_begin, box, -1, parent, flags)

    def try_begin_writer(self, box: CData, deadline: Deadline) -> bool:
        """Begin a native write transaction; False if the lock was not free yet."""
        begin, wait_ms = self.engine.lib.pylmdb_begin, int(deadline.slice() * 1000)
        top = self.engine.ffi.NULL
        return not self.run(self._begin, begin, box, wait_ms, top, 0, deadline=deadline)

    def _begin(
        self, env: CData, function: Callable[..., int], box: CData, wait_ms: int, *args: object
    ) -> int:
        """0, or the code of a time-out; raises for all others."""
        lib, ffi = self.engine.lib, self.engine.ffi
        code = function(box, self.pool, *args, wait_ms)
        if code == lib.MDB_READERS_FULL:
            self.drain()
            lib.mdb_reader_check(env, ffi.NULL)
            code = function(box, self.pool, *args, wait_ms)
        if code == lib.MDB_MAP_RESIZED:
            self._make_room()
            code = function(box, self.pool, *args, wait_ms)
        if code and not (code == lib.PYLMDB_ETIMEDOUT and wait_ms >= 0):
            raise self._refusal(code)
        return code

    def _refusal(self, code: int) -> Error:
        """Why a transaction cannot begin."""
        options = self.options
        if code == self.engine.lib.PYLMDB_OTHER_FILE:
            return ReplacedError(
                f"begin: the lock file of {options.given_path!r} tells of another data file, which"
                " another process has open",
                hint="close the environment, end that process, and open the environment again",
            )
        if code == self.engine.lib.PYLMDB_CHECKSUMS:
            return checksums("begin")
        folder = os.path.dirname(options.data_path)
        if code == errno.ESTALE and not os.path.isdir(folder):
            hint = f"the directory {os.fsdecode(folder)!r} does not exist any more"
            return error("mdb_txn_begin", code, hint)
        return error("mdb_txn_begin", code)

    # -- the map ------------------------------------------------------------------

    def _make_room(self) -> None:
        """Have a larger map elsewhere, if nothing of this process (but the beginning
        transaction) lies in the old one."""
        resizing = Resizing(self)
        with resizing, resizing:
            if not resizing.claim():
                return
            alone = not self._live() and len(self._alive(self.calls)) <= 1
            if alone:
                self.drain()
            self.engine.lib.pylmdb_env_make_room(self.ptr, alone)

    def set_mapsize(self, size: int) -> None:
        """Set the limit of the map: in place, or else by another map."""
        code = self.run(self.engine.lib.pylmdb_env_limit, size)
        if code in (errno.ENOSYS, self.engine.lib.MDB_MAP_RESIZED):
            self._replace_map(size)
        elif code:
            raise error("mdb_env_set_mapsize", code)

    def _replace_map(self, size: int) -> None:
        """``mdb_env_set_mapsize``: nothing may lie in the map."""
        alone = Alone(
            self,
            "set_mapsize: the map must move to become so large",
            ", or give max_map_size to open(), which reserves room to grow in place",
        )
        with alone, alone:
            alone.get()
            code = self.engine.lib.pylmdb_env_replace_map(self.ptr, size)
        if code:
            raise error("mdb_env_set_mapsize", code)

    def room(self) -> tuple[int, int, int]:
        """The limit of the map, how far it may rise by itself, and what is reserved."""
        out = self.engine.ffi.new("size_t[3]")
        self.run(self._room, out)
        return int(out[0]), int(out[1]), int(out[2])

    def _room(self, env: CData, out: CData) -> int:
        self.engine.lib.pylmdb_env_room(env, out, out + 1, out + 2)
        return 0

    # -- database handles ---------------------------------------------------------

    def slot_of(self, ptr: CData, txn: Any, name: bytes | None, flags: int) -> DbSlot:
        """The slot of a database as a transaction sees it, given as native handle and, where
        there is one, as object.

        ``mdb_dbi_open``; raises NotFoundError for a database that does not exist.
        """
        with self.dbi_lock:
            return self.open_slot(int(self.engine.ffi.cast("uintptr_t", ptr)), txn, name, flags)

    def slot_again(self, ptr: CData, slot: DbSlot) -> DbSlot:
        """The slot here of a database that had one in the parent process; a dead one stays
        dead."""
        return self.slot_of(ptr, None, slot.name, 0) if slot.alive else slot

    def retire(self, number: int) -> None:
        """The database of a native handle is gone for good: so is every slot on it."""
        slot = self.numbers.get(number)
        if slot is not None:
            self.forget_slot(slot)
        self.engine.lib.pylmdb_dbi_retire(self.ptr, number)

    def settle(
        self,
        opened: list[DbSlot] | None,
        dropped: list[int] | None,
        kept: bool,
        parent_opened: list[DbSlot] | None,
        parent_dropped: list[int] | None,
    ) -> None:
        """What an ended transaction opened and dropped is now everybody's, or its
        parent's, or (not ``kept``) undone.  Repeatable; under ``dbi_lock``."""
        opened, dropped = opened or [], dropped or []
        # Databases that were dropped and have come back in the same slot.
        again = {slot.dbi for slot in opened if slot.alive}
        while kept and dropped:
            number = dropped[-1]
            if parent_dropped is not None:
                parent_dropped.append(number)
            elif number not in again:
                self.retire(number)
            dropped.pop()
        above = set(parent_opened or ())
        for slot in opened:
            if not kept:
                self.forget_slot(slot)
            elif parent_opened is None:
                slot.pending = False
            elif slot not in above:
                parent_opened.append(slot)

    def forget_slot(self, slot: DbSlot) -> None:
        """The native handle is gone: dropped, or its creation was aborted."""
        slot.kill()
        with self.dbi_lock:
            if slot.name is not None and self.slots.get(slot.name) is slot:
                del self.slots[slot.name]
