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

    from ..database import Database
    from ._commands import Commands

# characters of a value that scan shows on a terminal
_TERMINAL_WIDTH = 100


def add(commands: Commands) -> None:
    """Describe the commands."""
    scan = commands.on_path(
        "scan", scan_records, "List records, in order. With --json, one a line."
    )
    scan.add_argument("--prefix", help="keys that begin so")
    scan.add_argument("--start", help="from this key on")
    scan.add_argument("--stop", help="to the key before this one")
    scan.add_argument("-n", "--limit", type=number, metavar="N", help="so many records at most")
    scan.add_argument("-r", "--reverse", action="store_true", help="from the last to the first")
    scan.add_argument("-k", "--keys-only", action="store_true", help="leave the values out")
    scan.add_argument(
        "--width", type=number, metavar="N",
        help=f"cut values to N characters; 0: do not. By default {_TERMINAL_WIDTH} on a terminal",
    )  # fmt: skip
    get = commands.on_path("get", get_record, "Write the value of a key to standard output.")
    get.add_argument("key", metavar="KEY")
    put = commands.on_path("put", put_record, "Store a record.")
    put.add_argument("key", metavar="KEY")
    source = put.add_mutually_exclusive_group(required=True)
    source.add_argument("value", metavar="VALUE", nargs="?")
    source.add_argument("-f", "--file", help="take the value from a file; '-' is standard input")
    put.add_argument("--create", action="store_true", help="make the environment or database")
    put.add_argument("-N", "--no-overwrite", action="store_true", help="keep a value that is there")
    delete = commands.on_path("del", delete_record, "Delete a key, or one of its values.")
    delete.add_argument("key", metavar="KEY")
    delete.add_argument("value", metavar="VALUE", nargs="?")
    for command in (scan, get, put, delete):
        command.add_argument("-d", "--db", metavar="NAME", help="a named database")
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


def _records(txn: Any, db: Database, args: argparse.Namespace, keys: Format) -> Iterator[Any]:
    """The records that are asked for; values are b"" where only keys are."""
    given = {name: getattr(args, name) for name in ("start", "stop", "prefix")}
    bounds = {name: keys.read(text) for name, text in given.items() if text is not None}
    found = txn.range(**bounds, db=db, reverse=args.reverse, values=not args.keys_only)
    return ((key, b"") for key in found) if args.keys_only else found


def get_record(args: argparse.Namespace) -> None:
    """``pylmdb get``."""
    with reading(args) as env, env.begin() as txn:
        db = database(env, args, txn)
        keys, values = formats(args, txn, db)
        value = txn.get(keys.read(args.key), db=db)
    if value is None:
        raise NotFoundError(f"there is no key {args.key!r}")
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
        raise ValueError(f"the key {args.key!r} exists and was left as it is")


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
            # Among several values none is empty, and delete() would take it for all of them.
            several = db.flags(txn)["dupsort"]
            deleted = bool(value or not several) and txn.delete(key, value, db=db)
    if args.json:
        print_json({"deleted": deleted})
    if not deleted:
        raise NotFoundError(f"there is no such record: {args.key!r}")
