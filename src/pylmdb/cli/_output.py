# SPDX-License-Identifier: MIT
"""Printing of results: JSON, plain text, or tables by rich if it is installed, on a terminal.

Names and keys may contain anything, so control characters and unprintable ones are escaped.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from .._base import words as _words
from .._base.waiting_input import waiting_input
from .._core_rules.system_errors import open_to_read
from .._shared.output_files import output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping
    from typing import BinaryIO, TextIO

    from ..environment import Environment


# characters that may have to be escaped; all others are printable ASCII
_NOT_PLAIN_ASCII = re.compile(r"[^\n -~]")


def visible(text: str) -> str:
    """Return ``text`` on one line: unprintable characters are escaped, and then backslashes are
    doubled, too."""
    if text.isprintable():
        return text
    shown = (_escape(char) for char in text.replace("\\", "\\\\"))
    return "".join(shown)


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    if "\udc80" <= char <= "\udcff":  # a byte of a name that is not UTF-8, as Python represents it
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def print_json(value: object, lines: bool = False) -> None:
    """Print a value as JSON: with indentation, or on one line if it is one of many."""
    print(json_text(value, lines, sys.stdout.encoding or "utf-8"))


def json_text(value: object, lines: bool = True, encoding: str = "utf-8") -> str:
    """Return JSON whose control characters, and what an encoding lacks, are escaped."""
    text = json.dumps(value, indent=None if lines else 2, ensure_ascii=False, allow_nan=False)
    return _NOT_PLAIN_ASCII.sub(lambda found: _json_escape(found[0], encoding), text)


def _json_escape(char: str, encoding: str) -> str:
    with suppress(UnicodeEncodeError):
        char.encode(encoding)
        if char.isprintable():
            return char
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]


def print_error(args: argparse.Namespace, text: str) -> None:
    """Print one line to stderr that begins with the name of the command."""
    print(f"pylmdb {args.command}: {visible(text)}", file=sys.stderr, flush=True)


def counted(count: int, what: str = "record") -> str:
    """Return a number, with separators, and what it counts."""
    return _words.counted(count, what, ",")


def print_result(args: argparse.Namespace, text: str, **fields: object) -> None:
    """Print the result of a command: a line, or with ``--json`` the fields."""
    if args.json:
        print_json(fields)
    else:
        print(text)


class VisibleOutput:
    """A binary file that prints lines to a terminal, with control characters escaped."""

    def write(self, data: bytes) -> int:
        for line in data.splitlines(keepends=True):
            end = "\n" if line.endswith(b"\n") else ""
            print(visible(os.fsdecode(line.removesuffix(b"\n"))), end=end)
        return len(data)


class VisibleText:
    """A text file that prints lines to a terminal, with control characters escaped."""

    def write(self, text: str) -> int:
        for line in text.splitlines(keepends=True):
            end = "\n" if line.endswith("\n") else ""
            print(visible(line.removesuffix("\n")), end=end)
        return len(text)


def add_overwrite(command: argparse._ActionsContainer) -> None:
    """Add the option without which a command overwrites no file."""
    command.add_argument("--overwrite", action="store_true",
                         help="replace a file that exists")  # fmt: skip


@contextmanager
def text_output(
    args: argparse.Namespace, path: str | None, source: Environment
) -> Iterator[TextIO | VisibleText]:
    """Open a file to write text to in UTF-8; None and "-" are standard output.

    :param source: the environment that is read; its files must not be written.
    """
    if path is not None and path != "-":
        with output(args.command, path, args.overwrite, source=source._options) as file:
            text = io.TextIOWrapper(file, "utf-8", newline="")
            try:
                yield text
            finally:
                text.detach()  # it flushes
    elif sys.stdout.isatty():
        yield VisibleText()
    else:
        sys.stdout.flush()
        out = io.TextIOWrapper(sys.stdout.buffer, "utf-8", newline="")
        try:
            yield out
        finally:
            out.detach()  # it flushes, and leaves standard output open


@contextmanager
def binary_input(args: argparse.Namespace, path: str | None) -> Iterator[BinaryIO]:
    """Open a file to read; None and "-" are standard input."""
    if path is None or path == "-":
        yield waiting_input(sys.stdin.buffer)
    else:
        with open_to_read(args.command, path) as file:
            yield file


def print_names(names: Iterable[str]) -> None:
    """Print names, one in each line."""
    print("".join(f"{visible(name)}\n" for name in names), end="")


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print names and values, one pair in each line."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        print(f"{name + ':':{width + 1}} {visible(str(value))}")


def print_table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table with headings; numbers are aligned to the right."""
    headings = [*columns]
    cells = [[*row] for row in rows]
    if sys.stdout.isatty() and _print_rich(headings, cells):
        return
    texts = [[_text(cell) for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
    for row, values in [(headings, headings), *zip(texts, cells, strict=True)]:
        parts = [
            f"{text:{'>' if isinstance(value, int) else '<'}{width}}"
            for text, value, width in zip(row, values, widths, strict=True)
        ]
        print("  ".join(parts).rstrip())


def _print_rich(headings: list[str], rows: list[list[Any]]) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=None, header_style="bold")
    for number, heading in enumerate(headings):
        right = rows and all(isinstance(row[number], int) for row in rows)
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(cell)) for cell in row))
    Console(highlight=False).print(table)
    return True


def _text(cell: object) -> str:
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else visible(str(cell))


def size(count: int) -> str:
    """Return a number of bytes with a unit."""
    number, unit = float(count), 0
    while number >= 1024 and unit < 4:
        number, unit = number / 1024, unit + 1
    digits = 0 if unit == 0 or number >= 100 else 1
    return f"{number:.{digits}f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"


def progress() -> bool | None:
    """Return True (a progress bar) if stderr is a terminal and tqdm is installed, else None."""
    if not sys.stderr.isatty():
        return None
    try:
        import tqdm as tqdm
    except ImportError:
        return None
    return True
