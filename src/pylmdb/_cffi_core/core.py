# SPDX-License-Identifier: MIT
"""The names of ``_core.pyi`` in one module.

It is imported only if the core is used: on PyPy, and for tests.
"""

from __future__ import annotations

from itertools import accumulate
from struct import pack
from types import FunctionType
from typing import TYPE_CHECKING, Any

from .._base.buffers import freeze_bytes
from .cursor import CursorCore
from .environment import (
    DatabaseCore,
    DbSlot,
    EnvironmentCore,
    HandleLock,
    SharedCore,
    public_classes,
)
from .hold import Hold
from .transaction import TransactionCore

if TYPE_CHECKING:
    from collections.abc import Iterator

_END = object()

__all__ = [
    "CursorCore",
    "DatabaseCore",
    "DbSlot",
    "EnvironmentCore",
    "HandleLock",
    "Hold",
    "SharedCore",
    "TransactionCore",
    "join",
    "pack_records",
    "publish",
]


def join(table: int) -> None:
    """Join an engine.  This core calls it through cffi, so it does not need the table."""


def pack_records(
    iterator: Iterator[Any], size: int
) -> tuple[bytes, bytes, bytes, bytes, tuple[object] | None]:
    """Take records from an iterator and pack them into blocks."""
    keys: list[bytes] = []
    values: list[bytes] = []
    packed, other = 0, None
    while packed < size:
        record = next(iterator, _END)
        if record is _END:
            break
        if not isinstance(record, tuple) or len(record) != 2:
            other = (record,)
            break
        try:
            key, value = freeze_bytes("key", record[0]), freeze_bytes("value", record[1])
        except TypeError:
            other = (record,)
            break
        keys.append(key)
        values.append(value)
        packed += len(key) + len(value) + 16
    return (*_block(keys), *_block(values), other)


def _block(parts: list[bytes]) -> tuple[bytes, bytes]:
    """Return the concatenated strings, and the end of each as ``size_t``."""
    return b"".join(parts), pack(f"{len(parts)}N", *accumulate(map(len, parts)))


def publish(cls: type) -> None:
    """Make objects of a public class from now on, and copy the core's methods to it."""
    cores = (TransactionCore, CursorCore, DatabaseCore, EnvironmentCore)
    core = next(base for base in cls.__mro__ if base in cores)
    public_classes[core.__name__] = cls
    for name, own in list(vars(core).items()):
        documented: Any = vars(cls).get(name)
        if documented is None:
            continue
        if isinstance(own, property):
            setattr(cls, name, property(own.fget, own.fset, doc=documented.__doc__))
        elif isinstance(own, FunctionType):
            own.__doc__ = documented.__doc__ or own.__doc__
            own.__qualname__ = f"{cls.__qualname__}.{name}"
            setattr(cls, name, own)
