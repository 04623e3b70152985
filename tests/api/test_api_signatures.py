# SPDX-License-Identifier: MIT
"""Names, parameters, their order and defaults are those of py-lmdb's stub."""

import ast
import importlib.util
import inspect
from pathlib import Path

import pytest

import pylmdb

# Where pylmdb's default is another one than py-lmdb's, on purpose.
OWN_DEFAULTS = {
    ("Environment", "__new__", "path"): None,
    ("Environment", "__new__", "map_size"): None,
    ("Environment", "__new__", "subdir"): None,
    ("Environment", "__new__", "max_dbs"): None,
    ("Environment", "__new__", "lib_version"): None,
    ("Transaction", "delete", "value"): None,
}


def stub_signatures():
    """(class, method) -> parameters as (name, default or no default) from py-lmdb's stub.

    Of overloads, the one with the most defaults is the whole signature.
    """
    package = importlib.util.find_spec("lmdb").submodule_search_locations[0]
    tree = ast.parse((Path(package) / "__init__.pyi").read_text())
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_Stat"):
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    found.setdefault((node.name, item.name), []).append(item.args)
    return {name: longest(forms) for name, forms in found.items()}


def longest(forms):
    best = max(forms, key=lambda args: (len(args.args), len(args.defaults)))
    names = [arg.arg for arg in best.posonlyargs + best.args][1:]
    blank = [inspect.Parameter.empty] * (len(names) - len(best.defaults))
    defaults = blank + [
        None
        if isinstance(value, ast.Constant) and value.value is Ellipsis
        else ast.literal_eval(value)
        for value in best.defaults
    ]
    return list(zip(names, defaults, strict=True))


SIGNATURES = {
    key: value
    for key, value in stub_signatures().items()
    if key[0] in ("Environment", "Transaction", "Cursor") and key[1] not in ("__exit__", "__iter__")
}


def test_the_stub_of_py_lmdb_was_read():
    assert len(SIGNATURES) > 60
    assert SIGNATURES["Transaction", "put"][2] == ("dupdata", True)


@pytest.mark.parametrize(("cls", "method"), SIGNATURES, ids=lambda part: part)
def test_parameters_have_py_lmdb_names_order_and_defaults(cls, method):
    ours = getattr(pylmdb, cls)
    signature = inspect.signature(ours if method == "__new__" else getattr(ours, method))
    parameters = list(signature.parameters.values())
    if method != "__new__":
        assert parameters.pop(0).name == "self"
    positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    expected = [
        (name, OWN_DEFAULTS.get((cls, method, name), default))
        for name, default in SIGNATURES[cls, method]
    ]
    got = [(p.name, p.default) for p in positional]
    # Overloads of the stub give no default to what their other form makes optional.
    assert [name for name, _ in got] == [name for name, _ in expected]
    for (name, ours_default), (_, theirs) in zip(got, expected, strict=True):
        if theirs is not inspect.Parameter.empty or method == "__new__":
            assert ours_default == theirs, name


def test_every_public_name_of_py_lmdb_exists():
    tree = ast.parse(Path(importlib.util.find_spec("lmdb").origin).with_suffix(".pyi").read_text())
    names = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    )
    assert set(names) - set(dir(pylmdb)) == set()
    assert pylmdb.open is pylmdb.Environment
