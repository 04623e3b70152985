# SPDX-License-Identifier: MIT
"""Environment: an open LMDB file; and the functions around it."""

from __future__ import annotations

from ._array_methods import EnvironmentArrays
from ._base.keywords import explains_keywords
from ._environment.file_methods import EnvironmentFiles
from ._typing import TYPE_CHECKING
from ._which_core import EnvironmentCore, publish

# What failures and opening need, and what few programs need, is imported in functions, so that the
# import of pylmdb is fast.
if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import Any, Literal, overload

    from typing_extensions import Self

    from ._environment.reader_watch import ReaderWatch
    from ._shared.environment import SharedEnv
    from .database import Database
    from .transaction import Transaction
    from .types import EnvFlags, EnvInfo, Reader, Stat
    from .writer import Writer


@publish
class Environment(EnvironmentCore, EnvironmentFiles, EnvironmentArrays):
    """An LMDB environment (``MDB_env``): a data file with its lock file.

    If this process has the file open already, both Environments share one native
    environment, which is closed with the last of them.  In a forked child an
    inherited Environment opens the file again when it is first used.  An
    Environment pickles as its path and options.

    >>> env = pylmdb.open("fruit")                # a directory; it is created if it does not exist
    >>> with env.begin(write=True) as txn:        # commits at its end, aborts if it raises
    ...     txn.put(b"apple", b"red")
    True
    >>> with env.begin() as txn:
    ...     txn.get(b"apple")
    b'red'

    :param path: a directory, or with ``subdir=False`` a file; str, bytes or
        PathLike.  Only a temporary environment can do without it.
    :param map_size: the size in bytes that the data can reach: a fixed limit, beyond
        which a write raises MapFullError.  Left out, the map grows as needed.  With
        ``max_map_size`` it is the first size of the map.
    :param max_map_size: the size in bytes up to which the map may grow.
    :param subdir: True if ``path`` is a directory that holds ``data.mdb`` and
        ``lock.mdb``; False if it is the data file itself, and the lock file has
        ``-lock`` appended.  Left out, an existing file decides, else True.
    :param readonly: True to refuse all writes.
    :param metasync: False to flush the meta page with the next commit only: a power
        failure may undo the last transaction, and nothing else.
    :param sync: False to leave flushes to the system: a power failure may undo
        the last transactions, or damage the file if the file system reorders
        writes.  :meth:`Environment.sync` flushes.
    :param map_async: True, with ``writemap``, to flush without waiting.
    :param mode: permissions of a new directory; new files get them without the
        execute bits.  The umask applies.  A new lock file of an existing data file gets
        the permissions of the data file.
    :param create: False to raise if the directory does not exist.
    :param readahead: False to turn the system's read-ahead off, and that of scans: better
        for random reads of data larger than memory.
    :param writemap: True to write through the map: faster, but stray writes of other
        C code can damage the data.  Nested transactions are not possible.
    :param meminit: False to leave unused bytes of new pages uninitialised.
    :param max_readers: how many read transactions may be open at once, in all
        processes together; the first process that opens the file decides.
    :param max_dbs: how many named databases may be open.  Left out, it is 128 at first, and
        ``open_db`` without a transaction doubles it when it needs more, if no transaction of this
        process is open.
    :param max_spare_txns: how many idle read transactions are kept for reuse.
        Each keeps its reader slot.
    :param lock: False to use no lock file; then the program must make sure that no
        other process writes.  Threads of this process still take turns to write.
    :param lib_version: the format of a *new* file: 0 for the 0.9 format, which
        every LMDB program reads (the default), 1 for the 1.0 format.  An existing
        file is opened with its own format, and the number of the other one raises.
    :param page_size: the size in bytes of the pages of a *new* file: a power of two, from 512 to
        65536 with the 1.0 format, and from 2048 to 32768 with the 0.9 format.  A size that only 1.0
        allows implies ``lib_version=1``.  Left out, it is the page size of the system, mostly
        4096.  An existing file keeps its page size, and another one raises.
    :param checksums: True to give each page of a *new* file a checksum, which is checked when the
        page is first read; implies ``lib_version=1``.  The file remembers it, so that later opens
        need not say it; True for an existing file without checksums raises.
    :param guard: False to install no handler of SIGBUS.  If another process cuts the
        data file short while it is read here, the handler makes that a CorruptedError;
        without it the process ends.  It covers operations that return bytes, not views.
    :param verify: True to check an existing file from end to end, as :func:`pylmdb.verify`
        does, before liblmdb reads it; not if this process has it open already.
    :param temporary: True to create a temporary environment, which does not wait for the disk
        (``sync=False``) and is removed when its last user in this process closes it, at the
        latest when the interpreter exits.  ``path`` must not exist; left out, it is a new
        directory among the system's temporary files.
    :param on_slow_reader: a function that is called once for each read transaction, of any process,
        that becomes slow, with its record of :meth:`reader_list`.  A thread looks at the reader
        table every second, or more often if the limit is below 4 seconds.  It calls the
        function without holding a lock; an exception goes to ``threading.excepthook``.  In
        forked children and unpickled Environments there is no such thread.
    :param slow_reader: a pair of limits, one of which may be None.  A read transaction is slow if
        it is more transactions behind the newest one than the first number, or if its snapshot
        has been out of date for the seconds of the second number.
    :raises PathNotFoundError: there are no files at ``path``, and the options or the missing
        parent directory do not allow to create them.
    :raises InvalidError: the file is not an LMDB file, or has another format or page size than the
        options say.
    :raises CorruptedError: it is damaged or was cut short; with ``verify=True`` the message says
        where.
    :raises VersionMismatchError: its format is not known.
    :raises LockFileError: the process has no permission to write or create the lock file.
    :raises FileSystemError: the file system does not support locks or memory maps.
    :raises PathError: the system refuses the path, for example because a name in it is too long.
    :raises Error: it cannot be opened; ``code`` is the system's error number.

    ``mdb_env_open``.
    """

    # so that an object whose __init__ was never called is closed
    _options: Any = None
    # the native environment that close() is leaving
    _left: SharedEnv | None = None
    # of on_slow_reader
    _reader_watch: ReaderWatch | None = None
    # the queues of its writers; None until the first one is made
    _queues: Any = None

    @explains_keywords
    def __init__(
        self,
        path: str | bytes | PathLike[str] | PathLike[bytes] | None = None,
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
        page_size: int | None = None,
        checksums: bool = False,
        guard: bool = True,
        verify: bool = False,
        temporary: bool = False,
        on_slow_reader: Callable[[Reader], object] | None = None,
        slow_reader: tuple[int | None, float | None] = (None, 60.0),
    ) -> None:
        from . import _registry

        directory = None
        if temporary or path is None:
            from ._shared import temporary as _temporary

            _temporary.check_options(path, temporary, readonly, create, subdir)
            directory = _temporary.TemporaryDirectory(path)
            path, subdir, sync = directory.path, True, False
        options = _registry.make_options(
            path, subdir, map_size=map_size, max_map_size=max_map_size, readonly=readonly,
            metasync=metasync, sync=sync, map_async=map_async, mode=mode, create=create,
            readahead=readahead, writemap=writemap, meminit=meminit, max_readers=max_readers,
            max_dbs=max_dbs, max_spare_txns=max_spare_txns, lock=lock, lib_version=lib_version,
            page_size=page_size, checksums=checksums, guard=guard, temporary=directory,
        )  # fmt: skip
        if self._options is not None:
            from .errors import Error

            raise Error("this environment was opened already", hint="open another one")
        watch = None
        if on_slow_reader is not None:
            from ._environment.reader_watch import ReaderWatch

            watch = ReaderWatch(on_slow_reader, slow_reader, options.lock)
        elif slow_reader != (None, 60.0):  # the default
            raise ValueError("slow_reader needs on_slow_reader=, the function to call")
        # bound here, because it can be called when the interpreter exits
        self._after_close = _registry.after_close
        try:
            if directory is not None:
                directory.make(options.mode)
            if verify:
                from ._environment import verification as _verification

                _verification.verify_before_open(options)
            self._token = next(_registry.tokens)
            self._options = options
            self._shared = _registry.open_shared(options, self._token, self)
        except BaseException:
            if directory is not None:
                directory.end()
            raise
        self._readonly = options.readonly
        self._sync, self._metasync = options.sync, options.metasync
        if watch is not None:
            self._reader_watch = watch
            watch.start(self)
        self._shared.log_notes()

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
            from ._core_rules.refusals import refusal

            raise refusal("environment closed")
        return self._reopen(shared) if shared.left_behind else shared

    def _reopen(self, left: SharedEnv) -> SharedEnv:
        """Open the file again, in place of a native environment that is no longer used."""
        from . import _registry

        with _registry.lock():
            if self._shared is left:
                options = self._options.replaced(create=False, first_max_dbs=left.max_dbs)
                self._shared = _registry.open_shared(options, self._token, self)
        return self._use()

    def close(self, *, wait: float | None = None) -> None:
        """Close the environment; does nothing the second time.

        Its transactions are ended, the newest first.  A call in progress in another
        thread is not interrupted.  Views and arrays made from the map stay valid as
        long as they are alive, and keep their snapshots and the map.  If one of them
        has kept an ended transaction's snapshot for more than a minute, closing issues
        a ResourceWarning.

        :param wait: how many seconds to wait until no view of this process is alive;
            by default it does not wait.
        :raises BusyError: views are still alive after ``wait`` seconds.  The
            environment is closed nevertheless.

        ``mdb_env_close``, once nothing uses the file in this process any more.
        """
        deadline, shared = None, self._shared
        if wait is not None:
            from ._core_rules.writer_gate import Deadline

            deadline = Deadline(wait)
        try:
            self._leave()
        finally:
            self._leave()  # completes it if an exception struck in the first call
        if shared is not None and not shared.forked and shared.pinned():
            self._after_close(shared, deadline, str(self._options.given_path))

    def _leave(self) -> None:
        """End the writers and the transactions, and leave the native environment.  It can be
        repeated."""
        if self._shared is not None:
            self._left, self._shared = self._shared, None
        left = self._left
        if self._reader_watch is not None:
            self._reader_watch.end()
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
        if self._shared is not None or self._left is not None:
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

    def _repr_html_(self) -> str:
        from ._environment import inspection as _inspection

        return _inspection.html(self)

    # -- transactions ------------------------------------------------------------

    if TYPE_CHECKING:
        # fmt: off
        @overload
        def begin(
            self, db: Database | None = None, parent: Transaction[Any] | None = None,
            write: bool = False, buffers: Literal[False] = False, *, timeout: float | None = None,
            sync: bool | None = None, metasync: bool | None = None,
        ) -> Transaction[bytes]: ...
        @overload
        def begin(
            self, db: Database | None = None, parent: Transaction[Any] | None = None,
            write: bool = False, *, buffers: Literal[True], timeout: float | None = None,
            sync: bool | None = None, metasync: bool | None = None,
        ) -> Transaction[memoryview]: ...
        @overload
        def begin(
            self, db: Database | None, parent: Transaction[Any] | None, write: bool,
            buffers: Literal[True], *, timeout: float | None = None,
            sync: bool | None = None, metasync: bool | None = None,
        ) -> Transaction[memoryview]: ...
        @overload
        def begin(
            self, db: Database | None = None, parent: Transaction[Any] | None = None,
            write: bool = False, buffers: bool = False, *, timeout: float | None = None,
            sync: bool | None = None, metasync: bool | None = None,
        ) -> Transaction[Any]: ...
        # fmt: on

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
        """Begin a transaction, to read by default.

        >>> with env.begin(write=True) as txn, env.begin(write=True, parent=txn) as child:
        ...     child.put(b"banana", b"yellow")
        True
        >>> with env.begin(buffers=True) as txn:
        ...     txn.get(b"apple")
        <memory at ...>

        :param db: the database of operations that name none; by default the main one.
        :param parent: the write transaction that this one is nested in.  While the child
            is open the parent cannot be used.  Aborting the child undoes only its changes.
            Read-only children need LMDB 1.0.
        :param write: True to change the environment.  It waits while another write
            transaction is open.
        :param buffers: True to get keys and values as read-only memoryviews.  In a
            read transaction they are views of the memory map, without a copy.  They stay
            valid as long as anything refers to them, and keep the snapshot even after the
            transaction and the environment are closed.  In a write transaction they are
            copies.
        :param timeout: how many seconds to wait for the writer lock; by default without
            limit.
        :param sync: False to leave the flush of this commit to the system (see ``open``);
            by default as the Environment.
        :param metasync: False to flush the meta page of this commit with the next one
            only; by default as the Environment.
        :raises ReadonlyError: ``write=True`` in a read-only environment.
        :raises ReadersFullError: all reader slots are in use.
        :raises BusyError: this thread has a write transaction open already.
        :raises LockTimeoutError: the writer lock was not free within ``timeout`` seconds.
        :raises ReplacedError: the data file or the lock file was moved, deleted or replaced.

        ``mdb_txn_begin``.
        """
        raise NotImplementedError

    def _sync_flags(self, sync: bool | None, metasync: bool | None) -> int:
        """The ``MDB_NOSYNC`` and ``MDB_NOMETASYNC`` of one transaction."""
        from ._base.flags import MDB_NOMETASYNC, MDB_NOSYNC

        sync = self._sync if sync is None else bool(sync)
        metasync = self._metasync if metasync is None else bool(metasync)
        return (0 if sync else MDB_NOSYNC) | (0 if metasync else MDB_NOMETASYNC)

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
        """Return a handle to a database, which is created if it does not exist.

        Without ``txn`` this is done in the write transaction that this thread has open,
        or, if it has none, in a new transaction.

        >>> tags = env.open_db(b"tags", dupsort=True)
        >>> with env.begin(write=True, db=tags) as txn:
        ...     txn.put(b"apple", b"sweet"), txn.put(b"apple", b"round")
        (True, True)

        :param key: the name; None for the main database.
        :param txn: the transaction in which the database is looked up or created.
        :param reverse_key: True to compare keys from their last byte.
        :param dupsort: True if a key can have several values, which are sorted.
        :param create: False to raise NotFoundError if the database does not exist.
        :param integerkey: True if keys are native integers of 4 or of 8 bytes.
        :param integerdup: True if values are such integers (implies ``dupfixed``).
        :param dupfixed: True if all values of a key have one size (implies ``dupsort``).
        :raises NotFoundError: the database does not exist, and ``create`` is False.  The message
            lists the databases that do, if the main database has at most 1,000 records.
        :raises ReadonlyError: it does not exist, and ``txn`` or the environment is
            read-only.
        :raises IncompatibleError: it exists without a flag that is True here, or the
            main database has an ordinary record with this key.
        :raises DbsFullError: ``max_dbs`` databases are open; or, without ``max_dbs``, the limit
            cannot be raised because a transaction of this process is open.

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
        from ._environment import catalog as _catalog

        words = {
            "reverse_key": reverse_key,
            "dupsort": dupsort,
            "integerkey": integerkey,
            "integerdup": integerdup,
            "dupfixed": dupfixed,
        }
        return _catalog.open_db(self, key, txn, words, bool(create))

    # -- commits ------------------------------------------------------------------

    @explains_keywords
    def wait(self, after: int | None = None, timeout: float | None = None) -> int:
        """Wait until another transaction is committed, by any thread or process.

        It polls the number of the newest transaction, first after 0.5 ms, then at growing
        intervals of at most 10 ms.  It releases the GIL, and Ctrl-C ends it.

        >>> seen = env.info().last_txnid
        >>> with env.begin(write=True) as txn:                # or another thread or process
        ...     txn.put(b"banana", b"yellow")
        True
        >>> env.wait(seen) == seen + 1                        # returns at once
        True

        :param after: the number of the transaction that the program knows: the :meth:`id
            <Transaction.id>` of a read transaction, ``info().last_txnid``, or the result of the
            last wait.  If there is a newer one, it returns at once.  None: the newest one.
            A write transaction that changes nothing is not committed, and the next one gets its
            number.
        :param timeout: how many seconds to wait; None for no limit.
        :return: the number of the newest transaction.
        :raises LockTimeoutError: none was committed within ``timeout`` seconds.
        :raises BusyError: this thread has a write transaction open, so it would wait for itself.
        :raises ClosedError: the environment was closed meanwhile.
        :raises ReplacedError: the data file was moved, deleted or replaced; noticed within a
            second.

        ``mdb_env_info``.
        """
        from ._environment import waiting as _waiting

        return _waiting.wait(self, after, timeout)

    # -- options ------------------------------------------------------------------

    def flags(self) -> EnvFlags:
        """Return the options that this Environment uses, as the keywords of ``open``."""
        from ._environment import inspection as _inspection

        return _inspection.flags(self)

    @explains_keywords
    def set_flags(
        self,
        *,
        sync: bool | None = None,
        metasync: bool | None = None,
        map_async: bool | None = None,
        meminit: bool | None = None,
    ) -> None:
        """Change options of ``open`` while the environment is open.

        >>> env.set_flags(sync=False)
        >>> env.flags().sync
        False

        :param sync: as for ``open``, for the next transactions of this Environment;
            None, as for the others, leaves the option as it is.
        :param metasync: as for ``open``, for the next transactions of this Environment.
        :param map_async: as for ``open``.
        :param meminit: as for ``open``.

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

    # -- sizes, limits, readers -----------------------------------------------------------

    def stat(self) -> Stat:
        """Return the numbers of entries, pages and levels of the main database.

        >>> env.stat().entries, env.stat()["entries"]
        (1, 1)

        ``mdb_env_stat``.
        """
        raise NotImplementedError

    def info(self) -> EnvInfo:
        """Return sizes and counters of the environment.

        Sizes in bytes: ``map_size``, the size that the data can reach, which is fixed, or
        grows by itself up to ``max_map_size``; ``reserved``, how large the map can become
        without moving to another address; ``used``, the size up to the last page in use;
        ``page_size``, of which ``last_pgno`` and ``free_pages`` count.

        Counters: ``free_pages``, how many pages up to there are free (None if no reader
        slot is left, which counting needs); ``last_pgno`` and ``last_txnid``, the numbers
        of the last page in use and of the newest committed transaction; ``max_readers``,
        the number of reader slots, and ``num_readers``, how many have been used at once;
        ``pinned``, how many ended transactions' snapshots are kept by views.

        ``map_addr`` is the address of the map if the engine reports it, else 0.

        ``mdb_env_info``.
        """
        raise NotImplementedError

    def max_key_size(self) -> int:
        """Return the greatest size of a key in bytes: 511 with LMDB 0.9, 1978 with LMDB
        1.0 and pages of 4 KiB.  ``mdb_env_get_maxkeysize``."""
        raise NotImplementedError

    def max_readers(self) -> int:
        """Return how many read transactions may be open at once, in all processes together.

        ``mdb_env_get_maxreaders``.
        """
        raise NotImplementedError

    def _ask(self, what: str) -> object:
        """Return what the core cannot ask liblmdb at once, because the environment is being closed
        or its map is being replaced."""
        from ._environment import inspection as _inspection

        return _inspection.ANSWERS[what](self._use())

    def readers(self) -> str:
        """Return the reader table as text, with a line for each reader slot in use.

        With ``lock=False`` it has the readers of this process, as :meth:`reader_list` does.
        The first column is ``pid`` of :meth:`reader_list`.  ``mdb_reader_list``.
        """
        from ._environment import inspection as _inspection

        return _inspection.readers(self._use())

    def reader_list(self) -> list[Reader]:
        """Return the reader table: a record for each reader slot in use.

        ``pid`` is the process number as that process knows it; in another container it
        may be the number of another process here.  ``own`` is True for this process.
        ``thread`` is the number of the thread, in hexadecimal.  ``txnid`` is the number
        of the snapshot that is read, None if the slot is idle.

        ``pages`` is how many pages the snapshot keeps from being used again; if a file
        grows without need, look for a reader with many.  It is None if no reader slot
        is left, which counting needs.  ``held_since`` is when the transaction ended, in
        seconds of Unix time, if that was in this process and only views and arrays keep
        the snapshot; else it is None.

        With ``lock=False`` there is no reader table, and the list has the readers of this
        process only; it is empty with ``readonly=True``, where nothing is written.

        >>> reader = env.begin()
        >>> [(each.own, each.pages) for each in env.reader_list()]
        [(True, 0)]
        >>> reader.abort()

        ``mdb_reader_list``.
        """
        from ._environment import inspection as _inspection

        return _inspection.reader_list(self._use())

    def reader_check(self) -> int:
        """Free the reader slots of processes that have ended; returns how many.

        ``mdb_reader_check``.
        """
        from ._environment import inspection as _inspection

        return _inspection.reader_check(self._use())

    # -- writes that share commits ----------------------------------------------------------

    @explains_keywords
    def writer(
        self,
        *,
        db: Database | None = None,
        max_pending: int = 4096,
        sync: bool | None = None,
        metasync: bool | None = None,
    ) -> Writer:
        """Return a queue for the writes of many threads; waiting writes share a commit.

        A durable commit waits milliseconds for the disk.  So threads that write one
        record each are faster if they share commits.  ``writer.put(key, value)`` returns
        a future at once; its ``result()`` returns when the record is on disk.

        >>> with env.writer() as writer:
        ...     future = writer.put(b"banana", b"yellow")
        >>> future.result()
        True

        :param db: the database of operations that name none; by default the main one.
        :param max_pending: how many operations may wait for the next commit; if there
            are more, ``put`` waits.
        :param sync: False to leave the flush of the commits to the system (see ``open``).
        :param metasync: False to flush their meta page with the next commit only.
        :return: a :class:`pylmdb.writer.Writer`, which is also a context manager.
        :raises ReadonlyError: the environment was opened with ``readonly=True``.
        """
        from .writer import Writer  # which needs concurrent.futures

        return Writer(self, db=db, max_pending=max_pending, sync=sync, metasync=metasync)


_PICKLED = (
    "map_size", "max_map_size", "subdir", "readonly", "metasync", "sync", "map_async", "mode",
    "readahead", "writemap", "meminit", "max_readers", "max_dbs", "max_spare_txns", "lock", "guard",
)  # fmt: skip


def _open_pickled(cls: type[Environment], path: bytes, options: dict[str, Any]) -> Environment:
    return cls(path, create=False, **options)


def enable_drop_gil() -> None:
    """Do nothing; this exists for programs written for py-lmdb."""


open = Environment
