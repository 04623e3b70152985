# SPDX-License-Identifier: MIT
"""Pickles of plain data are read, whichever program wrote them; all others are refused."""

import collections
import contextlib
import pickle
import random
import tracemalloc

import numpy as np
import pytest

import pylmdb
from pylmdb.datasets._plain_pickle import loads

PLAIN = [
    None, True, 0, -1, 10**40, 1.5, "wörd", b"\x00\xff", b"", bytearray(b"x"), 2j,
    (), (1,), [1, [2, [3]]], {"a": {b"b": (1, 2)}}, {1, 2}, frozenset({3}),
    [b"%d" % i for i in range(1000)],
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("data", PLAIN, ids=lambda data: repr(data)[:20])
def test_plain_data(data, protocol):
    found = loads(pickle.dumps(data, protocol))
    assert found == data
    assert type(found) is type(data)


REFUSED = {
    "a function": pickle.dumps(print),
    "a class": pickle.dumps(collections.OrderedDict(a=1)),
    "an array": pickle.dumps(np.arange(3)),
    "a call of eval": b"cbuiltins\neval\n(S'1'\ntR.",
    "a call of getattr": b"c__builtin__\ngetattr\n(S'1'\nS'join'\ntR.",
    "another encoding": b"c_codecs\nencode\n(S'1'\nS'hex'\ntR.",
    "an encoding of no text": b"c_codecs\nencode\n(I5\nS'latin1'\ntR.",
    "bytes of a number": b"c__builtin__\nbytes\n(I1000000000000\ntR.",
    "a bytearray of a number": b"c__builtin__\nbytearray\n(I1000000000000\ntR.",
    "a persistent object": b"P0\n.",
    "an extension": b"\x82\x01.",
    "attributes of an attribute": b"\x80\x04\x8c\x08builtins\x8c\x0dset.__class__\x93.",
    "state for a set": b"c__builtin__\nset\n)R(dS'a'\nI1\nsb.",
    "more bytes than memory": b"\x8e" + b"\xff" * 8 + b"x.",
    "an empty stack": b".",
    "no end": b"(",
    "nothing": b"",
    "no pickle": b"hello",
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused(name):
    with pytest.raises(pylmdb.InvalidParameterError, match="not a pickle of plain data"):
        loads(REFUSED[name])


def test_claims_of_size_take_no_memory():
    assert loads(b"]r\xff\xff\xff\xff.") == []
    assert loads(b"\x80\x04\x95" + b"\xff" * 7 + b"\x7fN.") is None


def test_deep_nests_end():
    with pytest.raises(pylmdb.InvalidParameterError):
        loads(b"(" * 100_000 + b"t" * 100_000 + b"0.")


def test_damaged_pickles_are_refused_or_read():
    rng = random.Random(1)
    good = pickle.dumps([(b"%d" % i, i, {"x": 1.5}) for i in range(20)])
    for _ in range(3000):
        raw = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        with contextlib.suppress(pylmdb.InvalidParameterError):
            loads(bytes(raw[: rng.randint(1, len(raw))]))


def test_a_bytearray_takes_no_memory_for_a_claimed_size():
    tracemalloc.start()
    with pytest.raises(pylmdb.InvalidParameterError, match="not a pickle of plain data"):
        loads(b"\x80\x05\x96" + (1 << 28).to_bytes(8, "little") + b"short")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_content_is_not_copied_again_and_again():
    content = b"X" + (100_000).to_bytes(4, "little") + b"x" * 100_000 + b"q\x00"
    copy = b"c__builtin__\nbytearray\nq\x01h\x00U\x07latin-1\x86R"
    again = b"h\x01h\x00U\x07latin-1\x86R"
    assert len(loads(content + b"0" + copy + b".")) == 100_000
    with pytest.raises(pylmdb.InvalidParameterError, match="makes more than it holds"):
        loads(b"(" + content + copy + again * 1000 + b"t.")
