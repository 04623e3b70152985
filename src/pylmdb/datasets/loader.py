# SPDX-License-Identifier: MIT
"""Loader: a data set in batches, which threads prefetch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

from .._base.integers import integer
from .._base.keywords import explains_keywords
from .._base.numpy import np
from .._base.words import counted
from .._typing import BatchT, Generic, overload
from ..errors import ForkedError, InvalidParameterError
from ._collating import CollatedBatches, Failed, choose_batches
from ._epochs import EndlessOrder, block_permutation, part_of_rank, permutation, random_ordinal
from .dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Literal, SupportsIndex, TypeVar

    from numpy.typing import NDArray

    from ._epochs import Ordinals

    S = TypeVar("S")
    T = TypeVar("T")

_SHUFFLES = (False, True, "blocks")
# the number of batches of a Loader that repeats
_ENDLESS = 1 << 62


class Loader(Generic[BatchT]):
    """A :class:`Dataset` in batches, which threads prefetch.

    ``for batch in loader`` is one epoch; the next loop is the next epoch.  A batch is

    - an array of shape ``(batch_size, *shape)``, if all samples are arrays of one dtype and shape:
      with the Dataset's ``dtype``, or of ``.npy`` values, and without ``transform``.  Such a batch
      is copied from one snapshot of each shard, and the GIL is released.  Its memory is reused
      for a later batch when nothing refers to it any more.  The address of a sample is stored when
      the sample is first read, in 8 bytes;
    - a pair of such an array and an array of labels, int64, shape ``(batch_size,)``, if the values
      are Datum messages of pixels with labels;
    - else the result of ``collate`` for the list of samples.  Threads read, decode and transform
      them; they run in parallel where decoding releases the GIL.

    The order of samples is a function of ``seed``, epoch, ``rank`` and ``world``.  A loop that is
    left early keeps no thread and no snapshot.  An exception in a thread is raised by the
    loop, in place of the batch.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> with datasets.Writer("numbers") as writer:
    ...     ordinals = [writer.append(numpy.full(2, number)) for number in range(10)]
    >>> loader = datasets.Loader(datasets.Dataset("numbers"), 4, shuffle=True, seed=1)
    >>> [batch.shape for batch in loader]
    [(4, 2), (4, 2), (2, 2)]

    :param dataset: the Dataset to read.
    :param batch_size: how many samples a batch has, at least 1.
    :param shuffle: True for another random order in each epoch.  ``"blocks"`` for a random order
        with fewer seeks on a disk: blocks of neighbours are shuffled, and then the samples within
        groups of blocks.
    :param seed: of the random order, at least 0.
    :param prefetch: how many batches, at least, are prepared before they are asked for.  0 prepares
        each batch when it is asked for, without threads.
    :param threads: how many threads prepare batches.
    :param drop_last: True to leave out the last batch if it is smaller.
    :param rank: the number of this worker, from 0 to ``world - 1``.  All workers get the same
        number of samples: with ``drop_last``, samples at the end of the order are left out; without
        it, samples from its beginning are repeated.
    :param world: how many workers share each epoch.
    :param collate: a function that makes a batch of a list of samples.  None: arrays of one shape
        and dtype are stacked, numbers become an array, tuples and dicts are collated by element,
        and other samples stay a list.
    :param block_size: with ``shuffle="blocks"``, how many neighbours are a block.
    :param mixed_blocks: with ``shuffle="blocks"``, how many blocks are a group.
    :param repeat: True for a loop without an end, as Caffe's data layer reads: the epochs follow
        each other, and a batch may have the last samples of one and the first of the next.  All
        batches are full.  Another loop goes on after the batches of the last one.  Workers share
        the sequence: its samples go to them in turn, and none is repeated or left out.  The loader
        has no length.
    :param skip: with ``repeat``, how many samples to skip before the first batch; ``"random"`` for
        a random number of them, by the seed, as ``rand_skip`` of Caffe.
    :raises InvalidParameterError: an argument is out of range.
    :raises TypeError: ``dataset`` is not a Dataset.
    """

    # pickles of earlier versions have none
    _repeat, _skip = False, 0

    @overload
    def __init__(
        self: Loader[Any],
        dataset: Dataset[Any],
        batch_size: int,
        shuffle: bool | str = False,
        seed: int = 0,
        prefetch: int = 2,
        threads: int = 1,
        drop_last: bool = False,
        *,
        rank: int = 0,
        world: int = 1,
        collate: None = None,
        block_size: int = 256,
        mixed_blocks: int = 16,
        repeat: bool = False,
        skip: int | Literal["random"] = 0,
    ) -> None: ...
    @overload
    def __init__(
        self: Loader[T],
        dataset: Dataset[S],
        batch_size: int,
        shuffle: bool | str = False,
        seed: int = 0,
        prefetch: int = 2,
        threads: int = 1,
        drop_last: bool = False,
        *,
        rank: int = 0,
        world: int = 1,
        collate: Callable[[list[S]], T],
        block_size: int = 256,
        mixed_blocks: int = 16,
        repeat: bool = False,
        skip: int | Literal["random"] = 0,
    ) -> None: ...
    @explains_keywords
    def __init__(
        self,
        dataset: Dataset[Any],
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
        repeat: bool = False,
        skip: int | Literal["random"] = 0,
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
        self._repeat = bool(repeat)
        self._skip = self._checked_skip(skip)
        # (epoch, batch) that the last loop has reached, and with which the next one begins; if it
        # repeats, the epoch is the one that it began with, and batches are counted from there on
        self._at = self._next = (0, 0)

    def _checked_skip(self, skip: int | str) -> int:
        """Return how many samples are skipped.

        :raises InvalidParameterError: ``skip`` or ``repeat`` is not accepted.
        """
        if self._repeat and not len(self._dataset):
            raise InvalidParameterError(
                "the Dataset has no samples, and repeat=True repeats them without an end"
            )
        if skip != 0 and not self._repeat:
            raise InvalidParameterError(
                f"skip is {skip!r}, which needs repeat=True",
                hint="Loader(dataset[n:], ...) leaves out the first n samples of each epoch",
            )
        if not isinstance(skip, str):
            return _checked("skip", skip, 0)
        if skip != "random":
            raise InvalidParameterError(f"skip must be a number or 'random', not {skip!r}")
        return random_ordinal(len(self._dataset), self._seed)

    # -- batches ----------------------------------------------------------------------

    @property
    def dataset(self) -> Dataset[Any]:
        """The Dataset that it reads."""
        return self._dataset

    def _count(self) -> int:
        """Return the number of samples of this worker in an epoch."""
        count, world = len(self._dataset), self._world
        return count // world if self._drop_last else -(-count // world)

    def __len__(self) -> int:
        """Return the number of batches in an epoch.

        :raises TypeError: the loader repeats, so its batches have no end.
        """
        if self._repeat:
            raise TypeError("a Loader with repeat=True has no length: its batches have no end")
        count, size = self._count(), self._batch_size
        return count // size if self._drop_last else -(-count // size)

    def __bool__(self) -> bool:
        """Return True if there are batches."""
        return self._repeat or len(self) > 0

    def _order_of_all(self, epoch: int) -> NDArray[Any]:
        """Return the ordinals of all samples in an epoch."""
        count = len(self._dataset)
        if self._shuffle == "blocks":
            return block_permutation(count, *self._blocks, self._seed, epoch)
        return permutation(count, self._seed, epoch) if self._shuffle else np.arange(count)

    def _order(self, epoch: int) -> Ordinals:
        """Return the ordinals of this worker's samples in an epoch, or from it on."""
        if self._repeat:
            count = len(self._dataset)
            begin = epoch * count + self._skip
            return EndlessOrder(self._order_of_all, count, begin, self._rank, self._world)
        order = self._order_of_all(epoch)
        if self._world == 1:
            return order
        return part_of_rank(order, self._rank, self._world, self._drop_last)

    def __iter__(self) -> Iterator[BatchT]:
        """Iterate over the batches of the next epoch, or of the rest of a resumed one; with
        ``repeat``, over all that follow."""
        epoch, begin = self._at = self._next
        if not self._repeat:
            self._next = (epoch + 1, 0)
        return self._run(epoch, begin)

    def _run(self, epoch: int, begin: int) -> Iterator[BatchT]:
        order, pid = self._order(epoch), os.getpid()
        total = _ENDLESS if self._repeat else len(self)
        kept = max(self._prefetch, self._threads) + 2
        batches = choose_batches(self._dataset, self._batch_size, self._collate, kept, self._repeat)
        prepare = self._prefetched if self._prefetch else _on_demand
        with closing(prepare(batches, order, begin, total)) as found:
            for batch in found:
                if isinstance(batch, Failed):
                    raise batch.problem
                begin += 1
                self._at = (epoch, begin)
                if self._repeat:
                    self._next = self._at
                yield batch
                if os.getpid() != pid:
                    raise ForkedError(
                        "this loop over a Loader belongs to the parent process",
                        hint="begin another loop here",
                    )
        self._at = (epoch + 1, 0)

    def _prefetched(
        self, batches: CollatedBatches, order: Ordinals, begin: int, total: int
    ) -> Generator[Any, None, None]:
        """Yield batches that threads prepare.  A thread prepares several small ones at a time."""
        step = batches.batches_per_task
        tasks = max(-(-self._prefetch // step), self._threads)
        waiting: deque[Future[list[Any]]] = deque()
        starts = iter(range(begin, total, step))
        pool = ThreadPoolExecutor(self._threads, "pylmdb-loader")
        try:
            while True:
                for start in starts:
                    stop = min(start + step, total)
                    waiting.append(pool.submit(batches.load, order, start, stop))
                    if len(waiting) > tasks:
                        break
                if not waiting:
                    return
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def __repr__(self) -> str:
        epoch, batch = self._at
        count = "endless" if self._repeat else len(self)
        return (
            f"<pylmdb.datasets.Loader {counted(count, 'batch')} of {self._batch_size}, epoch"
            f" {epoch}, batch {batch}, of {self._dataset!r}>"
        )

    # -- position ---------------------------------------------------------------------

    def set_epoch(self, epoch: int) -> None:
        """Begin the next loop with the first batch of an epoch.  The first epoch is 0."""
        self._at = self._next = (_checked("epoch", epoch, 0), 0)

    def _settings(self) -> dict[str, Any]:
        """Return the settings that the order of batches depends on."""
        return {
            "samples": len(self._dataset), "batch_size": self._batch_size,
            "shuffle": self._shuffle, "blocks": list(self._blocks), "seed": self._seed,
            "drop_last": self._drop_last, "rank": self._rank, "world": self._world,
            **({"repeat": True, "skip": self._skip} if self._repeat else {}),
        }  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the last loop: its epoch, and how many batches it has yielded.

        Prefetched batches do not count.  The dict holds plain data, and can be stored as JSON.
        """
        epoch, batch = self._at
        return {"epoch": epoch, "batch": batch, **self._settings()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the next loop after the batches that another loop had yielded.

        :param state: the result of :meth:`state_dict`, of this process or of another one.
        :raises InvalidParameterError: the state is of a Loader with other settings; the message
            names them.
        """
        state = dict(state)
        epoch, batch = (state.pop(name, None) for name in ("epoch", "batch"))
        own = self._settings()
        other = [name for name in {**own, **state} if own.get(name) != state.get(name)]
        if other:
            raise InvalidParameterError(
                "the state is of a Loader with "
                + ", ".join(f"{name}={state.get(name)!r}, not {own.get(name)!r}" for name in other)
            )
        self._at = self._next = (
            _checked("epoch", epoch, 0),
            _checked("batch", batch, 0, _ENDLESS if self._repeat else len(self)),
        )  # fmt: skip


def _on_demand(
    batches: CollatedBatches, order: Ordinals, begin: int, total: int
) -> Generator[Any, None, None]:
    """Yield batches, each prepared when it is asked for."""
    for k in range(begin, total):
        yield from batches.load(order, k, k + 1)


def _checked(name: str, value: SupportsIndex, least: int, most: int | None = None) -> int:
    number = integer(name, value)
    if number < least or (most is not None and number > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise InvalidParameterError(f"{name} must be {bounds}, not {number}")
    return number
