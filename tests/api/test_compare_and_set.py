# SPDX-License-Identifier: MIT
"""put(if_value=): compare and set, in transactions, in a Writer and in aio."""

import asyncio
import threading

import pytest

import pylmdb
from pylmdb import aio


def test_a_value_is_replaced_only_if_it_is_the_expected_one(env):
    with env.begin(write=True) as txn:
        txn.put(b"k", b"1")
        assert txn.put(b"k", b"2", if_value=b"0") is False
        assert txn.put(b"k", b"2", if_value=b"11") is False
        assert txn.put(b"k", b"2", if_value=b"") is False
        assert txn.get(b"k") == b"1"
        assert txn.put(b"k", b"2", if_value=b"1") is True
        assert txn.get(b"k") == b"2"
        assert txn.put(b"new", b"2", if_value=b"") is False
        assert txn.get(b"new") is None


def test_none_means_that_the_key_does_not_exist(env):
    with env.begin(write=True) as txn:
        assert txn.put(b"k", b"1", if_value=None)
        assert not txn.put(b"k", b"2", if_value=None)
        assert txn.get(b"k") == b"1"
        assert txn.put(b"empty", b"", if_value=None)
        assert not txn.put(b"empty", b"1", if_value=None)
        assert txn.put(b"empty", b"1", if_value=memoryview(b""))
        assert txn.get(b"empty") == b"1"


def test_left_out_the_value_does_not_matter(env):
    with env.begin(write=True) as txn:
        txn.put(b"k", b"1")
        assert txn.put(b"k", b"2", if_value=...)
        assert txn.get(b"k") == b"2"


@pytest.mark.parametrize("size", [10, 100_000])
def test_values_of_any_size_and_any_buffers(env, size):
    db = env.open_db(b"db")
    old, new = b"o" * size, b"n" * (size + 1)
    with env.begin(write=True) as txn:
        txn.put(b"k", old, db=db)
        other = old[:-1] + b"x"
        assert not txn.put(b"k", new, db=db, if_value=other)
        assert txn.put(memoryview(b"k"), bytearray(new), db=db, if_value=memoryview(old * 2)[::2])
        assert txn.get(b"k", db=db) == new
        assert txn.get(b"k") is None


def test_integer_keys(env):
    db = env.open_db(b"ints", integerkey=True)
    with env.begin(write=True, db=db) as txn:
        key = (7).to_bytes(8, "little")
        assert txn.put(key, b"a", if_value=None)
        assert txn.put(key, b"b", if_value=b"a")
        assert not txn.put(key, b"c", if_value=b"a")
        with pytest.raises(pylmdb.BadValsizeError):
            txn.put(b"odd", b"a", if_value=b"b")


def test_a_child_transaction_that_is_aborted_undoes_it(env):
    with env.begin(write=True) as txn:
        txn.put(b"k", b"1")
        child = env.begin(parent=txn, write=True)
        assert child.put(b"k", b"2", if_value=b"1")
        child.abort()
        assert txn.put(b"k", b"3", if_value=b"1")


def test_the_buffer_of_the_expected_value_may_end_the_transaction(env):
    txn = env.begin(write=True)

    class Ending(bytearray):
        def __buffer__(self, flags):  # called from Python 3.12 on
            txn.abort()
            return super().__buffer__(flags)

    if hasattr(bytes, "__buffer__"):
        with pytest.raises(pylmdb.ClosedError):
            txn.put(b"k", b"1", if_value=Ending(b"x"))
    txn.abort()
    with pytest.raises(pylmdb.ClosedError):
        txn.put(b"k", b"1", if_value=None)


def counted(env, add):
    """Run four threads that count to ten with ``add(old, new)``."""

    def count():
        for _ in range(10):
            done = False
            while not done:
                with env.begin() as txn:
                    old = txn.get(b"n")
                done = add(old, b"%d" % (int(old or 0) + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with env.begin() as txn:
        return txn.get(b"n")


def test_threads_that_count_lose_nothing(env):
    def add(old, new):
        with env.begin(write=True) as txn:
            return txn.put(b"n", new, if_value=old)

    assert counted(env, add) == b"40"


def test_a_writer_compares_when_it_writes(env):
    with env.writer(sync=False) as writer:
        assert counted(env, lambda old, new: writer.put(b"n", new, if_value=old).result()) == b"40"
        with pytest.raises(TypeError, match="if_value must be bytes"):
            writer.put(b"n", b"1", if_value="1")
        assert writer.put(b"n", b"1", if_value=...).result()


def test_tasks_compare_when_they_write(env):
    async def count(aenv):
        for _ in range(5):
            while True:
                old = await aenv.get(b"n")
                if await aenv.put(b"n", b"%d" % (int(old or 0) + 1), if_value=old):
                    break

    async def main():
        async with aio.wrap(env) as aenv:
            await asyncio.gather(*(count(aenv) for _ in range(4)))
            async with aenv.begin(write=True) as txn:
                assert not await txn.put(b"n", b"0", if_value=b"19")
                assert await txn.put(b"n", b"0", if_value=b"20")
            return await aenv.get(b"n")

    assert asyncio.run(main()) == b"0"
