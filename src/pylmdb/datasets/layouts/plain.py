# SPDX-License-Identifier: MIT
"""The layout ``"plain"``: one record per sample, under any key, in key order.

LSUN, mmcv and mmengine use it.  A Writer stores bytes as they are, and arrays in ``.npy`` format,
aligned.  The key is the name of the sample, or its number as ``%08d``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from ..._base.buffers import as_buffer
from ...arrays import npy as _npy
from ...errors import InvalidParameterError
from .._ordering import Listed
from ._probe import Recognised

if TYPE_CHECKING:
    from typing import Literal, SupportsIndex

    from numpy.typing import ArrayLike

    from ...types import BytesLike
    from .._batch_writer import BatchWriter
    from .._images import Axes, Mode
    from ._probe import Probe

    # bytes, or anything that numpy makes an array of
    Value = BytesLike | ArrayLike
    Label = SupportsIndex | str | None
    Records = list[tuple[bytes, bytes | bytearray]]


def recognise(probe: Probe) -> Recognised:
    return Recognised("plain", Listed(probe.sample_keys()))


class PlainLayout:
    """How the layout ``"plain"`` stores samples; the base of the other layouts.

    :param batch_writer: the committed records.
    :param key_format: how a number becomes a key; None for that of the layout.
    """

    #: what is stored of a sample: its bytes or array, a Datum message, an image file, or pixels
    stores: ClassVar[Literal["any", "datum", "file", "pixels"]] = "any"
    #: which labels it stores
    labels: ClassVar[Literal["none", "number", "text"]] = "none"
    #: the name of a sample is its key, and without its extension, where it is an image file's
    keys_are_names: ClassVar[bool] = True
    strips_extensions: ClassVar[bool] = False
    #: a Writer may have another key_format
    takes_key_format: ClassVar[bool] = True
    #: the channels and axes of pixels, where the caller names none
    usual_mode: ClassVar[Mode | None] = None
    usual_axes: ClassVar[Axes] = "HWC"
    #: an index keeps the order of the samples where it is not that of the keys
    needs_index: ClassVar[bool] = True
    #: each sample is one record, and no other record counts
    one_record: ClassVar[bool] = True
    key_format = b"%08d"

    def __init__(self, batch_writer: BatchWriter, key_format: bytes | None = None) -> None:
        self.batch_writer = batch_writer
        self.key_format = key_format or self.key_format
        env = batch_writer.env
        self._page_layout = _npy.page_layout(env.lib_version()[0], env.stat().psize)
        self._numbers_are_free = not batch_writer.count

    def count(self) -> int:
        """Return the number of committed samples."""
        return self.batch_writer.count

    def records(self, number: int, value: Value, label: Label, name: str | bytes | None) -> Records:
        """Return the records of a sample.

        :raises InvalidParameterError: the layout cannot store such a sample.
        """
        if label is not None:
            raise InvalidParameterError(
                f"the label is {label!r:.64}; this layout stores no labels",
                hint="use layout='datum', 'folder2lmdb' or 'ocr'",
            )
        key = self.numbered(number) if name is None else as_key(name)
        return [(key, self.stored(key, value))]

    def numbered(self, number: int) -> bytes:
        """Return the key of a sample without a name."""
        key = self.key_format % number
        if not self._numbers_are_free and self.batch_writer.get(key) is not None:
            raise InvalidParameterError(
                f"the next number, {number}, makes the key {key!r}, which another sample has",
                hint="give names to append(), or another key_format to the Writer",
            )
        self._numbers_are_free = True
        return key

    def stored(self, key: bytes, value: Value) -> bytes | bytearray:
        """Return a copy of a value in the form in which it is stored."""
        if not is_array(value):
            return bytes(as_buffer("value", value))
        array = _npy.storable(value)
        plan = _npy.plan(array, self._page_layout, len(key))
        target = bytearray(plan.size)
        _npy.fill(target, plan, array)
        return target

    def commit_records(self, count: int) -> Records:
        """Return the records of each commit that are not samples: the count of samples."""
        return []

    def finish(self, count: int) -> Records:
        """Return the records that complete the data set; write its sidecar files."""
        return []


def is_array(value: object) -> bool:
    return hasattr(value, "__array_interface__") or hasattr(value, "__array__")


def file_bytes(value: object) -> bytes:
    """Return a copy of the bytes of an image file.

    :raises TypeError: the value is an array.
    """
    if is_array(value):
        raise TypeError(
            f"the value is {type(value).__name__}; this layout stores the bytes of image files"
        )
    return bytes(as_buffer("value", value))


def as_key(name: str | bytes) -> bytes:
    return os.fsencode(name) if isinstance(name, str) else bytes(name)
