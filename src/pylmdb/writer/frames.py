# SPDX-License-Identifier: MIT
"""Messages over a socket: the length of each, and then a pickle.

A reader gets all complete messages that have arrived at once.  So many small messages cost few
system calls, and share a commit.
"""

from __future__ import annotations

import pickle
import struct

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from typing import Any

_LENGTH = struct.Struct("!Q")
_RECEIVED = 1 << 18


def frame(message: object) -> bytes:
    """Return a message as it is sent."""
    content = pickle.dumps(message, 5)
    return _LENGTH.pack(len(content)) + content


class FrameReader:
    """Reads the messages that arrive at a socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._buffer = bytearray()

    def read(self) -> list[Any]:
        """Wait for a message.  Return it, and those after it that have arrived, too.

        :raises EOFError: the connection has ended; half a message at its end is dropped.
        """
        while not (found := self._complete()):
            received = self._socket.recv(_RECEIVED)
            if not received:
                raise EOFError
            self._buffer += received
        return found

    def _complete(self) -> list[Any]:
        """Take the complete messages out of the buffer."""
        found, begin, have = [], 0, len(self._buffer)
        with memoryview(self._buffer) as view:
            while have - begin >= _LENGTH.size:
                (size,) = _LENGTH.unpack_from(view, begin)
                end = begin + _LENGTH.size + size
                if end > have:
                    break
                found.append(pickle.loads(view[begin + _LENGTH.size : end]))
                begin = end
        del self._buffer[:begin]
        return found
