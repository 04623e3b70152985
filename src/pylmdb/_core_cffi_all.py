# SPDX-License-Identifier: MIT
"""The whole cffi core, as the engine wants it: one namespace with all its types.

Imported when it is used: on PyPy, and elsewhere for tests.
"""

from __future__ import annotations

from typing import Any

from ._core_cffi import TransactionCore
from ._core_cffi_cursor import CursorCore
from ._core_cffi_shared import DbSlot, EnvironmentCore, SharedCore

__all__ = ["CursorCore", "DbSlot", "EnvironmentCore", "SharedCore", "TransactionCore"]


def join(table: int) -> None:
    """This core calls engines by cffi."""


def publish(public: type) -> None:
    """Make the core's functions the public class's own, in place of what documents them."""
    core = next(base for base in public.__mro__ if "_core_cffi" in base.__module__)
    for name, own in list(vars(core).items()):
        documented: Any = vars(public).get(name)
        if documented is None:
            continue
        if isinstance(own, property):
            setattr(public, name, property(own.fget, own.fset, doc=documented.__doc__))
        elif callable(own) and name != "__new__":
            if documented.__doc__:
                own.__doc__ = documented.__doc__
            own.__qualname__ = f"{public.__qualname__}.{name}"
            setattr(public, name, own)


def bind(*_classes: Any) -> None:
    """The C core wants to know them."""
