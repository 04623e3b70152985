# SPDX-License-Identifier: MIT
"""Names of the package that are imported when a program asks for them, because that costs
time which most programs can spare."""

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
    """A module of the package, by statements that programs which freeze others can see.

    ``from . import aio`` would ask the package for the name first, and so this function.
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
