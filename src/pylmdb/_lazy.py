# SPDX-License-Identifier: MIT
"""Names of the package that are imported when somebody asks for them, because that costs
time which most programs can spare."""

from __future__ import annotations

import sys

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_PACKAGE = __name__.rpartition(".")[0]
# which module has the name; None if the name is that of the module
_HOMES = {
    "Map": "mapping",
    "aio": None,
    "arrays": None,
    "convert": "tools",
    "datasets": None,
    "dump": "tools",
    "load": "tools",
    "lowlevel": None,
    "mapping": None,
    "merge": "tools",
    "tools": None,
    "verify": None,
    "writer": None,
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}")
    home = _HOMES[name]
    module = __import__(f"{_PACKAGE}.{home or name}", fromlist=[""])
    if home is None:
        return module
    value = getattr(module, name)
    setattr(sys.modules[_PACKAGE], name, value)
    return value
