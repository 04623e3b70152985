# SPDX-License-Identifier: MIT
"""Plain C compiles for addresses of 32 bits."""

import platform
import shlex
import subprocess
import sysconfig

import pytest
from project import ROOT

LIBLMDB, NATIVE = ROOT / "lib" / "liblmdb", ROOT / "src" / "pylmdb" / "_native"
FLAGS = "-m32 -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter -Werror -fsyntax-only"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="no other machine has -m32")
@pytest.mark.parametrize("line", ["0.9", "1.0"])
@pytest.mark.parametrize(
    "source",
    [
        LIBLMDB / "shim.c",
        LIBLMDB / "page_sums.c",
        LIBLMDB / "xxh3.c",
        *(path for path in NATIVE.rglob("*.c") if path.parent.name != "core"),
    ],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_it_compiles(source, line):
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    folders = [f"-I{each}" for each in (LIBLMDB / line, LIBLMDB, NATIVE)]
    macros = ['-DPYLMDB_VERSION_STRING="0"']
    command = [*compiler, *FLAGS.split(), *macros, *folders, str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
