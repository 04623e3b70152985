# SPDX-License-Identifier: MIT
"""numpy, which only the array methods need: they import it when they are first used."""

from __future__ import annotations

try:
    import numpy as np
except ImportError as problem:
    raise ImportError("pylmdb's array methods need numpy: pip install 'pylmdb[numpy]'") from problem

__all__ = ["np"]
