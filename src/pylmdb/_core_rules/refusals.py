# SPDX-License-Identifier: MIT
"""The table of refusals: the messages of both cores when they refuse an operation, or warn.

Each message is here once.  A core asks for an exception by its name in the table; the C core does
so with ``refuse_named()`` and ``refuse_with()`` of ``core.h``.  Failures of liblmdb have a code
instead of a name, and ``failures.py`` makes their exceptions.
"""

from __future__ import annotations

import errno

from .._typing import TYPE_CHECKING
from ..errors import (
    CLOSED,
    BadTxnError,
    BusyError,
    ClosedError,
    Error,
    ForkedError,
    IncompatibleError,
    InvalidParameterError,
    LockTimeoutError,
    ReadonlyError,
    WrongThreadError,
)

if TYPE_CHECKING:
    Refusal = tuple[type[Exception], str, str, int]

_BAD_TXN = -30782
# what is wrong with a write in an environment that is read-only, and what to do
READ_ONLY = "the environment was opened with readonly=True", "open it with readonly=False"


def _of(cls: type[Exception], text: str, hint: str = "", code: int = 0) -> Refusal:
    return cls, text, hint, code


REFUSALS: dict[str, Refusal] = {
    # -- transactions -----------------------------------------------------------------
    "transaction ended": _of(ClosedError, "this transaction has ended", "begin a new one"),
    "transaction never begun": _of(
        ClosedError, "this transaction was never begun", "make one with begin()"
    ),
    "transaction ended while it began": _of(
        ClosedError, "this transaction was ended while it began", "begin a new one"
    ),
    "transaction ended from outside": _of(
        ClosedError,
        "the transaction was ended from outside; its writes are lost",
        "do not close the environment or end the parent inside its with block",
    ),
    "transaction begun already": _of(
        Error, "this transaction has begun already", "begin another one"
    ),
    "transaction in use": _of(BusyError, "another operation of this transaction is in progress"),
    "transaction of another thread": _of(
        WrongThreadError,
        "a write transaction was used outside the thread that began it",
        "begin, use and commit it in the same thread",
    ),
    "transaction of another process": _of(
        ForkedError, "this transaction belongs to the parent process; begin a new one"
    ),
    "transaction with a child": _of(
        BadTxnError,
        "the transaction has an open child",
        "end the child transaction first",
        _BAD_TXN,
    ),
    "transaction with a reservation": _of(
        BufferError,
        "the buffer of reserve() is still in use; leave its block, and drop all slices and arrays"
        " of it, before the transaction does anything else",
    ),
    "transaction held": _of(
        BusyError,
        "this transaction is held by lowlevel.hold() or by C code (PyLMDB_Acquire)",
        "release the hold first",
    ),
    "hold released": _of(ClosedError, "this hold was released", "make another one"),
    "hold of another process": _of(
        ForkedError,
        "this hold was acquired before fork(), and belongs to the parent process",
        "release it, and acquire another one in this process",
    ),
    "changes lost": _of(
        ResourceWarning,
        "a write transaction of {!r} was left without commit() or abort(); its changes are lost",
    ),
    "not a transaction": _of(TypeError, "{} must be a Transaction, not {.__name__}"),
    # -- begin() ----------------------------------------------------------------------
    "not an environment": _of(TypeError, "env must be an Environment, not {.__name__}"),
    "environment closed": _of(ClosedError, "this environment is closed", "open it again"),
    "environment is read-only": _of(
        ReadonlyError,
        "{}: " + READ_ONLY[0],
        READ_ONLY[1],
        errno.EACCES,
    ),
    "environment closed in begin": _of(
        ClosedError,
        "this environment was closed while begin() waited or logged",
        "open it again",
    ),
    "writer lock in use": _of(
        LockTimeoutError,
        "begin: the writer lock of {!r} was not free within {} (timeout=); another {} of this"
        " process has it",
        "end its write transaction, or wait longer",
    ),
    "writer lock in use by a process": _of(
        LockTimeoutError,
        "begin: the writer lock of {0!r} was not free within {1} (timeout=); another process has"
        " it",
        "'fuser -v' lists the processes that have {2!r} open; end the write transaction there, or"
        " wait longer",
    ),
    "no commit in time": _of(
        LockTimeoutError,
        "wait: no transaction was committed to {!r} within {} (timeout=)",
        "wait longer",
    ),
    "writes not committed in time": _of(
        LockTimeoutError,
        "flush: writes to {!r} are not committed after {} (timeout=)",
        "wait longer, or end the write transaction that is open: 'fuser -v' lists the processes"
        " that have the lock file open",
    ),
    "thread has a writer": _of(
        BusyError,
        "begin: this thread has a write transaction open already and would wait for itself",
        "end it first, or nest with begin(parent=)",
        errno.EBUSY,
    ),
    "parent of another process": _of(
        ForkedError, "parent belongs to the parent process; begin a new transaction"
    ),
    "parent of another environment": _of(
        InvalidParameterError,
        "begin: parent belongs to another environment",
        "pass a transaction of this one",
    ),
    "parent is read-only": _of(
        InvalidParameterError,
        "begin: a read-only transaction cannot have children",
        "begin the parent with write=True",
    ),
    "child is read-only": _of(
        InvalidParameterError,
        "begin: read-only child transactions need LMDB 1.0",
        "open a new environment with lib_version=1, or pass write=True",
    ),
    "nested too deep": _of(
        BadTxnError,
        "begin: transactions are nested {} levels deep, which is the limit",
        "end the innermost transaction first",
    ),
    # -- databases --------------------------------------------------------------------
    "not a database": _of(
        TypeError, "db must be a database handle, not {.__name__}; open_db(name) returns one"
    ),
    "database is dead": _of(
        InvalidParameterError,
        "the database handle is dead: its database was dropped or renamed, or its creation aborted",
        "open it again by its name, with open_db() or a new Map",
        errno.EINVAL,
    ),
    "database is missing": _of(
        InvalidParameterError,
        "this transaction does not have the database {!r}",
        "it was created later, dropped or renamed; begin a new transaction",
        errno.EINVAL,
    ),
    "number in a read transaction": _of(
        ReadonlyError,
        "next_id: in a read transaction, another writer could take the number",
        "begin one that writes, with begin(write=True)",
        errno.EACCES,
    ),
    # -- cursors ----------------------------------------------------------------------
    "cursor ended": _of(
        ClosedError, "this cursor is closed, or its database was dropped", "open a new one"
    ),
    "cursor never opened": _of(
        ClosedError, "this cursor was never opened", "make one with cursor()"
    ),
    "cursor opened already": _of(Error, "this cursor was opened already", "open another one"),
    "cursor of another process": _of(
        ForkedError,
        "this cursor was opened before fork(), and its position is not known in this process",
        "open another one",
    ),
    # -- fork() -----------------------------------------------------------------------
    "file of another format": _of(
        ForkedError, "the data file was replaced by one of another format"
    ),
    # -- values -----------------------------------------------------------------------
    "map in a write transaction": _of(TypeError, "only a read transaction can view the map"),
    "putmulti without pairs": _of(TypeError, "putmulti takes 2-tuples of key and value"),
    "keys are one key": _of(
        TypeError,
        "{}: keys must be an iterable of keys, not {.__name__}; put a single key in a list",
    ),
    "negative width": _of(OverflowError, "dupfixed_bytes must be at least 0, not {}"),
    "width without dupdata": _of(TypeError, "dupfixed_bytes and keyfixed need dupdata=True"),
    "keyfixed without width": _of(TypeError, "keyfixed needs dupfixed_bytes"),
    "dupdata without values": _of(TypeError, "values=False cannot be combined with dupdata=True"),
    "keys of several widths": _of(ValueError, "keyfixed needs keys of one width"),
    "values of another width": _of(
        InvalidParameterError,
        "getmulti: the values have the size {}, not dupfixed_bytes={}",
        "",
        errno.EINVAL,
    ),
    "if_value with another condition": _of(
        TypeError, "put: if_value cannot be combined with overwrite=False or append=True"
    ),
    "if_value with duplicates": _of(
        IncompatibleError,
        "put: if_value needs a database without duplicates, where a key has one value",
        "in one with dupsort, dupdata=False stores a pair of key and value only if it is new",
    ),
    # -- ranges -----------------------------------------------------------------------
    "range of nothing": _of(
        ValueError, "range: keys=False and values=False leave nothing to return"
    ),
    "prefix with bounds": _of(TypeError, "{}: give either prefix or other bounds, not both"),
    "prefix in another order": _of(
        InvalidParameterError,
        "{}: a database with integerkey or reverse_key is not ordered by the first bytes of"
        " its keys, so it has no prefix; give start and stop",
    ),
    "no bounds": _of(
        TypeError,
        "delete_range: no bound is given; give start, stop or prefix, or delete all records with"
        " txn.drop(db, delete=False)",
    ),
    "no bounds in a Map": _of(
        TypeError,
        "delete_range: no bound is given; give start, stop or prefix, or delete all records with"
        " clear()",
    ),
    "bound of another width": _of(
        InvalidParameterError,
        "{}: start or stop has the size {}; the keys have the size {}",
    ),
    "negative record count": _of(InvalidParameterError, "range: {} must be at least 0, not {}"),
}


# Destructors can call it when the interpreter exits and has set the globals of modules to None, so
# what it needs is bound in parameters.
def refusal(
    name: str,
    *values: object,
    refusals: dict[str, Refusal] = REFUSALS,
    base: type[Error] = Error,
    closed: tuple[type[Error], str] = (ClosedError, CLOSED),
) -> Exception:
    """The exception with this name in the table; ``values`` replace the braces in its text and in
    its hint."""
    cls, text, hint, code = refusals[name]
    text, hint = text.format(*values), hint.format(*values)
    if not issubclass(cls, base):
        return cls(text)
    what = closed[1] if cls is closed[0] else text
    return cls(what, code, hint, text if code or what is not text else "")
