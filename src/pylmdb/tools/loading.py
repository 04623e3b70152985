# SPDX-License-Identifier: MIT
"""Storing the text of mdb_dump in an environment."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO

from .._base.flags import put_flags
from .._base.keywords import explains_keywords
from .._base.owners import enter
from .._base.progress import Reporter
from .._base.waiting_input import waiting_input
from .._core_rules.failures import database_error
from .._core_rules.system_errors import open_to_read
from .._environment import catalog as _catalog
from .destination import Destination, NewFile
from .dump_text import Lines, Section, TextRecords
from .sorting import BATCH_MEMORY, Sorting, parse_memory

if TYPE_CHECKING:
    from os import PathLike

    from .._aliases import CData
    from .._base.progress import Progress
    from .._core import DbSlot
    from .sources import Source

# bytes of text that are stored in one step
_BATCH_SIZE = 1 << 20
# how many databases the text may have; the number is known only at its end
_MAX_DATABASES = 1 << 16


@explains_keywords
def load(
    file: str | PathLike[str] | BinaryIO,
    dest: Source,
    database: bytes | None = None,
    progress: Progress = None,
    *,
    overwrite: bool = True,
    append: bool = False,
    plain: bool = False,
    unsorted: bool = False,
    memory: int | str = "1 GiB",
    subdir: bool = True,
    lib_version: int | None = None,
    page_size: int | None = None,
    checksums: bool = False,
) -> int:
    """Store the records of a text that :func:`dump` or mdb_dump has written: all or none.

    Databases are created with the flags in the text.  Records in ascending order are appended,
    so that pages are full.

    >>> with pylmdb.open("fruit") as env, env.begin(write=True) as txn:
    ...     txn.put(b"apple", b"red")
    True
    >>> pylmdb.dump("fruit", "text"), pylmdb.load("text", "copy")
    (1, 1)

    :param file: a path, or a file opened for binary reading, which may be a non-blocking pipe.
        Opening the path of a named pipe waits until another process writes to it.
    :param dest: a path or an open Environment.  A new environment gets its name when it is
        complete.  Into an existing one everything is written in one transaction.
    :param database: the database for sections without a name; None for the main one.
        ``mdb_load -s``.
    :param progress: a function that is called with the number of bytes that have been read and
        the size of the text (0 if it is not known); True shows a bar (tqdm).
    :param overwrite: False to keep existing records.  ``mdb_load -N``.
    :param append: True to append all records without a check of their order, for databases
        with an order that only their own program knows.  ``mdb_load -a``.
    :param plain: True for text without headers: a line for each key and each value.
        ``mdb_load -T``.
    :param unsorted: True to sort the records of each section first, as :func:`bulk_load` does.
    :param memory: how much memory is used to sort, as for :func:`bulk_load`.
    :param subdir: False to make a new environment as a single file.
    :param lib_version: the data format of a new environment, as for ``open``.
    :param page_size: the page size of a new environment, as for ``open``.
    :param checksums: True to give the pages of a new environment checksums, as for ``open``.
    :return: the number of records written.
    :raises PathNotFoundError: ``file``, or the parent directory of ``dest``, does not exist.
    :raises InvalidParameterError: the text is not in the format; the message has the line.
    :raises IncompatibleError: a database exists with other flags, or the text has flags for the
        main database of an environment that is not new and empty.
    """
    room = parse_memory(memory) - BATCH_MEMORY
    if append and unsorted:
        raise ValueError("load: append=True keeps the order of the text, unsorted=True sorts it")
    with ExitStack() as stack:
        source: Any = file
        if not hasattr(source, "read"):
            source = stack.enter_context(open_to_read("load", source))
        else:
            source = waiting_input(source)
        lines = Lines(source, _BATCH_SIZE)
        new_file = NewFile(lib_version, page_size, bool(checksums))
        target = enter(stack, Destination(dest, subdir, new_file, _MAX_DATABASES))
        target.open()
        reporter = stack.enter_context(Reporter(progress, _size(source), "B"))
        loading = Loading(lines, target, reporter, bool(overwrite), bool(append))
        if unsorted:
            loading.room = room
        written = loading.plain(database) if plain else loading.sections(database)
        target.finish()
        return written


def _size(file: BinaryIO) -> int:
    try:
        return os.fstat(file.fileno()).st_size
    except (OSError, AttributeError):
        return 0


class Loading:
    """Reads records from text and stores them in a :class:`Destination`.

    :ivar room: how much memory is used to sort the records; None: they are not sorted.
    """

    room: int | None = None

    def __init__(
        self, lines: Lines, target: Destination, reporter: Reporter, overwrite: bool, append: bool
    ) -> None:
        self.lines, self.target, self.reporter, self.overwrite = lines, target, reporter, overwrite
        self.append = append
        self.engine, self.reported = target.env._use().engine, 0
        self.flags = put_flags(overwrite, overwrite)

    def sections(self, database: bytes | None) -> int:
        """Load the whole text; return the number of records written."""
        written, lines = 0, self.lines
        while (section := lines.section()) is not None:
            if section.name is None:
                section.name = database
            written += self.records(section, TextRecords(self.engine, section.encoding, True))
        if not lines.number:
            raise lines.error("the text is empty; give what dump() or mdb_dump has written")
        return written

    def plain(self, database: bytes | None) -> int:
        """Load text without headers; return the number of records written."""
        return self.records(Section(database, None), TextRecords(self.engine, b"print", False))

    def records(self, section: Section, records: TextRecords) -> int:
        """Load one section; return the number of records written."""
        if self.room is not None:
            return self._sort(section, records, self.room)
        written = 0
        while True:
            slot = self._open(section)
            count = self.lines.parse(records)
            if count:
                written += self._put(slot, records)
            self.target.add_written(self._report())
            if not count:
                return written

    def _report(self) -> int:
        """Report the bytes of text that were read since the last time, and return their number."""
        step, self.reported = self.lines.size - self.reported, self.lines.size
        self.reporter.add(step)
        return step

    def _open(self, section: Section) -> DbSlot:
        """Return the database in the current transaction."""
        name = section.name
        if name is not None:
            name = _catalog.checked_name(name, self.target.env.lib_version()[0])
        return self.target.slot(f"load: line {self.lines.number}", name, section.flags)

    def _put(self, slot: DbSlot, records: TextRecords) -> int:
        """Append records as long as they are in ascending order, or all of them; put the rest."""
        ffi, lib = self.engine.ffi, self.engine.lib
        done, written, native = ffi.new("size_t *"), ffi.new("size_t *"), records.native
        code = self.target.txn._do(
            lambda ptr: lib.pylmdb_store(
                ptr,
                slot.dbi,
                slot.flags,
                native.records,
                native.count,
                self.flags,
                self.append,
                done,
                written,
            )
        )
        if code:
            raise self._refused(code, slot, records, done[0])
        return int(written[0])

    def _sort(self, section: Section, records: TextRecords, room: int) -> int:
        """Sort the records of a section, and write them; return how many were written."""
        slot, lib, native = self._open(section), self.engine.lib, records.native
        kept = "last" if self.overwrite else "first"

        def add(sorter: CData, first: int, done: CData) -> int:
            return int(lib.pylmdb_sorter_add(sorter, native.records, native.count, first, done))

        with Sorting(
            "load", self.target, slot.name, slot.flags, kept, room, Reporter(None, 0, "")
        ) as sorting:
            while count := self.lines.parse(records):
                added, code = sorting.add(add, count)
                if code:
                    raise self._refused(code, slot, records, added)
                self._report()
            self._report()
            return sorting.write()

    def _line_of(self, records: TextRecords, index: int) -> int:
        """Return the number of the line of a record's value."""
        return self.lines.number - 2 * (int(records.native.count) - index - 1)

    def _refused(self, code: int, slot: DbSlot, records: TextRecords, index: int) -> Exception:
        """Return the exception for a record that was refused."""
        key, value = records.native.records[2 * index : 2 * index + 2]
        data = self.engine.ffi.buffer(key.mv_data, key.mv_size)[:]
        where = f"load: line {self._line_of(records, index)}"
        return database_error(where, code, slot, data, value.mv_size, where)
