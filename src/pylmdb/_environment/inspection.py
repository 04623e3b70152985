# SPDX-License-Identifier: MIT
"""What can be asked of an environment: its sizes, limits, and readers."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from ..errors import ReadersFullError, error
from ..types import EnvInfo, Reader, Stat, info_fields, stat_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._shared.environment import SharedEnv


class Inspection:
    """The questions to :class:`~pylmdb.Environment`, which inherits them."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _use(self) -> SharedEnv: ...

    def lib_version(self) -> tuple[int, int, int]:
        """The version of the liblmdb that serves this environment."""
        return self._use().engine.version

    def stat(self) -> Stat:
        """Numbers of entries, pages and levels of the main database.  ``mdb_env_stat``."""
        shared = self._use()
        out = shared.engine.ffi.new("size_t[]", shared.engine.lib.PYLMDB_STAT_SIZE)
        shared.call("mdb_env_stat", shared.engine.lib.pylmdb_env_stat, out)
        return Stat(zip(stat_fields, map(int, out), strict=True))

    def info(self) -> EnvInfo:
        """Sizes and counters of the environment.  ``mdb_env_info``.

        ``map_size``, how large the data can become, in bytes: the size that was fixed, or
        that at present, which grows by itself up to ``max_map_size``; ``reserved``, how
        large it can become without moving; ``used``, the bytes up to the last page in use,
        and ``free_pages``, how many of these pages hold nothing (None where there is no
        reader slot left to look with); ``last_pgno`` and ``last_txnid``, the last page and
        transaction in use; ``max_readers`` and ``num_readers``, reader slots and
        how many of them have been used at once; ``map_addr``, the map's address
        where the engine tells it; ``pinned``, how many ended transactions are
        held by views.
        """
        info = self._numbers()
        info["free_pages"] = self._free_pages()[1]
        return info

    def _numbers(self) -> EnvInfo:
        """What need not be counted."""
        shared = self._use()
        out = shared.engine.ffi.new("size_t[]", shared.engine.lib.PYLMDB_INFO_SIZE)
        shared.call("mdb_env_info", shared.engine.lib.pylmdb_env_info, out)
        info = EnvInfo(zip(info_fields[:-1], map(int, out), strict=True))
        info["pinned"] = shared.pins()
        return info

    def _free_pages(self) -> tuple[int, int | None]:
        """The number of the newest snapshot, and how many pages are free in it; None where
        that cannot be looked up."""
        number, found = self._pages_freed([0])
        return number, found[0]

    def max_key_size(self) -> int:
        """The greatest size of a key in bytes: 511 with LMDB 0.9, 1978 with 1.0 and
        pages of 4 KiB.  ``mdb_env_get_maxkeysize``."""
        shared = self._use()
        return int(shared.run(shared.engine.lib.mdb_env_get_maxkeysize))

    def max_readers(self) -> int:
        """How many read transactions may be open at once.  ``mdb_env_get_maxreaders``."""
        shared = self._use()
        out = shared.engine.ffi.new("unsigned int *")
        shared.call("mdb_env_get_maxreaders", shared.engine.lib.mdb_env_get_maxreaders, out)
        return int(out[0])

    def readers(self) -> str:
        """The reader table as text, a line each.  ``mdb_reader_list``.

        The first column is the process number, as :meth:`reader_list` tells it.
        """
        lines = []
        for line in self._use().engine.reader_text(self._use()).splitlines(keepends=True):
            number = line.split(maxsplit=1)[0]
            if number.isdigit():
                line = f"{self._process(int(number)):10d}" + line.partition(number)[2]
            lines.append(line)
        return "".join(lines)

    def _process(self, number: int) -> int:
        """The process number that goes with a number in the reader table."""
        shared = self._use()
        return int(shared.run(shared.engine.lib.pylmdb_env_process, number))

    def reader_list(self) -> list[Reader]:
        """The reader table as records of ``pid``, ``own``, ``thread``, ``txnid``, ``pages``
        and ``held_since``.

        ``pid`` is the process number as that process knows it: in another container it
        may be the number of another process here.  ``own`` is True for this process.

        ``pages`` is the number of pages that the reader's snapshot keeps from being
        used again: a file that grows without need has a reader with many.  It is None
        where there is no reader slot left to look with.  ``held_since`` is when the
        transaction ended, in seconds of Unix time, if it was one of this process and
        nothing but views and arrays holds its snapshot; else it is None.
        """
        shared = self._use()
        own = shared.run(shared.engine.lib.pylmdb_env_number)
        rows = [line.split() for line in shared.engine.reader_text(shared).splitlines()]
        readers = [
            Reader(
                pid=self._process(int(row[0])),
                own=int(row[0]) == own,
                thread=row[1],
                txnid=None if row[2] == "-" else int(row[2]),
            )
            for row in rows
            if len(row) == 3 and row[0].isdigit()
        ]
        snapshots = {reader.txnid for reader in readers if reader.txnid is not None}
        pages: dict[int | None, int | None] = self._pages_freed(snapshots)[1] if snapshots else {}
        for reader in readers:
            reader["pages"] = pages.get(reader.txnid, 0)
            reader["held_since"] = None
        # Which slot of those with one snapshot it is makes no difference.
        for number, since in shared.held():
            for reader in readers:
                if (reader.own, reader.txnid, reader.held_since) == (True, number, None):
                    reader["held_since"] = since
                    break
        return readers

    def _pages_freed(self, snapshots: Iterable[int]) -> tuple[int, dict[int | None, int | None]]:
        """The number of the newest snapshot, and how many pages have been freed since each one;
        None where that cannot be looked up."""
        shared = self._use()
        lib, out = shared.engine.lib, shared.engine.ffi.new("size_t *")
        box = shared.engine.ffi.new("struct pylmdb_txn *")
        found: dict[int | None, int | None] = {}
        slots = self._numbers().num_readers
        try:
            shared.begin_reader(box)
        except ReadersFullError:
            return 0, dict.fromkeys(snapshots)
        try:
            newest = int(lib.mdb_txn_id(box.ptr))
            for snapshot in snapshots:
                code = lib.pylmdb_pages_freed(box.ptr, snapshot, out)
                if code:
                    raise error("mdb_cursor_get", code)
                found[snapshot] = int(out[0])
        finally:
            shared.end_reader(box)
            shared.run(lambda env: lib.pylmdb_env_forget_slots(env, slots) or 0)
        return newest, found

    def reader_check(self) -> int:
        """Free the slots of readers whose process has died; returns how many.

        ``mdb_reader_check``.
        """
        shared = self._use()
        out = shared.engine.ffi.new("int *")
        shared.call("mdb_reader_check", shared.engine.lib.mdb_reader_check, out)
        return int(out[0])

    # What the C core calls where it cannot ask at once.
    _stat, _info, _max_key_size, _max_readers = stat, info, max_key_size, max_readers
