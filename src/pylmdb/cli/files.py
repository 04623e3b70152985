# SPDX-License-Identifier: MIT
"""Commands on whole files: dump, load, copy, compact, merge, convert, drop, warm."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from ..tools import convert, dump, load, merge
from ..tools.sources import data_path
from ._opening import database, reading, require, writing
from ._output import VisibleOutput, print_json, print_names, progress, size

if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO, Literal

    from ._commands import Commands


def add(commands: Commands) -> None:
    """Add the commands."""
    _add_dump(commands)
    _add_load(commands)
    copy = commands.on_path("copy", copy_environment, "Copy an environment that may be in use.")
    copy.add_argument(
        "dest",
        metavar="DEST",
        help="path of the copy; no data file is overwritten; '-' is standard output",
    )
    copy.add_argument("-c", "--compact", action="store_true", help="leave out free pages")
    commands.on_path("compact", compact, "Rewrite an environment in place without free pages.")
    merging = commands.add("merge", merge_environments, "Merge environments into one.")
    merging.add_argument("sources", metavar="SOURCE", nargs="+", help="environments to merge")
    merging.add_argument(
        "dest", metavar="DEST", help="environment to write to; it is created if it does not exist"
    )
    merging.add_argument(
        "--on-conflict", choices=["error", "first", "last"], default="error",
        help="for a key with different values: fail, or keep the value of the first or last SOURCE",
    )  # fmt: skip
    converting = commands.add(
        "convert", convert_environment, "Write an environment in the other data format."
    )
    converting.add_argument("source", metavar="SOURCE", help="environment to convert")
    converting.add_argument(
        "dest", metavar="DEST", help="path of the new environment, which must not exist"
    )
    converting.add_argument(
        "--to",
        choices=["0.9", "1.0"],
        required=True,
        help="LMDB version that is to read the new file",
    )
    drop = commands.on_path(
        "drop", drop_database, "Delete all records of a database, or the database."
    )
    which = drop.add_mutually_exclusive_group(required=True)
    which.add_argument("-d", "--db", metavar="NAME", help="empty a named database")
    which.add_argument(
        "--main", action="store_true", help="empty the main database, which deletes all named ones"
    )
    drop.add_argument("--delete", action="store_true", help="delete the named database itself, too")
    commands.on_path("warm", warm, "Read the whole file once, so that it is in the page cache.")


def _add_dump(commands: Commands) -> None:
    command = commands.on_path(
        "dump", dump_text, "Write databases as text, as mdb_dump does.", json=False
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument("-a", dest="databases", action="store_const", const="named",
                       help="dump all named databases")  # fmt: skip
    which.add_argument("-A", "--everything", dest="databases", action="store_const", const="all",
                       help="dump all named databases and the main one's own records")  # fmt: skip
    which.add_argument("-s", dest="name", metavar="NAME", help="dump a named database")
    which.add_argument(
        "-l",
        dest="names",
        action="store_true",
        help="list the names of the databases, and dump nothing",
    )
    command.add_argument(
        "-p",
        dest="printable",
        action="store_true",
        help="write printable characters instead of hexadecimal",
    )
    command.add_argument(
        "-n", dest="single", action="store_true", help="PATH is a single file, not a directory"
    )
    command.add_argument(
        "-f", dest="file", metavar="FILE", help="write to FILE instead of standard output"
    )


def _add_load(commands: Commands) -> None:
    command = commands.add(
        "load", load_text, "Store the output of dump or mdb_dump: all records or none."
    )
    command.add_argument(
        "path", metavar="PATH", help="path of the environment; it is created if it does not exist"
    )
    command.add_argument(
        "-f", dest="file", metavar="FILE", help="read FILE instead of standard input"
    )
    command.add_argument("-s", dest="name", metavar="NAME",
                         help="store records in this database if the text names none")  # fmt: skip
    command.add_argument("-N", dest="keep", action="store_true", help="keep existing records")
    command.add_argument("-a", dest="append", action="store_true",
                         help="append records without a check of their order")  # fmt: skip
    command.add_argument("--unsorted", action="store_true",
                         help="sort the records first, so that pages are full")  # fmt: skip
    command.add_argument("--memory", metavar="SIZE", default="1 GiB",
                         help="memory to sort with (default: 1 GiB)")  # fmt: skip
    command.add_argument(
        "-T",
        dest="plain",
        action="store_true",
        help="read text without headers: a line for each key and each value",
    )
    command.add_argument(
        "-n", dest="single", action="store_true", help="PATH is a single file, not a directory"
    )
    command.add_argument(
        "--lib-version", type=int, choices=[0, 1],
        help="data format of a new environment: 0 is LMDB 0.9, 1 is 1.0",
    )  # fmt: skip


def dump_text(args: argparse.Namespace) -> None:
    """``pylmdb dump``."""
    databases: Literal["all", "main", "named"] | list[bytes | None] = args.databases or "main"
    if args.name is not None:
        databases = [os.fsencode(args.name)]
    subdir = False if args.single else None
    wanted = args.names or databases == "named"
    hinting = databases == "main" and sys.stderr.isatty()
    with reading(args, bool(args.databases), subdir) as env:
        names = env.dbs() if wanted or hinting else []
        if wanted and not names:
            raise ValueError(f"{args.path!r} has no named databases")
        if args.names:
            print_names(map(os.fsdecode, names))
            return
        if hinting and names:
            print("pylmdb dump: named databases were left out; use -A to dump all", file=sys.stderr)
        sys.stdout.flush()
        out: BinaryIO | str = args.file
        if out is None:
            out = VisibleOutput() if sys.stdout.isatty() else sys.stdout.buffer
        dump(env, out, databases, None if args.file is None else progress(),
             printable=args.printable)  # fmt: skip


def load_text(args: argparse.Namespace) -> None:
    """``pylmdb load``."""
    source: str | BinaryIO = sys.stdin.buffer if args.file is None else args.file
    name = None if args.name is None else os.fsencode(args.name)
    written = load(
        source, args.path, name, progress(), overwrite=not args.keep, append=args.append,
        plain=args.plain, unsorted=args.unsorted, memory=args.memory,
        subdir=not args.single, lib_version=args.lib_version,
    )  # fmt: skip
    _print_result(args, f"{written:,} records written", records=written)


def _print_result(args: argparse.Namespace, text: str, **fields: object) -> None:
    if args.json:
        print_json(fields)
    else:
        print(text)


def copy_environment(args: argparse.Namespace) -> None:
    """``pylmdb copy``."""
    with reading(args) as env:
        if args.dest == "-":
            if sys.stdout.isatty():
                raise ValueError(
                    "a copy cannot be written to a terminal; redirect it to a file or a pipe"
                )
            sys.stdout.flush()
            env.copyfd(sys.stdout.fileno(), compact=args.compact)
            return
        subdir = env.flags().subdir
        made = subdir and not os.path.isdir(args.dest)
        if made:
            os.mkdir(args.dest)
            os.chmod(args.dest, os.stat(args.path).st_mode & 0o777 | 0o700)
        try:
            env.copy(args.dest, compact=args.compact)
        except BaseException:
            if made:
                os.rmdir(args.dest)
            raise
        name = os.path.join(args.dest, "data.mdb") if subdir else args.dest
    written = os.stat(name).st_size
    _print_result(args, f"{size(written)} written", bytes=written)


def compact(args: argparse.Namespace) -> None:
    """``pylmdb compact``."""
    with writing(args) as env:
        before = os.stat(data_path(env)).st_size
        env.compact()
        after = os.stat(data_path(env)).st_size
    _print_result(args, f"from {size(before)} to {size(after)}", before=before, after=after)


def merge_environments(args: argparse.Namespace) -> None:
    """``pylmdb merge``."""
    for source in args.sources:
        require(source)
    written = merge(args.sources, args.dest, args.on_conflict, progress())
    _print_result(args, f"{written:,} records written", records=written)


def convert_environment(args: argparse.Namespace) -> None:
    """``pylmdb convert``."""
    require(args.source)
    written = convert(args.source, args.dest, int(args.to == "1.0"), progress())
    _print_result(args, f"{written:,} records written", records=written)


def drop_database(args: argparse.Namespace) -> None:
    """``pylmdb drop``."""
    if args.main and args.delete:
        raise ValueError("the main database cannot be deleted; --main without --delete empties it")
    with writing(args) as env, env.begin(write=True) as txn:
        db = database(env, args, txn)
        entries = txn.stat(db).entries
        txn.drop(db, delete=args.delete)
    _print_result(args, f"{entries:,} records dropped", records=entries)


def warm(args: argparse.Namespace) -> None:
    """``pylmdb warm``."""
    with reading(args) as env:
        path, used = data_path(env), env.info().used
    begin, done = time.perf_counter(), 0
    buffer = bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        while done < used and (count := file.readinto(buffer)):
            done += count
    seconds = time.perf_counter() - begin
    _print_result(args, f"{size(done)} read in {seconds:.2f} s", bytes=done, seconds=seconds)
