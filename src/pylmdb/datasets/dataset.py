# SPDX-License-Identifier: MIT
"""Dataset: the samples of LMDB files, by number."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, overload

from .._base.integers import integer
from .._base.keywords import explains_keywords
from .._base.numpy import np
from .._base.words import counted
from .._typing import Generic, SampleT
from ..arrays.gather import row_form
from ..errors import InvalidParameterError, NotFoundError
from ._decoding import Decoder, is_npy, raw_array, resolve_decode
from ._epochs import permutation
from ._shards import Options, Shards, find_environments
from .layouts.pairs import checked_templates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import SupportsIndex, TypeVar

    from numpy.typing import ArrayLike, DTypeLike, NDArray
    from typing_extensions import Self

    from ._decoding import Decode
    from ._shards import Path
    from .layouts import Recognised
    from .layouts.pairs import Pair

    T = TypeVar("T")

# how many samples iteration reads in one lookup
_CHUNK = 64


class Dataset(Generic[SampleT]):
    """The samples of one LMDB file, or of many, by number.

    ``dataset[i]`` is a sample.  ``dataset[i:j:k]`` is a Dataset of some samples; it reads nothing.
    ``dataset[numbers]`` is a list of samples, or one array if ``dtype`` is given.  PyTorch calls
    this a map-style data set; ``__getitems__`` is included, and PyTorch is not needed.

    Several threads may use it at once.  It pickles as paths and options.  Another process, forked
    or not, opens the files when it first uses the Dataset, and reads them as they are then.  Other
    programs may write to the files meanwhile: a sample that was removed raises NotFoundError, and
    only a new Dataset has samples that were added.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> with datasets.Writer("numbers") as writer:
    ...     ordinals = [writer.append(numpy.full(2, number)) for number in range(10)]
    >>> dataset = datasets.Dataset("numbers")
    >>> len(dataset), dataset[3], len(dataset[2:5])
    (10, array([3, 3]), 3)

    :param path: a file or directory as for :class:`pylmdb.Environment`; a directory of such shards,
        or a pattern for :mod:`glob`, both in the order of the names; or a list of these, in the
        order of the list.
    :param layout: how samples are stored: ``"auto"`` to find out; else ``"order"``, ``"ocr"``,
        ``"folder2lmdb"``, ``"basicsr"``, ``"mmsr"``, ``"numbered"``, ``"padded"``,
        ``"integers"``, ``"datum"`` or ``"caffe"``, ``"pairs"`` or ``"plain"``.
    :param pairs: the two keys of each sample, as formats of its number:
        ``("image_%03d", "label_%03d")``.  The samples are in the order of the numbers, which may
        have gaps.  All keys that begin as the formats do are read when the Dataset is made.
    :param decode: how a sample is decoded.  ``"auto"``: the layout and the first value decide.
        ``.npy`` values become arrays; Datum messages ``(array or encoded image, label)``; the OCR
        layout ``(encoded image, text)``; folder2lmdb ``(encoded image, label)``; pairs both of
        their values; all others bytes.  ``"npy"`` and ``"datum"``: in that format.  ``"image"``:
        by pillow, as a uint8 array in the mode of the image, shape (height, width) or
        (height, width, channels), with the label if the layout has one.  None: the bytes of the
        value, or a tuple of them.  A function: its result for a memoryview of the content, which
        shows the memory map and is valid as long as it is referenced.  For pairs it may be a tuple
        of two of these, for the first and the second value: ``("image", "image")``.
    :param transform: a function that is called with each decoded sample and returns the sample.
    :param db: the name of the database; None for the main one.
    :param dtype: the values are the bytes of arrays of this dtype, without headers, or such arrays
        in ``.npy`` format.
    :param shape: of these arrays.
    :param readahead: True to let the system read ahead.  That is faster for reading in key order
        from a disk, and slower for everything else.
    :param lock: False to use no lock file; then no process may write meanwhile.  If the lock file
        cannot be used, and this process can write neither the data file nor its directory, the
        file is read without a lock, with a RuntimeWarning.
    :param max_open: how many shards are open at once in each process, at least 1.
    :raises PathNotFoundError: there is no environment at ``path``.
    :raises InvalidParameterError: a file does not have that layout, or is not an LMDB file; shards
        have different layouts; with ``pairs``, a number has only one of the keys; an argument is
        not accepted.
    """

    @overload
    def __init__(
        self: Dataset[Any],
        path: Path | Sequence[Path],
        layout: str = "auto",
        decode: Decode = "auto",
        transform: None = None,
        db: bytes | None = None,
        *,
        dtype: DTypeLike | None = None,
        shape: int | tuple[int, ...] = (),
        readahead: bool = False,
        lock: bool = True,
        max_open: int = 128,
        pairs: None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Dataset[tuple[Any, Any]],
        path: Path | Sequence[Path],
        layout: str = "auto",
        decode: Decode = "auto",
        transform: None = None,
        db: bytes | None = None,
        *,
        dtype: DTypeLike | None = None,
        shape: int | tuple[int, ...] = (),
        readahead: bool = False,
        lock: bool = True,
        max_open: int = 128,
        pairs: Pair,
    ) -> None: ...
    @overload
    def __init__(
        self: Dataset[T],
        path: Path | Sequence[Path],
        layout: str = "auto",
        decode: Decode = "auto",
        transform: Callable[[Any], T] = ...,
        db: bytes | None = None,
        *,
        dtype: DTypeLike | None = None,
        shape: int | tuple[int, ...] = (),
        readahead: bool = False,
        lock: bool = True,
        max_open: int = 128,
        pairs: Pair | None = None,
    ) -> None: ...
    @explains_keywords
    def __init__(
        self,
        path: Path | Sequence[Path],
        layout: str = "auto",
        decode: Decode = "auto",
        transform: Callable[[Any], Any] | None = None,
        db: bytes | None = None,
        *,
        dtype: DTypeLike | None = None,
        shape: int | tuple[int, ...] = (),
        readahead: bool = False,
        lock: bool = True,
        max_open: int = 128,
        pairs: Pair | None = None,
    ) -> None:
        templates = None if pairs is None else checked_templates(pairs)
        if templates is not None and layout not in ("auto", "pairs"):
            raise InvalidParameterError(
                f"layout is {layout!r} and pairs {pairs!r}; give one of them: pairs= is a layout"
            )
        form = None if dtype is None else row_form("Dataset", dtype, shape)
        if form is not None and decode != "auto":
            raise InvalidParameterError(
                f"decode is {decode!r} and dtype {form[0]}; give one of them: dtype decodes the"
                " values"
            )
        if form is None and shape != ():
            raise InvalidParameterError(f"shape is {shape!r}, but there is no dtype; give both")
        max_open = integer("max_open", max_open)
        if max_open < 1:
            raise InvalidParameterError(f"max_open must be at least 1, not {max_open}")
        options = Options(layout, db, bool(readahead), bool(lock), max_open, templates)
        self._shards = Shards(find_environments(path), options)
        # the numbers of its samples, in all shards
        self._chosen: range | NDArray[Any] = range(len(self._shards))
        self._transform: Callable[[Any], Any] | None = transform
        self._decoder = Decoder(self._shards.sample, None, form)
        first = next(iter(self._raw(np.arange(min(1, len(self))))), (None,))[0]
        # with a dtype: values also have a header
        self._is_npy = form is not None and first is not None and is_npy(first)
        if form is None:
            content, label = resolve_decode(decode, self._shards.sample, first)
            self._decoder = Decoder(self._shards.sample, content, None, label)

    # -- which samples ----------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._chosen)

    def _part(self, chosen: range | NDArray[Any]) -> Self:
        """Return a Dataset of some of the samples."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._chosen = chosen
        return other

    def _numbers(self, ordinals: NDArray[Any]) -> NDArray[Any]:
        """Return the numbers in all shards of samples of this Dataset."""
        chosen = self._chosen
        numbers: NDArray[Any] = (
            ordinals * chosen.step + chosen.start if isinstance(chosen, range) else chosen[ordinals]
        )
        return numbers

    def _ordinals(self, given: ArrayLike) -> NDArray[Any]:
        """Check the argument of ``[]``, and count negative numbers from the end."""
        array = np.asarray(given)
        if array.dtype == np.bool_ and array.shape == (len(self),):
            array = np.flatnonzero(array)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise TypeError(
                f"an index of shape {array.shape} and dtype {array.dtype} is not accepted; give"
                f" integers in one dimension, or {counted(len(self), 'bool')}"
            )
        count = len(self)
        bad = (array < -count) | (array >= count)
        if bad.any():
            raise self._no_sample(array[bad][0])
        array = array.astype(np.int64)
        return np.where(array < 0, array + count, array)

    def _no_sample(self, number: object) -> IndexError:
        return IndexError(
            f"there are {counted(len(self), 'sample')}; sample {number} does not exist"
        )

    def split(self, rank: int, world: int) -> Self:
        """Return the part of one of several workers: every ``world``-th sample.

        Each sample is in one part.  The lengths of parts differ by at most one.

        >>> part = dataset.split(0, 4)     # of the first of four workers
        >>> [int(sample[0]) for sample in part]
        [0, 4, 8]

        :param rank: the number of the worker, from 0 to ``world - 1``.
        :param world: the number of workers.
        :raises InvalidParameterError: ``rank`` is out of range.
        """
        rank, world = integer("rank", rank), integer("world", world)
        if not 0 <= rank < world:
            raise InvalidParameterError(
                f"rank is {rank} and world is {world}; rank must be from 0 to world - 1"
            )
        return self[rank::world]

    def random_split(self, fractions: Sequence[float], seed: int = 0) -> list[Self]:
        """Split the samples into random parts, such as for training and validation.

        >>> training, validation = dataset.random_split([0.8, 0.2], seed=1)
        >>> len(training), len(validation)
        (8, 2)

        :param fractions: the size of each part as a fraction of the samples; they add up to at
            most 1.
        :param seed: the same seed gives the same parts on every machine.
        :raises InvalidParameterError: a fraction is negative, or they add up to more than 1.
        """
        if any(each < 0 for each in fractions) or sum(fractions) > 1 + 1e-9:
            raise InvalidParameterError(
                f"fractions must be at least 0 and add up to at most 1, got {fractions}"
            )
        numbers = self._numbers(permutation(len(self), integer("seed", seed)))
        ends = np.rint(np.cumsum([0.0, *fractions]) * len(self)).astype(int).tolist()
        return [self._part(numbers[begin:end]) for begin, end in pairwise(ends)]

    # -- reading ----------------------------------------------------------------------

    @overload
    def __getitem__(self, number: SupportsIndex) -> SampleT: ...
    @overload
    def __getitem__(self, number: slice) -> Self: ...
    @overload
    def __getitem__(self, number: Sequence[int] | NDArray[Any]) -> Any: ...
    def __getitem__(self, number: Any) -> object:
        """Return a sample; a Dataset for a slice; several samples for numbers or a mask.

        :raises IndexError: there is no sample of this number.
        :raises NotFoundError: the record of the sample was removed.
        """
        if isinstance(number, slice):
            return self._part(self._chosen[number])
        if isinstance(number, (list, tuple, range)) or np.ndim(number):
            return self.__getitems__(number)
        i = integer("the number of a sample", number)
        if not -len(self) <= i < len(self):
            raise self._no_sample(i)
        return self._samples(np.array([i % len(self)]))[0]

    def __getitems__(self, numbers: Sequence[int] | NDArray[Any]) -> Any:
        """Return several samples, read in one lookup per shard.

        :param numbers: integers of shape ``(n,)``; a negative one counts from the end.
        :return: a list; with ``dtype`` and without ``transform``, an array of shape
            ``(n, *shape)``.
        :raises IndexError: there is no sample of a number.
        :raises NotFoundError: the record of a sample was removed.
        """
        ordinals = self._ordinals(numbers)
        if self._decoder.form is not None and self._transform is None:
            return self._array(ordinals, *self._decoder.form)
        return self._samples(ordinals)

    def __iter__(self) -> Iterator[SampleT]:
        for begin in range(0, len(self), _CHUNK):
            yield from self._samples(np.arange(begin, min(begin + _CHUNK, len(self))))

    def keys(self) -> list[bytes]:
        """Return the keys of the samples, in their order.

        A sample of several records has the key of the first one, the image.
        """
        numbers = self._numbers(np.arange(len(self)))
        found: list[bytes] = [b""] * len(numbers)
        for shard, rows, local in self._shards.by_shard(numbers):
            keys = self._shards.recognised(shard).order.keys(local)
            for row, key in zip(np.arange(len(numbers))[rows].tolist(), keys, strict=True):
                found[row] = key
        return found

    def _samples(self, ordinals: NDArray[Any]) -> list[SampleT]:
        decode, transform = self._decoder, self._transform
        values = self._raw(self._numbers(ordinals))
        if transform is None:
            samples: list[Any] = [decode(*each) for each in values]
            return samples
        return [transform(decode(*each)) for each in values]

    def _raw(self, numbers: NDArray[Any]) -> list[tuple[memoryview, ...]]:
        """Return views of the values of samples, by their numbers in all shards."""
        found: list[Any] = [None] * len(numbers)
        for shard, rows, local in self._shards.by_shard(numbers):
            opened, known = self._shards.opened(shard), self._shards.recognised(shard)
            with opened.env.begin(opened.db, buffers=True) as txn:
                columns = [
                    self._present(shard, known, local, part, txn.get_many)
                    for part in range(known.order.parts)
                ]
            samples = zip(*columns, strict=True)
            if isinstance(rows, slice):
                return list(samples)
            for row, sample in zip(rows.tolist(), samples, strict=True):
                found[row] = sample
        return found

    def _present(
        self,
        shard: int,
        known: Recognised,
        local: NDArray[Any],
        part: int,
        get_many: Callable[..., list[Any]],
    ) -> list[memoryview]:
        keys = known.order.keys(local, part)
        values: list[memoryview] = get_many(keys)
        if None in values:
            raise NotFoundError(
                f"{self._shards.paths[shard]!r} has no record {keys[values.index(None)]!r}",  # type: ignore[arg-type]
                hint=f"the layout is {known.layout!r}; layout='plain' reads the keys that exist",
            )
        return values

    def _array(
        self, ordinals: NDArray[Any], dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> NDArray[Any]:
        out: NDArray[Any] = np.empty((len(ordinals), *shape), dtype)
        if self._is_npy:
            for row, (value, *_) in enumerate(self._raw(self._numbers(ordinals))):
                out[row] = raw_array(value, dtype, shape)
            return out
        for shard, rows, local in self._shards.by_shard(self._numbers(ordinals)):
            opened, known = self._shards.opened(shard), self._shards.recognised(shard)
            keys = known.order.keys(local)
            with opened.env.begin(opened.db) as txn:
                if isinstance(rows, slice):
                    txn.take(keys, dtype, shape, out)
                else:
                    out[rows] = txn.take(keys, dtype, shape)
        return out

    # -- files ------------------------------------------------------------------------

    @property
    def paths(self) -> list[str]:
        """The absolute paths of the shards, in their order."""
        return list(self._shards.paths)

    @property
    def layouts(self) -> list[str]:
        """The names of the layouts of the shards, in their order."""
        return list(self._shards.layouts)

    def close(self) -> None:
        """Close the files that this process has open for this Dataset and its parts.

        Reading opens them again.
        """
        self._shards.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        paths = self._shards.paths
        where = repr(paths[0]) if len(paths) == 1 else counted(len(paths), "shard")
        return f"<pylmdb.datasets.Dataset {where} {counted(len(self), 'sample')}>"
