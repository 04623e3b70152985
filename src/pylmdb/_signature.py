# SPDX-License-Identifier: MIT
"""The signature of classes whose ``__init__`` is implemented by the core."""

from __future__ import annotations

from ._typing import TYPE_CHECKING
from ._which_core import documented

if TYPE_CHECKING:
    from inspect import Signature


class InitSignature:
    """The class attribute ``__signature__`` for ``inspect``.

    ``inspect`` finds no signature of ``__init__`` in a C type.  So this returns the signature of
    the function that documents ``__init__``, or of the ``__init__`` of a subclass.
    """

    def __get__(self, instance: object, cls: type) -> Signature:
        import inspect  # imported late: it takes milliseconds, and few programs need it

        inits = (
            documented.get(base, {}).get("__init__") or vars(base).get("__init__")
            for base in cls.__mro__
        )
        signature = inspect.signature(next(filter(inspect.isfunction, inits)))
        return signature.replace(parameters=list(signature.parameters.values())[1:])
