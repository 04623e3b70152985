# SPDX-License-Identifier: MIT
"""Records that several commands select or print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._environment import catalog as _catalog
from ._data import NAME, Failures, Format, FormatError, name_json
from ._output import print_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction

# what is shown as the value of a record that is a named database, and as the name of the main one
_DATABASE, MAIN = "(database)", "(main)"
# the size of such a record's value, in files of 32-bit and of 64-bit programs
_DATABASE_SIZES = (28, 48)


def add_range(command: argparse.ArgumentParser, what: str) -> None:
    """Add the options that select a range of keys."""
    command.add_argument("--prefix", metavar="KEY", help=f"{what} only keys with this prefix")
    command.add_argument("--start", metavar="KEY", help="start at this key")
    command.add_argument("--stop", metavar="KEY", help="stop before this key")


def bounds(args: argparse.Namespace, keys: Format) -> dict[str, Any]:
    """Return the selected range of keys as keywords of ``Transaction.range``."""
    names = ("prefix", "start", "stop")
    given = {name: text for name in names if (text := getattr(args, name)) is not None}
    if "prefix" in given and len(given) > 1:
        args.refuse("give --prefix, or --start and --stop, not both")
    return {name: keys.read(text) for name, text in given.items()}


def name_text(name: bytes | None) -> str:
    """Return the name of a database as it is shown."""
    return MAIN if name is None else NAME.text(name)


class Printer:
    """Prints records of a database, and names those that are not in the requested format.

    :param values: False to print keys only.
    :param width: cut values to this number of characters; 0 prints whole values.
    :param named: True to print the name of the database with each record.
    """

    def __init__(
        self, args: argparse.Namespace, txn: Transaction[Any], db: Database,
        formats: tuple[Format, Format], failures: Failures, *, values: bool = True,
        width: int = 0, named: bool = False,
    ) -> None:  # fmt: skip
        self._txn, self._db, self._is_main = txn, db, db.name is None
        self._keys, self._values = formats
        self._show_values, self._width, self._failures = values, width, failures
        self._named = named
        self._print = self._print_json if args.json else self._print_line

    def add(self, key: bytes, value: bytes | None) -> None:
        """Print a record; the value is None if it was not read."""
        is_database = self.is_database(key, value)
        if is_database:
            key = _catalog.name_of(key)
        try:
            self._print(key, value, is_database)
        except FormatError as problem:
            self._failures.add(key, problem)

    def is_database(self, key: bytes, value: bytes | None) -> bool:
        """Return True if a record is a named database.

        If its value was not read, this is only found out for a key with a NUL at its end, as LMDB
        1.0 stores names.
        """
        if not self._is_main:
            return False
        may_be = key.endswith(b"\0") if value is None else len(value) in _DATABASE_SIZES
        return may_be and _catalog.is_database(self._txn.env, self._txn, key)

    def _print_json(self, key: bytes, value: bytes | None, is_database: bool) -> None:
        record: dict[str, Any] = {"database": name_json(self._db.name)} if self._named else {}
        record["key"] = self._keys.json(key)
        if is_database and self._show_values:
            record["is_database"] = True
        elif self._show_values and value is not None:
            record["value"] = self._values.json(value)
        print_json(record, lines=True)

    def _print_line(self, key: bytes, value: bytes | None, is_database: bool) -> None:
        cells = [name_text(self._db.name)] if self._named else []
        cells.append(self._keys.text(key))
        if self._show_values and value is not None:
            cells.append(_DATABASE if is_database else self._values.text(value, self._width))
        print("\t".join(cells))


def every_database(env: Environment, txn: Transaction[Any]) -> Iterator[Database]:
    """Yield the main database and every named one; the environment must have room for all."""
    yield env.open_db(None, txn, create=False)
    yield from named_databases(env, txn)


def named_databases(env: Environment, txn: Transaction[Any]) -> Iterator[Database]:
    """Yield every named database; the environment must have room for all."""
    for name in env.dbs(txn):
        yield env.open_db(name, txn, create=False)


def own_records(
    txn: Transaction[Any], db: Database, **bounds: Any
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the records of a database, or of a range of keys, that are not named databases."""
    named = frozenset(_catalog.keys(txn.env, txn)) if db.name is None else ()
    for record in txn.range(**bounds, db=db):
        if record[0] not in named:
            yield record
