# SPDX-License-Identifier: MIT
"""The slow paths of the C core in Python: waits, and rare cases."""

from __future__ import annotations

from _functools import partial  # type: ignore[import-not-found]

from ._base import threads as _threads
from ._core_rules.inherited import resume, successor
from ._core_rules.writer_gate import Deadline, begin_writer, check_open, wait_for_gate
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._aliases import CData
    from ._core import DbSlot
    from ._shared.environment import SharedEnv
    from .environment import Environment


class SlowPaths:
    """The methods that the C core calls for one engine.

    They get native transactions and cursors as addresses, and make pointers of the engine's cffi
    types from them.  ``address`` is that of a ``struct pylmdb_txn``.
    """

    def __init__(self, ffi: CData, end_thread: Callable[..., object]) -> None:
        self._cast = ffi.cast
        # from an address to a pointer of cffi
        self.transaction_pointer = partial(ffi.cast, ffi.typeof("MDB_txn *"))
        self.cursor_pointer = partial(ffi.cast, ffi.typeof("MDB_cursor *"))
        self._end_thread = end_thread
        self._thread = _threads.current

    @staticmethod
    def array_form(view: memoryview) -> tuple[Any, ...]:
        """Return the array that a value in .npy format describes, for get_array.c."""
        from ._base import numpy as _numpy
        from .arrays import npy as _npy  # which need numpy

        form = _npy.whole_form(view)
        says = bytes(view[: form.header]), form.size, form.shape, form.dtype, form.order
        return *says, _numpy.np.ndarray, _numpy.TABLE

    def know_thread(self, _shared: SharedEnv, _address: int, number: int, _none: None) -> None:
        """Have the write transactions of the calling thread ended when the thread ends."""
        self._thread().at_end.append((self._end_thread, number))

    def begin_reader(self, shared: SharedEnv, address: int, _env: None, _deadline: None) -> None:
        shared.begin_reader(self._cast("struct pylmdb_txn *", address))
        shared.log_notes()

    def log_notes(self, shared: SharedEnv, _address: int, _env: None, _deadline: None) -> None:
        shared.log_notes()

    def resume(
        self, env: Environment, inherited: SharedEnv, address: int, pointer: int, slot: DbSlot
    ) -> tuple[SharedEnv, DbSlot]:
        """In a forked child: begin a native transaction that continues an inherited one.

        :return: its native environment, and the slot there that replaces ``slot``.
        """
        shared, handle = successor(env, inherited), self._cast("struct pylmdb_txn *", address)
        native = self._cast("MDB_txn *", pointer)
        return shared, resume(shared, handle, native, slot, inherited.key)

    def begin_writer(
        self, shared: SharedEnv, address: int, env: Environment, deadline: Deadline | None
    ) -> None:
        handle = self._cast("struct pylmdb_txn *", address)
        begin_writer(shared, handle, env, deadline or Deadline(None))

    def wait_for_gate(
        self, shared: SharedEnv, _address: int, env: Environment, deadline: Deadline | None
    ) -> None:
        wait_for_gate(shared, env, deadline or Deadline(None))

    def check_open(self, _shared: SharedEnv, _address: int, env: Environment, _none: None) -> None:
        check_open(env)
