# SPDX-License-Identifier: MIT
"""Direct access to liblmdb, for libraries that call its C functions themselves.

Each engine has ``ffi`` and ``lib``, the two objects of a cffi module.  Every function of
``lmdb.h`` is ``engine.lib.mdb_...``, every constant is ``engine.lib.MDB_...``, and structures are
made by ``engine.ffi.new("MDB_val *")`` and the like.  The functions that LMDB 1.0 has added exist
in both engines; in 0.9 they return ENOSYS (``mdb_cursor_is_db``, whose result is not an error
code, returns -ENOSYS).

    >>> import pylmdb, pylmdb.lowlevel
    >>> env = pylmdb.open("/tmp/example")
    >>> engine = pylmdb.lowlevel.engine(env)
    >>> with env.begin() as txn:
    ...     engine.lib.mdb_txn_id(pylmdb.lowlevel.handle(txn))

A native handle is valid until the object that it came from ends.  The rules of ``lmdb.h`` apply
to calls with it.  Do not close, commit or abort it, and use a write transaction only in its own
thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._base.public_names import directory
from ._engine import Engine, engines
from .cursor import Cursor
from .database import Database
from .environment import Environment
from .transaction import Transaction

if TYPE_CHECKING:
    from ._aliases import CData

__all__ = ["Engine", "database_number", "engine", "engines", "handle"]
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


def database_number(db: Database, txn: Transaction[Any]) -> int:
    """Return the ``MDB_dbi`` of a database handle ``db``, which is valid in ``txn``.

    :raises ClosedError: the transaction has ended, or the handle is closed.
    :raises TypeError: ``txn`` is not a Transaction.
    """
    if not isinstance(txn, Transaction):
        raise TypeError(f"txn must be a Transaction, not {type(txn).__name__}")
    return int(txn._do(lambda native: txn._slot_in(native, db).dbi))
