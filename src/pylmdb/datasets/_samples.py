# SPDX-License-Identifier: MIT
"""Samples as records: what each layout that is written makes of an image or array, its label
and its name.

The formats of the keys are those that ``_layouts`` recognises.
"""

from __future__ import annotations

import os
import pickle
import re
from typing import TYPE_CHECKING, Any

from .._base.buffers import as_buffer
from .._base.new_files import publish_file
from .._base.numpy import np
from .._environment import catalog as _catalog
from ..arrays import npy as _npy
from ..errors import InvalidParameterError
from . import _plain_pickle, datum
from ._images import size_of
from ._layouts import (
    CAFFE,
    FOLDER_COUNT,
    FOLDER_KEYS,
    META_PICKLE,
    META_TEXT,
    OCR_COUNT,
    OCR_IMAGE,
    OCR_LABEL,
    folder_of,
)

if TYPE_CHECKING:
    from typing import SupportsIndex

    from numpy.typing import ArrayLike

    from ..types import BytesLike
    from ._batches import Batches

    # bytes, or what numpy makes an array of
    Value = BytesLike | ArrayLike
    Label = SupportsIndex | str | None

Records = list[tuple[bytes, Any]]


def is_array(value: object) -> bool:
    return hasattr(value, "__array_interface__") or hasattr(value, "__array__")


def as_bytes(value: object) -> bytes:
    """A value that is stored as it is, as it is now."""
    if is_array(value):
        raise TypeError("this layout stores the bytes of image files, not arrays")
    return bytes(as_buffer("value", value))


def as_key(name: str | bytes) -> bytes:
    return os.fsencode(name) if isinstance(name, str) else bytes(name)


def mmsr_sizes(folder: str) -> dict[bytes, str]:
    """What ``meta_info.pkl`` in a folder says, by key: ``CHANNELS_HEIGHT_WIDTH``; nothing if there
    is none.

    :raises InvalidParameterError: it is not what mmsr writes.
    """
    try:
        with open(os.path.join(folder, META_PICKLE), "rb") as file:
            meta = _plain_pickle.loads(file.read())
    except FileNotFoundError:
        return {}
    try:
        keys, sizes = list(meta["keys"]), meta["resolution"]
        sizes = [sizes] if isinstance(sizes, str) else list(sizes)
        sizes = sizes * len(keys) if len(sizes) == 1 else sizes
        return {key.encode(): str(size) for key, size in zip(keys, sizes, strict=True)}
    except (TypeError, KeyError, ValueError, AttributeError):
        raise InvalidParameterError(f"{META_PICKLE} has not the form of mmsr's") from None


class Layout:
    """The layout ``"plain"``, and the base of the others.

    A sample is one record: a key of its own, or its number; bytes as they are, arrays in
    ``.npy`` format, aligned.

    :param batches: what the records go to.
    :param key_format: how a number becomes a key.
    """

    #: whether the order of the samples needs an index where it is not that of the keys
    ordered = True
    #: whether each sample is one record, so that there are as many
    one_record = True
    key_format = b"%08d"

    def __init__(self, batches: Batches, key_format: bytes | None = None) -> None:
        self.batches = batches
        self.key_format = key_format or self.key_format
        env = batches.env
        self._place = _npy.layout(env.lib_version()[0], env.stat().psize)
        self._numbers_free = not batches.count

    def count(self) -> int:
        """How many samples are there, and committed."""
        return self.batches.count

    def records(self, number: int, value: Value, label: Label, name: str | bytes | None) -> Records:
        """The records of a sample."""
        if label is not None:
            raise InvalidParameterError("this layout has no place for labels")
        key = self.numbered(number) if name is None else as_key(name)
        return [(key, self.stored(key, value))]

    def numbered(self, number: int) -> bytes:
        """The key of a sample without a name."""
        key = self.key_format % number
        if not self._numbers_free and self.batches.get(key) is not None:
            raise InvalidParameterError(
                f"there are {self.batches.count} samples, and {key!r} is among their keys",
                hint="give names to append(), or another key_format to the Writer",
            )
        self._numbers_free = True
        return key

    def stored(self, key: bytes, value: Value) -> bytes | bytearray:
        """A value in the form in which it is stored, as it is now."""
        if not is_array(value):
            return bytes(as_buffer("value", value))
        array = _npy.storable(value)
        plan = _npy.plan(array, self._place, len(key))
        target = bytearray(plan.size)
        _npy.fill(target, plan, array)
        return target

    def beside(self, count: int) -> Records:
        """The records that go with each commit, which says that there are so many samples."""
        return []

    def finish(self, count: int) -> Records:
        """The records that complete the data set; files beside it are written."""
        return []


class Datum(Layout):
    """Caffe's: ``%08d``, or ``%08d_`` and a name, and a Datum message."""

    key_format = CAFFE

    def records(self, number: int, value: Value, label: Any, name: str | bytes | None) -> Records:
        key = self.key_format % number
        if name is not None:
            key += b"_" + as_key(name)
        return [(key, datum.encode(value, label, encoded=not is_array(value)))]


class Numbered(Layout):
    """Numbers in digits, without zeros before them, and their count."""

    ordered = one_record = False
    key_format = b"%d"
    count_key = b"length"

    def count(self) -> int:
        value = self.batches.get(self.count_key)
        if value is None:
            if self.batches.count:
                raise InvalidParameterError(
                    f"{self.batches.env.path()!r} has records but no {self.count_key!r}: it has"
                    " another layout"
                )
            return 0
        return self.counted(value)

    def counted(self, value: bytes) -> int:
        if not value.isdigit():
            raise InvalidParameterError(f"{self.count_key!r} is not a number in digits")
        return int(value)

    def records(self, number: int, value: Value, label: Label, name: str | bytes | None) -> Records:
        return super().records(number, value, label, None)

    def beside(self, count: int) -> Records:
        return [(self.count_key, b"%d" % count)]


class Folder(Numbered):
    """folder2lmdb's: pickled pairs of an image file and its label."""

    count_key = FOLDER_COUNT

    def counted(self, value: bytes) -> int:
        count = _plain_pickle.loads(value)
        if type(count) is not int or count < 0:
            raise InvalidParameterError(f"{self.count_key!r} is not a number")
        return count

    def records(self, number: int, value: Value, label: Label, name: str | bytes | None) -> Records:
        pair = as_bytes(value), label if label is None else int(label)
        return [(self.key_format % number, pickle.dumps(pair))]

    def beside(self, count: int) -> Records:
        return [(self.count_key, pickle.dumps(count))]

    def finish(self, count: int) -> Records:
        return [(FOLDER_KEYS, pickle.dumps([self.key_format % n for n in range(count)]))]


class Ocr(Numbered):
    """An image file and its text under numbers from 1, and their count."""

    key_format = OCR_IMAGE
    count_key = OCR_COUNT

    def records(self, number: int, value: Value, label: Label, name: str | bytes | None) -> Records:
        found = [(OCR_IMAGE % (number + 1), as_bytes(value))]
        if label is not None:
            found.append((OCR_LABEL % (number + 1), str(label).encode()))
        return found


class Named(Layout):
    """Images under their names, whose sizes a file beside the data file has."""

    ordered = False

    def __init__(self, batches: Batches, key_format: bytes | None = None) -> None:
        super().__init__(batches, key_format)
        self.folder = folder_of(batches.env.path())
        self.sizes: dict[bytes, Any] = self._sizes_of_all() if batches.count else {}

    def read(self) -> dict[bytes, Any]:
        """What the file says now, by key."""
        return {}

    def records(self, number: int, value: Value, label: Label, name: str | bytes | None) -> Records:
        found = super().records(number, value, label, name)
        key = found[0][0]
        if not (key.isascii() and key.decode().isprintable()):
            # they are lines of a text file beside the data
            raise InvalidParameterError(
                f"this layout has keys of printable ASCII characters, not {key!r}"
            )
        self.sizes[key] = self.size(value)
        return found

    def size(self, value: object) -> str:
        """What the file says of an image."""
        raise NotImplementedError

    def _sizes_of_all(self) -> dict[bytes, Any]:
        """The sizes of what is there: what a writer that was killed has left is looked at."""
        env, sizes = self.batches.env, self.read()
        with env.begin(env.open_db()) as txn:
            there = {*txn.range(values=False)} - {*_catalog.keys(env, txn)}
            found = {key: size for key, size in sizes.items() if key in there}
            for key in sorted(there - set(found)):
                found[key] = self.size(txn.get(key))
        return found


class BasicSR(Named):
    """BasicSR's: image files, and ``meta_info.txt``."""

    def read(self) -> dict[bytes, Any]:
        try:
            with open(os.path.join(self.folder, META_TEXT), encoding="ascii") as file:
                found = [re.fullmatch(r"(.+)\.\w+ \((.*)\) \d+\n?", line) for line in file]
        except FileNotFoundError:
            return {}
        return {match[1].encode(): match[2] for match in found if match}

    def stored(self, key: bytes, value: Value) -> bytes | bytearray:
        return as_bytes(value)

    def size(self, value: object) -> str:
        return ",".join(map(str, size_of(value)))

    def finish(self, count: int) -> Records:
        lines = (b"%s.png (%s) 1\n" % (key, size.encode()) for key, size in self.sizes.items())
        publish_file(os.path.join(self.folder, META_TEXT), b"".join(lines))
        return []


class Mmsr(Named):
    """mmsr's: the mere bytes of images, rows of pixels in BGR, and ``meta_info.pkl``."""

    def read(self) -> dict[bytes, Any]:
        return mmsr_sizes(self.folder)

    def stored(self, key: bytes, value: Value) -> bytes | bytearray:
        return np.asarray(value).tobytes()

    def size(self, value: object) -> str:
        if not is_array(value):
            raise InvalidParameterError(
                "this layout stores arrays of uint8, and the size of what is there is not known"
            )
        array = np.asarray(value)
        if array.dtype != np.uint8 or array.ndim not in (2, 3):
            raise InvalidParameterError(
                f"this layout stores images of uint8, not {array.dtype} of shape {array.shape}"
            )
        height, width, channels = (*array.shape, 1)[:3]
        return f"{channels}_{height}_{width}"

    def finish(self, count: int) -> Records:
        sizes = self.sizes
        known = list(dict.fromkeys(sizes.values()))
        path = os.path.normpath(self.folder)
        meta = {
            "name": os.path.splitext(os.path.basename(path))[0],
            "resolution": known if len(known) == 1 else list(sizes.values()),
            "keys": [key.decode() for key in sizes],
        }
        publish_file(os.path.join(self.folder, META_PICKLE), pickle.dumps(meta))
        return []


LAYOUTS: dict[str, type[Layout]] = {
    "plain": Layout,
    "datum": Datum,
    "numbered": Numbered,
    "folder2lmdb": Folder,
    "ocr": Ocr,
    "basicsr": BasicSR,
    "mmsr": Mmsr,
}
