# SPDX-License-Identifier: MIT
"""The compiled engines: one extension module per LMDB release line.

An engine is liblmdb 0.9 (data format 1) or liblmdb 1.0 (data format 3).  A package that was built
against the system's liblmdb has that as its only engine.  Only this file imports the extension
modules and knows how many there are; the code above it is the same for all engines.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock

from ._typing import TYPE_CHECKING
from ._which_core import NAME, check_version, compiled, join
from .errors import Error, InvalidError, VersionMismatchError, error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ._aliases import CData
    from ._shared.environment import SharedEnv
    from ._slow_paths import SlowPaths

_MAGIC = (0xBEEFC0DE).to_bytes(4, sys.byteorder)
_FORMATS = {0: 1, 1: 3}
_INVALID = -30793
_MODULES = ("_lmdb09", "_lmdb10", "_lmdbsys")


class Engine:
    """One liblmdb: ``ffi`` and ``lib`` of cffi, and the table by which the core calls it."""

    # The C types of the objects that own views and reserved memory; None without a compiled core
    # (PyPy).
    exporter_class: type[Any] | None = getattr(compiled, "Exporter", None)
    lease_class: type[Any] | None = getattr(compiled, "Lease", None)

    def __init__(self, module: CData) -> None:
        self.ffi = module.ffi
        self.lib = module.lib
        self.version: tuple[int, int, int] = (
            self.lib.MDB_VERSION_MAJOR,
            self.lib.MDB_VERSION_MINOR,
            self.lib.MDB_VERSION_PATCH,
        )
        self.data_format = _FORMATS[self.version[0]]
        self.hardened = bool(self.lib.pylmdb_has_shim())
        # The C core calls the functions in this table, and methods of ``slow`` when it must wait.
        self.table = int(self.ffi.cast("uintptr_t", self.lib.pylmdb_engine_table()))
        self.slow = _slow_paths(self.ffi) if NAME == "c" else None
        join(self.table)
        self.ffi.def_extern(name="pylmdb_on_reader_line")(self._on_reader_line)

    def _on_reader_line(self, line: CData, context: CData) -> int:
        self.ffi.from_handle(context).append(self.ffi.string(line).decode("ascii", "replace"))
        return 0

    def reader_text(self, shared: SharedEnv) -> str:
        """The reader table of ``shared``, an environment, as text (``mdb_reader_list``)."""
        lines: list[str] = []
        context = self.ffi.new_handle(lines)
        shared.call(
            "mdb_reader_list", self.lib.pylmdb_reader_list, self.lib.pylmdb_on_reader_line, context
        )
        return "".join(lines)


def _slow_paths(ffi: CData) -> SlowPaths:
    from ._slow_paths import SlowPaths  # what it imports is not on PyPy, which has no C core

    return SlowPaths(ffi, compiled.end_thread)


def _compiled(name: str) -> CData:
    """Import a compiled module; None if it was not built.

    The import statements name the modules one by one, so that tools such as PyInstaller find them,
    and ``_cffi_backend``, which cffi's compiled code imports.  A checkout that was not compiled
    has none of them, and type checkers cannot read them.
    """
    import _cffi_backend  # noqa: F401

    try:
        if name == "_lmdb09":
            import pylmdb._lmdb09 as module  # pyright: ignore[reportMissingImports]
        elif name == "_lmdb10":
            import pylmdb._lmdb10 as module  # pyright: ignore[reportMissingImports]
        else:
            import pylmdb._lmdbsys as module  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        if error.name != f"pylmdb.{name}":
            raise
        return None
    check_version(name, module.ffi.string(module.lib.PYLMDB_VERSION_STRING).decode())
    return module


# taken while a compiled module is imported and its engine is made
_lock = RLock()
# by the name of the module; None if it was not built
_engines: dict[str, Engine | None] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def engines() -> list[Engine]:
    """All engines that are built in; the first one is that for new files."""
    return list(_each_engine())


def _each_engine() -> Iterator[Engine]:
    """Yield the engines one by one, because most programs need only the first."""
    for name in _MODULES:
        if name not in _engines:
            _make_engine(name)
        engine = _engines[name]
        if engine is not None:
            yield engine


def _make_engine(name: str) -> None:
    with _lock:
        if name in _engines:
            return
        module = _compiled(name)
        _engines[name] = None if module is None else Engine(module)


def of_major(major: int) -> Engine:
    """The engine of an LMDB major version (0 or 1)."""
    for engine in _each_engine():
        if engine.version[0] == major:
            return engine
    raise Error(
        f"lib_version={major}: this build has no LMDB {major}.x engine",
        hint="built in are " + ", ".join(".".join(map(str, e.version)) for e in engines()),
    )


def default() -> Engine:
    """The engine for new files: 0.9, whose format every LMDB program reads."""
    engine = _engines.get(_MODULES[0])
    if engine is not None:
        return engine
    for engine in _each_engine():
        return engine
    raise ImportError("pylmdb has no compiled engine; install it with pip")


def choose(
    head: bytes, lib_version: int | None, new_version: int | None, given_path: str
) -> Engine:
    """The engine for a file.

    :param head: the first bytes of the file.  They tell its format.  They are empty for a new file,
        and can be zeros if creating the file was interrupted.
    :param lib_version: the major version that the file must have; None for any.
    :param new_version: the major version of a new file; None for the default.
    :raises InvalidError: the file is not an LMDB file, or has another format than ``lib_version``.
    :raises VersionMismatchError: no engine that is built in reads its format.
    """
    wanted = None if lib_version is None else of_major(lib_version)
    data_format = _format_in(head)
    foreign = _why_foreign(head)
    if foreign or (data_format is None and head.strip(b"\0")):
        hint = (
            "dump it there with `pylmdb dump`, and load that here" if foreign else "check the path"
        )
        problem = f"open: {given_path!r} {foreign or 'is not an LMDB file'}"
        raise error(f"open: {given_path!r}", _INVALID, hint, problem)
    if data_format is None:
        return default() if new_version is None else of_major(new_version)
    if wanted is not None and wanted.data_format != data_format:
        raise InvalidError(
            f"open: {given_path!r} has LMDB data format v{data_format},"
            f" but lib_version={lib_version} means v{wanted.data_format}",
            hint="leave lib_version out, so that the file's own format decides",
        )
    for engine in _each_engine():
        if engine.data_format == data_format:
            return engine
    known = ", ".join(f"v{engine.data_format}" for engine in engines())
    raise VersionMismatchError(
        f"open: {given_path!r} has LMDB data format v{data_format}; this build reads {known}",
        hint="no released LMDB writes format v2" if data_format == 2 else "",
    )


def _why_foreign(head: bytes) -> str:
    """Return why a file of another kind of machine cannot be read here; "" for all other files.

    The magic number follows the header of the first page.  That has 16 bytes in format 1 and 24 in
    format 3; 12 and 16 if a 32-bit program has written the file.
    """
    if any(head.startswith(_MAGIC[::-1], at) for at in (12, 16, 24)):
        other = "big" if sys.byteorder == "little" else "little"
        return (
            f"was written on a {other}-endian machine, and this one is {sys.byteorder}-endian;"
            " LMDB files have the byte order of their machine"
        )
    narrow = head.startswith(_MAGIC, 12) or (head.startswith(_MAGIC, 16) and _format_in(head) == 3)
    if narrow and sys.maxsize > 1 << 32:
        return "was written by a 32-bit program, and this one has 64 bits; their files differ"
    return ""


def _format_in(head: bytes) -> int | None:
    """The format number, which follows the magic number of the first page; None without a magic
    number.

    The magic number is at byte 16 in format 1 and at byte 24 in format 3.
    """
    _, _, rest = head.partition(_MAGIC)
    return int.from_bytes(rest[:4], sys.byteorder) if len(rest) >= 4 else None
