# SPDX-License-Identifier: MIT
"""Helpers with which modules describe their commands."""

from __future__ import annotations

import argparse
import sys
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from ._arguments import options_first
from ._output import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

# the longest time in seconds that an option accepts
_MAX_SECONDS = 1e6


def number(text: str) -> int:
    """Parse an argument that is an integer of at least 0; no count is greater than sys.maxsize."""
    value = int(text)
    if value < 0:
        raise ValueError
    return min(value, sys.maxsize)


def seconds(text: str) -> float:
    """Parse an argument that is a time in seconds."""
    value = float(text)
    if not 0 <= value <= _MAX_SECONDS:
        raise ValueError
    return value


# what other programs call commands and formats
_USUAL = {
    "add": "put", "backup": "copy", "cat": "scan", "check": "verify", "clear": "drop", "cp": "copy",
    "delete": "del", "help": "--help", "insert": "put", "json": "jsonl", "keys": "scan",
    "list": "ls", "mv": "rename", "remove": "del", "repair": "salvage", "rm": "del",
    "search": "find", "set": "put", "show": "scan", "size": "stat", "tables": "ls",
}  # fmt: skip


class HelpFormatter(argparse.HelpFormatter):
    """Keeps the lines of examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return text
        return super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """A parser that escapes control characters of wrong arguments in its messages.

    :ivar arrange: puts the words in the order in which they are parsed.
    """

    arrange: Callable[[list[str]], list[str]] | None = None

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse words, after ``arrange`` has put them in order.

        Unknown words are refused here, so that the message and the usage are those of the command.
        """
        words = [*(sys.argv[1:] if args is None else args)]
        if self.arrange is not None:
            try:
                words = self.arrange(words)
            except ValueError as problem:
                self.error(str(problem))
        found, unknown = super().parse_known_args(words, namespace or argparse.Namespace())
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse an unknown command or format, and name the one that was probably meant."""
        known = action.choices
        if not isinstance(action, argparse._SubParsersAction) or known is None or value in known:
            super()._check_value(action, value)
            return
        what = str(action.metavar or "command").lower()
        advice = f"the {what}s are {', '.join(known)}"
        for meant in [_USUAL.get(value, ""), *get_close_matches(value, known, 1)]:
            if meant in known or meant.startswith("-"):
                advice = f"did you mean {meant}?"
                break
        raise argparse.ArgumentError(None, f"there is no {what} {value!r}; {advice}")

    def error(self, message: str) -> NoReturn:
        super().error(visible(message))


class Commands:
    """The commands, to which each module adds its own."""

    def __init__(self, subparsers: argparse._SubParsersAction[Parser]) -> None:
        self._subparsers = subparsers

    def add(
        self, name: str, run: object, text: str, json: bool = True, *, examples: str = "",
        environment: int | None = 0, **positions: int,
    ) -> Parser:  # fmt: skip
        """Add a command and return its parser.

        :param text: its description, a sentence or more.
        :param json: True if it can print its result as JSON.
        :param examples: command lines, one in each line.
        :param environment: index of the operand that is the environment, which ``-e`` names too;
            None: the order of the words counts.
        :param positions: other options whose values are operands, with their index.
        """
        made = self._subparsers.add_parser(
            name, help=text[0].lower() + text[1:].split(".")[0], description=text,
            formatter_class=HelpFormatter, epilog=as_epilog(examples), conflict_handler="resolve",
        )  # fmt: skip
        made.set_defaults(
            run=run, failure=1, refuse=made.error, json=False, no_lock=False, read=False,
            single=False, options=made._option_string_actions,
        )  # fmt: skip
        if json:
            made.add_argument("--json", action="store_true", help="print the result as JSON")
        if environment is not None:
            accept_known(made, env=environment, **positions)
        return made

    def on_path(
        self, name: str, run: object, text: str, json: bool = True, *, examples: str = ""
    ) -> Parser:
        """Add a command on one environment."""
        made = self.add(name, run, text, json, examples=examples)
        made.add_argument(
            "path", metavar="PATH", help="path of the environment: a directory or a single file"
        )
        made.add_argument(
            "--no-lock", action="store_true",
            help="do not use the lock file; other processes must not write meanwhile",
        )  # fmt: skip
        return made


def as_epilog(examples: str) -> str | None:
    """Return lines of examples as a help text shows them."""
    return "\n  ".join(["examples:", *examples.splitlines()]) if examples else None


def accept_known(command: Parser, **positions: int) -> None:
    """Add the options that every command of py-lmdb has, and accept options between operands.

    :param positions: options whose values are operands, with their index; ``env`` is one of them.
    """
    command.add_argument("-e", "--env", metavar="PATH",
                         help="the environment, instead of its path as an operand")  # fmt: skip
    command.add_argument("-s", "--use-single-file", action="store_true", dest="single",
                         help="the environment is a single file, also if it is new")  # fmt: skip
    command.add_argument("-r", "--read", action="store_true",
                         help="refuse to write to the environment")  # fmt: skip
    # The map grows by itself, and all named databases are counted.
    for option in (("-S", "--map_size"), ("-M", "--max-dbs")):
        command.add_argument(*option, type=number, help=argparse.SUPPRESS)
    command.arrange = partial(
        options_first, options=command._option_string_actions, positions=positions
    )


def add_database(command: argparse._ActionsContainer, text: str, *others: str) -> None:
    """Add the option that names a database.

    :param others: more ways to write the option.
    """
    command.add_argument("-d", "--db", *others, metavar="NAME", help=text)
