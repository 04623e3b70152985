# SPDX-License-Identifier: MIT
"""A cache of features that rebuilds itself: what has changed is computed again, the rest is read.

    python examples/feature_cache.py FOLDER [--cache PATH]

Each file's entry is an array, and beside it what the file was when it was computed.  A new version
of the function, or of the file, makes it old; files that are gone lose theirs.  Any number of
threads and processes may use one cache: whoever comes first computes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import pylmdb

# to be raised when histogram() changes
VERSION = 1


def histogram(path: Path) -> np.ndarray:
    """How often each byte occurs in a file."""
    return np.bincount(np.fromfile(path, np.uint8), minlength=256).astype(np.uint32)


class Cache:
    """Features of files, in one environment."""

    def __init__(self, path: str | Path, compute: Callable[[Path], np.ndarray], version: int):
        self.env = pylmdb.open(path)
        self.features = self.env.open_db(b"features")
        self.origins = self.env.open_db(b"origins")
        self.compute, self.version = compute, version

    def origin(self, path: Path) -> bytes:
        """What the feature of a file depends on."""
        found = path.stat()
        return b"%d %d %d" % (self.version, found.st_size, found.st_mtime_ns)

    def get(self, path: Path) -> tuple[np.ndarray, bool]:
        """The feature of a file, and whether it had to be computed."""
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
        """Make the cache that of these files; how many were computed, and dropped."""
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
