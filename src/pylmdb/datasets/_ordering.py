# SPDX-License-Identifier: MIT
"""The order of the samples of a database: which keys each sample has, by its ordinal.

Keys that follow a rule are computed, and nothing is stored for them.  Other keys are listed: in an
array where all have one width, else in a sequence of bytes.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from .._base.numpy import np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray


class Order(ABC):
    """The order of the samples of one database.

    :ivar count: the number of samples.
    :ivar parts: the number of records of each sample.
    """

    count: int
    parts = 1

    @abstractmethod
    def keys(self, ordinals: NDArray[np.int64], part: int = 0) -> list[bytes]:
        """Return the keys of samples.

        :param ordinals: integers from 0 to ``count - 1``, shape ``(n,)``.
        :param part: which record of each sample, from 0 to ``parts - 1``.
        """


class Formatted(Order):
    """Keys that are formatted numbers: ``b"%08d"``, ``b"image-%09d"``.

    :param formats: one for each record of a sample.
    :param start: the first number.
    """

    def __init__(self, count: int, *formats: bytes, start: int = 0) -> None:
        self.count, self.start, self.formats = count, start, formats
        self.parts = len(formats)

    def keys(self, ordinals: NDArray[np.int64], part: int = 0) -> list[bytes]:
        key_format = self.formats[part]
        return [key_format % number for number in (ordinals + self.start).tolist()]


class Numbers(Order):
    """Keys that are formatted numbers, with gaps between the numbers.

    :param numbers: of the samples, int64.
    :param formats: one for each record of a sample.
    """

    def __init__(self, numbers: NDArray[np.int64], *formats: bytes) -> None:
        self.count, self.numbers, self.formats = len(numbers), numbers, formats
        self.parts = len(formats)

    def keys(self, ordinals: NDArray[np.int64], part: int = 0) -> list[bytes]:
        key_format = self.formats[part]
        return [key_format % number for number in self.numbers[ordinals].tolist()]


class Integers(Order):
    """Keys that are consecutive integers of one dtype."""

    def __init__(self, count: int, start: int, dtype: DTypeLike) -> None:
        self.count, self.start, self.dtype = count, start, np.dtype(dtype)

    def keys(self, ordinals: NDArray[np.int64], part: int = 0) -> list[bytes]:
        numbers = ordinals.astype(np.uint64) + np.uint64(self.start)
        return _elements(numbers.astype(self.dtype))


class Listed(Order):
    """Keys in a list, stored as an array where all have one width.

    :ivar table: an array of dtype ``V<width>``, shape ``(count,)``; or a sequence of bytes.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.count = len(keys)
        self.table: NDArray[np.void] | Sequence[bytes] = keys
        widths = {*map(len, keys)}
        if len(widths) == 1 and widths != {0}:
            self.table = np.frombuffer(b"".join(keys), f"V{widths.pop()}")

    def keys(self, ordinals: NDArray[np.int64], part: int = 0) -> list[bytes]:
        if isinstance(self.table, np.ndarray):
            return _elements(self.table[ordinals])
        return [self.table[i] for i in ordinals.tolist()]


def _elements(array: NDArray[Any]) -> list[bytes]:
    """Return the bytes of each element.  Zeros at the end of an element are kept."""
    read = io.BytesIO(array.tobytes()).read
    return [read(array.itemsize) for _ in range(len(array))]
