# SPDX-License-Identifier: MIT
"""take(): many values into one array, from any database into any memory."""

import struct
import tempfile

import pytest
from numbered import RNG, fill, np, numbered, rows
from programs import ROUNDS, in_threads

import pylmdb

hypothesis = pytest.importorskip("hypothesis")
given, settings, st = hypothesis.given, hypothesis.settings, hypothesis.strategies


@pytest.fixture
def env(open_env):
    """Return a new environment that does not wait for the disk."""
    return open_env(max_dbs=8, sync=False)


# -- the databases ---------------------------------------------------------------------------


def test_databases(env):
    reverse = env.open_db(b"reverse", reverse_key=True)
    plain = env.open_db(b"plain")
    several = env.open_db(b"several", dupsort=True)
    fixed = env.open_db(b"fixed", dupsort=True, dupfixed=True)
    names = [b"%d" % n for n in RNG.permutation(2000)[:900]]
    for db in (reverse, plain, several, fixed):
        table = rows(len(names))
        fill(env, dict(zip(names, table, strict=True)), db)
        if db in (several, fixed):
            # greater values after these, which are not read
            fill(env, dict.fromkeys(names, b"\xff" * 16), db)
        order = RNG.permutation(len(names))
        with env.begin() as txn:
            found = txn.take([names[i] for i in order], "i4", 4, db=db)
            assert np.array_equal(found, table[order])
    with env.begin() as txn, pytest.raises(pylmdb.NotFoundError):
        txn.take(names, "i4", 4)


@pytest.mark.parametrize("write", [False, True])
def test_values_of_every_size(env, write):
    """In leaf pages and on pages of their own; committed, and just written."""
    for size in (0, 1, 3, 100, 1000, 3000, 70_000):
        with env.begin(write=True) as txn:
            values = [RNG.bytes(size) for _ in range(40)]
            for i, value in enumerate(values):
                txn.put(b"%d" % i, value)
            if not write:
                txn.commit()
                txn = env.begin()
            order = RNG.permutation(40)
            found = txn.take(order, "u1", (size,), key_format="%d")
            assert [row.tobytes() for row in found] == [values[i] for i in order]
            txn.abort()


def test_what_a_write_transaction_has_changed(env):
    table = numbered(env)
    keys = [b"key %05d" % i for i in range(300)]
    with env.begin(write=True) as txn:
        for i in range(0, 300, 7):
            txn.put(keys[i], table[i][::-1].tobytes())
            table[i] = table[i][::-1].copy()
        txn.delete(keys[100])
        found, absent = txn.take(keys, "i4", 4, missing="fill")
        assert np.flatnonzero(absent).tolist() == [100]
        table[100] = 0
        assert np.array_equal(found, table)
        with env.begin(write=True, parent=txn) as child:
            child.put(keys[100], b"\x01" * 16)
            assert child.take([keys[100]], "u1", 16).tolist() == [[1] * 16]
        assert txn.take([keys[100]], "u1", 16).tolist() == [[1] * 16]


DTYPES = ["?", "u1", "<i2", ">i4", "f2", ">f8", "c16", "M8[ns]", "m8[D]", "S7", "U3", "V5",
          [("a", "u1"), ("b", "<f8")], np.dtype([("a", "u1"), ("b", "<f8")], align=True),
          [("x", "i4", (2, 3)), ("y", [("z", ">u2")])], ("i4", (2,)), "i4,(2,3)f4"]  # fmt: skip


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (2, 0, 3), (1, 1, 1, 2)])
def test_dtypes_and_shapes(env, shape):
    for dtype in map(np.dtype, DTYPES):
        size = int(np.prod(shape)) * dtype.itemsize
        values = [RNG.bytes(size) for _ in range(9)]
        if dtype.kind in "?U":
            values = [np.ones(shape, dtype).tobytes()] * 9
        fill(env, {b"%d" % i: value for i, value in enumerate(values)})
        with env.begin() as txn:
            found = txn.take([8, 1, 1, 3], dtype, shape, key_format="%d")
            right = b"".join(values[i] for i in (8, 1, 1, 3))
            assert found.tobytes() == right
            assert (found.dtype, found.shape) == (dtype.base, (4, *shape, *dtype.shape))
            with pytest.raises(pylmdb.InvalidParameterError):
                txn.take([1], dtype, (*shape, 7) if size else (1,), key_format="%d")


def test_dtypes_and_shapes_that_are_none(env):
    numbered(env, 3)
    with env.begin() as txn:
        keys = [b"key 00001"]
        for dtype in ("O", [("a", "i4"), ("b", "O")], object):
            with pytest.raises(TypeError, match="Python objects"):
                txn.take(keys, dtype)
        for dtype in ("nonsense", 5):
            with pytest.raises(TypeError):
                txn.take(keys, dtype)
        for shape in (-1, (2, -2), (-2, -2)):
            with pytest.raises(pylmdb.InvalidParameterError, match="negative"):
                txn.take(keys, "i4", shape)
        for shape in (1.5, (2.0,), "4", None, {4}):
            with pytest.raises(TypeError):
                txn.take(keys, "i4", shape)
        with pytest.raises((MemoryError, ValueError)):
            txn.take(keys * 2, "i4", (2**62, 2**62))


# -- what is not there, or does not fit ------------------------------------------------------


def test_missing_keys_raise(env):
    numbered(env)
    with env.begin() as txn:
        keys = [b"key 00007", b"zzz", b"aaa", b"key 00001"]
        for given in (keys, np.array(keys)):
            with pytest.raises(pylmdb.NotFoundError, match="b'zzz'") as caught:
                txn.take(given, "i4", 4)
            assert isinstance(caught.value, pylmdb.NotFoundError)
            assert "number 1" in str(caught.value)
        with pytest.raises(pylmdb.NotFoundError, match="b'key 00300'"):
            txn.take(range(290, 310), "i4", 4, key_format="key %05d")
        for word in ("", "ignore", None, True):
            with pytest.raises(pylmdb.InvalidParameterError, match="missing"):
                txn.take(keys, "i4", 4, missing=word)


@pytest.mark.parametrize("threads", [1, 4])
def test_missing_keys_are_filled(env, threads):
    table = numbered(env, 60, 5000)
    numbers = RNG.integers(0, 120, 200)
    right = np.where(numbers[:, None] < 60, table[numbers % 60], 0)
    out = np.full((200, 5000), -1, "i4")
    with env.begin() as txn:
        found, absent = txn.take(numbers, "i4", 5000, out, "fill", threads, key_format="key %05d")
        assert found is out
        assert absent.dtype == bool
        assert np.array_equal(absent, numbers >= 60)
        assert np.array_equal(found, right)
        found, absent = txn.take([b"key 00001"], "i4", 5000, missing="fill")
        assert not absent.any()
        found, absent = txn.take([b"no", b"none"], "i4", (2, 3), missing="fill")
        assert absent.all()
        assert found.tolist() == np.zeros((2, 2, 3)).tolist()


def test_values_of_another_size(env):
    fill(env, {b"a": b"1234", b"b": b"12345", b"c": b"1234", b"d": b""})
    out = np.full(4, 7, "i4")
    with env.begin() as txn:
        for missing in ("raise", "fill"):
            with pytest.raises(pylmdb.InvalidParameterError) as caught:
                txn.take([b"c", b"b", b"a", b"d"], "i4", out=out, missing=missing)
            text = str(caught.value)
            assert all(part in text for part in ("take", "b'b'", "5 bytes", "int32", "takes 4"))
        # what is named is the first that is not right
        with pytest.raises(pylmdb.InvalidParameterError, match="b'd' has 0 bytes"):
            txn.take([b"d", b"x", b"b", b"a"], "i4", out=out)
        with pytest.raises(pylmdb.NotFoundError, match="b'x'"):
            txn.take([b"a", b"x", b"b", b"d"], "i4", out=out)
        with pytest.raises(pylmdb.InvalidParameterError, match="b'b' has 5 bytes"):
            txn.take([b"x", b"a", b"b", b"d"], "i4", out=out, missing="fill")
    assert out.tolist() == [7] * 4


# -- out= ------------------------------------------------------------------------------------


def outs(count):
    """Arrays of shape (count, 3, 2) and int32, with all kinds of strides, and their owners."""
    for owner, view in (
        ((count, 3, 2), lambda a: a), ((2, 3, count), lambda a: a.T),
        ((count, 3, 2), lambda a: a[::-1]), ((3 * count, 3, 2), lambda a: a[::3]),
        ((3 * count, 3, 2), lambda a: a[::-3]), ((count, 3, 4), lambda a: a[:, :, ::2]),
        ((count, 5, 2), lambda a: a[:, 1:4]), ((count, 3, 2), lambda a: a[:, ::-1, ::-1]),
        ((count, 2, 3), lambda a: a.transpose(0, 2, 1)), ((count, 7, 3, 2), lambda a: a[:, 4]),
        ((count + 5, 3, 2), lambda a: a[3:-2]), ((count, 3, 2, 2), lambda a: a[..., 1]),
    ):  # fmt: skip
        whole = np.full(owner, -1, "i4")
        yield whole, view(whole)
    with tempfile.TemporaryFile() as file:
        whole = np.memmap(file, "i4", "w+", shape=(count, 3, 2))
        yield whole, whole
    buffer = np.full(count * 24 + 1, -1, "i1")
    yield buffer, np.ndarray((count, 3, 2), "i4", buffer, 1)


def test_out_of_any_strides(env):
    table = numbered(env, 300, 6)
    numbers = RNG.integers(0, 300, 500)
    with env.begin() as txn:
        for whole, out in outs(500):
            outside = whole.size * whole.itemsize - out.nbytes
            found = txn.take(numbers, "i4", (3, 2), out, key_format="key %05d")
            assert found is out
            assert np.array_equal(out, table[numbers].reshape(-1, 3, 2))
            out[:] = -1
            assert (whole == -1).all()
            assert outside >= 0


def test_out_of_one_dimension(env):
    table = numbered(env, 300, 1)[:, 0]
    record = np.zeros(500, [("a", "i2"), ("b", "i4"), ("c", "i2")])
    numbers = RNG.integers(0, 300, 500)
    with env.begin() as txn:
        for out in (np.empty(500, "i4"), np.empty((500, 3), "i4")[:, 1], record["b"],
                    np.empty(500, "i4")[::-1], np.empty(1000, "i4")[::2]):  # fmt: skip
            txn.take(numbers, "i4", (), out, key_format="key %05d")
            assert np.array_equal(out, table[numbers])
    assert not record["a"].any()
    assert not record["c"].any()


def test_out_of_structured_rows(env):
    dtype = np.dtype([("a", "u1"), ("b", "<f8")], align=True)
    values = np.zeros(20, dtype)
    values["a"], values["b"] = np.arange(20), RNG.random(20)
    fill(env, {b"%02d" % i: values[i : i + 1].tobytes() for i in range(20)})
    with env.begin() as txn:
        for out in (np.empty(20, dtype), np.empty((20, 2), dtype)[::-1, 1]):
            txn.take(np.arange(20)[::-1], dtype, out=out, key_format="%02d")
            assert np.array_equal(out, values[::-1])


def test_out_is_refused_before_the_first_byte(env):
    numbered(env, 20)
    keys = [b"key %05d" % i for i in range(20)]
    frozen = np.full((20, 4), 7, "i4")
    frozen.flags.writeable = False
    wrong = [
        (TypeError, np.full((20, 4), 7, "u4")), (TypeError, np.full((20, 4), 7, ">i4")),
        (TypeError, np.full((20, 4), 7, "i8")), (TypeError, np.full((20, 4), 7, "f4")),
        (TypeError, np.full((20, 16), 7, "u1")), (TypeError, bytearray(b"7" * 320)),
        (TypeError, [[7] * 4] * 20), (TypeError, memoryview(bytearray(320))),
        (ValueError, np.full((19, 4), 7, "i4")), (ValueError, np.full((21, 4), 7, "i4")),
        (ValueError, np.full((4, 20), 7, "i4")), (ValueError, np.full((20, 5), 7, "i4")),
        (ValueError, np.full(80, 7, "i4")), (ValueError, np.full((20, 2, 2), 7, "i4")),
        (ValueError, frozen), (ValueError, np.broadcast_to(np.int32(7), (20, 4))),
    ]  # fmt: skip
    with env.begin() as txn:
        for kind, out in wrong:
            before = bytes(out) if not isinstance(out, list) else str(out)
            with pytest.raises(kind, match="out"):
                txn.take(keys, "i4", 4, out)
            assert before == (bytes(out) if not isinstance(out, list) else str(out))
        out = np.full((21, 4), 7, "i4")
        with pytest.raises(pylmdb.NotFoundError):
            txn.take([*keys, b"none"], "i4", 4, out)
        assert (out == 7).all()


# -- threads ---------------------------------------------------------------------------------


def test_threads_copy_the_same(env):
    table = numbered(env, 40, 40_000)
    numbers = RNG.integers(0, 40, 130)
    with env.begin() as txn:
        for threads in range(1, 9):
            found = txn.take(numbers, "i4", 40_000, threads=threads, key_format="key %05d")
            assert np.array_equal(found, table[numbers])
            out = np.empty((130, 40_000), "i4")[::-1]
            txn.take(numbers, "i4", 40_000, out, threads=threads, key_format="key %05d")
            assert np.array_equal(out, table[numbers])
        assert len(txn.take(range(40), "i4", 40_000, threads=64, key_format="key %05d")) == 40
        for threads in (0, -1, 65, 2**40):
            with pytest.raises(pylmdb.InvalidParameterError, match="threads"):
                txn.take([], "i4", threads=threads)
        for threads in (1.5, "2", None):
            with pytest.raises(TypeError):
                txn.take([], "i4", threads=threads)


def test_one_transaction_in_several_threads(env):
    table = numbered(env, 200, 2000)

    def gather(seed):
        rng = np.random.default_rng(seed)
        for _ in range(15):
            numbers = rng.integers(0, 200, 100)
            try:
                found = txn.take(numbers, "i4", 2000, threads=2, key_format="key %05d")
            except pylmdb.BusyError:
                continue
            assert np.array_equal(found, table[numbers])

    with env.begin() as txn:
        in_threads(*(lambda seed=seed: gather(seed) for seed in range(4)))


# -- at random -------------------------------------------------------------------------------

NAMES = st.binary(min_size=1, max_size=12)


@pytest.mark.parametrize("reverse", [False, True])
def test_it_is_a_dict(open_env, reverse):
    env = open_env(max_dbs=1, sync=False)
    db = env.open_db(b"db", reverse_key=reverse)

    @settings(max_examples=60 * ROUNDS, deadline=None, derandomize=ROUNDS == 1)
    @given(
        st.dictionaries(NAMES, st.integers(0, 2**64 - 1), max_size=40), st.lists(NAMES), st.data()
    )
    def check(model, others, data):
        known = st.lists(st.sampled_from(sorted(model)) if model else st.nothing())
        keys = data.draw(st.permutations(others + data.draw(known)))
        with env.begin(write=True, db=db) as txn:
            for key, number in model.items():
                txn.put(key, struct.pack("<Q", number))
            found, absent = txn.take(keys, "<u8", missing="fill")
            txn.drop(db, delete=False)
        assert found.tolist() == [model.get(key, 0) for key in keys]
        assert absent.tolist() == [key not in model for key in keys]

    check()
