# SPDX-License-Identifier: MIT
"""The public functions, classes and methods of pylmdb, by name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pylmdb
from pylmdb import aio, arrays, datasets, lowlevel, writer

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLIC_MODULES = [pylmdb, aio, arrays, datasets, lowlevel, writer]
# objects of these are made by calls, which explain the parameters
MADE_BY_CALLS = {"Database", "AsyncCursor", "AsyncTransaction", "Engine"}


def functions_of(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods that are defined in pylmdb."""
    for name, member in inspect.getmembers(cls, inspect.isroutine):
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if not name.startswith("_") and owner.__module__.startswith("pylmdb"):
            yield f"{cls.__module__}.{cls.__qualname__}.{name}", member


def public_classes_and_functions() -> dict[str, Any]:
    found = {}
    for module in PUBLIC_MODULES:
        named = dir(module) if module is pylmdb else getattr(module, "__all__", dir(module))
        for name in named:
            value = getattr(module, name)
            is_ours = getattr(value, "__module__", "pylmdb").startswith("pylmdb")
            if name.startswith("_") or not is_ours or not callable(value):
                continue
            if not isinstance(value, type):
                found[f"{module.__name__}.{name}"] = value
            elif not issubclass(value, BaseException):
                found.update(functions_of(value))
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found
