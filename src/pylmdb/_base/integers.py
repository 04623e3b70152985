# SPDX-License-Identifier: MIT
"""Arguments that are integers: sizes, counts, numbers and file descriptors."""

from __future__ import annotations

from _operator import index

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypeGuard

# what an argument means, for the message of integer()
BYTES = ", a number of bytes such as 1 << 30 for 1 GiB"
PAGE_BYTES = ", a number of bytes such as 4096"


def integer(name: str, value: Any, means: str = "") -> int:
    """Return an argument that must be an integer.

    :param name: of the argument, for the message.
    :param means: what the integer is, for the message; it follows "an integer".
    :raises TypeError: it is not an integer.  What its own ``__index__`` raises passes through.
    """
    if type(value) is int:  # as nearly always; Dataset and Map ask for each sample and key
        return value
    if not hasattr(type(value), "__index__"):
        given = type(value).__name__
        if isinstance(value, (str, bytes, float)):
            given = f"{given} ({value if isinstance(value, float) else value[:64]!r})"
        raise TypeError(f"{name} must be an integer{means}, not {given}")
    return int(index(value))


def is_descriptor(value: object) -> TypeGuard[int]:
    """Whether an argument can be a file descriptor.  True and False are integers, but mean none."""
    return isinstance(value, int) and not isinstance(value, bool)


def descriptor(name: str, value: Any) -> int:
    """Return an argument that must be a file descriptor.

    :param name: of the argument, for the message.
    :raises TypeError: it is not an integer, or it is a bool.
    """
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, a file descriptor, not bool ({value})")
    return integer(name, value, ", a file descriptor")
