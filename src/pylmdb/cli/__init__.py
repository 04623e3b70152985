# SPDX-License-Identifier: MIT
"""The command line: ``pylmdb`` and ``python -m pylmdb``.

A command that fails prints one line to stderr and exits with status 1; wrong usage exits with 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._parser import parser
from ._running import run

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    :param argv: the arguments after the program's name; by default those of the process.
    """
    return run(parser(), argv)
