# SPDX-License-Identifier: MIT
"""The watch for slow readers: a thread that looks at the reader table.

A read transaction that stays open keeps the pages of its snapshot, so the file grows.  The reader
table has the number of each snapshot, but not the time at which its transaction began.  So the
thread notes when it first sees that a snapshot is out of date.
"""

from __future__ import annotations

import threading
import time
from weakref import ref

from .._base.log import WARNING, log
from .._base.threads import report_exception
from .._typing import TYPE_CHECKING
from ..errors import ClosedError, Error
from . import inspection as _inspection
from . import waiting as _waiting

if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable

    from ..environment import Environment
    from ..types import Reader

    Slot = tuple[int, str, int | None]

# the longest and the shortest time between two looks, in seconds
_LONGEST, _SHORTEST = 1.0, 0.01


class ReaderWatch:
    """Watches the readers of an environment until it is closed or freed.

    :param callback: is called once for each slow reader.
    :param limits: a reader is slow if its snapshot is more transactions behind than the first
        number, or has been out of date for the seconds of the second one; None: no such limit.
    :param lock: whether the environment has a reader table.
    :raises TypeError: an argument has the wrong type.
    :raises ValueError: there is no limit, it is negative, or there is no reader table.
    """

    _env: ref[Environment]

    def __init__(
        self,
        callback: Callable[[Reader], object],
        limits: tuple[int | None, float | None],
        lock: bool,
    ) -> None:
        self._callback = callback
        self._transactions, self._seconds = _checked(callback, limits, lock)
        seconds = _LONGEST if self._seconds is None else self._seconds / 4
        self._interval = max(_SHORTEST, min(_LONGEST, seconds))
        # when each slot was first seen to be out of date, and those that were reported
        self._since: dict[Slot, float] = {}
        self._reported: set[Slot] = set()
        self._end = threading.Lock()
        self._end.acquire()

    def start(self, env: Environment) -> None:
        """Start the thread."""
        self._env = ref(env)
        args = ref(self), self._end, self._interval
        threading.Thread(target=_run, args=args, name="pylmdb-reader-watch", daemon=True).start()

    def end(self) -> None:
        """End the thread; it can be repeated, and does not wait for a callback."""
        try:
            self._end.release()
        except RuntimeError:
            return

    def look(self) -> bool:
        """Report the slow readers.  Return False if the environment is closed or freed."""
        try:
            slow = self._look()
        except ClosedError:
            return False
        except Error:
            return True  # the next look may succeed
        for reader in slow:
            self._log(reader)
            self._call(self._callback, reader)
        return True

    def _look(self) -> list[Reader]:
        """Return the slow readers that were not reported yet."""
        env = self._env()
        if env is None:
            raise ClosedError
        newest, now = _waiting.newest(env), time.monotonic()
        old = {
            slot: self._since.get(slot, now)
            for slot in _inspection.reader_slots(env._use())
            if slot[2] is not None and slot[2] < newest
        }
        self._since, self._reported = old, self._reported & old.keys()
        slow = {slot for slot, since in old.items() if self._is_slow(slot, newest, now - since)}
        unreported = slow - self._reported
        if not unreported:
            return []
        shared = env._use()
        wanted = {(_inspection.process(shared, slot[0]), *slot[1:]) for slot in unreported}
        readers = env.reader_list()
        self._reported |= unreported
        return [each for each in readers if (each.pid, each.thread, each.txnid) in wanted]

    def _is_slow(self, slot: Slot, newest: int, seconds: float) -> bool:
        behind = newest - (slot[2] or 0)
        return (self._transactions is not None and behind > self._transactions) or (
            self._seconds is not None and seconds >= self._seconds
        )

    def _log(self, reader: Reader) -> None:
        env = self._env()
        options = None if env is None else env._options
        if options is not None:
            log(
                WARNING, "%s: a slow reader in process %d keeps the snapshot %d",
                options.given_path, reader.pid, reader.txnid,
            )  # fmt: skip

    @staticmethod
    def _call(function: Callable[[Reader], object], reader: Reader) -> None:
        try:
            function(reader)
        except BaseException:
            report_exception()


def _run(watch: ref[ReaderWatch], end: LockType, interval: float) -> None:
    """Look until the end.  The callback may refer to the environment, so between two looks the
    thread refers to neither."""
    while not end.acquire(timeout=interval):
        found = watch()
        if found is None or not found.look():
            return
        del found


def _checked(
    callback: object, limits: tuple[int | None, float | None], lock: bool
) -> tuple[int | None, float | None]:
    if not callable(callback):
        raise TypeError(f"on_slow_reader must be callable, not {type(callback).__name__}")
    if not lock:
        raise ValueError("on_slow_reader needs the reader table, which lock=False leaves out")
    try:
        transactions, seconds = limits
        wrong = [limit for limit in limits if limit is not None and not limit >= 0]
    except (TypeError, ValueError):
        raise TypeError(
            f"slow_reader must be a pair (transactions, seconds), not {limits!r}"
        ) from None
    if wrong or (transactions is None and seconds is None):
        raise ValueError(
            f"slow_reader must have at least one limit, and none below 0, got {limits!r}"
        )
    return transactions, seconds
