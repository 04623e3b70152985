# SPDX-License-Identifier: MIT
"""Many writes, one commit.

A durable commit waits for the disk, so writes that need not be apart share one.  Each still
has its own fate: what fails is left out and tells only whoever asked for it.

liblmdb refuses most wrong operations before it has changed anything; then the others go on as
if nothing had happened.  After another failure, such as a full map, the transaction can only be
aborted.  Then the operations before the failed one are done again and committed, and those
behind it follow in a transaction of their own.  Every failure takes one operation away, so this
ends, and each operation is done again at most once for each failure behind it that its own
commit has met.

A function of the user can fail half-way, and what it has written by then must not stay.  It
gets a nested transaction; or, under ``writemap``, where LMDB has none, one of its own.
"""

from __future__ import annotations

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
    from typing import Any

    from ..transaction import Transaction

# What a refused operation raises; it has changed nothing if the transaction still answers.
_REFUSED = (
    TypeError, ValueError, BadDbiError, BadValsizeError, ClosedError, IncompatibleError,
    KeyExistsError, NotFoundError,
)  # fmt: skip


class Operation:
    """One write on its way to a commit; then it has a ``result``, or an ``error``."""

    __slots__ = ("args", "error", "method", "result", "settled")

    def __init__(self, method: str | None, args: tuple[Any, ...]) -> None:
        """``method`` of the transaction; None for a function of the user in ``args``."""
        self.method = method
        self.args = args
        self.result: object = None
        self.error: BaseException | None = None
        # whoever waits has been told
        self.settled = False

    def start(self) -> bool:
        """Whether it is still wanted; from here on it cannot be taken back."""
        return True

    @staticmethod
    def deliver(operations: Sequence[Any]) -> None:
        """Tell whoever waits; all are of one class."""

    def fail(self, error: BaseException) -> None:
        """Fail for what has befallen the commit, unless it has failed already."""
        if self.error is None:
            self.result, self.error = None, _own(error)


class Group:
    """Commits operations together.

    :param begin: ``begin()`` begins a write transaction, ``begin(parent)`` a nested one.
    :param nests: whether there can be nested ones.
    """

    def __init__(self, begin: Callable[..., Transaction[Any]], nests: bool) -> None:
        self._begin = begin
        self._nests = nests

    def commit(self, take: Callable[[], Sequence[Operation]]) -> Sequence[Operation]:
        """Begin, take operations and carry them out in order.

        They are taken once the writer lock is had, so that those who come while it is
        waited for share the commit, and those who go leave nothing behind.

        :return: what was taken; each has its result or error.
        """
        try:
            txn: Transaction[Any] | None = self._begin()
        except BaseException as error:
            operations = take()
            _fail(operations, error)
            return operations
        try:
            operations = take()
            runs = list(reversed(self._apart(operations)))
            while runs:
                run = runs.pop()
                try:
                    begun, txn = txn or self._begin(), None
                    failed = self._attempt(begun, run)
                except BaseException as error:  # the loss of a commit is that of all in it
                    _fail(run, error)
                else:
                    if failed is not None:
                        runs += filter(None, (run[failed + 1 :], run[:failed]))
        finally:
            if txn is not None:
                txn.abort()
        return operations

    def _apart(self, operations: Sequence[Operation]) -> list[Sequence[Operation]]:
        """The operations by transaction, if nothing fails."""
        if self._nests:
            return [operations] if operations else []
        runs: list[list[Operation]] = [[]]
        for operation in operations:
            if operation.method is None:
                runs += [operation], []
            else:
                runs[-1].append(operation)
        return [run for run in runs if run]

    def _attempt(self, txn: Transaction[Any], run: Sequence[Operation]) -> int | None:
        """One transaction; the number of the operation that made it unusable, if one did."""
        try:
            for number, operation in enumerate(run):
                operation.error = None
                try:
                    operation.result = self._do(operation, txn)
                except BaseException as error:
                    operation.result, operation.error = None, error
                    if not self._usable(txn, operation):
                        return number
            if self._nests or not txn.closed:
                txn.commit()
        finally:
            txn.abort()
        return None

    def _do(self, operation: Operation, txn: Transaction[Any]) -> object:
        if operation.method is not None:
            return getattr(txn, operation.method)(*operation.args)
        (function,) = operation.args
        if not self._nests:
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
        """Whether the others can go on after an operation has failed."""
        undone = operation.method is None and self._nests
        if not undone and not isinstance(operation.error, _REFUSED):
            return False
        try:
            txn.stat()
        except Error:
            return False
        return operation.method is not None or self._nests


def _fail(operations: Sequence[Operation], error: BaseException) -> None:
    for operation in operations:
        operation.fail(error)


def _own(error: BaseException) -> BaseException:
    """An exception for one of several: raising one object in many threads mixes their traces."""
    if not isinstance(error, Error):
        return error
    copy = type(error)(error.what, error.code, error.hint)
    copy.__cause__ = error
    return copy
