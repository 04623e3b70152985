# SPDX-License-Identifier: MIT
"""Decode and encode image files, by Pillow."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .._base.numpy import np
from ..errors import InvalidParameterError

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import ArrayLike, NDArray
    from PIL.Image import Image
    from typing_extensions import Buffer

    Mode = Literal["RGB", "BGR", "L"]
    Axes = Literal["HWC", "CHW"]


def import_pillow() -> ModuleType:
    """Return the module ``PIL.Image``.

    :raises ImportError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as problem:
        raise ImportError("image files need pillow: pip install 'pylmdb[datasets]'") from problem
    return Image


class Pixels(NamedTuple):
    """The form to which images are decoded.

    :ivar mode: ``"RGB"`` or ``"BGR"`` for three channels, ``"L"`` for one; None for those of the
        file.
    :ivar axes: ``"HWC"``, without an axis for a single channel; or ``"CHW"``.
    :ivar resize: (height, width) to resize to, in pixels, or None.
    :ivar labels: True for a label image: its pixels are numbers of classes, which neither a palette
        nor resizing changes.
    """

    mode: Mode | None = None
    axes: Axes = "HWC"
    resize: tuple[int, int] | None = None
    labels: bool = False

    def check(self) -> None:
        """Refuse values that are not accepted.

        :raises InvalidParameterError: one is not.
        """
        if self.mode not in ("RGB", "BGR", "L", None):
            raise InvalidParameterError(
                f"mode must be 'RGB', 'BGR', 'L' or None, not {self.mode!r}"
            )
        if self.axes not in ("HWC", "CHW"):
            raise InvalidParameterError(f"axes must be 'HWC' or 'CHW', not {self.axes!r}")
        if self.resize is not None and (len(self.resize) != 2 or min(self.resize) < 1):
            raise InvalidParameterError(
                f"resize must be (height, width), each at least 1, not {self.resize!r}"
            )

    def decode(self, content: bytes | memoryview) -> NDArray[Any]:
        """Decode the content of an image file.

        :return: an array of uint8; of another dtype if ``mode`` is None and the file has another.
        :raises InvalidParameterError: Pillow cannot read it.
        """
        image_module = import_pillow()
        try:
            with image_module.open(io.BytesIO(content)) as image:
                array: NDArray[Any] = self._pixels(image)
        except InvalidParameterError:
            raise
        except Exception as problem:
            raise _unreadable(problem) from problem
        return array

    def _pixels(self, image: Image) -> NDArray[Any]:
        mode = "RGB" if self.mode == "BGR" else self.mode
        if self.labels:
            _check_one_channel(image)
        elif mode is None and image.mode == "P":
            mode = "RGB"
        if mode is not None and image.mode != mode:
            image = image.convert(mode)
        if self.resize is not None:
            height, width = self.resize
            if image.size != (width, height):
                resample = import_pillow().Resampling.NEAREST if self.labels else None
                image = image.resize((width, height), resample)
        array = np.asarray(image)
        if self.labels and array.dtype == np.bool_:
            array = (array.view(np.uint8) != 0).view(np.uint8)  # the true ones may be 255
        if self.mode == "BGR":
            array = array[:, :, ::-1]
        if self.axes == "CHW":
            array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
        return array


def _check_one_channel(image: Image) -> None:
    bands = image.getbands()
    if len(bands) != 1:
        raise InvalidParameterError(
            f"the label image has the channels {', '.join(bands)}; it must have one, gray or with a"
            " palette, whose pixels are numbers of classes"
        )


def size_of(content: Buffer) -> tuple[int, int, int]:
    """Return (height, width, channels) of an image file, from its header.

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
    """Encode an array of pixels as a PNG file.

    :raises InvalidParameterError: a PNG file cannot have its dtype and shape.
    """
    pixels = np.asarray(array)
    if pixels.ndim == 3 and axes == "CHW":
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if mode == "BGR" and pixels.ndim == 3:
        pixels = pixels[:, :, ::-1]
    out = io.BytesIO()
    try:
        import_pillow().fromarray(np.ascontiguousarray(pixels)).save(out, "PNG")
    except (ValueError, TypeError, KeyError, OSError) as problem:
        raise InvalidParameterError(
            f"an array of dtype {pixels.dtype} and shape {pixels.shape} is not an image that PNG"
            f" can store: {problem}"
        ) from None
    return out.getvalue()


# the magic of each format, and its extension
_KINDS = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)


def extension_of(content: bytes) -> str:
    """Return the extension of a file with this content; ``.bin`` if the format is not known."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    for start, extension in _KINDS:
        if content.startswith(start):
            return extension
    return ".bin"


def _unreadable(problem: Exception) -> InvalidParameterError:
    """Return the exception for any that Pillow's decoders raise for a damaged file."""
    return InvalidParameterError(f"the image cannot be read: {problem}")
