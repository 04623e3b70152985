# SPDX-License-Identifier: MIT
"""The types that a type checker finds in the installed package."""

import ast
import inspect
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import get_args, get_origin

import pytest
from mypy import api
from project import ROOT

import pylmdb

PROGRAMS = Path(__file__).parent / "typed_programs"
MISTAKES = PROGRAMS / "mistakes.py"
# lower it when there are fewer; a more precise annotation is nearly always possible
BARE_ANYS = 47
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


def by_line(errors):
    """Return the text of errors, given as (path, number of the line, text), by program and line."""
    found = {program.name: defaultdict(str) for program in PROGRAMS.glob("*.py")}
    for path, line, text in errors:
        found[Path(path).name][int(line)] += text
    return found


@pytest.fixture(scope="module")
def mypy_errors():
    """Return the errors of mypy in all programs.  It keeps what it knows of modules that stay."""
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'typed_programs'}"
    output, errors, _ = api.run(["--strict", "--no-error-summary", cache, str(PROGRAMS)])
    assert not errors, errors
    return by_line(re.findall(r"^(.*?):(\d+): error: (.*)$", output, re.MULTILINE))


@pytest.fixture(scope="module")
def pyright_errors(tmp_path_factory):
    """Return the errors of basedpyright in all programs.  One run takes seconds."""
    pytest.importorskip("basedpyright")
    project = tmp_path_factory.mktemp("pyright") / "pyrightconfig.json"
    project.write_text(json.dumps({"include": [str(PROGRAMS)], "typeCheckingMode": "standard"}))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--project", project]
    run = subprocess.run(
        [*command, "--pythonpath", sys.executable], capture_output=True, text=True, check=False
    )
    assert run.returncode in (0, 1), run.stderr
    report = json.loads(run.stdout)
    assert report["summary"]["filesAnalyzed"] == len(RIGHT) + 1
    return by_line(
        (each["file"], each["range"]["start"]["line"] + 1, each["message"])
        for each in report["generalDiagnostics"]
    )


@pytest.fixture(scope="module")
def mistakes():
    """Return the words with which mypy tells each mistake, by line."""
    lines = enumerate(MISTAKES.read_text().splitlines(), 1)
    marked = {number: line.partition("  # error: ")[2] for number, line in lines}
    found = {number: words for number, words in marked.items() if words}
    assert len(found) > 30
    return found


@pytest.mark.parametrize("program", RIGHT, ids=lambda path: path.stem)
def test_right_programs_pass(program, mypy_errors):
    assert mypy_errors[program.name] == {}


@pytest.mark.parametrize("program", RIGHT, ids=lambda path: path.stem)
def test_right_programs_pass_in_pyright(program, pyright_errors):
    assert pyright_errors[program.name] == {}


def test_mistakes_are_found(mistakes, mypy_errors):
    said = mypy_errors[MISTAKES.name]
    for number, words in mistakes.items():
        assert words in said[number], (number, said[number])
    assert said.keys() == mistakes.keys()


def test_mistakes_are_found_by_pyright(mistakes, pyright_errors):
    assert pyright_errors[MISTAKES.name].keys() == mistakes.keys()


def test_a_map_takes_the_options_of_an_environment():
    source = Path(pylmdb.mapping.__file__).with_name("opening.py").read_text()
    options = {
        item.target.id: ast.unparse(item.annotation)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Options")
        for item in node.body
        if isinstance(item, ast.AnnAssign)
    }
    parameters = inspect.signature(pylmdb.Environment).parameters.values()
    assert options == {each.name: each.annotation for each in parameters if each.name != "path"}


def bare_anys(tree):
    """Return the annotations of a module that are only ``Any``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            annotation = node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            annotation = node.returns
        else:
            continue
        if isinstance(annotation, ast.Name) and annotation.id == "Any":
            yield annotation


def test_annotations_with_any_become_fewer():
    """Objects of cffi are annotated as CData; the cffi core uses almost nothing else."""
    package = Path(pylmdb.__file__).parent
    count = sum(
        len([*bare_anys(ast.parse(path.read_text()))])
        for pattern in ("*.py", "*.pyi")
        for path in package.rglob(pattern)
        if "_cffi_core" not in path.parts
    )
    assert count <= BARE_ANYS
