# SPDX-License-Identifier: MIT
"""Names of the package that are imported at their first use, because most programs do not need
them."""

from __future__ import annotations

import sys

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

_TOOLS = {"convert", "dump", "load", "merge"}


def __getattr__(name: str) -> object:
    if name == "Map":
        module = _module("mapping")
    elif name in _TOOLS:
        module = _module("tools")
    else:
        return _module(name)
    value = getattr(module, name)
    setattr(sys.modules[__package__], name, value)
    return value


def _module(name: str) -> ModuleType:
    """Import a module of the package, by statements that tools such as PyInstaller find.

    ``from . import aio`` would look the name up in the package first, which calls this function.
    """
    if name == "aio":
        from .aio import __name__ as full
    elif name == "arrays":
        from .arrays import __name__ as full
    elif name == "datasets":
        from .datasets import __name__ as full
    elif name == "lowlevel":
        from .lowlevel import __name__ as full
    elif name == "mapping":
        from .mapping import __name__ as full
    elif name == "tools":
        from .tools import __name__ as full
    elif name == "verify":
        from .verify import __name__ as full
    elif name == "writer":
        from .writer import __name__ as full
    else:
        raise AttributeError(f"module {__package__!r} has no attribute {name!r}")
    return sys.modules[full]
