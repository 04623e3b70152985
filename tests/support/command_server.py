# SPDX-License-Identifier: MIT
"""Run commands of the command line, each in a process of its own that need not start Python."""

import subprocess
import sys

from fork_server import ForkServer

# what ``python -m pylmdb`` imports, and most commands
PREPARATION = "import pylmdb.cli, pylmdb._registry, pylmdb._engine"
COMMAND = "import sys; from pylmdb.cli import main; sys.exit(main())"


class CommandServer(ForkServer):
    """A server whose Python has the given options and variables of the environment."""

    def __init__(self, *options, **variables):
        super().__init__(PREPARATION, *options, **variables)
        self.command = [sys.executable, *options, "-m", "pylmdb"]

    def run(self, *argv, input=b""):
        """Run a command, and return what ``subprocess.run`` returns."""
        process = self.start(COMMAND, *argv, text=False)
        out, err = process.communicate(input)
        return subprocess.CompletedProcess([*self.command, *argv], process.returncode, out, err)
