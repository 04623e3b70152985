# SPDX-License-Identifier: MIT
"""The tables of the API reference have each method and function, with one sentence."""

import sys

import pytest
from project import ROOT

import pylmdb

sys.path.insert(0, str(ROOT / "docs" / "extensions"))
import summaries

PAGES = {page.stem: page.read_text("utf-8") for page in (ROOT / "docs/reference/api").glob("*.rst")}


class Example:
    __module__ = "pylmdb.example"

    def shown(self):
        """Return 1.5 of it (see ``a.b``); then more.  Another sentence.

        More text.
        """

    @classmethod
    def made(cls):
        """Make one: from
        nothing."""

    @property
    def size(self):
        """The size."""

    def without(self):
        pass

    def _private(self):
        """Is left out."""


class Derived(Example):
    __module__ = "pylmdb.example"

    def shown(self):
        """Replace it."""


def test_methods_are_those_that_are_documented():
    assert [name for name, _ in summaries.methods(Example)] == ["shown", "made", "size"]
    assert [
        (name, summaries.first_sentence(value)) for name, value in summaries.methods(Derived)
    ] == [
        ("shown", "Replace it"),
        ("made", "Make one: from nothing"),
        ("size", "The size"),
    ]


def test_a_sentence_ends_at_its_end():
    sentence = "Return 1.5 of it (see ``a.b``); then more"
    assert summaries.first_sentence(Example.shown) == sentence


@pytest.mark.parametrize("cls", [pylmdb.Environment, pylmdb.Transaction, pylmdb.Cursor, pylmdb.Map])
def test_the_table_of_a_class(cls):
    lines = summaries.table(summaries.methods(cls), f"pylmdb.{cls.__name__}.")
    for name in dir(cls):
        if not name.startswith("_") and callable(getattr(cls, name)):
            assert f"   * - :py:obj:`~pylmdb.{cls.__name__}.{name}`" in lines
    sentences = [line for line in lines if line.startswith("     - ")]
    assert all(len(line) < 160 and line[7].isupper() for line in sentences)


def test_the_table_of_a_page():
    names = dict(summaries.functions(PAGES["tools"]))
    assert names["pylmdb.merge"] is pylmdb.merge
    assert {"pylmdb.dump", "pylmdb.tools.verify"} <= set(names)
    for page in PAGES.values():
        assert all(value is not None for _, value in summaries.functions(page))


def test_few_lines_make_no_table():
    rows = [("name", Example.shown)] * (summaries.LEAST - 1)
    assert summaries.table(rows) == []
    assert summaries.table([*rows, *rows[:1]])
