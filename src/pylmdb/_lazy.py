# SPDX-License-Identifier: MIT
"""Names of the package that are imported when somebody asks for them, because that costs
time which most programs can spare."""

from __future__ import annotations

import sys

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

# the module of the package that has each
_MODULES = {
    "Map": "mapping",
    "verify": "tools.verification",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'pylmdb' has no attribute {name!r}")
    package = __name__.rpartition(".")[0]
    value = getattr(__import__(f"{package}.{_MODULES[name]}", fromlist=[name]), name)
    setattr(sys.modules[package], name, value)
    return value
