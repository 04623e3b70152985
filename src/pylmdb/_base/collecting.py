# SPDX-License-Identifier: MIT
"""Dropped objects that are not freed yet.

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
# A wait runs the collector after this many seconds again.
_PAUSE = 1.0

_waited_until = 0.0


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
    """The same for a wait, which calls it again and again.  It runs the collector sometimes."""
    global _waited_until
    if not COUNTS_REFERENCES and time.monotonic() >= _waited_until:
        gc.collect()
        _waited_until = time.monotonic() + _PAUSE
