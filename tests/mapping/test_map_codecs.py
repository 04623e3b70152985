# SPDX-License-Identifier: MIT
"""Codecs of a Map: decoding returns what was encoded, and keys sort as in Python."""

import math
import pickle
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from programs import RANDOM_FACTOR

import pylmdb
from pylmdb.mapping import codecs as _codecs

RUNS = settings(max_examples=60 * RANDOM_FACTOR, deadline=None)

LETTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(LETTERS) | st.text("\0\1\2aÿ￿\U00010000", max_size=4)
BYTES = st.binary(max_size=8) | st.lists(st.sampled_from(b"\0\1\2\xff"), max_size=5).map(bytes)
EDGES = [0, 1, 255, 256, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 2**72, 2**300, 2**2039]
INTEGERS = st.integers() | st.sampled_from([sign * n + d for n in EDGES for sign in (1, -1)
                                            for d in (-1, 0, 1)])  # fmt: skip
FLOATS = st.floats(allow_nan=False)
ATOMS = {
    "none": st.none(), "bool": st.booleans(), "int": INTEGERS, "float": FLOATS, "bytes": BYTES,
    "str": TEXT,
}  # fmt: skip
ORDER = [type(None), bool, int, float, bytes, str, tuple]
# tuples of any shape
ANY = st.recursive(
    st.one_of(*ATOMS.values()), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6
)
TUPLES = st.lists(ANY, max_size=4).map(tuple)


def rank(element):
    """A key with which Python compares elements of one type; bools are 0 and 1."""
    kind = ORDER.index(type(element))
    if isinstance(element, tuple):
        return kind, tuple(map(rank, element))
    return kind, 0 if element is None else element


def same(a, b):
    """True if two values are equal, and all their elements have the same types."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("bytes", BYTES),
        ("str", TEXT),
        ("int", st.integers(-(2**63), 2**63 - 1)),
        ("uint", st.integers(0, 2**64 - 1)),
    ],
    ids=["bytes", "str", "int", "uint"],
)
def test_plain_keys_keep_their_order(name, keys):
    codec = _codecs.key_codec(name)

    @RUNS
    @given(keys, keys)
    def check(a, b):
        raw_a, raw_b = codec.encode(a), codec.encode(b)
        assert (raw_a < raw_b, raw_a == raw_b) == (a < b, a == b)
        assert same(codec.decode(raw_a), a)
        if codec.encode_prefix:
            assert raw_b.startswith(codec.encode_prefix(a)) == b.startswith(a)

    check()


def alike():
    """Two tuples whose elements have the same types, so that Python compares them."""
    shapes = st.recursive(
        st.sampled_from(sorted(ATOMS)), lambda inner: st.lists(inner, max_size=3), max_leaves=5
    )

    def of(shape):
        return ATOMS[shape] if isinstance(shape, str) else st.tuples(*map(of, shape))

    pairs = st.lists(shapes, max_size=4).flatmap(lambda shape: st.tuples(of(shape), of(shape)))
    cut = st.integers(0, 4)
    return st.tuples(pairs, cut, cut).map(lambda x: (x[0][0][: 4 - x[1]], x[0][1][: 4 - x[2]]))


@RUNS
@given(alike())
@example(((b"a",), (b"a\0",)))
@example((("a", 5), ("a\0", 3)))
@example(((-0.0,), (0.0,)))
def test_tuples_of_the_same_types_are_in_python_s_order(pair):
    a, b = pair
    codec = _codecs.key_codec("tuple")
    raw_a, raw_b = codec.encode(a), codec.encode(b)
    assert (raw_a == raw_b) == (a == b)
    try:
        smaller = a < b
    except TypeError:  # None behind None
        smaller = rank(a) < rank(b)
    assert (raw_a < raw_b) == smaller


@RUNS
@given(TUPLES, TUPLES)
@example((1,), (True,))
@example(("a", 1), ("a\0b", 1))
def test_tuples_of_any_types(a, b):
    codec = _codecs.key_codec("tuple")
    raw_a, raw_b = codec.encode(a), codec.encode(b)
    assert (raw_a < raw_b) == (rank(a) < rank(b))
    assert (raw_a == raw_b) == same(a, b)
    assert raw_a, "LMDB has no empty keys"
    assert same(codec.decode(raw_a), a)
    assert raw_b.startswith(codec.encode_prefix(a)) == same(b[: len(a)], a)


@RUNS
@given(TUPLES, st.integers(0, 30), st.binary(max_size=3))
def test_other_bytes_than_tuples_are_refused_and_never_loop(a, place, noise):
    codec = _codecs.key_codec("tuple")
    raw = codec.encode(a)
    changed = raw[:place] + noise + raw[place + 1 :]
    try:
        decoded = codec.decode(changed)
    except pylmdb.InvalidParameterError:
        return
    assert isinstance(decoded, tuple)
    assert codec.encode(decoded) == changed, "a lookup finds what iteration shows"


OTHER_ENCODINGS = {
    "an empty key": b"", "a longer integer": b"\x16\x00\x05", "a longer 0": b"\x15\x00",
    "-0": b"\x13\xff", "a longer negative integer": b"\x12\xff\xfa",
    "a large integer of few bytes": b"\x1d\x01\x05", "a large 0": b"\x1d\x00",
    "a large integer of 8 bytes": b"\x1d\x08" + b"\xff" * 8,
    "a large negative integer of few bytes": b"\x0b\xfe\xfa",
    "a large integer that begins with 0": b"\x1d\x09\x00" + b"\xff" * 8,
    "-0.0": b"\x20\x7f" + b"\xff" * 7, "nan": b"\x20\xff\xf8" + b"\x00" * 6,
    "another nan": b"\x20\x00\x00" + b"\x00" * 6, "an escape of nothing": b"\x28\x01\x00",
    "an escape of another byte": b"\x28\x01\x03\x00", "an escape of text": b"\x29\x01a\x00",
    "a surrogate": b"\x29\xed\xa0\x80\x00", "an overlong text": b"\x29\xc0\xaf\x00",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_ENCODINGS)
@pytest.mark.parametrize("inside", [False, True])
def test_a_tuple_has_one_encoding(env, name, inside):
    raw = OTHER_ENCODINGS[name]
    raw = b"\x30" + raw + b"\x00" if inside and raw else raw
    with pytest.raises(pylmdb.InvalidParameterError, match="is not an encoded tuple: "):
        _codecs.key_codec("tuple").decode(raw)
    m = pylmdb.Map(env, "m", key="tuple")
    if raw:
        with m.transaction() as txn:
            txn.put(raw, b"", db=m.db)
        with pytest.raises(pylmdb.InvalidParameterError, match="is not an encoded tuple: "):
            list(m)


def test_the_nesting_of_tuples_is_limited(env):
    m, deep = pylmdb.Map(env, "m", key="tuple"), ()
    for _ in range(100):
        deep = (deep,)
    m[deep] = b"deep"
    assert list(m) == [deep]
    with pytest.raises(pylmdb.InvalidParameterError, match="nested at most 100 deep"):
        m[(deep,)] = b""
    for raw in (b"\x30" * 101 + b"\x00" * 101, b"\x30" * 511):
        with pytest.raises(pylmdb.InvalidParameterError, match="nested more than 100 deep"):
            _codecs.key_codec("tuple").decode(raw)
    endless = ()
    for _ in range(10_000):
        endless = (endless,)
    with pytest.raises(pylmdb.InvalidParameterError, match="nested at most 100 deep"):
        m.get(endless)
    with m.transaction() as txn:
        txn.put(b"\x30" * 511, b"", db=m.db)
    with pytest.raises(pylmdb.InvalidParameterError, match="nested more"):
        list(m)


@pytest.mark.parametrize(
    ("name", "key", "error", "words"),
    [
        ("bytes", "k", TypeError, "bytes, not str"),
        ("bytes", 1, TypeError, "bytes, not int"),
        ("bytes", [], TypeError, "bytes, not list"),
        ("str", b"k", TypeError, "str, not bytes"),
        ("str", "\ud800", UnicodeEncodeError, "surrogates"),
        ("dbm", 1, TypeError, "bytes or str, not int"),
        ("dbm", "\u0100", UnicodeEncodeError, "latin-1"),
        ("int", "1", TypeError, "integer, not str"),
        ("int", 1.0, TypeError, "integer, not float"),
        ("int", 2**63, OverflowError, r"between -9223372036854775808 and 9223372036854775807"),
        ("int", -(2**63) - 1, OverflowError, "between"),
        ("uint", -1, OverflowError, "between 0 and 18446744073709551615, not -1"),
        ("uint", 2**64, OverflowError, "between"),
        ("tuple", "k", TypeError, "tuple, not str"),
        ("tuple", [1], TypeError, "tuple, not list"),
        ("tuple", ([],), TypeError, "None, bool, int, float, bytes, str .* not list"),
        ("tuple", (math.nan,), ValueError, "nan"),
        ("tuple", (2**2040,), OverflowError, "255 bytes"),
    ],
)
def test_an_error_of_a_key_names_the_accepted_types(env, name, key, error, words):
    m = pylmdb.Map(env, "m", key=name)
    for operation in (
        m.__getitem__, m.get, m.__contains__, m.__delitem__, m.pop, m.nearest, m.range,
        lambda k: m.__setitem__(k, b""), lambda k: m.setdefault(k, b""),
        lambda k: m.update([(k, b"")]),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            operation(key)
    assert len(m) == 0


@pytest.mark.parametrize("name", ["int", "uint"])
def test_every_integer_type_is_accepted(env, name):
    m = pylmdb.Map(env, "m", key=name)
    m[np.int32(5)] = b"5"
    m[True] = b"1"
    assert list(m) == [1, 5]
    assert m[np.uint8(5)] == b"5"
    assert type(next(iter(m))) is int


def test_subclasses_are_stored_as_their_base(env):
    m = pylmdb.Map(env, "m", key="tuple")
    m[(np.float64(1.5), np.int64(3), np.str_("s"))] = b""
    assert repr(list(m)) == "[(1.5, 3, 's')]"


def test_integer_keys_are_those_of_put_arrays(env):
    m = pylmdb.Map(env, "m", key="uint", value="npy")
    with m.transaction() as txn:
        txn.put_arrays(range(3), np.arange(6.0).reshape(3, 2), db=m.db)
        txn.put_array(struct.pack(">Q", 9), np.arange(4), db=m.db)
    assert list(m) == [0, 1, 2, 9]
    assert m[9].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("bytes", [b"", b"x\0"]),
        ("str", ["", "h\u00e9\U0001f600\0"]),
        ("json", [None, True, 1.5, "\ud800", [1, {"a": [None]}], 2**70, {"\u00e9": ""}]),
        ("pickle", [None, {1: (2, {3})}, 2j]),
    ],
)
def test_values_come_back(env, name, values):
    m = pylmdb.Map(env, "m", key="int", value=name)
    m.update(enumerate(values))
    assert list(m.values()) == values
    assert [type(m[i]) for i in range(len(values))] == [*map(type, values)]
    assert values[-1] in m.values()


def test_arrays_come_back(env):
    m = pylmdb.Map(env, "m", value="npy")
    for i, array in enumerate(
        [np.arange(12).reshape(3, 4)[:, ::2], np.array(1.5), np.zeros((0, 3), "f4"),
         np.asfortranarray(np.eye(3)), np.array([(1, 2.0)], "i4,f8")]
    ):  # fmt: skip
        m[b"%d" % i] = array
        again = m[b"%d" % i]
        assert again.dtype == array.dtype
        assert again.shape == array.shape
        assert np.array_equal(again, array)
        assert not again.flags.writeable, "a change would be lost"
    m[b"list"] = [1, 2]
    assert m[b"list"].tolist() == [1, 2]
    with pytest.raises(TypeError):
        m[b"o"] = np.array([object()])


@pytest.mark.parametrize(
    ("name", "value"), [("bytes", "v"), ("bytes", None), ("str", b"v"), ("dbm", 1), ("json", {1j})]
)
def test_values_that_do_not_fit(env, name, value):
    m = pylmdb.Map(env, "m", value=name)
    with pytest.raises(TypeError):
        m[b"k"] = value
    assert b"k" not in m


def test_values_of_other_programs(env):
    m = pylmdb.Map(env, "m", key="int", value="json")
    with m.transaction() as txn:
        txn.put(b"short", b"1", db=m.db)
    with pytest.raises(pylmdb.InvalidParameterError, match="short"):
        list(m)
    with pytest.raises(pylmdb.InvalidParameterError):
        m.popitem()
    assert len(m) == 1, "what cannot be read is not taken away"


def test_pickle_must_be_requested(env):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("it was unpickled",)

    pylmdb.Map(env, "m")[b"k"] = pickle.dumps(Trap())
    for name in ("bytes", "dbm"):
        assert pylmdb.Map(env, "m", value=name)[b"k"].startswith(b"\x80")
    for name in ("str", "json", "npy"):
        with pytest.raises(ValueError):  # noqa: PT011  each has its own
            _ = pylmdb.Map(env, "m", value=name)[b"k"]


def test_pairs_of_functions(env):
    m = pylmdb.Map(env, "m", key=(str.encode, bytes.decode), value=(lambda v: b"<%d>" % v, len))
    m["k"] = 12
    assert m["k"] == 4
    assert list(m.items()) == [("k", 4)]
    with pytest.raises(TypeError, match="no prefixes"):
        m.prefix("k")


@pytest.mark.parametrize("role", ["key", "value"])
@pytest.mark.parametrize(
    ("codec", "error", "words"),
    [
        ("npz", ValueError, "'bytes', 'str'.*or a pair of functions, not 'npz'"),
        (None, TypeError, "'bytes', 'str'.*pair of functions.*, not None"),
        ((str.encode,), TypeError, "pair of functions"),
        ((str.encode, 1), TypeError, "pair of functions"),
    ],
)
def test_codecs_that_do_not_exist(env, role, codec, error, words):
    with pytest.raises(error, match=words):
        pylmdb.Map(env, **{role: codec})
    assert not env.closed
