# SPDX-License-Identifier: MIT
"""Find the vectors that are nearest to a given one, by comparing it with all of them.

    python examples/nearest_neighbours.py [--count 100000] [--dim 128] [PATH]

A snapshot has the address of each vector, so reading a block of vectors is one call that copies
them; numpy compares them.  Other processes may add vectors meanwhile; the next snapshot has them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator

import numpy as np

import pylmdb

BLOCK = 8192


def store(env: pylmdb.Environment, names: list[str], vectors: np.ndarray) -> None:
    """Scale the vectors to length 1, and store them under their names."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    with env.begin(write=True) as txn:
        txn.put_arrays([name.encode() for name in names], vectors / lengths)


def blocks(snapshot: pylmdb.arrays.Snapshot, dim: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield blocks of vectors, each with the number of its first one; all use the same memory."""
    memory = np.empty((BLOCK, dim), np.float32)
    for first in range(0, len(snapshot), BLOCK):
        numbers = np.arange(first, min(first + BLOCK, len(snapshot)))
        yield first, snapshot.take(numbers, "f4", (dim,), out=memory[: len(numbers)])


def nearest(
    snapshot: pylmdb.arrays.Snapshot, question: np.ndarray, count: int
) -> list[tuple[str, float]]:
    """Return the names and cosines of the ``count`` vectors with the greatest cosines."""
    question = (question / np.linalg.norm(question)).astype(np.float32)
    best = np.full(count, -np.inf, np.float32)
    numbers = np.zeros(count, np.int64)
    for first, block in blocks(snapshot, len(question)):
        cosines = np.concatenate([best, block @ question])
        found = np.argpartition(-cosines, count)[:count] if len(cosines) > count else slice(None)
        all_numbers = np.concatenate([numbers, np.arange(first, first + len(block))])
        best, numbers = cosines[found], all_numbers[found]
    keys = snapshot.keys()
    order = [i for i in np.argsort(-best) if np.isfinite(best[i])]
    return [(bytes(keys[numbers[i]]).decode(), float(best[i])) for i in order]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128)
    args = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder, pylmdb.open(args.path or folder) as env:
        vectors = rng.standard_normal((args.count, args.dim), np.float32)
        store(env, [f"vector-{i:07d}" for i in range(args.count)], vectors)
        question = vectors[args.count // 2] + 0.1 * rng.standard_normal(args.dim, np.float32)
        begin = time.perf_counter()
        snapshot = env.snapshot()
        found = nearest(snapshot, question, 3)
        seconds = time.perf_counter() - begin
        for name, cosine in found:
            print(f"{name} {cosine:.3f}")
        print(f"{len(snapshot):,} vectors compared in {seconds * 1000:.0f} ms")


if __name__ == "__main__":
    main()
