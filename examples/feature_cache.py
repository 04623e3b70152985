# SPDX-License-Identifier: MIT
"""Keep features of files in a cache: compute those of changed files again, read the others.

    python examples/feature_cache.py FOLDER [--cache PATH]

A feature is an array.  Its origin is stored beside it: the version of the function, and the size
and time of the file.  A feature whose origin has changed is computed again, and features of files
that no longer exist are deleted.  Any number of threads and processes may use one cache.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import pylmdb

# Raise this when histogram() changes.
VERSION = 1


def histogram(path: Path) -> np.ndarray:
    """Count how often each byte occurs in a file."""
    return np.bincount(np.fromfile(path, np.uint8), minlength=256).astype(np.uint32)


class Cache:
    """Features of files, in one environment."""

    def __init__(self, path: str | Path, compute: Callable[[Path], np.ndarray], version: int):
        self.env = pylmdb.open(path)
        self.features = self.env.open_db(b"features")
        self.origins = self.env.open_db(b"origins")
        self.compute, self.version = compute, version

    def origin(self, path: Path) -> bytes:
        """Return the version, size and time that the feature of a file depends on."""
        found = path.stat()
        return b"%d %d %d" % (self.version, found.st_size, found.st_mtime_ns)

    def get(self, path: Path) -> tuple[np.ndarray, bool]:
        """Return the feature of a file, and whether it was computed now."""
        key, origin = str(path).encode(), self.origin(path)
        with self.env.begin() as txn:
            if txn.get(key, db=self.origins) == origin:
                return txn.get_array(key, db=self.features), False
        feature = self.compute(path)
        with self.env.begin(write=True) as txn:
            txn.put_array(key, feature, db=self.features)
            txn.put(key, origin, db=self.origins)
        return feature, True

    def update(self, paths: Iterable[Path]) -> tuple[int, int]:
        """Bring the cache up to date; return how many features were computed and deleted."""
        paths = [*paths]
        with ThreadPoolExecutor() as pool:
            computed = sum(was_computed for _, was_computed in pool.map(self.get, paths))
        known = {str(path).encode() for path in paths}
        with self.env.begin(write=True) as txn:
            gone = [key for key in txn.range(values=False, db=self.origins) if key not in known]
            for key in gone:
                txn.delete(key, db=self.origins)
                txn.delete(key, db=self.features)
        return computed, len(gone)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", default="feature-cache")
    args = parser.parse_args(argv)
    cache = Cache(args.cache, histogram, VERSION)
    files = sorted(path for path in args.folder.rglob("*") if path.is_file())
    computed, dropped = cache.update(files)
    read = len(files) - computed
    print(f"{len(files)} files: {computed} computed, {read} read, {dropped} dropped")
    cache.env.close()


if __name__ == "__main__":
    main()
