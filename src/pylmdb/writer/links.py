# SPDX-License-Identifier: MIT
"""The connections of a producer: one from this process to each writer process.

All objects of a process that mean the same writer process share one connection, so the operations
of a process arrive in their order.  An exception in the middle of a message, such as
KeyboardInterrupt, breaks the connection; the next operation makes another one, after the writer
process has read all of the old one.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from itertools import starmap

from .._core_rules.writer_gate import Deadline
from .._typing import TYPE_CHECKING
from ..errors import ClosedError
from .frames import FrameReader, frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


# a socket with a timeout of 0 would not wait, and raise another error
_SHORTEST = 0.001
_ENDLESS = Deadline(None)


class LateError(Exception):
    """The deadline has passed."""


class _Link:
    """A connection.

    :ivar lock: held while a message is sent, and while its reply is awaited.
    :ivar broken: True if there may be half a message in it; to be looked at with the lock.
    """

    def __init__(self, address: str) -> None:
        self.lock = threading.Lock()
        self.broken = False
        self._socket = socket.socket(socket.AF_UNIX)
        # replies to flushes that are still to come, and the first failure in those that have come
        self._replies = FrameReader(self._socket)
        self._awaited = 0
        self._failure: BaseException | None = None
        try:
            self._socket.connect(address)
        except BaseException:
            self._socket.close()
            raise

    def send(self, message: tuple[object, ...]) -> None:
        """Send an operation."""
        sent = frame(message)
        self.broken = True
        self._socket.sendall(sent)
        self.broken = False

    def flush(self, deadline: Deadline) -> BaseException | None:
        """Wait until all operations are committed.  Return the error of the first refused one.

        The reply to a flush that was too late is read by the next one.

        :raises LateError: they are not committed before the deadline.
        """
        self.broken = True
        try:
            self._limit(deadline)
            self._socket.sendall(frame(("flush",)))
            self._awaited += 1
            while self._awaited:
                self._read_replies(deadline)
        except TimeoutError:
            raise LateError from None
        finally:
            self._socket.settimeout(None)
        self.broken = False
        failure, self._failure = self._failure, None
        return failure

    def _limit(self, deadline: Deadline) -> None:
        """Let calls of the socket raise TimeoutError after the deadline."""
        left = deadline.left()
        self._socket.settimeout(None if left is None else max(_SHORTEST, left))

    def _read_replies(self, deadline: Deadline) -> None:
        self._limit(deadline)
        try:
            replies = self._replies.read()
        except TimeoutError:
            self.broken = False  # nothing is half sent, and what was received is kept
            raise
        for failure in replies:
            self._failure = self._failure or failure
        self._awaited -= len(replies)

    def end(self) -> None:
        """Close the connection, when the writer process has read all that was sent."""
        with self.lock:
            self.broken = True
            with self._socket as half, suppress(OSError):
                half.shutdown(socket.SHUT_WR)
                while half.recv(1 << 12):
                    pass

    def __del__(self) -> None:
        self._socket.close()


_links: dict[str, _Link] = {}
# held while a connection is made
_lock = threading.Lock()


def _forget_all() -> None:
    """Forget the parent's connections, in a forked child."""
    global _lock
    _lock = threading.Lock()
    _links.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


class _TimedLock:
    """A ``with`` block that holds a lock.

    :raises LateError: the lock is not free before the deadline.
    """

    def __init__(self, lock: threading.Lock, deadline: Deadline) -> None:
        self._lock, self._deadline = lock, deadline
        self._acquired: list[bool] = []

    def __enter__(self) -> None:
        left = self._deadline.left()
        # one call of C takes the lock and notes it
        self._acquired.extend(starmap(self._lock.acquire, [(True, -1 if left is None else left)]))
        if not self._acquired[0]:
            raise LateError

    def __exit__(self, *exc: object) -> None:
        while self._acquired and self._acquired.pop():
            self._lock.release()

    __del__ = __exit__


def _link_to(address: str) -> _Link:
    with _lock:
        link = _links.get(address)
        if link is None:
            link = _links[address] = _Link(address)
        return link


def _end_broken(address: str, link: _Link) -> None:
    """End a connection, and then let another one be made."""
    with _lock:
        if _links.get(address) is link:
            link.end()
            del _links[address]


def send(address: str, message: tuple[object, ...]) -> None:
    """Send an operation.

    :raises ClosedError: the writer process has ended.
    """
    _call(address, lambda link: link.send(message))


def flush(address: str, deadline: Deadline) -> None:
    """Wait until all operations that were sent are committed.

    :raises Error: one was refused.
    :raises LateError: they are not committed before the deadline.
    :raises ClosedError: the writer process has ended.
    """
    failure = _call(address, lambda link: link.flush(deadline), deadline)
    if failure is not None:
        raise failure


def _call(address: str, function: Callable[[_Link], T], deadline: Deadline = _ENDLESS) -> T:
    while True:
        try:
            link = _link_to(address)
            with _TimedLock(link.lock, deadline):
                if not link.broken:
                    return function(link)
            _end_broken(address, link)
        except (EOFError, ConnectionError, FileNotFoundError):
            raise ended() from None


def close(address: str) -> None:
    """Wait as flush() does, and end the connection of this process, if it has one."""
    if address in _links:
        try:
            flush(address, _ENDLESS)
        finally:
            forget(address)


def forget(address: str) -> None:
    """End the connection of this process, if it has one."""
    with _lock:
        link = _links.pop(address, None)
    if link is not None:
        link.end()


def drop(address: str) -> None:
    """End the connection of this process without a wait: for a finalizer."""
    _links.pop(address, None)


def ended() -> ClosedError:
    """Return the exception for operations after the end of the writer process."""
    return ClosedError(
        "the writer process has ended",
        hint="operations since the last flush() may be missing; start another writer_process()",
    )
