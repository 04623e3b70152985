# SPDX-License-Identifier: MIT
"""Running a command and reporting its errors."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import Error
from ._data import literals_as_text
from ._output import print_error

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_FAILURES = (Error, OSError, ValueError, ImportError, OverflowError, RecursionError, MemoryError)

# parts of messages that name a parameter, and the option that sets it
_OPTIONS = {
    "extensions= chooses the files, by default": "the extensions of images are",
    "overwrite=True replaces it": "--overwrite replaces it",
    "(max_seconds=)": "(--max-seconds)",
    "leave out since=": "leave out --since",
    "make an increment (since=)": "make an increment (--since)",
    "the backup that since= names": "the backup that --since names",
    "until=": "--until ",
    "on_conflict='first' or 'last'": "--on-conflict first or last",
    "subdir=False means a file; leave subdir out": "--use-single-file means a file; leave it out",
}


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run one command and return the exit status."""
    _prepare_streams()
    args = parser.parse_args(argv)
    status: int | None
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status or 0
    except BrokenPipeError:
        _drop_output()  # the reader of the pipe has closed it
    except KeyboardInterrupt:
        return 130
    except _FAILURES as failure:
        text = _as_typed(" ".join(str(failure).split())) or type(failure).__name__
        with suppress(OSError):
            print_error(args, text.removeprefix(f"{args.command}: "))
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
    return int(args.failure)


def _as_typed(text: str) -> str:
    """Name options instead of parameters, and keys and databases as they are typed."""
    for parameter, option in _OPTIONS.items():
        text = text.replace(parameter, option)
    return literals_as_text(text)


def _prepare_streams() -> None:
    """Open closed standard streams, and escape what their encoding cannot represent.

    If a standard descriptor stayed closed, a data file would get its number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(null, mode, closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Discard buffered output; otherwise Python would report the error again at its exit."""
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())
