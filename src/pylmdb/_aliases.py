# SPDX-License-Identifier: MIT
"""Types that annotations name.  At run time this module is imported at their first use."""

import array
import mmap
from typing import TYPE_CHECKING, Any, TypeVar, Union

if TYPE_CHECKING:
    from typing import Protocol

    import typing_extensions

    class _Array(Protocol):
        """An array or number of numpy, which is declared as a buffer from Python 3.12 on only."""

        @property
        def __array_interface__(self) -> dict[str, Any]: ...

    # bytes, or read-only memoryviews where a transaction was begun with buffers=True
    ValueT = typing_extensions.TypeVar(
        "ValueT", bound=bytes | memoryview, default=bytes, covariant=True
    )
    # any object with a C-contiguous buffer; not str
    BytesLike = typing_extensions.Buffer | _Array
    # a pointer, a structure or a module of cffi, which has no types for them
    CData = Any
else:
    ValueT = TypeVar("ValueT", bound=bytes | memoryview, covariant=True)
    # any buffer; before Python 3.12 there is no type for that
    BytesLike = Union[bytes, bytearray, memoryview, "array.array[Any]", mmap.mmap, Any]
