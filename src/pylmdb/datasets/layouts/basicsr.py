# SPDX-License-Identifier: MIT
"""The layout ``"basicsr"``: image files under their names, and a sidecar file ``meta_info.txt``.

BasicSR uses it.  A line is ``name.png (height,width,channels) 1``; the key is the name without its
extension.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ..._base.buffers import as_buffer
from ..._base.new_files import publish_file
from .. import _images
from ._sidecar import SidecarLayout, recognise_listed, sidecar_path
from .plain import file_bytes

if TYPE_CHECKING:
    from ._probe import Probe, Recognised
    from .plain import Records, Value

_SIDECAR = "meta_info.txt"
_LINE = re.compile(r"(.+)\.\w+ \((.*)\) \d+\n?")


def recognise(probe: Probe) -> Recognised | None:
    path = sidecar_path(probe, _SIDECAR)
    if path is None:
        return None
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        names = [_name_in(line) for line in lines if line.strip()]
    return recognise_listed("basicsr", probe, names)


def _name_in(line: str) -> str:
    name = re.split(r" \(\d", line.rstrip("\n"), maxsplit=1)[0].strip()
    return os.path.splitext(name)[0]


class BasicSRLayout(SidecarLayout):
    """An image file under its name, and ``meta_info.txt``."""

    stores = "file"

    def read_sizes(self) -> dict[bytes, str]:
        try:
            with open(os.path.join(self.folder, _SIDECAR), encoding="ascii") as lines:
                matches = [_LINE.fullmatch(line) for line in lines]
        except FileNotFoundError:
            return {}
        return {match[1].encode(): match[2] for match in matches if match}

    def stored(self, key: bytes, value: Value) -> bytes | bytearray:
        return file_bytes(value)

    def size_of(self, value: Value) -> str:
        return ",".join(map(str, _images.size_of(as_buffer("value", value))))

    def finish(self, count: int) -> Records:
        lines = (b"%s.png (%s) 1\n" % (key, size.encode()) for key, size in self.sizes.items())
        publish_file(os.path.join(self.folder, _SIDECAR), b"".join(lines))
        return []
