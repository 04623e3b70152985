# SPDX-License-Identifier: MIT
"""Transaction.next_id: the number after the greatest key."""

import asyncio
import sys

import pytest

import pylmdb
from pylmdb import aio


def test_an_empty_database_begins_with_1(env):
    with env.begin(write=True) as txn:
        assert txn.next_id() == 1
        assert txn.next_id(env.open_db(b"ints", txn, integerkey=True)) == 1


@pytest.mark.parametrize("width", [4, 8])
def test_integer_keys(env, width):
    db = env.open_db(b"ints", integerkey=True)
    with env.begin(write=True, db=db) as txn:
        for expected in range(1, 400):
            assert txn.next_id() == expected
            assert txn.put(expected.to_bytes(width, sys.byteorder), b"", append=True)
        assert txn.next_id(db) == 400
        txn.delete((399).to_bytes(width, sys.byteorder))
        assert txn.next_id() == 399
        txn.put((2 ** (8 * width) - 1).to_bytes(width, sys.byteorder), b"")
        with pytest.raises(OverflowError, match=f"is the greatest key of {width} bytes"):
            txn.next_id()


@pytest.mark.parametrize("flags", [{}, {"dupsort": True}, {"reverse_key": True}])
@pytest.mark.parametrize("width", [4, 8])
def test_bytes_that_are_integers(env, flags, width):
    db = env.open_db(b"bytes", **flags)
    order = "little" if "reverse_key" in flags else "big"
    with env.begin(write=True, db=db) as txn:
        for number in (5, 255, 256, 70_000, 4):
            txn.put(number.to_bytes(width, order), b"v")
        assert txn.next_id() == 70_001


def test_decimal_digits(env):
    with env.begin(write=True) as txn:
        txn.put(b"00000000", b"")
        assert txn.next_id() == 1
        txn.put(b"00000041", b"")
        assert txn.next_id() == 42
        txn.put(b"99999999", b"")
        with pytest.raises(OverflowError, match="store numbers in longer keys"):
            txn.next_id()


def test_digits_without_zeros_never_give_a_number_that_is_taken(env):
    with env.begin(write=True) as txn:
        for number in range(1, 12):
            txn.put(b"%d" % number, b"")
        with pytest.raises(OverflowError):
            txn.next_id()


def test_keys_that_are_no_numbers(env):
    with env.begin(write=True) as txn:
        txn.put(b"apple", b"")
        with pytest.raises(pylmdb.InvalidParameterError, match="b'apple', is not a number"):
            txn.next_id()


@pytest.mark.parametrize("name", [b"abc", b"abcd", b"abcdefg", b"abcdefgh", b"12"])
def test_names_of_databases_are_no_numbers(env, name):
    env.open_db(name)
    env.open_db(name + b"\xff" * 4)
    with env.begin(write=True) as txn:
        assert txn.next_id() == 1
        txn.put(b"00000007", b"")
        assert txn.next_id() == 8
        txn.put(b"zebra", b"")
        with pytest.raises(pylmdb.InvalidParameterError, match="b'zebra', is not a number"):
            txn.next_id()


def test_only_a_writer_gets_a_number(env):
    with env.begin() as txn, pytest.raises(pylmdb.ReadonlyError, match="could take the number"):
        txn.next_id()
    with pytest.raises(pylmdb.ClosedError):
        txn.next_id()


def test_the_keys_of_a_map(env):
    numbers = pylmdb.Map(env, "map", key="uint", value="str")
    numbers[41] = "a"
    with numbers.transaction() as txn:
        assert txn.next_id() == 42


def test_coroutines(env):
    async def main():
        async with aio.wrap(env).begin(write=True) as txn:
            await txn.put((8).to_bytes(8, "big"), b"")
            return await txn.next_id()

    assert asyncio.run(main()) == 9
