# SPDX-License-Identifier: MIT
"""Chains of backups that random programs are interrupted for, and backups of killed processes."""

import io
import os
import random
import shutil
import signal
import sys

import healthy_files
import programs
import pytest

import pylmdb
from pylmdb._environment import zstd

COMPRESSIONS = [None, "zstd"] if any(zstd.modules()) else [None]
# lines of a dump that say how an environment was opened, and not what it has
_OPENED = (b"mapsize=", b"mapaddr=", b"maxreaders=")


def dumped(source):
    text = io.BytesIO()
    pylmdb.dump(source, text)
    return [line for line in text.getvalue().split(b"\n") if not line.startswith(_OPENED)]


def check_chain(folder, seed, lib_version, steps):
    """Make a chain of backups between random transactions, and restore all its states."""
    chance = random.Random(seed)
    program = healthy_files.Program(pylmdb, folder / "env", seed, lib_version=lib_version)
    made, texts = [], []
    for i in range(chance.randrange(2, 5)):
        for _ in program.steps(chance.randrange(1, steps)):
            pass
        if chance.random() < 0.1 and program.env.flags()["lock"]:
            program.env.compact()
            made.clear()  # its transactions are numbered anew
            texts.clear()
        since = made[-1] if made else None
        compression = chance.choice(COMPRESSIONS)
        made.append(program.env.backup(folder / str(i), since=since, compression=compression))
        texts.append(dumped(program.env))
    used = pylmdb.verify(folder / "env").used
    program.env.close()
    for i, text in enumerate(texts):
        new = folder / f"new{i}"
        assert pylmdb.restore(made[: i + 1], new) == made[i]
        report = pylmdb.verify(new)
        assert report.ok, (seed, str(report))
        assert report.txnid == made[i].txnid
        assert dumped(new) == text, seed
    assert report.used == used
    with pylmdb.open(new, max_dbs=128) as env, env.begin(write=True) as txn:
        txn.put(b"another", b"value")
    assert pylmdb.verify(new).ok


@pytest.mark.parametrize("seed", range(5))
def test_some_chains(tmp_path, lib_version, seed):
    check_chain(tmp_path, seed, lib_version, 4)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_many_chains(tmp_path, lib_version, part):
    """200 chains of each format."""
    for seed in range(100 + 20 * part, 120 + 20 * part):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check_chain(folder, seed, lib_version, 30)
        shutil.rmtree(folder)


# -- killed at any moment ---------------------------------------------------------------------


def put(path, number):
    with pylmdb.open(path, sync=False) as env, env.begin(write=True) as txn:
        for i in range(100):
            txn.put(b"%d" % i, b"%d" % number * 100)


def back_up(path, folder):
    with pylmdb.open(path, readonly=True) as env:
        first = env.backup(os.path.join(folder, "full"), overwrite=True)
        second = env.backup(os.path.join(folder, "increment"), since=first, overwrite=True)
    pylmdb.restore([first, second], os.path.join(folder, "new"))
    pylmdb.restore([first, second], os.path.join(folder, "over"), overwrite=True)


def killed_at(number, path, folder):
    """Back up, and die at the n-th event of the system that Python reports."""
    left = number

    def count(event, args):
        nonlocal left
        if event.startswith(("os.", "open", "fcntl.", "shutil.")):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    back_up(path, folder)


def check_killed(tmp_path, lib_version, step):
    """Kill at each ``step``-th event; what has a name is whole."""
    path, number, status = str(tmp_path / "env"), 1, -signal.SIGKILL
    pylmdb.open(path, lib_version=lib_version).close()
    while status == -signal.SIGKILL:
        put(path, number)
        folder = tmp_path / str(number)
        folder.mkdir()
        pylmdb.open(folder / "over", lib_version=lib_version).close()
        status = programs.in_child(killed_at, number, path, str(folder))
        for name in ("full", "increment"):
            if (folder / name).exists():
                pylmdb.backup_info(folder / name, check=True)
        for name in ("new", "over"):
            if (folder / name).exists():
                assert pylmdb.verify(folder / name).ok
                with pylmdb.open(folder / name) as env, env.begin() as txn:
                    assert txn.stat().entries in ((100,) if name == "new" else (0, 100))
        shutil.rmtree(folder / "new", ignore_errors=True)
        back_up(path, str(folder))  # it removes what was left
        assert sorted(os.listdir(folder)) == ["full", "increment", "new", "over"]
        assert sorted(os.listdir(folder / "over")) == ["data.mdb", "lock.mdb"]
        shutil.rmtree(folder)
        number += step
    assert status == 0
    return number


def test_killed_at_some_moments(tmp_path, lib_version):
    assert check_killed(tmp_path, lib_version, 31) > 100


@pytest.mark.slow
def test_killed_at_all_moments(tmp_path, lib_version):
    check_killed(tmp_path, lib_version, 1)


# -- page sizes and checksums -----------------------------------------------------------------


@pytest.mark.parametrize("checksums", [False, True])
@pytest.mark.parametrize("page_size", [512, 65536])
def test_page_sizes_and_checksums(tmp_path, page_size, checksums):
    chance, made, states = random.Random(1), [], []
    options = {"page_size": page_size, "checksums": checksums, "lib_version": 1}
    with pylmdb.open(tmp_path / "env", **options) as env:
        for i in range(3):
            with env.begin(write=True) as txn:
                for _ in range(30):
                    size = chance.choice([0, 100, page_size // 3, 2 * page_size + 50])
                    txn.put(b"%04d" % chance.randrange(100), chance.randbytes(size))
            since = made[-1] if made else None
            made.append(env.backup(tmp_path / str(i), since=since))
            states.append(dumped(env))
    for i, state in enumerate(states):
        new = tmp_path / f"new{i}"
        pylmdb.restore(made[: i + 1], new)
        assert pylmdb.verify(new).ok
        assert dumped(new) == state
    pylmdb.restore(made, tmp_path / "new0", overwrite=True)
    with pylmdb.open(tmp_path / "new0") as env, env.begin(write=True) as txn:
        txn.put(b"another", bytes(5000))
    assert pylmdb.verify(tmp_path / "new0").ok
