# SPDX-License-Identifier: MIT
"""Transaction: reads or changes one consistent snapshot of an environment."""

from __future__ import annotations

from ._array_methods import TransactionArrays
from ._signature import InitSignature
from ._typing import TYPE_CHECKING, Generic, ValueT, overload
from ._which_core import TransactionCore, publish

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import EllipsisType
    from typing import Any, Literal, NoReturn, TypeVar

    from typing_extensions import Self

    from ._aliases import CData
    from .cursor import Cursor
    from .database import Database
    from .environment import Environment
    from .types import BytesLike, Stat

    T = TypeVar("T")


@publish
class Transaction(TransactionArrays, Generic[ValueT], TransactionCore):
    """A transaction (``MDB_txn``), begun by :meth:`Environment.begin`.

    A read transaction sees the environment as it was when it began, whatever is
    committed meanwhile.  Any number can be open, and they can move between threads.
    Only one write transaction can be open at a time, and only the thread that began
    it can use it.  As a context manager a transaction commits when the block ends, and
    aborts if the block raises.  A write transaction that is dropped is aborted, with a
    ResourceWarning if that loses changes.

    >>> env = pylmdb.open("fruit")
    >>> txn = env.begin(write=True)    # the examples of the methods continue here
    >>> txn.put(b"apple", b"red"), txn.put(b"banana", b"yellow"), txn.put(b"cherry", b"red")
    (True, True, True)

    :param env: the :class:`Environment`.  Its method :meth:`~Environment.begin` explains
        the others: ``db``, ``parent``, ``write``, ``buffers``, ``timeout``, ``sync`` and
        ``metasync``.
    """

    __slots__ = ()

    __signature__ = InitSignature()

    # -- implemented by the core --------------------------------------------------

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Transaction[bytes],
            env: Environment,
            db: Database | None = None,
            parent: Transaction[Any] | None = None,
            write: bool = False,
            buffers: Literal[False] = False,
            *,
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> None: ...
        @overload
        def __init__(
            self: Transaction[memoryview],
            env: Environment,
            db: Database | None = None,
            parent: Transaction[Any] | None = None,
            write: bool = False,
            *,
            buffers: Literal[True],
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> None: ...
        @overload
        def __init__(
            self: Transaction[memoryview],
            env: Environment,
            db: Database | None,
            parent: Transaction[Any] | None,
            write: bool,
            buffers: Literal[True],
            *,
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> None: ...
        @overload
        def __init__(
            self: Transaction[Any],
            env: Environment,
            db: Database | None = None,
            parent: Transaction[Any] | None = None,
            write: bool = False,
            buffers: bool = False,
            *,
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> None: ...

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
        """Return the transaction itself."""
        raise NotImplementedError

    def __exit__(self, *exc: object) -> None:
        """Commit, or abort if the block has raised; does nothing if it has ended already.

        :raises ClosedError: the transaction had written, and was ended from outside,
            for instance because the environment was closed; its writes are lost.
        """
        raise NotImplementedError

    @overload
    def get(
        self, key: BytesLike, default: None = None, db: Database | None = None
    ) -> ValueT | None: ...
    @overload
    def get(self, key: BytesLike, default: T, db: Database | None = None) -> ValueT | T: ...
    def get(self, key: BytesLike, default: object = None, db: Database | None = None) -> object:
        """Return the value of ``key``, or ``default`` if the key does not exist.

        In a database with duplicates it is the first value.

        >>> txn.get(b"apple")
        b'red'
        >>> txn.get(b"plum", b"none")
        b'none'

        :param db: the database; None for the transaction's.
        :raises BadValsizeError: the key is empty, or has not the width of the
            database's integer keys.

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
        """Return the value of ``key`` as a read-only memoryview, whatever ``buffers`` is.

        In a read transaction it is a view of the memory map, without a copy.  It, and
        everything made from it, stays valid after the transaction and the environment
        have ended, because it keeps the snapshot.  In a write transaction it is a copy.

        >>> txn.commit()
        >>> with env.begin() as reader:
        ...     color = reader.view(b"apple")
        >>> bytes(color[:2])                                  # valid after the transaction
        b're'

        :param db: the database; None for the transaction's.
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
        """Return the values of many keys, as a list in the order of ``keys``.

        The list has one element per key: its value, or ``default``.

        >>> txn.get_many([b"cherry", b"plum"])
        [b'red', None]

        :param db: the database; None for the transaction's.

        ``mdb_get``.
        """
        raise NotImplementedError

    def __contains__(self, key: BytesLike) -> bool:
        """Return whether ``key`` exists in the transaction's database.

        ``mdb_get``.
        """
        raise NotImplementedError

    def first(self, db: Database | None = None) -> tuple[ValueT, ValueT] | None:
        """Return the first record as (key, value), or None if there is none.

        In a database with duplicates it is the first value of its key.

        :param db: the database; None for the transaction's.

        ``MDB_FIRST``.
        """
        raise NotImplementedError

    def last(self, db: Database | None = None) -> tuple[ValueT, ValueT] | None:
        """Return the last record as (key, value), or None if there is none.

        In a database with duplicates it is the last value of its key.

        :param db: the database; None for the transaction's.

        ``MDB_LAST``.
        """
        raise NotImplementedError

    def floor(self, key: BytesLike, db: Database | None = None) -> tuple[ValueT, ValueT] | None:
        """Return the record with the greatest key that is not greater than ``key``.

        In a database with duplicates it is the last value of its key.

        >>> txn.floor(b"b")
        (b'apple', b'red')

        :param db: the database; None for the transaction's.
        :return: (key, value), or None if all keys are greater.
        :raises BadValsizeError: ``key`` has not the width of the database's integer keys.

        ``MDB_SET_RANGE``, ``MDB_PREV``.
        """
        raise NotImplementedError

    def ceiling(self, key: BytesLike, db: Database | None = None) -> tuple[ValueT, ValueT] | None:
        """Return the record with the smallest key that is not smaller than ``key``.

        In a database with duplicates it is the first value of its key.

        >>> txn.ceiling(b"b")
        (b'banana', b'yellow')

        :param db: the database; None for the transaction's.
        :return: (key, value), or None if all keys are smaller.
        :raises BadValsizeError: ``key`` has not the width of the database's integer keys.

        ``MDB_SET_RANGE``.
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
        *,
        if_value: BytesLike | EllipsisType | None = ...,
    ) -> bool:
        """Store a record; returns True if it was written.

        >>> txn.put(b"apple", b"green")                       # replaces the value
        True
        >>> txn.put(b"apple", b"blue", overwrite=False)       # the key exists
        False
        >>> txn.put(b"apple", b"blue", if_value=b"green")     # compare and set
        True

        :param dupdata: False to write nothing, and return False, if the pair of key
            and value exists already (in databases with duplicates).
        :param overwrite: False to write nothing, and return False, if the key exists
            already.
        :param append: True to append the record to the database without a search;
            returns False if the key is not the greatest.  In a database with
            duplicates the value is appended to those of the key.
        :param db: the database; None for the transaction's.
        :param if_value: bytes to write only if the key has this value now, None to write only if
            the key does not exist (compare and set).  Otherwise nothing is written, and False is
            returned.  Left out, the value does not matter.
        :raises MapFullError: the map has reached its greatest size.
        :raises BadValsizeError: the database does not allow the size of the key or
            value.
        :raises ReadonlyError: in a read transaction.
        :raises IncompatibleError: ``if_value`` in a database with duplicates.
        :raises TypeError: ``if_value`` together with ``overwrite=False`` or ``append=True``.

        ``mdb_put``.
        """
        raise NotImplementedError

    def delete(
        self, key: BytesLike, value: BytesLike | None = None, db: Database | None = None
    ) -> bool:
        """Delete a record; returns True if it existed.

        >>> txn.delete(b"apple"), txn.delete(b"apple")
        (True, False)

        :param value: in a database with duplicates, the value to delete; None or an
            empty value means all values of the key.  In other databases it is ignored.
        :param db: the database; None for the transaction's.
        :raises ReadonlyError: in a read transaction.

        ``mdb_del``.
        """
        raise NotImplementedError

    def pop(self, key: BytesLike, db: Database | None = None) -> bytes | None:
        """Delete a record and return its value as bytes; None if the key does not exist.

        In a database with duplicates this is the key's first value.

        >>> txn.pop(b"apple")
        b'red'

        :param db: the database; None for the transaction's.
        :raises ReadonlyError: in a read transaction.

        ``mdb_cursor_del``.
        """
        raise NotImplementedError

    def replace(self, key: BytesLike, value: BytesLike, db: Database | None = None) -> bytes | None:
        """Store a record and return the key's previous value as bytes, or None.

        In a database with duplicates all values of the key are replaced, and the first
        of them is returned.

        >>> txn.replace(b"apple", b"green")
        b'red'

        :param db: the database; None for the transaction's.
        :raises ReadonlyError: in a read transaction.

        ``mdb_cursor_put``.
        """
        raise NotImplementedError

    def commit(self) -> None:
        """Make the changes permanent and end the transaction.

        With default options the data is on disk when this returns.  The transaction
        ends even if this raises.

        :raises BadTxnError: an earlier operation failed before its end (MapFullError).
        :raises DiskError: the disk is full or has failed; nothing was changed.

        ``mdb_txn_commit``.
        """
        raise NotImplementedError

    def abort(self) -> None:
        """Undo the changes and end the transaction; does nothing the second time.

        Any thread can call it.  ``mdb_txn_abort``.
        """
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """True once the transaction has ended."""
        raise NotImplementedError

    def cursor(self, db: Database | None = None) -> Cursor[ValueT]:
        """Open a cursor.

        >>> with txn.cursor() as cursor:
        ...     cursor.last(), cursor.key()
        (True, b'cherry')

        :param db: the database; None for the transaction's.

        ``mdb_cursor_open``.
        """
        raise NotImplementedError

    def id(self) -> int:
        """Return the number of the snapshot that is read, or that is being written.

        ``mdb_txn_id``.
        """
        raise NotImplementedError

    def stat(self, db: Database | None = None) -> Stat:
        """Return the numbers of entries, pages and levels of a database.

        >>> txn.stat().entries
        3

        :param db: the database; None for the transaction's.

        ``mdb_stat``.
        """
        raise NotImplementedError

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
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
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
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
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
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
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
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
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
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
        db: Database | None = None,
    ) -> Iterator[Any]:
        """Iterate over the records with ``start <= key < stop`` in key order.

        >>> list(txn.range(b"b"))
        [(b'banana', b'yellow'), (b'cherry', b'red')]
        >>> list(txn.range(prefix=b"b", values=False))
        [b'banana']
        >>> list(txn.range(reverse=True, limit=1))            # the last record
        [(b'cherry', b'red')]

        :param start: the first key; None for the beginning.
        :param stop: the key to stop before; None for the end.
        :param prefix: instead of both: iterate over the keys that begin with these bytes.
        :param reverse: True for the same records from last to first.
        :param keys: False for values only.
        :param values: False for keys only; no value is read.
        :param limit: the greatest number of records; None for all.
        :param offset: how many records to leave out first, of the last ones with
            ``reverse``.  Without duplicates, pages of them are left out at once.
        :param include_start: False to begin after ``start``, and all its values.
        :param include_stop: True to end with ``stop``, and all its values.
        :param db: the database; None for the transaction's.
        :return: an iterator over (key, value) pairs, keys, or values.  Records can be
            changed and deleted meanwhile.
        :raises TypeError: ``prefix`` is given together with ``start``, ``stop`` or what
            they include; ``limit`` or ``offset`` is not an integer.
        :raises InvalidParameterError: ``limit`` or ``offset`` is negative; ``prefix`` in a
            database with integer or reversed keys.

        ``mdb_cursor_get`` with ``MDB_SET_RANGE``.
        """
        raise NotImplementedError

    def count(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        db: Database | None = None,
    ) -> int:
        """Return the number of records with ``start <= key < stop``.

        Of each page it reads only how many records the page has; in a database with
        duplicates, how many values each key has.  Without bounds it reads no page.

        >>> txn.count(), txn.count(b"b", b"c")
        (3, 1)

        :param start: the first key; None for the beginning.
        :param stop: the key to stop before; None for the end.
        :param prefix: instead of both: count the keys that begin with these bytes.
        :param db: the database; None for the transaction's.
        :return: the number of pairs of key and value; each value of a key counts.
        :raises TypeError: ``prefix`` is given together with ``start`` or ``stop``.
        :raises InvalidParameterError: ``prefix`` in a database with integer or reversed
            keys.

        ``mdb_cursor_get`` with ``MDB_SET_RANGE``; without bounds ``mdb_stat``.
        """
        raise NotImplementedError

    def delete_range(
        self,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        *,
        prefix: BytesLike | None = None,
        db: Database | None = None,
    ) -> int:
        """Delete the records with ``start <= key < stop``; return how many there were.

        Pages whose records are all in the range are freed as a whole, so a large range
        takes much less time than its records would one by one.  Cursors and iterators
        stay where deletes of the single records would leave them.

        >>> txn.delete_range(b"a", b"c"), txn.delete_range(prefix=b"ch")
        (2, 1)

        :param start: the first key; None for the beginning.
        :param stop: the key to stop before; None for the end.
        :param prefix: instead of both: delete the keys that begin with these bytes.
        :param db: the database; None for the transaction's.
        :return: the number of pairs of key and value; each value of a key counts.
        :raises TypeError: no bound is given (:meth:`drop` deletes all records), or
            ``prefix`` together with another bound.
        :raises InvalidParameterError: ``prefix`` in a database with integer or reversed
            keys.
        :raises IncompatibleError: the range has named databases, in the main database;
            nothing is deleted.
        :raises MapFullError: the map has reached its greatest size; the transaction can
            only be aborted.
        :raises ReadonlyError: in a read transaction.

        ``mdb_cursor_del``.
        """
        raise NotImplementedError

    def next_id(self, db: Database | None = None) -> int:
        """Return the number for a new key: the greatest key's plus one, or 1 in an empty database.

        No record has this number, and until the transaction ends no other writer can take it.
        The same number is returned until a record with it is stored, and again if the record
        with the greatest key is deleted.  Names of databases, in the main database, do not count.

        The number of a key is, in a database with ``integerkey``, the native integer.  Elsewhere
        it is the decimal number, if the key consists of ASCII digits; else the key must have 4
        or 8 bytes, which are an unsigned integer with the highest byte first, as for
        :meth:`take` and :class:`~pylmdb.Map` with ``key="uint"``; with ``reverse_key`` the
        lowest byte is first.

        >>> log = env.open_db(b"log", txn)
        >>> for text in b"one", b"two":
        ...     written = txn.put(b"%08d" % txn.next_id(log), text, db=log)
        >>> txn.last(log)
        (b'00000002', b'two')

        :param db: the database; None for the transaction's.
        :raises ReadonlyError: in a read transaction, because another writer could take the number.
        :raises InvalidParameterError: the greatest key is not a number.
        :raises OverflowError: keys of this width have no greater number.

        ``mdb_cursor_get`` with ``MDB_LAST``.
        """
        raise NotImplementedError

    # -- the same for both cores ------------------------------------------------------

    @property
    def write(self) -> bool:
        """True for a write transaction."""
        return self._write

    def drop(self, db: Database, delete: bool = True) -> None:
        """Delete all records of a database, and the database itself.

        >>> old = env.open_db(b"old", txn)
        >>> txn.drop(old)
        >>> env.dbs(txn)
        []

        :param db: the database.  The main database can only be emptied, which deletes
            the named databases, too.
        :param delete: False to keep the empty database.  Its handle and cursors stay
            usable then; otherwise they are dead.
        :raises ReadonlyError: in a read transaction.

        ``mdb_drop``.
        """
        self._do(self._drop, db, bool(delete))

    def _drop(self, ptr: CData, db: Database, delete: bool) -> None:
        from ._core_rules.failures import database_error
        from ._core_rules.refusals import refusal

        if db is None:
            raise refusal("not a database", type(db))
        shared, slot = self._shared, self._slot_in(ptr, db)
        lib = shared.engine.lib
        with shared.dbi_lock:
            self._mutations += self._write
            code = lib.pylmdb_drop(ptr, slot.dbi, delete)
            if code:
                raise database_error("mdb_drop", code, slot)
            if delete or slot is shared.main:
                self._note_dropped(slot, True)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a transaction cannot be pickled or copied; begin another one")

    def __repr__(self) -> str:
        kind = "write" if self._write else "read"
        if self.closed:
            return f"<pylmdb.Transaction {kind} ended>"
        return f"<pylmdb.Transaction {kind} on {self.env._options.given_path!r}>"
