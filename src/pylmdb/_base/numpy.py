# SPDX-License-Identifier: MIT
"""numpy for the array methods, which import it when they are first used."""

from __future__ import annotations

try:
    import numpy as np
except ImportError as problem:
    raise ImportError("pylmdb's array methods need numpy: pip install 'pylmdb[numpy]'") from problem

# numpy's table of C functions
try:
    from numpy._core.multiarray import _ARRAY_API as TABLE
except ImportError:
    # numpy 1; basedpyright takes this for an assignment to a Final name of numpy's stub
    from numpy.core.multiarray import (
        _ARRAY_API as TABLE,  # pyright: ignore[reportGeneralTypeIssues]
    )

__all__ = ["TABLE", "np"]
