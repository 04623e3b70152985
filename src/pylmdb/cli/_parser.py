# SPDX-License-Identifier: MIT
"""The commands and their options."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from .._version import __version__
from . import (
    backups,
    checking,
    comparing,
    completion,
    databases,
    exchange,
    files,
    inspection,
    records,
    shell,
    text,
    watching,
)
from ._arguments import command_first
from ._commands import Commands, HelpFormatter, Parser

if TYPE_CHECKING:
    import argparse

_EXAMPLES = """\
examples:
  pylmdb put fruit apple red --create
  pylmdb scan fruit --prefix a
  pylmdb info fruit
  pylmdb scan --help

PATH is an environment: a directory with data.mdb in it, or a single file.
'pylmdb COMMAND --help' describes the options of a command, with examples."""


@cache
def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; making it takes longer than most commands.

    It sets ``args.run`` to the function of the command, ``args.parser`` to the parser,
    ``args.commands`` to the names of all commands, and ``args.options`` to the options of the
    command.
    """
    top = Parser(
        prog="pylmdb",
        description="Inspect, change, convert and check LMDB files.",
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    top.add_argument("--version", action="version", version=f"pylmdb {__version__}")
    commands = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    top.arrange = partial(command_first, commands=commands.choices)
    for module in (
        inspection, records, databases, comparing, text, files, backups, exchange, checking,
        watching, shell, completion,
    ):  # fmt: skip
        module.add(Commands(commands))
    top.set_defaults(parser=top, commands=commands.choices)
    return top
