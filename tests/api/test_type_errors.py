# SPDX-License-Identifier: MIT
"""Arguments of a wrong type: what pylmdb says, which does not replace a TypeError of the caller's
own code.  Above all sizes and counts that are text or floats, and descriptors that are bools."""

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


WRONG = [
    ("1GB", "str ('1GB')"),
    (b"1", "bytes (b'1')"),
    (1e9, "float (1000000000.0)"),
    ([], "list"),
]
A_SIZE = ", a number of bytes such as 1 << 30 for 1 GiB"
INTEGERS = {
    "map_size": lambda txn, value: pylmdb.open("e", map_size=value),
    "max_map_size": lambda txn, value: pylmdb.open("e", max_map_size=value),
    "page_size": lambda txn, value: pylmdb.open("e", page_size=value),
    "max_dbs": lambda txn, value: pylmdb.open("e", max_dbs=value),
    "max_readers": lambda txn, value: pylmdb.open("e", max_readers=value),
    "max_spare_txns": lambda txn, value: pylmdb.open("e", max_spare_txns=value),
    "lib_version": lambda txn, value: pylmdb.version(lib_version=value),
    "map_size of set_mapsize": lambda txn, value: txn.env.set_mapsize(value),
    "copyfd: fd": lambda txn, value: txn.env.copyfd(value),
    "wait: after": lambda txn, value: txn.env.wait(value),
    "max_pending": lambda txn, value: txn.env.writer(max_pending=value),
    "max_pending of a process": lambda txn, value: pylmdb.writer_process("e", max_pending=value),
    "range: limit": lambda txn, value: txn.range(limit=value),
    "reserve: nbytes": lambda txn, value: txn.reserve(b"k", value),
    "dupfixed_bytes": lambda txn, value: txn.cursor().getmulti([], True, value),
}
MEANS = dict.fromkeys(["map_size", "max_map_size", "reserve: nbytes"], A_SIZE) | {
    "page_size": ", a number of bytes such as 4096",
    "copyfd: fd": ", a file descriptor",
    "wait: after": ", the number of a transaction",
    "range: limit": " of at least 0",
}


@pytest.mark.parametrize("label", INTEGERS)
def test_a_size_or_count_that_is_text_or_a_float(read, label):
    name = label.partition(" of ")[0]
    for value, shown in WRONG:
        with pytest.raises(TypeError) as caught:
            INTEGERS[label](read, value)
        assert str(caught.value) == f"{name} must be an integer{MEANS.get(name, '')}, not {shown}"


def test_a_long_text_for_a_size_is_cut(read):
    with pytest.raises(TypeError, match=f"not str .'{64 * '1'}'.$"):
        read.env.set_mapsize("1" * 10_000)


@pytest.mark.parametrize("fd", [True, False])
def test_a_bool_is_not_a_descriptor(read, fd):
    with pytest.raises(TypeError, match=r"^copyfd: fd must be .* descriptor, not bool"):
        read.env.copyfd(fd)
    with pytest.raises(TypeError, match=r"^backup: dest must be .*, not bool$"):
        read.env.backup(fd)
