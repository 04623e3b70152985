# SPDX-License-Identifier: MIT
"""How the modules of commands describe them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ._output import visible

if TYPE_CHECKING:
    from typing import NoReturn

# the longest time, in seconds, that a command is told to take
_MAX_SECONDS = 1e6


def number(text: str) -> int:
    """The type of an argument: from 0 up."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def seconds(text: str) -> float:
    """The type of an argument: a time that somebody may wait."""
    value = float(text)
    if not 0 <= value <= _MAX_SECONDS:
        raise ValueError
    return value


class Parser(argparse.ArgumentParser):
    """A parser that shows what was typed as the commands show what is in a file: argparse would
    repeat it as it is, for the terminal to obey."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(message))


class Commands:
    """Where a module puts its commands."""

    def __init__(self, subparsers: argparse._SubParsersAction[Parser]) -> None:
        self._subparsers = subparsers

    def add(self, name: str, run: object, text: str, json: bool = True) -> argparse.ArgumentParser:
        """A command; ``text`` is its description, in a sentence."""
        made = self._subparsers.add_parser(
            name, help=text[0].lower() + text[1:].split(".")[0], description=text
        )
        made.set_defaults(run=run, json=False)
        if json:
            made.add_argument("--json", action="store_true", help="print JSON")
        return made

    def on_path(
        self, name: str, run: object, text: str, json: bool = True
    ) -> argparse.ArgumentParser:
        """A command on one environment."""
        made = self.add(name, run, text, json)
        made.add_argument("path", metavar="PATH", help="the environment")
        made.add_argument(
            "--no-lock", action="store_true",
            help="do without the lock file: nobody may write meanwhile",
        )  # fmt: skip
        return made
