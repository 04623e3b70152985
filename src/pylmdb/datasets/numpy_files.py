# SPDX-License-Identifier: MIT
"""numpy's files into data sets, and out of them again: ``.npz`` archives, and ``.npy`` files or
plain ones as memory maps."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from .. import arrays
from .._ends import Owner
from .._numpy import np
from ..errors import InvalidParameterError
from ._beside import beside
from ._exporting import Exported, as_array, key_text, label_array
from .writer import Writer

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..tools._progress import Progress
    from ._exporting import Path, Source

__all__ = ["from_memmap", "from_npz", "to_memmap", "to_npz"]

_MALFORMED = (
    zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError,
    OverflowError,
)  # fmt: skip


def from_npz(
    source: Path,
    path: Path,
    *,
    data: str | None = None,
    labels: str | None = None,
    progress: Progress = None,
    **options: Any,
) -> int:
    """The arrays of an ``.npz`` archive as samples.

    Without ``data`` each array is a sample, its name the key.

    :param source: the archive, as ``numpy.savez`` and ``savez_compressed`` write it.  Pickled
        objects in it are refused.
    :param data: the name of an array whose rows are the samples.
    :param labels: the name of one with their labels.
    :param options: those of :class:`Writer`; ``layout="datum"``, for instance, keeps labels.
    :return: how many samples were written.
    :raises InvalidParameterError: it is no such archive, or has no array of that name.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            if data is not None:
                found = None if labels is None else _member(archive, labels)
                return append_rows(path, _member(archive, data), found, progress, options)
            names = [_stem(name) for name in archive.namelist()]
            with Writer(path, progress=progress, total=len(names), **options) as writer:
                for name in names:
                    writer.append(_member(archive, name), name=name)
            return len(names)
    except _MALFORMED as problem:
        raise InvalidParameterError(f"{os.fspath(source)!r} is no .npz: {problem}") from problem


def _stem(name: str) -> str:
    if not name.endswith(".npy"):
        raise InvalidParameterError(f"{name!r} is no array; all names in an .npz end in .npy")
    return name[:-4]


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    try:
        content = archive.read(f"{name}.npy")
    except KeyError:
        there = ", ".join(sorted(archive.namelist()))
        raise InvalidParameterError(f"there is no array {name!r}; there are: {there}") from None
    try:
        return arrays.loads(content)
    except InvalidParameterError as problem:
        raise InvalidParameterError(f"{name!r}: {problem}") from problem


def append_rows(
    path: Path, data: Any, labels: Any, progress: Progress, options: dict[str, Any]
) -> int:
    """Write the rows of an array, and what a second one says of them."""
    if data.ndim == 0 or (labels is not None and labels.shape[:1] != data.shape[:1]):
        raise InvalidParameterError(
            f"there must be rows, and as many labels, not shapes {data.shape} and"
            f" {getattr(labels, 'shape', None)}"
        )
    with Writer(path, progress=progress, total=len(data), **options) as writer:
        for number, row in enumerate(data):
            writer.append(np.asarray(row), None if labels is None else _label(labels[number]))
    return len(data)


def _label(label: Any) -> Any:
    """A label as Python has it: a number of one element, or text."""
    if np.size(label) != 1:
        raise InvalidParameterError(f"a label is one number or text, not {label!r}")
    value = np.asarray(label).item()
    return value.decode() if isinstance(value, bytes) else value


def to_npz(
    source: Source,
    dest: Path,
    *,
    data: str | None = None,
    labels: str | None = None,
    compress: bool = False,
    progress: Progress = None,
) -> int:
    """Samples as an ``.npz`` archive, which ``numpy.load`` reads.

    Without ``data`` each sample, an array, is an array of the archive, its key the name.
    No more than one sample is in memory at once.

    :param source: the path of a data set, or a :class:`Dataset`.
    :param dest: the file to write; it is replaced when the new one is whole.
    :param data: the name of one array with all samples as rows.
    :param labels: the name of one with their labels.
    :param compress: True to compress, which takes time.
    :return: how many samples were written.
    :raises InvalidParameterError: a sample is no array; or, for rows, is unlike the first one.
    """
    if labels is not None and data is None:
        raise InvalidParameterError("labels belong to rows: give data a name, too")
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with (
        Exported(source, progress) as exported,
        beside(os.fspath(dest)) as new,
        open(new, "wb") as file,
        _Archive(file, method) as target,
    ):
        archive = target.archive
        if data is None:
            _write_members(archive, exported)
        else:
            with archive.open(f"{data}.npy", "w", force_zip64=True) as member:
                found = exported.rows(member.write)
            if labels is not None:
                archive.writestr(f"{labels}.npy", arrays.dumps(label_array(found)))
        archive.close()
        return len(exported)


class _Archive(Owner):
    """An archive that is written, and dropped unless it was closed: to close one with an open
    member raises another exception than the one that has struck."""

    def __init__(self, file: Any, method: int) -> None:
        self.archive = zipfile.ZipFile(file, "w", method)

    def end(self) -> None:
        if hasattr(self, "archive"):
            self.archive.fp = None  # without its file there is nothing to close


def _write_members(archive: zipfile.ZipFile, exported: Exported) -> None:
    for number, (key, value, _) in enumerate(exported.named()):
        name = key_text(key, "name")
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            member.write(arrays.dumps(as_array(value, number)))


def from_memmap(
    source: Path,
    path: Path,
    *,
    labels: Path | None = None,
    dtype: DTypeLike | None = None,
    shape: tuple[int, ...] | None = None,
    headers: bool = True,
    progress: Progress = None,
    **options: Any,
) -> int:
    """The rows of an array in a file, which is mapped into memory and not read as a whole.

    :param source: a ``.npy`` file; with ``dtype``, a file of mere elements.
    :param labels: a ``.npy`` file with the labels of the rows.
    :param dtype: of a file of mere elements.
    :param shape: of it; what the file has, in one dimension, by default.
    :param headers: False to store the mere elements of each row, for
        ``Dataset(path, dtype=, shape=)`` and ``take``; else each is a ``.npy`` value.
    :param options: those of :class:`Writer`.
    :return: how many samples were written.
    :raises InvalidParameterError: it is no such file; the numbers of rows and labels differ.
    """
    found = None if labels is None else _mapped(labels, None, None)
    data = _mapped(source, dtype, shape)
    if headers:
        return append_rows(path, data, found, progress, options)
    if labels is not None or options.get("layout", "plain") not in ("plain", "numbered"):
        raise InvalidParameterError("headers=False is for samples that have no labels")
    with Writer(path, progress=progress, total=len(data), **options) as writer:
        for row in data:
            writer.append(row.tobytes())
    return len(data)


def _mapped(source: Path, dtype: Any, shape: Any) -> Any:
    name = os.fspath(source)
    try:
        if dtype is not None:
            return np.memmap(name, dtype, "r", 0, shape)
        found = np.load(name, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, *_MALFORMED) as problem:
        raise InvalidParameterError(f"{name!r} cannot be mapped: {problem}") from problem
    if not isinstance(found, np.ndarray):
        found.close()
        raise InvalidParameterError(f"{name!r} is an archive; from_npz() reads it")
    return found


def to_memmap(
    source: Source, dest: Path, *, labels: Path | None = None, progress: Progress = None
) -> int:
    """Samples, arrays of one dtype and shape, as the rows of a ``.npy`` file, which
    ``numpy.load(dest, mmap_mode="r")`` maps.

    :param source: the path of a data set, or a :class:`Dataset`.
    :param dest: the file to write; it is replaced when the new one is whole.
    :param labels: a ``.npy`` file to write the labels to.
    :return: how many samples were written.
    :raises InvalidParameterError: a sample is no array, or is unlike the first one.
    """
    with Exported(source, progress) as exported:
        with beside(os.fspath(dest)) as new, open(new, "wb") as file:
            found = exported.rows(file.write)
        if labels is not None:
            with beside(os.fspath(labels)) as new, open(new, "wb") as file:
                file.write(arrays.dumps(label_array(found)))
        return len(exported)
