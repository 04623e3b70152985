# SPDX-License-Identifier: MIT
"""How an operation of several steps gives back what it has, wherever an exception strikes.

A signal handler can raise between any two steps of Python, the steps of cleaning up included.  It
cannot where C runs: one call of C happens as a whole.  Hence three rules.

- What must be given back belongs to an :class:`Owner`.  Nothing is had before its block begins.
  Getting it and noting it are one call of C (:meth:`Descriptor.open` shows how), or it is noted
  first under a name that nobody else uses.
- ``end()`` gives it back and can be repeated: each step of it looks at what is still there.
  A ``with owner, owner:`` block calls it twice, so that an exception which strikes in the one
  leaves the other to do it; and a third time when the owner dies.
- Where others ask whether something is had, they find a weak reference to the owner.  If that is
  dead, they count it as given back.
"""

from __future__ import annotations

import os
from itertools import starmap

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class Owner:
    """What an operation has, until its end."""

    __slots__ = ("__weakref__", "_is_entered")

    def end(self) -> None:
        """Give back all that is had; repeatable, also after an exception inside it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._is_entered = True
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def __del__(self) -> None:
        if hasattr(self, "_is_entered"):  # an exception may have struck in its making
            self.end()


class Descriptor(Owner):
    """A file descriptor."""

    __slots__ = ("_numbers",)

    def __init__(self, number: int | None = None) -> None:
        self._numbers: list[int] = [] if number is None else [number]

    def open(self, path: str | bytes, flags: int, mode: int = 0o666) -> int:
        """``os.open``, with ``O_CLOEXEC``."""
        flags |= getattr(os, "O_CLOEXEC", 0)
        self._numbers.extend(starmap(os.open, [(path, flags, mode)]))
        return self._numbers[-1]

    @property
    def number(self) -> int | None:
        """The descriptor; None if there is none."""
        return self._numbers[-1] if self._numbers else None

    def keep(self) -> int:
        """The descriptor, which belongs to the caller from now on."""
        return self._numbers.pop()

    def end(self) -> None:
        """Close it."""
        numbers = self._numbers
        # taken and closed in one call: its number may be another file's at once
        list(map(os.close, map(numbers.pop, range(len(numbers) - 1, -1, -1))))
