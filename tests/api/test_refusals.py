# SPDX-License-Identifier: MIT
"""The table of refusals: each message is written once, and both cores ask for it by name."""

import ast
import re
import subprocess
import sys

import pytest
from project import ROOT

import pylmdb
from pylmdb import errors
from pylmdb._core_rules.refusals import REFUSALS, refusal

SOURCES = ROOT / "src" / "pylmdb"
C_CORE = sorted((SOURCES / "_native" / "core").glob("*.[ch]"))
# a rule of plain C answers with the name of a refusal
PLAIN_C = SOURCES / "_native" / "rules.c"
# what the cffi core is made of, and what both cores share
PYTHON_CORE = sorted(
    path
    for pattern in ("_cffi_core/*.py", "_core_rules/*.py", "_slow_paths.py")
    for path in SOURCES.glob(pattern)
)

STRING = r'"(?:[^"\\\n]|\\.)*"'
CONVERSION = r"%[-+ #0-9.*]*(?:hh|h|ll|l|z|t|j)?[a-zA-Z%]"


def c_sentences(text):
    """The string literals of C, put together where they stand in a row, without conversions."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"^\s*#include.*$", "", text, flags=re.MULTILINE)
    for row in re.findall(rf"{STRING}(?:\s*{STRING})*", text):
        whole = "".join(part[1:-1] for part in re.findall(STRING, row))
        yield from re.split(CONVERSION, whole)


def python_sentences(text):
    """The string constants of Python, those in f-strings too, without docstrings and braces."""
    tree = ast.parse(text)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        text = isinstance(node, ast.Constant) and id(node) not in docstrings and node.value
        if isinstance(text, str):
            yield from re.split(r"\{[^}]*\}", text)


def long_ones(sentences, paths):
    found = {each.strip() for path in paths for each in sentences(path.read_text())}
    return {each for each in found if len(each) >= 20}


def names_in(c_files):
    """The names that C asks for."""
    asked = re.compile(
        r'(?:refuse(?:d|_named|d_with|_with)\([^";]*?|make_refusal\([^";]*?"[^"]*"), "([a-z][^"]+)"'
    )
    return {name for path in c_files for name in asked.findall(path.read_text())}


def names_in_c():
    rules = re.findall(r'^ +return (?:.* \? )?"([^"]+)"', PLAIN_C.read_text(), re.MULTILINE)
    return names_in(path for path in C_CORE if path.suffix == ".c") | {*rules}


def names_in_python(paths=None):
    return {
        node.args[0].value
        for path in paths or SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("refusal", "refused")
        if isinstance(node.args[0], ast.Constant)
    }


# What each core decides by itself, because it looks at its own objects for that.
DECIDED_TWICE = {
    # the type of an argument, or of the items of an iterable
    "keys are one key", "not a database", "not a transaction", "not an environment",
    "putmulti without pairs",
    # what an object of the core is or was
    "cursor never opened", "cursor opened already", "transaction begun already",
    "transaction never begun", "transaction in use",
    # that something has ended, and when and in which process that is noticed
    "changes lost", "cursor ended", "cursor of another process", "transaction ended",
    "transaction ended from outside", "transaction ended while it began",
    "transaction of another process", "hold released", "hold of another process",
    # which database a handle means in a transaction
    "database is dead", "database is missing",
    # one condition
    "environment is read-only", "map in a write transaction", "nested too deep", "no bounds",
    "number in a read transaction", "range of nothing",
    # what plain C has found out, with sizes for the message
    "bound of another width", "keys of several widths", "values of another width",
}  # fmt: skip


def test_few_refusals_are_decided_in_both_cores():
    """A reason that comes to this set is a rule that stands twice: can ``rules.c`` or Python code
    that both cores call decide it?"""
    in_cffi_core = names_in_python(SOURCES.glob("_cffi_core/*.py"))
    assert names_in(C_CORE) & in_cffi_core == DECIDED_TWICE


def test_the_readers_of_sources():
    source = '/* "no" */ fail("a %.100s of " \n "two \\"parts\\" and %zd more", 1); f("x")'
    assert [*c_sentences(source)] == ["a ", ' of two \\"parts\\" and ', " more", "x"]
    source = 'def f():\n    "no"\n    raise E(f"a {b} c", "d {.e} f")'
    assert {*python_sentences(source)} == {"a ", " c", "d ", " f"}
    assert len(C_CORE) > 15
    assert len(PYTHON_CORE) > 8


def test_no_message_is_in_both_cores():
    in_c = long_ones(c_sentences, C_CORE) - {*REFUSALS}
    in_python = long_ones(python_sentences, PYTHON_CORE)
    assert "the reserved memory was given back" in in_c
    assert "begin: parent belongs to another environment" in in_python
    assert not in_c & in_python


def test_every_message_is_once_in_the_table():
    texts = [(text, hint) for _, text, hint, _ in REFUSALS.values()]
    assert len({*texts}) == len(texts)


def test_the_cores_ask_for_names_of_the_table():
    assert len(names_in_c()) > 20
    assert not (names_in_c() | names_in_python()) - {*REFUSALS}


def test_every_refusal_is_used():
    assert not {*REFUSALS} - names_in_c() - names_in_python()


@pytest.mark.parametrize("name", REFUSALS)
def test_every_refusal_can_be_raised(name):
    cls, text, hint, code = REFUSALS[name]
    values = [int] * (text + hint).count("{")
    made = refusal(name, *values)
    assert type(made) is cls
    assert text.split("{")[0] in str(made)
    assert "{" not in str(made)
    if isinstance(made, pylmdb.Error):
        assert (made.hint, made.code) == (hint.format(*values), code)
        assert not code or type(errors.error("x", code)) is cls
    else:
        assert (hint, code) == ("", 0)


def test_wrong_types_are_named(env):
    with pytest.raises(TypeError, match=r"^env must be an Environment, not int$"):
        pylmdb.Transaction(1)
    with pytest.raises(TypeError, match=r"^parent must be a Transaction, not object$"):
        pylmdb.Transaction(env, parent=object())
    with env.begin() as txn:
        with pytest.raises(TypeError, match=r"^txn must be a Transaction, not object$"):
            pylmdb.Cursor(env.open_db(), object())
        with pytest.raises(
            TypeError,
            match=r"^db must be a database handle, not object; open_db\(name\) returns one$",
        ):
            txn.get(b"key", db=object())


def test_what_was_never_begun_or_opened_says_so(env):
    with pytest.raises(pylmdb.ClosedError, match="this transaction was never begun"):
        pylmdb.Transaction.__new__(pylmdb.Transaction).get(b"key")
    cursor = pylmdb.Cursor.__new__(pylmdb.Cursor)
    for operation in (cursor.first, lambda: cursor._engine):
        with pytest.raises(pylmdb.ClosedError, match="this cursor was never opened"):
            operation()


BEFORE_AN_OPEN = """
import sys, pylmdb
cursor = pylmdb.Cursor.__new__(pylmdb.Cursor)
for call in (cursor.key, lambda: cursor.range(limit=-1), lambda: pylmdb.Transaction(17)):
    try:
        call()
    except (pylmdb.ClosedError, TypeError, ValueError) as error:
        assert str(error)
    else:
        raise AssertionError("it is allowed")
assert "pylmdb._engine" not in sys.modules
"""


def test_objects_refuse_before_the_first_open():
    """The core imports the messages when an engine joins it, or for the first refusal."""
    subprocess.run([sys.executable, "-c", BEFORE_AN_OPEN], check=True, timeout=60)


def test_an_exception_inside_a_refusal_is_raised(env, monkeypatch):
    """The table is Python code, where a signal handler or a full memory can strike."""
    monkeypatch.setitem(refusal.__kwdefaults__["refusals"], "transaction ended", None)
    txn = env.begin()
    txn.abort()
    with pytest.raises(TypeError, match="NoneType"):
        txn.get(b"key")
