# SPDX-License-Identifier: MIT
"""Files of LMDB 1.0 that other programs made with functions of the engine that pylmdb does not use:
page checksums, and transactions that were rolled back.
"""

import os
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest

import pylmdb
from pylmdb import lowlevel

SIZE = 4


def engine():
    return next(each for each in lowlevel.engines() if each.version[0] == 1)


@pytest.fixture
def native(env_path, core):
    """Open a native environment for a ``with`` block; its pages may have checksums."""
    ffi, lib = engine().ffi, engine().lib

    @ffi.callback("MDB_sum_func")
    def summed(source, out, key):
        total = zlib.crc32(ffi.buffer(source.mv_data, source.mv_size))
        ffi.buffer(out.mv_data, SIZE)[:] = total.to_bytes(SIZE, "little")

    @contextmanager
    def open_one(checksums=True):
        out = ffi.new("MDB_env **")
        assert lib.mdb_env_create(out) == 0
        lib.mdb_env_set_mapsize(out[0], 1 << 24)
        lib.mdb_env_set_maxdbs(out[0], 4)
        if checksums:
            assert lib.mdb_env_set_checksum(out[0], summed, SIZE) == 0
        os.makedirs(env_path, exist_ok=True)
        assert lib.mdb_env_open(out[0], os.fsencode(env_path), 0, 0o644) == 0
        try:
            yield out[0]
        finally:
            lib.mdb_env_close(out[0])

    return open_one


def put(env, records, name=None, flags=0):
    """Commit records with a native environment."""
    ffi, lib = engine().ffi, engine().lib
    txn, dbi = ffi.new("MDB_txn **"), ffi.new("MDB_dbi *")
    assert lib.mdb_txn_begin(env, ffi.NULL, 0, txn) == 0
    assert lib.mdb_dbi_open(txn[0], ffi.NULL if name is None else name, flags, dbi) == 0
    for key, value in records:
        kept = ffi.from_buffer(key), ffi.from_buffer(value)
        pair = [ffi.new("MDB_val *", (len(each), each)) for each in kept]
        assert lib.mdb_put(txn[0], dbi[0], *pair, 0) == 0
    assert lib.mdb_txn_commit(txn[0]) == 0


RECORDS = [(b"%05d" % n, b"%05d" % n * (n % 90)) for n in range(2000)]
LARGE = [(b"large%d" % n, bytes([n]) * (4064 * n + d)) for n in range(4) for d in (0, 8)]


def test_checksums(native, env_path):
    duplicates = [(b"k", b"%05d" % n) for n in range(3000)]
    with native() as env:
        put(env, RECORDS + LARGE)
        put(env, RECORDS, b"named", engine().lib.MDB_CREATE)
        put(env, duplicates, b"dups", engine().lib.MDB_CREATE | engine().lib.MDB_DUPSORT)
    report = pylmdb.verify(env_path)
    assert report.ok, report
    assert any("checksums of size 4" in str(found) for found in report.findings), report
    with pylmdb.open(env_path, readonly=True) as reader, reader.begin() as txn:
        assert [txn.get(key) for key, _ in RECORDS] == [value for _, value in RECORDS]


def test_nothing_is_written_where_pages_have_checksums(native, env_path, tmp_path):
    with native() as env:
        put(env, RECORDS)
    before = Path(env_path, "data.mdb").read_bytes()
    with pylmdb.open(env_path) as writer:
        for write in (
            lambda: writer.begin(write=True),
            lambda: writer.open_db(b"new"),
        ):
            for _ in range(2):
                with pytest.raises(pylmdb.ReadonlyError, match="have checksums"):
                    write()
        with writer.begin() as txn:
            assert txn.get(b"00077") == b"00077" * 77
    assert Path(env_path, "data.mdb").read_bytes() == before
    pylmdb.dump(env_path, tmp_path / "dump")
    pylmdb.load(tmp_path / "dump", tmp_path / "plain")
    assert pylmdb.verify(tmp_path / "plain").ok
    with pylmdb.open(tmp_path / "plain") as plain, plain.begin(write=True) as txn:
        assert txn.put(b"k", b"v")
    with native() as env:
        put(env, RECORDS)


@pytest.mark.parametrize("lock", [True, False])
def test_a_file_with_checksums_is_copied(native, env_path, tmp_path, lock):
    with native() as own:
        put(own, RECORDS)
    with pylmdb.open(env_path, lock=lock) as env:
        env.copy(tmp_path / "copy")
    assert pylmdb.verify(tmp_path / "copy").ok
    with pylmdb.open(tmp_path / "copy", readonly=True) as copy, copy.begin() as txn:
        assert [*txn.cursor()] == RECORDS


def test_compact_does_not_take_checksums_away(native, env_path):
    with native() as own:
        put(own, RECORDS)
    with pylmdb.open(env_path) as env, pytest.raises(pylmdb.ReadonlyError, match="have checksums"):
        env.compact()


@pytest.mark.parametrize("transactions", [2, 3, 4, 5])
def test_a_transaction_that_was_rolled_back(native, env_path, transactions):
    with native(checksums=False) as env:
        for n in range(transactions):
            put(env, [(b"%d" % n, b"v" * 100), *RECORDS[: n * 100]])
        assert engine().lib.mdb_env_rollback(env, transactions) == 0
    report = pylmdb.verify(env_path)
    assert report.ok, report
    assert report.txnid == transactions - 1
    with pylmdb.open(env_path) as again:
        with again.begin() as txn:
            assert txn.get(b"%d" % (transactions - 1)) is None
            assert txn.get(b"%d" % (transactions - 2)) is not None
        with again.begin(write=True) as txn:
            txn.put(b"again", b"v")
    assert pylmdb.verify(env_path).ok
