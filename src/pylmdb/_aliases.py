# SPDX-License-Identifier: MIT
"""Types that annotations name.  At run time they are made when somebody asks for them."""

import array
import mmap
from typing import Any, TypeVar, Union

# bytes, or read-only memoryviews where a transaction was begun with buffers=True
ValueT = TypeVar("ValueT", bytes, memoryview)
# any object with a C-contiguous buffer; str is refused
BytesLike = Union[bytes, bytearray, memoryview, "array.array[Any]", mmap.mmap, Any]
