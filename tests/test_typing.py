# SPDX-License-Identifier: MIT
"""What a type checker sees of the installed package."""

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import get_args, get_origin

import pytest
from mypy import api

import pylmdb

PROGRAMS = Path(__file__).parent / "typed_programs"
MISTAKES = PROGRAMS / "mistakes.py"
# lower it when there are fewer; an annotation that says more is nearly always possible
BARE_ANYS = 89
RIGHT = sorted(set(PROGRAMS.glob("*.py")) - {MISTAKES})


def test_what_annotations_need_exists_at_run_time():
    class Own(pylmdb.Transaction[memoryview]):
        pass

    assert issubclass(Own, pylmdb.Transaction)
    assert get_origin(pylmdb.Cursor[bytes]) is pylmdb.Cursor
    assert bytearray in get_args(pylmdb.types.BytesLike)
    assert get_args(pylmdb.types.ValueT.__bound__) == (bytes, memoryview)
    with pytest.raises(AttributeError, match="no_such_type"):
        _ = pylmdb.types.no_such_type
    with pytest.raises(AttributeError, match="opne"):
        _ = pylmdb.opne


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """Of each program, by the number of the line: what mypy says.  One run takes seconds."""
    cache = f"--cache-dir={tmp_path_factory.mktemp('mypy')}"
    programs = [*RIGHT, MISTAKES]
    output, errors, _ = api.run(["--strict", "--no-error-summary", cache, *map(str, programs)])
    assert not errors, errors
    found = {program.name: defaultdict(str) for program in programs}
    for name, line, text in re.findall(r"^(.*?):(\d+): error: (.*)$", output, re.MULTILINE):
        found[Path(name).name][int(line)] += text
    return found


@pytest.mark.parametrize("program", RIGHT, ids=lambda path: path.stem)
def test_right_programs_pass(program, complaints):
    assert complaints[program.name] == {}


def test_mistakes_are_found(complaints):
    said = complaints[MISTAKES.name]
    expected = {}
    for number, line in enumerate(MISTAKES.read_text().splitlines(), 1):
        code, mark, words = line.partition("  # error: ")
        if mark:
            expected[number] = words
            assert words in said[number], (code, said[number])
    assert len(expected) > 30
    assert said.keys() == expected.keys()


def bare_anys(tree):
    """The annotations of a module that are ``Any`` and nothing more."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            annotation = node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            annotation = node.returns
        else:
            continue
        if isinstance(annotation, ast.Name) and annotation.id == "Any":
            yield annotation


def test_annotations_that_say_nothing_become_fewer():
    """Objects of cffi are annotated as CData; the core in cffi has almost nothing else."""
    package = Path(pylmdb.__file__).parent
    count = sum(
        len([*bare_anys(ast.parse(path.read_text()))])
        for pattern in ("*.py", "*.pyi")
        for path in package.rglob(pattern)
        if "_cffi_core" not in path.parts
    )
    assert count <= BARE_ANYS
