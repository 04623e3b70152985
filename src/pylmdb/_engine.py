# SPDX-License-Identifier: MIT
"""The compiled engines: one extension module per LMDB release line.

Only this file imports compiled extensions and knows how many there are.  An
engine is liblmdb 0.9 (data format 1), liblmdb 1.0 (data format 3), or, where the
package was built so, the system's liblmdb as the only one.  Above it the same
code serves them all.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock
from importlib.machinery import ExtensionFileLoader, ModuleSpec

from ._core_c import Slow
from ._shared_env import SharedEnv
from ._typing import TYPE_CHECKING
from ._version import __version__
from .cursor import Cursor
from .errors import Error, InvalidError, VersionMismatchError
from .transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# how much of a data file tells its format
HEAD_SIZE = 64
_MAGIC = (0xBEEFC0DE).to_bytes(4, sys.byteorder)
_FORMATS = {0: 1, 1: 3}
_MODULES = ("_lmdb09", "_lmdb10", "_lmdbsys")


class Engine:
    """One liblmdb with one core: ``ffi`` and ``lib`` of cffi, and the classes on them."""

    def __init__(self, module: Any, core: Any, native: Any) -> None:
        # the C type behind views; None where there is none
        self.exporter_class: Any = getattr(native, "Exporter", None)
        # and of memory that is lent for writing
        self.lease_class: Any = getattr(native, "Lease", None)
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


def _bind(core: type, engine: Engine) -> type:
    body = {"__slots__": (), "_engine": engine, "_lib": engine.lib, "_ffi": engine.ffi}
    return type(core.__name__, (core,), body)


def _compiled(name: str) -> Any:
    """A compiled module; None where it was not built."""
    try:
        module = __import__(f"pylmdb.{name}", fromlist=["lib"])
    except ModuleNotFoundError:
        return None
    built = module.ffi.string(module.lib.PYLMDB_VERSION_STRING).decode()
    if built != __version__:
        raise ImportError(
            f"pylmdb.{name} was compiled for pylmdb {built}, but this is {__version__};"
            " install pylmdb again"
        )
    return module


def _core_in(module: Any) -> Any:
    """The second module in an engine's shared object; None where there is none (PyPy)."""
    if sys.implementation.name != "cpython":
        return None
    core = _cores.get(module.__name__)
    if core is None:
        loader = ExtensionFileLoader("pylmdb._core", module.__file__)
        spec = ModuleSpec("pylmdb._core", loader, origin=module.__file__)
        core = loader.create_module(spec)
        core.__spec__, core.__loader__ = spec, loader
        loader.exec_module(core)
        _cores[module.__name__] = core
    return core


def _load() -> Any:
    """The C core in the first compiled module, which every program needs."""
    for name in _MODULES:
        module = _compiled(name)
        if module is not None:
            return _core_in(module)
    raise ImportError("pylmdb has no compiled engine; install it with pip")


# held while a compiled module is loaded or an engine is made of it
_lock = RLock()
_cores: dict[str, Any] = {}
# by name of the core and of the module; None where there is no such module
_engines: dict[tuple[str, str], Engine | None] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )

_native = _load()
if TYPE_CHECKING:
    EnvironmentCore: Any
elif _native is not None:
    EnvironmentCore = _native.EnvironmentCore
else:
    from ._core_cffi_shared import EnvironmentCore


def engines() -> list[Engine]:
    """The engines, with the C core where there is one, or with that which the
    environment variable PYLMDB_CORE names: ``c`` or ``cffi``."""
    return list(_each_engine())


def _each_engine() -> Iterator[Engine]:
    """The same one by one: few programs need more than the first."""
    core = os.environ.get("PYLMDB_CORE") or ("cffi" if _native is None else "c")
    if core != "cffi" and (core != "c" or _native is None):
        raise Error(
            f"PYLMDB_CORE={core}: there is no such core here",
            hint="it can be " + ("cffi" if _native is None else "c or cffi"),
        )
    for name in _MODULES:
        if (core, name) not in _engines:
            _make_engine(core, name)
        engine = _engines[core, name]
        if engine is not None:
            yield engine


def _make_engine(core: str, name: str) -> None:
    with _lock:
        if (core, name) in _engines:
            return
        module, engine = _compiled(name), None
        if module is not None:
            native = _core_in(module)
            if core == "c":
                chosen = native
            else:
                from . import _core_cffi_all as chosen
            engine = Engine(module, chosen, native)
        _engines[core, name] = engine


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
    return next(_each_engine())


def version(subpatch: bool = False, lib_version: int | None = None) -> tuple[int, ...]:
    """The version of a built-in liblmdb, as (major, minor, patch).

    :param subpatch: True to append 1 if it is hardened beyond its release, else 0.
    :param lib_version: 0 for the 0.9 engine, 1 for the 1.0 one; by default the
        one that makes new files.
    """
    if lib_version is None or lib_version == -1:
        engine = default()
    else:
        if lib_version < 0:
            raise OverflowError(f"lib_version must be 0 or 1, not {lib_version}")
        engine = of_major(lib_version)
    return (*engine.version, int(engine.hardened)) if subpatch else engine.version


def choose(head: bytes, lib_version: int | None, given_path: str) -> Engine:
    """The engine for a file that begins with ``head``: that of its format, and for a
    new one, whose head is empty, the one wanted."""
    wanted = None if lib_version is None else of_major(lib_version)
    data_format = _format_in(head)
    if data_format is None:
        return wanted or default()
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


def _format_in(head: bytes) -> int | None:
    """The format number behind the magic of the first page; None if there is no magic.

    The magic stands at byte 16 in format 1 and at byte 24 in format 3.
    """
    _, _, rest = head.partition(_MAGIC)
    return int.from_bytes(rest[:4], sys.byteorder) if len(rest) >= 4 else None
