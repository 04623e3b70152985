# SPDX-License-Identifier: MIT
"""Owners of resources: an operation of several steps releases them wherever an exception strikes.

A signal handler can raise between any two steps of Python, and also while an operation cleans up.
It cannot raise inside a call of a C function, which is complete or not begun.  So there are three
rules.

- A resource that must be released belongs to an :class:`Owner`.  It is acquired inside the owner's
  ``with`` block.  Acquiring it and noting it in the owner are one call of C
  (:meth:`Descriptor.open` shows how), or it is noted first, under a name that is unique.
- ``end()`` releases it and can be repeated, because each step looks at what is still there.  A
  ``with owner, owner:`` block calls it twice: if an exception strikes in the first call, the second
  one completes it.  It is called again when the owner is freed.
- Code that asks whether a resource is in use has a weak reference to the owner.  If that is dead,
  the resource counts as released.
"""

from __future__ import annotations

import os
from _weakref import ref
from itertools import starmap

from .._typing import TYPE_CHECKING
from .collecting import COUNTS_REFERENCES

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from typing import TypeVar

    from typing_extensions import Self

    from .._aliases import CData

    AnyOwner = TypeVar("AnyOwner", bound="Owner")


class _PointerKey(ref):  # type: ignore[type-arg]
    """A weak reference to a pointer.  It is a key that stays one when the pointer is gone."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__


# What owned() gave out; what is released after it, and with it.  A tuple frees its last item first.
_owned: dict[_PointerKey, tuple[CData | None, CData]] = {}
# When the interpreter exits, the table must not be dropped in a cycle with the modules, or what is
# in it is released in any order.  The garbage collector does not see this reference.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_owned.__len__)


def owned(
    ffi: CData,
    native: CData,
    release: Callable[[CData], object],
    within: CData | None = None,
    # bound here, because the interpreter sets globals to None when it exits
    table: dict[_PointerKey, tuple[CData | None, CData]] = _owned,
) -> CData:
    """Return a pointer to what ``native`` points to.  When it is gone, ``release(native)`` is
    called, and before what ``within``, another such pointer, points to is released.

    ``ffi.gc`` alone releases too early if objects are dropped in a cycle: the garbage collector
    calls the finalizers of all of them first, in any order, and those of others can still use the
    memory.  The pointer takes no part in that, and no cycle has what is in the table.  PyPy calls
    the finalizers of what an object uses after its own.

    If ``release`` is a function of C, no signal handler can interrupt it.
    """
    if not COUNTS_REFERENCES:
        return ffi.gc(native, release)
    pointer = ffi.cast(ffi.typeof(native), native)
    table[_PointerKey(pointer, table.pop)] = within, ffi.gc(native, release)
    return pointer


class Owner:
    """Owns the resources of an operation."""

    __slots__ = ("__weakref__", "_is_entered")

    def end(self) -> None:
        """Release all resources.  It can be repeated, also after an exception inside it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._is_entered = True
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def __del__(self) -> None:
        if hasattr(self, "_is_entered"):  # else an exception may have struck in __init__
            self.end()


def enter(stack: ExitStack, owner: AnyOwner) -> AnyOwner:
    """Enter an owner until the end of ``stack``, as ``with owner, owner:`` does."""
    stack.enter_context(owner)
    stack.enter_context(owner)
    return owner


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
        """The descriptor; None if it is not open."""
        return self._numbers[-1] if self._numbers else None

    def keep(self) -> int:
        """Return the descriptor, which the caller must close from now on."""
        return self._numbers.pop()

    def end(self) -> None:
        """Close it."""
        numbers = self._numbers
        # one call of C: after the close another file can get the same number at once
        list(map(os.close, map(numbers.pop, range(len(numbers) - 1, -1, -1))))
