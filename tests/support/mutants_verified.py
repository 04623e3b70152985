# SPDX-License-Identifier: MIT
"""Use files that verify() accepts like healthy ones: nothing raises, and they stay healthy."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pylmdb

PATIENCE = 5  # seconds


def verified(path: Path) -> pylmdb.tools.verification.Report:
    calls: list[tuple[int, int]] = []
    report = pylmdb.verify(path, progress=lambda *counts: calls.append(counts))
    assert report.seconds < PATIENCE
    assert report.ok == (not [each for each in report.findings if each.severity == "error"])
    assert str(report)
    assert report.as_dict()["ok"] == report.ok
    assert all(done <= total for done, total in calls)
    return report


def scan(txn: Any, db: Any, found: Any, rng: Random) -> list[tuple[bytes, bytes]]:
    """Read a database in every way, and compare with what the check has counted."""
    cursor = txn.cursor(db)
    items = list(cursor.iternext())
    assert list(txn.cursor(db).iterprev()) == items[::-1]
    stat = txn.stat(db)
    assert len(items) == stat["entries"] == found.entries == found.readable
    if items:
        assert txn.count(items[0][0], db=db) == len(items)
    flags = db.flags(txn)
    pages = stat["branch_pages"], stat["leaf_pages"], stat["overflow_pages"]
    if not flags["dupsort"]:  # where liblmdb goes on counting pages that are gone
        assert pages == (found.branch_pages, found.leaf_pages, found.large_pages)
    for key, value in rng.sample(items, min(len(items), 20)):
        assert cursor.set_key(key)
        if flags["dupsort"]:
            assert cursor.set_key_dup(key, value)
            assert cursor.count() >= 1
        else:
            assert txn.get(key, db=db) == value
        assert cursor.set_range(key)
    return items


def read(env: pylmdb.Environment, report: Any, rng: Random) -> dict[bytes | None, Any]:
    content = {}
    with env.begin() as txn:
        assert env.dbs(txn) == [found.name for found in report.databases[1:]]
    for found in report.databases:
        db = env.open_db(found.name, **({} if found.name is None else {"create": False}))
        with env.begin() as txn:
            content[found.name] = scan(txn, db, found, rng)
    return content


def change(txn: Any, name: bytes | None, db: Any, items: Any, rng: Random) -> None:
    flags = db.flags(txn)
    for key, value in rng.sample(items, min(len(items), rng.randrange(60))):
        if name is None and key in txn_names(txn):
            continue
        if flags["dupsort"] and rng.random() < 0.5:
            txn.delete(key, value, db=db)
        elif rng.random() < 0.5:
            txn.delete(key, db=db)
        elif flags["dupsort"]:
            txn.put(key, rng.randbytes(len(value)), db=db)
        else:
            txn.put(key, rng.randbytes(rng.choice([0, 10, 200, 3000, 9000])), db=db)
    if name is not None and items and rng.random() < 0.3:
        at = rng.randrange(len(items))
        txn.delete_range(items[at][0], rng.choice(items[at:])[0], db=db)
    for _ in range(rng.randrange(60)):
        key, value = rng.choice(items) if items else (b"12345678", b"12345678")
        if name is not None or items:
            key = rng.randbytes(len(key))
        if not flags["dupsort"]:
            value = rng.randbytes(rng.choice([0, 10, 200, 3000, 9000]))
        txn.put(key, value if rng.random() < 0.5 else rng.randbytes(len(value)), db=db)


def txn_names(txn: Any) -> list[bytes]:
    return [bytes(name) for name in txn.cursor().iternext(values=False)]


def write(env: pylmdb.Environment, content: dict[bytes | None, Any], rng: Random) -> None:
    with env.begin(write=True) as txn:
        for name, items in content.items():
            change(txn, name, env.open_db(name, txn), items, rng)
    names = [name for name in content if name is not None]
    if names and rng.random() < 0.5:
        with env.begin(write=True) as txn:
            name = rng.choice(names)
            txn.drop(env.open_db(name, txn), delete=rng.random() < 0.5)


def run(path: Path, rng: Random) -> None:
    before = path.read_bytes()
    report = verified(path)
    assert path.read_bytes() == before
    if not report.ok or not report.size:
        return
    if any("empty list with unused room" in each.text for each in report.findings):
        return  # healthy to liblmdb, damaged to what hardens it
    with (
        tempfile.TemporaryDirectory() as folder,
        pylmdb.open(path, sync=False, subdir=False, guard=False, verify=True) as env,
    ):
        content = read(env, report, rng)
        for compact in (True, False):
            copy = Path(folder, f"copy{compact:d}")
            try:
                env.copy(copy, compact=compact)
            except pylmdb.IncompatibleError:
                assert compact
                assert report.leaked  # which liblmdb counts
                continue
            assert verified(copy).ok, str(pylmdb.verify(copy))
        for _ in range(3):
            write(env, content, rng)
            report = verified(path)
            assert report.ok, str(report)
            content = read(env, report, rng)
