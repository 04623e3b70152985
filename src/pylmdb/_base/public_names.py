# SPDX-License-Identifier: MIT
"""The public names of modules, and of methods that public classes inherit from private ones."""

from __future__ import annotations

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Class = TypeVar("Class", bound=type)

_Function = type(lambda: None)


def directory(names: list[str]) -> Callable[[], list[str]]:
    """Return the ``__dir__`` of a module whose public names are ``names``.

    ``dir()``, Tab and ``help()`` then show neither its submodules nor what it imports.
    """
    return lambda: sorted(names)


def adopt_methods(cls: Class) -> Class:
    """Name the public methods that ``cls`` inherits from classes of pylmdb as its own.

    So an error about an argument names the public class: "Environment.compact() got an
    unexpected keyword argument".  ``pickle`` finds the functions by these names, too.
    """
    for base in cls.__mro__[1:]:
        if base.__module__.startswith("pylmdb."):
            for name, function in vars(base).items():
                if type(function) is _Function and not name.startswith("_"):
                    # Python's own messages name what a decorator has wrapped
                    for each in (function, getattr(function, "__wrapped__", function)):
                        each.__module__ = cls.__module__
                        each.__qualname__ = f"{cls.__qualname__}.{name}"
    return cls
