# SPDX-License-Identifier: MIT
"""Import and export HDF5 files."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from .. import arrays
from .._base.integers import BYTES, integer
from .._base.keywords import explains_keywords
from .._base.numpy import np
from .._core_rules.system_errors import open_to_read
from .._shared.output_files import output
from ..arrays.npy import check_extent
from ..environment import Environment
from ..errors import InvalidParameterError, NotFoundError
from ._exporting import Exported, as_array, check_like, key_text, label_array
from ._npz import MAX_SAMPLE, check_plausible, check_size
from ._signatures import WriterOptions, accepts, nothing_in
from .numpy_files import append_rows
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from h5py import Dataset, File, Group
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from .._base.progress import Progress
    from ._exporting import Path, Source

__all__ = ["ATTRIBUTES", "from_hdf5", "to_hdf5"]

#: the database of attributes.  A key is the path of the object, NUL, and the name of the attribute;
#: a value is in ``.npy`` format.  An empty group without attributes has an empty name and value.
ATTRIBUTES = b"__attributes__"
_BLOCK = 8 << 20


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as problem:
        raise ImportError("HDF5 files need h5py: pip install h5py") from problem
    module: ModuleType = h5py
    return module


@accepts(WriterOptions, Writer)
def from_hdf5(
    source: Path,
    path: Path,
    *,
    data: str | None = None,
    labels: str | None = None,
    layout: str = "plain",
    max_sample: int = MAX_SAMPLE,
    **options: Unpack[WriterOptions],
) -> int:
    """Import the data sets of an HDF5 file as samples.

    Without ``data`` each data set is a sample: an array, whose key is the path, such as
    ``train/images``.  Attributes are stored in the database ``__attributes__``.  Links to other
    paths and files are not followed.

    >>> import h5py
    >>> from pylmdb import datasets
    >>> with h5py.File("file.h5", "w") as file:
    ...     file["images"] = [[1, 2], [3, 4]]
    >>> datasets.from_hdf5("file.h5", "packed", data="images")
    2

    :param source: the HDF5 file.
    :param path: the file or directory to write.
    :param data: the path of a data set, shape ``(n, ...)``, whose rows are the samples.
    :param labels: the path of a data set of their labels, shape ``(n,)``.
    :param layout: how samples are stored; see :class:`Writer`.
    :param max_sample: the most bytes that a sample may have, and that all labels may have.
    :param options: further options of :class:`Writer`.
    :return: the number of samples that were written.
    :raises InvalidParameterError: it is not an HDF5 file; the data set does not exist; a data set
        holds references, arrays of varying length, or data in other files; a sample is larger
        than ``max_sample``, or larger than the file can contain.
    :raises ImportError: h5py is not installed.
    """
    max_sample = integer("max_sample", max_sample, BYTES)
    h5py = _h5py()
    open_to_read("from_hdf5", source).close()  # h5py names no file
    try:
        file = h5py.File(source, "r")
    except OSError as problem:
        if problem.errno is not None:
            raise
        name = os.fspath(source)
        raise InvalidParameterError(f"{name!r} is not an HDF5 file: {problem}") from None
    with file:
        if data is None:
            names, attributes = _tree(h5py, file, max_sample)
            if not names:
                raise nothing_in("from_hdf5", source, "HDF5 data sets")
            with Writer(path, total=len(names), layout=layout, **options) as writer:
                for name in names:
                    writer.append(_array_of(h5py, file[name], max_sample), name=name)
                _keep_attributes(writer, attributes)
            return len(names)
        found = None
        if labels is not None:
            found = _array_of(h5py, _find(file, labels), max_sample)
        rows = _Rows(h5py, _find(file, data), max_sample)
        return append_rows("from_hdf5", source, path, rows, found, layout, options)


class _Rows:
    """The rows of a data set, read in blocks."""

    def __init__(self, h5py: ModuleType, dataset: Dataset, limit: int) -> None:
        _check_readable(h5py, dataset)
        self._dataset, self._limit = dataset, limit
        self.shape, self.dtype = dataset.shape, dataset.dtype

    def __iter__(self) -> Iterator[Any]:
        size = self.dtype.itemsize * math.prod(self.shape[1:])
        check_size(f"a row of {self._dataset.name!r}", size, self._limit)
        step = max(1, _BLOCK // max(1, size))
        for begin in range(0, self.shape[0], step):
            yield from _read(self._dataset, slice(begin, begin + step), self._limit)


def _find(file: File, name: str) -> Dataset:
    from h5py import Dataset  # imported already; the parameter of other functions has no types

    found = file.get(name)
    if not isinstance(found, Dataset) or found.file.filename != file.filename:
        raise InvalidParameterError(f"there is no data set {name!r} in {file.filename!r}")
    return found


def _tree(h5py: ModuleType, file: Group, limit: int) -> tuple[list[str], dict[bytes, bytes]]:
    """Return the paths of all data sets, and the attributes of all objects."""
    names: list[str] = []
    attributes: dict[bytes, bytes] = dict(_attributes(file, "", limit))

    def visit(name: str, found: Group) -> None:
        if isinstance(found, h5py.Dataset):
            names.append(name)
        own = _attributes(found, name, limit)
        if not own and isinstance(found, h5py.Group) and not len(found):
            own[name.encode() + b"\0"] = b""
        attributes.update(own)

    file.visititems(visit)
    names.sort(key=str.encode)
    if ATTRIBUTES.decode() in names:
        raise InvalidParameterError(
            f"the data set {ATTRIBUTES.decode()!r} has the name of the database with attributes;"
            " rename it"
        )
    return names, attributes


def _keep_attributes(writer: Writer, attributes: dict[bytes, bytes]) -> None:
    if attributes:
        writer.flush()
        # after flush() the writer's thread does not write
        db = writer.env.open_db(ATTRIBUTES)
        with writer.env.begin(db, write=True) as txn:
            txn.cursor().putmulti(sorted(attributes.items()))


def _attributes(found: Group, name: str, limit: int) -> dict[bytes, bytes]:
    result = {}
    for key, value in found.attrs.items():
        array = np.asarray(value)
        if array.dtype.hasobject and all(isinstance(each, str) for each in array.flat):
            array = _texts(array, f"the attribute {key!r}", limit)
        if array.dtype.hasobject:
            raise InvalidParameterError(
                f"the attribute {key!r} of {name or '/'!r} has a type that numpy has no array of"
            )
        result[f"{name}\0{key}".encode()] = arrays.dumps(_without_metadata(array))
    return result


def _array_of(h5py: ModuleType, dataset: Dataset, limit: int) -> NDArray[Any]:
    _check_readable(h5py, dataset)
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    check_size(f"the data set {dataset.name!r}", size, limit)
    return np.asarray(_read(dataset, (), limit))


def _check_readable(h5py: ModuleType, dataset: Dataset) -> None:
    text = h5py.check_string_dtype(dataset.dtype) is not None
    elsewhere = dataset.external or (
        dataset.is_virtual and any(each.file_name != "." for each in dataset.virtual_sources())
    )
    if dataset.shape is None or elsewhere or (dataset.dtype.hasobject and not text):
        raise InvalidParameterError(
            f"the data set {dataset.name!r} cannot be read as one array: it is empty, has data in"
            " another file, or holds references or arrays of varying length"
        )
    # elements that were never written take no space in the file, and read as zeros
    what, size = f"the data set {dataset.name!r}", math.prod(dataset.shape) * dataset.dtype.itemsize
    check_plausible(what, size, os.stat(dataset.file.filename).st_size)
    check_extent(what, dataset.dtype, dataset.shape)


def _read(dataset: Dataset, where: slice | tuple[()], limit: int) -> NDArray[Any]:
    if dataset.dtype.hasobject:
        try:
            texts = np.asarray(dataset.asstr()[where], object)
        except UnicodeDecodeError as problem:
            raise InvalidParameterError(
                f"the data set {dataset.name!r} is not valid text: {problem}"
            ) from None
        return _texts(texts, f"the data set {dataset.name!r}", limit)
    return _without_metadata(np.asarray(dataset[where]))


def _texts(texts: NDArray[Any], what: str, limit: int) -> NDArray[Any]:
    """Return an array of str, in which each takes as much memory as the longest."""
    longest = max(map(len, texts.flat), default=0)
    check_size(what, texts.size * longest * np.dtype("U1").itemsize, limit)
    return texts.astype(np.str_)


def _without_metadata(array: NDArray[Any]) -> NDArray[Any]:
    """Return ``array`` without the metadata that h5py adds to dtypes.

    numpy would warn that ``.npy`` files cannot store it.
    """
    return array.view(_plain(array.dtype))


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.dtype((_plain(base), shape))
    if dtype.names is None or dtype.fields is None:
        return np.dtype(dtype.str)
    # numpy's stub wants names of the type LiteralString here, which dtype.names does not have
    fields = [dtype.fields[name] for name in dtype.names]  # pyright: ignore[reportArgumentType]
    return np.dtype(
        {
            "names": dtype.names,
            "formats": [_plain(field[0]) for field in fields],
            "offsets": [field[1] for field in fields],
            "itemsize": dtype.itemsize,
        }
    )


@explains_keywords
def to_hdf5(
    source: Source,
    dest: Path,
    *,
    data: str | None = None,
    labels: str | None = None,
    overwrite: bool = False,
    progress: Progress = None,
) -> int:
    """Export samples to an HDF5 file.

    Without ``data`` each sample is a data set, and its key is the path.  Bytes become a data set of
    uint8.  A label becomes the attribute ``label``.  Attributes and groups that :func:`from_hdf5`
    stored are restored.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> with datasets.Writer("numbers") as writer:
    ...     ordinals = [writer.append(numpy.full(2, number)) for number in range(10)]
    >>> datasets.to_hdf5("numbers", "file.h5", data="numbers")
    10

    :param source: the path of a data set, or a :class:`Dataset`.
    :param dest: the file to write.  It appears when it is complete.
    :param data: the path of one data set for all samples, shape ``(n, *shape)``.
    :param labels: with ``data``, the path of a data set for the labels, shape ``(n,)``.
    :param overwrite: True to replace a file that exists.
    :param progress: as for :class:`Writer`.
    :return: the number of samples that were written.
    :raises PathExistsError: the file exists, and ``overwrite`` is False.
    :raises InvalidParameterError: a key is not a path of HDF5; with ``data``, a sample is not an
        array, or its dtype or shape is not that of the first sample; with ``labels``, a sample
        has no label.
    :raises ImportError: h5py is not installed.
    """
    if labels is not None and data is None:
        raise InvalidParameterError(f"labels={labels!r} needs data=, the path of the rows")
    h5py = _h5py()
    with (
        Exported(source, progress) as exported,
        output("to_hdf5", dest, bool(overwrite)) as new,
        h5py.File(new, "w") as file,
    ):
        if data is None:
            _to_tree(h5py, file, exported)
        else:
            found = _to_rows(file, exported, data)
            if labels is not None:
                _create(h5py, file, labels, label_array(found))
        return len(exported)


def _to_tree(h5py: ModuleType, file: Group, exported: Exported) -> None:
    for key, value, label in exported.named():
        array = value if isinstance(value, np.ndarray) else np.frombuffer(value, np.uint8)
        created = _create(h5py, file, key_text(key, "path"), array)
        if label is not None:
            created.attrs["label"] = label
    for path in exported.dataset.paths:
        for key, value in _kept_attributes(path):
            name, _, attribute = key_text(key, "path").partition("\0")
            found = file[name] if name in file else file.require_group(name or "/")
            if attribute:
                array = arrays.loads(value)
                found.attrs[attribute] = array.tolist() if array.dtype.kind == "U" else array


def _kept_attributes(path: str) -> list[tuple[bytes, bytes]]:
    with Environment(path, readonly=True) as env:
        try:
            db = env.open_db(ATTRIBUTES, create=False)
        except NotFoundError:
            return []
        with env.begin(db) as txn:
            return list(txn.range())


def _to_rows(file: Group, exported: Exported, name: str) -> list[Any]:
    created: Dataset | None = None
    shape: tuple[int, ...] = ()
    labels = []
    for number, (value, label) in enumerate(exported.samples()):
        array = as_array(value, number)
        if created is None:
            shape = array.shape
            created = file.create_dataset(name, (len(exported), *shape), array.dtype)
        check_like(array, shape, created.dtype, number)
        created[number] = array
        labels.append(label)
    if created is None:
        file.create_dataset(name, (0,), np.float32)
    return labels


def _create(h5py: ModuleType, file: Group, name: str, array: NDArray[Any]) -> Dataset:
    if "\0" in name:
        raise InvalidParameterError(f"the key {name!r} is not a path of HDF5: it has a NUL")
    try:
        if array.dtype.kind == "U":
            return file.create_dataset(name, array.shape, h5py.string_dtype(), array.astype(object))
        return file.create_dataset(name, data=array)
    except (ValueError, TypeError) as problem:
        raise InvalidParameterError(
            f"HDF5 makes no data set for the key {name!r}: {problem}"
        ) from problem
