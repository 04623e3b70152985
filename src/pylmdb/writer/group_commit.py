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
_REFUSALS = (
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
            self.result, self.error = None, _copy_error(error)


class GroupCommit:
    """Commits operations together.

    :param begin: ``begin()`` begins a write transaction, ``begin(parent)`` a nested one.
    :param can_nest: whether there can be nested ones.
    """

    def __init__(self, begin: Callable[..., Transaction[Any]], can_nest: bool) -> None:
        self._begin = begin
        self._can_nest = can_nest

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
                except BaseException as error:  # the loss of a commit is that of all in it
                    _fail_all(chunk, error)
                else:
                    if failed is not None:
                        chunks += filter(None, (chunk[failed + 1 :], chunk[:failed]))
        finally:
            if txn is not None:
                txn.abort()
        return operations

    def _split(self, operations: Sequence[Operation]) -> list[Sequence[Operation]]:
        """The operations by transaction, if nothing fails."""
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
        """One transaction; the number of the operation that made it unusable, if one did."""
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
        """Whether the others can go on after an operation has failed."""
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
    """An exception for one of several: raising one object in many threads mixes their traces."""
    if not isinstance(error, Error):
        return error
    copy = type(error)(error.what, error.code, error.hint)
    copy.__cause__ = error
    return copy
