# SPDX-License-Identifier: MIT
"""Unpack an sdist so that a compiler that looks at times compiles only what has changed."""

from __future__ import annotations

import filecmp
import os
import shutil
import tarfile
from pathlib import Path


def unpack(sdist: Path, folder: Path) -> None:
    """Make ``folder`` hold the files of the sdist, and what an earlier build left in build/.

    Files that have not changed keep their times, so what was compiled from them is used again.
    """
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    with tarfile.open(sdist) as tar:
        tar.extractall(fresh, filter="data")
    (top,) = fresh.iterdir()
    for old in sorted(folder.rglob("*"), reverse=True):
        relative = old.relative_to(folder)
        if relative.parts[0] != "build" and not (top / relative).exists():
            old.rmdir() if old.is_dir() else old.unlink()
    for new in sorted(top.rglob("*")):
        target = folder / new.relative_to(top)
        if new.is_file() and not (target.is_file() and filecmp.cmp(new, target, shallow=False)):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(new, target)
            os.utime(target)
    shutil.rmtree(fresh)
