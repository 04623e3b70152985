# SPDX-License-Identifier: MIT
"""Keys and values: bytes, or any other object with the buffer protocol."""

from __future__ import annotations

from .._typing import TYPE_CHECKING
from .causes import raised_in_python

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .._aliases import BytesLike, CData


def as_buffer(name: str, value: Any) -> bytes | memoryview:
    """Return ``value`` as bytes or a C-contiguous buffer.

    :param name: of the argument, for messages.
    :raises TypeError: it is a str, or not a buffer.
    """
    if type(value) is bytes:
        return value
    if isinstance(value, str):
        raise TypeError(f"{name} must be bytes, not str; use {name}.encode()")
    try:
        view = memoryview(value)
    except TypeError as failure:
        if raised_in_python(failure):
            raise
        raise TypeError(
            f"{name} must be bytes or another buffer, not {type(value).__name__}"
        ) from None
    return view.cast("B") if view.nbytes and view.c_contiguous else view.tobytes()


def freeze_bytes(name: str, value: BytesLike) -> bytes:
    """Return a copy of a key or value, which later changes of its buffer do not affect."""
    return bytes(as_buffer(name, value))


def pack_keys(ffi: CData, keys: Sequence[bytes | memoryview]) -> tuple[Any, ...]:
    """Return a ``struct pylmdb_keys *`` of keys, and the objects that it points to."""
    joined = b"".join(keys)
    ends, end = ffi.new("size_t[]", len(keys) + 1), 0
    for i, key in enumerate(keys):
        end += len(key)
        ends[i] = end
    data = ffi.from_buffer(joined)
    fields = {"bytes": data, "ends": ends, "count": len(keys), "width": 0}
    return ffi.new("struct pylmdb_keys *", fields), data, ends


def short_repr(key: bytes) -> str:
    """Return the repr of a key or a name; of a long one only the first 64 bytes."""
    return repr(key) if len(key) <= 64 else f"{key[:64]!r}..."
