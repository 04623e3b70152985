# SPDX-License-Identifier: MIT
"""Programs of the README and of the documentation run, and do what their pages say.

Pages can be followed from their first line, and their lines are short.
"""

import ast
import codeop
import os
import re
import subprocess
import sys

import pages
import pytest
from fork_server import ForkServer
from project import DOCUMENTATION, ROOT

import pylmdb
from pylmdb import datasets

PAGES = [ROOT / "README.md", *DOCUMENTATION]
TEXTS = [*PAGES, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md"))]
TEXTS += [ROOT / "benchmarks" / "README.md"]


def name_of(page):
    return str(page.relative_to(ROOT))


PARTS = [
    (page, title)
    for page in PAGES
    for title, text in pages.parts(page).items()
    if pages.BLOCK.search(text) or pages.CONSOLE.search(text)
]


@pytest.fixture(scope="module")
def server():
    """A Python that has imported what most programs need, which takes longer than they do."""
    imported = "pages, numpy, pylmdb._registry, pylmdb._engine"
    server = ForkServer(f"import {imported}; pylmdb._engine.engines()", "-W", "error")
    yield server
    server.close()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{name_of(part[0])}: {part[1]}")
def test_the_programs_of_a_page(part, tmp_path, monkeypatch, core, server):
    """Each runs in its own process, because programs fork and leave environments open."""
    page, title = part
    if missing := pages.missing(pages.parts(page)[title]):
        pytest.skip(f"not installed: {', '.join(missing)}")
    monkeypatch.chdir(tmp_path)
    program = server.start("import pages, sys; pages.main(*sys.argv[1:])", page, title)
    _, err = program.communicate()
    assert program.returncode == 0, err


@pytest.mark.skipif(os.environ.get("PYLMDB_CORE") == "cffi", reason="the same commands")
def test_the_commands_of_the_page_on_the_command_line(tmp_path):
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text("utf-8")
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    assert commands.count("pylmdb ") > 30
    program = f'set -e; pylmdb() {{ "{sys.executable}" -m pylmdb "$@"; }}\n{commands}'
    done = subprocess.run(
        ["sh", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "file").read_bytes() == b"red"


def prose(page):
    """Yield the numbers and texts of lines outside programs, tables and pictures, without the
    targets of links, which cannot be divided.
    """
    in_program = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = line.lstrip().startswith("```")
        in_program ^= fence
        if not (
            fence or in_program or line.lstrip().startswith("|") or line.startswith(("    ", "!["))
        ):
            yield number, re.sub(r"\]\([^)]*\)", "]", line)


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_lines_of_prose_are_short(page):
    assert [(number, line) for number, line in prose(page) if len(line) > 100] == []


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_a_line_of_prose_has_one_sentence(page):
    """So that a diff shows the sentence that has changed.  Words in quotes are not looked at."""
    ends = re.compile(r"[a-z)*][.!?] +(?=[A-Z`\[*])")
    plain = ((number, re.sub(r"`[^`]*`|\"[^\"]*\"", "", line)) for number, line in prose(page))
    assert [(number, line) for number, line in plain if ends.search(line)] == []


def sentences(page):
    """Yield the sentences of the prose of a page; a name in backticks is a word."""
    text = "\n".join(line for _, line in prose(page) if not line.startswith("#"))
    text = re.sub(r"`[^`]*`", "name", text)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text):
        yield from re.split(r"(?<=[.!?:]) +|(?<=[.!?:]\*\*) +", " ".join(paragraph.split()))


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_sentences_have_at_most_30_words(page):
    assert [sentence for sentence in sentences(page) if len(sentence.split()) > 30] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_programs_can_be_pasted_into_the_prompt(page):
    """An empty line ends an indented block there, and an exception ends it before its end."""
    for block in pages.BLOCK.findall(page.read_text("utf-8")):
        assert prompted(block), block
        notes = pages.comments(block)
        for outer in ast.walk(ast.parse(block)):
            for each in getattr(outer, "body", [])[:-1] if isinstance(outer, ast.With) else ():
                assert not pages.exception(notes.get(each.end_lineno, "")), ast.unparse(each)


def prompted(block):
    """Return whether Python's prompt takes the lines of a block as whole statements."""
    statement = []
    for line in [*block.splitlines(), ""]:
        statement.append(line)
        try:
            code = codeop.compile_command("\n".join(statement), symbol="single")
        except SyntaxError:
            return False
        statement = statement if code is None else []
    return not any(statement)


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_no_page_hides_a_program(page):
    """A reader can see everything that a program needs."""
    assert "<!-- py" not in page.read_text("utf-8")


def test_the_pages_were_found():
    names = {name_of(page) for page, _ in PARTS}
    assert names >= {"README.md", "docs/start/tutorial.md", "docs/how-to/map.md"}


def test_the_figures_of_the_readme_are_those_of_the_page_on_performance():
    def figures(page):
        lines = (ROOT / page).read_text("utf-8").splitlines()
        return {line for line in lines if line.startswith("|") and line[-3:-2].isdigit()}

    assert figures("README.md")
    assert figures("README.md") <= figures("docs/understanding/performance.md")


def test_the_api_reference_has_every_public_name():
    directive = re.compile(r"^\.\. (?:auto\w+|function):: (\w+)", re.MULTILINE)
    pages_of_api = sorted((ROOT / "docs" / "reference" / "api").glob("*.rst"))
    shown = {name for page in pages_of_api for name in directive.findall(page.read_text("utf-8"))}
    modules = {"errors", "types"}
    samples = {name for name in datasets.__all__ if callable(getattr(datasets, name))}
    assert {name for name in samples if not name.startswith("_")} <= shown
    functions = {"Map", "backup_info", "convert", "dump", "load", "merge", "open", "restore"}
    functions |= {"salvage", "verify"}
    assert (set(pylmdb.__all__) | functions) - {"__version__", "_Database"} <= shown
    for name in modules:
        module = getattr(pylmdb, name)
        own = {key for key, value in vars(module).items() if isinstance(value, type)}
        assert {key for key in own if not key.startswith("_")} - {"Record"} <= shown, name


def page_with(tmp_path, program):
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n```python\n{program}\n```\n\nEnd.\n")
    return page


@pytest.mark.parametrize(
    "program",
    [
        "1 + 1  # 3",
        "1 + 1  # 3: not two",
        "print(1 + 1)  # 3, not two",
        "print('a', 1)  # a",
        "print('a')  # 'a'",
        "for each in [1]:\n    each  # 2",
        "1 == 1  # 1",
        "2 + 2  # ValueError",
        "int('x')  # TypeError: no number",
        "nothing",
        "raise SystemError",
        "```\n```console\n$ echo one\ntwo",
        "```\n```console\n$ echo one; echo two\n...\nthree",
        "```\n```console\n$ echo one\none\n$ exit 1\ntwo",
        "# fail.py\n1 / 0\n```\n```console\n$ python fail.py",
        "if False:\n    print(1)  # 1",
        "try:\n    3\nexcept ValueError:\n    4  # 4",
    ],
)
def test_a_page_that_is_wrong(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((AssertionError, NameError, SystemError, ValueError)):
        pages.run(page_with(tmp_path, program), {})


@pytest.mark.parametrize(
    "program",
    [
        "print(1 + 1)  # 2: so many",
        "print('a', 1, sep='-')  # a-1; joined",
        "# one.py\nprint(1)\n```\n```console\n$ python one.py\n1\n$ pylmdb --version\n...",
        "```\n```console\n$ sleep 100 &\n$ true",
        "```\n```console\n$ echo 'one   two'; echo three; echo four\none two\n...",
        "[2]  # [2], in a list",
        "2 + 1  # one more",
        "number = 4  # 5",
        "int('x')  # ValueError: no number",
        "7\n```\n```sh\nnothing",
        "number = 3\n```\n\nText.\n\n```python\nnumber  # 3",
    ],
)
def test_a_page_that_is_right(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pages.run(page_with(tmp_path, program), {})


def test_recipes_of_a_page_are_parts_of_their_own(tmp_path):
    page = tmp_path / "page.md"
    block = "```python\nseen = globals().get('seen', 0) + 1\nprint(seen)  # 1\n```\n"
    page.write_text(f"{pages.RECIPES}\n\n## One\n\n{block}\n## Two\n\n{block}\nEnd.\n")
    assert list(pages.parts(page)) == ["One", "Two"]
    assert pages.run(page, {}, "Two") == 1
    page.write_text(page.read_text().replace("1\n```\n\nEnd", "2\n```\n\nEnd"))
    assert pages.run(page, {}, "One") == 1
    with pytest.raises(AssertionError, match="the page shows '2', it prints '1'"):
        pages.run(page, {}, "Two")


def test_what_a_recipe_needs_and_is_not_installed():
    script = "```python\n# own.py\nimport nowhere.at_all, sys\n```\n"
    block = "```python\nimport own\nfrom pylmdb import Map\n```\n"
    console = "```console\n$ no-command x\n$ python a\n$ ulimit -n\n$ pylmdb ls\n$ cat a\n```\n"
    assert pages.missing(script + block + console) == ["no-command", "nowhere"]
