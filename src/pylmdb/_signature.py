# SPDX-License-Identifier: MIT
"""The signature of the classes whose ``__init__`` the core implements."""

from __future__ import annotations

from ._typing import TYPE_CHECKING
from ._which_core import documented

if TYPE_CHECKING:
    from inspect import Signature
    from typing import Any


class InitSignature:
    """The class attribute ``__signature__``: the signature of ``__init__``.

    ``inspect`` finds none in a C type.  So this is the signature of the function that documents
    ``__init__``, unless a subclass has an ``__init__`` of its own.
    """

    def __get__(self, instance: object, cls: type) -> Signature:
        import inspect  # costs milliseconds, and few programs ask

        for base in cls.__mro__:
            init: Any = documented.get(base, {}).get("__init__") or vars(base).get("__init__")
            if inspect.isfunction(init):
                break
        signature = inspect.signature(init)
        return signature.replace(parameters=list(signature.parameters.values())[1:])
