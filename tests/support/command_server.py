# SPDX-License-Identifier: MIT
"""Run commands of the command line, each in a process of its own that need not start Python."""

import subprocess
import sys

from fork_server import ForkServer

# what ``python -m pylmdb`` imports and makes, and most commands
PREPARATION = (
    "from pylmdb.cli._parser import parser; parser(); import pylmdb._registry, pylmdb._engine"
)
COMMAND = "import sys; from pylmdb.cli import main; sys.exit(main())"


class CommandServer(ForkServer):
    """A server whose Python has the given options and variables of the environment.

    It has imported other modules, too, which take long to import.
    """

    def __init__(self, *options, imported=(), **variables):
        super().__init__(", ".join([PREPARATION, *imported]), *options, **variables)
        self.command = [sys.executable, *options, "-m", "pylmdb"]

    def run(self, *argv, input=b"", before=""):
        """Run a command after some statements, and return what ``subprocess.run`` returns."""
        process = self.start(f"{before}\n{COMMAND}", *argv, text=False)
        out, err = process.communicate(input)
        return subprocess.CompletedProcess([*self.command, *argv], process.returncode, out, err)
