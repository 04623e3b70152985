# SPDX-License-Identifier: MIT
"""Running a command and reporting its errors."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from .._core_rules.system_errors import system_reason
from ..errors import Error
from ._output import print_error
from ._wording import as_typed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_FAILURES = (Error, OSError, ValueError, ImportError, OverflowError, RecursionError, MemoryError)


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
        text = as_typed(" ".join(_text(failure).split()), args) or type(failure).__name__
        with suppress(OSError):
            print_error(args, text)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
    return int(args.failure)


def _text(failure: BaseException) -> str:
    """Return the message of an exception; for one of the system, what to do, too."""
    reason, hint = system_reason(failure.errno) if isinstance(failure, OSError) else ("", "")
    if not reason or isinstance(failure, Error):
        return str(failure)
    name = getattr(failure, "filename", None)
    where = "" if name is None else f"{os.fsdecode(name)!r}: "
    return f"{where}{reason}; {hint} [{getattr(failure, 'strerror', None)}]"


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
