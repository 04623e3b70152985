# SPDX-License-Identifier: MIT
"""Commands that convert data sets from and to other formats: import, export.

:mod:`pylmdb.datasets` defines the formats and their options.  It needs numpy, so these commands
parse the arguments after their names only when they run.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ._commands import Parser
from ._output import print_json, progress

if TYPE_CHECKING:
    from ..datasets.formats import Format, Option
    from ._commands import Commands


def add(commands: Commands) -> None:
    """Add the commands."""
    for name, run, text in (
        ("import", import_samples, "Make a data set of images, HDF5 or arrays."),
        ("export", export_samples, "Write the samples of a data set as images, HDF5 or arrays."),
    ):
        command = commands.add(name, run, text, json=False)
        command.add_argument(
            "words", nargs=argparse.REMAINDER, metavar="FORMAT ...",
            help="images, imagelist (import only), hdf5, npz, memmap, or lmdb (to change the"
            f" layout); 'pylmdb {name} FORMAT --help' describes the options",
        )  # fmt: skip


def import_samples(args: argparse.Namespace) -> None:
    """``pylmdb import``."""
    from ..datasets.formats import FORMATS

    _run(args, {name: (each, each.load, each.load_options) for name, each in FORMATS.items()})


def export_samples(args: argparse.Namespace) -> None:
    """``pylmdb export``."""
    from ..datasets.formats import FORMATS

    _run(args, {name: (each, each.save, each.save_options) for name, each in FORMATS.items()})


def _run(
    args: argparse.Namespace, directions: dict[str, tuple[Format, Any, tuple[Option, ...]]]
) -> None:
    parser = Parser(f"pylmdb {args.command}")
    formats = parser.add_subparsers(dest="format", required=True, metavar="FORMAT")
    for name, (each, function, options) in directions.items():
        if function is None:
            continue
        made = formats.add_parser(name, help=each.description, description=each.description)
        made.add_argument("source", metavar="SOURCE", help="path to read")
        made.add_argument("dest", metavar="DEST", help="path to write")
        made.add_argument("--json", action="store_true", help="print the result as JSON")
        for option in options:
            _add_option(made, option)
    given = vars(parser.parse_args(args.words))
    name, source, dest, as_json = (given.pop(key) for key in ("format", "source", "dest", "json"))
    chosen = {key: value for key, value in given.items() if value is not None}
    done = directions[name][1](source, dest, progress=progress(), **chosen)
    count = done[0] if isinstance(done, tuple) else done
    if as_json:
        print_json({"samples": count})
    else:
        print(f"{count:,} samples")


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
