# SPDX-License-Identifier: MIT
"""Databases with integer keys, integer values and values of one size take no others."""

import struct

import pytest

import pylmdb


@pytest.mark.parametrize("width", [4, 8])
def test_integer_keys_have_one_width(env, width):
    db = env.open_db(b"db", integerkey=True)
    pack = struct.Struct({4: "=I", 8: "=Q"}[width]).pack
    numbers = [0, 1, 255, 256, 65536, 2**31]
    with env.begin(db, write=True) as txn:
        for number in reversed(numbers):
            txn.put(pack(number), b"%d" % number)
        assert list(txn.range(keys=False)) == [b"%d" % number for number in numbers]
        for wrong in (b"", b"1", b"123", bytes(12 - width), bytes(16)):
            for use in (
                lambda key=wrong: txn.put(key, b"v"),
                lambda key=wrong: txn.get(key),
                lambda key=wrong: txn.delete(key),
                lambda key=wrong: txn.pop(key),
                lambda key=wrong: txn.replace(key, b"v"),
                lambda key=wrong: txn.cursor().set_key(key),
                lambda key=wrong: txn.cursor().get(key),
                lambda key=wrong: txn.cursor().put(key, b"v"),
                lambda key=wrong: txn.cursor().getmulti([key]),
                lambda key=wrong: txn.cursor().set_range(key) if key else txn.get(key),
            ):
                with pytest.raises(pylmdb.BadValsizeError):
                    use()
        assert txn.stat().entries == len(numbers)


@pytest.mark.parametrize("options", [{"dupfixed": True}, {"integerdup": True}])
def test_fixed_size_values_have_one_width(env, options):
    db = env.open_db(b"db", **options)
    with env.begin(db, write=True) as txn:
        txn.put(b"k", b"1234")
        for wrong in (b"", b"123", b"12345678"):
            for use in (
                lambda value=wrong: txn.put(b"k", value),
                lambda value=wrong: txn.put(b"other", value),
                lambda value=wrong: txn.delete(b"k", value or b"1"),
                lambda value=wrong: txn.replace(b"k", value),
                lambda value=wrong: txn.cursor().put(b"k", value),
                lambda value=wrong: txn.cursor().putmulti([(b"k", value)]),
                lambda value=wrong: txn.cursor().set_key_dup(b"k", value),
                lambda value=wrong: txn.cursor().set_range_dup(b"k", value),
            ):
                with pytest.raises(pylmdb.BadValsizeError):
                    use()
        assert list(txn.range()) == [(b"k", b"1234")], "a refused call changes nothing"


@pytest.mark.parametrize("width", [1, 2, 3, 5, 16])
def test_integer_values_have_4_or_8_bytes(env, width):
    db = env.open_db(b"db", integerdup=True)
    with env.begin(db, write=True) as txn, pytest.raises(pylmdb.BadValsizeError):
        txn.put(b"k", bytes(width))


def test_integer_values_are_in_their_order(env):
    db = env.open_db(b"db", integerdup=True)
    numbers = [0, 1, 255, 256, 2**40]
    with env.begin(db, write=True) as txn:
        for number in reversed(numbers):
            txn.put(b"k", struct.pack("=Q", number))
        got = [struct.unpack("=Q", value)[0] for value in txn.range(keys=False)]
    assert got == numbers


def test_values_too_long_for_duplicates(env):
    db = env.open_db(b"db", dupsort=True)
    with env.begin(db, write=True) as txn:
        with pytest.raises(pylmdb.BadValsizeError):
            txn.put(b"k", b"v" * (env.max_key_size() + 1))
        assert txn.put(b"k", b"v" * env.max_key_size())


def test_reversed_keys_are_ordered_from_their_end(env):
    db = env.open_db(b"db", reverse_key=True)
    with env.begin(db, write=True) as txn:
        for key in (b"ba", b"ab", b"aa"):
            txn.put(key, b"")
        assert list(txn.range(values=False)) == [b"aa", b"ba", b"ab"]
