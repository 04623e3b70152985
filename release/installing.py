# SPDX-License-Identifier: MIT
"""Install a wheel, with other packages, in a folder, as the Python that it is for would do it.

    python release/installing.py WHEEL FOLDER [REQUIREMENT...]

That Python need not run here: its version, system and machine are those of the wheel's name.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from packaging.utils import parse_wheel_filename

# Platforms that pip accepts: also newer ones, which the wheels of numpy need.
NEWER = {"manylinux": ("2_17", "2_27", "2_28"), "musllinux": ("1_2",)}


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


def main() -> None:
    wheel, folder, *requirements = sys.argv[1:]
    if not install(Path(wheel), Path(folder), *requirements):
        raise SystemExit(f"installing: pip does not install {' '.join([wheel, *requirements])}")


if __name__ == "__main__":
    main()
