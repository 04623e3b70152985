# SPDX-License-Identifier: MIT
"""Commands on records: scan, get, put, del."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import NotFoundError
from ._commands import number
from ._data import Format, add_formats, formats
from ._opening import database, reading, writing
from ._output import print_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

    from ..database import Database
    from ..transaction import Transaction
    from ._commands import Commands

# characters of a value that scan shows on a terminal
_TERMINAL_WIDTH = 100


def add(commands: Commands) -> None:
    """Add the commands."""
    scan = commands.on_path(
        "scan",
        scan_records,
        "List records in the order of their keys. With --json, print one in each line.",
    )
    scan.add_argument("--prefix", help="list only keys with this prefix")
    scan.add_argument("--start", help="start at this key")
    scan.add_argument("--stop", help="stop before this key")
    scan.add_argument("-n", "--limit", type=number, metavar="N", help="print at most N records")
    scan.add_argument("-r", "--reverse", action="store_true", help="list in descending order")
    scan.add_argument("-k", "--keys-only", action="store_true", help="print keys without values")
    scan.add_argument(
        "--width", type=number, metavar="N",
        help="cut values to N characters; 0 prints whole values;"
        f" the default is {_TERMINAL_WIDTH} on a terminal, else 0",
    )  # fmt: skip
    get = commands.on_path("get", get_record, "Write the value of a key to standard output.")
    get.add_argument("key", metavar="KEY", help="key of the record")
    put = commands.on_path("put", put_record, "Store a record.")
    put.add_argument("key", metavar="KEY", help="key of the record")
    source = put.add_mutually_exclusive_group(required=True)
    source.add_argument("value", metavar="VALUE", nargs="?", help="value of the record")
    source.add_argument("-f", "--file", help="read the value from a file; '-' is standard input")
    put.add_argument(
        "--create",
        action="store_true",
        help="create the environment or database if it does not exist",
    )
    put.add_argument(
        "-N", "--no-overwrite", action="store_true", help="keep the value of an existing key"
    )
    delete = commands.on_path("del", delete_record, "Delete a key, or one of its values.")
    delete.add_argument("key", metavar="KEY", help="key of the record")
    delete.add_argument(
        "value", metavar="VALUE", nargs="?", help="delete only this value; by default all values"
    )
    for command in (scan, get, put, delete):
        command.add_argument(
            "-d", "--db", metavar="NAME", help="use a named database instead of the main one"
        )
        add_formats(command)


def scan_records(args: argparse.Namespace) -> None:
    """``pylmdb scan``."""
    width = args.width
    if width is None:
        width = _TERMINAL_WIDTH if sys.stdout.isatty() else 0
    with reading(args) as env, env.begin() as txn:
        db = database(env, args, txn)
        keys, values = formats(args, txn, db)
        for key, value in islice(_records(txn, db, args, keys), args.limit):
            if args.json:
                record = {"key": keys.json(key)}
                if not args.keys_only:
                    record["value"] = values.json(value)
                print_json(record, lines=True)
            elif args.keys_only:
                print(keys.text(key))
            else:
                print(f"{keys.text(key)}\t{values.text(value, width)}")


def _records(
    txn: Transaction[Any], db: Database, args: argparse.Namespace, keys: Format
) -> Iterator[Any]:
    """Return an iterator of the selected records; with ``--keys-only`` values are b""."""
    given = {name: getattr(args, name) for name in ("start", "stop", "prefix")}
    bounds: dict[str, Any] = {
        name: keys.read(text) for name, text in given.items() if text is not None
    }
    found = txn.range(**bounds, db=db, reverse=args.reverse, values=not args.keys_only)
    return ((key, b"") for key in found) if args.keys_only else found


def get_record(args: argparse.Namespace) -> None:
    """``pylmdb get``."""
    with reading(args) as env, env.begin() as txn:
        db = database(env, args, txn)
        keys, values = formats(args, txn, db)
        value = txn.get(keys.read(args.key), db=db)
    if value is None:
        raise NotFoundError(f"the key {args.key!r} does not exist")
    if args.json:
        print_json({"key": args.key, "value": values.json(value)})
    elif args.value_format != "auto" or sys.stdout.isatty():
        print(values.text(value))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()


def put_record(args: argparse.Namespace) -> None:
    """``pylmdb put``."""
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
        return sys.stdin.buffer.read()
    with open(path, "rb") as file:
        return file.read()


def delete_record(args: argparse.Namespace) -> None:
    """``pylmdb del``."""
    with writing(args) as env, env.begin(write=True) as txn:
        db = database(env, args, txn)
        keys, values = formats(args, txn, db)
        key = keys.read(args.key)
        if args.value is None:
            deleted = txn.delete(key, db=db)
        else:
            value = values.read(args.value)
            # A duplicate is never empty, and delete() takes an empty value for all duplicates.
            several = db.flags(txn)["dupsort"]
            deleted = bool(value or not several) and txn.delete(key, value, db=db)
    if args.json:
        print_json({"deleted": deleted})
    if not deleted:
        raise NotFoundError(f"the record {args.key!r} does not exist")
