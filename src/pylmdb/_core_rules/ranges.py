# SPDX-License-Identifier: MIT
"""The range of the keys that begin with a prefix."""

from __future__ import annotations


def successor(prefix: bytes) -> bytes | None:
    """The smallest key that is greater than every key with ``prefix``; None if there is none."""
    body = prefix.rstrip(b"\xff")
    return body[:-1] + bytes([body[-1] + 1]) if body else None
