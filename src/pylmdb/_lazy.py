# SPDX-License-Identifier: MIT
"""Names of the package that are imported when somebody asks for them, because that costs
time which most programs can spare."""

from __future__ import annotations

import sys

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_PACKAGE = __name__.rpartition(".")[0]
# which module has the name
_HOMES = {
    "Map": "mapping",
    "convert": "tools",
    "dump": "tools",
    "load": "tools",
    "merge": "tools",
    "verify": "tools",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}")
    module = __import__(f"{_PACKAGE}.{home}", fromlist=[name])
    value = getattr(module, name)
    setattr(sys.modules[_PACKAGE], name, value)
    return value
