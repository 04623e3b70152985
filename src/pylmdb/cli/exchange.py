# SPDX-License-Identifier: MIT
"""Commands that convert from and to other formats: import, export.

Records are converted from and to CSV and lines of JSON.  :mod:`pylmdb.datasets` defines the formats
of data sets and their options.  It needs numpy, so these commands parse the arguments after their
names only when they run.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from ._arguments import command_first
from ._commands import HelpFormatter, Parser, accept_known, add_database, as_epilog
from ._data import Failures, add_formats, formats
from ._opening import add_flags, add_new_file, database, name_of, reading
from ._output import add_overwrite, binary_input, counted, print_result, progress, text_output
from ._records import add_range, bounds, own_records
from ._storing import chosen_flags, store
from .csv_tables import CsvTable, delimiter
from .csv_tables import write_records as write_csv
from .json_lines import JsonLines
from .json_lines import write_records as write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..datasets.formats import Format, Option
    from ._commands import Commands

# formats of records; those of data sets are in pylmdb.datasets.formats
_RECORDS = {"csv": "rows of a CSV file", "jsonl": "lines of JSON"}
# for each format, the examples of its help
EXAMPLES = {
    ("import", "csv"): """\
pylmdb import csv table.csv new
pylmdb import csv table.csv new --key id -d rows
pylmdb import csv table.tsv new --delimiter tab --no-header""",
    ("import", "jsonl"): """\
pylmdb import jsonl records.jsonl new
pylmdb import jsonl records.jsonl new -d rows --on-conflict error
gunzip -c records.jsonl.gz | pylmdb import jsonl - new""",
    ("import", "images"): """\
pylmdb import images photos samples
pylmdb import images photos small --layout datum --resize 256x256 --shuffle""",
    ("import", "imagelist"): """\
pylmdb import imagelist train.txt samples --root photos --layout datum
pylmdb import imagelist masks.txt images --labels images --labels-path labels""",
    ("import", "hdf5"): """\
pylmdb import hdf5 arrays.h5 samples
pylmdb import hdf5 arrays.h5 rows --data x --labels y --layout datum""",
    ("import", "npz"): """\
pylmdb import npz arrays.npz samples
pylmdb import npz arrays.npz rows --data x --labels y --layout datum""",
    ("import", "memmap"): """\
pylmdb import memmap rows.npy samples
pylmdb import memmap rows.bin floats --dtype float32""",
    ("import", "lmdb"): """\
pylmdb import lmdb samples other-layout --layout caffe""",
    ("export", "csv"): """\
pylmdb export csv fruit fruit.csv
pylmdb export csv fruit fruit.csv --overwrite
pylmdb export csv fruit -d prices --prefix a""",
    ("export", "jsonl"): """\
pylmdb export jsonl fruit fruit.jsonl
pylmdb export jsonl fruit - | gzip > fruit.jsonl.gz""",
    ("export", "images"): """\
pylmdb export images samples pictures
pylmdb export images samples files --names number""",
    ("export", "hdf5"): """\
pylmdb export hdf5 samples arrays.h5
pylmdb export hdf5 samples arrays.h5 --data x --labels y --overwrite""",
    ("export", "npz"): """\
pylmdb export npz samples arrays.npz
pylmdb export npz samples arrays.npz --data x --compress --overwrite""",
    ("export", "memmap"): """\
pylmdb export memmap samples rows.npy --labels labels.npy""",
    ("export", "lmdb"): """\
pylmdb export lmdb samples other-layout --layout caffe""",
}


def add(commands: Commands) -> None:
    """Add the commands."""
    for name, run, text in (
        ("import", import_samples, "Store CSV, lines of JSON, images, HDF5 or arrays."),
        ("export", export_samples, "Write CSV, lines of JSON, images, HDF5 or arrays."),
    ):
        examples = "\n".join(
            lines.partition("\n")[0] for (of, _), lines in EXAMPLES.items() if of == name
        )
        command = commands.add(name, run, text, False, environment=None, examples=examples)
        command.arrange = partial(command_first, commands=_RECORDS)
        command.add_argument(
            "words", nargs=argparse.REMAINDER, metavar="FORMAT ...",
            help="csv or jsonl (lines of JSON) for records; for data sets images, imagelist (import"
            " only), hdf5, npz, memmap, or lmdb (to change the layout);"
            f" 'pylmdb {name} FORMAT --help' describes the options",
        )  # fmt: skip


def import_samples(args: argparse.Namespace) -> int | None:
    """``pylmdb import``."""
    if args.words and args.words[0] in _RECORDS:
        return import_records(_parse(args, 1, _add_import))
    from ..datasets.formats import FORMATS

    _run(args, {name: (each, each.load, each.load_options) for name, each in FORMATS.items()})
    return None


def export_samples(args: argparse.Namespace) -> int | None:
    """``pylmdb export``."""
    if args.words and args.words[0] in _RECORDS:
        return export_records(_parse(args, 0, _add_export))
    from ..datasets.formats import FORMATS

    _run(args, {name: (each, each.save, each.save_options) for name, each in FORMATS.items()})
    return None


def _explained(command: str, form: str) -> dict[str, Any]:
    """Return the options of a parser that show the examples of a format."""
    return {"formatter_class": HelpFormatter, "epilog": as_epilog(EXAMPLES[command, form])}


def _parse(
    args: argparse.Namespace, environment: int, add_options: Callable[[Parser, str], None]
) -> argparse.Namespace:
    """Parse a format of records, and the words behind it.

    :param environment: index of the operand that is the environment.
    """
    command, (form, *words) = args.command, args.words
    parser = Parser(f"pylmdb {command} {form}", **_explained(command, form))
    parser.set_defaults(command=command, form=form, refuse=parser.error, no_lock=False)
    accept_known(parser, env=environment)
    add_options(parser, form)
    if form == "csv":
        parser.add_argument("--delimiter", type=delimiter, default=",", metavar="CHAR",
                            help="the character between cells; 'tab' is a tab")  # fmt: skip
        parser.add_argument("--no-header", action="store_false", dest="header",
                            help="the first row is a record")  # fmt: skip
    add_formats(parser, arrays=False)
    args.options = parser._option_string_actions
    return parser.parse_args(words)


def _add_import(parser: Parser, form: str) -> None:
    """Add the options of the import of records."""
    parser.description = f"Store {_RECORDS[form]} as records: all or none."
    what, first, second = "field", '"key"', '"value" if --key is not given'
    if form == "csv":
        what, first, second = "column", "the first one", "the other one of two"
    parser.add_argument("source", metavar="SOURCE", help="path to read; '-' is standard input")
    parser.add_argument(
        "path", metavar="PATH", help="path of the environment; it is created if it does not exist"
    )
    parser.add_argument("--key", metavar=what.upper(),
                        help=f"{what} of the keys; by default {first}")  # fmt: skip
    parser.add_argument(
        "--value", metavar=what.upper(),
        help=f"{what} of the values; by default {second}, else all other {what}s as an object of"
        " JSON",
    )  # fmt: skip
    add_database(parser, "store records in this database, which is created if it does not exist")
    add_flags(parser)
    add_new_file(parser)
    parser.add_argument(
        "--on-conflict", choices=["error", "first", "last"], default="last",
        help="for a key with different values: fail, or keep the first or the last one",
    )  # fmt: skip
    parser.add_argument("--memory", metavar="SIZE", default="1 GiB",
                        help="memory to sort with (default: 1 GiB)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_export(parser: Parser, form: str) -> None:
    """Add the options of the export of records."""
    parser.description = f"Write records as {_RECORDS[form]}."
    parser.add_argument("path", metavar="PATH", help="path of the environment")
    parser.add_argument("dest", metavar="DEST", nargs="?", default="-",
                        help="path to write; '-', the default, is standard output")  # fmt: skip
    add_overwrite(parser)
    add_range(parser, "write")
    add_database(parser, "write a named database instead of the main one")


def import_records(args: argparse.Namespace) -> int:
    """``pylmdb import csv`` and ``pylmdb import jsonl``."""
    with binary_input(args, args.source) as file:
        table = CsvTable(args, file) if args.form == "csv" else JsonLines(args, file)
        sections = table.sections(name_of(args.db), chosen_flags(args))
        written = store(args, sections, args.on_conflict)
    print_result(args, f"{counted(written)} written", records=written)
    return 0


def export_records(args: argparse.Namespace) -> int:
    """``pylmdb export csv`` and ``pylmdb export jsonl``."""
    failures = Failures(args)
    with reading(args) as env, env.begin() as txn:
        db = database(env, args, txn)
        pair = formats(args, txn, db)
        records = own_records(txn, db, **bounds(args, pair[0]))
        with text_output(args, args.dest, env) as out:
            if args.form == "csv":
                write_csv(out, records, pair, failures, args)
            else:
                write_json(out, records, pair, failures)
    return failures.status()


def _run(
    args: argparse.Namespace, directions: dict[str, tuple[Format, Any, tuple[Option, ...]]]
) -> None:
    parser = Parser(f"pylmdb {args.command}")
    choices = parser.add_subparsers(dest="format", required=True, metavar="FORMAT")
    for name, text in _RECORDS.items():
        choices.add_parser(name, help=text)
    for name, (each, function, options) in directions.items():
        if function is None:
            continue
        made = choices.add_parser(
            name, help=each.description, description=each.description,
            **_explained(args.command, name),
        )  # fmt: skip
        made.add_argument("source", metavar="SOURCE", help="path to read")
        made.add_argument("dest", metavar="DEST", help="path to write")
        made.add_argument("--json", action="store_true", help="print the result as JSON")
        for option in options:
            _add_option(made, option)
    given = vars(parser.parse_args(args.words))
    name, source, dest, as_json = (given.pop(key) for key in ("format", "source", "dest", "json"))
    chosen = {key: value for key, value in given.items() if value is not None}
    args.options = choices.choices[name]._option_string_actions
    done = directions[name][1](source, dest, progress=progress(), **chosen)
    count = done[0] if isinstance(done, tuple) else done
    args.json = as_json
    print_result(args, counted(count, "sample"), samples=count)


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    name = "--" + option.name.replace("_", "-")
    if option.kind is bool:
        parser.add_argument(name, action="store_true", default=None, help=option.help)
        return
    kind = _size if option.kind == "size" else option.kind
    choices = option.choices or None
    metavar = None if choices else "HxW" if option.kind == "size" else option.name.upper()
    parser.add_argument(name, type=kind, choices=choices, metavar=metavar, help=option.help)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width)


_size.__name__ = "HEIGHTxWIDTH"
