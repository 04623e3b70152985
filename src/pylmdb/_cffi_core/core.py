# SPDX-License-Identifier: MIT
"""The names of ``_core.pyi`` in one module.

It is imported only if the core is used: on PyPy, and for tests.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from .cursor import CursorCore
from .environment import (
    DatabaseCore,
    DbSlot,
    EnvironmentCore,
    HandleLock,
    SharedCore,
    public_classes,
)
from .transaction import TransactionCore

__all__ = [
    "CursorCore",
    "DatabaseCore",
    "DbSlot",
    "EnvironmentCore",
    "HandleLock",
    "SharedCore",
    "TransactionCore",
    "join",
    "publish",
]


def join(table: int) -> None:
    """Join an engine.  This core calls it through cffi, so it does not need the table."""


def publish(cls: type) -> None:
    """Make objects of a public class from now on, and copy the core's methods to it."""
    cores = (TransactionCore, CursorCore, DatabaseCore, EnvironmentCore)
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
