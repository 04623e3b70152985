# SPDX-License-Identifier: MIT
"""Group commit: many writes share one commit.

A durable commit waits for the disk, so independent writes share one.  Each write still has its
own outcome: one that fails is left out of the commit, and only its caller gets the error.

liblmdb refuses most invalid operations before it has changed anything; then the other operations
go on in the same transaction.  After other failures, such as a full map, the transaction can only
be aborted.  Then the operations before the failed one are run again and committed, and the
operations after it run in another transaction.  Each failure removes one operation, so this ends.
An operation is run again at most once for each later operation in its transaction that fails.

A function of the user can fail after it has written something, which must be undone.  So it runs
in a nested transaction.  With ``writemap`` LMDB has no nested transactions, so there it runs in
a transaction of its own.
"""

from __future__ import annotations

import copy

from .._base.buffers import freeze_bytes
from .._typing import TYPE_CHECKING
from ..errors import (
    BadDbiError,
    BadValsizeError,
    ClosedError,
    Error,
    IncompatibleError,
    KeyExistsError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import EllipsisType
    from typing import Any

    from ..database import Database
    from ..transaction import Transaction
    from ..types import BytesLike

# The errors of refused operations, which have changed nothing if the transaction is still usable.
_REFUSALS = (
    TypeError, ValueError, BadDbiError, BadValsizeError, ClosedError, IncompatibleError,
    KeyExistsError, NotFoundError,
)  # fmt: skip


class Operation:
    """One write.  It has a ``result`` or an ``error`` after its commit."""

    __slots__ = ("args", "error", "method", "result", "settled")

    def __init__(self, method: str | None, args: tuple[Any, ...]) -> None:
        """``method`` names a method of Transaction; if it is None, ``args`` has a function."""
        self.method = method
        self.args = args
        self.result: object = None
        self.error: BaseException | None = None
        # True when the outcome was delivered
        self.settled = False

    def start(self) -> bool:
        """Return False if the write was cancelled; after True it cannot be cancelled any more."""
        return True

    @staticmethod
    def deliver(operations: Sequence[Any]) -> None:
        """Deliver the outcomes to the threads or tasks that wait; all are of one class."""

    def fail(self, error: BaseException) -> None:
        """Set the error of the whole commit, unless the operation has an error of its own."""
        if self.error is None:
            self.result, self.error = None, _copy_error(error)


def put_operation(
    key: BytesLike,
    value: BytesLike,
    dupdata: bool,
    overwrite: bool,
    append: bool,
    db: Database | None,
    if_value: BytesLike | EllipsisType | None,
) -> tuple[str | None, tuple[Any, ...]]:
    """Return the ``method`` and the ``args`` of an :class:`Operation` that stores a record."""
    args = freeze_bytes("key", key), freeze_bytes("value", value), dupdata, overwrite, append, db
    if if_value is ...:
        return "put", args
    expected = None if if_value is None else freeze_bytes("if_value", if_value)
    return None, (lambda txn: txn.put(*args, if_value=expected),)


class GroupCommit:
    """Runs operations and commits them together.

    :param begin: ``begin()`` begins a write transaction, ``begin(parent)`` a nested one.
    :param can_nest: False if transactions cannot be nested.
    """

    def __init__(self, begin: Callable[..., Transaction[Any]], can_nest: bool) -> None:
        self._begin = begin
        self._can_nest = can_nest

    def commit(self, take: Callable[[], Sequence[Operation]]) -> Sequence[Operation]:
        """Begin a transaction, take operations, and run and commit them in order.

        The operations are taken after the writer lock was acquired.  So those that are added
        during the wait share the commit, and those that are cancelled during it are not run.

        :return: the operations that were taken; each has its result or error.
        """
        try:
            txn: Transaction[Any] | None = self._begin()
        except BaseException as error:
            operations = take()
            _fail_all(operations, error)
            return operations
        try:
            operations = take()
            chunks = list(reversed(self._split(operations)))
            while chunks:
                chunk = chunks.pop()
                try:
                    begun, txn = txn or self._begin(), None
                    failed = self._run_transaction(begun, chunk)
                except BaseException as error:  # if the commit fails, all its operations fail
                    _fail_all(chunk, error)
                else:
                    if failed is not None:
                        chunks += filter(None, (chunk[failed + 1 :], chunk[:failed]))
        finally:
            if txn is not None:
                txn.abort()
        return operations

    def _split(self, operations: Sequence[Operation]) -> list[Sequence[Operation]]:
        """Split the operations into one chunk for each transaction."""
        if self._can_nest:
            return [operations] if operations else []
        chunks: list[list[Operation]] = [[]]
        for operation in operations:
            if operation.method is None:
                chunks += [operation], []
            else:
                chunks[-1].append(operation)
        return [chunk for chunk in chunks if chunk]

    def _run_transaction(self, txn: Transaction[Any], chunk: Sequence[Operation]) -> int | None:
        """Run a chunk in one transaction; return the index of a failure that made it unusable."""
        try:
            for number, operation in enumerate(chunk):
                operation.error = None
                try:
                    operation.result = self._execute(operation, txn)
                except BaseException as error:
                    operation.result, operation.error = None, error
                    if not self._usable(txn, operation):
                        return number
            if self._can_nest or not txn.closed:
                txn.commit()
        finally:
            txn.abort()
        return None

    def _execute(self, operation: Operation, txn: Transaction[Any]) -> object:
        if operation.method is not None:
            return getattr(txn, operation.method)(*operation.args)
        (function,) = operation.args
        if not self._can_nest:
            return function(txn)
        child = self._begin(txn)
        try:
            result = function(child)
            if not child.closed:
                child.commit()
        finally:
            child.abort()
        return result

    def _usable(self, txn: Transaction[Any], operation: Operation) -> bool:
        """Return True if the transaction can go on after the failure of an operation."""
        undone = operation.method is None and self._can_nest
        if not undone and not isinstance(operation.error, _REFUSALS):
            return False
        try:
            txn.stat()
        except Error:
            return False
        return operation.method is not None or self._can_nest


def _fail_all(operations: Sequence[Operation], error: BaseException) -> None:
    for operation in operations:
        operation.fail(error)


def _copy_error(error: BaseException) -> BaseException:
    """Copy an exception: raising one object in many threads would mix the tracebacks."""
    if not isinstance(error, Error):
        return error
    copied = copy.copy(error)
    copied.__cause__ = error
    return copied
