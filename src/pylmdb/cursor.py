# SPDX-License-Identifier: MIT
"""Cursor: a position in a database, and operations there."""

from __future__ import annotations

from ._array_methods import CursorArrays
from ._signature import InitSignature
from ._typing import TYPE_CHECKING, Generic, ValueT, overload
from ._which_core import CursorCore, publish

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Literal, NoReturn, TypeVar

    from typing_extensions import Self

    from .database import Database
    from .transaction import Transaction
    from .types import BytesLike

    T = TypeVar("T")


@publish
class Cursor(CursorArrays, Generic[ValueT], CursorCore):
    """A cursor (``MDB_cursor``), opened by :meth:`Transaction.cursor`.

    A new cursor has no position.  A method that moves it returns True if it is on a
    record then.  Otherwise it returns False, and the cursor's key and value are empty;
    the next move still starts from the previous position.  But a search that finds
    nothing leaves no position; :meth:`set_range` is then after the last record.
    A cursor can be used until its transaction ends.  ``cursor.db`` and ``cursor.txn``
    are the database handle and the transaction.

    >>> env = pylmdb.open("fruit")
    >>> txn = env.begin(write=True)
    >>> cursor = txn.cursor()          # the examples of the methods continue here
    >>> cursor.putmulti([(b"apple", b"red"), (b"banana", b"yellow"), (b"cherry", b"red")])
    (3, 3)
    >>> cursor.set_range(b"b"), cursor.item()
    (True, (b'banana', b'yellow'))

    :param db: the :class:`Database`.
    :param txn: the :class:`Transaction`.

    ``mdb_cursor_open``.
    """

    __slots__ = ()

    __signature__ = InitSignature()

    if TYPE_CHECKING:
        db: Database
        txn: Transaction[ValueT]

    # -- life -------------------------------------------------------------------

    def __init__(self, db: Database, txn: Transaction[ValueT]) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Return the cursor itself."""
        raise NotImplementedError

    def __exit__(self, *exc: object) -> None:
        """Close the cursor."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[tuple[ValueT, ValueT]]:
        """The same as :meth:`iternext`."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """True once nothing can be done with this cursor any more."""
        raise NotImplementedError

    # -- movements ----------------------------------------------------------------

    def first(self) -> bool:
        """Move to the first record; False if the database is empty.  ``MDB_FIRST``."""
        raise NotImplementedError

    def first_dup(self) -> bool:
        """Move to the first value of the current key.  ``MDB_FIRST_DUP``.

        :raises IncompatibleError: the database has no duplicates.
        :raises InvalidParameterError: the cursor has no position.
        """
        raise NotImplementedError

    def last(self) -> bool:
        """Move to the last record; False if the database is empty.  ``MDB_LAST``."""
        raise NotImplementedError

    def last_dup(self) -> bool:
        """Move to the last value of the current key.  ``MDB_LAST_DUP``.

        :raises IncompatibleError: the database has no duplicates.
        :raises InvalidParameterError: the cursor has no position.
        """
        raise NotImplementedError

    def next(self) -> bool:
        """Move to the next record; False at the end.  ``MDB_NEXT``.

        A cursor without a position goes to the first one.
        """
        raise NotImplementedError

    def next_dup(self) -> bool:
        """Move to the next value of the current key; False if there is none.  ``MDB_NEXT_DUP``."""
        raise NotImplementedError

    def next_nodup(self) -> bool:
        """Move to the first value of the next key; False at the end.  ``MDB_NEXT_NODUP``."""
        raise NotImplementedError

    def prev(self) -> bool:
        """Move to the previous record; False at the beginning.  ``MDB_PREV``.

        A cursor without a position goes to the last one.
        """
        raise NotImplementedError

    def prev_dup(self) -> bool:
        """Move to the previous value of the key; False if there is none.  ``MDB_PREV_DUP``."""
        raise NotImplementedError

    def prev_nodup(self) -> bool:
        """Move to the last value of the previous key; False at the beginning.
        ``MDB_PREV_NODUP``."""
        raise NotImplementedError

    def set_key(self, key: BytesLike, /) -> bool:
        """Move to ``key``, at its first value; False if it does not exist.  ``MDB_SET_KEY``.

        >>> cursor.set_key(b"cherry"), cursor.set_key(b"plum")
        (True, False)

        :raises BadValsizeError: the key is empty.
        """
        raise NotImplementedError

    def set_key_dup(self, key: BytesLike, value: BytesLike) -> bool:
        """Move to the pair of ``key`` and ``value``; False if it does not exist.
        ``MDB_GET_BOTH``.

        >>> cursor = txn.cursor(env.open_db(b"tags", txn, dupsort=True))
        >>> cursor.putmulti([(b"k", b"a"), (b"k", b"c"), (b"l", b"d")])
        (3, 3)
        >>> cursor.set_key_dup(b"k", b"c"), cursor.set_key_dup(b"k", b"b")
        (True, False)
        """
        raise NotImplementedError

    def set_range(self, key: BytesLike, /) -> bool:
        """Move to the first key that is not smaller than ``key``; False if there is none.

        An empty ``key`` means the first one.  ``MDB_SET_RANGE``.

        >>> cursor.set_range(b"c"), cursor.key()
        (True, b'cherry')
        """
        raise NotImplementedError

    def set_range_dup(self, key: BytesLike, value: BytesLike) -> bool:
        """Move to the first value of ``key`` that is not smaller than ``value``; False if
        there is none.  ``MDB_GET_BOTH_RANGE``.

        >>> cursor = txn.cursor(env.open_db(b"tags", txn, dupsort=True))
        >>> cursor.putmulti([(b"k", b"a"), (b"k", b"c"), (b"l", b"d")])
        (3, 3)
        >>> cursor.set_range_dup(b"k", b"b"), cursor.value()
        (True, b'c')
        """
        raise NotImplementedError

    # -- reads ----------------------------------------------------------------------

    def key(self) -> ValueT:
        """Return the current key; it is empty without a position."""
        raise NotImplementedError

    def value(self) -> ValueT:
        """Return the current value; it is empty without a position."""
        raise NotImplementedError

    def view(self) -> memoryview:
        """Return the current value as a read-only memoryview, whatever ``buffers`` is.

        It is empty without a position.  :meth:`Transaction.view` says how long it is
        valid.  ``mdb_cursor_get`` with ``MDB_GET_CURRENT``.
        """
        raise NotImplementedError

    def item(self) -> tuple[ValueT, ValueT]:
        """Return the current key and value; both are empty without a position."""
        raise NotImplementedError

    @overload
    def get(self, key: BytesLike, default: None = None) -> ValueT | None: ...
    @overload
    def get(self, key: BytesLike, default: T) -> ValueT | T: ...
    def get(self, key: BytesLike, default: object = None) -> object:
        """Move to ``key`` and return its value, or ``default`` if it does not exist.

        >>> cursor.get(b"apple"), cursor.get(b"plum", b"none")
        (b'red', b'none')
        """
        raise NotImplementedError

    def count(self) -> int:
        """Return the number of values of the current key.  ``mdb_cursor_count``.

        >>> cursor = txn.cursor(env.open_db(b"tags", txn, dupsort=True))
        >>> cursor.putmulti([(b"k", b"a"), (b"k", b"c"), (b"l", b"d")])
        (3, 3)
        >>> cursor.set_key(b"k"), cursor.count()
        (True, 2)

        :raises IncompatibleError: the database has no duplicates.
        """
        raise NotImplementedError

    @overload
    def getmulti(
        self,
        keys: Iterable[BytesLike],
        dupdata: bool = False,
        dupfixed_bytes: int | None = None,
        keyfixed: Literal[False] = False,
        values: Literal[True] = True,
    ) -> list[tuple[ValueT, ValueT]]: ...
    @overload
    def getmulti(
        self,
        keys: Iterable[BytesLike],
        dupdata: bool = False,
        dupfixed_bytes: int | None = None,
        keyfixed: Literal[False] = False,
        *,
        values: Literal[False],
    ) -> list[ValueT]: ...
    @overload
    def getmulti(
        self,
        keys: Iterable[BytesLike],
        dupdata: bool = False,
        *,
        dupfixed_bytes: int,
        keyfixed: Literal[True],
        values: bool = True,
    ) -> memoryview: ...
    @overload
    def getmulti(
        self,
        keys: Iterable[BytesLike],
        dupdata: bool,
        dupfixed_bytes: int,
        keyfixed: Literal[True],
        values: bool = True,
    ) -> memoryview: ...
    @overload
    def getmulti(
        self,
        keys: Iterable[BytesLike],
        dupdata: bool = False,
        dupfixed_bytes: int | None = None,
        keyfixed: bool = False,
        values: bool = True,
    ) -> Any: ...
    def getmulti(
        self,
        keys: Iterable[BytesLike],
        dupdata: bool = False,
        dupfixed_bytes: int | None = None,
        keyfixed: bool = False,
        values: bool = True,
    ) -> object:
        """Return the records of many keys, as a list of (key, value) pairs; keys that do not
        exist are left out.

        >>> cursor.getmulti([b"apple", b"plum", b"cherry"])
        [(b'apple', b'red'), (b'cherry', b'red')]

        :param dupdata: True for all values of each key, not only the first one.
        :param dupfixed_bytes: the size of every value of a ``dupfixed`` database:
            values are then read a page at a time.
        :param keyfixed: True, with ``dupfixed_bytes``, to get one memoryview of
            all records one after another, each the key and then the value; all
            keys must have one width.
        :param values: False for the list of the keys that exist; no value is read.

        ``MDB_SET_KEY``, ``MDB_GET_MULTIPLE``, ``MDB_NEXT_MULTIPLE``.
        """
        raise NotImplementedError

    # -- writes -----------------------------------------------------------------------

    def put(
        self,
        key: BytesLike,
        value: BytesLike,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
    ) -> bool:
        """Store a record and move to it.

        If it returns False, the cursor is on the record that exists already.

        >>> cursor.put(b"plum", b"blue"), cursor.key()
        (True, b'plum')
        >>> cursor.put(b"apple", b"green", overwrite=False), cursor.item()
        (False, (b'apple', b'red'))

        :param key: as for :meth:`Transaction.put`, and so are ``value``, ``dupdata``,
            ``overwrite`` and ``append``.

        ``mdb_cursor_put``.
        """
        raise NotImplementedError

    def putmulti(
        self,
        items: Iterable[tuple[BytesLike, BytesLike]],
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
    ) -> tuple[int, int]:
        """Store many records.

        >>> cursor.putmulti([(b"apple", b"green"), (b"plum", b"blue")], overwrite=False)
        (2, 1)

        :param items: 2-tuples of key and value.
        :param dupdata: as for :meth:`put`, and so are ``overwrite`` and ``append``.
        :return: how many were taken from ``items``, and how many were written.
        :raises TypeError: an element is not a 2-tuple; those before it are written.

        ``mdb_cursor_put``.
        """
        raise NotImplementedError

    def delete(self, dupdata: bool = False) -> bool:
        """Delete the current record and move to its successor; False without a position.

        If the deleted value was the greatest of several values of its key, the cursor is
        after them, on no record, and deletes nothing until it is moved: ``next()`` moves
        it to the next key, ``prev()`` to the values that are left.  So ``while
        cursor.delete(): pass``, begun at any value but the first, deletes that value and
        those after it, and nothing of the next key.  If the deleted value was the only
        one of its key, the key does not exist any more, and the cursor is on the next key.

        >>> cursor.set_key(b"apple"), cursor.delete(), cursor.key()
        (True, True, b'banana')

        :param dupdata: True to delete all values of the key.

        ``mdb_cursor_del``.
        """
        raise NotImplementedError

    def pop(self, key: BytesLike) -> bytes | None:
        """Delete ``key`` and return its value as bytes, or None; see :meth:`Transaction.pop`."""
        raise NotImplementedError

    def replace(self, key: BytesLike, value: BytesLike) -> bytes | None:
        """Store a record and return the previous value of ``key`` as bytes, or None.

        See :meth:`Transaction.replace`.

        >>> cursor.replace(b"apple", b"green")
        b'red'
        """
        raise NotImplementedError

    # -- iteration ----------------------------------------------------------------------

    @overload
    def iternext(
        self, keys: Literal[True] = True, values: Literal[True] = True
    ) -> Iterator[tuple[ValueT, ValueT]]: ...
    @overload
    def iternext(
        self, keys: Literal[True] = True, *, values: Literal[False]
    ) -> Iterator[ValueT]: ...
    @overload
    def iternext(self, keys: Literal[True], values: Literal[False]) -> Iterator[ValueT]: ...
    @overload
    def iternext(self, keys: Literal[False], values: Literal[True] = True) -> Iterator[ValueT]: ...
    @overload
    def iternext(self, keys: bool = True, values: bool = True) -> Iterator[Any]: ...
    def iternext(self, keys: bool = True, values: bool = True) -> Iterator[Any]:
        """Iterate forward from the current record, or from the first one.

        It yields (key, value) pairs, keys (``values=False``) or values
        (``keys=False``), and moves the cursor with each.  Records can be changed and
        deleted meanwhile; no record that still exists is left out.  ``iter(cursor)`` is
        the same.

        >>> list(cursor.iternext(values=False))               # the cursor is at b"banana"
        [b'banana', b'cherry']
        """
        raise NotImplementedError

    @overload
    def iternext_dup(
        self, keys: Literal[True], values: Literal[True] = True
    ) -> Iterator[tuple[ValueT, ValueT]]: ...
    @overload
    def iternext_dup(self, keys: Literal[True], values: Literal[False]) -> Iterator[ValueT]: ...
    @overload
    def iternext_dup(
        self, keys: Literal[False] = False, values: Literal[True] = True
    ) -> Iterator[ValueT]: ...
    @overload
    def iternext_dup(self, keys: bool = False, values: bool = True) -> Iterator[Any]: ...
    def iternext_dup(self, keys: bool = False, values: bool = True) -> Iterator[Any]:
        """Iterate forward over the values of the current key, from the current one.

        >>> cursor = txn.cursor(env.open_db(b"tags", txn, dupsort=True))
        >>> cursor.putmulti([(b"k", b"a"), (b"k", b"c"), (b"l", b"d")])
        (3, 3)
        >>> cursor.set_key(b"k"), list(cursor.iternext_dup())
        (True, [b'a', b'c'])

        :param keys: True for (key, value) pairs; with ``values=False`` for keys.
        :param values: False for keys only.
        """
        raise NotImplementedError

    @overload
    def iternext_nodup(
        self, keys: Literal[True] = True, *, values: Literal[True]
    ) -> Iterator[tuple[ValueT, ValueT]]: ...
    @overload
    def iternext_nodup(
        self, keys: Literal[True], values: Literal[True]
    ) -> Iterator[tuple[ValueT, ValueT]]: ...
    @overload
    def iternext_nodup(
        self, keys: Literal[True] = True, values: Literal[False] = False
    ) -> Iterator[ValueT]: ...
    @overload
    def iternext_nodup(self, keys: Literal[False], values: Literal[True]) -> Iterator[ValueT]: ...
    @overload
    def iternext_nodup(self, keys: bool = True, values: bool = False) -> Iterator[Any]: ...
    def iternext_nodup(self, keys: bool = True, values: bool = False) -> Iterator[Any]:
        """Iterate forward over the keys, each once.

        >>> cursor = txn.cursor(env.open_db(b"tags", txn, dupsort=True))
        >>> cursor.putmulti([(b"k", b"a"), (b"k", b"c"), (b"l", b"d")])
        (3, 3)
        >>> cursor.first(), list(cursor.iternext_nodup(values=True))
        (True, [(b'k', b'a'), (b'l', b'd')])

        :param keys: False for values only.
        :param values: True for (key, value) pairs, with the first value of each key.
        """
        raise NotImplementedError

    @overload
    def iterprev(
        self, keys: Literal[True] = True, values: Literal[True] = True
    ) -> Iterator[tuple[ValueT, ValueT]]: ...
    @overload
    def iterprev(
        self, keys: Literal[True] = True, *, values: Literal[False]
    ) -> Iterator[ValueT]: ...
    @overload
    def iterprev(self, keys: Literal[True], values: Literal[False]) -> Iterator[ValueT]: ...
    @overload
    def iterprev(self, keys: Literal[False], values: Literal[True] = True) -> Iterator[ValueT]: ...
    @overload
    def iterprev(self, keys: bool = True, values: bool = True) -> Iterator[Any]: ...
    def iterprev(self, keys: bool = True, values: bool = True) -> Iterator[Any]:
        """Iterate backward from the current record, or from the last one.

        >>> list(cursor.iterprev(values=False))               # the cursor is at b"banana"
        [b'banana', b'apple']

        :param keys: as for :meth:`iternext`, and so is ``values``.
        """
        raise NotImplementedError

    @overload
    def iterprev_dup(
        self, keys: Literal[True], values: Literal[True] = True
    ) -> Iterator[tuple[ValueT, ValueT]]: ...
    @overload
    def iterprev_dup(self, keys: Literal[True], values: Literal[False]) -> Iterator[ValueT]: ...
    @overload
    def iterprev_dup(
        self, keys: Literal[False] = False, values: Literal[True] = True
    ) -> Iterator[ValueT]: ...
    @overload
    def iterprev_dup(self, keys: bool = False, values: bool = True) -> Iterator[Any]: ...
    def iterprev_dup(self, keys: bool = False, values: bool = True) -> Iterator[Any]:
        """Iterate backward over the values of the current key, from the current one.

        >>> cursor = txn.cursor(env.open_db(b"tags", txn, dupsort=True))
        >>> cursor.putmulti([(b"k", b"a"), (b"k", b"c"), (b"l", b"d")])
        (3, 3)
        >>> cursor.set_key_dup(b"k", b"c"), list(cursor.iterprev_dup())
        (True, [b'c', b'a'])

        :param keys: as for :meth:`iternext_dup`, and so is ``values``.
        """
        raise NotImplementedError

    @overload
    def iterprev_nodup(
        self, keys: Literal[True] = True, *, values: Literal[True]
    ) -> Iterator[tuple[ValueT, ValueT]]: ...
    @overload
    def iterprev_nodup(
        self, keys: Literal[True], values: Literal[True]
    ) -> Iterator[tuple[ValueT, ValueT]]: ...
    @overload
    def iterprev_nodup(
        self, keys: Literal[True] = True, values: Literal[False] = False
    ) -> Iterator[ValueT]: ...
    @overload
    def iterprev_nodup(self, keys: Literal[False], values: Literal[True]) -> Iterator[ValueT]: ...
    @overload
    def iterprev_nodup(self, keys: bool = True, values: bool = False) -> Iterator[Any]: ...
    def iterprev_nodup(self, keys: bool = True, values: bool = False) -> Iterator[Any]:
        """Iterate backward over the keys, each once.

        >>> cursor = txn.cursor(env.open_db(b"tags", txn, dupsort=True))
        >>> cursor.putmulti([(b"k", b"a"), (b"k", b"c"), (b"l", b"d")])
        (3, 3)
        >>> cursor.last(), list(cursor.iterprev_nodup(values=True))
        (True, [(b'l', b'd'), (b'k', b'c')])

        :param keys: False for values only.
        :param values: True for (key, value) pairs, with the last value of each key.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the cursor; does nothing the second time.  ``mdb_cursor_close``."""
        raise NotImplementedError

    # -- the same for both cores ----------------------------------------------------------

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
    ) -> Iterator[Any]:
        """Iterate over the records with ``start <= key < stop``, moving this cursor.

        >>> for key, value in cursor.range(b"b"):
        ...     cursor.replace(key, value.upper())
        b'yellow'
        b'red'

        :param start: as for :meth:`Transaction.range`, and so are ``stop``, ``prefix``,
            ``reverse``, ``keys``, ``values``, ``limit``, ``offset``, ``include_start`` and
            ``include_stop``.
        """
        raise NotImplementedError

    def _iter_from(self, k: BytesLike, reverse: bool) -> Iterator[tuple[ValueT, ValueT]]:
        """Iterate from ``k`` on; it exists for programs written for py-lmdb."""
        from ._base.buffers import as_buffer

        start = bytes(as_buffer("key", k))
        if not reverse:
            return self.range(start)
        if not self.set_range(start):
            self.last()
        return self.iterprev()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a cursor cannot be pickled or copied; open another one")

    def __repr__(self) -> str:
        from ._base.buffers import short_repr

        if self.closed:
            return "<pylmdb.Cursor closed>"
        try:
            key = self._peek()
        except Exception:  # another thread's, or a nested transaction is open
            where = ""
        else:
            where = ", no position" if key is None else f" at {short_repr(key)}"
        return f"<pylmdb.Cursor of {self.db._label}{where}>"
