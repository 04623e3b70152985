# SPDX-License-Identifier: MIT
"""The native environment: one per file and process.

liblmdb must not open a file twice in one process, so all Environments of a file share one
:class:`SharedEnv`.  It is in use as long as one of these exists:

- an open Environment (``users``);
- a call in progress (``calls``);
- a native transaction that is alive, which C counts.

The last one to leave closes the native environment.  So closing an Environment never unmaps
memory that a view, a transaction of another Environment, or a call in another thread still reads.

``users``, ``calls`` and ``map_requests`` are dicts from a token to a weak reference to the object
that the token stands for.  A dead reference does not count.  Adding and removing a token is atomic
and can be repeated.  So threads, finalizers, and an exception between any two steps cannot make the
count wrong.

A call or a user adds its token first, and reads ``closed`` and ``map_requests`` then.  Closing the
environment, or replacing its map, sets these first, and looks for tokens then.  So at least one of
the two sees the other.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from _thread import get_ident
from _weakref import ref

from .._base.collecting import free_dropped
from .._base.log import INFO, log
from .._base.temporary_names import is_temporary
from .._core_rules.failures import damaged, database_error
from .._core_rules.refusals import refusal
from .._core_rules.writer_gate import THREAD, WriterGate
from .._typing import TYPE_CHECKING
from .._which_core import HandleLock, SharedCore
from ..errors import (
    BusyError,
    ReplacedError,
    checksums,
    error,
)
from .exclusive import PAUSE, ExclusiveAccess, MapRequest
from .growth import plan
from .opening import cut_short, no_addresses
from .options import SPARE_SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .._aliases import CData
    from .._core import DbSlot
    from .._core_rules.writer_gate import Deadline
    from .._engine import Engine
    from ..errors import Error
    from ..transaction import Transaction
    from .options import Options

# for the log
_DEAD_READERS = "reader slots of dead processes that were cleared: %d"

# a token is unique among the users and calls of all environments
tokens = itertools.count(1)


class _Call:
    """A call in progress; it dies with its frame."""

    __slots__ = ("__weakref__", "token")

    def __init__(self) -> None:
        self.token = next(tokens)


def _not_resized(size: int, code: int) -> Error:
    if code == errno.ENOMEM:
        return no_addresses("set_mapsize", size)
    return error("mdb_env_set_mapsize", code)


class SharedEnv(SharedCore):
    """A native environment (``MDB_env``) and what this process keeps about it."""

    # the size in bytes of a page, and of the longest key; 0 until the files are open
    page_size = max_key_size = 0
    # whether its pages have checksums
    has_sums = False
    # how many bytes the options or set_mapsize() allow the map
    map_limit = 0
    # bound here, because it can be called when the interpreter exits and has set the names in os
    # to None
    getpid = staticmethod(os.getpid)

    def __init__(
        self,
        engine: Engine,
        handle: CData,
        options: Options,
        on_last_leave: Callable[[SharedEnv], None],
    ) -> None:
        self.engine = engine
        # the MDB_env **, which leads to NULL once the environment is closed; the MDB_env *
        self.handle, self.ptr = handle, handle[0]
        self.options = options
        self.on_last_leave = on_last_leave
        self.pid = os.getpid()
        self.key: tuple[int, int] | None = None
        # its keys in the registry: of the data file, and of the lock file
        self.keys: tuple[tuple[int, int], ...] = ()
        self.users: dict[int, ref[Any]] = {}
        self.calls: dict[int, ref[_Call]] = {}
        self.map_requests: dict[int, ref[MapRequest]] = {}
        # records for the log, made where it cannot be called because a lock is held
        self.notes: list[tuple[Any, ...]] = []
        ffi, lib = engine.ffi, engine.lib
        self.pool = lib.pylmdb_pool_new(self.ptr, options.max_spare_txns)
        if not self.pool:
            raise MemoryError
        self.attach(engine, int(ffi.cast("uintptr_t", self.pool)))
        self.closed = self.replaced = False
        self.dbi_lock = HandleLock()
        self.gate = WriterGate()
        self.max_dbs = options.first_max_dbs if options.max_dbs is None else options.max_dbs
        self.plan = plan(options, engine.hardened)
        self.map_limit = self.plan[1]

    # -- life -----------------------------------------------------------------

    @staticmethod
    def new_token(tokens: Iterator[int] = tokens) -> int:
        """A token for a user or a call."""
        return next(tokens)

    @property
    def forked(self) -> bool:
        """True in a forked child: the native environment belongs to the parent."""
        return self.getpid() != self.pid

    @property
    def in_use(self) -> bool:
        """Whether a transaction or a call uses the map."""
        return bool(self._live()) or bool(self._alive(self.calls))

    @staticmethod
    def _alive(references: dict[int, ref[Any]]) -> list[Any]:
        """The objects that are still alive; dead references are removed."""
        found: list[Any] = []
        if not references:
            return found
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
    def granted_request(self) -> MapRequest | None:
        """The first request to replace the map, which is granted; None if there is none."""
        return next(iter(self._alive(self.map_requests)), None) if self.map_requests else None

    def used_by(self) -> list[Any]:
        """The open Environments, and the owner of exclusive access."""
        return self._alive(self.users)

    @property
    def gone(self) -> bool:
        """True once the native environment is closed."""
        return not self.handle[0]

    def end_idle(self) -> None:
        """End all idle read transactions."""
        self.free_idle()
        self.engine.lib.pylmdb_pool_drain(self.pool)

    def raise_limits(self, options: Options) -> None:
        """Raise limits to those of another Environment that is opened on the same file: how many
        read transactions are kept idle, and how far the map may grow.  From now on its path is
        where the files are expected."""
        wanted = max(int(self.pool.keep), options.max_spare_txns)
        self.pool.keep = min(wanted, self.engine.lib.PYLMDB_MAX_IDLE)
        _, most, _, fixed = plan(options)
        self.map_limit = max(self.map_limit, most)
        self.engine.lib.pylmdb_env_widen(self.ptr, most, fixed)
        if options.subdir == self.options.subdir:
            self.engine.lib.pylmdb_env_named(self.ptr, options.path)

    def update_admitting(self) -> None:
        """Decide whether the core may begin transactions without asking Python.

        Closing the environment, and replacing its map, withdraw that before they look for users.
        """
        self.admitting = bool(self.users) and not self.closed and self.granted_request is None

    def enter(self, token: int, user: object) -> None:
        """Count an Environment among the users."""
        self.users[token] = self.counted(user, token)
        self.update_admitting()

    def counted(self, owner: object, token: int, kind: type[ref[Any]] = ref) -> ref[Any]:
        """A weak reference to a user or a call; when the object dies, its token is removed."""
        return kind(owner, lambda _: self.leave(token))

    def leave(self, token: int = 0) -> None:
        """End a call, a transaction or the use by an Environment.  The last one closes the native
        environment."""
        self.admitting = False
        self.calls.pop(token, None)
        self.users.pop(token, None)
        if not (self.gone or self.forked or self.used_by() or self.in_use):
            self.on_last_leave(self)
        self.update_admitting()

    def close_native(self) -> None:
        """Call ``mdb_env_close``.  The registry does it, under its lock."""
        if self.gone:
            return
        self.ptr = None
        self.close_slots()
        self.end_idle()
        self.engine.lib.pylmdb_env_end(self.handle)

    def abandon(self) -> None:
        """In a forked child: close the descriptors and the map that the child has inherited."""
        self.dbi_lock, self.ptr = HandleLock(), None
        if not self.gone:
            self.engine.lib.pylmdb_env_abandon(self.handle[0])

    def run(
        self, function: Callable[..., int], *args: object, deadline: Deadline | None = None
    ) -> int:
        """Call ``function(env, *args)``.  Meanwhile the environment is not closed, and its map not
        replaced.

        If another thread is replacing the map, wait for it until ``deadline``.
        """
        call = _Call()
        try:
            while True:
                self.calls[call.token] = self.counted(call, call.token)
                if self.replaced:
                    raise BusyError("the environment was compacted meanwhile", hint="call again")
                if self.closed:
                    raise refusal("environment closed")
                request = self.granted_request
                if request is None:
                    return function(self.ptr, *args)
                self.calls.pop(call.token, None)
                if request.thread == get_ident():
                    raise BusyError(
                        "this thread is replacing the map or the data file, and would wait for"
                        " itself",
                        hint="do not use the environment in a finalizer or a signal handler, which"
                        " can run inside compact() and set_mapsize()",
                    )
                del request  # a request that anything refers to is alive
                if deadline is not None:
                    deadline.check(self.options, THREAD)
                time.sleep(PAUSE)
        finally:
            self.leave(call.token)

    def _note(self, message: str, *args: object) -> None:
        """Note a record for the log, where it cannot be called because a lock is held."""
        self.notes.append((message, *args))
        self.pool.notes.is_noted = 1

    def note_dead_readers(self, count: int) -> None:
        """Note that reader slots of dead processes were cleared."""
        if count:
            self._note(_DEAD_READERS, count)

    def log_notes(self) -> None:
        """Log what was noted, here and by the engine.

        It is called when an environment was opened, a read transaction has begun, or a write
        transaction has ended.  The caller must hold no lock of pylmdb.  Of an environment under a
        temporary name, which its user does not know, nothing is logged.
        """
        if not self.pool.notes.is_noted:  # as nearly always
            return
        taken = self.engine.ffi.new("struct pylmdb_notes *")
        self.engine.lib.pylmdb_take_notes(self.pool, taken)
        notes, self.notes = self.notes, []
        if taken.dead_readers:
            notes.append((_DEAD_READERS, taken.dead_readers))
        if taken.map_size:
            notes.append(("the memory map has grown in place to %d bytes", taken.map_size))
        if is_temporary(self.options.path):
            return
        for message, *args in notes:
            log(INFO, f"%s: {message}", self.options.given_path, *args)

    def call(self, what: str, function: Callable[..., int], *args: object) -> None:
        """The same for a function that returns an error code; raise the error."""
        code = self.run(function, *args)
        if code:
            raise database_error(what, code, self.main)

    # -- transactions -----------------------------------------------------------

    def begin_reader(self, handle: CData) -> None:
        """Begin a native read transaction; an idle one is renewed, if there is one."""
        self.run(self._begin, self.engine.lib.pylmdb_begin_reader, handle, -1)

    def end_reader(self, handle: CData) -> None:
        """End a native read transaction, or keep it idle for the next one."""
        self.engine.lib.pylmdb_end_reader(handle)
        if not self.forked:
            self.leave()

    def begin_child(self, handle: CData, parent: CData, flags: int) -> None:
        """Begin a native child transaction of ``parent``."""
        self.run(self._begin, self.engine.lib.pylmdb_begin, handle, -1, parent, flags)

    def try_begin_writer(self, handle: CData, deadline: Deadline) -> bool:
        """Begin a native write transaction; False if the writer lock was not free in time."""
        begin, wait_ms = self.engine.lib.pylmdb_begin, int(deadline.slice() * 1000)
        top = self.engine.ffi.NULL
        return not self.run(self._begin, begin, handle, wait_ms, top, 0, deadline=deadline)

    def _begin(
        self, env: CData, function: Callable[..., int], handle: CData, wait_ms: int, *args: object
    ) -> int:
        """Begin a native transaction; returns 0, or the code of a time-out, and raises for all
        other codes."""
        lib, arguments = self.engine.lib, (handle, self.pool, *args, wait_ms)
        code = self.with_slot(env, function, *arguments)
        if code == lib.MDB_MAP_RESIZED:
            self._make_room()
            code = function(*arguments)
        if code and not (code == lib.PYLMDB_ETIMEDOUT and wait_ms >= 0):
            raise self._refusal(code)
        return code

    def with_slot(self, env: CData, function: Callable[..., int], *args: object) -> int:
        """Call ``function(*args)``, which begins a native transaction before it does anything else.
        If the reader table is full, free slots and call it again."""
        code = function(*args)
        if code == self.engine.lib.MDB_READERS_FULL:
            self._free_slots(env)
            code = function(*args)
        return code

    def _free_slots(self, env: CData) -> None:
        """Free the reader slots of dropped and idle transactions, and of dead processes."""
        live = self._live()
        free_dropped(lambda: self._live() < live)
        self.end_idle()
        dead = self.engine.ffi.new("int *")
        self.engine.lib.mdb_reader_check(env, dead)
        self.note_dead_readers(dead[0])

    def _refusal(self, code: int) -> Exception:
        """The exception for a transaction that cannot begin."""
        options = self.options
        if code == self.engine.lib.PYLMDB_OTHER_FILE:
            return ReplacedError(
                f"begin: the lock file of {options.given_path!r} belongs to another data file,"
                " which another process has open",
                hint="close the environment, end that process, and open the environment again",
            )
        if code == self.engine.lib.PYLMDB_CHECKSUMS:
            return checksums("begin")
        folder = os.path.dirname(options.data_path)
        if code == errno.ESTALE:
            if os.path.isdir(folder):
                return error(f"begin: {options.given_path!r}", code)
            hint = f"the directory {os.fsdecode(folder)!r} does not exist any more"
            return error("begin", code, hint)
        if code == self.engine.lib.MDB_READERS_FULL:
            return self.no_slot("mdb_txn_begin", "begin")
        if code == self.engine.lib.MDB_CORRUPTED:
            return cut_short(options, self.engine) or damaged(
                "mdb_txn_begin", "begin", self.engine, self.page_size
            )
        return database_error("mdb_txn_begin", code, self.main, operation="begin")

    def no_slot(self, what: str, operation: str) -> Error:
        """The exception for an operation that finds the reader table full."""
        out = self.engine.ffi.new("unsigned int *")
        self.engine.lib.mdb_env_get_maxreaders(self.ptr, out)
        return error(
            what,
            self.engine.lib.MDB_READERS_FULL,
            "end read transactions, which reader_list() lists; or open the environment with a"
            " larger max_readers= when no process has it open",
            f"{operation}: the reader table is full; max_readers limits it to {out[0]} read"
            " transactions",
        )

    # -- the map ------------------------------------------------------------------

    def _make_room(self) -> None:
        """Map the file at another address, where the map can be larger, if only the
        transaction that is beginning uses the old map in this process."""
        request = MapRequest(self)
        with request, request:
            if not request.make():
                return
            free_dropped(lambda: not self._live())
            is_unused = not self._live() and len(self._alive(self.calls)) <= 1
            if is_unused:
                self.end_idle()
            if not self.engine.lib.pylmdb_env_make_room(self.ptr, is_unused):
                self._note("the memory map was moved to another address to grow")

    def set_mapsize(self, size: int) -> None:
        """Set the size that the map may reach: in place if possible, else with a new map."""
        code = self.run(self.engine.lib.pylmdb_env_limit, size)
        if code in (errno.ENOSYS, self.engine.lib.MDB_MAP_RESIZED):
            self._replace_map(size)
        elif code:
            raise _not_resized(size, code)
        self.map_limit = size or self.map_limit

    def _replace_map(self, size: int) -> None:
        """Call ``mdb_env_set_mapsize``; raise BusyError if anything uses the map."""
        access = ExclusiveAccess(
            self,
            f"set_mapsize: for {size} bytes the map must move to another address",
            ", or give max_map_size to open(), which reserves room to grow in place",
        )
        with access, access:
            access.acquire()
            code = self.engine.lib.pylmdb_env_replace_map(self.ptr, size)
        if code:
            raise _not_resized(size, code)

    # -- database handles ---------------------------------------------------------

    def make_room_for(self, databases: int) -> None:
        """Make room for the named databases that the file has, before anything uses them."""
        room = self.max_dbs
        while room < databases:
            room *= 2
        if room > self.max_dbs:
            self.end_idle()
            if not self.engine.lib.pylmdb_env_grow_dbs(self.ptr, room + SPARE_SLOTS):
                self.max_dbs = room

    def grow_dbs(self, needed: int) -> bool:
        """Make room for twice as many named databases, unless another thread has just done so.

        :param needed: how many there must be room for.
        :return: False if the options give a limit.
        :raises BusyError: a transaction or a view of this process is alive.
        """
        if self.options.max_dbs is not None:
            return False
        access = ExclusiveAccess(
            self,
            "their table cannot grow now",
            f", or open the environment with max_dbs={2 * self.max_dbs}",
        )
        with access, access:
            access.acquire()
            if self.max_dbs >= needed:
                return True
            code = self.engine.lib.pylmdb_env_grow_dbs(self.ptr, 2 * self.max_dbs + SPARE_SLOTS)
            if not code:
                self.max_dbs *= 2
        if code and code != errno.ENOSYS:
            raise error("open_db", code)
        return not code

    def slot_of(
        self, ptr: CData, txn: Transaction[Any] | None, name: bytes | None, flags: int
    ) -> DbSlot:
        """The slot of a database as a transaction sees it, given as native handle and, where
        there is one, as object.

        ``mdb_dbi_open``; raises NotFoundError for a database that does not exist.
        """
        with self.dbi_lock:
            return self.open_slot(int(self.engine.ffi.cast("uintptr_t", ptr)), txn, name, flags)

    def slot_again(self, ptr: CData, slot: DbSlot) -> DbSlot:
        """The slot in this process of a database that had ``slot`` in the parent process; a dead
        slot stays dead."""
        return self.slot_of(ptr, None, slot.name, 0) if slot.alive else slot
