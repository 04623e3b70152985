# SPDX-License-Identifier: MIT
"""The way from an Environment to its writers."""

from __future__ import annotations

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from ..database import Database
    from ..writer import Writer


class Writing:
    """What :class:`~pylmdb.Environment` inherits for writes that share commits."""

    __slots__ = ()

    def writer(
        self,
        *,
        db: Database | None = None,
        max_pending: int = 4096,
        sync: bool | None = None,
        metasync: bool | None = None,
    ) -> Writer:
        """A queue of writes that many threads put into; those that wait share a commit.

        A durable commit waits for the disk, for milliseconds.  So threads that write a
        record each are quicker together: ``writer.put(key, value)`` returns a future at
        once, whose ``result()`` returns when the record is on disk.

        :param db: the database that is meant where an operation names none.
        :param max_pending: how many operations may wait for the next commit; then
            ``put`` waits.
        :param sync: False to leave the commits' flush to the system (see ``open``).
        :param metasync: False to leave the flush of their meta page to the system.
        :return: a :class:`pylmdb.writer.Writer`, also a context manager.
        :raises ReadonlyError: the environment was opened with ``readonly=True``.
        """
        from .. import writer  # which needs concurrent.futures

        env: Any = self
        return writer.Writer(env, db=db, max_pending=max_pending, sync=sync, metasync=metasync)
