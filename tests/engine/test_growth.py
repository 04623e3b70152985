# SPDX-License-Identifier: MIT
"""The map grows by itself, while transactions and views use it."""

import os
import pickle
import random
import threading

import numpy as np
import pytest
from programs import ROUNDS

import pylmdb
from pylmdb import lowlevel
from pylmdb._shared.growth import START, UNLIMITED, WRITEMAP_START, plan

MIB = 1 << 20
GIB = 1 << 30
SIZE = 16 * MIB * ROUNDS  # with PYLMDB_ROUNDS=64 it is 1 GiB


@pytest.fixture(params=[False, True], ids=["plain", "writemap"])
def writemap(request):
    return request.param


@pytest.fixture
def growing(open_env, writemap):
    """Return an environment that was opened without a size."""
    return open_env(writemap=writemap, sync=False)


def data_file(env):
    return os.stat(os.path.join(env.path(), "data.mdb"))


# -- policy ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "needed", "most", "part", "size"),
    [
        (10 * MIB, 10 * MIB + 1, UNLIMITED, 1, 20 * MIB),
        (1 * MIB, 1 * MIB + 1, UNLIMITED, 8, MIB + MIB // 8),
        (1 * MIB, 100 * MIB, UNLIMITED, 1, 100 * MIB),
        (1 * MIB, 100 * MIB + 1, UNLIMITED, 1, 100 * MIB + 65536),
        (GIB, GIB + 1, UNLIMITED, 1, 2 * GIB),
        (64 * GIB, 64 * GIB + 1, UNLIMITED, 1, 65 * GIB),
        (64 * GIB, 64 * GIB + 1, UNLIMITED, 8, 65 * GIB),
        (64 * GIB, 80 * GIB, UNLIMITED, 8, 80 * GIB),
        (10 * MIB, 11 * MIB, 15 * MIB, 1, 15 * MIB),
        (10 * MIB, 15 * MIB, 15 * MIB, 1, 15 * MIB),
        (10 * MIB, 15 * MIB - 1, 15 * MIB - 1, 1, 15 * MIB - 1),
        (4096, 8192, UNLIMITED, 1, 65536),
        (4095, 4096, UNLIMITED, 8, 65536),
    ],
)
def test_how_large_a_map_becomes(env, now, needed, most, part, size):
    grown_size = lowlevel.engine(env).lib.pylmdb_grown_size
    assert grown_size(now, needed, most, part) == size


PLANS = [
    ({}, (START, UNLIMITED, 0, False)),
    ({"writemap": True}, (WRITEMAP_START, UNLIMITED, 0, False)),
    ({"map_size": MIB}, (MIB, MIB, MIB, True)),
    ({"map_size": GIB, "writemap": True}, (WRITEMAP_START, GIB, GIB, True)),
    ({"map_size": 4096, "writemap": True}, (4096, 4096, 4096, True)),
    ({"map_size": 0}, (0, 0, 0, True)),
    ({"map_size": 4 << 40}, (4 << 40, 4 << 40, 4 << 40, True)),
    ({"max_map_size": GIB}, (START, GIB, GIB, False)),
    ({"max_map_size": MIB}, (MIB, MIB, MIB, False)),
    ({"map_size": MIB, "max_map_size": 2 << 40}, (MIB, 2 << 40, 2 << 40, False)),
    ({"map_size": 5 * MIB, "max_map_size": GIB, "writemap": True}, (5 * MIB, GIB, GIB, False)),
]


@pytest.mark.parametrize(("given", "expected"), PLANS)
def test_what_is_planned(env, given, expected):
    options = env._options.replaced(**{"map_size": None, "max_map_size": None} | given)
    assert plan(options) == expected


def test_without_the_shim_a_map_has_one_size(env):
    options = env._options.replaced(map_size=None, max_map_size=None)
    assert plan(options, grows=False)[0] == START
    assert plan(options.replaced(map_size=GIB, writemap=True), grows=False)[0] == GIB


def test_bounds_of_the_options():
    for size, most in ((2, 1), (None, 0)):
        with pytest.raises(ValueError, match="max_map_size"):
            pylmdb.open("/nowhere", map_size=size, max_map_size=most)
    with pytest.raises(OverflowError):
        pylmdb.open("/nowhere", max_map_size=1 << 63)
    with pytest.raises(TypeError):
        pylmdb.open("/nowhere", max_map_size="1")


# -- all writing operations ----------------------------------------------------------------------


def records(size, value_size):
    """Return keys out of order, with values that contain their keys."""
    count = max(1, size // max(value_size, 16))
    keys = [b"%012d" % i for i in range(count)]
    random.Random(value_size).shuffle(keys)
    return [(key, (key[-1:] * value_size)) for key in keys]


def check(env, items, db=None):
    with env.begin(db) as txn:
        assert txn.stat().entries == len(items)
        for key, value in txn.cursor():
            assert value == key[-1:] * len(value)
    assert env.info().map_size >= env.info().used


WRITES = {
    "put": lambda txn, items: [txn.put(*item) for item in items],
    "putmulti": lambda txn, items: txn.cursor().putmulti(items),
    "cursor.put": lambda txn, items: [txn.cursor().put(*item) for item in items],
    "append": lambda txn, items: txn.cursor().putmulti(sorted(items), append=True),
}


@pytest.mark.parametrize("way", WRITES)
def test_one_transaction(growing, way):
    items = records(SIZE, 3000)
    with growing.begin(write=True) as txn:
        WRITES[way](txn, items)
    check(growing, items)


@pytest.mark.parametrize("value_size", [1, 3000, 1 << 20])
def test_transactions_of_many_records(growing, value_size):
    items = records(SIZE // 16 if value_size == 1 else SIZE, value_size)
    for i in range(0, len(items), 1000):
        with growing.begin(write=True) as txn:
            txn.cursor().putmulti(items[i : i + 1000])
    check(growing, items)


def test_one_large_value(growing):
    value = os.urandom(1000) * (SIZE // 1000 * 4)
    with growing.begin(write=True) as txn:
        txn.put(b"large", value)
        txn.put(b"small", b"v")
    with growing.begin(buffers=True) as txn:
        assert txn.get(b"large") == value
        assert txn.get(b"small") == b"v"


@pytest.mark.slow
def test_so_many_small_records_that_pages_are_spilled(growing):
    count = 200_000 * ROUNDS
    with growing.begin(write=True) as txn:
        cursor = txn.cursor()
        for start in range(0, count, 100_000):
            numbers = range(start, start + 100_000)
            cursor.putmulti([(b"%012d" % (i * 7919 % count), b"%012d" % i * 8) for i in numbers])
        txn.put(b"last", b"v" * 5 * MIB)
    with growing.begin() as txn:
        assert txn.stat().entries == count + 1
        for key, value in txn.cursor():
            assert key == b"last" or int(value[:12]) * 7919 % count == int(key)


def test_deleted_and_written_again_in_pieces(growing):
    chance, expected = random.Random(7), {}
    for _ in range(20):
        with growing.begin(write=True) as txn:
            for key in chance.sample(list(expected), len(expected) // 2):
                txn.delete(key)
                del expected[key]
            for _ in range(100):
                key = b"%05d" % chance.randrange(5000)
                expected[key] = key * chance.choice([1, 100, 3000])
                txn.put(key, expected[key])
    with growing.begin() as txn:
        assert dict(txn.cursor()) == expected


def test_nested(open_env):
    env = open_env(sync=False)
    items = records(SIZE // 4, 3000)
    with env.begin(write=True) as parent:
        parent.put(b"parent", b"before")
        child = env.begin(parent=parent, write=True)
        child.cursor().putmulti(items)
        child.abort()
        assert parent.get(b"parent") == b"before"
        with env.begin(parent=parent, write=True) as child:
            WRITES["put"](child, items)
            with env.begin(parent=child, write=True) as grandchild:
                grandchild.put(b"large", b"x" * SIZE)
        parent.delete(b"large")
        parent.delete(b"parent")
        parent.put(b"zzz", b"z" * SIZE)
        parent.delete(b"zzz")
    check(env, items)


def test_named_and_dropped(growing):
    items = records(SIZE // 2, 3000)
    for round in range(3):
        with growing.begin(write=True) as txn:
            db = growing.open_db(b"db%d" % round, txn=txn)
            txn.cursor(db).putmulti(items)
            txn.drop(db, delete=round < 2)
    assert growing.info().map_size < 4 * SIZE


# -- readers and views while the map grows -----------------------------------------------------


def test_nothing_in_the_map_moves(growing):
    with growing.begin(write=True) as txn:
        for i in range(100):
            txn.put(b"%03d" % i, b"%03d" % i * 100)
    reader, viewer = growing.begin(), growing.begin(buffers=True)
    iterator = iter(reader.cursor())
    first, cursor, view = next(iterator), viewer.cursor(), viewer.get(b"007")
    array = np.frombuffer(viewer.get(b"008"), np.uint8)
    address = array.__array_interface__["data"][0]
    cursor.set_key(b"050")
    before = growing.info().map_size
    with growing.begin(write=True) as txn:
        for i in range(100):
            txn.put(b"%03d" % i, b"new")
        txn.put(b"large", b"x" * SIZE)
    assert growing.info().map_size > before
    assert first == (b"000", b"000" * 100)
    assert next(iterator) == (b"001", b"001" * 100)
    assert len(list(iterator)) == 98
    assert cursor.value() == b"050" * 100
    assert cursor.next()
    assert cursor.key() == b"051"
    viewer.abort()
    assert view == b"007" * 100
    assert array.tobytes() == b"008" * 100
    assert array.__array_interface__["data"][0] == address
    assert reader.get(b"large") is None
    reader.abort()


def test_readers_in_other_threads(growing):
    with growing.begin(write=True) as txn:
        for i in range(1000):
            txn.put(b"%04d" % i, b"%04d" % i * 20)
    going, wrong = threading.Event(), []

    def read():
        while not going.is_set():
            with growing.begin(buffers=True) as txn:
                wrong.extend(key for key, value in txn.cursor() if value[:4] != key)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for i in range(20):
            with growing.begin(write=True) as txn:
                txn.put(b"%04d" % i, b"%04d" % i * (SIZE // 80))
    finally:
        going.set()
        for thread in threads:
            thread.join()
    assert not wrong


# -- sizes that the user gives -----------------------------------------------------------------


def fill(env, size):
    with env.begin(write=True) as txn:
        for i in range(size // 4000):
            txn.put(b"%08d" % i, b"v" * 3900)


def test_a_fixed_size_is_a_limit(open_env, writemap):
    env = open_env(map_size=4 * MIB, writemap=writemap)
    assert env.info().map_size == 4 * MIB == env.info().max_map_size
    fill(env, 2 * MIB)
    with pytest.raises(pylmdb.MapFullError, match="max_map_size"):
        fill(env, 8 * MIB)
    with pytest.raises(pylmdb.MapFullError, match="set_mapsize"), env.begin(write=True) as txn:
        txn.put(b"large", b"v" * 4 * MIB)
    assert env.stat().entries == 2 * MIB // 4000
    env.set_mapsize(16 * MIB)
    assert env.info().map_size == 16 * MIB
    fill(env, 8 * MIB)
    assert data_file(env).st_size <= 16 * MIB


def test_a_fixed_size_of_0_is_the_recorded_one(open_env, writemap):
    """With writemap the file has recorded a step on the way to that size."""
    env = open_env(map_size=8 * MIB, writemap=writemap)
    env.set_mapsize(0)
    assert env.info().map_size == 8 * MIB
    fill(env, 6 * MIB)
    with pytest.raises(pylmdb.MapFullError):
        fill(env, 12 * MIB)


def test_both_sizes(open_env, writemap):
    env = open_env(map_size=2 * MIB, max_map_size=8 * MIB, writemap=writemap)
    info = env.info()
    assert (info.map_size, info.max_map_size, info.reserved) == (2 * MIB, 8 * MIB, 8 * MIB)
    fill(env, 6 * MIB)
    assert 6 * MIB < env.info().map_size <= 8 * MIB
    with pytest.raises(pylmdb.MapFullError):
        fill(env, 9 * MIB)
    with env.begin(write=True) as txn:
        assert txn.put(b"after", b"v")
    other = pickle.loads(pickle.dumps(env))
    assert other.info().max_map_size == 8 * MIB
    other.close()


def test_the_whole_of_a_fixed_size_can_be_used(open_env, writemap):
    """liblmdb uses all pages except the last."""
    env = open_env(map_size=4 * MIB, writemap=writemap)
    psize = env.stat().psize
    with env.begin(write=True) as txn:
        left = 4 * MIB // psize - 2 - 1 - 1  # meta pages, a leaf, the last
        assert txn.put(b"k", b"v" * (left * psize - 100))


def test_less_than_there_is_keeps_all(open_env, writemap):
    with open_env() as env:
        fill(env, 2 * MIB)
    env = open_env(writemap=writemap)
    env.set_mapsize(1)
    info = env.info()
    assert info.map_size == info.used
    assert env.stat().entries == 2 * MIB // 4000
    fill(env, 3 * MIB)  # it grows again, because no size was fixed


def test_set_mapsize_with_everything_alive(growing):
    fill(growing, MIB)
    reader, writer = growing.begin(buffers=True), growing.begin(write=True)
    view = reader.get(b"00000001")
    writer.put(b"new", b"v" * 100_000)
    for size in (64 * MIB, 1, 128 * MIB, 32 * MIB, 0):
        growing.set_mapsize(size)
        assert view == b"v" * 3900
        writer.put(b"%d" % size, b"v" * 50_000)
    writer.commit()
    assert reader.get(b"new") is None
    with growing.begin() as txn:
        assert txn.get(b"1") == b"v" * 50_000
    reader.abort()


def test_more_than_the_system_has(open_env):
    env = open_env()
    fill(env, MIB)
    with pytest.raises(pylmdb.Error) as caught:
        env.set_mapsize(1 << 60)
    assert caught.value.code
    fill(env, 2 * MIB)
    assert env.stat().entries == 2 * MIB // 4000


def test_sharing_takes_the_wider(open_env, writemap):
    first = open_env(map_size=2 * MIB, writemap=writemap)
    second = open_env(map_size=4 * MIB, writemap=writemap)
    assert first.info().map_size == 4 * MIB == second.info().map_size
    open_env(map_size=MIB, writemap=writemap)
    assert first.info().map_size == 4 * MIB
    with pytest.raises(pylmdb.MapFullError):
        fill(first, 5 * MIB)
    open_env(writemap=writemap)  # it asks for a map that grows
    fill(first, 8 * MIB)


def test_the_file_follows_the_data(open_env, writemap):
    env = open_env(writemap=writemap)
    for size in (MIB, 8 * MIB, 24 * MIB):
        fill(env, size)
        found, used = data_file(env), env.info().used
        on_disk = found.st_blocks * 512
        assert used * 0.9 <= on_disk <= 1.3 * used + MIB
        assert found.st_size >= on_disk * 0.9 if writemap else found.st_size <= used


def test_info_tells_what_there_is(open_env):
    env = open_env()
    info = env.info()
    assert (info.map_size, info.used, info.free_pages) == (START, 2 * env.stat().psize, 0)
    assert info.reserved == 64 * MIB
    assert info.max_map_size > 1 << 31
    fill(env, 4 * MIB)
    with env.begin(write=True) as txn:
        for i in range(1000):
            txn.delete(b"%08d" % i)
    assert env.info().free_pages > 900
    assert env.info().used > 4 * MIB


def test_free_pages_are_none_while_no_reader_slot_is_left(open_env):
    env = open_env(max_readers=1)
    with env.begin():
        assert env.info().free_pages is None
    assert env.info().free_pages == 0


def test_more_pages_than_a_transaction_keeps_in_memory(open_env, writemap):
    """512 MiB: pages are spilled and used again, also with writemap."""
    env = open_env(writemap=writemap, sync=False)
    count, part = 170_000, b"v" * 3000
    with env.begin(write=True) as txn:
        txn.cursor().putmulti([(b"%012d" % (i * 7919 % count), part) for i in range(count)])
        assert txn.stat().entries == count
    with env.begin() as txn:
        assert txn.get(b"%012d" % (count - 1)) == part
