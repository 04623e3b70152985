# SPDX-License-Identifier: MIT
"""Names of the package that are imported at their first use, so that the import is fast; and
which names dir() and help() show.
"""

from __future__ import annotations

import sys
from sys import _getframe as _caller

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

_PACKAGE = __name__.rpartition(".")[0]
_TOOLS = {"backup_info", "bulk_load", "convert", "dump", "load", "merge", "restore", "salvage"}
_INSTALLED = {"build_info", "get_include", "lib_versions", "version"}
_MODULES = {"aio", "errors", "lowlevel", "types", "writer"}
_WITH_NUMPY = {"arrays", "datasets"}


class StarNames(list[str]):
    """The names of a star import.

    pydoc prints the whole help of each class and function that is ``in`` the ``__all__`` of a
    package, which would be 5,000 lines.  So pydoc, and nothing else, is told that none is, and
    prints the docstring.
    """

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return _caller(1).f_globals.get("__name__") != "pydoc" and super().__contains__(name)


star_names = StarNames(sys.modules[_PACKAGE].__all__)


def __dir__() -> list[str]:
    """Return the public names.  What needs numpy is among them if numpy is installed, because
    ``inspect.getmembers`` imports each of them."""
    names = {*star_names, *_TOOLS, *_MODULES, *_INSTALLED}
    names |= {"Map", "open", "verify", "version_info", "writer_process"}
    return sorted(names | _WITH_NUMPY if _has_numpy() else names)


def _has_numpy() -> bool:
    if "numpy" in sys.modules:
        return sys.modules["numpy"] is not None
    return any(finder.find_spec("numpy", None) for finder in sys.meta_path)


def __getattr__(name: str) -> object:
    if name == "Map":
        module = _import_module("mapping")
    elif name == "writer_process":
        module = _import_module("writer.process")
    elif name in _TOOLS:
        module = _import_module("tools")
    elif name in _INSTALLED:
        module = _import_module("_environment.version")
    elif name in star_names:  # the others are imported already
        module = _import_module("errors")
    else:
        return _import_module(name)
    value = getattr(module, name)
    setattr(sys.modules[_PACKAGE], name, value)
    return value


def _import_module(name: str) -> ModuleType:
    """Import a module of the package and return it.

    The statements name the modules, so that tools such as PyInstaller find them.
    ``from . import aio`` would ask the package for the name first, which calls this function
    again.
    """
    if name == "aio":
        from .aio import __name__ as module_name
    elif name == "arrays":
        from .arrays import __name__ as module_name
    elif name == "datasets":
        from .datasets import __name__ as module_name
    elif name == "errors":
        from .errors import __name__ as module_name
    elif name == "lowlevel":
        from .lowlevel import __name__ as module_name
    elif name == "mapping":
        from .mapping import __name__ as module_name
    elif name == "tools":
        from .tools import __name__ as module_name
    elif name == "types":
        from .types import __name__ as module_name
    elif name == "verify":
        from .verify import __name__ as module_name
    elif name == "writer":
        from .writer import __name__ as module_name
    elif name == "writer.process":
        from .writer.process import __name__ as module_name
    elif name == "_environment.version":
        from ._environment.version import __name__ as module_name
    else:
        raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}")
    return sys.modules[module_name]
