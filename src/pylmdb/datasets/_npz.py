# SPDX-License-Identifier: MIT
"""Arrays in ``.npz`` archives, read by the block: the memory that they take does not depend on
what the archive claims."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from .._base.numpy import np
from ..arrays import npy as _npy
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# what the standard library raises for archives that are damaged
MALFORMED = (
    zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError,
    OverflowError,
)  # fmt: skip
#: the most bytes that a sample may have, where the caller does not say
MAX_SAMPLE = 1 << 30
# so many bytes are read at once, at least a row
_BLOCK = 8 << 20
# deflate makes at most 1032 bytes of one
_MAX_RATIO = 1100
# what numpy writes; the others can make gigabytes of the few bytes that zipfile hands over
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """The names of the arrays."""
    for name in archive.namelist():
        if not name.endswith(".npy"):
            raise InvalidParameterError(f"{name!r} is not an array; names in an .npz end in .npy")
    return [name[:-4] for name in archive.namelist()]


def check_size(what: str, size: int, limit: int) -> None:
    """Refuse what would take more memory than the caller allows.

    :raises InvalidParameterError: it would.
    """
    if size > limit:
        raise InvalidParameterError(
            f"{what} has {size} bytes, and max_sample allows {limit}",
            hint="give a larger max_sample, which is taken in memory, or name the array as data="
            " to make a sample of each row",
        )


def check_plausible(what: str, size: int, there: int) -> None:
    """Refuse data that cannot come out of as many bytes as the file has for it.

    :raises InvalidParameterError: it cannot.
    """
    if size > _MAX_RATIO * there + _BLOCK:
        raise InvalidParameterError(
            f"{what} claims {size} bytes of data, and the file has {there} bytes for it"
        )


class Member:
    """An array of an archive.

    :param limit: how many bytes of it may be in memory at once.
    :ivar shape: of the array.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str, limit: int) -> None:
        self._what, self._limit = f"the array {name!r}", limit
        try:
            info = archive.getinfo(f"{name}.npy")
        except KeyError:
            there = ", ".join(sorted(archive.namelist()))
            raise InvalidParameterError(f"there is no array {name!r}; there are: {there}") from None
        if info.compress_type not in _METHODS:
            raise InvalidParameterError(
                f"{self._what} is compressed with method {info.compress_type}; numpy stores"
                " arrays (0) or deflates them (8)"
            )
        self._file = archive.open(info)
        self._start = self._file.read(_npy.MAX_HEADER)
        try:
            form = _npy.form_of(memoryview(self._start))
        except InvalidParameterError as problem:
            raise InvalidParameterError(f"{name!r}: {problem}") from problem
        self._form, self.shape, self.dtype = form, form.shape, form.dtype
        self._start = self._start[form.header :]
        if form.header + form.size > info.file_size:
            raise InvalidParameterError(
                f"{self._what} claims {form.size} bytes of data, and {info.file_size} are there"
            )
        check_plausible(self._what, form.size, info.compress_size)

    def __len__(self) -> int:
        return self.shape[0]

    def whole(self) -> NDArray[Any]:
        """The array."""
        form = self._form
        check_size(self._what, form.size, self._limit)
        content = self._read(form.size)
        self._file.read(1)  # at the end its checksum is compared
        return np.ndarray(form.shape, form.dtype, content, 0, None, form.order)

    def __iter__(self) -> Iterator[Any]:
        """Its rows, a block of them in memory at once."""
        if self._form.order == "F" and len(self.shape) > 1:
            yield from self.whole()  # the elements of a row are far from each other
            return
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        check_size(f"a row of {self._what}", size, self._limit)
        step = max(1, _BLOCK // max(size, 1))
        for begin in range(0, len(self), step):
            count = min(step, len(self) - begin)
            block = self._read(count * size)
            yield from np.ndarray((count, *self.shape[1:]), self.dtype, block)
        self._file.read(1)

    def _read(self, size: int) -> bytearray:
        found = bytearray(self._start[:size])
        self._start = self._start[size:]
        while len(found) < size:
            part = self._file.read(min(size - len(found), _BLOCK))
            if not part:
                raise InvalidParameterError(f"{self._what} ends after {len(found)} of {size} bytes")
            found += part
        return found
