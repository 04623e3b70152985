# SPDX-License-Identifier: MIT
"""pylmdb.h, and the numbers of its ABI: extensions that were compiled with other headers."""

import os
import re
import subprocess
import sys

import extensions
import pytest
from project import ROOT

import pylmdb
from pylmdb import lowlevel

HEADER = ROOT / "src" / "pylmdb" / "include" / "pylmdb.h"
# pylmdb.h as it was with each minor number
OLD_HEADERS = sorted((ROOT / "tests" / "support" / "headers").iterdir())

pytestmark = pytest.mark.skipif(
    os.environ.get("PYLMDB_CORE", "c") != "c" or sys.implementation.name != "cpython",
    reason="only the C core has the C API",
)


def import_error(path):
    """Return what ImportError says when a program imports an extension."""
    source = (
        f"import sys; sys.path.insert(0, {str(path.parent)!r}); import {path.name.split('.')[0]}"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False
    )
    return done.stderr.splitlines()[-1] if done.returncode else None


def changed_header(folder, **numbers):
    text = HEADER.read_text()
    for name, value in numbers.items():
        text, count = re.subn(rf"(#define {name}) \d+", rf"\1 {value}", text)
        assert count == 1
    folder.mkdir(parents=True)
    (folder / "pylmdb.h").write_text(text)
    return f"-I{folder}"


def test_an_extension_for_another_major_number_is_refused(tmp_path):
    flag = changed_header(tmp_path / "header", PYLMDB_ABI_MAJOR=2)
    said = import_error(extensions.compile_extension(extensions.CAPI_USER, tmp_path, flag))
    assert re.fullmatch(
        r"ImportError: this extension was compiled for the C API 2\.\d+ of pylmdb, and pylmdb "
        rf"{pylmdb.__version__} has 1\.\d+; install a newer pylmdb",
        said,
    )
    flag = changed_header(tmp_path / "older" / "header", PYLMDB_ABI_MAJOR=0)
    said = import_error(
        extensions.compile_extension(extensions.CAPI_USER, tmp_path / "older", flag)
    )
    assert said.endswith("compile it again, with the header of this pylmdb")


def test_an_extension_for_a_later_minor_number_is_refused(tmp_path):
    flag = changed_header(tmp_path / "header", PYLMDB_ABI_MINOR=99)
    said = import_error(extensions.compile_extension(extensions.CAPI_USER, tmp_path, flag))
    assert "for the C API 1.99 of pylmdb" in said
    assert said.endswith("install a newer pylmdb")


@pytest.mark.parametrize("header", OLD_HEADERS, ids=lambda path: path.name)
def test_an_extension_for_an_earlier_header_works(header, tmp_path):
    """An extension that was compiled with a header of the past, as it was then."""
    include = tmp_path / "include"
    include.mkdir()
    (include / "pylmdb.h").write_text((header / "pylmdb.h").read_text())
    extensions.compile_extension(header / "capi_user.c", tmp_path, f"-I{include}")
    source = f"""
import sys, tempfile
sys.path.insert(0, {str(tmp_path)!r})
import capi_user as user
with tempfile.TemporaryDirectory() as path, user.open(path) as env:
    txn = user.begin(env, True, -1)
    hold = user.acquire(txn)
    assert user.put(hold, b"k", b"v") and user.get(hold, b"k") == b"v"
    assert user.move(hold, user.open_cursor(hold), 8) == (b"k", b"v")
    assert user.range(hold, None, None, 0, lambda key, value: None) == 0
    assert user.view(hold, b"k") == b"v"
    user.release(hold)
    user.commit(txn)
"""
    subprocess.run([sys.executable, "-c", source], check=True)


def members(header):
    """Return the members of the table of functions, in order, without blanks."""
    table = re.search(
        r"typedef struct PyLMDB_API \{(.*?)\n\} PyLMDB_API;", header.read_text(), re.S
    )
    text = re.sub(r"/\*.*?\*/", "", table[1], flags=re.DOTALL)
    return [re.sub(r"\s+", " ", each).strip() for each in text.split(";") if each.strip()]


def test_the_table_has_only_grown():
    """A change that is not an addition needs another major number, and a new stored header."""
    assert OLD_HEADERS
    now = members(HEADER)
    for header in OLD_HEADERS:
        then = members(header / "pylmdb.h")
        assert now[: len(then)] == then, header.name
    minor = re.search(r"#define PYLMDB_ABI_MINOR (\d+)", HEADER.read_text())[1]
    newest = members(ROOT / "tests" / "support" / "headers" / f"1.{minor}" / "pylmdb.h")
    assert newest == now, "new members need a new minor number"


@pytest.mark.parametrize(
    ("compiler", "standard"), [("cc", "c11"), ("c++", "c++11"), ("c++", "c++20")]
)
def test_the_header_is_self_contained(compiler, standard, tmp_path):
    suffix = "c" if compiler == "cc" else "cc"
    source = tmp_path / f"alone.{suffix}"
    source.write_text(
        "#include <pylmdb.h>\n"
        "int use(PyLMDB_Hold *hold, PyLMDB_Value *value)\n"
        "{\n    return import_pylmdb() < 0 || PyLMDB_Get(hold, \"k\", 1, value);\n}\n"
    )  # fmt: skip
    flags = ["-Wpedantic", "-DPy_LIMITED_API=0x030A0000"]
    extensions.compile_extension(source, tmp_path, *flags, compiler=compiler, standard=standard)


def test_the_numbers_are_those_of_lmdb_h(env):
    lib = lowlevel.engine(env).lib
    found = re.findall(r"\bPYLMDB_([A-Z_]+)(?: = | \(?)(-?\w+)", HEADER.read_text())
    ours = {"FORKED", "ABI_MAJOR", "ABI_MINOR"}
    numbers = {name: int(value, 0) for name, value in found if re.match(r"-?\d", value)}
    numbers = {
        name: value
        for name, value in numbers.items()
        if name not in ours and not name.startswith("RANGE_")
    }
    assert len(numbers) == 30
    assert numbers == {name: getattr(lib, f"MDB_{name}") for name in numbers}
