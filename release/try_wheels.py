# SPDX-License-Identifier: MIT
"""Install each wheel of a folder in a fresh environment, and run ``smoke.py`` there.

A Python that is not on this machine comes from Debian; one for aarch64 runs under qemu.  A wheel
that no Python here can run is named, with the reason.  Those for musl may need only symbols that
the oldest musl 1.2 of Debian has.

    python release/try_wheels.py --cache build/wheels dist/*.whl
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

from elftools.elf.elffile import ELFFile
from installing import install, python_of
from pythons import MissingError, interpreter, oldest_musl

RELEASE = Path(__file__).resolve().parent


class TrialError(Exception):
    """A wheel does not work; the message says why."""


def symbols(module: Path, *, defined: bool) -> set[str]:
    """Return the dynamic symbols that a module defines, or those that it must find elsewhere."""
    with module.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".dynsym")
        return {
            symbol.name
            for symbol in table.iter_symbols()
            if (symbol["st_shndx"] != "SHN_UNDEF") == defined
            and (defined or symbol["st_info"]["bind"] != "STB_WEAK")
        } - {""}


def missing_symbols(folder: Path, library: Path) -> list[str]:
    """Return the symbols that the modules of a wheel need and neither Python nor a C library has.

    musl's symbols have no versions, so auditwheel cannot tell whether they are too new.
    """
    found = symbols(library, defined=True)
    return [
        f"{path.name}: {name}"
        for path in sorted((folder / "pylmdb").glob("*.so"))
        for name in sorted(symbols(path, defined=False) - found)
        if not name.startswith(("Py", "_Py"))
    ]


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
    if kind == "musllinux":
        try:
            missing = missing_symbols(folder, oldest_musl(machine, cache))
        except MissingError as error:
            raise TrialError(f"it cannot be checked: {error}") from None
        if missing:
            raise TrialError(f"musl 1.2.2 does not have {', '.join(missing)}")
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
