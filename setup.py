# SPDX-License-Identifier: MIT
"""The part of the build that pyproject.toml cannot say.

It places liblmdb's sources when they are missing, hands the extensions of
``src/pylmdb/_native/build.py`` to cffi, and keeps builds from meeting the leftovers of earlier
ones.  Everything else is in pyproject.toml.
"""

import copy
import os
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

os.chdir(Path(__file__).resolve().parent)

BUILDER = "src/pylmdb/_native/build.py"
MODES = ("PYLMDB_SYSTEM_LIBLMDB", "PYLMDB_SANITIZE")


class BuildExtensions(build_ext):
    """Compile the engines side by side, each in its own directory: both compile shim.c."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extension(self, ext):
        own = copy.copy(self)
        own.build_temp = str(Path(self.build_temp, ext.name))
        super(BuildExtensions, own).build_extension(ext)


class BuildModules(build_py):
    """Copy the Python files, after removing what an earlier build copied: a deleted module must not
    reach a wheel.
    """

    def run(self):
        if not self.editable_mode:
            for old in Path(self.build_lib).rglob("*.py*"):
                if old.is_file():
                    old.unlink()
        super().run()


def enabled(name):
    return os.environ.get(name, "") not in ("", "0")


def place_sources():
    sys.path.insert(0, "lib/liblmdb")
    try:
        from place import PlacingError, place

        place()
    except PlacingError as error:
        raise SystemExit(f"pylmdb: liblmdb's sources: {error}") from None
    finally:
        sys.path.remove("lib/liblmdb")


if enabled("PYLMDB_SYSTEM_LIBLMDB"):
    functions = ["ffi_system"]
else:
    place_sources()
    functions = ["ffi_0_9", "ffi_1_0"]

# One build directory per kind of build, so that none finds another's objects or packs another's
# extensions.
mode = "-".join(["lib", *(name.split("_")[1].lower() for name in MODES if enabled(name))])

setup(
    cffi_modules=[f"{BUILDER}:{function}" for function in functions],
    cmdclass={"build_ext": BuildExtensions, "build_py": BuildModules},
    options={"build": {"build_base": f"build/{mode}"}},
    zip_safe=False,
)
