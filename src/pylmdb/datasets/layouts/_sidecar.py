# SPDX-License-Identifier: MIT
"""Layouts with a sidecar file: it is next to the data file and lists keys and sizes of images."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..._environment import catalog as _catalog
from ...errors import InvalidParameterError
from .._ordering import Listed
from ._probe import Recognised, folder_of
from .plain import PlainLayout

if TYPE_CHECKING:
    from .._batch_writer import BatchWriter
    from ._probe import Probe
    from .plain import Label, Records, Value


def sidecar_path(probe: Probe, name: str) -> str | None:
    """Return the path of a sidecar file of the main database; None if there is none."""
    path = os.path.join(probe.folder, name)
    return path if probe.name is None and os.path.isfile(path) else None


def recognise_listed(layout: str, probe: Probe, names: list[str]) -> Recognised | None:
    """Recognise a layout if the database has the first and the last of the keys listed."""
    keys = [name.encode("utf-8", "surrogateescape") for name in names]
    if keys and not (probe.has(keys[0]) and probe.has(keys[-1])):
        return None
    return Recognised(layout, Listed(keys))


class SidecarLayout(PlainLayout):
    """Images under their names, and a sidecar file with their keys and sizes.

    The file is written when the data set is finished.  A Writer that extends a data set begins with
    the keys and sizes in the file, and reads those images that the file does not list: they are
    from a Writer that was killed.

    :ivar sizes: the size of each image as the file has it, by key.
    """

    strips_extensions = True
    takes_key_format = False
    needs_index = False

    def __init__(self, batch_writer: BatchWriter, key_format: bytes | None = None) -> None:
        super().__init__(batch_writer, key_format)
        self.folder = folder_of(batch_writer.env.path())
        self.sizes: dict[bytes, str] = self._committed_sizes() if batch_writer.count else {}

    def read_sizes(self) -> dict[bytes, str]:
        """Read the sidecar file.  Return the sizes by key; nothing if there is no file."""
        raise NotImplementedError

    def size_of(self, value: Value) -> str:
        """Return the size of an image as the sidecar file has it."""
        raise NotImplementedError

    def records(self, number: int, value: Value, label: Label, name: str | bytes | None) -> Records:
        found = super().records(number, value, label, name)
        key = found[0][0]
        if not (key.isascii() and key.decode().isprintable()):
            # a line of text in the sidecar file
            raise InvalidParameterError(
                f"the key is {key!r}; keys of this layout are printable ASCII characters"
            )
        self.sizes[key] = self.size_of(value)
        return found

    def _committed_sizes(self) -> dict[bytes, str]:
        env, listed = self.batch_writer.env, self.read_sizes()
        with env.begin(env.open_db()) as txn:
            keys = {*txn.range(values=False)} - {*_catalog.keys(env, txn)}
            sizes = {key: size for key, size in listed.items() if key in keys}
            for key in sorted(keys - set(sizes)):
                sizes[key] = self.size_of(txn.get(key, b""))
        return sizes
