# SPDX-License-Identifier: MIT
"""Files and targets of make that documentation and messages name exist, and
docs/project/where-does-it-live.md has every part of the package.
"""

import re
from fnmatch import fnmatchcase

import pytest
from project import DOCUMENTATION, ROOT

PACKAGE = ROOT / "src" / "pylmdb"
MAP = ROOT / "docs" / "project" / "where-does-it-live.md"
PAGES = [
    MAP,
    ROOT / "docs" / "project" / "design.md",
    ROOT / "lib" / "liblmdb" / "README.md",
    ROOT / "CONTRIBUTING.md",
]
FOLDERS = ("src", "lib", "tests", "docs", "benchmarks", "examples", "release")

NAME = re.compile(r"(?<![\w./*-])[\w*][\w/*.-]*\.(?:pyi|py|[ch]|edit|json|md)\b(?![\w(/])")
PYTHON = re.compile(r"/.*\.py$")
# Our sources; liblmdb's are in folders by their release.
SOURCE = re.compile(r"(src/.*|lib/liblmdb/(edits/)?[^/]*)\.(py|pyi|c|h|edit)")
# What stands for any name in a description of a format.
EXAMPLES = {"edits/NAME.edit"}

FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and not {"__pycache__", "_build"} & {*path.parts}
) + [path.name for path in ROOT.iterdir() if path.is_file()]


# Each file by its name, and by that of its folder and so on up to the root.
NAMES = {
    "/".join(path.split("/")[depth:]) for path in FILES for depth in range(path.count("/") + 1)
}


def exists(name):
    """Return True if a file has this name, from the root or from any folder."""
    return name in NAMES or ("*" in name and any(fnmatchcase(each, name) for each in NAMES))


def missing(text):
    return sorted({name for name in NAME.findall(text) if not exists(name)} - EXAMPLES)


def test_names_are_found():
    assert NAME.findall("`a.c`, `b/c.py`, [x](../y/d.md), `e_*.c`") == ["a.c", "b/c.py", "e_*.c"]
    assert missing("errors.py, _shared/gone.py, gone_*.c") == ["_shared/gone.py", "gone_*.c"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page):
    text = page.read_text("utf-8")
    assert NAME.findall(text)
    assert not missing(text)


def test_modules_that_sources_name_exist():
    """Names of Python files with a folder: comments in C and Python refer to them."""
    wrong = {
        path: [name for name in missing((ROOT / path).read_text("utf-8")) if PYTHON.search(name)]
        for path in FILES
        if SOURCE.fullmatch(path)
    }
    assert not {path: names for path, names in wrong.items() if names}


def targets_in(text):
    """The targets of make in a text: in backticks, in a message, or as an indented command."""
    return {*re.findall(r"(?:`|run: |^    )make ([a-z][a-z0-9-]*)", text, re.MULTILINE)}


def test_targets_of_make_that_are_named_exist():
    assert targets_in("`make a-b V=1`, run: make c\n    make d\nmake e sure") == {"a-b", "c", "d"}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    known = {*re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE)}
    pages = [*PAGES, *ROOT.glob("*.md"), *DOCUMENTATION]
    programs = [*(ROOT / "release").glob("*.py"), *(ROOT / ".ci").glob("*")]
    named = {path.name: targets_in(path.read_text("utf-8")) for path in [*pages, *programs]}
    assert len(set().union(*named.values())) > 10
    assert not {name: found - known for name, found in named.items() if found - known}
    described = {*re.findall(r"^#   make ([a-z][a-z0-9-]*)", makefile, re.MULTILINE)}
    assert described == known


def places():
    """Yield the files in the second column of the page, as paths from the root."""
    for line in MAP.read_text("utf-8").splitlines():
        cells = line.split(" | ")
        for name in re.findall(r"`([^`]+)`", cells[1]) if len(cells) == 3 else ():
            yield name if (ROOT / name).exists() else f"src/pylmdb/{name}"


def test_the_map_names_what_exists():
    named = [*places()]
    assert len(named) > 80
    assert not [name for name in named if not [*ROOT.glob(name)]]


def test_the_map_has_every_part_of_the_package():
    named = {name.removeprefix("src/pylmdb/").partition("/")[0] for name in places()}
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    modules = {path.name for path in PACKAGE.glob("*.py*")}
    assert not (folders | modules) - named - {"py.typed"}
