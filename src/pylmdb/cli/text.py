# SPDX-License-Identifier: MIT
"""Commands that write databases as text, and read it: dump, load, restore."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from .._shared.output_files import output
from ..tools import dump, load
from ..tools.bulk_loading import Section
from ._commands import add_database
from ._data import NAME, Failures, add_formats, formats_of
from ._opening import (
    add_flags,
    add_new_file,
    name_of,
    new_file,
    open_database,
    reading,
    refuse_to_write,
    require,
)
from ._output import (
    VisibleOutput,
    add_overwrite,
    binary_input,
    counted,
    print_error,
    print_names,
    print_result,
    progress,
    text_output,
)
from ._records import own_records
from ._storing import chosen_flags, store
from .cdb import read_records
from .cdb import write_records as write_cdb
from .files import MAIN_NAME
from .json_lines import JsonLines, write_header, write_records

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any, BinaryIO, Literal

    from ..environment import Environment
    from ._commands import Commands

# the file that restore reads if none is given, as py-lmdb's command
DEFAULT_FILE = "main.cdbmake"


def add(commands: Commands) -> None:
    """Add the commands."""
    _add_dump(commands)
    _add_load(commands)


def _add_dump(commands: Commands) -> None:
    command = commands.on_path(
        "dump", dump_text, "Write databases as text, as mdb_dump does, or as lines of JSON.", False,
        examples="""\
pylmdb dump -A fruit -f all.txt
pylmdb dump fruit -d prices -p
pylmdb dump -A fruit --json | gzip > fruit.jsonl.gz""",
    )  # fmt: skip
    which = command.add_mutually_exclusive_group()
    which.add_argument("-a", dest="databases", action="store_const", const="named",
                       help="dump all named databases")  # fmt: skip
    which.add_argument("-A", "--everything", "--all", dest="databases", action="store_const",
                       const="all",
                       help="dump all named databases and the main one's own records")  # fmt: skip
    add_database(which, "dump a named database", "-s")
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
    command.add_argument("--json", action="store_true",
                         help="write lines of JSON, which load --json reads")  # fmt: skip
    command.add_argument(
        "-n", dest="single", action="store_true", help="PATH is a single file, not a directory"
    )
    command.add_argument(
        "-f", dest="file", metavar="FILE", help="write to FILE instead of standard output"
    )
    add_overwrite(command)
    command.add_argument(
        "files", metavar="NAME=FILE", nargs="*",
        help="write the database NAME to FILE as 'python -m lmdb dump' does",
    )  # fmt: skip


def _add_load(commands: Commands) -> None:
    command = commands.add(
        "load", load_text, "Store the output of dump or mdb_dump: all records or none.", False,
        examples="""\
pylmdb load -f fruit.txt restored
pylmdb scan fruit -d prices --json | pylmdb load --json -d copy restored""",
    )  # fmt: skip
    command.add_argument(
        "path", metavar="PATH", help="path of the environment; it is created if it does not exist"
    )
    command.add_argument(
        "-f", dest="file", metavar="FILE", help="read FILE instead of standard input"
    )
    add_database(command, "store records in this database if the text names none", "-s")
    command.add_argument(
        "--json", action="store_true",
        help="read lines of JSON, as dump --json and scan --json write them",
    )  # fmt: skip
    add_flags(command)
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
    add_new_file(command)
    add_formats(command, arrays=False)


def dump_text(args: argparse.Namespace) -> None:
    """``pylmdb dump``."""
    if args.files:
        _dump_to_files(args)
        return
    databases: Literal["all", "main", "named"] | list[bytes | None] = args.databases or "main"
    if args.db is not None:
        databases = [name_of(args.db)]
    wanted = args.names or databases == "named"
    hinting = databases == "main" and sys.stderr.isatty()
    with reading(args, bool(args.databases)) as env:
        names = env.dbs() if wanted or hinting else []
        if wanted and not names:
            raise ValueError(f"{args.path!r} has no named databases")
        if args.names:
            print_names(map(NAME.text, names))
            return
        if hinting and names:
            print_error(args, "named databases were left out; use -A to dump all")
        if args.json:
            _dump_json(args, env, databases)
            return
        sys.stdout.flush()
        out: BinaryIO | str = args.file
        if out is None:
            out = VisibleOutput() if sys.stdout.isatty() else sys.stdout.buffer
        dump(env, out, databases, None if args.file is None else progress(),
             printable=args.printable, overwrite=args.overwrite)  # fmt: skip


def _dump_json(args: argparse.Namespace, env: Environment, databases: str | list[Any]) -> None:
    """Write databases as lines of JSON, with a line for each database before its records."""
    with env.begin() as txn, text_output(args, args.file, env) as out:
        names = databases if isinstance(databases, list) else env.dbs(txn)
        if not isinstance(databases, list) and databases != "named":
            names = [None, *names] if databases == "all" else [None]
        for name in names:
            db = env.open_db(name, txn, create=False)
            write_header(out, db)
            write_records(out, own_records(txn, db), formats_of(txn, db), Failures(args))


def _dump_to_files(args: argparse.Namespace) -> None:
    """Write databases to files in the format of cdbmake."""
    if args.databases or args.db or args.names or args.file or args.printable or args.json:
        args.refuse("NAME=FILE cannot be used together with other options for the output")
    with reading(args) as env, env.begin() as txn:
        for name, path in _named_files(args):
            db = open_database(env, name, txn)
            with output("dump", path, args.overwrite, source=env._options) as out:
                write_cdb(out, own_records(txn, db))


def _named_files(args: argparse.Namespace) -> Iterator[tuple[str | None, str]]:
    """Yield the name of a database, None for the main one, and a path, for each NAME=FILE."""
    for text in args.files:
        name, equals, path = text.partition("=")
        if not (equals and name and path):
            args.refuse(f"{text!r} must be NAME=FILE")
        yield None if name == MAIN_NAME else name, path


def restore_text(args: argparse.Namespace) -> None:
    """``pylmdb restore`` with operands NAME=FILE."""
    args.files = args.files or [f"{MAIN_NAME}={DEFAULT_FILE}"]
    if not args.create:
        require(args.path, creatable=True)
    written = store(args, _restored(args))
    print_result(args, f"{counted(written)} written", records=written)


def _restored(args: argparse.Namespace) -> Iterator[Section]:
    flags = chosen_flags(args)
    for name, path in _named_files(args):
        with binary_input(args, path) as file:
            records = partial(read_records, file, path)
            yield Section(name_of(name), flags if name else None, lambda *_, read=records: read())


def load_text(args: argparse.Namespace) -> None:
    """``pylmdb load``."""
    if args.json:
        if args.append or args.plain:
            args.refuse("-a and -T cannot be used together with --json")
        with binary_input(args, args.file) as file:
            sections = JsonLines(args, file).sections(name_of(args.db), chosen_flags(args))
            written = store(args, sections, "first" if args.keep else "last")
    else:
        if args.flags or (args.key_format, args.value_format) != ("auto", "auto"):
            args.refuse("--flags, --key-format and --value-format need --json")
        refuse_to_write(args)
        source = sys.stdin.buffer if args.file is None else args.file
        written = load(
            source, args.path, name_of(args.db), progress(), overwrite=not args.keep,
            append=args.append, plain=args.plain, unsorted=args.unsorted, memory=args.memory,
            subdir=not args.single, lib_version=args.lib_version, **new_file(args),
        )  # fmt: skip
    print(f"{counted(written)} written")
