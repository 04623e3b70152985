# SPDX-License-Identifier: MIT
"""Orders: which keys the samples of a database have, by ordinal.

Where keys follow a rule they are computed and nothing is kept; else they are listed, in an
array where they have one width.
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
    """The samples of one database.

    :ivar count: how many there are.
    :ivar parts: how many records make a sample.
    """

    count: int
    parts = 1

    @abstractmethod
    def keys(self, ordinals: NDArray[Any], part: int = 0) -> list[bytes]:
        """The keys of samples whose ordinals are between 0 and ``count - 1``."""


class Formatted(Order):
    """Keys made from numbers: ``b"%08d"``, ``b"image-%09d"``.

    :param formats: one for each record of a sample.
    :param start: the first number.
    """

    def __init__(self, count: int, *formats: bytes, start: int = 0) -> None:
        self.count, self.start, self.formats = count, start, formats
        self.parts = len(formats)

    def keys(self, ordinals: NDArray[Any], part: int = 0) -> list[bytes]:
        text = self.formats[part]
        return [text % number for number in (ordinals + self.start).tolist()]


class Integers(Order):
    """Keys that are integers of one dtype, one behind the other."""

    def __init__(self, count: int, start: int, dtype: DTypeLike) -> None:
        self.count, self.start, self.dtype = count, start, np.dtype(dtype)

    def keys(self, ordinals: NDArray[Any], part: int = 0) -> list[bytes]:
        return _rows((ordinals.astype(np.uint64) + np.uint64(self.start)).astype(self.dtype))


class Listed(Order):
    """Keys in a table: an array of one width, or a sequence of bytes."""

    def __init__(self, table: NDArray[Any] | Sequence[bytes]) -> None:
        self.count, self.table = len(table), table

    def keys(self, ordinals: NDArray[Any], part: int = 0) -> list[bytes]:
        if isinstance(self.table, np.ndarray):
            return _rows(self.table[ordinals])
        return [self.table[i] for i in ordinals.tolist()]


def _rows(array: NDArray[Any]) -> list[bytes]:
    """The bytes of each element, zeros at its end included."""
    read = io.BytesIO(array.tobytes()).read
    return [read(array.itemsize) for _ in range(len(array))]
