# SPDX-License-Identifier: MIT
"""Records as rows of a CSV file: a column of keys, and one of values."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from .._base.words import counted
from ..tools.bulk_loading import Section
from ._data import FormatError, formats

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from ..database import Database
    from ..transaction import Transaction
    from ._data import Failures, Format
    from .json_lines import Writable


def _decoded(file: BinaryIO) -> Iterator[str]:
    """Yield lines of text, with their ends, and without a byte order mark."""
    for number, line in enumerate(file):
        try:
            yield line.decode("utf-8" if number else "utf-8-sig")
        except UnicodeDecodeError as problem:
            raise FormatError(f"line {number + 1}: {problem}") from None


def delimiter(text: str) -> str:
    """Parse an argument that is the character between cells; ``tab`` is a tab."""
    char = "\t" if text in ("tab", "\\t") else text
    if len(char) != 1 or char in '\r\n"':
        raise ValueError
    return char


def write_records(
    out: Writable, records: Iterable[tuple[bytes, bytes]], pair: tuple[Format, Format],
    failures: Failures, args: argparse.Namespace,
) -> int:  # fmt: skip
    """Write a row for each record; return their number."""
    (keys, values), count = pair, 0
    writer = csv.writer(out, delimiter=args.delimiter, lineterminator="\n")
    if args.header:
        writer.writerow(("key", "value"))
    for key, value in records:
        try:
            row = keys.exact_text(key), values.exact_text(value)
        except FormatError as problem:
            failures.add(key, problem)
            continue
        writer.writerow(row)
        count += 1
    return count


class CsvTable:
    """Reads records from the rows of a CSV file.

    :param args: has the formats of keys and values, the names of their columns, the delimiter, and
        whether the first row has the names of the columns.
    """

    def __init__(self, args: argparse.Namespace, file: BinaryIO) -> None:
        csv.field_size_limit(sys.maxsize)
        self._args = args
        self._reader = csv.reader(_decoded(file), delimiter=args.delimiter, strict=True)
        self._first = self._row()
        if self._first is None:
            raise FormatError("the CSV file is empty")
        self._columns = [*self._first]
        if args.header:
            self._first = None
        else:
            self._columns = [str(number) for number in range(1, len(self._first) + 1)]

    def sections(self, name: bytes | None, flags: int | None) -> Iterator[Section]:
        """Yield the database to which the records belong."""
        yield Section(name, flags, self._records)

    def _row(self) -> list[str] | None:
        """Return the next row that is not empty; None at the end."""
        try:
            return next((row for row in self._reader if row), None)
        except csv.Error as problem:
            raise self._error(str(problem)) from None

    def _error(self, text: str) -> FormatError:
        return FormatError(f"line {self._reader.line_num}: {text}")

    def _records(self, txn: Transaction[Any], db: Database) -> Iterator[tuple[bytes, bytes]]:
        keys, values = formats(self._args, txn, db)
        key_at = 0 if self._args.key is None else self._column(self._args.key)
        value_of = self._value_of(key_at, values)
        row = self._first or self._row()
        while row is not None:
            if len(row) != len(self._columns):
                raise self._error(
                    f"the row has {counted(len(row), 'cell')}, not {len(self._columns)}"
                )
            try:
                yield keys.read(row[key_at]), value_of(row)
            except FormatError as problem:
                raise self._error(str(problem)) from None
            row = self._row()

    def _column(self, name: str) -> int:
        """Return the index of a column."""
        if self._columns.count(name) != 1:
            raise FormatError(
                f"the table must have exactly one column {name!r}; its columns are"
                f" {', '.join(self._columns)}"
            )
        return self._columns.index(name)

    def _value_of(self, key_at: int, values: Format) -> Callable[[list[str]], bytes]:
        """Return the function that makes the value of a row: from one column, or from all but the
        key's as an object of JSON."""
        if self._args.value is not None:
            value_at = self._column(self._args.value)
        elif len(self._columns) == 2:
            value_at = 1 - key_at
        elif len(self._columns) == 1:
            raise FormatError("the table has only one column; name the column of the values")
        else:
            for name in self._columns:
                self._column(name)
            return lambda row: _as_json(self._columns, row, key_at)
        return lambda row: values.read(row[value_at])


def _as_json(columns: list[str], row: list[str], key_at: int) -> bytes:
    cells = {
        column: cell
        for at, (column, cell) in enumerate(zip(columns, row, strict=True))
        if at != key_at
    }
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":")).encode()
