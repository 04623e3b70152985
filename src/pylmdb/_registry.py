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
import sys
import time
from _thread import RLock

from . import _engine
from ._base.owners import Descriptor, Owner
from ._shared.environment import SharedEnv
from ._shared.growth import plan
from ._shared.opening import Opening, RetryError, look
from ._shared.options import SPARE_SLOTS
from ._typing import TYPE_CHECKING
from .errors import Error, ReplacedError, error

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._aliases import CData
    from ._engine import Engine
    from ._shared.options import Options

FileKey = tuple[int, int]
# How often opening a file is tried that is replaced meanwhile, and seconds in between.
_CHANCES, _PAUSE = 20, 0.01

# one lock; a forked child has another one
_locks = [RLock()]
_pid = os.getpid()
_open: dict[FileKey, SharedEnv] = {}
# being opened: not to be found, but a forked child inherits them too
_half_open: set[SharedEnv] = set()
# descriptors of lock files that another LMDB binding has open in this process: closing one
# would take its locks away
_kept: dict[FileKey, int] = {}
# open in the parent of this forked child, whose maps the child has, too
_inherited: set[FileKey] = set()


def lock() -> RLock:
    """The lock under which environments are opened and closed."""
    return _locks[0]


def open_shared(options: Options, token: int, user: object) -> SharedEnv:
    """The native environment of a file: the one this process has, or a new one.

    ``user`` is counted among its users by ``token``, which is given back with ``leave``.
    """
    with lock():
        if _pid != os.getpid():
            forget_in_child()
        for chances in reversed(range(_CHANCES)):
            opening = _Opening(options)
            try:
                with opening, opening:
                    shared = _find(options)
                    if shared is None:
                        shared = opening.open()
                    else:
                        _check_shareable(shared, options)
                        shared.widen(options)
                    shared.enter(token, user)
                    return shared
            except RetryError as retry:
                if not chances:
                    raise retry.args[0] from None
                time.sleep(_PAUSE)
        raise AssertionError


def is_open(options: Options) -> bool:
    """True if this process has the file open."""
    with lock():
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
        if shared.closed:  # an exception has struck in its end
            _close(shared)
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


class _Opening(Owner):
    """A native environment that is being opened, and what was made for it; closed and removed
    again if it gets no user."""

    __slots__ = ("_box", "_engine", "_made", "_options", "_shared")

    def __init__(self, options: Options) -> None:
        self._options = options
        self._shared: SharedEnv | None = None
        self._engine: Engine | None = None
        self._made: Opening | None = None
        self._box: CData = None

    def open(self) -> SharedEnv:
        """Open it, and note it in the table."""
        options = self._options
        head, key = look(options)
        engine = self._engine = _engine.choose(head, options.lib_version, options.given_path)
        if key is not None:
            if key in _open:
                raise _replaced(options)  # since it was looked for
            _refuse_other_binding(engine.lib, options, key)
        made = self._made = Opening(engine, options, head)
        if key is None:
            made.make_directory()
        self._box = engine.ffi.new("MDB_env **")
        code = engine.lib.mdb_env_create(self._box)
        if code:
            raise error("mdb_env_create", code)
        shared = self._shared = SharedEnv(engine, self._box, options, _close_if_last)
        _half_open.add(shared)
        _open_files(shared, made, options)
        # Readers that have died keep pages, and slots, from everybody.
        engine.lib.mdb_reader_check(shared.ptr, engine.ffi.NULL)
        if options.map_size == 0:
            engine.lib.pylmdb_env_limit(shared.ptr, 0)
        _load_main(shared)
        shared.key = _descriptor_key(shared)
        # A reader opens the data file before it waits for the lock file.
        named = _file_key(options.data_path)
        if shared.key != named or key not in (None, named):
            raise _replaced(options)
        lock_key = _file_key(options.lock_path) if options.lock else None
        shared.keys = (shared.key,) if lock_key is None else (shared.key, lock_key)
        _open.update(dict.fromkeys(shared.keys, shared))
        return shared

    def end(self) -> None:
        """Close it and remove what was made, unless it has a user."""
        shared, made = self._shared, self._made
        if shared is not None and shared.used_by():
            self._box = self._made = self._shared = None
        elif shared is not None and not shared.forked:
            _close(shared)
        elif shared is None and self._engine is not None and self._box is not None:
            self._engine.lib.pylmdb_env_end(self._box)
        if shared is not None:
            _half_open.discard(shared)
        if self._made is not None and made is not None:
            made.undo()


def _replaced(options: Options) -> RetryError:
    return RetryError(
        ReplacedError(
            f"open: {options.given_path!r} was replaced while it was being opened",
            hint="open it again",
        )
    )


def _open_files(shared: SharedEnv, opening: Opening, options: Options) -> None:
    _configure(shared, options)
    lib = shared.engine.lib
    code = opening.open(shared.ptr, _flags(lib, options), _file_mode(options))
    if not code:
        lib.pylmdb_env_opened(shared.ptr)
        _join(shared, options)
    code = code or lib.pylmdb_env_check(shared.ptr)
    if code == lib.MDB_PAGE_NOTFOUND:
        code = lib.MDB_CORRUPTED  # LMDB 1.0 looks for the root of a file that is too short
    if code:
        raise opening.failure(code)


def _join(shared: SharedEnv, options: Options) -> None:
    """Find out whether the processes that have the lock file open have this data file, too.  Where
    the data file was put in the place of theirs, they keep the lock file, and a new one is made."""
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


def _file_mode(options: Options) -> int:
    """The permissions of the files that opening makes.  Where there is a data file, that is the
    lock file alone: a process that may use the one may use the other, and its owner in any case."""
    try:
        return os.stat(options.data_path).st_mode & 0o666 | 0o600
    except OSError:
        return options.mode & ~0o111


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


def _flags(lib: CData, options: Options) -> int:
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


def _load_main(shared: SharedEnv) -> None:
    """Learn the main database's flags, and let liblmdb learn its key order."""
    lib, box = shared.engine.lib, shared.engine.ffi.new("struct pylmdb_txn *")
    if lib.pylmdb_begin_reader(box, shared.pool, -1):
        shared.begin_reader(box)  # finds a way, or says what the matter is
    try:
        shared.slot_of(box.ptr, None, None, 0)
    finally:
        lib.pylmdb_abort(box)


def _descriptor_key(shared: SharedEnv) -> FileKey:
    out = shared.engine.ffi.new("mdb_filehandle_t *")
    code = shared.engine.lib.mdb_env_get_fd(shared.ptr, out)
    if code:
        raise error("mdb_env_get_fd", code)
    found = os.fstat(int(out[0]))
    return found.st_dev, found.st_ino


def _refuse_other_binding(lib: CData, options: Options, key: FileKey) -> None:
    """Another LMDB binding (or another copy of this one) that has the file open in
    this process would lose its locks when we close ours.  The parent of a forked child
    that has it is no matter."""
    if key in _inherited or not sys.platform.startswith("linux"):
        return
    lock_key, data = _file_key(options.lock_path), Descriptor()
    lock = Descriptor(None if lock_key is None else _kept.pop(lock_key, None))
    with lock, lock, data, data:
        try:
            if lock.number is None and lock_key is not None:
                lock_key = _open_lock_file(lock, options.lock_path)
            data_fd = data.open(options.data_path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return  # liblmdb says why it cannot be opened
        lock_fd = -1 if lock.number is None else lock.number
        may_be = lib.pylmdb_may_be_open(lock_fd, data_fd)
        other = bool(may_be and lib.pylmdb_has_descriptor(*key) and _is_mapped(options, key))
        if other and lock_key is not None:
            _kept[lock_key] = lock.keep()
    if other:
        raise Error(
            f"open: another LMDB binding has {options.given_path!r} open in this process",
            hint="close it there first; two would break each other's locks",
        )


def _open_lock_file(lock: Descriptor, path: bytes) -> FileKey | None:
    """Open a lock file if that can be; returns what it is known by."""
    try:
        found = os.fstat(lock.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_mapped(options: Options, key: FileKey) -> bool:
    """True if this process has the data file in its memory map."""
    with open("/proc/self/maps", "rb") as file:
        maps = file.read()
    if b" %d " % key[1] not in maps:
        return False
    real = os.path.realpath(options.data_path)
    fields = [line.split(maxsplit=5) for line in maps.splitlines()]
    return any(len(each) == 6 and int(each[4]) == key[1] and each[5] == real for each in fields)


# A destructor can close an environment when the interpreter exits and has set the globals of
# modules to None already: what closing needs is bound here.
def _close(shared: SharedEnv, open_here: dict[FileKey, SharedEnv] = _open) -> None:
    """Close it; repeatable, and found in the table until it is done."""
    shared.closed = True
    shared.close_native()
    for key in shared.keys:
        if open_here.get(key) is shared:
            del open_here[key]


def _close_if_last(
    shared: SharedEnv,
    locks: list[RLock] = _locks,
    half_open: set[SharedEnv] = _half_open,
    close: Callable[[SharedEnv], None] = _close,
) -> None:
    with locks[0]:
        if shared.used_by() or shared.in_use or shared in half_open:
            return
        shared.closed = True
        if shared.used_by() or shared.in_use:
            shared.closed = False  # somebody has entered in between
            return
        close(shared)


def close_replaced(shared: SharedEnv) -> None:
    """Close an environment whose file was replaced; the caller has exclusive access."""
    _close(shared)


def forget_in_child() -> None:
    """In a forked child: what is open belongs to the parent.

    Called by the first hook or use that comes, and then again for nothing.
    """
    global _pid
    if _pid == os.getpid():
        return
    _locks[0] = RLock()
    inherited = {*_open.values(), *_half_open}
    _inherited.update(_open)
    _inherited.update(shared.key for shared in _half_open if shared.key is not None)
    for shared in inherited:
        shared.abandon()
    _open.clear()
    _half_open.clear()
    _pid = os.getpid()  # last: what was interrupted is done again


def _lock_for_fork() -> None:
    lock().acquire()


def _unlock_after_fork() -> None:
    lock().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock_for_fork, after_in_parent=_unlock_after_fork, after_in_child=forget_in_child
    )
