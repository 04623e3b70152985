# SPDX-License-Identifier: MIT
"""Types that annotations name.  At run time they are made when somebody asks for them."""

import array
import mmap
from typing import TYPE_CHECKING, Any, TypeVar, Union

if TYPE_CHECKING:
    from typing import Protocol

    import typing_extensions

    class _Array(Protocol):
        """An array or number of numpy: it is declared to be a buffer from Python 3.12 on."""

        @property
        def __array_interface__(self) -> dict[str, Any]: ...

    # bytes, or read-only memoryviews where a transaction was begun with buffers=True
    ValueT = typing_extensions.TypeVar(
        "ValueT", bound=bytes | memoryview, default=bytes, covariant=True
    )
    # any object with a C-contiguous buffer; str is refused
    BytesLike = typing_extensions.Buffer | _Array
    # a pointer, a structure or a module of cffi, whose objects have no types that can be named
    CData = Any
else:
    ValueT = TypeVar("ValueT", bound=bytes | memoryview, covariant=True)
    # every buffer is accepted; before Python 3.12 there is no type that means that
    BytesLike = Union[bytes, bytearray, memoryview, "array.array[Any]", mmap.mmap, Any]
