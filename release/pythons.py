# SPDX-License-Identifier: MIT
"""Find the headers and interpreters of each version of CPython, on this machine and in Debian."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from debian import DebianError, Suite

# The suites of Debian that have one of them.
SUITES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "sid", "3.15": "sid"}
DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


class MissingError(Exception):
    """A Python or a program cannot be had; the message says why."""


def installed(version: str) -> Path | None:
    """Return the interpreter of this version that is on this machine, with its headers."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [path / "bin" / f"python{version}" for path in pyenv.glob(f"versions/{version}.*")]
    found += [Path(path) for path in [shutil.which(f"python{version}")] if path]
    for python in found:
        if (python.resolve().parents[1] / f"include/python{version}/Python.h").is_file():
            return python
    return None


def headers(version: str, cache: Path) -> Path:
    """Return the folder of a version's headers.

    All targets are 64-bit little-endian Linux, on which pyconfig.h has the same sizes.
    ``pyconfig_check.c`` is compiled for each target to show that.
    :raises MissingError: neither this machine nor Debian has them.
    """
    python = installed(version)
    if python:
        return python.resolve().parents[1] / f"include/python{version}"
    folder = cache / "headers" / version
    if folder.is_dir():
        return folder
    usr = _from_debian(version, "x86_64", cache, f"libpython{version}-dev") / "usr/include"
    partial = folder.with_name(f"{version}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(usr / f"python{version}", partial)
    # Debian's own pyconfig.h chooses one by the machine.
    shutil.copy(usr / f"x86_64-linux-gnu/python{version}/pyconfig.h", partial / "pyconfig.h")
    partial.rename(folder)
    return folder


def interpreter(version: str, machine: str, cache: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs a Python of a machine, and variables for its environment.

    One that is not installed is unpacked from Debian, and for another machine runs under qemu.
    :raises MissingError: neither this machine nor Debian has it.
    """
    native = machine == platform.machine()
    python = installed(version) if native else None
    if python:
        return [str(python)], {}
    # numpy needs libstdc++6.
    packages = [f"python{version}-minimal", f"libpython{version}-stdlib", "libstdc++6"]
    root = _from_debian(version, machine, cache, *packages)
    # The loader is named, because /lib would be that of this system.
    folders = [root / "lib" / f"{machine}-linux-gnu", root / "usr/lib" / f"{machine}-linux-gnu"]
    loader = next(folders[0].glob("ld-linux-*.so.*"))
    command = [str(loader), "--library-path", ":".join(map(str, folders))]
    if not native:
        qemu = shutil.which(f"qemu-{machine}-static") or shutil.which(f"qemu-{machine}")
        if not qemu:
            raise MissingError(f"qemu-{machine} is missing (apt-get install qemu-user-static)")
        command = [qemu, *command]
    python = root / f"usr/bin/python{version}"
    return [*command, str(python)], {"PYTHONHOME": str(root / "usr")}


def oldest_musl(machine: str, cache: Path) -> Path:
    """Return the C library of musl 1.2.2, the oldest of 1.2 that Debian has.

    :raises MissingError: it cannot be had.
    """
    try:
        root = Suite("bullseye", DEBIAN_NAMES[machine], cache / "debian").unpack("musl")
    except DebianError as error:
        raise MissingError(f"no musl from Debian bullseye: {error}") from None
    return root / f"lib/{machine}-linux-musl/libc.so"


def _from_debian(version: str, machine: str, cache: Path, *packages: str) -> Path:
    suite = SUITES.get(version)
    if suite is None:
        raise MissingError("not on this machine, and no suite of Debian has it")
    try:
        return Suite(suite, DEBIAN_NAMES[machine], cache / "debian").unpack(*packages)
    except DebianError as error:
        raise MissingError(f"not on this machine, and not from Debian {suite}: {error}") from None
