# SPDX-License-Identifier: MIT
"""Cursor: movements, reads, writes, and batches through one cursor."""

import copy
import pickle
import struct

import pytest
from numpy_if_any import np

import pylmdb

PLAIN = [(b"%02d" % n, b"v%d" % n) for n in range(10, 20)]
PAIRS = [(key, value) for key in (b"a", b"b", b"c") for value in (b"1", b"2", b"3")]


@pytest.fixture(params=[False, True], ids=["read", "write"])
def begin(env, request):
    """Begin a transaction that is to read: of either kind."""
    return lambda *args, **options: env.begin(*args, write=request.param, **options)


@pytest.fixture
def plain(env):
    """Return a named database with PLAIN."""
    db = env.open_db(b"plain")
    with env.begin(db, write=True) as txn:
        assert txn.cursor().putmulti(PLAIN) == (10, 10)
    return db


@pytest.fixture
def dup(env):
    """Return a database with the duplicates of PAIRS."""
    db = env.open_db(b"dup", dupsort=True)
    with env.begin(db, write=True) as txn:
        assert txn.cursor().putmulti(PAIRS) == (9, 9)
    return db


# -- movements ------------------------------------------------------------------------


def test_a_new_cursor_has_no_position(begin, plain):
    with begin(plain) as txn, txn.cursor() as cursor:
        assert cursor.item() == (b"", b"")
        assert (cursor.key(), cursor.value()) == (b"", b"")


def test_movements_in_a_plain_database(begin, plain):
    with begin(plain) as txn:
        cursor = txn.cursor()
        assert cursor.next() is True
        assert cursor.item() == PLAIN[0]
        assert cursor.prev() is False
        assert cursor.item() == (b"", b"")
        assert cursor.next() is True, "a step beyond an end shows nothing, and goes no further"
        assert cursor.item() == PLAIN[1]
        cursor = txn.cursor()
        assert cursor.prev() is True
        assert cursor.item() == PLAIN[-1]
        assert cursor.next() is False
        assert (cursor.key(), cursor.value()) == (b"", b"")
        assert cursor.first() is True
        assert cursor.key() == b"10"
        assert cursor.next_nodup() is True
        assert cursor.value() == b"v11"
        assert cursor.prev_nodup() is True
        assert cursor.last() is True
        assert cursor.item() == PLAIN[-1]


def test_movements_in_an_empty_database(env, begin):
    db = env.open_db(b"empty", dupsort=True)
    with begin(db) as txn:
        cursor = txn.cursor()
        for name in ("first", "last", "next", "prev", "next_nodup", "prev_nodup"):
            assert getattr(cursor, name)() is False, name
            assert cursor.item() == (b"", b"")
        assert list(cursor) == list(cursor.iterprev()) == []


def test_movements_among_duplicates(begin, dup):
    with begin(dup) as txn:
        cursor = txn.cursor()

        def after(name, *args):
            assert getattr(cursor, name)(*args) is True, name
            return cursor.item()

        assert after("set_key", b"b") == (b"b", b"1")
        assert after("next_dup") == (b"b", b"2")
        assert after("last_dup") == (b"b", b"3")
        assert after("prev_dup") == (b"b", b"2")
        assert after("first_dup") == (b"b", b"1")
        assert after("next_nodup") == (b"c", b"1")
        assert after("prev_nodup") == (b"b", b"3")
        assert after("next") == (b"c", b"1")
        assert after("last") == (b"c", b"3")
        assert after("first") == (b"a", b"1")
        assert cursor.prev_dup() is False
        assert cursor.item() == (b"", b"")
        assert after("set_key_dup", b"a", b"3") == (b"a", b"3")
        assert cursor.next_dup() is False
        assert cursor.item() == (b"", b"")


def test_seeks(begin, dup):
    with begin(dup) as txn:
        cursor = txn.cursor()
        assert cursor.set_key(b"bb") is False
        assert cursor.item() == (b"", b"")
        assert cursor.set_range(b"bb") is True
        assert cursor.item() == (b"c", b"1")
        assert cursor.set_range(b"b") is True
        assert cursor.item() == (b"b", b"1")
        assert cursor.set_range(b"d") is False
        assert cursor.item() == (b"", b"")
        assert cursor.set_range(b"") is True
        assert cursor.item() == (b"a", b"1")
        assert cursor.set_key_dup(b"b", b"22") is False
        assert cursor.set_key_dup(key=b"b", value=b"2") is True
        assert cursor.item() == (b"b", b"2")
        assert cursor.set_range_dup(b"b", b"22") is True
        assert cursor.item() == (b"b", b"3")
        assert cursor.set_range_dup(b"b", b"4") is False
        assert cursor.item() == (b"", b"")
        assert cursor.set_range_dup(key=b"bb", value=b"1") is False


def test_set_key_and_set_range_take_one_positional_argument(begin, plain):
    with begin(plain) as txn:
        for move in (txn.cursor().set_key, txn.cursor().set_range):
            for call in (lambda m=move: m(key=b"10"), move, lambda m=move: m(b"1", b"2")):
                with pytest.raises(TypeError):
                    call()


def test_the_empty_key(begin, plain):
    with begin(plain) as txn:
        cursor = txn.cursor()
        with pytest.raises(pylmdb.BadValsizeError):
            cursor.set_key(b"")
        with pytest.raises(pylmdb.BadValsizeError):
            cursor.get(b"")


@pytest.mark.parametrize("name", ["first_dup", "last_dup", "next_dup", "prev_dup"])
def test_duplicate_movements_without_a_position(begin, dup, name):
    with begin(dup) as txn:
        cursor = txn.cursor()
        try:
            found = getattr(cursor, name)()
        except pylmdb.InvalidParameterError:
            found = False
        assert found is False or cursor.item() in (PAIRS[0], PAIRS[-1])


@pytest.mark.parametrize("name", ["first_dup", "last_dup", "count"])
def test_duplicate_operations_in_a_plain_database(begin, plain, name):
    with begin(plain) as txn:
        cursor = txn.cursor()
        cursor.first()
        with pytest.raises(pylmdb.IncompatibleError):
            getattr(cursor, name)()


def test_count(begin, dup):
    with begin(dup) as txn:
        cursor = txn.cursor()
        cursor.set_key(b"b")
        assert cursor.count() == 3
        with pytest.raises(pylmdb.Error):
            txn.cursor().count()


def test_get(begin, dup):
    with begin(dup) as txn:
        cursor = txn.cursor()
        assert cursor.get(b"b") == b"1"
        assert cursor.item() == (b"b", b"1")
        assert cursor.get(b"x") is None
        assert cursor.get(b"x", 7) == 7
        assert cursor.get(key=b"x", default=b"d") == b"d"
        assert cursor.item() == (b"", b"")


# -- getmulti ---------------------------------------------------------------------------


def test_getmulti(begin, plain, dup):
    with begin() as txn:
        cursor = txn.cursor(plain)
        keys = [b"15", b"none", b"11", b"15", bytearray(b"19")]
        found = [(b"15", b"v15"), (b"11", b"v11"), (b"15", b"v15"), (b"19", b"v19")]
        assert cursor.getmulti(keys) == found
        assert cursor.getmulti(iter(keys)) == found
        assert cursor.getmulti(keys, values=False) == [key for key, _ in found]
        assert cursor.getmulti([]) == []
        dups = txn.cursor(dup)
        assert dups.getmulti([b"b", b"a"]) == [(b"b", b"1"), (b"a", b"1")]
        assert dups.getmulti([b"b", b"x"], dupdata=True) == [p for p in PAIRS if p[0] == b"b"]
        assert dups.getmulti([b"b", b"x"], True) == [p for p in PAIRS if p[0] == b"b"]


def test_getmulti_as_memoryviews(env, plain):
    with env.begin(plain, buffers=True) as txn:
        [(key, value)] = txn.cursor().getmulti([b"15"])
        assert (type(key), type(value)) == (memoryview, memoryview)
        assert (key, value) == (b"15", b"v15")


@pytest.fixture
def fixed(env):
    """Three keys with 2,000 values each of 4 bytes, several pages of them."""
    db = env.open_db(b"fixed", dupfixed=True)
    records = [(key, struct.pack(">I", n)) for key in (b"a1", b"b2", b"c3") for n in range(2000)]
    with env.begin(db, write=True) as txn:
        assert txn.cursor().putmulti(records) == (6000, 6000)
    return db, records


def test_getmulti_of_fixed_size_values(begin, fixed):
    db, records = fixed
    wanted = [r for r in records if r[0] != b"b2"]
    with begin(db) as txn:
        cursor = txn.cursor()
        keys = [b"a1", b"xx", b"c3"]
        assert cursor.getmulti(keys, dupdata=True) == wanted
        assert cursor.getmulti(keys, dupdata=True, dupfixed_bytes=4) == wanted
        assert cursor.getmulti(keys, True, 4) == wanted
        assert cursor.getmulti(keys, True, dupfixed_bytes=0) == wanted
        packed = cursor.getmulti(keys, dupdata=True, dupfixed_bytes=4, keyfixed=True)
        assert isinstance(packed, memoryview)
        assert bytes(packed) == b"".join(key + value for key, value in wanted)
        array = np.frombuffer(packed, [("key", "S2"), ("value", ">u4")])
        assert array["value"].sum() == 2 * sum(range(2000))


@pytest.mark.parametrize("key_size", [8, 16, 12])
@pytest.mark.parametrize("width", [8, 24, 10])
def test_getmulti_of_whole_records_of_any_size(env, begin, key_size, width):
    """Records whose parts have sizes of several words are copied by words."""
    db = env.open_db(b"sizes", dupfixed=True)
    records = [
        (b"k%d".ljust(key_size, b"-") % k, b"%07d".ljust(width, b"+") % n)
        for k, values in [(1, 1), (2, 700)]
        for n in range(values)
    ]
    records = [(key[:key_size], value[:width]) for key, value in records]
    with env.begin(db, write=True) as txn:
        assert txn.cursor().putmulti(records) == (701, 701)
    keys = sorted({key for key, _ in records})
    with begin(db) as txn:
        packed = txn.cursor().getmulti(keys, dupdata=True, dupfixed_bytes=width, keyfixed=True)
        assert bytes(packed) == b"".join(key + value for key, value in records)


def test_getmulti_of_a_key_with_one_fixed_size_value(env, begin):
    db = env.open_db(b"one", dupfixed=True)
    with env.begin(db, write=True) as txn:
        txn.put(b"k", b"1234")
    with begin(db) as txn:
        cursor = txn.cursor()
        assert cursor.getmulti([b"k"], dupdata=True, dupfixed_bytes=4) == [(b"k", b"1234")]


@pytest.mark.parametrize("width", [1, 3, 5, 8])
def test_getmulti_with_another_width_than_the_values(begin, fixed, width):
    with begin(fixed[0]) as txn:
        for keyfixed in (False, True):
            with pytest.raises(pylmdb.InvalidParameterError):
                txn.cursor().getmulti([b"a1"], True, width, keyfixed)


def test_getmulti_by_pages_needs_fixed_sizes(begin, dup, plain):
    with begin() as txn:
        for db in (dup, plain):
            with pytest.raises(pylmdb.Error):
                txn.cursor(db).getmulti([b"a", b"11"], dupdata=True, dupfixed_bytes=1)


def test_getmulti_refuses_what_does_not_go_together(begin, fixed):
    with begin(fixed[0]) as txn:
        cursor = txn.cursor()
        for options in (
            {"dupfixed_bytes": 4},
            {"keyfixed": True},
            {"dupdata": True, "keyfixed": True},
            {"dupdata": True, "values": False},
        ):
            with pytest.raises((TypeError, ValueError)):
                cursor.getmulti([b"a1"], **options)
        with pytest.raises(OverflowError):
            cursor.getmulti([b"a1"], True, -1)
        with pytest.raises(TypeError):
            cursor.getmulti([b"a1"], True, "4")
        with pytest.raises(TypeError):
            cursor.getmulti(7)


def test_getmulti_keyfixed_needs_keys_of_one_width(env):
    db = env.open_db(b"fixed", dupfixed=True)
    with env.begin(db, write=True) as txn:
        txn.put(b"a", b"1234")
        txn.put(b"bb", b"1234")
        with pytest.raises(ValueError, match="width"):
            txn.cursor().getmulti([b"a", b"bb"], True, 4, True)


# -- writes --------------------------------------------------------------------------------


def test_put_moves_to_the_record(env):
    with env.begin(write=True) as txn:
        cursor = txn.cursor()
        assert cursor.put(b"b", b"1") is True
        assert cursor.item() == (b"b", b"1")
        assert cursor.put(b"a", b"1") is True
        assert cursor.item() == (b"a", b"1")
        assert cursor.put(b"b", b"2", overwrite=False) is False
        assert cursor.item() == (b"b", b"1")
        assert cursor.put(b"b", b"2", True, True, False) is True
        assert cursor.item() == (b"b", b"2")


def test_put_of_duplicates(env, dup):
    with env.begin(dup, write=True) as txn:
        cursor = txn.cursor()
        assert cursor.put(b"b", b"2", dupdata=False) is False
        assert cursor.item() == (b"b", b"2")
        assert cursor.put(b"b", b"25", dupdata=False) is True
        assert cursor.item() == (b"b", b"25")
        assert cursor.put(b"b", b"0", overwrite=False) is False
        assert cursor.key() == b"b"
        assert cursor.put(b"b", b"9", append=True) is True
        assert cursor.put(b"b", b"8", append=True) is False
        assert cursor.count() == 5


def test_putmulti(env, dup):
    with env.begin(write=True) as txn:
        cursor = txn.cursor()
        assert cursor.putmulti([]) == (0, 0)
        assert cursor.putmulti((n, n) for n in (b"1", b"2", b"1")) == (3, 3)
        assert cursor.putmulti([(b"1", b"x"), (b"3", b"x")], overwrite=False) == (2, 1)
        assert txn.get(b"1") == b"1"
        dups = txn.cursor(dup)
        assert dups.putmulti([(b"b", b"2"), (b"b", b"4")], dupdata=False) == (2, 1)
        assert dups.putmulti([(b"b", b"1"), (b"b", b"5")], append=True) == (2, 1)
        assert dups.putmulti([(b"b", b"6")], True, True, True) == (1, 1)


@pytest.mark.parametrize("wrong", [[b"k", b"v"], b"kv", (b"k",), (b"k", b"v", b"x"), None, 7])
def test_putmulti_takes_2_tuples_only(env, wrong):
    with env.begin(write=True) as txn:
        with pytest.raises(TypeError):
            txn.cursor().putmulti([(b"a", b"1"), wrong, (b"z", b"1")])
        assert list(txn.range()) == [(b"a", b"1")]
        with pytest.raises(TypeError):
            txn.cursor().putmulti(7)


def test_an_iterator_s_exception_passes_through_putmulti_and_getmulti(env):
    def items(what):
        yield what
        raise LookupError("mine")

    with env.begin(write=True) as txn:
        cursor = txn.cursor()
        with pytest.raises(LookupError, match="mine"):
            cursor.putmulti(items((b"a", b"1")))
        assert txn.get(b"a") == b"1"
        with pytest.raises(LookupError, match="mine"):
            cursor.getmulti(items(b"a"))
        with pytest.raises(LookupError, match="mine"):
            txn.get_many(items(b"a"))


def test_delete_moves_to_the_next(env, plain):
    with env.begin(plain, write=True) as txn:
        cursor = txn.cursor()
        assert cursor.delete() is False
        cursor.set_key(b"12")
        assert cursor.delete() is True
        assert cursor.item() == (b"13", b"v13")
        cursor.last()
        assert cursor.delete() is True
        assert cursor.item() == (b"", b"")
        assert cursor.delete() is False
        assert [key for key, _ in txn.range()] == [b"%d" % n for n in range(10, 19) if n != 12]


def test_delete_of_duplicates(env, dup):
    with env.begin(dup, write=True) as txn:
        cursor = txn.cursor()
        cursor.set_key_dup(b"a", b"2")
        assert cursor.delete() is True
        assert cursor.item() == (b"a", b"3")
        assert cursor.delete(False) is True
        assert cursor.item() == (b"", b""), "behind the last value of a key that has others"
        cursor.set_key_dup(b"b", b"2")
        assert cursor.delete(dupdata=True) is True
        assert cursor.item() == (b"c", b"1")
        assert list(txn.range()) == [(b"a", b"1"), (b"c", b"1"), (b"c", b"2"), (b"c", b"3")]


def test_delete_until_empty(env, dup):
    with env.begin(dup, write=True) as txn:
        cursor = txn.cursor()
        cursor.first()
        seen = []
        while (item := cursor.item()) != (b"", b""):
            seen.append(item)
            assert cursor.delete()
        assert seen == PAIRS
        assert txn.stat().entries == 0


@pytest.mark.parametrize("buffers", [False, True])
def test_pop_and_replace(env, plain, dup, buffers):
    with env.begin(write=True, buffers=buffers) as txn:
        cursor = txn.cursor(plain)
        assert cursor.pop(b"none") is None
        old = cursor.pop(b"12")
        assert (old, type(old)) == (b"v12", bytes)
        assert cursor.replace(b"none", b"1") is None
        old = cursor.replace(b"11", b"new")
        assert (old, type(old)) == (b"v11", bytes)
        assert cursor.item() == (b"11", b"new")
        dups = txn.cursor(dup)
        assert dups.pop(b"a") == b"1"
        assert dups.replace(b"a", b"7") == b"2"
        assert txn.cursor(dup).getmulti([b"a"], dupdata=True) == [(b"a", b"7")]


def test_changes_through_another_cursor_show_at_once(env, plain):
    with env.begin(plain, write=True) as txn:
        one, two = txn.cursor(), txn.cursor()
        one.set_key(b"12")
        two.set_key(b"12")
        two.put(b"12", b"changed")
        assert one.value() == b"changed"
        txn.put(b"12", b"again")
        assert one.item() == (b"12", b"again")
        txn.put(b"115", b"between")
        assert one.prev()
        assert one.key() == b"115"


def test_a_cursor_s_own_key_and_value_as_arguments(env, plain):
    with env.begin(plain, write=True, buffers=True) as txn:
        cursor = txn.cursor()
        cursor.first()
        for _ in range(200):
            key, value = cursor.item()
            assert cursor.put(key, bytes(value) + b"x" * 50)
        assert bytes(cursor.value()) == b"v10" + b"x" * 10000
        assert txn.stat().entries == 10


# -- the object --------------------------------------------------------------------------


def test_attributes_close_and_repr(env, plain):
    with env.begin() as txn:
        cursor = txn.cursor(plain)
        assert cursor.txn is txn
        assert cursor.db is plain
        assert not cursor.closed
        assert "plain" in repr(cursor)
        cursor.close()
        cursor.close()
        assert cursor.closed
        assert "closed" in repr(cursor)
        with txn.cursor(db=plain) as cursor:
            assert cursor.first()
        assert cursor.closed
        last = txn.cursor()
        assert last.db.name is None
    assert last.closed


def test_direct_construction_and_subclass(env, plain):
    class Pages(pylmdb.Cursor):
        def page(self, size):
            return [item for item, _ in zip(self, range(size), strict=False)]

    with env.begin() as txn:
        assert pylmdb.Cursor(plain, txn).first()
        cursor = Pages(db=plain, txn=txn)
        assert isinstance(cursor, Pages)
        assert cursor.page(3) == PLAIN[:3]
        for make in (copy.copy, pickle.dumps):
            with pytest.raises(TypeError):
                make(cursor)


def test_many_cursors_leave_nothing_behind(env, plain):
    with env.begin(plain) as txn:
        for _ in range(2000):
            assert txn.cursor().first()
        cursors = [txn.cursor() for _ in range(300)]
        assert all(cursor.last() for cursor in cursors)
