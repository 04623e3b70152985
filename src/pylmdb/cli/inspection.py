# SPDX-License-Identifier: MIT
"""Commands that describe an environment: info, ls, stat, readers."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from .._core_rules.database_flags import words_of
from ..tools.sources import data_path, open_source
from ._commands import add_database
from ._data import NAME, name_json
from ._opening import database, reading, require, writing
from ._output import print_fields, print_json, print_names, print_table, size
from ._records import name_text

if TYPE_CHECKING:
    import argparse

    from ..environment import Environment
    from ..transaction import Transaction
    from ._commands import Commands


def add(commands: Commands) -> None:
    """Add the commands."""
    commands.on_path(
        "info", info, "Describe an environment: its format, sizes and databases.",
        examples="""\
pylmdb info fruit
pylmdb info fruit --json""",
    )  # fmt: skip
    ls = commands.on_path(
        "ls", list_databases, "List the named databases.",
        examples="""\
pylmdb ls fruit
pylmdb ls fruit -l""",
    )  # fmt: skip
    ls.add_argument("-l", "--long", action="store_true", help="show sizes and flags, too")
    stat = commands.on_path(
        "stat", statistics, "Show the numbers of entries, pages and levels of a database.",
        examples="""\
pylmdb stat fruit -d prices
pylmdb stat fruit --all""",
    )  # fmt: skip
    which = stat.add_mutually_exclusive_group()
    add_database(which, "describe a named database instead of the main one")
    which.add_argument("-a", "--all", action="store_true", help="describe every database")
    readers = commands.on_path(
        "readers", list_readers,
        "List the readers, and how many freed pages each keeps from reuse.",
        examples="""\
pylmdb readers fruit
pylmdb readers fruit --clean""",
    )  # fmt: skip
    readers.add_argument(
        "-c", "--clean", action="store_true", help="free the reader slots of dead processes"
    )


def _as_json(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "name": name_json(row["name"])} for row in rows]


def _databases(env: Environment, txn: Transaction[Any]) -> list[dict[str, Any]]:
    """Return a row for the main database, with the name None, and for each named one."""
    rows = []
    for name in [None, *env.dbs(txn)]:
        db = env.open_db(name, txn, create=False)
        stat = txn.stat(db)
        pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages
        rows.append(
            {
                "name": name,
                "entries": stat.entries,
                "depth": stat.depth,
                "pages": pages,
                "bytes": pages * stat.psize,
                "flags": words_of(db.flags()),
            }
        )
    return rows


def _print_databases(rows: list[dict[str, Any]]) -> None:
    columns = ("database", "entries", "depth", "pages", "size", "flags")
    print_table(
        columns,
        (
            (name_text(row["name"]), row["entries"], row["depth"],
             row["pages"], size(row["bytes"]), " ".join(row["flags"]))
            for row in rows
        ),
    )  # fmt: skip


def info(args: argparse.Namespace) -> None:
    """``pylmdb info``."""
    with reading(args, whole=True) as env, env.begin() as txn:
        about, stat = env.info(), txn.stat()
        found = os.stat(data_path(env))
        fields: dict[str, Any] = {
            "path": os.fsdecode(data_path(env)),
            "format": "LMDB " + ".".join(map(str, env.lib_version()[:2])),
            "page_size": stat.psize,
            "checksums": env.checksums,
            "file_size": found.st_size,
            "disk_size": found.st_blocks * 512,
            "used": about.used,
            "free_pages": about.free_pages,
            "map_size": about.map_size,
            "last_txnid": about.last_txnid,
            "readers": sum(not reader.own for reader in env.reader_list()),
            "max_readers": about.max_readers,
        }
        databases = _databases(env, txn)
    if args.json:
        print_json({**fields, "databases": _as_json(databases)})
        return
    fields["checksums"] = "yes" if fields["checksums"] else "no"
    for name in ("page_size", "file_size", "disk_size", "used", "map_size"):
        fields[name] = f"{fields[name]:,} ({size(fields[name])})"
    print_fields({name.replace("_", " "): value for name, value in fields.items()})
    print()
    _print_databases(databases)


def list_databases(args: argparse.Namespace) -> None:
    """``pylmdb ls``."""
    with reading(args, whole=args.long) as env, env.begin() as txn:
        if args.long:
            rows = _databases(env, txn)
            if args.json:
                print_json(_as_json(rows))
            else:
                _print_databases(rows)
            return
        names = env.dbs(txn)
    if args.json:
        print_json([*map(name_json, names)])
    else:
        print_names(map(NAME.text, names))


def statistics(args: argparse.Namespace) -> None:
    """``pylmdb stat``."""
    with reading(args, whole=args.all) as env, env.begin() as txn:
        rows = _databases(env, txn) if args.all else [dict(txn.stat(database(env, args, txn)))]
    if args.json:
        print_json(_as_json(rows) if args.all else rows[0])
    elif args.all:
        _print_databases(rows)
    else:
        print_fields({name.replace("_", " "): f"{count:,}" for name, count in rows[0].items()})


def list_readers(args: argparse.Namespace) -> None:
    """``pylmdb readers``."""
    columns = ("pid", "thread", "txnid", "pages", "held_since")
    require(args.path)
    # without the lock file there are no readers to list
    with writing(args) if args.clean else open_source(args.path, lock=not args.no_lock) as env:
        freed = env.reader_check() if args.clean else None
        rows = [
            {name: reader[name] for name in columns}
            for reader in env.reader_list()
            if not reader.own
        ]
    if args.json:
        print_json({"readers": rows, **({} if freed is None else {"freed": freed})})
        return
    if rows:
        print_table(columns, ([_cell(name, row[name]) for name in columns] for row in rows))
    else:
        print("no readers")
    if freed is not None:
        print(f"{freed} reader slots of dead processes freed")


def _cell(name: str, value: Any) -> object:
    if value is None or name == "pages":
        return value
    return time.ctime(value) if name == "held_since" else str(value)
