# SPDX-License-Identifier: MIT
"""Fixtures of the tests of the command line."""

import pytest
from command_server import CommandServer

from pylmdb.cli import main


@pytest.fixture
def run(capfdbinary):
    """Runs a command in this process; returns its output, or its errors if it fails."""

    def call(*argv, status=0):
        assert main([str(each) for each in argv]) == status
        out, err = capfdbinary.readouterr()
        assert bool(err) == bool(status)
        return (err if status else out).decode()

    return call


@pytest.fixture(scope="session")
def run_alone():
    """Runs a command in a process of its own; returns what ``subprocess.run`` returns."""
    server = CommandServer()
    yield server.run
    server.close()
