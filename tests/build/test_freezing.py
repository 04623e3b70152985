# SPDX-License-Identifier: MIT
"""Programs packed by PyInstaller run: it finds every module of pylmdb."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pylmdb
from pylmdb import _which_core

PROGRAM = """\
import sys
import pylmdb

core = {base.__module__ for base in pylmdb.Transaction.__mro__}
print(sys.frozen, "pylmdb._core" in core, pylmdb.__version__)
for lib_version in (0, 1):
    path = f"{sys.argv[1]}-{lib_version}"
    with pylmdb.open(path, lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            txn.put(b"key", b"value")
        with env.writer() as writer:
            writer.put(b"other", b"value").result()
        with env.begin(buffers=True) as txn:
            print(*env.lib_version(), [bytes(value) for _, value in txn.cursor()])
    with pylmdb.Map(path) as records:
        print(len(records), pylmdb.verify(path).ok)
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """Return the program, packed into a folder without this environment's packages."""
    folder = tmp_path_factory.mktemp("frozen")
    (folder / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "PyInstaller", "--log-level", "WARN", "--noconfirm"]
    paths = ["--paths", str(Path(pylmdb.__file__).parent.parent)]
    environ = {**os.environ, "PYINSTALLER_CONFIG_DIR": str(folder / "cache")}
    done = subprocess.run(
        [*command, *paths, "program.py"], cwd=folder, env=environ, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "dist" / "program" / "program"


@pytest.mark.parametrize("name", [None, *_which_core._CORES])
def test_a_frozen_program_runs(frozen, tmp_path, name):
    environ = {key: value for key, value in os.environ.items() if key != "PYLMDB_CORE"}
    if name is not None:
        environ["PYLMDB_CORE"] = name
    environ.pop("PYTHONPATH", None)
    done = subprocess.run(
        [frozen, tmp_path / "env"], env=environ, capture_output=True, text=True, check=False
    )
    is_c = (name or _which_core._CORES[0]) == "c"
    assert done.stdout.splitlines() == [
        f"True {is_c} {pylmdb.__version__}",
        "0 9 36 [b'value', b'value']",
        "2 True",
        "1 0 2 [b'value', b'value']",
        "2 True",
    ]
    assert (done.returncode, done.stderr) == (0, "")
