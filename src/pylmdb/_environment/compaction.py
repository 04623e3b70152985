# SPDX-License-Identifier: MIT
"""Rewriting an environment in place.

A compacted copy is written to the directory of the data file, flushed to disk, and renamed over
it.  At every moment the name of the data file is that of a whole file.  No other process may have
the environment open, because it would continue with the old file.  A lock on the lock file shows
that no other process has it open; a process that opens the environment meanwhile waits.
"""

from __future__ import annotations

import errno
import os

from .. import _registry
from .._base.flags import MDB_CP_COMPACT
from .._base.fsync import flush, fsync_path
from .._base.new_files import Temporary
from .._base.owners import Owner
from .._base.words import counted
from .._core_rules.failures import read_error
from .._core_rules.refusals import refusal
from .._core_rules.system_errors import unusable
from .._shared.exclusive import ExclusiveAccess
from .._typing import TYPE_CHECKING
from ..errors import BusyError, Error, checksums, error

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._registry import FileKey
    from .._shared.environment import SharedEnv
    from .._shared.options import Options
    from ..environment import Environment


def compact(env: Environment) -> None:
    """``Environment.compact``."""
    env._use()
    replace_data_file(env, "compact", Temporary(env._options.data_path), _fill)


def replace_data_file(
    env: Environment,
    operation: str,
    new: Temporary,
    fill: Callable[[SharedEnv, Temporary], object],
) -> None:
    """Rename a new file over the data file, and continue with it.

    :param operation: its name, for messages.
    :param new: the new file; it is removed if it cannot be put in place.
    :param fill: writes it, while nothing else uses the environment.
    """
    shared = env._use()
    options: Options = env._options
    if options.readonly:
        raise refusal("environment is read-only", operation)
    if not shared.options.lock:
        raise Error(
            f"{operation}: with lock=False it is not known whether other processes have the file"
            " open",
            hint="open the environment with lock=True",
        )
    with _registry.lock():
        refuse_others(env, operation)
        replacement = _Replacement(env, shared, operation, new)
        with replacement, replacement:
            replacement.run(fill)
    if replacement.code:
        raise error(
            f"{operation}: the new file is in place, but its directory could not be flushed, and a"
            " power failure can bring back the old file",
            replacement.code,
        )


def refuse_others(env: Environment, operation: str) -> None:
    """Raise BusyError if this process has other Environments open on the same file."""
    others = len(env._use().used_by()) - 1
    if others:
        raise BusyError(
            f"{operation}: this process has {counted(others, 'other Environment')} open on"
            f" {env._options.given_path!r}",
            hint="close them first",
        )


class _Replacement(Owner):
    """Owns the new file until it is in place, and exclusive access to the old one.

    :ivar code: the error number of the flush of the directory; 0 if it succeeded.
    """

    __slots__ = ("_access", "_env", "_new", "_operation", "_path", "_shared", "code")

    def __init__(self, env: Environment, shared: SharedEnv, operation: str, new: Temporary) -> None:
        what = f"{operation}: the data file cannot be replaced now"
        self._access = ExclusiveAccess(shared, what, "")
        self._env, self._shared, self._operation, self.code = env, shared, operation, 0
        self._path, self._new = env._options.data_path, new

    def run(self, fill: Callable[[SharedEnv, Temporary], object]) -> None:
        """Write the new file, and rename it over the old one."""
        self._access.acquire()
        _exclude_processes(self._shared, self._operation)
        try:
            like = os.stat(self._path)
            fill(self._shared, self._new)
            if self._new.number is not None:
                _complete(self._new.number, like)
            os.rename(self._new.name, self._path)
        except FileNotFoundError:
            what = f"{self._operation}: {self._env._options.given_path!r}"
            raise error(what, errno.ESTALE) from None
        except OSError as failure:
            if isinstance(failure, Error):
                raise
            raise error(self._operation, failure.errno or errno.EIO) from failure

    def end(self) -> None:
        """If the new file is in place, leave the old one; else remove the new one.

        Looking at which file is in place is needed, because an exception can strike just after the
        rename.
        """
        shared, fd = self._shared, self._new.number
        if shared.forked:
            return
        if fd is not None and (shared.replaced or _leads_to(self._path, fd)):
            self._leave_old_file(fd)
        elif shared.granted_request is self._access and not shared.gone:
            self._new.remove()
            shared.engine.lib.pylmdb_env_alone(shared.ptr, False)
        self._access.end()
        self._new.end()
        if shared.replaced and self._env._shared is shared:
            self._env._reopen(shared)

    def _leave_old_file(self, fd: int) -> None:
        shared = self._shared
        shared.replaced = True
        if not shared.gone:
            shared.engine.lib.pylmdb_env_replaced(shared.handle[0], fd)
            try:
                fsync_path(os.path.dirname(self._path))
            except OSError as failure:
                self.code = failure.errno or errno.EIO
            _registry.close_replaced(shared)


def _exclude_processes(shared: SharedEnv, operation: str) -> None:
    code = shared.engine.lib.pylmdb_env_alone(shared.ptr, True)
    if code == errno.EBUSY:
        pids = ", ".join(map(str, sorted(_processes(shared)))) or "their numbers are not known"
        raise BusyError(
            f"{operation}: other processes have the environment open: {pids}", hint="end them first"
        )
    if code == shared.engine.lib.PYLMDB_CHECKSUMS:
        raise checksums(operation)
    if code:
        raise error(operation, code)


def _leads_to(path: bytes, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except OSError:
        return False


def _fill(shared: SharedEnv, new: Temporary) -> None:
    """Write a compacted copy."""
    fd = new.make(0o600)
    code = shared.engine.lib.mdb_env_copyfd3(shared.ptr, fd, MDB_CP_COMPACT, shared.engine.ffi.NULL)
    if code > 0:
        problem, hint = unusable(code, "written")
        problem = f"compact: the new file {problem}; the environment is as it was"
        raise error("mdb_env_copyfd3", code, hint, problem)
    if code:
        raise read_error("mdb_env_copyfd3", "compact", code, shared)


def _complete(fd: int, like: os.stat_result) -> None:
    """Give the new file the owner and the permissions of the old one, and flush it to disk."""
    if hasattr(os, "fchown") and (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(fd, like.st_uid, like.st_gid)
    os.chmod(fd, like.st_mode & 0o7777)
    flush(fd)


def _processes(shared: SharedEnv) -> set[int]:
    """The other processes that have the data file open, as far as /proc shows them."""
    found: set[int] = set()
    try:
        # Not getpid(): /proc can show the process numbers of another namespace.
        own = int(os.readlink("/proc/self"))
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except (OSError, ValueError):
        return found
    for pid in pids:
        if pid != own and _has_open(pid, shared.key):
            found.add(pid)
    return found


def _has_open(pid: int, key: FileKey | None) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    for name in names:
        try:
            found = os.stat(f"{folder}/{name}")
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == key:
            return True
    return False
