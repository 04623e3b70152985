# SPDX-License-Identifier: MIT
"""The queue before a thread that writes: many put in, one takes out all that waits and commits it.

While a commit waits for the disk the next ones gather, so the busier it is, the more share one;
an idle queue commits at once.

The thread holds the queue, and the queue the environment, but neither knows the object that the
user has.  So that can be dropped: what was put in is then still written, and the thread ends.

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
from collections import deque

from ._group_commit import Group
from ._typing import TYPE_CHECKING
from ._writer_gate import Deadline
from .errors import BusyError, ForkedError, LockTimeoutError, closed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._group_commit import Operation
    from .database import Database
    from .environment import Environment
    from .transaction import Transaction

# Seconds: of one wait for the writer lock, between which the thread looks whether it is to give
# up; and for which the end of a program waits for that lock.
_SLICE, _LAST_WAIT = 0.2, 0.6


class WriteQueue:
    """Operations that wait, and the thread that commits them.

    :param limit: how many may wait.
    """

    def __init__(
        self,
        env: Environment,
        db: Database | None,
        limit: int,
        sync: bool | None,
        metasync: bool | None,
    ) -> None:
        self.env = env
        self.pid = os.getpid()
        self._db, self._sync, self._metasync = db, sync, metasync
        self._limit = limit
        self._group = Group(self._begin, not env.flags()["writemap"])
        # one lock, and who waits for what; a finalizer may come in a second time
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._progress = threading.Condition(self._lock)
        self._waiting: deque[Operation] = deque()
        self._accepted = self._settled = 0
        self._ending = False
        self._give_up: float | None = None
        self._lost: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="pylmdb writer", daemon=True)
        self._thread.start()
        _running.add(self)

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
        return self._ending or self.env.closed

    @property
    def pending(self) -> int:
        """How many operations were put in whose fate is not known yet."""
        return self._accepted - self._settled

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
        with self._lock:
            if bound and len(self._waiting) >= self._limit:
                self._wait_for_room(Deadline(timeout))
            self.check()
            self._waiting += operations
            count = len(operations)
            self._accepted += count
            self._work.notify()

    def _wait_for_room(self, deadline: Deadline) -> None:
        if self._is_current():
            return  # a callback, or a function inside a transaction: it would wait for itself
        self.refuse_own_writer()
        while len(self._waiting) >= self._limit and not self.closed:
            self._pause(self._room, deadline, f"{self._limit} writes are waiting already")

    def flush(self, deadline: Deadline) -> None:
        """Wait until the fate of all that was put in is known."""
        if self._is_current():
            raise BusyError("a function or callback of this writer cannot wait for it")
        with self._lock:
            wanted = self._accepted
            if self._settled < wanted:
                self.refuse_own_writer()
            while self._settled < wanted:
                self._pause(self._progress, deadline, "writes are still waiting")

    def _pause(self, condition: threading.Condition, deadline: Deadline, why: str) -> None:
        if not deadline.slice():
            raise LockTimeoutError(
                f"writer: {why}", hint="wait longer, or see what holds up the writer lock"
            )
        condition.wait(deadline.slice())

    def refuse_own_writer(self) -> None:
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
        with self._lock:
            self._ending = True
            self._work.notify()
            self._room.notify_all()

    def join(self) -> None:
        """Wait for the end of the thread, after finish(); nothing of threading is needed once
        it has ended, because the interpreter may be exiting."""
        if not self.forked and self._thread.is_alive() and not self._is_current():
            self._thread.join()

    def _is_current(self) -> bool:
        return threading.current_thread() is self._thread

    # -- in the thread -----------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            _running.discard(self)

    def _turn(self) -> bool:
        """Wait for operations and commit them; False at the end."""
        with self._lock:
            while not self._waiting and not self._ending:
                self._work.wait()
            if not self._waiting:
                return False
        taken: list[Operation] = []

        def take() -> list[Operation]:
            with self._lock:
                taken.extend(self._waiting)
                self._waiting.clear()
                self._room.notify_all()
            return [operation for operation in taken if operation.start()]

        try:
            wanted = self._group.commit(take)
            for kind in {type(operation) for operation in wanted}:
                kind.deliver([operation for operation in wanted if type(operation) is kind])
        finally:
            with self._lock:
                count = len(taken)
                self._settled += count
                self._progress.notify_all()
        return True

    def _begin(self, parent: Transaction[Any] | None = None) -> Transaction[Any]:
        """Begin, for as long as it takes: what cannot be had are other writers' ends."""
        while True:
            try:
                return self.env.begin(
                    self._db,
                    parent,
                    write=True,
                    timeout=None if parent else _SLICE,
                    sync=self._sync,
                    metasync=self._metasync,
                )
            except LockTimeoutError as error:
                if self._give_up is not None and time.monotonic() > self._give_up:
                    self._lost = error
                    raise
            except BusyError:  # the file was compacted meanwhile
                if parent is not None:
                    raise
                self.refuse_own_writer()  # that a callback has left open

    # -- at the end of the program -------------------------------------------------

    def hurry(self) -> None:
        """Finish, and do not wait for the writer lock as long as it takes."""
        self._give_up = time.monotonic() + _LAST_WAIT
        self.finish()

    def last_words(self) -> None:
        """Wait for the thread, and warn of what could not be written."""
        self.join()
        if self._lost is not None:
            warnings.warn(
                f"writes to {self.env!r} were lost at the end of the program: {self._lost}",
                RuntimeWarning,
                stacklevel=2,
            )


# those whose thread runs
_running: set[WriteQueue] = set()


@atexit.register
def _finish_all() -> None:
    """Write what waits."""
    queues = [queue for queue in list(_running) if not queue.forked]
    for queue in queues:
        queue.hurry()
    for queue in queues:
        queue.last_words()
