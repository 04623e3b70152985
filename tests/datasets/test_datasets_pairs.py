# SPDX-License-Identifier: MIT
"""Samples of two records whose keys two formats make: ``image_%03d`` and ``label_%03d``."""

import pickle

import numpy as np
import pytest
import recipes

import pylmdb
from pylmdb import arrays
from pylmdb.datasets import Dataset, Loader, to_npz

TEMPLATES = [
    ("image_%03d", "label_%03d"),
    (b"%d.jpg", b"%d.txt"),
    ("x/%d/in%%", "x/%d/out%%"),
    ("input-%08d", "target_%d"),
    ("%05d", "%05d_mask"),
]


@pytest.fixture
def make(open_env, env_path):
    def make(records, **options):
        with open_env(**options) as env, env.begin(write=True) as txn:
            for key, value in records:
                txn.put(key, value)
        return env_path

    return make


def records(pairs, numbers):
    for number in numbers:
        for each, value in zip(pairs, (b"data %d", b"label %d"), strict=True):
            text = each.encode() if isinstance(each, str) else each
            yield text % number, value % number


@pytest.mark.parametrize("numbers", [range(120), range(1, 12), [0, 3, 7, 1000, 20000]], ids=str)
@pytest.mark.parametrize("pairs", TEMPLATES, ids=str)
def test_pairs_of_templates(make, pairs, numbers):
    path = make([*records(pairs, numbers), (b"input", b""), (b"zzz", b"")])
    dataset = Dataset(path, pairs=pairs)
    assert dataset.layouts == ["pairs"]
    assert list(dataset) == [(b"data %d" % n, b"label %d" % n) for n in numbers]
    first = pairs[0].encode() if isinstance(pairs[0], str) else pairs[0]
    assert dataset.keys() == [first % n for n in numbers]
    again = pickle.loads(pickle.dumps(dataset[1:]))
    assert list(again) == list(dataset)[1:]


@pytest.mark.parametrize("digits", [b"%d", b"%03d", b"%08d"])
@pytest.mark.parametrize("start", [0, 1])
def test_images_and_labels_are_recognised(make, digits, start):
    numbers = range(start, start + 12)
    path = make(records((b"image_" + digits, b"label_" + digits), numbers))
    dataset = Dataset(path)
    assert dataset.layouts == ["pairs"]
    assert list(dataset) == [(b"data %d" % n, b"label %d" % n) for n in numbers]


def test_batches(make):
    values = [np.full((2, 3), n, np.uint8) for n in range(10)]
    path = make(
        record
        for n, value in enumerate(values)
        for record in (
            (b"image_%03d" % n, arrays.dumps(value)),
            (b"label_%03d" % n, arrays.dumps(np.int64(n))),
        )
    )
    loader = Loader(Dataset(path, pairs=("image_%03d", "label_%03d")), 4, shuffle=True)
    seen = []
    for images, labels in loader:
        assert images.shape == (len(labels), 2, 3)
        assert (images[:, 0, 0] == labels).all()
        seen += labels.tolist()
    assert sorted(seen) == [*range(10)] != seen
    to_npz(Dataset(path, pairs=("image_%03d", "label_%03d")), path + ".npz", data="x", labels="y")
    assert np.load(path + ".npz")["y"].tolist() == [*range(10)]


def test_each_value_has_a_decoding(make):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    pairs = ("%d.png", "%d.mask")
    path = make([(b"0.png", recipes.png_of(pixels)), (b"0.mask", recipes.png_of(pixels[::-1]))])

    def size(view):
        return view.nbytes

    image, label = Dataset(path, pairs=pairs, decode=("image", "image"))[0]
    assert np.array_equal(image, pixels)
    assert np.array_equal(label, pixels[::-1])
    image, label = Dataset(path, pairs=pairs, decode="image")[0]
    assert label == recipes.png_of(pixels[::-1])
    assert Dataset(path, pairs=pairs, decode=(None, size))[0] == (
        recipes.png_of(pixels),
        len(label),
    )
    assert Dataset(path, pairs=pairs, decode=("auto", "auto"))[0] == (recipes.png_of(pixels), label)
    assert Dataset(path, pairs=pairs, decode=None)[0] == (recipes.png_of(pixels), label)


def test_a_number_with_one_key_is_named(make):
    pairs = ("image_%03d", "label_%03d")
    path = make([*records(pairs, range(5)), (b"label_007", b"")])
    with pytest.raises(pylmdb.InvalidParameterError, match=r"b'label_007', but not b'image_007'"):
        Dataset(path, pairs=pairs)
    with pytest.raises(pylmdb.InvalidParameterError, match=r"no key has the form 'img_%d'"):
        Dataset(path, pairs=("img_%d", "lbl_%d"))


def test_other_numbers_are_no_samples(make):
    """Another width, a sign, and more digits than an int64 has."""
    others = [b"image_0004", b"image_4", b"image_-01", b"image_+01", b"image_" + b"9" * 19]
    path = make([*records(("image_%03d", "label_%03d"), range(3)), *((key, b"") for key in others)])
    assert len(Dataset(path, pairs=("image_%03d", "label_%03d"))) == 3


def test_an_empty_database_and_a_named_one(open_env, env_path):
    with open_env() as env:
        assert len(Dataset(env_path, pairs=("%d", "%d_"))) == 0
        db = env.open_db(b"0")
        with env.begin(db, write=True) as txn:
            for key, value in records(("%d", "%d_"), range(3)):
                txn.put(key, value)
    assert len(Dataset(env_path, pairs=("%d", "%d_"), db=b"0")) == 3


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"pairs": ("image_%03d", "image_%03d")}, pylmdb.InvalidParameterError),
        ({"pairs": ("image", "label_%03d")}, pylmdb.InvalidParameterError),
        ({"pairs": ("image_%d_%d", "label_%03d")}, pylmdb.InvalidParameterError),
        ({"pairs": ("image_%s", "label_%s")}, pylmdb.InvalidParameterError),
        ({"pairs": ("image_%03d", "label_%03d", "mask_%03d")}, pylmdb.InvalidParameterError),
        ({"pairs": ("%019d", "%d_")}, pylmdb.InvalidParameterError),
        ({"pairs": "image_%03d"}, TypeError),
        ({"pairs": (1, 2)}, TypeError),
        ({"pairs": ("%d", "%d_"), "layout": "plain"}, pylmdb.InvalidParameterError),
        ({"decode": ("image", "image")}, pylmdb.InvalidParameterError),
        ({"pairs": ("%d", "%d_"), "decode": ("image", "jpeg")}, pylmdb.InvalidParameterError),
        ({"pairs": ("%d", "%d_"), "decode": ("image", 5)}, TypeError),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(make, options, error):
    path = make([(b"0", b""), (b"0_", b"")])
    with pytest.raises(error):
        Dataset(path, **options)


def test_a_database_in_the_order_of_reversed_keys(open_env, env_path):
    with open_env() as env:
        db = env.open_db(b"named", reverse_key=True)
        with env.begin(db, write=True) as txn:
            for key, value in records(("%d", "%d_"), range(30)):
                txn.put(key, value)
    dataset = Dataset(env_path, pairs=("%d", "%d_"), db=b"named")
    assert list(dataset) == [(b"data %d" % n, b"label %d" % n) for n in range(30)]
