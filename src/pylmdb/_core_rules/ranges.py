# SPDX-License-Identifier: MIT
"""The arguments of a range of keys."""

from __future__ import annotations

from sys import maxsize

from .._base.integers import integer
from .refusals import refusal


def successor(prefix: bytes) -> bytes | None:
    """Return the smallest key greater than every key with ``prefix``; None if there is none."""
    body = prefix.rstrip(b"\xff")
    return body[:-1] + bytes([body[-1] + 1]) if body else None


def following(key: bytes) -> bytes:
    """Return the smallest key that is greater than ``key``, in the order of bytes."""
    return key + b"\0"


def record_count(name: str, count: object) -> int:
    """Check the argument ``limit`` or ``offset``, and return it.

    :param name: of the argument, for messages.
    """
    number = integer(f"range: {name}", count, " of at least 0")
    if number < 0:
        raise refusal("negative record count", name, number)
    return min(number, maxsize)  # no database has more
