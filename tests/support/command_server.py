# SPDX-License-Identifier: MIT
"""Run many commands of the command line, each in a process of its own that need not start Python.

A server imports the command line once.  For each command it forks a child, which runs it as
``python -m pylmdb`` does and ends as Python ends: it flushes its streams and runs finalizers.
"""

import json
import os
import subprocess
import sys

SERVER = """
import json, os, sys
from pylmdb.cli import main
import pylmdb._registry, pylmdb._engine  # which most commands import

def next_command():
    "Return True in a child that has its arguments and streams, and False at the end of requests."
    with open(int(sys.argv[1]), encoding="ascii") as requests:
        for line in requests:
            argv, *paths = json.loads(line)
            child = os.fork()
            if not child:
                for number, path in enumerate(paths):
                    file = os.open(path, os.O_RDWR)
                    os.dup2(file, number)
                    os.close(file)
                sys.argv[1:] = [os.fsdecode(word.encode("latin-1")) for word in argv]
                return True
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(status, flush=True)
    return False

if next_command():
    sys.exit(main())
"""


class CommandServer:
    """A server whose Python has the given options and variables of the environment."""

    def __init__(self, folder, *options, **variables):
        self.out, self.err = folder / "out", folder / "err"
        requests, self.requests = os.pipe()
        self.command = [sys.executable, *options]
        self.process = subprocess.Popen(
            [*self.command, "-c", SERVER, str(requests)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
            pass_fds=[requests],
        )
        os.close(requests)

    def run(self, *argv):
        """Run a command, and return what ``subprocess.run`` returns."""
        words = [os.fsencode(word) for word in argv]
        for path in (self.out, self.err):
            path.write_bytes(b"")
        request = [[word.decode("latin-1") for word in words], os.devnull, str(self.out)]
        os.write(self.requests, json.dumps([*request, str(self.err)]).encode() + b"\n")
        status = int(self.process.stdout.readline())
        command = [*self.command, "-m", "pylmdb", *argv]
        return subprocess.CompletedProcess(
            command, status, self.out.read_bytes(), self.err.read_bytes()
        )

    def close(self):
        os.close(self.requests)
        self.process.stdout.close()
        assert self.process.wait() == 0
