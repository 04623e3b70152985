# SPDX-License-Identifier: MIT
"""Files that are not in memory: reads ahead give the right values, and ``warm()`` reads what it
says.

Where the system does not forget a file when it is told, as on tmpfs, the tests of values hold too.
"""

import asyncio
import ctypes
import mmap
import os
import random
import struct
import sys
import time
from pathlib import Path

import numpy as np
import programs
import pytest

import pylmdb
import pylmdb.aio

COUNT = 20_000
PAGE = 4096
# The order of integers is that of numbers, so on little-endian machines not that of their bytes.
KINDS = {
    "plain": ({}, lambda i: b"%08d" % i),
    "reverse": ({"reverse_key": True}, lambda i: b"%08d" % i),
    "integers": ({"integerkey": True}, lambda i: struct.pack("=Q", i)),
    "short integers": ({"integerkey": True}, lambda i: struct.pack("=I", i)),
    "duplicates": ({"dupsort": True}, lambda i: b"%08d" % i),
}


def value_of(i, large=False):
    return b"%d" % i * (700 if large and i % 3 else 3)


def forget(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def pages_in_memory(path):
    """The numbers of the pages that are in memory; all of them where the system does not tell."""
    size = os.path.getsize(path)
    found = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))(*b"\1" * -(-size // mmap.PAGESIZE))
    if sys.platform.startswith("linux"):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            view = np.frombuffer(mapped, np.uint8)
            address, length = ctypes.c_void_p(view.ctypes.data), ctypes.c_size_t(size)
            assert not ctypes.CDLL(None).mincore(address, length, found)
            del view
    return {i for i, page in enumerate(found) if page & 1}


@pytest.fixture
def written(env_path, lib_version):
    """Write a file with a database of a kind, and have the system forget it."""

    def write(kind="plain", large=False, count=COUNT):
        flags, key_of = KINDS[kind]
        numbers = list(range(count))
        random.Random(1).shuffle(numbers)
        with pylmdb.open(env_path, sync=False, lib_version=lib_version) as env:
            db = env.open_db(b"db", **flags)
            with env.begin(write=True) as txn:
                for i in numbers:
                    txn.put(key_of(i), value_of(i, large), db=db)
            env.sync(True)
        data = Path(env_path, "data.mdb")
        forget(data)
        return data, key_of

    return write


@pytest.fixture
def cold_env(env_path):
    """Open the file that was written."""
    opened = []

    def open_it(**options):
        opened.append(pylmdb.open(env_path, create=False, **options))
        return opened[-1], opened[-1].open_db(b"db", create=False)

    yield open_it
    for env in opened:
        env.close()


@pytest.mark.parametrize("readahead", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_batches_give_the_right_values(written, cold_env, kind, readahead):
    data, key_of = written(kind, count=5000)
    numbers = random.Random(2).choices(range(-100, 5100), k=1500)
    keys = [key_of(abs(i)) for i in numbers]
    right = [value_of(abs(i)) if abs(i) < 5000 else None for i in numbers]
    env, db = cold_env(readahead=readahead)
    with env.begin(db) as txn:
        assert txn.get_many(keys) == right
    env.close()
    forget(data)
    env, db = cold_env(readahead=readahead)
    size = env.warm(keys, db=db)
    assert size == sum(len(k) + len(v) for k, v in zip(keys, right, strict=True) if v)
    with env.begin(db) as txn:
        found = txn.cursor().getmulti(keys)
    assert found == [(k, v) for k, v in zip(keys, right, strict=True) if v is not None]


@pytest.mark.parametrize("readahead", [True, False])
def test_large_values(written, cold_env, readahead):
    data, key_of = written(large=True, count=3000)
    numbers = random.Random(3).sample(range(3000), 1300)
    env, db = cold_env(readahead=readahead, readonly=True)
    with env.begin(db) as txn:
        keys = [key_of(i) for i in numbers]
        assert txn.get_many(keys) == [value_of(i, True) for i in numbers]
    env.close()
    forget(data)
    same = [i for i in numbers if i % 3 and i >= 1000]
    env, db = cold_env(readahead=readahead, readonly=True)
    with env.begin(db) as txn:
        rows = txn.take([key_of(i) for i in same], np.uint8, 2800)
    assert [bytes(row) for row in rows] == [value_of(i, True) for i in same]


@pytest.mark.parametrize("readahead", [True, False])
@pytest.mark.parametrize("large", [True, False])
def test_scans_give_the_right_records(written, cold_env, large, readahead):
    count = 3000 if large else COUNT
    data, key_of = written(large=large, count=count)
    right = [(key_of(i), value_of(i, large)) for i in range(count)]
    for reverse in (False, True):
        forget(data)
        env, db = cold_env(readahead=readahead)
        with env.begin(db) as txn:
            assert list(txn.range(reverse=reverse)) == (right[::-1] if reverse else right)
            part = list(txn.range(key_of(100), key_of(2000), reverse=reverse, values=False))
            assert part == [key_of(i) for i in range(100, 2000)][:: -1 if reverse else 1]
        env.close()


def test_a_write_transaction_reads_its_own_changes(written, cold_env):
    _, key_of = written(large=True, count=3000)
    right = {key_of(i): value_of(i, True) for i in range(3000)}
    env, db = cold_env()
    with env.begin(db, write=True) as txn:
        for i in range(0, 4000, 7):
            right[key_of(i)] = b"new" * (i % 1500)
            assert txn.put(key_of(i), right[key_of(i)])
        keys = [key_of(i) for i in random.Random(4).sample(range(4000), 1000)]
        assert txn.get_many(keys) == [right.get(key) for key in keys]
        with env.begin(db, parent=txn, write=True) as child:
            right[key_of(5)] = b"child"
            child.put(key_of(5), b"child")
            assert child.get_many(keys) == [right.get(key) for key in keys]


def test_keys_that_cannot_be_compared(written, cold_env):
    written("integers", count=2000)
    env, db = cold_env()
    keys = [struct.pack("=Q", i) for i in range(100)]
    with env.begin(db) as txn, pytest.raises(pylmdb.BadValsizeError):
        txn.get_many([*keys, b"abc"])
    with pytest.raises(pylmdb.BadValsizeError):
        env.warm([*keys, b"abc"], db=db)
    with env.begin(db) as txn:
        assert txn.get_many(keys) == [value_of(i) for i in range(100)]


# -- what is read into memory ------------------------------------------------------------


def all_pages(data):
    return set(range(os.path.getsize(data) // mmap.PAGESIZE))


def test_warm_reads_the_whole_file(written, cold_env):
    data, _ = written()
    env, _ = cold_env()
    info = env.info()
    assert env.warm() == (info.last_pgno + 1) * PAGE
    assert pages_in_memory(data) == all_pages(data)


@pytest.mark.parametrize("large", [True, False])
def test_warm_reads_a_range(written, cold_env, large):
    count = 3000 if large else COUNT
    data, key_of = written(large=large, count=count)
    env, db = cold_env(readahead=False)
    size = {i: len(key_of(i)) + len(value_of(i, large)) for i in range(count)}
    assert env.warm(start=key_of(500), stop=key_of(510), db=db) == sum(
        map(size.get, range(500, 510))
    )
    assert env.warm(start=key_of(count - 300), db=db) == sum(
        map(size.get, range(count - 300, count))
    )
    assert env.warm(stop=key_of(300), db=db) == sum(map(size.get, range(300)))
    assert env.warm(start=b"x", db=db) == env.warm(start=b"2", stop=b"1", db=db) == 0
    assert env.warm(db=db) == sum(size.values())
    # all but the pages of the free list, and old pages of other trees
    assert len(pages_in_memory(data)) > 0.9 * len(all_pages(data))


def test_warm_reads_all_values_of_a_key(env_path, lib_version):
    with pylmdb.open(env_path, lib_version=lib_version) as env:
        db = env.open_db(b"dups", dupsort=True)
        with env.begin(db, write=True) as txn:
            for i in range(5000):
                txn.put(b"key%d" % (i // 2000), b"%06d" % i)
        assert env.warm(start=b"key1", db=db) == 3000 * 10
        assert env.warm([b"key1", b"no"], db=db) == 10


def test_warm_in_the_main_database(env_path, lib_version):
    with pylmdb.open(env_path, lib_version=lib_version) as env:
        assert env.warm() > 0
        assert env.warm([]) == env.warm([b"a"]) == env.warm(start=b"a") == 0
        with env.begin(write=True) as txn:
            txn.put(b"a", b"1")
            assert env.warm([b"a"]) == 0  # it is not committed
        assert env.warm(iter([b"a", bytearray(b"a"), memoryview(b"b")])) == 4
        assert env.warm(start=b"") == env.warm(stop=b"b") == 2


def test_warm_in_a_coroutine(env_path, lib_version):
    with pylmdb.open(env_path, lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            txn.put(b"a", b"1")
        assert asyncio.run(pylmdb.aio.wrap(env).warm([b"a"])) == 2


def test_warm_refuses(env_path, lib_version):
    env = pylmdb.open(env_path, lib_version=lib_version)
    with pytest.raises(pylmdb.InvalidParameterError, match="not both"):
        env.warm([b"a"], start=b"a")
    for one in (b"abc", "abc", bytearray(b"a")):
        with pytest.raises(TypeError, match="several keys"):
            env.warm(one)
    with pytest.raises(TypeError, match="must be bytes"):
        env.warm(["abc"])
    with pytest.raises(TypeError):
        env.warm(db=b"name")
    env.close()
    with pytest.raises(pylmdb.ClosedError):
        env.warm()


def test_lookups_ask_for_the_pages_of_all_keys(written, cold_env):
    """Only asked for, without a lookup: the pages come into memory by themselves."""
    data, key_of = written(large=True, count=3000)
    keys = [key_of(i) for i in range(1000, 3000) if i % 3][:512]
    env, db = cold_env(readahead=False)
    ffi, lib = env._shared.engine.ffi, env._shared.engine.lib
    ends = ffi.new("size_t[]", [8 * (i + 1) for i in range(len(keys))])
    block = ffi.from_buffer(b"".join(keys))
    fields = {"bytes": block, "ends": ends, "count": len(keys), "width": 0}
    struct_of_keys = ffi.new("struct pylmdb_keys *", fields)
    with env.begin(db) as txn:

        def read_ahead(ptr):
            slot = txn._slot_in(ptr, db)
            return lib.pylmdb_read_ahead(ptr, slot.dbi, slot.flags, struct_of_keys)

        assert txn._do(read_ahead) == 0
    while len(pages_in_memory(data)) < len(keys):
        time.sleep(0.01)


def test_a_scan_without_readahead_reads_nothing_ahead(written, cold_env):
    data, key_of = written(large=True, count=3000)
    gone = not pages_in_memory(data)
    env, db = cold_env(readahead=False)
    with env.begin(db) as txn:
        assert len(list(txn.range(key_of(1500), key_of(1512)))) == 12
    # the pages of 12 values, of two leaves and of what is above them
    assert len(pages_in_memory(data)) <= (40 if gone else len(all_pages(data)))


# -- lives of files and processes ---------------------------------------------------------

CHILD = """
env = pylmdb.open(path, create=False, readahead=False)
db = env.open_db(b"db", create=False)
keys = [b"%08d" % i for i in range(0, 3000, 2)]
with env.begin(db) as txn:
    values = txn.get_many(keys)
    assert None not in values
    if not (child := os.fork()):
        assert txn.get_many(keys) == values
        assert env.warm(keys, db=db) == sum(map(len, keys + values))
        os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_child(written, env_path, lib_version):
    written(large=True, count=3000)
    programs.run(CHILD, env_path, lib_version)


CUT = """
env = pylmdb.open(path, create=False)
db = env.open_db(b"db", create=False)
keys = [b"%08d" % i for i in range(0, 3000, 2)]
os.truncate(path + "/data.mdb", 40 * 4096)
calls = {
    "get_many": lambda: len(env.begin(db).get_many(keys)) == len(keys),
    "warm keys": lambda: env.warm(keys, db=db) > 0,
    "warm range": lambda: env.warm(start=b"0", db=db) > 0,
    "range": lambda: len(list(env.begin(db).range())) == 3000,
    "warm file": lambda: env.warm() == 40 * 4096,
}
failed = 0
for call in calls.values():
    try:
        assert call()
    except pylmdb.CorruptedError:
        failed += 1
print(failed)
"""


def test_a_file_that_is_cut_short(written, env_path, lib_version):
    written(large=True, count=3000)
    assert int(programs.run(CUT, env_path, lib_version)) >= 4
