# SPDX-License-Identifier: MIT
"""One attempt to open an environment: which files exist before, which files the attempt creates,
and the exception if it fails.

If it is clear beforehand that the attempt must fail, it creates no file.  If it fails later, the
files that it has created are removed; ``opening.c`` says why that does not harm other processes.
"""

from __future__ import annotations

import errno
import os

from .._typing import TYPE_CHECKING
from ..errors import Error, FileSystemError, InvalidError, LockFileError, error

if TYPE_CHECKING:
    from .._aliases import CData
    from .._engine import Engine
    from .options import Options

    FileKey = tuple[int, int]

EMPTY = "is empty, as before its first use"
# error numbers of systems that cannot lock or map a file: Linux, NFS, Lustre, FUSE and others
_REFUSALS = (
    errno.ENOLCK, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENODEV,
    errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENXIO, errno.EROFS,
)  # fmt: skip
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_REGULAR = "the data file must be a regular file, and the lock file one that is not a link"
_ALONE = "if no other process uses the files, open them with lock=False"
_TO_READ = "if no process writes meanwhile, readonly=True, lock=False reads the files"


class RetryError(Exception):
    """Another process is creating, removing or replacing the files, so the attempt must be
    repeated.  The argument is the exception to raise if repeating does not help."""


# -- before a file is created --------------------------------------------------------------


class Look:
    """What there is before the files are opened.

    :param kept: a descriptor of the lock file that is open already; -1 if there is none.
    :param asks: whether to ask if another LMDB binding may have the files open in this process.
        If so, ``found.lock_fd`` stays open until ``end()``, unless it is set to -1.
    :raises Error: the data file cannot be opened, or it does not exist and cannot be created.
    :raises RetryError: another process is removing it.
    """

    def __init__(self, engine: Engine, options: Options, kept: int = -1, asks: bool = True) -> None:
        ffi, lib = engine.ffi, engine.lib
        self._end = lib.pylmdb_look_end
        # ends with the object, without Python code in between; the end closes lock_fd
        found = ffi.new("struct pylmdb_look *", {"lock_fd": kept})
        found = self.found = ffi.gc(found, lib.pylmdb_look_end)
        lock_path = options.lock_path if asks else ffi.NULL
        code = lib.pylmdb_look(options.data_path, not options.readonly, lock_path, found)
        # the first bytes of the data file, and its key in the registry; b"" and None if it does
        # not exist and can be created
        self.head, self.key = b"", None
        if not code:
            self.head = ffi.buffer(found.head, found.size)[:]
            self.key = found.data.device, found.data.inode
        elif found.step == lib.PYLMDB_LOOK_FOR_FILE:
            if not _can_make_directory(options):
                _check_missing(options, code)
        elif found.step == lib.PYLMDB_LOOK_AT_KIND:
            raise _not_a_file(options, code == errno.EISDIR)
        elif code != errno.ENOENT:
            raise _not_opened(options, code)

    def end(self) -> None:
        """Close the descriptor of the lock file."""
        self._end(self.found)

    def file_mode(self, options: Options) -> int:
        """The permissions of the files that opening creates.

        If the data file exists, only the lock file can be new.  It gets the permissions of the data
        file, so that the same users can use both; the owner can use it in any case.
        """
        return options.mode & ~0o111 if self.key is None else self.found.mode & 0o666 | 0o600


def _not_opened(options: Options, code: int) -> Error:
    hint = "this process has no permission to write it"
    if options.readonly:
        hint = "this process has no permission to read it"
    elif os.access(options.data_path, os.R_OK):
        hint += "; readonly=True opens it for reading"
    return error(f"open: {_data_name(options)!r}", code, hint)


def _can_make_directory(options: Options) -> bool:
    makes = options.subdir and options.create and not options.readonly
    return makes and not os.path.lexists(options.path)


def _check_missing(options: Options, code: int) -> None:
    """Raise if the data file does not exist and cannot be created."""
    path, given = options.path, options.given_path
    if code not in (errno.ENOENT, errno.ENOTDIR):
        hint = "this process has no permission to search a directory of the path"
        raise error(f"open: {given!r}", code, hint if code in _DENIED else "")
    if os.path.isdir(path if options.subdir else os.path.dirname(path)):
        if not options.readonly:
            return
        hint = "it does not exist, and readonly=True creates no file"
        raise error(f"open: {_data_name(options)!r}", code, hint)
    if os.path.exists(path):
        hint = "it is a file, but subdir=True means a directory; leave subdir out to open either"
    elif os.path.lexists(path):
        hint = "it is a symbolic link to a path that does not exist"
    elif not os.path.isdir(os.path.dirname(path)):
        hint = "its parent directory does not exist"
    elif options.readonly:
        hint = "it does not exist, and readonly=True creates no directory"
    elif not options.create:
        hint = "it does not exist, and create=False creates no directory"
    else:  # it existed a moment ago
        raise RetryError(error(f"open: {given!r}", code, "another process is removing it"))
    raise error(f"open: {given!r}", code, hint)


def _not_a_file(options: Options, is_directory: bool) -> Error:
    if not is_directory:
        return error(f"open: {_data_name(options)!r}", errno.ENXIO, _REGULAR)
    hint = "the data file must be a regular file"
    if not options.subdir:
        hint = "subdir=False means a file; leave subdir out to open either"
    return error(f"open: {_data_name(options)!r}", errno.EISDIR, hint)


def _data_name(options: Options) -> str:
    """The path of the data file for messages: relative if the given path is."""
    given = options.given_path
    return os.path.join(given, "data.mdb") if options.subdir else given


def _lock_name(options: Options) -> str:
    given = options.given_path
    return os.path.join(given, "lock.mdb") if options.subdir else given + "-lock"


# -- the attempt ------------------------------------------------------------------------------


class OpenAttempt:
    """The attempt, from the directory to the files.

    :param head: the first bytes of the data file when the engine was chosen.
    """

    def __init__(self, engine: Engine, options: Options, head: bytes) -> None:
        self._lib, self._null, self._options = engine.lib, engine.ffi.NULL, options
        self._engine, self._head = engine, head
        self._record = engine.ffi.new("struct pylmdb_opening *")
        self._made_directory = False

    def make_directory(self) -> None:
        """Create the directory of a new environment, if the options ask for it."""
        options = self._options
        if not options.create or not options.subdir or options.readonly:
            return
        try:
            os.mkdir(options.path, options.mode)
        except FileExistsError:
            return
        except OSError as failure:
            text = os.strerror(failure.errno or 0)
            if isinstance(failure, FileNotFoundError):
                text += "; open() creates a directory, but not its parent"
            raise OSError(failure.errno, text, options.given_path) from None
        self._made_directory = True

    def open(self, env: CData, flags: int, mode: int) -> int:
        """``mdb_env_open``; returns its code."""
        return int(self._lib.pylmdb_env_open(env, self._options.path, flags, mode, self._record))

    def undo(self) -> None:
        """Remove the files and the directory that this attempt created; the native environment
        must be closed."""
        options = self._options
        lock_path = options.lock_path if options.lock else self._null
        self._lib.pylmdb_remove_made(self._record, options.data_path, lock_path)
        if not self._made_directory:
            return
        try:
            os.rmdir(options.path)
        except OSError:  # another process has put its files there
            return

    def failure(self, code: int) -> Exception:
        """The exception for an error code of :meth:`open`, or of a later step."""
        options, lib, step = self._options, self._lib, self._record.step
        if step == lib.PYLMDB_OPEN_LOCK_FILE:
            failure = _lock_file_denied(options, code)
        elif step == lib.PYLMDB_LOCK_LOCK_FILE:
            hint = f"the file system refuses locks; {_ALONE}; {_TO_READ}"
            failure = _file_system(f"open: the lock file {_lock_name(options)!r}", code, hint)
        elif step in (lib.PYLMDB_MAP_DATA_FILE, lib.PYLMDB_MAP_LOCK_FILE):
            is_data = step == lib.PYLMDB_MAP_DATA_FILE
            failure = _unmapped(_data_name(options) if is_data else _lock_name(options), code)
        elif options.readonly and _is_empty(options.data_path):
            return InvalidError(
                f"open: {_data_name(options)!r} {EMPTY}",
                hint="opening it without readonly=True creates a new environment",
            )
        else:
            hint = "; ".join([f"path {options.given_path!r}", *_hints(code)])
            failure = error("mdb_env_open", code, hint)
        return RetryError(failure) if self._is_meanwhile(code) else failure

    def _is_meanwhile(self, code: int) -> bool:
        """Whether another process has interfered, so that the attempt must be repeated.

        It has removed or replaced a file or the directory.  Or it is still creating the lock file,
        or has died while it did.  Or it has created the data file in another format.
        """
        lib = self._lib
        if self._record.step == lib.PYLMDB_MAP_LOCK_FILE:
            return _is_empty(self._options.lock_path)
        if code in (lib.MDB_INVALID, lib.MDB_VERSION_MISMATCH):
            return Look(self._engine, self._options, asks=False).head != self._head
        return code in (errno.ENOENT, errno.ESTALE)


def _lock_file_denied(options: Options, code: int) -> Error:
    what = f"open: the lock file {_lock_name(options)!r}"
    if code not in _DENIED:
        return error(what, code, "; ".join(_hints(code)))
    does = "write" if os.path.lexists(options.lock_path) else "create"
    hint = f"this process has no permission to {does} it, which reading needs, too; {_TO_READ}"
    return LockFileError(what, code, hint)


def _unmapped(name: str, code: int) -> Error:
    hint = "mmap failed: the file system cannot map files, which LMDB needs; use another one"
    return _file_system(f"open: {name!r}", code, hint)


def _file_system(what: str, code: int, hint: str) -> Error:
    return FileSystemError(what, code, hint) if code in _REFUSALS else error(what, code)


def _hints(code: int) -> list[str]:
    return [_REGULAR] if code in (errno.ELOOP, errno.ENXIO) else []


def _is_empty(path: bytes) -> bool:
    try:
        return not os.stat(path).st_size
    except OSError:
        return False
