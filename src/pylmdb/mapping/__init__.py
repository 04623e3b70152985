# SPDX-License-Identifier: MIT
"""Map: a database as a dict that is sorted by key.

Nothing is kept between two operations.  A read begins a transaction and ends it, which
costs about as much as the look-up, and so is never of an old state, holds no snapshot,
and has nothing to guard against threads and forks.  Inside a write transaction that
the calling thread has open in the environment, whoever began it, everything is done in
that transaction.
"""

from __future__ import annotations

from _collections_abc import Mapping

from .._base.public_names import adopt_methods
from .._typing import TYPE_CHECKING
from ..database import Database, words_of
from ..environment import Environment
from ..errors import IncompatibleError, ReadonlyError, closed
from .opening import CLOSED, ExistingTransaction, open_environment
from .ordered import Ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from os import PathLike
    from typing import Any, Literal, TypeVar, overload

    from typing_extensions import Self

    from ..cursor import Cursor
    from ..transaction import Transaction

    K = TypeVar("K")
    V = TypeVar("V")
    T = TypeVar("T")
    Path = str | bytes | PathLike[str] | PathLike[bytes]
    # a codec's name, or a pair of functions
    KeyCodec = str | tuple[Callable[[K], bytes], Callable[[bytes], K]]
    ValueCodec = str | tuple[Callable[[V], bytes], Callable[[bytes], V]]
else:
    from .._typing import overload

    K, V = "K", "V"

_REQUIRED: Any = object()
_BATCH_SIZE = 1000


@adopt_methods
class Map(Ordered[K, V]):
    """A database as a mutable mapping that is sorted by key.

    It has what a dict has, and :meth:`range`, :meth:`prefix`, :meth:`nearest`,
    :meth:`first` and :meth:`last`.  Each operation is a transaction of its own: what has
    been stored when a statement ends is on disk, as far as the environment's options
    say so, and what others commit shows at once.  :meth:`transaction` makes many
    operations one.  Any thread may use a Map at any time.  It works in a forked child,
    and pickles, as its :class:`Environment` does.

    :param path_or_env: the path of an environment to open, which :meth:`close` closes;
        or an open :class:`Environment`, which stays open.
    :param db: which database: None for the main one, a name (a str is meant as UTF-8), or
        a handle.  It must be one without duplicates and other flags.
    :param key: how keys are stored, which is also their order: ``"bytes"``; ``"str"``, by
        code points; ``"int"`` and ``"uint"``, integers of 64 bits with and without sign;
        ``"tuple"``, of None, bool, int, float, bytes, str and such tuples; ``"dbm"``,
        bytes, or str as Latin-1, read as bytes; or a pair of functions, from a key to
        bytes and back.
    :param value: how values are stored: ``"bytes"``, ``"str"``, ``"json"``; ``"npy"``,
        arrays, read-only when read; ``"dbm"`` as for keys; ``"pickle"``, which runs whatever
        code a file holds, so never for files from elsewhere; or a pair of functions.
    :param flag: ``"r"`` to read what exists, ``"w"`` to write it, too, ``"c"`` to create what
        is missing, ``"n"`` to begin empty.
    :param options: of :class:`Environment`, for a path.
    :raises FileNotFoundError: with ``"r"`` and ``"w"``: the file does not exist.
    :raises NotFoundError: with these: the database does not exist.
    :raises IncompatibleError: the database has flags, such as ``dupsort``.

    ``mdb_env_open``, ``mdb_dbi_open``.
    """

    @overload
    def __init__(
        self: Map[bytes, bytes],
        path_or_env: Path | Environment,
        db: bytes | str | Database | None = None,
        key: Literal["bytes"] = "bytes",
        value: Literal["bytes"] = "bytes",
        *,
        flag: str = "c",
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self,
        path_or_env: Path | Environment,
        db: bytes | str | Database | None = None,
        key: KeyCodec[K] = "bytes",
        value: ValueCodec[V] = "bytes",
        *,
        flag: str = "c",
        **options: Any,
    ) -> None: ...
    def __init__(
        self,
        path_or_env: Any,
        db: bytes | str | Database | None = None,
        key: KeyCodec[K] = "bytes",
        value: ValueCodec[V] = "bytes",
        *,
        flag: str = "c",
        **options: Any,
    ) -> None:
        if flag not in ("r", "w", "c", "n"):
            raise ValueError(f"flag must be 'r', 'w', 'c' or 'n', not {flag!r}")
        self._codec_names = key, value
        self._use_codecs()
        self._owns = not isinstance(path_or_env, Environment)
        if self._owns:
            path_or_env = open_environment(path_or_env, flag, options)
        elif options:
            raise TypeError(f"{', '.join(options)}: the environment is open already")
        self._env: Environment = path_or_env
        self._readonly = flag == "r" or self._env.readonly
        try:
            self._db = self._open_database(db, flag)
            len(self)  # a handle of another environment is refused here
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(
        cls,
        file: Path,
        flag: str = "r",
        mode: int = 0o755,
        map_size: int | None = None,
        autogrow: bool = True,
        *,
        db: bytes | str | Database | None = None,
        key: KeyCodec[K] = "dbm",
        value: ValueCodec[V] = "dbm",
        **options: Any,
    ) -> Self:
        """A Map, from the parameters of lmdbm's ``Lmdb.open``, which are dbm's, too.

        Keys and values can be bytes or str, which is stored as Latin-1, and are read as
        bytes.  A subclass may define ``_pre_key``, ``_post_key``, ``_pre_value`` and
        ``_post_value``, as in lmdbm.

        :param mode: permissions of the files.
        :param map_size: with ``autogrow=False``, the fixed limit of the map; else the map
            grows as it is needed, and this is not looked at.
        """
        if not autogrow:
            options["map_size"] = 2**20 if map_size is None else map_size
        return cls(file, db, key, value, flag=flag, mode=mode, **options)

    def _open_database(self, db: bytes | str | Database | None, flag: str) -> Database:
        env = self._env
        if isinstance(db, Database):
            handle = db
        else:
            name = db.encode() if isinstance(db, str) else db
            handle = env.open_db(name, create=flag in "cn" and not env.readonly)
        flags = words_of(handle.flags())
        if flags:
            raise IncompatibleError(f"a Map needs a database without {', '.join(flags)}")
        if flag == "n":
            with self._writing() as txn:
                if not self._owns:
                    self._refuse_named_databases(handle, txn)
                txn.drop(handle, delete=False)
        return handle

    # -- codecs -----------------------------------------------------------------------

    def _use_codecs(self) -> None:
        from . import codecs as _codecs  # only those who use a Map need it

        names = self._codec_names
        self._codecs = _codecs.key_codec(names[0]), _codecs.value_codec(names[1])
        hooks = ("_pre_key", "_post_key", "_pre_value", "_post_value")
        functions = [*self._codecs[0][:2], *self._codecs[1][:2]]
        for i, hook in enumerate(hooks):
            if getattr(type(self), hook) is not getattr(Map, hook):
                functions[i] = getattr(self, hook)
        self._encode_key, self._decode_key, self._encode_value, self._decode_value = functions

    def _pre_key(self, key: K) -> bytes:
        return self._codecs[0].encode(key)

    def _post_key(self, key: bytes) -> Any:
        return self._codecs[0].decode(key)

    def _pre_value(self, value: V) -> bytes:
        return self._codecs[1].encode(value)

    def _post_value(self, value: bytes) -> Any:
        return self._codecs[1].decode(value)

    # -- life -------------------------------------------------------------------------

    @property
    def env(self) -> Environment:
        """The environment."""
        return self._env

    @property
    def db(self) -> Database:
        """The handle of the database, for transactions of your own."""
        return self._db

    @property
    def closed(self) -> bool:
        """True once nothing can be done with this Map any more."""
        return self._env.closed

    def sync(self) -> None:
        """Flush to disk what commits have left to the system.

        With the default options they have left nothing.  ``mdb_env_sync``.
        """
        if not self._env.readonly:
            self._env.sync(True)

    def close(self) -> None:
        """Close the Map, and the environment if it was opened for it; does nothing the
        second time.  ``mdb_env_close``."""
        env, self._env = self._env, CLOSED
        if self._owns:
            env.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        if self.closed:
            raise closed("map", "open another one")
        state = self.__dict__.copy()
        for name in ("_codecs", "_encode_key", "_decode_key", "_encode_value", "_decode_value"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._use_codecs()

    def __repr__(self) -> str:
        if self.closed:
            return f"<pylmdb.{type(self).__name__} closed>"
        name = "main database" if self._db.name is None else repr(self._db.name)
        return f"<pylmdb.{type(self).__name__} {name} of {self._env.path()!r}>"

    # -- transactions -----------------------------------------------------------------

    def transaction(self, *, timeout: float | None = None) -> Transaction[bytes]:
        """A write transaction for a ``with`` block::

            with m.transaction():
                m["a"] -= 1
                m["b"] += 1

        Until its end all operations of this thread, on this Map and on others of the
        environment, are part of it: they see what it has written, and nobody else does.
        It is committed when the block ends, and undone when the block raises.  Within
        another one it is nested: what undoes it leaves the outer one as it was before,
        and what undoes the outer one undoes it, too.  Other threads and processes read
        the last commit; if they write, they wait.

        :param timeout: seconds to wait for another writer, for ever by default.
        :raises LockTimeoutError: they are over.
        :raises ReadonlyError: the Map is read-only.

        ``mdb_txn_begin``.
        """
        self._check_writable()
        parent = self._own_writer()
        return self._env.begin(self._db, parent, write=True, timeout=timeout)

    def _own_writer(self) -> Transaction[Any] | None:
        """The innermost write transaction of this thread, or None."""
        shared = self._env._shared
        return None if shared is None else shared.own_writer()

    def _reading(self) -> AbstractContextManager[Any]:
        own = self._own_writer()
        return self._env.begin(self._db) if own is None else ExistingTransaction(own)

    def _writing(self) -> AbstractContextManager[Any]:
        self._check_writable()
        own = self._own_writer()
        return self._env.begin(write=True) if own is None else ExistingTransaction(own)

    def _check_writable(self) -> None:
        if self._readonly and not self.closed:
            raise ReadonlyError("the Map is read-only", hint="open it with another flag than 'r'")

    # -- one record -------------------------------------------------------------------

    def _lookup(self, key: object) -> bytes | None:
        raw = self._encode_key(key)
        if not raw:
            return None  # LMDB has no empty keys
        shared = self._env._shared
        own = None if shared is None else shared.own_writer()
        if own is not None:
            value = own.get(raw, None, self._db)
            return None if value is None else bytes(value)
        txn = self._env.begin(self._db)
        try:
            return txn.get(raw)
        finally:
            txn.abort()

    def __getitem__(self, key: K) -> V:
        """The value of a key.

        :raises KeyError: there is none.
        :raises TypeError: the codec has no bytes for this type, here as in all methods.

        ``mdb_get``.
        """
        value = self._lookup(key)
        if value is None:
            raise KeyError(key)
        return self._decode_value(value)

    @overload
    def get(self, key: K, default: None = None) -> V | None: ...
    @overload
    def get(self, key: K, default: V) -> V: ...
    @overload
    def get(self, key: K, default: T) -> V | T: ...
    def get(self, key: K, default: object = None) -> object:
        """The value of a key, or ``default`` if there is none.  ``mdb_get``."""
        value = self._lookup(key)
        return default if value is None else self._decode_value(value)

    def __contains__(self, key: object) -> bool:
        raw = self._encode_key(key)
        with self._reading() as txn:
            return bool(raw and txn.cursor(self._db).set_key(raw))

    def __setitem__(self, key: K, value: V) -> None:
        """Store a value.  ``mdb_put``.

        :raises BadValsizeError: the key is empty, or too long for LMDB.
        """
        raw, data = self._encode_key(key), self._encode_value(value)
        with self._writing() as txn:
            txn.put(raw, data, db=self._db)

    def __delitem__(self, key: K) -> None:
        raw = self._encode_key(key)
        with self._writing() as txn:
            if not (raw and txn.delete(raw, db=self._db)):
                raise KeyError(key)

    @overload
    def pop(self, key: K) -> V: ...
    @overload
    def pop(self, key: K, default: V) -> V: ...
    @overload
    def pop(self, key: K, default: T) -> V | T: ...
    def pop(self, key: K, default: object = _REQUIRED) -> object:
        """Delete a key and return its value, or ``default`` if there is none.

        :raises KeyError: there is none, and no ``default``.

        ``mdb_cursor_del``.
        """
        raw = self._encode_key(key)
        with self._writing() as txn:
            value = txn.pop(raw, self._db) if raw else None
            if value is not None:
                return self._decode_value(value)
        if default is _REQUIRED:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """Delete the last key, and return it with its value.

        :raises KeyError: the Map is empty.

        ``mdb_cursor_del``.
        """
        with self._writing() as txn:
            cursor = txn.cursor(self._db)
            if not cursor.last():
                raise KeyError("popitem(): the Map is empty")
            key, value = map(bytes, cursor.item())
            item = self._decode_key(key), self._decode_value(value)
            cursor.delete()
        return item

    def setdefault(self, key: K, default: Any = None) -> Any:
        """The value of a key; if there is none, ``default``, which then is stored.

        ``mdb_get``, ``mdb_put``.
        """
        value = self._lookup(key)
        if value is None:
            raw, data = self._encode_key(key), self._encode_value(default)
            with self._writing() as txn:
                if txn.put(raw, data, overwrite=False, db=self._db):
                    return default
                value = bytes(txn.get(raw, db=self._db))
        return self._decode_value(value)

    # -- all records ------------------------------------------------------------------

    def __len__(self) -> int:
        """The number of records, which LMDB knows; nothing is counted.  ``mdb_stat``."""
        with self._reading() as txn:
            return int(txn.stat(self._db).entries)

    def update(self, other: Any = (), /, **kwds: Any) -> None:
        """Store all records of a mapping, or of an iterable of (key, value) pairs, and of
        the keywords, as one transaction: all of them, or none if something raises.

        An iterator is followed pair by pair, and so sees the pairs before; a mapping, a
        list and a tuple are stored by the batch, which is quicker.

        ``mdb_cursor_put``.
        """
        with self._writing() as txn:
            cursor = txn.cursor(self._db)
            if isinstance(other, Mapping):
                self._put_batches(cursor, other.items())
            elif hasattr(other, "keys"):
                self._put_batches(cursor, ((key, other[key]) for key in [*other.keys()]))
            elif isinstance(other, (list, tuple)):
                self._put_batches(cursor, other)
            else:
                for key, value in other:
                    txn.put(self._encode_key(key), self._encode_value(value), db=self._db)
            self._put_batches(cursor, kwds.items())

    def _put_batches(self, cursor: Cursor[Any], pairs: Iterable[tuple[Any, Any]]) -> None:
        """What gives the pairs may read this transaction, so it is asked between two calls
        of the cursor, not within one."""
        batch = []
        for key, value in pairs:
            batch.append((self._encode_key(key), self._encode_value(value)))
            if len(batch) == _BATCH_SIZE:
                cursor.putmulti(batch)
                batch = []
        cursor.putmulti(batch)

    def clear(self) -> None:
        """Delete all records.

        :raises IncompatibleError: this is the main database, and some of its records are
            the named databases.

        ``mdb_drop``.
        """
        with self._writing() as txn:
            self._refuse_named_databases(self._db, txn)
            txn.drop(self._db, delete=False)

    def _refuse_named_databases(self, handle: Database, txn: Transaction[Any]) -> None:
        if handle.name is None and self._env.dbs(txn):
            raise IncompatibleError(
                "the main database holds the named databases, which would be lost",
                hint="use a named database for the Map, or drop these",
            )
