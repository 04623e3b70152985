# SPDX-License-Identifier: MIT
"""The layout ``"mmsr"``: pixels under the names of images, and a sidecar file ``meta_info.pkl``.

mmsr uses it.  A value is the bytes of a uint8 array of shape (height, width, channels) in the order
BGR, or of shape (height, width).  The sidecar file is a pickled dict: ``keys``, a list of str; and
``resolution``, for each key ``CHANNELS_HEIGHT_WIDTH``, or one such text for all of them.
"""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING

from ..._base.new_files import publish_file
from ..._base.numpy import np
from ...errors import InvalidParameterError
from .. import _plain_pickle
from ._sidecar import SidecarLayout, recognise_listed, sidecar_path
from .plain import is_array

if TYPE_CHECKING:
    from ._probe import Probe, Recognised
    from .plain import Records, Value

_SIDECAR = "meta_info.pkl"


def recognise(probe: Probe) -> Recognised | None:
    path = sidecar_path(probe, _SIDECAR)
    if path is None:
        return None
    with open(path, "rb") as file:
        meta = _plain_pickle.loads(file.read())
    keys = meta.get("keys") if isinstance(meta, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise InvalidParameterError(
            f"{path!r} must be a pickled dict with a list of str under 'keys'"
        )
    return recognise_listed("mmsr", probe, keys)


def read_sizes(folder: str) -> dict[bytes, str]:
    """Read the sidecar file in a directory.

    :return: ``CHANNELS_HEIGHT_WIDTH`` by key; nothing if there is no file.
    :raises InvalidParameterError: the file has another form.
    """
    path = os.path.join(folder, _SIDECAR)
    try:
        with open(path, "rb") as file:
            meta = _plain_pickle.loads(file.read())
    except FileNotFoundError:
        return {}
    try:
        keys, sizes = list(meta["keys"]), meta["resolution"]
        sizes = [sizes] if isinstance(sizes, str) else list(sizes)
        sizes = sizes * len(keys) if len(sizes) == 1 else sizes
        return {key.encode(): str(size) for key, size in zip(keys, sizes, strict=True)}
    except (TypeError, KeyError, ValueError, AttributeError):
        raise InvalidParameterError(
            f"{path!r} must be a pickled dict with 'keys' and for each key a 'resolution'"
        ) from None


class MmsrLayout(SidecarLayout):
    """The pixels of an image under its name, and ``meta_info.pkl``."""

    stores = "pixels"
    usual_mode = "BGR"

    def read_sizes(self) -> dict[bytes, str]:
        return read_sizes(self.folder)

    def stored(self, key: bytes, value: Value) -> bytes | bytearray:
        return np.asarray(value).tobytes()

    def size_of(self, value: Value) -> str:
        if not is_array(value):
            raise InvalidParameterError(
                f"the size of an image is not known: this layout stores arrays of uint8, not"
                f" {type(value).__name__}"
            )
        array = np.asarray(value)
        if array.dtype != np.uint8 or array.ndim not in (2, 3):
            raise InvalidParameterError(
                f"the image has dtype {array.dtype} and shape {array.shape}; this layout stores"
                " uint8 of shape (height, width) or (height, width, channels)"
            )
        height, width, channels = (*array.shape, 1)[:3]
        return f"{channels}_{height}_{width}"

    def finish(self, count: int) -> Records:
        sizes = self.sizes
        distinct = list(dict.fromkeys(sizes.values()))
        path = os.path.normpath(self.folder)
        meta = {
            "name": os.path.splitext(os.path.basename(path))[0],
            "resolution": distinct if len(distinct) == 1 else list(sizes.values()),
            "keys": [key.decode() for key in sizes],
        }
        publish_file(os.path.join(self.folder, _SIDECAR), pickle.dumps(meta))
        return []
