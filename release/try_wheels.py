# SPDX-License-Identifier: MIT
"""Install each wheel of a folder in a fresh environment, and run ``smoke.py`` there.

A Python that is not on this machine comes from Debian; one for aarch64 runs under qemu.  A wheel
that no Python here can run is named, with the reason.

    python release/try_wheels.py --cache build/wheels dist/*.whl
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from elftools.elf.elffile import ELFFile
from packaging.utils import parse_wheel_filename
from pythons import MissingError, interpreter

RELEASE = Path(__file__).resolve().parent
# Platforms that pip accepts: also newer ones, which the wheels of numpy need.
NEWER = {"manylinux": ("2_17", "2_27", "2_28"), "musllinux": ("1_2",)}


class TrialError(Exception):
    """A wheel does not work; the message says why."""


def python_of(wheel: Path) -> tuple[str, str, str]:
    """Return the version, the kind of platform and the machine of a wheel, by its name."""
    tag = min(parse_wheel_filename(wheel.name)[3], key=lambda each: "2014" in each.platform)
    kind, _, _, machine = tag.platform.split("_", 3)
    return f"{tag.interpreter[2]}.{tag.interpreter[3:]}", kind, machine


def install(wheel: Path, folder: Path, *others: str) -> bool:
    """Let pip install a wheel and other packages as the Python that it is for would do it, and
    return whether all of them have wheels for it.
    """
    version, kind, machine = python_of(wheel)
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", version]
    command += [f"--platform={kind}_{each}_{machine}" for each in NEWER[kind]]
    command += ["--target", str(folder), str(wheel), *others]
    return subprocess.run(command, check=False, stderr=subprocess.PIPE).returncode == 0


def foreign_symbols(folder: Path) -> list[str]:
    """Return the versioned symbols of glibc that the modules of a wheel for musl need."""
    found = []
    for path in sorted((folder / "pylmdb").glob("*.so")):
        with path.open("rb") as file:
            needed = ELFFile(file).get_section_by_name(".gnu.version_r")
            for library, versions in needed.iter_versions() if needed else ():
                found += [f"{path.name}: {library.name} {each.name}" for each in versions]
    return found


def attempt(wheel: Path, cache: Path) -> str | None:
    """Run the smoke program with a wheel.  Return None if it works, or why it cannot be run.

    :raises TrialError: the wheel cannot be installed, or the program fails.
    """
    version, kind, machine = python_of(wheel)
    folder = cache / "installed" / wheel.stem
    command, variables, reason = [], {}, "no Python for musl is here"
    if kind == "manylinux":
        try:
            command, variables = interpreter(version, machine, cache)
        except MissingError as error:
            reason = str(error)
    # A new Python has wheels of cffi earlier than of numpy: then try without numpy.
    if not (command and install(wheel, folder, "numpy")) and not install(wheel, folder):
        raise TrialError("pip does not install it")
    if kind == "musllinux" and (foreign := foreign_symbols(folder)):
        raise TrialError(f"it needs glibc: {', '.join(foreign)}")
    if not command:
        return reason
    # -S: without packages of that Python
    command += ["-S", str(RELEASE / "smoke.py")]
    variables["PYTHONPATH"] = str(folder)
    if subprocess.run(command, env={**os.environ, **variables}, check=False).returncode != 0:
        raise TrialError("the smoke program fails")
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description="Install and run each wheel.")
    parser.add_argument("--cache", type=Path, required=True, help="folder that the next run uses")
    parser.add_argument("wheels", type=Path, nargs="+")
    options = parser.parse_args()
    failed, not_run = [], 0
    for wheel in options.wheels:
        print(f"{wheel.name}: ", end="", flush=True)
        try:
            reason = attempt(wheel.resolve(), options.cache.resolve())
        except TrialError as error:
            failed.append(wheel.name)
            print(error)
            continue
        if reason:
            not_run += 1
            print(f"installed, not run: {reason}")
    tried = len(options.wheels)
    print(f"{tried} wheels: {tried - not_run - len(failed)} work, {not_run} could not be run")
    if failed:
        raise SystemExit(f"try_wheels: these fail: {' '.join(failed)}")


if __name__ == "__main__":
    main()
