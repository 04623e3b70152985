# SPDX-License-Identifier: MIT
"""The environments that are open in this process: the only global state.

A file is known by device and inode of its data file and of its lock file, so
links and relative paths lead to the same environment, and a file that was
deleted and made anew is another one.  One lock is held across looking, opening
and noting, so two threads cannot open one file twice.

After ``fork`` the child forgets them all: what it inherited belongs to its
parent.  Each inherited Environment opens itself afresh when it is next used.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from _thread import RLock

from . import _engine
from ._growth import plan
from ._options import SPARE_SLOTS
from ._typing import TYPE_CHECKING
from .errors import DiskError, Error, ReplacedError, error

if TYPE_CHECKING:
    from typing import Any

    from ._options import Options
    from ._shared_env import SharedEnv

FileKey = tuple[int, int]
# How often opening a file is tried that is replaced meanwhile, and seconds in between.
_CHANCES, _PAUSE = 20, 0.01

_lock = RLock()
_pid = os.getpid()
_open: dict[FileKey, SharedEnv] = {}
# being opened or closed: not to be found, but a forked child inherits them too
_half_open: set[SharedEnv] = set()
# open in the parent of this forked child, whose maps the child has, too
_inherited: set[FileKey] = set()


def lock() -> RLock:
    """The lock under which environments are opened and closed."""
    return _lock


def open_shared(options: Options, token: int) -> SharedEnv:
    """The native environment of a file: the one this process has, or a new one.

    ``token`` is counted among its users; the caller gives it back with ``leave``.
    """
    with _lock:
        if _pid != os.getpid():
            forget_in_child()
        shared = _find_or_open(options)
        shared.enter(token)
        return shared


def _find_or_open(options: Options) -> SharedEnv:
    for chances in reversed(range(_CHANCES)):
        shared = _find(options)
        if shared is not None:
            _check_shareable(shared, options)
            shared.widen(options)
            return shared
        try:
            return _open_native(options)
        except _ReplacedError:
            if not chances:
                raise
            time.sleep(_PAUSE)
    raise AssertionError


def is_open(options: Options) -> bool:
    """True if this process has the file open."""
    with _lock:
        if _pid != os.getpid():
            forget_in_child()
        return _find(options) is not None


def _find(options: Options) -> SharedEnv | None:
    """The open environment of these files."""
    if not _open:
        return None
    data_key = _file_key(options.data_path)
    for key in (data_key, _file_key(options.lock_path)):
        shared = None if key is None else _open.get(key)
        if shared is None:
            continue
        if shared.key == data_key:
            return shared
        raise Error(
            f"open: the lock file of {options.given_path!r} is in use in this process by an"
            " environment whose data file was deleted or moved",
            hint="close that environment, or delete its lock file too",
        )
    return None


def _file_key(path: bytes) -> FileKey | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_shareable(shared: SharedEnv, wanted: Options) -> None:
    """Raise where one native environment cannot serve both."""
    has = shared.options
    conflict = None
    if has.readonly and not wanted.readonly:
        conflict = "readonly=True; it cannot be written to"
    elif has.writemap != wanted.writemap and not wanted.readonly:
        conflict = f"writemap={has.writemap}"
    elif has.lock != wanted.lock and not wanted.readonly:
        conflict = f"lock={has.lock}"
    elif wanted.max_dbs is not None and wanted.max_dbs > shared.max_dbs:
        conflict = f"max_dbs={shared.max_dbs}, and {wanted.max_dbs} are wanted"
    elif wanted.lib_version is not None and wanted.lib_version != shared.engine.version[0]:
        conflict = f"lib_version={shared.engine.version[0]}"
    if conflict is not None:
        raise Error(
            f"open: {wanted.given_path!r} is open in this process with {conflict}",
            hint="close it first, or open it with the same options",
        )


def _open_native(options: Options) -> SharedEnv:
    head, key = _read_head(options.data_path)
    if key is None and options.create and options.subdir and not options.readonly:
        _make_directory(options.path, options.mode)
    engine = _engine.choose(head, options.lib_version, options.given_path)
    if key is not None:
        if key in _open:
            raise _replaced(options)  # since it was looked for
        _refuse_other_binding(engine.lib, options, key)
    out = engine.ffi.new("MDB_env **")
    code = engine.lib.mdb_env_create(out)
    if code:
        raise error("mdb_env_create", code)
    try:
        shared: SharedEnv = engine.shared_class(engine, out[0], options, _close_if_last)
    except BaseException:
        engine.lib.mdb_env_close(out[0])
        raise
    _half_open.add(shared)
    try:
        _open_files(shared, options)
        # Readers that have died keep pages, and slots, from everybody.
        engine.lib.mdb_reader_check(shared.ptr, engine.ffi.NULL)
        if options.map_size == 0:
            engine.lib.pylmdb_env_limit(shared.ptr, 0)
        _load_main(shared)
        shared.key = _descriptor_key(shared)
        if shared.key != (key or _file_key(options.data_path)):
            raise _replaced(options)
    except BaseException:
        shared.closed = True
        shared.close_native()
        raise
    finally:
        _half_open.discard(shared)
    _open[shared.key] = shared
    lock_key = _file_key(options.lock_path) if options.lock else None
    if lock_key is not None:
        _open[lock_key] = shared
    return shared


def _read_head(path: bytes) -> tuple[bytes, FileKey | None]:
    """How a data file begins, as far as it can be read, and what it is known by."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b"", _file_key(path)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return b"", (found.st_dev, found.st_ino)
        return os.read(fd, _engine.HEAD_SIZE), (found.st_dev, found.st_ino)
    except OSError:
        return b"", _file_key(path)
    finally:
        os.close(fd)


class _ReplacedError(Error):
    """The file is another one now, as after somebody's compact()."""


def _replaced(options: Options) -> Error:
    return _ReplacedError(
        f"open: {options.given_path!r} was replaced while it was being opened",
        hint="open it again",
    )


def _make_directory(path: bytes, mode: int) -> None:
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return


def _open_files(shared: SharedEnv, options: Options) -> None:
    _configure(shared, options)
    lib = shared.engine.lib
    flags, mode = _flags(lib, options), options.mode & ~0o111
    code = lib.mdb_env_open(shared.ptr, options.path, flags, mode)
    full = code and isinstance(error("mdb_env_open", code), DiskError)
    if code and not full and options.lock and _is_empty(options.lock_path):
        # Whoever was making the lock file has died, or is still about it.
        raise _replaced(options)
    if not code:
        lib.pylmdb_env_opened(shared.ptr)
        _join(shared, options)
    code = code or lib.pylmdb_env_check(shared.ptr)
    if code == lib.MDB_PAGE_NOTFOUND:
        code = lib.MDB_CORRUPTED  # LMDB 1.0 looks for the root of a file that is too short
    if code:
        hint = "; ".join([f"path {options.given_path!r}", *_open_hints(code, options)])
        raise error("mdb_env_open", code, hint)


def _join(shared: SharedEnv, options: Options) -> None:
    """Find out whether those who have the lock file have this data file, too.  Where the data
    file was put in the place of theirs, they keep the lock file, and a new one is made."""
    lib = shared.engine.lib
    if lib.pylmdb_env_join(shared.ptr) != lib.PYLMDB_OTHER_FILE:
        return
    code = lib.pylmdb_env_discard_locks(shared.ptr)
    if code in (0, errno.ESTALE, errno.EBUSY):
        raise _replaced(options)
    raise ReplacedError(
        f"open: the data file of {options.given_path!r} was put in the place of one that another"
        f" process has open, and its lock file cannot be removed: {os.strerror(code)}",
        hint=f"end that process, or delete {os.fsdecode(options.lock_path)!r}",
    )


def _is_empty(path: bytes) -> bool:
    try:
        return not os.stat(path).st_size
    except OSError:
        return False


def _configure(shared: SharedEnv, options: Options) -> None:
    lib = shared.engine.lib
    lib.pylmdb_env_guard(shared.ptr)
    lib.pylmdb_env_guard_reads(shared.ptr, options.guard)
    lib.pylmdb_env_plan(shared.ptr, *plan(options, bool(lib.pylmdb_has_shim())))
    for what, code in (
        ("mdb_env_set_maxreaders", lib.mdb_env_set_maxreaders(shared.ptr, options.max_readers)),
        ("mdb_env_set_maxdbs", lib.mdb_env_set_maxdbs(shared.ptr, shared.max_dbs + SPARE_SLOTS)),
    ):
        if code:
            raise error(what, code)


def _flags(lib: Any, options: Options) -> int:
    """``mdb_env_open`` flags.  sync and metasync are given per transaction, so
    that Environments which differ in them can share one native environment."""
    flags: int = lib.MDB_NOTLS
    for given, flag in (
        (not options.subdir, lib.MDB_NOSUBDIR),
        (options.readonly, lib.MDB_RDONLY),
        (options.map_async, lib.MDB_MAPASYNC),
        (not options.readahead, lib.MDB_NORDAHEAD),
        (options.writemap, lib.MDB_WRITEMAP),
        (not options.meminit, lib.MDB_NOMEMINIT),
        (not options.lock, lib.MDB_NOLOCK),
    ):
        if given:
            flags |= flag
    return flags


def _open_hints(code: int, options: Options) -> list[str]:
    if code in (errno.ELOOP, errno.ENXIO):
        return ["the lock file and the data file must be regular files and no symbolic links"]
    if code != errno.ENOENT:
        return []
    if options.subdir:
        return ["the directory must exist, or be created with create=True; its parent always must"]
    return ["the file can be created with readonly=False; its directory must exist"]


def _load_main(shared: SharedEnv) -> None:
    """Learn the main database's flags, and let liblmdb learn its key order."""
    lib, box = shared.engine.lib, shared.engine.ffi.new("struct pylmdb_txn *")
    if lib.pylmdb_begin_reader(box, shared.pool, -1):
        shared.begin_reader(box)  # finds a way, or says what the matter is
    try:
        shared.open_slot(box.ptr, None, 0)
    finally:
        lib.pylmdb_abort(box)


def _descriptor_key(shared: SharedEnv) -> FileKey:
    out = shared.engine.ffi.new("mdb_filehandle_t *")
    code = shared.engine.lib.mdb_env_get_fd(shared.ptr, out)
    if code:
        raise error("mdb_env_get_fd", code)
    found = os.fstat(int(out[0]))
    return found.st_dev, found.st_ino


def _refuse_other_binding(lib: Any, options: Options, key: FileKey) -> None:
    """Another LMDB binding (or another copy of this one) that has the file open in
    this process would lose its locks when we close ours.  It has the data file in
    its memory map, and so had the parent of a forked child, which is no matter."""
    if key in _inherited or not sys.platform.startswith("linux"):
        return
    # Whoever has an environment open keeps a descriptor of its data file.
    if not lib.pylmdb_has_descriptor(*key):
        return
    with open("/proc/self/maps", "rb") as file:
        maps = file.read()
    if b" %d " % key[1] not in maps:
        return
    real = os.path.realpath(options.data_path)
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and int(fields[4]) == key[1] and fields[5] == real:
            raise Error(
                f"open: another LMDB binding has {options.given_path!r} open in this process",
                hint="close it there first; two would break each other's locks",
            )


def _close_if_last(shared: SharedEnv) -> None:
    with _lock:
        if shared.closed or shared.users or shared.in_use or shared in _half_open:
            return
        shared.closed = True
        if shared.users or shared.in_use:
            shared.closed = False  # somebody has entered in between
            return
        _close(shared)


def _close(shared: SharedEnv) -> None:
    _half_open.add(shared)
    for key in [key for key, value in _open.items() if value is shared]:
        del _open[key]
    shared.close_native()
    _half_open.discard(shared)


def close_replaced(shared: SharedEnv) -> None:
    """Close an environment whose file was replaced; the caller has it for himself."""
    shared.closed = True
    _close(shared)


def forget_in_child() -> None:
    """In a forked child: what is open belongs to the parent.

    Called by the first hook or use that comes, and then again for nothing.
    """
    global _lock, _pid
    if _pid == os.getpid():
        return
    _lock, _pid = RLock(), os.getpid()
    inherited = {*_open.values(), *_half_open}
    _inherited.update(_open)
    _inherited.update(shared.key for shared in _half_open if shared.key is not None)
    _open.clear()
    _half_open.clear()
    for shared in inherited:
        shared.abandon()


def _lock_for_fork() -> None:
    _lock.acquire()


def _unlock_after_fork() -> None:
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock_for_fork, after_in_parent=_unlock_after_fork, after_in_child=forget_in_child
    )
