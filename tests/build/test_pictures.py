# SPDX-License-Identifier: MIT
"""Pictures of the documentation are what their programs draw, and pages describe them in words."""

import importlib
import re

import pytest
from project import DOCUMENTATION, ROOT

FOLDER = ROOT / "docs" / "pictures"
PICTURES = sorted(FOLDER.glob("*.svg"))
SHOWN = re.compile(r"!\[([^]]*)\]\([./]*pictures/([\w-]+)\.svg\)")


@pytest.fixture
def module(monkeypatch):
    """Import a module of the folder with the pictures."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def test_pictures_are_as_their_programs_draw_them(module):
    drawn = {name: draw().svg() for name, draw in module("make").PICTURES.items()}
    stored = {path.stem: path.read_text("utf-8") for path in PICTURES}
    assert drawn.keys() == stored.keys()
    wrong = [name for name in drawn if drawn[name] != stored[name]]
    assert not wrong, "run: python docs/pictures/make.py"


def test_each_picture_has_a_page_that_describes_it():
    described = {
        name: words
        for page in DOCUMENTATION
        for words, name in SHOWN.findall(page.read_text("utf-8"))
    }
    assert described.keys() == {path.stem for path in PICTURES}
    assert [name for name, words in described.items() if len(words.split()) < 20] == []


def test_nothing_is_drawn_outside_of_a_picture(module):
    picture = module("drawing").Drawing(200, 100)
    picture.text(20, 40, "short")
    with pytest.raises(ValueError, match="outside"):
        picture.text(20, 40, "a text that is too long for it")
    with pytest.raises(ValueError, match="outside"):
        picture.box(190, 20, 20, 20)
