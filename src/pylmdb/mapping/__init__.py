# SPDX-License-Identifier: MIT
"""Map: a database as a dict that is sorted by key.

A Map keeps no state between two operations.  A read begins a transaction and ends it, which
costs about as much as the lookup.  So a read never returns an old value, pins no snapshot, and
needs no locks for threads or forks.  If the calling thread has a write transaction open in the
environment, all operations are part of it.
"""

from __future__ import annotations

from _collections_abc import Mapping
from _operator import add

from .._base.keywords import explains_keywords, parameters, refuse_unknown
from .._base.public_names import adopt_methods
from .._core_rules.database_flags import words_of
from .._typing import TYPE_CHECKING
from ..database import Database
from ..environment import Environment
from ..errors import IncompatibleError, ReadonlyError, closed
from .opening import CLOSED, ExistingTransaction, open_environment
from .unions import Unions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from os import PathLike
    from typing import Any, Literal, TypeVar, overload

    import typing_extensions
    from _typeshed import SupportsKeysAndGetItem
    from numpy.typing import NDArray
    from typing_extensions import Self, Unpack

    from ..cursor import Cursor
    from ..transaction import Transaction
    from .opening import EnvironmentOptions, OpenOptions

    K = typing_extensions.TypeVar("K", default=Any)
    V = typing_extensions.TypeVar("V", default=Any)
    # of the functions that are given as a codec
    KeyT = TypeVar("KeyT")
    ValueT = TypeVar("ValueT")
    T = TypeVar("T")
    Own = TypeVar("Own", bound="Map[Any, Any]")
    Path = str | bytes | PathLike[str] | PathLike[bytes]
    PathOrEnv = Path | Environment
    Db = bytes | str | Database | None
    # codecs: their names by what they return, or a pair of functions
    Bytes = Literal["bytes"]
    Str = Literal["str"]
    Int = Literal["int", "uint"]
    Tuple = Literal["tuple"]
    Object = Literal["json", "pickle", "dbm"]
    Array = Literal["npy"]
    Functions = tuple[Callable[[T], bytes], Callable[[bytes], T]]
    Codec = str | Functions[Any]
else:
    from .._typing import overload

    K, V = "K", "V"

_REQUIRED: Any = object()
_BATCH_SIZE = 1000


@adopt_methods
class Map(Unions[K, V]):
    """A database as a mutable mapping that is sorted by key.

    It has the methods of a dict, and :meth:`range`, :meth:`prefix`, :meth:`first`,
    :meth:`last`, :meth:`floor` and :meth:`ceiling`.  Each operation is a transaction of its
    own.  A change is on disk when its statement ends, unless the environment's options postpone
    the flush.  Commits of other threads and processes are visible immediately.
    :meth:`transaction` combines many operations in one transaction.  Any thread may use a Map
    at any time.  Like its :class:`Environment`, it can be used in a forked child, and can be
    pickled.

    >>> prices = pylmdb.Map("prices", key="str", value="json")
    >>> prices.update(apple=12, banana=9, cherry=30)     # one transaction
    >>> prices["apple"], len(prices), list(prices)
    (12, 3, ['apple', 'banana', 'cherry'])

    :param path_or_env: the path of an environment to open, which :meth:`close` closes;
        or an open :class:`Environment`, which stays open.
    :param db: the database: None for the main one, a name (str is encoded as UTF-8), or a
        handle.  It must have no flags, such as ``dupsort``.
    :param key: how keys are stored, and so their order: ``"bytes"``; ``"str"``, ordered by
        code points; ``"int"`` and ``"uint"``, signed and unsigned integers of 64 bits;
        ``"tuple"``, of None, bool, int, float, bytes, str and such tuples; ``"dbm"``, which
        stores bytes, or str as Latin-1, and returns bytes; or a pair of functions, from a key
        to bytes and back.
    :param value: how values are stored: ``"bytes"``, ``"str"``, ``"json"``; ``"npy"`` for
        arrays, which are read-only when read; ``"dbm"`` as for keys; ``"pickle"``, which runs
        any code that a file contains, so never use it for untrusted files; or a pair of
        functions.
    :param flag: ``"r"`` to read an existing database; ``"w"`` to read and write it; ``"c"`` to
        create the environment and the database if they do not exist; ``"n"`` like ``"c"``, but
        to delete all records first.
    :param options: the options of :class:`Environment`, if a path is given.
    :raises PathNotFoundError: the file does not exist, and ``flag`` is ``"r"`` or ``"w"``.
    :raises NotFoundError: the database does not exist, and ``flag`` is ``"r"`` or ``"w"``.
    :raises IncompatibleError: the database has flags, such as ``dupsort``.
    :raises ValueError: ``flag`` or the name of a codec is unknown.
    :raises TypeError: ``options`` are given with an open Environment.

    ``mdb_env_open``, ``mdb_dbi_open``.
    """

    # bound here, because close() can be called when the interpreter exits
    _closed_env = CLOSED

    # One for each kind of keys and each kind of values.  The first one that fits counts, so a codec
    # that is left out is "bytes".
    # fmt: off
    @overload
    def __init__(self: Map[bytes, bytes], path_or_env: PathOrEnv, db: Db = None,
                 key: Bytes = ..., value: Bytes = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[bytes, str], path_or_env: PathOrEnv, db: Db = None,
                 key: Bytes = ..., value: Str = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[bytes, Any], path_or_env: PathOrEnv, db: Db = None,
                 key: Bytes = ..., value: Object = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[bytes, NDArray[Any]], path_or_env: PathOrEnv, db: Db = None,
                 key: Bytes = ..., value: Array = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[bytes, ValueT], path_or_env: PathOrEnv, db: Db = None,
                 key: Bytes = ..., value: Functions[ValueT] = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[str, bytes], path_or_env: PathOrEnv, db: Db = None,
                 key: Str = ..., value: Bytes = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[str, str], path_or_env: PathOrEnv, db: Db = None,
                 key: Str = ..., value: Str = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[str, Any], path_or_env: PathOrEnv, db: Db = None,
                 key: Str = ..., value: Object = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[str, NDArray[Any]], path_or_env: PathOrEnv, db: Db = None,
                 key: Str = ..., value: Array = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[str, ValueT], path_or_env: PathOrEnv, db: Db = None,
                 key: Str = ..., value: Functions[ValueT] = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[int, bytes], path_or_env: PathOrEnv, db: Db = None,
                 key: Int = ..., value: Bytes = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[int, str], path_or_env: PathOrEnv, db: Db = None,
                 key: Int = ..., value: Str = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[int, Any], path_or_env: PathOrEnv, db: Db = None,
                 key: Int = ..., value: Object = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[int, NDArray[Any]], path_or_env: PathOrEnv, db: Db = None,
                 key: Int = ..., value: Array = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[int, ValueT], path_or_env: PathOrEnv, db: Db = None,
                 key: Int = ..., value: Functions[ValueT] = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[tuple[Any, ...], bytes], path_or_env: PathOrEnv, db: Db = None,
                 key: Tuple = ..., value: Bytes = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[tuple[Any, ...], str], path_or_env: PathOrEnv, db: Db = None,
                 key: Tuple = ..., value: Str = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[tuple[Any, ...], Any], path_or_env: PathOrEnv, db: Db = None,
                 key: Tuple = ..., value: Object = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[tuple[Any, ...], NDArray[Any]], path_or_env: PathOrEnv, db: Db = None,
                 key: Tuple = ..., value: Array = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[tuple[Any, ...], ValueT], path_or_env: PathOrEnv, db: Db = None,
                 key: Tuple = ..., value: Functions[ValueT] = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[KeyT, bytes], path_or_env: PathOrEnv, db: Db = None,
                 key: Functions[KeyT] = ..., value: Bytes = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[KeyT, str], path_or_env: PathOrEnv, db: Db = None,
                 key: Functions[KeyT] = ..., value: Str = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[KeyT, Any], path_or_env: PathOrEnv, db: Db = None,
                 key: Functions[KeyT] = ..., value: Object = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[KeyT, NDArray[Any]], path_or_env: PathOrEnv, db: Db = None,
                 key: Functions[KeyT] = ..., value: Array = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[KeyT, ValueT], path_or_env: PathOrEnv, db: Db = None,
                 key: Functions[KeyT] = ..., value: Functions[ValueT] = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    @overload
    def __init__(self: Map[Any, Any], path_or_env: PathOrEnv, db: Db = None,
                 key: Codec = ..., value: Codec = ..., *, flag: str = "c",
                 **options: Unpack[EnvironmentOptions]) -> None: ...
    # fmt: on
    @explains_keywords
    def __init__(
        self,
        path_or_env: PathOrEnv,
        db: Db = None,
        key: Codec = "bytes",
        value: Codec = "bytes",
        *,
        flag: str = "c",
        **options: Unpack[EnvironmentOptions],
    ) -> None:
        if flag not in ("r", "w", "c", "n"):
            raise ValueError(f"flag must be 'r', 'w', 'c' or 'n', not {flag!r}")
        self._codec_names = key, value
        self._use_codecs()
        self._owns = not isinstance(path_or_env, Environment)
        known = parameters(Map.__init__, Environment.__init__)
        refuse_unknown(type(self).__name__, options, known)
        if not isinstance(path_or_env, Environment):
            path_or_env = open_environment(path_or_env, flag, options)
        elif options:
            raise TypeError(f"Map: {', '.join(options)} cannot be given with an open Environment")
        self._env: Environment = path_or_env
        self._readonly = flag == "r" or self._env.readonly
        try:
            self._db = self._open_database(db, flag)
            len(self)  # a handle of another environment is refused here
        except BaseException:
            self.close()
            raise

    @classmethod
    @explains_keywords
    def open(
        cls: type[Own],
        file: Path,
        flag: str = "r",
        mode: int = 0o755,
        map_size: int | None = None,
        autogrow: bool = True,
        *,
        db: Db = None,
        key: Codec = "dbm",
        value: Codec = "dbm",
        **options: Unpack[OpenOptions],
    ) -> Own:
        """Open a Map with the parameters of lmdbm's ``Lmdb.open``, which are also dbm's.

        Keys and values can be bytes or str.  A str is stored as Latin-1; all are read as
        bytes.  A subclass may define ``_pre_key``, ``_post_key``, ``_pre_value`` and
        ``_post_value``, as in lmdbm.

        >>> names = pylmdb.Map.open("names", "c")
        >>> names["key"] = "value"
        >>> names["key"]
        b'value'

        :param file: the path of the environment.
        :param flag: as for :class:`Map`.
        :param mode: the permissions of new files.
        :param map_size: the fixed size of the memory map in bytes, if ``autogrow`` is False.
            It is ignored if ``autogrow`` is True.
        :param autogrow: True to let the map grow when it is full.
        :param db: as for :class:`Map`, and so are ``key``, ``value`` and ``options``.

        ``mdb_env_open``, ``mdb_dbi_open``.
        """
        refuse_unknown("Map.open", options, parameters(Map.open, Environment.__init__))
        fixed = None if autogrow else 2**20 if map_size is None else map_size
        return cls(file, db, key, value, flag=flag, mode=mode, map_size=fixed, **options)

    def _open_database(self, db: Db, flag: str) -> Database:
        env = self._env
        if isinstance(db, Database):
            handle = db
        else:
            name = db.encode() if isinstance(db, str) else db
            handle = env.open_db(name, create=flag in "cn" and not env.readonly)
        flags = words_of(handle.flags())
        if flags:
            raise IncompatibleError(
                f"Map: the database has the flags {', '.join(flags)}; a Map needs one without flags"
            )
        if flag == "n":
            with self._writing() as txn:
                if not self._owns:
                    self._refuse_named_databases(handle, txn)
                txn.drop(handle, delete=False)
        return handle

    # -- codecs -----------------------------------------------------------------------

    def _use_codecs(self) -> None:
        from . import codecs as _codecs  # imported late: programs without a Map do not need it

        names = self._codec_names
        self._codecs = _codecs.key_codec(names[0]), _codecs.value_codec(names[1])
        hooks = ("_pre_key", "_post_key", "_pre_value", "_post_value")
        functions: list[Callable[[Any], Any]] = [*self._codecs[0][:2], *self._codecs[1][:2]]
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

    # -- environment and closing ------------------------------------------------------

    @property
    def env(self) -> Environment:
        """The environment."""
        return self._env

    @property
    def db(self) -> Database:
        """The handle of the database, for use in other transactions."""
        return self._db

    @property
    def closed(self) -> bool:
        """True after the Map or its environment was closed."""
        return self._env.closed

    def sync(self) -> None:
        """Flush commits to disk that were not flushed because of the options.

        With the default options each commit is flushed when it is made.  ``mdb_env_sync``.
        """
        if not self._env.readonly:
            self._env.sync(True)

    def close(self) -> None:
        """Close the Map, and the environment if the Map opened it.  A second call does nothing.
        ``mdb_env_close``."""
        env, self._env = self._env, self._closed_env
        if self._owns:
            env.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        if self.closed:
            raise closed("map", "make a new Map")
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
        key, value = self._codec_labels()
        path = self._env._options.given_path
        return f"<pylmdb.{type(self).__name__} {self._db._label} of {path!r}, {key} to {value}>"

    def _repr_html_(self) -> str:
        from .._base import html  # imported late: few programs need it

        title = f"pylmdb.{type(self).__name__}"
        if self.closed:
            return html.table(f"{title}, closed", {})
        key, value = self._codec_labels()
        rows = {"database": self._db._label, "path": self._env._options.given_path,
                "keys": key, "values": value}  # fmt: skip
        return html.table(title, rows)

    def _codec_labels(self) -> list[str]:
        return [name if isinstance(name, str) else "functions" for name in self._codec_names]

    # -- transactions -----------------------------------------------------------------

    def transaction(self, *, timeout: float | None = None) -> Transaction[bytes]:
        """Begin a write transaction for a ``with`` block.

        >>> with prices.transaction():
        ...     prices["apple"], prices["banana"] = prices["banana"], prices["apple"]

        Until its end all operations of this thread, on this Map and on other Maps of the
        environment, are part of the transaction.  Only they see its changes.  It is committed
        when the block ends, and aborted when the block raises.  Within another transaction it
        is nested: if it is aborted, the outer one keeps its earlier changes; if the outer one
        is aborted, its changes are undone, too.  Other threads and processes read the last
        commit; if they write, they wait.

        :param timeout: how many seconds to wait for other writers; None for no limit.
        :return: a :class:`~pylmdb.Transaction`.
        :raises LockTimeoutError: the timeout is over.
        :raises ReadonlyError: the Map is read-only.

        ``mdb_txn_begin``.
        """
        self._check_writable()
        parent = self._own_writer()
        return self._env.begin(self._db, parent, write=True, timeout=timeout)

    def _own_writer(self) -> Transaction[Any] | None:
        """Return the innermost open write transaction of this thread, or None."""
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
            hint = "open it with flag='w'"
            if self._env.readonly and not self._owns:
                hint = "open its environment with readonly=False"
            raise ReadonlyError("the Map is read-only", hint=hint)

    # -- one record -------------------------------------------------------------------

    def _decoded(self, key: K, value: bytes) -> V:
        try:
            return self._decode_value(value)
        except Exception as failure:
            self._explain(self._encode_key(key), failure)
            raise

    def _lookup(self, key: object) -> bytes | None:
        raw = self._encode_key(key)
        if not raw:
            return None  # keys of LMDB are not empty, so there is no such record
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
        """Return the value of a key.

        :raises KeyError: the key does not exist.
        :raises TypeError: the codec does not accept a key of this type, as in all methods.

        ``mdb_get``.
        """
        value = self._lookup(key)
        if value is None:
            raise KeyError(key)
        try:
            return self._decode_value(value)
        except Exception as failure:
            self._explain(self._encode_key(key), failure)
            raise

    @overload
    def get(self, key: K, default: None = None) -> V | None: ...
    @overload
    def get(self, key: K, default: V) -> V: ...
    @overload
    def get(self, key: K, default: T) -> V | T: ...
    def get(self, key: K, default: object = None) -> object:
        """Return the value of a key, or ``default`` if it does not exist.  ``mdb_get``.

        >>> prices.get("apple"), prices.get("plum", 0)
        (12, 0)
        """
        value = self._lookup(key)
        if value is None:
            return default
        try:
            return self._decode_value(value)
        except Exception as failure:
            self._explain(self._encode_key(key), failure)
            raise

    def __contains__(self, key: object) -> bool:
        raw = self._encode_key(key)
        with self._reading() as txn:
            return bool(raw and txn.cursor(self._db).set_key(raw))

    def __setitem__(self, key: K, value: V) -> None:
        """Store a value.  ``mdb_put``.

        :raises BadValsizeError: the stored key is empty, or longer than
            :meth:`Environment.max_key_size`.
        :raises ReadonlyError: the Map is read-only, as in all methods that write.
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
        """Delete a key and return its value, or return ``default`` if it does not exist.

        >>> prices.pop("apple"), prices.pop("apple", None)
        (12, None)

        :raises KeyError: the key does not exist, and no ``default`` is given.

        ``mdb_cursor_del``.
        """
        raw = self._encode_key(key)
        with self._writing() as txn:
            value = txn.pop(raw, self._db) if raw else None
            if value is not None:
                return self._decoded(key, value)
        if default is _REQUIRED:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """Delete the last key, and return (key, value).

        :raises KeyError: the Map is empty.

        ``mdb_cursor_del``.
        """
        with self._writing() as txn:
            cursor = txn.cursor(self._db)
            if not cursor.last():
                raise KeyError("popitem(): the Map is empty")
            key, value = map(bytes, cursor.item())
            item = self._decode_item(key, value)
            cursor.delete()
        return item

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of a key; if it does not exist, store and return ``default``.

        >>> prices.setdefault("apple", 0), prices.setdefault("plum", 8)
        (12, 8)

        ``mdb_get``, ``mdb_put``.
        """
        value = self._lookup(key)
        if value is None:
            raw, data = self._encode_key(key), self._encode_value(default)
            with self._writing() as txn:
                if txn.put(raw, data, overwrite=False, db=self._db):
                    return default
                value = bytes(txn.get(raw, db=self._db))
        return self._decoded(key, value)

    def increment(self, key: K, by: V | int = 1) -> V:
        """Add a number to the value of a key, store the sum and return it.

        A key that does not exist counts as 0.  No other thread or process can write in between.
        The codec must store numbers: ``value="json"``, ``"pickle"`` or a pair of functions.

        >>> prices.increment("apple"), prices.increment("plum", 5)
        (13, 5)

        :param by: the number to add; negative to subtract.
        :raises TypeError: the value or ``by`` is not a number.

        ``mdb_get``, ``mdb_put``.
        """
        from . import codecs as _codecs

        raw = self._encode_key(key)
        _codecs.check_number("by", by)
        with self._writing() as txn:
            data = txn.get(raw, db=self._db)
            old = 0 if data is None else self._decoded(key, bytes(data))
            _codecs.check_number(f"the value of {key!r}", old)
            numbers: tuple[Any, ...] = old, by
            new: V = add(*numbers)
            txn.put(raw, self._encode_value(new), db=self._db)
        return new

    # -- all records ------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of records.  LMDB stores it, so this is fast.  ``mdb_stat``."""
        with self._reading() as txn:
            return int(txn.stat(self._db).entries)

    @overload
    def update(self, other: SupportsKeysAndGetItem[K, V], /, **kwds: V) -> None: ...
    @overload
    def update(self, other: Iterable[tuple[K, V]] = (), /, **kwds: V) -> None: ...
    def update(self, other: Any = (), /, **kwds: Any) -> None:
        """Store the records of a mapping or of an iterable of (key, value) pairs, and those
        of the keywords, in one transaction.  If something raises, none of them are stored.

        The pairs of an iterator are stored one by one, so the iterator sees the earlier ones.
        A mapping, a list or a tuple is stored in batches, which is faster.

        >>> prices.update([("apple", 13), ("plum", 8)])

        :param other: the mapping, or the iterable.
        :param kwds: further records, if keys are str.

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
        """Store pairs in batches.

        The iterator may read this transaction, so it runs between two calls of the cursor, not
        within one.
        """
        batch = []
        for key, value in pairs:
            batch.append((self._encode_key(key), self._encode_value(value)))
            if len(batch) == _BATCH_SIZE:
                cursor.putmulti(batch)
                batch = []
        cursor.putmulti(batch)

    def clear(self) -> None:
        """Delete all records.

        :raises IncompatibleError: this is the main database, and there are named databases,
            which are records of it.

        ``mdb_drop``.
        """
        with self._writing() as txn:
            self._refuse_named_databases(self._db, txn)
            txn.drop(self._db, delete=False)

    def _refuse_named_databases(self, handle: Database, txn: Transaction[Any]) -> None:
        if handle.name is None and self._env.dbs(txn):
            raise IncompatibleError(
                "the main database contains the named databases, which would be lost",
                hint="use a named database for the Map, or drop the named databases",
            )
