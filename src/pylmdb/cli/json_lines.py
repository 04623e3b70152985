# SPDX-License-Identifier: MIT
"""Records as lines of JSON: an object with "key" and "value" in each line.

``dump --json`` also writes a line for each database, an object with its name and its flags; the
records of that database follow.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .._core_rules.database_flags import flag_words, flags_from, words_of
from ..tools.bulk_loading import Section
from ._data import NAME, FormatError, formats, name_json
from ._opening import FLAGS
from ._output import json_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO, Protocol

    from ..database import Database
    from ..transaction import Transaction
    from ._data import Failures, Format

    class Writable(Protocol):
        """A text file."""

        def write(self, text: str, /) -> int: ...


# the field of a record's key, and the one of its value
_KEY, _VALUE = "key", "value"
# what to do with output of scan or find that has more than records
_WHOLE = "'dump -A --json' writes whole databases"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def write_header(out: Writable, db: Database) -> None:
    """Write the line of a database."""
    header = {"database": name_json(db.name), "flags": words_of(flag_words(db._flags))}
    out.write(json_text(header) + "\n")


def write_records(
    out: Writable, records: Iterable[tuple[bytes, bytes]], pair: tuple[Format, Format],
    failures: Failures,
) -> int:  # fmt: skip
    """Write a line for each record; return their number."""
    (keys, values), count = pair, 0
    for key, value in records:
        try:
            record = {_KEY: keys.exact_json(key), _VALUE: values.exact_json(value)}
        except FormatError as problem:
            failures.add(key, problem)
            continue
        out.write(json_text(record) + "\n")
        count += 1
    return count


class JsonLines:
    """Reads records, and the lines of databases, from lines of JSON.

    :param args: has the formats of keys and values, and may have the names of other fields for
        them.
    """

    def __init__(self, args: argparse.Namespace, file: BinaryIO) -> None:
        self._args, self._file, self._number = args, file, 0
        self._key = getattr(args, "key", None) or _KEY
        self._value = getattr(args, "value", None)
        if self._value is None and self._key == _KEY:
            self._value = _VALUE
        self._next = self._read()

    def sections(self, name: bytes | None, flags: int | None) -> Iterator[Section]:
        """Yield the databases.

        :param name: the database of records that are before the line of any database.
        :param flags: its flags; None: any.
        """
        if self._next is None or not self._is_header():
            yield Section(name, flags, self._records)
        while self._next is not None:
            header = self._next
            self._next = self._read()
            yield self._section(header)

    def _read(self) -> dict[str, Any] | None:
        """Return the object of the next line that is not empty; None at the end."""
        for line in self._file:
            self._number += 1
            if self._number == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as problem:
                raise self._error(f"not JSON: {problem}") from None
            if not isinstance(found, dict):
                raise self._error('not an object of JSON, such as {"key": "a", "value": "b"}')
            return found
        return None

    def _error(self, text: str) -> FormatError:
        return FormatError(f"line {self._number}: {text}")

    def _is_header(self) -> bool:
        return self._next is not None and self._next.keys() == {"database", "flags"}

    def _section(self, header: dict[str, Any]) -> Section:
        words = header["flags"]
        if not isinstance(words, list) or {*map(str, words)} - {*FLAGS}:
            raise self._error(f"flags must be a list of {', '.join(FLAGS)}, not {words!r}")
        name = header["database"]
        flags = flags_from(**{word: word in words for word in FLAGS})
        return Section(None if name is None else NAME.read_json(name), flags, self._records)

    def _records(self, txn: Transaction[Any], db: Database) -> Iterator[tuple[bytes, bytes]]:
        """Yield records up to the line of the next database."""
        keys, values = formats(self._args, txn, db)
        while self._next is not None and not self._is_header():
            key, value = self._fields(self._next)
            try:
                yield keys.read_json(key), self._value_of(values, value)
            except FormatError as problem:
                raise self._error(str(problem)) from None
            self._next = self._read()

    def _fields(self, record: dict[str, Any]) -> tuple[object, object]:
        """Return the key and the value of a record."""
        if "is_database" in record:
            raise self._error(f"{record.get(self._key)!r} is a named database; {_WHOLE}")
        names = {self._key} if self._value is None else {self._key, self._value}
        for name in names - record.keys():
            raise self._error(f"the object has no field {name!r}")
        if self._value is None:
            rest = {name: value for name, value in record.items() if name != self._key}
            return record[self._key], rest
        if self._value == _VALUE and record.keys() != names:
            other = min(record.keys() - names)
            raise self._error(
                f"the object has a field {other!r} besides {self._key!r} and {self._value!r};"
                f" {_WHOLE}"
            )
        return record[self._key], record[self._value]

    def _value_of(self, values: Format, value: object) -> bytes:
        if self._value is None:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return values.read_json(value)
