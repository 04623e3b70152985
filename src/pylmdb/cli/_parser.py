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
    """The parser of the whole command line; ``args.run`` is what does the work,
    ``args.parser`` the parser."""
    top = Parser(
        prog="pylmdb",
        description="Look into LMDB files, change them, and turn them into others.",
        epilog="PATH is an environment: a directory with data.mdb in it, or a single file."
        " 'pylmdb COMMAND --help' tells more.",
    )
    top.add_argument("--version", action="version", version=f"pylmdb {__version__}")
    commands = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    for module in (inspection, records, files, checking, exchange, watching, shell, completion):
        module.add(Commands(commands))
    top.set_defaults(parser=top)
    return top
