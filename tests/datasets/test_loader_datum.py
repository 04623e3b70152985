# SPDX-License-Identifier: MIT
"""Batches of Datum values: pixels are copied and labels read, or, where that is not possible,
the values are decoded, with the same result.
"""

import numpy as np
import pytest

import pylmdb
from pylmdb.datasets import Dataset, Loader, _collating, datum

LABELS = [0, 1, 127, 128, 300, 16383, 16384, 10**6, 2**31 - 1, -1, -(2**31), 5]
PIXELS = np.arange(len(LABELS) * 2 * 3 * 4, dtype=np.uint8).reshape(-1, 2, 3, 4)


def values():
    return [datum.encode(pixels, label) for pixels, label in zip(PIXELS, LABELS, strict=True)]


@pytest.fixture
def load(open_env, env_path, monkeypatch):
    """Return the batches of a data set of these values, and how often one was decoded."""

    def load(values, key=b"%08d", size=5, **options):
        with open_env() as env, env.begin(write=True) as txn:
            for i, value in enumerate(values):
                txn.put(key % i, value)
        dataset = Dataset(env_path, **options)
        decoded = []
        real = type(dataset)._samples

        def samples(self, ordinals):
            decoded.append(len(ordinals))
            return real(self, ordinals)

        monkeypatch.setattr(Dataset, "_samples", samples)
        batches = [[*Loader(dataset, size)] for _ in range(2)]
        monkeypatch.setattr(_collating, "_form", lambda dataset: None)
        fast, wanted = len(decoded), [*Loader(dataset, size)]
        for found in batches:
            assert_same(found, wanted)
        return wanted, fast

    return load


def assert_same(found, wanted):
    assert type(found) is type(wanted)
    if isinstance(wanted, (list, tuple)):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted)
    else:
        assert found == wanted


@pytest.mark.parametrize("key", [b"%08d", b"%08d_name.png"], ids=["padded", "caffe"])
def test_pixels_and_labels(load, key):
    (first, second, third), decoded = load(values(), key)
    assert not decoded
    assert np.array_equal(np.concatenate([first[0], second[0], third[0]]), PIXELS)
    assert [*first[1], *second[1], *third[1]] == LABELS


ODD = {
    "no label": datum.encode(PIXELS[0]),
    "another shape": datum.encode(PIXELS[0].reshape(4, 3, 2), 7),
    "another size": datum.encode(PIXELS[0][:1], 7),
    "encoded": datum.encode(b"x" * 24, 7, encoded=True),
    "floats": datum.encode(PIXELS[0].astype("f4"), 7),
    "a field behind": datum.encode(PIXELS[0], 7) + b"\x40\x01",
    "two labels": datum.encode(PIXELS[0], 7) + b"\x28\x08",
    "encoded, said behind": datum.encode(PIXELS[0], 7) + b"\x38\x01",
    "pixels again": datum.encode(PIXELS[0], 7) + b"\x22\x18" + PIXELS[1].tobytes(),
    "a label of too many bytes": datum.encode(PIXELS[0]) + b"\x28\x87\x80\x80\x00",
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("at", [0, 6])
def test_one_that_is_otherwise(load, odd, at):
    several = values()
    several[at] = ODD[odd]
    batches, decoded = load(several)
    assert decoded or odd == "a label of too many bytes"
    assert len(batches) == 3


@pytest.mark.parametrize("at", [0, 6])
def test_one_that_is_none(open_env, env_path, at):
    several = values()
    several[at] = several[at][:-6]
    with open_env() as env, env.begin(write=True) as txn:
        for i, value in enumerate(several):
            txn.put(b"%08d" % i, value)
    loop = iter(Loader(Dataset(env_path, decode="datum"), 5))
    if at:
        assert next(loop)[1].tolist() == LABELS[:5]
    with pytest.raises(pylmdb.InvalidParameterError):
        next(loop)
