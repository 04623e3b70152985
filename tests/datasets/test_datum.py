# SPDX-License-Identifier: MIT
"""Caffe's Datum: the same bytes as the protobuf runtime writes, and the same values as it reads."""

import os
import random

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from protobuf_datum import Datum, LargerDatum, PackedDatum

import pylmdb
from pylmdb.datasets import datum

ROUNDS = int(os.environ.get("PYLMDB_FUZZ_ROUNDS", "3000"))
IMAGE = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
LABELS = [None, 0, 1, 127, 128, 300, 2**31 - 1, -1, -(2**31)]


def theirs(array=None, label=None, encoded=False, cls=Datum):
    message = cls()
    if encoded:
        message.data, message.encoded = array, True
    else:
        message.channels, message.height, message.width = array.shape
        if array.dtype == np.uint8:
            message.data = array.tobytes()
        else:
            message.float_data.extend(array.astype(np.float32).flat)
    if label is not None:
        message.label = label
    return message.SerializeToString(deterministic=True)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(
    "array",
    [
        IMAGE,
        IMAGE[:, ::-1, ::2],
        IMAGE.transpose(2, 0, 1),
        np.zeros((3, 200, 300), np.uint8),
        np.zeros((1, 1, 1), np.uint8),
        np.zeros((3, 0, 5), np.uint8),
        IMAGE.astype(np.float32) / 3,
        IMAGE.astype(np.float64)[::-1],
        IMAGE.astype(np.int16) - 12,
    ],
    ids=lambda array: f"{array.dtype}-{'x'.join(map(str, array.shape))}",
)
def test_what_is_written_is_what_protobuf_writes(array, label):
    value = datum.encode(array, label)
    assert value == theirs(array, label)
    image, found = datum.decode(value)
    assert image.shape == array.shape
    assert image.dtype == (np.uint8 if array.dtype == np.uint8 else np.float32)
    assert np.array_equal(image, array.astype(np.float32))
    assert found == label


@pytest.mark.parametrize("label", LABELS)
def test_encoded_images(label):
    value = datum.encode(b"\xff\xd8 a jpeg", label, encoded=True)
    assert value == theirs(b"\xff\xd8 a jpeg", label, encoded=True)
    assert datum.decode(value) == (b"\xff\xd8 a jpeg", label)


def test_labels_of_numpy_are_numbers():
    assert datum.encode(IMAGE, np.int64(-7)) == theirs(IMAGE, -7)
    assert datum.encode(IMAGE, np.uint8(200)) == theirs(IMAGE, 200)


def test_decoding_copies_nothing():
    value = bytearray(datum.encode(IMAGE, 1))
    image, _ = datum.decode(value)
    value[value.index(IMAGE.tobytes())] = 99
    assert image[0, 0, 0] == 99
    assert not datum.decode(bytes(value))[0].flags.writeable
    view, _ = datum.decode(memoryview(datum.encode(b"jpeg", 1, encoded=True)))
    assert isinstance(view, memoryview)
    assert view.readonly
    packed = theirs(IMAGE / np.float32(2), cls=PackedDatum)
    assert datum.decode(bytearray(packed))[0].flags.writeable


def test_a_value_in_the_map_is_shown(env):
    with env.begin(write=True) as txn:
        txn.put(b"00000000", datum.encode(np.tile(IMAGE, (1, 50, 50)), 5))
    with env.begin() as txn:
        image, label = datum.decode(txn.view(b"00000000"))
    assert (label, image.shape) == (5, (2, 150, 200))
    assert not image.flags.owndata
    assert env.info().pinned == 1


def test_floats_packed_or_not():
    floats = (IMAGE - np.float32(7.5)) / 3
    packed = theirs(floats, 4, cls=PackedDatum)
    assert len(packed) < len(theirs(floats, 4))
    mixed = packed + theirs(np.ones((2, 3, 4), np.float32))[6:]
    for value in (packed, theirs(floats, 4)):
        assert np.array_equal(datum.decode(value)[0], floats)
    assert datum.parse(mixed).float_data.tolist() == floats.reshape(-1).tolist() + [1.0] * 24


def test_doubles_beyond_float32_are_infinite():
    assert datum.decode(datum.encode(np.full((1, 1, 1), 1e300)))[0] == np.inf


def test_unknown_fields_are_skipped_and_the_last_one_counts():
    message = LargerDatum(a=["x" * 300, ""], b=1, c=2, d=2**64 - 1)
    more = message.SerializeToString()
    group = b"\x9b\x06\x08\x01\xa3\x06\xa4\x06\x9c\x06"  # 99, and 100 within it
    value = more + datum.encode(np.zeros((2, 3, 4), np.uint8), 1) + group + datum.encode(IMAGE, 9)
    assert Datum.FromString(value).label == 9
    image, label = datum.decode(value + more + group)
    assert label == 9
    assert np.array_equal(image, IMAGE)


def test_numbers_may_be_longer_than_they_need_be():
    value = theirs(IMAGE[:1, :1, :1] / np.float32(2), 3)
    assert value.count(b"\x35") == value.count(b"\x28\x03") == 1
    value = value.replace(b"\x35", b"\xb5\x80\x00").replace(b"\x28\x03", b"\xa8\x00\x83\x80\x00")
    assert Datum.FromString(value).float_data == [0]
    image, label = datum.decode(value)
    assert (image.tolist(), label) == ([[[0.0]]], 3)


def test_data_goes_before_floats():
    value = theirs(np.ones((2, 3, 4), np.float32)) + datum.encode(IMAGE)
    assert datum.decode(value)[0].dtype == np.uint8


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x08",
        b"\x08\x03\x10\x05\x18\x07",
        b"\x08\x03\x10\x01\x18\x01\x22\x02ab",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01\x18\x01\x22\x01a",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x22\x05abc",
        b"\x22\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x35\x00\x00",
        b"\x32\x03abc",
        b"\x00\x00",
        b"\x0c",
        b"\x0b\x14",
        b"\x0b",
        b"\x0b" * 200 + b"\x0c" * 200,
        b"\x0f\x00",
        b"\xff\xff\xff\xff\xff\xff",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|u1'}",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
    ],
)
def test_what_is_no_datum_is_refused_in_words(value):
    with pytest.raises(pylmdb.InvalidParameterError, match="Datum"):
        datum.decode(value)


@pytest.mark.parametrize(
    ("array", "label", "error", "words"),
    [
        (IMAGE[0], None, pylmdb.InvalidParameterError, "shape"),
        (IMAGE[None], None, pylmdb.InvalidParameterError, "shape"),
        (IMAGE, 2**31, pylmdb.InvalidParameterError, "int32"),
        (IMAGE, -(2**31) - 1, pylmdb.InvalidParameterError, "int32"),
        (IMAGE, "cat", TypeError, "integer"),
        (IMAGE, 1.5, TypeError, "integer"),
        (IMAGE.astype(np.int64), None, TypeError, "astype"),
        (IMAGE.astype(complex), None, TypeError, "astype"),
        (IMAGE.astype(object), None, TypeError, "astype"),
    ],
)
def test_what_a_datum_cannot_hold(array, label, error, words):
    with pytest.raises(error, match=words):
        datum.encode(array, label)


def test_encoded_means_bytes():
    with pytest.raises(TypeError, match="bytes"):
        datum.encode("text", encoded=True)


def mutants(count):
    """Messages with bytes changed, cut out, doubled and put in."""
    chance = random.Random(1)
    seeds = [
        datum.encode(IMAGE, -5),
        datum.encode(IMAGE / 2, 70000),
        theirs(IMAGE / np.float32(2), 3, cls=PackedDatum),
        datum.encode(b"jpeg" * 9, 1, encoded=True) + b"\x38\x00",
        LargerDatum(a=["x"], b=1, d=9, label=3).SerializeToString() + b"\x9b\x06\x08\x01\x9c\x06",
    ]
    for _ in range(count):
        value = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(value) + 1)
            kind = chance.randrange(4)
            if kind == 0 and at < len(value):
                value[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
            elif kind == 1:
                del value[at : at + chance.randint(1, 9)]
            elif kind == 2:
                value[at:at] = chance.randbytes(chance.randint(1, 5))
            else:
                value += chance.choice(seeds)[: chance.randrange(40)]
        yield bytes(value)


def same_floats(ours, theirs):
    ours = np.zeros(0, np.float32) if ours is None else ours
    return np.array_equal(ours, np.array(theirs, np.float32), equal_nan=True)


def test_mutants_are_read_as_protobuf_reads_them():
    """Messages that protobuf refuses are refused; others give the same values."""
    read = refused = 0
    for value in mutants(ROUNDS):
        try:
            message = Datum.FromString(value)
        except DecodeError:
            with pytest.raises(pylmdb.InvalidParameterError):
                datum.parse(value)
            refused += 1
            continue
        found = datum.parse(value)
        for name in ("channels", "height", "width", "encoded"):
            assert getattr(found, name) == getattr(message, name), (name, value)
        assert found.label == (message.label if message.HasField("label") else None)
        assert found.data == message.data
        assert same_floats(found.float_data, message.float_data)
        read += 1
    assert min(read, refused) > ROUNDS // 20


def test_a_mutant_is_an_image_or_refused():
    for value in mutants(ROUNDS):
        try:
            image, label = datum.decode(value)
        except pylmdb.InvalidParameterError:
            continue
        assert label is None or -(2**31) <= label < 2**31
        assert isinstance(image, memoryview) or image.ndim == 3


def test_a_hostile_message_costs_no_more_than_it_is_long():
    """Floats and other fields in turn; groups in groups."""
    value = b"\x35abcd\x08\x01" * 30_000
    assert len(datum.parse(value).float_data) == 30_000
    with pytest.raises(pylmdb.InvalidParameterError, match="nested"):
        datum.parse(b"\x9b\x06" * 300_000)


def test_an_axis_without_end_and_without_data():
    """A loop over it would not end, because no data limits it."""
    sizes = b"\x08" + b"\xff" * 4 + b"\x07" + b"\x10\x00" + b"\x18\x05"
    assert datum.parse(sizes)[:3] == (2**31 - 1, 0, 5)
    with pytest.raises(pylmdb.InvalidParameterError, match="2147483647 elements without data"):
        datum.decode(sizes)
