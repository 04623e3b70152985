# SPDX-License-Identifier: MIT
"""The command line: ``pylmdb`` and ``python -m pylmdb``.

A failure is one line on stderr and exit status 1; wrong usage exits with 2.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..errors import Error
from ._parser import parser

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    :param argv: the arguments behind the program's name; by default those of the process.
    """
    args = parser().parse_args(argv)
    try:
        status = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader has seen enough; Python would say so when it flushes at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (Error, OSError, ValueError, ImportError) as failure:
        text = " ".join(str(failure).split())
        print(f"pylmdb {args.command}: {text}", file=sys.stderr)
        return 1
    return int(status or 0)
