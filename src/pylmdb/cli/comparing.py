# SPDX-License-Identifier: MIT
"""The command diff: compares two environments."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._base.flags import (
    MDB_DUPSORT,
    MDB_INTEGERDUP,
    MDB_INTEGERKEY,
    MDB_REVERSEDUP,
    MDB_REVERSEKEY,
)
from .._core_rules.database_flags import flag_words, words_of
from .._environment import catalog as _catalog
from ._commands import add_database, number
from ._data import Failures, FormatError, add_formats, formats, name_json
from ._opening import name_of, reading
from ._output import print_json
from ._records import name_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction
    from ._commands import Commands
    from ._data import Format

    Record = tuple[bytes, bytes]
    # a record that is in A, in B, or in both with different values
    Change = tuple[bytes, bytes | None, bytes | None]

# the sign of records that are in A, and in B
_SIGNS = {"a": "-", "b": "+"}


def add(commands: Commands) -> None:
    """Add the command."""
    diff = commands.add(
        "diff", compare,
        "Print the records in which two environments differ: those of A with -, those of B with +."
        " The exit status is 0 if they are equal, 1 if they differ, 2 after an error.",
        examples="""\
pylmdb diff fruit other
pylmdb diff fruit other -d prices --json
pylmdb diff fruit other -q || echo they differ""",
    )  # fmt: skip
    diff.add_argument("path", metavar="A", help="an environment: a directory or a single file")
    diff.add_argument("other", metavar="B", help="another one, which may have the other format")
    diff.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    diff.add_argument("-n", "--limit", type=number, metavar="N", help="print at most N records")
    add_database(diff, "compare one named database; by default all databases")
    add_formats(diff)
    diff.set_defaults(failure=2)


class _Side:
    """One of the two environments, with its databases by name.

    :param only: the database to compare; None for all.
    """

    def __init__(self, env: Environment, txn: Transaction[Any], only: bytes | None) -> None:
        self._txn = txn
        self._keys = frozenset(_catalog.keys(env, txn))
        names = {None, *map(_catalog.name_of, self._keys)}
        self.databases: dict[bytes | None, Database] = {
            name: env.open_db(name, txn, create=False)
            for name in (names if only is None else names & {only})
        }

    def records(self, name: bytes | None) -> Iterator[Record]:
        """Return the records of a database, without those that are named databases."""
        found = self._txn.range(db=self.databases[name])
        if name is None and self._keys:
            return (record for record in found if record[0] not in self._keys)
        return found


class _Report:
    """Prints differences.

    :ivar is_different: whether there were any.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._args, self._left, self.is_different = args, args.limit, False
        self._failures = Failures(args)

    def is_complete(self) -> bool:
        """Return True if nothing more has to be compared."""
        return self.is_different and (self._args.quiet or self._left == 0)

    def database(self, name: bytes | None, a: Database | None, b: Database | None) -> None:
        """Print that a database is in one environment only, or has other flags in the other."""
        self.is_different = True
        if self.is_complete():
            return
        sides = {side: words_of(flag_words(db._flags)) for side, db in (("a", a), ("b", b)) if db}
        if self._args.json:
            print_json({"database": name_json(name), "flags": sides}, lines=True)
            return
        for side, words in sides.items():
            text = " ".join(["flags", *words]) if len(sides) == 2 else "(database)"
            print(_SIGNS[side], name_text(name), text, sep="\t")

    def record(self, name: bytes | None, pair: tuple[Format, Format], change: Change) -> None:
        """Print a record that differs."""
        self.is_different = True
        if self.is_complete():
            return
        if self._left is not None:
            self._left -= 1
        try:
            self._print(name, pair, change)
        except FormatError as problem:
            self._failures.add(change[0], problem)

    def _print(self, name: bytes | None, pair: tuple[Format, Format], change: Change) -> None:
        (keys, values), (key, a, b) = pair, change
        sides = [(side, value) for side, value in (("a", a), ("b", b)) if value is not None]
        if self._args.json:
            found: dict[str, Any] = {"database": name_json(name), "key": keys.json(key)}
            print_json(found | {side: values.json(value) for side, value in sides}, lines=True)
            return
        label = [] if self._args.db is not None else [name_text(name)]
        for side, value in sides:
            print(_SIGNS[side], *label, keys.text(key), values.text(value), sep="\t")


def compare(args: argparse.Namespace) -> int:
    """``pylmdb diff``."""
    only = name_of(args.db)
    report = _Report(args)
    with (
        reading(args, whole=True) as env_a, reading(args, whole=True, path=args.other) as env_b,
        env_a.begin() as txn_a, env_b.begin() as txn_b,
    ):  # fmt: skip
        a, b = _Side(env_a, txn_a, only), _Side(env_b, txn_b, only)
        names = {*a.databases, *b.databases}
        if not names:
            raise ValueError(f"neither environment has the database {args.db!r}")
        for name in sorted(names, key=lambda name: name or b""):
            if report.is_complete():
                break
            in_a, in_b = a.databases.get(name), b.databases.get(name)
            if in_a is None or in_b is None or in_a._flags != in_b._flags:
                report.database(name, in_a, in_b)
                continue
            pair = formats(args, txn_a, in_a)
            for change in _changes(a.records(name), b.records(name), _rank(in_a._flags)):
                report.record(name, pair, change)
                if report.is_complete():
                    return 1
    return int(report.is_different)


def _changes(
    a: Iterator[Record], b: Iterator[Record], rank: Callable[[Record], Any]
) -> Iterator[Change]:
    """Yield the differences of two iterators whose records have the order of ``rank``."""
    left, right = next(a, None), next(b, None)
    while left or right:
        if left == right:
            left, right = next(a, None), next(b, None)
        elif right is None or (left is not None and rank(left) < rank(right)):
            assert left is not None
            yield left[0], left[1], None
            left = next(a, None)
        elif left is None or rank(right) < rank(left):
            yield right[0], None, right[1]
            right = next(b, None)
        else:
            yield left[0], left[1], right[1]
            left, right = next(a, None), next(b, None)


def _rank(flags: int) -> Callable[[Record], Any]:
    """Return the function by which the records of a database are in ascending order.

    It is equal for records that differ only in the value, unless a key can have several.
    """
    order = _order(flags & MDB_REVERSEKEY, flags & MDB_INTEGERKEY)
    if not flags & MDB_DUPSORT:
        return lambda record: order(record[0])
    order_of_values = _order(flags & MDB_REVERSEDUP, flags & MDB_INTEGERDUP)
    return lambda record: (order(record[0]), order_of_values(record[1]))


def _order(is_reversed: int, is_integer: int) -> Callable[[bytes], Any]:
    if is_integer:
        return lambda data: (int.from_bytes(data, sys.byteorder), data)
    return (lambda data: data[::-1]) if is_reversed else (lambda data: data)
