# SPDX-License-Identifier: MIT
"""help() and inspect.signature() are complete: every public name says what it is and takes."""

import ast
import contextlib
import importlib
import inspect
import io
import pydoc
import types
from collections.abc import Iterable
from pathlib import Path

import pytest

import pylmdb
from pylmdb import _engine

ENGINES = {".".join(map(str, engine.version)): engine for engine in _engine.engines()}
CLASSES = [
    value
    for value in (getattr(pylmdb, name) for name in pylmdb.__all__)
    if isinstance(value, type) and not issubclass(value, pylmdb.Error)
]


def is_abstract(function):
    """True if nothing but a docstring and ``raise NotImplementedError`` stands in it."""
    return "NotImplementedError" in function.__code__.co_names


def public_members():
    for cls in CLASSES:
        for name, member in inspect.getmembers(cls):
            if not name.startswith("_") and hasattr(pylmdb, cls.__name__):
                yield f"{cls.__name__}.{name}", member


MEMBERS = dict(public_members())
METHODS = {name: member for name, member in MEMBERS.items() if inspect.isroutine(member)}
ABSTRACT = [
    (cls, name)
    for cls in (pylmdb.Transaction, pylmdb.Cursor)
    for name, member in vars(cls).items()
    if not name.startswith("_") and inspect.isfunction(member) and is_abstract(member)
]


def test_the_members_were_found():
    assert {"Environment.begin", "Transaction.get", "Cursor.iternext"} <= set(METHODS)
    assert len(METHODS) > 60
    assert len(ABSTRACT) > 35


def test_import_exports_exactly_all():
    public = {
        name
        for name, value in vars(pylmdb).items()
        if not name.startswith("_")
        and not (isinstance(value, types.ModuleType) and name not in pylmdb.__all__)
    }
    assert public - {"open"} == {n for n in pylmdb.__all__ if not n.startswith("_")} - {"open"}
    assert len(set(pylmdb.__all__)) == len(pylmdb.__all__)
    for name in pylmdb.__all__:
        assert hasattr(pylmdb, name)


def test_a_star_import_hides_no_builtin_but_py_lmdb_s():
    """py-lmdb's __all__ leaves out ``open``: a star import must not replace the builtin."""
    namespace = {}
    exec("from pylmdb import *", namespace)
    assert "open" not in namespace


def test_types_for_checkers_are_announced():
    assert Path(pylmdb.__file__).with_name("py.typed").exists()


@pytest.mark.parametrize("name", sorted(set(pylmdb.__all__) - {"__version__"}))
def test_every_public_name_has_a_docstring(name):
    text = inspect.getdoc(getattr(pylmdb, name))
    assert text
    assert len(text) > 10
    value = getattr(pylmdb, name)
    if isinstance(value, type):
        assert value.__doc__, "its own, not an inherited one"


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_every_public_member_has_a_docstring(name):
    member = MEMBERS[name]
    if isinstance(member, types.MemberDescriptorType):
        return  # a slot: its class documents it
    text = inspect.getdoc(member)
    assert text
    assert text[0].isupper() or text[0] in "`:"


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_a_signature(name):
    parameters = inspect.signature(METHODS[name]).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert inspect.Parameter.VAR_POSITIONAL not in kinds


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_has_a_signature(cls):
    parameters = list(inspect.signature(cls).parameters.values())
    assert parameters
    for parameter in parameters:
        assert parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        assert parameter.name != "self"


@pytest.mark.parametrize("name", ["version", "enable_drop_gil", "open"])
def test_every_function_has_a_signature(name):
    assert inspect.signature(getattr(pylmdb, name)) is not None


def test_open_s_parameters_are_all_explained():
    for cls in (pylmdb.Environment, pylmdb.Transaction, pylmdb.Cursor):
        for name in inspect.signature(cls).parameters:
            assert f":param {name}:" in cls.__doc__, f"{cls.__name__}({name}=)"


@pytest.mark.parametrize("name", sorted(METHODS))
def test_docstrings_explain_only_parameters_that_exist(name):
    text = inspect.getdoc(METHODS[name])
    explained = {
        line.split(":param ")[1].split(":")[0]
        for line in text.splitlines()
        if line.strip().startswith(":param ")
    }
    assert explained <= set(inspect.signature(METHODS[name]).parameters)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_docstrings_name_only_exceptions_that_exist(name):
    for line in inspect.getdoc(METHODS[name]).splitlines():
        if line.strip().startswith(":raises "):
            exception = line.split(":raises ")[1].split(":")[0]
            assert hasattr(pylmdb, exception) or hasattr(
                importlib.import_module("builtins"), exception
            )


@pytest.mark.parametrize("cls", CLASSES)
def test_help_works_and_shows_the_operations(cls):
    text = pydoc.render_doc(cls, renderer=pydoc.plaintext)
    for name in METHODS:
        owner, _, method = name.partition(".")
        if owner == cls.__name__:
            assert f" {method}(" in text


def test_help_on_objects(tmp_path):
    with pylmdb.open(tmp_path / "env") as env, env.begin() as txn, txn.cursor() as cursor:
        for thing, words in (
            (env.begin, "transaction"),
            (txn.get, "default"),
            (cursor.set_range, "smaller"),
            (txn, "Transaction"),
            (cursor, "Cursor"),
        ):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                pydoc.doc(thing, output=out)
            assert words in out.getvalue()
            assert inspect.getdoc(thing)


def test_every_public_class_has_a_docstring_in_the_submodules_too():
    for module in (pylmdb.errors, pylmdb.types):
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == module.__name__:
                assert value.__doc__, name


def test_protocols():
    assert issubclass(pylmdb.Cursor, Iterable)
    for cls in (pylmdb.Environment, pylmdb.Transaction, pylmdb.Cursor):
        assert issubclass(cls, contextlib.AbstractContextManager)


def shape(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("version", ENGINES)
@pytest.mark.parametrize(
    ("cls", "name"), ABSTRACT, ids=lambda part: getattr(part, "__name__", part)
)
def test_the_core_implements_what_is_documented(core, version, cls, name):
    concrete = ENGINES[version].concrete(cls)
    implementation = getattr(concrete, name)
    assert implementation is not getattr(cls, name)
    assert shape(implementation) == shape(getattr(cls, name))


@pytest.mark.parametrize("version", ENGINES)
@pytest.mark.parametrize("cls", [pylmdb.Transaction, pylmdb.Cursor])
def test_the_core_adds_nothing_undocumented(core, version, cls):
    concrete = ENGINES[version].concrete(cls)
    for name in dir(concrete):
        if isinstance(getattr(concrete, name), types.MemberDescriptorType):
            assert name.startswith("_") or name in cls.__doc__
        elif not name.startswith("_"):
            assert name in dir(cls)


@pytest.mark.parametrize("version", ENGINES)
@pytest.mark.parametrize(
    ("stub", "cls"), [("TransactionCore", pylmdb.Transaction), ("CursorCore", pylmdb.Cursor)]
)
def test_the_core_keeps_its_contract(core, version, stub, cls):
    """What _core.pyi promises exists, with the parameters it gives."""
    tree = ast.parse(Path(pylmdb.__file__).with_name("_core.pyi").read_text())
    [contract] = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == stub]
    concrete = ENGINES[version].concrete(cls)
    names = set()
    for node in contract.body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            assert isinstance(inspect.getattr_static(concrete, node.name), property)
        elif isinstance(node, ast.FunctionDef):
            args = node.args
            expected = [a.arg for a in args.posonlyargs + args.args]
            expected += [args.vararg.arg] if args.vararg else []
            expected += [a.arg for a in args.kwonlyargs]
            got = list(inspect.signature(getattr(concrete, node.name)).parameters)
            assert got == expected, node.name
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            assert hasattr(concrete, node.target.id), node.target.id
            names.add(node.target.id)
    assert len(names) > 4


def test_objects_tell_what_their_class_does(env):
    with env.begin(write=True) as txn, txn.cursor() as cursor:
        assert pydoc.getdoc(txn.get) == pydoc.getdoc(pylmdb.Transaction.get) != ""
        assert pydoc.getdoc(cursor.next_dup) == pydoc.getdoc(pylmdb.Cursor.next_dup) != ""
        with pytest.raises(TypeError, match=r"^Transaction\.put\(\) missing"):
            txn.put(b"k")
