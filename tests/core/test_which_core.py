# SPDX-License-Identifier: MIT
"""Compiled modules belong to one version of pylmdb: others are refused with a message."""

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pylmdb
from pylmdb import _engine, _which_core

needs_c = pytest.mark.skipif(_which_core.compiled is None, reason="no compiled core here")


def test_a_core_that_does_not_exist_is_refused_when_pylmdb_is_imported():
    environ = {**os.environ, "PYLMDB_CORE": "rust"}
    command = [sys.executable, "-c", "import pylmdb"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: PYLMDB_CORE='rust' is not a core of pylmdb;"
        f" set it to {' or '.join(_which_core._CORES)}, or leave it unset"
    )


@pytest.mark.parametrize("name", _which_core._CORES)
def test_the_environment_chooses_the_core(name):
    environ = {**os.environ, "PYLMDB_CORE": name}
    source = "import pylmdb; print(*{base.__module__ for base in pylmdb.Cursor.__mro__})"
    modules = subprocess.check_output([sys.executable, "-c", source], env=environ, text=True)
    assert ("pylmdb._core" in modules.split()) == (name == "c")
    assert ("pylmdb._cffi_core.cursor" in modules.split()) == (name == "cffi")


def test_no_other_variable_of_the_environment_is_read():
    """So two programs with one pylmdb get the same results."""
    package = Path(pylmdb.__file__).parent
    readers = {}
    for path in package.rglob("*.py"):
        if path != package / "_native" / "build.py":  # which compiles
            found = re.findall(r"(?:environb?\b[^\n]*|getenvb?\(.*)", path.read_text("utf-8"))
            readers.update({path.name: found} if found else {})
    assert readers == {"_which_core.py": ['environ.get("PYLMDB_CORE") or _CORES[0]']}
    compiled = [*package.glob("*.so")]
    assert compiled
    # liblmdb has code that reads LMDB_FLAGS, for its own tests
    assert not [path.name for path in compiled if b"LMDB_FLAGS" in path.read_bytes()]


def test_modules_of_another_version_are_refused(monkeypatch):
    name = next(name for name in _engine._MODULES if _engine._compiled(name))
    monkeypatch.setattr(_which_core, "__version__", "9.9.9")
    with pytest.raises(ImportError, match=r"pylmdb\._lmdb.* for pylmdb .* but this is 9\.9\.9"):
        _engine._compiled(name)
    with pytest.raises(ImportError, match=r"_core was compiled for pylmdb 3.* install pylmdb ag"):
        _which_core.check_version("_core", "3.0.9")


def test_an_engine_that_was_not_built_is_left_out():
    built = [name for name in _engine._MODULES if _engine._compiled(name)]
    assert len(built) == len(_engine.engines()) < len(_engine._MODULES)


# -- what join() checks -------------------------------------------------------------------


class Table(ctypes.Structure):
    """The first fields of struct pylmdb_engine."""

    _fields_ = (
        ("abi", ctypes.c_uint),
        ("size", ctypes.c_size_t),
        ("version", ctypes.c_char_p),
    )


def copy_of_the_table(**changed):
    """Return a changed table of an engine, and the memory that contains it."""
    address = _engine.default().table
    size = Table.from_address(address).size
    memory = ctypes.create_string_buffer(ctypes.string_at(address, size), size)
    table = Table.from_buffer(memory)
    for name, value in changed.items():
        setattr(table, name, value)
    return table, memory


@needs_c
@pytest.mark.parametrize(
    ("changed", "part"),
    [({"abi": 0}, "layout"), ({"size": 16}, "size"), ({"version": b"0.0.1"}, "version")],
)
def test_an_engine_with_another_table_is_refused(changed, part):
    table, _memory = copy_of_the_table(**changed)
    with pytest.raises(ImportError, match=f"has another {part}; install pylmdb again"):
        _which_core.compiled.join(ctypes.addressof(table))


@needs_c
def test_the_same_table_joins_again():
    table, _memory = copy_of_the_table()
    assert _which_core.compiled.join(ctypes.addressof(table)) is None


@needs_c
def test_nothing_joins_at_no_address():
    with pytest.raises(ValueError, match="no address"):
        _which_core.compiled.join(0)


@needs_c
@pytest.mark.parametrize("cls", [int, 3, _which_core.compiled and _which_core.compiled.Exporter])
def test_only_classes_on_the_core_s_types_are_published(cls):
    with pytest.raises(TypeError, match="publish: "):
        _which_core.compiled.publish(cls)
