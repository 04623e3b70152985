# SPDX-License-Identifier: MIT
"""Having a native environment for oneself, for what moves its map or its file."""

from __future__ import annotations

import time
from _thread import get_ident

from ._typing import TYPE_CHECKING
from .errors import BusyError, closed

if TYPE_CHECKING:
    from ._shared_env import SharedEnv

# How long calls in other threads are waited for, and how often it is looked.  Seconds.
WAIT, LOOK = 1.0, 0.001


class Alone:
    """A ``with`` block inside which nothing of this process lies in the map: who begins
    waits for its end.  Entering it raises where something lies there that does not end
    by itself; ``what`` and ``advice`` say in which way that is."""

    def __init__(self, shared: SharedEnv, what: str, advice: str) -> None:
        self.shared, self.what, self.advice = shared, what, advice
        self.token = shared.new_token()
        self.mark = self.token, get_ident()

    def __enter__(self) -> None:
        try:
            self._claim()
            self._wait()
            self.shared.drain()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc: object) -> None:
        shared = self.shared
        if shared.resizing.get("by") == self.mark:
            del shared.resizing["by"]
        shared.leave(self.token)

    def _claim(self) -> None:
        shared = self.shared
        first = shared.resizing.setdefault("by", self.mark) == self.mark
        shared.enter(self.token)
        # Who begins from here on waits, so what is open now is all there is.
        if shared.closed:
            raise closed("environment", "open it again")
        if not first:
            raise self._refuse("another thread is doing the like", "try again")
        if shared.writer_open:
            raise self._refuse("a write transaction is open", "end it first")
        if shared.pins():
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
