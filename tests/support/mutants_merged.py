# SPDX-License-Identifier: MIT
"""Run whole-file operations on a damaged file: they raise, or the result is healthy."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from mutants import refused

import pylmdb


def sound(path: Path) -> None:
    report = pylmdb.verify(path)
    assert report.ok, str(report)


def attempt(folder: Path, dest: Path, write: Callable[[Path], object]) -> None:
    """Assert that the result is sound, or that nothing was written."""
    had = dest.read_bytes() if dest.exists() else None
    try:
        with refused():
            write(dest)
            sound(dest)
            return
    finally:
        assert not [name for name in os.listdir(folder) if "partial" in name]
    if had is None:
        assert not dest.exists() or pylmdb.verify(dest).ok
    else:
        sound(dest)


def run(path: Path, rng: Random) -> None:
    """Merge, convert, dump and load a damaged file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        other, text = folder / "other", folder / "text"
        with pylmdb.open(other, subdir=False, lib_version=rng.randrange(2)) as env:
            db = env.open_db(b"plain")
            with env.begin(write=True) as txn:
                for i in range(0, 300, 3):
                    txn.put(b"key%04d" % i, b"of the other", db=db)
        sources = [path, other] if rng.random() < 0.5 else [other, path]
        choice = rng.choice(["error", "first", "last"])
        attempt(folder, folder / "new", lambda to: pylmdb.merge(sources, to, choice))
        attempt(folder, folder / "to0", lambda to: pylmdb.convert(path, to, 0))
        attempt(folder, folder / "to1", lambda to: pylmdb.convert(path, to, 1))
        attempt(folder, other, lambda to: pylmdb.merge([path], to, choice))
        with refused():
            pylmdb.dump(path, text, overwrite=True, printable=rng.random() < 0.5)
        if text.exists():
            attempt(folder, folder / "loaded", lambda to: pylmdb.load(text, to, subdir=False))
        with refused():
            pylmdb.merge([other], path, choice)
