# SPDX-License-Identifier: MIT
"""A fixture of the tests of the command line."""

import pytest

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
