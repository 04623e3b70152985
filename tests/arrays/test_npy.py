# SPDX-License-Identifier: MIT
"""put_array() and get_array(): arrays come back bit for bit, in numpy's .npy format."""

import gc
import io
import shutil
import threading

import numpy as np
import pytest
from numpy.lib import format as npy

import pylmdb
from pylmdb import arrays

RNG = np.random.default_rng(1)
PADDED = np.dtype([("a", "u1"), ("b", "<f8"), ("c", "<i2")], align=True)
NESTED = np.dtype([("x", "<i4", (2, 3)), ("y", [("z", ">u2"), ("w", "S5")]), ("t", "<M8[ns]")])
DTYPES = [
    "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", "F", "D", "G",
    ">i2", ">u4", ">i8", ">f4", ">f8", ">c16", ">U3", ">M8[us]",
    "M8[ns]", "M8[D]", "m8[s]", "m8[25us]", "M8", "S1", "S7", "U1", "U9", "V1", "V13",
    PADDED, NESTED, [("caf\xe9", "f4")], [("\u043a\u043b\u044e\u0447", "i8"), ("b", "?")],
    [("it's", "i4"), ('a "b" \\ \n', "i2")], [(("title", "name"), "f8")],
    {"names": ["p", "q"], "formats": ["u1", "f4"], "offsets": [3, 12], "itemsize": 21},
]  # fmt: skip
SHAPES = [(), (0,), (1,), (7,), (3, 5), (0, 4), (2, 0, 3), (2, 3, 4), (2, 1, 3, 2), (2, 2, 2, 2, 3)]


@pytest.fixture
def env(open_env):
    """Return a new environment that does not wait for the disk."""
    return open_env(sync=False)


def filled(dtype, shape=(7,)):
    """Return an array of random bytes, also in gaps between fields."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape))
    array = np.empty(shape, dtype)
    bits = RNG.integers(0, 256, count * dtype.itemsize, np.uint8)
    if dtype.kind == "U":
        bits = RNG.integers(32, 0x3000, count * dtype.itemsize // 4).astype(dtype.byteorder + "u4")
    elif dtype.kind == "?":
        bits &= 1
    array.reshape(-1).view(np.uint8)[:] = bits.view(np.uint8)
    return array


def layouts():
    """One array in many orders."""
    base = filled("<i4", (4, 6, 5))
    yield from (base, np.asfortranarray(base), base[::-1], base[:, ::-2, ::-1], base.T, base[1:3])
    yield from (base[:, 1:4], base[..., 2], base.transpose(1, 0, 2), base[::2, ::3, ::4])
    yield base[:, :0]
    yield from (np.broadcast_to(base[0, 0], (8, 5)), np.broadcast_to(np.float32(7), (3, 4)))
    yield from (base[2, 3, 1], np.asfortranarray(base[0]), base[0].T, base.view("u1")[..., 1::2])
    yield from (filled(NESTED, (3, 4)).T, filled(NESTED, (9,))["y"], filled(NESTED, (9,))["x"])
    yield np.lib.stride_tricks.sliding_window_view(np.arange(50), 9)


def assert_same(found, source):
    assert type(found) is np.ndarray
    assert found.dtype == source.dtype
    assert found.dtype.str == source.dtype.str
    assert found.shape == source.shape
    assert not source.nbytes or found.tobytes() == np.ascontiguousarray(source).tobytes()
    fortran = source.flags.f_contiguous and not source.flags.c_contiguous
    assert found.flags.f_contiguous if fortran else found.flags.c_contiguous


def assert_round_trip(env, sources, db=None):
    sources = {b"%05d" % i: source for i, source in enumerate(sources)}
    with env.begin(write=True, db=db) as txn:
        for key, source in sources.items():
            assert txn.put_array(key, source) is True
            assert_same(txn.get_array(key), source)
    with env.begin(db=db) as txn:
        for key, source in sources.items():
            found = txn.get_array(key)
            assert_same(found, source)
            assert not found.flags.writeable
            assert_same(np.load(io.BytesIO(txn.get(key))), source)
            cursor = txn.cursor()
            assert cursor.set_key(key)
            assert_same(cursor.array(), source)
            assert_same(arrays.loads(arrays.dumps(source)), source)


def place(array):
    return array.__array_interface__["data"][0]


# -- what comes back -------------------------------------------------------------------------


def test_every_dtype(env):
    shapes = [(), (7,), (2, 0)]
    assert_round_trip(env, [filled(dtype, shape) for dtype in DTYPES for shape in shapes])


def test_every_shape(env):
    assert_round_trip(env, [filled(d, shape) for d in ("u1", ">f8", NESTED) for shape in SHAPES])


def test_every_order(env):
    assert_round_trip(env, layouts())


def test_sizes_from_leaf_values_to_many_pages(env):
    sizes = [*range(0, 200, 7), *range(1700, 2100, 3), 3900, 4000, 4096, 8000, 70_000, 3_000_000]
    assert_round_trip(env, [filled("u1", (size,)) for size in sizes])


def test_special_numbers_keep_their_bits(env):
    signalling = np.array([0x7F800001, 0xFFC00123, 0x80000000, 1], "<u4").view("<f4")
    odd_bools = np.array([0, 1, 2, 255], "u1").view("?")
    assert_round_trip(env, [signalling, signalling[::-1], signalling.byteswap().view(">f4")])
    assert_round_trip(env, [odd_bools, odd_bools[::2]])


def test_elements_without_bytes(env):
    for dtype in ("S0", "U0", "V0", [], [("a", "S0"), ("b", "V0")]):
        assert_round_trip(env, [np.zeros((2, 3), [("x", dtype), ("y", "i4")])["x"]])


def test_old_memory_is_not_shown(env):
    """Neither between fields, nor after the data."""
    with env.begin(write=True) as txn:
        for i in range(20):
            txn.put(b"%d" % i, b"\xee" * 1900)
    with env.begin(write=True) as txn:
        for i in range(20):
            txn.delete(b"%d" % i)
            txn.put_array(b"%d" % i, np.zeros((i, 2), PADDED).T)
            txn.put_array(b"large %d" % i, np.zeros(140 + i, PADDED))
            txn.put_array(b"small %d" % i, np.zeros(i, "u1"))
    with env.begin() as txn:
        assert [key for key, value in txn.range() if b"\xee" in value] == []


def test_lists_scalars_and_other_buffers(env):
    given = [[1, 2], (1.5, 2), 7, True, 2.5 + 1j, np.float32(3), np.datetime64("2020", "Y")]
    given += [bytearray(b"xyz"), b"bytes", "text", memoryview(b"abcd").cast("H"), range(4), [[]]]
    for source in given:
        with env.begin(write=True) as txn:
            txn.put_array(b"k", source)
        with env.begin() as txn:
            assert_same(txn.get_array(b"k"), np.asarray(source))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_subclasses_become_plain_arrays(env):
    masked = np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False])
    record = np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    for source in (np.matrix([[1, 2], [3, 4]]), masked, record):
        with env.begin(write=True) as txn:
            txn.put_array(b"k", source)
            assert_same(txn.get_array(b"k"), np.asarray(source))
    mapped = np.frombuffer(bytearray(range(80)), "<i4").view(np.memmap)
    assert_round_trip(env, [mapped])


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_what_numpy_saves_is_read(env, version):
    dtypes = [d for d in DTYPES if version == (3, 0) or "\u043a" not in str(d)]
    sources = [filled(dtype) for dtype in dtypes] + [a for a in layouts() if a.ndim]
    with env.begin(write=True) as txn:
        for i, source in enumerate(sources):
            file = io.BytesIO()
            npy.write_array(file, source, version)
            txn.put(b"%d" % i, file.getvalue())
            txn.put(b"longer %d" % i, file.getvalue() + b"anything")
    with env.begin() as txn:
        for i, source in enumerate(sources):
            assert_same(txn.get_array(b"%d" % i), source)
            assert_same(txn.get_array(b"longer %d" % i), source)


def test_a_header_of_version_2_and_3(env):
    wide = np.dtype([(f"field number {i:05d} of many", "u1") for i in range(1500)])
    wide3 = np.dtype([(f"\u043a{i:05d}", "u1") for i in range(1000)])
    names = np.dtype([("\u043a", "u1")])
    with env.begin(write=True) as txn:
        for dtype, version in ((wide, 1), (wide3, 3), (names, 3), ("u1", 1), ([("\xe9", "u1")], 1)):
            source = filled(dtype, (3,))
            txn.put_array(b"k", source)
            assert txn.get(b"k")[6] == version
            assert_same(txn.get_array(b"k"), source)
            assert_same(np.load(io.BytesIO(txn.get(b"k")), max_header_size=10**6), source)


def test_what_can_be_written_can_be_read(env):
    """If a header would be too long to read, nothing is written."""
    for count in (2000, 4000, 8000):
        source = np.zeros(1, [(f"field number {i:05d}", "u1") for i in range(count)])
        with env.begin(write=True) as txn:
            try:
                txn.put_array(b"k%d" % count, source)
            except ValueError:
                assert txn.get(b"k%d" % count) is None
            else:
                assert_same(txn.get_array(b"k%d" % count), source)


# -- alignment of the data -------------------------------------------------------------------


def test_overflow_values_are_aligned_for_every_key(env):
    with env.begin(write=True) as txn:
        for length in range(1, 80):
            for size in (2000, 3000 + length, 20_000 + 7 * length):
                txn.put_array(b"k" * length + b"%5d" % size, filled("u1", (size,)))
    with env.begin() as txn:
        assert txn.stat().overflow_pages >= 3 * 79
        for key, value in txn.range():
            assert place(txn.get_array(key)) % 64 == 0, key
            assert len(value) - txn.get_array(key).nbytes < 200


@pytest.mark.parametrize("lengths", [[8], [5], [1, 2, 3, 4, 5, 6, 7, 8, 9, 30, 31, 63, 64, 65]])
def test_leaf_values_are_aligned(env, lengths):
    rng = np.random.default_rng(len(lengths))
    keys = {rng.bytes(int(rng.choice(lengths))) for _ in range(400)}
    for change in range(4):
        with env.begin(write=True) as txn:
            for key in sorted(keys, key=lambda key: key[::-1]):
                size = int(rng.integers(0, 1700))
                if change in (1, 2) and rng.random() < 0.3:
                    txn.delete(key)
                else:
                    txn.put_array(key, filled("u1", (size,)))
        with env.begin() as txn:
            assert txn.stat().overflow_pages == 0
            for key, value in txn.range():
                assert place(txn.get_array(key)) % 64 == 0, (key, len(value))


def test_values_between_leaf_and_overflow_pages_are_aligned(env):
    """The largest node is no multiple of 64: what would be larger gets a page of its own."""
    for key in (b"key", b"four"):
        for size in range(1780, 2000):
            with env.begin(write=True) as txn:
                txn.put_array(key, filled("u1", (size,)))
            with env.begin() as txn:
                assert place(txn.get_array(key)) % 64 == 0
                assert txn.stat().overflow_pages in (0, 1)
                assert size < 1910 or txn.stat().overflow_pages == 1
        with env.begin(write=True) as txn:
            txn.delete(key)


# -- how it is written -----------------------------------------------------------------------


def test_dupsort_databases_have_no_padding(open_env):
    env = open_env(max_dbs=1)
    db = env.open_db(b"d", dupsort=True)
    sources = [filled("u1", (n,)) for n in range(0, 380, 30)]
    with env.begin(write=True, db=db) as txn:
        for source in sources:
            assert txn.put_array(b"k", source)
            assert not txn.put_array(b"k", source, overwrite=False)
        with pytest.raises(pylmdb.BadValsizeError):
            txn.put_array(b"k", filled("u1", (env.max_key_size(),)))
    with env.begin(db=db) as txn:
        cursor = txn.cursor()
        assert cursor.set_key(b"k")
        found = sorted((cursor.array() for _ in cursor.iternext_dup()), key=len)
        for array, source in zip(found, sources, strict=True):
            assert_same(array, source)
        cursor.set_key(b"k")
        for value in cursor.iternext_dup():
            assert value == arrays.dumps(arrays.loads(value))


def test_overwrite_and_append(env):
    with env.begin(write=True) as txn:
        assert txn.put_array(b"b", [1, 2])
        assert txn.put_array(b"b", [3], overwrite=False) is False
        assert txn.get_array(b"b").tolist() == [1, 2]
        assert txn.put_array(b"b", [[3]])
        assert txn.get_array(b"b").tolist() == [[3]]
        assert txn.put_array(b"c", [4], append=True)
        assert txn.put_array(b"a", [5], append=True) is False
        assert txn.put_array(b"c", [5], append=True) is False
        assert txn.get_array(b"a") is None
        assert txn.get_array(b"c").tolist() == [4]


def test_objects_are_refused(env):
    nested = np.zeros(2, [("a", "i4"), ("b", [("c", "O")])])
    inner = np.zeros(2, [("a", "O", (2,))])
    with env.begin(write=True) as txn:
        for source in (np.array([None]), nested, inner, object(), [{}], {1: 2}, None):
            with pytest.raises(TypeError, match="Python objects"):
                txn.put_array(b"k", source)
            with pytest.raises(TypeError, match="Python objects"):
                arrays.dumps(source)
        assert txn.stat().entries == 0


def test_what_cannot_be_described_is_refused(env):
    overlapping = np.zeros(2, {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2]})
    with env.begin(write=True) as txn:
        with pytest.raises(ValueError, match="overlapping"):
            txn.put_array(b"k", overlapping)
        for key in (b"", b"x" * 5000):
            with pytest.raises(pylmdb.BadValsizeError):
                txn.put_array(key, [1])
        with pytest.raises(TypeError, match="encode"):
            txn.put_array("k", [1])
        assert txn.stat().entries == 0
        assert txn.put_array(b"k", [1])
    with env.begin() as txn, pytest.raises(pylmdb.ReadonlyError):
        txn.put_array(b"k", [2])


def test_missing_and_other_values(env):
    with env.begin(write=True) as txn:
        txn.put(b"text", b"no array at all")
        for value in (b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00"):
            txn.put(b"short", value)
            with pytest.raises(pylmdb.InvalidParameterError, match=r"\.npy"):
                txn.get_array(b"short")
    with env.begin() as txn:
        assert txn.get_array(b"missing") is None
        assert txn.get_array(b"missing", 5) == 5
        with pytest.raises(ValueError, match=r"\.npy"):
            txn.get_array(b"text")
        with pytest.raises(pylmdb.InvalidParameterError):
            txn.cursor().array()


@pytest.mark.parametrize("writemap", [False, True])
def test_arrays_of_the_map_as_arguments(open_env, writemap):
    env = open_env(writemap=writemap, sync=False)
    small, large = filled("u1", (100,)), filled("<f4", (9000,))
    with env.begin(write=True) as txn:
        txn.put_array(b"small", small)
        txn.put_array(b"large", large)
    with env.begin() as txn:
        mapped = {key: txn.get_array(key) for key in (b"small", b"large")}
    for _ in range(3):
        with env.begin(write=True) as txn:
            # what another transaction shows; what this one does; the same key from itself
            txn.put_array(b"reversed", mapped[b"large"][::-1])
            txn.put_array(b"large", mapped[b"large"])
            txn.put_array(b"small", mapped[b"small"])
            txn.put_array(b"large", txn.get_array(b"large"))
            txn.put_array(b"copy", np.frombuffer(txn.view(b"small"), "u1"))
            txn.put_array(bytes(mapped[b"small"][:8]), txn.get_array(b"large")[::2])
        with env.begin() as txn:
            assert_same(txn.get_array(b"large"), large)
            assert_same(txn.get_array(b"small"), small)
            assert_same(txn.get_array(b"reversed"), large[::-1])
            assert bytes(txn.get_array(b"copy")) == txn.get(b"small")
            assert_same(txn.get_array(bytes(small[:8])), large[::2])


def test_the_map_grows_in_the_middle(open_env):
    env = open_env(max_map_size=1 << 30, sync=False)
    sources = [filled("<f8", (n, 1000)) for n in range(1, 70)]
    size = env.info()["map_size"]
    with env.begin(write=True) as txn:
        for i, source in enumerate(sources):
            txn.put_array(b"%d" % i, source.T)
    assert env.info()["map_size"] > size
    with env.begin() as txn:
        for i, source in enumerate(sources):
            assert_same(txn.get_array(b"%d" % i), source.T)


def test_a_full_map(open_env):
    env = open_env(map_size=1 << 20)
    txn = env.begin(write=True)
    txn.put_array(b"a", np.arange(10))
    with pytest.raises(pylmdb.MapFullError):
        txn.put_array(b"b", np.zeros(1 << 20))
    with pytest.raises(pylmdb.BadTxnError):
        txn.put_array(b"c", [1])
    txn.abort()
    with env.begin(write=True) as txn:
        assert txn.get_array(b"a") is None
        assert txn.put_array(b"b", np.zeros(1 << 10))


# -- how long it is valid --------------------------------------------------------------------


def overwrite(env, rounds=6):
    for n in range(rounds):
        with env.begin(write=True) as txn:
            txn.put_array(b"k", np.full(3000, n))
            txn.put_array(b"s", np.full(9, n))
            for i in range(40):
                txn.put(b"filler %d" % i, b"%d" % n * 900)


def test_arrays_hold_their_snapshot(open_env, env_path):
    env = open_env()
    sources = {b"k": filled("<i8", (3000,)), b"s": filled("<i8", (9,))}
    with env.begin(write=True) as txn:
        for key, source in sources.items():
            txn.put_array(key, source)
    txn = env.begin()
    found = {key: txn.get_array(key) for key in sources}
    found[b"t"] = txn.get_array(b"k")[::-1][10:20]
    sources[b"t"] = sources[b"k"][::-1][10:20]
    wrong = []

    def check():
        for key, source in sources.items():
            if found[key].tobytes() != source.tobytes():
                wrong.append(key)

    txn.abort()
    assert env.info()["pinned"] == 1
    overwrite(env)
    check()
    env.close()
    check()
    again = open_env()
    overwrite(again)
    check()
    again.close()
    shutil.rmtree(env_path)
    del txn, again
    gc.collect()
    thread = threading.Thread(target=check)
    thread.start()
    thread.join()
    assert wrong == []


def test_copies_hold_nothing_and_can_be_written(env):
    sources = [filled("<i4", (50, 3)), np.asfortranarray(filled("<i4", (50, 3)))]
    for source in sources:
        with env.begin(write=True) as txn:
            txn.put_array(b"k", source)
            own = txn.get_array(b"k")
        with env.begin() as txn:
            copy = txn.get_array(b"k", copy=True)
            cursor = txn.cursor()
            cursor.set_key(b"k")
            other = cursor.array(copy=True)
        del cursor
        gc.collect()
        assert env.info()["pinned"] == 0
        for array in (copy, other):
            assert array.flags.writeable
            assert array.flags.owndata
            assert_same(array, source)
            array[:] = 0
        overwrite(env, 2)
        assert_same(own, source)
        with env.begin(write=True) as txn:
            txn.put_array(b"k", source)
            assert txn.get_array(b"k", copy=True).flags.writeable
        with env.begin() as txn:
            assert_same(txn.get_array(b"k"), source)


def test_arrays_of_the_map_are_read_only(env):
    with env.begin(write=True) as txn:
        txn.put_array(b"k", np.arange(9))
    with env.begin() as txn:
        array = txn.get_array(b"k")
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
        for part in (array[1:], array.view("u1"), array.reshape(3, 3), np.asarray(array).T):
            assert not part.flags.writeable


def test_loads_shows_what_it_is_given():
    source = np.arange(6).reshape(2, 3)
    value = bytearray(arrays.dumps(source))
    array = arrays.loads(value)
    array[0, 0] = 77
    assert arrays.loads(bytes(value))[0, 0] == 77
    assert not arrays.loads(bytes(value)).flags.writeable
    with pytest.raises(pylmdb.InvalidParameterError):
        arrays.loads(value[:-1])
