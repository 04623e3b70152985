# SPDX-License-Identifier: MIT
"""Read image files, and label images beside them, and make the values that are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import InvalidParameterError
from ._images import Pixels, encode_png, size_of
from ._prefetch import read_file

if TYPE_CHECKING:
    from ._images import Axes, Mode
    from .images import ImageFile
    from .layouts.plain import PlainLayout, Value


class ReadItem(NamedTuple):
    """What is stored of an item.

    :ivar values: of the image, and of its label image if there is one.
    :ivar size: of the image; None if it need not be known.
    """

    values: list[Value]
    size: tuple[int, ...] | None


class ImageReader:
    """Reads image files, and makes the values that a layout stores.

    :param decode: as for :func:`from_images`, and so are mode, axes, resize and check_size.
    :param label_images: True if the label of an item is the path of an image.
    :raises InvalidParameterError: the arguments do not fit each other or the layout.
    """

    def __init__(
        self,
        kind: type[PlainLayout],
        decode: bool | None,
        mode: Mode | None,
        axes: Axes | None,
        resize: tuple[int, int] | None,
        check_size: bool,
        label_images: bool = False,
    ) -> None:
        given = (mode, axes, resize) != (None, None, None)
        if given and decode is not None and not decode:
            raise InvalidParameterError(
                f"mode={mode!r}, axes={axes!r} and resize={resize!r} need pixels, decode=True or"
                " None, not False"
            )
        if decode is None:
            decode = given or (label_images and kind.stores == "datum")
        self._decode = decode or kind.stores == "pixels"
        self._encode, self._check = kind.stores == "file", check_size
        axes_used = axes or kind.usual_axes
        self._forms = [Pixels(mode or kind.usual_mode, axes_used, resize)]
        if label_images:
            self._forms.append(Pixels(None, axes_used, resize, labels=True))
        for each in self._forms:
            each.check()
        if kind.stores in ("datum", "pixels") and axes_used != kind.usual_axes:
            raise InvalidParameterError(
                f"axes is {axes!r}; this layout stores pixels as {kind.usual_axes!r}"
            )
        self._size: tuple[int, ...] | None = None

    def read(self, item: ImageFile) -> tuple[ReadItem, int]:
        """Return what is stored of an item, and the number of its bytes in memory."""
        paths = [item.path, *([str(item.label)] if len(self._forms) > 1 else [])]
        contents = [read_file(path) for path in paths]
        if len(paths) > 1:
            _check_same_size(paths, contents)
        size, values, total = None, [], 0
        for path, content, form in zip(paths, contents, self._forms, strict=True):
            try:
                value, found, nbytes = self._made(content, form)
            except InvalidParameterError as problem:
                raise InvalidParameterError(f"{path!r}: {problem}") from problem
            size = size or found
            values.append(value)
            total += nbytes
        return ReadItem(values, size), total

    def _made(self, content: bytes, form: Pixels) -> tuple[Value, tuple[int, ...] | None, int]:
        """Return the value of a file, the size of the image if it is known, and its bytes."""
        if not self._decode:
            return content, size_of(content) if self._check else None, len(content)
        array = form.decode(content)
        value = encode_png(array, form.axes, form.mode) if self._encode else array
        return value, array.shape, array.nbytes

    def checked(self, item: ImageFile, found: ReadItem) -> ReadItem | InvalidParameterError:
        """Return ``found``, or an exception if its size differs from the first one."""
        if not self._check:
            return found
        if self._size is None:
            self._size = found.size
        if found.size != self._size:
            return InvalidParameterError(
                f"{item.path!r}: the size is {found.size}; check_size=True requires that of the"
                f" first image, {self._size}"
            )
        return found


def _check_same_size(paths: list[str], contents: list[bytes]) -> None:
    """Refuse a label image that has another height or width than its image."""
    sizes = []
    for path, content in zip(paths, contents, strict=True):
        try:
            sizes.append(size_of(content)[:2])
        except InvalidParameterError as problem:
            raise InvalidParameterError(f"{path!r}: {problem}") from problem
    if sizes[0] != sizes[1]:
        raise InvalidParameterError(
            f"{paths[1]!r} has {sizes[1]} as height and width; a label image must have those of its"
            f" image {paths[0]!r}, {sizes[0]}"
        )
