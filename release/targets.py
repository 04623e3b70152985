# SPDX-License-Identifier: MIT
"""The Pythons and the platforms for which there are wheels."""

from __future__ import annotations

from dataclasses import dataclass

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")


@dataclass(frozen=True)
class Target:
    """A machine with a C library: the tag that wheels have for it, and zig's name for it."""

    platform: str
    triple: str

    @property
    def machine(self) -> str:
        return self.triple.partition("-")[0]

    @property
    def library(self) -> str:
        """The C library: gnu or musl; none where the system has only one, as on macOS."""
        return self.triple.split("-")[2].partition(".")[0]


TARGETS = (
    Target("manylinux_2_17_x86_64", "x86_64-linux-gnu.2.17"),
    Target("manylinux_2_17_aarch64", "aarch64-linux-gnu.2.17"),
    Target("musllinux_1_2_x86_64", "x86_64-linux-musl"),
    Target("musllinux_1_2_aarch64", "aarch64-linux-musl"),
)


def interpreter_tag(version: str) -> str:
    return "cp" + version.replace(".", "")


def chosen(only: list[str]) -> dict[Target, list[str]]:
    """Return the versions of Python by target, of the wheels whose names contain all words of
    ``only``.
    """
    names = {
        target: [
            version
            for version in VERSIONS
            if all(word in f"{interpreter_tag(version)}-{target.platform}" for word in only)
        ]
        for target in TARGETS
    }
    return {target: versions for target, versions in names.items() if versions}
