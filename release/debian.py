# SPDX-License-Identifier: MIT
"""Get packages of any Debian suite and machine into a folder, without installing them.

apt resolves the dependencies with lists, a cache and a status of its own, so nothing of this system
is read or changed, except for its keys and the address of its mirror.

    python release/debian.py bookworm arm64 build/wheels/debian python3 lmdb-utils

prints the folder in which these packages are, with all that they depend on.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

APT = Path("/etc/apt")
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


class DebianError(Exception):
    """The packages cannot be had; the message says why."""


def mirror() -> str:
    """Return the address of the mirror that this system uses."""
    for path in [APT / "sources.list", *sorted(APT.glob("sources.list.d/*"))]:
        if path.is_file():
            text = path.read_text("utf-8", "replace")
            found = re.search(r"^(?:deb |URIs: ).*?(https?://\S+/debian)/?(?=\s)", text, re.M)
            if found:
                return found[1]
    return "http://deb.debian.org/debian"


class Suite:
    """A suite of Debian for one machine (``amd64``, ``arm64``).

    :param cache: the folder for lists and packages.
    """

    def __init__(self, name: str, machine: str, cache: Path) -> None:
        self.name, self.machine = name, machine
        self.folder = cache / f"{name}-{machine}"

    def unpack(self, *packages: str) -> Path:
        """Unpack packages, with all that they depend on, and return the folder.

        A folder that is complete is used again.
        :raises DebianError: there is no apt, no network, or no such package.
        """
        root = self.folder / "-".join(packages)
        if root.is_dir():
            return root
        if not shutil.which("apt-get"):
            raise DebianError("this machine has no apt-get")
        archives = self.folder / "archives"
        self._update()
        for old in archives.glob("*.deb"):
            old.unlink()
        self._apt("install", "--download-only", "--yes", "--no-install-recommends", *packages)
        partial = root.with_name(root.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        for archive in sorted(archives.glob("*.deb")):
            run("dpkg-deb", "--extract", str(archive), str(partial))
        # as a package of an installed system makes them
        for name in ("lib", "lib64"):
            if not (partial / name).exists() and (partial / "usr" / name).exists():
                (partial / name).symlink_to(f"usr/{name}")
        partial.rename(root)
        return root

    def _update(self) -> None:
        if (self.folder / "updated").exists():
            return
        for each in ("lists/partial", "archives/partial"):
            (self.folder / each).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").write_text("", "utf-8")
        source = f"deb [signed-by={KEYS}] {mirror()} {self.name} main\n"
        (self.folder / "sources.list").write_text(source, "utf-8")
        self._apt("update")
        (self.folder / "updated").touch()

    def _apt(self, *arguments: str) -> None:
        settings = {
            "APT::Architecture": self.machine,
            "APT::Architectures": self.machine,
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Debug::NoLocking": "1",
            "Dir::Cache": self.folder,
            "Dir::Cache::archives": self.folder / "archives",
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": self.folder,
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": self.folder / "status",
        }
        options = [f"-o{name}={value}" for name, value in settings.items()]
        run("apt-get", "-qq", *options, *arguments)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        problem = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise DebianError(problem[-1] if problem else f"{command[0]} failed")


def main() -> None:
    name, machine, cache, *packages = sys.argv[1:]
    try:
        print(Suite(name, machine, Path(cache).resolve()).unpack(*packages))
    except DebianError as error:
        raise SystemExit(f"debian: {error}") from None


if __name__ == "__main__":
    main()
