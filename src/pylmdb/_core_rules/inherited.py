# SPDX-License-Identifier: MIT
"""Snapshots that a forked child goes on reading.

A child inherits the memory of its parent's read transactions, but the reader slots that
keep their snapshots are the parent's.  So at the first use there the child begins a
transaction of its own and has it show the same snapshot: nothing was committed since, or
the parent still keeps it.  From then on the child keeps it itself, whatever the parent
does.  Transactions of both cores and :class:`Snapshot` go on by this one rule; how it is
made sure is in ``inherited.c``.
"""

from __future__ import annotations

import errno

from .._typing import TYPE_CHECKING
from ..errors import ForkedError

if TYPE_CHECKING:
    from .._aliases import CData
    from .._core import DbSlot
    from .._registry import FileKey
    from .._shared.environment import SharedEnv


def go_back(shared: SharedEnv, ptr: CData, inherited: CData, key: FileKey | None) -> None:
    """Have a native read transaction of ``shared``, which has just begun, show the snapshot
    of an ``inherited`` one of the file ``key``.

    :raises ForkedError: it cannot be had; the transaction must be ended.
    """
    if shared.key != key:
        raise _lost("the data file was replaced")
    code = shared.engine.lib.pylmdb_txn_go_back(ptr, inherited)
    if code == errno.ETIMEDOUT:
        raise _lost(
            "it was not the last one any more, and for a second another process was writing",
            "try again, or begin a new transaction",
        )
    if code and not shared.options.lock:
        raise _lost("with lock=False it is not kept, and the environment was written to since")
    if code:
        raise _lost("the parent process has let it go, and the environment was written to since")


def _lost(why: str, hint: str = "begin a new transaction in this process") -> ForkedError:
    return ForkedError(f"the snapshot was begun before fork(): {why}", hint=hint)


def resume(
    shared: SharedEnv, handle: CData, inherited: CData, slot: DbSlot, key: FileKey | None
) -> DbSlot:
    """Begin ``handle`` with the snapshot of an inherited native transaction, and return the
    handle there of the database that had ``slot``."""
    shared.begin_reader(handle)
    try:
        go_back(shared, handle.ptr, inherited, key)
        return shared.slot_again(handle.ptr, slot)
    except BaseException:
        shared.end_reader(handle)
        raise
