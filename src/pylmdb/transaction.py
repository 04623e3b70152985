# SPDX-License-Identifier: MIT
"""Transaction: one consistent state of an environment, read or changed."""

from __future__ import annotations

from ._array_methods import TransactionArrays
from ._base.ranges import walk
from ._core_rules.refusals import database_error, refusal
from ._signature import InitSignature
from ._typing import TYPE_CHECKING, Generic, ValueT, overload
from ._which_core import TransactionCore, publish
from .types import Stat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Literal, NoReturn, TypeVar

    from typing_extensions import Self

    from ._aliases import CData
    from ._engine import Engine
    from .cursor import Cursor
    from .database import Database
    from .environment import Environment
    from .types import BytesLike

    T = TypeVar("T")


@publish
class Transaction(TransactionArrays, Generic[ValueT], TransactionCore):
    """A transaction (``MDB_txn``), begun by :meth:`Environment.begin`.

    A read transaction sees the environment as it was when it began, whatever is
    committed meanwhile; any number may be open and they may move between
    threads.  There is one write transaction at a time, in the thread that began
    it.  As a context manager it commits when the block ends and aborts when the
    block raises.  A write transaction that is dropped is aborted, and if that loses
    changes there is a ResourceWarning.

    :param env: the :class:`Environment`.
    :param db: the database that is meant where an operation names none; the main
        one by default.
    :param parent: a write transaction to nest in.  While the child is open the
        parent cannot be used; aborting the child undoes just its changes.
        Read-only children need LMDB 1.0.
    :param write: True to change the environment.  Waits while another write
        transaction is open; raises :class:`BusyError` if it is this thread's own.
    :param buffers: True to get keys and values as read-only memoryviews.  In a
        read transaction they lie in the memory map, without a copy, and stay
        valid for as long as anything refers to them: they keep the snapshot
        even when the transaction and the environment are closed.  In a write
        transaction they are copies.
    :param timeout: seconds to wait for the writer lock, for ever by default;
        :class:`LockTimeoutError` when they are over.
    :param sync: False to leave this commit's flush to the system (see ``open``).
    :param metasync: False to leave the flush of this commit's meta page to the
        system.
    :raises ReadonlyError: ``write`` in a read-only environment.
    :raises ReadersFullError: all reader slots are taken.

    ``mdb_txn_begin``.
    """

    __slots__ = ()

    __signature__ = InitSignature()

    # -- what both cores implement ------------------------------------------------

    def __init__(
        self,
        env: Environment,
        db: Database | None = None,
        parent: Transaction[Any] | None = None,
        write: bool = False,
        buffers: bool = False,
        *,
        timeout: float | None = None,
        sync: bool | None = None,
        metasync: bool | None = None,
    ) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        """The transaction itself."""
        raise NotImplementedError

    def __exit__(self, *exc: object) -> None:
        """Commit, or abort when the block has raised; nothing if it has ended.

        :raises ClosedError: the transaction had writes and was ended by something
            else, such as closing the environment: they are lost.
        """
        raise NotImplementedError

    @overload
    def get(
        self, key: BytesLike, default: None = None, db: Database | None = None
    ) -> ValueT | None: ...
    @overload
    def get(self, key: BytesLike, default: T, db: Database | None = None) -> ValueT | T: ...
    def get(self, key: BytesLike, default: object = None, db: Database | None = None) -> object:
        """The value of ``key``, or ``default`` if there is none.

        In a database with duplicates it is the first value.

        :raises BadValsizeError: the key is empty, or has not the width of an
            integer key database.

        ``mdb_get``.
        """
        raise NotImplementedError

    @overload
    def view(
        self, key: BytesLike, default: None = None, db: Database | None = None
    ) -> memoryview | None: ...
    @overload
    def view(self, key: BytesLike, default: T, db: Database | None = None) -> memoryview | T: ...
    def view(self, key: BytesLike, default: object = None, db: Database | None = None) -> object:
        """The value of ``key`` as a read-only memoryview, whatever ``buffers`` says.

        In a read transaction it lies in the memory map, without a copy, and it and
        everything made from it stay valid whatever ends: they keep the snapshot.  In a
        write transaction it is a copy.  A view costs the same for every size; bytes are
        cheaper up to about 200 of them.

        :return: a view of the bytes, shape (size,), format ``B``; or ``default``.

        ``mdb_get``.
        """
        raise NotImplementedError

    @overload
    def get_many(
        self, keys: Iterable[BytesLike], default: None = None, db: Database | None = None
    ) -> list[ValueT | None]: ...
    @overload
    def get_many(
        self, keys: Iterable[BytesLike], default: T, db: Database | None = None
    ) -> list[ValueT | T]: ...
    def get_many(
        self, keys: Iterable[BytesLike], default: object = None, db: Database | None = None
    ) -> list[Any]:
        """The values of many keys, in the order of ``keys``.

        The list has one element per key: its value, or ``default``.

        ``mdb_get``.
        """
        raise NotImplementedError

    def put(
        self,
        key: BytesLike,
        value: BytesLike,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
        db: Database | None = None,
    ) -> bool:
        """Store a record; True if it was written.

        :param dupdata: False to return False when the pair of key and value
            exists already (databases with duplicates).
        :param overwrite: False to return False, and write nothing, when the key
            exists already.
        :param append: True to write at the end of the database without looking
            for the place; returns False if the key is not the greatest.  In a
            database with duplicates: at the end of the key's values.
        :raises MapFullError: the map has reached its size.
        :raises BadValsizeError: a size that the database cannot take.
        :raises ReadonlyError: in a read transaction.

        ``mdb_put``.
        """
        raise NotImplementedError

    def delete(
        self, key: BytesLike, value: BytesLike | None = None, db: Database | None = None
    ) -> bool:
        """Delete ``key``; True if it existed.

        In a database with duplicates ``value`` names the one to delete; None and an
        empty value mean all.  Elsewhere ``value`` is not looked at.

        ``mdb_del``.
        """
        raise NotImplementedError

    def pop(self, key: BytesLike, db: Database | None = None) -> bytes | None:
        """Delete ``key`` and return its value as bytes; None if there is none.

        In a database with duplicates: its first value.  ``mdb_cursor_del``.
        """
        raise NotImplementedError

    def replace(self, key: BytesLike, value: BytesLike, db: Database | None = None) -> bytes | None:
        """Store a record and return the key's previous value as bytes, or None.

        In a database with duplicates all values are replaced, and the first is
        returned.  ``mdb_cursor_put``.
        """
        raise NotImplementedError

    def commit(self) -> None:
        """Make the changes permanent and end the transaction.

        With default options the data is on disk when this returns.  Whatever it
        raises, the transaction has ended.

        :raises BadTxnError: an earlier operation failed half-way (MapFullError).
        :raises DiskError: the disk is full or failed; nothing was changed.

        ``mdb_txn_commit``.
        """
        raise NotImplementedError

    def abort(self) -> None:
        """Undo the changes and end the transaction; does nothing the second time.

        It may be called from any thread.  ``mdb_txn_abort``.
        """
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """True once the transaction has ended."""
        raise NotImplementedError

    def cursor(self, db: Database | None = None) -> Cursor[ValueT]:
        """A cursor on ``db``, or on the transaction's database.

        ``mdb_cursor_open``.
        """
        raise NotImplementedError

    # -- what is written once -------------------------------------------------------

    @property
    def write(self) -> bool:
        """True for a write transaction."""
        return self._write

    def id(self) -> int:
        """The number of the snapshot that is read, or of the one being written.

        ``mdb_txn_id``.
        """
        return int(self._do(self._shared_engine().lib.mdb_txn_id))

    def stat(self, db: Database | None = None) -> Stat:
        """Numbers of entries, pages and levels of a database.  ``mdb_stat``."""
        result: Stat = self._do(self._stat, db)
        return result

    def _stat(self, ptr: CData, db: Database | None) -> Stat:
        engine, slot = self._shared.engine, self._slot_in(ptr, db)
        out = engine.ffi.new("MDB_stat *")
        code = engine.lib.pylmdb_stat(ptr, slot.dbi, out)
        if code:
            raise database_error("mdb_stat", code, slot)
        return stat_from(out)

    def drop(self, db: Database, delete: bool = True) -> None:
        """Delete all records of a database, and with ``delete`` the database too.

        Its handle and its cursors then are dead.  Without ``delete`` they stay
        usable.  The main database can only be emptied; its named databases go
        with it.

        ``mdb_drop``.
        """
        self._do(self._drop, db, bool(delete))

    def _drop(self, ptr: CData, db: Database, delete: bool) -> None:
        if db is None:
            raise TypeError("db must be a database handle, not NoneType")
        shared, slot = self._shared, self._slot_in(ptr, db)
        lib = shared.engine.lib
        with shared.dbi_lock:
            self._mutations += self._write
            code = lib.pylmdb_drop(ptr, slot.dbi, delete)
            if code:
                raise database_error("mdb_drop", code, slot)
            gone = [slot] if delete and slot is not shared.main else []
            if slot is shared.main:
                gone = list(shared.slots.values())
            for each in gone:
                self._close_cursors_of(each)
                self._dropped.append(each.dbi)
                shared.forget_slot(each)

    def _shared_engine(self) -> Engine:
        if self._shared is None:
            raise refusal("transaction never begun")
        return self._shared.engine

    @overload
    def range(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: Literal[True] = True,
        values: Literal[True] = True,
        db: Database | None = None,
    ) -> Iterator[tuple[ValueT, ValueT]]: ...
    @overload
    def range(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: Literal[True] = True,
        values: Literal[False],
        db: Database | None = None,
    ) -> Iterator[ValueT]: ...
    @overload
    def range(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: Literal[False],
        values: Literal[True] = True,
        db: Database | None = None,
    ) -> Iterator[ValueT]: ...
    @overload
    def range(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: bool = True,
        values: bool = True,
        db: Database | None = None,
    ) -> Iterator[Any]: ...
    def range(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        reverse: bool = False,
        keys: bool = True,
        values: bool = True,
        db: Database | None = None,
    ) -> Iterator[Any]:
        """Iterate over the records with ``start <= key < stop`` in key order.

        :param start: the first key; None for the beginning.
        :param stop: the key to stop before; None for the end.
        :param prefix: instead of both: all keys that begin with these bytes.
        :param reverse: True for the same records from last to first.
        :param keys: False for values alone.
        :param values: False for keys alone, which reads no value.
        :return: an iterator over (key, value) pairs, keys, or values.  Records
            may be changed and deleted meanwhile.

        ``mdb_cursor_get`` with ``MDB_SET_RANGE``.
        """
        return walk(self.cursor(db), start, stop, prefix, reverse, keys, values)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a transaction cannot be pickled or copied; begin another one")

    def __repr__(self) -> str:
        kind = "write" if self._write else "read"
        if self.closed:
            return f"<pylmdb.Transaction {kind} ended>"
        return f"<pylmdb.Transaction {kind} on {self.env.path()!r}>"


def stat_from(out: CData) -> Stat:
    """``MDB_stat`` as a :class:`Stat`."""
    return Stat(
        psize=int(out.ms_psize),
        depth=int(out.ms_depth),
        branch_pages=int(out.ms_branch_pages),
        leaf_pages=int(out.ms_leaf_pages),
        overflow_pages=int(out.ms_overflow_pages),
        entries=int(out.ms_entries),
    )
