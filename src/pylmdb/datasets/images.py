# SPDX-License-Identifier: MIT
"""Pack image files into data sets."""

from __future__ import annotations

import io
import os
import random
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NamedTuple

from .._base.integers import integer
from .._base.words import counted
from .._core_rules.system_errors import open_to_read, require_path
from ..errors import InvalidParameterError
from ._image_reader import ImageReader
from ._prefetch import map_in_order
from ._signatures import PackOptions, WriterOptions, accepts, nothing_in
from .layouts import layout_of
from .writer import Writer, locate_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Literal

    from typing_extensions import Unpack

    from ._image_reader import ReadItem
    from ._images import Axes, Mode
    from .layouts.plain import PlainLayout

    Path = str | os.PathLike[str]

__all__ = ["EXTENSIONS", "ImageFile", "Packed", "from_image_folder", "from_image_list",
           "from_images"]  # fmt: skip

#: the extensions of the files that :func:`from_image_folder` packs, in lower case
EXTENSIONS = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"
)  # fmt: skip


class ImageFile(NamedTuple):
    """An image file to pack.

    >>> from pylmdb import datasets
    >>> datasets.ImageFile("photos/1.png", name="first", label=3)
    ImageFile(path='photos/1.png', name='first', label=3)

    :param path: of the file.
    :param name: makes the key; with ``/`` between folders.
    :param label: an int; a str for ``layout="ocr"``; None for no label.  With ``labels_path``, the
        path of a label image.
    """

    path: str
    name: str
    label: int | str | None = None


class Packed(NamedTuple):
    """The result of packing image files.

    :param samples: the number of samples in the data set.
    :param skipped: with ``errors="skip"``, (path, reason) of each file that was left out.
    :param classes: the names of the folders; a label is an index into this list.
    """

    samples: int
    skipped: list[tuple[str, str]]
    classes: list[str]


@accepts(WriterOptions, Writer)
def from_images(
    items: Iterable[ImageFile],
    path: Path,
    *,
    layout: str = "plain",
    labels_path: Path | None = None,
    keys: Literal["name", "stem", "number"] | Callable[[str], str] | None = None,
    decode: bool | None = None,
    mode: Mode | None = None,
    axes: Axes | None = None,
    resize: tuple[int, int] | None = None,
    check_size: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    errors: Literal["raise", "skip"] = "raise",
    resume: bool = False,
    threads: int = 4,
    **options: Unpack[WriterOptions],
) -> Packed:
    """Pack image files, as they are or decoded, in the order of ``items``.

    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from pylmdb import datasets
    >>> Path("photos/cat").mkdir(parents=True)
    >>> Image.new("RGB", (8, 8)).save("photos/cat/1.png")
    >>> files = [datasets.ImageFile("photos/cat/1.png", name="first", label=3)]
    >>> datasets.from_images(files, "packed", layout="datum").samples
    1

    :param items: the files.
    :param path: the file or directory to write.
    :param layout: how samples are stored; see :class:`Writer`.
    :param labels_path: a second file or directory to write, with label images, such as masks: the
        label of each item is the path of one.  Its samples have the keys and the order of those in
        ``path``.  A label image has one channel, gray or with a palette, and the height and width
        of its image.  Its numbers are stored as they are, also with ``mode`` and ``resize``.
    :param keys: ``"name"``; ``"stem"``, the name without its extension; ``"number"``; or a function
        that makes a key of a name.  None: ``"stem"`` for the layouts ``"basicsr"`` and
        ``"mmsr"``, else ``"name"``.  ``layout="datum"`` puts the number before the name; layouts
        that number their samples ignore it.
    :param decode: True to store pixels instead of files: arrays; with ``layout="datum"``, Datum
        messages of pixels; with a layout of image files, PNG files.  ``layout="mmsr"`` always
        stores pixels.  None: True if mode, axes or resize is given, or with ``labels_path`` and
        ``layout="datum"``, because Caffe reads a label image in a Datum as colours.
    :param mode: the channels: ``"RGB"`` or ``"BGR"`` for three, also of gray images; ``"L"`` for
        one.  None: ``"BGR"`` for ``"datum"`` and ``"mmsr"``, else those of the file.
    :param axes: the order of axes: ``"HWC"``, without an axis for a single channel; or ``"CHW"``.
        None: ``"CHW"`` for ``"datum"``, else ``"HWC"``.
    :param resize: the (height, width) to resize to, in pixels.
    :param check_size: True to refuse images of another size than the first.
    :param shuffle: True for a random order.
    :param seed: the same seed gives the same order on every machine.
    :param errors: ``"skip"`` to leave out files that cannot be read, and with ``decode`` or
        ``check_size`` files that are not images.
    :param resume: True to continue a data set that a killed process has left.  Its samples must be
        those of the first items.
    :param threads: how many threads read and decode files.
    :param options: further options of the Writer, such as ``exist``, ``key_format``,
        ``commit_every``.
    :raises InvalidParameterError: an argument is not accepted; a file is not an image; an image has
        another size; two items make the same key; a label image has several channels.
    :raises PathNotFoundError: a file does not exist.
    """
    if errors not in ("raise", "skip"):
        raise InvalidParameterError(f"errors must be 'raise' or 'skip', not {errors!r}")
    threads = integer("threads", threads)
    kind = layout_of(layout)
    files = [*items]
    if not files:
        raise InvalidParameterError("from_images: items has no images")
    for item in files:
        if not isinstance(item, ImageFile):
            raise TypeError(
                f"from_images: items must be ImageFile objects, not {type(item).__name__}"
                f" ({item!r}); from_image_folder() packs a folder"
            )
    if shuffle:
        random.Random(seed).shuffle(files)
    if resume and (errors == "skip" or options.get("exist", "extend") != "extend"):
        raise InvalidParameterError(
            f"resume=True needs errors='raise' and exist='extend', got errors={errors!r},"
            f" exist={options.get('exist', 'extend')!r}"
        )
    if resume:
        options["exist"] = "extend"
    reader = ImageReader(kind, decode, mode, axes, resize, check_size, labels_path is not None)
    key = _key_function(keys, kind)
    if key is not None and kind.keys_are_names:
        _check_distinct(files, key)
    if labels_path is not None:
        _check_label_paths(files)
    paths = [path] if labels_path is None else [path, labels_path]
    with ExitStack() as stack:
        writers = _open_writers(stack, paths, layout, len(files), options, resume)
        done = [len(writer) if resume else 0 for writer in writers]
        begin = min(done)
        with closing(map_in_order(reader.read, files[begin:], threads)) as results:
            skipped = _pack(writers, done, enumerate(results, begin), reader, key, errors)
        for writer in writers:
            writer.flush()
        return Packed(len(writers[0]), skipped, [])


def _check_label_paths(files: list[ImageFile]) -> None:
    for item in files:
        if not isinstance(item.label, str):
            raise InvalidParameterError(
                f"{item.path!r} has the label {item.label!r}; with labels_path= each label must be"
                " the path of a label image"
            )


def _open_writers(
    stack: ExitStack,
    paths: list[Path],
    layout: str,
    total: int,
    options: WriterOptions,
    resume: bool,
) -> list[Writer]:
    """Open a Writer for each file.  The first one reports the progress.

    :raises PathExistsError: one of the files exists, and may not; then none is made.
    :raises InvalidParameterError: two paths are one file; the files have other numbers of samples.
    """
    exist, subdir = options.get("exist", "error"), options.get("subdir")
    located = [locate_data(each, exist, subdir).data_path for each in paths]
    if len({*map(os.path.realpath, located)}) < len(paths):
        raise InvalidParameterError(
            f"path and labels_path are both {os.fspath(paths[0])!r}; they must be two files"
        )
    writers = []
    for each in paths:
        writers.append(stack.enter_context(Writer(each, layout=layout, total=total, **options)))
        options = {**options, "progress": None}
    counts = [*map(len, writers)]
    if not resume and len({*counts}) > 1:
        raise InvalidParameterError(
            f"{os.fspath(paths[0])!r} has {counted(counts[0], 'sample')}, and"
            f" {os.fspath(paths[1])!r} {counts[1]}; to extend them they must have the same number",
            hint="resume=True continues two files that a killed process has left",
        )
    return writers


@accepts(PackOptions, Writer, from_images)
def from_image_folder(
    root: Path,
    path: Path,
    *,
    labels: Literal["auto", "folders"] | None = "auto",
    extensions: Iterable[str] = EXTENSIONS,
    layout: str = "plain",
    **options: Unpack[PackOptions],
) -> Packed:
    """Pack the images in a folder and in all folders below it, in the order of their keys.

    Links to files are followed; links to folders are not.

    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from pylmdb import datasets
    >>> Path("photos/cat").mkdir(parents=True)
    >>> Image.new("RGB", (8, 8)).save("photos/cat/1.png")
    >>> datasets.from_image_folder("photos", "packed", layout="datum")
    Packed(samples=1, skipped=[], classes=['cat'])

    :param root: the folder.
    :param path: the file or directory to write.
    :param labels: ``"folders"`` to number the folders in ``root`` in the order of their names; the
        label is this number, or with ``layout="ocr"`` the name.  None for no labels.  ``"auto"``
        for ``"folders"`` if there are folders and the layout has labels.
    :param extensions: the extensions of the files to pack, in lower case.
    :param layout: how samples are stored; see :class:`Writer`.
    :param options: further options of :func:`from_images`.
    :raises PathNotFoundError: the folder does not exist.
    :raises InvalidParameterError: as for :func:`from_images`.
    """
    kind = layout_of(layout)
    folder, accepted = os.fspath(root), {*extensions}
    names = [n for n in _walk(folder) if os.path.splitext(n)[1].lower() in accepted]
    if not names:
        hint = f"extensions= chooses the files, by default {' '.join(EXTENSIONS)}"
        raise nothing_in("from_image_folder", folder, "images", hint)
    classes = sorted({name.partition("/")[0] for name in names if "/" in name})
    if labels == "auto":
        labels = "folders" if classes and kind.labels != "none" else None
    if labels not in ("folders", None):
        raise InvalidParameterError(f"labels must be 'auto', 'folders' or None, not {labels!r}")
    if labels is None:
        classes = []
    numbers = {name: name if kind.labels == "text" else n for n, name in enumerate(classes)}
    key = _key_function(options.get("keys"), kind) or str
    names.sort(key=lambda name: os.fsencode(key(name)))
    items = [
        ImageFile(os.path.join(folder, name), name, numbers.get(name.partition("/")[0]))
        for name in names
    ]
    packed = from_images(items, path, layout=layout, **options)
    return Packed(packed.samples, packed.skipped, classes)


@accepts(PackOptions, Writer, from_images)
def from_image_list(
    list_file: Path,
    path: Path,
    *,
    root: Path = "",
    labels: Literal["auto", "images"] = "auto",
    labels_path: Path | None = None,
    layout: str = "plain",
    **options: Unpack[PackOptions],
) -> Packed:
    """Pack the images that a text file lists, in the order of its lines.

    A line is a path and a label.  Caffe's ``convert_imageset`` reads the same list: the label is an
    integer after the last space.  With ``layout="ocr"`` the label is text: it follows the first
    tab, or the first space if the line has no tab.  With ``labels="images"`` the label is the path
    of a label image, such as a mask for segmentation: images and label images go to two files.

    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from pylmdb import datasets
    >>> Path("photos/cat").mkdir(parents=True)
    >>> Image.new("RGB", (8, 8)).save("photos/cat/1.png")
    >>> Path("list.txt").write_text("cat/1.png 3")
    11
    >>> datasets.from_image_list("list.txt", "packed", root="photos", layout="datum").samples
    1

    :param list_file: the text file, in UTF-8.
    :param path: the file or directory to write.
    :param root: the folder to which paths in the list are relative; a path may begin with ``/``, as
        in lists for Caffe.
    :param labels: ``"auto"`` for a number, or text with ``layout="ocr"``; ``"images"`` for the path
        of a label image, after the first tab or, if the line has no tab, after the last space.
    :param labels_path: with ``labels="images"``, the file or directory to write for the label
        images; see :func:`from_images`.
    :param layout: how samples are stored; see :class:`Writer`.
    :param options: further options of :func:`from_images`.
    :raises InvalidParameterError: a line has no label; or as for :func:`from_images`.
    :raises PathNotFoundError: a file does not exist.
    """
    if labels not in ("auto", "images"):
        raise InvalidParameterError(f"labels must be 'auto' or 'images', not {labels!r}")
    images = labels == "images"
    if images != (labels_path is not None):
        raise InvalidParameterError(
            f"labels is {labels!r} and labels_path {labels_path!r}; label images need both"
            " labels='images' and labels_path=, the file to write them to"
        )
    split: Callable[[str], tuple[str, int | str]] = _caffe_line
    if images or layout_of(layout).labels == "text":
        split = _two_paths if images else _ocr_line
    folder = os.fspath(root)
    items = []
    with (
        open_to_read("from_image_list", list_file) as file,
        io.TextIOWrapper(file, "utf-8", "surrogateescape") as lines,
    ):
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    name, label = split(line.rstrip("\r\n"))
                except ValueError:
                    what = "a label"
                    if split is _caffe_line:
                        what += ", which is an integer (layout='ocr' stores text)"
                    raise InvalidParameterError(
                        f"{os.fspath(list_file)!r}, line {number}: {line!r:.80} must be a path, a"
                        f" space and {what}"
                    ) from None
                if images:
                    label = _below(folder, str(label))
                items.append(ImageFile(_below(folder, name), name, label))
    if not items:
        raise nothing_in("from_image_list", list_file, "lines")
    return from_images(items, path, layout=layout, labels_path=labels_path, **options)


def _pack(
    writers: list[Writer],
    done: list[int],
    results: Iterable[tuple[int, tuple[ImageFile, ReadItem | Exception]]],
    reader: ImageReader,
    key: Callable[[str], str] | None,
    errors: str,
) -> list[tuple[str, str]]:
    """Write the samples that were read.  Return (path, reason) of the files that were skipped.

    :param writers: one for each value of an item.
    :param done: how many of the first items each writer has already.
    :param results: (number of the item, (item, what was read)).
    """
    skipped = []
    for number, (item, result) in results:
        found = result if isinstance(result, Exception) else reader.checked(item, result)
        if not isinstance(found, Exception):
            label = item.label if len(writers) == 1 else None
            name = key(item.name) if key else None
            for writer, value, have in zip(writers, found.values, done, strict=True):
                if number >= have:
                    writer.append(value, label, name)
        elif errors == "skip" and isinstance(found, (OSError, InvalidParameterError)):
            skipped.append((item.path, str(found)))
        else:
            raise found
    return skipped


def _walk(folder: str) -> Iterator[str]:
    """Yield the names of all files below a folder, with ``/`` between folders."""
    require_path("from_image_folder", folder)
    for directory, _, names in os.walk(folder):
        relative = os.path.relpath(directory, folder).replace(os.sep, "/")
        for name in names:
            yield name if relative == "." else f"{relative}/{name}"


def _key_function(
    keys: str | Callable[[str], str] | None, kind: type[PlainLayout]
) -> Callable[[str], str] | None:
    """Return the function that makes a key of a name; None for numbers."""
    if keys is None:
        keys = "stem" if kind.strips_extensions else "name"
    if callable(keys):
        return keys
    if keys not in ("name", "stem", "number"):
        raise InvalidParameterError(
            f"keys must be 'name', 'stem', 'number' or a function, not {keys!r}"
        )
    if keys == "number":
        return None
    return str if keys == "name" else lambda name: os.path.splitext(name)[0]


def _check_distinct(files: list[ImageFile], key: Callable[[str], str]) -> None:
    seen: dict[str, str] = {}
    for item in files:
        name = key(item.name)
        if name in seen:
            raise InvalidParameterError(
                f"{seen[name]!r} and {item.path!r} would both have the key {name!r}",
                hint="keys='name' keeps extensions; keys='number' numbers the files",
            )
        seen[name] = item.path


def _caffe_line(line: str) -> tuple[str, int]:
    name, label = line.rstrip().rsplit(None, 1)
    return name, int(label)


def _two_paths(line: str) -> tuple[str, str]:
    name, label = line.strip().split("\t", 1) if "\t" in line else line.strip().rsplit(None, 1)
    return name.strip(), label.strip()


def _below(root: str, name: str) -> str:
    """Return the path of a file in a list.  Caffe appends names with a ``/`` to the root, too."""
    return os.path.join(root, name.lstrip("/")) if root else name


def _ocr_line(line: str) -> tuple[str, str]:
    name, label = line.split("\t" if "\t" in line else " ", 1)
    return name, label
