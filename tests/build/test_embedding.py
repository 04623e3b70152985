# SPDX-License-Identifier: MIT
"""The programs of docs/how-to/embedding.md in C, Cython and Rust are compiled, run, and print what
the page says.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

PAGE = ROOT / "docs" / "how-to" / "embedding.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
# by name: the files of the page, whose first line has their name
FILES = {
    name[1]: text
    for language, text in BLOCKS
    if (name := re.match(r"(?:/\* |# |// )(\w+\.\w+)(?: \*/)?\n", text)) and language != "python"
}
# by the name of the program that uses the library
COMMANDS = {re.search(r"use_(\w+)\.py", text)[1]: text for kind, text in BLOCKS if kind == "sh"}

pytestmark = pytest.mark.skipif(
    os.environ.get("PYLMDB_CORE", "c") != "c" or sys.implementation.name != "cpython",
    reason="only the C core has the C API",
)


def test_the_page_is_read():
    assert {"sum_values.c", "build_sum.py", "use_sum.py", "neighbours.pyx"} <= set(FILES)
    assert set(COMMANDS) == {"sum", "neighbours", "matches"}


def build_and_use(name, folder):
    """Follow the page in an empty directory, and check what its commands print."""
    for file, text in FILES.items():
        (folder / file).write_text(text, "utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environ = {**os.environ, "PATH": path, "CFLAGS": "-O1 -Wall -Wextra -Werror=implicit"}
    for line in COMMANDS[name].splitlines():
        command, _, shown = line.partition("#")
        done = subprocess.run(
            ["sh", "-c", command], cwd=folder, env=environ, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == shown.strip() or not shown, line


def test_the_extension_in_c(tmp_path):
    build_and_use("sum", tmp_path)


@pytest.mark.slow
def test_the_module_in_cython(tmp_path):
    pytest.importorskip("Cython", reason="only the extra [test] has it")
    build_and_use("neighbours", tmp_path)


@pytest.mark.skipif(not shutil.which("rustc"), reason="there is no Rust compiler (rustc)")
def test_the_library_in_rust(tmp_path):
    build_and_use("matches", tmp_path)
