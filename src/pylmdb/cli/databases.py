# SPDX-License-Identifier: MIT
"""A command on named databases: drop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._commands import add_database
from ._opening import open_database, writing
from ._output import counted, print_result

if TYPE_CHECKING:
    import argparse

    from ._commands import Commands


def add(commands: Commands) -> None:
    """Add the commands."""
    drop = commands.on_path(
        "drop", drop_databases, "Delete named databases, or all records of one.",
        examples="""\
pylmdb drop fruit -d prices
pylmdb drop fruit prices tags
pylmdb drop fruit --main""",
    )  # fmt: skip
    drop.add_argument("names", metavar="NAME", nargs="*", help="delete these databases")
    add_database(drop, "empty a named database; with --delete, delete it")
    drop.add_argument(
        "--main", action="store_true", help="empty the main database, which deletes all named ones"
    )
    drop.add_argument("--delete", action="store_true", help="delete the named database itself, too")


def drop_databases(args: argparse.Namespace) -> None:
    """``pylmdb drop``: all databases in one transaction."""
    chosen = bool(args.names) + (args.db is not None) + args.main
    if chosen != 1 or (args.names and args.delete):
        args.refuse("give either NAME, or --db with or without --delete, or --main")
    if args.main and args.delete:
        raise ValueError("the main database cannot be deleted; --main without --delete empties it")
    entries = 0
    with writing(args, whole=len(args.names) > 1) as env, env.begin(write=True) as txn:
        for name in args.names or [args.db]:
            db = open_database(env, name, txn)
            entries += txn.stat(db).entries
            txn.drop(db, delete=args.delete or bool(args.names))
    print_result(args, f"{counted(entries)} dropped", records=entries)
