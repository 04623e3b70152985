# SPDX-License-Identifier: MIT
"""The Python of every page runs, in the order of the page, and shows what the page says.

A comment behind an expression that begins with a literal is its value, or what ``print``
prints; one that begins with the name of an exception is what it raises.  All other comments
are words.  What a page needs and no reader wants to see is in an HTML comment that begins with
``python``.
"""

import ast
import builtins
import io
import re
import tokenize
from pathlib import Path

import pytest

import pylmdb

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^(?:```python|<!-- python)\n(.*?)^(?:```|-->)$", re.DOTALL | re.MULTILINE)
EXCEPTION = re.compile(r"(?:pylmdb\.)?(\w+)\b")


def programs(page: Path) -> list[ast.Module]:
    """The blocks of a page, with its line numbers, compiled to check what they show."""
    text, found = page.read_text("utf-8"), []
    for block in BLOCK.finditer(text):
        program = "\n" * text.count("\n", 0, block.start(1)) + block[1]
        found.append(Shown(comments(program)).checked(program, page))
    return found


def comments(program: str) -> dict[int, str]:
    """By line."""
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(program).readline)
        if token.type == tokenize.COMMENT
    }


def literal(comment: str) -> str | None:
    """The literal that a comment begins with, if it does."""
    ends = [len(comment), *(found.start() for found in re.finditer(r"[,;:] |\.$", comment))]
    for end in sorted(ends, reverse=True):
        try:
            ast.literal_eval(comment[:end])
        except (SyntaxError, ValueError):
            continue
        return comment[:end]
    return None


def exception(comment: str) -> type[BaseException] | None:
    """The exception whose name a comment begins with, if it does."""
    name = EXCEPTION.match(comment)
    found = name and getattr(pylmdb, name[1], getattr(builtins, name[1], None))
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


class Shown(ast.NodeTransformer):
    """Puts a check in the place of each expression whose result the page shows."""

    def __init__(self, notes: dict[int, str]) -> None:
        self.notes = notes

    def checked(self, program: str, page: Path) -> object:
        tree = ast.fix_missing_locations(self.visit(ast.parse(program)))
        return compile(tree, str(page), "exec")

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:  # noqa: N802  as ast calls it
        note = self.notes.get(node.end_lineno, "")
        check = None
        if exception(note):
            check = f"_check_raises({exception(note).__name__!r}, lambda: 0)"
        elif literal(note):
            check = f"_check_shown({literal(note)!r}, lambda: 0)"
        if check:
            call = ast.parse(check, mode="eval").body
            call.args[1].body = printed(node.value)
            node.value = ast.copy_location(call, node.value)
        return node


def printed(node: ast.expr) -> ast.expr:
    """What a call of ``print`` with one argument prints; else the expression itself."""
    is_print = isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"
    return node.args[0] if is_print and len(node.args) == 1 else node


def check_shown(shown: str, evaluate: object) -> None:
    result, expected = evaluate(), ast.literal_eval(shown)
    assert result == expected
    assert isinstance(result, bool) == isinstance(expected, bool)


def check_raises(name: str, evaluate: object) -> None:
    expected = getattr(pylmdb, name, getattr(builtins, name, None))
    with pytest.raises(expected) as caught:
        evaluate()
    assert type(caught.value) is expected


def run(page: Path) -> int:
    names = {"__name__": page.stem, "_check_shown": check_shown, "_check_raises": check_raises}
    found = programs(page)
    try:
        for program in found:
            exec(program, names)
    finally:
        for value in names.values():
            if isinstance(value, pylmdb.Environment):
                value.close()
    return len(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_programs_of_a_page(page, tmp_path, monkeypatch, core):
    monkeypatch.chdir(tmp_path)
    run(page)


@pytest.mark.parametrize(
    "program",
    [
        "1 + 1  # 3",
        "1 + 1  # 3: not two",
        "print(1 + 1)  # 3, not two",
        "for each in [1]:\n    each  # 2",
        "1 == 1  # 1",
        "2 + 2  # ValueError",
        "int('x')  # TypeError: no number",
        "nothing",
        "raise SystemError",
    ],
)
def test_a_page_that_is_wrong(program, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n```python\n{program}\n```\n")
    with pytest.raises((AssertionError, NameError, SystemError, ValueError, pytest.fail.Exception)):
        run(page)


def test_a_page_that_is_right(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- python\nimport pylmdb\nnumber = 2\n-->\n```python\nprint(number)  # 2: so many\n"
        "[number]  # [2], in a list\nnumber + 1  # one more\nnumber = 4  # 5\n"
        "int('x')  # ValueError: no number\n```\n```sh\nnothing\n```\n"
    )
    assert run(page) == 2
