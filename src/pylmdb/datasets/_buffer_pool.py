# SPDX-License-Identifier: MIT
"""A pool of buffers for batches, reused when nothing refers to them.

New memory costs more than copying to it: the system zeroes each page at its first use.  The memory
of a batch that was dropped has its pages already.  The reference count tells that nothing refers to
an array: arrays, slices and memoryviews made of it count, too.
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
    """Arrays of one dtype and shape, of which at most ``keep`` are kept for reuse."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, keep: int) -> None:
        self._form, self._keep = (shape, dtype), keep
        self._arrays: list[NDArray[Any]] = []
        self._lock = threading.Lock()

    def take(self) -> NDArray[Any]:
        """Return an array that nothing else refers to.  Its content is undefined."""
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


# the count of an array that only the list refers to; 0 if counts are not exact
_COUNTS_ARE_EXACT = hasattr(sys, "getrefcount") and not sysconfig.get_config_var("Py_GIL_DISABLED")
_UNSHARED = _references([object()], 0) if _COUNTS_ARE_EXACT else 0
