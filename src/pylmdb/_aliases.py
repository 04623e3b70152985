# SPDX-License-Identifier: MIT
"""Type aliases for annotations.  At run time this module is imported at its first use."""

import array
import mmap
from typing import TYPE_CHECKING, Any, TypeVar, Union

if TYPE_CHECKING:
    from typing import Protocol

    import typing_extensions

    class _Array(Protocol):
        """An array or number of numpy; numpy declares them as buffers from Python 3.12 on."""

        @property
        def __array_interface__(self) -> dict[str, Any]: ...

    # bytes; or read-only memoryviews if the transaction was begun with buffers=True
    ValueT = typing_extensions.TypeVar(
        "ValueT", bound=bytes | memoryview, default=bytes, covariant=True
    )
    # what a Dataset and a Loader yield
    SampleT = typing_extensions.TypeVar("SampleT", default=Any, covariant=True)
    BatchT = typing_extensions.TypeVar("BatchT", default=Any, covariant=True)
    # any object with a C-contiguous buffer; not str
    BytesLike = typing_extensions.Buffer | _Array
    # a pointer, structure or module of cffi; they have no types that annotations can name
    CData = Any
else:
    ValueT = TypeVar("ValueT", bound=bytes | memoryview, covariant=True)
    # every buffer is accepted; before Python 3.12 there is no type for that
    BytesLike = Union[bytes, bytearray, memoryview, "array.array[Any]", mmap.mmap, Any]
