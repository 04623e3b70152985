# SPDX-License-Identifier: MIT
"""Sorting more records than fit in memory: an external merge sort.

Records are sorted in memory until that is full.  Then they are written to a run: a temporary
environment beside the destination.  At the end all runs and the records in memory are merged into
the destination.  If there are many runs, they are merged into a larger one first, so that only a
bounded number of files is open.
"""

from __future__ import annotations

import errno
import re
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from .._base.integers import BYTES, integer
from .._base.owners import enter, owned
from .._base.progress import Reporter, check_stop
from .._environment.record_source import DatabaseSource
from ..errors import InvalidParameterError
from .destination import Scratch
from .merging import Merging

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .._aliases import CData
    from .._engine import Engine
    from .destination import Destination
    from .merging import MergeSource

# how many runs of one size are merged into one
FAN_IN = 64
# what the sorter's caller may have in memory: a batch of records as Python objects
BATCH_MEMORY = 1 << 20
_LEAST = 4 << 20
_UNITS = {"B": 0, "KIB": 10, "MIB": 20, "GIB": 30, "TIB": 40}
_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([A-Z]+)\s*\Z", re.ASCII)


def parse_memory(memory: int | str) -> int:
    """Return a number of bytes, given as such or as a text such as ``"512 MiB"``."""
    size: int | None = None
    if isinstance(memory, str):
        found = _SIZE.match(memory.upper())
        if found and found[2] in _UNITS:
            size = int(float(found[1]) * 2 ** _UNITS[found[2]])
    elif not isinstance(memory, bool):
        size = integer("memory", memory, BYTES)
    if size is None:
        raise InvalidParameterError(
            f"memory must be a number of bytes or a text such as '512 MiB', not {memory!r}",
            hint="the units are B, KiB, MiB, GiB and TiB",
        )
    if not _LEAST <= size < 1 << 62:
        raise InvalidParameterError(f"memory must be at least 4 MiB, not {memory!r}")
    return size


# the ffi objects for which pylmdb_on_sorting is defined
_prepared: set[Any] = set()


def _on_sorting(context: CData) -> int:
    """Let the sort be stopped.  C calls this at intervals, so that signal handlers run, too."""
    check_stop()
    return 0


def _on_exception(
    ffi: Any, _type: object, exception: BaseException, traceback: TracebackType
) -> None:
    """Keep an exception of a signal handler, which ends the sort and is raised after it.

    cffi passes no argument of the callback, so ``context`` is taken from its frame.
    """
    ffi.from_handle(traceback.tb_frame.f_locals["context"]).exception = exception


class Sorter:
    """Sorts records in memory; then it is a source of a merge.

    :ivar exception: what a signal handler has raised during the sort.
    """

    path = ""
    exception: BaseException | None = None

    def __init__(
        self, engine: Engine, flags: int, max_key: int, on_conflict: str, memory: int
    ) -> None:
        self._ffi, self._lib = engine.ffi, engine.lib
        lib = engine.lib
        last_first = on_conflict == "last"
        native = lib.pylmdb_sorter_new(flags, max_key, last_first, memory)
        if not native:
            raise MemoryError
        self.native = owned(engine.ffi, native, lib.pylmdb_sorter_free)

    def __len__(self) -> int:
        return int(self._lib.pylmdb_sorter_count(self.native))

    def sort(self) -> None:
        """Sort the records.  An exception of a signal handler ends it."""
        ffi, lib = self._ffi, self._lib
        if ffi not in _prepared:
            on_exception = partial(_on_exception, ffi)
            ffi.def_extern("pylmdb_on_sorting", error=1, onerror=on_exception)(_on_sorting)
            _prepared.add(ffi)
        context = ffi.new_handle(self)
        code = lib.pylmdb_sorter_sort(self.native, lib.pylmdb_on_sorting, context)
        exception, self.exception = self.exception, None
        if exception is not None:
            raise exception
        if code == errno.ECANCELED:  # a second signal has struck while the first was noted
            raise KeyboardInterrupt
        if code:
            raise MemoryError

    def clear(self) -> None:
        """Remove all records."""
        self._lib.pylmdb_sorter_clear(self.native)

    def init(self, source: CData, engine: Engine) -> None:
        """Set the fields of a ``struct pylmdb_source``."""
        source.sorter = self.native
        source.move = engine.ffi.addressof(engine.lib, "pylmdb_sorter_move")

    def is_truncated(self) -> bool:
        """Return False: nothing can be missing."""
        return False


class _Writing(Merging):
    """Writes sorted records, whose sources have no names for the caller."""

    def _origin(self) -> str:
        return ""

    def _conflict(self) -> str:
        if self.state.other == self.state.count:
            return "in the database and in the records"
        return "in the records"


class _Run:
    """Sorted records on disk; a level is how often they were merged."""

    def __init__(self, scratch: Scratch, level: int, entries: int) -> None:
        self.scratch, self.level, self.entries = scratch, level, entries


class Sorting:
    """Sorts the records of one database of a destination, and writes them to it.

    :param what: the operation, for messages.
    :param flags: those of the database.
    :param memory: how many bytes of records are sorted in memory.
    """

    def __init__(
        self, what: str, target: Destination, name: bytes | None, flags: int, on_conflict: str,
        memory: int, reporter: Reporter,
    ) -> None:  # fmt: skip
        self._what, self._target, self._name, self._flags = what, target, name, flags
        self._on_conflict, self._reporter = on_conflict, reporter
        self._engine, max_key = target.env._use().engine, target.env.max_key_size()
        self._sorter = Sorter(self._engine, flags, max_key, on_conflict, memory)
        self._runs: list[_Run] = []
        self._stack = ExitStack()

    def __enter__(self) -> Sorting:
        self._stack.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def add(self, function: Callable[[CData, int, CData], int], count: int) -> tuple[int, int]:
        """Add ``count`` records by a function of C.

        :param function: gets the sorter, the index of the first record to add, and
            ``size_t *done``.
        :return: how many were added, and the code of the one after them (0: all were added).
        """
        done, first = self._engine.ffi.new("size_t *"), 0
        while first < count:
            code = function(self._sorter.native, first, done)
            self._reporter.add(done[0])
            first += done[0]
            if code:
                return first, code
            if first < count:
                self._spill()
        return first, 0

    def write(self) -> int:
        """Write all records to the destination; return how many were written."""
        self._sorter.sort()
        self._reporter.expect(len(self._sorter) + sum(run.entries for run in self._runs))
        written = self._merge(self._target, self._name, self._runs, [self._sorter], self._reporter)
        self._sorter.clear()
        return written

    def _spill(self) -> None:
        """Write the records in memory to a run."""
        self._sorter.sort()
        self._runs.append(self._make_run(0, [], [self._sorter]))
        self._sorter.clear()
        while len(self._runs) >= FAN_IN and self._runs[-FAN_IN].level == self._runs[-1].level:
            merged = self._runs[-FAN_IN:]
            self._runs[-FAN_IN:] = [self._make_run(merged[0].level + 1, merged, [])]
            for run in merged:
                run.scratch.end()

    def _make_run(self, level: int, runs: list[_Run], others: list[MergeSource]) -> _Run:
        scratch = enter(self._stack, Scratch(self._target))
        scratch.open()
        entries = self._merge(scratch, None, runs, others, Reporter(None, 0, ""))
        scratch.finish()
        return _Run(scratch, level, entries)

    def _merge(
        self, target: Destination, name: bytes | None, runs: list[_Run],
        others: list[MergeSource], reporter: Reporter,
    ) -> int:  # fmt: skip
        """Write the records of runs and other sources to a database."""
        with ExitStack() as stack:
            sources: list[MergeSource] = []
            for run in runs:
                env = run.scratch.env
                reader = stack.enter_context(env.begin())
                db = env.open_db(None, reader)
                sources.append(stack.enter_context(DatabaseSource(reader, db)))
            sources += others
            writing = _Writing(self._what, target, name, self._flags, self._on_conflict, sources)
            return writing.run(reporter)
