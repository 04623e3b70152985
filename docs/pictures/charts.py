# SPDX-License-Identifier: MIT
"""Pictures of figures.  The figures are those of the tables in ``performance.md``."""

from __future__ import annotations

import re
from math import log2
from pathlib import Path

from drawing import Drawing

PAGE = Path(__file__).parent.parent / "understanding" / "performance.md"


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without the line of dashes."""
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert lines, heading
    rows = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        for line in lines[0].splitlines()
    ]
    return [rows[0], *rows[2:]]


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def ratios() -> Drawing:
    """A bar per operation, from 1 to its ratio, on a logarithmic axis."""
    rows = [(row[0], number(row[3])) for row in table("Records")[1:]]
    height, left, unit = 22, 400, 47
    picture = Drawing(720, 74 + height * len(rows))
    bottom = 20 + height * len(rows)
    for power in range(-1, 6):
        x = left + power * unit
        picture.line((x, 14), (x, bottom), kind="axis" if power == 0 else "line", width=1)
        picture.text(x, bottom + 18, f"{2.0**power:g}", "muted", "middle", 12)
    for place, (title, ratio) in enumerate(rows):
        y = 16 + height * place
        end = left + log2(ratio) * unit
        picture.text(left - 60, y + 14, title.split(" (theirs")[0], anchor="end", size=12)
        picture.box(
            min(left, end), y + 3, abs(end - left), height - 8, "new" if ratio >= 1 else "old"
        )
        picture.text(max(left, end) + 6, y + 15, f"{ratio:.2f}", size=12)
    picture.text(
        left, bottom + 42, "py-lmdb's time divided by pylmdb's", "muted", "middle", size=12
    )
    return picture


# Each line has its own kind and its own dashes, so that it can be told apart without colour.
LINES = (("new", ""), ("old", ""), ("free", ""), ("new", "7 4"), ("old", "7 4"), ("free", "7 4"))


def sizes() -> Drawing:
    """A line per operation: its ratio by the number of records."""
    head, *rows = table("Growth")
    picture = Drawing(720, 340)
    left, step, bottom, unit = 60, 110, 270, 48
    for level in range(6):
        y = bottom - level * unit
        picture.line(
            (left, y), (left + 3 * step, y), kind="axis" if level == 1 else "line", width=1
        )
        picture.text(left - 10, y + 5, str(level), "muted", "end")
    for place, records in enumerate(head[1:]):
        anchor = "middle" if place else "start"
        picture.text(
            left + place * step - (0 if place else 20), bottom + 22, records, "muted", anchor, 12
        )
    picture.text(left, bottom + 46, "records", "muted", size=12)
    picture.text(20, 20, "py-lmdb's time divided by pylmdb's", "muted", size=12)
    ends = []
    for row, (kind, dashes) in zip(rows, LINES, strict=True):
        found = [re.search(r"\(([\d.]+)\)", cell) for cell in row[1:]]
        points = [
            (left + place * step, bottom - float(each[1]) * unit)
            for place, each in enumerate(found)
            if each
        ]
        picture.line(*points, kind=kind, width=2.5, dashes=dashes)
        ends.append((points[-1], row[0].split(" (theirs")[0], kind, dashes))
    free = 0.0  # names have at least 20 pixels each
    for (x, y), name, kind, dashes in sorted(ends):
        free = max(y, free + 20)
        picture.line((x + 6, y), (x + 24, free), kind="line", width=1)
        picture.line((x + 26, free), (x + 50, free), kind=kind, width=2.5, dashes=dashes)
        picture.text(x + 56, free + 4, name, size=12)
    return picture


def stores() -> Drawing:
    """A panel per operation: a bar per store, as long as its rate."""
    head, *rows = table("Other stores")
    names = head[1:]
    panel = 30 + 20 * len(names) + 16
    picture = Drawing(720, panel * -(-len(rows) // 2) + 26)
    for place, (title, *cells) in enumerate(rows):
        x, y = 20 + 355 * (place % 2), panel * (place // 2)
        rates = [number(cell) for cell in cells]
        picture.text(x, y + 22, title)
        for line, (name, rate) in enumerate(zip(names, rates, strict=True)):
            top = y + 32 + 20 * line
            length = max(1, 165 * rate / max(rates))
            picture.text(x + 70, top + 12, name, anchor="end", size=12)
            picture.box(x + 78, top, length, 14, "new" if name == "pylmdb" else "plain")
            picture.text(x + 84 + length, top + 12, f"{rate:,.0f}", "muted", size=12)
    picture.text(20, picture.height - 8, "records in a second", "muted", size=12)
    return picture


def get_parts() -> Drawing:
    """A bar per part of a get: its instructions."""
    rows = [(row[0], number(row[1])) for row in table("Where the time of a get goes")[1:]]
    parts, total = rows[:-1], rows[-1][1]
    picture = Drawing(720, 20 + 34 * len(parts))
    for place, (name, count) in enumerate(parts):
        y = 12 + 34 * place
        length = 290 * count / max(count for _, count in parts)
        picture.text(290, y + 17, name, anchor="end")
        picture.box(300, y, length, 24, "old" if "Python" in name else "new")
        picture.text(308 + length, y + 17, f"{count:,.0f} ({count / total:.0%})", "muted")
    return picture
