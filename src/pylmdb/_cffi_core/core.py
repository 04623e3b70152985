# SPDX-License-Identifier: MIT
"""The whole cffi core: the names of ``_core.pyi`` in one module.

Imported when it is used: on PyPy, and elsewhere for tests.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from .cursor import CursorCore
from .environment import DbSlot, EnvironmentCore, SharedCore, public_classes
from .transaction import TransactionCore

__all__ = [
    "CursorCore",
    "DbSlot",
    "EnvironmentCore",
    "SharedCore",
    "TransactionCore",
    "join",
    "publish",
]


def join(table: int) -> None:
    """Take an engine: this core calls it by cffi, and needs no table."""


def publish(cls: type) -> None:
    """Make a class the one that objects are made of, and the core's methods its own."""
    cores = (TransactionCore, CursorCore, EnvironmentCore)
    core = next(base for base in cls.__mro__ if base in cores)
    public_classes[core.__name__] = cls
    for name, own in list(vars(core).items()):
        documented: Any = vars(cls).get(name)
        if documented is None:
            continue
        if isinstance(own, property):
            setattr(cls, name, property(own.fget, own.fset, doc=documented.__doc__))
        elif isinstance(own, FunctionType):
            own.__doc__ = documented.__doc__ or own.__doc__
            own.__qualname__ = f"{cls.__qualname__}.{name}"
            setattr(cls, name, own)
