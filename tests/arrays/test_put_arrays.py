# SPDX-License-Identifier: MIT
"""put_arrays(), range_arrays() and dup_array(): many records, or many values, in one call."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import ROUNDS

import pylmdb

RNG = np.random.default_rng(1)
PADDED = np.dtype([("a", "u1"), ("b", "<f8")], align=True)


@pytest.fixture
def env(open_env):
    """Return a new environment that does not wait for the disk."""
    return open_env(max_dbs=8, sync=False)


@pytest.fixture
def txn(env):
    """Return a write transaction that is aborted."""
    txn = env.begin(write=True)
    yield txn
    txn.abort()


def records(txn, db=None):
    return dict(txn.range(db=db))


def rows(count, size=4):
    return RNG.integers(0, 2**31, (count, size), np.int32)


def names(numbers, form=b"%08d"):
    return [form % n for n in numbers]


# -- put_arrays ------------------------------------------------------------------------------


def test_keys_of_every_kind(env, txn):
    table = rows(6)
    keys = [b"aa", b"ac", b"ab", b"zz", b"zy", b"00"]
    for batch in (keys, tuple(keys), np.array(keys), np.array(keys, "V2"), map(bytearray, keys),
                  np.array(keys).view("u1").reshape(-1, 2)):  # fmt: skip
        assert txn.put_arrays(batch, table) == 6
        assert records(txn) == {k: row.tobytes() for k, row in zip(keys, table, strict=True)}
        txn.drop(env.open_db(), delete=False)
    numbers = [5, 2**63, 1, 0, 300, 7]
    for batch in (numbers, np.array(numbers, np.uint64), np.array(numbers, ">u8")):
        assert txn.put_arrays(batch, table) == 6
        right = {struct.pack(">Q", n): r.tobytes() for n, r in zip(numbers, table, strict=True)}
        assert records(txn) == right
        txn.drop(env.open_db(), delete=False)
    assert txn.put_arrays(range(6), table, key_format="image-%09d") == 6
    assert txn.get(b"image-000000003") == table[3].tobytes()
    assert txn.put_arrays([b"a", b"abc", b"", b"ab"][:2], table[:2]) == 2
    assert txn.put_arrays(np.array([b"longer", b"x"]), table[:2]) == 2
    assert txn.get(b"x") == table[1].tobytes()


@pytest.mark.parametrize("width", [4, 8])
def test_databases_of_integer_keys(env, txn, width):
    db = env.open_db(b"numbers", txn, integerkey=True)
    table = rows(1000)
    numbers = RNG.permutation(1000).astype(f"u{width}")
    assert txn.put_arrays(numbers, table, db=db) == 1000
    assert txn.put_arrays(numbers.astype("i2"), table, db=db) == 1000
    assert np.array_equal(txn.take(numbers, "i4", 4, db=db), table)
    keys, values = txn.range_arrays(None, None, "i4", 4, db=db)
    assert keys.dtype == f"u{width}"
    assert np.array_equal(keys, np.arange(1000))
    assert np.array_equal(values[numbers], table)
    for wrong in ([b"abc"], [b"abcd" if width == 8 else b"abcdefgh"], [b""]):
        with pytest.raises(pylmdb.BadValsizeError):
            txn.put_arrays(wrong, table[:1], db=db)
    with pytest.raises(pylmdb.InvalidParameterError, match="unsigned"):
        txn.put_arrays([-1], table[:1], db=db)
    assert txn.stat(db).entries == 1000


VALUES = {
    "contiguous": lambda: rows(50), "one number each": lambda: rows(50)[:, 0],
    "reversed": lambda: rows(50)[::-1], "Fortran": lambda: np.asfortranarray(rows(50)),
    "columns": lambda: rows(50)[:, ::2], "transposed": lambda: rows(5, 50).T,
    "every third": lambda: rows(150)[::3], "broadcast": lambda: np.broadcast_to(rows(1), (50, 4)),
    "one for all": lambda: np.broadcast_to(np.float64(7), 50), "no bytes": lambda: rows(50)[:, :0],
    "three": lambda: RNG.random((50, 3, 2)).swapaxes(1, 2),
    "text": lambda: np.array(["abc", ""] * 25),
    "strings": lambda: np.array([b"", b"abc", b"a", b"abcde", b"\x00"] * 10),
    "times": lambda: np.arange(50).astype("M8[s]"), "big-endian": lambda: rows(50).astype(">i4"),
    "records": lambda: np.frombuffer(RNG.bytes(50 * 16), PADDED),
    "records apart": lambda: np.frombuffer(RNG.bytes(50 * 48), PADDED).reshape(50, 3)[:, ::2],
    "fields": lambda: np.frombuffer(RNG.bytes(50 * 16), PADDED)["b"],
    "large": lambda: RNG.integers(0, 9, (50, 9000)), "empty strings": lambda: np.full(50, b""),
    "elements without bytes": lambda: np.zeros((50, 2), [("x", "S0"), ("y", "i4")])["x"][:, ::-1],
}  # fmt: skip


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("order", ["rising", "falling", "random"])
def test_values_of_every_kind(txn, kind, order):
    table = VALUES[kind]()
    numbers = {"rising": range(50), "falling": range(49, -1, -1), "random": RNG.permutation(50)}
    keys = names(numbers[order])
    assert txn.put_arrays(keys, table) == 50
    found = records(txn)
    for i, key in enumerate(keys):
        row = table[i : i + 1]
        assert found[key] == (row.view("V16") if row.dtype == PADDED else row).tobytes()


def test_lists_of_values(txn):
    assert txn.put_arrays([b"b", b"a"], [[1, 2], [3, 4]]) == 2
    assert txn.get(b"a") == np.array([3, 4]).tobytes()
    assert txn.put_arrays([b"b", b"a"], [1.5, 2]) == 2
    assert txn.get(b"a") == np.float64(2).tobytes()
    assert txn.put_arrays([], []) == 0
    assert txn.put_arrays([], np.zeros((0, 3))) == 0
    assert txn.put_arrays([], [], key_format="%d") == 0
    assert txn.stat().entries == 2


def test_numbers_of_values_must_agree(txn):
    for keys, values in (([b"a"], rows(2)), ([b"a", b"b"], rows(1)), ([], rows(1)), ([b"a"], 5),
                         ([b"a"], []), (range(3), rows(2)), ([b"a"], np.array(7))):  # fmt: skip
        with pytest.raises(pylmdb.InvalidParameterError, match="a row for each"):
            txn.put_arrays(keys, values)
    with pytest.raises(TypeError, match="Python objects"):
        txn.put_arrays([b"a"], [None])
    with pytest.raises(TypeError):
        txn.put_arrays(b"ab", rows(2))
    assert txn.stat().entries == 0


def test_rising_keys_fill_pages(env):
    """Keys after the last record are appended, also in a second call."""
    table = rows(20_000, 8)
    plain, mixed, first, second = (env.open_db(name) for name in (b"p", b"m", b"f", b"s"))
    numbers = RNG.permutation(20_000)
    with env.begin(write=True) as txn:
        assert txn.put_arrays(range(20_000), table, key_format="%08d", db=plain) == 20_000
        for part in np.split(numbers, 40):
            txn.put_arrays(part, table[part], key_format="%08d", db=mixed)
        txn.put_arrays(range(9_000), table[:9_000], key_format="%08d", db=first)
        txn.put_arrays(range(9_000, 20_000), table[9_000:], key_format="%08d", db=first)
        txn.put_arrays(numbers, table[numbers], key_format="%08d", db=second)
        pages = {db.name: txn.stat(db).leaf_pages for db in (plain, mixed, first, second)}
        room = 4096 - 24
        assert pages[b"p"] <= -(-20_000 // (room // (8 + 8 + 32 + 2))) + 2
        assert pages[b"f"] <= pages[b"p"] + 1
        assert pages[b"m"] > 1.2 * pages[b"p"]
        # what comes in one batch is put in key order, so that nothing is put between
        assert pages[b"s"] <= pages[b"m"]
        for db in (plain, mixed, first, second):
            found = txn.take(numbers, "i4", 8, key_format="%08d", db=db)
            assert np.array_equal(found, table[numbers])


def test_rising_is_what_the_database_says(env, txn):
    """Keys that rise in one order and not in another; after the last key and not."""
    reverse = env.open_db(b"reverse", txn, reverse_key=True)
    native = env.open_db(b"native", txn, integerkey=True)
    table = rows(600)
    for _ in range(3):
        for db in (reverse, native, None):
            start = int(RNG.integers(0, 500))
            keys = [struct.pack("=Q", start + i) for i in range(100)]
            txn.put_arrays(keys, table[start : start + 100], db=db)
            txn.put_arrays(keys[::-1], table[start : start + 100][::-1], db=db)
            found = records(txn, db)
            assert all(found[k] == table[start + i].tobytes() for i, k in enumerate(keys))
            assert [key for key, _ in txn.range(db=db)] == sorted(
                found, key=None if db is None else lambda key: key[::-1]
            )


def test_the_last_of_equal_keys_wins(env, txn):
    native = env.open_db(b"native", txn, integerkey=True)
    reverse = env.open_db(b"reverse", txn, reverse_key=True)
    numbers = np.concatenate([RNG.integers(0, 20, 200), np.arange(18, 24), [23, 23]])
    table = rows(len(numbers))
    right = dict(zip(numbers.tolist(), table, strict=True))
    for db in (None, native, reverse):
        assert txn.put_arrays(numbers, table, db=db) == len(numbers)
        assert np.array_equal(txn.take(list(right), "i4", 4, db=db), list(right.values()))
    assert txn.put_arrays([b"x", b"x"], table[:2]) == 2
    assert txn.get(b"x") == table[1].tobytes()
    # long keys that differ behind what they are sorted by
    keys = [b"same beginning " + b"%d" % n for n in (1, 2, 1, 11, 1, 2)]
    txn.put_arrays(keys, table[:6])
    assert txn.get(keys[0]) == table[4].tobytes()
    assert txn.get(keys[1]) == table[5].tobytes()


def test_records_that_exist_are_left_alone(txn):
    table = rows(5)
    assert txn.put_arrays([b"b", b"d"], table[:2]) == 2
    assert txn.put_arrays([b"a", b"b", b"c", b"d", b"c"], table, overwrite=False) == 2
    right = {b"a": table[0], b"b": table[0], b"c": table[2], b"d": table[1]}
    assert records(txn) == {key: row.tobytes() for key, row in right.items()}
    assert txn.put_arrays([b"e", b"f"], table[:2], overwrite=False) == 2
    assert txn.put_arrays([b"e", b"f"], table[:2], overwrite=False) == 0


def test_databases_with_duplicates(env, txn):
    several = env.open_db(b"several", txn, dupsort=True)
    fixed = env.open_db(b"fixed", txn, dupsort=True, dupfixed=True)
    table = rows(300)
    keys = [b"%d" % (n % 3) for n in range(300)]
    for db in (several, fixed):
        assert txn.put_arrays(keys, table, db=db) == 300
        for key in (b"0", b"1", b"2"):
            found = txn.dup_array(key, "i4", 4, db=db)
            right = sorted(row.tobytes() for row in table[int(key) :: 3])
            assert [row.tobytes() for row in found] == right
        assert txn.put_arrays(keys[:3], table[-3:], overwrite=False, db=db) == 0
        with pytest.raises(pylmdb.BadValsizeError):
            txn.put_arrays([b"0"], np.zeros((1, env.max_key_size() + 1), "u1"), db=db)
    with pytest.raises(pylmdb.BadValsizeError):
        txn.put_arrays([b"0"], np.zeros((1, 3), "u1"), db=fixed)


def test_a_key_that_cannot_be(env, txn):
    table = rows(4)
    for keys in ([b"k", b"a", b"", b"b"], [b"x", b"c" * 4000, b"e", b"d"]):
        with pytest.raises(pylmdb.BadValsizeError, match=r"number \d of keys"):
            txn.put_arrays(keys, table)
    before = txn.stat().entries
    assert txn.put_arrays([b"still", b"works"], table[:2]) == 2
    assert txn.stat().entries == before + 2
    with env.begin() as reader, pytest.raises(pylmdb.ReadonlyError):
        reader.put_arrays([b"a"], table[:1])


def test_a_map_that_is_full(open_env):
    env = open_env(map_size=1 << 20)
    txn = env.begin(write=True)
    with pytest.raises(pylmdb.MapFullError, match=r"number \d+ of keys"):
        txn.put_arrays(range(4000), np.zeros((4000, 1000), "u1"))
    with pytest.raises(pylmdb.BadTxnError):
        txn.get(b"a")
    txn.abort()
    with env.begin(write=True) as txn:
        assert txn.stat().entries == 0
        assert txn.put_arrays(range(300), np.zeros((300, 1000), "u1")) == 300


def test_a_map_that_grows(open_env):
    env = open_env(max_map_size=1 << 30, sync=False)
    size = env.info()["map_size"]
    table = RNG.integers(0, 99, (8000, 3000), np.uint8)
    with env.begin(write=True) as txn:
        assert txn.put_arrays(RNG.permutation(8000), table) == 8000
        assert txn.put_arrays(range(8000), table) == 8000
        assert np.array_equal(txn.take(range(8000), "u1", 3000), table)
    assert env.info()["map_size"] > size


def test_cursors_notice(env, txn):
    txn.put_arrays([b"a", b"c"], rows(2))
    cursor = txn.cursor()
    assert cursor.set_key(b"a")
    walk = txn.range(values=False)
    assert next(walk) == b"a"
    table = rows(2, 900)
    assert len(cursor.value()) == 16
    txn.put_arrays([b"b", b"a"], table)
    assert cursor.value() == table[1].tobytes()
    assert cursor.next()
    assert cursor.key() == b"b"
    assert list(walk) == [b"b", b"c"]
    db = env.open_db(b"several", txn, dupsort=True)
    txn.put_arrays([b"k"], [5], db=db)
    cursor = txn.cursor(db)
    assert cursor.set_key(b"k")
    txn.put_arrays([b"k"] * 1000, np.arange(1000), db=db)
    assert cursor.next_dup()
    right = [n.tobytes() for n in sorted(np.arange(1000), key=lambda n: n.tobytes())]
    place = right.index(np.int64(5).tobytes())
    assert [cursor.value(), *cursor.iternext_dup()][1:] == right[place + 1 :]


def test_the_values_may_be_the_map_itself(env):
    table = rows(500, 300)
    with env.begin(write=True) as txn:
        txn.put_array(b"all", table)
    with env.begin() as txn:
        mapped = txn.get_array(b"all")
    for _ in range(3):
        with env.begin(write=True) as txn:
            txn.put_arrays(range(500), mapped)
            txn.put_arrays(RNG.permutation(500), mapped[::-1])
            txn.put_arrays(range(500), mapped)
        with env.begin() as txn:
            assert np.array_equal(txn.take(range(500), "i4", 300), table)


# -- range_arrays ----------------------------------------------------------------------------


def test_bounds(txn):
    keys = sorted(names(RNG.permutation(900)[:300]))
    table = rows(300)
    txn.put_arrays(keys, table)
    bounds = [None, b"0", b"9", b"0000045", b"zz", keys[0], keys[-1], keys[-1] + b"\x00"]
    bounds += [bytearray(keys[100]), memoryview(keys[200]), keys[150] + b"x"]
    for start in bounds:
        for stop in bounds:
            least, end = bytes(start or b""), b"\xff" if stop is None else bytes(stop)
            right = [i for i, key in enumerate(keys) if least <= key < end]
            found, values = txn.range_arrays(start, stop, "i4", 4)
            assert found.tolist() == [keys[i] for i in right]
            assert np.array_equal(values, table[right])
            assert values.flags.owndata
            if right:
                assert found.dtype == "S8"
    with pytest.raises(TypeError, match="encode"):
        txn.range_arrays("a", None, "i4")


def test_an_empty_bound_is_as_in_range(txn):
    txn.put_arrays([b"a", b"b"], rows(2))
    for start, stop in ((b"", None), (None, b""), (b"", b"b"), (b"", b"")):
        right = list(txn.range(start, stop, values=False))
        assert txn.range_arrays(start, stop, "i4", 4)[0].tolist() == right


def test_bounds_in_other_orders(env, txn):
    reverse = env.open_db(b"reverse", txn, reverse_key=True)
    numbers = np.arange(100)
    txn.put_arrays(numbers, numbers, key_format="%03d", db=reverse)
    keys, values = txn.range_arrays(b"500", b"01", "i8", db=reverse)
    right = list(txn.range(b"500", b"01", db=reverse))
    assert keys.tolist() == [key for key, _ in right]
    assert [v.tobytes() for v in values] == [value for _, value in right]
    for width in (4, 8):
        native = env.open_db(b"native %d" % width, txn, integerkey=True)
        assert txn.range_arrays(b"abcd", None, "i8", db=native)[1].shape == (0,)
        txn.put_arrays(numbers.astype(f"u{width}"), numbers, db=native)
        start, stop = (np.array(n, f"u{width}").tobytes() for n in (5, 20))
        keys, values = txn.range_arrays(start, stop, "i8", db=native)
        assert keys.tolist() == values.tolist() == list(range(5, 20))
        assert keys.dtype == f"u{width}"
        for wrong in (b"abc", b"\x00" * (12 - width), b""):
            for start, stop in ((wrong or b"abc", None), (None, wrong)):
                with pytest.raises(pylmdb.BadValsizeError):
                    txn.range_arrays(start, stop, "i8", db=native)


def test_keys_in_arrays_and_lists(env, txn):
    assert txn.range_arrays(None, None, "i4", 3)[0].tolist() == []
    assert txn.range_arrays(None, None, "i4", 3)[1].shape == (0, 3)
    txn.put_arrays([b"a", b"b\x00", b"ccc"], [1, 2, 3])
    keys, values = txn.range_arrays(None, None, "i8")
    assert keys == [b"a", b"b\x00", b"ccc"]
    assert values.tolist() == [1, 2, 3]
    keys, _ = txn.range_arrays(b"b", b"c", "i8")
    assert (keys.dtype, keys[0].tobytes()) == ("V2", b"b\x00")  # which S2 would hide
    assert txn.take(keys, "i8").tolist() == [2]
    several = env.open_db(b"several", txn, dupsort=True)
    txn.put_arrays([b"k", b"k", b"l"], [2, 1, 3], db=several)
    keys, values = txn.range_arrays(None, None, ">i8", db=several)
    assert keys.tolist() == [b"k", b"k", b"l"]
    assert values.tobytes() == b"".join(txn.range(keys=False, db=several))


def test_range_of_values_of_another_size(txn):
    txn.put_arrays([b"a", b"b", b"d"], [1, 2, 3])
    txn.put(b"c", b"12345")
    for dtype, shape, key in (("i8", (), b"c"), ("i4", (), b"a"), ("i8", 2, b"a"), ("u1", 5, b"a")):
        with pytest.raises(pylmdb.InvalidParameterError) as caught:
            txn.range_arrays(None, None, dtype, shape)
        text = str(caught.value)
        assert "range_arrays" in text
        assert f"{key!r} has {len(txn.get(key))} bytes" in text
    assert txn.range_arrays(None, b"c", "i8")[1].tolist() == [1, 2]
    with pytest.raises(TypeError, match="Python objects"):
        txn.range_arrays(None, None, "O")


@pytest.mark.parametrize("dtype", [PADDED, "M8[s]", ">f8", "S8", "(2,)f4"])
def test_range_dtypes(txn, dtype):
    dtype = np.dtype(dtype)
    bits = RNG.integers(0, 256, (40, dtype.itemsize), np.uint8)
    txn.put_arrays(range(40), bits)
    _, values = txn.range_arrays(None, None, dtype)
    assert (values.dtype, values.shape) == (dtype.base, (40, *dtype.shape))
    assert values.tobytes() == bits.tobytes()


# -- dup_array -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 40, 255, 3000, 60_000])
def test_duplicates(env, txn, count):
    flags = {"dupsort": {}, "dupfixed": {"dupfixed": True}, "integerdup": {"integerdup": True}}
    numbers = RNG.permutation(count).astype("u8")
    for name, extra in flags.items():
        db = env.open_db(name.encode(), txn, dupsort=True, **extra)
        for key in (b"a", b"c"):
            txn.put_arrays([key] * 3, np.arange(3, dtype="u8"), db=db)
        assert txn.put_arrays([b"b"] * count, numbers, db=db) == count
        found = txn.dup_array(b"b", "u8", db=db)
        if name == "integerdup":
            assert found.tolist() == list(range(count))
        else:
            assert found.tolist() == sorted(range(count), key=lambda n: struct.pack("<Q", n))
        assert txn.dup_array(b"b", "<u4", (2,), db=db).tobytes() == found.tobytes()
        assert txn.dup_array(b"a", "u8", db=db).tolist() == [0, 1, 2]
        missing = txn.dup_array(b"none", "u8", (2, 4), db=db)
        assert (missing.shape, missing.dtype) == ((0, 2, 4), np.uint64)
        with pytest.raises(pylmdb.InvalidParameterError, match="b'b' has 8 bytes"):
            txn.dup_array(b"b", "u4", db=db)
        for value in (numbers[0], *numbers[-1:]):
            txn.delete(b"b", value.tobytes(), db=db)
        assert len(txn.dup_array(b"b", "u8", db=db)) == max(0, count - 2)


@pytest.mark.parametrize("width", [1, 3, 4, 12, 16, 100, 300])
def test_duplicates_of_every_width(env, txn, width):
    table = np.unique(RNG.integers(0, 256, (2000, width), np.uint8), axis=0)
    for extra in ({}, {"dupfixed": True}):
        db = env.open_db(b"%d %d" % (width, len(extra)), txn, dupsort=True, **extra)
        txn.put_arrays([b"k"] * len(table), table[RNG.permutation(len(table))], db=db)
        found = txn.dup_array(b"k", "u1", width, db=db)
        assert np.array_equal(found, table)


def test_duplicates_of_several_sizes(env, txn):
    db = env.open_db(b"several", txn, dupsort=True)
    for size in (4, 4, 5, 4):
        txn.put(b"k", RNG.bytes(size), db=db)
    for size in (1, 4, 5, 17):
        with pytest.raises(pylmdb.InvalidParameterError, match=r"dup_array.* b'k' has \d bytes"):
            txn.dup_array(b"k", "u1", size, db=db)


def test_values_of_databases_without_duplicates(env, txn):
    txn.put(b"k", np.arange(5).tobytes())
    txn.put(b"large", np.arange(5000).tobytes())
    assert txn.dup_array(b"k", "i8", 5).tolist() == [[0, 1, 2, 3, 4]]
    assert np.array_equal(txn.dup_array(b"large", "i8", 5000)[0], np.arange(5000))
    assert txn.dup_array(b"none", "i8").shape == (0,)
    assert txn.dup_array(b"x" * 4000, "i8").shape == (0,)
    with pytest.raises(pylmdb.BadValsizeError):
        txn.dup_array(b"", "i8")
    txn.put(b"empty", b"")
    assert txn.dup_array(b"empty", "u1", 0).shape == (1, 0)
    with pytest.raises(pylmdb.InvalidParameterError, match="0 bytes"):
        txn.dup_array(b"empty", "u1")
    native = env.open_db(b"native", txn, integerkey=True, dupsort=True, dupfixed=True)
    txn.put_arrays([7, 7, 8], [1, 2, 3], db=native)
    assert txn.dup_array(struct.pack("=Q", 7), "i8", db=native).tolist() == [1, 2]
    with pytest.raises(pylmdb.BadValsizeError):
        txn.dup_array(b"abc", "i8", db=native)


# -- at random -------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [{}, {"reverse_key": True}, {"dupsort": True}])
def test_it_is_a_dict(open_env, flags):
    env = open_env(max_dbs=1, sync=False)
    db = env.open_db(b"db", **flags)
    keys = st.lists(st.binary(min_size=1, max_size=3) | st.sampled_from([b"a", b"b"]), max_size=30)

    @settings(max_examples=40 * ROUNDS, deadline=None, derandomize=ROUNDS == 1)
    @given(st.lists(keys, max_size=4), st.booleans())
    def check(batches, overwrite):
        with env.begin(write=True, db=db) as ours, env.begin() as _:
            model, number = {}, 0
            for batch in batches:
                values = np.arange(number, number + len(batch), dtype=">u4")
                number += len(batch)
                written = 0
                for key, value in zip(batch, values, strict=True):
                    if overwrite or key not in model:
                        written += 1
                        known = model.setdefault(key, [])
                        known[:] = [*known, value] if "dupsort" in flags else [value]
                assert ours.put_arrays(batch, values, overwrite=overwrite) == written
            for key, known in model.items():
                assert ours.dup_array(key, ">u4").tolist() == known
            right = sorted(model, key=lambda key: key[::-1] if "reverse_key" in flags else key)
            found, values = ours.range_arrays(None, None, ">u4")
            assert list(map(bytes, found)) == [
                bytes(key) for key in right for _ in model[key]
            ] or isinstance(found, np.ndarray)
            assert values.tolist() == [value for key in right for value in model[key]]
            ours.drop(db, delete=False)

    check()
