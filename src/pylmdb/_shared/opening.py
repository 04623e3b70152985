# SPDX-License-Identifier: MIT
"""One attempt to open an environment: which files exist before, which files the attempt creates,
and the exception if it fails.

If it is clear beforehand that the attempt must fail, it creates no file.  If it fails later, the
files that it has created are removed; ``opening.c`` says why that does not harm other processes.
"""

from __future__ import annotations

import errno
import os

from .._base.owners import Descriptor
from .._base.words import counted
from .._core_rules.failures import damage
from .._core_rules.system_errors import refused_path, system_reason
from .._typing import TYPE_CHECKING
from ..errors import (
    DAMAGED_HINT,
    CorruptedError,
    Error,
    FileSystemError,
    InvalidError,
    InvalidParameterError,
    LockFileError,
    error,
    path_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .._aliases import CData
    from .._engine import Engine
    from .options import Options

    FileKey = tuple[int, int]
    _Found = TypeVar("_Found")

EMPTY = "is empty, as before its first use"
# error numbers of systems that cannot lock or map a file: Linux, NFS, Lustre, FUSE and others
_REFUSALS = (
    errno.ENOLCK, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENODEV,
    errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENXIO, errno.EROFS,
)  # fmt: skip
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_REGULAR = "the data file must be a regular file, and the lock file one that is not a link"
_PATH = "check the path"
_ALONE = "if no other process uses the files, open them with lock=False"
_TO_READ = "if no process writes meanwhile, readonly=True, lock=False reads the files"


class RetryError(Exception):
    """Another process is creating, removing or replacing the files, so the attempt must be
    repeated.  The argument is the exception to raise if repeating does not help."""


# -- before a file is created --------------------------------------------------------------


class Look:
    """What there is before the files are opened.

    :raises Error: the data file cannot be opened, or it does not exist and cannot be created.
    :raises RetryError: another process is removing it.
    """

    def __init__(self, engine: Engine, options: Options) -> None:
        ffi, lib = engine.ffi, engine.lib
        found = self.found = ffi.new("struct pylmdb_look *")
        code = lib.pylmdb_look(options.data_path, not options.readonly, found)
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
            raise _denied(options, code)

    def file_mode(self, options: Options) -> int:
        """The permissions of the files that opening creates.

        If the data file exists, only the lock file can be new.  It gets the permissions of the data
        file, so that the same users can use both; the owner can use it in any case.
        """
        return options.mode & ~0o111 if self.key is None else self.found.mode & 0o666 | 0o600


def _refused(name: str, code: int, problem: str, hint: str = "") -> Error:
    """The exception for a path that cannot be opened; ``problem`` follows its name."""
    return path_error("open", name, code, problem, hint)


def no_files(name: str, problem: str, hint: str = "") -> Error:
    """The exception for a path where there are no files of an environment."""
    return _refused(name, errno.ENOENT, problem, hint)


def _denied(options: Options, code: int) -> Error:
    name = options.data_name
    if code not in _DENIED:
        return refused_path("open", name, code)
    hint = system_reason(code)[1]
    if options.readonly:
        problem = "cannot be opened: this process has no permission to read it"
        return _refused(name, code, problem, hint)
    if os.access(options.data_path, os.R_OK):
        hint = "readonly=True opens it for reading"
    problem = "cannot be opened: this process has no permission to write it"
    return _refused(name, code, problem, hint)


def _can_make_directory(options: Options) -> bool:
    makes = options.subdir and options.create and not options.readonly
    return makes and not os.path.lexists(options.path)


def _check_missing(options: Options, code: int) -> None:
    """Raise if the data file does not exist and cannot be created."""
    path, given = options.path, options.given_path
    if code not in (errno.ENOENT, errno.ENOTDIR):
        if code not in _DENIED:
            raise refused_path("open", given, code)
        problem = "this process has no permission to search a directory of the path"
        raise _refused(given, code, f"cannot be opened: {problem}", system_reason(code)[1])
    if os.path.isdir(path if options.subdir else os.path.dirname(path)):
        if options.readonly:
            raise no_files(
                options.data_name, "does not exist, and readonly=True creates no file", _PATH
            )
    elif os.path.exists(path):
        hint = "leave subdir out to open either"
        raise _refused(given, code, "is a file, but subdir=True means a directory", hint)
    elif os.path.lexists(path):
        raise no_files(given, "is a symbolic link to a path that does not exist")
    elif not os.path.isdir(os.path.dirname(path)):
        raise no_parent(given, path)
    elif options.readonly:
        raise no_files(given, "does not exist, and readonly=True creates no directory", _PATH)
    elif not options.create:
        raise no_files(given, "does not exist, and create=False creates no directory", _PATH)
    else:  # it existed a moment ago
        raise RetryError(no_files(given, "is being removed by another process"))


def no_parent(given: str, path: bytes) -> Error:
    """The exception for a path whose parent directory does not exist, or is a file.

    :param given: the path for the message.
    :param path: the same, absolute.
    """
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent):
        problem = f"cannot exist, because {os.fsdecode(parent)!r} is not a directory"
        return _refused(given, errno.ENOTDIR, problem)
    hint = "create it first: open() creates the last directory of a path only"
    return no_files(given, "cannot be opened: its parent directory does not exist", hint)


def _not_a_file(options: Options, is_directory: bool) -> Error:
    name = options.data_name
    if not is_directory:
        return _refused(name, errno.ENXIO, "is not a regular file", _REGULAR)
    if options.subdir:
        return _refused(name, errno.EISDIR, "is a directory", _REGULAR)
    hint = "leave subdir out to open either"
    return _refused(name, errno.EISDIR, "is a directory, but subdir=False means a file", hint)


# -- the attempt ------------------------------------------------------------------------------


class OpenAttempt:
    """The attempt, from the directory to the files.

    :param head: the first bytes of the data file when the engine was chosen.
    :param key: refuse this data file if another LMDB binding has it open in this process; None to
        allow that.
    """

    def __init__(self, engine: Engine, options: Options, head: bytes, key: FileKey | None) -> None:
        self._lib, self._null, self._options = engine.lib, engine.ffi.NULL, options
        self._engine, self._head = engine, head
        record = self._record = engine.ffi.new("struct pylmdb_opening *")
        if key is not None:
            record.looked.device, record.looked.inode = key
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
            if isinstance(failure, FileNotFoundError):
                raise no_parent(options.given_path, options.path) from None
            code = failure.errno or errno.EIO
            raise refused_path("open", options.given_path, code, "created") from None
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
        """Return the exception for an error code of :meth:`open`, or of
        ``pylmdb_finish_open``."""
        options, lib, step = self._options, self._lib, self._record.step
        if code == lib.PYLMDB_OTHER_BINDING:
            return Error(
                f"open: another LMDB binding has {options.given_path!r} open in this process",
                hint="close it there first; two would break each other's locks",
            )
        if code == lib.PYLMDB_SUMS_IN_MAP:
            return InvalidParameterError(
                f"open: the pages of {options.given_path!r} have checksums, which cannot be used"
                " with writemap=True",
                hint="leave writemap out",
            )
        if code == lib.MDB_PAGE_NOTFOUND:
            code = lib.MDB_CORRUPTED  # LMDB 1.0 looks for the root of a file that is too short
        if step == lib.PYLMDB_OPEN_LOCK_FILE:
            failure = _lock_file_denied(options, code)
        elif step == lib.PYLMDB_LOCK_LOCK_FILE:
            name, problem = (
                f"the lock file {options.lock_name!r}",
                "the file system refuses locks",
            )
            failure = _file_system(name, code, problem, f"{_ALONE}; {_TO_READ}")
        elif step in (lib.PYLMDB_MAP_DATA_FILE, lib.PYLMDB_MAP_LOCK_FILE):
            is_data = step == lib.PYLMDB_MAP_DATA_FILE
            failure = _unmapped(options, is_data, code)
        elif options.readonly and _is_empty(options.data_path):
            return InvalidError(
                f"open: {options.data_name!r} {EMPTY}",
                hint="opening it without readonly=True creates a new environment",
            )
        else:
            failure = self._failure(code)
        return RetryError(failure) if self._is_meanwhile(code) else failure

    def _failure(self, code: int) -> Error:
        name = self._options.data_name
        lib = self._lib
        if code in (lib.MDB_INVALID, lib.MDB_VERSION_MISMATCH, lib.MDB_CORRUPTED, errno.EINVAL):
            failure = damaged_meta(self._options, self._engine)
            if failure is not None:
                return failure
        if code == self._lib.MDB_CORRUPTED:
            failure = cut_short(self._options, self._engine)
            if failure is not None:
                return failure
        if code == self._lib.MDB_INVALID:
            problem = f"open: {name!r} is not an LMDB file, or not a whole one"
            hint = "check the path; restore the file from a copy if it was cut short"
        elif code == self._lib.MDB_CORRUPTED:
            problem, hint = f"open: {name!r} is damaged", None
            found = damage(self._engine, 0)
            if found:
                problem, hint = f"{problem}: {found}", DAMAGED_HINT
        else:
            problem, hint = f"open: {name!r} cannot be opened", _hint(code)
        return error("mdb_env_open", code, hint, problem)

    def _is_meanwhile(self, code: int) -> bool:
        """Whether another process has interfered, so that the attempt must be repeated.

        It has removed or replaced a file or the directory.  Or it is still creating the lock file,
        or has died while it did.  Or it has created the data file in another format.
        """
        lib = self._lib
        if self._record.step == lib.PYLMDB_MAP_LOCK_FILE:
            return _is_empty(self._options.lock_path)
        if code in (lib.MDB_INVALID, lib.MDB_VERSION_MISMATCH):
            return Look(self._engine, self._options).head != self._head
        return code in (errno.ENOENT, errno.ESTALE)


def _lock_file_denied(options: Options, code: int) -> Error:
    what = f"open: the lock file {options.lock_name!r}"
    if code not in _DENIED:
        return error(what, code, _hint(code), f"{what} cannot be opened")
    does = "write" if os.path.lexists(options.lock_path) else "create"
    problem = f"this process has no permission to {does} it, which reading needs, too"
    return LockFileError(what, code, _TO_READ, f"{what} cannot be opened: {problem}")


def _unmapped(options: Options, is_data: bool, code: int) -> Error:
    name = repr(options.data_name if is_data else options.lock_name)
    if code == errno.ENOMEM and is_data:
        return no_addresses("open", options.max_map_size or options.map_size)
    problem = "mmap failed: the file system cannot map files, which LMDB needs"
    return _file_system(name, code, problem, "use another file system")


def _file_system(name: str, code: int, problem: str, hint: str) -> Error:
    what = f"open: {name}"
    if code in _REFUSALS:
        return FileSystemError(what, code, hint, f"{what}: {problem}")
    return error(what, code)


def check_existing(size: int, has_sums: bool, options: Options) -> None:
    """Raise if an environment that exists is not what the options say about a new one.

    :param size: its page size.
    :param has_sums: whether its pages have checksums.
    """
    if options.checksums and not has_sums:
        raise InvalidError(
            f"open: the pages of {options.given_path!r} have no checksums, but checksums=True asks"
            " for them",
            hint="leave checksums out; pylmdb.convert(checksums=True) writes a copy with them",
        )
    if options.page_size is not None and options.page_size != size:
        raise InvalidError(
            f"open: {options.given_path!r} has pages of {size} bytes, not page_size="
            f"{options.page_size}",
            hint="leave page_size out; pylmdb.convert() writes a copy with pages of another size",
        )


def needs_own_liblmdb(option: str) -> Error:
    """The exception for an option of a new file, in a build with the system's liblmdb."""
    return error(
        "open",
        errno.ENOSYS,
        f"leave {option} out",
        f"open: {option} is not available in a build with the system's liblmdb",
    )


def no_addresses(operation: str, size: int | None) -> Error:
    """The exception for a map that does not fit into the addresses of this process."""
    given = f"for a map of {size} bytes" if size else "for the map"
    return error(
        operation,
        errno.ENOMEM,
        "choose a smaller map_size= or max_map_size=, or end what uses memory (see ulimit -v)",
        f"{operation}: this process has no room {given} among its addresses",
    )


def cut_short(options: Options, engine: Engine) -> Error | None:
    """The exception for a data file that lacks pages at its end; None if it has all."""
    sizes = _in_data_file(
        options, lambda fd: (os.fstat(fd).st_size, int(engine.lib.pylmdb_claimed_size(fd)))
    )
    if sizes is None or sizes[0] >= sizes[1]:
        return None
    problem = f"was cut short: it has {counted(sizes[0], 'byte')} of {sizes[1]}"
    return _damaged_file(options, engine, problem)


def damaged_meta(options: Options, engine: Engine) -> Error | None:
    """The exception for a data file with checksums, one of whose meta pages has a wrong one;
    None if it is not such a file."""
    page = _in_data_file(options, lambda fd: int(engine.lib.pylmdb_damaged_meta(fd)))
    if page is None or page < 0:
        return None
    return _damaged_file(options, engine, f"is damaged: page {page} has a wrong checksum")


def _in_data_file(options: Options, read: Callable[[int], _Found]) -> _Found | None:
    """Return what a function finds in the data file; None if the file cannot be opened."""
    file = Descriptor()
    with file, file:
        try:
            fd = file.open(options.data_path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError:
            return None
        return read(fd)


def _damaged_file(options: Options, engine: Engine, problem: str) -> Error:
    what = f"open: {options.data_name!r} {problem}"
    return CorruptedError("mdb_env_open", engine.lib.MDB_CORRUPTED, DAMAGED_HINT, what)


def _hint(code: int) -> str:
    return _REGULAR if code in (errno.ELOOP, errno.ENXIO) else ""


def _is_empty(path: bytes) -> bool:
    try:
        return not os.stat(path).st_size
    except OSError:
        return False
