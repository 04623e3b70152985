# SPDX-License-Identifier: MIT
"""The operations of a Map that use its order: iteration, ranges, prefixes, single records."""

from __future__ import annotations

from _collections_abc import MutableMapping
from sys import maxsize

from .._core_rules.failures import described, shown
from .._core_rules.ranges import following, record_count, successor
from .._core_rules.refusals import refusal
from .._typing import TYPE_CHECKING
from ..errors import InvalidParameterError
from .iteration import Items, Keys, Values, iterate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any, TypeVar

    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction
    from .codecs import Codec

    K = TypeVar("K")
    V = TypeVar("V")
else:
    K, V = "K", "V"


class Ordered(MutableMapping[K, V]):
    """The base of :class:`~pylmdb.Map` with the operations that use the order."""

    if TYPE_CHECKING:
        _codec_names: tuple[Any, Any]
        _codecs: tuple[Codec, Codec]
        _encode_key: Callable[[Any], bytes]
        _decode_key: Callable[[bytes], K]
        _decode_value: Callable[[bytes], V]
        _db: Database
        _env: Environment

        def _own_writer(self) -> Transaction[Any] | None: ...

        def _reading(self) -> AbstractContextManager[Any]: ...

        def _writing(self) -> AbstractContextManager[Any]: ...

    def _walk_keys(self, reverse: bool) -> Iterator[K]:
        return iterate(self, self._decode_key, None, None, reverse, False)

    def _walk_values(self, reverse: bool) -> Iterator[V]:
        decode = self._decode_value

        def decode_value(item: tuple[bytes, bytes]) -> V:
            try:
                return decode(item[1])
            except Exception as failure:
                self._explain(item[0], failure)
                raise

        return iterate(self, decode_value, None, None, reverse, True)

    def _decode_item(self, key: bytes, value: bytes) -> tuple[K, V]:
        try:
            return self._decode_key(key), self._decode_value(value)
        except Exception as failure:
            self._explain(key, failure)
            raise

    def _explain(self, key: bytes, failure: Exception) -> None:
        """Raise an exception that names a record whose key or value its codec cannot decode.
        Return if the codec is a function of the user, whose exceptions stay as they are."""
        part = 1
        try:
            self._decode_key(key)
        except Exception:
            part = 0
        decode = (self._decode_key, self._decode_value)[part]
        codec = self._codec_names[part]
        if decode is self._codecs[part].decode and isinstance(codec, str):
            role = ("key", "value")[part]
            where = described(self._db.name, 0)
            if self._is_database(key):
                raise InvalidParameterError(
                    f"Map: {shown(key)} in {where} is a named database, not a record",
                    hint="give a name to every Map of the file",
                ) from failure
            raise InvalidParameterError(
                f"Map: the {role} of {shown(key)} in {where} is not {codec!r} data: {failure}",
                hint=f"open the Map with the {role}= with which it was stored",
            ) from failure

    def _is_database(self, key: bytes) -> bool:
        from .._environment import catalog as _catalog  # few programs need it

        if self._db.name is not None:
            return False
        with self._reading() as txn:
            return _catalog.is_database(self._env, txn, key)

    def _walk_items(
        self,
        start: bytes | None,
        stop: bytes | None,
        reverse: bool,
        limit: int | None = None,
        offset: int = 0,
    ) -> Iterator[tuple[K, V]]:
        limit = maxsize if limit is None else record_count("limit", limit)
        offset = record_count("offset", offset)
        key, value = self._decode_key, self._decode_value

        def decode_item(item: tuple[bytes, bytes]) -> tuple[K, V]:
            try:
                return key(item[0]), value(item[1])
            except Exception as failure:
                self._explain(item[0], failure)
                raise

        return iterate(self, decode_item, start, stop, reverse, True, limit, offset)

    def _item(self, record: tuple[bytes, bytes] | None) -> tuple[K, V] | None:
        return None if record is None else self._decode_item(*map(bytes, record))

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys, in order.

        The Map may be changed meanwhile: each step continues after the key of the step before,
        with the records of that moment.  No transaction is open between two steps.
        """
        return self._walk_keys(False)

    def __reversed__(self) -> Iterator[K]:
        return self._walk_keys(True)

    def keys(self) -> Keys[K]:
        """Return a view of the keys, in order.  It is a set, and can be reversed."""
        return Keys(self)

    def values(self) -> Values[V]:
        """Return a view of the values, in the order of their keys.  It can be reversed."""
        return Values(self)

    def items(self) -> Items[K, V]:
        """Return a view of the (key, value) pairs, ordered by key.  It can be reversed."""
        return Items(self)

    def range(
        self,
        start: K | None = None,
        stop: K | None = None,
        reverse: bool = False,
        *,
        limit: int | None = None,
        offset: int = 0,
        include_start: bool = True,
        include_stop: bool = False,
    ) -> Iterator[tuple[K, V]]:
        """Iterate over the (key, value) pairs with ``start <= key < stop``, in order.

        >>> list(prices.range("b"))
        [('banana', 9), ('cherry', 30)]
        >>> list(prices.range(reverse=True, limit=1))
        [('cherry', 30)]

        :param start: the first key; None for the beginning.
        :param stop: the key to stop before; None for the end.
        :param reverse: True for the same pairs from last to first.
        :param limit: the greatest number of pairs; None for all.
        :param offset: how many pairs to leave out first.
        :param include_start: False to begin after ``start``.
        :param include_stop: True to end with ``stop``.
        :return: an iterator; the Map may be changed meanwhile, as with ``iter()``.
        :raises TypeError: the codec does not accept ``start`` or ``stop``; ``limit`` or
            ``offset`` is not an integer.
        :raises InvalidParameterError: ``limit`` or ``offset`` is negative.

        ``mdb_cursor_get`` with ``MDB_SET_RANGE``.
        """
        first = None if start is None else self._encode_key(start)
        last = None if stop is None else self._encode_key(stop)
        if first is not None and not include_start:
            first = following(first)
        if last is not None and include_stop:
            last = following(last)
        return self._walk_items(first, last, reverse, limit, offset)

    def prefix(
        self, prefix: K, reverse: bool = False, *, limit: int | None = None, offset: int = 0
    ) -> Iterator[tuple[K, V]]:
        """Iterate over the (key, value) pairs whose keys begin with ``prefix``, in order.

        >>> list(prices.prefix("ch"))
        [('cherry', 30)]

        :param prefix: bytes or text; or a tuple, for the tuples that begin with its elements.
        :param reverse: True for the same pairs from last to first.
        :param limit: as for :meth:`range`, and so is ``offset``.
        :raises TypeError: keys of this codec have no prefixes (integers, pairs of functions).

        ``mdb_cursor_get`` with ``MDB_SET_RANGE``.
        """
        raw = self._encode_prefix(prefix)
        return self._walk_items(raw, successor(raw), reverse, limit, offset)

    def _encode_prefix(self, prefix: K) -> bytes:
        encode = self._codecs[0].encode_prefix
        if encode is None:
            raise TypeError(
                f"keys stored as {self._codec_names[0]!r} have no prefixes; give start and stop"
            )
        return encode(prefix)

    def _bounds(
        self, start: K | None, stop: K | None, prefix: K | None
    ) -> dict[str, bytes | Database | None]:
        """Return the arguments for a method of Transaction."""
        return {
            "start": None if start is None else self._encode_key(start),
            "stop": None if stop is None else self._encode_key(stop),
            "prefix": None if prefix is None else self._encode_prefix(prefix),
            "db": self._db,
        }

    def count(
        self, start: K | None = None, stop: K | None = None, *, prefix: K | None = None
    ) -> int:
        """Return the number of keys with ``start <= key < stop``.

        >>> prices.count(), prices.count("b", "c")
        (3, 1)

        :param start: the first key; None for the beginning.
        :param stop: the key to stop before; None for the end.
        :param prefix: instead of both: count the keys that begin with it, as :meth:`prefix`
            does.

        :meth:`pylmdb.Transaction.count`.
        """
        bounds = self._bounds(start, stop, prefix)
        with self._reading() as txn:
            return int(txn.count(**bounds))

    def delete_range(
        self, start: K | None = None, stop: K | None = None, *, prefix: K | None = None
    ) -> int:
        """Delete the keys with ``start <= key < stop``; return how many there were.

        >>> prices.delete_range("a", "c"), dict(prices)
        (2, {'cherry': 30})

        :param start: the first key; None for the beginning.
        :param stop: the key to stop before; None for the end.
        :param prefix: instead of both: delete the keys that begin with it, as :meth:`prefix`
            does.
        :raises TypeError: no bound is given; :meth:`clear` deletes everything.
        :raises IncompatibleError: the range has named databases; nothing is deleted.

        :meth:`pylmdb.Transaction.delete_range`.
        """
        if start is None and stop is None and prefix is None:
            raise refusal("no bounds in a Map")
        bounds = self._bounds(start, stop, prefix)
        with self._writing() as txn:
            return int(txn.delete_range(**bounds))

    def first(self) -> tuple[K, V] | None:
        """Return the first key with its value, or None if the Map is empty.  ``MDB_FIRST``."""
        with self._reading() as txn:
            record = txn.first(self._db)
        return self._item(record)

    def last(self) -> tuple[K, V] | None:
        """Return the last key with its value, or None if the Map is empty.  ``MDB_LAST``."""
        with self._reading() as txn:
            record = txn.last(self._db)
        return self._item(record)

    def floor(self, key: K) -> tuple[K, V] | None:
        """Return the greatest key that is not greater than ``key``, with its value, or None.

        >>> prices.floor("b"), prices.floor("a")
        (('apple', 12), None)

        ``MDB_SET_RANGE``, ``MDB_PREV``.
        """
        raw = self._encode_key(key)
        with self._reading() as txn:
            record = txn.floor(raw, self._db)
        return self._item(record)

    def ceiling(self, key: K) -> tuple[K, V] | None:
        """Return the smallest key that is not smaller than ``key``, with its value, or None.

        >>> prices.ceiling("b"), prices.ceiling("d")
        (('banana', 9), None)

        ``MDB_SET_RANGE``.
        """
        raw = self._encode_key(key)
        with self._reading() as txn:
            record = txn.ceiling(raw, self._db)
        return self._item(record)

    def nearest(self, key: K) -> tuple[K, V] | None:
        """Return what :meth:`ceiling` returns for ``key``."""
        return self.ceiling(key)

    def has_many(self, keys: Iterable[K]) -> list[bool]:
        """Return for each key whether it exists, in the order of ``keys``.

        All are looked up in one snapshot.  An empty key, which LMDB does not have, is False.

        ``mdb_cursor_get`` with ``MDB_SET_KEY``.
        """
        if isinstance(keys, (str, bytes, bytearray, memoryview)):
            raise TypeError(
                f"has_many: keys must be an iterable of keys, not {type(keys).__name__};"
                " for one key use 'key in map'"
            )
        raw = [self._encode_key(key) for key in keys]
        with self._reading() as txn:
            found = iter(txn.has_many([*filter(None, raw)], self._db))
        return [bool(key) and next(found) for key in raw]
