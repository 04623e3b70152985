# SPDX-License-Identifier: MIT
"""Storing the text of mdb_dump in an environment."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO

from .._base.flags import MDB_DUPSORT
from .._environment import catalog as _catalog
from ..errors import Error, error
from .destination import Destination
from .dump_text import Lines, Section
from .progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from ..database import Database
    from .progress import Progress
    from .sources import Source

# records, or bytes of text, that are stored in one step
_BATCH, _BATCH_SIZE = 1000, 1 << 20
# how many databases the text may have; the number is known only at its end
_MAX_DATABASES = 1 << 16


def load(
    file: str | PathLike[str] | BinaryIO,
    dest: Source,
    database: bytes | None = None,
    progress: Progress = None,
    *,
    overwrite: bool = True,
    append: bool = False,
    plain: bool = False,
    subdir: bool = True,
    lib_version: int | None = None,
) -> int:
    """Store the records of a text that :func:`dump` or mdb_dump has written: all or none.

    Databases are created with the flags in the text.  Records in ascending order are appended,
    so that pages are full.

    :param file: a path, or a file opened for binary reading.
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
    :param subdir: False to make a new environment as a single file.
    :param lib_version: the data format of a new environment, as for ``open``.
    :return: the number of records written.
    :raises InvalidParameterError: the text is not in the format; the message has the line.
    :raises IncompatibleError: a database exists with other flags, or the text has flags for the
        main database of an environment that is not new and empty.
    """
    with ExitStack() as stack:
        source: Any = file
        if not hasattr(source, "read"):
            source = stack.enter_context(open(os.fspath(source), "rb"))
        lines = Lines(source)
        target = stack.enter_context(Destination(dest, subdir, lib_version, _MAX_DATABASES))
        target.open()
        reporter = stack.enter_context(Reporter(progress, _size(source), "B"))
        loading = Loading(lines, target, reporter, bool(overwrite), bool(append))
        if plain:
            written = loading.records(Section(database, None), lines.plain_records())
        else:
            written = loading.sections(database)
        target.finish()
        return written


def _size(file: BinaryIO) -> int:
    try:
        return os.fstat(file.fileno()).st_size
    except (OSError, AttributeError):
        return 0


class Loading:
    """Reads records from text and stores them in a :class:`Destination`."""

    def __init__(
        self, lines: Lines, target: Destination, reporter: Reporter, overwrite: bool, append: bool
    ) -> None:
        self.lines, self.target, self.reporter = lines, target, reporter
        self.overwrite, self.append = overwrite, append
        self.reported = 0

    def sections(self, database: bytes | None) -> int:
        """Load the whole text; return the number of records written."""
        written, lines = 0, self.lines
        while (section := lines.section()) is not None:
            if section.name is None:
                section.name = database
            written += self.records(section, lines.records(section.encoding))
        if not lines.number:
            raise lines.error("the dump is empty")
        return written

    def records(self, section: Section, records: Iterator[tuple[bytes, bytes]]) -> int:
        """Load one section; return the number of records written."""
        write = self._append_unchecked if self.append else self._put
        written = 0
        while True:
            db, batch = self._open(section), self._batch(records)
            if batch:
                written += write(db, batch)
            step, self.reported = self.lines.size - self.reported, self.lines.size
            self.reporter.add(step)
            self.target.add_written(step)
            if not batch:
                return written

    def _batch(self, records: Iterator[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes, int]]:
        """Return a batch of records, each with the number of its line."""
        batch: list[tuple[bytes, bytes, int]] = []
        begin = self.lines.size
        for key, value in records:
            batch.append((key, value, self.lines.number))
            if len(batch) == _BATCH or self.lines.size - begin >= _BATCH_SIZE:
                break
        return batch

    def _open(self, section: Section) -> Database:
        """Return the database in the current transaction."""
        env = self.target.env
        name = section.name
        if name is not None:
            name = _catalog.checked_name(name, env.lib_version()[0])
        slot = self.target.slot(f"load: line {self.lines.number}", name, section.flags)
        return env._handle(name, slot)

    def _put(self, db: Database, batch: list[tuple[bytes, bytes, int]]) -> int:
        """Put records; append them as long as they are in ascending order."""
        overwrite, written = self.overwrite, 0
        in_order = not db._flags & MDB_DUPSORT
        with self.target.txn.cursor(db) as cursor:
            for key, value, line in batch:
                try:
                    if in_order:
                        in_order = cursor.put(key, value, append=True)
                    written += in_order or cursor.put(key, value, overwrite, overwrite)
                except Error as failure:
                    where = f"load: line {line}"
                    problem = failure.problem and f"{where}: {failure.problem}"
                    raise error(where, failure.code, failure.hint, problem) from failure
        return written

    def _append_unchecked(self, db: Any, batch: list[tuple[bytes, bytes, int]]) -> int:
        engine = db._env._use().engine
        ffi, done = engine.ffi, engine.ffi.new("size_t *")
        parts = [part for key, value, _ in batch for part in (key, value)]
        records = ffi.new("MDB_val[]", len(parts))
        alive = [ffi.from_buffer(part) for part in parts]
        for record, part, data in zip(records, parts, alive, strict=True):
            record.mv_data, record.mv_size = data, len(part)
        code = self.target.txn._do(
            lambda ptr: engine.lib.pylmdb_append(ptr, db._slot.dbi, records, len(batch), done)
        )
        if code:
            raise error(f"load: line {batch[done[0]][2]}", code)
        return len(batch)
