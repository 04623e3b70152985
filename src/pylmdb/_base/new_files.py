# SPDX-License-Identifier: MIT
"""New files: temporary names, permissions, and atomic replacement.

A file that must appear whole, or replace another one, is written under a temporary name in the
directory of its final name.  The temporary name is random and the file is created exclusively
(``O_EXCL``), so no other user can put a file or a link there beforehand.

**Leftovers.**  While a process writes a temporary file it holds a ``flock`` on it.  The system
releases that lock however the process ends.  The next process that creates a file for the same
final name removes the temporary files that are not locked and belong to its own user.  Process
numbers in the names would not be enough: they are used again, and two containers can have the same
numbers.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from .fsync import flush, fsync_path
from .owners import Descriptor, Owner
from .temporary_names import DIGITS, INFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from typing_extensions import Buffer

    Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]

# bytes of the final name that are kept, so that the temporary one is not too long on any system
_LONGEST = 200
_DATA = b"/data.mdb"
# errors of the system if a file system has no hard links
_NO_LINK_ERRORS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def temporary_name(place: bytes) -> bytes:
    """Choose a temporary name for a file that gets the name ``place`` later; no file is created.

    Temporary files that killed processes have left there for ``place`` are removed.
    """
    prefix = _prefix(place)
    _remove_leftovers(prefix)
    return prefix + os.urandom(DIGITS // 2).hex().encode()


class Temporary(Owner):
    """Owns a new file, or the directory of a new environment, under a temporary name.  At its end
    what still has that name is removed.

    :param place: the final name.
    :ivar name: the temporary one.
    """

    __slots__ = ("_file", "_pid", "_place", "name")

    def __init__(self, place: bytes) -> None:
        self._file, self._pid, self._place = Descriptor(), os.getpid(), place
        self.name = temporary_name(place)

    @property
    def number(self) -> int | None:
        """The file's descriptor; None if the file was not created."""
        return self._file.number

    def make(self, mode: int) -> int:
        """Create the file, and lock it; returns its descriptor.

        :param mode: its permissions; the umask applies.
        """
        with _errors_name(self._place):
            _try_name(self._place)
            return _make(self._file, self.name, mode)

    def make_environment(self, subdir: bool, modes: tuple[int, int] | None) -> int:
        """Create the empty data file of an environment, and its directory.

        :param modes: the permissions of file and directory; None for the usual ones.
        :return: the file's descriptor, which has the lock.
        """
        with _errors_name(self._place):
            _try_name(self._place)
            return self._make_environment(subdir, modes)

    def _make_environment(self, subdir: bool, modes: tuple[int, int] | None) -> int:
        file_mode, folder_mode = modes or (0o644, 0o755)
        while True:
            if subdir:
                os.mkdir(self.name, folder_mode)
            try:
                if subdir and modes:
                    set_mode(self.name, folder_mode)
                fd = _make(self._file, self.name + _DATA if subdir else self.name, file_mode)
            except FileNotFoundError:
                if not subdir or os.path.lexists(self.name):
                    raise
                continue  # the directory was removed before it had a locked file
            if modes:
                set_mode(fd, file_mode)
            return fd

    @property
    def is_mine(self) -> bool:
        """False in a forked child: the file belongs to the parent."""
        return self._pid == os.getpid()

    def remove(self) -> None:
        """Remove the file or directory that has the temporary name."""
        if self.is_mine:
            remove(self.name)

    def end(self) -> None:
        """Remove it, and release the lock."""
        self.remove()
        self._file.end()


def _try_name(place: bytes) -> None:
    """Raise OSError if a file cannot have a name: it can be too long although the temporary one
    is not."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(place)


@contextmanager
def _errors_name(place: bytes) -> Iterator[None]:
    """A ``with`` block whose errors of the system name a file by its final name, which the user
    knows, and not by its temporary one."""
    try:
        yield
    except OSError as failure:
        raise OSError(failure.errno, failure.strerror, os.fsdecode(place)) from failure


def _make(file: Descriptor, name: bytes, mode: int) -> int:
    while True:
        fd = file.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with suppress(OSError):  # a file system without such locks: nothing is removed there
            fcntl.flock(fd, fcntl.LOCK_EX)
        if leads_to(name, fd):
            return fd
        file.end()  # it was removed before it was locked


def put_in_place(
    fd: int, name: bytes, place: bytes, mode: int | None = None, replace: bool = True
) -> None:
    """Rename a temporary file to its final name, and flush both to disk.  At every moment the name
    leads to the whole old file or to the whole new one.

    :param mode: the permissions of the file; None to keep those that it was created with.
    :param replace: False to raise FileExistsError if there is an old file.
    """
    if mode is not None:
        set_mode(fd, mode)
    flush(fd)
    with _errors_name(place):
        (os.replace if replace else rename_no_replace)(name, place)
    fsync_path(os.path.dirname(os.path.abspath(place)))


def rename_no_replace(old: bytes, new: bytes) -> None:
    """Give a file a new name by a hard link, which never replaces an existing file.

    The old name stays, and the caller removes it; without hard links the file is renamed.
    """
    try:
        os.link(old, new)
    except OSError as failure:
        if failure.errno not in _NO_LINK_ERRORS:
            raise
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from None
        os.rename(old, new)


def remove(name: bytes) -> None:
    """Remove the file or directory with a temporary name, and its lock file."""
    if os.path.isdir(name) and not os.path.islink(name):
        shutil.rmtree(name, ignore_errors=True)
    for path in (name + b"-lock", name):
        with suppress(OSError):
            os.unlink(path)


class NamedFile(io.FileIO):
    """A file whose errors of ``write()`` name it by its final name.

    :param file: a path or a descriptor.
    :param place: the final name.
    """

    def __init__(
        self, file: str | bytes | int, mode: str, place: bytes, closefd: bool = True
    ) -> None:
        super().__init__(file, mode, closefd)
        self._place = place

    def write(self, data: Buffer, /) -> int:
        """Write some of the bytes; returns how many."""
        with _errors_name(self._place):
            return super().write(data)


@contextmanager
def replacing(
    path: Path, refusal: Exception | None = None, mode: int | None = None
) -> Iterator[BinaryIO]:
    """A ``with`` block that writes a file.

    At the end of the block the file gets the name ``path``, and the permissions of the file that it
    replaces.  If the block raises, the new file is removed.

    :param refusal: the exception to raise if the file exists by then; None to replace it.
    :param mode: the permissions of a file that replaces none; None for the usual ones.
    """
    place = os.fsencode(path)
    if refusal is None:
        with suppress(FileNotFoundError):
            mode = os.stat(place).st_mode & 0o7777
    new = Temporary(place)
    with new, new:
        fd = new.make(0o666 if mode is None else 0o600)
        with io.BufferedRandom(NamedFile(fd, "w+b", place, closefd=False)) as file:
            yield file
            file.flush()
            try:
                put_in_place(fd, new.name, place, mode, refusal is None)
            except FileExistsError:
                raise refusal or AssertionError from None


def publish_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that it appears whole or not at all."""
    with replacing(path) as file:
        file.write(content)


# -- permissions --------------------------------------------------------------------------


def set_mode(file: int | bytes, mode: int) -> None:
    """Set the permissions of a new file.  On a file system without permissions it keeps those that
    it was created with, which are not wider."""
    with suppress(OSError):
        os.chmod(file, mode)


def mode_of_copy(data_file: bytes, subdir: bool) -> int:
    """The permissions of a copy of a data file in another directory.

    They are those of the file, without those that its own directory makes useless.  The owner can
    always read and write the copy.
    """
    mode = os.stat(data_file).st_mode & 0o666
    if subdir:
        mode &= (os.stat(os.path.dirname(data_file)).st_mode & 0o111) * 6
    return mode | 0o600


def modes_of_copy(sources: Iterable[tuple[bytes, bool]], subdir: bool) -> tuple[int, int]:
    """The permissions of the data file and the directory of an environment that is made of other
    environments: what all of these allow.

    :param sources: for each its data file, and whether it has a directory of its own.
    :param subdir: whether the new environment has one.
    """
    file_mode, folder_mode = 0o666, 0o777
    for data_file, has_folder in sources:
        if subdir and has_folder:
            file_mode &= os.stat(data_file).st_mode
            folder_mode &= os.stat(os.path.dirname(data_file)).st_mode
        else:
            mode = mode_of_copy(data_file, has_folder)
            file_mode &= mode
            folder_mode &= mode | (mode & 0o444) >> 2
    return file_mode | 0o600, folder_mode | 0o700


# -- leftovers ----------------------------------------------------------------------------


def _prefix(place: bytes) -> bytes:
    folder, name = os.path.split(place)
    return os.path.join(folder, name[:_LONGEST] + INFIX)


def _remove_leftovers(prefix: bytes) -> None:
    folder, start = os.path.split(prefix)
    pattern = re.compile(re.escape(start) + rb"[0-9a-f]{%d}" % DIGITS)
    with suppress(OSError):
        for name in os.listdir(folder or b"."):
            if pattern.fullmatch(name):
                _remove_if_left(os.path.join(folder, name))


def _remove_if_left(name: bytes) -> None:
    """Remove a temporary file or directory, unless a process is writing it."""
    try:
        found = os.lstat(name)
        if found.st_uid != os.geteuid():
            return
        is_folder = os.path.isdir(name) and not os.path.islink(name)
        data_file, file = name + _DATA if is_folder else name, Descriptor()
        with file, file:
            fd = file.open(data_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(name)
    except FileNotFoundError:
        with suppress(OSError):
            os.rmdir(name)  # its process was killed before it created the file
    except OSError:
        return


def leads_to(name: bytes, fd: int) -> bool:
    """Whether a name leads to an open file."""
    try:
        return os.path.samestat(os.lstat(name), os.fstat(fd))
    except FileNotFoundError:
        return False
