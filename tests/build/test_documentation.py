# SPDX-License-Identifier: MIT
"""help() and inspect.signature() are complete for every public name."""

import ast
import builtins
import contextlib
import importlib
import inspect
import io
import json
import pydoc
import sys
import threading
import types
from collections.abc import Iterable
from pathlib import Path

import pytest

import pylmdb
from pylmdb import _array_methods, _which_core
from pylmdb._cffi_core import core as _core_cffi_all
from pylmdb._cffi_core import environment as _core_cffi_shared

PACKAGE = Path(pylmdb.__file__).parent
CLASSES = [
    value
    for value in (getattr(pylmdb, name) for name in [*pylmdb.__all__, "Map"])
    if isinstance(value, type) and not issubclass(value, pylmdb.Error)
]


def is_abstract(function):
    """True if it contains only a docstring and ``raise NotImplementedError``."""
    return "NotImplementedError" in function.__code__.co_names


def public_members():
    for cls in CLASSES:
        for name, member in inspect.getmembers(cls):
            if not name.startswith("_") and hasattr(pylmdb, cls.__name__):
                yield f"{cls.__name__}.{name}", member


MEMBERS = dict(public_members())
METHODS = {name: member for name, member in MEMBERS.items() if inspect.isroutine(member)}

# What takes the options of an Environment, and what a dict takes keywords for.
PASSING_ON = {"Map", "Map.open", "Map.update"}


def documented_members(kind):
    """Return members that public classes document and the core implements."""
    return [
        (cls, name)
        for cls, members in DOCUMENTING.items()
        for name, member in members.items()
        if isinstance(member, kind)
    ]


# The functions and properties that were written to document the core's, by class.
DOCUMENTING = _which_core.documented
FUNCTIONS = documented_members(types.FunctionType)
IMPLEMENTED = [(cls, name) for cls, name in FUNCTIONS if not name.startswith("_")]
DOCUMENTED = [
    *IMPLEMENTED,
    *documented_members(property),
    *((cls, name) for cls, name in FUNCTIONS if name in ("__enter__", "__exit__")),
]

# The types of the C core, where there is one.
NATIVE_TYPES = {
    name: value
    for name, value in (vars(_which_core.compiled) if _which_core.compiled else {}).items()
    if isinstance(value, type)
}
NATIVE_METHODS = {
    f"{cls.__name__}.{name}": member
    for cls in NATIVE_TYPES.values()
    for name, member in vars(cls).items()
    if isinstance(member, types.MethodDescriptorType)
}
SEAM = ast.parse((PACKAGE / "_core.pyi").read_text()).body
CONTRACT = {node.name: node for node in SEAM if isinstance(node, ast.ClassDef)}
CORE_FUNCTIONS = {node.name: node for node in SEAM if isinstance(node, ast.FunctionDef)}


def test_the_members_were_found():
    assert {"Environment.begin", "Transaction.get", "Cursor.iternext"} <= set(METHODS)
    assert len(METHODS) > 60
    assert len(IMPLEMENTED) > 35
    assert len(DOCUMENTED) == len(IMPLEMENTED) + 6
    assert set(DOCUMENTING) == {
        pylmdb.Environment,
        pylmdb.Database,
        pylmdb.Transaction,
        pylmdb.Cursor,
    }
    assert set(CONTRACT) <= set(NATIVE_TYPES) or not NATIVE_TYPES
    assert len(NATIVE_METHODS) > 50 or not NATIVE_TYPES


# What a star import must not bring: builtins and names that programs have from elsewhere.
NOT_IN_ALL = {
    "Map",
    "backup_info",
    "build_info",
    "bulk_load",
    "convert",
    "dump",
    "get_include",
    "lib_versions",
    "load",
    "merge",
    "open",
    "restore",
    "salvage",
    "verify",
    "version_info",
    "writer_process",
}


def test_import_exports_exactly_all():
    public = {
        name
        for name, value in vars(pylmdb).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public - NOT_IN_ALL == {name for name in pylmdb.__all__ if not name.startswith("_")}
    assert all(hasattr(pylmdb, name) for name in NOT_IN_ALL)
    assert len(set(pylmdb.__all__)) == len(pylmdb.__all__)
    for name in pylmdb.__all__:
        assert hasattr(pylmdb, name)


def test_a_star_import_replaces_nothing_that_programs_have():
    """py-lmdb's __all__ leaves out ``open``, which would replace the builtin."""
    namespace = {"load": json.load, "types": types}
    exec("from pylmdb import *", namespace)
    assert not NOT_IN_ALL & (set(namespace) - {"load"})
    assert namespace["load"] is json.load
    assert namespace["types"] is types
    standard = set(dir(builtins)) | sys.stdlib_module_names
    assert standard & set(pylmdb.__all__) == {"MemoryError"}, "py-lmdb has that one in its own"


def test_types_for_checkers_are_announced():
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize("name", sorted({*pylmdb.__all__, *NOT_IN_ALL} - {"__version__"}))
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
    assert inspect.Parameter.VAR_KEYWORD not in kinds or name in PASSING_ON
    assert inspect.Parameter.VAR_POSITIONAL not in kinds


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_has_a_signature(cls):
    parameters = list(inspect.signature(cls).parameters.values())
    assert parameters
    if cls.__name__ in PASSING_ON:
        assert parameters.pop().kind == inspect.Parameter.VAR_KEYWORD
    for parameter in parameters:
        assert parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        assert parameter.name != "self"


@pytest.mark.parametrize("name", ["version", "enable_drop_gil", "open"])
def test_every_function_has_a_signature(name):
    assert inspect.signature(getattr(pylmdb, name)) is not None


def test_open_s_parameters_are_all_explained():
    for cls in (pylmdb.Environment, pylmdb.Cursor, pylmdb.Map):
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


def test_help_on_objects(env):
    with env.begin() as txn, txn.cursor() as cursor:
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


# -- both cores -----------------------------------------------------------------------


def shape(function):
    """Return the parameters without annotations, which C functions cannot have."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def own_shape(method):
    """Return the parameters after ``self``, which C functions take by position only."""
    return shape(method)[1:]


def label(part):
    return getattr(part, "__name__", part)


@pytest.mark.parametrize(("cls", "name"), IMPLEMENTED, ids=label)
def test_the_core_implements_what_is_documented(cls, name):
    """The class has the core's own function, which takes what the documented one takes."""
    documenting, implementation = DOCUMENTING[cls][name], vars(cls)[name]
    assert is_abstract(documenting)
    assert implementation is not documenting
    assert own_shape(implementation) == own_shape(documenting)


@pytest.mark.parametrize(("cls", "name"), DOCUMENTED, ids=label)
def test_the_core_repeats_the_documentation(cls, name):
    text = inspect.getdoc(DOCUMENTING[cls][name])
    assert inspect.getdoc(vars(cls)[name]) == text != ""


def test_the_core_repeats_the_documentation_of_what_a_base_documents():
    """``get_array`` is written in Python, too, for the core in cffi."""
    documenting = _array_methods.TransactionArrays.get_array
    assert inspect.getdoc(pylmdb.Transaction.get_array) == inspect.getdoc(documenting) != ""
    assert own_shape(pylmdb.Transaction.get_array) == own_shape(documenting)


@pytest.mark.parametrize("cls", DOCUMENTING)
def test_nothing_documented_is_left_without_an_implementation(cls):
    for name, member in vars(cls).items():
        function = getattr(member, "fget", member)
        assert not isinstance(function, types.FunctionType) or not is_abstract(function), name


@pytest.mark.parametrize("cls", DOCUMENTING)
def test_the_core_adds_nothing_undocumented(cls):
    [core] = {base for base in cls.__mro__ if base.__name__ in CONTRACT}
    written = {name for base in cls.__mro__ if base not in (core, cls) for name in vars(base)}
    for name in set(vars(core)) - set(DOCUMENTING[cls]) - written:
        is_attribute = inspect.isdatadescriptor(vars(core)[name])
        assert name.startswith("_") or (is_attribute and name in cls.__doc__), name


@pytest.mark.parametrize("cls", DOCUMENTING)
def test_the_class_documents_itself(cls):
    """``__init__`` of a type in C has no signature; the one of the documentation has types."""
    assert cls.__doc__.splitlines()[0] in pydoc.render_doc(cls, renderer=pydoc.plaintext)
    annotations = {p.annotation for p in inspect.signature(cls).parameters.values()}
    assert inspect.Parameter.empty not in annotations


def test_objects_tell_what_their_class_does(env):
    with env.begin(write=True) as txn, txn.cursor() as cursor:
        objects = {type(thing): thing for thing in (env, txn, cursor)}
        for cls, name in IMPLEMENTED:
            bound, documenting = getattr(objects[cls], name), DOCUMENTING[cls][name]
            assert pydoc.getdoc(bound) == pydoc.getdoc(documenting) != ""
            assert shape(bound) == own_shape(documenting)
        with pytest.raises(TypeError, match=r"^(Transaction\.)?put\(\) missing .*'value'"):
            txn.put(b"k")


def documented_begin():
    tree = ast.parse((PACKAGE / "environment.py").read_text())
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "begin"]
    [text] = filter(None, map(ast.get_docstring, functions))
    return text


@pytest.mark.parametrize(
    "begin",
    [pylmdb.Environment.begin, _core_cffi_shared.EnvironmentCore.begin],
    ids=["this", "cffi"],
)
def test_begin_takes_what_a_transaction_takes(begin):
    taken = own_shape(begin)
    assert taken[:4] == [
        (name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default)
        for name, default in [("db", None), ("parent", None), ("write", False), ("buffers", False)]
    ]
    assert taken[4:] == [
        (name, inspect.Parameter.KEYWORD_ONLY, None) for name in ("timeout", "sync", "metasync")
    ]
    assert taken == shape(pylmdb.Transaction)[1:], "all but env"


def test_begin_explains_what_a_transaction_takes():
    assert inspect.getdoc(pylmdb.Environment.begin) == documented_begin()


@pytest.mark.parametrize("name", NATIVE_TYPES)
def test_help_on_the_types_of_the_c_core(name):
    text = pydoc.render_doc(NATIVE_TYPES[name], renderer=pydoc.plaintext)
    assert NATIVE_TYPES[name].__doc__.splitlines()[0] in text


@pytest.mark.parametrize("name", NATIVE_METHODS)
def test_help_on_the_methods_of_the_c_core(name):
    method = NATIVE_METHODS[name]
    text = pydoc.render_doc(method, renderer=pydoc.plaintext)
    assert inspect.getdoc(method).splitlines()[0] in text
    assert f"{name.partition('.')[2]}(self, " in text
    assert "\n--\n" not in method.__doc__, "the signature was not understood"


# -- the contract of the seam ---------------------------------------------------------


def check_parameters(function, args, skip=0):
    """Parameters with names in _core.pyi have the same names here."""
    expected = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs]
    expected = [arg.arg for arg in expected if arg][skip:]
    got = list(inspect.signature(function).parameters)
    unnamed = len(args.posonlyargs) - skip if args.posonlyargs else 0
    assert len(got) == len(expected)
    assert got[unnamed:] == expected[unnamed:]


@pytest.mark.parametrize("stub", CONTRACT)
def test_the_core_keeps_its_contract(stub):
    """Everything in _core.pyi exists, with the same parameters."""
    base = getattr(_which_core, stub)
    if base is threading.RLock().__class__:
        return  # the cffi core's HandleLock, which has Python's methods
    assert base.__name__ == stub
    for node in CONTRACT[stub].body:
        if isinstance(node, ast.AnnAssign):
            # in the cffi core some are set later, and only annotated in the class
            declared = hasattr(base, node.target.id) or node.target.id in base.__annotations__
            assert declared, node.target.id
        elif isinstance(node, ast.FunctionDef) and node.decorator_list:
            assert inspect.isdatadescriptor(inspect.getattr_static(base, node.name)), node.name
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            check_parameters(base, node.args, skip=1)
        elif isinstance(node, ast.FunctionDef):
            check_parameters(getattr(base, node.name), node.args)


@pytest.mark.parametrize("name", CORE_FUNCTIONS)
def test_the_core_has_the_functions_of_its_contract(core, name):
    module = _which_core.compiled if core == "c" else _core_cffi_all
    check_parameters(getattr(module, name), CORE_FUNCTIONS[name].args)


@pytest.mark.parametrize("stub", CONTRACT if NATIVE_TYPES else [])
def test_the_c_core_has_the_words_of_its_contract(stub):
    """They are written once, in _core.pyi."""
    for node in CONTRACT[stub].body:
        text = isinstance(node, ast.FunctionDef) and ast.get_docstring(node)
        if text and node.name not in ("__init__", "closed"):
            assert inspect.getdoc(vars(NATIVE_TYPES[stub])[node.name]) == text
    assert inspect.getdoc(NATIVE_TYPES[stub]) == ast.get_docstring(CONTRACT[stub])


def names_above_the_seam():
    """(attributes that are used, names that are defined) in all modules but the cores'."""
    used, defined = set(), set()
    for path in PACKAGE.rglob("*.py"):
        # the command line uses what argparse keeps for itself
        if {"_native", "cli", "_cffi_core"} & {*path.relative_to(PACKAGE).parts}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                used.add(node.attr)
                defined |= {node.attr} if isinstance(node.ctx, ast.Store) else set()
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                defined.add(node.name)
            elif isinstance(node, ast.ClassDef):
                targets = [n for each in node.body for n in getattr(each, "targets", ())]
                names = [each for target in targets for each in ast.walk(target)]
                defined |= {each.id for each in names if isinstance(each, ast.Name)}
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
                used.add(getattr(node.args[1], "value", None))
            elif isinstance(node, ast.With):
                used |= {"__enter__", "__exit__"}
    return used, defined


def test_the_contract_is_what_is_used_above_the_seam():
    promised = {
        getattr(node, "name", None) or node.target.id
        for name, stub in CONTRACT.items()
        if name != "Hold"  # for programs, by pylmdb.lowlevel
        for node in stub.body
        if isinstance(node, (ast.FunctionDef, ast.AnnAssign))
    }
    used, defined = names_above_the_seam()
    private = {name for name in used if str(name).startswith("_") and not name.endswith("__")}
    assert private - defined - promised == set(), "it is missing in _core.pyi"
    # A program begins transactions; the rest is for the classes above.
    assert promised - used - {"__init__", "begin"} == set(), "nobody needs it"
