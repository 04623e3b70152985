# SPDX-License-Identifier: MIT
"""Count the calls in liblmdb's sources that the macros of ``shim.c`` replace.

The macros recognise a call by its name and by the text of an argument: ``calloc(n,
sizeof(MDB_env))`` allocates our struct after the environment, any other ``calloc()`` does not.  If
a new release writes such a call in another way, everything still compiles, and the macro does
nothing.  So ``pin.json`` says under ``calls`` how often each call occurs:

    "calloc": 9                     all calls of that name, in code and in macros
    "calloc: sizeof(MDB_env)": 1    calls with an argument that is this text
    "pthread_mutex_lock: &...": 2   calls with an argument that begins with an ampersand

Several blanks count as one, as in the preprocessor's ``#``.  Comments and literals are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

COMMENT = r"/\*.*?\*/|//[^\n]*"
LITERAL = r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
LINE_JOIN = r"\\\n"
IGNORED = re.compile(f"{COMMENT}|{LITERAL}|{LINE_JOIN}", re.DOTALL)


def _arguments(code: str, begin: int) -> list[str]:
    """Return the arguments of the call whose opening parenthesis is just before ``begin``."""
    arguments = [""]
    depth = 1
    for character in code[begin:]:
        depth += (character in "([{") - (character in ")]}")
        if not depth:
            break
        if depth == 1 and character == ",":
            arguments.append("")
        else:
            arguments[-1] += character
    return [" ".join(argument.split()) for argument in arguments]


def _calls(code: str, name: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of ``name``, and of each use of a macro of that name."""
    for found in re.finditer(rf"(#[ \t]*define[ \t]+)?\b{name}\s*\(", code):
        if not found[1]:
            yield _arguments(code, found.end())


def _has(arguments: list[str], text: str) -> bool:
    start, dots, _ = text.partition("...")
    return any(each.startswith(start) if dots else each == text for each in arguments)


def count_calls(sources: list[bytes], pinned: dict[str, int]) -> dict[str, int]:
    """Return how often each call that ``pinned`` names occurs in ``sources``, files of C."""
    code = "\n".join(IGNORED.sub(" ", source.decode("utf-8")) for source in sources)
    counts = {}
    for key in pinned:
        name, _, text = key.partition(": ")
        calls = list(_calls(code, name))
        counts[key] = sum(_has(each, text) for each in calls) if text else len(calls)
    return counts
