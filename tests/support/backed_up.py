# SPDX-License-Identifier: MIT
"""Records, backups of them, and what both must be: for the tests of backups."""

import pytest

import pylmdb


def fill(env, start, stop, size=100):
    with env.begin(write=True) as txn:
        for i in range(start, stop):
            txn.put(b"%06d" % i, b"%06d" % i + b"v" * size)


def contents(path):
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        return dict(txn.cursor())


def records(start, stop, size=100):
    return {b"%06d" % i: b"%06d" % i + b"v" * size for i in range(start, stop)}


def make_chain(env, folder):
    """Make a full backup and three increments, with 1000 records more in each."""
    found = []
    for i in range(4):
        fill(env, 1000 * i, 1000 * (i + 1))
        since = found[-1] if found else None
        found.append(env.backup(folder / f"{i}.backup", since=since))
    return found


def refuses(call, exception, text):
    with pytest.raises(exception, match=text):
        call()
