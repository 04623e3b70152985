# SPDX-License-Identifier: MIT
"""Do the part of the build that pyproject.toml cannot describe.

Fetch liblmdb's sources if they are missing, compile the extensions of
``src/pylmdb/_native/build.py``, keep files of earlier builds out of new ones, write which liblmdb a
wheel contains, and describe pylmdb to the package index.  Everything else is in pyproject.toml.
"""

import contextlib
import copy
import importlib.machinery
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sysconfig import get_platform

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

os.chdir(Path(__file__).resolve().parent)
# First in the path, because the root has a folder build/, and the module has the same name.
sys.path.insert(0, "src/pylmdb/_native")

from build import core_extension, source_flags  # noqa: E402

if get_platform().startswith("win"):
    raise SystemExit(
        "pylmdb: Windows is not supported; use py-lmdb (pip install lmdb), or pylmdb in WSL"
    )

BUILDER = "src/pylmdb/_native/build.py"
MODES = ("PYLMDB_SYSTEM_LIBLMDB", "PYLMDB_SANITIZE", "PYLMDB_COVERAGE", "PYLMDB_POSIX_ONLY")


class BuildExtensions(build_ext):
    """Compile objects in parallel, and only those whose inputs changed.

    ``-j N`` compiles N objects at a time; without it, one for each processor that this process may
    use.  Each extension has its own directory, because both engines compile shim.c.  setuptools
    compiles all objects of an extension if one input has changed.  Here the compiler lists the
    inputs of each object in a file beside it (``-MMD``), and a second file has its command.

    An editable install keeps its objects, where ``build_ext --inplace`` finds them, and not in a
    temporary directory.
    """

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or processors()
        if self.editable_mode:
            build = self.get_finalized_command("build")
            usual = type(build)(self.distribution)
            usual.build_base = build.build_base
            usual.ensure_finalized()
            self.build_temp = usual.build_temp

    def build_extensions(self):
        compiler = getattr(self.compiler, "compiler", ["cc"])[0]
        if not shutil.which(compiler):
            raise SystemExit(
                f"pylmdb: there is no C compiler: {compiler!r} was not found; install it (Debian:"
                " apt-get install gcc libc6-dev; macOS: xcode-select --install), or name one with"
                " CC="
            )
        if not any(Path(folder, "Python.h").is_file() for folder in self.include_dirs):
            version = f"python{sys.version_info[0]}.{sys.version_info[1]}-dev"
            raise SystemExit(
                "pylmdb: there is no Python.h, which is needed to compile; install it (Debian:"
                f" apt-get install {version})"
            )
        with ThreadPoolExecutor(self.parallel) as self.pool:
            super().build_extensions()

    def build_extension(self, ext):
        own = copy.copy(self)
        own.build_temp = str(Path(self.build_temp, ext.name))
        own.force = True  # is_fresh() decides for each object
        own.compiler = copy.copy(self.compiler)
        compile_one = own.compiler._compile
        link = [*ext.extra_link_args, *ext.libraries]

        def compile_stale(obj, source, suffix, arguments, extra, preprocessor):
            extra = [*extra, *source_flags(ext, source)]
            arguments = [*arguments, "-MMD"]
            parts = own.compiler.compiler_so, source, arguments, extra, preprocessor, link
            command = Path(obj).with_suffix(".txt")
            if not is_fresh(Path(obj), command, repr(parts)):
                command.unlink(missing_ok=True)
                compile_one(obj, source, suffix, arguments, extra, preprocessor)
                command.write_text(repr(parts), "utf-8")

        compile_serially = own.compiler.compile

        def compile_all(sources, **options):
            each = self.pool.map(lambda source: compile_serially([source], **options), sources)
            return [obj for objects in each for obj in objects]

        own.compiler._compile = compile_stale
        own.compiler.compile = compile_all
        super(BuildExtensions, own).build_extension(ext)
        remove_shadows(Path(self.get_ext_fullpath(ext.name)))

    def copy_extensions_to_source(self):
        super().copy_extensions_to_source()
        for ext in self.extensions:
            remove_shadows(Path("src", *self.get_ext_filename(ext.name).split("/")))


class BuildModules(build_py):
    """Remove files that an earlier build copied, then copy the Python files.

    So a deleted module never gets into a wheel.
    """

    def run(self):
        if not self.editable_mode:
            for old in Path(self.build_lib).rglob("*.py*"):
                if old.is_file():
                    old.unlink()
        super().run()


class BuildWheel(bdist_wheel):
    """Add a bill of materials to the metadata: which liblmdb is compiled into the package."""

    def egg2dist(self, egginfo_path, distinfo_path):
        super().egg2dist(egginfo_path, distinfo_path)
        if enabled("PYLMDB_SYSTEM_LIBLMDB"):
            return
        with liblmdb_on_path():
            from sbom import NAME, bill_of_materials
        folder = Path(distinfo_path, "sboms")
        folder.mkdir(exist_ok=True)
        (folder / NAME).write_text(bill_of_materials(self.distribution.get_version()), "utf-8")


def description():
    """Return the README for the package index, where links to files of the repository would lead
    nowhere: they become the names of the files, which the sdist has.
    """

    def name_file(link):
        text, path = link[1], link[2]
        return text if text == path else f"{text} (`{path}`)"

    readme = Path("README.md").read_text("utf-8")
    return re.sub(r"\[([^]]+)\]\((?!https?://)([^)#]+)[^)]*\)", name_file, readme)


def processors():
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def remove_shadows(built):
    """Remove what an earlier build left of the same module under another suffix.

    An engine is one file for every version of CPython (``.abi3.so``); Python would prefer a file
    that is for its own version.
    """
    module = built.name.partition(".")[0]
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        other = built.with_name(module + suffix)
        if other != built:
            other.unlink(missing_ok=True)


def is_fresh(obj, command, text):
    """Return True if an object was made by the command ``text`` and is newer than its inputs."""
    listing = obj.with_suffix(".d")
    if not (obj.exists() and listing.exists() and command.exists()):
        return False
    if command.read_text("utf-8") != text:
        return False
    inputs = listing.read_text("utf-8").replace("\\\n", " ").partition(":")[2].split()
    made = obj.stat().st_mtime
    return all(os.path.exists(path) and os.stat(path).st_mtime <= made for path in inputs)


def enabled(name):
    return os.environ.get(name, "") not in ("", "0")


def lock_build_folder():
    """Wait until no other process builds in this folder, and lock it until this process ends.

    pip and ``make`` run this file for several environments, and all of them compile in ``build``.
    """
    try:
        import fcntl
    except ImportError:
        return
    os.makedirs("build", exist_ok=True)
    fcntl.flock(os.open("build", os.O_RDONLY), fcntl.LOCK_EX)


@contextlib.contextmanager
def liblmdb_on_path():
    """Let modules of lib/liblmdb be imported."""
    sys.path.insert(0, "lib/liblmdb")
    try:
        yield
    finally:
        sys.path.remove("lib/liblmdb")


def place_sources():
    with liblmdb_on_path():
        from place import PlacingError, place
    try:
        place()
    except PlacingError as error:
        raise SystemExit(f"pylmdb: liblmdb's sources: {error}") from None


lock_build_folder()
if enabled("PYLMDB_SYSTEM_LIBLMDB"):
    functions = ["ffi_system"]
else:
    place_sources()
    functions = ["ffi_0_9", "ffi_1_0"]

# Each kind of build has its own directory, so it never uses objects or extensions of another kind.
mode = "-".join(["lib", *(name.removeprefix("PYLMDB_").lower() for name in MODES if enabled(name))])

setup(
    # PyPy has only the cffi core.
    ext_modules=[core_extension()] if sys.implementation.name == "cpython" else [],
    cffi_modules=[f"{BUILDER}:{function}" for function in functions],
    cmdclass={
        "bdist_wheel": BuildWheel,
        "build_ext": BuildExtensions,
        "build_py": BuildModules,
    },
    long_description=description(),
    long_description_content_type="text/markdown",
    options={"build": {"build_base": f"build/{mode}"}},
    zip_safe=False,
)
