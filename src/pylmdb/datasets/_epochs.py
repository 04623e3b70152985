# SPDX-License-Identifier: MIT
"""The order of samples in an epoch, as a function of seed, epoch and rank.

A permutation sorts the raw numbers of a bit generator.  numpy promises that these are the same in
all versions, and does not promise that of ``Generator.permutation``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .._base.numpy import np

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    # a slice of it is an array of ordinals
    Ordinals: TypeAlias = "NDArray[Any] | EndlessOrder"

# the orders of epochs that an endless order keeps: a batch that wraps needs two
_KEPT_EPOCHS = 3


def _random_numbers(count: int, *seed: int) -> NDArray[Any]:
    generator = np.random.PCG64(np.random.SeedSequence(seed))
    numbers: NDArray[Any] = generator.random_raw(count)
    return numbers


def permutation(count: int, *seed: int) -> NDArray[Any]:
    """Return the numbers from 0 to ``count - 1`` in random order, int64."""
    return _random_numbers(count, *seed).argsort(kind="stable")


def random_ordinal(count: int, seed: int) -> int:
    """Return a number from 0 to ``count - 1``."""
    return int(_random_numbers(1, seed, 0, 2)[0]) % count


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


class EndlessOrder:
    """The order of one of several workers in a sequence of epochs, one after another.

    The workers share the sequence: its elements go to them in turn.  ``order[begin:end]`` is an
    array of ordinals, int64.

    :param order_of: returns the order of all samples in an epoch.
    :param count: the number of samples, at least 1.
    :param begin: the element at which the sequence begins, counted from epoch 0 on.
    """

    def __init__(
        self, order_of: Callable[[int], NDArray[Any]], count: int, begin: int, rank: int, world: int
    ) -> None:
        self._order_of = lru_cache(_KEPT_EPOCHS)(order_of)
        self._count, self._begin, self._world = count, begin + rank, world

    def epoch(self, element: int) -> int:
        """Return the epoch of an element."""
        return (element * self._world + self._begin) // self._count

    def __getitem__(self, part: slice) -> NDArray[Any]:
        at = np.arange(part.start, part.stop, dtype=np.int64) * self._world + self._begin
        epochs, within = np.divmod(at, self._count)
        for epoch in np.unique(epochs).tolist():
            where = epochs == epoch
            within[where] = self._order_of(epoch)[within[where]]
        return within
