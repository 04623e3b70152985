# SPDX-License-Identifier: MIT
"""Objects that a test drops, and the garbage collector."""

import gc
import sys

from pylmdb._base import collecting

if sys.implementation.name == "pypy":
    # A collection calls the finalizer of the first object of a chain only.  Tests expect that
    # gc.collect() frees the whole chain, as on CPython.
    _collect_once = gc.collect

    def _collect_all(generation=2):
        found = _collect_once(generation)
        _collect_once(generation)
        _collect_once(generation)
        return found

    gc.collect = _collect_all


def free(objects):
    """Drop what is in a list.  CPython frees it then; on PyPy the collector is run."""
    objects.clear()
    collecting.free_dropped(lambda: False)


def freeze():
    """Take all objects out of garbage collections, or each one examines those of all modules."""
    gc.collect()
    if hasattr(gc, "freeze"):  # not on PyPy
        gc.freeze()
