# SPDX-License-Identifier: MIT
"""What commands print: JSON, or text that is set by rich where that is installed and a
person looks.

Names and keys are anybody's: what a terminal would obey, or cannot show, is escaped.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


# what needs a look before it is printed; the rest is ASCII that shows itself
_NOT_PLAIN_ASCII = re.compile(r"[^\n -~]")


def visible(text: str) -> str:
    """``text`` on one line: what is not printable as an escape, and then backslashes doubled."""
    if text.isprintable():
        return text
    shown = (_escape(char) for char in text.replace("\\", "\\\\"))
    return "".join(shown)


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    if "\udc80" <= char <= "\udcff":  # a byte that is no UTF-8, as Python has it in names
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def print_json(value: object, lines: bool = False) -> None:
    """A value as JSON: with indentation, or as one of many, on a line."""
    text = json.dumps(value, indent=None if lines else 2, ensure_ascii=False, allow_nan=False)
    print(_NOT_PLAIN_ASCII.sub(_json_escape, text))


def _json_escape(found: re.Match[str]) -> str:
    char = found[0]
    try:
        char.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        pass
    else:
        if char.isprintable():
            return char
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]


class VisibleOutput:
    """A binary file that shows lines on a terminal, which would obey control characters."""

    def write(self, data: bytes) -> int:
        for line in data.splitlines(keepends=True):
            end = "\n" if line.endswith(b"\n") else ""
            print(visible(os.fsdecode(line.removesuffix(b"\n"))), end=end)
        return len(data)


def print_names(names: Iterable[str]) -> None:
    """Names, a line each."""
    print("".join(f"{visible(name)}\n" for name in names), end="")


def print_fields(fields: Mapping[str, Any]) -> None:
    """Names and values, a line each."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        print(f"{name + ':':{width + 1}} {visible(str(value))}")


def print_table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Rows under headings; numbers are set to the right."""
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
    """A number of bytes as people say it."""
    number, unit = float(count), 0
    while number >= 1024 and unit < 4:
        number, unit = number / 1024, unit + 1
    digits = 0 if unit == 0 or number >= 100 else 1
    return f"{number:.{digits}f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"


def progress() -> bool | None:
    """A bar where somebody looks and tqdm is installed."""
    if not sys.stderr.isatty():
        return None
    try:
        import tqdm as tqdm
    except ImportError:
        return None
    return True
