# SPDX-License-Identifier: MIT
"""Commands on whole files: copy, copyfd, compact, merge, rewrite, convert, warm."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from ..tools import convert, merge
from ..tools.sources import data_path
from ._commands import number
from ._data import NAME
from ._opening import add_new_file, reading, require, writing
from ._output import counted, print_result, progress, size

if TYPE_CHECKING:
    import argparse

    from ._commands import Commands, Parser

# how py-lmdb's commands call the main database
MAIN_NAME = ":main:"


def add(commands: Commands) -> None:
    """Add the commands."""
    copy = commands.on_path(
        "copy", copy_environment, "Copy an environment that may be in use.",
        examples="""\
pylmdb copy fruit backup
pylmdb copy fruit small --compact
pylmdb copy fruit - | gzip > backup.gz""",
    )  # fmt: skip
    copy.add_argument(
        "dest",
        metavar="DEST",
        help="path of the copy; no data file is overwritten; '-' is standard output",
    )
    _add_compact(copy)
    copyfd = commands.on_path(
        "copyfd", copy_to_descriptor, "Write the data file of a copy to standard output.", False,
        examples="pylmdb copyfd fruit > backup.mdb",
    )  # fmt: skip
    copyfd.add_argument("--out-fd", type=number, default=1, metavar="N",
                        help="write to this file descriptor instead")  # fmt: skip
    _add_compact(copyfd)
    commands.on_path(
        "compact", compact, "Rewrite an environment in place without free pages.",
        examples="pylmdb compact fruit",
    )  # fmt: skip
    _add_merge(commands)
    _add_rewrite(commands)
    converting = commands.add(
        "convert", convert_environment,
        "Write an environment in another data format, with another page size, or with checksums.",
        examples="""\
pylmdb convert fruit newer --to 1.0
pylmdb convert fruit larger --page-size 16384
pylmdb convert fruit summed --checksums""",
    )  # fmt: skip
    converting.add_argument("source", metavar="SOURCE", help="environment to convert")
    converting.add_argument(
        "dest", metavar="DEST", help="path of the new environment, which must not exist"
    )
    converting.add_argument(
        "--to",
        choices=["0.9", "1.0"],
        help="LMDB version that is to read the new file; by default as SOURCE",
    )
    add_new_file(converting)
    commands.on_path(
        "warm", warm, "Read the whole file once, so that it is in the page cache.",
        examples="pylmdb warm fruit",
    )  # fmt: skip


def _add_compact(command: Parser) -> None:
    command.add_argument("-c", "--compact", action="store_true", help="leave out free pages")


def _add_merge(commands: Commands) -> None:
    merging = commands.add(
        "merge", merge_environments, "Merge environments into one.",
        examples="""\
pylmdb merge fruit other all
pylmdb merge fruit other all --on-conflict last""",
    )  # fmt: skip
    merging.add_argument("sources", metavar="SOURCE", nargs="+", help="environments to merge")
    merging.add_argument(
        "dest", metavar="DEST", help="environment to write to; it is created if it does not exist"
    )
    merging.add_argument(
        "--on-conflict", choices=["error", "first", "last"], default="error",
        help="for a key with different values: fail, or keep the value of the first or last SOURCE",
    )  # fmt: skip
    add_new_file(merging)


def _add_rewrite(commands: Commands) -> None:
    rewriting = commands.add(
        "rewrite", rewrite, "Write an environment, or some of its databases, to another one.",
        target=1,
        examples="""\
pylmdb rewrite fruit tight
pylmdb rewrite -e fruit -E tight prices""",
    )  # fmt: skip
    rewriting.add_argument("source", metavar="SOURCE", help="environment to read")
    rewriting.add_argument(
        "dest", metavar="DEST", help="environment to write to; it is created if it does not exist"
    )
    rewriting.add_argument(
        "names", metavar="NAME", nargs="*",
        help=f"write only these databases; {MAIN_NAME} is the main one",
    )  # fmt: skip
    add_new_file(rewriting)
    rewriting.add_argument("-E", "--target_env", metavar="PATH", dest="target",
                           help="DEST, instead of its path as an operand")  # fmt: skip


def copy_environment(args: argparse.Namespace) -> None:
    """``pylmdb copy``."""
    if args.dest == "-":
        args.out_fd = sys.stdout.fileno()
        copy_to_descriptor(args)
        return
    with reading(args) as env:
        env.copy(args.dest, compact=args.compact)
        name = os.path.join(args.dest, "data.mdb") if env.flags().subdir else args.dest
    written = os.stat(name).st_size
    print_result(args, f"{size(written)} written", bytes=written)


def copy_to_descriptor(args: argparse.Namespace) -> None:
    """``pylmdb copyfd``."""
    with reading(args) as env:
        if os.isatty(args.out_fd):
            raise ValueError(
                "a copy cannot be written to a terminal; redirect it to a file or a pipe"
            )
        sys.stdout.flush()
        env.copyfd(args.out_fd, compact=args.compact)


def compact(args: argparse.Namespace) -> None:
    """``pylmdb compact``."""
    with writing(args) as env:
        before = os.stat(data_path(env)).st_size
        env.compact()
        after = os.stat(data_path(env)).st_size
    print_result(args, f"from {size(before)} to {size(after)}", before=before, after=after)


def merge_environments(args: argparse.Namespace) -> None:
    """``pylmdb merge``."""
    for source in args.sources:
        require(source)
    written = merge(
        args.sources,
        args.dest,
        args.on_conflict,
        progress(),
        page_size=args.page_size,
        checksums=args.checksums,
    )
    print_result(args, f"{counted(written)} written", records=written)


def rewrite(args: argparse.Namespace) -> None:
    """``pylmdb rewrite``."""
    require(args.source)
    names = [None if name == MAIN_NAME else NAME.read(name) for name in args.names]
    written = merge(
        [args.source], args.dest, "last", progress(), databases=names or None,
        page_size=args.page_size, checksums=args.checksums,
    )  # fmt: skip
    print_result(args, f"{counted(written)} written", records=written)


def convert_environment(args: argparse.Namespace) -> None:
    """``pylmdb convert``."""
    require(args.source)
    version = None if args.to is None else int(args.to == "1.0")
    written = convert(
        args.source,
        args.dest,
        version,
        progress(),
        page_size=args.page_size,
        checksums=args.checksums,
    )
    print_result(args, f"{counted(written)} written", records=written)


def warm(args: argparse.Namespace) -> None:
    """``pylmdb warm``."""
    with reading(args) as env:
        path, used = data_path(env), env.info().used
    begin, done = time.perf_counter(), 0
    buffer = bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        while done < used and (count := file.readinto(buffer)):
            done += count
    seconds = time.perf_counter() - begin
    print_result(args, f"{size(done)} read in {seconds:.2f} s", bytes=done, seconds=seconds)
