# SPDX-License-Identifier: MIT
"""Run the programs of a page, and check that results are as the page says.

    python tests/support/pages.py docs/start/tutorial.md [TITLE]

These blocks are run, in their order:

- ``python``.
  A comment behind a ``print`` shows what it prints; text may follow after ``:``, ``,`` or ``;``.
  A comment behind another expression shows its value if it begins with a literal.
  If a comment begins with the name of an exception, the expression must raise it.
  Other comments are only text.
  An expression whose result is shown must be run: not only in a branch that is never taken.
- ``python`` whose first line is ``# name.py``: saved as that file, for the commands below it.
- ``console``: each line ``$ command`` is run by a shell, and prints the lines below it.
  There ``...`` stands for any text, also of several lines, and a space for any number of them.
  Commands in the background end with the block.

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
import signal
import subprocess
import sys
import tempfile
import tokenize
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from programs import PATIENCE

import pylmdb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType

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


def blocks(text: str) -> list[re.Match[str]]:
    """Return the blocks that are run, in their order."""
    found = [each for kind in (BLOCK, SCRIPT, CONSOLE) for each in kind.finditer(text)]
    return sorted(found, key=re.Match.start)


def compiled(block: re.Match[str], page: Path, checks: Checks) -> CodeType:
    """Compile a block with the line numbers of its page and with checks of results."""
    program = "\n" * block.string.count("\n", 0, block.start(1)) + block[1]
    tree = Checked(comments(program), checks).visit(ast.parse(program))
    return compile(ast.fix_missing_locations(tree), str(page), "exec")


def check_commands(lines: list[tuple[str, str]]) -> None:
    """Run commands in one shell, and compare what each prints."""
    with tempfile.TemporaryFile() as output:
        shell = subprocess.Popen(
            ["sh", "-c", FUNCTIONS + "".join(f"{line}\nprintf '\\0'\n" for line, _ in lines)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHON": sys.executable, "PYTHONWARNINGS": "error"},
            start_new_session=True,
        )  # fmt: skip
        try:
            shell.wait(PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
        output.seek(0)
        printed = output.read().decode().split("\0")
    for (line, shown), result in zip(lines, printed, strict=False):
        pattern = re.sub(r"(\\ )+", " +", re.escape(shown)).replace(re.escape("..."), ".*")
        if not re.fullmatch(pattern, result, re.DOTALL):
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
    lines = [line for block in CONSOLE.findall(text) for line, _ in COMMAND.findall(block)]
    return sorted(
        {name for name in modules if not importlib.util.find_spec(name)}
        | {name for name in {line.split()[0] for line in lines} if not is_command(name)}
    )


def is_command(name: str) -> bool:
    """Return whether the shell that runs commands knows one, which may be built in."""
    search = ["sh", "-c", f'{FUNCTIONS}command -v "$1"', "sh", name]
    environment = {**os.environ, "PYTHON": sys.executable}
    return not subprocess.run(search, env=environment, stdout=subprocess.DEVNULL).returncode


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

    def __init__(self, notes: dict[int, str], checks: Checks) -> None:
        self.notes = notes
        self.checks = checks

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        line = node.end_lineno or 0
        note = self.notes.get(line, "")
        raised, shown = exception(note), literal(note)
        value: Any = node.value
        if note and is_print(value):
            node.value = self.check("printed", line, note, value.args, value.keywords)
        elif raised:
            node.value = self.check("raises", line, raised.__name__, [evaluation(value)])
        elif shown:
            node.value = self.check("shown", line, shown, [evaluation(value)])
        return node

    def check(
        self,
        method: str,
        line: int,
        note: str,
        args: list[ast.expr],
        keywords: Sequence[ast.keyword] = (),
    ) -> ast.Call:
        self.checks.pending.add(line)
        call: Any = ast.parse(f"_checks.{method}({line}, {note!r})", mode="eval").body
        call.args += args
        call.keywords += keywords
        return call


def is_print(node: Any) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"


def evaluation(expression: ast.expr) -> ast.expr:
    """Return a function that evaluates an expression."""
    function: Any = ast.parse("lambda: 0", mode="eval").body
    function.body = expression
    return function


class Checks:
    """The checks of a page, and the lines whose checks have not run yet."""

    def __init__(self) -> None:
        self.pending: set[int] = set()

    def printed(self, line: int, note: str, *values: object, **options: Any) -> None:
        self.pending.discard(line)
        text = io.StringIO()
        print(*values, file=text, **options)
        result = text.getvalue().removesuffix("\n")
        if not re.match(re.escape(result) + "(?:[,;:] |$)", note):
            raise AssertionError(f"the page shows {note!r}, it prints {result!r}")

    def shown(self, line: int, shown: str, evaluate: Callable[[], object]) -> None:
        self.pending.discard(line)
        result, expected = evaluate(), ast.literal_eval(shown)
        if result != expected or isinstance(result, bool) != isinstance(expected, bool):
            raise AssertionError(f"the page shows {shown}, the result is {result!r}")

    def raises(self, line: int, name: str, evaluate: Callable[[], object]) -> None:
        self.pending.discard(line)
        try:
            result = evaluate()
        except Exception as error:
            if type(error) is not exception(name):
                raise
        else:
            raise AssertionError(f"the page says {name}, the result is {result!r}")


def run(page: Path, names: dict[str, Any], title: str = "") -> int:
    """Run a page or a recipe with ``names`` as the namespace; return the number of blocks."""
    checks = names["_checks"] = Checks()
    found = blocks(parts(page)[title])
    for block in found:
        if block.re is BLOCK:
            exec(compiled(block, page, checks), names)
        elif block.re is SCRIPT:
            Path(block[1]).write_text(block[2], "utf-8")
        else:
            check_commands(COMMAND.findall(block[1]))
    if checks.pending:
        raise AssertionError(f"lines that show results were not run: {sorted(checks.pending)}")
    return len(found)


def main(page: str, title: str = "") -> None:
    # Pickles look for the names that the page defines in the main module.
    module = sys.modules["__main__"] = ModuleType("__main__")
    run(Path(page), vars(module), title)


if __name__ == "__main__":
    main(*sys.argv[1:])
