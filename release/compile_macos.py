# SPDX-License-Identifier: MIT
"""Compile and link pylmdb's extensions for macOS.  Nothing is run there.

    python release/compile_macos.py --cache build/macos

The extensions are those that build.py describes, so their sources and macros are those of a
build on macOS.  The headers are those of the Python that runs this.  Only pyconfig.h depends on
the system; CONFIG has what differs, as far as the headers and our C use it.
"""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.chdir(ROOT)
os.environ["_PYTHON_HOST_PLATFORM"] = "macosx"  # build.py describes a build for it
os.environ["PYLMDB_WERROR"] = "1"
sys.path[:0] = ["src/pylmdb/_native", "lib/liblmdb"]

from compiling import CompileError, Plan  # noqa: E402
from place import place  # noqa: E402
from targets import Target  # noqa: E402

from build import core_extension, ffi_0_9, ffi_1_0, source_flags  # noqa: E402

TARGETS = (
    Target("macosx_11_0_arm64", "aarch64-macos.11.0-none"),
    Target("macosx_11_0_x86_64", "x86_64-macos.11.0-none"),
)

# None: not defined on macOS.
CONFIG = {
    "SIZEOF_FPOS_T": "8",
    "SIZEOF_PTHREAD_KEY_T": "8",
    "PTHREAD_KEY_T_IS_COMPATIBLE_WITH_INT": None,
    "MAJOR_IN_SYSMACROS": None,
    "_POSIX_C_SOURCE": None,
    "_XOPEN_SOURCE": None,
}


def write_config(folder: Path) -> None:
    """Write the pyconfig.h of a Python for macOS, made from that of this Python."""
    folder.mkdir(parents=True, exist_ok=True)
    text = Path(sysconfig.get_config_h_filename()).read_text("utf-8")
    undefined = "".join(f"#undef {name}\n" for name in CONFIG)
    defined = "".join(f"#define {name} {value}\n" for name, value in CONFIG.items() if value)
    (folder / "pyconfig.h").write_text(f"{text}\n{undefined}{defined}", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile and link pylmdb for macOS.")
    parser.add_argument("--cache", type=Path, required=True, help="the folder of what is compiled")
    cache = parser.parse_args().cache.resolve()
    platform = os.environ.pop("_PYTHON_HOST_PLATFORM")
    place()  # by pip, which must not take this machine for that platform
    os.environ["_PYTHON_HOST_PLATFORM"] = platform
    headers = cache / "headers"
    write_config(headers)
    ffis = (ffi_0_9(), ffi_1_0())
    glue = [ffi.distutils_extension(str(cache / "glue"), verbose=False) for ffi in ffis]
    extensions = [core_extension(), *glue]
    for extension in extensions:
        extension.include_dirs.append(str(headers))  # before the folder of Python.h
    python = Path(sysconfig.get_path("include"))
    plan = Plan(cache, source_flags)
    for target in TARGETS:
        for extension in extensions:
            plan.module(extension, target, python, "all")
    try:
        plan.make(os.cpu_count())
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    for target in TARGETS:
        print(f"{target.platform}: compiled and linked; nothing was run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
