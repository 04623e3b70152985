# SPDX-License-Identifier: MIT
"""The writer gate: one write transaction at a time in this process.

The writer lock in the lock file is between processes.  Inside the process a thread passes the gate
first, for three reasons.  A thread that would wait for itself gets an exception instead of waiting
for ever.  With ``lock=False`` there is no lock file.  And a wait in Python ends at signals and at
its timeout.

A request is granted by ``dict.setdefault``, which is atomic, and the caller has made the request's
object before.  An exception, such as KeyboardInterrupt, can strike between any two bytecodes.
After it, the gate can always be left: that does nothing if the request was not granted.
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

# After how many seconds a wait looks whether the environment was closed and, in a wait for other
# processes, whether a signal has arrived.
SLICE = 0.05


class Deadline:
    """The end of a wait, ``timeout`` seconds from now; None means that it never ends."""

    __slots__ = ("_until",)

    def __init__(self, timeout: float | None) -> None:
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be None or at least 0 seconds, not {timeout!r}")
        self._until = None if timeout is None else time.monotonic() + timeout

    def slice(self) -> float:
        """How many seconds to sleep now: at most SLICE, and 0 after the deadline."""
        if self._until is None:
            return SLICE
        return min(SLICE, max(0.0, self._until - time.monotonic()))

    def check(self) -> None:
        """Raise LockTimeoutError after the deadline."""
        if not self.slice():
            raise LockTimeoutError("begin: the writer lock was not free in time")


class WriterRequest:
    """A thread's request for the gate; once granted, the thread has the gate."""

    __slots__ = ("native", "owner")

    def __init__(self, thread: ThreadIdentity, native: CData) -> None:
        self.owner = thread.number
        # the core's record of the native transaction
        self.native = native


class WriterGate:
    """Grants one :class:`WriterRequest` at a time."""

    __slots__ = ("_granted", "_wake")

    def __init__(self) -> None:
        self._granted: dict[str, WriterRequest] = {}  # at most one, under "request"
        self._wake = allocate_lock()
        self._wake.acquire()

    @property
    def holder(self) -> WriterRequest | None:
        """The granted request."""
        return self._granted.get("request")

    def try_enter(self, request: WriterRequest) -> bool:
        """Take the gate if it is free; True if ``request`` has it.

        :raises BusyError: another request of the same thread has it.
        """
        granted = self._granted.setdefault("request", request)
        if granted is request:
            return True
        if granted.native.abandoned:
            # Its end was interrupted, or its last operation is ending: finish its end here.
            granted.native.revoke()
            granted = self._granted.setdefault("request", request)
            if granted is request:
                return True
            if not granted.native.waits_for_caller:
                return False
        if granted.owner == request.owner:
            raise refusal("thread has a writer")
        return False

    def sleep(self, deadline: Deadline) -> None:
        """Wait until the gate may be free, for one slice at most.

        :raises LockTimeoutError: the deadline has passed.
        """
        deadline.check()
        self._wake.acquire(timeout=deadline.slice())

    def leave(self, request: WriterRequest) -> None:
        """Release the gate; does nothing if ``request`` does not have it."""
        if self._granted.get("request") is request:
            del self._granted["request"]
            self.wake()

    def wake(self) -> None:
        """Wake one thread that sleeps, so that it looks again."""
        try:
            self._wake.release()
        except RuntimeError:
            return  # a thread is being woken already
