# SPDX-License-Identifier: MIT
"""The queue before a thread that writes: many put in, one takes out all that waits and commits it.

While a commit waits for the disk the next ones gather, so the busier it is, the more share one;
an idle queue commits at once.

The thread holds the queue, and the queue the environment, but both have only a weak reference to
the object that the user has.  So that can be dropped: what was put in is then still written, and
the thread ends.  The callback of that reference is C, so no exception can keep it from waking the
thread; what else is done to the queue by those who put in are single calls of C, too.

The thread is a daemon, and what waits when the program ends is written by a handler of
``atexit``: it runs while threads still do, but does not wait for ever as the join of an
ordinary thread would where the writer lock is held by the thread that is ending the program.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import warnings
import weakref
from _thread import allocate_lock
from collections import deque
from queue import SimpleQueue

from .._core_rules.writer_gate import Deadline
from .._typing import TYPE_CHECKING
from ..errors import BusyError, ForkedError, LockTimeoutError, closed
from .group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction
    from .group_commit import Operation

# Seconds: of one wait for the writer lock, between which the thread looks whether it is to give
# up; and for which the end of a program waits for that lock.
_LOCK_SLICE, _EXIT_TIMEOUT = 0.2, 0.6


class WriteQueue:
    """Operations that wait, and the thread that commits them.

    :param owner: the object for which it does; when that dies, the thread ends.
    :param max_pending: how many may wait.
    """

    def __init__(
        self,
        owner: object,
        env: Environment,
        db: Database | None,
        max_pending: int,
        sync: bool | None,
        metasync: bool | None,
    ) -> None:
        self.env = env
        self.pid = os.getpid()
        self._db, self._sync, self._metasync = db, sync, metasync
        self._max_pending = max_pending
        self._group_commit = GroupCommit(self._begin, not env.flags()["writemap"])
        # a finalizer may come in a second time
        self._lock = threading.RLock()
        # what was put in and has no end yet; how much of it the thread is committing
        self._pending: deque[Operation] = deque()
        self._committing = 0
        # anything in it wakes the thread
        self._wakeups: SimpleQueue[object] = SimpleQueue()
        # locks that threads wait for until something has changed
        self._waiters: deque[Any] = deque()
        self._closing = False
        self._give_up_at: float | None = None
        self._exit_error: BaseException | None = None
        self._owner = weakref.ref(owner, self._wakeups.put)
        self._thread = threading.Thread(target=self._run, name="pylmdb writer", daemon=True)

    def start(self) -> None:
        """Start the thread, once the owner knows the queue."""
        _queues.add(self)
        if self.env._queues is None:
            self.env._queues = weakref.WeakSet()
        self.env._queues.add(self)
        self._thread.start()

    # -- for those who put in ----------------------------------------------------

    # for what can run when the interpreter exits and has set the names in os to None
    getpid = staticmethod(os.getpid)

    @property
    def forked(self) -> bool:
        """True in a child of fork(), where the thread is not."""
        return self.getpid() != self.pid

    @property
    def closed(self) -> bool:
        """True once nothing more is accepted."""
        return self._closing or self._owner() is None or self.env.closed

    @property
    def pending(self) -> int:
        """How many operations were put in whose fate is not known yet."""
        return len(self._pending)

    def check(self) -> None:
        """Raise unless something can be put in."""
        if self.forked:
            raise ForkedError(
                "this writer belongs to the parent process; its thread was not inherited",
                hint="call env.writer() in the child",
            )
        if self.closed:
            subject = "environment" if self.env.closed else "writer"
            raise closed(subject, "make another one")

    def add(
        self, operations: Sequence[Operation], timeout: float | None = None, bound: bool = True
    ) -> None:
        """Put operations in; waits for room, unless not ``bound``."""
        self.check()
        why = f"{self._max_pending} writes are waiting already"
        self._wait_for(lambda: self._put(operations, bound), Deadline(timeout), why)

    def _put(self, operations: Sequence[Operation], bound: bool) -> bool:
        """Put operations in, if there is room."""
        try:
            with self._lock:
                self.check()
                full = bound and len(self._pending) - self._committing >= self._max_pending
                if full and not self._is_current():  # which would wait for itself
                    return False
                self._pending.extend(operations)
        finally:
            self._wake()
        return True

    def flush(self, deadline: Deadline) -> None:
        """Wait until the fate of all that was put in is known."""
        if self._is_current():
            raise BusyError("a function or callback of this writer cannot wait for it")
        with self._lock:
            last = self._pending[-1] if self._pending else None
        if last is not None:
            self._wait_for(lambda: last.settled, deadline, "writes are still waiting")

    def refuse_self_wait(self) -> None:
        """Raise if the calling thread has the writer lock that the queue's thread needs."""
        shared = self.env._shared
        if shared is not None and not shared.forked and shared.own_writer() is not None:
            raise BusyError(
                "writer: this thread has a write transaction open and would wait for itself",
                hint="end it first",
            )

    def finish(self) -> None:
        """Accept nothing more; what waits is still written.  Repeatable, and never waits."""
        if self.forked:
            return
        self._closing = True
        self._wake()
        self._notify_waiters()

    def join(self) -> None:
        """Wait for the end of the thread, after finish(); nothing of threading is needed once
        it has ended, because the interpreter may be exiting."""
        if not self.forked and self._thread.is_alive() and not self._is_current():
            self._thread.join()

    def _is_current(self) -> bool:
        return threading.current_thread() is self._thread

    def _wake(self) -> None:
        if self._wakeups.empty():
            self._wakeups.put(None)

    def _wait_for(self, condition: Callable[[], bool], deadline: Deadline, why: str) -> None:
        """Wait until the condition is true, which is looked at again after each change."""
        while not condition():
            self.refuse_self_wait()
            if not deadline.slice():
                raise LockTimeoutError(
                    f"writer: {why}", hint="wait longer, or see what holds up the writer lock"
                )
            waiter = allocate_lock()
            waiter.acquire()
            self._waiters.append(waiter)
            if condition():
                return
            waiter.acquire(timeout=deadline.slice())

    def _notify_waiters(self) -> None:
        """Let those that wait look again."""
        while self._waiters:
            self._waiters.popleft().release()

    # -- in the thread -----------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._commit_next():
                pass
        finally:
            self._closing = True
            _queues.discard(self)
            self.env._queues.discard(self)

    def _commit_next(self) -> bool:
        """Wait for operations and commit them; False at the end."""
        while not self._pending:
            with self._lock:
                if self.closed and not self._pending:
                    self._closing = True
                    return False
            self._wakeups.get()
        taken: list[Operation] = []

        def take() -> list[Operation]:
            with self._lock:
                taken.extend(self._pending)
                self._committing = len(taken)
            self._notify_waiters()
            return [operation for operation in taken if operation.start()]

        try:
            started = self._group_commit.commit(take)
            for kind in {type(operation) for operation in started}:
                kind.deliver([operation for operation in started if type(operation) is kind])
        finally:
            for operation in taken:
                operation.settled = True
                self._pending.popleft()
            self._committing = 0
            self._notify_waiters()
        return True

    def _begin(self, parent: Transaction[Any] | None = None) -> Transaction[Any]:
        """Begin, for as long as it takes: what cannot be had are other writers' ends."""
        while True:
            try:
                return self.env.begin(
                    self._db,
                    parent,
                    write=True,
                    timeout=None if parent else _LOCK_SLICE,
                    sync=self._sync,
                    metasync=self._metasync,
                )
            except LockTimeoutError as error:
                if self._give_up_at is not None and time.monotonic() > self._give_up_at:
                    self._exit_error = error
                    raise
            except BusyError:  # the file was compacted meanwhile
                if parent is not None:
                    raise
                self.refuse_self_wait()  # that a callback has left open

    # -- at the end of the program -------------------------------------------------

    def finish_for_exit(self) -> None:
        """Finish, and do not wait for the writer lock as long as it takes."""
        self._give_up_at = time.monotonic() + _EXIT_TIMEOUT
        self.finish()

    def join_and_warn(self) -> None:
        """Wait for the thread, and warn of what could not be written."""
        self.join()
        if self._exit_error is not None:
            warnings.warn(
                f"writes to {self.env!r} were lost at the end of the program: {self._exit_error}",
                RuntimeWarning,
                stacklevel=2,
            )


# those whose threads run, which hold them
_queues: weakref.WeakSet[WriteQueue] = weakref.WeakSet()


@atexit.register
def _finish_all() -> None:
    """Write what waits."""
    queues = [queue for queue in list(_queues) if not queue.forked]
    for queue in queues:
        queue.finish_for_exit()
    for queue in queues:
        queue.join_and_warn()
