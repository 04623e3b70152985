# SPDX-License-Identifier: MIT
"""Describe the compiled extensions: the C core, and for cffi one module per LMDB release line, or
one for the system's liblmdb.

``setup.py`` imports the core's description, and runs this file once per module for ``ffi_0_9``,
``ffi_1_0`` or ``ffi_system``.  Nothing is compiled here, and liblmdb's sources are not read, so the
file can run before they are placed.

The environment chooses what is built:

PYLMDB_SYSTEM_LIBLMDB=1   the system's liblmdb as the only engine, ``pylmdb._lmdbsys``
PYLMDB_SANITIZE=1         AddressSanitizer and UndefinedBehaviorSanitizer
PYLMDB_COVERAGE=1         gcov counts which lines run
PYLMDB_POSIX_ONLY=1       Linux without what only Linux has, as on macOS: see platform.h
PYLMDB_WERROR=1           a warning in our own C stops the build
"""

from __future__ import annotations

import os
import runpy
import sysconfig
from pathlib import Path

from cffi import FFI
from setuptools import Extension

# cffi runs this text with exec(), and setuptools always runs in the project's root.
ROOT = Path.cwd()
NATIVE = Path("src/pylmdb/_native")
LIBLMDB = Path("lib/liblmdb")

PREAMBLE = """
#include "shim.h"
#include "compat.h"
#include "arrays/arrays.h"
#include "merge/merge.h"
#include "text/text.h"
#include "verify/verify.h"
#include "xxh3.h"
#include "engine.h"
#include "rules.h"
#include "position.h"
#include "slots.h"
"""

# Plain C of each engine, one folder per concern; verify/ uses nothing of liblmdb.
FOLDERS = ("plain", "arrays", "merge", "text", "verify")

# Plain C that needs no engine: compiled into the core and into each engine.
WITHOUT_ENGINE = tuple(str(NATIVE / name) for name in ("memory.c", "order.c", "rules.c"))


def option(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def is_for_linux() -> bool:
    """Return whether the extensions are for Linux.  A cross build says for which system it is, in
    the environment variable _PYTHON_HOST_PLATFORM."""
    return sysconfig.get_platform().startswith("linux")


def version() -> str:
    found: str = runpy.run_path(str(ROOT / "src/pylmdb/_version.py"))["__version__"]
    return found


def macros() -> list[tuple[str, str | None]]:
    """Return the macros for all of our C."""
    found: list[tuple[str, str | None]] = [("PYLMDB_VERSION_STRING", f'"{version()}"')]
    if option("PYLMDB_POSIX_ONLY"):
        found.append(("PYLMDB_POSIX_ONLY", "1"))
    return found


def declarations() -> str:
    """Return the text for ffi.cdef(): liblmdb's names, then the marked parts of our headers."""
    own = runpy.run_path(str(ROOT / NATIVE / "declarations.py"))["declarations"](ROOT)
    return (ROOT / NATIVE / "lmdb.cdef.h").read_text("utf-8") + own


def compiler_flags() -> list[str]:
    flags = [
        "-O3",
        "-std=c11",
        "-D_GNU_SOURCE",
        "-UNDEBUG",
        "-fvisibility=hidden",
        "-pthread",
        "-Wall",
        "-Wextra",
    ]
    if is_for_linux():
        flags.append("-fno-plt")  # a flag for ELF
    # Warnings about cffi's generated code, whatever we write.
    flags += ["-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Wno-cast-function-type"]
    # A function without a declaration would be called with arguments converted to int.
    flags.append("-Werror=implicit-function-declaration")
    if option("PYLMDB_WERROR"):
        flags.append("-Werror")
    if option("PYLMDB_SANITIZE"):
        flags += ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g", "-O1"]
    if option("PYLMDB_COVERAGE"):
        flags += ["--coverage", "-fprofile-update=atomic", "-O0"]
    return flags


def source_flags(extension: Extension, source: str) -> list[str]:
    """Return more flags for one source of an extension: for the one that cffi generates.

    Its 7,000 lines only pass arguments on.  -O3 takes twice the time to compile, makes them larger,
    and calls are not faster.  cffi names it with the package in setup.py, and else without.
    """
    is_generated = Path(source).stem.split(".")[-1] == extension.name.split(".")[-1]
    as_ours = option("PYLMDB_SANITIZE") or option("PYLMDB_COVERAGE")
    return ["-O1"] if is_generated and not as_ours else []


def linker_flags() -> list[str]:
    flags = ["-pthread"]
    if option("PYLMDB_SANITIZE"):
        flags.append("-fsanitize=address,undefined")
    if option("PYLMDB_COVERAGE"):
        flags.append("--coverage")
    return flags


def libraries() -> list[str]:
    return ["dl"] if is_for_linux() else []


def sources_in(folder: str) -> list[str]:
    return sorted(str(NATIVE / folder / path.name) for path in (ROOT / NATIVE / folder).glob("*.c"))


def core_docs() -> str:
    """Write core_docs.h, which holds the docstrings of the C core, and return its folder."""
    folder = ROOT / "build" / "core-docs"
    header = runpy.run_path(str(ROOT / NATIVE / "docstrings.py"))["header"](ROOT / "src/pylmdb")
    path = folder / "core_docs.h"
    if not path.is_file() or path.read_text("utf-8") != header:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(header, "utf-8")
    return str(folder.relative_to(ROOT))


def core_extension() -> Extension:
    """Describe the C core, ``pylmdb._core``: compiled once, without cffi and without liblmdb."""
    return Extension(
        "pylmdb._core",
        [*sources_in("core"), *WITHOUT_ENGINE],
        include_dirs=[str(NATIVE), "src/pylmdb/include", core_docs()],
        define_macros=macros(),
        extra_compile_args=compiler_flags(),
        extra_link_args=linker_flags(),
    )


def make_ffi(module: str, liblmdb: Path | None, file_format: int | None) -> FFI:
    """Describe the extension ``module`` with the liblmdb in the directory ``liblmdb``; None: the
    system's.
    """
    defined = macros()
    if liblmdb is None:
        defined.append(("PYLMDB_SYSTEM", "1"))
    else:
        defined += [("PYLMDB_ENGINE_FORMAT", str(file_format)), ("PYLMDB_HAVE_SHIM", "1")]
    ffi = FFI()
    ffi.cdef(declarations())
    ffi.set_source(
        module,
        PREAMBLE,
        # shim.c includes mdb.c and midl.c
        sources=[
            str(LIBLMDB / "shim.c"),
            str(LIBLMDB / "page_sums.c"),
            str(LIBLMDB / "xxh3.c"),
            *WITHOUT_ENGINE,
            str(NATIVE / "engine.c"),
            *(source for folder in FOLDERS for source in sources_in(folder)),
        ],
        include_dirs=[str(folder) for folder in (liblmdb, LIBLMDB, NATIVE) if folder],
        define_macros=defined,
        extra_compile_args=compiler_flags(),
        extra_link_args=linker_flags(),
        libraries=[*libraries(), *(["lmdb"] if liblmdb is None else [])],
    )
    return ffi


def ffi_0_9() -> FFI:
    return make_ffi("pylmdb._lmdb09", LIBLMDB / "0.9", 1)


def ffi_1_0() -> FFI:
    return make_ffi("pylmdb._lmdb10", LIBLMDB / "1.0", 3)


def ffi_system() -> FFI:
    return make_ffi("pylmdb._lmdbsys", None, None)
