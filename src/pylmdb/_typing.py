# SPDX-License-Identifier: MIT
"""Replacements for names of ``typing``, whose import takes longer than that of pylmdb."""

TYPE_CHECKING = False  # type checkers take a variable of this name for true

if TYPE_CHECKING:
    from typing import Generic as Generic
    from typing import overload as overload

    from ._aliases import BatchT as BatchT
    from ._aliases import SampleT as SampleT
    from ._aliases import ValueT as ValueT
else:

    class Generic:
        """Allows subscripts: ``Transaction[bytes]`` is an alias of ``Transaction``."""

        __slots__ = ()
        __class_getitem__ = classmethod(type(list[int]))

    def overload(function):
        """Return the function, which the next definition of its name replaces."""
        return function

    BatchT, SampleT, ValueT = "BatchT", "SampleT", "ValueT"
