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

from .._typing import TYPE_CHECKING
from ..errors import ClosedError
from .frames import FrameReader, frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


class _Link:
    """A connection.

    :ivar lock: held while a message is sent, and while its reply is awaited.
    :ivar broken: True if there may be half a message in it; to be looked at with the lock.
    """

    def __init__(self, address: str) -> None:
        self.lock = threading.Lock()
        self.broken = False
        self._socket = socket.socket(socket.AF_UNIX)
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

    def flush(self) -> BaseException | None:
        """Wait until all operations are committed.  Return the error of the first refused one."""
        self.broken = True
        self._socket.sendall(frame(("flush",)))
        (failure,) = FrameReader(self._socket).read()
        self.broken = False
        found: BaseException | None = failure
        return found

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


def flush(address: str) -> None:
    """Wait until all operations that were sent are committed.

    :raises Error: one was refused.
    :raises ClosedError: the writer process has ended.
    """
    failure = _call(address, _Link.flush)
    if failure is not None:
        raise failure


def _call(address: str, function: Callable[[_Link], T]) -> T:
    while True:
        try:
            link = _link_to(address)
            with link.lock:
                if not link.broken:
                    return function(link)
            _end_broken(address, link)
        except (EOFError, ConnectionError, FileNotFoundError):
            raise ended() from None


def close(address: str) -> None:
    """Wait as flush() does, and end the connection of this process, if it has one."""
    if address in _links:
        try:
            flush(address)
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
