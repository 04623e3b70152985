# SPDX-License-Identifier: MIT
"""help(), dir() and completion: what they show of the package, and that every parameter is
explained where it is.
"""

import inspect
import os
import pydoc
import re
import rlcompleter
import subprocess
import sys
import types

import pytest
from public_names import MADE_BY_CALLS, public_classes_and_functions

import pylmdb
from pylmdb import aio, arrays, datasets, lowlevel, writer

LAZY = [
    "Map", "aio", "arrays", "convert", "datasets", "dump", "load", "lowlevel", "merge", "verify"
]  # fmt: skip
CALLABLES = {
    name: value
    for name, value in public_classes_and_functions().items()
    if name.rpartition(".")[2] not in MADE_BY_CALLS
}


def test_the_callables_were_found():
    assert len(CALLABLES) > 200
    assert {"pylmdb.environment.Environment.begin", "pylmdb.merge"} <= CALLABLES.keys()
    assert "pylmdb.aio.transaction.AsyncTransaction.range" in CALLABLES


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_every_parameter_is_named_in_the_docstring(name):
    function = CALLABLES[name]
    text = function.__doc__ if isinstance(function, type) else inspect.getdoc(function)
    for parameter in inspect.signature(function).parameters:
        assert parameter == "self" or re.search(rf"\b{re.escape(parameter)}\b", text), parameter


def test_help_on_begin_explains_its_parameters():
    text = pydoc.render_doc(pylmdb.Environment.begin, renderer=pydoc.plaintext)
    for name in inspect.signature(pylmdb.Transaction).parameters:
        assert name == "env" or f":param {name}:" in text


def test_options_that_are_passed_on_are_explained():
    text = inspect.getdoc(datasets.from_npz)
    assert ":param options:" not in text
    assert ":param commit_every: samples per commit" in text
    assert ":param subdir: False for a data file" in inspect.getdoc(datasets.from_image_folder)


def test_help_on_the_package_is_a_page():
    text = pydoc.render_doc(pylmdb, renderer=pydoc.plaintext)
    assert len(text.splitlines()) < 120
    for name in [*LAZY, "Environment", "Transaction", "Cursor", "Database", "open", "MapFullError"]:
        assert re.search(rf"\b{name}\b", text), name


def test_dir_has_what_is_public_and_no_private_module():
    names = dir(pylmdb)
    assert {*LAZY, *pylmdb.__all__, "open", "errors", "types", "writer"} <= {*names}
    assert names == sorted({*names})
    assert all(hasattr(pylmdb, name) for name in names)
    shown = {name for name in names if not name.startswith("_")}
    modules = {name for name in shown if isinstance(getattr(pylmdb, name), types.ModuleType)}
    assert modules - {"verify"} == {
        "aio", "arrays", "datasets", "errors", "lowlevel", "types", "writer"
    }  # fmt: skip
    assert names == dir(pylmdb), "also after everything was imported"


@pytest.mark.parametrize(
    "module",
    [aio, arrays, datasets, datasets.datum, lowlevel, pylmdb.errors, pylmdb.types, pylmdb.verify,
     writer],
    ids=lambda module: module.__name__,
)  # fmt: skip
def test_dir_of_a_module_has_what_is_public(module):
    names = dir(module)
    assert names
    assert names == sorted({*names})
    for name in names:
        value = getattr(module, name)
        assert not name.startswith("_")
        assert not isinstance(value, types.ModuleType) or value is datasets.datum
        assert getattr(value, "__module__", "pylmdb").startswith(("pylmdb", "typing"))
    assert names == sorted(getattr(module, "__all__", names))


def test_tab_completes_what_is_imported_late():
    complete = rlcompleter.Completer({"pylmdb": pylmdb}).complete
    assert complete("pylmdb.dataset", 0) == "pylmdb.datasets"
    assert complete("pylmdb._core", 0) is None


def test_a_star_import_brings_every_name():
    namespace = {}
    exec("from pylmdb import *", namespace)
    assert set(pylmdb.__all__) <= namespace.keys()


WITHOUT_NUMPY = """
import sys
before = set(sys.modules)
import pylmdb
loaded = {name for name in sys.modules if name.startswith("pylmdb.")}
assert not {f"pylmdb.{name}" for name in ("aio", "datasets", "mapping", "tools")} & loaded, loaded
assert not {"inspect", "typing", "typing_extensions"} & (set(sys.modules) - before)

assert "datasets" in dir(pylmdb)
assert "numpy" not in sys.modules
sys.modules["numpy"] = None
assert "Map" in dir(pylmdb) and "datasets" not in dir(pylmdb)
import inspect, pydoc
assert dict(inspect.getmembers(pylmdb))["Map"] is pylmdb.Map
assert "pylmdb.aio" in pydoc.render_doc(pylmdb)
assert "typing_extensions" not in sys.modules
"""


def test_help_and_dir_work_without_numpy():
    default_core = {**os.environ, "PYLMDB_CORE": ""}  # the cffi core needs more modules
    subprocess.run([sys.executable, "-c", WITHOUT_NUMPY], check=True, timeout=60, env=default_core)


def test_a_class_has_a_signature_with_types():
    for cls in (pylmdb.Environment, pylmdb.Transaction, pylmdb.Cursor, pylmdb.Map):
        for parameter in inspect.signature(cls).parameters.values():
            assert parameter.annotation is not parameter.empty
