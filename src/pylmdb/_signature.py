# SPDX-License-Identifier: MIT
"""The signature of classes whose ``__init__`` is the core's."""

from __future__ import annotations

from ._typing import TYPE_CHECKING
from ._which_core import documented

if TYPE_CHECKING:
    from inspect import Signature
    from typing import Any


class InitSignature:
    """A class attribute ``__signature__``: that of the class's ``__init__``.

    ``inspect`` finds no signature in a type of C, so it is that of the function which
    documents ``__init__``, unless a subclass has one of its own.
    """

    def __get__(self, instance: object, cls: type) -> Signature:
        import inspect  # costs milliseconds, and few programs ask

        for base in cls.__mro__:
            init: Any = documented.get(base, {}).get("__init__") or vars(base).get("__init__")
            if inspect.isfunction(init):
                break
        signature = inspect.signature(init)
        return signature.replace(parameters=list(signature.parameters.values())[1:])
