# SPDX-License-Identifier: MIT
"""Whether keys exist: ``key in txn`` and ``txn.has_many(keys)``."""

import itertools
import random
import struct

import numpy as np
import pytest

import pylmdb


@pytest.fixture
def filled(env):
    with env.begin(write=True) as txn:
        for i in range(0, 3000, 3):
            txn.put(b"%06d" % i, b"v")
        txn.put(b"large", b"v" * 100_000)
        txn.put(b"zeros\0\0", b"v")
    return env


@pytest.mark.parametrize("write", [False, True])
def test_one_key(filled, write):
    with filled.begin(write=write, buffers=write) as txn:
        assert b"000003" in txn
        assert b"000004" not in txn
        assert bytearray(b"large") in txn
        assert memoryview(b"l-a-r-g-e-")[::2] in txn
        if write:
            txn.delete(b"000003")
            txn.put(b"000004", b"")
            assert (b"000003" in txn, b"000004" in txn) == (False, True)


def test_it_is_the_database_of_the_transaction(env):
    db = env.open_db(b"db", dupsort=True)
    with env.begin(write=True, db=db) as txn:
        txn.put(b"k", b"1")
        txn.put(b"k", b"2")
        assert b"k" in txn
        assert b"db" not in txn
        main = env.open_db(None, txn=txn)
        assert txn.has_many([b"k"], main) == [False]
        assert txn.has_many([b"k"], db=db) == [True]


def test_one_key_of_an_ended_transaction(env):
    txn = env.begin()
    txn.abort()
    for ask in (lambda: b"k" in txn, lambda: txn.has_many([b"k"])):
        with pytest.raises(pylmdb.ClosedError):
            ask()


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("count", [0, 1, 5, 64, 65, 2000])
def test_many_keys(filled, write, count):
    rng = random.Random(count)
    numbers = [rng.randrange(3500) for _ in range(count)]
    keys = [b"%06d" % number for number in numbers]
    expected = [number < 3000 and number % 3 == 0 for number in numbers]
    with filled.begin(write=write) as txn:
        for given in (keys, iter(keys), tuple(map(bytearray, keys))):
            assert txn.has_many(given) == expected
        for array in (
            np.array(keys, "S6"),
            np.array(keys, "V6"),
            np.frombuffer(b"".join(keys), np.uint8).reshape(count, 6),
        ):
            found = txn.has_many(array)
            assert (found.dtype, found.shape) == (np.bool_, (count,))
            assert found.tolist() == expected
        found = txn.has_many(np.array(numbers, np.int32), key_format="%06d")
        assert found.dtype == np.bool_
        assert found.tolist() == expected == txn.has_many(numbers, key_format="%06d")


def test_large_values_and_keys_that_end_in_zeros(filled):
    with filled.begin() as txn:
        keys = [b"large", b"zeros\0\0", b"zeros", b"large"]
        assert txn.has_many(keys) == [True, True, False, True]
        with pytest.raises(TypeError, match="not of dtype object"):
            txn.has_many(np.array(keys, object))


def test_integers(env):
    numbers = env.open_db(b"numbers", integerkey=True)
    with env.begin(write=True) as txn:
        for i in (2, 300, 70_000):
            txn.put(struct.pack("=I", i), b"", db=numbers)
            txn.put(i.to_bytes(8, "big"), b"")
        for db, keys in itertools.product((numbers, None), ([2, 3, 300, 70_000], [3], [])):
            expected = [key != 3 for key in keys]
            assert txn.has_many(np.array(keys, np.int64), db).tolist() == expected
        assert (
            txn.has_many(range(4), numbers) == txn.has_many(range(4)) == [False, False, True, False]
        )


def test_a_sequence_with_a_dtype_gives_a_list(filled):

    class Series(list):
        dtype = "S6"

    with filled.begin() as txn:
        assert txn.has_many(Series([b"000003", b"x"])) == [True, False]


def test_the_iterable_may_use_the_transaction(filled):
    with filled.begin(write=True) as txn:

        def keys():
            txn.put(b"new", b"v")
            yield b"new"
            txn.delete(b"new")
            yield b"000003"

        assert txn.has_many(keys()) == [False, True], "keys are taken before the first lookup"


def test_an_iterable_that_ends_the_transaction(filled):
    txn = filled.begin()

    def keys():
        yield b"000003"
        txn.abort()

    with pytest.raises(pylmdb.ClosedError):
        txn.has_many(keys())
