# SPDX-License-Identifier: MIT
"""Direct access to liblmdb, for libraries that call its C functions themselves.

Each engine has ``ffi`` and ``lib``, the two objects of a cffi module.  Every function of
``lmdb.h`` is ``engine.lib.mdb_...``, every constant is ``engine.lib.MDB_...``, and structures are
made by ``engine.ffi.new("MDB_val *")`` and the like.  The functions that LMDB 1.0 has added exist
in both engines; in 0.9 they return ENOSYS (``mdb_cursor_is_db``, whose result is not an error
code, returns -ENOSYS).

    >>> env = pylmdb.open("example")
    >>> engine = pylmdb.lowlevel.engine(env)
    >>> with env.begin() as txn, pylmdb.lowlevel.hold(txn) as hold:
    ...     engine.lib.mdb_txn_id(hold.txn)
    0

:func:`hold` keeps a native transaction while C code uses it.  What :func:`handle` returns is valid
only until the object that it came from ends, which another thread may do at any time.

The rules of ``lmdb.h`` apply to calls with these handles.  Do not close, commit or abort them, and
use a write transaction only in its own thread.  C, C++ and Cython have a C API, in the
directory :func:`pylmdb.get_include`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._base.public_names import directory
from ._engine import Engine, engines
from ._which_core import Hold
from .cursor import Cursor
from .database import Database
from .environment import Environment
from .transaction import Transaction

if TYPE_CHECKING:
    from ._aliases import CData

__all__ = ["Engine", "Hold", "database_number", "engine", "engines", "handle", "hold"]
__dir__ = directory(__all__)


def engine(obj: Environment | Transaction[Any] | Cursor[Any]) -> Engine:
    """Return the :class:`Engine` of an environment, transaction or cursor.

    :raises TypeError: ``obj`` is another object.
    :raises ClosedError: the environment is closed.
    """
    if isinstance(obj, Cursor):
        obj = obj.txn
    env = obj.env if isinstance(obj, Transaction) else obj
    if not isinstance(env, Environment):
        raise TypeError(
            f"engine: expected an Environment, Transaction or Cursor, not {type(obj).__name__}"
        )
    return env._use().engine


def handle(obj: Environment | Transaction[Any] | Cursor[Any]) -> CData:
    """Return the ``MDB_env *``, ``MDB_txn *`` or ``MDB_cursor *`` of an object, as cffi data.

    :raises ClosedError: the object has ended.
    :raises TypeError: ``obj`` is not an Environment, Transaction or Cursor.
    """
    if isinstance(obj, Environment):
        return obj._use().ptr
    if isinstance(obj, (Transaction, Cursor)):
        return obj._do(lambda native: native)
    raise TypeError(
        f"handle: expected an Environment, Transaction or Cursor, not {type(obj).__name__}"
    )


def hold(txn: Transaction[Any], db: Database | None = None) -> Hold:
    """Hold a transaction with one of its databases, for calls of C functions.

    The :class:`Hold` has the native handles, as ``hold.txn`` and ``hold.dbi``.  They are valid
    until it is released: by the end of a ``with`` block, by ``hold.release()``, or with its last
    reference.

    A read transaction can be used by others while it is held.  If it is ended, its native
    transaction ends with the last hold, and the map stays until then.  All other operations on a
    write transaction raise BusyError while it is held; if it is aborted or its environment is
    closed, that happens with the release.

    :param db: a database handle; None for the database of the transaction.
    :raises ClosedError: the transaction has ended.
    :raises WrongThreadError: it is a write transaction of another thread.
    :raises BusyError: an operation of the transaction is in progress in this thread.
    :raises TypeError: ``txn`` is not a Transaction, or ``db`` not a database handle.
    """
    return Hold(txn, db)


def database_number(db: Database, txn: Transaction[Any]) -> int:
    """Return the ``MDB_dbi`` of a database handle ``db``, which is valid in ``txn``.

    :raises ClosedError: the transaction has ended, or the handle is closed.
    :raises TypeError: ``txn`` is not a Transaction.
    """
    if not isinstance(txn, Transaction):
        raise TypeError(f"txn must be a Transaction, not {type(txn).__name__}")
    return int(txn._do(lambda native: txn._slot_in(native, db).dbi))
