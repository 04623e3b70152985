# SPDX-License-Identifier: MIT
"""Names of the package that are imported when somebody asks for them, because that costs
time which most programs can spare."""

from __future__ import annotations

import sys

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_TOOLS = {"convert", "dump", "load", "merge", "verify"}


def __getattr__(name: str) -> Any:
    module: Any
    if name == "Map":
        from . import mapping as module
    elif name in _TOOLS:
        from . import tools as module
    else:
        raise AttributeError(f"module {__package__!r} has no attribute {name!r}")
    value = getattr(module, name)
    setattr(sys.modules[__package__], name, value)
    return value
