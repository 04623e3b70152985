# SPDX-License-Identifier: MIT
"""The program of a writer process: read operations from sockets, and commit them.

A thread for each producer reads its messages and adds them to the queue of a :class:`Writer`, all
that have arrived at once.  It waits if the queue is full.  At the end the process reads what each
producer has sent, and accepts no more: Linux keeps what a socket has received when its receiving
half is shut down, and refuses what is sent later.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import threading
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait

from .._base.keywords import parameters, refuse_unknown
from .._typing import TYPE_CHECKING
from ..errors import Error
from .frames import FrameReader, frame
from .group_commit import Operation, put_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction
    from . import Writer

_BACKLOG = 128


def main(open_environment: Callable[..., Environment], control_fd: int) -> None:
    """Serve until the control connection says so, or ends.

    :param open_environment: :func:`pylmdb.open`.
    :param control_fd: the file descriptor of the control connection.
    """
    control = Connection(control_fd)
    terminated = _pipe_of_sigterm()
    failure: BaseException | None = None
    try:
        address, path, max_pending, options = control.recv()
        known = parameters(open_environment.__init__)
        refuse_unknown("writer_process", options, [*known, "max_pending"])
        with open_environment(path, **options) as env, socket.socket(socket.AF_UNIX) as listener:
            with env.writer(max_pending=max_pending) as writer:
                listener.bind(address)
                listener.listen(_BACKLOG)
                control.send(None)
                producers = _Producers(env, writer, max_pending)
                while listener in wait([listener, control, terminated]):
                    producers.accept(listener)
                producers.finish(listener)
            failure = producers.failure
            env.sync(True)
    except BaseException as error:
        failure = error
    with suppress(OSError):  # the process that started this one has ended
        control.send(_picklable(failure))


def _pipe_of_sigterm() -> int:
    """Ignore Ctrl-C, and return a file descriptor that can be read after SIGTERM."""
    readable, writable = os.pipe()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.write(writable, b"\0"))
    return readable


class _Producers:
    """The producers that are connected.

    :ivar failure: the first error of an operation that no producer was told.
    """

    def __init__(self, env: Environment, writer: Writer, max_pending: int) -> None:
        self.env, self.writer, self.max_pending = env, writer, max_pending
        self.failure: BaseException | None = None
        self._databases: dict[bytes | None, Database | None] = {None: None}
        self._running: set[_Producer] = set()

    def accept(self, listener: socket.socket) -> None:
        connected, _ = listener.accept()
        connected.setblocking(True)
        producer = _Producer(self, connected)
        self._running.add(producer)
        producer.start()

    def discard(self, producer: _Producer) -> None:
        self._running.discard(producer)

    def database(self, name: bytes | None) -> Database | None:
        if name not in self._databases:
            self._databases[name] = self.env.open_db(name)
        return self._databases[name]

    def finish(self, listener: socket.socket) -> None:
        """Read what was sent, and end the connections."""
        listener.setblocking(False)
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RD)  # connect() fails now
            while True:  # those that have connected and were not accepted yet
                self.accept(listener)
        running = [*self._running]
        for producer in running:
            producer.refuse_more()
        for producer in running:
            producer.join()


class _Producer(threading.Thread):
    """Reads the operations of one producer."""

    def __init__(self, producers: _Producers, connected: socket.socket) -> None:
        super().__init__(name="pylmdb producer", daemon=True)
        self._producers, self._socket = producers, connected
        self._reader = FrameReader(connected)
        self._lock = threading.Lock()
        # the first error of an operation since the last flush; and whether it can still be told
        self._failure: BaseException | None = None
        self._connected = True

    def refuse_more(self) -> None:
        with suppress(OSError):  # it has ended
            self._socket.shutdown(socket.SHUT_RD)

    def run(self) -> None:
        try:
            with suppress(EOFError, OSError):  # it has ended, perhaps in the middle of a message
                while True:
                    self._add(self._reader.read())
        finally:
            with self._lock:
                self._connected = False
                untold, self._failure = self._failure, None
            self.note(untold)
            self._socket.close()
            self._producers.discard(self)

    def _add(self, messages: list[tuple[Any, ...]]) -> None:
        """Add operations to the queue, and reply to a flush."""
        operations: list[_Received] = []
        for kind, *rest in messages:
            if kind == "flush":
                self._enqueue(operations)
                operations = []
                self._flush()
                continue
            try:
                operations.append(_Received(self, *self._method(kind, *rest)))
            except Exception as error:  # the database cannot be opened
                self.note(error)
        self._enqueue(operations)

    def _enqueue(self, operations: list[_Received]) -> None:
        queue, most = self._producers.writer._queue, self._producers.max_pending
        for begin in range(0, len(operations), most):
            queue.add(operations[begin : begin + most])

    def _method(
        self, kind: str, name: bytes | None, what: Any, overwrite: bool = True, if_value: Any = ...
    ) -> tuple[str | None, tuple[object, ...]]:
        """Return the method of Transaction and its arguments; or None and a function."""
        db = self._producers.database(name)
        if kind == "put":
            key, value = what
            return put_operation(key, value, True, overwrite, False, db, if_value)
        if kind == "delete":
            return "delete", (what, None, db)
        return None, (partial(_put_many, db, what, overwrite),)

    def _flush(self) -> None:
        self._producers.writer.flush()
        self._socket.sendall(frame(_picklable(self._failure)))
        self._failure = None  # not if the producer has died and was not told

    def note(self, error: BaseException | None) -> None:
        """Keep the first error, for the next flush, or for close() if the producer has ended."""
        if error is None:
            return
        with self._lock:
            if self._connected:
                self._failure = self._failure or error
            else:
                self._producers.failure = self._producers.failure or error


class _Received(Operation):
    """An operation of a producer, which is told its error."""

    __slots__ = ("_producer",)

    def __init__(self, producer: _Producer, method: str | None, args: tuple[object, ...]) -> None:
        super().__init__(method, args)
        self._producer = producer

    @staticmethod
    def deliver(operations: Sequence[_Received]) -> None:
        for each in operations:
            each._producer.note(each.error)


def _put_many(
    db: Database | None,
    records: list[tuple[bytes, bytes]],
    overwrite: bool,
    txn: Transaction[bytes],
) -> None:
    txn.cursor(db).putmulti(records, overwrite=overwrite)


def _picklable(error: BaseException | None) -> BaseException | None:
    """Return an exception that the other process can read."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return Error(f"{type(error).__name__}: {error}")
    return error
