# SPDX-License-Identifier: MIT
"""Many keys in one call: the result is that of single lookups, whatever the keys are."""

import random
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pylmdb

COUNT = 2000


def digits(chance):
    return {b"%08d" % i for i in range(0, 3 * COUNT, 3)}


def uneven_digits(chance):
    return {b"%d" % chance.randrange(10 ** chance.randrange(1, 30)) for _ in range(COUNT)}


def bytes_of_16(chance):
    return {chance.randbytes(16) for _ in range(COUNT)}


def short(chance):
    return {chance.randbytes(chance.randrange(1, 4)) for _ in range(COUNT)}


def names(chance):
    return {f"image-{chance.randrange(10**9):09d}.{chance.choice(['jpg', 'png'])}".encode()
            for _ in range(COUNT)}  # fmt: skip


def words(chance):
    letters = string.ascii_letters + string.digits + "/:é"
    return {"".join(chance.choices(letters, k=chance.randrange(1, 40))).encode()
            for _ in range(COUNT)}  # fmt: skip


def prefixes(chance):
    """Each is how the next one begins, so that a bound of a page is how its records begin."""
    return {b"7" * n for n in range(1, 500)} | {b"7" * n + b"\0" for n in range(1, 500)}


def crowded(chance):
    """Nearly all on one side of what a guess supposes."""
    return {b"%020d" % i for i in range(COUNT)} | {b"9" * 20, b"90", b"x"}


def long(chance):
    return {b"k" * 400 + b"%06d" % chance.randrange(10**6) for _ in range(1000)}


SHAPES = [digits, uneven_digits, bytes_of_16, short, names, words, prefixes, crowded, long]


def absent(keys, chance):
    """Neighbours of keys, and keys before and after all of them."""
    found = {b"\0", b"\xff" * 20, b"0", b"5"}
    for key in chance.sample(sorted(keys), 300):
        found |= {key + b"\0", key + b"5", key[:-1], key[:-1] + bytes([key[-1] ^ 1])}
    return {key for key in found if key and len(key) <= 511} - keys


@pytest.fixture(params=SHAPES, ids=lambda shape: shape.__name__)
def keys(request):
    return request.param(random.Random(1))


@pytest.fixture(params=[20, 3000], ids=["small", "large"])
def filled(request, env, keys):
    size = request.param
    with env.begin(write=True) as txn:
        txn.cursor().putmulti([(key, value_of(key, size)) for key in sorted(keys)])
        return env, {*txn.cursor().iternext(values=False)}, size


def value_of(key, size):
    return (key * (size // len(key) + 1))[:size]


def test_what_single_lookups_find(filled):
    env, keys, size = filled
    chance = random.Random(1)
    everything = sorted(keys) + sorted(absent(keys, chance))
    with env.begin() as txn:
        for count in (1, 7, 63, 64, 65, 700):
            wanted = chance.choices(everything, k=count)
            for order in (wanted, sorted(wanted), sorted(wanted, reverse=True)):
                expected = [(key, value_of(key, size)) for key in order if key in keys]
                assert txn.cursor().getmulti(order) == expected
        wanted = sorted(keys)
        assert txn.cursor().getmulti(wanted) == [(key, value_of(key, size)) for key in wanted]
        assert txn.cursor().getmulti(sorted(absent(keys, random.Random(1)))) == []


def test_arrays_of_values(filled):
    env, keys, size = filled
    chance = random.Random(2)
    wanted = chance.choices(sorted(keys), k=700)
    with env.begin() as txn:
        rows = txn.take(wanted, "u1", size)
        assert [*map(bytes, rows)] == [value_of(key, size) for key in wanted]
        missing = chance.choices(sorted(absent(keys, chance)), k=5)
        mixed = wanted[:300] + missing
        chance.shuffle(mixed)
        rows, is_absent = txn.take(mixed, "u1", size, missing="fill")
        assert [*is_absent] == [key not in keys for key in mixed]
        for key, row in zip(mixed, rows, strict=True):
            assert bytes(row) == (value_of(key, size) if key in keys else bytes(size))


def test_in_a_transaction_that_has_written(filled):
    env, keys, size = filled
    chance = random.Random(3)
    gone = {*chance.sample(sorted(keys), len(keys) // 3)}
    with env.begin(write=True) as txn:
        for key in gone:
            txn.delete(key)
        wanted = chance.choices(sorted(keys), k=500)
        expected = [(key, value_of(key, size)) for key in wanted if key not in gone]
        assert txn.cursor().getmulti(wanted) == expected
        txn.abort()


def test_a_tree_of_one_page_and_of_none(env):
    with env.begin() as txn:
        assert txn.cursor().getmulti([b"a", b"b"]) == []
    with env.begin(write=True) as txn:
        txn.put(b"b", b"1")
    with env.begin() as txn:
        assert txn.cursor().getmulti([b"c", b"b", b"a", b"b"]) == [(b"b", b"1")] * 2


KEYS = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.integers(0, 10**9).map(lambda i: b"%d" % i),
    st.integers(0, 10**4).map(lambda i: b"%06d" % i),
    st.text("09az/", min_size=1, max_size=10).map(str.encode),
)


@settings(deadline=None, max_examples=60)
@given(
    keys=st.sets(KEYS, max_size=60),
    others=st.lists(KEYS, max_size=20),
    width=st.sampled_from([0, 600, 1500]),
    seed=st.randoms(use_true_random=False),
)
def test_it_is_what_dicts_find(tmp_path_factory, keys, others, width, seed):
    """Values that fill pages make trees of a few keys deep."""
    records = {key: key.ljust(width, b".") for key in keys}
    with pylmdb.open(tmp_path_factory.mktemp("lookups") / "e", lib_version=len(keys) % 2) as env:
        with env.begin(write=True) as txn:
            txn.cursor().putmulti([*records.items()])
        wanted = [*keys, *others]
        seed.shuffle(wanted)
        with env.begin() as txn:
            found = txn.cursor().getmulti(wanted)
            assert found == [(key, records[key]) for key in wanted if key in records]
            numbers = np.array([key in records for key in wanted])
            assert len(found) == numbers.sum()
