# SPDX-License-Identifier: MIT
"""Free objects that the program has dropped, where the interpreter frees them late.

CPython frees an object when the last reference to it goes.  PyPy frees it when its garbage
collector finds it.  Until then a transaction that the program has dropped is open: it has the
writer lock, a reader slot, a parent.  So before pylmdb refuses an operation because of a
transaction or a view that may have been dropped, or waits for it, it runs the collector.
"""

from __future__ import annotations

import gc
import sys
import time

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTS_REFERENCES = sys.implementation.name == "cpython"

# Each collection calls one finalizer of a chain: of a cursor, its transaction, the parent.
_COLLECTIONS = 3
# During a wait the collector runs at most once in this many seconds.
_PAUSE = 1.0

# when a wait may run the collector again
_next_collection = 0.0


def free_dropped(is_freed: Callable[[], object]) -> None:
    """Free the objects that the program has dropped, until ``is_freed()`` is true or none is left.

    Where references are counted they are freed already, and this does nothing.
    """
    if COUNTS_REFERENCES:
        return
    for _ in range(_COLLECTIONS):
        if is_freed():
            return
        gc.collect()


def free_dropped_in_wait() -> None:
    """Do the same during a wait, which calls this repeatedly: run the collector once a second."""
    global _next_collection
    if not COUNTS_REFERENCES and time.monotonic() >= _next_collection:
        gc.collect()
        _next_collection = time.monotonic() + _PAUSE
