# SPDX-License-Identifier: MIT
"""Transactions in the cffi core: the operations per record, and how transactions begin and end.

``_core.pyi`` is the contract of both cores.  Each operation on a transaction or on one of its
cursors runs inside one guard, :meth:`TransactionCore._do`.  The guard holds the lock of the
transaction tree (a top-level transaction and all nested in it), so one thread at a time uses it.
It refuses the operation if the transaction has ended, belongs to another thread, or has an open
child.  Meanwhile the tree is busy.  So Python code that runs during the operation (a signal
handler, a finalizer) is refused; if it ends a transaction, that is finished when the operation
leaves.  ``_cffi_core/ending.py`` describes the end.

Arguments are converted to buffers before the guard is entered.  A conversion can run Python code
that ends the transaction; the guard then notices it.
"""

from __future__ import annotations

from _warnings import warn  # that of warnings, without its import
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._base import threads as _threads
from .._base.buffers import as_buffer, pack_keys
from .._base.collecting import free_dropped
from .._base.flags import put_flags
from .._core_rules.failures import database_error
from .._core_rules.inherited import resume, successor
from .._core_rules.numbers import next_number
from .._core_rules.refusals import refusal
from .._core_rules.writer_gate import Deadline, begin_writer, deadline_of, wait_for_gate
from ..errors import WrongThreadError, error
from ..types import Stat, stat_fields
from .calls import Caller, NotReady, keyed_functions, take_keys
from .ending import NativeTxn
from .environment import DatabaseCore, public_classes
from .iterator import iterate_range
from .ranges import count_range, delete_range, freeze_bounds
from .views import Exporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core import DbSlot


_never_begun: Any = NotReady("transaction never begun")


def _exists(value: Any) -> bool:
    return True


class TransactionCore(Caller):
    """A transaction: its life, and its operations per record."""

    env: Any
    _native: NativeTxn | None
    _shared: Any
    # only a reference: a parent that is freed would end its children
    _parent: Any
    _db: Any
    _begun: bool
    _functions: dict[str, tuple[Any, str, int, bool]]
    # a size_t *: the number of writes; C counts there, too
    _writes: Any

    __slots__ = (
        "__weakref__",
        "_begun",
        "_buffers",
        "_db",
        "_ended",
        "_functions",
        "_native",
        "_parent",
        "_shared",
        "_slot",
        "_sync_flags",
        "_value",
        "_write",
        "_writes",
        "env",
    )

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        self._native = None
        self._shared = None
        self._begun = self._ended = self._write = self._buffers = False
        self._parent = self._db = self.env = None
        self._ffi = self._lib = _never_begun
        self._writes = [0]  # until an engine is known
        self._sync_flags = 0
        return self

    def __init__(
        self,
        env: Any,
        db: Any = None,
        parent: Any = None,
        write: bool = False,
        buffers: bool = False,
        *,
        timeout: float | None = None,
        sync: bool | None = None,
        metasync: bool | None = None,
    ) -> None:
        if not hasattr(env, "_use"):
            raise refusal("not an environment", type(env))
        write, buffers, deadline = bool(write), bool(buffers), deadline_of(timeout)
        sync_flags, shared = env._sync_flags(sync, metasync), env._use()
        if self._begun:
            raise refusal("transaction begun already")
        self._begun = True
        if write and env.readonly:
            raise refusal("environment is read-only", "begin")
        self.env, self._shared, self._write, self._buffers = env, shared, write, buffers
        self._sync_flags, self._slot = sync_flags, shared.main
        self._ffi, self._lib = shared.engine.ffi, shared.engine.lib
        self._functions = keyed_functions(self._lib)
        self._value, self._writes = self._ffi.new("MDB_val *"), self._ffi.new("size_t *")
        try:
            if parent is not None:
                self._begin_child(parent)
            elif write:
                self._begin_writer(deadline)
            else:
                self._native = NativeTxn(self, shared)
                shared.begin_reader(self._native.txn)
                shared.log_notes()
            self._refuse_if_ended()
            if db is not None:
                self._slot, self._db = self._do(self._slot_in, db), db
            shared.adopt_child(self)
        except BaseException:
            self._revoke()
            raise

    @property
    def _engine(self) -> Any:
        if self._shared is None:
            raise refusal("transaction never begun")
        return self._shared.engine

    @property
    def _mutations(self) -> int:
        return int(self._writes[0])

    @_mutations.setter
    def _mutations(self, count: int) -> None:
        self._writes[0] = count

    def _refuse_if_ended(self) -> None:
        """Raise if it was ended while it began, before there was a native transaction."""
        native: Any = self._native
        if native.revoked:
            native.finished = False
            native.finish()
            raise refusal("transaction ended while it began")

    # -- begin ----------------------------------------------------------------

    def _begin_child(self, parent: Any) -> None:
        if not isinstance(parent, TransactionCore):
            raise refusal("not a transaction", "parent", type(parent))
        self._refuse(
            self._lib.pylmdb_child_refusal(
                self._write,
                self._engine.version[0] >= 1,
                parent._is_inherited,
                parent._ptr is not None,
                parent._write,
                parent._shared is self._shared,
            )
        )
        # LMDB 1.0 allows several read-only children at once, and no other operation meanwhile.
        beside = not self._write and parent._has_only_readers()
        parent._guard(beside, self._nest, (parent,))

    def _has_only_readers(self) -> bool:
        native = self._native
        return native is not None and not any(c.write and not c.revoked for c in native.children)

    def _nest(self, native_parent: Any, parent: Any) -> None:
        deepest = self._lib.PYLMDB_MAX_DEPTH
        if parent._native.depth >= deepest:
            raise refusal("nested too deep", deepest)
        self._parent = parent
        parent._mutations += self._write
        native = NativeTxn(self, self._shared, parent=parent._native, write=self._write)
        self._native = native
        flags = 0 if self._write else self._lib.MDB_RDONLY
        self._shared.begin_child(native.txn, native_parent, flags)

    def _begin_writer(self, deadline: Deadline) -> None:
        shared, thread = self._shared, _threads.current()
        native = self._native = NativeTxn(self, shared, thread=thread, write=True)
        while not shared.gate.try_enter(native):
            wait_for_gate(shared, self.env, deadline)
        begin_writer(shared, native.txn, self.env, deadline)
        thread.writers.add(native)

    # -- the guard --------------------------------------------------------------

    @property
    def _thread(self) -> int:
        native = self._native
        return 0 if native is None else native.thread

    @property
    def _ptr(self) -> Any:
        """The native transaction; None once it has ended for the program."""
        native = self._native
        return None if native is None or native.revoked else native.txn.ptr or None

    def _do(self, operation: Callable[..., Any], *args: Any) -> Any:
        """Call ``operation(native transaction, *args)`` if it is allowed; else raise."""
        return self._guard(False, operation, args)

    def _guard(
        self,
        ending: bool,
        operation: Callable[..., Any],
        args: tuple[Any, ...],
        holding: bool = False,
    ) -> Any:
        native = self._native
        if native is None:
            raise refusal("transaction never begun")
        if native.shared.forked:
            native = self._resume(native)
        tree = native.tree
        try:
            with tree.lock:
                if tree.busy:
                    raise refusal("transaction in use")
                try:
                    tree.busy, tree.slot = True, None
                    if native.children and not ending:
                        free_dropped(lambda: not native.has_open_child)
                    if tree.holds and native.thread and not holding:
                        free_dropped(lambda: not tree.is_held)
                    if tree.dirty and not tree.must_stay:
                        tree.finish_revoked()
                    self._check(native, ending, holding)
                    return operation(native.txn.ptr, *args)
                finally:
                    tree.busy = False
        finally:
            if tree.dirty:
                tree.drain()

    def _resume(self, inherited: NativeTxn) -> NativeTxn:
        """In a forked child: begin a native transaction with the same snapshot; see
        ``_core_rules/inherited.py``."""
        if inherited.lost:
            raise refusal("transaction of another process")
        if inherited.revoked:
            raise refusal("transaction ended")
        shared: Any = successor(self.env, inherited.shared)
        # Several threads may come here at once, and it is done again if it is interrupted.  The
        # first one decides, and each does what follows.  A child that is forked meanwhile has
        # another environment, and continues for itself.
        found = inherited.resumed.get(shared)
        if found is None:
            native = NativeTxn(self, shared)
            key = inherited.shared.key
            slot = resume(shared, native.txn, inherited.txn.ptr, self._slot, key)
            native.inherited_cursors.update(inherited.inherited_cursors)
            native.inherited_cursors.update(inherited.cursors)
            found = inherited.resumed.setdefault(shared, (native, slot))
            if found[0] is not native:
                native.revoke()
        first, slot = found
        self._slot, self._shared = slot, shared
        shared.adopt_child(self)
        self._native = first
        if inherited.revoked:
            first.revoke()
        return first

    def _check(self, native: NativeTxn, ending: bool, holding: bool) -> None:
        ended = native.revoked or not native.txn.ptr
        foreign = bool(self._thread) and self._thread != _threads.current().number
        reserved = native.tree.reserved
        # A snapshot does not change, so a read transaction can be used while it is held.
        held = not holding and bool(native.thread) and native.tree.is_held
        nesting = not ending and native.has_open_child
        if ended or foreign or reserved or held or nesting:
            self._refuse(self._lib.pylmdb_use_refusal(ended, foreign, reserved, held, nesting))

    def _slot_in(self, ptr: Any, db: Any) -> DbSlot:
        """Return the slot of a database handle; raise InvalidParameterError if it is dead."""
        slot: DbSlot = self._slot
        if db is not None:
            if not isinstance(db, DatabaseCore):
                raise refusal("not a database", type(db))
            slot = db._slot_for(self._shared, ptr, self)
        # before the check, so that its number is not used again during this operation
        native: Any = self._native
        native.tree.slot = slot
        found: Any = slot
        own = found.native
        if not own.alive:
            raise refusal("database is dead")
        if own.since and self._lib.pylmdb_slot_is_newer(own, native.handles, ptr):
            raise refusal("database is missing", slot.name)
        return slot

    def _handle(self, db: Any) -> Any:
        """Return the database handle for a ``db`` argument."""
        if db is None:
            db = self._db
        return self.env.open_db() if db is None else db

    def _begin_reservation(self) -> None:
        native: Any = self._native
        native.tree.reserved = True

    @property
    def _end_reservation(self) -> Callable[[], None]:
        # a method of the tree: the garbage collector can clear the transaction before the call
        native: Any = self._native
        end: Callable[[], None] = native.tree.end_reservation
        return end

    def _note_dropped(self, slot: DbSlot, dies: bool) -> None:
        native: Any = self._native
        native.note_dropped(slot, dies)

    @property
    def closed(self) -> bool:
        """True once the transaction has ended."""
        native = self._native
        return native is None or not native.is_open

    # -- end ---------------------------------------------------------------------

    def _revoke(self) -> None:
        """End the transaction, from any thread, without waiting.  Writes are lost."""
        native = self._native
        if native is not None and not native.finished:
            native.revoke()

    def commit(self) -> None:
        if not self._write:
            if self.closed or not self._is_inherited:
                self._do(self._nothing)
            self._revoke()
            return
        native: Any = self._native
        self._guard(True, self._commit, (native,))
        self._ended = True
        self._log_notes()
        if native.txn.code:
            raise database_error("mdb_txn_commit", native.txn.code, self._shared.main)

    def _nothing(self, ptr: Any) -> None:
        """Do nothing.  The guard raises if no operation is allowed."""

    def _commit(self, ptr: Any, native: NativeTxn) -> None:
        """Commit; children are aborted."""
        native.commit_flags = self._sync_flags
        native.tree.dirty = True
        native.revoked = True
        native.finish()

    def abort(self) -> None:
        self._refuse_lost()
        self._revoke()
        self._ended = True
        self._log_notes()

    def _log_notes(self) -> None:
        """Log what was noted in a write transaction, which has ended."""
        if self._write and self._parent is None and self._shared is not None:
            self._shared.log_notes()

    @property
    def _is_inherited(self) -> bool:
        """It was begun before fork() and was not used in this process yet."""
        return self._native is not None and self._native.shared.forked

    def _refuse_lost(self) -> None:
        if self._native is not None and self._native.lost:
            raise refusal("transaction of another process")

    def __enter__(self) -> Any:
        self._refuse_lost()
        native = self._native
        if native is None or self._ptr is None:
            raise refusal("transaction ended")
        native.in_block = True
        return self

    def __exit__(self, exc_type: Any, exc: Any, traceback: Any) -> None:
        native = self._native
        if native is not None:
            native.in_block = False
        if exc_type is not None:
            self._revoke()
            self._log_notes()
        elif self._ptr is not None:
            try:
                self.commit()
            except WrongThreadError:
                self._revoke()
                raise
        elif self._write and not self._ended:
            raise refusal("transaction ended from outside")

    def __del__(self, _warn: Any = warn) -> None:
        # An exception may have struck in __new__.
        native = getattr(self, "_native", None)
        if native is None or native.finished:
            return
        lost = ""
        try:
            lost = native.loss(self)
        finally:
            native.revoke()
        if lost:
            _warn(lost, ResourceWarning, stacklevel=2)

    # -- records ------------------------------------------------------------------

    def _copy(self, value: Any) -> bytes:
        lib = self._lib
        lib.pylmdb_touch(value.mv_data, value.mv_size)
        copy: bytes = self._ffi.buffer(value.mv_data, value.mv_size)[:]
        if lib.pylmdb_env_is_truncated(self._shared.ptr):
            raise error("read", lib.MDB_CORRUPTED)
        return copy

    def _to_python(self, value: Any) -> Any:
        """Make the object for a value: bytes, or a view."""
        return self._to_view(value) if self._buffers else self._copy(value)

    def _to_view(self, value: Any) -> memoryview:
        """Return a view into the map, or of a copy in a write transaction."""
        if self._thread:
            return memoryview(self._copy(value))
        address = int(self._ffi.cast("uintptr_t", value.mv_data))
        return self._exporter().view(address, value.mv_size)

    def _exporter(self) -> Exporter:
        native: Any = self._native
        if native.exporter is None:
            native.exporter = Exporter(self._shared, native.txn)
        exporter: Exporter = native.exporter
        return exporter

    def _whole(self) -> memoryview:
        if self._thread:
            raise refusal("map in a write transaction")
        return self._exporter().whole()

    def _raw(self, name: str, value: Any) -> tuple[Any, int]:
        """Return bytes as they are: PyPy passes them to C in half the time of their address."""
        return (value, len(value)) if type(value) is bytes else super()._raw(name, value)

    def _call(
        self, ptr: Any, db: Any, operation: str, name: str, size: int, key: Any, *args: Any
    ) -> bool:
        """Call a function with a database and a key: False for the code that is an answer.

        :param size: that of the record's value, for messages; -1 if it has none.
        """
        slot, (function, what, answer, writes) = self._slot_in(ptr, db), self._functions[name]
        if writes:
            self._writes[0] += self._write
        code = function(ptr, slot.dbi, slot.flags, *key, *args)
        if not code:
            return True
        if code != answer:
            raise database_error(what, code, slot, self._copied(key), size, operation)
        return False

    def _get(self, ptr: Any, db: Any, operation: str, key: Any, default: Any, convert: Any) -> Any:
        found = self._call(ptr, db, operation, "get", -1, key, self._value)
        return convert(self._value) if found else default

    def id(self) -> int:
        return int(self._do(self._id))

    def _id(self, ptr: Any) -> int:
        return int(self._lib.mdb_txn_id(ptr))

    def stat(self, db: Any = None) -> Stat:
        result: Stat = self._do(self._stat, db)
        return result

    def _stat(self, ptr: Any, db: Any) -> Stat:
        slot, out = self._slot_in(ptr, db), self._ffi.new("size_t[]", self._lib.PYLMDB_STAT_SIZE)
        code = self._lib.pylmdb_stat(ptr, slot.dbi, out)
        if code:
            raise database_error("mdb_stat", code, slot)
        return Stat(zip(stat_fields, map(int, out), strict=True))

    def get(self, key: Any, default: Any = None, db: Any = None) -> Any:
        return self._do(self._get, db, "get", self._raw("key", key), default, self._to_python)

    def view(self, key: Any, default: Any = None, db: Any = None) -> Any:
        return self._do(self._get, db, "get", self._raw("key", key), default, self._to_view)

    def __contains__(self, key: Any) -> bool:
        return bool(self._do(self._get, None, "in", self._raw("key", key), False, _exists))

    def _nearest(
        self, ptr: Any, operation: str, key: Any, db: Any, reverse: bool, plain_only: bool = False
    ) -> Any:
        found = self._ffi.new("MDB_val[2]")
        how = reverse, plain_only, found, found + 1
        if not self._call(ptr, db, operation, "nearest", -1, key, *how):
            return None
        return self._to_python(found[0]), self._to_python(found[1])

    def first(self, db: Any = None) -> Any:
        return self._do(self._nearest, "first", (self._ffi.NULL, 0), db, False)

    def last(self, db: Any = None) -> Any:
        return self._do(self._nearest, "last", (self._ffi.NULL, 0), db, True)

    def floor(self, key: Any, db: Any = None) -> Any:
        return self._do(self._nearest, "floor", self._raw("key", key), db, True)

    def ceiling(self, key: Any, db: Any = None) -> Any:
        return self._do(self._nearest, "ceiling", self._raw("key", key), db, False)

    def next_id(self, db: Any = None) -> int:
        if not self._write and not self.closed:
            raise refusal("number in a read transaction")
        return int(self._do(self._next_id, db))

    def _next_id(self, ptr: Any, db: Any) -> int:
        flags = self._slot_in(ptr, db).flags
        record = self._nearest(ptr, "next_id", (self._ffi.NULL, 0), db, True, True)
        return 1 if record is None else next_number(bytes(record[0]), flags)

    def _put_if(
        self, ptr: Any, db: Any, key: Any, value: Any, expected: Any, overwrite: bool, append: bool
    ) -> bool:
        lib, flags = self._lib, self._slot_in(ptr, db).flags
        self._refuse(lib.pylmdb_put_if_refusal(overwrite, append, flags & lib.MDB_DUPSORT))
        if not self._write:  # it fails as every put() does
            return self._call(ptr, db, "put", "put", value[1], key, *value, 0)
        return self._call(ptr, db, "put", "put_if", value[1], key, *value, *expected)

    def put(
        self,
        key: Any,
        value: Any,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
        db: Any = None,
        *,
        if_value: Any = ...,
    ) -> bool:
        flags = put_flags(dupdata, overwrite, append)
        key, value = self._raw("key", key), self._raw("value", value)
        if if_value is ...:
            args = "put", value[1], key, *value, flags
            return bool(self._do(self._call, db, "put", *args))
        expected = self._raw_or_null("if_value", if_value)
        return bool(self._do(self._put_if, db, key, value, expected, bool(overwrite), bool(append)))

    def delete(self, key: Any, value: Any = None, db: Any = None) -> bool:
        key, raw = self._raw("key", key), self._raw_or_null("value", value)
        size = -1 if value is None else raw[1]
        return bool(self._do(self._call, db, "delete", "del", size, key, *raw))

    def pop(self, key: Any, db: Any = None) -> bytes | None:
        key = as_buffer("key", key)
        with self.cursor(db) as cursor:
            return cursor.pop(key)  # type: ignore[no-any-return]

    def replace(self, key: Any, value: Any, db: Any = None) -> bytes | None:
        key, value = as_buffer("key", key), as_buffer("value", value)
        with self.cursor(db) as cursor:
            return cursor.replace(key, value)  # type: ignore[no-any-return]

    def cursor(self, db: Any = None) -> Any:
        if self._shared is None:
            raise refusal("transaction never begun")
        return public_classes["CursorCore"](db, self)

    def range(
        self,
        start: Any = None,
        stop: Any = None,
        *,
        prefix: Any = None,
        reverse: Any = False,
        keys: Any = True,
        values: Any = True,
        limit: Any = None,
        offset: Any = 0,
        include_start: Any = True,
        include_stop: Any = False,
        db: Any = None,
    ) -> Any:
        bounds = start, stop, prefix, include_start, include_stop
        return iterate_range(self.cursor(db), bounds, reverse, keys, values, limit, offset)

    def count(
        self, start: Any = None, stop: Any = None, *, prefix: Any = None, db: Any = None
    ) -> int:
        bounds = freeze_bounds(start, stop, prefix)
        return int(self._do(count_range, self, db, bounds))

    def delete_range(
        self, start: Any = None, stop: Any = None, *, prefix: Any = None, db: Any = None
    ) -> int:
        if start is None and stop is None and prefix is None:
            raise refusal("no bounds")
        bounds = freeze_bounds(start, stop, prefix)
        return int(self._do(delete_range, self, db, bounds))

    def get_many(self, keys: Any, default: Any = None, db: Any = None) -> list[Any]:
        return self._look_up("get_many", keys, db, default, self._to_python)

    def _has_many(self, keys: Any, db: Any) -> list[bool]:
        return self._look_up("has_many", keys, db, False, _exists)

    def _look_up(self, operation: str, keys: Any, db: Any, default: Any, convert: Any) -> list[Any]:
        self._do(self._slot_in, db)
        args = default, convert
        raw = self._ahead(take_keys(operation, keys), db)
        return [self._do(self._get, db, operation, key, *args) for key in raw]

    def _ahead(self, keys: list[Any], db: Any) -> Iterator[tuple[Any, int]]:
        """Yield the address and size of each key; before some of them, read ahead for these."""
        for at in range(0, len(keys), self._lib.PYLMDB_READ_AHEAD_MAX):
            some = keys[at : at + self._lib.PYLMDB_READ_AHEAD_MAX]
            self._do(self._read_ahead, some, db)
            yield from (self._raw("key", key) for key in some)

    def _read_ahead(self, ptr: Any, keys: list[Any], db: Any) -> None:
        """Read ahead what the lookups of some keys need."""
        slot = self._slot_in(ptr, db)
        struct, *_alive = pack_keys(self._ffi, keys)
        code = self._lib.pylmdb_read_ahead(ptr, slot.dbi, slot.flags, struct)
        if code:
            raise database_error("mdb_get", code, slot)
