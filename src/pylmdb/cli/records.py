# SPDX-License-Identifier: MIT
"""Commands on records: scan, count, find, get, put, del, edit."""

from __future__ import annotations

import os
import re
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from .._base.waiting_input import waiting_input
from ..errors import NotFoundError
from ._commands import add_database, number
from ._data import NAME, Failures, add_formats, formats
from ._opening import add_flags, add_new_file, database, reading, writing
from ._output import counted, print_error, print_json
from ._records import Printer, add_range, bounds, every_database

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import Any

    from ..database import Database
    from ..transaction import Transaction
    from ._commands import Commands
    from ._data import Format

# characters of a value that scan shows on a terminal
_TERMINAL_WIDTH = 100
_WIDTH_HELP = (
    "cut values to N characters; 0 prints whole values;"
    f" the default is {_TERMINAL_WIDTH} on a terminal, else 0"
)
_ONE_DATABASE = "use a named database instead of the main one"


def add(commands: Commands) -> None:
    """Add the commands."""
    _add_scan(commands)
    _add_get(commands)
    _add_put(commands)
    _add_del(commands)
    _add_edit(commands)


def _add_scan(commands: Commands) -> None:
    scan = commands.on_path(
        "scan",
        scan_records,
        "List records in the order of their keys. With --json, print one in each line.",
        examples="""\
pylmdb scan fruit --prefix a -n 5
pylmdb scan fruit --start b --stop d --reverse
pylmdb scan fruit -d prices --value-format json --json""",
    )
    add_range(scan, "list")
    scan.add_argument("-n", "--limit", type=number, metavar="N", help="print at most N records")
    scan.add_argument("-r", "--reverse", action="store_true", help="list in descending order")
    scan.add_argument("-k", "--keys-only", action="store_true", help="print keys without values")
    scan.add_argument("--width", type=number, metavar="N", help=_WIDTH_HELP)
    add_database(scan, _ONE_DATABASE)
    add_formats(scan)
    count = commands.on_path(
        "count", count_records,
        "Print how many records there are, or how many of a range of keys. The main database has"
        " a record for each named one.",
        examples="""\
pylmdb count fruit
pylmdb count fruit -d prices --prefix a""",
    )  # fmt: skip
    add_range(count, "count")
    add_database(count, _ONE_DATABASE)
    add_formats(count, value=False)
    find = commands.on_path(
        "find", find_records,
        "List records whose values contain a text. The exit status is 1 if there are none.",
        examples="""\
pylmdb find fruit red
pylmdb find fruit 0x3132 -d prices
pylmdb find fruit '^r.d$' --regex --all""",
    )  # fmt: skip
    find.add_argument("pattern", metavar="TEXT", help="text, or bytes as 0x and hexadecimal digits")
    find.add_argument("-E", "--regex", action="store_true", help="TEXT is a regular expression")
    find.add_argument("-i", "--ignore-case", action="store_true",
                      help="ignore the case of ASCII letters")  # fmt: skip
    find.add_argument("-n", "--limit", type=number, metavar="N", help="print at most N records")
    find.add_argument("-k", "--keys-only", action="store_true", help="print keys without values")
    find.add_argument("--width", type=number, metavar="N", help=_WIDTH_HELP)
    which = find.add_mutually_exclusive_group()
    add_database(which, "search a named database instead of the main one")
    which.add_argument("-a", "--all", action="store_true", help="search every database")
    add_formats(find)
    find.set_defaults(failure=2)


def _add_get(commands: Commands) -> None:
    get = commands.on_path(
        "get", get_records,
        "Write the value of a key to standard output. With several keys, list their records.",
        examples="""\
pylmdb get fruit apple > file
pylmdb get fruit apple banana
pylmdb get fruit -d prices 0x6170706c65""",
    )  # fmt: skip
    get.add_argument("keys", metavar="KEY", nargs="+", help="keys of the records")
    get.add_argument("-x", "--xxd", action="store_true",
                     help="show offsets, hexadecimal digits and text")  # fmt: skip
    add_database(get, _ONE_DATABASE)
    add_formats(get)


def _add_put(commands: Commands) -> None:
    put = commands.on_path(
        "put", put_record, "Store a record.",
        examples="""\
pylmdb put new apple red --create
pylmdb put fruit apple 12 -d prices
pylmdb put fruit photo -f picture.jpg
pylmdb put fruit apple sweet -d tags --create --flags dupsort""",
    )  # fmt: skip
    put.add_argument("key", metavar="KEY", help="key of the record")
    put.add_argument("value", metavar="VALUE", nargs="?", help="value of the record")
    put.add_argument("-f", "--file", help="read the value from a file; '-' is standard input")
    put.add_argument(
        "--create",
        action="store_true",
        help="create the environment or database if it does not exist",
    )
    put.add_argument(
        "-N", "--no-overwrite", action="store_true", help="keep the value of an existing key"
    )
    add_flags(put)
    add_new_file(put)
    add_database(put, _ONE_DATABASE)
    add_formats(put)


def _add_del(commands: Commands) -> None:
    delete = commands.on_path(
        "del", delete_records, "Delete a key, one of its values, or a range of keys.",
        examples="""\
pylmdb del fruit apple
pylmdb del fruit apple sweet -d tags
pylmdb del fruit --prefix a
pylmdb del fruit --start b --stop d""",
    )  # fmt: skip
    delete.add_argument("key", metavar="KEY", nargs="?", help="key of the record")
    delete.add_argument(
        "value", metavar="VALUE", nargs="?", help="delete only this value; by default all values"
    )
    add_range(delete, "delete")
    add_database(delete, _ONE_DATABASE)
    add_formats(delete)


def _add_edit(commands: Commands) -> None:
    edit = commands.on_path(
        "edit", edit_records, "Store and delete several records in one transaction.",
        examples="""\
pylmdb edit fruit --set apple=green --delete banana
pylmdb edit -e fruit -d prices --add cherry=7""",
    )  # fmt: skip
    for option, text in (
        ("--add", "store a record, unless the key exists"),
        ("--set", "store a record"),
        ("--delete", "delete a key, if it exists"),
        ("--add-file", "store the content of a file, unless the key exists"),
        ("--set-file", "store the content of a file"),
    ):
        metavar = "KEY=PATH" if "file" in option else "KEY" if "delete" in option else "KEY=VALUE"
        edit.add_argument(option, action="append", default=[], metavar=metavar, help=text)
    add_database(edit, _ONE_DATABASE)
    add_formats(edit)


def _width(args: argparse.Namespace) -> int:
    if args.width is None:
        return _TERMINAL_WIDTH if sys.stdout.isatty() else 0
    return int(args.width)


def scan_records(args: argparse.Namespace) -> int:
    """``pylmdb scan``."""
    failures = Failures(args)
    with reading(args) as env, env.begin() as txn:
        db = database(env, args, txn)
        found = formats(args, txn, db)
        printer = Printer(
            args, txn, db, found, failures, values=not args.keys_only, width=_width(args)
        )
        for key, value in islice(_records(txn, db, args, found[0]), args.limit):
            printer.add(key, value)
    return failures.status()


def _records(
    txn: Transaction[Any], db: Database, args: argparse.Namespace, keys: Format
) -> Iterator[Any]:
    """Return an iterator of the selected records; with ``--keys-only`` values are None."""
    found = txn.range(**bounds(args, keys), db=db, reverse=args.reverse, values=not args.keys_only)
    return ((key, None) for key in found) if args.keys_only else found


def count_records(args: argparse.Namespace) -> None:
    """``pylmdb count``."""
    with reading(args) as env, env.begin() as txn:
        db = database(env, args, txn)
        keys, _ = formats(args, txn, db)
        count = txn.count(**bounds(args, keys), db=db)
    if args.json:
        print_json({"records": count})
    else:
        print(count)


def find_records(args: argparse.Namespace) -> int:
    """``pylmdb find``; the exit status is that of grep."""
    failures, found = Failures(args), 0
    with reading(args, whole=args.all) as env, env.begin() as txn:
        for db in every_database(env, txn) if args.all else [database(env, args, txn)]:
            pair = formats(args, txn, db)
            matches = _matcher(args, pair[1])
            printer = Printer(
                args, txn, db, pair, failures, values=not args.keys_only, width=_width(args),
                named=args.all,
            )  # fmt: skip
            for key, value in txn.range(db=db):
                if found == args.limit:
                    break
                if matches(value) and not printer.is_database(key, value):
                    printer.add(key, value)
                    found += 1
    return failures.status() or int(not found)


def _matcher(args: argparse.Namespace, values: Format) -> Callable[[bytes], object]:
    """Return a function that tells whether a value matches."""
    if args.regex:
        pattern = os.fsencode(args.pattern)
    else:
        # a part of a value need not have the format of a whole one
        reads = NAME if args.value_format in ("json", "npy") else values
        wanted = reads.read(args.pattern)
        if not args.ignore_case:
            return lambda value: wanted in value
        pattern = re.escape(wanted)
    flags = re.DOTALL | re.MULTILINE | (re.IGNORECASE if args.ignore_case else 0)
    try:
        return re.compile(pattern, flags).search
    except re.error as problem:
        raise ValueError(f"{args.pattern!r} is not a regular expression: {problem}") from None


def get_records(args: argparse.Namespace) -> int:
    """``pylmdb get``."""
    failures, status = Failures(args), 0
    with reading(args) as env, env.begin() as txn:
        db = database(env, args, txn)
        pair = formats(args, txn, db)
        wanted = [(text, pair[0].read(text)) for text in args.keys]
        if len(wanted) == 1:
            value = _value(txn, db, *wanted[0])
            if Printer(args, txn, db, pair, failures).is_database(wanted[0][1], value):
                raise ValueError(f"{args.keys[0]!r} is a named database; use --db to read from it")
            _print_value(args, pair, wanted[0][1], value)
            return 0
        printer = Printer(args, txn, db, pair, failures)
        for text, key in wanted:
            try:
                value = _value(txn, db, text, key)
            except NotFoundError as problem:
                print_error(args, str(problem))
                status = 1
                continue
            if args.xxd:
                print(f"{pair[0].text(key)}:")
                _print_dump(value)
            else:
                printer.add(key, value)
    return status or failures.status()


def _value(txn: Transaction[Any], db: Database, text: str, key: bytes) -> bytes:
    value: bytes | None = txn.get(key, db=db)
    if value is None:
        raise NotFoundError(f"the key {text!r} does not exist")
    return value


def _print_value(
    args: argparse.Namespace, pair: tuple[Format, Format], key: bytes, value: bytes
) -> None:
    keys, values = pair
    if args.xxd:
        _print_dump(value)
    elif args.json:
        print_json({"key": keys.json(key), "value": values.json(value)})
    elif args.value_format != "auto" or sys.stdout.isatty():
        print(values.text(value))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()


def _print_dump(data: bytes) -> None:
    """Print lines of 16 bytes: the offset, pairs of hexadecimal bytes, and ASCII text."""
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        print(f"{at:08x}: {row.hex(' ', -2):<39}  {text}")


def put_record(args: argparse.Namespace) -> None:
    """``pylmdb put``."""
    if (args.value is None) == (args.file is None):
        args.refuse("give either VALUE or --file")
    given = _read(args.file) if args.file is not None else None
    with writing(args) as env, env.begin(write=True) as txn:
        db = database(env, args, txn)
        keys, values = formats(args, txn, db)
        if given is None:
            given = values.read(args.value)
        stored = txn.put(keys.read(args.key), given, overwrite=not args.no_overwrite, db=db)
    if args.json:
        print_json({"stored": stored})
    if not stored:
        raise ValueError(f"the key {args.key!r} exists; its value was kept")


def _read(path: str) -> bytes:
    if path == "-":
        return waiting_input(sys.stdin.buffer).read()
    with open(path, "rb") as file:
        return file.read()


def delete_records(args: argparse.Namespace) -> None:
    """``pylmdb del``."""
    has_range = any(text is not None for text in (args.prefix, args.start, args.stop))
    if has_range == (args.key is not None):
        args.refuse("give either KEY, or --prefix, --start or --stop")
    with writing(args) as env, env.begin(write=True) as txn:
        db = database(env, args, txn)
        keys, values = formats(args, txn, db)
        if has_range:
            count = txn.delete_range(**bounds(args, keys), db=db)
        else:
            count = _delete(txn, db, keys.read(args.key), args.value, values)
    if args.json:
        print_json({"deleted": count if has_range else bool(count)})
    elif has_range:
        print(f"{counted(count)} deleted")
    if not (has_range or count):
        raise NotFoundError(f"the record {args.key!r} does not exist")


def _delete(
    txn: Transaction[Any], db: Database, key: bytes, text: str | None, values: Format
) -> bool:
    if text is None:
        return txn.delete(key, db=db)
    value = values.read(text)
    # A duplicate is never empty, and delete() takes an empty value for all duplicates.
    several = db.flags(txn)["dupsort"]
    return bool(value or not several) and txn.delete(key, value, db=db)


def edit_records(args: argparse.Namespace) -> None:
    """``pylmdb edit``: one transaction, in the order of py-lmdb's command."""
    counts = {"stored": 0, "deleted": 0}
    with writing(args) as env, env.begin(write=True) as txn:
        db = database(env, args, txn)
        keys, values = formats(args, txn, db)

        def store(pairs: list[str], overwrite: bool, read: Callable[[str], bytes]) -> None:
            for pair in pairs:
                key, equals, text = pair.partition("=")
                if not equals:
                    raise ValueError(f"{pair!r} must be KEY=VALUE, or KEY=PATH for a file")
                counts["stored"] += txn.put(keys.read(key), read(text), overwrite=overwrite, db=db)

        store(args.add, False, values.read)
        store(args.set, True, values.read)
        for key in args.delete:
            counts["deleted"] += txn.delete(keys.read(key), db=db)
        store(args.add_file, False, _read)
        store(args.set_file, True, _read)
    if args.json:
        print_json(counts)
