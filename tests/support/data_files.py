# SPDX-License-Identifier: MIT
"""Find and change fields in data files as bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import mutants

NO_ROOT = 2**64 - 1
# Of a record of a tree, from its beginning.
RECORD = {"width": 0, "flags": 4, "depth": 6, "branch": 8, "leaf": 16, "large": 24, "entries": 32,
          "root": 40}  # fmt: skip


class File:
    """A data file whose pages can be changed.

    :param path: its directory.
    :param version: of LMDB, 0 or 1.
    """

    def __init__(self, path: Path, version: int) -> None:
        self.path, self.version, self.at = path, version, mutants.FORMATS[version]
        self.data = bytearray((path / "data.mdb").read_bytes())

    def set(self, code: str, offset: int, value: int) -> None:
        struct.pack_into("=" + code, self.data, offset, value)

    def get(self, code: str, offset: int) -> int:
        return int(struct.unpack_from("=" + code, self.data, offset)[0])

    def save(self) -> None:
        (self.path / "data.mdb").write_bytes(self.data)

    # ---- any page, in use or not ----

    def pages(self, kind: int) -> Iterator[int]:
        for start in range(2 * mutants.PAGE, len(self.data), mutants.PAGE):
            number = self.get("Q", start)
            if number == start // mutants.PAGE and self.get("H", start + self.at["flags"]) == kind:
                yield start

    def nodes(self, start: int) -> Iterator[int]:
        count = self.get("H", start + self.at["lower"]) - self.at["nodes"] + self.at["base"]
        for i in range(count // 2):
            offset = self.get("H", start + self.at["nodes"] + 2 * i)
            yield start + offset + self.at["base"]

    def node(self, key: bytes) -> list[int]:
        """Return all offsets of the node with this key; old copies of its page may exist."""
        head = struct.pack("=H", len(key)) + key
        return [
            node
            for start in self.pages(mutants.LEAF)
            for node in self.nodes(start)
            if self.data[node + 6 : node + 6 + len(head)] == head
        ]

    # ---- what the newest snapshot has ----

    def meta(self) -> int:
        """Return the offset of the content of the newest meta page."""
        metas = [page * mutants.PAGE + self.at["nodes"] for page in range(mutants.METAS)]
        return max(metas, key=lambda at: self.get("Q", at + 128))

    def record(self, name: bytes | None = None) -> int:
        """Return the offset of the record of a database."""
        main = self.meta() + 72
        if name is None:
            return main
        return next(
            self.value(node)
            for page in self.leaves(main)
            for node in self.nodes(page)
            if self.key(node) == name + bytes(self.version)
        )

    def free_record(self) -> int:
        """Return the offset of the record of the free list."""
        return self.meta() + 24

    def key(self, node: int) -> bytes:
        return bytes(self.data[node + 8 : node + 8 + self.get("H", node + 6)])

    def value(self, node: int) -> int:
        """Return the offset of the value of a node."""
        size = self.get("H", node + 6)
        return node + 8 + size + (size & self.version)

    def tree(self, record: int) -> Iterator[int]:
        """Yield the offsets of the pages of a tree, each before those below it."""
        root = self.get("Q", record + RECORD["root"])
        below = [] if root == NO_ROOT else [root]
        while below:
            start = below.pop(0) * mutants.PAGE
            yield start
            if self.get("H", start + self.at["flags"]) == mutants.BRANCH:
                below += [self.get("Q", node) & (1 << 48) - 1 for node in self.nodes(start)]

    def leaves(self, record: int) -> list[int]:
        return [
            start
            for start in self.tree(record)
            if self.get("H", start + self.at["flags"]) & mutants.LEAF
        ]
