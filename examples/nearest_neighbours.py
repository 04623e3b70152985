# SPDX-License-Identifier: MIT
"""Vectors in LMDB, and which of them are nearest to a question, by looking at all.

    python examples/nearest_neighbours.py [--count 100000] [--dim 128] [PATH]

A snapshot knows where each vector lies, so a block of them is one copy out of the map; numpy
does the rest.  Others may add vectors meanwhile; the next snapshot has them.
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
    """Vectors of length 1 under their names."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    with env.begin(write=True) as txn:
        txn.put_arrays([name.encode() for name in names], vectors / lengths)


def blocks(snapshot: pylmdb.arrays.Snapshot, dim: int) -> Iterator[tuple[int, np.ndarray]]:
    """The number of its first vector, and a block; all have the same memory."""
    memory = np.empty((BLOCK, dim), np.float32)
    for first in range(0, len(snapshot), BLOCK):
        numbers = np.arange(first, min(first + BLOCK, len(snapshot)))
        yield first, snapshot.take(numbers, "f4", (dim,), out=memory[: len(numbers)])


def nearest(
    snapshot: pylmdb.arrays.Snapshot, question: np.ndarray, count: int
) -> list[tuple[str, float]]:
    """The names of the ``count`` vectors with the greatest cosine, and that."""
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
