# SPDX-License-Identifier: MIT
"""A healthy file is never reported as damaged, whichever program wrote it, and its counts are
right.

PYLMDB_HEALTHY is the number of programs for each engine and binding, and PYLMDB_HEALTHY_SEED the
seed of the first.
"""

import os
import random
import shutil

import lmdb
import pytest
from healthy_files import KINDS, Program, check, make_empty

import pylmdb
from pylmdb import lowlevel

COUNT = int(os.environ.get("PYLMDB_HEALTHY", "4"))
SEED = int(os.environ.get("PYLMDB_HEALTHY_SEED", random.SystemRandom().randrange(1 << 40)))
DUPSORT, REVERSE_KEY, INTEGER_KEY, DUPFIXED = 0x04, 0x02, 0x08, 0x10


@pytest.fixture(params=[0, 1], ids=["0.9", "1.0"])
def version(request):
    return request.param


def healthy(path):
    report = pylmdb.verify(path)
    assert report.ok, str(report)
    with pylmdb.open(path, verify=True, max_dbs=3000) as env:
        check(env, path)
    return report


def test_what_we_write(tmp_path, version):
    for seed in range(SEED, SEED + 2 * COUNT):
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = folder / "env"
        program = Program(pylmdb, path, seed, lib_version=version)
        with program.env as env:
            for _ in program.steps(15):
                check(env, path)
            for compact in (True, False):
                copy = folder / f"copy-{compact:d}"
                env.copy(copy, compact=compact)
                healthy(copy)
            if env.flags()["lock"]:
                env.compact()
                check(env, path)
        shutil.rmtree(folder)


def test_what_py_lmdb_writes(tmp_path):
    """py-lmdb's 1.0 engine crashes in some of these programs, and so does its compaction."""
    for seed in range(SEED, SEED + COUNT):
        path = tmp_path / str(seed)
        program = Program(lmdb, path, seed, map_size=1 << 28)
        for _ in program.steps(15):
            check(program.env, path)
        program.env.close()
        healthy(path)


def test_what_mdb_load_and_mdb_copy_write(tool, tmp_path):
    path = tmp_path / "env"
    program = Program(pylmdb, path, SEED, lib_version=0, subdir=True)
    with program.env:
        list(program.steps(20))
    (tmp_path / "loaded").mkdir()
    tool("mdb_load", tmp_path / "loaded", text=tool("mdb_dump", "-a", path))
    healthy(tmp_path / "loaded")
    (tmp_path / "copied").mkdir()
    tool("mdb_copy", path, tmp_path / "copied")
    healthy(tmp_path / "copied")


def test_what_mdb_copy_compacts(tool, tmp_path):
    path = tmp_path / "env"
    with pylmdb.open(path) as env, env.begin(write=True) as txn:
        for i in range(5000):
            txn.put(b"%05d" % i, b"v" * (i % 300))
        txn.put(b"large", bytes(100_000))
    (tmp_path / "loaded").mkdir()
    tool("mdb_load", tmp_path / "loaded", text=tool("mdb_dump", path))
    assert healthy(tmp_path / "loaded").databases[0].entries == 5001
    (tmp_path / "copied").mkdir()
    tool("mdb_copy", "-c", tmp_path / "loaded", tmp_path / "copied")
    assert healthy(tmp_path / "copied").free == 0


@pytest.mark.parametrize("size", [512, 1024, 2048, 8192, 16384, 32768, 65536])
def test_pages_of_other_sizes(tmp_path, version, size):
    if size == 65536 and version == 0:
        size = 32768  # the most that LMDB 0.9 takes
    path = tmp_path / "env"
    make_empty(path, version, size)
    assert healthy(path).page_size == size
    kinds = {name: KINDS[name] for name in (b"plain", b"dups", b"fixed", b"numbers")}
    with pylmdb.open(path, sync=False) as env:
        for turn in range(4):
            with env.begin(write=True) as txn:
                for name, flags in kinds.items():
                    db = env.open_db(name, txn, **flags)
                    for i in range(turn, 700, turn + 1):
                        key = i.to_bytes(8, "little") if name == b"numbers" else b"%06d" % i
                        txn.put(key[: len(key) - 3 * (name == b"fixed")], b"%040d" % i, db=db)
                        if i % 3 == turn:
                            txn.delete(key, db=db)
                txn.put(b"large", bytes(200_000 * turn))
            check(env, path)
    assert healthy(path).page_size == size


@pytest.mark.parametrize("flags", [DUPSORT, REVERSE_KEY, INTEGER_KEY, DUPSORT | DUPFIXED])
def test_flags_of_the_main_database(tmp_path, version, flags):
    """pylmdb sets none, other programs do."""
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=version, sync=False) as env:
        with env.begin(write=True) as txn:
            lib, ffi = lowlevel.engine(env).lib, lowlevel.engine(env).ffi
            number = ffi.new("MDB_dbi *")
            assert not lib.mdb_dbi_open(lowlevel.handle(txn), ffi.NULL, flags, number)
        rng = random.Random(3)
        for _ in range(3):
            with env.begin(write=True) as txn:
                for i in rng.sample(range(1, 2**20), 300):
                    key = i.to_bytes(8, "little")
                    value = ffi.new("MDB_val *")
                    for j in range(1 + 200 * (i % 97 == 0)):
                        key_bytes, value_bytes = ffi.from_buffer(key), ffi.from_buffer(b"%05d" % j)
                        value.mv_size, value.mv_data = 5, value_bytes
                        entry = ffi.new("MDB_val *", (8, key_bytes))
                        assert not lib.mdb_put(lowlevel.handle(txn), number[0], entry, value, 0)
    report = pylmdb.verify(path)
    assert report.ok, str(report)
    (main,) = report.databases
    assert main.entries == main.readable > 800


def test_a_large_value_that_becomes_smaller_in_the_transaction_that_wrote_it(tmp_path, version):
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=version) as env, env.begin(write=True) as txn:
        txn.put(b"key", bytes(50_000))
        txn.put(b"key", bytes(3_000))
        txn.put(b"other", bytes(50_000))
        txn.put(b"other", b"small")
    report = healthy(path)
    assert report.databases[0].large_pages > 12


def test_new_and_emptied_files(tmp_path, version):
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=version) as env:
        check(env, path)
        db = env.open_db(b"db")
        check(env, path)
        with env.begin(write=True) as txn:
            for i in range(500):
                txn.put(b"%d" % i, bytes(100), db=db)
        with env.begin(write=True) as txn:
            for i in range(500):
                txn.delete(b"%d" % i, db=db)
        check(env, path)
        with env.begin(write=True) as txn:
            txn.drop(db)
        check(env, path)
    assert healthy(path).pages > 2


def test_many_databases(tmp_path, version):
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=version, max_dbs=3000, sync=False) as env:
        with env.begin(write=True) as txn:
            for i in range(2500):
                txn.put(b"key", b"value", db=env.open_db(b"database %05d" % i, txn))
        check(env, path)
    assert len(healthy(path).databases) == 2501


def test_writes_that_are_appended_and_batched(tmp_path, version):
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=version) as env, env.begin(write=True) as txn:
        items = [(b"%06d" % i, b"v" * (i % 700)) for i in range(5000)]
        txn.cursor().putmulti(items, append=True)
    assert healthy(path).databases[0].entries == 5000
