# SPDX-License-Identifier: MIT
"""Commands on named databases: rename, copy-db, drop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..environment import Environment
from ._commands import add_database
from ._data import NAME
from ._opening import (
    add_new_file,
    new_file,
    open_database,
    reading,
    refuse_to_write,
    require,
    writing,
)
from ._output import counted, print_json, print_result

if TYPE_CHECKING:
    import argparse

    from ._commands import Commands


def add(commands: Commands) -> None:
    """Add the commands."""
    rename = commands.on_path(
        "rename", rename_database, "Give a named database another name.",
        examples="pylmdb rename fruit prices costs",
    )  # fmt: skip
    rename.add_argument("name", metavar="NAME", help="name of the database")
    rename.add_argument("new", metavar="NEW", help="its new name, which must not exist")
    copying = commands.on_path(
        "copy-db", copy_database, "Copy a named database, in one transaction.",
        examples="""\
pylmdb copy-db fruit prices old-prices
pylmdb copy-db fruit tags --to empty
pylmdb copy-db fruit prices dear --to new --create""",
    )  # fmt: skip
    copying.add_argument("name", metavar="NAME", help="name of the database")
    copying.add_argument("new", metavar="NEW", nargs="?",
                         help="name of the copy, which must not exist")  # fmt: skip
    copying.add_argument("--to", metavar="DEST", help="copy into this environment")
    copying.add_argument("--create", action="store_true", help="create DEST if it does not exist")
    add_new_file(copying)
    drop = commands.on_path(
        "drop", drop_databases, "Delete named databases; with --empty, only their records.",
        examples="""\
pylmdb drop fruit prices --empty
pylmdb drop fruit prices tags
pylmdb drop fruit --main""",
    )  # fmt: skip
    drop.add_argument("names", metavar="NAME", nargs="*", help="names of the databases")
    add_database(drop, "the same as NAME")
    drop.add_argument(
        "--empty", action="store_true", help="delete all records, and keep the databases"
    )
    drop.add_argument(
        "--main", action="store_true", help="empty the main database, which deletes all named ones"
    )


def rename_database(args: argparse.Namespace) -> None:
    """``pylmdb rename``."""
    with writing(args) as env:
        open_database(env, args.name)
        env.rename_db(NAME.read(args.name), NAME.read(args.new))
    if args.json:
        print_json({"renamed": True})


def copy_database(args: argparse.Namespace) -> None:
    """``pylmdb copy-db``."""
    if args.new is None and args.to is None:
        args.refuse("give the name of the copy, or another environment with --to")
    name = NAME.read(args.name)
    new = name if args.new is None else NAME.read(args.new)
    if args.to is None:
        with writing(args) as env:
            copied = env.copy_db(name, new)
    else:
        refuse_to_write(args)
        if not args.create:
            require(args.to, creatable=True)
        with reading(args) as env:
            open_database(env, args.name)  # before another environment is created
            with Environment(args.to, create=args.create, **new_file(args)) as dest:
                copied = env.copy_db(name, new, dest)
    print_result(args, f"{counted(copied)} copied", records=copied)


def drop_databases(args: argparse.Namespace) -> None:
    """``pylmdb drop``: all databases in one transaction."""
    names = [*args.names, *([] if args.db is None else [args.db])]
    if bool(names) == args.main:
        args.refuse("give either names of databases or --main")
    entries = 0
    with writing(args, whole=len(names) > 1) as env, env.begin(write=True) as txn:
        for name in names or [None]:
            db = open_database(env, name, txn)
            entries += txn.stat(db).entries
            txn.drop(db, delete=not (args.empty or args.main))
    print_result(args, f"{counted(entries)} dropped", records=entries)
