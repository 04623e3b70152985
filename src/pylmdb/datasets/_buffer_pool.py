# SPDX-License-Identifier: MIT
"""Memory for batches, used again once nobody refers to it.

New memory costs more than filling it: the system hands it out page by page, each zeroed at its
first use.  A batch that is dropped leaves memory whose pages are there.  Whether it was dropped,
its reference count tells: arrays, slices and memoryviews made of it all count.
"""

from __future__ import annotations

import sys
import sysconfig
import threading
from typing import TYPE_CHECKING, Any

from .._base.numpy import np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


class BufferPool:
    """Arrays of one form, of which at most ``keep`` are kept for another use."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, keep: int) -> None:
        self._form, self._keep = (shape, dtype), keep
        self._arrays: list[NDArray[Any]] = []
        self._lock = threading.Lock()

    def take(self) -> NDArray[Any]:
        """An array that nobody else has; what it holds can be anything."""
        with self._lock:
            for i in range(len(self._arrays)):
                if _UNSHARED and _references(self._arrays, i) == _UNSHARED:
                    return self._arrays[i]
            array: NDArray[Any] = np.empty(*self._form)
            if len(self._arrays) < self._keep:
                self._arrays.append(array)
            return array


def _references(arrays: list[Any], i: int) -> int:
    return sys.getrefcount(arrays[i])


# what is counted where only the list has it; 0 where counts do not tell
_COUNTS_ARE_EXACT = hasattr(sys, "getrefcount") and not sysconfig.get_config_var("Py_GIL_DISABLED")
_UNSHARED = _references([object()], 0) if _COUNTS_ARE_EXACT else 0
