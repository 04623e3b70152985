# SPDX-License-Identifier: MIT
"""Running a command, and what its failure looks like."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import Error
from ._output import visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_FAILURES = (Error, OSError, ValueError, ImportError, OverflowError, RecursionError, MemoryError)


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run one command; returns the exit status."""
    _prepare_streams()
    args = parser.parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:
        _drop_output()  # the reader has seen enough
    except KeyboardInterrupt:
        return 130
    except _FAILURES as failure:
        text = visible(" ".join(str(failure).split())) or type(failure).__name__
        with suppress(OSError):
            print(f"pylmdb {args.command}: {text}", file=sys.stderr, flush=True)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
    return 1


def _prepare_streams() -> None:
    """Descriptors that were closed are taken, or else a data file would get one of their
    numbers; and what an encoding does not have is escaped."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(null, mode, closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Where what is printed cannot go, Python would say so again when it ends."""
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())
