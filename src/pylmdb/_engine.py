# SPDX-License-Identifier: MIT
"""The compiled engines: one extension module per LMDB release line.

Only this file imports compiled extensions and knows how many there are.  An
engine is liblmdb 0.9 (data format 1), liblmdb 1.0 (data format 3), or, where the
package was built so, the system's liblmdb as the only one.  Above it the same
code serves them all.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import struct
import sys
from typing import Any

from . import _core_cffi_shared
from ._core_c import Slow
from ._shared_env import SharedEnv
from ._version import __version__
from .cursor import Cursor
from .errors import Error, InvalidError, VersionMismatchError
from .transaction import Transaction

_MAGIC = 0xBEEFC0DE
_FORMATS = {0: 1, 1: 3}
_MODULES = ("_lmdb09", "_lmdb10", "_lmdbsys")


class Engine:
    """One liblmdb with one core: ``ffi`` and ``lib`` of cffi, and the classes on them."""

    def __init__(self, module: Any, core: Any, native: Any) -> None:
        # the C type behind views; None where there is none
        self.exporter_class: Any = getattr(native, "Exporter", None)
        self.slot_class: Any = core.DbSlot
        self.ffi = module.ffi
        self.lib = module.lib
        self.version: tuple[int, int, int] = (
            self.lib.MDB_VERSION_MAJOR,
            self.lib.MDB_VERSION_MINOR,
            self.lib.MDB_VERSION_PATCH,
        )
        self.data_format = _FORMATS[self.version[0]]
        self.hardened = bool(self.lib.pylmdb_has_shim())
        self._classes: dict[type, type] = {}
        self._cores: dict[type, type] = {
            Transaction: _bind(core.TransactionCore, self),
            Cursor: _bind(core.CursorCore, self),
        }
        self.transaction_class = self.concrete(Transaction)
        self.cursor_class = self.concrete(Cursor)
        self.shared_class: Any = type("SharedEnv", (core.SharedCore, SharedEnv), {})
        if core is native:
            classes = self.transaction_class, self.cursor_class, EnvironmentCore
            core.bind(*classes, Slow(self.ffi, core))

        self.ffi.def_extern(name="pylmdb_on_reader_line")(self._on_reader_line)

    def _on_reader_line(self, line: Any, context: Any) -> int:
        self.ffi.from_handle(context).append(self.ffi.string(line).decode("ascii", "replace"))
        return 0

    def reader_text(self, shared: Any) -> str:
        """The reader table of an environment as text (``mdb_reader_list``)."""
        lines: list[str] = []
        context = self.ffi.new_handle(lines)
        shared.call(
            "mdb_reader_list", self.lib.mdb_reader_list, self.lib.pylmdb_on_reader_line, context
        )
        return "".join(lines)

    def concrete(self, cls: type) -> Any:
        """The class that joins ``cls`` (Transaction, Cursor or a subclass of one)
        with this engine's core.  The core comes before the public class, which
        documents it, and after the user's, which may override it."""
        found = self._classes.get(cls)
        if found is None:
            public = Transaction if issubclass(cls, Transaction) else Cursor
            bases = (self._cores[cls], cls) if cls is public else (cls, self.concrete(public))
            body = {"__slots__": (), "__module__": cls.__module__, "__doc__": cls.__doc__}
            found = self._classes[cls] = type(cls.__name__, bases, body)
            found.__qualname__ = cls.__qualname__
        return found


def _load_core(module: Any) -> Any:
    """The second module in an engine's shared object; None where there is none (PyPy)."""
    if sys.implementation.name != "cpython":
        return None
    loader = importlib.machinery.ExtensionFileLoader("pylmdb._core", module.__file__)
    spec = importlib.machinery.ModuleSpec("pylmdb._core", loader, origin=module.__file__)
    core = importlib.util.module_from_spec(spec)
    loader.exec_module(core)
    return core


def _bind(core: type, engine: Engine) -> type:
    body = {"__slots__": (), "_engine": engine, "_lib": engine.lib, "_ffi": engine.ffi}
    return type(core.__name__, (core,), body)


def _load() -> list[tuple[Any, Any]]:
    """Each compiled module, and the C core in it."""
    modules = []
    for name in _MODULES:
        try:
            module = importlib.import_module(f"pylmdb.{name}")
        except ModuleNotFoundError:
            continue
        built = module.ffi.string(module.lib.PYLMDB_VERSION_STRING).decode()
        if built != __version__:
            raise ImportError(
                f"pylmdb.{name} was compiled for pylmdb {built}, but this is {__version__};"
                " install pylmdb again"
            )
        modules.append((module, _load_core(module)))
    if not modules:
        raise ImportError("pylmdb has no compiled engine; install it with pip")
    return modules


_modules = _load()
_native = _modules[0][1]
_by_core: dict[str, list[Engine]] = {}
EnvironmentCore: Any = (_native or _core_cffi_shared).EnvironmentCore


def engines() -> list[Engine]:
    """The engines, with the C core where there is one, or with that which the
    environment variable PYLMDB_CORE names: ``c`` or ``cffi``."""
    wanted = os.environ.get("PYLMDB_CORE") or ("cffi" if _native is None else "c")
    found = _by_core.get(wanted)
    if found is None:
        found = _by_core[wanted] = _make_engines(wanted)
    return found


def _make_engines(core: str) -> list[Engine]:
    if core == "cffi":
        from . import _core_cffi_all

        return [Engine(module, _core_cffi_all, native) for module, native in _modules]
    if core == "c" and _native is not None:
        return [Engine(module, native, native) for module, native in _modules]
    raise Error(
        f"PYLMDB_CORE={core}: there is no such core here",
        hint="it can be " + ("cffi" if _native is None else "c or cffi"),
    )


def of_major(major: int) -> Engine:
    """The engine of an LMDB major version (0 or 1)."""
    for engine in engines():
        if engine.version[0] == major:
            return engine
    raise Error(
        f"lib_version={major}: this build has no LMDB {major}.x engine",
        hint="built in are " + ", ".join(".".join(map(str, e.version)) for e in engines()),
    )


def default() -> Engine:
    """The engine for new files: 0.9, whose format every LMDB program reads."""
    return engines()[0]


def choose(data_path: bytes, lib_version: int | None, given_path: str) -> Engine:
    """The engine for a file: that of its format, and for a new one the one wanted."""
    wanted = None if lib_version is None else of_major(lib_version)
    data_format = _read_format(data_path)
    if data_format is None:
        return wanted or default()
    if wanted is not None and wanted.data_format != data_format:
        raise InvalidError(
            f"open: {given_path!r} has LMDB data format v{data_format},"
            f" but lib_version={lib_version} means v{wanted.data_format}",
            hint="leave lib_version out, so that the file's own format decides",
        )
    for engine in engines():
        if engine.data_format == data_format:
            return engine
    known = ", ".join(f"v{engine.data_format}" for engine in engines())
    raise VersionMismatchError(
        f"open: {given_path!r} has LMDB data format v{data_format}; this build reads {known}",
        hint="no released LMDB writes format v2" if data_format == 2 else "",
    )


def _read_format(data_path: bytes) -> int | None:
    """The format number behind the magic of the first page; None for no file.

    The magic stands at byte 16 in format 1 and at byte 24 in format 3.
    """
    try:
        with open(data_path, "rb") as file:
            head = file.read(64)
    except OSError:
        return None
    for offset in range(0, len(head) - 7, 4):
        magic, data_format = struct.unpack_from("=II", head, offset)
        if magic == _MAGIC:
            return int(data_format)
    return None
