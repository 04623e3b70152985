# SPDX-License-Identifier: MIT
"""liblmdb's cursors, with our edits, agree with a model in databases with duplicates."""

import os
import random
import struct

import pytest
from engine_cursors import Walk

from pylmdb import lowlevel

KINDS = {
    "dupsort": {"dupsort": True},
    "dupfixed": {"dupsort": True, "dupfixed": True},
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def test_random_walks(open_env, tmp_path, kind):
    seed = int(os.environ.get("PYLMDB_WALK_SEED", random.SystemRandom().randrange(1 << 40)))
    print(f"PYLMDB_WALK_SEED={seed}")
    rng = random.Random(seed)
    for walk in range(10):
        with open_env(tmp_path / str(walk), sync=False) as env:
            Walk(env, kind, rng).run(2000)


@pytest.mark.parametrize("count", [2, 3, 400])
@pytest.mark.parametrize("direction", ["NEXT", "PREV"])
def test_a_delete_after_duplicates(env, kind, count, direction):
    """From the duplicates of one key to the single value of the next: that one is deleted."""
    db = env.open_db(b"db", **kind)
    many = [struct.pack(">Q", i) for i in range(count)]
    records = [(b"a", value) for value in many]
    records += [(b"b", b"one only"), *((b"c", value) for value in many)]
    start = ["FIRST", "LAST_DUP", "PREV_DUP"]
    if direction == "PREV":
        start = ["LAST", "FIRST_DUP", "NEXT_DUP"]
    engine = lowlevel.engine(env)
    lib, ffi = engine.lib, engine.ffi
    with env.begin(write=True) as txn:
        for key, value in records:
            txn.put(key, value, db=db)
        opened, key, data = ffi.new("MDB_cursor **"), ffi.new("MDB_val *"), ffi.new("MDB_val *")
        number = lowlevel.database_number(db, txn)
        assert lib.mdb_cursor_open(lowlevel.handle(txn), number, opened) == 0

        def shown(move):
            assert lib.mdb_cursor_get(opened[0], key, data, getattr(lib, f"MDB_{move}")) == 0
            return tuple(ffi.buffer(part.mv_data, part.mv_size)[:] for part in (key, data))

        for move in start:
            shown(move)
        while shown(direction) != (b"b", b"one only"):
            pass
        for _ in range(2):
            gone = shown("GET_CURRENT")
            assert lib.mdb_cursor_del(opened[0], 0) == 0
            records.remove(gone)
            assert shown("GET_CURRENT") == (b"c", many[len(records) == 2 * count - 1])
        lib.mdb_cursor_close(opened[0])
        assert list(txn.cursor(db)) == records


@pytest.mark.parametrize("move", ["next", "next_dup", "next_nodup"])
def test_next_after_a_search_beyond_the_last_record(env, move):
    """The cursor is behind the last record, where the page has the rest of an older one."""
    db = env.open_db(b"db", dupsort=True, integerkey=True, integerdup=True)
    with env.begin(write=True) as txn:
        for value in (1, 2):
            for number in range(100):
                txn.put(struct.pack("=Q", number), struct.pack("=Q", value), db=db)
        txn.delete_range(stop=struct.pack("=Q", 100), db=db)
        txn.put(struct.pack("=Q", 31), struct.pack("=Q", 3), db=db)
        cursor = txn.cursor(db)
        assert cursor.set_range(struct.pack("=Q", 28))
        assert not cursor.set_range(struct.pack("=Q", 86))
        assert getattr(cursor, move)() is False
        assert txn.stat(db)["entries"] == 1


@pytest.mark.parametrize("flags", [{}, {"dupsort": True}], ids=["plain", "dupsort"])
def test_next_after_records_behind_the_last_one(env, flags):
    """A cursor that was moved to the last record finds those that are stored behind it."""
    db = env.open_db(b"db", **flags)
    for seed in range(100):
        rng = random.Random(seed)
        with env.begin(write=True) as txn:
            count = rng.randrange(1, 100)
            for number in range(count):
                txn.put(b"%04d" % number, bytes(rng.randrange(1, 500)), db=db)
            cursor = txn.cursor(db)
            assert cursor.last()
            record = cursor.item()
            for _ in range(rng.randrange(1, 60)):
                number = rng.choice([*range(count - 1), *range(count, count + 20)])
                txn.put(b"%04d" % number, bytes(rng.randrange(1, 500)), db=db)
            assert cursor.item() == record
            records = list(txn.cursor(db))
            for following in records[records.index(record) + 1 :]:
                assert cursor.next(), seed
                assert cursor.item() == following
            assert not cursor.next()
            txn.abort()
