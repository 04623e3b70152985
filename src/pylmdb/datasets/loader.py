# SPDX-License-Identifier: MIT
"""Loader: a data set in batches, prepared ahead by threads."""

from __future__ import annotations

import os
from _operator import index
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

from .._base.numpy import np
from ..errors import ForkedError, InvalidParameterError
from ._collating import CollatedBatches, Failed, choose_batches
from ._epochs import block_permutation, part_of_rank, permutation
from .dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import SupportsIndex

    from numpy.typing import NDArray

_SHUFFLES = (False, True, "blocks")


class Loader:
    """A :class:`Dataset` in batches, which threads prepare ahead.

    ``for batch in loader`` is one epoch; the next loop is the next one.  A batch is

    - an array of shape ``(batch_size, *shape)`` where all samples are arrays of one form: with the
      Dataset's ``dtype``, or of ``.npy`` values, and without ``transform``.  A batch is then
      nothing but copying, without the GIL, from one snapshot of each shard.  Its memory is its
      own for as long as anything refers to it, and then that of a later batch.  Where a sample
      lies is noted when it is first read, in 8 bytes;
    - a pair of such an array and one of labels, int64, where they are pixels with labels in Caffe's
      Datum values;
    - else what ``collate`` makes of the list of samples, which the threads read, decode and
      transform; they run at the same time as far as decoding lets go of the GIL.

    The order of samples is a function of ``seed``, epoch, ``rank`` and ``world``.  A loop that is
    left early leaves no thread and no snapshot behind.  What goes wrong in a thread is raised where
    the batch is asked for.

    :param dataset: what to read.
    :param batch_size: how many samples a batch has.
    :param shuffle: True for another random order of all samples in each epoch; ``"blocks"`` for one
        that a disk can follow: samples change places within some blocks of neighbours only,
        and the blocks theirs.
    :param seed: of the random order.
    :param prefetch: how many batches are prepared ahead of the one in use, at least; 0 to prepare
        each when it is asked for, without a thread.
    :param threads: how many batches are prepared at once.
    :param drop_last: True to leave out the last batch if it is smaller.
    :param rank: which of ``world`` workers this is.  Each gets other samples, and as many:
        with ``drop_last`` some at the end of the order are left out, else some from its
        beginning come twice.
    :param world: how many workers share each epoch.
    :param collate: a function of the list of samples of a batch.  Left out, arrays of one
        shape are stacked, numbers become an array, tuples and dicts are collated by element,
        and other samples are a list.
    :param block_size: with ``shuffle="blocks"``: how many neighbours are a block.
    :param mixed_blocks: and in how many blocks they change places.
    :raises InvalidParameterError: an argument is out of range.
    :raises TypeError: ``dataset`` is something else.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        shuffle: bool | str = False,
        seed: int = 0,
        prefetch: int = 2,
        threads: int = 1,
        drop_last: bool = False,
        *,
        rank: int = 0,
        world: int = 1,
        collate: Callable[[list[Any]], Any] | None = None,
        block_size: int = 256,
        mixed_blocks: int = 16,
    ) -> None:
        if not isinstance(dataset, Dataset):
            raise TypeError(f"a Loader reads a Dataset, not {type(dataset).__name__}")
        if shuffle not in _SHUFFLES:
            raise InvalidParameterError(f"shuffle must be True, False or 'blocks', not {shuffle!r}")
        self._dataset, self._collate = dataset, collate
        self._shuffle = shuffle if shuffle == "blocks" else bool(shuffle)
        self._drop_last = bool(drop_last)
        self._batch_size = _checked("batch_size", batch_size, 1)
        self._seed = _checked("seed", seed, 0)
        self._prefetch = _checked("prefetch", prefetch, 0)
        self._threads = _checked("threads", threads, 1)
        self._world = _checked("world", world, 1)
        self._rank = _checked("rank", rank, 0, self._world - 1)
        self._blocks = (
            _checked("block_size", block_size, 1),
            _checked("mixed_blocks", mixed_blocks, 1),
        )
        # epoch and batch: where the last loop is, and where the next one begins
        self._at = self._next = (0, 0)

    # -- what comes -------------------------------------------------------------------

    @property
    def dataset(self) -> Dataset:
        """What is read."""
        return self._dataset

    def _count(self) -> int:
        """How many samples an epoch has for this worker."""
        count, world = len(self._dataset), self._world
        return count // world if self._drop_last else -(-count // world)

    def __len__(self) -> int:
        """How many batches an epoch has."""
        count, size = self._count(), self._batch_size
        return count // size if self._drop_last else -(-count // size)

    def _order(self, epoch: int) -> NDArray[Any]:
        """The ordinals of this worker's samples in an epoch."""
        count = len(self._dataset)
        if self._shuffle == "blocks":
            order = block_permutation(count, *self._blocks, self._seed, epoch)
        elif self._shuffle:
            order = permutation(count, self._seed, epoch)
        else:
            order = np.arange(count)
        if self._world == 1:
            return order
        return part_of_rank(order, self._rank, self._world, self._drop_last)

    def __iter__(self) -> Iterator[Any]:
        """The batches of the next epoch, or of the rest of one that was resumed."""
        epoch, begin = self._at = self._next
        self._next = (epoch + 1, 0)
        return self._run(epoch, begin)

    def _run(self, epoch: int, begin: int) -> Iterator[Any]:
        order, total, pid = self._order(epoch), len(self), os.getpid()
        kept = max(self._prefetch, self._threads) + 2
        batches = choose_batches(self._dataset, self._batch_size, self._collate, kept)
        prepare = self._prefetched if self._prefetch else _on_demand
        with closing(prepare(batches, order, begin, total)) as found:
            for batch in found:
                if isinstance(batch, Failed):
                    raise batch.problem
                begin += 1
                self._at = (epoch, begin)
                yield batch
                if os.getpid() != pid:
                    raise ForkedError("a loop of a Loader belongs to the process that began it")
        self._at = (epoch + 1, 0)

    def _prefetched(
        self, batches: CollatedBatches, order: NDArray[Any], begin: int, total: int
    ) -> Generator[Any, None, None]:
        """The batches, prepared by threads: a few at a time where they are small."""
        step = batches.batches_per_task
        ahead = max(-(-self._prefetch // step), self._threads)
        waiting: deque[Future[list[Any]]] = deque()
        starts = iter(range(begin, total, step))
        pool = ThreadPoolExecutor(self._threads, "pylmdb-loader")
        try:
            while True:
                for start in starts:
                    stop = min(start + step, total)
                    waiting.append(pool.submit(batches.load, order, start, stop))
                    if len(waiting) > ahead:
                        break
                if not waiting:
                    return
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    # -- where it is ------------------------------------------------------------------

    def set_epoch(self, epoch: int) -> None:
        """Make the next loop this epoch, from its first batch; the first epoch is 0."""
        self._at = self._next = (_checked("epoch", epoch, 0), 0)

    def _settings(self) -> dict[str, Any]:
        """What the order of batches depends on."""
        return {
            "samples": len(self._dataset), "batch_size": self._batch_size,
            "shuffle": self._shuffle, "blocks": list(self._blocks), "seed": self._seed,
            "drop_last": self._drop_last, "rank": self._rank, "world": self._world,
        }  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Where the last loop is: which epoch, and how many of its batches were handed out.

        What threads have prepared beyond that does not count.  It is plain data, for JSON, say.
        """
        epoch, batch = self._at
        return {"epoch": epoch, "batch": batch, **self._settings()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the next loop go on behind the batches that had been handed out when
        :meth:`state_dict` said so, in whatever process.

        :raises InvalidParameterError: that Loader had another order of batches; the message says
            how it differs.
        """
        state = dict(state)
        epoch, batch = (state.pop(name, None) for name in ("epoch", "batch"))
        wanted = self._settings()
        other = [name for name in {**wanted, **state} if wanted.get(name) != state.get(name)]
        if other:
            raise InvalidParameterError(
                "the state is of a Loader with "
                + ", ".join(
                    f"{name}={state.get(name)!r}, not {wanted.get(name)!r}" for name in other
                )
            )
        self._at = self._next = (
            _checked("epoch", epoch, 0), _checked("batch", batch, 0, len(self)),
        )  # fmt: skip


def _on_demand(
    batches: CollatedBatches, order: NDArray[Any], begin: int, total: int
) -> Generator[Any, None, None]:
    """The batches, each prepared when it is asked for."""
    for k in range(begin, total):
        yield from batches.load(order, k, k + 1)


def _checked(name: str, value: SupportsIndex, least: int, most: int | None = None) -> int:
    number = int(index(value))
    if number < least or (most is not None and number > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise InvalidParameterError(f"{name} must be {bounds}, not {number}")
    return number
