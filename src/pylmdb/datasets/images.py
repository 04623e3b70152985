# SPDX-License-Identifier: MIT
"""Pack image files into data sets."""

from __future__ import annotations

import os
import random
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import InvalidParameterError
from ._images import Pixels, encode_png, size_of
from ._prefetch import map_in_order, read_file
from ._signatures import PackOptions, WriterOptions, accepts
from .layouts import layout_of
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Literal

    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from ..tools.progress import Progress
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

    :param path: of the file.
    :param name: makes the key; with ``/`` between folders.
    :param label: an int; a str for ``layout="ocr"``; None for no label.
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
    keys: Literal["name", "stem", "number"] | Callable[[str], str] | None = None,
    decode: bool = False,
    mode: Mode | None = None,
    axes: Axes | None = None,
    resize: tuple[int, int] | None = None,
    check_size: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    errors: Literal["raise", "skip"] = "raise",
    resume: bool = False,
    threads: int = 4,
    progress: Progress = None,
    **options: Unpack[WriterOptions],
) -> Packed:
    """Pack image files, as they are or decoded, in the order of ``items``.

    :param items: the files.
    :param path: the file or directory to write.
    :param layout: how samples are stored; see :class:`Writer`.
    :param keys: ``"name"``; ``"stem"``, the name without its extension; ``"number"``; or a function
        that makes a key of a name.  None: ``"stem"`` for the layouts ``"basicsr"`` and
        ``"mmsr"``, else ``"name"``.  ``layout="datum"`` puts the number before the name; layouts
        that number their samples ignore it.
    :param decode: True to store pixels instead of files: arrays; with ``layout="datum"``, Datum
        messages of pixels; with a layout of image files, PNG files.  ``layout="mmsr"`` always
        stores pixels.
    :param mode: with ``decode``, the channels: ``"RGB"`` or ``"BGR"`` for three, also of gray
        images; ``"L"`` for one.  None: ``"BGR"`` for ``"datum"`` and ``"mmsr"``, else those of the
        file.
    :param axes: with ``decode``, the order of axes: ``"HWC"``, without an axis for a single
        channel; or ``"CHW"``.  None: ``"CHW"`` for ``"datum"``, else ``"HWC"``.
    :param resize: with ``decode``, the (height, width) to resize to, in pixels.
    :param check_size: True to refuse images of another size than the first.
    :param shuffle: True for a random order.
    :param seed: the same seed gives the same order on every machine.
    :param errors: ``"skip"`` to leave out files that cannot be read, and with ``decode`` or
        ``check_size`` files that are not images.
    :param resume: True to continue a data set that a killed process has left.  Its samples must be
        those of the first items.
    :param threads: how many threads read and decode files.
    :param progress: True for a progress bar of tqdm; or a function that is called with the number
        of samples done and the number of all.
    :param options: further options of the Writer, such as ``exist``, ``key_format``,
        ``commit_every``.
    :raises InvalidParameterError: an argument is not accepted; a file is not an image; an image has
        another size; two items make the same key.
    :raises FileNotFoundError: a file does not exist.
    """
    if errors not in ("raise", "skip"):
        raise InvalidParameterError(f"errors must be 'raise' or 'skip', not {errors!r}")
    kind = layout_of(layout)
    files = [*items]
    if shuffle:
        random.Random(seed).shuffle(files)
    if resume and (errors == "skip" or options.get("exist", "extend") != "extend"):
        raise InvalidParameterError(
            f"resume=True needs errors='raise' and exist='extend', got errors={errors!r},"
            f" exist={options.get('exist', 'extend')!r}"
        )
    if resume:
        options["exist"] = "extend"
    reader = _FileReader(kind, decode, mode, axes, resize, check_size)
    key = _key_function(keys, kind)
    if key is not None and kind.keys_are_names:
        _check_distinct(files, key)
    with Writer(path, layout=layout, progress=progress, total=len(files), **options) as writer:
        rest = files[len(writer) if resume else 0 :]
        with closing(map_in_order(reader.read, rest, threads)) as results:
            skipped = _pack(writer, results, reader, key, errors)
        writer.flush()
        return Packed(len(writer), skipped, [])


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

    :param root: the folder.
    :param path: the file or directory to write.
    :param labels: ``"folders"`` to number the folders in ``root`` in the order of their names; the
        label is this number, or with ``layout="ocr"`` the name.  None for no labels.  ``"auto"``
        for ``"folders"`` if there are folders and the layout has labels.
    :param extensions: the extensions of the files to pack, in lower case.
    :param layout: how samples are stored; see :class:`Writer`.
    :param options: further options of :func:`from_images`.
    :raises FileNotFoundError: the folder does not exist.
    :raises InvalidParameterError: as for :func:`from_images`.
    """
    kind = layout_of(layout)
    folder, accepted = os.fspath(root), {*extensions}
    names = [n for n in _walk(folder) if os.path.splitext(n)[1].lower() in accepted]
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
    layout: str = "plain",
    **options: Unpack[PackOptions],
) -> Packed:
    """Pack the images that a text file lists, in the order of its lines.

    A line is a path and a label.  Caffe's ``convert_imageset`` reads the same list: the label is an
    integer after the last space.  With ``layout="ocr"`` the label is text: it follows the first
    tab, or the first space if the line has no tab.

    :param list_file: the text file, in UTF-8.
    :param path: the file or directory to write.
    :param root: the folder to which paths in the list are relative.
    :param layout: how samples are stored; see :class:`Writer`.
    :param options: further options of :func:`from_images`.
    :raises InvalidParameterError: a line has no label; or as for :func:`from_images`.
    :raises FileNotFoundError: a file does not exist.
    """
    split = _ocr_line if layout_of(layout).labels == "text" else _caffe_line
    items = []
    with open(list_file, encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    name, label = split(line.rstrip("\r\n"))
                except ValueError:
                    raise InvalidParameterError(
                        f"{os.fspath(list_file)!r}, line {number}: {line!r:.80} must be a path, a"
                        " space and a label"
                    ) from None
                items.append(ImageFile(os.path.join(root, name), name, label))
    return from_images(items, path, layout=layout, **options)


def _pack(
    writer: Writer,
    results: Iterable[tuple[ImageFile, Any]],
    reader: _FileReader,
    key: Callable[[str], str] | None,
    errors: str,
) -> list[tuple[str, str]]:
    """Write the samples that were read.  Return (path, reason) of the files that were skipped."""
    skipped = []
    for item, result in results:
        found = result if isinstance(result, Exception) else reader.checked(item, result)
        if not isinstance(found, Exception):
            writer.append(found[0], item.label, key(item.name) if key else None)
        elif errors == "skip" and isinstance(found, (OSError, InvalidParameterError)):
            skipped.append((item.path, str(found)))
        else:
            raise found
    return skipped


class _FileReader:
    """Reads image files, and makes the values that are stored."""

    def __init__(
        self,
        kind: type[PlainLayout],
        decode: bool,
        mode: Mode | None,
        axes: Axes | None,
        resize: tuple[int, int] | None,
        check_size: bool,
    ) -> None:
        self._decode = decode or kind.stores == "pixels"
        self._pixels = Pixels(mode or kind.usual_mode, axes or kind.usual_axes, resize)
        self._pixels.check()
        if kind.stores in ("datum", "pixels") and self._pixels.axes != kind.usual_axes:
            raise InvalidParameterError(
                f"axes is {axes!r}; this layout stores pixels as {kind.usual_axes!r}"
            )
        if not self._decode and (mode, axes, resize) != (None, None, None):
            raise InvalidParameterError(
                f"mode={mode!r}, axes={axes!r} and resize={resize!r} need decode=True"
            )
        self._encode, self._check = kind.stores == "file", check_size
        self._size: tuple[int, ...] | None = None

    def read(self, item: ImageFile) -> tuple[tuple[Any, Any], int]:
        """Return (value, size of the image if it is checked), and the number of bytes."""
        content = read_file(item.path)
        try:
            if not self._decode:
                return (content, size_of(content) if self._check else None), len(content)
            array = self._pixels.decode(content)
            value: bytes | NDArray[Any] = array
            if self._encode:
                value = encode_png(array, self._pixels.axes, self._pixels.mode)
        except InvalidParameterError as problem:
            raise InvalidParameterError(f"{item.path!r}: {problem}") from problem
        return (value, array.shape), array.nbytes

    def checked(
        self, item: ImageFile, found: tuple[Any, Any]
    ) -> tuple[Any, Any] | InvalidParameterError:
        """Return ``found``, or an exception if its size differs from the first one."""
        if not self._check:
            return found
        if self._size is None:
            self._size = found[1]
        if found[1] != self._size:
            return InvalidParameterError(
                f"{item.path!r}: the size is {found[1]}; check_size=True requires that of the first"
                f" image, {self._size}"
            )
        return found


def _walk(folder: str) -> Iterator[str]:
    """Yield the names of all files below a folder, with ``/`` between folders."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder!r}")
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


def _ocr_line(line: str) -> tuple[str, str]:
    name, label = line.split("\t" if "\t" in line else " ", 1)
    return name, label
