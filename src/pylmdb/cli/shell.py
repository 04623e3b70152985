# SPDX-License-Identifier: MIT
"""The command shell: Python with the environment open, and the other commands."""

from __future__ import annotations

import code
import shlex
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ._opening import reading, writing
from ._output import visible
from ._running import run

if TYPE_CHECKING:
    import argparse

    from ._commands import Commands

_WELCOME = """\
env is the environment, txn a read transaction; renew() makes txn see what has come since.
.COMMAND runs a command of pylmdb on it: .ls, .scan --limit 3, .get KEY; .help lists them."""


def add(commands: Commands) -> None:
    """Describe the command."""
    shell = commands.on_path(
        "shell", run_shell, "Open Python with the environment in it.", json=False
    )
    shell.add_argument("-w", "--write", action="store_true", help="allow changes")


class Console(code.InteractiveConsole):
    """Python in which a line that begins with a dot is a command."""

    def __init__(
        self, names: dict[str, object], path: str, parser: argparse.ArgumentParser
    ) -> None:
        super().__init__(names)
        self._path, self._parser = path, parser

    def push(self, line: str, *args: object, **kwargs: object) -> bool:
        """Take a line; True if Python wants more of a statement."""
        if self.buffer or not line.startswith("."):
            return super().push(line)
        try:
            words = shlex.split(line[1:])
            if words in ([], ["help"]):
                run(self._parser, ["--help"])
            else:
                run(self._parser, [words[0], self._path, *words[1:]])
        except ValueError as problem:
            self.write(f"{visible(str(problem))}\n")
        except SystemExit:
            pass  # argparse has said what is wrong
        return False


def run_shell(args: argparse.Namespace) -> None:
    """``pylmdb shell``."""
    with (writing if args.write else reading)(args, whole=True) as env:
        names: dict[str, object] = {"env": env, "pylmdb": sys.modules["pylmdb"]}

        def renew() -> None:
            names["txn"] = env.begin(buffers=False)

        renew()
        names["renew"] = renew
        console = Console(names, args.path, args.parser)
        if sys.stdin.isatty():
            with suppress(ImportError):
                import readline as readline
            console.interact(banner=f"{env!r}\n{_WELCOME}", exitmsg="")
        else:
            for line in sys.stdin:
                console.push(line.rstrip("\n"))
            console.push("")  # ends a statement of several lines
