# SPDX-License-Identifier: MIT
"""Records of fixed size with numbered keys, for the tests of take()."""

import pytest

np = pytest.importorskip("numpy")

RNG = np.random.default_rng(1)


def fill(env, records, db=None):
    with env.begin(write=True, db=db) as txn:
        for key, value in records.items():
            txn.put(key, bytes(value))


def rows(count, size=4):
    return RNG.integers(0, 2**31, (count, size), np.int32)


def numbered(env, count=300, size=4, key=b"key %05d"):
    """Make records of ``size`` int32 each; return their values as the rows of an array."""
    table = rows(count, size)
    fill(env, {key % i: table[i].tobytes() for i in range(count)})
    return table
