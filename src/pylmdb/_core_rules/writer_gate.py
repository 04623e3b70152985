# SPDX-License-Identifier: MIT
"""One write transaction at a time in this process.

The lock in the lock file keeps processes apart.  Inside the process the gate
stands before it, because a thread that waits for itself must be told so instead
of waiting for ever, because ``lock=False`` has no lock file, and because a wait
in Python ends on signals and on time.

A claim is made with ``dict.setdefault``, which is atomic, and is an object that
the caller made beforehand: wherever an exception strikes (a KeyboardInterrupt
can do so between any two bytecodes), releasing the claim is right, and does
nothing if it was not had.
"""

from __future__ import annotations

import time
from _thread import allocate_lock

from .._typing import TYPE_CHECKING
from ..errors import LockTimeoutError
from .refusals import refusal

if TYPE_CHECKING:
    from .._aliases import CData
    from .._base.threads import ThreadIdentity

# How long a wait sleeps before it looks around: for a closed environment, and
# (in the wait for other processes) for signals.  Seconds.
SLICE = 0.05


class Deadline:
    """The end of a wait: ``timeout`` seconds from now, never for None."""

    __slots__ = ("_until",)

    def __init__(self, timeout: float | None) -> None:
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be None or at least 0 seconds, not {timeout!r}")
        self._until = None if timeout is None else time.monotonic() + timeout

    def slice(self) -> float:
        """Seconds to sleep now: never more than SLICE, 0 when time is up."""
        if self._until is None:
            return SLICE
        return min(SLICE, max(0.0, self._until - time.monotonic()))

    def check(self) -> None:
        """Raise LockTimeoutError when time is up."""
        if not self.slice():
            raise LockTimeoutError("begin: the writer lock was not free in time")


class Claim:
    """A thread's wish for the gate, and its hold on it once granted."""

    __slots__ = ("native", "owner")

    def __init__(self, thread: ThreadIdentity, native: CData) -> None:
        self.owner = thread.number
        # what the core knows of the native transaction
        self.native = native


class WriterGate:
    """Admits one :class:`Claim` at a time."""

    __slots__ = ("_granted", "_wake")

    def __init__(self) -> None:
        self._granted: dict[str, Claim] = {}
        self._wake = allocate_lock()
        self._wake.acquire()

    @property
    def holder(self) -> Claim | None:
        """The granted claim."""
        return self._granted.get("claim")

    def try_enter(self, claim: Claim) -> bool:
        """Take the gate if it is free; a second claim of one thread raises BusyError."""
        granted = self._granted.setdefault("claim", claim)
        if granted is claim:
            return True
        if granted.native.abandoned:
            # Its end was interrupted, or an operation is just leaving: help it along.
            granted.native.revoke()
            granted = self._granted.setdefault("claim", claim)
            if granted is claim:
                return True
            if not granted.native.waits_for_caller:
                return False
        if granted.owner == claim.owner:
            raise refusal("thread has a writer")
        return False

    def sleep(self, deadline: Deadline) -> None:
        """Wait until the gate may be free, a slice at most; raise when time is up."""
        deadline.check()
        self._wake.acquire(timeout=deadline.slice())

    def leave(self, claim: Claim) -> None:
        """Give the gate back; does nothing if ``claim`` does not hold it."""
        if self._granted.get("claim") is claim:
            del self._granted["claim"]
            self.wake()

    def wake(self) -> None:
        """Let one of those who sleep look again."""
        try:
            self._wake.release()
        except RuntimeError:
            return  # it is signalled already
