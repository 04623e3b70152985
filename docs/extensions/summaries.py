# SPDX-License-Identifier: MIT
"""Tables of the API reference, from docstrings: what a class or a page has, a line for each."""

from __future__ import annotations

import inspect
import pydoc
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

# From how many lines on a table helps.
LEAST = 4
DIRECTIVE = re.compile(r"^\.\. (currentmodule|autofunction|autoclass):: ([\w.]+)", re.MULTILINE)
SENTENCE_END = re.compile(r"(?<=[^.])\.(?=\s|$)")


def first_sentence(value: Any) -> str:
    """Return the first sentence of a docstring, in one line."""
    paragraph = (inspect.getdoc(value) or "").partition("\n\n")[0]
    return " ".join(SENTENCE_END.split(paragraph)[0].split()).rstrip(":")


def methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties with a docstring, a base's after its subclass's."""
    seen: set[str] = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("pylmdb"):
            continue
        for name in vars(base):
            member = inspect.getattr_static(cls, name)
            found = getattr(member, "__func__", member)
            is_shown = inspect.isroutine(found) or isinstance(member, property)
            if name not in seen and not name.startswith("_") and is_shown and found.__doc__:
                seen.add(name)
                yield name, found


def functions(page: str) -> Iterator[tuple[str, Any]]:
    """Yield the functions and classes of a page in reStructuredText, by their whole names."""
    module = ""
    for directive, name in DIRECTIVE.findall(page):
        if directive == "currentmodule":
            module = name
        else:
            whole = name if name.startswith("pylmdb.") else f"{module}.{name}"
            yield whole, pydoc.locate(whole)


def table(rows: Iterable[tuple[str, Any]], prefix: str = "") -> list[str]:
    """Return the lines of a table; none if it would have few."""
    lines = [".. list-table::", "   :class: summary", ""]
    for name, value in rows:
        lines += [f"   * - :py:obj:`~{prefix}{name}`", f"     - {first_sentence(value)}"]
    return [*lines, ""] if len(lines) >= 3 + 2 * LEAST else []


def add_to_class(app, what, name, value, options, lines):
    """Put the table of a class below the first paragraph of its description."""
    if what == "class":
        end = lines.index("") if "" in lines else len(lines)
        lines[end:end] = ["", *table(methods(value), f"{name}.")]


def add_to_page(app, docname, source):
    """Put the table of a page below its title."""
    rows = [*functions(source[0])] if docname.startswith("reference/api/") else []
    lines = source[0].split("\n")
    lines[2:2] = ["", *table(rows)]
    if rows:
        source[0] = "\n".join(lines)


def setup(app):
    app.connect("autodoc-process-docstring", add_to_class)
    app.connect("source-read", add_to_page)
    return {"parallel_read_safe": True}
