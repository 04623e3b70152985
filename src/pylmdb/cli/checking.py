# SPDX-License-Identifier: MIT
"""The command verify: checks a data file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tools import verify
from ._opening import require
from ._output import print_json, progress, visible

if TYPE_CHECKING:
    import argparse

    from ._commands import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add(
        "verify",
        verify_file,
        "Check a file, which may be hostile; the exit status is 1 if it is damaged.",
    )
    command.add_argument(
        "path", metavar="PATH", help="path of the environment: a directory or a single file"
    )


def verify_file(args: argparse.Namespace) -> None:
    """``pylmdb verify``."""
    require(args.path)
    report = verify(args.path, progress=progress())
    if args.json:
        print_json(report.as_dict())
    else:
        print("\n".join(map(visible, str(report).splitlines())))
    if not report.ok:
        raise ValueError(f"{args.path!r} is damaged")
