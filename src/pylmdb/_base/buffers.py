# SPDX-License-Identifier: MIT
"""What is accepted as a key or value: bytes, or any object that has some."""

from __future__ import annotations

from .._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def as_buffer(name: str, value: Any) -> bytes | memoryview:
    """``value`` as bytes or a C-contiguous buffer; its bytes are what is stored."""
    if type(value) is bytes:
        return value
    if isinstance(value, str):
        raise TypeError(f"{name} must be bytes, not str; use {name}.encode()")
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(
            f"{name} must be bytes or another buffer, not {type(value).__name__}"
        ) from None
    return view.cast("B") if view.nbytes and view.c_contiguous else view.tobytes()


def freeze_bytes(name: str, value: Any) -> bytes:
    """Return a copy of a key or value, which later changes of its buffer do not affect."""
    return bytes(as_buffer(name, value))
