# SPDX-License-Identifier: MIT
"""Copies of an environment.

A copy that does not compact takes the writer lock for a moment, so that no transaction changes the
meta pages while it copies them.  It waits in short slices, so that it notices signals and the end
of the environment.  In a thread that has the writer lock itself it raises BusyError instead of
waiting for ever.  Without a lock file there is no such lock, so the copy is made in a write
transaction: the other threads of this process wait until it is complete.
"""

from __future__ import annotations

import errno
import os
from contextlib import nullcontext

from .._base.flags import MDB_CP_COMPACT
from .._base.fsync import flush, fsync_path
from .._base.owners import Descriptor, Owner
from .._core_rules.failures import read_error
from .._core_rules.system_errors import refused_path, system_reason
from .._core_rules.writer_gate import SLICE
from .._typing import TYPE_CHECKING
from ..errors import Error, ReadonlyError, ReplacedError, error, path_error
from . import catalog as _catalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from os import PathLike
    from typing import Any

    from .._shared.environment import SharedEnv
    from ..environment import Environment
    from ..transaction import Transaction


def copy_to_path(
    env: Environment,
    path: str | bytes | PathLike[str] | PathLike[bytes],
    compact: bool,
    txn: Transaction[Any] | None,
) -> None:
    """``Environment.copy``."""
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("path must not contain a NUL character")
    subdir, given = env.flags().subdir, repr(os.fsdecode(path))
    try:
        if subdir and not os.path.lexists(os.path.abspath(name)):
            _copy_to_new_directory(env, os.path.abspath(name), given, compact, txn)
        else:
            file = os.path.join(name, b"data.mdb") if subdir else name
            _copy_to_new_file(env, os.path.abspath(file), given, subdir, compact, txn)
    except _UnwritableError as unwritable:
        failure = unwritable.args[0]
        code, hint = failure.errno or errno.EIO, _hint(failure, os.path.isfile(name))
        if hint is None:
            raise refused_path("copy", path, code, "written") from failure
        raise path_error("copy", path, code, "cannot be written", hint) from failure


class _UnwritableError(Exception):
    """The path of a copy cannot be written; the argument is the OSError."""


def _copy_to_new_directory(
    env: Environment, path: bytes, given: str, compact: bool, txn: Transaction[Any] | None
) -> None:
    """Copy to a directory that gets its name when the copy is complete.

    :param given: the path for messages.
    """
    from .._base import new_files as _new_files  # few programs need it

    try:
        modes = _new_files.modes_of_copy([(env._options.data_path, True)], True)
    except FileNotFoundError:
        modes = 0o600, 0o700  # the data file was moved: the copy stays private
    copy = _new_files.Temporary(path)
    with copy, copy:
        try:
            fd = copy.make_environment(True, modes)
        except OSError as failure:
            raise _UnwritableError(failure) from None
        copy_to_descriptor(env, fd, compact, txn, given)
        flush(fd)
        fsync_path(copy.name)
        try:
            os.rename(copy.name, path)
        except OSError as failure:  # another process has put its files there
            raise _UnwritableError(failure) from None
        fsync_path(os.path.dirname(path))


def _copy_to_new_file(
    env: Environment, path: bytes, given: str, subdir: bool, compact: bool,
    txn: Transaction[Any] | None,
) -> None:  # fmt: skip
    """Copy to a file that does not exist, in a directory that does."""
    from contextlib import suppress

    from .._base import new_files as _new_files

    copy = _NewFile(path)
    with copy, copy:
        try:
            fd = copy.make()
        except OSError as failure:
            raise _UnwritableError(failure) from None
        copy_to_descriptor(env, fd, compact, txn, given)
        with suppress(FileNotFoundError):  # the data file was moved: the copy stays private
            _new_files.set_mode(fd, _new_files.mode_of_copy(env._options.data_path, subdir))
        copy.finish()


class _NewFile(Owner):
    """Owns a file that did not exist before, and removes it unless it is finished."""

    __slots__ = ("_fd", "_is_finished", "_name", "_pid")

    def __init__(self, name: bytes) -> None:
        self._fd, self._is_finished = Descriptor(), False
        self._name, self._pid = name, os.getpid()

    def make(self) -> int:
        """Create the file; returns its descriptor."""
        return self._fd.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def finish(self) -> None:
        """Flush the whole file to disk, and keep it."""
        if self._fd.number is not None:
            flush(self._fd.number)
        fsync_path(os.path.dirname(self._name))
        self._is_finished = True

    def end(self) -> None:
        """Close the file, and remove it if it is not finished."""
        is_mine = self._fd.number is not None and self._pid == os.getpid()
        if is_mine and not self._is_finished and os.path.lexists(self._name):
            os.unlink(self._name)
        self._fd.end()


def _hint(failure: OSError, is_file: bool) -> str | None:
    if is_file and failure.errno == errno.ENOTDIR:
        return "it is a file, and a copy of this environment is a directory; give another path"
    if failure.errno in (errno.ENOENT, errno.ENOTDIR):
        return "its parent must be a directory; copy() creates the last directory of a path only"
    if failure.errno in (errno.EEXIST, errno.ENOTEMPTY):
        return "a copy does not overwrite a file; remove it, or give another path"
    return None


def copy_to_descriptor(
    env: Environment, fd: int, compact: bool, txn: Transaction[Any] | None, name: str = ""
) -> None:
    """``Environment.copyfd``.

    :param name: of the copy, for messages; by default the descriptor's number.
    """
    name = name or f"descriptor {fd}"
    shared = env._use()
    lib, null = shared.engine.lib, shared.engine.ffi.NULL
    if txn is not None:
        _catalog.check_transaction("copy", shared, txn)
        if not compact:
            raise TypeError("copy: txn needs compact=True")
        code = txn._do(lambda ptr: lib.mdb_env_copyfd3(shared.ptr, fd, MDB_CP_COMPACT, ptr))
        if code:
            raise _failed("mdb_env_copyfd3", code, shared, name)
    elif compact:
        code = _run(shared, lib.mdb_env_copyfd3, fd, MDB_CP_COMPACT, null)
        if code:
            raise _failed("mdb_env_copyfd3", code, shared, name)
    else:
        if shared.own_writer() is not None:
            raise error(
                "mdb_env_copyfd2",
                errno.EBUSY,
                "end it first, or copy with compact=True",
                "copy: this thread has a write transaction open and would wait for itself",
            )
        with nullcontext() if env._options.lock else _no_commits(env):
            if shared.has_sums:
                with env.begin(write=False):
                    check_pages("copy", env)
            _copy_plain(env, fd, name)


def _no_commits(env: Environment) -> AbstractContextManager[object]:
    """Keep the other threads of this process from committing, without a lock file."""
    try:
        return env.begin(write=True)
    except (ReadonlyError, ReplacedError):  # for these reasons no thread can write
        return nullcontext()


def check_pages(
    operation: str, env: Environment, progress: Callable[[int, int], object] | None = None
) -> None:
    """Check the checksums of all pages of the trees before they are copied as they are.

    The caller has a read transaction open: then no page of its snapshot or of a later one is used
    again, so commits do not disturb the check.  Pages that commits have freed meanwhile are not
    checked.

    :param progress: called with the number of pages done, and of all pages; its exception ends the
        check.
    """
    from .verification import exception_for, verify_descriptor

    shared = env._use()
    fd = shared.engine.ffi.new("mdb_filehandle_t *")
    shared.call("mdb_env_get_fd", shared.engine.lib.mdb_env_get_fd, fd)
    report = verify_descriptor(operation, fd[0], env._options.given_path, progress)
    if not report.ok:
        raise exception_for(operation, env._options.given_path, report)


def _run(shared: SharedEnv, function: Callable[..., int], *args: object) -> int:
    """Call a function that begins a read transaction before it writes anything."""
    return shared.run(lambda env: shared.with_slot(env, function, env, *args))


def _failed(what: str, code: int, shared: SharedEnv, name: str) -> Error:
    if code == shared.engine.lib.MDB_READERS_FULL:
        return shared.no_slot(what, "copy")
    if code > 0:
        reason, hint = system_reason(code)
        problem = f"copy: {name} cannot be written"
        return error(what, code, hint or None, f"{problem}: {reason}" if reason else problem)
    return read_error(what, "copy", code, shared)


def _copy_plain(env: Environment, fd: int, name: str) -> None:
    while True:
        shared = env._use()
        lib = shared.engine.lib
        code = _run(shared, lib.pylmdb_env_copyfd, fd, 0, int(SLICE * 1000))
        if not code:
            return
        if code != lib.PYLMDB_ETIMEDOUT:
            raise _failed("mdb_env_copyfd2", code, shared, name)
