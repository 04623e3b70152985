# SPDX-License-Identifier: MIT
"""The C floor: builds ``floor.c`` with liblmdb 0.9 and runs its loops.

The loops work on a copy of the data file, in an environment of their own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import VALUE, Sizes, Stage

HERE = Path(__file__).resolve().parent
LIBLMDB = HERE.parent / "lib" / "liblmdb" / "0.9"
BUILD = HERE.parent / "build" / "floor"
# It says how the fields are shared that the edited sources mark.
ORDERING = LIBLMDB.parent / "ordering.h"
# pylmdb compiles the engine with these, too: assertions on, and nothing exported.
FLAGS = [
    "-O3", "-fno-plt", "-UNDEBUG", "-fvisibility=hidden", "-pthread", "-w",
    "-include", str(ORDERING),
]  # fmt: skip
MDB_RDONLY, MDB_NOSYNC = 0x20000, 0x10000

LOOPS = (
    "get",
    "scan",
    "scan_keys",
    "getmulti",
    "getmulti_fixed",
    "begin_get_end",
    "put",
    "write_transaction",
)
DECLARATIONS = """
typedef struct bench bench;
int bench_open(const char *path, unsigned int flags, const char *name, size_t capacity, bench **);
void bench_close(bench *);
char *mdb_strerror(int);
""" + "".join(
    f"int loop_{name}(bench *, const char *, size_t, size_t, size_t, double *);" for name in LOOPS
)


class FloorMissingError(Exception):
    """The loops cannot be built here; the text says why, in one line."""


@dataclass(frozen=True)
class Floor:
    """Which C loop a case is compared with.

    :param file: the stage's file whose copy it works on.
    :param keys: what makes the keys it looks up.
    :param operations: how many steps it takes.
    :param at_most: how many times the floor's time pylmdb may take, if that is asked.
    """

    loop: str
    file: str
    keys: Callable[[Sizes], list[bytes]]
    operations: Callable[[Sizes], int]
    at_most: float | None = None
    db: str | None = None
    flags: int = MDB_RDONLY


class FloorJob:
    """One C loop, which keeps its own time."""

    def __init__(self, floors: Floors, native: Any, floor: Floor, sizes: Sizes) -> None:
        keys = floor.keys(sizes)
        self.operations = floor.operations(sizes)
        self._floors, self._loop = floors, getattr(floors.lib, f"loop_{floor.loop}")
        self._arguments = native, b"".join(keys), len(keys[0]), len(keys), self.operations

    def seconds(self) -> float:
        out = self._floors.ffi.new("double *")
        self._floors.check(self._loop(*self._arguments, out))
        return float(out[0])


class Floors:
    """The compiled loops."""

    def __init__(self) -> None:
        module = load()
        self.ffi, self.lib = module.ffi, module.lib

    def check(self, code: int) -> None:
        if code:
            raise RuntimeError(f"C floor: {self.ffi.string(self.lib.mdb_strerror(code)).decode()}")

    @contextmanager
    def job(self, floor: Floor, stage: Stage) -> Iterator[FloorJob]:
        """The loop of a case, with its environment open."""
        path = str(stage.copy_of(floor.file)).encode()
        name = floor.db.encode() if floor.db else self.ffi.NULL
        capacity = floor.operations(stage.sizes) * len(VALUE)
        out = self.ffi.new("bench **")
        self.check(self.lib.bench_open(path, floor.flags, name, capacity, out))
        try:
            yield FloorJob(self, out[0], floor, stage.sizes)
        finally:
            self.lib.bench_close(out[0])


def load() -> Any:
    """The compiled module: the one from an earlier run if its sources have not changed."""
    sources = [LIBLMDB / "mdb.c", LIBLMDB / "midl.c"]
    missing = [path for path in sources if not path.is_file()]
    if missing:
        raise FloorMissingError("liblmdb's sources are not there; python lib/liblmdb/place.py")
    inputs = [
        *sources,
        LIBLMDB / "lmdb.h",
        LIBLMDB / "midl.h",
        ORDERING,
        HERE / "floor.c",
        HERE / "loops.h",
        Path(__file__),
    ]
    digest = hashlib.sha256(sys.version.encode())
    for path in inputs:
        digest.update(path.read_bytes())
    folder = BUILD / digest.hexdigest()[:16]
    name = "pylmdb_floor"
    built = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not built.is_file():
        compile_module(name, sources, folder)
    return import_module(name, built)


def import_module(name: str, built: Path) -> Any:
    """Import an extension module from its file."""
    spec = importlib.util.spec_from_file_location(name, built)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compile_module(name: str, sources: list[Path], folder: Path) -> None:
    try:
        from cffi import FFI, VerificationError
    except ImportError as error:
        raise FloorMissingError(f"cffi cannot be imported: {error}") from None
    ffi = FFI()
    ffi.cdef(DECLARATIONS)
    ffi.set_source(
        name,
        '#include "floor.c"',
        sources=[str(path) for path in sources],
        include_dirs=[str(LIBLMDB), str(HERE)],
        extra_compile_args=FLAGS,
        extra_link_args=["-pthread"],
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ffi.compile(tmpdir=str(folder))
    except (VerificationError, ImportError, OSError) as error:
        reason = str(error).splitlines() or [type(error).__name__]
        raise FloorMissingError(f"floor.c cannot be compiled: {reason[0]}") from None
