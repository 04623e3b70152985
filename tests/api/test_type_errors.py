# SPDX-License-Identifier: MIT
"""A TypeError of the caller's own code is not replaced by what pylmdb says about a wrong type."""

import sys

import pytest

import pylmdb


class Stubborn:
    def __index__(self):
        raise TypeError("my own")

    def __buffer__(self, flags):
        raise TypeError("my own")


@pytest.fixture
def read(env):
    with env.begin() as txn:
        yield txn


CALLS = {
    "open": lambda txn, value: pylmdb.open("e", map_size=value),
    "range": lambda txn, value: txn.range(limit=value),
    "Map": lambda txn, value: pylmdb.Map(txn.env, key="int").get(value),
}
NEEDS_BUFFER = {
    "get": lambda txn, value: txn.get(value),
    "range from": lambda txn, value: [*txn.range(value)],
    "count": lambda txn, value: txn.count(value),
    "get_many": lambda txn, value: txn.get_many([value]),
}
if sys.version_info >= (3, 12):
    CALLS.update(NEEDS_BUFFER)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_an_error_of_the_callers_code_is_not_replaced(read, call):
    with pytest.raises(TypeError, match=r"^my own$"):
        call(read, Stubborn())


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_an_object_of_a_wrong_type_is_refused_in_words(read, call):
    with pytest.raises(TypeError, match=r"must be .*, not object|bytes-like object.* 'object'"):
        call(read, object())
