# SPDX-License-Identifier: MIT
"""The part of the build that pyproject.toml cannot express.

Place liblmdb's sources if they are missing, pass the extensions of
``src/pylmdb/_native/build.py`` to cffi, and keep files of earlier builds out of new ones.
Everything else is in pyproject.toml.
"""

import copy
import os
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

os.chdir(Path(__file__).resolve().parent)
# before the root, which has a folder build/
sys.path.insert(0, "src/pylmdb/_native")

from build import core_extension, glue_flags  # noqa: E402

BUILDER = "src/pylmdb/_native/build.py"
MODES = ("PYLMDB_SYSTEM_LIBLMDB", "PYLMDB_SANITIZE", "PYLMDB_COVERAGE")


class BuildExtensions(build_ext):
    """Compile the extensions in parallel, and only those objects whose inputs have changed.

    Both engines compile shim.c, so each extension has its own directory for objects.  setuptools
    compiles all objects of an extension when one input has changed.  Here the compiler lists the
    inputs of each object in a file next to it (``-MMD``).
    """

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extension(self, ext):
        own = copy.copy(self)
        own.build_temp = str(Path(self.build_temp, ext.name))
        own.compiler = copy.copy(self.compiler)
        compile_one = own.compiler._compile
        settings = [path for path in ext.depends if "compiler-settings" in path]

        def compile_stale(obj, source, suffix, arguments, extra, preprocessor):
            if not is_fresh(Path(obj), settings):
                if Path(source).stem == ext.name.rpartition(".")[2]:  # made by cffi
                    extra = [*extra, *glue_flags()]
                compile_one(obj, source, suffix, [*arguments, "-MMD"], extra, preprocessor)

        own.compiler._compile = compile_stale
        super(BuildExtensions, own).build_extension(ext)


class BuildModules(build_py):
    """Remove the Python files of an earlier build, then copy: a wheel must not have a deleted
    module.
    """

    def run(self):
        if not self.editable_mode:
            for old in Path(self.build_lib).rglob("*.py*"):
                if old.is_file():
                    old.unlink()
        super().run()


def is_fresh(obj, settings):
    """Whether an object is newer than all inputs that the compiler listed, and the settings."""
    listing = obj.with_suffix(".d")
    if not (obj.exists() and listing.exists()):
        return False
    inputs = listing.read_text("utf-8").replace("\\\n", " ").partition(":")[2].split()
    made = obj.stat().st_mtime
    return all(
        os.path.exists(path) and os.stat(path).st_mtime <= made for path in [*inputs, *settings]
    )


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

# One build directory per kind of build, so that no build uses the objects or extensions of
# another kind.
mode = "-".join(["lib", *(name.split("_")[1].lower() for name in MODES if enabled(name))])

setup(
    # PyPy has only the core in cffi
    ext_modules=[core_extension()] if sys.implementation.name == "cpython" else [],
    cffi_modules=[f"{BUILDER}:{function}" for function in functions],
    cmdclass={"build_ext": BuildExtensions, "build_py": BuildModules},
    options={"build": {"build_base": f"build/{mode}"}},
    zip_safe=False,
)
