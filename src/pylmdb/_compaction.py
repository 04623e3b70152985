# SPDX-License-Identifier: MIT
"""Rewriting an environment in place.

A compacted copy is written beside the data file, flushed, and renamed over it; at
every moment the name leads to a whole file.  Nobody else may have the environment
open: the others would go on with the old file.  The lock file tells, and keeps those
away who open it meanwhile.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from . import _registry
from ._alone import Alone
from ._fsync import fsync_path
from ._typing import TYPE_CHECKING
from .errors import BusyError, Error, ReadonlyError, checksums, error

if TYPE_CHECKING:
    from typing import Any

    from ._options import Options
    from ._shared_env import SharedEnv
    from .environment import Environment

_CP_COMPACT = 0x01
_WHAT = "compact: the data file is replaced"


def compact(env: Environment) -> None:
    """``Environment.compact``."""
    shared = env._use()
    options: Options = env._options
    if options.readonly:
        raise ReadonlyError("compact", errno.EACCES, "open the environment with readonly=False")
    if not shared.options.lock:
        raise Error(
            "compact: with lock=False nobody knows who else has the file open",
            hint="open the environment with lock=True",
        )
    with _registry.lock():
        others = len(shared.users) - 1
        if others:
            raise BusyError(
                f"compact: this process has {others} more Environment(s) of the file open",
                hint="close them first",
            )
        try:
            with Alone(shared, _WHAT, ""):
                code = _replace(shared, options)
        finally:
            if shared.replaced:
                env._open_again(options.replaced(create=False))
    if code:
        raise error("compact: the new file is in place, but may not outlast a power failure", code)


def _replace(shared: SharedEnv, options: Options) -> int:
    """Put the new file in place, and return the errno of a directory that cannot be synced."""
    _get_alone(shared)
    new, fd = options.data_path + b".compact", -1
    try:
        _unlink_if_there(new)  # of one that was killed; nobody else is at work here
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        _fill(shared, fd, os.stat(options.data_path))
        os.rename(new, options.data_path)
    except OSError as failure:
        if isinstance(failure, Error):
            raise
        raise error("compact", failure.errno or errno.EIO) from failure
    finally:
        code = _settle(shared, options.data_path, new, fd)
    return code


def _settle(shared: SharedEnv, path: bytes, new: bytes, fd: int) -> int:
    """Leave the old file for the new one, or forget the new one, by which of them is in place:
    an exception may strike when it has just been renamed."""
    code = 0
    if fd >= 0 and _leads_to(path, fd):
        shared.replaced = True
        shared.engine.lib.pylmdb_env_replaced(shared.ptr, fd)
        try:
            fsync_path(os.path.dirname(path))
        except OSError as failure:
            code = failure.errno or errno.EIO
        _registry.close_replaced(shared)
    else:
        _unlink_if_there(new)
        shared.engine.lib.pylmdb_env_alone(shared.ptr, False)
    if fd >= 0:
        os.close(fd)
    return code


def _get_alone(shared: SharedEnv) -> None:
    code = shared.engine.lib.pylmdb_env_alone(shared.ptr, True)
    if code == errno.EBUSY:
        who = ", ".join(map(str, sorted(_processes(shared)))) or "it cannot be told which"
        raise BusyError(
            f"compact: other processes have the environment open: {who}", hint="end them first"
        )
    if code == shared.engine.lib.PYLMDB_CHECKSUMS:
        raise checksums("compact")
    if code:
        raise error("compact", code)


def _leads_to(path: bytes, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except OSError:
        return False


def _fill(shared: SharedEnv, fd: int, like: os.stat_result) -> None:
    code = shared.engine.lib.mdb_env_copyfd3(shared.ptr, fd, _CP_COMPACT, shared.engine.ffi.NULL)
    if code:
        raise error("mdb_env_copyfd3", code)
    if hasattr(os, "fchown") and (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(fd, like.st_uid, like.st_gid)
    os.chmod(fd, like.st_mode & 0o7777)
    os.fsync(fd)


def _unlink_if_there(path: bytes) -> None:
    with suppress(OSError):
        os.unlink(path)


def _processes(shared: SharedEnv) -> set[int]:
    """Who else has the data file open, as far as this process may know."""
    found: set[int] = set()
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return found
    for pid in pids:
        if pid != os.getpid() and _has_open(pid, shared.key):
            found.add(pid)
    return found


def _has_open(pid: int, key: Any) -> bool:
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
