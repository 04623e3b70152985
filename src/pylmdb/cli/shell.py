# SPDX-License-Identifier: MIT
"""The command shell: a Python console with the environment open."""

from __future__ import annotations

import builtins
import code
import shlex
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ._opening import reading, writing
from ._output import visible
from ._records import name_text, named_databases
from ._running import run

if TYPE_CHECKING:
    import argparse

    from ..database import Database
    from ._commands import Commands

_WELCOME = """\
env is the environment, txn a read transaction; renew() begins a new txn, which sees later commits.
Named databases are variables, and in dbs: txn.get(b"key", db=prices), or db=dbs["prices"].
.COMMAND runs a command of pylmdb on it: .ls, .scan --limit 3, .get KEY; .help lists them."""


def add(commands: Commands) -> None:
    """Add the command."""
    shell = commands.on_path(
        "shell", run_shell, "Start a Python console with the environment open.", json=False,
        examples="""\
pylmdb shell fruit
echo 'txn.get(b"apple", db=prices)' | pylmdb shell fruit""",
    )  # fmt: skip
    shell.add_argument(
        "-w", "--write", action="store_true", help="open the environment for writing"
    )


class Console(code.InteractiveConsole):
    """A Python console in which a line that begins with a dot is a command."""

    def __init__(
        self, names: dict[str, object], path: str, parser: argparse.ArgumentParser
    ) -> None:
        super().__init__(names)
        self._path, self._parser = path, parser

    def push(self, line: str, *args: object, **kwargs: object) -> bool:
        """Run a line; return True if the statement needs more lines."""
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
            pass  # argparse has printed the error
        return False


def run_shell(args: argparse.Namespace) -> None:
    """``pylmdb shell``."""
    with (writing if args.write else reading)(args, whole=True) as env:
        dbs: dict[str, Database] = {}
        # ENV is what py-lmdb's command calls the environment
        names: dict[str, object] = {
            "env": env, "ENV": env, "dbs": dbs, "pylmdb": sys.modules["pylmdb"]
        }  # fmt: skip

        def renew() -> None:
            txn = names["txn"] = env.begin(buffers=False)
            dbs.clear()
            dbs.update((name_text(db.name), db) for db in named_databases(env, txn))

        renew()
        names["renew"] = renew
        taken = {*names, *vars(builtins)}
        names.update(
            (name, db) for name, db in dbs.items() if name.isidentifier() and name not in taken
        )
        console = Console(names, args.path, args.parser)
        if sys.stdin.isatty():
            with suppress(ImportError):
                import readline as readline
            console.interact(banner=f"{env!r}\n{_WELCOME}", exitmsg="")
        else:
            for line in sys.stdin:
                console.push(line.rstrip("\n"))
            console.push("")  # ends a statement of several lines
