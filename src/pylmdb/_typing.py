# SPDX-License-Identifier: MIT
"""The names of ``typing`` that classes need at run time, without importing it, which takes longer
than importing all of pylmdb."""

TYPE_CHECKING = False  # type checkers take this name for true

if TYPE_CHECKING:
    from typing import Generic as Generic
    from typing import overload as overload

    from ._aliases import ValueT as ValueT
else:

    class Generic:
        """Makes ``Transaction[bytes]`` an alias of ``Transaction``."""

        __slots__ = ()
        __class_getitem__ = classmethod(type(list[int]))

    def overload(function):
        """Return the function, which the next one of this name replaces."""
        return function

    ValueT = "ValueT"
