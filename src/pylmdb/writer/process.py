# SPDX-License-Identifier: MIT
"""writer_process(): many processes write, and one process commits.

>>> with pylmdb.writer_process("features") as writer:     # to be passed to workers
...     writer.put(b"key", b"value")
>>> pylmdb.open("features").stat().entries
1

The writer process is a new interpreter, which opens the environment and commits with group commit
(:mod:`pylmdb.writer`).  Each producer, a process that puts records, has a Unix socket to it
(``links.py``).  A message is complete or it is dropped, so a producer that is killed at any moment
leaves nothing that others wait for.  The process that made the writer process also has a socket
pair, the control connection: its end, also by a crash, ends the writer process.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection

from .. import _registry
from .._base.buffers import freeze_bytes
from .._base.integers import integer
from .._base.keywords import explains_keywords
from .._base.public_names import directory
from .._base.words import counted
from .._core_rules.refusals import refusal
from .._core_rules.writer_gate import Deadline
from .._typing import TYPE_CHECKING
from ..errors import BusyError, Error, closed
from . import links

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from types import EllipsisType

    from typing_extensions import Self, Unpack

    from ..mapping.opening import EnvironmentOptions
    from ..types import BytesLike

    Path = str | bytes | PathLike[str] | PathLike[bytes]

__all__ = ["WriterProcess", "writer_process"]
__dir__ = directory(__all__)

_PROGRAM = """\
import sys
sys.path[:] = {path!r}
import pylmdb
from pylmdb.writer.serving import main
main(pylmdb.open, int(sys.argv[1]))
"""
# the longest path of a Unix socket, in bytes, on the systems that allow least
_LONGEST_ADDRESS = 100


@explains_keywords
def writer_process(
    path: Path, *, max_pending: int = 1024, **options: Unpack[EnvironmentOptions]
) -> WriterProcess:
    """Start a process that writes to an environment what other processes give it.

    >>> with pylmdb.writer_process("features", max_pending=64) as writer:
    ...     writer.put(b"key", b"value")                   # mostly in other processes
    ...     writer.flush()                                 # now it is on disk

    :param path: of the environment, as for :class:`pylmdb.Environment`.
    :param max_pending: how many operations may wait for the next commit, at least 1.  A producer
        that puts more waits.
    :param options: options of :class:`pylmdb.Environment`.
    :return: a :class:`pylmdb.writer.process.WriterProcess`, which is also a context manager.
    :raises ValueError: ``max_pending`` is less than 1.
    :raises Error: the environment cannot be opened for writing; or the process cannot be started.
    """
    return WriterProcess(path, max_pending=max_pending, **options)


class WriterProcess:
    """A process that commits the records of many processes.  :func:`pylmdb.writer_process` starts
    it.

    Any process of this machine and user may put records: forked or spawned children get the object
    as an argument, and others as a pickle.  Any thread may call any method.  The operations of one
    process are executed in their order.  Those of several processes are executed in the order in
    which they arrive: to have one after another, call :meth:`flush` in between.

    A put returns when the record is on its way, and the process commits all records that wait
    together.  When a process is killed, the records that it has put before are written, and
    others are not disturbed.  :meth:`flush` waits until records are on disk.  An operation that is
    refused, such as a key that is too long, is left out; the next ``flush()`` of that process
    raises its error, or ``close()`` of the process that started the writer process.

    As a context manager it is closed at the end of the block.
    """

    _process: subprocess.Popen[bytes] | None = None

    def __init__(
        self, path: Path, *, max_pending: int = 1024, **options: Unpack[EnvironmentOptions]
    ) -> None:
        max_pending = integer("max_pending", max_pending)
        if max_pending < 1:
            raise ValueError(f"max_pending must be at least 1, not {max_pending}")
        if not sys.executable or getattr(sys, "frozen", False):
            raise Error(
                "writer_process: this program has no Python interpreter to start",
                hint="use env.writer() in one process",
            )
        self._path = os.fsdecode(path)
        self._owner, self._lock = os.getpid(), threading.Lock()
        self._address = os.path.join(_new_folder(), "socket")
        ours, theirs = socket.socketpair()
        self._control = Connection(ours.detach())
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [
                        sys.executable, "-c", _PROGRAM.format(path=sys.path), str(theirs.fileno()),
                    ],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # without signals of the terminal, such as Ctrl-C
                )  # fmt: skip
            self._control.send((self._address, path, max_pending, options))
            failure = self._receive()
            if failure is not None:
                raise failure
        except BaseException:
            self._end()
            raise

    # -- operations ----------------------------------------------------------------

    @explains_keywords
    def put(
        self,
        key: BytesLike,
        value: BytesLike,
        db: bytes | str | None = None,
        *,
        overwrite: bool = True,
        if_value: BytesLike | EllipsisType | None = ...,
    ) -> None:
        """Store a record.

        :param db: the name of a database, which is created if it does not exist; None for the main
            one.
        :param overwrite: False to write nothing if the key exists.
        :param if_value: bytes to write only if the key has this value, None to write only if the
            key does not exist; compared with the value that the key has when the write is made.
            The call does not return whether it was written.  To know, store a value that no other
            process stores, and read the key after :meth:`flush`.
        :raises TypeError: key, value or ``if_value`` is not bytes-like; or ``if_value`` together
            with ``overwrite=False``.
        :raises ClosedError: the writer process has ended.

        ``mdb_put``.
        """
        record = freeze_bytes("key", key), freeze_bytes("value", value)
        if if_value is ...:
            self._send("put", _name(db), record, bool(overwrite))
            return
        if not overwrite:
            raise refusal("if_value with another condition")
        expected = None if if_value is None else freeze_bytes("if_value", if_value)
        self._send("put", _name(db), record, True, expected)

    @explains_keywords
    def put_many(
        self,
        records: Iterable[tuple[BytesLike, BytesLike]],
        db: bytes | str | None = None,
        *,
        overwrite: bool = True,
    ) -> None:
        """Store records together: all of them are written in one commit, or none if one is refused.

        They are one message, so small records take less time than by :meth:`put`.

        :param records: pairs of key and value.
        :param db: as for :meth:`put`.
        :param overwrite: False to leave out keys that exist.
        :raises TypeError: a key or value is not bytes-like.
        :raises ClosedError: the writer process has ended.

        ``mdb_cursor_put``.
        """
        frozen = [_frozen_pair(number, record) for number, record in enumerate(records)]
        self._send("put_many", _name(db), frozen, bool(overwrite))

    @explains_keywords
    def delete(self, key: BytesLike, db: bytes | str | None = None) -> None:
        """Delete a key, with all its values, if it exists.

        :param db: as for :meth:`put`.
        :raises ClosedError: the writer process has ended.

        ``mdb_del``.
        """
        self._send("delete", _name(db), freeze_bytes("key", key))

    @explains_keywords
    def flush(self, timeout: float | None = None) -> None:
        """Wait until all operations of this process are committed, and on disk unless ``sync`` is
        False.

        :param timeout: how many seconds to wait; None for no limit.
        :raises LockTimeoutError: the timeout is over.  The operations are committed later; another
            ``flush()`` waits for them.
        :raises Error: an operation of this process was refused: the first one since the last
            ``flush()`` that has ended without LockTimeoutError.
        :raises ClosedError: the writer process has ended; operations since the last ``flush()``
            may be missing.
        :raises BusyError: this thread has a write transaction open on the environment.
        """
        self._check()
        self._refuse_to_wait_for_itself("flush")
        try:
            links.flush(self._address, Deadline(timeout))
        except links.LateError:
            waited = counted(timeout or 0, "second")
            raise refusal("writes not committed in time", self._path, waited) from None

    def _send(self, *message: object) -> None:
        self._check()
        links.send(self._address, message)

    def _refuse_to_wait_for_itself(self, operation: str) -> None:
        if _registry.writes_here(os.fsencode(self._path)):
            raise BusyError(
                f"{operation}: this thread has a write transaction open, and the writer process"
                " waits for its end",
                hint="end it first",
            )

    def _check(self) -> None:
        if self.closed:
            raise closed("writer process", "start another one with writer_process()")

    # -- closing -------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True if this object was closed, in the process that started the writer process."""
        return self._process is None and self._owner == os.getpid()

    def close(self) -> None:
        """End the writer process, when it has committed what was put; repeatable.

        In another process than the one that started the writer process, this calls :meth:`flush`,
        and ends the connection of this process.  The writer process goes on.

        :raises Error: an operation was refused, and no ``flush()`` has raised its error; or the
            writer process was killed.
        :raises BusyError: this thread has a write transaction open on the environment.
        """
        if self._owner != os.getpid():
            self._refuse_to_wait_for_itself("close")
            links.close(self._address)
            return
        with self._lock:
            if self._process is None:
                return
            self._refuse_to_wait_for_itself("close")
            with suppress(OSError):  # the process was killed
                self._control.send(None)
            failure = self._receive()
            self._end()
        if failure is not None:
            raise failure

    def _receive(self) -> BaseException | None:
        """Return the message of the writer process: None, or a failure."""
        try:
            failure: BaseException | None = self._control.recv()
        except (EOFError, OSError):
            status = self._process.wait() if self._process is not None else None
            return Error(
                f"the writer process of {self._path!r} ended with the exit status {status}",
                hint="records that were put after the last flush() may be missing",
            )
        return failure

    def _end(self) -> None:
        """Wait for the process, which ends when the control connection does; repeatable."""
        self._control.close()
        if self._process is not None:
            self._process.wait()
        self._process = None
        links.forget(self._address)
        shutil.rmtree(os.path.dirname(self._address), ignore_errors=True)

    def __enter__(self) -> Self:
        self._check()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self.close()
        except Error:
            if kind is None:
                raise

    def __del__(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            message = f"{self!r} was not closed; use a with block"
            warnings.warn(message, ResourceWarning, stacklevel=2)
            links.drop(self._address)
            self._control.close()

    def __reduce__(self) -> tuple[object, ...]:
        return _attached, (self._address, self._path)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"process {self._process.pid}" if self._process else ""
        return f"<pylmdb.writer.process.WriterProcess {self._path!r} {state}>".replace(" >", ">")


def _attached(address: str, path: str) -> WriterProcess:
    """Return the object for a producer."""
    writer = object.__new__(WriterProcess)
    writer._address, writer._path, writer._owner = address, path, -1
    return writer


def _frozen_pair(number: int, record: tuple[BytesLike, BytesLike]) -> tuple[bytes, bytes]:
    if not isinstance(record, (tuple, list)) or len(record) != 2:
        raise TypeError(f"put_many: record {number} must be a pair of key and value")
    return freeze_bytes("key", record[0]), freeze_bytes("value", record[1])


def _name(db: bytes | str | None) -> bytes | None:
    if db is None or isinstance(db, bytes):
        return db
    if isinstance(db, str):
        return db.encode()
    raise TypeError(f"db must be the name of a database, or None, not {type(db).__name__}")


def _new_folder() -> str:
    """Make a folder that only this user may enter, for the socket."""
    folder = tempfile.mkdtemp(prefix="pylmdb-")
    if len(os.fsencode(folder)) < _LONGEST_ADDRESS - len("/socket"):
        return folder
    os.rmdir(folder)
    return tempfile.mkdtemp(prefix="pylmdb-", dir="/tmp")
