# SPDX-License-Identifier: MIT
"""Calls of C: what the transactions and cursors of the cffi core share."""

from __future__ import annotations

from typing import Any

from .._base.buffers import as_buffer
from .._core_rules.refusals import refusal


class NotReady:
    """Stands for the engine's ``ffi`` and ``lib`` in an object that was not begun or opened."""

    def __init__(self, why: str) -> None:
        """
        :param why: the name of the refusal that any use of it raises.
        """
        self._why = why

    def __getattr__(self, name: str) -> Any:
        raise refusal(self._why)


# Functions of plain.h that take a database and a key: their name, the function of liblmdb that a
# message names, the code that is an answer and not a failure, and whether it writes.
_KEYED = {
    "get": ("pylmdb_get", "mdb_get", "MDB_NOTFOUND", False),
    "nearest": ("pylmdb_nearest", "mdb_cursor_get", "MDB_NOTFOUND", False),
    "put": ("pylmdb_put", "mdb_put", "MDB_KEYEXIST", True),
    "put_if": ("pylmdb_put_if", "mdb_put", "MDB_KEYEXIST", True),
    "del": ("pylmdb_del", "mdb_del", "MDB_NOTFOUND", True),
}
_keyed_functions: dict[Any, dict[str, tuple[Any, str, int, bool]]] = {}


def keyed_functions(lib: Any) -> dict[str, tuple[Any, str, int, bool]]:
    """Return the functions of an engine that take a database and a key, by their names without
    ``pylmdb_``.  Each is looked up in ``lib`` once, because that takes a thousand instructions."""
    found = _keyed_functions.get(lib)
    if found is None:
        found = _keyed_functions[lib] = {
            name: (getattr(lib, function), what, getattr(lib, answer), writes)
            for name, (function, what, answer, writes) in _KEYED.items()
        }
    return found


class Caller:
    """Calls functions of an engine."""

    _lib: Any
    _ffi: Any

    __slots__ = ("_ffi", "_lib")

    def _raw(self, name: str, value: Any) -> tuple[Any, int]:
        """Return the address and size of a key or value."""
        buffer = as_buffer(name, value)
        return self._ffi.from_buffer(buffer), len(buffer)

    def _raw_or_null(self, name: str, value: Any) -> tuple[Any, int]:
        """The same; NULL for None."""
        return (self._ffi.NULL, 0) if value is None else self._raw(name, value)

    def _copied(self, raw: tuple[Any, int]) -> bytes | None:
        """Return a copy of a key that was sought, for a message; None for NULL."""
        address, size = raw
        if type(address) is bytes:
            return address
        return self._ffi.buffer(address, size)[:] if address else None

    def _refuse(self, name: Any, *values: object) -> None:
        """Raise the refusal that a function of ``rules.h`` has returned, unless it is NULL."""
        if name:
            raise refusal(self._ffi.string(name).decode(), *values)


def take_keys(operation: str, keys: Any) -> list[bytes | memoryview]:
    """Return the keys of a batch; refuse one key, whose bytes would be taken for keys."""
    if type(keys) in (bytes, str) and keys:
        raise refusal("keys are one key", operation, type(keys))
    return [as_buffer("key", key) for key in keys]
