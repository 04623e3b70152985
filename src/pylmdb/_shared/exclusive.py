# SPDX-License-Identifier: MIT
"""Exclusive access to a native environment, for what moves its map or its file."""

from __future__ import annotations

import time
from _thread import get_ident
from _weakref import ref

from .._base.owners import Owner
from .._core_rules.refusals import refusal
from .._typing import TYPE_CHECKING
from ..errors import BusyError

if TYPE_CHECKING:
    from .environment import SharedEnv

# How long calls in other threads are waited for, and how often it is looked.  Seconds.
WAIT, LOOK = 1.0, 0.001


class MapClaim(Owner):
    """The claim to replace the map: while it is granted, those who begin wait for its end."""

    __slots__ = ("shared", "thread", "token")

    def __init__(self, shared: SharedEnv) -> None:
        self.shared, self.thread, self.token = shared, get_ident(), shared.new_token()

    def make(self) -> bool:
        """Make the claim; False if another one is there."""
        shared = self.shared
        shared.map_claims[self.token] = ref(self)
        shared.update_admitting()
        return shared.granted_claim is self

    def end(self) -> None:
        """Take the claim back."""
        self.shared.map_claims.pop(self.token, None)
        self.shared.update_admitting()


class ExclusiveAccess(MapClaim):
    """Exclusive access: nothing of this process lies in the map, and those who begin wait.

    Getting it raises where something lies there that does not end by itself; ``what`` and
    ``advice`` say in which way that is.
    """

    __slots__ = ("advice", "what")

    def __init__(self, shared: SharedEnv, what: str, advice: str) -> None:
        self.what, self.advice = what, advice
        super().__init__(shared)

    def get(self) -> None:
        """Get it, or raise."""
        first = self.make()
        self._check(first)
        self._wait()
        self.shared.end_idle()

    def end(self) -> None:
        """Give it back."""
        super().end()
        self.shared.leave(self.token)

    def _check(self, first: bool) -> None:
        shared = self.shared
        shared.enter(self.token, self)
        # Who begins from here on waits, so what is open now is all there is.
        if shared.closed:
            raise refusal("environment closed")
        if not first:
            raise self._refuse("another thread is doing the like", "try again")
        if shared.writer_open:
            raise self._refuse("a write transaction is open", "end it first")
        if shared.pinned():
            raise self._refuse(
                "views into it are alive", "drop the memoryviews and arrays of ended transactions"
            )

    def _wait(self) -> None:
        until = time.monotonic() + WAIT
        while self.shared.in_use:
            if time.monotonic() > until:
                raise self._refuse("a transaction is open", "end it first")
            time.sleep(LOOK)

    def _refuse(self, why: str, hint: str) -> BusyError:
        return BusyError(f"{self.what}: {why}", hint=f"{hint}{self.advice}")
