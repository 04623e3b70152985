# SPDX-License-Identifier: MIT
"""The signature of classes whose ``__new__`` only chooses a subclass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspect import Signature


class InitSignature:
    """A class attribute ``__signature__``: that of the class's ``__init__``."""

    def __get__(self, instance: Any, cls: Any) -> Signature:
        import inspect  # costs milliseconds, and few programs ask

        signature = inspect.signature(cls.__init__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])
