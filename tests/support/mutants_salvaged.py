# SPDX-License-Identifier: MIT
"""Salvage files that may be damaged: what verify() calls readable is saved, and can be used."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pylmdb


def content(env: pylmdb.Environment, name: bytes | None) -> tuple[Any, list[tuple[bytes, bytes]]]:
    """Return the flags of a database, and its records without those of named databases."""
    db = env.open_db(name, **({} if name is None else {"create": False}))
    end = b"\0" * env.lib_version()[0]  # of a name in the main database
    with env.begin() as txn:
        names = {each + end for each in env.dbs(txn)} if name is None else set()
        return db.flags(txn), [record for record in txn.cursor(db) if record[0] not in names]


def run(path: Path) -> None:
    before = path.read_bytes()
    checked = pylmdb.verify(path)
    with tempfile.TemporaryDirectory() as folder:
        dest = Path(folder, "saved")
        try:
            result = pylmdb.salvage(path, dest, subdir=False)
        except (pylmdb.CorruptedError, pylmdb.InvalidError):
            assert not checked.databases
            assert os.listdir(folder) == []
            return
        assert path.read_bytes() == before
        assert str(result)
        assert result.as_dict()["saved"] == result.saved
        compare(dest, result, checked)
        if checked.ok:
            assert result.ok
            assert not result.lost
            assert_equal(path, dest)


def compare(dest: Path, result: Any, checked: Any) -> None:
    """Compare the new environment with what verify() and salvage() say."""
    assert pylmdb.verify(dest).ok
    assert [each.name for each in result.databases] == [each.name for each in checked.databases]
    with pylmdb.open(dest, subdir=False, readonly=True, max_dbs=1000) as env:
        for saved, found in zip(result.databases, checked.databases, strict=True):
            named = len(checked.databases) - 1 if saved.name is None else 0
            assert saved.saved + saved.refused == found.readable - named
            assert saved.damaged == found.damaged
            if not saved.problem:
                assert len(content(env, saved.name)[1]) == saved.saved


def assert_equal(path: Path, dest: Path) -> None:
    with (
        pylmdb.open(path, subdir=False, readonly=True, max_dbs=1000) as one,
        pylmdb.open(dest, subdir=False, readonly=True, max_dbs=1000) as other,
    ):
        assert one.dbs() == other.dbs()
        for name in [None, *one.dbs()]:
            assert content(one, name) == content(other, name)
