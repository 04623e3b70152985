# SPDX-License-Identifier: MIT
"""Write the samples of data sets to image files; convert data sets to another layout."""

from __future__ import annotations

import errno
import io
import os
import re
from operator import index
from typing import TYPE_CHECKING

from .._base.keywords import explains_keywords
from .._base.new_files import NamedFile
from .._base.numpy import np
from .._core_rules.system_errors import Explained
from ..errors import InvalidParameterError, path_error
from ._exporting import Exported
from ._images import encode_png, extension_of
from ._signatures import WriterOptions, accepts
from .layouts import layout_of
from .writer import Writer

if TYPE_CHECKING:
    from typing import Literal, SupportsIndex

    from typing_extensions import Unpack

    from .._base.progress import Progress
    from ._exporting import Path, Source
    from ._images import Axes, Mode

__all__ = ["LABELS", "convert", "to_image_folder"]

#: the file with labels that are text
LABELS = "labels.txt"
_DATUM_KEY = re.compile(r"\d{8,10}_")
# the longest name of a file on common file systems, in bytes
_LONGEST_NAME = 255
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{2,5}")


@explains_keywords
def to_image_folder(
    source: Source,
    root: Path,
    *,
    names: Literal["key", "number"] = "key",
    classes: list[str] | None = None,
    mode: Mode | None = None,
    axes: Axes | None = None,
    progress: Progress = None,
) -> int:
    """Write samples to image files: encoded images as they are, arrays of pixels as PNG files.

    The key names the file and its folders; the number does if the key is not text or too long.  The
    content gives the extension.  A label that is a number becomes a folder, if the key names none.
    Labels that are text are written to ``labels.txt``, which :func:`from_image_list` reads.

    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from pylmdb import datasets
    >>> Path("photos/cat").mkdir(parents=True)
    >>> Image.new("RGB", (8, 8)).save("photos/cat/1.png")
    >>> datasets.from_image_folder("photos", "packed").samples
    1
    >>> datasets.to_image_folder("packed", "exported", names="number")
    1

    :param source: the path of a data set, or a :class:`Dataset`.
    :param root: the folder, which is made if it does not exist.  No file in it is overwritten.
    :param names: ``"key"``; or ``"number"`` to name all files by numbers.
    :param classes: the names of the folders for labels; None for the numbers.
    :param mode: the channels of arrays: ``"BGR"`` or ``"RGB"``.
    :param axes: the axes of arrays: ``"HWC"`` or ``"CHW"``.  None for mode and axes means those of
        the data set: ``"BGR"`` and ``"CHW"`` for Caffe's, ``"BGR"`` and ``"HWC"`` for mmsr's, else
        ``"RGB"`` and ``"HWC"``.
    :param progress: as for :class:`Writer`.
    :return: the number of files that were written.
    :raises PathExistsError: a file of that name exists.
    :raises InvalidParameterError: a key leads out of the folder; a sample is not an image; a label
        has a line break, or is neither a number nor text.
    """
    folder = os.fspath(root)
    texts: list[str] = []
    with Exported(source, progress) as exported:
        usual_axes, usual_mode = exported.pixels()
        for number, (key, value, label) in enumerate(exported.named()):
            if isinstance(value, np.ndarray):
                value = encode_png(value, axes or usual_axes, mode or usual_mode)
            name = _file_name(key if names == "key" else b"", number, bytes(value))
            if isinstance(label, str):
                texts.append(_line(name, label))
            elif label is not None and "/" not in name:
                name = f"{_folder_of(label, classes)}/{name}"
            _write_new(folder, name, value)
        count = len(exported)
    if texts:
        _write_new(folder, LABELS, "".join(texts).encode("utf-8", "surrogateescape"))
    return count


def _file_name(key: bytes, number: int, content: bytes) -> str:
    """Return the name of a file, with ``/`` between folders, by its key or its number."""
    try:
        name = _DATUM_KEY.sub("", key.decode(), count=1)
    except UnicodeDecodeError:
        name = ""
    if name and name.isprintable():
        name = _with_extension(name, content)
        if all(len(part.encode()) <= _LONGEST_NAME for part in name.split("/")):
            return name
    return _with_extension(f"{number:08d}", content)


def _with_extension(name: str, content: bytes) -> str:
    known = _EXTENSION.fullmatch(os.path.splitext(name)[1])
    return name if known else name + extension_of(content)


def _line(name: str, label: str) -> str:
    """Return a line of ``labels.txt``."""
    if len(f"{label}.".splitlines()) > 1:
        raise InvalidParameterError(
            f"the label of {name!r} has a line break, and {LABELS} has one line for each:"
            f" {label!r:.80}",
            hint="a Dataset with a transform can remove it",
        )
    return f"{name}\t{label}\n"


def _folder_of(label: SupportsIndex, classes: list[str] | None) -> str:
    """Return the name of the folder for a label that is a number."""
    try:
        number = index(label)
    except TypeError:
        raise InvalidParameterError(
            f"a label is {type(label).__name__}, {label!r:.64}; it must be a number or text",
            hint="a Dataset with a transform can convert it",
        ) from None
    if classes is None:
        return str(number)
    if not 0 <= number < len(classes):
        raise InvalidParameterError(
            f"there is a label {number}; classes has names for 0 to {len(classes) - 1}"
        )
    return classes[number]


def _write_new(folder: str, name: str, content: bytes | memoryview) -> None:
    """Write a new file below the folder."""
    parts = name.split("/")
    if {"", ".", ".."} & {*parts} or "\0" in name or (os.sep != "/" and os.sep in name):
        raise InvalidParameterError(
            f"the key makes the name {name!r}, which is not a file below {folder!r}",
            hint="names='number' names files by numbers",
        )
    path = os.path.join(folder, *parts)
    directory = os.path.dirname(path)
    try:
        with Explained("to_image_folder", directory, "created"):
            os.makedirs(directory, exist_ok=True)
    except FileExistsError:
        problem = "is not a directory"
        raise path_error(
            "to_image_folder", directory, errno.EEXIST, problem, "give another folder"
        ) from None
    try:
        with (
            Explained("to_image_folder", path, "written"),
            io.BufferedWriter(NamedFile(path, "xb", os.fsencode(path))) as file,
        ):
            file.write(content)
    except FileExistsError:
        hint = "no file is overwritten; give another folder"
        raise path_error("to_image_folder", path, errno.EEXIST, "exists", hint) from None


@accepts(WriterOptions, Writer)
def convert(
    source: Source,
    path: Path,
    *,
    layout: str = "plain",
    **options: Unpack[WriterOptions],
) -> int:
    """Copy a data set to another layout.

    Values and labels are those of the source: a :class:`Dataset` with another ``decode`` or
    ``transform`` changes them.  Keys are kept if names are keys in the new layout.

    >>> import numpy
    >>> from pylmdb import datasets
    >>> with datasets.Writer("numbers") as writer:
    ...     ordinals = [writer.append(numpy.full(2, number)) for number in range(10)]
    >>> datasets.convert("numbers", "converted", layout="numbered")
    10

    :param source: the path of a data set, or a :class:`Dataset`.
    :param path: the file or directory to write.
    :param layout: how samples are stored; see :class:`Writer`.
    :param options: further options of :class:`Writer`.
    :return: the number of samples that were written.
    :raises InvalidParameterError: the layout cannot store such samples.
    """
    with (
        Exported(source, None) as exported,
        Writer(path, layout=layout, total=len(exported), **options) as writer,
    ):
        kind = layout_of(layout)
        for key, value, label in exported.named():
            name = os.path.splitext(key)[0] if kind.strips_extensions else key
            writer.append(value, label, name if kind.keys_are_names else None)
        return len(exported)
