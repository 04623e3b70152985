# SPDX-License-Identifier: MIT
"""Arrays in ``.npz`` archives, read in blocks: the claims of an archive take no memory."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from .._base.numpy import np
from .._base.words import counted
from ..arrays import npy as _npy
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# what the standard library raises for damaged archives
MALFORMED = (
    zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError,
    OverflowError,
)  # fmt: skip
#: the most bytes that a sample may have, unless the caller gives another limit
MAX_SAMPLE = 1 << 30
# the size of a block, in bytes; a block has at least one row
_BLOCK = 8 << 20
# deflate expands one byte to at most 1032
_MAX_RATIO = 1100
# the methods that numpy uses; with others, zipfile can expand a few bytes to gigabytes at once
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the arrays in an archive.

    :raises InvalidParameterError: a member is not an array.
    """
    for name in archive.namelist():
        if not name.endswith(".npy"):
            raise InvalidParameterError(
                f"{name!r} is not an array; the names of arrays in an archive end with .npy"
            )
    return [name[:-4] for name in archive.namelist()]


def check_size(what: str, size: int, limit: int) -> None:
    """Refuse data that would take more memory than the caller allows.

    :raises InvalidParameterError: ``size`` is larger than ``limit``.
    """
    if size > limit:
        raise InvalidParameterError(
            f"{what} has {counted(size, 'byte')}; max_sample allows {limit}",
            hint="give a larger max_sample, if there is memory for it, or name the array as data="
            " to make a sample of each row",
        )


def check_plausible(what: str, size: int, stored: int) -> None:
    """Refuse data that is too large for its compressed size in the file.

    :raises InvalidParameterError: no compression makes ``size`` bytes of ``stored`` bytes.
    """
    if size > _MAX_RATIO * stored + _BLOCK:
        raise InvalidParameterError(
            f"{what} claims {size} bytes of data; the file has {counted(stored, 'byte')} for it,"
            " which is too few"
        )


class Member:
    """An array of an archive.

    :param limit: the most bytes of it that may be in memory at once.
    :ivar shape: of the array.
    :ivar dtype: of the array.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str, limit: int) -> None:
        self._what, self._limit = f"the array {name!r}", limit
        try:
            info = archive.getinfo(f"{name}.npy")
        except KeyError:
            names = ", ".join(sorted(archive.namelist()))
            raise InvalidParameterError(
                f"there is no array {name!r}; the archive has: {names}"
            ) from None
        if info.compress_type not in _METHODS:
            raise InvalidParameterError(
                f"{self._what} is compressed with method {info.compress_type}; accepted are 0"
                " (stored) and 8 (deflated), which numpy writes"
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
                f"{self._what} claims {counted(form.size, 'byte')} of data; the archive has"
                f" {info.file_size}"
            )
        check_plausible(self._what, form.size, info.compress_size)

    def __len__(self) -> int:
        return self.shape[0]

    def whole(self) -> NDArray[Any]:
        """Read the whole array."""
        form = self._form
        check_size(self._what, form.size, self._limit)
        content = self._read(form.size)
        self._file.read(1)  # at the end zipfile compares the checksum
        return np.ndarray(form.shape, form.dtype, content, 0, None, form.order)

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows, reading a block of them at a time."""
        if self._form.order == "F" and len(self.shape) > 1:
            yield from self.whole()  # rows are not contiguous in Fortran order
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
                raise InvalidParameterError(
                    f"{self._what} ends after {len(found)} of {counted(size, 'byte')}"
                )
            found += part
        return found
