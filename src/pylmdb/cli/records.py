# SPDX-License-Identifier: MIT
"""Commands on records: scan, get, put, del."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import NotFoundError
from ._data import add_formats, for_json, key_format, parsed, shown, value_format
from ._opening import database, reading, writing
from ._output import print_json

if TYPE_CHECKING:
    import argparse

    from ._commands import Commands

# characters of a value that scan shows on a terminal
_WIDTH = 100


def add(commands: Commands) -> None:
    """Describe the commands."""
    scan = commands.on_path(
        "scan", scan_records, "List records, in order. With --json, one a line."
    )
    scan.add_argument("--prefix", help="keys that begin so")
    scan.add_argument("--start", help="from this key on")
    scan.add_argument("--stop", help="to the key before this one")
    scan.add_argument("-n", "--limit", type=_count, metavar="N", help="so many records at most")
    scan.add_argument("-r", "--reverse", action="store_true", help="from the last to the first")
    scan.add_argument("-k", "--keys-only", action="store_true", help="leave the values out")
    scan.add_argument(
        "--width", type=_count, metavar="N",
        help=f"cut values to N characters; 0: do not. By default {_WIDTH} on a terminal",
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


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


_count.__name__ = "number"


def scan_records(args: argparse.Namespace) -> None:
    """``pylmdb scan``."""
    width = args.width
    if width is None:
        width = _WIDTH if sys.stdout.isatty() else 0
    with reading(args) as env, env.begin() as txn:
        db = database(env, args, txn)
        keys, values = key_format(args, db._flags), value_format(args, db._flags)
        for key, value in islice(_records(txn, db, args, keys), args.limit):
            if args.json:
                record = {"key": for_json(key, keys)}
                if not args.keys_only:
                    record["value"] = for_json(value, values)
                print_json(record, lines=True)
            elif args.keys_only:
                print(shown(key, keys))
            else:
                print(f"{shown(key, keys)}\t{shown(value, values, width)}")


def _records(txn: Any, db: Any, args: argparse.Namespace, keys: str) -> Any:
    """The records that are asked for; values are b"" where only keys are."""
    given = {name: getattr(args, name) for name in ("start", "stop", "prefix")}
    bounds = {name: parsed(text, keys) for name, text in given.items() if text is not None}
    found = txn.range(**bounds, db=db, reverse=args.reverse, values=not args.keys_only)
    return ((key, b"") for key in found) if args.keys_only else found


def get_record(args: argparse.Namespace) -> None:
    """``pylmdb get``."""
    with reading(args) as env, env.begin() as txn:
        db = database(env, args, txn)
        keys, values = key_format(args, db._flags), value_format(args, db._flags)
        value = txn.get(parsed(args.key, keys), db=db)
    if value is None:
        raise NotFoundError(f"there is no key {args.key!r}")
    if args.json:
        print_json({"key": args.key, "value": for_json(value, values)})
    elif args.value_format != "auto":
        print(shown(value, values))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(value + (b"\n" if sys.stdout.isatty() else b""))
        sys.stdout.buffer.flush()


def put_record(args: argparse.Namespace) -> None:
    """``pylmdb put``."""
    given = _read(args.file) if args.file is not None else None
    with writing(args) as env, env.begin(write=True) as txn:
        db = database(env, args, txn)
        if given is None:
            given = parsed(args.value, value_format(args, db._flags))
        key = parsed(args.key, key_format(args, db._flags))
        stored = txn.put(key, given, overwrite=not args.no_overwrite, db=db)
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
        key = parsed(args.key, key_format(args, db._flags))
        if args.value is None:
            deleted = txn.delete(key, db=db)
        else:
            deleted = txn.delete(key, parsed(args.value, value_format(args, db._flags)), db=db)
    if args.json:
        print_json({"deleted": deleted})
    if not deleted:
        raise NotFoundError(f"there is no such record: {args.key!r}")
