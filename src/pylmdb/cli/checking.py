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
        examples="""\
pylmdb verify fruit
pylmdb verify fruit/data.mdb --json""",
    )
    command.add_argument(
        "path", metavar="PATH", help="path of the environment: a directory or a single file"
    )


def verify_file(args: argparse.Namespace) -> None:
    """``pylmdb verify``."""
    require(args.path)
    report = verify(args.path, subdir=False if args.single else None, progress=progress())
    is_unknown = report.format is None and not report.ok
    if args.json:
        print_json(report.as_dict())
    elif not is_unknown:
        print("\n".join(map(visible, str(report).splitlines())))
    if is_unknown:
        raise ValueError(_of_unknown(args.path, report.findings[0].text))
    if not report.ok:
        raise ValueError(f"{args.path!r} is damaged")


def _of_unknown(path: str, finding: str) -> str:
    """Return a message for a file that is not an LMDB file, or of an unknown kind."""
    if finding.startswith("it "):
        return f"{path!r} {finding[3:]}"
    return f"{path!r}: {finding}"
