# SPDX-License-Identifier: MIT
"""The commands and their options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._version import __version__
from . import checking, completion, exchange, files, inspection, records, shell, watching
from ._commands import Commands, Parser

if TYPE_CHECKING:
    import argparse


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line.

    It sets ``args.run`` to the function of the command and ``args.parser`` to the parser.
    """
    top = Parser(
        prog="pylmdb",
        description="Inspect, change, convert and check LMDB files.",
        epilog="PATH is an environment: a directory with data.mdb in it, or a single file."
        " 'pylmdb COMMAND --help' describes the options of a command.",
    )
    top.add_argument("--version", action="version", version=f"pylmdb {__version__}")
    commands = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    for module in (inspection, records, files, checking, exchange, watching, shell, completion):
        module.add(Commands(commands))
    top.set_defaults(parser=top)
    return top
