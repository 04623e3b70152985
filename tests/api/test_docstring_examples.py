# SPDX-License-Identifier: MIT
"""The examples in docstrings run, and show what they say.

The example of a method continues that of its class.  Examples can be pasted into the prompt of
``python -m asyncio``, so they may await.
"""

import ast
import asyncio
import builtins
import contextlib
import doctest
import inspect
import io
import traceback
import types

import pytest
from public_names import PUBLIC_MODULES, public_classes_and_functions

import pylmdb
from pylmdb.datasets import datum
from pylmdb.writer import process

# objects of these are results
RESULTS = {"Database", "Engine", "Hold", "Packed", "WriteFuture"}

PARSER = doctest.DocTestParser()
CHECKER = doctest.OutputChecker()
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

MODULES = {each.__name__: each for each in [*PUBLIC_MODULES, datum, process]}
CALLABLES = public_classes_and_functions()
OBJECTS = MODULES | CALLABLES
# Parameters that need no example: the database is explained once.
PLAIN = {"self", "db"}
# Methods of coroutines that have the docstring of the method that they await.
SYNCHRONOUS = {
    name for cls in (pylmdb.Environment, pylmdb.Transaction, pylmdb.Cursor) for name in dir(cls)
}


def text_of(value):
    return (value.__doc__ if isinstance(value, (type, types.ModuleType)) else None) or (
        inspect.getdoc(value) or ""
    )


def examples(value):
    return PARSER.get_examples(inspect.cleandoc(text_of(value)))


WITH_EXAMPLES = {name: value for name, value in OBJECTS.items() if examples(value)}


class Run:
    """A prompt at which examples are typed."""

    def __init__(self):
        self.names = {"__name__": "__main__", "__builtins__": builtins, "pylmdb": pylmdb}

    async def type_in(self, example, where):
        code = compile(example.source, where, "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            try:
                waiting = types.FunctionType(code, self.names)()
                if inspect.iscoroutine(waiting):
                    await waiting
            except ImportError as error:
                if error.name in ("h5py", "PIL", "dask", "zstandard"):
                    pytest.skip(str(error))
                raise
            except Exception as error:
                if example.exc_msg is None:
                    raise
                last = traceback.format_exception_only(type(error), error)[-1]
                assert CHECKER.check_output(example.exc_msg, last, FLAGS), last
                return
        assert example.exc_msg is None, f"{example.source} does not raise"
        got = shown.getvalue()
        assert CHECKER.check_output(example.want, got, FLAGS), f"{example.source}shows {got}"

    async def type_all(self, found, where):
        try:
            for example in found:
                await self.type_in(example, where)
        finally:
            await self.close()

    async def close(self):
        """End what examples leave open, so that nothing warns."""
        for value in self.names.values():
            if isinstance(value, pylmdb.aio.AsyncTransaction):
                await value.abort()
            elif isinstance(value, pylmdb.Transaction):
                value.abort()
            elif isinstance(value, pylmdb.datasets.Writer):
                value.close()
        for value in self.names.values():
            if isinstance(value, (pylmdb.Environment, pylmdb.Map)):
                value.close()


def class_of(name):
    """The class that a method belongs to, or None."""
    return CALLABLES.get(name.rpartition(".")[0])


@pytest.mark.parametrize("name", sorted(WITH_EXAMPLES))
def test_an_example(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = [] if class_of(name) is None else examples(class_of(name))
    asyncio.run(Run().type_all([*before, *examples(OBJECTS[name])], name))


@pytest.mark.parametrize("name", sorted(WITH_EXAMPLES))
def test_an_example_is_short_and_one_paragraph(name):
    """``help()`` shows it where it is looked for, and aio leaves it out as a paragraph."""
    text = inspect.cleandoc(text_of(OBJECTS[name]))
    [paragraph] = [each for each in text.split("\n\n") if ">>>" in each]
    assert paragraph.lstrip().startswith(">>>")
    assert len(paragraph.splitlines()) <= 12


def repeats_another(name):
    """True for a coroutine that has the description of the function that it awaits."""
    *_, cls, method = name.split(".")
    is_method = cls.startswith("Async") and method in SYNCHRONOUS
    return name.startswith("pylmdb.aio.") and (is_method or hasattr(pylmdb.tools, method))


def test_what_has_several_parameters_has_an_example():
    """Without ``self`` and ``db``: one parameter is understood from the signature."""
    without = []
    for name, value in CALLABLES.items():
        parameters = set(inspect.signature(value).parameters) - PLAIN
        is_result = RESULTS & {*name.split(".")}
        if len(parameters) > 1 and not is_result and not repeats_another(name):
            without += [] if name in WITH_EXAMPLES else [name]
    assert without == []


def test_every_class_has_an_example_unless_its_objects_are_results():
    classes = {name for name, value in CALLABLES.items() if isinstance(value, type)}
    without = {name.rpartition(".")[2] for name in classes - set(WITH_EXAMPLES)}
    assert without <= {"Engine", "Hold", "Packed"}


def test_the_examples_of_coroutines_await():
    for name, value in WITH_EXAMPLES.items():
        if name.startswith("pylmdb.aio."):
            assert "await " in text_of(value) or "async " in text_of(value), name


@pytest.mark.parametrize(
    "text",
    [
        ">>> 1 + 1\n3",
        ">>> 1 + 1",
        ">>> int('x')",
        ">>> 1\nTraceback (most recent call last):\nValueError: ...",
        ">>> int('x')\nTraceback (most recent call last):\nTypeError: ...",
    ],
)
def test_an_example_that_is_wrong(text):
    with pytest.raises((AssertionError, ValueError)):
        asyncio.run(Run().type_all(PARSER.get_examples(text), "wrong"))
