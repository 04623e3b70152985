# SPDX-License-Identifier: MIT
"""The commands verify and salvage: check a data file, and save what can be read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tools import salvage, verify
from ._data import literals_as_text
from ._opening import require
from ._output import print_json, progress, size, visible

if TYPE_CHECKING:
    import argparse

    from ._commands import Commands


def add(commands: Commands) -> None:
    """Add the commands."""
    command = commands.add(
        "verify",
        verify_file,
        "Check a file, which may be hostile; the exit status is 1 if it is damaged.",
        examples="""\
pylmdb verify fruit
pylmdb verify fruit/data.mdb --json""",
    )
    saving = commands.add(
        "salvage",
        salvage_file,
        "Save what can be read of a damaged file; the exit status is 1 if anything is lost.",
        examples="pylmdb salvage fruit saved",
    )
    for each in (command, saving):
        each.add_argument(
            "path", metavar="PATH", help="path of the environment: a directory or a single file"
        )
    command.add_argument(
        "--deep", action="store_true", help="read large values, too, and print the speed"
    )
    saving.add_argument(
        "dest", metavar="DEST", help="path of the new environment, which must not exist"
    )
    saving.add_argument(
        "--previous", action="store_true", help="save the snapshot before the last commit"
    )


def verify_file(args: argparse.Namespace) -> None:
    """``pylmdb verify``."""
    require(args.path)
    subdir = False if args.single else None
    report = verify(args.path, subdir=subdir, progress=progress(), deep=args.deep)
    is_unknown = report.format is None and not report.ok
    if args.json:
        print_json(report.as_dict())
    elif not is_unknown:
        _print_lines(report)
        if args.deep:
            speed = size(int(report.read / max(report.seconds, 1e-6)))
            print(f"  {size(report.read)} read in {report.seconds:.2f} s, {speed}/s")
    if is_unknown:
        raise ValueError(_of_unknown(args.path, report.findings[0].text))
    if not report.ok:
        advice = "; pylmdb salvage saves what can be read" if report.databases else ""
        raise ValueError(f"{args.path!r} is damaged{advice}")


def _of_unknown(path: str, finding: str) -> str:
    """Return a message for a file that is not an LMDB file, or of an unknown kind."""
    if finding.startswith("it "):
        return f"{path!r} {finding[3:]}"
    return f"{path!r}: {finding}"


def salvage_file(args: argparse.Namespace) -> None:
    """``pylmdb salvage``."""
    require(args.path)
    result = salvage(args.path, args.dest, previous=args.previous, progress=progress())
    if args.json:
        print_json(result.as_dict())
    else:
        _print_lines(result)
    if not result.ok:
        raise ValueError(f"not everything in {args.path!r} could be saved")


def _print_lines(report: object) -> None:
    print("\n".join(map(visible, literals_as_text(str(report)).splitlines())))
