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
from ._base.collecting import free_dropped
from ._base.owners import Owner
from ._shared.environment import SharedEnv
from ._shared.environment import tokens as tokens
from ._shared.opening import (
    Look,
    OpenAttempt,
    RetryError,
    check_existing,
    damaged_meta,
    needs_own_liblmdb,
)
from ._shared.options import SPARE_SLOTS
from ._shared.options import make_options as make_options
from ._shared.pinned import after_close as after_close
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
                    shared = _find_shareable(options)
                    is_new = shared is None
                    if shared is None:
                        shared = opening.open()
                    check_existing(shared.page_size, shared.has_sums, options)
                    if not is_new:
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


def writes_here(path: bytes) -> bool:
    """Whether this thread has a write transaction open on the environment at a path."""
    with lock():
        if _pid != os.getpid():
            forget_in_child()
        keys = map(_file_key, (path, os.path.join(path, b"data.mdb"))) if _open else ()
        found = (_open.get(key) for key in keys if key is not None)
        return any(shared is not None and shared.own_writer() is not None for shared in found)


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


def _find_shareable(options: Options) -> SharedEnv | None:
    """Return the open environment of these files, or None; raise if it cannot be shared."""
    shared = _find(options)
    if shared is not None and _conflict(shared, options):
        dropped = shared
        free_dropped(lambda: dropped.closed)
        shared = _find(options)
    conflict = None if shared is None else _conflict(shared, options)
    if shared is None or conflict is None:
        return shared
    close = "close it" if shared.used_by() else "drop the memoryviews and arrays that keep it open"
    raise Error(
        f"open: {options.given_path!r} is open in this process with {conflict}",
        hint=f"{close} first, or open it with the same options",
    )


def _conflict(shared: SharedEnv, wanted: Options) -> str | None:
    """Return the option of an open environment that prevents sharing it, as text; None: nothing."""
    has = shared.options
    if has.readonly and not wanted.readonly:
        return "readonly=True; it cannot be written to"
    if has.writemap != wanted.writemap and not wanted.readonly:
        return f"writemap={has.writemap}"
    if has.lock != wanted.lock and not wanted.readonly:
        return f"lock={has.lock}"
    if wanted.max_dbs is not None and wanted.max_dbs > shared.max_dbs:
        return f"max_dbs={shared.max_dbs}, which is less than {wanted.max_dbs}"
    if wanted.lib_version is not None and wanted.lib_version != shared.engine.version[0]:
        return f"lib_version={shared.engine.version[0]}"
    return None


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
        look = Look(_engine.default(), options)
        head, key = look.head, look.key
        try:
            engine = self._engine = _engine.choose(
                head, options.lib_version, options.new_version, options.given_path
            )
        except Error:
            damaged = None if key is None else damaged_meta(options, _engine.default())
            if damaged is None:
                raise
            raise damaged from None
        if key in _open:
            raise _replaced(options)  # after it was looked up
        # if the parent of a forked child has the file open, that does no harm
        asked = None if key in _inherited else key
        made = self._made = OpenAttempt(engine, options, head, asked)
        if key is None:
            made.make_directory()
        self._handle = engine.ffi.new("MDB_env **")
        code = engine.lib.mdb_env_create(self._handle)
        if code:
            raise error("mdb_env_create", code)
        shared = self._shared = SharedEnv(engine, self._handle, options, _close_if_last)
        _half_open.add(shared)
        has_name = _open_files(shared, made, options, look.file_mode(options))
        # A reader opens the data file before it waits for the lock file.
        if not has_name or key not in (None, shared.key):
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


def _open_files(shared: SharedEnv, opening: OpenAttempt, options: Options, mode: int) -> bool:
    """Open the files, and note what is known of them then; return whether the data file still has
    its name."""
    ffi, lib = shared.engine.ffi, shared.engine.lib
    _set_up(shared, options)
    code = opening.open(shared.ptr, _flags(lib, options), mode)
    if code:
        raise opening.failure(code)
    found = ffi.new("struct pylmdb_open_result *")
    lock_path = options.lock_path if options.lock else ffi.NULL
    any_size = options.map_size == 0
    room = shared.max_dbs
    code = lib.pylmdb_finish_open(shared.pool, options.data_path, lock_path, any_size, room, found)
    if code == lib.PYLMDB_OTHER_FILE:
        raise _of_another_file(shared, options)
    if code:
        raise opening.failure(code)
    shared.max_key_size, shared.page_size = found.max_key_size, found.page_size
    shared.has_sums = bool(found.has_sums)
    if found.main_code:
        _load_main(shared)
    else:
        shared.main.flags = found.main_flags
    if options.max_dbs is None:
        shared.make_room_for(found.databases)
    shared.note_dead_readers(found.dead_readers)
    data, lock = found.data, found.lock
    shared.key = data.device, data.inode
    shared.keys = (shared.key, (lock.device, lock.inode)) if lock.inode else (shared.key,)
    return bool(found.has_name)


def _of_another_file(shared: SharedEnv, options: Options) -> Exception:
    """The exception if the processes that have the lock file open have another data file open.

    It was put in the place of theirs.  They keep their lock file, and a new one is created for this
    data file.
    """
    code = shared.engine.lib.pylmdb_env_discard_locks(shared.ptr)
    if code in (0, errno.ESTALE, errno.EBUSY):
        return _replaced(options)
    return ReplacedError(
        f"open: the data file of {options.given_path!r} was put in the place of one that another"
        f" process has open, and its lock file cannot be removed: {os.strerror(code)}",
        hint=f"end that process, or delete {os.fsdecode(options.lock_path)!r}",
    )


def _set_up(shared: SharedEnv, options: Options) -> None:
    lib, readers = shared.engine.lib, options.max_readers
    room = shared.max_dbs + SPARE_SLOTS
    new_file = options.page_size or 0, options.checksums
    code = lib.pylmdb_set_up(shared.ptr, options.guard, *shared.plan, readers, room, *new_file)
    if code == errno.ENOSYS:
        raise needs_own_liblmdb("checksums=True" if options.checksums else "page_size=")
    if code:
        limit = f"max_readers must be at least 1, not {readers}"
        raise error("mdb_env_set_maxreaders", code, "", "" if readers else f"open: {limit}")


def _flags(lib: CData, options: Options) -> int:
    """``mdb_env_open`` flags.  sync and metasync are given per transaction, so
    that Environments which differ in them can share one native environment."""
    flags: int = lib.MDB_NOTLS
    if not options.subdir:
        flags |= lib.MDB_NOSUBDIR
    if options.readonly:
        flags |= lib.MDB_RDONLY
    if options.map_async:
        flags |= lib.MDB_MAPASYNC
    if not options.readahead:
        flags |= lib.MDB_NORDAHEAD
    if options.writemap:
        flags |= lib.MDB_WRITEMAP
    if not options.meminit:
        flags |= lib.MDB_NOMEMINIT
    if not options.lock:
        flags |= lib.MDB_NOLOCK
    return flags


def _load_main(shared: SharedEnv) -> None:
    """Read the flags of the main database where a transaction could not begin at once."""
    lib, handle = shared.engine.lib, shared.engine.ffi.new("struct pylmdb_txn *")
    shared.begin_reader(handle)  # tries again with a larger map, or raises
    try:
        shared.slot_of(handle.ptr, None, None, 0)
    finally:
        lib.pylmdb_abort(handle)


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
