# SPDX-License-Identifier: MIT
"""Where and with what a benchmark ran."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any

import lmdb

import pylmdb


def machine() -> dict[str, Any]:
    """What figures depend on, to be stored with them."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [text for text in cpuinfo.read_text().splitlines() if "model name" in text]
        model = models[0].partition(":")[2].strip() if models else model
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": model,
        "processors": os.cpu_count(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "pylmdb": pylmdb.__version__,
        "pylmdb_liblmdb": ".".join(map(str, pylmdb.version())),
        "py_lmdb": lmdb.__version__,
        "py_lmdb_liblmdb": ".".join(map(str, lmdb.version())),
    }
