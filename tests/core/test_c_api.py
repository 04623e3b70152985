# SPDX-License-Identifier: MIT
"""The C API (pylmdb.h), used by tests/support/capi_user.c as another library would."""

import gc
import os
import random
import re
import struct
import subprocess
import sys
import threading
from pathlib import Path

import extensions
import pytest
from data_files import RECORD, File
from programs import in_child, in_thread, in_threads, raised_by, wait_for

import pylmdb
from pylmdb import lowlevel

pytestmark = pytest.mark.skipif(
    os.environ.get("PYLMDB_CORE", "c") != "c" or sys.implementation.name != "cpython",
    reason="only the C core has the C API",
)

FIRST, GET_BOTH, GET_BOTH_RANGE, CURRENT, LAST, LAST_DUP, NEXT = 0, 2, 3, 4, 6, 7, 8
NEXT_DUP, PREV, SET_KEY, SET_RANGE = 9, 12, 16, 17
NOOVERWRITE, NODUPDATA, APPEND = 0x10, 0x20, 0x20000
REVERSE, EXCLUDE_START, INCLUDE_STOP, NO_VALUES = 1, 2, 4, 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("capi")


@pytest.fixture(scope="module")
def user(folder):
    return extensions.capi_user(folder)


@pytest.fixture
def db(env):
    db = env.open_db(b"db")
    with env.begin(db, write=True) as txn:
        for number in range(100):
            txn.put(b"%03d" % number, b"v%d" % number)
    return db


@pytest.fixture
def duplicates(env):
    db = env.open_db(b"duplicates", dupsort=True)
    with env.begin(db, write=True) as txn:
        for key in b"a", b"b":
            for value in b"1", b"2", b"3":
                txn.put(key, value)
    return db


class Holding:
    """A hold for a with statement."""

    def __init__(self, user, *args):
        self.user, self.args = user, args

    def __enter__(self):
        self.hold = self.user.acquire(*self.args)
        return self.hold

    def __exit__(self, *exc):
        self.user.release(self.hold)


def test_objects(user, env, db):
    class Special(pylmdb.Environment):
        pass

    with env.begin() as txn:
        objects = [env, txn, txn.cursor(), db]
        for number, each in enumerate(objects):
            assert user.kinds(each) == tuple(int(number == kind) for kind in range(4))
    for other in (None, 7, Special, object(), lowlevel):
        assert user.kinds(other) == (0, 0, 0, 0)
    assert user.kinds(Special.__new__(Special)) == (1, 0, 0, 0)


def test_open_begin_commit(user, tmp_path, lib_version):
    path = str(tmp_path / "env")
    env = user.open(path, {"lib_version": lib_version})
    again = user.open(path)
    assert type(env) is pylmdb.Environment
    txn = user.begin(env, True, -1)
    assert txn.put(b"k", b"v")
    with pytest.raises(pylmdb.BusyError, match="this thread has a write transaction"):
        user.begin(again, True, -1)
    with pytest.raises(pylmdb.LockTimeoutError):
        in_thread(lambda: user.begin(again, True, 0))
    user.commit(txn)
    txn = user.begin(again, False, -1)
    assert txn.get(b"k") == b"v"
    user.abort(txn)
    for function in (user.commit, user.abort):
        with pytest.raises(TypeError, match="txn must be a Transaction, not NoneType"):
            function(None)
    with pytest.raises(pylmdb.ClosedError):
        user.commit(txn)
    with pytest.raises(TypeError, match="env must be an Environment, not int"):
        user.begin(7, True, -1)
    with pytest.raises(pylmdb.PathNotFoundError):
        user.open(str(tmp_path / "none"), {"create": False})
    with pytest.raises(TypeError, match="mapsize"):
        user.open(path, {"mapsize": 1})


def test_acquire_refuses(user, env, db):
    with env.begin() as txn:
        for wrong in (None, env, db):
            with pytest.raises(TypeError, match="txn must be a Transaction"):
                user.acquire(wrong)
        with pytest.raises(TypeError, match="db must be a database handle"):
            user.acquire(txn, b"db")
    with pytest.raises(pylmdb.ClosedError):
        user.acquire(txn)


def test_records(user, env, db):
    with env.begin(write=True) as txn:
        with Holding(user, txn, db) as hold:
            assert user.shown(hold)[1:] == (2, 0)
            assert user.get(hold, b"007") == b"v7"
            assert user.get(hold, b"none") is None
            assert user.put(hold, b"new", b"1") is True
            assert user.put(hold, b"new", b"2", NOOVERWRITE) is False
            assert user.put(hold, b"zz", None, APPEND) is True
            assert user.put(hold, b"a", b"", APPEND) is False
            assert user.get(hold, b"zz") == b""
            assert user.delete(hold, b"new") is True
            assert user.delete(hold, b"new") is False
        assert txn.get(b"zz", db=db) == b""
    with env.begin(db) as txn, Holding(user, txn, None) as hold:
        assert user.get(hold, b"zz") == b""


def test_records_with_duplicates(user, env, duplicates):
    with env.begin(duplicates, write=True) as txn, Holding(user, txn) as hold:
        assert user.get(hold, b"a") == b"1"
        assert user.put(hold, b"a", b"2", NODUPDATA) is False
        assert user.delete(hold, b"a", b"2") is True
        assert user.delete(hold, b"a", b"2") is False
        assert user.delete(hold, b"b") is True
        assert user.get(hold, b"b") is None
        assert user.get(hold, b"a") == b"1"


def test_failures_say_what_was_wrong(user, env, db, duplicates):
    longest = env.max_key_size()
    ints = env.open_db(b"ints", integerkey=True)
    with env.begin(write=True) as txn:
        with Holding(user, txn, db) as hold:
            with pytest.raises(pylmdb.BadValsizeError, match=f"key has {longest + 1} bytes"):
                user.put(hold, bytes(longest + 1), b"")
            with pytest.raises(pylmdb.BadValsizeError, match="put: key is empty"):
                user.put(hold, b"", b"v")
            with pytest.raises(pylmdb.BadValsizeError, match="put: key is empty"):
                user.put(hold, None, b"v")
            with pytest.raises(pylmdb.InvalidParameterError):
                user.put(hold, b"k", b"v", 0x10000)  # MDB_RESERVE
            with pytest.raises(pylmdb.Error):
                user.set_error(hold, -30796)
        with Holding(user, txn, ints) as hold:
            with pytest.raises(pylmdb.BadValsizeError, match="get: key has 3 bytes"):
                user.get(hold, b"abc")
            assert user.put(hold, struct.pack("=I", 1), b"")
            with pytest.raises(pylmdb.BadValsizeError):
                user.range(hold, None, b"12345678", 0, lambda key, value: None)
        match = "value has 9999 bytes"
        with Holding(user, txn, duplicates) as hold, pytest.raises(pylmdb.Error, match=match):
            user.put(hold, b"k", bytes(9999))
        name = b"db" + b"\0" * (env.lib_version()[0])
        match = "b'db' is the name of a named"
        with Holding(user, txn) as hold, pytest.raises(pylmdb.IncompatibleError, match=match):
            user.put(hold, name, b"")
    with env.begin() as txn, Holding(user, txn, db) as hold:
        with pytest.raises(pylmdb.ReadonlyError, match="put: this is a read transaction"):
            user.put(hold, b"", b"v")
        assert user.get(hold, b"001") == b"v1"


def test_a_read_transaction_refuses_each_delete(user, env, db):
    """Whether there is such a record, and whether the cursor has a position."""
    with env.begin() as txn, Holding(user, txn, db) as hold:
        cursor, other = user.open_cursor(hold), user.open_cursor(hold)
        assert user.move(hold, other, FIRST)
        for delete in (
            lambda: user.delete(hold, b"001"),
            lambda: user.delete(hold, b"none"),
            lambda: user.delete_at(hold, cursor),
            lambda: user.delete_at(hold, other, True),
        ):
            with pytest.raises(pylmdb.ReadonlyError, match="delete: this is a read transaction"):
                delete()
        assert user.move(hold, other, CURRENT) == (b"000", b"v0")


def test_an_exception_names_the_key(user, env, db, duplicates):
    """Of a record that is missing or exists, where a library makes an exception of that."""
    with env.begin(write=True) as txn:
        with Holding(user, txn, db) as hold:
            for key in b"none", b"n", b"none of the keys":  # the copy grows, and is used again
                assert user.get(hold, key) is None
                message = f"get: the database b'db' has no key {key!r} "
                with pytest.raises(pylmdb.NotFoundError, match=re.escape(message)):
                    user.set_error(hold, -30798)
            assert user.put(hold, b"001", b"", NOOVERWRITE) is False
            message = "put: the record with key b'001' exists in the database b'db'"
            with pytest.raises(pylmdb.KeyExistsError, match=message):
                user.set_error(hold, -30799)
            cursor = user.open_cursor(hold)
            assert user.move(hold, cursor, SET_RANGE, b"x" * 65) is None
            message = f"cursor: the database b'db' has no key {b'x' * 64!r}... "
            with pytest.raises(pylmdb.NotFoundError, match=re.escape(message)):
                user.set_error(hold, -30798)
            assert user.move(hold, cursor, LAST)
            assert user.move(hold, cursor, NEXT) is None
            with pytest.raises(pylmdb.NotFoundError, match=r"^mdb_cursor_get: MDB_NOTFOUND"):
                user.set_error(hold, -30798)
        with Holding(user, txn, duplicates) as hold:
            assert user.delete(hold, b"a", b"9") is False
            message = "(dupsort) has no key b'a' with such a value"
            with pytest.raises(pylmdb.NotFoundError, match=re.escape(message)):
                user.set_error(hold, -30798)


def test_views_keep_the_snapshot(user, env, db):
    txn = env.begin(db)
    hold = user.acquire(txn)
    view = user.view(hold, b"007")
    with pytest.raises(ValueError, match="not in the memory map"):
        user.view(hold, b"007", 1 << 44)
    txn.abort()
    with pytest.raises(pylmdb.ClosedError):
        user.view(hold, b"007")
    user.release(hold)
    assert view == b"v7"
    assert view.readonly
    assert env.info()["pinned"] == 1
    with env.begin(db, write=True) as txn:
        txn.put(b"007", b"changed")
    assert view == b"v7"
    del view
    assert env.info()["pinned"] == 0


def test_views_of_a_write_transaction_are_copies(user, env, db):
    with env.begin(db, write=True) as txn:
        with Holding(user, txn) as hold:
            view = user.view(hold, b"007")
            user.put(hold, b"007", b"changed")
        assert view == b"v7"
        assert view.readonly


def range_of(txn, bounds, flags):
    """What PyLMDB_Range() gives, from the Python API."""
    records = txn.range(
        *bounds, reverse=bool(flags & REVERSE), include_start=not flags & EXCLUDE_START,
        include_stop=bool(flags & INCLUDE_STOP),
    )  # fmt: skip
    return [(key, None if flags & NO_VALUES else value) for key, value in records]


def collected(user, hold, start=None, stop=None, flags=0, limit=None):
    records = []

    def add(key, value):
        records.append((key, value))
        return True if len(records) == limit else None

    assert user.range(hold, start, stop, flags, add) == (7 if len(records) == limit else 0)
    return records


def test_ranges(user, env, db, duplicates):
    with env.begin(db) as txn, Holding(user, txn) as hold:
        for bounds in (None, None), (b"01", b"020"), (b"099", None), (b"x", b"y"), (b"5", b"1"):
            for flags in range(16):
                assert collected(user, hold, *bounds, flags) == range_of(txn, bounds, flags)
        assert len(collected(user, hold, limit=3)) == 3
        with pytest.raises(ZeroDivisionError):
            user.range(hold, None, None, 0, lambda key, value: 1 // 0)
    with env.begin(duplicates) as txn, Holding(user, txn) as hold:
        assert collected(user, hold) == list(txn.range())


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("integers", [False, True])
def test_ranges_over_many_pages(user, env, integers, write):
    """With small and large values, and bounds everywhere on pages."""
    generator = random.Random(1)
    db = env.open_db(b"many", integerkey=integers)
    pack = struct.Struct("=I").pack if integers else (lambda number: b"%05d" % number)
    with env.begin(db, write=True) as txn:
        for number in range(0, 6000, 3):
            large = generator.random() < 0.02
            txn.put(pack(number), b"%d" % number * (2000 if large else 1), append=True)
    reader = env.begin(db)
    with env.begin(db, write=write) as txn, Holding(user, txn) as hold:
        for _ in range(60):
            bounds = [generator.choice([None, pack(generator.randrange(6100))]) for _ in range(2)]
            flags = generator.randrange(16)
            expected = range_of(reader, bounds, flags)
            assert collected(user, hold, *bounds, flags) == expected
            limit = generator.randrange(1, 2000)
            assert collected(user, hold, *bounds, flags, limit) == expected[:limit]


def test_a_range_of_integers_refuses_another_width(user, open_env, env_path, lib_version):
    """Another library has stored keys of two widths."""
    with open_env(page_size=4096) as env, env.begin(env.open_db(b"db"), write=True) as txn:
        for number in range(9):
            txn.put(struct.pack("=Q", number) + b"abcd" * (number == 4), b"")
    file = File(Path(env_path), lib_version)
    file.set("H", file.record(b"db") + RECORD["flags"], lowlevel.engines()[0].lib.MDB_INTEGERKEY)
    file.save()
    env = open_env()
    with env.begin(env.open_db(b"db")) as txn, Holding(user, txn) as hold:
        for stop, flags in (0, 0), (3, 0), (2, INCLUDE_STOP):
            wanted = [(struct.pack("=Q", number), b"") for number in range(stop + bool(flags))]
            assert collected(user, hold, None, struct.pack("=Q", stop), flags) == wanted
        for start, stop, flags in (None, 8, 0), (0, None, REVERSE):
            seen = []
            bounds = [each if each is None else struct.pack("=Q", each) for each in (start, stop)]
            with pytest.raises(pylmdb.BadValsizeError):
                user.range(hold, *bounds, flags, lambda key, value, seen=seen: seen.append(key))
            assert {len(key) for key in seen} == {8}
            assert len(seen) == 4


def test_a_range_inside_another_one(user, env, db):
    with env.begin(db) as txn, Holding(user, txn) as hold:
        pairs = []

        def both(key, value):
            inner = collected(user, hold, key, None, NO_VALUES)
            pairs.extend((key, other) for other, _ in inner)

        assert user.range(hold, b"090", None, 0, both) == 0
        keys = [b"%03d" % number for number in range(90, 100)]
        assert pairs == [(key, other) for key in keys for other in keys if key <= other]


def forks_in_a_range(user, hold, at):
    """Fork in the function, at one record; return how many records it gets in the parent."""
    seen, pids = [], []

    def fork(key, value):
        if pids == [0]:
            os._exit(71)
        seen.append(key)
        if len(seen) == at:
            pids.append(os.fork())

    raised = raised_by(user.range, hold, None, None, 0, fork)
    if pids == [0]:
        os._exit(72 * (raised is not pylmdb.ForkedError))
    assert raised is None
    assert wait_for(*pids) == 0
    return len(seen)


@pytest.mark.parametrize("at", [1, 2, 50, 100])
@pytest.mark.parametrize("write", [False, True])
def test_a_range_whose_function_forks(user, env, db, write, at):
    """The child gets no further record: its transaction belongs to the parent."""
    with env.begin(db, write=write) as txn, Holding(user, txn) as hold:
        assert forks_in_a_range(user, hold, at) == 100


def test_a_range_of_duplicates_whose_function_forks(user, env, duplicates):
    with env.begin(duplicates) as txn, Holding(user, txn) as hold:
        assert forks_in_a_range(user, hold, 2) == 6


@pytest.mark.parametrize(
    ("bounds", "flags"), [((None, 1900), 0), ((100, None), REVERSE)], ids=["forward", "reverse"]
)
def test_a_range_over_a_page_that_is_cut_in_its_middle(user, env, env_path, bounds, flags):
    """The rest of the page reads as zeros, among them the widths of keys."""
    pack = struct.Struct("=I").pack
    db = env.open_db(b"numbers", integerkey=True)
    with env.begin(db, write=True) as txn:
        for number in range(2000):
            txn.put(pack(number), b"value %d." % number)
    bounds = [each if each is None else pack(each) for each in bounds]
    seen = []

    def cut(key, value):
        seen.append(key)
        if len(seen) == 20:
            data = Path(env_path, "data.mdb").read_bytes()
            page = data.rindex(key + value) // env.info().page_size * env.info().page_size
            os.truncate(Path(env_path, "data.mdb"), page + 200)

    with env.begin(db) as txn, Holding(user, txn) as hold:
        with pytest.raises(pylmdb.CorruptedError):
            user.range(hold, *bounds, flags, cut)
        assert len(seen) == 20


def test_a_range_whose_function_writes(user, env, db):
    with env.begin(db, write=True) as txn, Holding(user, txn) as hold:
        seen = []

        def change(key, value):
            seen.append(key)
            user.delete(hold, key)
            user.put(hold, b"!" + key, bytes(1000))

        assert user.range(hold, b"0", None, 0, change) == 0
        assert seen == [b"%03d" % number for number in range(100)]
        assert len(collected(user, hold)) == 100


def test_cursors(user, env, db):
    with env.begin(db) as txn, Holding(user, txn) as hold:
        cursor = user.open_cursor(hold)
        assert user.move(hold, cursor, CURRENT) is None
        assert user.move(hold, cursor, NEXT) == (b"000", b"v0")
        assert user.move(hold, cursor, CURRENT) == (b"000", b"v0")
        assert user.move(hold, cursor, LAST) == (b"099", b"v99")
        assert user.move(hold, cursor, NEXT) is None
        assert user.move(hold, cursor, SET_KEY, b"050") == (b"050", b"v50")
        assert user.move(hold, cursor, PREV) == (b"049", b"v49")
        assert user.move(hold, cursor, SET_RANGE, b"0500") == (b"051", b"v51")
        assert user.move(hold, cursor, SET_RANGE, b"") == (b"000", b"v0")
        assert user.move(hold, cursor, SET_KEY, b"none") is None
        for movement in (5, 10, 15, 18, 99, -1):
            with pytest.raises(pylmdb.InvalidParameterError):
                user.move(hold, cursor, movement)
        user.close_cursor(cursor)
        user.open_cursor(hold)  # the release closes it


def moves_of_liblmdb(txn, moves, keys):
    """Yield each movement with the key that mdb_cursor_get() finds, or None."""
    ffi, lib = lowlevel.engine(txn.env).ffi, lowlevel.engine(txn.env).lib
    cursor, key, value = ffi.new("MDB_cursor **"), ffi.new("MDB_val *"), ffi.new("MDB_val *")
    with lowlevel.hold(txn) as hold:
        assert not lib.mdb_cursor_open(hold.txn, hold.dbi, cursor)
        for each in moves:
            wanted = ffi.from_buffer(keys.get(each, b""))
            key.mv_data, key.mv_size = wanted, len(wanted)
            code = lib.mdb_cursor_get(cursor[0], key, value, each)
            assert code in (0, lib.MDB_NOTFOUND)
            yield each, None if code else ffi.buffer(key.mv_data, key.mv_size)[:]
        lib.mdb_cursor_close(cursor[0])


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    ("moves", "found"),
    [
        ([NEXT, PREV], [b"0000", None]),
        ([PREV, NEXT], [b"1999", None]),
        ([LAST, NEXT, NEXT, CURRENT, PREV], [b"1999", None, None, None, b"1998"]),
        ([FIRST, PREV, PREV, CURRENT, NEXT], [b"0000", None, None, None, b"0001"]),
        ([FIRST, SET_KEY, CURRENT, NEXT], [b"0000", None, None, b"0000"]),
        ([FIRST, SET_KEY, PREV], [b"0000", None, b"1999"]),
        ([FIRST, SET_RANGE, NEXT, NEXT, PREV], [b"0000", None, None, None, b"1999"]),
    ],
)
def test_steps_after_a_movement_that_found_nothing(user, env, write, moves, found):
    """A Cursor does the same.  Plain liblmdb does so too, unless a search within the tree has
    found nothing or the record is read again."""
    db = env.open_db(b"many")
    with env.begin(db, write=True) as txn:
        for number in range(2000):
            txn.put(b"%04d" % number, b"v", append=True)
    keys = {SET_KEY: b"none", SET_RANGE: b"z"}
    names = {FIRST: "first", LAST: "last", NEXT: "next", PREV: "prev", CURRENT: "item",
             SET_KEY: "set_key", SET_RANGE: "set_range"}  # fmt: skip
    with env.begin(db, write=write) as txn:
        with Holding(user, txn) as hold:
            cursor = user.open_cursor(hold)
            records = [user.move(hold, cursor, each, keys.get(each)) for each in moves]
        assert records == [key and (key, b"v") for key in found]
        cursor = txn.cursor()
        for each, key in zip(moves, found, strict=True):
            getattr(cursor, names[each])(*([keys[each]] if each in keys else []))
            assert (cursor.key() or None) == key
        if SET_KEY not in moves:
            steps = [pair for pair in zip(moves, found, strict=True) if pair[0] != CURRENT]
            assert list(moves_of_liblmdb(txn, [each for each, _ in steps], keys)) == steps


def test_cursors_among_duplicates(user, env, duplicates):
    with env.begin(duplicates, write=True) as txn, Holding(user, txn) as hold:
        cursor = user.open_cursor(hold)
        assert user.move(hold, cursor, GET_BOTH, b"a", b"2") == (b"a", b"2")
        assert user.move(hold, cursor, GET_BOTH_RANGE, b"b", b"0") == (b"b", b"1")
        with pytest.raises(pylmdb.BadValsizeError, match="cursor: value is empty"):
            user.move(hold, cursor, GET_BOTH_RANGE, b"b", b"")
        assert user.move(hold, cursor, LAST_DUP) == (b"b", b"3")
        assert user.move(hold, cursor, NEXT_DUP) is None
        assert user.move(hold, cursor, SET_KEY, b"a") == (b"a", b"1")
        assert user.put(hold, b"a", b"11")
        assert user.move(hold, cursor, NEXT_DUP) == (b"a", b"11")
        assert user.delete_at(hold, cursor) is True
        assert user.move(hold, cursor, CURRENT) == (b"a", b"2")
        assert user.delete_at(hold, cursor, True) is True
        assert user.move(hold, cursor, CURRENT) == (b"b", b"1")


def test_a_cursor_deletes(user, env, db):
    with env.begin(db, write=True) as txn:
        with Holding(user, txn) as hold:
            cursor = user.open_cursor(hold)
            assert user.move(hold, cursor, FIRST)
            for _ in range(100):
                assert user.delete_at(hold, cursor) is True
            assert user.delete_at(hold, cursor) is False
        assert txn.first() is None


def test_writes_move_the_cursors_of_python(user, env, db, duplicates):
    """A Cursor notices what was written through the C API since."""
    with env.begin(write=True) as txn:
        cursor, other = txn.cursor(db), txn.cursor(duplicates)
        assert cursor.set_key(b"050")
        assert other.set_key_dup(b"a", b"1")
        with Holding(user, txn, db) as hold:
            user.put(hold, b"050", b"new value, that is longer")
            user.put(hold, b"0501", bytes(2000))
        with Holding(user, txn, duplicates) as hold:
            user.put(hold, b"a", b"11")
        assert cursor.item() == (b"050", b"new value, that is longer")
        assert cursor.next()
        assert cursor.key() == b"0501"
        assert other.next_dup()
        assert other.value() == b"11"


def test_without_the_gil_while_the_transaction_ends(user, env, db):
    """A loop in C reads on while another thread ends the transaction and closes the file."""
    txn = env.begin(db)
    total = sum(sum(value) for value in txn.range(keys=False))
    user.tell(False)
    start = user.rounds_made()

    def read():
        with Holding(user, txn) as hold:
            assert user.read_all(hold) == total

    def end():
        while user.rounds_made() - start < 4:
            pass
        txn.abort()
        env.close()
        gc.collect()
        after = user.rounds_made()
        while user.rounds_made() - after < 4:
            pass
        user.tell(True)

    in_threads(read, read, end)


def test_a_forked_child(user, env, db):
    txn = env.begin(db)
    hold = user.acquire(txn)
    cursor = user.open_cursor(hold)

    def child():
        for action in (
            lambda: user.get(hold, b"001"),
            lambda: user.put(hold, b"001", b""),
            lambda: user.delete(hold, b"001"),
            lambda: user.range(hold, None, None, 0, print),
            lambda: user.open_cursor(hold),
            lambda: user.move(hold, cursor, NEXT),
            lambda: user.delete_at(hold, cursor),
            lambda: user.view(hold, b"001"),
        ):
            assert raised_by(action) is pylmdb.ForkedError
        with Holding(user, txn) as own:
            assert user.get(own, b"001") == b"v1"
            user.release(hold)
            assert user.get(own, b"001") == b"v1"
        os._exit(0)

    assert in_child(child) == 0
    assert user.move(hold, cursor, NEXT) == (b"000", b"v0")
    user.release(hold)
    txn.abort()
    env.reader_check()
    assert env.reader_list() == []


def test_no_reference_is_lost(user, env, db):
    txn = env.begin(db)
    hold = user.acquire(txn)
    before = [sys.getrefcount(each) for each in (txn, db, env)]
    for _ in range(100):
        user.release(user.acquire(txn, db))
        user.move(hold, user.open_cursor(hold), NEXT)
        user.view(hold, b"001")
        raised_by(user.put, hold, bytes(9999), b"")
        raised_by(user.acquire, txn, b"wrong")
    assert [sys.getrefcount(each) for each in (txn, db, env)] == before
    user.release(hold)


def test_the_core_in_cffi_says_why_it_has_none(user):
    environ = {**os.environ, "PYLMDB_CORE": "cffi", "PYTHONPATH": os.path.dirname(user.__file__)}
    done = subprocess.run(
        [sys.executable, "-c", "import capi_user"],
        capture_output=True, text=True, check=False, env=environ,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == (
        "ImportError: pylmdb has no C API in this process: it needs pylmdb 3.1 or later, CPython "
        "and the C core; unset the environment variable PYLMDB_CORE"
    )


def test_threads_use_holds_of_one_transaction(user, env, db):
    """Each thread has a hold, and begins with databases that the transaction has not used."""
    names = [b"%d" % number for number in range(8)]
    with env.begin(write=True) as txn:
        for name in names:
            txn.put(b"k", name, db=env.open_db(name, txn=txn))
    dbs = [env.open_db(name) for name in names]
    user.tell(True)
    for _ in range(20):
        txn, barrier = env.begin(), threading.Barrier(4)

        def read(number, txn=txn, barrier=barrier):
            barrier.wait()
            for each in range(8):
                name = (each + number) % 8
                with Holding(user, txn, dbs[name]) as hold:
                    assert user.read_all(hold) == names[name][0]
                    assert user.get(hold, b"k") == names[name]

        in_threads(*(lambda number=number: read(number) for number in range(4)))
        txn.abort()
