# SPDX-License-Identifier: MIT
"""liblmdb itself, for libraries that embed pylmdb and call its functions.

Each engine has ``ffi`` and ``lib``, the two objects of a cffi module: every
function of ``lmdb.h`` is ``engine.lib.mdb_...``, every constant
``engine.lib.MDB_...``, every struct ``engine.ffi.new("MDB_val *")`` and so on.
What LMDB 1.0 adds exists in both engines; in 0.9 the functions return ENOSYS
(``mdb_cursor_is_db``, whose result is no error code, -ENOSYS).

    >>> import pylmdb, pylmdb.lowlevel
    >>> env = pylmdb.open("/tmp/example")
    >>> engine = pylmdb.lowlevel.engine(env)
    >>> with env.begin() as txn:
    ...     engine.lib.mdb_txn_id(pylmdb.lowlevel.handle(txn))

A native handle is valid until the object that it belongs to has ended.  The rules of
lmdb.h apply to calls with it.  Above all, do not close, commit or abort it, and use a
write transaction only in the thread that began it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._engine import Engine, engines
from .cursor import Cursor
from .database import Database
from .environment import Environment
from .transaction import Transaction

if TYPE_CHECKING:
    from ._aliases import CData

__all__ = ["Engine", "database_number", "engine", "engines", "handle"]


def engine(obj: Environment | Transaction[Any] | Cursor[Any]) -> Engine:
    """Return the :class:`Engine` of an environment, transaction or cursor."""
    if isinstance(obj, Cursor):
        obj = obj.txn
    env = obj.env if isinstance(obj, Transaction) else obj
    if not isinstance(env, Environment):
        raise TypeError(
            f"obj must be an Environment, Transaction or Cursor, not {type(obj).__name__}"
        )
    return env._use().engine


def handle(obj: Environment | Transaction[Any] | Cursor[Any]) -> CData:
    """Return the ``MDB_env *``, ``MDB_txn *`` or ``MDB_cursor *`` of an object, as cffi data.

    :raises ClosedError: the object has ended.
    """
    if isinstance(obj, Environment):
        return obj._use().ptr
    if isinstance(obj, (Transaction, Cursor)):
        return obj._do(lambda native: native)
    raise TypeError(f"obj must be an Environment, Transaction or Cursor, not {type(obj).__name__}")


def database_number(db: Database, txn: Transaction[Any]) -> int:
    """Return the ``MDB_dbi`` of a database handle in a transaction."""
    if not isinstance(txn, Transaction):
        raise TypeError(f"txn must be a Transaction, not {type(txn).__name__}")
    return int(txn._do(lambda native: txn._slot_in(native, db).dbi))
