# SPDX-License-Identifier: MIT
"""Numbers and what they count, in the singular or the plural."""

from __future__ import annotations


def counted(number: float | str, what: str, form: str = "") -> str:
    """Return a number and what it counts, which is in the plural unless the number is 1.

    >>> counted(1, "entry"), counted(2, "entry"), counted(1000, "byte", ",")
    ('1 entry', '2 entries', '1,000 bytes')

    :param what: a noun in the singular.
    :param form: how the number is formatted.
    """
    text = format(number, form)
    return f"{text} {what if text == '1' else _plural(what)}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("ch") else f"{noun}s"
