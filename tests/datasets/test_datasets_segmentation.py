# SPDX-License-Identifier: MIT
"""Images and label images become two data sets with one list, as Caffe's recipe for segmentation
makes them.
"""

import os

import lmdb
import numpy as np
import pytest
import recipes
from PIL import Image
from protobuf_datum import Datum

import pylmdb
from pylmdb import datasets
from pylmdb.datasets import Dataset, ImageFile

COUNT = 4


@pytest.fixture
def root(tmp_path):
    """Images, of which some are gray, and label images with a palette, without, and of 1 bit."""
    folder = tmp_path / "voc"
    chance = np.random.default_rng(2)
    for name in ("images", "masks"):
        os.makedirs(folder / name)
    with open(folder / "list.txt", "w") as lines:
        for number in range(COUNT):
            size = (8 + number, 10)
            pixels = chance.integers(0, 255, (*size, 3), np.uint8)
            Image.fromarray(pixels if number else pixels[:, :, 0]).save(
                folder / f"images/{number}.png"
            )
            Image.fromarray(mask(number)).save(folder / f"masks/{number}.png")
            lines.write(f"/images/{number}.png /masks/{number}.png\n")
    palette = Image.open(folder / "masks/1.png")
    palette.putpalette([10, 20, 30] * 256)
    palette.save(folder / "masks/1.png")
    Image.fromarray(mask(2) > 100).save(folder / "masks/2.png")
    return folder


def mask(number):
    return np.random.default_rng(number).integers(0, 256, (8 + number, 10), np.uint8)


def expected_mask(number):
    return (mask(number) > 100).astype(np.uint8) if number == 2 else mask(number)


def pack(root, tmp_path, **options):
    return datasets.from_image_list(
        root / "list.txt", tmp_path / "data", root=root, labels="images",
        labels_path=tmp_path / "labels", **options,
    )  # fmt: skip


def records(path):
    return recipes.records(str(path))


def read(path):
    with Dataset(path) as dataset:
        return dataset.keys(), list(dataset)


def test_as_the_recipe_for_caffe(root, tmp_path):
    """The recipe: an array_to_datum for each image, in BGR with the channels first, and another
    one for the indices of its label image.
    """
    for name in ("in_data", "in_labels"):
        env = lmdb.open(str(tmp_path / name), map_size=1 << 24)
        with env.begin(write=True) as txn:
            for number in range(COUNT):
                if name == "in_data":
                    array = recipes.bgr(root / f"images/{number}.png").transpose(2, 0, 1)
                else:
                    array = expected_mask(number)[None]
                channels, height, width = array.shape
                message = Datum(channels=channels, height=height, width=width)
                message.data = array.tobytes()
                txn.put(b"%08d_/images/%d.png" % (number, number), message.SerializeToString())
        env.close()
    assert pack(root, tmp_path, layout="datum").samples == COUNT
    for ours, theirs in (("data", "in_data"), ("labels", "in_labels")):
        assert records(tmp_path / ours) == records(tmp_path / theirs)


def test_files_are_stored_as_they_are(root, tmp_path):
    pack(root, tmp_path)
    keys, images = read(tmp_path / "data")
    assert keys == [b"/images/%d.png" % number for number in range(COUNT)]
    assert images == [recipes.read(root / f"images/{number}.png") for number in range(COUNT)]
    labels = [recipes.read(root / f"masks/{number}.png") for number in range(COUNT)]
    assert read(tmp_path / "labels") == (keys, labels)


def test_resizing_keeps_the_numbers_of_classes(root, tmp_path):
    pack(root, tmp_path, mode="RGB", axes="CHW", resize=(5, 7))
    _, images = read(tmp_path / "data")
    assert {array.shape for array in images} == {(3, 5, 7)}
    for number, label in enumerate(read(tmp_path / "labels")[1]):
        assert label.shape == (1, 5, 7)
        nearest = Image.fromarray(expected_mask(number)).resize((7, 5), Image.Resampling.NEAREST)
        assert np.array_equal(label[0], np.array(nearest))


def test_the_two_are_read_in_one_order(root, tmp_path):
    pack(root, tmp_path, mode="RGB", resize=(4, 4), shuffle=True, seed=3)
    data, labels = Dataset(tmp_path / "data"), Dataset(tmp_path / "labels")
    assert data.keys() == labels.keys() != sorted(data.keys())
    options = {"batch_size": 2, "shuffle": True, "seed": 1}
    pairs = list(
        zip(datasets.Loader(data, **options), datasets.Loader(labels, **options), strict=True)
    )
    assert [(a.shape, b.shape) for a, b in pairs] == [((2, 4, 4, 3), (2, 4, 4))] * 2
    sums = {int(image.sum()): int(label.sum()) for image, label in zip(data, labels, strict=True)}
    for images, masks in pairs:
        for image, label in zip(images, masks, strict=True):
            assert sums[int(image.sum())] == label.sum()


def test_a_label_image_must_fit(root, tmp_path):
    Image.new("RGB", (10, 9)).save(root / "masks/1.png")
    Image.new("L", (3, 3)).save(root / "masks/3.png")
    with pytest.raises(pylmdb.InvalidParameterError, match=r"masks/1\.png.*channels R, G, B"):
        pack(root, tmp_path, layout="datum")
    done = pack(root, tmp_path, layout="datum", errors="skip", exist="replace")
    assert done.samples == 2
    assert [os.path.basename(path) for path, _ in done.skipped] == ["1.png", "3.png"]
    assert r"has (3, 3) as height and width" in done.skipped[1][1]
    assert read(tmp_path / "data")[0] == read(tmp_path / "labels")[0]


def test_both_files_are_checked_before_one_is_made(root, tmp_path):
    pack(root, tmp_path)
    os.rename(tmp_path / "data", tmp_path / "elsewhere")
    with pytest.raises(pylmdb.PathExistsError, match="labels"):
        pack(root, tmp_path)
    assert not os.path.exists(tmp_path / "data")
    with pytest.raises(pylmdb.InvalidParameterError, match="resume=True"):
        pack(root, tmp_path, exist="extend")


def test_a_failure_replaces_neither_file(root, tmp_path):
    pack(root, tmp_path)
    before = records(tmp_path / "data"), records(tmp_path / "labels")
    with open(root / "masks/3.png", "wb"):
        pass
    with pytest.raises(pylmdb.InvalidParameterError, match=r"masks/3\.png"):
        pack(root, tmp_path, mode="L", exist="replace")
    assert before == (records(tmp_path / "data"), records(tmp_path / "labels"))


@pytest.mark.parametrize(("images", "masks"), [(3, 1), (1, 3), (0, 2), (4, 4)])
def test_resuming_after_a_kill_between_two_commits(root, tmp_path, images, masks):
    pack(root, tmp_path)
    expected = read(tmp_path / "data"), read(tmp_path / "labels")
    for name, kept in (("data", images), ("labels", masks)):
        with pylmdb.open(tmp_path / name) as env, env.begin(write=True) as txn:
            for key in [*txn.range(values=False)][kept:]:
                txn.delete(key)
    pack(root, tmp_path, resume=True)
    assert (read(tmp_path / "data"), read(tmp_path / "labels")) == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": "images"}, "labels_path"),
        ({"labels_path": "x"}, "labels='images'"),
        ({"labels": "folders"}, "labels"),
    ],
)
def test_options_that_do_not_fit(root, tmp_path, options, words):
    with pytest.raises(pylmdb.InvalidParameterError, match=words):
        datasets.from_image_list(root / "list.txt", tmp_path / "data", root=root, **options)
    assert not os.path.exists(tmp_path / "data")


def test_paths_that_do_not_fit(root, tmp_path):
    item = ImageFile(str(root / "images/0.png"), "0", str(root / "masks/0.png"))
    with pytest.raises(pylmdb.InvalidParameterError, match="two files"):
        datasets.from_images([item], tmp_path / "x", labels_path=tmp_path / "." / "x")
    with pytest.raises(pylmdb.InvalidParameterError, match="the label 3"):
        datasets.from_images([item._replace(label=3)], tmp_path / "x", labels_path=tmp_path / "y")
    assert not os.path.exists(tmp_path / "x")
