# SPDX-License-Identifier: MIT
"""The core in cffi: operations that run once per record, and begin and end.

``_core.pyi`` is the contract; the C core keeps the same.  Everything that holds
or ends a native transaction is in :class:`TransactionCore`:

* One guard.  Every operation runs inside :meth:`TransactionCore._do`.  It holds
  the lock of the transaction's family (a top-level transaction and all nested
  in it), so threads take turns; it refuses ended, inherited and foreign-thread
  use; and while it runs, ``busy`` is set, so code that Python runs in between
  (signal handlers, finalizers) is refused too.
* One closer.  :meth:`TransactionCore._revoke` takes the native handle out of the
  object at once and leaves the native end to the family, which carries it out
  now or, when an operation is in progress, as that operation's last act.  So
  ending never waits and never frees what is in use.

Arguments become buffers before the guard is entered: a conversion may run the
user's code, which may end the transaction, which the guard then sees.
"""

from __future__ import annotations

import errno
import weakref
from collections.abc import Callable
from typing import Any

from . import _threads
from ._buffers import as_buffer
from ._core_cffi_end import Family, NativeEnd
from ._shared_env import DbSlot
from ._views import Exporter
from ._writer_gate import Claim, Deadline
from .database import Database
from .errors import (
    BadTxnError,
    BusyError,
    ClosedError,
    Error,
    ForkedError,
    InvalidParameterError,
    WrongThreadError,
    closed,
    error,
)

MAX_DEPTH = 512


class TransactionCore:
    """The native transaction: its life, and its operations per record."""

    _engine: Any
    _lib: Any
    _ffi: Any
    env: Any
    cursor: Any
    _ptr: Any
    _shared: Any
    _family: Any
    _claim: Claim | None
    _parent: Any
    _exporter: Exporter | None
    _children: dict[int, weakref.ref[Any]]
    _cursors: dict[int, tuple[Any, DbSlot]]
    _opened: list[DbSlot]
    _mutations: int
    _thread: int

    __slots__ = (
        "__weakref__",
        "_buffers",
        "_children",
        "_claim",
        "_commit_lost",
        "_cursors",
        "_db",
        "_exporter",
        "_family",
        "_mutations",
        "_opened",
        "_parent",
        "_ptr",
        "_shared",
        "_slot",
        "_sync_flags",
        "_thread",
        "_value",
        "_write",
        "env",
    )

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        self._ptr = self._shared = self._family = self._claim = self._parent = None
        self._exporter = self._db = None
        self._write = self._buffers = self._commit_lost = False
        self._cursors, self._children, self._opened = {}, {}, []
        self._mutations = self._thread = self._sync_flags = 0
        self.env = None
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
        if self._family is not None:
            raise Error("this transaction has begun already", hint="begin another one")
        write, self._buffers = bool(write), bool(buffers)
        deadline = Deadline(timeout)
        self._sync_flags = env._sync_flags(sync, metasync)
        shared = env._use()
        if write and env.readonly:
            raise error("begin: the environment was opened with readonly=True", errno.EACCES)
        self.env, self._shared, self._write = env, shared, write
        self._value = self._ffi.new("MDB_val *")
        if parent is not None:
            self._begin_child(parent)
        elif write:
            self._begin_writer(deadline)
        else:
            self._family = Family()
            self._ptr = shared.begin_reader()
        try:
            self._slot, self._db = shared.main, None
            if db is not None:
                self._slot, self._db = self._do(self._slot_in, db), db
            env._adopt(self)
        except BaseException:
            self._revoke()
            raise

    # -- begin ----------------------------------------------------------------

    def _begin_child(self, parent: Any) -> None:
        if not isinstance(parent, TransactionCore):
            raise TypeError(f"parent must be a Transaction, not {type(parent).__name__}")
        if parent._ptr is not None and not parent._write:
            raise InvalidParameterError("begin: a read-only transaction cannot have children")
        if parent._ptr is not None and parent._shared is not self._shared:
            raise InvalidParameterError("begin: parent belongs to another environment")
        if not self._write and self._engine.version[0] < 1:
            raise InvalidParameterError(
                "begin: read-only child transactions need LMDB 1.0",
                hint="open a new environment with lib_version=1, or pass write=True",
            )
        parent._do(self._nest, parent)

    def _nest(self, native_parent: Any, parent: Any) -> None:
        family = parent._family
        if family.depth >= MAX_DEPTH:
            raise BadTxnError(f"begin: transactions are nested {MAX_DEPTH} deep already")
        flags = 0 if self._write else self._lib.MDB_RDONLY
        self._ptr = self._shared.begin_child(native_parent, flags)
        family.depth += 1
        self._family, self._parent, self._thread = family, parent, parent._thread
        parent._children[id(self)] = weakref.ref(self)

    def _begin_writer(self, deadline: Deadline) -> None:
        shared, thread = self._shared, _threads.current()
        claim, out = Claim(thread), self._ffi.new("MDB_txn **")
        counted = False
        try:
            while not shared.gate.try_enter(claim):
                self._wait_slice(shared.gate.sleep, deadline)
            shared.count_live()
            counted = True
            while not shared.try_begin(out, deadline):
                self._wait_slice(Deadline.check, deadline)
            self._claim, self._thread, self._family = claim, thread.number, Family()
            claim.transaction = weakref.ref(self)
            thread.writers[id(self)] = claim.transaction
            self._ptr = out[0]
        except BaseException:
            self._ptr = None
            thread.writers.pop(id(self), None)
            if out[0]:
                self._lib.mdb_txn_abort(out[0])
            if counted:
                shared.end_live()
            shared.gate.leave(claim)
            raise

    def _wait_slice(self, wait: Callable[[Deadline], None], deadline: Deadline) -> None:
        wait(deadline)
        if self.env.closed:
            raise closed("environment", "it was closed while begin() waited for the writer lock")

    # -- the guard --------------------------------------------------------------

    def _do(self, operation: Callable[..., Any], *args: Any) -> Any:
        """Run ``operation(native transaction, *args)`` where it is allowed."""
        family = self._family
        if family is None:
            raise closed("transaction", "it was never begun")
        if self._shared.forked:
            raise ForkedError("this transaction belongs to the parent process; begin a new one")
        with family.lock:
            if self._ptr is None:
                raise closed("transaction", "begin a new one")
            if family.busy:
                raise BusyError("another operation of this transaction is in progress")
            if self._thread and self._thread != _threads.current().number:
                raise WrongThreadError(
                    "a write transaction was used outside the thread that began it",
                    hint="begin, use and commit it in one thread",
                )
            if self._children and operation != self._finish_commit and self._has_child():
                raise BadTxnError(
                    "the transaction has an open child",
                    self._lib.MDB_BAD_TXN,
                    "end the child transaction first",
                )
            try:
                family.busy = True
                result = operation(self._ptr, *args)
            finally:
                family.busy = False
        if family.ends:
            family.drain()
        return result

    def _has_child(self) -> bool:
        children = [reference() for reference in list(self._children.values())]
        return any(child is not None and child._ptr is not None for child in children)

    def _slot_in(self, ptr: Any, db: Any) -> DbSlot:
        """The slot of a database handle; InvalidParameterError if it is dead."""
        slot: DbSlot = self._slot
        if db is not None:
            if not isinstance(db, Database):
                raise TypeError(f"db must be a database handle, not {type(db).__name__}")
            slot = db._slot_for(self._shared, ptr, self)
        if not slot.alive:
            raise InvalidParameterError(
                "the database handle is dead: its database was dropped, or its creation aborted",
                errno.EINVAL,
                "open it again with open_db()",
            )
        return slot

    def _handle(self, db: Any) -> Any:
        """The database handle meant by a ``db`` argument."""
        if db is None:
            db = self._db
        return self.env.open_db() if db is None else db

    def _drop_cursor(self, number: int) -> None:
        """Close a native cursor, after the operation in progress if there is one."""
        native = self._cursors.pop(number, None)
        if native is not None:
            self._family.ends.append(lambda: self._lib.mdb_cursor_close(native[0]))
            self._family.drain()

    def _drop_cursors_of(self, slot: DbSlot) -> None:
        """Close the native cursors of a database that is no more."""
        for number, (native, of) in list(self._cursors.items()):
            if of is slot and self._cursors.pop(number, None) is not None:
                self._lib.mdb_cursor_close(native)

    def _retry_adopted(self, ptr: Any, code: int, call: Callable[[], int]) -> int:
        """A handle opened after this transaction began is unknown to it: try again
        after liblmdb has learned of it."""
        if code in (errno.EINVAL, self._lib.MDB_BAD_DBI) and self._shared.engine.hardened:
            with self._shared.dbi_lock:
                self._lib.pylmdb_txn_adopt(ptr)
            code = call()
        return code

    # -- the closer --------------------------------------------------------------

    def _revoke(self) -> None:
        """End the transaction, from any thread, without waiting.  Writes are lost."""
        family = self._family
        if family is None or self._ptr is None:
            return
        for reference in reversed(list(self._children.values())):
            child = reference()
            if child is not None:
                child._revoke()
        ptr, self._ptr = self._ptr, None
        if ptr is None:
            return
        self._commit_lost = self._write
        family.ends.append(self._take_end(ptr, None))
        if not self._shared.forked:
            family.drain()

    def _take_end(self, ptr: Any, commit: Callable[[Any], int] | None) -> Callable[[], None]:
        """What is left to do natively, free of this object."""
        state = NativeEnd(self, ptr, commit)
        self._cursors, self._opened, self._exporter = {}, [], None
        return state.run

    def _finish_commit(self, ptr: Any) -> int:
        for reference in reversed(list(self._children.values())):
            child = reference()
            if child is not None and child._ptr is not None:
                child._ptr, child_ptr = None, child._ptr
                child._commit_lost = child._write
                child._take_end(child_ptr, None)()
        lib, env = self._lib, self._shared.ptr
        self._ptr = None
        flags = self._sync_flags
        if self._parent is not None:
            end = NativeEnd(self, ptr, lib.mdb_txn_commit)
        else:
            end = NativeEnd(self, ptr, lambda txn: lib.pylmdb_commit(env, txn, flags))
        self._cursors, self._opened, self._exporter = {}, [], None
        end.run()
        return end.code

    def commit(self) -> None:
        if self._ptr is None or not self._write:
            self._do(lambda ptr: None)
            self._revoke()
            return
        code = self._do(self._finish_commit)
        if code:
            raise error("mdb_txn_commit", code)

    def abort(self) -> None:
        if self._shared is not None and self._shared.forked:
            raise ForkedError("this transaction belongs to the parent process; begin a new one")
        self._revoke()
        self._commit_lost = False

    def __enter__(self) -> Any:
        return self

    def __exit__(self, exc_type: Any, exc: Any, traceback: Any) -> None:
        if exc_type is not None:
            self._revoke()
        elif self._ptr is not None:
            try:
                self.commit()
            except WrongThreadError:
                self._revoke()
                raise
        elif self._commit_lost:
            self._commit_lost = False
            raise ClosedError(
                "the transaction was ended from outside; its writes are lost",
                hint="do not close the environment or end the parent inside its with block",
            )

    def __del__(self) -> None:
        if self._ptr is not None:
            self._revoke()

    # -- records ------------------------------------------------------------------

    def _to_python(self, value: Any) -> Any:
        """bytes, or a view of a snapshot; what a write can move is copied first."""
        if not self._buffers:
            return self._ffi.buffer(value.mv_data, value.mv_size)[:]
        if self._thread:
            return memoryview(self._ffi.buffer(value.mv_data, value.mv_size)[:])
        if self._exporter is None:
            self._exporter = Exporter(self._ffi, self._lib, self._shared, self._ptr)
        return self._exporter.view(int(self._ffi.cast("uintptr_t", value.mv_data)), value.mv_size)

    def _get(self, ptr: Any, db: Any, key: Any, default: Any) -> Any:
        lib, value, slot = self._lib, self._value, self._slot_in(ptr, db)

        def call() -> int:
            return int(lib.pylmdb_get(ptr, slot.dbi, slot.flags, raw, len(key), value))

        raw = key if type(key) is bytes else self._ffi.from_buffer(key)
        code = call()
        if code and code != lib.MDB_NOTFOUND:
            code = self._retry_adopted(ptr, code, call)
        if code == lib.MDB_NOTFOUND:
            return default
        if code:
            raise error("mdb_get", code)
        return self._to_python(value)

    def get(self, key: Any, default: Any = None, db: Any = None) -> Any:
        return self._do(self._get, db, as_buffer("key", key), default)

    def _put(self, ptr: Any, db: Any, key: Any, value: Any, flags: int, append: bool) -> bool:
        lib, slot = self._lib, self._slot_in(ptr, db)
        flags |= append_flag(lib, slot, append)

        def call() -> int:
            return int(
                lib.pylmdb_put(
                    ptr, slot.dbi, slot.flags, raw_key, len(key), raw_value, len(value), flags
                )
            )

        raw_key = key if type(key) is bytes else self._ffi.from_buffer(key)
        raw_value = value if type(value) is bytes else self._ffi.from_buffer(value)
        code = call()
        if code and code != lib.MDB_KEYEXIST:
            code = self._retry_adopted(ptr, code, call)
        self._mutations += 1
        if code == lib.MDB_KEYEXIST:
            return False
        if code:
            raise error("mdb_put", code)
        return True

    def put(
        self,
        key: Any,
        value: Any,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
        db: Any = None,
    ) -> bool:
        flags = put_flags(self._lib, dupdata, overwrite)
        key, value, append = as_buffer("key", key), as_buffer("value", value), bool(append)
        return bool(self._do(self._put, db, key, value, flags, append))

    def _delete(self, ptr: Any, db: Any, key: Any, value: Any) -> bool:
        lib, ffi, slot = self._lib, self._ffi, self._slot_in(ptr, db)

        def call() -> int:
            return int(
                lib.pylmdb_del(ptr, slot.dbi, slot.flags, raw_key, len(key), raw_value, size)
            )

        raw_key = key if type(key) is bytes else ffi.from_buffer(key)
        size = 0 if value is None else len(value)
        raw_value = ffi.NULL if value is None else ffi.from_buffer(value)
        code = call()
        if code and code != lib.MDB_NOTFOUND:
            code = self._retry_adopted(ptr, code, call)
        self._mutations += 1
        if code == lib.MDB_NOTFOUND:
            return False
        if code:
            raise error("mdb_del", code)
        return True

    def delete(self, key: Any, value: Any = None, db: Any = None) -> bool:
        key = as_buffer("key", key)
        value = None if value is None else as_buffer("value", value)
        return bool(self._do(self._delete, db, key, value))

    def pop(self, key: Any, db: Any = None) -> bytes | None:
        with self.cursor(db) as cursor:
            return cursor.pop(key)  # type: ignore[no-any-return]

    def replace(self, key: Any, value: Any, db: Any = None) -> bytes | None:
        with self.cursor(db) as cursor:
            return cursor.replace(key, value)  # type: ignore[no-any-return]

    def get_many(self, keys: Any, default: Any = None, db: Any = None) -> list[Any]:
        self._do(self._slot_in, db)
        return [self._do(self._get, db, as_buffer("key", key), default) for key in keys]


def put_flags(lib: Any, dupdata: Any, overwrite: Any) -> int:
    """The flags of ``mdb_put`` for two of put's keywords."""
    flags = 0 if dupdata else lib.MDB_NODUPDATA
    return int(flags if overwrite else flags | lib.MDB_NOOVERWRITE)


def append_flag(lib: Any, slot: DbSlot, append: bool) -> int:
    """MDB_APPEND, or its form for databases with duplicates."""
    if not append:
        return 0
    return int(lib.MDB_APPENDDUP if slot.flags & lib.MDB_DUPSORT else lib.MDB_APPEND)
