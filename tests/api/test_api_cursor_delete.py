# SPDX-License-Identifier: MIT
"""Cursor.delete() among duplicates: after the last value of a key it does what py-lmdb does."""

import pytest

import pylmdb
from pylmdb import lowlevel

PAIRS = [(key, value) for key in (b"a", b"b", b"c") for value in (b"1", b"2", b"3")]


@pytest.fixture
def dup(env):
    """Return a database with the duplicates of PAIRS."""
    db = env.open_db(b"dup", dupsort=True)
    with env.begin(db, write=True) as txn:
        txn.cursor().putmulti(PAIRS)
    return db


@pytest.mark.parametrize("seek", ["set_key_dup", "set_range_dup"])
@pytest.mark.parametrize("value", [b"2", b"3"])
def test_trimming_the_values_of_a_key_never_reaches_the_next_key(env, dup, seek, value):
    with env.begin(dup, write=True) as txn:
        txn.cursor().putmulti([(key, b"%d" % n) for key in (b"b", b"c") for n in range(1, 5)])
        before = list(txn.range())
        cursor = txn.cursor()
        assert getattr(cursor, seek)(b"b", value)
        while cursor.delete():
            pass
        assert cursor.delete() is False
        assert cursor.delete(dupdata=True) is False
        gone = [item for item in before if item[0] == b"b" and item[1] >= value]
        assert list(txn.range()) == [item for item in before if item not in gone]


def test_trimming_the_values_of_the_last_key(env, dup):
    with env.begin(dup, write=True) as txn:
        cursor = txn.cursor()
        assert cursor.set_key_dup(b"c", b"2")
        while cursor.delete():
            pass
        assert list(txn.range(prefix=b"c")) == [(b"c", b"1")]
        assert (cursor.prev(), cursor.item()) == (True, (b"c", b"1"))


@pytest.mark.parametrize(
    ("move", "found", "shown"),
    [
        ("next", True, (b"c", b"1")),
        ("prev", True, (b"b", b"2")),
        ("next_dup", False, (b"", b"")),
        ("prev_dup", True, (b"b", b"2")),
        ("next_nodup", True, (b"c", b"1")),
        ("prev_nodup", True, (b"a", b"3")),
        ("first_dup", True, (b"b", b"1")),
        ("last_dup", True, (b"b", b"2")),
        ("first", True, (b"a", b"1")),
        ("last", True, (b"c", b"3")),
        ("count", 2, (b"", b"")),
    ],
)
@pytest.mark.parametrize("before", [[], ["item"], ["next_dup"], ["count"], ["delete"]])
def test_moving_from_a_position_after_the_values_of_a_key(env, dup, move, found, shown, before):
    with env.begin(dup, write=True) as txn:
        txn.cursor().putmulti([(b"b", b"2"), (b"b", b"3"), (b"a", b"3")])
        cursor = txn.cursor()
        assert cursor.set_key_dup(b"b", b"3")
        assert cursor.delete()
        for method in before:
            getattr(cursor, method)()
        assert getattr(cursor, move)() == found
        assert cursor.item() == shown


def test_values_put_while_a_cursor_is_after_the_values_of_a_key(env, dup):
    with env.begin(dup, write=True) as txn:
        cursor = txn.cursor()
        assert cursor.set_key_dup(b"a", b"3")
        assert cursor.delete()
        txn.put(b"a", b"4")
        assert cursor.item() == (b"", b"")
        assert cursor.delete() is False
        assert (cursor.next(), cursor.item()) == (True, (b"a", b"4"))
        assert cursor.delete()
        txn.delete(b"a")
        assert (cursor.last_dup(), cursor.item()) == (True, (b"b", b"3"))


def test_iteration_continues_when_the_last_value_of_a_key_is_deleted(env, dup):
    for look in (False, True):
        with env.begin(dup, write=True) as txn:
            cursor, seen = txn.cursor(), []
            for item in cursor.iternext():
                seen.append(item)
                if item[1] == b"3":
                    assert cursor.delete()
                    assert not look or cursor.item() == (b"", b"")
            assert seen == PAIRS
            txn.abort()


def test_deleting_the_only_value_of_a_key_shows_the_next_key(env, dup):
    with env.begin(dup, write=True) as txn:
        txn.replace(b"b", b"only")
        cursor = txn.cursor()
        assert cursor.set_key(b"b")
        assert cursor.delete()
        assert cursor.item() == (b"c", b"1")


@pytest.mark.parametrize("empty", [b"", bytearray(), memoryview(b""), None])
def test_delete_with_an_empty_value_deletes_all_values_of_the_key(env, dup, empty):
    txn = env.begin(write=True)
    txn.drop(dup, delete=False)
    for how in ({"db": dup}, {"value": empty, "db": dup}):
        txn.cursor(dup).putmulti([(b"k", b"1"), (b"k", b"2"), (b"l", b"1")])
        value = () if "value" in how else (empty,)
        assert txn.delete(b"k", *value, **how) is True
        assert txn.delete(b"k", *value, **how) is False
        assert list(txn.range(db=dup)) == [(b"l", b"1")]
    txn.put(b"plain", b"value")
    assert txn.delete(b"plain", empty) is True
    txn.abort()


def test_a_delete_that_is_refused_leaves_the_cursor_on_its_record(env, dup):
    with env.begin(dup) as txn:
        cursor = txn.cursor()
        assert cursor.set_key_dup(b"b", b"2")
        with pytest.raises(pylmdb.ReadonlyError, match=r"^delete: this is a read transaction; "):
            cursor.delete()
        assert cursor.item() == (b"b", b"2")
        assert cursor.next_dup()
        assert cursor.item() == (b"b", b"3")


def test_a_delete_that_is_refused_leaves_no_pointer_to_memory_that_was_freed(env, dup):
    """The record is searched by a copy of it, and the exception names what was searched."""
    engine = lowlevel.engine(env)
    lib, ffi = engine.lib, engine.ffi
    with env.begin(dup) as txn:
        opened = ffi.new("MDB_cursor **")
        number = lowlevel.database_number(dup, txn)
        assert lib.mdb_cursor_open(lowlevel.handle(txn), number, opened) == 0
        position = ffi.gc(ffi.new("struct pylmdb_position *"), lib.pylmdb_position_free)
        assert lib.pylmdb_position_init(position, opened[0], lib.MDB_DUPSORT, ffi.NULL) == 0
        assert lib.pylmdb_position_move(position, lib.MDB_FIRST) == 0
        assert lib.pylmdb_position_delete(position, 0) not in (0, lib.MDB_NOTFOUND)
        assert ffi.string(position.failed) == b"mdb_cursor_del"
        assert (position.key.mv_size, position.value.mv_size) == (0, 0)
        lib.mdb_cursor_close(opened[0])
