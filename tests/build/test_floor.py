# SPDX-License-Identifier: MIT
"""The C loops that the benchmark compares with can be compiled with today's sources of liblmdb."""

import subprocess
import sys

from project import ROOT

COMPILE = """
import subprocess, floor
files = [floor.LIBLMDB / "mdb.c", floor.LIBLMDB / "midl.c", floor.HERE / "floor.c"]
subprocess.run(["gcc", "-fsyntax-only", *floor.FLAGS, f"-I{floor.LIBLMDB}", *files], check=True)
"""


def test_the_loops_can_be_compiled():
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        capture_output=True, text=True, check=False, cwd=ROOT / "benchmarks",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
