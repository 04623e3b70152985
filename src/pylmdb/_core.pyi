# SPDX-License-Identifier: MIT
"""The seam: what a core gives to the classes that stand on it.

A core is a few types and two functions.  The public classes stand on the types: Transaction on
TransactionCore, Cursor on CursorCore, Environment on EnvironmentCore, and SharedEnv on SharedCore;
DbSlot is used as it is.  They implement the operations that run once per record, which the public
classes document, and begin, commit and abort; everything else is written once above the seam with
``_do``.  There are two cores that keep these names: the C one (``_native/core``) and the one in
cffi (``_cffi_core``); ``_which_core.py`` chooses one when pylmdb is imported.  What is named
here is used above the seam, and what is not named here stays inside a core.
"""

from _thread import RLock
from collections.abc import Callable
from typing import Any, TypeVar

from ._aliases import CData
from ._engine import Engine
from ._shared.environment import SharedEnv
from .database import Database
from .environment import Environment
from .transaction import Transaction

T = TypeVar("T")

def join(table: int, /) -> None:
    """Take an engine, whose ``struct pylmdb_engine`` is at this address, before the first
    environment is opened with it."""

def publish(cls: type, /) -> None:
    """Make a public class the one that the core makes objects of, and the core's methods its
    own.  The functions that document them there go."""

class TransactionCore:
    """A transaction: its life, and its operations per record."""

    env: Environment
    # None until it has begun
    _shared: SharedEnv
    # None at the top
    _parent: Transaction[Any] | None
    _write: bool
    # the number of the thread it belongs to; 0 where threads may share it
    _thread: int
    # counts changes made by this transaction, by whatever layer makes them
    _mutations: int
    @property
    def _engine(self) -> Engine:
        """The engine of its environment."""

    def _do(self, operation: Callable[..., T], /, *args: object) -> T:
        """The guard: run ``operation(native transaction, *args)``, or raise."""

    def _slot_in(self, ptr: CData, db: Database | None, /) -> DbSlot:
        """Inside ``_do``: the native handle that a ``db`` argument means."""

    def _whole(self) -> memoryview:
        """Inside ``_do``, in a read transaction: the read-only view of the whole map.
        It begins at the address that ``pylmdb_env_map`` tells, at 0 where that is not
        known.  As long as a slice of it is alive, so is the snapshot."""

    def _begin_reservation(self) -> None:
        """Inside ``_do``: until the reservation ends, operations raise BufferError, and the
        transaction does not end natively."""

    # to be called when nobody can reach the reserved memory any more; it may outlive
    # the transaction
    _end_reservation: Callable[[], None]

    def _close_cursors_of(self, slot: DbSlot, /) -> None:
        """Inside ``_do``: close the native cursors of a database that is no more."""

    @property
    def _opened(self) -> list[DbSlot]:
        """Handles that die if this transaction is aborted; the list is added to."""

    @property
    def _dropped(self) -> list[int]:
        """Numbers of the handles dropped by this transaction; the list is added to."""

class CursorCore:
    """A native cursor and its operations."""

    db: Database
    txn: Transaction[Any]
    _slot: DbSlot

    @property
    def _engine(self) -> Engine:
        """The engine of its environment."""

    def _do(self, operation: Callable[..., T], /, *args: object) -> T:
        """The guard: run ``operation(native cursor, *args)``, or raise."""

class SharedCore:
    """The transactions of a native environment; SharedEnv stands on it."""

    # a transaction may begin at once; else it asks SharedEnv
    admitting: bool
    replaced: bool
    # its Environments have another one now: in a forked child, and after compact()
    @property
    def left_behind(self) -> bool: ...
    # read transactions that the pool does not count
    live: int
    # the databases that are open, by name, and the last one of each number; how many there may
    # be
    slots: dict[bytes, DbSlot]
    numbers: dict[int, DbSlot]
    max_dbs: int
    # without it none of these changes
    dbi_lock: RLock

    def attach(self, engine: Engine, pool: int, /) -> None:
        """Take the engine and the address of the ``struct pylmdb_pool``, before anything
        begins."""

    def held(self) -> list[tuple[int, float]]:
        """The snapshots whose transactions have ended and which views alone hold: their
        numbers, and since when in seconds of Unix time."""

    def drop_parked(self) -> None:
        """Free the memory of ended read transactions that the pool does not have."""

    def revoke_children(self, env: Environment, /) -> None:
        """End the transactions of an Environment, the newest first."""

    def open_slot(
        self, pointer: int, txn: Transaction[Any] | None, name: bytes | None, flags: int, /
    ) -> DbSlot:
        """The slot of a database as a native transaction, given by its address, sees it; the
        caller has ``dbi_lock``."""

    def own_writer(self) -> Transaction[Any] | None:
        """The innermost write transaction that the calling thread has open, or None."""

    @property
    def writer_open(self) -> bool:
        """Whether a write transaction of this process is open."""

    @property
    def last_commit(self) -> int | None:
        """The number of the last transaction that anybody has committed; None where a
        transaction could not begin at once either."""

class EnvironmentCore:
    """The base of Environment, for ``begin`` alone."""

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
    ) -> Transaction[Any]:
        """Begin a transaction; the parameters are those of Transaction."""

class DbSlot:
    """A native database handle (``MDB_dbi``).  It dies once and is never revived."""

    shared: SharedEnv
    name: bytes | None
    dbi: int
    flags: int
    alive: bool
    # opened by a write transaction that has not committed yet
    pending: bool
    # its database may not be there any more: open_db() has to look
    doubted: bool
    def __init__(self, shared: SharedEnv, dbi: int, flags: int, name: bytes | None, /) -> None:
        """A handle that is alive."""

    def kill(self) -> None:
        """Make every handle on this slot useless for good."""
