# SPDX-License-Identifier: MIT
"""The signature of classes whose ``__new__`` only chooses a subclass."""

from __future__ import annotations

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspect import Signature
    from typing import Any


class InitSignature:
    """A class attribute ``__signature__``: that of the class's ``__init__``."""

    _init: Any = None

    def keep(self, init: Any) -> None:
        self._init = init

    def __get__(self, instance: Any, cls: Any) -> Signature:
        import inspect  # costs milliseconds, and few programs ask

        # That of a C type has no signature; what documents it in the public class has.
        inits = (vars(base).get("__init__") for base in cls.__mro__)
        signature = inspect.signature(next(filter(inspect.isfunction, inits), self._init))
        return signature.replace(parameters=list(signature.parameters.values())[1:])
