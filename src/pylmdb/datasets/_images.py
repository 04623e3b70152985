# SPDX-License-Identifier: MIT
"""Image files decoded and encoded by Pillow."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .._base.numpy import np
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import ArrayLike, NDArray
    from PIL.Image import Image

    Mode = Literal["RGB", "BGR", "L"]
    Axes = Literal["HWC", "CHW"]


def import_pillow() -> ModuleType:
    """Pillow's module of images."""
    try:
        from PIL import Image
    except ImportError as problem:
        raise ImportError(
            "decoding images needs pillow: pip install 'pylmdb[datasets]'"
        ) from problem
    return Image


class Pixels(NamedTuple):
    """What images are decoded to.

    :ivar mode: ``"RGB"`` or ``"BGR"``, for three channels whatever the file has; ``"L"`` for one;
        None for those of the file.
    :ivar axes: ``"HWC"``, the channels last, and no axis for them if there is one; or ``"CHW"``.
    :ivar resize: (height, width) to resize to, or None.
    """

    mode: Mode | None = None
    axes: Axes = "HWC"
    resize: tuple[int, int] | None = None

    def check(self) -> None:
        """Refuse what is no such thing."""
        if self.mode not in ("RGB", "BGR", "L", None):
            raise InvalidParameterError(f"mode must be 'RGB', 'BGR' or 'L', not {self.mode!r}")
        if self.axes not in ("HWC", "CHW"):
            raise InvalidParameterError(f"axes must be 'HWC' or 'CHW', not {self.axes!r}")
        if self.resize is not None and (len(self.resize) != 2 or min(self.resize) < 1):
            raise InvalidParameterError(f"resize must be (height, width), not {self.resize!r}")

    def decode(self, content: bytes | memoryview) -> NDArray[Any]:
        """The pixels of an image file's content, uint8 unless ``mode`` is None and the file has
        others.

        :raises InvalidParameterError: Pillow cannot read it.
        """
        image_module = import_pillow()
        try:
            with image_module.open(io.BytesIO(content)) as image:
                array: NDArray[Any] = self._pixels(image)
        except Exception as problem:
            raise _unreadable(problem) from problem
        return array

    def _pixels(self, image: Image) -> NDArray[Any]:
        mode = "RGB" if self.mode == "BGR" else self.mode
        if mode is None and image.mode == "P":
            mode = "RGB"
        if mode is not None and image.mode != mode:
            image = image.convert(mode)
        if self.resize is not None and image.size != self.resize[::-1]:
            image = image.resize(self.resize[::-1])
        array = np.asarray(image)
        if self.mode == "BGR":
            array = array[:, :, ::-1]
        if self.axes == "CHW":
            array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
        return array


def size_of(content: Any) -> tuple[int, int, int]:
    """Height, width and channels of an image file, from its header.

    :raises InvalidParameterError: Pillow cannot read it.
    """
    image_module = import_pillow()
    try:
        with image_module.open(io.BytesIO(content)) as image:
            width, height = image.size
            channels = 3 if image.mode == "P" else len(image.getbands())
    except Exception as problem:
        raise _unreadable(problem) from problem
    return height, width, channels


def encode_png(array: ArrayLike, axes: Axes = "HWC", mode: Mode | None = None) -> bytes:
    """An array of pixels as the content of a PNG file.

    :raises InvalidParameterError: there is no PNG of its dtype and shape.
    """
    array = np.asarray(array)
    if array.ndim == 3 and axes == "CHW":
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if mode == "BGR" and array.ndim == 3:
        array = array[:, :, ::-1]
    out = io.BytesIO()
    try:
        import_pillow().fromarray(np.ascontiguousarray(array)).save(out, "PNG")
    except (ValueError, TypeError, KeyError, OSError) as problem:
        raise InvalidParameterError(
            f"an array of {array.dtype} and shape {array.shape} is not an image: {problem}"
        ) from None
    return out.getvalue()


# how files of each kind begin, and their extensions
_KINDS = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)


def extension_of(content: bytes) -> str:
    """The extension that a file with this content should have; ``.bin`` if it is not known."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    for start, extension in _KINDS:
        if content.startswith(start):
            return extension
    return ".bin"


def _unreadable(problem: Exception) -> InvalidParameterError:
    """For whatever Pillow's many decoders raise for a file that is damaged."""
    return InvalidParameterError(f"the image cannot be read: {problem}")
