# SPDX-License-Identifier: MIT
"""Run the Python blocks of a page in order, and check that results are as the page says.

    python tests/support/pages.py docs/start/tutorial.md

A comment behind an expression shows its value, or what ``print`` prints, if it begins with a
literal.  If it begins with the name of an exception, the expression must raise it.  Other comments
are only text.

In a block with the language ``console`` each line that begins with ``$`` is a command, and
``pylmdb`` is the command of this Python.  The lines after it are what it prints, with ``...`` for
any text.

Blocks in other languages are not run.  Python that cannot run here, because it needs a cluster for
example, has the language ``py``.
"""

from __future__ import annotations

import ast
import builtins
import doctest
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pylmdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
NAME = re.compile(r"(?:pylmdb\.)?(\w+)\b")


def programs(page: Path) -> list[CodeType]:
    """Compile the blocks of a page, with its line numbers and with checks of results."""
    text = page.read_text("utf-8")
    blocks = sorted([*BLOCK.finditer(text), *CONSOLE.finditer(text)], key=re.Match.start)
    return [compiled(block, text, page) for block in blocks]


def compiled(block: re.Match[str], text: str, page: Path) -> CodeType:
    if block.re is CONSOLE:
        return compile(f"_check_commands({block[1]!r})", str(page), "exec")
    program = "\n" * text.count("\n", 0, block.start(1)) + block[1]
    tree = Checked(comments(program)).visit(ast.parse(program))
    return compile(ast.fix_missing_locations(tree), str(page), "exec")


def comments(program: str) -> dict[int, str]:
    """Return the comments of a program by line."""
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(program).readline)
        if token.type == tokenize.COMMENT
    }


def literal(comment: str) -> str | None:
    """Return the literal that a comment begins with, or None."""
    ends = [len(comment), *(found.start() for found in re.finditer(r"[,;:] |\.$", comment))]
    for end in sorted(ends, reverse=True):
        try:
            ast.literal_eval(comment[:end])
        except (SyntaxError, ValueError):
            continue
        return comment[:end]
    return None


def exception(comment: str) -> type[BaseException] | None:
    """Return the exception whose name a comment begins with, or None."""
    name = NAME.match(comment)
    found = name and getattr(pylmdb, name[1], getattr(builtins, name[1], None))
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


class Checked(ast.NodeTransformer):
    """Replace each expression whose result the page shows by a check."""

    def __init__(self, notes: dict[int, str]) -> None:
        self.notes = notes

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        note = self.notes.get(node.end_lineno or 0, "")
        raised, shown = exception(note), literal(note)
        if raised or shown:
            check = "_check_raises" if raised else "_check_shown"
            words = raised.__name__ if raised else shown
            call: Any = ast.parse(f"{check}({words!r}, lambda: 0)", mode="eval").body
            call.args[1].body = printed(node.value)
            node.value = ast.copy_location(call, node.value)
        return node


def printed(node: ast.expr) -> ast.expr:
    """Return the argument of a ``print`` with one argument; otherwise the expression itself."""
    is_print = isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"
    return node.args[0] if is_print and len(node.args) == 1 else node


def check_shown(shown: str, evaluate: Callable[[], object]) -> None:
    result, expected = evaluate(), ast.literal_eval(shown)
    if result != expected or isinstance(result, bool) != isinstance(expected, bool):
        raise AssertionError(f"the page shows {shown}, the result is {result!r}")


def check_raises(name: str, evaluate: Callable[[], object]) -> None:
    try:
        result = evaluate()
    except Exception as error:
        if type(error) is not exception(name):
            raise
    else:
        raise AssertionError(f"the page says {name}, the result is {result!r}")


def check_commands(block: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    define = f'pylmdb() {{ "{sys.executable}" -m pylmdb "$@"; }}'
    for command, expected in COMMAND.findall(block):
        done = subprocess.run(
            ["sh", "-c", f"{define}\n{command}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if not doctest.OutputChecker().check_output(expected, done.stdout, flags):
            raise AssertionError(f"the page shows for {command}:\n{expected}not:\n{done.stdout}")


def run(page: Path, names: dict[str, Any]) -> int:
    """Run a page with ``names`` as the namespace, and return the number of its blocks."""
    names.update(
        _check_shown=check_shown, _check_raises=check_raises, _check_commands=check_commands
    )
    found = programs(page)
    for program in found:
        exec(program, names)
    return len(found)


if __name__ == "__main__":
    # Pickles look for the names that the page defines in the main module.
    main = sys.modules["__main__"] = ModuleType("__main__")
    run(Path(sys.argv[1]), vars(main))
