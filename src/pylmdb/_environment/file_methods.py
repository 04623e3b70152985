# SPDX-License-Identifier: MIT
"""The methods of Environment for its whole data file, and for whole databases in it.

Environment inherits them.  The modules that implement most of them are imported at the first call.
"""

from __future__ import annotations

from .._base.integers import descriptor as _descriptor
from .._base.keywords import explains_keywords
from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from typing import Any, BinaryIO, Literal

    from .._base.progress import Progress
    from .._shared.environment import SharedEnv
    from .._shared.options import Options
    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction
    from ..types import BytesLike
    from .backup_file import Backup


class EnvironmentFiles:
    """The methods of :class:`~pylmdb.Environment` for whole files and databases.

    Environment is the one class that inherits them."""

    __slots__ = ()

    if TYPE_CHECKING:
        _options: Options
        _sync: bool

        def _use(self) -> SharedEnv: ...

    # -- the file ---------------------------------------------------------------------

    def path(self) -> str:
        """Return the path that the environment was opened with, as it was given."""
        self._use()
        return str(self._options.given_path)

    def lib_version(self) -> tuple[int, int, int]:
        """Return the version of this environment's liblmdb, as (major, minor, patch).

        ``mdb_version``.
        """
        return self._use().engine.version

    @property
    def checksums(self) -> bool:
        """True if the pages of the file have checksums, which pylmdb checks (``checksums=True`` of
        ``open``, when the file was made)."""
        return self._use().has_sums

    def sync(self, force: bool = False) -> None:
        """Flush commits to disk that were left to the system.

        :param force: True to flush also in an environment opened with ``sync=False``,
            where it does nothing otherwise, and to wait despite ``map_async=True``.
        :raises DiskError: the disk has failed.
        :raises ReadonlyError: the environment was opened with ``readonly=True``.

        ``mdb_env_sync``.
        """
        shared, force = self._use(), bool(force)
        if self._options.readonly:
            from .._core_rules.refusals import refusal

            raise refusal("environment is read-only", "sync")
        if self._sync or force:
            wait = force or not self._options.map_async
            shared.call("mdb_env_sync", shared.engine.lib.mdb_env_sync, wait)

    def set_mapsize(self, map_size: int) -> None:
        """Change the size that the data can reach; transactions may be open.

        If the size is fixed (``map_size`` without ``max_map_size``), this is the new
        fixed size.  Otherwise the map goes on growing.

        >>> env.set_mapsize(2**30)
        >>> env.info().map_size
        1073741824

        :param map_size: in bytes.  0 means the size that the file has recorded, which
            another process may have set.  A size below that of the data means the
            latter.  With ``writemap``, a size below that of the disk blocks which the
            file has already means the latter, because the file never becomes shorter;
            and 0 leaves a fixed size as it is, unless the file has recorded a greater one.
        :raises BusyError: for this size the map must move to another address, and
            transactions or views are alive; nothing has changed.
        :raises DiskError: with ``writemap``, the disk has no room for it.

        ``mdb_env_set_mapsize``.
        """
        from .._shared.options import checked_integer  # the import of pylmdb does without it

        self._use().set_mapsize(checked_integer("map_size", map_size))  # type: ignore[arg-type]

    # -- copies -----------------------------------------------------------------------

    @explains_keywords
    def copy(
        self,
        path: str | bytes | PathLike[str] | PathLike[bytes],
        compact: bool = False,
        txn: Transaction[Any] | None = None,
    ) -> None:
        """Copy the environment; other threads and processes can use it meanwhile.

        With ``lock=False``, and without ``compact``, write transactions of other threads wait.

        >>> env.copy("copy", compact=True)
        >>> with pylmdb.open("copy") as copied:
        ...     copied.stat() == env.stat()
        True

        :param path: a directory that does not exist, or that has no data file; with
            ``subdir=False`` a file that does not exist.  Only the last directory of a path is
            made, and it gets its name when the copy is complete.
        :param compact: True to leave out free pages, and renumber the others.
        :param txn: with ``compact``: the transaction whose snapshot is copied; by
            default the newest one.
        :raises BusyError: without ``compact``, the thread has a write transaction open.
        :raises DiskError: the disk is full or has failed; the new file is removed.
        :raises PathExistsError: the file exists already.
        :raises Error: it cannot be created.

        ``mdb_env_copyfd3``.
        """
        from . import copying as _copying  # few programs need it

        _copying.copy_to_path(self, path, bool(compact), txn)  # type: ignore[arg-type]

    @explains_keywords
    def copyfd(self, fd: int, compact: bool = False, txn: Transaction[Any] | None = None) -> None:
        """Write a copy of the data file to a file descriptor; see :meth:`copy`.

        >>> with open("copy.mdb", "wb") as file:
        ...     env.copyfd(file.fileno())
        >>> pylmdb.verify("copy.mdb").ok
        True

        :param fd: a descriptor that is open for writing; a pipe will do.
        :param compact: as for :meth:`copy`, and so is ``txn``.

        ``mdb_env_copyfd3``.
        """
        from . import copying as _copying

        number = _descriptor("copyfd: fd", fd)
        _copying.copy_to_descriptor(self, number, bool(compact), txn)  # type: ignore[arg-type]

    def compact(self) -> None:
        """Rewrite the data file without its free pages, and continue with the new file.

        A compacted copy is written to the same directory, flushed to disk and renamed
        over the data file.  Database handles stay valid.  Operations that other threads begin
        meanwhile wait, and then raise BusyError.

        :raises BusyError: another process, or another Environment of this process, has
            the file open, or a transaction or a view is alive; the message says which.
        :raises ReadonlyError: the environment was opened with ``readonly=True``.
        :raises ReplacedError: the data file was moved, deleted or replaced.
        :raises DiskError: there is no room for the copy; nothing has changed.

        ``mdb_env_copyfd3``, with ``MDB_CP_COMPACT``.
        """
        from . import compaction as _compaction  # few programs need it

        _compaction.compact(self)  # type: ignore[arg-type]

    @explains_keywords
    def backup(
        self,
        dest: str | bytes | PathLike[str] | PathLike[bytes] | BinaryIO | int,
        *,
        since: str | bytes | PathLike[str] | PathLike[bytes] | BinaryIO | Backup | None = None,
        compression: Literal["zstd"] | None = None,
        overwrite: bool = False,
        progress: Progress = None,
        max_seconds: float | None = None,
    ) -> Backup:
        """Write a backup of one snapshot; other threads and processes can use the environment
        meanwhile.  :func:`pylmdb.restore` makes an environment of it.

        A full backup has all pages that are in use.  An increment has those that changed since an
        earlier backup, which may be an increment, too.  To find them, all pages that are in use
        are read.  The read transaction ends when they are read.

        >>> env.backup("monday").is_full
        True
        >>> env.backup("tuesday", since="monday").is_full     # an increment
        False

        :param dest: the path of a new file, which appears when it is complete and on disk; a file
            opened for binary writing; or a descriptor that is open for writing.  A pipe will do;
            opening the path of a named one waits until another process reads it.
        :param since: the earlier backup: its path, its :class:`Backup`, or the file opened for
            binary reading.  None for a full backup.
        :param compression: ``"zstd"`` to compress pages, with Python 3.14 or the package
            zstandard.
        :param overwrite: True to replace a file at the path ``dest``.
        :param progress: a function that is called, at intervals, with the number of pages that
            are done and their total number; an exception of it ends the call.  True shows a bar
            (tqdm).
        :param max_seconds: how long it may take, in seconds; None for no limit.  It is looked at
            about once for each mebibyte that is read, and while a pipe is full.  It does not end
            a ``write()`` of a file object: give its descriptor.
        :return: a :class:`Backup`, which says what the file has.
        :raises LockTimeoutError: it was not complete within ``max_seconds``.
        :raises BusyError: with ``lock=False``, a transaction was committed meanwhile.
        :raises PathExistsError: ``dest`` is a path that exists, and ``overwrite`` is False.
        :raises InvalidParameterError: the environment cannot continue the backup ``since``: it
            has another format or page size, or is at an older transaction.
        :raises InvalidError: ``since`` is not a backup.
        :raises CorruptedError: ``since`` is damaged; or the data file is, or was truncated.
        :raises DiskError: the disk is full or has failed; the new file is removed.
        :raises ImportError: zstd is not installed.

        ``mdb_txn_begin``; liblmdb has no function that reads pages.
        """
        from . import backup as _backup  # few programs need it

        return _backup.backup(
            self,  # type: ignore[arg-type]
            dest,
            since,
            compression,
            bool(overwrite),
            progress,
            max_seconds,
        )

    @explains_keywords
    def warm(
        self,
        keys: Iterable[BytesLike] | None = None,
        *,
        start: BytesLike | None = None,
        stop: BytesLike | None = None,
        db: Database | None = None,
    ) -> int:
        """Read records from the disk into memory, and return when they are there.

        Reads of these records then wait for no disk, as long as the system keeps the pages in
        memory.  Pages that are in memory already cost one or two microseconds each, so it can
        be called again.  It reads the newest committed snapshot, releases the GIL, and can be
        interrupted.  Call it in a thread to go on meanwhile.

        >>> env.warm([b"apple", b"plum"])                     # the bytes of its key and value
        8

        :param keys: of the records to read; keys that do not exist are ignored.
        :param start: read the records from this key on; None: from the first.
        :param stop: read the records before this key; None: to the last.
        :param db: the :class:`Database`; None for the main one.  Without any argument the whole
            data file is read, in the order of the file.
        :return: how many bytes of keys and values were read; for the whole file, the bytes of its
            pages.
        :raises InvalidParameterError: ``keys`` is given together with ``start`` or ``stop``.
        :raises CorruptedError: another program has truncated the data file.
        """
        from . import warming as _warming  # few programs need it

        return _warming.warm(self, keys, start, stop, db)  # type: ignore[arg-type]

    # -- whole databases ----------------------------------------------------------------

    def dbs(self, txn: Transaction[Any] | None = None) -> list[bytes]:
        """Return the names of all named databases, in order.

        >>> prices, stock = env.open_db(b"prices"), env.open_db(b"stock")
        >>> env.dbs()
        [b'prices', b'stock']

        :param txn: the transaction whose snapshot is read; by default a new one.

        ``mdb_cursor_is_db``.
        """
        from . import catalog as _catalog

        return _catalog.names(self, txn)  # type: ignore[arg-type]

    def rename_db(self, old: bytes, new: bytes) -> None:
        """Give a named database another name, in a transaction of its own.

        It takes the same time however large the database is, because only its record in the
        main database moves.  Handles of the old name are dead from then on, in other processes,
        too, as after :meth:`Transaction.drop`; open the database again by its new name.
        Transactions that began before see the old name.

        >>> prices = env.open_db(b"prices")
        >>> env.rename_db(b"prices", b"costs")
        >>> env.dbs()
        [b'costs']

        :param old: the name.
        :param new: the new name.
        :raises NotFoundError: there is no database with the old name.
        :raises KeyExistsError: there is a database with the new name.
        :raises IncompatibleError: the new name is the key of a record of the main database.
        :raises BusyError: this thread has a write transaction open.
        """
        from . import databases as _databases

        _databases.rename(self, old, new)  # type: ignore[arg-type]

    @explains_keywords
    def copy_db(self, name: bytes, new: bytes, env: Environment | None = None) -> int:
        """Copy a named database with its flags, in one transaction.

        The copy has full pages, and needs little memory however large the database is.  An error
        leaves the destination as it was.

        >>> prices = env.open_db(b"prices")
        >>> env.copy_db(b"prices", b"prices of 2024")         # the number of records
        0

        :param name: the name of the database to copy, as the last commit has it.
        :param new: the name of the copy, a new database.
        :param env: the :class:`Environment` to copy it to; None for this one.
        :return: how many records were copied.
        :raises NotFoundError: there is no database with this name.
        :raises KeyExistsError: there is a database with the new name.
        :raises IncompatibleError: the new name is the key of a record of the main database.
        :raises BadValsizeError: the destination's format does not allow the length of a key.
        :raises BusyError: this thread has a write transaction open in the destination.

        ``mdb_cursor_put`` with ``MDB_APPEND``.
        """
        from . import databases as _databases

        return _databases.copy(self, name, new, env)  # type: ignore[arg-type]
