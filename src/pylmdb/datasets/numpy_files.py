# SPDX-License-Identifier: MIT
"""numpy's files into data sets, and out of them again: ``.npz`` archives, and ``.npy`` files or
plain ones as memory maps."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, Any

from .. import arrays
from .._base.new_files import publish_file, replacing
from .._base.numpy import np
from .._base.owners import Owner
from ..arrays import npy as _npy
from ..arrays.npy import check_extent
from ..errors import InvalidParameterError
from ._exporting import Exported, as_array, key_text, label_array
from ._npz import MALFORMED, MAX_SAMPLE, Member, array_names
from ._signatures import WriterOptions, accepts
from .layouts import layout_of
from .writer import Writer

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import DTypeLike, NDArray
    from typing_extensions import Unpack

    from ..tools.progress import Progress
    from ._exporting import Path, Source

__all__ = ["from_memmap", "from_npz", "to_memmap", "to_npz"]


@accepts(WriterOptions, Writer)
def from_npz(
    source: Path,
    path: Path,
    *,
    data: str | None = None,
    labels: str | None = None,
    layout: str = "plain",
    max_sample: int = MAX_SAMPLE,
    progress: Progress = None,
    **options: Unpack[WriterOptions],
) -> int:
    """The arrays of an ``.npz`` archive as samples.

    Without ``data`` each array is a sample, its name the key.  No more than a sample, or with
    ``data`` some rows, is in memory at once, beside what the Writer gathers.

    :param source: the archive, as ``numpy.savez`` and ``savez_compressed`` write it.  Pickled
        objects in it are refused.
    :param data: the name of an array whose rows are the samples.
    :param labels: the name of one with their labels.
    :param layout: see :class:`Writer`; ``"datum"``, for instance, keeps labels.
    :param max_sample: how many bytes a sample may have.
    :param options: further ones for the Writer.
    :return: how many samples were written.
    :raises InvalidParameterError: it is no such archive, or has no array of that name; a sample is
        larger than ``max_sample``.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            if data is not None:
                found = None if labels is None else Member(archive, labels, max_sample)
                rows = Member(archive, data, max_sample)
                return append_rows(path, rows, found, progress, layout, options)
            names = array_names(archive)
            with Writer(
                path, progress=progress, total=len(names), layout=layout, **options
            ) as writer:
                for name in names:
                    writer.append(Member(archive, name, max_sample).whole(), name=name)
            return len(names)
    except MALFORMED as problem:
        raise InvalidParameterError(f"{os.fspath(source)!r} is not an .npz: {problem}") from problem


def append_rows(
    path: Path,
    data: Any,
    labels: Any,
    progress: Progress,
    layout: str,
    options: WriterOptions,
) -> int:
    """Write the rows of an array, and what a second one says of them.

    Both have a shape, and are iterated over once.
    """
    if not data.shape or (labels is not None and labels.shape[:1] != data.shape[:1]):
        raise InvalidParameterError(
            f"there must be rows, and as many labels, not shapes {data.shape} and"
            f" {getattr(labels, 'shape', None)}"
        )
    check_extent("the array", data.dtype, data.shape)
    total = data.shape[0]
    with Writer(path, progress=progress, total=total, layout=layout, **options) as writer:
        if labels is None:
            for row in data:
                writer.append(np.asarray(row))
        else:
            for row, label in zip(data, labels, strict=True):
                writer.append(np.asarray(row), _label(label))
    return int(total)


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
        replacing(dest) as new,
        _Archive(new, method) as target,
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

    def __init__(self, file: BinaryIO, method: int) -> None:
        self.archive = zipfile.ZipFile(file, "w", method)

    def end(self) -> None:
        if hasattr(self, "archive"):
            self.archive.fp = None  # without its file there is nothing to close


def _write_members(archive: zipfile.ZipFile, exported: Exported) -> None:
    for number, (key, value, _) in enumerate(exported.named()):
        name = key_text(key, "name")
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            member.write(arrays.dumps(as_array(value, number)))


@accepts(WriterOptions, Writer)
def from_memmap(
    source: Path,
    path: Path,
    *,
    labels: Path | None = None,
    dtype: DTypeLike | None = None,
    shape: tuple[int, ...] | None = None,
    headers: bool = True,
    layout: str = "plain",
    progress: Progress = None,
    **options: Unpack[WriterOptions],
) -> int:
    """The rows of an array in a file, which is mapped into memory and not read as a whole.

    :param source: a ``.npy`` file; with ``dtype``, a file of mere elements.
    :param labels: a ``.npy`` file with the labels of the rows.
    :param dtype: of a file of mere elements.
    :param shape: of it; what the file has, in one dimension, by default.
    :param headers: False to store the mere elements of each row, for
        ``Dataset(path, dtype=, shape=)`` and ``take``; else each is a ``.npy`` value.
    :param layout: see :class:`Writer`.
    :param options: further ones for the Writer.
    :return: how many samples were written.
    :raises InvalidParameterError: it is no such file; the numbers of rows and labels differ.
    """
    found = None if labels is None else _mapped(labels, None, None)
    data = _mapped(source, dtype, shape)
    if headers:
        return append_rows(path, data, found, progress, layout, options)
    if labels is not None or layout_of(layout).stores != "any":
        raise InvalidParameterError("headers=False is for samples that have no labels")
    check_extent("the array", data.dtype, data.shape)
    with Writer(path, progress=progress, total=len(data), layout=layout, **options) as writer:
        for row in data:
            writer.append(row.tobytes())
    return len(data)


def _mapped(source: Path, dtype: DTypeLike | None, shape: tuple[int, ...] | None) -> NDArray[Any]:
    name = os.fspath(source)
    try:
        if dtype is not None:
            return np.memmap(name, dtype, "r", 0, shape)
        with open(name, "rb") as file:
            start, size = file.read(_npy.MAX_HEADER), os.fstat(file.fileno()).st_size
        if start.startswith(b"PK"):
            raise InvalidParameterError("it is an archive; from_npz() reads it")
        form = _npy.form_of(memoryview(start))
        if form.header + form.size > size:
            raise InvalidParameterError(
                f"its header asks for {form.size} bytes of data, and {size - form.header} follow"
            )
        if not form.size:
            return np.zeros(form.shape, form.dtype)
        return np.memmap(name, form.dtype, "r", form.header, form.shape, form.order)
    except (ValueError, ZeroDivisionError) as problem:
        raise InvalidParameterError(f"{name!r} cannot be mapped: {problem}") from problem


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
        with replacing(dest) as file:
            found = exported.rows(file.write)
        if labels is not None:
            publish_file(labels, arrays.dumps(label_array(found)))
        return len(exported)
