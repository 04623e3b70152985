# SPDX-License-Identifier: MIT
"""Helpers with which modules describe their commands."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ._output import visible

if TYPE_CHECKING:
    from typing import NoReturn

# the longest time in seconds that an option accepts
_MAX_SECONDS = 1e6


def number(text: str) -> int:
    """Parse an argument that is an integer of at least 0."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def seconds(text: str) -> float:
    """Parse an argument that is a time in seconds."""
    value = float(text)
    if not 0 <= value <= _MAX_SECONDS:
        raise ValueError
    return value


class Parser(argparse.ArgumentParser):
    """A parser that escapes control characters of wrong arguments in its messages."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(message))


class Commands:
    """The commands, to which each module adds its own."""

    def __init__(self, subparsers: argparse._SubParsersAction[Parser]) -> None:
        self._subparsers = subparsers

    def add(self, name: str, run: object, text: str, json: bool = True) -> argparse.ArgumentParser:
        """Add a command and return its parser; ``text`` is its description, a sentence or more."""
        made = self._subparsers.add_parser(
            name, help=text[0].lower() + text[1:].split(".")[0], description=text
        )
        made.set_defaults(run=run, json=False)
        if json:
            made.add_argument("--json", action="store_true", help="print the result as JSON")
        return made

    def on_path(
        self, name: str, run: object, text: str, json: bool = True
    ) -> argparse.ArgumentParser:
        """Add a command on one environment."""
        made = self.add(name, run, text, json)
        made.add_argument(
            "path", metavar="PATH", help="path of the environment: a directory or a single file"
        )
        made.add_argument(
            "--no-lock", action="store_true",
            help="do not use the lock file; other processes must not write meanwhile",
        )  # fmt: skip
        return made
