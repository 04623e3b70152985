# SPDX-License-Identifier: MIT
"""Recipes of the cookbook are short, show what they print, and are listed by their question.

test_pages.py runs them.
"""

import re

import pages
import pytest
from project import ROOT

HOW_TO = ROOT / "docs" / "how-to"
RECIPES = [
    (page, title, text)
    for page in sorted(HOW_TO.glob("*.md"))
    for title, text in pages.parts(page).items()
    if title
]


def each_recipe(test):
    names = [f"{page.stem}: {title}" for page, title, _ in RECIPES]
    return pytest.mark.parametrize("recipe", RECIPES, ids=names)(test)


def anchor(title):
    """Return the anchor of a heading, as Sphinx and GitHub make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_index_lists_every_recipe_once():
    index = (HOW_TO / "index.md").read_text("utf-8")
    assert len(RECIPES) > 40
    listed = re.findall(r"^- \[[^]]+\?\]\((\S+#\S+)\)$", index, re.MULTILINE)
    assert sorted(listed) == sorted(f"{page.name}#{anchor(title)}" for page, title, _ in RECIPES)


@each_recipe
def test_a_recipe_is_short(recipe):
    _, _, text = recipe
    programs = [*pages.BLOCK.findall(text), *(source for _, source in pages.SCRIPT.findall(text))]
    assert all(len(program.splitlines()) <= 20 for program in programs)


@each_recipe
def test_a_recipe_shows_what_it_prints(recipe):
    _, _, text = recipe
    programs, commands = pages.BLOCK.findall(text), "".join(pages.CONSOLE.findall(text))
    lines = [line for program in programs for line in program.splitlines() if "print(" in line]
    assert lines or commands
    assert [line for line in lines if "  # " not in line] == []


@each_recipe
def test_the_files_of_a_recipe_are_used(recipe):
    _, _, text = recipe
    for name, source in pages.SCRIPT.findall(text):
        assert name.removesuffix(".py") in text.replace(source, ""), name
