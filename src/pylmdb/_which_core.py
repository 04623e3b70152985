# SPDX-License-Identifier: MIT
"""The core of this process: the one in C (``_core``), or the one in cffi.

It is chosen once, when pylmdb is imported, because the public classes derive from its types.
The environment variable PYLMDB_CORE names it: ``c``, the default on CPython, or ``cffi``.
"""

from __future__ import annotations

import os
import sys

from ._base.public_names import adopt_methods
from ._typing import TYPE_CHECKING
from ._version import __version__

if TYPE_CHECKING:
    from typing import Any, TypeVar

    Class = TypeVar("Class", bound=type)

_CORES = ("c", "cffi") if sys.implementation.name == "cpython" else ("cffi",)
NAME = os.environ.get("PYLMDB_CORE") or _CORES[0]
if NAME not in _CORES:
    raise ImportError(
        f"PYLMDB_CORE={NAME!r} is not a core of pylmdb; set it to {' or '.join(_CORES)},"
        " or leave it unset"
    )


def check_version(module: str, built: str) -> None:
    """Raise ImportError for a compiled module of another version of pylmdb."""
    if built != __version__:
        raise ImportError(
            f"pylmdb.{module} was compiled for pylmdb {built}, but this is {__version__};"
            " install pylmdb again"
        )


# The compiled core, None on PyPy.  The core in cffi uses its types for views, too.
compiled: Any = None
if sys.implementation.name == "cpython":
    try:
        import pylmdb._core as compiled
    except ModuleNotFoundError as error:
        if error.name != "pylmdb._core":
            raise
        raise ImportError("pylmdb was not compiled; install it with pip") from None
    check_version("_core", compiled.VERSION)

if TYPE_CHECKING or NAME == "c":
    from ._core import (
        CursorCore,
        DatabaseCore,
        DbSlot,
        EnvironmentCore,
        HandleLock,
        Hold,
        SharedCore,
        TransactionCore,
        join,
        pack_records,
    )
    from ._core import publish as _publish
else:
    from ._cffi_core.core import (
        CursorCore,
        DatabaseCore,
        DbSlot,
        EnvironmentCore,
        HandleLock,
        Hold,
        SharedCore,
        TransactionCore,
        join,
        pack_records,
    )
    from ._cffi_core.core import publish as _publish

__all__ = [
    "NAME",
    "CursorCore",
    "DatabaseCore",
    "DbSlot",
    "EnvironmentCore",
    "HandleLock",
    "Hold",
    "SharedCore",
    "TransactionCore",
    "check_version",
    "compiled",
    "documented",
    "join",
    "pack_records",
    "publish",
]

# By public class and name: the Python functions that document the core's methods.  They have the
# types of parameters and results, which functions in C lack.
documented: dict[type, dict[str, Any]] = {}


def publish(cls: Class) -> Class:
    """Register a public class with the core, which makes objects of it from now on.  The core's
    methods replace the functions that document them."""
    before = dict(vars(cls))
    _publish(cls)
    after = vars(cls)
    documented[cls] = {
        name: function for name, function in before.items() if after.get(name) is not function
    }
    return adopt_methods(cls)
