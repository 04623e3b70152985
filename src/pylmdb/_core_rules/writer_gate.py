# SPDX-License-Identifier: MIT
"""The writer gate: one write transaction at a time in this process.

The writer lock in the lock file is between processes.  Inside the process a thread passes the gate
first, for three reasons.  A thread that would wait for itself gets an exception instead of waiting
for ever.  With ``lock=False`` there is no lock file.  And a wait in Python ends at signals and at
its timeout.

The gate is taken by ``dict.setdefault``, which is atomic, for an object that the caller has made
before.  An exception, such as KeyboardInterrupt, can strike between any two bytecodes.  After it,
the gate can always be left: that does nothing if it was not taken.

The C core has a gate of its own, and waits here.
"""

from __future__ import annotations

import sys
import time
from _thread import allocate_lock

from .._base.collecting import free_dropped, free_dropped_in_wait
from .._base.log import INFO, log
from .._base.words import counted
from .._typing import TYPE_CHECKING
from .refusals import refusal

if TYPE_CHECKING:
    from .._aliases import CData
    from .._cffi_core.ending import NativeTxn
    from .._shared.environment import SharedEnv
    from .._shared.options import Options
    from ..environment import Environment

# After how many seconds a wait looks whether the environment was closed and, in a wait for other
# processes, whether a signal has arrived.
SLICE = 0.05

# After how many seconds a wait for the writer lock is logged.
LONG_WAIT = 1.0

# what else may have the writer lock; a thread or a task is one of this process
THREAD, TASK, PROCESS = "thread", "task", "process"

# the longest wait, in seconds; an integer can be greater than any float
_LONGEST = sys.float_info.max


class Deadline:
    """The end of a wait, ``timeout`` seconds from now; None means that it never ends.

    :param argument: the name that callers know ``timeout`` by, for messages.
    """

    __slots__ = ("_log_at", "_until", "timeout")

    def __init__(self, timeout: float | None, argument: str = "timeout") -> None:
        self.timeout = timeout
        try:
            is_negative = timeout is not None and not timeout >= 0
        except TypeError as failure:
            kind = type(timeout).__name__
            message = f"{argument} must be None or a number of seconds, not {kind}"
            raise TypeError(message) from failure
        if is_negative:
            raise ValueError(f"{argument} must be None or at least 0 seconds, not {timeout!r}")
        now = time.monotonic()
        self._until = None if timeout is None else now + float(min(timeout, _LONGEST))
        self._log_at: float | None = now + LONG_WAIT

    def slice(self) -> float:
        """How many seconds to sleep now: at most SLICE, and 0 after the deadline."""
        if self._until is None:
            return SLICE
        return min(SLICE, max(0.0, self._until - time.monotonic()))

    def left(self) -> float | None:
        """How many seconds are left; None for no limit."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def log_wait(self, env: Environment, holder: str) -> None:
        """Log, once, that ``begin`` has waited for long; ``holder`` has the writer lock."""
        if self._log_at is not None:
            self._log_at = None
            log(
                INFO, "%s: begin has waited %g s for the writer lock, which another %s has",
                env._options.given_path, LONG_WAIT, holder,
            )  # fmt: skip

    def log_long_wait(self, env: Environment, holder: str) -> None:
        """The same, if it has waited for long."""
        if self._log_at is not None and time.monotonic() >= self._log_at:
            self.log_wait(env, holder)

    def check(self, options: Options, holder: str) -> None:
        """Raise LockTimeoutError after the deadline.

        :param options: those of the environment.
        :param holder: what has the writer lock: ``THREAD``, ``TASK`` or ``PROCESS``.
        """
        if not self.slice():
            raise self.expired(options, holder)

    def expired(self, options: Options, holder: str) -> Exception:
        """The exception for a ``begin`` that has waited until the deadline."""
        path, waited = options.given_path, counted(self.timeout or 0, "second")
        if holder == PROCESS:
            return refusal("writer lock in use by a process", path, waited, options.lock_name)
        return refusal("writer lock in use", path, waited, holder)


def deadline_of(timeout: float | Deadline | None) -> Deadline:
    """The deadline for the parameter ``timeout`` of ``begin``; code of pylmdb may give it one."""
    return timeout if isinstance(timeout, Deadline) else Deadline(timeout)


class WriterGate:
    """Lets one native write transaction at a time pass; until it leaves, it holds the gate."""

    __slots__ = ("_held", "_slept", "_wake")

    def __init__(self) -> None:
        # at most one, under "holder"
        self._held: dict[str, NativeTxn] = {}
        # whether a thread has slept since the pause of the last one that left
        self._slept = False
        self._wake = allocate_lock()
        self._wake.acquire()

    @property
    def holder(self) -> NativeTxn | None:
        """The transaction that holds the gate."""
        return self._held.get("holder")

    def try_enter(self, native: NativeTxn) -> bool:
        """Take the gate if it is free; True if ``native`` holds it.

        :raises BusyError: another transaction of the same thread holds it.
        """
        holder = self._held.setdefault("holder", native)
        if holder is not native and holder.thread == native.thread:
            free_dropped(lambda: holder.abandoned)
        if holder is not native and holder.abandoned:
            # Its end was interrupted, or its last operation is ending: finish its end here.
            holder.revoke()
            holder = self._held.setdefault("holder", native)
            if holder is not native and not holder.waits_for_caller:
                return False
        if holder is not native and holder.thread == native.thread:
            raise refusal("thread has a writer")
        return holder is native

    def sleep(self, deadline: Deadline) -> None:
        """Wait until the gate may be free, for one slice at most."""
        free_dropped_in_wait()
        self._slept = True
        self._wake.acquire(timeout=deadline.slice())

    def leave(self, native: NativeTxn) -> None:
        """Release the gate; does nothing if ``native`` does not hold it."""
        if self._held.get("holder") is native:
            del self._held["holder"]
            self.wake()
            self._let_others_enter()

    def _let_others_enter(self) -> None:
        """Else a thread that writes again and again would enter before the one that it woke."""
        if self._slept:
            self._slept = False
            for _ in range(10):
                if not self._held:
                    time.sleep(50e-6)

    def wake(self) -> None:
        """Wake one thread that sleeps, so that it looks again."""
        try:
            self._wake.release()
        except RuntimeError:
            return  # a thread is being woken already


def wait_for_gate(shared: SharedEnv, env: Environment, deadline: Deadline) -> None:
    """Wait until the gate may be free, for one slice at most.

    :raises LockTimeoutError: the deadline has passed.
    """
    deadline.check(env._options, THREAD)
    shared.gate.sleep(deadline)
    check_open(env)
    deadline.log_long_wait(env, THREAD)


def begin_writer(shared: SharedEnv, handle: CData, env: Environment, deadline: Deadline) -> None:
    """Begin a native write transaction; wait while another process has the writer lock.

    :param handle: the ``struct pylmdb_txn`` to begin.
    """
    while not shared.try_begin_writer(handle, deadline):
        deadline.check(env._options, PROCESS)
        check_open(env)
        deadline.log_long_wait(env, PROCESS)


def check_open(env: Environment) -> None:
    """Raise if the environment was closed while its transaction began."""
    if env.closed:
        raise refusal("environment closed in begin")
