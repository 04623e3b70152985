# SPDX-License-Identifier: MIT
"""Snapshots that a forked child goes on reading.

A child inherits the memory of its parent's read transactions.  The reader slots that keep their
snapshots belong to the parent.  So when the child first uses an inherited transaction, it begins
a transaction of its own, with a reader slot of its own, on the same snapshot.  That is possible if
nothing was committed since, or if the parent still keeps the snapshot; ``inherited.c`` says how
that is made sure.  From then on the child keeps the snapshot itself.

Transactions of both cores and :class:`Snapshot` use this module.
"""

from __future__ import annotations

import errno

from .._typing import TYPE_CHECKING
from ..errors import ForkedError
from .refusals import refusal

if TYPE_CHECKING:
    from .._aliases import CData
    from .._core import DbSlot
    from .._registry import FileKey
    from .._shared.environment import SharedEnv
    from ..environment import Environment


def go_back(shared: SharedEnv, ptr: CData, inherited: CData, key: FileKey | None) -> None:
    """Move a native read transaction that has just begun to the snapshot of an inherited one.

    :param ptr: the transaction, of ``shared``.
    :param inherited: the native transaction of the parent process.
    :param key: the data file of the inherited transaction.
    :raises ForkedError: the snapshot does not exist any more; end the transaction.
    """
    if shared.key != key:
        raise _lost("the data file was replaced")
    code = shared.engine.lib.pylmdb_txn_go_back(ptr, inherited)
    if code == errno.ETIMEDOUT:
        raise _lost(
            "it is not the newest one, and another process was writing for a second",
            "try again, or begin a new transaction",
        )
    if code and not shared.options.lock:
        raise _lost("with lock=False no process keeps it, and the environment has changed since")
    if code:
        raise _lost("the parent process has ended it, and the environment has changed since")


def _lost(why: str, hint: str = "begin a new transaction in this process") -> ForkedError:
    return ForkedError(f"the snapshot was begun before fork(): {why}", hint=hint)


def successor(env: Environment, inherited: SharedEnv) -> SharedEnv:
    """Return the native environment that an Environment has in a forked child."""
    shared = env._use()
    if shared.engine is not inherited.engine:
        raise refusal("file of another format")
    return shared


def resume(
    shared: SharedEnv, handle: CData, inherited: CData, slot: DbSlot, key: FileKey | None
) -> DbSlot:
    """Begin a native read transaction on the snapshot of an inherited one.

    :param handle: the ``struct pylmdb_txn`` to begin.
    :param slot: the database of the inherited transaction.
    :return: the slot of that database in this process.
    """
    shared.begin_reader(handle)
    try:
        go_back(shared, handle.ptr, inherited, key)
        return shared.slot_again(handle.ptr, slot)
    except BaseException:
        shared.end_reader(handle)
        raise
