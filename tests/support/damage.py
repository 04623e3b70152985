# SPDX-License-Identifier: MIT
"""Shared by tests of damaged files: healthy files to damage, and checks that the damage is
found.
"""

import re

import mutants
import pytest
from data_files import File

import pylmdb

PAGE = mutants.PAGE


@pytest.fixture(scope="module", params=[0, 1], ids=["0.9", "1.0"])
def healthy(request, tmp_path_factory):
    """Make a file with every kind of page."""
    folder = tmp_path_factory.mktemp("healthy") / "env"
    mutants.fill(folder, request.param)
    return folder, request.param


@pytest.fixture
def file(healthy, tmp_path):
    """Return a copy of it."""
    folder, version = healthy
    (tmp_path / "data.mdb").write_bytes((folder / "data.mdb").read_bytes())
    return File(tmp_path, version)


def finds(file, page, text):
    """Assert that the damage is found, and that the file cannot be opened."""
    file.save()
    report = pylmdb.verify(file.path)
    found = [str(finding) for finding in report.findings if finding.severity == "error"]
    assert not report.ok
    assert [each for each in report.findings if each.page == page and re.search(text, each.text)], (
        found
    )
    with pytest.raises((pylmdb.CorruptedError, pylmdb.InvalidError)):
        pylmdb.open(file.path, verify=True)
    return report


def leaf_of(file, name, i=1):
    """Return the offset of a leaf page of a database."""
    return file.leaves(file.record(name))[i]


def branch_of(file, name):
    return next(file.tree(file.record(name)))


def node_of(file, start, i=0):
    return list(file.nodes(start))[i]


def pointer(file, start, i):
    return start + file.at["nodes"] + 2 * i


def with_flags(file, record, flags):
    """Return the first (page, node) of a tree with these flags in the node."""
    return next(
        (start, node)
        for start in file.leaves(record)
        if not file.get("H", start + file.at["flags"]) & mutants.FIXED
        for node in file.nodes(start)
        if file.get("H", node + 4) == flags
    )
