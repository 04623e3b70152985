# SPDX-License-Identifier: MIT
"""The options of ``pylmdb.open``, checked.  Pickles have them, and reopening uses them."""

from __future__ import annotations

import errno
import os
import stat

from .._base.integers import BYTES, PAGE_BYTES, integer
from .._core_rules.system_errors import require_path
from .._typing import TYPE_CHECKING
from ..errors import error

if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

    from .temporary import TemporaryDirectory

DEFAULT_MAX_DBS = 128
# slots beyond max_dbs, for dropped databases that a transaction still sees
SPARE_SLOTS = 8
_INT_LIMIT = 2**31 - 1
# the integers, each with its greatest value; a page size is checked with the format
_LIMITS = {
    "map_size": 2**63 - 1, "max_map_size": 2**63 - 1, "max_readers": _INT_LIMIT,
    "max_dbs": _INT_LIMIT, "max_spare_txns": _INT_LIMIT, "lib_version": _INT_LIMIT,
    "mode": _INT_LIMIT, "page_size": None,
}  # fmt: skip
_MEANS = {"map_size": BYTES, "max_map_size": BYTES, "page_size": PAGE_BYTES}
_MAY_BE_NONE = ("map_size", "max_map_size", "max_dbs", "lib_version", "page_size")
# The smallest and the largest page of each format.  With 0.9 a key has up to 511 bytes whatever the
# page size is, and a page must have room for two of them.
_PAGE_SIZES = {0: (2048, 32768), 1: (512, 65536)}
_SWITCHES = (
    "readonly", "metasync", "sync", "map_async", "create", "readahead", "writemap", "meminit",
    "lock", "guard", "checksums",
)  # fmt: skip


class Options:
    """The arguments of ``pylmdb.open``, checked; ``path`` is absolute."""

    path: bytes
    given_path: str
    map_size: int | None
    max_map_size: int | None
    subdir: bool
    readonly: bool
    metasync: bool
    sync: bool
    map_async: bool
    mode: int
    create: bool
    readahead: bool
    writemap: bool
    meminit: bool
    max_readers: int
    max_dbs: int | None
    # what is used at first if max_dbs is None
    first_max_dbs: int = DEFAULT_MAX_DBS
    max_spare_txns: int
    lock: bool
    guard: bool
    lib_version: int | None
    # the major version for a new file; None for the default
    new_version: int | None
    # of a new file; None for the system's
    page_size: int | None
    # of a new file
    checksums: bool
    # of a temporary environment
    temporary: TemporaryDirectory | None

    # the data file, and the lock file, which has the reader table
    data_path: bytes
    lock_path: bytes

    def __init__(self, fields: dict[str, Any]) -> None:
        self.__dict__ = fields
        self.data_path = data_path(self.path, self.subdir)
        self.lock_path = self.path + (b"/lock.mdb" if self.subdir else b"-lock")

    @property
    def data_name(self) -> str:
        """The path of the data file for messages: relative if the given path is."""
        given = self.given_path
        return os.path.join(given, "data.mdb") if self.subdir else given

    @property
    def lock_name(self) -> str:
        """The path of the lock file for messages."""
        given = self.given_path
        return os.path.join(given, "lock.mdb") if self.subdir else given + "-lock"

    def replaced(self, **fields: object) -> Options:
        """These options with other values for some."""
        return Options({**self.__dict__, **fields})


def make_options(
    path: str | bytes | PathLike[str] | PathLike[bytes], subdir: bool | None, **given: Any
) -> Options:
    """Options from the arguments of ``open``.

    :raises TypeError: a value has the wrong type.
    :raises ValueError: the path has a NUL character, or the sizes contradict each other.
    :raises OverflowError: a number is out of range.
    """
    absolute, given_path, subdir = locate(path, subdir)
    for field, limit in _LIMITS.items():
        value = given[field]
        if value is None and field in _MAY_BE_NONE:
            continue
        if type(value) is not int or (limit is not None and not 0 <= value <= limit):
            given[field] = checked_integer(field, given[field])
    given.update(zip(_SWITCHES, map(bool, map(given.__getitem__, _SWITCHES)), strict=True))
    size, most = given["map_size"], given["max_map_size"]
    if most is not None and most < (size or 1):
        least = f"map_size={size}" if size else 1
        raise ValueError(f"max_map_size={most} must be at least {least}")
    given["new_version"] = _version_of_new_file(
        given["lib_version"], given["page_size"], given["checksums"]
    )
    if given["checksums"] and given["writemap"]:
        raise ValueError("checksums=True and writemap=True exclude each other")
    if given["readonly"]:
        given["writemap"] = False  # as in liblmdb
    given.update(path=absolute, given_path=given_path, subdir=subdir)
    return Options(given)


def nearest_page_size(version: int, page_size: int) -> int:
    """The page size that a new file of a major version can have and that is nearest to another
    file's."""
    least, most = _PAGE_SIZES[version]
    return min(max(page_size, least), most)


def _version_of_new_file(
    lib_version: int | None, page_size: int | None, checksums: bool
) -> int | None:
    """The major version of a new file: the one asked for, or the one that can have the rest;
    None for the default."""
    if checksums and lib_version == 0:
        raise ValueError("checksums=True needs the format of LMDB 1.0, but lib_version=0 means 0.9")
    if page_size is None:
        return 1 if checksums else lib_version
    least, most = _PAGE_SIZES[1]
    if page_size & (page_size - 1) or not least <= page_size <= most:
        raise ValueError(
            f"page_size must be a power of two from {least} to {most}, not {page_size}"
        )
    least, most = _PAGE_SIZES[0]
    if least <= page_size <= most:
        return 1 if checksums else lib_version
    if lib_version == 0:
        raise ValueError(
            f"page_size must be from {least} to {most} in the format of LMDB 0.9, not {page_size};"
            " lib_version=1 allows it"
        )
    return 1


def data_path(path: bytes, subdir: bool) -> bytes:
    """The path of the data file."""
    return path + b"/data.mdb" if subdir else path


def require_data_file(
    operation: str, path: str | bytes | PathLike[str] | PathLike[bytes], subdir: bool | None = None
) -> None:
    """Raise PathNotFoundError if the environment that an operation reads does not exist."""
    absolute, given, is_directory = locate(path, subdir)
    name = os.fsdecode(data_path(absolute, is_directory))
    require_path(operation, name if os.path.isdir(absolute) else given)


def locate(
    path: str | bytes | PathLike[str] | PathLike[bytes], subdir: bool | None
) -> tuple[bytes, str, bool]:
    """Find out where an environment is.

    :param subdir: None if an existing file decides.
    :return: its absolute path; the path as it was given; whether it is a directory that has the
        files.
    """
    name = os.fspath(path)
    if isinstance(name, str):
        given_path, raw = name, os.fsencode(name)
    else:
        given_path, raw = os.fsdecode(name), name
    if b"\0" in raw:
        raise ValueError(f"path must not contain a NUL character: {given_path!r}")
    refuse_empty_path("open", raw)
    absolute = raw if os.path.isabs(raw) else os.path.join(os.getcwdb(), raw)
    if subdir is None:  # asking for a name takes a third of the time of asking what it names
        subdir = os.access(data_path(absolute, True), os.F_OK) or not _is_file(absolute)
    return absolute, given_path, bool(subdir)


def refuse_empty_path(operation: str, path: bytes) -> None:
    """Raise PathNotFoundError if the path of an environment is empty."""
    if not path:
        problem = f"{operation}: the path of an environment must not be empty"
        raise error(operation, errno.ENOENT, problem=problem)


def _is_file(path: bytes) -> bool:
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False


def checked_integer(field: str, value: object) -> int | None:
    """Return an argument that is one of the integers of ``open``; None for ``lib_version=-1``.

    :raises TypeError: it is not an integer.
    :raises OverflowError: it is out of range.
    """
    number, limit = integer(field, value, _MEANS.get(field, "")), _LIMITS[field]
    if field == "lib_version" and number == -1:
        return None
    if limit is not None and not 0 <= number <= limit:
        raise OverflowError(f"{field} must be between 0 and {limit}, not {number}")
    return number
