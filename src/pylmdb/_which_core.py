# SPDX-License-Identifier: MIT
"""Which core this process has: chosen once, when pylmdb is imported, because the public
classes stand on it."""

from __future__ import annotations

import os
import sys

_HERE = ("c", "cffi") if sys.implementation.name == "cpython" else ("cffi",)
NAME = os.environ.get("PYLMDB_CORE") or _HERE[0]
if NAME not in _HERE:
    raise ImportError(f"PYLMDB_CORE={NAME}: there is no such core here; it can be {' or '.join(_HERE)}")
IS_C = NAME == "c"
