# SPDX-License-Identifier: MIT
"""Running a command, and what its failure looks like."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..errors import Error

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run one command; returns the exit status."""
    args = parser.parse_args(argv)
    try:
        args.run(args)
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
    return 0
