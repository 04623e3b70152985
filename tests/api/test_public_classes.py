# SPDX-License-Identifier: MIT
"""Environment, Transaction and Cursor are ordinary classes: begin() and cursor() create objects
of them, and their methods can be replaced and wrapped.
"""

import copy
import functools
import gc
import inspect
import pickle
import pydoc
import sys
import weakref
from unittest import mock

import pytest

import pylmdb
from pylmdb import _which_core

CLASSES = [pylmdb.Environment, pylmdb.Transaction, pylmdb.Cursor]
METHODS = [
    (cls, name)
    for cls, functions in _which_core.documented.items()
    for name in functions
    if inspect.isroutine(vars(cls).get(name))
]


@pytest.fixture
def txn(env):
    with env.begin(write=True) as txn:
        for i in range(5):
            txn.put(b"%d" % i, b"v%d" % i)
        yield txn


def ids(part):
    return getattr(part, "__name__", part)


# -- what an object is of ---------------------------------------------------------------


def test_objects_are_of_the_public_classes(env, txn):
    assert type(env) is pylmdb.Environment
    assert type(txn) is type(env.begin()) is type(pylmdb.Transaction(env)) is pylmdb.Transaction
    assert type(env.begin(write=True, parent=txn)) is pylmdb.Transaction
    db = env.open_db(None, txn=txn)
    assert type(txn.cursor()) is type(pylmdb.Cursor(db, txn)) is pylmdb.Cursor


def test_both_engines_make_objects_of_the_same_classes(open_env, tmp_path):
    made = [open_env(tmp_path / f"{i}", lib_version=i).begin() for i in (0, 1)]
    assert [type(txn) for txn in made] == [pylmdb.Transaction] * 2
    assert made[0]._engine is not made[1]._engine


@pytest.mark.parametrize("cls", CLASSES)
def test_a_class_says_where_it_is_from(cls):
    assert cls.__module__ == f"pylmdb.{cls.__name__.lower()}"
    assert cls.__qualname__ == cls.__name__
    assert pickle.loads(pickle.dumps(cls)) is cls


# -- methods through the class ----------------------------------------------------------


def test_methods_are_called_through_the_class(env, txn):
    assert pylmdb.Transaction.put(txn, b"k", b"v") is True
    assert pylmdb.Transaction.get(txn, key=b"k") == b"v"
    cursor = pylmdb.Transaction.cursor(txn)
    assert pylmdb.Cursor.first(cursor) is True
    assert pylmdb.Cursor.item(cursor) == (b"0", b"v0")
    assert [*map(pylmdb.Transaction.get, [txn, txn], [b"1", b"2"])] == [b"v1", b"v2"]
    with pylmdb.Environment.begin(env) as reader:
        assert pylmdb.Transaction.get(reader, b"k") is None


@pytest.mark.parametrize(("cls", "name"), METHODS, ids=ids)
def test_methods_want_an_object_of_their_class(core, cls, name):
    if core != "c":
        pytest.skip("functions in Python take what looks like one")
    with pytest.raises(TypeError, match=f"for '{cls.__name__}' objects doesn't apply to a 'int'"):
        getattr(cls, name)(3)


@pytest.mark.parametrize(("cls", "name"), METHODS, ids=ids)
def test_methods_can_be_wrapped(cls, name):
    method = getattr(cls, name)

    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        return method(*args, **kwargs)

    assert wrapper.__name__ == method.__name__ == name
    assert wrapper.__doc__ == method.__doc__
    assert wrapper.__qualname__ == f"{cls.__name__}.{name}"
    assert inspect.signature(wrapper) == inspect.signature(method)


@pytest.mark.parametrize("cls", [*CLASSES, pylmdb.Map], ids=lambda cls: cls.__name__)
def test_inherited_methods_have_the_name_of_the_public_class(cls):
    """An error about an argument names the class that the program uses, not a base of ours."""
    functions = inspect.getmembers(cls, inspect.isfunction)
    for name, function in functions:
        if not name.startswith("_"):
            assert function.__qualname__ == f"{cls.__name__}.{name}"
            assert pickle.loads(pickle.dumps(function)) is function
    assert functions


def test_an_error_about_an_argument_names_the_public_class(env):
    with env.begin() as txn:
        for name, call in [
            ("Environment.compact", env.compact),
            ("Transaction.take", txn.take),
            ("Map.range", pylmdb.Map(env).range),
        ]:
            with pytest.raises(TypeError, match=rf"^{name}\(\) got an unexpected keyword"):
                call(wrong=1)


def test_help_shows_the_methods_with_their_parameters():
    text = pydoc.render_doc(pylmdb.Transaction, renderer=pydoc.plaintext)
    for line in ("get(self, ", "put(self, ", "abort(self", "closed"):
        assert line in text
    assert "get(self, " in pydoc.render_doc(pylmdb.Transaction.get, renderer=pydoc.plaintext)


# -- replaced methods -------------------------------------------------------------------


def calls(txn, count=100):
    """Call so often that the interpreter specialises the call."""
    return {txn.get(b"1") for _ in range(count)}


def test_a_method_can_be_replaced_while_it_is_in_use(txn):
    assert calls(txn) == {b"v1"}
    with mock.patch.object(pylmdb.Transaction, "get", return_value=b"mine"):
        assert calls(txn) == {b"mine"}
    assert calls(txn) == {b"v1"}


def test_calls_of_a_method_can_be_watched(txn):
    put, seen = pylmdb.Transaction.put, []

    def spy(self, *args, **options):
        seen.append((self, args, options))
        return put(self, *args, **options)

    with mock.patch.object(pylmdb.Transaction, "put", spy):
        assert txn.put(b"k", b"v", overwrite=False) is True
    assert seen == [(txn, (b"k", b"v"), {"overwrite": False})]
    assert txn.get(b"k") == b"v"
    assert vars(pylmdb.Transaction)["put"] is put
    with mock.patch.object(pylmdb.Transaction, "put") as double:
        txn.put(b"k", b"w")
    double.assert_called_once_with(b"k", b"w")
    assert txn.get(b"k") == b"v"


def test_mock_can_imitate_a_transaction():
    double = mock.create_autospec(pylmdb.Transaction, instance=True)
    double.get.return_value = b"v"
    assert double.get(b"k") == b"v"
    assert isinstance(double, pylmdb.Transaction)
    with pytest.raises(AttributeError):
        double.got(b"k")


def test_what_is_replaced_on_the_class_is_what_with_calls(env, monkeypatch):
    ended = []
    monkeypatch.setattr(pylmdb.Transaction, "__exit__", lambda self, *exc: ended.append(self))
    with env.begin() as txn:
        pass
    assert ended == [txn]
    txn.abort()


# -- subclasses -------------------------------------------------------------------------


class Counting(pylmdb.Transaction):
    """With an ``__init__`` of its own, an attribute, and a method that is overridden."""

    def __init__(self, env, name, **options):
        super().__init__(env, **options)
        self.name, self.reads = name, 0

    def get(self, key, default=None, db=None):
        self.reads += 1
        return super().get(key, default, db)


def test_a_subclass_of_transaction(env):
    with Counting(env, "mine", write=True) as txn:
        assert txn.put(b"k", b"v")
        assert txn.get(b"k") == b"v"
        assert (txn.name, txn.reads) == ("mine", 1)
        assert isinstance(txn, pylmdb.Transaction)
        assert type(txn.cursor()) is pylmdb.Cursor
        with Counting(env, "child", parent=txn, write=True) as child:
            assert child.get(b"k") == b"v"
    with pytest.raises(pylmdb.ClosedError):
        txn.get(b"k")
    assert env.begin().get(b"k") == b"v"


def test_a_subclass_of_cursor(env, txn):
    class Last(pylmdb.Cursor):
        def __init__(self, txn):
            super().__init__(env.open_db(None, txn=txn), txn)
            self.last()

    cursor = Last(txn)
    assert cursor.key() == b"4"
    assert [key for key, _ in cursor.iterprev()][:2] == [b"4", b"3"]
    assert len([*Last(txn)]) == 1


def test_a_subclass_that_forgets_to_begin(env):
    class Lazy(pylmdb.Transaction):
        def __init__(self):
            pass

    with pytest.raises(pylmdb.ClosedError):
        Lazy().get(b"k")
    with pytest.raises(pylmdb.ClosedError):
        Lazy()._engine  # noqa: B018


def test_a_subclass_of_a_subclass_overrides_what_is_between(txn, env):
    class Loud(Counting):
        def get(self, key, default=None, db=None):
            return super().get(key, default, db).upper()

    txn.commit()
    with Loud(env, "loud") as reader:
        assert reader.get(b"1") == b"V1"
        assert reader.reads == 1


def test_a_subclass_of_environment(env_path, lib_version):
    class Mine(pylmdb.Environment):
        def begin(self, *args, **options):
            return Counting(self, "from begin", *args, **options)

    with Mine(env_path, lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            assert txn.put(b"k", b"v")
        assert txn.name == "from begin"
        assert pylmdb.Environment.begin(env).get(b"k") == b"v"


@pytest.mark.parametrize(
    "name",
    ["compact", "copy", "copyfd", "info", "max_key_size", "max_readers", "reader_check",
     "reader_list", "readers", "set_mapsize", "stat", "writer"],
)  # fmt: skip
def test_a_wrong_keyword_names_the_class_that_was_used(env, name):
    with pytest.raises(
        TypeError, match=rf"^Environment\.{name}\(\) (got an unexpected|takes no) keyword"
    ):
        getattr(env, name)(no_such_keyword=True)


def test_the_class_with_types_is_the_class(env):
    assert pylmdb.Transaction[bytes].__origin__ is pylmdb.Transaction
    assert type(pylmdb.Transaction[bytes](env)) is pylmdb.Transaction


# -- copies, references, finalizers -----------------------------------------------------


def test_what_is_bound_to_this_process_is_not_pickled_or_copied(txn):
    for thing in (txn, txn.cursor()):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
        with pytest.raises(TypeError):
            copy.copy(thing)


def test_environments_are_pickled(env):
    with pickle.loads(pickle.dumps(env)) as again:
        assert type(again) is pylmdb.Environment
        assert again.path() == env.path()


def test_weak_references(env):
    gone = []
    txn = env.begin()
    cursor = txn.cursor()
    references = [weakref.ref(thing, gone.append) for thing in (txn, cursor)]
    assert [reference() for reference in references] == [txn, cursor]
    del txn, cursor
    gc.collect()
    assert sorted(map(id, gone)) == sorted(map(id, references))
    assert weakref.ref(env)() is env


def test_finalizers_of_subclasses_run_once(env):
    ended = []

    class Last(pylmdb.Transaction):
        def __del__(self):
            ended.append((self.closed, self.get(b"1")))

    class LastCursor(pylmdb.Cursor):
        def __del__(self):
            ended.append(self.closed)

    txn = Last(env)
    del txn
    gc.collect()
    assert ended == [(False, None)]
    cursor = LastCursor(env.open_db(None), env.begin())
    del cursor
    gc.collect()
    assert ended == [(False, None), False]


@pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="PyPy calls no __del__ that a class gets later"
)
def test_finalizers_that_a_program_gives_the_class_itself(env, monkeypatch):
    ended = []
    monkeypatch.setattr(
        pylmdb.Transaction, "__del__", lambda self: ended.append(self.closed), raising=False
    )
    for _ in range(3):
        env.begin()
    gc.collect()
    assert ended == [False] * 3
    with env.begin():
        pass
    gc.collect()
    assert ended == [False] * 3 + [True]
