# SPDX-License-Identifier: MIT
"""The contract of a core: the names that code above the cores uses.

A core is a few types and two functions.  Transaction derives from TransactionCore, Cursor from
CursorCore, Database from DatabaseCore, Environment from EnvironmentCore, and SharedEnv from
SharedCore; DbSlot and HandleLock are used as they are.  A core implements the operations that run
once per record, which the public classes document, and begin, commit and abort.  Everything else is
written once above the cores, with ``_do``.

There are two cores with these names: the C core (``_native/core``) and the core in cffi
(``_cffi_core``).  ``_which_core.py`` chooses one when pylmdb is imported.  Code above the cores
must not use a name of a core that is not in this file.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, final

from typing_extensions import disjoint_base

from ._aliases import CData
from ._engine import Engine
from ._shared.environment import SharedEnv
from .database import Database
from .environment import Environment
from .transaction import Transaction
from .types import EnvInfo, Stat

_T = TypeVar("_T")

def join(table: int, /) -> None:
    """Join an engine to the core, by the address of its ``struct pylmdb_engine``.  It must be
    called before an environment is opened with the engine."""

def publish(cls: type, /) -> None:
    """Register a public class with the core, which makes objects of it from now on.  The core's
    methods replace the functions that document them."""

def pack_records(
    iterator: Iterator[object], size: int, /
) -> tuple[bytes, bytes, bytes, bytes, tuple[Any] | None]:
    """Take records from an iterator until their keys and values, with 16 bytes for each record,
    have ``size`` bytes.

    Returns all keys, the end of each as ``size_t``, the same for values, and None.  If an item is
    not a tuple of two buffers, it stops there, and a tuple with that item takes the place of
    None."""

@disjoint_base
class TransactionCore:
    """A transaction: its life, and its operations per record."""

    env: Environment
    # None until it has begun
    _shared: SharedEnv
    # None at the top
    _parent: Transaction[Any] | None
    _write: bool
    # the number of the thread that it belongs to; 0 if threads may share it
    _thread: int
    # counts the changes that this transaction has made, above the core, too
    _mutations: int
    @property
    def _engine(self) -> Engine:
        """The engine of its environment."""

    def _do(self, operation: Callable[..., _T], /, *args: object) -> _T:
        """The guard: call ``operation(native transaction, *args)``; raise if the transaction
        cannot be used now."""

    def _slot_in(self, pointer: CData, db: Database | None, /) -> DbSlot:
        """Inside ``_do``: the slot for a ``db`` argument; None means the transaction's database."""

    def _has_many(self, keys: Iterable[object], db: Database | None, /) -> list[bool]:
        """For each key whether it exists."""

    def _whole(self) -> memoryview:
        """Inside ``_do``, in a read transaction: the read-only view of the whole map.

        It begins at the address that ``pylmdb_env_map`` returns, or at 0 if that is not known.  The
        snapshot stays as long as a slice of it is alive."""

    def _begin_reservation(self) -> None:
        """Inside ``_do``: begin a reservation.  Until it ends, operations raise BufferError, and
        the native transaction does not end."""

    # to be called when no object can reach the reserved memory any more; it may outlive the
    # transaction
    _end_reservation: Callable[[], None]

    def _note_dropped(self, slot: DbSlot, dies: bool, /) -> None:
        """Inside ``_do``, with the lock of the handles: note that a database was dropped (all of
        them if ``slot`` is the main one), so the handles are dead.  Or that it was renamed
        (``dies`` False), so they die with the commit.  Native cursors of it are closed."""

@disjoint_base
class CursorCore:
    """A native cursor and its operations."""

    db: Database
    txn: Transaction[Any]
    _slot: DbSlot

    @property
    def _engine(self) -> Engine:
        """The engine of its environment."""

    def _do(self, operation: Callable[..., _T], /, *args: object) -> _T:
        """The guard: call ``operation(native cursor, *args)``; raise if the cursor cannot be used
        now."""

    def _peek(self) -> bytes | None:
        """The key at the position, which does not change, or None.  It raises as the guard does."""

@final
class HandleLock:
    """A lock for a with statement; a thread may take it several times."""

    def __enter__(self) -> object:
        """Take the lock; wait while another thread has it."""

    def __exit__(self, *exc: object) -> None:
        """Release the lock."""

@disjoint_base
class SharedCore:
    """The transactions of a native environment; SharedEnv derives from it."""

    # whether transactions may begin without asking SharedEnv
    admitting: bool
    # whether compact() has replaced the data file
    replaced: bool
    @property
    def left_behind(self) -> bool:
        """Whether its Environments must use another native environment: in a forked child, and
        after compact()."""
    # how many live read transactions the pool does not count
    live: int
    # how many named databases are open, and how many may be
    @property
    def databases(self) -> int: ...
    max_dbs: int
    # the slot of the main database
    main: DbSlot
    # held while any of these changes
    dbi_lock: HandleLock

    def attach(self, engine: Engine, pool: int, /) -> None:
        """Set the engine, and the address of the ``struct pylmdb_pool``, which is released with
        this object; it must be called before a transaction begins."""

    def pinned(self) -> list[tuple[int, float]]:
        """The snapshots that only views keep, because their transactions have ended: their
        numbers, and since when in seconds of Unix time."""

    def free_idle(self) -> None:
        """Free the idle read transactions that the pool does not have."""

    def revoke_children(self, env: Environment, /) -> None:
        """End the transactions of an Environment, the newest first."""

    def open_slot(
        self, pointer: int, txn: Transaction[Any] | None, name: bytes | None, flags: int, /
    ) -> DbSlot:
        """The slot of a database as a native transaction, given by its address, sees it; the
        caller has ``dbi_lock``."""

    def slot_named(self, name: bytes, /) -> DbSlot | None:
        """The slot that was opened last under a name; None if there is none that is alive."""

    def close_slots(self) -> None:
        """The environment is closed: every Database that uses a slot raises from now on."""

    def own_writer(self) -> Transaction[Any] | None:
        """The innermost write transaction that the calling thread has open, or None."""

    @property
    def writer_open(self) -> bool:
        """Whether this process has a write transaction open."""

    @property
    def last_commit(self) -> int | None:
        """The number of the newest committed transaction, of any process; None if a transaction
        could not begin without waiting."""

@disjoint_base
class EnvironmentCore:
    """The base of Environment, with the methods that are called often.

    It calls ``_stat``, ``_open_db`` and the like of Environment if it cannot do it immediately.
    """

    # None once it is closed
    _shared: SharedEnv | None

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
    ) -> Database: ...
    def _handle(self, name: bytes | None, slot: DbSlot, /) -> Database:
        """Return the handle of this Environment to a database: the one that is alive, or a new
        one."""
    def stat(self) -> Stat: ...
    def info(self) -> EnvInfo: ...
    def max_key_size(self) -> int: ...
    def max_readers(self) -> int: ...

@disjoint_base
class DatabaseCore:
    """What a Database consists of."""

    # None if __init__ was never called
    _env: Environment | None
    # None for the main database
    _name: bytes | None
    # None until it is looked up in this process
    _slot: DbSlot | None

@final
class DbSlot:
    """A native database handle (``MDB_dbi``).  It dies once and is never revived."""

    shared: SharedEnv
    name: bytes | None
    dbi: int
    flags: int
    alive: bool
    # opened by a write transaction that has not committed yet
    pending: bool
    # its database may not exist any more: open_db() must look
    doubted: bool

@final
class Hold:
    """A hold of a transaction (``txn``) with one of its databases (``db``), for calls of liblmdb's
    C functions: :func:`hold` makes it.

    The native transaction does not end before :meth:`release`, the end of its ``with`` block, or
    the deallocation of this object."""

    def __init__(self, txn: Transaction[Any], db: Database | None = None) -> None: ...
    @property
    def txn(self) -> CData:
        """The native transaction: ``MDB_txn *``.

        :raises ClosedError: the hold was released.
        :raises ForkedError: it was acquired before ``fork()``, in the parent process."""

    @property
    def dbi(self) -> int:
        """The number of the database in this transaction: ``MDB_dbi``.  It raises as ``txn``
        does."""

    @property
    def released(self) -> bool:
        """True once the hold was released."""

    def release(self) -> None:
        """End the hold; does nothing the second time.  If the transaction was ended meanwhile,
        its native transaction ends with its last hold."""

    def __enter__(self) -> Hold:
        """Return the hold itself."""

    def __exit__(self, *exc: object) -> None:
        """Release the hold."""
