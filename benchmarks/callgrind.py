# SPDX-License-Identifier: MIT
"""Count the instructions of functions with valgrind, which must be installed."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

# what a command printed, and rows of a table
Counted = tuple[str, list[tuple[int, str]]]

ROW = re.compile(r"^ *([\d,]+) +(\S+:\S+)", re.MULTILINE)


def count(command: list[str], folder: str | None = None, *, inclusive: bool = False) -> Counted:
    """Run a command; return what it printed, and rows of instructions and ``file:function``.

    :param folder: where it runs.
    :param inclusive: whether instructions of a function include those of what it calls.
    """
    with tempfile.TemporaryDirectory() as place:
        profile = str(Path(place, "profile"))
        valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={profile}"]
        printed = _output([*valgrind, *command], folder)
        how = [f"--inclusive={'yes' if inclusive else 'no'}", "--threshold=100", "--show-percs=no"]
        table = _output(["callgrind_annotate", *how, profile], folder)
    rows = [(int(number.replace(",", "")), name) for number, name in ROW.findall(table)]
    return printed, rows


def _output(command: list[str], folder: str | None) -> str:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout
