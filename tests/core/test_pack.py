# SPDX-License-Identifier: MIT
"""pack_records of both cores: keys and values of an iterator in blocks of memory."""

import array
import collections
import struct
import sys

import pytest

from pylmdb._cffi_core import core as cffi_core
from pylmdb._which_core import compiled

CORES = [cffi_core, *([compiled] if compiled else [])]


@pytest.fixture(params=CORES, ids=lambda core: core.__name__)
def pack_records(request):
    return request.param.pack_records


def unpacked(packed):
    """Return the records, and the item at which it stopped."""
    columns = []
    for data, ends in (packed[:2], packed[2:4]):
        stops = struct.unpack(f"{len(ends) // struct.calcsize('N')}N", ends)
        columns.append([data[a:b] for a, b in zip((0, *stops), stops, strict=False)])
        assert len(data) == (stops[-1] if stops else 0)
    return [*zip(*columns, strict=True)], packed[4]


def test_all_records(pack_records):
    records = [(b"k" * (i % 5), b"v" * (i % 300)) for i in range(2000)]
    assert unpacked(pack_records(iter(records), 1 << 30)) == (records, None)
    assert unpacked(pack_records(iter([]), 1)) == ([], None)


def test_it_stops_when_they_have_the_size(pack_records):
    iterator = iter([(b"kk", bytes(82))] * 5)
    assert len(unpacked(pack_records(iterator, 201))[0]) == 3
    assert len(unpacked(pack_records(iterator, 200))[0]) == 2
    assert unpacked(pack_records(iterator, 200)) == ([], None)


@pytest.mark.parametrize(
    "item",
    [None, (b"k",), (b"k", b"v", b"w"), ("k", b"v"), (b"k", "v"), (1, 2), [b"k", b"v"]],
    ids=repr,
)
def test_it_stops_at_another_item(pack_records, item):
    iterator = iter([(b"a", b"1"), item, (b"b", b"2")])
    records, other = unpacked(pack_records(iterator, 1000))
    assert records == [(b"a", b"1")]
    assert other == (item,)
    assert other[0] is item
    assert unpacked(pack_records(iterator, 1000)) == ([(b"b", b"2")], None)


def test_buffers(pack_records):
    pair = collections.namedtuple("Pair", "key value")
    records = [
        (bytearray(b"a"), memoryview(b"1234")[::2]),
        pair(array.array("H", [1]), b""),
    ]
    expected = [(b"a", b"13"), ((1).to_bytes(2, sys.byteorder), b"")]
    assert unpacked(pack_records(iter(records), 1000)) == (expected, None)


def test_the_exception_of_an_iterator(pack_records):
    def failing():
        yield b"k", b"v"
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        pack_records(failing(), 1000)
