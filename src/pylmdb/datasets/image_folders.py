# SPDX-License-Identifier: MIT
"""Data sets out into image files; and from one layout into another."""

from __future__ import annotations

import os
import re
from operator import index
from typing import TYPE_CHECKING

from .._base.numpy import np
from ..errors import InvalidParameterError
from ._exporting import Exported
from ._images import encode_png, extension_of
from ._signatures import WriterOptions, accepts
from .layouts import layout_of
from .writer import Writer

if TYPE_CHECKING:
    from typing import Literal, SupportsIndex

    from typing_extensions import Unpack

    from ..tools.progress import Progress
    from ._exporting import Path, Source
    from ._images import Axes, Mode

__all__ = ["LABELS", "convert", "to_image_folder"]

#: the file with the labels that are texts
LABELS = "labels.txt"
_DATUM_KEY = re.compile(r"\d{8,10}_")
# the most bytes of a file's name, on the usual file systems
_LONGEST_NAME = 255
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{2,5}")


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
    """Samples as image files: encoded images as they are, arrays of pixels as PNG files.

    A file has the name of its key, with the folders in it, or its number where the key is not text
    or too long for a name; and the extension of its content.  A label that is a number becomes
    a folder, if the key names none; labels that are texts go to ``labels.txt``, which
    :func:`from_image_list` reads.

    :param source: the path of a data set, or a :class:`Dataset`.
    :param root: the folder, made if there is none.  Nothing in it is overwritten.
    :param names: ``"number"`` for numbers where keys would serve, too.
    :param classes: the names of the folders for labels; the numbers by default.
    :param mode: of arrays: ``"BGR"`` or ``"RGB"``.
    :param axes: of arrays: ``"HWC"`` or ``"CHW"``.  Both are by default those of the data set:
        ``"CHW"`` and ``"BGR"`` for Caffe's, ``"BGR"`` for mmsr's, else ``"HWC"`` and ``"RGB"``.
    :return: how many files were written.
    :raises FileExistsError: there is a file of that name.
    :raises InvalidParameterError: a key leads out of the folder; a sample is no image; a label has
        a line break, or is neither a number nor text.
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
    """The name of a file, with ``/`` between folders: that of its key, or else its number."""
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
    """A line of ``labels.txt``."""
    if len(f"{label}.".splitlines()) > 1:
        raise InvalidParameterError(
            f"the label of {name!r} has a line break, and {LABELS} has a line for each: {label!r}",
            hint="a Dataset with a transform can give labels without",
        )
    return f"{name}\t{label}\n"


def _folder_of(label: SupportsIndex, classes: list[str] | None) -> str:
    """The name of the folder for a label that is a number."""
    try:
        number = index(label)
    except TypeError:
        raise InvalidParameterError(
            f"a label is {type(label).__name__}, and not a number or text: {label!r:.64}",
            hint="a Dataset with a transform can make one of it",
        ) from None
    if classes is None:
        return str(number)
    if not 0 <= number < len(classes):
        raise InvalidParameterError(
            f"there is a label {number}, and classes has names for 0 to {len(classes) - 1}"
        )
    return classes[number]


def _write_new(folder: str, name: str, content: bytes | memoryview) -> None:
    """Write a file that is not there yet, nowhere but below the folder."""
    parts = name.split("/")
    if {"", ".", ".."} & {*parts} or "\0" in name or (os.sep != "/" and os.sep in name):
        raise InvalidParameterError(
            f"{name!r} is not a name of a file below {folder!r}", hint="use names='number'"
        )
    path = os.path.join(folder, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "xb") as file:
        file.write(content)


@accepts(WriterOptions, Writer)
def convert(
    source: Source,
    path: Path,
    *,
    layout: str = "plain",
    progress: Progress = None,
    **options: Unpack[WriterOptions],
) -> int:
    """A data set in another layout.

    Values and labels are those that the source gives: a :class:`Dataset` with another
    ``decode`` or ``transform`` changes them on the way.  Keys stay where the layout has
    names for keys.

    :param source: the path of a data set, or a :class:`Dataset`.
    :param path: the file or directory to write.
    :param layout: see :class:`Writer`.
    :param options: further ones for it.
    :return: how many samples were written.
    :raises InvalidParameterError: the layout has no place for such samples.
    """
    with (
        Exported(source, progress) as exported,
        Writer(path, layout=layout, **options) as writer,
    ):
        kind = layout_of(layout)
        for key, value, label in exported.named():
            name = os.path.splitext(key)[0] if kind.strips_extensions else key
            writer.append(value, label, name if kind.keys_are_names else None)
        return len(exported)
