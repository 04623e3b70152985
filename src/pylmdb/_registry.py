# SPDX-License-Identifier: MIT
"""The environments that this process has open: the only global state.

The key of an environment is the device and inode of its data file, and of its lock file.  So links
and relative paths lead to the same environment, and a file that was deleted and created again is
another one.  One lock is taken for looking a file up, opening it and adding it to the table, so two
threads cannot open the same file twice.

After ``fork`` the child removes all environments from the table, because they belong to its parent.
An inherited Environment opens the file again when it is next used.
"""

from __future__ import annotations

import errno
import os
import time
from _thread import RLock

from . import _engine
from ._base.owners import Owner
from ._shared.environment import SharedEnv
from ._shared.environment import tokens as tokens
from ._shared.growth import plan
from ._shared.opening import Look, OpenAttempt, RetryError
from ._shared.options import SPARE_SLOTS
from ._shared.options import make_options as make_options
from ._typing import TYPE_CHECKING
from .errors import Error, ReplacedError, error

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._aliases import CData
    from ._engine import Engine
    from ._shared.options import Options

FileKey = tuple[int, int]
# How often opening is tried if other processes replace the file, and seconds in between.
_ATTEMPTS, _PAUSE = 100, 0.01

# a list of one lock, which a forked child replaces
_locks = [RLock()]
_pid = os.getpid()
_open: dict[FileKey, SharedEnv] = {}
# being opened: not in the table yet, but a forked child inherits them, too
_half_open: set[SharedEnv] = set()
# descriptors of lock files that another LMDB binding has open in this process, by key; closing one
# would release the locks of that binding
_kept: dict[FileKey, int] = {}
# keys of the environments of this forked child's parent, whose maps the child has, too
_inherited: set[FileKey] = set()


def lock() -> RLock:
    """The lock for opening and closing environments."""
    return _locks[0]


def open_shared(options: Options, token: int, user: object) -> SharedEnv:
    """Return the native environment of a file: the one that this process has, or a new one.

    :param token: counts ``user`` among its users until it is passed to ``leave``.
    """
    with lock():
        if _pid != os.getpid():
            forget_in_child()
        for attempts_left in reversed(range(_ATTEMPTS)):
            opening = _NewEnvironment(options)
            try:
                with opening, opening:
                    shared = _find(options)
                    if shared is None:
                        shared = opening.open()
                    else:
                        _check_shareable(shared, options)
                        shared.raise_limits(options)
                    shared.enter(token, user)
                    return shared
            except RetryError as retry:
                if not attempts_left:
                    raise retry.args[0] from None
                time.sleep(_PAUSE)
        raise AssertionError


def is_open(options: Options) -> bool:
    """Whether this process has the file open."""
    with lock():
        if _pid != os.getpid():
            forget_in_child()
        return _find(options) is not None


def _find(options: Options) -> SharedEnv | None:
    """The environment of these files that this process has open; None if there is none."""
    if not _open:
        return None
    data_key = _file_key(options.data_path)
    for key in (data_key, _file_key(options.lock_path)):
        shared = None if key is None else _open.get(key)
        if shared is None:
            continue
        if shared.closed:  # an exception has interrupted its end
            _close(shared)
            continue
        if shared.key == data_key:
            return shared
        raise Error(
            f"open: the lock file of {options.given_path!r} is in use in this process by an"
            " environment whose data file was deleted or moved",
            hint="close that environment, or delete its lock file, too",
        )
    return None


def _file_key(path: bytes) -> FileKey | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_shareable(shared: SharedEnv, wanted: Options) -> None:
    """Raise if the options of an open environment do not allow to share it."""
    has = shared.options
    conflict = None
    if has.readonly and not wanted.readonly:
        conflict = "readonly=True; it cannot be written to"
    elif has.writemap != wanted.writemap and not wanted.readonly:
        conflict = f"writemap={has.writemap}"
    elif has.lock != wanted.lock and not wanted.readonly:
        conflict = f"lock={has.lock}"
    elif wanted.max_dbs is not None and wanted.max_dbs > shared.max_dbs:
        conflict = f"max_dbs={shared.max_dbs}, which is less than {wanted.max_dbs}"
    elif wanted.lib_version is not None and wanted.lib_version != shared.engine.version[0]:
        conflict = f"lib_version={shared.engine.version[0]}"
    if conflict is not None:
        raise Error(
            f"open: {wanted.given_path!r} is open in this process with {conflict}",
            hint="close it first, or open it with the same options",
        )


class _NewEnvironment(Owner):
    """Owns a native environment that is being opened, and the files that were created for it.  If
    it gets no user, it is closed, and these files are removed."""

    __slots__ = ("_engine", "_handle", "_made", "_options", "_shared")

    def __init__(self, options: Options) -> None:
        self._options = options
        self._shared: SharedEnv | None = None
        self._engine: Engine | None = None
        self._made: OpenAttempt | None = None
        self._handle: CData = None

    def open(self) -> SharedEnv:
        """Open it, and add it to the table."""
        options = self._options
        look = Look(_engine.default(), options, _kept_lock(options))
        head, key = look.head, look.key
        engine = self._engine = _engine.choose(head, options.lib_version, options.given_path)
        if key is not None:
            if key in _open:
                raise _replaced(options)  # after it was looked up
            if look.found.may_be_open:
                _refuse_other_binding(look, options, key)
                look.end()  # closed after liblmdb's locks, it could release them
        made = self._made = OpenAttempt(engine, options, head)
        if key is None:
            made.make_directory()
        self._handle = engine.ffi.new("MDB_env **")
        code = engine.lib.mdb_env_create(self._handle)
        if code:
            raise error("mdb_env_create", code)
        shared = self._shared = SharedEnv(engine, self._handle, options, _close_if_last)
        _half_open.add(shared)
        _open_files(shared, made, options, look.file_mode(options))
        # Readers that have died keep pages and reader slots in use.
        engine.lib.mdb_reader_check(shared.ptr, engine.ffi.NULL)
        if options.map_size == 0:
            engine.lib.pylmdb_env_limit(shared.ptr, 0)
        _load_main(shared)
        # A reader opens the data file before it waits for the lock file.
        if not _has_its_name(shared, options) or key not in (None, shared.key):
            raise _replaced(options)
        _open.update(dict.fromkeys(shared.keys, shared))
        return shared

    def end(self) -> None:
        """Close it, and remove the files that were created, unless it has a user."""
        shared, made = self._shared, self._made
        if shared is not None and shared.used_by():
            self._handle = self._made = self._shared = None
        elif shared is not None and not shared.forked:
            _close(shared)
        elif shared is None and self._engine is not None and self._handle is not None:
            self._engine.lib.pylmdb_env_end(self._handle)
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


def _open_files(shared: SharedEnv, opening: OpenAttempt, options: Options, mode: int) -> None:
    _configure(shared, options)
    lib = shared.engine.lib
    code = opening.open(shared.ptr, _flags(lib, options), mode)
    if not code:
        lib.pylmdb_env_opened(shared.ptr)
        _join(shared, options)
        opening.check(shared.ptr)
    else:
        raise opening.failure(code)
    shared.max_key_size = lib.mdb_env_get_maxkeysize(shared.ptr)


def _join(shared: SharedEnv, options: Options) -> None:
    """Check that the processes that have the lock file open have this data file open, too.

    If another data file was put in the place of theirs, they keep their lock file, and a new one is
    created for this data file.
    """
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
            limit = f"max_readers must be at least 1, not {options.max_readers}"
            raise error(what, code, "", f"open: {limit}" if not options.max_readers else "")


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
    """Read the flags of the main database, and have liblmdb set its key order."""
    lib, handle = shared.engine.lib, shared.engine.ffi.new("struct pylmdb_txn *")
    if lib.pylmdb_begin_reader(handle, shared.pool, -1):
        shared.begin_reader(handle)  # tries again with a larger map, or raises
    try:
        shared.slot_of(handle.ptr, None, None, 0)
    finally:
        lib.pylmdb_abort(handle)


def _has_its_name(shared: SharedEnv, options: Options) -> bool:
    """Note the keys of the open files; return whether the data file still has its name."""
    ffi = shared.engine.ffi
    data, lock = ffi.new("struct pylmdb_file *"), ffi.new("struct pylmdb_file *")
    lock_path = options.lock_path if options.lock else ffi.NULL
    is_same = shared.engine.lib.pylmdb_look_at_names(
        shared.ptr, options.data_path, lock_path, data, lock
    )
    shared.key = data.device, data.inode
    shared.keys = (shared.key, (lock.device, lock.inode)) if lock.inode else (shared.key,)
    return bool(is_same)


def _kept_lock(options: Options) -> int:
    """The descriptor that was kept of this lock file; -1 if there is none."""
    key = _file_key(options.lock_path) if _kept else None
    return -1 if key is None else _kept.pop(key, -1)


def _refuse_other_binding(look: Look, options: Options, key: FileKey) -> None:
    """Raise if another LMDB binding, or another copy of pylmdb, has the file open in this process.

    It would lose its locks when pylmdb closes the lock file, so the descriptor is kept.  If the
    parent of a forked child has the file open, that does no harm.
    """
    if key in _inherited or not _is_mapped(options, key):
        return
    lock_fd, look.found.lock_fd = look.found.lock_fd, -1
    if lock_fd >= 0:
        found = os.fstat(lock_fd)
        _kept[found.st_dev, found.st_ino] = lock_fd
    raise Error(
        f"open: another LMDB binding has {options.given_path!r} open in this process",
        hint="close it there first; two would break each other's locks",
    )


def _is_mapped(options: Options, key: FileKey) -> bool:
    """Whether this process has mapped the data file."""
    with open("/proc/self/maps", "rb") as file:
        maps = file.read()
    if b" %d " % key[1] not in maps:
        return False
    fields = [line.split(maxsplit=5) for line in maps.splitlines()]
    names = {each[5] for each in fields if len(each) == 6 and int(each[4]) == key[1]}
    # a hard link has another name; and the device in maps differs from stat's on some file systems
    return os.path.realpath(options.data_path) in names or key in map(_file_key, names)


# A destructor can close an environment when the interpreter exits and has set the globals of
# modules to None, so what closing needs is bound in parameters.
def _close(shared: SharedEnv, open_here: dict[FileKey, SharedEnv] = _open) -> None:
    """Close a native environment.  It can be repeated, and the environment stays in the table until
    it is done."""
    shared.closed = True
    if shared.options.temporary is not None and shared.keys and not shared.replaced:
        shared.options.temporary.end()
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
            shared.closed = False  # a call or a user has entered in between
            return
        close(shared)


def close_replaced(shared: SharedEnv) -> None:
    """Close an environment whose file was replaced; the caller has exclusive access."""
    _close(shared)


def forget_in_child() -> None:
    """In a forked child: remove the environments of the parent from the table.

    The hook after fork() calls it, or the first use; called again it does nothing.
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
    _pid = os.getpid()  # the last step, so that an interrupted call is repeated


def _lock_for_fork() -> None:
    lock().acquire()


def _unlock_after_fork() -> None:
    lock().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock_for_fork, after_in_parent=_unlock_after_fork, after_in_child=forget_in_child
    )
