# SPDX-License-Identifier: MIT
"""Waiting for a commit of any process.

The number of the newest transaction is in the lock file or, without one, in a meta page; every
process maps both.  The file format has no means to wake a process that waits, so the number is
polled: first after 0.5 ms, then at growing intervals of at most 10 ms.
"""

from __future__ import annotations

import errno
import os
import time

from .._base.integers import integer
from .._base.words import counted
from .._core_rules.refusals import refusal
from .._core_rules.writer_gate import Deadline
from .._typing import TYPE_CHECKING
from ..errors import BusyError, error

if TYPE_CHECKING:
    from .._shared.environment import SharedEnv
    from ..environment import Environment

# the shortest and the longest pause between two polls, in seconds
_SHORTEST, _LONGEST = 0.0005, 0.01
# after how many seconds the path is asked whether the files were replaced
_ASK_PATH = 1.0


class CommitWait:
    """A wait for another commit than ``after``; None means the newest one."""

    def __init__(self, env: Environment, after: int | None, timeout: float | None) -> None:
        self._env, self._deadline = env, Deadline(timeout)
        self._after = newest(env) if after is None else checked_number("wait", after)
        self._was_less = False
        self._pause = _SHORTEST
        self._ask_path = time.monotonic() + _ASK_PATH

    def poll(self) -> int | None:
        """Return the number of the newest transaction, or None if it is still ``after``.

        :raises LockTimeoutError: the timeout is over.
        :raises ClosedError: the environment was closed.
        :raises ReplacedError: its files were moved, deleted or replaced.
        """
        number = newest(self._env)
        # compact() starts again at a low number; and info() may know a number a moment earlier
        if number > self._after or (number < self._after and self._was_less):
            return number
        self._was_less = number < self._after
        if not self._deadline.slice():
            waited = counted(self._deadline.timeout or 0, "second")
            raise refusal("no commit in time", self._env._options.given_path, waited)
        if time.monotonic() > self._ask_path:
            _check_path(self._env)
            self._ask_path = time.monotonic() + _ASK_PATH
        return None

    def pause(self) -> float:
        """Return how many seconds to sleep until the next poll."""
        pause = min(self._pause, self._deadline.slice())
        self._pause = min(1.5 * self._pause, _LONGEST)
        return pause


def checked_number(operation: str, after: object) -> int:
    """Return ``after``, the number of a transaction.

    :param operation: the method that was called, for the message.
    """
    return integer(f"{operation}: after", after, ", the number of a transaction")


def wait(env: Environment, after: int | None, timeout: float | None) -> int:
    """``Environment.wait``."""
    waiting = CommitWait(env, after, timeout)
    while (number := waiting.poll()) is None:
        if env._use().own_writer() is not None:
            raise BusyError(
                "wait: this thread has a write transaction open, so no other can commit",
                hint="end it first",
            )
        time.sleep(waiting.pause())
    return number


def newest(env: Environment) -> int:
    """Return the number of the newest committed transaction."""
    while True:
        shared = env._use()
        try:
            return shared.run(shared.engine.lib.pylmdb_env_newest)
        except BusyError:
            if not shared.left_behind:  # compact() has replaced the file meanwhile
                raise


def _check_path(env: Environment) -> None:
    """Raise if the path does not lead to the data file that is open."""
    shared: SharedEnv = env._use()
    try:
        found = os.stat(shared.options.data_path)
    except OSError:
        found = None
    if found is None or (found.st_dev, found.st_ino) != shared.key:
        raise error(f"wait: {shared.options.given_path!r}", errno.ESTALE)
