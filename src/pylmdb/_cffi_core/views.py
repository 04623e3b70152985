# SPDX-License-Identifier: MIT
"""Views into the map, and how long they keep their snapshot.

A read transaction with ``buffers=True`` has one exporter: a read-only memoryview of the whole map.
Its owner ends the native transaction when it dies.  Every view is a slice of this memoryview, and
Python keeps the owner of a memoryview alive for its slices, casts, and the arrays made from them.

So the snapshot, its reader slot and the map stay until the transaction has ended *and* the last
view has been freed.  The order, and the thread that frees it, do not matter, and a view needs no
object of its own.
"""

from __future__ import annotations

import sys
import weakref

from .._base.owners import owned
from .._core_rules.refusals import refusal
from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from .._aliases import CData
    from .._engine import Engine


class Exporter:
    """Makes the views of one native read transaction, and ends it after the last of them."""

    __slots__ = ("_base", "_handle", "_shared", "_whole")

    def __init__(self, shared: Any, handle: CData) -> None:
        ffi, lib = shared.engine.ffi, shared.engine.lib
        size = ffi.new("size_t *")
        base = lib.pylmdb_env_map(shared.ptr, size)
        owning: list[bool] = []
        key = id(handle)

        def end(_owner: object = None) -> None:
            if owning:
                shared.forget_pinned(key)
                shared.end_reader(handle)

        self._shared, self._handle = shared, weakref.ref(handle)
        self._base = int(ffi.cast("uintptr_t", base))
        # Without the map's address the memoryview starts at address 0.
        length = size[0] or sys.maxsize
        self._whole: memoryview | None = _whole(shared.engine, base, length, end)
        owning.append(True)

    def view(self, address: int, size: int) -> memoryview:
        """The read-only view of ``size`` bytes at ``address``."""
        start = address - self._base
        return self.whole()[start : start + size]

    def whole(self) -> memoryview:
        """The view of the whole map."""
        if self._whole is None:
            raise refusal("transaction ended")
        return self._whole

    def let_go(self) -> None:
        """End the use by the transaction: from now on only views keep the snapshot."""
        handle = self._handle()
        if self._whole is not None and handle is not None:
            number = self._shared.engine.lib.mdb_txn_id(handle.ptr)
            self._shared.note_pinned(id(handle), int(number))
        self._whole = None


def _whole(engine: Engine, base: CData, length: int, end: CData) -> memoryview:
    if engine.exporter_class is not None:
        address = int(engine.ffi.cast("uintptr_t", base))
        return memoryview(engine.exporter_class(address, length, end))
    owner = owned(engine.ffi, engine.ffi.cast("char *", base), end)
    return memoryview(engine.ffi.buffer(owner, length)).toreadonly()
