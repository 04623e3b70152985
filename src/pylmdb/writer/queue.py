# SPDX-License-Identifier: MIT
"""A queue of writes, and the thread that commits all waiting writes together.

While one commit waits for the disk, the next writes collect.  So the more writes there are, the
more of them share a commit.  A single write is committed immediately.

The thread refers to the queue, and the queue to the environment.  Both have only a weak reference
to the user's object.  So the user may drop that object: the operations in the queue are still
written, and the thread ends.  The callback of the weak reference is a C function, so no exception
can keep it from waking the thread.  The other changes that callers make to the queue are single
calls of C functions, too.

The thread is a daemon.  An ``atexit`` handler writes what is in the queue when the program ends.
The handler runs while threads still run.  Unlike the join of an ordinary thread, it does not wait
without a limit if the thread that ends the program holds the writer lock.
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

# The longest single wait for the writer lock, in seconds; after it the thread checks whether the
# program ends.  And the longest wait for that lock at the end of the program.
_LOCK_SLICE, _EXIT_TIMEOUT = 0.2, 0.6


class WriteQueue:
    """Operations that wait, and the thread that commits them.

    :param owner: the user's object; the thread ends when it is destroyed.
    :param max_pending: how many operations may wait.
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
        # re-entrant, because a finalizer may run while the thread has it
        self._lock = threading.RLock()
        # operations without an outcome, and how many of them the thread is committing
        self._pending: deque[Operation] = deque()
        self._committing = 0
        # any item in it wakes the thread
        self._wakeups: SimpleQueue[object] = SimpleQueue()
        # locks, one for each thread that waits for a change
        self._waiters: deque[Any] = deque()
        self._closing = False
        self._give_up_at: float | None = None
        self._exit_error: BaseException | None = None
        self._owner = weakref.ref(owner, self._wakeups.put)
        self._thread = threading.Thread(target=self._run, name="pylmdb writer", daemon=True)

    def start(self) -> None:
        """Start the thread.  Called when the owner refers to the queue."""
        _queues.add(self)
        if self.env._queues is None:
            self.env._queues = weakref.WeakSet()
        self.env._queues.add(self)
        self._thread.start()

    # -- for the threads that add operations -------------------------------------

    # kept here because the interpreter sets the names in os to None when it exits
    getpid = staticmethod(os.getpid)

    @property
    def forked(self) -> bool:
        """True in a forked child, which has not inherited the thread."""
        return self.getpid() != self.pid

    @property
    def closed(self) -> bool:
        """True if no more operations are accepted."""
        return self._closing or self._owner() is None or self.env.closed

    @property
    def pending(self) -> int:
        """How many operations have no outcome yet."""
        return len(self._pending)

    def check(self) -> None:
        """Raise an error if no operations can be added."""
        if self.forked:
            raise ForkedError(
                "this writer belongs to the parent process; its thread was not inherited",
                hint="call env.writer() in the child",
            )
        if self.closed:
            if self.env.closed:
                raise closed("environment", "open it again, and call its writer()")
            raise closed("writer", "call env.writer() for a new one")

    def add(
        self, operations: Sequence[Operation], timeout: float | None = None, bound: bool = True
    ) -> None:
        """Add operations; wait for room, unless ``bound`` is False."""
        self.check()
        why = f"as many writes are waiting as max_pending={self._max_pending} allows"
        self._wait_for(lambda: self._put(operations, bound), Deadline(timeout), why)

    def _put(self, operations: Sequence[Operation], bound: bool) -> bool:
        """Add operations if there is room, and return whether there was."""
        try:
            with self._lock:
                self.check()
                full = bound and len(self._pending) - self._committing >= self._max_pending
                if full and not self._is_current():  # the queue's own thread would wait for itself
                    return False
                self._pending.extend(operations)
        finally:
            self._wake()
        return True

    def flush(self, deadline: Deadline) -> None:
        """Wait until all operations that were added before have an outcome."""
        if self._is_current():
            raise BusyError("a function or callback of this writer cannot wait for it")
        with self._lock:
            last = self._pending[-1] if self._pending else None
        if last is not None:
            self._wait_for(lambda: last.settled, deadline, "writes are still waiting")

    def refuse_self_wait(self) -> None:
        """Raise BusyError if the calling thread has the writer lock that the queue needs."""
        shared = self.env._shared
        if shared is not None and not shared.forked and shared.own_writer() is not None:
            raise BusyError(
                "writer: this thread has a write transaction open and would wait for itself",
                hint="end it first",
            )

    def finish(self) -> None:
        """Accept no more operations; those in the queue are still written.  Never waits."""
        if self.forked:
            return
        self._closing = True
        self._wake()
        self._notify_waiters()

    def join(self) -> None:
        """Wait for the end of the thread, after finish().

        If the thread has ended, this uses no globals: the interpreter may be exiting.
        """
        if not self.forked and self._thread.is_alive() and not self._is_current():
            self._thread.join()

    def _is_current(self) -> bool:
        return threading.current_thread() is self._thread

    def _wake(self) -> None:
        if self._wakeups.empty():
            self._wakeups.put(None)

    def _wait_for(self, condition: Callable[[], bool], deadline: Deadline, why: str) -> None:
        """Wait until the condition is true; it is checked again after each change."""
        while not condition():
            self.refuse_self_wait()
            if not deadline.slice():
                options = self.env._options
                raise LockTimeoutError(
                    f"writer: {options.given_path!r}: {why}",
                    hint="wait longer, or end the write transaction that is open: 'fuser -v' lists"
                    f" the processes that have {options.lock_name!r} open",
                )
            waiter = allocate_lock()
            waiter.acquire()
            self._waiters.append(waiter)
            if condition():
                return
            waiter.acquire(timeout=deadline.slice())

    def _notify_waiters(self) -> None:
        """Wake the threads that wait for a change."""
        while self._waiters:
            self._waiters.popleft().release()

    # -- in the queue's thread ----------------------------------------------------

    def _run(self) -> None:
        try:
            while self._commit_next():
                pass
        finally:
            self._closing = True
            _queues.discard(self)
            self.env._queues.discard(self)

    def _commit_next(self) -> bool:
        """Wait for operations and commit them; return False when the thread is to end."""
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
                self._pending.popleft()
                operation.settled = True
            self._committing = 0
            self._notify_waiters()
        return True

    def _begin(self, parent: Transaction[Any] | None = None) -> Transaction[Any]:
        """Begin a transaction, and wait for other writers without a limit, except at exit."""
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
                self.refuse_self_wait()  # a callback may have left a transaction open

    # -- at the end of the program -------------------------------------------------

    def finish_for_exit(self) -> None:
        """Call finish(), and limit the wait for the writer lock."""
        self._give_up_at = time.monotonic() + _EXIT_TIMEOUT
        self.finish()

    def join_and_warn(self) -> None:
        """Wait for the thread, and warn if operations could not be written."""
        self.join()
        if self._exit_error is not None:
            warnings.warn(
                f"writes to {self.env!r} were lost at the end of the program: {self._exit_error}",
                RuntimeWarning,
                stacklevel=2,
            )


# queues whose threads run; the threads keep them alive
_queues: weakref.WeakSet[WriteQueue] = weakref.WeakSet()


@atexit.register
def _finish_all() -> None:
    """Write the operations that wait in all queues.  Called at the end of the program."""
    queues = [queue for queue in list(_queues) if not queue.forked]
    for queue in queues:
        queue.finish_for_exit()
    for queue in queues:
        queue.join_and_warn()
