# SPDX-License-Identifier: MIT
"""Damage data files at random, with some knowledge of their structure.

A mutant is named by a seed: the same seed makes the same file, wherever it is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pylmdb

PAGE = 4096
METAS = 2

# Where a page's fields are, by engine.
FORMATS = {
    0: {"number": 0, "pad": 8, "flags": 10, "lower": 12, "upper": 14, "nodes": 16, "base": 0},
    1: {"number": 0, "pad": 16, "flags": 18, "lower": 20, "upper": 22, "nodes": 24, "base": 24},
}
BRANCH, LEAF, OVERFLOW = 1, 2, 4
FIXED = 0x20

NUMBERS = [0, 1, 2, 3, 4, 7, 8, 15, 16, 24, 255, 256, 510, 512, 2048, 4080, 4095, 4096, 4097]
NUMBERS += [0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32]
NUMBERS += [1 << 47, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 2]

DATABASES = {
    b"plain": {},
    b"small": {},
    b"dups": {"dupsort": True},
    b"fixed": {"dupsort": True, "dupfixed": True},
    b"numbers": {"integerkey": True},
    b"integers": {"dupsort": True, "dupfixed": True, "integerdup": True},
}


@contextmanager
def refused() -> Iterator[None]:
    """Accept every answer to a mutant, except one that says that liblmdb gave up."""
    try:
        yield
    except pylmdb.PanicError:
        raise
    except pylmdb.Error:
        pass


def fill(path: Path, lib_version: int) -> None:
    """Make a file with every kind of page, and with several records of free pages."""
    rng = Random(1)
    with pylmdb.open(path, lib_version=lib_version, map_size=1 << 22, sync=False) as env:
        dbs = {name: env.open_db(name, **flags) for name, flags in DATABASES.items()}
        for turn in range(3):
            with env.begin(write=True) as txn:
                for i in range(turn, 240, 2):
                    txn.put(b"key%04d" % i, rng.randbytes(rng.randrange(1, 120)), db=dbs[b"plain"])
                for i in range(2):
                    large = rng.randbytes(5000 * turn + 2500 + i)
                    txn.put(b"large%d" % i, large, db=dbs[b"plain"])
                txn.put(b"only", b"record", db=dbs[b"small"])
                for i in range(12):
                    for j in range(turn + 3 if i % 4 else 120):
                        txn.put(b"d%02d" % i, b"value%05d" % (j * 7 + turn), db=dbs[b"dups"])
                        pair = struct.pack("=Q", j * 3 + turn)
                        txn.put(b"f%02d" % i, pair, db=dbs[b"fixed"])
                        txn.put(b"i%02d" % i, pair, db=dbs[b"integers"])
                for i in range(turn, 150, 3):
                    txn.put(struct.pack("=Q", i), b"n" * (i % 40), db=dbs[b"numbers"])
            with env.begin(write=True) as txn:
                for i in range(turn * 50, turn * 50 + 40):
                    txn.delete(b"key%04d" % i, db=dbs[b"plain"])


class Mutator:
    """Change a file in place, a few times."""

    def __init__(self, healthy: bytes, lib_version: int, seed: int) -> None:
        self.data = bytearray(healthy)
        self.rng = Random(seed)
        self.at = FORMATS[lib_version]
        # The pages that describe the file as a whole stay as they are half of the time.
        self.first = self.rng.choice([0, METAS])
        self.pages = len(healthy) // PAGE

    def make(self) -> bytes:
        kinds = [
            self.bit, self.byte, self.word, self.header, self.header, self.pointer, self.node,
            self.node, self.node, self.swap, self.duplicate, self.noise, self.number,
        ]  # fmt: skip
        for _ in range(self.rng.choice([1, 1, 1, 2, 3, 6])):
            self.rng.choice(kinds)()
        if self.rng.random() < 0.05:
            self.cut()
        return bytes(self.data)

    def page(self) -> int:
        """Return the offset of a page that is not in the middle of a large value."""
        for _ in range(20):
            start = self.rng.randrange(self.first, self.pages) * PAGE
            if self.flags(start) & ~0x2E == 0 or self.flags(start) & (BRANCH | LEAF):
                break
        return start

    def flags(self, start: int) -> int:
        return int(self.get("H", start + self.at["flags"]))

    def get(self, code: str, offset: int) -> int:
        return struct.unpack_from("=" + code, self.data, offset)[0]

    def set(self, code: str, offset: int, value: int) -> None:
        size = struct.calcsize("=" + code)
        if 0 <= offset <= len(self.data) - size:
            struct.pack_into("=" + code, self.data, offset, value % (1 << 8 * size))

    def value(self, old: int = 0) -> int:
        rng = self.rng
        return rng.choice([
            rng.choice(NUMBERS), rng.randrange(self.pages + 2), rng.randrange(PAGE),
            old + rng.choice([-16, -8, -4, -2, -1, 1, 2, 4, 8, 16]), old ^ 1 << rng.randrange(16),
            rng.getrandbits(64),
        ])  # fmt: skip

    # ---- what is changed ----

    def anywhere(self) -> int:
        return self.rng.randrange(self.first * PAGE, len(self.data))

    def bit(self) -> None:
        self.data[self.anywhere()] ^= 1 << self.rng.randrange(8)

    def byte(self) -> None:
        self.data[self.anywhere()] = self.rng.choice([0, 1, 0x7F, 0x80, 0xFF])

    def word(self) -> None:
        code = self.rng.choice("HIQ")
        offset = self.anywhere() & -struct.calcsize("=" + code)
        self.set(code, offset, self.value(self.get(code, offset)))

    def header(self) -> None:
        start, field = self.page(), self.rng.choice(["number", "pad", "flags", "lower", "upper"])
        code = "Q" if field == "number" else "H"
        offset = start + self.at[field]
        old = self.get(code, offset)
        new = old ^ 1 << self.rng.randrange(8) if field == "flags" else self.value(old)
        self.set(code, offset, new)

    def count(self, start: int) -> int:
        lower = self.get("H", start + self.at["lower"]) - self.at["nodes"] + self.at["base"]
        return min(max(lower // 2, 0), 400)

    def pointer(self) -> None:
        start = self.page()
        if count := self.count(start):
            offset = start + self.at["nodes"] + 2 * self.rng.randrange(count)
            self.set("H", offset, self.value(self.get("H", offset)))

    def node(self) -> None:
        """Change a node's size or child, its flags, the size of its key, or its first bytes."""
        start = self.page()
        if not (count := self.count(start)):
            return
        offset = self.get("H", start + self.at["nodes"] + 2 * self.rng.randrange(count))
        offset += start + self.at["base"]
        if offset + 8 > len(self.data):
            return
        key_size = self.get("H", offset + 6)
        kind = self.rng.randrange(6)
        if kind < 3:
            field = offset + (0, 4, 6)[kind]
            flip = kind == 1
            old = self.get("H", field)
            self.set("H", field, old ^ 1 << self.rng.randrange(3) if flip else self.value(old))
        elif kind == 3:
            self.set("I", offset, self.value(self.get("I", offset)))
        else:
            inside = offset + 8 + key_size + 2 * self.rng.randrange(24)
            if inside + 8 <= len(self.data):
                code = self.rng.choice("HHQ")
                self.set(code, inside, self.value(self.get(code, inside)))

    def number(self) -> None:
        """Replace a word that could be a page's number by the number of another page."""
        small = [i for i in range(self.first * PAGE, len(self.data) - 8, 8)
                 if METAS <= self.get("Q", i) < self.pages]  # fmt: skip
        if small:
            self.set("Q", self.rng.choice(small), self.rng.randrange(self.pages))

    def swap(self) -> None:
        a, b = self.page(), self.page()
        self.data[a : a + PAGE], self.data[b : b + PAGE] = (
            self.data[b : b + PAGE],
            self.data[a : a + PAGE],
        )
        self.renumber(a, b)

    def duplicate(self) -> None:
        a, b = self.page(), self.page()
        self.data[b : b + PAGE] = self.data[a : a + PAGE]
        self.renumber(b)

    def renumber(self, *starts: int) -> None:
        """Write the right number into half of the pages that were moved."""
        if self.rng.random() < 0.5:
            for start in starts:
                self.set("Q", start, start // PAGE)

    def noise(self) -> None:
        start = self.anywhere()
        end = min(start + self.rng.choice([2, 8, 64, 600, PAGE]), len(self.data))
        self.data[start:end] = (
            self.rng.randbytes(end - start) if self.rng.random() < 0.7 else bytes(end - start)
        )

    def cut(self) -> None:
        del self.data[self.rng.choice([self.anywhere(), self.page()]) :]


def mutant(healthy: bytes, lib_version: int, seed: int) -> bytes:
    return Mutator(healthy, lib_version, seed).make()
