# SPDX-License-Identifier: MIT
"""Values that claim to be arrays: each is refused, or gives the array that numpy reads.

Nothing that a header says is executed, warned of, or allocated.
"""

import io
import itertools
import os
import pickle
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from programs import ROUNDS

import pylmdb
from pylmdb import arrays
from pylmdb.arrays import npy as _npy

# make test-all sets PYLMDB_MODEL to the factor for random tests.
EXAMPLES = 60 * int(os.environ.get("PYLMDB_MODEL", "1")) * ROUNDS
FUZZ = settings(max_examples=EXAMPLES, deadline=None, derandomize=ROUNDS == 1)
GOOD = {"descr": "'<i4'", "fortran_order": "False", "shape": "(2, 3)"}
ran = []


def value(text, data=bytes(range(24)), version=1, minor=0, length=None):
    """Return a value with any text in its header."""
    raw = text if isinstance(text, bytes) else text.encode("latin1" if version < 3 else "utf8")
    digits = 2 if version == 1 else 4
    length = len(raw) if length is None else length
    return _npy.MAGIC + bytes([version, minor]) + length.to_bytes(digits, "little") + raw + data


def header(**fields):
    """Return the text of a header, with other fields than a good one."""
    fields = {**GOOD, **fields}
    return "{" + "".join(f"'{key}': {text}, " for key, text in fields.items()) + "}\n"


def by_numpy(data):
    """Return what numpy reads, or None if it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.load(io.BytesIO(data), allow_pickle=False, max_header_size=1 << 20)
        except Exception:
            return None


def without_gaps(array):
    """Return the bytes of an array; numpy does not read the bytes between fields."""
    copy = np.zeros(array.shape, array.dtype)
    copy[...] = array
    return copy.tobytes()


def outcome(data):
    """Return what pylmdb reads, or None if it refuses; both without a warning."""
    _npy._forms.clear()
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        try:
            found = arrays.loads(data)
        except pylmdb.InvalidParameterError as error:
            found, message = None, str(error)
    assert found is not None or ".npy format" in message
    assert [str(each.message) for each in issued] == []
    return found


def check(data):
    """Check the rule of this file, and return what was read."""
    found = outcome(data)
    if found is not None:
        right = by_numpy(data)
        assert right is not None, f"numpy refuses {bytes(data[:200])!r}"
        assert (found.dtype, found.shape) == (right.dtype, right.shape)
        if found.nbytes:
            assert found.flags.fortran == right.flags.fortran
            assert without_gaps(found) == without_gaps(right)
        assert not found.dtype.hasobject
    return found


def refused(data):
    assert outcome(data) is None, data[:200]


# -- text that is no header ------------------------------------------------------------------

TEXTS = [
    "__import__('test_npy_hostile').ran.append(1)",
    "{'descr': __import__('test_npy_hostile').ran.append(1), 'fortran_order': False, 'shape': ()}",
    "{**GOOD}", "{'descr': f'{ran.append(1)}', 'fortran_order': False, 'shape': ()}",
    "[ran.append(1) for _ in (1,)]", "lambda: 0", "(x := 1)", "ran", "()", "[]", "1", "''", "", " ",
    "None", "{}", "{'descr': '<i4'}", "{'descr': '<i4', 'fortran_order': False}", "{" * 300,
    header() + "import os", header() + ";", header() * 2, header()[:-2], header()[1:],
    header(extra="1"), header(shape="(2, 3), 'shape': (1, 3)"), "# " + header(), header() + "# x",
    header().replace("'descr'", "b'descr'"), header().replace("'descr'", "('descr',)"),
    header().replace("'descr'", "[]"), "\ufeff".encode("utf8").decode("latin1") + header(),
    "\x00" + header(), header()[:-1] + "\x00\n", "\n\n  " + header(), "\f" + header(),
    header() + "\x1a", header(descr="'<i4\\"), header(descr="'\\d4'"), header(descr="'<\\x694'"),
    header(descr="'\\N{LATIN SMALL LETTER A}'"), header(shape="(1if 1else 2,)"),
    header(shape="(0x2for,)"), header(shape="(2, 3)if 1else 0"), header(descr="'<i' '4'"),
]  # fmt: skip


@pytest.mark.parametrize("version", [1, 2, 3])
def test_texts(version):
    for text in TEXTS:
        check(value(text, version=version))
    assert ran == []
    assert check(value(header(), version=version)).tobytes() == bytes(range(24))


SHAPES = [
    "None", "2", "[2, 3]", "'23'", "(2.0, 3)", "(True, 3)", "(True, False)", "(-1, 3)", "(2, -3)",
    "(-2, -3)", "(6)", "(2, 3, None)", "((2,), 3)", "(2j,)", "(2, 3L)", "(02, 3)", "(2_0,)",
    "(0x2, 3)", "(0b10, 3)", "(1e1,)", "{2, 3}", "(1+1, 3)", "(2**1, 3)", "(~-3, 3)", "(+2, 3)",
    "(2, 4)", "(10**9,)", f"({2**31}, {2**33})", f"({2**62}, 4)", f"({2**63},)", f"({2**64},)",
    f"({2**64 + 6},)", f"({2**32}, {2**32}, 6)", f"(0, {2**62}, {2**62})", f"(0, {2**63})",
    f"(0, {10**30})", "(1" + "0" * 5000 + ",)", "(" + "1, " * 32 + "6)", "(" + "1, " * 63 + "6)",
    "(" + "1, " * 64 + "6)", "(" + "1, " * 5000 + ")", "(" + "0, " * 64 + ")", f"({'9' * 20000},)",
    f"({sys.maxsize // 4},)", f"({sys.maxsize // 4 + 1},)", "(2, 3,)", "(2,3)", "()", "(6,)",
    "(0,)",
]  # fmt: skip


def test_shapes():
    for shape in SHAPES:
        for fortran in ("False", "True"):
            check(value(header(shape=shape, fortran_order=fortran)))
    for shape in ("(2, 3)", "()", "(0,)", "(6,)", "(2,3)"):
        assert check(value(header(shape=shape))) is not None
    for shape in ("(-1, 3)", "(2, 4)", "(True, 3)", "[2, 3]", f"({2**62}, 4)", f"(0, {2**63})"):
        refused(value(header(shape=shape)))


DESCRS = [
    "'O'", "'|O'", "'|O8'", "'<O'", "'object'", "[('a', 'O')]", "[('a', [('b', '|O')])]",
    "[('a', '<i4'), ('b', 'O', (3,))]", "('O', (2,))", "[('', 'O')]", "[('a', 'V4,O')]", "'O,O'",
    "'T'", "'|T16'", "'<i3'", "'<i16'", "'i4'", "'=i4'", "'<i'", "'int32'", "'i4,i4'", "'1f4'",
    "'(1)f4'", "'(1,)f4'", "'3f4'", "'2i2, f4'", "'a4'", "'c4'", "'S'", "'U'", "'V'", "'S0'",
    "'V0'",
    "'U0'", "'<U1'", "'<U99999999999'", "'S2147483647'", "'S2147483648'", "'V4294967300'", "'M8'",
    "'<M8[ns]'", "'<M8[xx]'", "'<M8[0s]'", "'<M8[-1s]'", "'<M8[7D/7]'", "'<M8[s/3]'", "'<M8[s/0]'",
    "'<m8[99999999999s]'", "'<M8[generic]'", "'<M8['", "'?4'", "'|b4'", "'<b1'", "'p'", "'P'",
    "'n'",
    "'g'", "'<f16'", "'<c32'", "'float'", "'bool'", "'str'", "'bytes'", "'void'", "'Int32'",
    "'i4 '",
    "' i4'", "'<i4\\n'", "'<\\x00i4'", "'\\x00'", "''", "'\xe9'", "None", "True", "1", "1.5", "()",
    "[]", "{}", "set()", "b'<i4'", "...", "('<i4', ())", "('<i4', 1)", "('<i4', (1,))",
    "('<i4', (2, 3))", "(('<i4', 2), 3)", "('<i4', {'a': 1})", "('<i4', [('a', '<i2')])",
    "('<i4', '<f4')", "('V4', '<i4')", "{'names': ['a'], 'formats': ['<i4']}", "{'a': ('<i4', 0)}",
    "['<i4']", "[['a', '<i4']]", "[('a',)]", "[('a', '<i4', 1)]", "[('a', '<i4', (1,))]",
    "[('a', '<i4', ())]", "[('a', '<i4', (2,), 3)]", "[('a', '<i4', (-1,))]", "[('a', '<i4', '3')]",
    "[('a', '<i4', (0,))]", "[('a', 'u1', (2147483648,))]", "[('a', 'u1', (2, 2))]", "[(1, '<i4')]",
    "[(None, '<i4')]", "[('', '<i4')]", "[('', 'V4')]", "[('', 'V4'), ('a', '<i4')]",
    "[('a', '<i2'), ('a', '<i2')]", "[(('t', 'a'), '<i4')]", "[(('a', 'a'), '<i4')]",
    "[(('t', 'a', 'x'), '<i4')]", "[((), '<i4')]", "[((1, 'a'), '<i4')]", "[(('a', 1), '<i4')]",
    "[('t', '<i2'), (('t', 'b'), '<i2')]", "[('a', 'V2147483647'), ('b', 'V2147483647')]",
    "[('a', [('b', [('c', '<i4')])])]", "[('a', ('<i4', (1,)))]", "[('a', ('<i2', (2,)), (1,))]",
    "[('\\x00', '<i4')]", "[('a', '1f4')]", "[('a', 'f4', True)]", "[('a', 'a4')]",
    "[" * 90 + "]" * 90, "[('a', " * 60 + "'<i4'" + ")]" * 60, "[('a', " * 95 + "'<i4'" + ")]" * 95,
    "[" + "('a', '<i4'), " * 2000 + "]",
    "[" + "".join(f"('{i}', 'u1'), " for i in range(3000)) + "]",
]  # fmt: skip


@pytest.mark.parametrize("shape", ["(2, 3)", "()", "(0,)", f"(0, {2**40})"])
def test_descriptions(shape):
    for descr in DESCRS:
        check(value(header(descr=descr, shape=shape)))
    for descr in ("'O'", "'|O8'", "[('a', 'O')]", "[('a', '<i4'), ('b', '|O', (3,))]", "'1f4'"):
        refused(value(header(descr=descr, shape=shape)))


@pytest.mark.parametrize("order", ["True", "False", "1", "0", "None", "'True'", "(True,)", "not 1"])
def test_orders(order):
    found = check(value(header(fortran_order=order)))
    assert (found is not None) == (order in ("True", "False"))


# -- what costs much -------------------------------------------------------------------------

DEEP = ["(", "[", "{", "-", "~", "not ", "1+", "1,", "'a'", "{1:", "[(", "()(", "a.", "''."]
DEEP += ["1if 1else ", "lambda:", "*", "1**", "()[", "f'{"]


@pytest.mark.parametrize("version", [1, 2])
def test_long_and_deep_texts(version):
    """Nested more deeply than the interpreter's stack allows."""
    for part in DEEP:
        for text in (part * 60_000, header(shape="(" + part * 60_000 + "1)"), part * 150 + "1"):
            check(value(text[:65_000], version=version))
    long = header()[:-1] + " " * 60_000 + "\n"
    assert check(value(long, version=version)) is not None
    for longer in (2, 3):
        refused(value(header()[:-1] + " " * 70_000 + "\n", version=longer))


def test_nothing_large_is_allocated():
    data = [
        value(header(shape=shape, descr=descr))
        for shape in (f"({2**40},)", "(10000000000, 3)", f"(0, {2**40})", f"({2**30},)")
        for descr in ("'<i4'", "'S0'", "'V1'", "[('a', '<i4', (100, 100))]", "'S2147483647'")
    ]
    data += [value(header(), version=version, length=2**31) for version in (2, 3)]
    data += [value(header(shape=f"({'9' * 4000},)")), value("(" * 60_000)]
    for each in data:
        outcome(each)  # what is imported or kept on first use
    for each in data:
        tracemalloc.start()
        outcome(each)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 << 20, each[:100]


MANY = 9999999999999


@pytest.mark.parametrize(
    ("descr", "shape"),
    [
        ("'|V0'", f"({MANY},)"), ("'|S0'", f"({MANY},)"), ("'<U0'", f"(3, {MANY})"),
        ("[]", f"({MANY},)"), ("[('a', '|V0')]", f"({MANY},)"), ("'<f8'", f"({MANY}, 0)"),
        ("'<f8'", f"(2, {MANY}, 0)"), ("[('a', '<f8', (3, 0))]", f"({MANY},)"),
        (f"[('a', '<f8', ({2**31 - 1}, 0))]", "()"), (f"[('a', '|V0', ({2**31 - 1},))]", "(1,)"),
        (f"[('a', [('b', '<f8', ({2**31 - 1}, 0))], (2,))]", "()"),
    ],
)  # fmt: skip
def test_elements_without_data_are_limited(env, descr, shape):
    """No data limits them, and copying, printing or listing them would not end."""
    data = value(header(descr=descr, shape=shape))
    refused(data)
    with env.begin(write=True) as txn:
        txn.put(b"k", data)
    for write, copy in itertools.product((False, True), (False, True)):
        with env.begin(write=write) as txn:
            with pytest.raises(pylmdb.InvalidParameterError, match=r"data|itemsize"):
                txn.get_array(b"k", copy=copy)
            cursor = txn.cursor()
            assert cursor.first()
            with pytest.raises(pylmdb.InvalidParameterError, match=r"data|itemsize"):
                cursor.array(copy)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((0, 5), "f8"), ((3, 0), "f8"), ((0, 3, 1024, 1024), "f4"), ((3, 2, 0), "u1"), ((0,), "V0"),
     ((1000,), "V0"), ((1 << 20,), "V0"), ((2, 3), [("x", "V0"), ("y", "i4")]), ((), "f8"),
     ((2,), [("x", "f8", (0, 3)), ("y", "u1")])],
)  # fmt: skip
def test_arrays_of_no_size_are_kept(env, shape, dtype):
    array = np.zeros(shape, dtype)
    with env.begin(write=True) as txn:
        txn.put_array(b"k", array)
    for write, copy in itertools.product((False, True), (False, True)):
        with env.begin(write=write) as txn:
            found = txn.get_array(b"k", copy=copy)
        assert (found.shape, found.dtype) == (array.shape, array.dtype)
    assert arrays.loads(arrays.dumps(array)).shape == array.shape


def test_what_could_not_be_read_is_not_written(env):
    with env.begin(write=True) as txn:
        for array in (np.ndarray(((1 << 20) + 1,), "V0"), np.zeros(((1 << 20) + 1, 0))):
            with pytest.raises(pylmdb.InvalidParameterError, match="1048577 elements without"):
                txn.put_array(b"k", array)
            with pytest.raises(pylmdb.InvalidParameterError, match="elements without data"):
                arrays.dumps(array)
        assert txn.get(b"k") is None


def test_the_kept_headers_are_bounded():
    for i in range(_npy._MAX_CACHED + 10):
        arrays.loads(value(header(shape=f"({i % 7}, 0, {i})")))
        assert len(_npy._forms) <= _npy._MAX_CACHED
    _npy._forms.clear()
    for i in range(_npy._MAX_CACHED + 10):
        arrays.dumps(np.empty((0, i)))
        assert len(_npy._plans) <= _npy._MAX_CACHED
    _npy._plans.clear()


# -- the frame around the text ---------------------------------------------------------------


def test_every_truncation():
    for whole in (value(header()), value(header(), version=2), value(header(), version=3)):
        assert check(whole) is not None
        for size in range(len(whole)):
            refused(whole[:size])


def test_lengths_and_versions():
    text = header()
    for length in (0, 1, 9, len(text) - 1, len(text) + 1, len(text) + 24, len(text) + 25, 65535):
        for version in (1, 2, 3):
            check(value(text, version=version, length=length))
    for version in range(256):
        for minor in (0, 1, 255):
            found = check(value(text, version=version, minor=minor))
            assert (found is not None) == (version in (1, 2, 3) and minor == 0)
    for length in (2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1):
        refused(value(text, version=2, length=length))


def test_other_files():
    archive = io.BytesIO()
    np.savez(archive, np.arange(3))
    refused(archive.getvalue())
    refused(pickle.dumps(np.arange(3)))
    refused(pickle.dumps([1]))
    with pytest.raises(pylmdb.InvalidParameterError, match="Python objects"):
        arrays.loads(value(header(descr="'|O'")))
    objects = io.BytesIO()
    np.save(objects, np.array([print]), allow_pickle=True)
    refused(objects.getvalue())
    refused(value(header(descr="'O'"), data=pickle.dumps([print])))
    for i in range(len(_npy.MAGIC)):
        for bit in (1, 32, 128):
            data = bytearray(value(header()))
            data[i] ^= bit
            refused(bytes(data))


def test_text_in_the_wrong_encoding():
    names = "[('\u043a\u043b', '<i4')]"
    utf8 = header(descr=names).encode("utf8")
    assert check(value(utf8, version=3)).dtype.names == ("\u043a\u043b",)
    check(value(utf8, version=1))
    refused(value(header(descr="[('\xe9', '<i4')]").encode("latin1"), version=3))
    refused(value(utf8[:20] + b"\xff" + utf8[20:], version=3))
    check(value(header(descr="[('\\ud800', '<i4')]"), version=3))
    check(value(header(descr="[('\\ud800', '<i4')]"), version=1))


# -- at random -------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [*"{}[]()',:\"\\ \n0123456789-+LuU<>|=ifOSV?\x00\xff\u043a", "'descr'", "'shape'", "True",
     "False", "None", "'<f8'", "'fortran_order'", "('a', '<i4')", ", ", "(1,)", "0, "]
)  # fmt: skip
NUMBERS = st.one_of(st.integers(-2, 5), st.sampled_from([2**31, 2**62, 2**63, 2**64, True, 1.0]))
CODES = st.one_of(
    st.sampled_from(["<i4", ">f8", "|u1", "|b1", "<U2", "|S3", "|V2", "<M8[s]", "O", "|O", "<c8"]),
    st.text("<>|=biufcmMOSUVa?0123456789[]ns,()T ", max_size=8),
)
NAMES = st.one_of(st.text(max_size=4), st.tuples(st.text(max_size=2), st.text(max_size=2)), NUMBERS)
DIMENSIONS = st.lists(NUMBERS, max_size=3).map(tuple)
DESCRIPTIONS = st.recursive(
    st.one_of(CODES, NUMBERS, st.none()),
    lambda inner: st.one_of(
        st.lists(st.tuples(NAMES, inner) | st.tuples(NAMES, inner, DIMENSIONS), max_size=3),
        st.tuples(inner, DIMENSIONS), st.lists(inner, max_size=2),
    ),
    max_leaves=6,
)  # fmt: skip
HEADERS = st.fixed_dictionaries(
    {
        "descr": DESCRIPTIONS,
        "fortran_order": st.one_of(st.booleans(), NUMBERS),
        "shape": st.one_of(DIMENSIONS, st.lists(NUMBERS, max_size=2), NUMBERS),
    }
)
VERSIONS = st.integers(1, 3)


@FUZZ
@given(HEADERS, VERSIONS, st.binary(max_size=200))
@example({"descr": [("", "V2"), ("a", "u1")], "fortran_order": True, "shape": (2,)}, 1, b"123" * 4)
@example({"descr": [], "fortran_order": False, "shape": (2, 2**62)}, 1, b"")
def test_random_headers(fields, version, data):
    text = repr(fields).encode("utf8", "replace")
    check(value(text, data=data, version=version))


SEEDS = [
    arrays.dumps(np.zeros((2, 3), dtype))
    for dtype in ("<i4", ">f8", "M8[ns]", [("a", "i4"), ("b", "S3", (2,))])
]


@FUZZ
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 150), st.integers(0, 4), PIECES), min_size=1, max_size=4),
)
def test_mutated_values(seed, edits):
    data = bytearray(seed)
    for at, remove, piece in edits:
        data[at : at + remove] = piece.encode("utf8")
    if data[:8] == seed[:8]:
        check(bytes(data))
        end = data.rfind(b"}")
        data[8:10] = max(0, end - 9).to_bytes(2, "little")
    check(bytes(data))


@FUZZ
@given(st.lists(PIECES, max_size=30).map("".join), VERSIONS)
def test_random_texts(text, version):
    check(value(text.encode("utf8"), version=version))


@FUZZ
@given(st.sampled_from(SEEDS), st.integers(0, 200), st.integers(0, 7))
def test_single_bits(seed, at, bit):
    data = bytearray(seed)
    data[at % len(data)] ^= 1 << bit
    check(bytes(data))
