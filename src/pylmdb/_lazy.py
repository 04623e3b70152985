# SPDX-License-Identifier: MIT
"""Names of the package that are imported when somebody asks for them, because that costs
time which most programs can spare."""

from __future__ import annotations

import sys

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def __getattr__(name: str) -> Any:
    if name != "Map":
        raise AttributeError(f"module 'pylmdb' has no attribute {name!r}")
    from .mapping import Map

    setattr(sys.modules[__name__.rpartition(".")[0]], name, Map)
    return Map
