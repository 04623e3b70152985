# SPDX-License-Identifier: MIT
"""Run the programs of a page, and check that results are as the page says.

    python tests/support/pages.py docs/start/tutorial.md [TITLE]

These blocks are run, in their order:

- ``python``.
  A comment behind a ``print`` shows what it prints; text may follow after ``:``, ``,`` or ``;``.
  A comment behind another expression shows its value if it begins with a literal.
  If a comment begins with the name of an exception, the expression must raise it.
  Other comments are only text.
- ``python`` whose first line is ``# name.py``: saved as that file, for the commands below it.
- ``console``: each line ``$ command`` is run by a shell, and prints the lines below it.
  There ``...`` stands for any text.  Commands in the background end with the block.

Blocks of a page build on each other.  But if the page says so (``RECIPES``), each of its sections
is a recipe: a program of its own, which starts in an empty directory.

Blocks in other languages are not run.  Python that cannot run here, because it needs a cluster for
example, has the language ``py``.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib.util
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tokenize
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pylmdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECIPES = "Each recipe on this page starts in an empty directory."
SECTION = re.compile(r"^## (.*)\n", re.MULTILINE)
BLOCK = re.compile(r"^```python\n(?!# \w+\.py\n)(.*?)^```$", re.DOTALL | re.MULTILINE)
SCRIPT = re.compile(r"^```python\n(?=# (\w+\.py)\n)(.*?)^```$", re.DOTALL | re.MULTILINE)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
NAME = re.compile(r"(?:pylmdb\.)?(\w+)\b")


def parts(page: Path) -> dict[str, str]:
    """Return the recipes of a page by title, or the whole page as one part without a title.

    Empty lines stand in for what is before a recipe, so that its lines keep their numbers.
    """
    text = page.read_text("utf-8")
    if RECIPES not in text:
        return {"": text}
    found = [*SECTION.finditer(text)]
    ends = [*(each.start() for each in found[1:]), len(text)]
    return {
        each[1]: "\n" * text.count("\n", 0, each.start()) + text[each.start() : end]
        for each, end in zip(found, ends, strict=True)
    }


def steps(text: str, page: Path) -> Iterator[Callable[[dict[str, Any]], object]]:
    """Yield a function of the namespace for each block that is run, in their order."""
    kinds = (BLOCK, compiled), (SCRIPT, saved), (CONSOLE, commands)
    blocks = [(found, kind) for pattern, kind in kinds for found in pattern.finditer(text)]
    for found, kind in sorted(blocks, key=lambda block: block[0].start()):
        yield kind(found, page)


def compiled(block: re.Match[str], page: Path) -> Callable[[dict[str, Any]], object]:
    """Compile a block with the line numbers of its page and with checks of results."""
    program = "\n" * block.string.count("\n", 0, block.start(1)) + block[1]
    tree = Checked(comments(program)).visit(ast.parse(program))
    code = compile(ast.fix_missing_locations(tree), str(page), "exec")
    return lambda names: exec(code, names)


def saved(script: re.Match[str], page: Path) -> Callable[[dict[str, Any]], object]:
    return lambda names: Path(script[1]).write_text(script[2], "utf-8")


def commands(block: re.Match[str], page: Path) -> Callable[[dict[str, Any]], object]:
    return lambda names: check_commands(COMMAND.findall(block[1]))


def check_commands(lines: list[tuple[str, str]]) -> None:
    """Run commands in one shell, and compare what each prints."""
    with tempfile.TemporaryFile() as output:
        shell = subprocess.Popen(
            ["sh", "-c", FUNCTIONS + "".join(f"{line}\nprintf '\\0'\n" for line, _ in lines)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHON": sys.executable, "PYTHONWARNINGS": "error"},
            start_new_session=True,
        )  # fmt: skip
        shell.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
        output.seek(0)
        printed = output.read().decode().split("\0")
    for (line, shown), result in zip(lines, printed, strict=False):
        pattern = re.escape(shown).replace(re.escape("..."), ".*")
        if not re.fullmatch(pattern, result):
            raise AssertionError(f"the page shows {shown!r} below {line!r}, it prints {result!r}")


# Commands of this Python, whatever the system calls it.
FUNCTIONS = """\
PATH="$(dirname "$PYTHON"):$PATH"
python() { "$PYTHON" "$@"; }
pylmdb() { "$PYTHON" -m pylmdb "$@"; }
"""


def missing(text: str) -> list[str]:
    """Return the packages and commands that programs need and that are not installed here."""
    scripts = SCRIPT.findall(text)
    modules = set()
    for program in [*BLOCK.findall(text), *(program for _, program in scripts)]:
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.partition(".")[0])
    modules -= {name.removesuffix(".py") for name, _ in scripts}
    lines = (line for block in CONSOLE.findall(text) for line, _ in COMMAND.findall(block))
    programs = {line.split()[0] for line in lines} - {"python", "pylmdb"}
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    return sorted(
        {name for name in modules if not importlib.util.find_spec(name)}
        | {name for name in programs if not shutil.which(name, path=path)}
    )


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
        if note and is_print(node.value):
            node.value.func.id = "_check_printed"
            node.value.args.insert(0, ast.copy_location(ast.Constant(note), node.value))
        elif raised:
            node.value = check(f"_check_raises({raised.__name__!r}, lambda: 0)", node.value)
        elif shown:
            node.value = check(f"_check_shown({shown!r}, lambda: 0)", node.value)
        return node


def check(call: str, expression: ast.expr) -> ast.expr:
    """Return a call whose last argument is a function that evaluates an expression."""
    found: Any = ast.parse(call, mode="eval").body
    found.args[-1].body = expression
    return ast.copy_location(found, expression)


def is_print(node: Any) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"


def check_printed(note: str, *values: object, **options: Any) -> None:
    text = io.StringIO()
    print(*values, file=text, **options)
    result = text.getvalue().removesuffix("\n")
    if not re.match(re.escape(result) + "(?:[,;:] |$)", note):
        raise AssertionError(f"the page shows {note!r}, it prints {result!r}")


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


CHECKS = {
    f"_{function.__name__}": function for function in (check_printed, check_raises, check_shown)
}


def run(page: Path, names: dict[str, Any], title: str = "") -> int:
    """Run a page or a recipe with ``names`` as the namespace; return the number of blocks."""
    names.update(CHECKS)
    found = [*steps(parts(page)[title], page)]
    for step in found:
        step(names)
    return len(found)


def main(page: str, title: str = "") -> None:
    # Pickles look for the names that the page defines in the main module.
    module = sys.modules["__main__"] = ModuleType("__main__")
    run(Path(page), vars(module), title)


if __name__ == "__main__":
    main(*sys.argv[1:])
