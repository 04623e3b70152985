# SPDX-License-Identifier: MIT
"""Build the wheels for Linux from an sdist: each CPython, x86-64 and aarch64, glibc and musl.

zig is the compiler, because it brings the C libraries of all targets.  An engine is compiled once
for a target and serves every version of Python (``.abi3.so``); the C core is compiled for each
version.  auditwheel checks each wheel against its platform tag and names the file.

    python release/wheels.py --sdist dist/pylmdb-3.1.0.tar.gz --cache build/wheels --out dist
    python release/wheels.py ... --only musllinux cp313    # the wheels whose names match all words

A Python whose headers are neither on this machine nor in Debian is left out, and named.
"""

from __future__ import annotations

import argparse
import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from compiling import CompileError, Plan
from pythons import MissingError, headers
from sources import unpack
from targets import VERSIONS, Target, chosen, interpreter_tag

RELEASE = Path(__file__).resolve().parent
# Bytes that a wheel may have.  More means that something is not stripped, or does not belong in it.
# Of 1.0 MB, 0.5 are Python files, and 0.2 is each engine, half of which is cffi's generated code.
LARGEST = 1_100_000


class WheelError(Exception):
    """A wheel cannot be made or is not right; the message says why."""


@dataclass(frozen=True)
class Wheel:
    """A wheel to be built: its version of Python, and its compiled modules by their names in it."""

    version: str
    target: Target
    modules: dict[str, Path]

    @property
    def tag(self) -> str:
        python = interpreter_tag(self.version)
        return f"{python}-{python}-{self.target.platform}"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program, first of this environment, and return what it printed.

    :raises WheelError: it fails.
    """
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": programs},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise WheelError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def find_headers(versions: set[str], cache: Path) -> dict[str, Path]:
    """Return the folders of headers by version, the oldest first, and say which versions have none.

    :raises WheelError: none of them has headers.
    """
    found = {}
    for version in VERSIONS:
        if version not in versions:
            continue
        try:
            found[version] = headers(version, cache)
        except MissingError as error:
            print(f"CPython {version}: no wheels, because its headers are missing: {error}")
    if not found:
        raise WheelError("there are no headers of any of these versions of CPython")
    return found


def compile_modules(cache: Path, only: list[str], jobs: int | None) -> list[Wheel]:
    """Compile what the wheels need; the current folder is that of the sources."""
    wanted = chosen(only)
    if not wanted:
        raise WheelError(f"--only {' '.join(only)}: no wheel matches")
    include = find_headers({each for versions in wanted.values() for each in versions}, cache)
    # An engine uses the limited API, which the oldest headers have.
    oldest = include[next(iter(include))]
    build = runpy.run_path("src/pylmdb/_native/build.py")
    engines = [build[each]().distutils_extension("build/glue") for each in ("ffi_0_9", "ffi_1_0")]
    core = build["core_extension"]()
    plan = Plan(cache, build["source_flags"])
    wheels = []
    for target, versions in wanted.items():
        shared = {
            f"{engine.name.rpartition('.')[2]}.abi3.so": plan.module(engine, target, oldest, "abi3")
            for engine in engines
        }
        for version in filter(include.__contains__, versions):
            kind = interpreter_tag(version)
            plan.check(RELEASE / "pyconfig_check.c", target, include[version], kind)
            # Every CPython accepts this name; the tags of the wheel say for which one it is.
            own = {"_core.so": plan.module(core, target, include[version], kind)}
            wheels.append(Wheel(version, target, {**shared, **own}))
    plan.make(jobs)
    return wheels


def python_files(cache: Path) -> Path:
    """Return a folder with all of a wheel that is not compiled: the package and its metadata."""
    folder = cache / "python-files"
    shutil.rmtree(folder, ignore_errors=True)
    setup = [sys.executable, "setup.py", "--quiet"]
    run(*setup, "build_py", "--build-lib", folder)
    run(*setup, "dist_info", "--output-dir", folder)
    return folder


def pack(wheel: Wheel, files: Path, cache: Path, out: Path) -> Path:
    """Write a wheel into ``out``, and return its path.

    :raises WheelError: auditwheel finds that it does not fit its platform, or it is too large.
    """
    folder = cache / "packing"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(files, folder / "wheel")
    for name, built in wheel.modules.items():
        shutil.copy(built, folder / "wheel/pylmdb" / name)
    (info,) = (folder / "wheel").glob("*.dist-info")
    lines = ["Wheel-Version: 1.0", "Generator: pylmdb release/wheels.py"]
    lines += ["Root-Is-Purelib: false", f"Tag: {wheel.tag}"]
    (info / "WHEEL").write_text("\n".join(lines) + "\n\n", "utf-8")
    run(sys.executable, "-m", "wheel", "pack", folder / "wheel", "--dest-dir", folder)
    (packed,) = folder.glob("*.whl")
    # auditwheel's --plat accepts only platforms of this machine; auto finds that of the wheel.
    run("auditwheel", "repair", "--plat", "auto", "-w", folder / "checked", packed)
    (checked,) = (folder / "checked").glob("*.whl")
    if wheel.target.platform not in checked.name:
        raise WheelError(f"{packed.name}: auditwheel finds that it is {checked.name}")
    size = checked.stat().st_size
    if size > LARGEST:
        raise WheelError(f"{checked.name} has {size:,} bytes; at most {LARGEST:,} are expected")
    out.mkdir(parents=True, exist_ok=True)
    return Path(shutil.move(checked, out / checked.name))


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the wheels for Linux from an sdist.")
    parser.add_argument("--sdist", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder that the next run uses")
    parser.add_argument("--out", type=Path, required=True, help="folder for the wheels")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="words in the name")
    parser.add_argument("--jobs", type=int, metavar="N", help="compile N objects at a time")
    options = parser.parse_args()
    cache, out = options.cache.resolve(), options.out.resolve()
    try:
        unpack(options.sdist.resolve(), cache / "source")
        os.chdir(cache / "source")
        files = python_files(cache)
        for wheel in compile_modules(cache, options.only, options.jobs):
            made = pack(wheel, files, cache, out)
            print(f"{made.stat().st_size:>9,}  {made.name}")
    except (CompileError, WheelError) as error:
        raise SystemExit(f"wheels: {error}") from None


if __name__ == "__main__":
    main()
