# SPDX-License-Identifier: MIT
"""What classes need of ``typing`` at run time, without it: its import takes longer than
that of all of pylmdb."""

TYPE_CHECKING = False  # as type checkers know it: they take the name for true

if TYPE_CHECKING:
    from typing import Generic as Generic
    from typing import overload as overload

    from ._aliases import ValueT as ValueT
else:

    class Generic:
        """The subscript: ``Transaction[bytes]`` is an alias of ``Transaction``."""

        __slots__ = ()
        __class_getitem__ = classmethod(type(list[int]))

    def overload(function):
        """To be replaced by the next function of this name."""
        return function

    ValueT = "ValueT"
