# SPDX-License-Identifier: MIT
"""Import and export files of numpy: ``.npz`` archives, and memory maps of ``.npy`` or raw files."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, Any

from .. import arrays
from .._base.integers import BYTES, integer
from .._base.keywords import explains_keywords
from .._base.numpy import np
from .._base.owners import Owner
from .._base.words import counted
from .._core_rules.system_errors import open_to_read
from .._shared.output_files import check_output, output
from ..arrays import npy as _npy
from ..arrays.npy import check_extent
from ..errors import InvalidParameterError
from ._exporting import Exported, as_array, key_text, label_array
from ._npz import MALFORMED, MAX_SAMPLE, Member, array_names
from ._signatures import WriterOptions, accepts, nothing_in
from .layouts import layout_of
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, Protocol

    from numpy.typing import ArrayLike, DTypeLike, NDArray
    from typing_extensions import Unpack

    from .._base.progress import Progress
    from ._exporting import Path, Source

    class RowSource(Protocol):
        """Rows of one dtype and shape: an array, or what reads one from a file."""

        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def dtype(self) -> np.dtype[Any]: ...
        def __iter__(self) -> Iterator[Any]: ...


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
    **options: Unpack[WriterOptions],
) -> int:
    """Import the arrays of an ``.npz`` archive as samples.

    Without ``data`` each array is a sample, and its name is the key.  One sample at a time is in
    memory, or with ``data`` some rows, besides the batch of the Writer.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> numpy.savez("arrays.npz", images=numpy.zeros((5, 8, 8)), labels=numpy.arange(5))
    >>> datasets.from_npz("arrays.npz", "packed", data="images")
    5

    :param source: the archive, as ``numpy.savez`` or ``savez_compressed`` writes it.  Pickled
        objects in it are refused.
    :param path: the file or directory to write.
    :param data: the name of an array, shape ``(n, ...)``, whose rows are the samples.
    :param labels: the name of an array of their labels, shape ``(n,)``.
    :param layout: how samples are stored; see :class:`Writer`.  ``"datum"`` stores labels.
    :param max_sample: the most bytes that a sample may have.
    :param options: further options of :class:`Writer`.
    :return: the number of samples that were written.
    :raises InvalidParameterError: it is not such an archive; it has no array of that name; the
        numbers of rows and labels differ; a sample is larger than ``max_sample``.
    """
    max_sample = integer("max_sample", max_sample, BYTES)
    try:
        with open_to_read("from_npz", source) as file, zipfile.ZipFile(file) as archive:
            if data is not None:
                found = None if labels is None else Member(archive, labels, max_sample)
                rows = Member(archive, data, max_sample)
                return append_rows("from_npz", source, path, rows, found, layout, options)
            names = array_names(archive)
            if not names:
                raise nothing_in("from_npz", source, "arrays")
            with Writer(path, total=len(names), layout=layout, **options) as writer:
                for name in names:
                    writer.append(Member(archive, name, max_sample).whole(), name=name)
            return len(names)
    except MALFORMED as problem:
        raise InvalidParameterError(
            f"{os.fspath(source)!r} is not a valid .npz archive: {problem}"
        ) from problem


def append_rows(
    operation: str,
    source: Path,
    path: Path,
    data: RowSource,
    labels: RowSource | None,
    layout: str,
    options: WriterOptions,
) -> int:
    """Write the rows of an array as samples, with labels from another array.

    Each is iterated over once.

    :param operation: the function that was called, for messages, and so is ``source``.
    """
    if not data.shape or (labels is not None and labels.shape[:1] != data.shape[:1]):
        raise InvalidParameterError(
            f"data has shape {data.shape} and labels {getattr(labels, 'shape', None)}; data must"
            " have rows, and labels as many elements"
        )
    check_extent("the array", data.dtype, data.shape)
    total = data.shape[0]
    if not total:
        raise nothing_in(operation, source, "rows")
    with Writer(path, total=total, layout=layout, **options) as writer:
        if labels is None:
            for row in data:
                writer.append(np.asarray(row))
        else:
            for row, label in zip(data, labels, strict=True):
                writer.append(np.asarray(row), _label(label))
    return int(total)


def _label(label: ArrayLike) -> int | str:
    """Return a label as a number or text of Python."""
    if np.size(label) != 1:
        raise InvalidParameterError(f"a label is {label!r:.80}; it must be one number or text")
    value: bytes | int | str = np.asarray(label).item()
    return value.decode() if isinstance(value, bytes) else value


@explains_keywords
def to_npz(
    source: Source,
    dest: Path,
    *,
    data: str | None = None,
    labels: str | None = None,
    compress: bool = False,
    overwrite: bool = False,
    progress: Progress = None,
) -> int:
    """Export samples, which are arrays, to an ``.npz`` archive; ``numpy.load`` reads it.

    Without ``data`` each sample is an array of the archive, and its key is the name.  One sample
    at a time is in memory.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> with datasets.Writer("numbers") as writer:
    ...     ordinals = [writer.append(numpy.full(2, number)) for number in range(10)]
    >>> datasets.to_npz("numbers", "arrays.npz", data="numbers")
    10
    >>> numpy.load("arrays.npz")["numbers"].shape
    (10, 2)

    :param source: the path of a data set, or a :class:`Dataset`.
    :param dest: the file to write.  It appears when it is complete.
    :param data: the name of one array for all samples, shape ``(n, *shape)``.
    :param labels: with ``data``, the name of an array for the labels, shape ``(n,)``.
    :param compress: True to compress the archive, which takes time.
    :param overwrite: True to replace a file that exists.
    :param progress: as for :class:`Writer`.
    :return: the number of samples that were written.
    :raises PathExistsError: the file exists, and ``overwrite`` is False.
    :raises InvalidParameterError: a sample is not an array; with ``data``, its dtype or shape is
        not that of the first sample; with ``labels``, a sample has no label.
    """
    if labels is not None and data is None:
        raise InvalidParameterError(f"labels={labels!r} needs data=, the name of the rows")
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with (
        Exported(source, progress) as exported,
        output("to_npz", dest, bool(overwrite)) as new,
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
    """An archive that is written.  Its end drops it, unless it was closed.

    After an exception it must not be closed: with an open member that raises another one.
    """

    def __init__(self, file: BinaryIO, method: int) -> None:
        self.archive = zipfile.ZipFile(file, "w", method)

    def end(self) -> None:
        if hasattr(self, "archive"):
            self.archive.fp = None  # then the archive's finalizer writes nothing


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
    **options: Unpack[WriterOptions],
) -> int:
    """Import the rows of an array in a file.  The file is memory-mapped, not read as a whole.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> numpy.save("rows.npy", numpy.zeros((5, 8)))
    >>> datasets.from_memmap("rows.npy", "packed", headers=False)
    5

    :param source: a ``.npy`` file; with ``dtype``, a raw file of elements without a header.
    :param path: the file or directory to write.
    :param labels: a ``.npy`` file of the labels of the rows, shape ``(n,)``.
    :param dtype: of a raw file.
    :param shape: of a raw file; None for all its elements, in one dimension.
    :param headers: False to store the elements of each row without a header, for
        ``Dataset(path, dtype=, shape=)`` and ``take``.  True to store rows in ``.npy`` format.
    :param layout: how samples are stored; see :class:`Writer`.
    :param options: further options of :class:`Writer`.
    :return: the number of samples that were written.
    :raises InvalidParameterError: it is not such a file; the numbers of rows and labels differ;
        ``headers=False`` is given with labels, or with a layout of other values.
    """
    found = None if labels is None else _mapped(labels, None, None)
    data = _mapped(source, dtype, shape)
    if headers:
        return append_rows("from_memmap", source, path, data, found, layout, options)
    if labels is not None or layout_of(layout).stores != "any":
        raise InvalidParameterError(
            f"headers=False needs labels=None and the layout 'plain' or 'numbered', got"
            f" labels={labels!r} and layout={layout!r}"
        )
    check_extent("the array", data.dtype, data.shape)
    if not len(data):
        raise nothing_in("from_memmap", source, "rows")
    with Writer(path, total=len(data), layout=layout, **options) as writer:
        for row in data:
            writer.append(row.tobytes())
    return len(data)


def _mapped(source: Path, dtype: DTypeLike | None, shape: tuple[int, ...] | None) -> NDArray[Any]:
    name = os.fspath(source)
    try:
        with open_to_read("from_memmap", name) as file:
            if dtype is not None:
                return np.memmap(file, dtype, "r", 0, shape)
            start, size = file.read(_npy.MAX_HEADER), os.fstat(file.fileno()).st_size
        if start.startswith(b"PK"):
            raise InvalidParameterError("it is an archive; from_npz() reads it")
        form = _npy.form_of(memoryview(start))
        if form.header + form.size > size:
            raise InvalidParameterError(
                f"its header asks for {counted(form.size, 'byte')} of data;"
                f" {size - form.header} follow"
            )
        if not form.size:
            return np.zeros(form.shape, form.dtype)
        return np.memmap(name, form.dtype, "r", form.header, form.shape, form.order)
    except (ValueError, ZeroDivisionError) as problem:
        raise InvalidParameterError(f"{name!r} cannot be mapped: {problem}") from problem


@explains_keywords
def to_memmap(
    source: Source,
    dest: Path,
    *,
    labels: Path | None = None,
    overwrite: bool = False,
    progress: Progress = None,
) -> int:
    """Export samples, which are arrays of one dtype and shape, to the rows of a ``.npy`` file.

    ``numpy.load(dest, mmap_mode="r")`` maps it.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> with datasets.Writer("numbers") as writer:
    ...     ordinals = [writer.append(numpy.full(2, number)) for number in range(10)]
    >>> datasets.to_memmap("numbers", "rows.npy")
    10
    >>> numpy.load("rows.npy", mmap_mode="r").shape
    (10, 2)

    :param source: the path of a data set, or a :class:`Dataset`.
    :param dest: the file to write, of shape ``(n, *shape)``.  It appears when it is
        complete.
    :param labels: a ``.npy`` file to write the labels to, shape ``(n,)``.
    :param overwrite: True to replace a file that exists.
    :param progress: as for :class:`Writer`.
    :return: the number of samples that were written.
    :raises PathExistsError: the file exists, and ``overwrite`` is False.
    :raises InvalidParameterError: a sample is not an array, or its dtype or shape is not that of
        the first sample; with ``labels``, a sample has no label.
    """
    if labels is not None:
        check_output("to_memmap", labels, bool(overwrite))
    with Exported(source, progress) as exported:
        with output("to_memmap", dest, bool(overwrite)) as file:
            found = exported.rows(file.write)
        if labels is not None:
            with output("to_memmap", labels, bool(overwrite)) as file:
                file.write(arrays.dumps(label_array(found)))
        return len(exported)
