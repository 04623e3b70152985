# SPDX-License-Identifier: MIT
"""Environment: an LMDB file, opened; and the functions around it."""

from __future__ import annotations

from _operator import index
from _weakref import ref

from . import _registry
from ._array_methods import EnvironmentArrays
from ._core_rules.refusals import refusal
from ._core_rules.writer_gate import Deadline
from ._environment import catalog as _catalog
from ._environment import pinned as _held
from ._environment.copying import Copying
from ._environment.inspection import Inspection
from ._environment.writing import Writing
from ._shared.environment import tokens
from ._shared.options import make_options
from ._typing import TYPE_CHECKING
from ._which_core import EnvironmentCore, publish
from .database import Database, flags_from
from .errors import Error, IncompatibleError
from .transaction import Transaction
from .types import EnvFlags

if TYPE_CHECKING:
    from os import PathLike
    from typing import Any, Literal, overload

    from typing_extensions import Self

    from ._core import DbSlot
    from ._shared.environment import SharedEnv

_NOSYNC, _NOMETASYNC = 0x10000, 0x40000


@publish
class Environment(EnvironmentCore, Inspection, EnvironmentArrays, Writing, Copying):
    """An LMDB environment (``MDB_env``): a data file with its lock file.

    Opening a file that this process has open already shares it: both
    Environments work on one native environment, which is closed with the last of
    them.  In a forked child an inherited Environment opens itself afresh when it
    is first used.  It pickles as its path and options.

    :param path: a directory, or with ``subdir=False`` a file; str, bytes or
        PathLike.
    :param map_size: the size in bytes that the data can reach: a fixed limit, beyond
        which a write raises MapFullError.  Left out, the map grows as it is needed.
        With ``max_map_size`` it is where the map starts.
    :param max_map_size: how far the map may grow.
    :param subdir: True if ``path`` is a directory that holds ``data.mdb`` and
        ``lock.mdb``; False if it is the data file itself, and the lock file has
        ``-lock`` appended.  Left out, an existing file decides, else True.
    :param readonly: True to refuse all writes.
    :param metasync: False to leave the flush of the meta page to the next commit:
        a power failure may undo the last transaction, and nothing else.
    :param sync: False to leave flushes to the system: a power failure may undo
        the last transactions, or damage the file if the file system reorders
        writes.  :meth:`Environment.sync` flushes.
    :param map_async: True, with ``writemap``, to flush without waiting.
    :param mode: permissions of the directory; the files get them without the
        execute bits.  The umask applies.  A lock file that is made beside an existing
        data file gets those of the data file.
    :param create: False to refuse a directory that does not exist.
    :param readahead: False to turn the system's read-ahead off: better for random
        reads of data larger than memory.
    :param writemap: True to write through the map: faster, and unprotected from
        stray writes of other C code.  No nested transactions.
    :param meminit: False to leave unused bytes of new pages uninitialised.
    :param max_readers: how many read transactions may be open at once, over all
        processes; what the first process says holds.
    :param max_dbs: how many named databases may be open; 128 by default.
    :param max_spare_txns: how many idle read transactions are kept for reuse.
        Each keeps its reader slot.
    :param lock: False to do without the lock file; then other processes must be
        kept away by other means.  Inside the process writers stay apart.
    :param lib_version: which LMDB makes a *new* file: 0 for the 0.9 format that
        every LMDB program reads (the default), 1 for the 1.0 format.  An existing
        file is opened with its own format; naming the other one raises.
    :param guard: False to do without the handler of SIGBUS that turns the end of the
        process into CorruptedError when somebody cuts the data file short while it is
        read here.  It covers what returns bytes, not views.
    :param verify: True to check an existing file from end to end, as :func:`pylmdb.verify`
        does, before liblmdb sees it; not if this process has it open already.
    :raises InvalidError: the file is not an LMDB file.
    :raises CorruptedError: it is damaged; with ``verify=True`` the message says where.
    :raises VersionMismatchError: its format is not known.
    :raises LockFileError: the lock file may not be written, or not be made.
    :raises FileSystemError: the file system refuses locks or memory maps.
    :raises Error: it cannot be opened; ``code`` is the system's error number.

    ``mdb_env_open``.
    """

    # An object that was never opened is a closed one.
    _options: Any = None
    # for what can run when the interpreter exits and has set the names in modules to None
    _after_close = staticmethod(_held.after_close)
    # what is being left, until it is
    _left: SharedEnv | None = None
    # the queues of its writers, once there is one
    _queues: Any = None
    # the handles that somebody has, by name
    _handles: dict[bytes | None, ref[Database]] | None = None

    def __init__(
        self,
        path: str | bytes | PathLike[str] | PathLike[bytes],
        map_size: int | None = None,
        subdir: bool | None = None,
        readonly: bool = False,
        metasync: bool = True,
        sync: bool = True,
        map_async: bool = False,
        mode: int = 0o755,
        create: bool = True,
        readahead: bool = True,
        writemap: bool = False,
        meminit: bool = True,
        max_readers: int = 126,
        max_dbs: int | None = None,
        max_spare_txns: int = 0,
        lock: bool = True,
        lib_version: int | None = None,
        *,
        max_map_size: int | None = None,
        guard: bool = True,
        verify: bool = False,
    ) -> None:
        options = make_options(
            path, subdir, map_size=map_size, max_map_size=max_map_size, readonly=readonly,
            metasync=metasync, sync=sync, map_async=map_async, mode=mode, create=create,
            readahead=readahead, writemap=writemap, meminit=meminit, max_readers=max_readers,
            max_dbs=max_dbs, max_spare_txns=max_spare_txns, lock=lock, lib_version=lib_version,
            guard=guard,
        )  # fmt: skip
        if self._options is not None:
            raise Error("this environment was opened already", hint="open another one")
        if verify:
            from ._environment import verification as _verification  # few programs need it

            _verification.verify_before_open(options)
        self._token = next(tokens)
        self._options = options
        self._shared = _registry.open_shared(options, self._token, self)
        self._readonly = options.readonly
        self._sync, self._metasync = options.sync, options.metasync

    # -- life -------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True once the environment is closed."""
        return self._shared is None

    @property
    def readonly(self) -> bool:
        """True if the environment was opened with ``readonly=True``."""
        return bool(self._options is not None and self._options.readonly)

    def _use(self) -> SharedEnv:
        """The native environment; a forked child gets its own first."""
        shared = self._shared
        if shared is None:
            raise refusal("environment closed")
        return self._reopen(shared) if shared.left_behind else shared

    def _reopen(self, left: SharedEnv) -> SharedEnv:
        """Have another native environment in place of one that was left behind."""
        with _registry.lock():
            if self._shared is left:
                options = self._options.replaced(create=False)
                self._shared = _registry.open_shared(options, self._token, self)
        return self._use()

    def close(self, *, wait: float | None = None) -> None:
        """Close the environment; does nothing the second time.

        Its transactions are ended, the newest first, and a call in progress in
        another thread ends by itself.  Views and arrays made from the map stay
        valid, and with them their snapshots and the map, for as long as they are
        alive: after a minute of that closing issues a ResourceWarning.

        :param wait: how many seconds to wait for the views of this process to go;
            by default nothing is waited for.
        :raises BusyError: there are still some after ``wait`` seconds.  The
            environment is closed all the same.

        ``mdb_env_close``, once nothing uses the file in this process any more.
        """
        deadline = None if wait is None else Deadline(wait)
        shared = self._shared
        try:
            self._leave()
        finally:
            self._leave()  # what an exception has kept the first from
        if shared is not None and not shared.forked and shared.held():
            self._after_close(shared, deadline, str(self._options.given_path))

    def _leave(self) -> None:
        """End the writers and the transactions, and leave the native environment.  Repeatable."""
        if self._shared is not None:
            self._left, self._shared = self._shared, None
        left = self._left
        if left is not None and not left.forked:
            for queue in list(self._queues or ()):
                queue.finish()
            left.revoke_children(self)
            left.leave(self._token)
        self._left = None

    def __enter__(self) -> Self:
        self._use()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        self._use()
        options = {name: getattr(self._options, name) for name in _PICKLED}
        return _open_pickled, (type(self), self._options.path, options)

    def __repr__(self) -> str:
        if self._options is None:
            return "<pylmdb.Environment never opened>"
        state = " closed" if self.closed else " readonly" if self.readonly else ""
        return f"<pylmdb.Environment {self._options.given_path!r}{state}>"

    # -- transactions ------------------------------------------------------------

    if TYPE_CHECKING:

        @overload
        def begin(
            self,
            db: Database | None = None,
            parent: Transaction[Any] | None = None,
            write: bool = False,
            buffers: Literal[False] = False,
            *,
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> Transaction[bytes]: ...
        @overload
        def begin(
            self,
            db: Database | None = None,
            parent: Transaction[Any] | None = None,
            write: bool = False,
            *,
            buffers: Literal[True],
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> Transaction[memoryview]: ...
        @overload
        def begin(
            self,
            db: Database | None,
            parent: Transaction[Any] | None,
            write: bool,
            buffers: Literal[True],
            *,
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> Transaction[memoryview]: ...
        @overload
        def begin(
            self,
            db: Database | None = None,
            parent: Transaction[Any] | None = None,
            write: bool = False,
            buffers: bool = False,
            *,
            timeout: float | None = None,
            sync: bool | None = None,
            metasync: bool | None = None,
        ) -> Transaction[Any]: ...

    def begin(
        self,
        db: Database | None = None,
        parent: Transaction[Any] | None = None,
        write: bool = False,
        buffers: bool = False,
        *,
        timeout: float | None = None,
        sync: bool | None = None,
        metasync: bool | None = None,
    ) -> Transaction[Any]:
        """Begin a transaction; the parameters are those of :class:`Transaction`."""
        raise NotImplementedError

    def _sync_flags(self, sync: bool | None, metasync: bool | None) -> int:
        """The ``MDB_NOSYNC`` and ``MDB_NOMETASYNC`` of one transaction."""
        sync = self._sync if sync is None else bool(sync)
        metasync = self._metasync if metasync is None else bool(metasync)
        return (0 if sync else _NOSYNC) | (0 if metasync else _NOMETASYNC)

    # -- databases ------------------------------------------------------------------

    def open_db(
        self,
        key: bytes | None = None,
        txn: Transaction[Any] | None = None,
        reverse_key: bool = False,
        dupsort: bool = False,
        create: bool = True,
        integerkey: bool = False,
        integerdup: bool = False,
        dupfixed: bool = False,
    ) -> Database:
        """A handle to a database.

        Without ``txn`` the database is looked up, and created if need be, in this
        thread's open write transaction if there is one, else in a transaction of
        its own.

        :param key: the name; None for the main database.
        :param txn: the transaction to do it in.
        :param reverse_key: keys are compared from their last byte.
        :param dupsort: a key can have several values, in order.
        :param create: False to raise NotFoundError for a missing database.
        :param integerkey: keys are native integers of 4 or of 8 bytes.
        :param integerdup: values are such integers (implies ``dupfixed``).
        :param dupfixed: all values of a key have one size (implies ``dupsort``).
        :raises IncompatibleError: the database exists without a flag that is
            asked for, or the main database has an ordinary record of this name.
        :raises DbsFullError: ``max_dbs`` databases are open.

        ``mdb_dbi_open``.
        """
        raise NotImplementedError

    def _open_db(
        self,
        key: bytes | None = None,
        txn: Transaction[Any] | None = None,
        reverse_key: bool = False,
        dupsort: bool = False,
        create: bool = True,
        integerkey: bool = False,
        integerdup: bool = False,
        dupfixed: bool = False,
    ) -> Database:
        """What the core leaves to Python of ``open_db``."""
        flags = 0
        if reverse_key or dupsort or integerkey or integerdup or dupfixed:
            flags = flags_from(
                reverse_key=reverse_key,
                dupsort=dupsort,
                integerkey=integerkey,
                integerdup=integerdup,
                dupfixed=dupfixed,
            )
        shared = self._use()
        if key is None:
            if flags:
                raise ValueError("the main database takes no flags; give a name to set some")
            return self._handle(None, shared.main)
        name = key
        if type(name) is not bytes or b"\0" in name:
            name = _catalog.checked_name(key, shared.engine.version[0])
        slot = None if txn is not None else shared.slots.get(name)
        if slot is None or slot.pending or not slot.alive or slot.doubted:
            slot = _catalog.open_slot(self, shared, name, txn, flags, bool(create))
        if flags & ~slot.flags:
            raise IncompatibleError(
                f"open_db: {name!r} exists with other flags: {Database(self, name, slot)!r}",
                hint="open it with these flags, or drop it first",
            )
        return self._handle(name, slot)

    def _handle(self, name: bytes | None, slot: DbSlot) -> Database:
        handles = self._handles
        if handles is None:
            handles = self._handles = {}
        known = handles.get(name)
        handle = None if known is None else known()
        if handle is None or handle._slot is not slot:
            if not len(handles) % 128 and len(handles) > 2 * len(slot.shared.slots):
                for dead in [each for each, known in handles.items() if known() is None]:
                    handles.pop(dead, None)
            handle = Database(self, name, slot)
            handles[name] = ref(handle)
        return handle

    def dbs(self, txn: Transaction[Any] | None = None) -> list[bytes]:
        """The names of all named databases, in order, and nothing else.

        :param txn: the transaction to look in; a new read transaction by default.

        ``mdb_cursor_is_db``.
        """
        return _catalog.names(self, txn)

    # -- options ------------------------------------------------------------------

    def path(self) -> str:
        """The path that the environment was opened with."""
        self._use()
        return str(self._options.given_path)

    def flags(self) -> EnvFlags:
        """The options that this environment works with, as the keywords of ``open``."""
        self._use()
        names = ("subdir", "readonly", "metasync", "sync", "map_async", "readahead")
        fields = {name: getattr(self._options, name) for name in names}
        fields.update(sync=self._sync, metasync=self._metasync)
        for name in ("writemap", "meminit", "lock"):
            fields[name] = getattr(self._options, name)
        return EnvFlags(fields)

    def set_flags(
        self,
        *,
        sync: bool | None = None,
        metasync: bool | None = None,
        map_async: bool | None = None,
        meminit: bool | None = None,
    ) -> None:
        """Change options of ``open`` that can be changed; None leaves one as it is.

        ``sync`` and ``metasync`` hold for this Environment's next transactions.
        ``mdb_env_set_flags``.
        """
        shared = self._use()
        lib = shared.engine.lib
        if sync is not None:
            self._sync = bool(sync)
        if metasync is not None:
            self._metasync = bool(metasync)
        if map_async is not None:
            map_async = bool(map_async)
            shared.call("mdb_env_set_flags", lib.mdb_env_set_flags, lib.MDB_MAPASYNC, map_async)
            self._options = self._options.replaced(map_async=map_async)
        if meminit is not None:
            shared.call("mdb_env_set_flags", lib.mdb_env_set_flags, lib.MDB_NOMEMINIT, not meminit)
            self._options = self._options.replaced(meminit=bool(meminit))

    # -- the file ---------------------------------------------------------------------

    def sync(self, force: bool = False) -> None:
        """Flush to disk what commits have left to the system.

        Without ``force`` it does nothing for an environment opened with
        ``sync=False``.  ``mdb_env_sync``.
        """
        shared, force = self._use(), bool(force)
        if self._sync or force:
            wait = force or not self._options.map_async
            shared.call("mdb_env_sync", shared.engine.lib.mdb_env_sync, wait)

    def set_mapsize(self, map_size: int) -> None:
        """Change the size in bytes that the data can reach, whatever is alive.

        An environment whose size is fixed (``map_size`` without ``max_map_size``) has
        this fixed size then; another one goes on growing.  0 takes the size that the
        file says, which another process may have set; a size below the data's means
        the data's.

        :raises Error: the size is so large that the map must move, and transactions or
            views are alive; nothing has changed.
        :raises DiskError: with ``writemap``, the disk has no room for it.
        """
        size = index(map_size)
        if not 0 <= size < 2**63:
            raise OverflowError(f"map_size must be between 0 and {2**63 - 1}, not {size}")
        self._use().set_mapsize(size)


_PICKLED = (
    "map_size", "max_map_size", "subdir", "readonly", "metasync", "sync", "map_async", "mode",
    "readahead", "writemap", "meminit", "max_readers", "max_dbs", "max_spare_txns", "lock", "guard",
)  # fmt: skip


def _open_pickled(cls: type[Environment], path: bytes, options: dict[str, Any]) -> Environment:
    return cls(path, create=False, **options)


def enable_drop_gil() -> None:
    """Does nothing (kept for programs written for py-lmdb)."""


open = Environment
