# SPDX-License-Identifier: MIT
"""The order of samples in an epoch, as a function of seed, epoch and rank.

A permutation sorts the raw numbers of a bit generator.  numpy promises that these are the same in
all versions, and does not promise that of ``Generator.permutation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._base.numpy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _random_numbers(count: int, *seed: int) -> NDArray[Any]:
    generator = np.random.PCG64(np.random.SeedSequence(seed))
    numbers: NDArray[Any] = generator.random_raw(count)
    return numbers


def permutation(count: int, *seed: int) -> NDArray[Any]:
    """Return the numbers from 0 to ``count - 1`` in random order, int64."""
    return _random_numbers(count, *seed).argsort(kind="stable")


def block_permutation(count: int, block: int, mixed: int, *seed: int) -> NDArray[Any]:
    """Return the numbers from 0 to ``count - 1`` in a random order that needs few seeks.

    Blocks of ``block`` consecutive numbers are shuffled.  Then numbers are shuffled within groups
    of ``mixed`` blocks.
    """
    runs = -(-count // block)
    order = (permutation(runs, *seed, 0)[:, None] * block + np.arange(block)).reshape(-1)
    order = order[order < count]
    groups = np.arange(count) // (block * mixed)
    numbers: NDArray[Any] = order[np.lexsort((_random_numbers(count, *seed, 1), groups))]
    return numbers


def part_of_rank(order: NDArray[Any], rank: int, world: int, drop_last: bool) -> NDArray[Any]:
    """Return the part of one of ``world`` workers.  All parts have the same length.

    With ``drop_last`` the end of ``order`` is left out; without it, its beginning is repeated.
    """
    each = len(order) // world if drop_last else -(-len(order) // world)
    return np.resize(order, each * world)[rank::world] if len(order) else order
