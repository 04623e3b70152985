# SPDX-License-Identifier: MIT
"""Exclusive access to a native environment, which replacing its map or its data file needs."""

from __future__ import annotations

import time
from _thread import get_ident
from _weakref import ref

from .._base.collecting import free_dropped
from .._base.owners import Owner
from .._base.words import counted
from .._core_rules.refusals import refusal
from .._typing import TYPE_CHECKING
from ..errors import BusyError

if TYPE_CHECKING:
    from .environment import SharedEnv

# How many seconds calls in other threads get to end, and the pause between two looks.
WAIT, PAUSE = 1.0, 0.001


class MapRequest(Owner):
    """A request to replace the map.  While it is granted, new transactions and calls wait."""

    __slots__ = ("shared", "thread", "token")

    def __init__(self, shared: SharedEnv) -> None:
        self.shared, self.thread, self.token = shared, get_ident(), shared.new_token()

    def make(self) -> bool:
        """Make the request; False if another request came first."""
        shared = self.shared
        shared.map_requests[self.token] = ref(self)
        shared.update_admitting()
        return shared.granted_request is self

    def end(self) -> None:
        """Withdraw the request."""
        self.shared.map_requests.pop(self.token, None)
        self.shared.update_admitting()


class ExclusiveAccess(MapRequest):
    """Exclusive access: nothing in this process uses the map, and all that begins waits.

    :param what: begins the message of the BusyError: the operation, and what it cannot do.
    :param advice: ends its hint: what else the caller can do.
    """

    __slots__ = ("advice", "what")

    def __init__(self, shared: SharedEnv, what: str, advice: str) -> None:
        self.what, self.advice = what, advice
        super().__init__(shared)

    def acquire(self) -> None:
        """Wait for calls in other threads.

        :raises BusyError: a transaction or a view is alive, which does not end by itself.
        """
        first, shared = self.make(), self.shared
        free_dropped(lambda: not (shared.writer_open or shared.pinned() or shared.in_use))
        self._check(first)
        self._wait()
        self.shared.end_idle()

    def end(self) -> None:
        """End exclusive access."""
        super().end()
        self.shared.leave(self.token)

    def _check(self, first: bool) -> None:
        shared = self.shared
        shared.enter(self.token, self)
        # Calls and transactions that begin from here on wait, so only those that are open are left.
        if shared.closed:
            raise refusal("environment closed")
        if not first:
            raise self._refuse("another thread is replacing the map or the file", "try again")
        if shared.writer_open:
            raise self._refuse("a write transaction is open in this process", "end it first")
        if shared.pinned():
            raise self._refuse(
                f"memoryviews or arrays still pin {counted(len(self.shared.pinned()), 'snapshot')}",
                "drop the memoryviews and arrays of ended transactions",
            )

    def _wait(self) -> None:
        until = time.monotonic() + WAIT
        while self.shared.in_use:
            if time.monotonic() > until:
                raise self._refuse("a transaction is open in this process", "end it first")
            time.sleep(PAUSE)

    def _refuse(self, why: str, hint: str) -> BusyError:
        return BusyError(f"{self.what}: {why}", hint=f"{hint}{self.advice}")
