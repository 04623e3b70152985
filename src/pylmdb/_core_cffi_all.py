# SPDX-License-Identifier: MIT
"""The whole cffi core, as the engine wants it: one namespace with all its types.

Imported when it is used: on PyPy, and elsewhere for tests.
"""

from __future__ import annotations

from typing import Any

from ._core_cffi import TransactionCore
from ._core_cffi_cursor import CursorCore
from ._core_cffi_shared import DbSlot, SharedCore
from .cursor import Cursor
from .transaction import Transaction

__all__ = ["CursorCore", "DbSlot", "SharedCore", "TransactionCore"]


def _document(core: type, public: type) -> None:
    """Give a core's functions the names and words of the public class they implement."""
    for name, function in vars(core).items():
        documented: Any = getattr(vars(public).get(name), "__doc__", None)
        if documented and callable(function):
            function.__doc__ = documented
            function.__qualname__ = f"{public.__qualname__}.{name}"


_document(TransactionCore, Transaction)
_document(CursorCore, Cursor)
