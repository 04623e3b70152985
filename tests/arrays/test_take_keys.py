# SPDX-License-Identifier: MIT
"""take(): the kinds of keys that it accepts."""

import struct

import numpy as np
import pytest
from numbered import RNG, fill, numbered, rows

import pylmdb


@pytest.fixture
def env(open_env):
    """Return a new environment that does not wait for the disk."""
    return open_env(max_dbs=8, sync=False)


PICKED = [5, 299, 0, 17, 17, 298, 5, 123]


def test_keys_as_bytes(env):
    table = numbered(env)
    names = [b"key %05d" % i for i in PICKED]
    width = len(names[0])
    given = [
        names, tuple(names), [bytearray(name) for name in names], [memoryview(n) for n in names],
        [names[0], *map(bytearray, names[1:])], [np.bytes_(name) for name in names],
        np.array(names), np.array(names).astype("S20"), np.array(names, f"V{width}"),
        np.array(names).view("u1").reshape(-1, width), np.array(names, object).tolist(),
        np.array([[n, n] for n in names])[:, 0], np.array(names[::-1])[::-1],
        np.asfortranarray(np.array(names).view("u1").reshape(-1, width)),
        np.array(names).view("u1").reshape(-1, width)[::-1][::-1],
        [memoryview(b"".join(bytes([c, 0]) for c in name))[::2] for name in names],
    ]  # fmt: skip
    with env.begin() as txn:
        for keys in given:
            found = txn.take(keys, np.int32, (4,))
            assert found.dtype == np.int32
            assert found.flags.owndata
            assert np.array_equal(found, table[PICKED])
        assert np.array_equal(txn.take((n for n in names), "i4", 4), table[PICKED])


def test_keys_of_several_widths(env):
    names = [b"a", b"ab", b"abc", b"b" * 300, b"\x00", b"\x00\x00", b"a\x00", b"a\x00\x00b"]
    table = rows(len(names))
    fill(env, dict(zip(names, table, strict=True)))
    order = [3, 0, 7, 5, 4, 6, 1, 2, 0]
    with env.begin() as txn:
        assert np.array_equal(txn.take([names[i] for i in order], "i4", 4), table[order])
        # the elements of S arrays end before the zeros that fill them up
        short = np.array([b"ab", b"b" * 300, b"a", b"abc"])
        assert np.array_equal(txn.take(short, "i4", 4), table[[1, 3, 0, 2]])
        assert np.array_equal(txn.take(np.array([b"a\x00"]), "i4", 4), table[[0]])
        assert np.array_equal(txn.take(np.array([b"a\x00"], "V2"), "i4", 4), table[[6]])
        assert np.array_equal(txn.take(np.array([[0, 0]], np.uint8), "i4", 4), table[[5]])


def test_numbers_are_8_bytes_with_the_highest_first(env):
    numbers = [0, 1, 255, 256, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1]
    table = rows(len(numbers))
    fill(env, {struct.pack(">Q", n): row for n, row in zip(numbers, table, strict=True)})
    order = [8, 0, 3, 7, 2, 5, 6, 4, 1, 8]
    with env.begin() as txn:
        keys = [numbers[i] for i in order]
        for given in (keys, tuple(keys), np.array(keys, np.uint64), [np.uint64(n) for n in keys]):
            assert np.array_equal(txn.take(given, "i4", 4), table[order])
        for dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i2", ">i4", ">u8"):
            assert np.array_equal(txn.take(np.array([1, 0, 1], dtype), "i4", 4), table[[1, 0, 1]])
        assert np.array_equal(txn.take(np.arange(4)[::-3], "i4", 4, missing="fill")[1], [1, 0])
        assert np.array_equal(txn.take(range(1, -1, -1), "i4", 4), table[[1, 0]])
        for wrong in ([2**64], [2**63, -1], range(2**64 - 1, 2**64 + 2), [-(2**63) - 1, 1]):
            with pytest.raises(pylmdb.InvalidParameterError, match="integers of one type"):
                txn.take(wrong, "i4", 4)
        assert txn.take(range(2**63 - 1, 2**63 + 1), "i4", 4).tolist() == table[[6, 7]].tolist()
        for negative in ([-1], np.array([3, -5]), range(-2, 0)):
            with pytest.raises(pylmdb.InvalidParameterError, match="unsigned integer of 8 bytes"):
                txn.take(negative, "i4", 4)


@pytest.mark.parametrize("width", [4, 8])
def test_numbers_in_databases_of_integer_keys(env, width):
    db = env.open_db(b"numbers", integerkey=True)
    numbers = [0, 1, 7, 255, 256, 65536, 2**32 - 1] + [2**32, 2**63, 2**64 - 1] * (width == 8)
    table = rows(len(numbers))
    pack = {4: "=I", 8: "=Q"}[width]
    fill(env, {struct.pack(pack, n): r for n, r in zip(numbers, table, strict=True)}, db)
    order = RNG.permutation(len(numbers))
    with env.begin(db=db) as txn:
        keys = [numbers[i] for i in order]
        for given in (keys, np.array(keys, np.uint64), [struct.pack(pack, n) for n in keys]):
            assert np.array_equal(txn.take(given, "i4", 4), table[order])
        for dtype in ("u1", "i2", "i4", "u4", "i8", "u8", ">u4", ">u8"):
            assert np.array_equal(txn.take(np.array([7, 0, 1], dtype), "i4", 4), table[[2, 0, 1]])
        assert np.array_equal(txn.take(range(2), "i4", 4, db=db), table[[0, 1]])
        for wrong in ([-1], [2**32] * (width == 4) or [-7]):
            with pytest.raises(pylmdb.InvalidParameterError, match=f"integer of {width} bytes"):
                txn.take(wrong, "i4", 4)
        with pytest.raises(pylmdb.BadValsizeError):
            txn.take([struct.pack(pack, 1)[1:]], "i4", 4)
        with pytest.raises(pylmdb.BadValsizeError):
            txn.take([struct.pack("=I" if width == 8 else "=Q", 1)], "i4", 4)


def test_numbers_in_an_empty_database_of_integer_keys(env):
    db = env.open_db(b"numbers", integerkey=True)
    with env.begin(db=db) as txn:
        for dtype in ("u4", "i8", "u1"):
            found, absent = txn.take(np.array([1, 2], dtype), "i4", missing="fill")
            assert found.tolist() == [0, 0]
            assert absent.tolist() == [True, True]


FORMATS = ["%d", "%08d", "%8d", "%1d", "%01d", "%0d", "x%d", "%dx", "key %05d of %%", "%%%d%%",
           "%30d", "%030d", "%%d %d", "\u043a-%03d", "%00008d", "a\n%3d\n"]  # fmt: skip


def test_key_formats(env):
    numbers = [0, 1, -1, 9, 10, 12345678, 123456789, -12345678, 2**63 - 1, -(2**63), 7, -99]
    table = rows(len(numbers))
    order = RNG.permutation(len(numbers))
    for form in FORMATS:
        fill(env, {(form % n).encode(): r for n, r in zip(numbers, table, strict=True)})
        with env.begin(write=True) as txn:
            keys = [numbers[i] for i in order]
            for given in (keys, np.array(keys), np.array(keys, ">i8")):
                for text in (form, form.encode()):
                    found = txn.take(given, "i4", 4, key_format=text)
                    assert np.array_equal(found, table[order])
            assert np.array_equal(txn.take(range(2), "i4", 4, key_format=form), table[:2])
            assert txn.take([], "i4", 4, key_format=form).shape == (0, 4)
            txn.drop(env.open_db(), delete=False)


def test_wrong_key_formats(env):
    with env.begin() as txn:
        wrong = [
            "",
            "%",
            "%s",
            "%x",
            "%u",
            "%i",
            "%ld",
            "%-5d",
            "%+d",
            "% d",
            "%#d",
            "%5.3d",
            "%*d",
        ]
        wrong += ["%d%d", "%d%", "%%d", "%%", "%%%", "%(a)d", "%08x", "%d %s", "%d\x00%", "%99999d"]
        for form in wrong:
            for text in (form, form.encode()):
                with pytest.raises(pylmdb.InvalidParameterError, match="key_format"):
                    txn.take([1], "i4", key_format=text)
        with pytest.raises(pylmdb.InvalidParameterError, match=r"2\*\*63"):
            txn.take(np.array([2**63], np.uint64), "i4", key_format="%d")
        for keys in ([b"1"], np.array([1.0]), [[1, 2]], [True], np.array(["1"])):
            with pytest.raises(TypeError, match="integers"):
                txn.take(keys, "i4", key_format="%d")
        for form in (5, 5.0):
            with pytest.raises((TypeError, pylmdb.InvalidParameterError)):
                txn.take([1], "i4", key_format=form)


def test_keys_that_are_none(env):
    with env.begin() as txn:
        for keys in (b"key", "key", bytearray(b"key"), memoryview(b"key"), ["a"], 7, None, [None],
                     [1, b"a"], [1.5], np.array(["a"]), np.array([1.5]), np.array([None]),
                     np.zeros(3, "M8[s]"), np.array([True])):  # fmt: skip
            with pytest.raises(TypeError):
                txn.take(keys, "i4")
        for keys in (
            np.zeros((2, 2)),
            np.zeros((2, 2, 2), np.uint8),
            np.array(b"key"),
            np.array(5),
        ):
            with pytest.raises(pylmdb.InvalidParameterError, match="dimension"):
                txn.take(keys, "i4")
        for keys in ([b""], [b"a", b""], np.zeros(3, "S4"), np.zeros((2, 0), np.uint8)):
            with pytest.raises(pylmdb.BadValsizeError):
                txn.take(keys, "i4")


def test_empty_batches(env):
    numbered(env, 3)
    with env.begin() as txn:
        for keys in ([], (), range(0), np.empty(0, "S5"), np.empty(0, "i8"), np.empty((0, 3), "u1"),
                     np.empty(0, "V3")):  # fmt: skip
            for threads in (1, 4):
                assert txn.take(keys, "f4", (2, 3), threads=threads).shape == (0, 2, 3)
                found, absent = txn.take(keys, "f4", missing="fill")
                assert (found.shape, absent.shape, absent.dtype) == ((0,), (0,), bool)
            out = np.empty((0, 2))
            assert txn.take(keys, "f8", 2, out) is out
