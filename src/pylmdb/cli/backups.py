# SPDX-License-Identifier: MIT
"""The commands backup, restore and backup-info.

``restore`` also stores dumps of py-lmdb's command, which has the same name: its operands are
NAME=FILE.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .._base.words import counted
from ..tools import backup_info, restore
from ._opening import add_flags, add_new_file, reading, refuse_to_write
from ._output import add_overwrite, print_json, print_result, progress, size, visible
from .files import MAIN_NAME
from .text import DEFAULT_FILE, restore_text

if TYPE_CHECKING:
    from .._environment.backup_file import Backup
    from ._commands import Commands


def add(commands: Commands) -> None:
    """Add the commands."""
    command = commands.on_path(
        "backup", back_up, "Write a backup of an environment that may be in use.",
        examples="""\
pylmdb backup fruit monday.backup
pylmdb backup fruit tuesday.backup --since monday.backup
pylmdb backup fruit - | pylmdb restore copy -""",
    )  # fmt: skip
    command.add_argument("dest", metavar="DEST", help="file to write; '-' is standard output")
    command.add_argument("--since", metavar="BACKUP",
                         help="write an increment: what changed since this backup")  # fmt: skip
    command.add_argument("--compression", choices=["zstd"], help="compress pages")
    command.add_argument("--max-seconds", type=float, metavar="SECONDS",
                         help="fail if it takes longer")  # fmt: skip
    add_overwrite(command)
    _add_restore(commands)
    info = commands.add(
        "backup-info", show, "Print what backups are, and check that their files are whole.",
        environment=None, examples="""\
pylmdb backup fruit monday.backup
pylmdb backup-info monday.backup --check""",
    )  # fmt: skip
    info.add_argument("files", metavar="BACKUP", nargs="+", help="files of backups")
    info.add_argument("--check", action="store_true", help="check the content of all pages, too")


def _add_restore(commands: Commands) -> None:
    command = commands.add(
        "restore", restore_files,
        "Make an environment of backups; or store files that 'python -m lmdb dump' wrote.",
        examples="""\
pylmdb backup fruit monday.backup
pylmdb backup fruit tuesday.backup --since monday.backup
pylmdb restore new monday.backup tuesday.backup
pylmdb restore old monday.backup tuesday.backup --until '2100-01-01 12:00'
pylmdb dump fruit :main:=main.cdbmake prices=prices.cdbmake
pylmdb restore fruit :main:=main.cdbmake prices=prices.cdbmake""",
    )  # fmt: skip
    command.add_argument("path", metavar="PATH", help="path of the environment")
    command.add_argument(
        "files", metavar="FILE", nargs="*",
        help="a full backup and the increments that continue it, in their order; '-' is standard"
        " input; or NAME=FILE: read the text FILE into the database NAME,"
        f" {MAIN_NAME} for the main one; by default {DEFAULT_FILE} into the main one",
    )  # fmt: skip
    command.add_argument("--until", type=_moment, metavar="WHEN",
                         help="restore the newest backup up to this transaction, or this time in"
                         " ISO 8601")  # fmt: skip
    command.add_argument("--overwrite", action="store_true",
                         help="replace the environment, which no process may have"
                         " open")  # fmt: skip
    command.add_argument("--create", action="store_true",
                         help="with NAME=FILE: create the environment if it does not"
                         " exist")  # fmt: skip
    add_flags(command)
    add_new_file(command)


def _moment(text: str) -> int | datetime:
    """Parse a number of a transaction, or a time."""
    try:
        return int(text) if text.isdecimal() else datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither the number of a transaction nor a time; give a number, or a"
            " time such as '2100-01-01 12:00'"
        ) from None


def back_up(args: argparse.Namespace) -> None:
    """``pylmdb backup``."""
    options: dict[str, Any] = {
        "since": args.since, "compression": args.compression, "overwrite": args.overwrite,
        "progress": progress(), "max_seconds": args.max_seconds,
    }  # fmt: skip
    with reading(args) as env:
        if args.dest == "-":
            if sys.stdout.isatty():
                raise ValueError(
                    "a backup cannot be written to a terminal; redirect it to a file or a pipe"
                )
            sys.stdout.flush()
            env.backup(sys.stdout.fileno(), **options)
            return
        written = env.backup(args.dest, **options)
    text = (
        f"{size(written.size)} written, {written.stored:,} of {counted(written.used, 'page', ',')}"
    )
    print_result(args, text, **written.as_dict())


def restore_files(args: argparse.Namespace) -> None:
    """``pylmdb restore``."""
    refuse_to_write(args)
    if not args.files and not os.path.exists(DEFAULT_FILE):
        args.refuse(
            "no FILE is given; give a full backup and the increments that continue it, or"
            f" NAME=FILE ({DEFAULT_FILE!r}, which is read by default, does not exist)"
        )
    texts = ["=" in each and not os.path.exists(each) for each in args.files]
    if all(texts):  # also if there are none
        if args.until is not None or args.overwrite:
            args.refuse("--until and --overwrite are for backups, not for NAME=FILE")
        restore_text(args)
        return
    if any(texts):
        args.refuse("backups and NAME=FILE cannot be restored together")
    if args.create or args.flags or args.page_size is not None or args.checksums:
        args.refuse(
            "--create, --flags, --page-size and --checksums are for NAME=FILE, not for backups"
        )
    files = [sys.stdin.buffer if each == "-" else each for each in args.files]
    found = restore(
        files, args.path, until=args.until, overwrite=args.overwrite, subdir=not args.single,
        progress=progress(),
    )  # fmt: skip
    text = f"transaction {found.txnid} of {found.time.isoformat(sep=' ', timespec='seconds')}"
    print_result(args, f"{text} restored", **found.as_dict())


def show(args: argparse.Namespace) -> None:
    """``pylmdb backup-info``."""
    found: list[Backup] = [
        backup_info(each, check=args.check, progress=progress() if args.check else None)
        for each in args.files
    ]
    if args.json:
        print_json([each.as_dict() for each in found])
    else:
        for each in found:
            print("\n".join(map(visible, str(each).splitlines())))
