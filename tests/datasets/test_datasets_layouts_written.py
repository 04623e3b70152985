# SPDX-License-Identifier: MIT
"""Image files packed here become the same records as the original recipes write, and files of
these recipes can be exported again.
"""

import os
import pickle

import numpy as np
import pytest
import recipes
from PIL import Image

import pylmdb
from pylmdb import datasets
from pylmdb.datasets import Dataset, Writer, datum


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "images")


@pytest.fixture
def ours(tmp_path):
    return str(tmp_path / "ours.lmdb")


@pytest.fixture
def theirs(tmp_path):
    return str(tmp_path / "theirs.lmdb")


@pytest.fixture
def names(root):
    return recipes.make_images(root)


def listed(tmp_path, names):
    """Return a list file as convert_imageset takes it, and its lines."""
    lines = [(name, number * 3 - 1) for number, name in enumerate(reversed(names))]
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{name} {label}\n" for name, label in lines))
    return str(path), lines


def files(folder):
    """Return the content of all files, by name."""
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            found[os.path.relpath(path, folder)] = recipes.read(path)
    return found


# -- Caffe ----------------------------------------------------------------------------


def test_convert_imageset_of_files(tmp_path, root, names, ours, theirs):
    list_file, lines = listed(tmp_path, names)
    done = datasets.from_image_list(list_file, ours, root=root, layout="datum")
    recipes.convert_imageset(root, lines, theirs, encoded=True)
    assert recipes.records(ours) == recipes.records(theirs)
    assert done == (6, [], [])


@pytest.mark.parametrize("gray", [False, True])
def test_convert_imageset_of_pixels(tmp_path, root, names, ours, theirs, gray):
    list_file, lines = listed(tmp_path, names)
    options = {"mode": "L"} if gray else {}
    datasets.from_image_list(list_file, ours, root=root, layout="datum", decode=True, **options)
    recipes.convert_imageset(root, lines, theirs, gray=gray)
    assert recipes.records(ours) == recipes.records(theirs)
    with Dataset(ours) as dataset:
        image, label = dataset[0]
    assert image.shape == (1 if gray else 3, 13, 10)
    assert label == -1


@pytest.mark.parametrize("width", [8, 10])
@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_keys_that_are_only_digits(ours, theirs, width, dtype):
    arrays = (np.random.default_rng(1).random((5, 3, 4, 6)) * 255).astype(dtype)
    with Writer(ours, layout="datum", key_format=f"%0{width}d") as writer:
        for label, array in enumerate(arrays):
            writer.append(array, label)
    recipes.pycaffe(arrays, range(5), theirs, width)
    assert recipes.records(ours) == recipes.records(theirs)


def test_image_files_in_caffe_s_messages_are_exported_unchanged(tmp_path, root, names, theirs):
    _, lines = listed(tmp_path, names)
    recipes.convert_imageset(root, lines, theirs, encoded=True)
    assert datasets.to_image_folder(theirs, tmp_path / "out") == 6
    assert files(tmp_path / "out") == files(root)


def test_pixels_in_caffe_s_messages_are_exported_as_png(tmp_path, root, names, theirs):
    _, lines = listed(tmp_path, names)
    recipes.convert_imageset(root, lines, theirs)
    datasets.to_image_folder(theirs, tmp_path / "out")
    for name in names:
        found = np.array(Image.open(tmp_path / "out" / name))
        assert np.array_equal(found[:, :, ::-1], recipes.bgr(f"{root}/{name}"))


# -- the others -----------------------------------------------------------------------


def test_pixels_under_keys_of_digits_are_exported_as_png(tmp_path, ours):
    pixels = np.random.default_rng(1).integers(0, 255, (3, 4, 5), np.uint8)
    with Writer(ours, layout="datum") as writer:
        writer.append(pixels)
    datasets.to_image_folder(ours, tmp_path / "out")
    found = np.array(Image.open(tmp_path / "out" / "00000000.png"))
    assert np.array_equal(found[:, :, ::-1].transpose(2, 0, 1), pixels)


def test_folder2lmdb(tmp_path, root, names, ours, theirs):
    samples = [(recipes.read(f"{root}/{name}"), int(name[:3] == "dog")) for name in names]
    done = datasets.from_image_folder(root, ours, layout="folder2lmdb", subdir=False)
    assert done == (6, [], ["cat", "dog"])
    recipes.folder2lmdb(samples, theirs)
    found, expected = recipes.records(ours), recipes.records(theirs)
    assert {key: pickle.loads(value) for key, value in found.items()} == {
        key: pickle.loads(value) for key, value in expected.items()
    }
    assert datasets.to_image_folder(theirs, tmp_path / "out", classes=["cat", "dog"]) == 6
    assert sorted(files(tmp_path / "out").values()) == sorted(files(root).values())
    assert sorted(os.listdir(tmp_path / "out")) == ["cat", "dog"]


def test_text_recognition(tmp_path, root, names, ours, theirs):
    texts = ["word", "zwei Wörter", "", "тэкст", "a\tb", "1"]
    list_file = tmp_path / "gt.txt"
    list_file.write_text(
        "".join(f"{name}\t{text}\n" for name, text in zip(names, texts, strict=True)), "utf-8"
    )
    done = datasets.from_image_list(list_file, ours, root=root, layout="ocr")
    assert done.samples == 6
    samples = [(recipes.read(f"{root}/{n}"), t) for n, t in zip(names, texts, strict=True)]
    recipes.text_recognition(samples, theirs)
    assert recipes.records(ours) == recipes.records(theirs)
    datasets.to_image_folder(theirs, tmp_path / "out")
    found = files(tmp_path / "out")
    assert found.pop("labels.txt").decode().splitlines()[1].endswith("\tzwei Wörter")
    again = str(tmp_path / "again")
    datasets.from_image_list(
        tmp_path / "out" / "labels.txt", again, root=tmp_path / "out", layout="ocr"
    )
    assert recipes.records(again) == recipes.records(theirs)


def test_open_catalyst(tmp_path, root, names, ours, theirs):
    values = [recipes.read(f"{root}/{name}") for name in names] * 3
    with Writer(ours, layout="numbered", subdir=False, commit_every=4) as writer:
        for value in values:
            writer.append(value)
    recipes.open_catalyst(values, theirs)
    assert recipes.records(ours) == recipes.records(theirs)
    assert datasets.to_image_folder(theirs, tmp_path / "out") == 18


def test_basicsr(tmp_path, root, names, ours, theirs):
    datasets.from_image_folder(root, ours, layout="basicsr")
    recipes.basicsr(root, names, theirs)
    assert recipes.records(ours) == recipes.records(theirs)
    assert recipes.read(f"{ours}/meta_info.txt") == recipes.read(f"{theirs}/meta_info.txt")
    assert datasets.to_image_folder(theirs, tmp_path / "out") == 6
    assert files(tmp_path / "out") == files(root)


@pytest.mark.parametrize("same", [False, True])
def test_mmsr(tmp_path, root, ours, theirs, same):
    names = recipes.make_images(root)[: 1 if same else 6]
    os.rename(root, tmp_path / "all")
    for name in names:
        os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)
        os.rename(tmp_path / "all" / name, f"{root}/{name}")
    datasets.from_image_folder(root, ours, layout="mmsr")
    recipes.mmsr(root, names, theirs)
    assert recipes.records(ours) == recipes.records(theirs)
    found, expected = (
        pickle.loads(recipes.read(f"{path}/meta_info.pkl")) for path in (ours, theirs)
    )
    assert (found.pop("name"), expected.pop("name")) == ("ours", "theirs")
    assert found == expected
    datasets.to_image_folder(theirs, tmp_path / "out")
    again = str(tmp_path / "again")
    assert datasets.from_image_folder(tmp_path / "out", again, layout="mmsr").samples == len(names)
    assert recipes.records(again) == recipes.records(theirs)
    files_of = str(tmp_path / "files")
    with pytest.raises(TypeError, match="image files"):
        datasets.convert(theirs, files_of, layout="basicsr")


def test_one_record_per_file(tmp_path, root, names, ours, theirs):
    datasets.from_image_folder(root, ours)
    recipes.one_record_per_file(root, names, theirs)
    assert recipes.records(ours) == recipes.records(theirs)
    assert datasets.to_image_folder(theirs, tmp_path / "out") == 6
    assert files(tmp_path / "out") == files(root)


# -- sidecar files after a writer was killed, and of a later writer ----------------------


@pytest.mark.parametrize("layout", ["basicsr", "mmsr"])
def test_sidecar_files_are_completed(root, names, ours, theirs, layout):
    meta = {"basicsr": "meta_info.txt", "mmsr": "meta_info.pkl"}[layout]
    options = {"layout": layout, "keys": "stem"}
    items = [datasets.ImageFile(f"{root}/{name}", name) for name in names]
    datasets.from_images(items, theirs, **options)
    datasets.from_images(items[:4], ours, **options)
    if layout == "basicsr":
        os.unlink(f"{ours}/{meta}")
    datasets.from_images(items, ours, resume=True, **options)
    assert recipes.records(ours) == recipes.records(theirs)
    if layout == "basicsr":
        assert recipes.read(f"{ours}/{meta}") == recipes.read(f"{theirs}/{meta}")
    assert sorted(os.listdir(ours)) == ["data.mdb", "lock.mdb", meta]


@pytest.mark.parametrize("layout", ["basicsr", "mmsr"])
def test_a_named_database_is_no_image(root, names, ours, layout, lib_version):
    options = {"layout": layout, "keys": "stem"}
    items = [datasets.ImageFile(f"{root}/{name}", name) for name in names]
    datasets.from_images(items[:4], ours, lib_version=lib_version, **options)
    with pylmdb.open(ours) as env:
        env.open_db(b"another")
    assert datasets.from_images(items, ours, resume=True, **options).samples == len(items)
    with datasets.Dataset(ours) as found:
        assert len(found) == len(items)


def test_pixels_that_have_not_their_size(tmp_path, ours):
    with Writer(ours, layout="mmsr") as writer:
        writer.append(np.zeros((2, 3, 3), np.uint8))
    with pylmdb.open(ours) as env, env.begin(write=True) as txn:
        txn.put(b"00000000", b"short")
    with pytest.raises(pylmdb.InvalidParameterError, match="3_2_3"):
        datasets.to_image_folder(ours, tmp_path / "out")


def test_pixels_without_a_recorded_size_are_refused(root, names, ours):
    items = [datasets.ImageFile(f"{root}/{name}", name) for name in names]
    datasets.from_images(items[:4], ours, layout="mmsr")
    os.unlink(f"{ours}/meta_info.pkl")
    with pytest.raises(pylmdb.InvalidParameterError, match="not known"):
        datasets.from_images(items, ours, layout="mmsr", resume=True)


@pytest.mark.parametrize(
    "meta",
    [
        pickle.dumps(["no", "dict"]),
        pickle.dumps({"keys": ["a"], "resolution": ["1_2_3", "1_2_3"]}),
        b"cos\nsystem\n(S'true'\ntR.",
        b"",
    ],
    ids=["list", "lengths", "program", "empty"],
)
def test_a_hostile_sidecar_pickle(root, names, ours, meta):
    items = [datasets.ImageFile(f"{root}/{name}", name) for name in names]
    datasets.from_images(items[:4], ours, layout="mmsr")
    with open(f"{ours}/meta_info.pkl", "wb") as file:
        file.write(meta)
    with pytest.raises(pylmdb.InvalidParameterError):
        Writer(ours, layout="mmsr", exist="extend")


@pytest.mark.parametrize(
    ("layout", "key", "value"),
    [
        ("numbered", b"length", b"-1"),
        ("numbered", b"0", b"no length"),
        ("ocr", b"num-samples", b"many"),
        ("folder2lmdb", b"__len__", pickle.dumps("many")),
        ("folder2lmdb", b"__len__", b"cos\nsystem\n(S'true'\ntR."),
    ],
)
def test_counts_that_are_none(ours, layout, key, value):
    with pylmdb.open(ours) as env, env.begin(write=True) as txn:
        txn.put(key, value)
    with pytest.raises(pylmdb.InvalidParameterError):
        Writer(ours, layout=layout, exist="extend")


@pytest.mark.parametrize(
    ("layout", "value", "label", "error"),
    [
        ("plain", b"x", 1, pylmdb.InvalidParameterError),
        ("numbered", b"x", 1, pylmdb.InvalidParameterError),
        ("folder2lmdb", np.zeros(3), 1, TypeError),
        ("folder2lmdb", b"x", "cat", ValueError),
        ("ocr", np.zeros(3), "a", TypeError),
        ("basicsr", b"no image", None, pylmdb.InvalidParameterError),
        ("mmsr", b"bytes", None, pylmdb.InvalidParameterError),
        ("mmsr", np.zeros((3, 4)), None, pylmdb.InvalidParameterError),
        ("datum", np.zeros(3), 1, pylmdb.InvalidParameterError),
        ("datum", b"x", 2**40, pylmdb.InvalidParameterError),
    ],
)
def test_samples_that_a_layout_cannot_hold(ours, layout, value, label, error):
    with Writer(ours, layout=layout) as writer:
        with pytest.raises(error):
            writer.append(value, label)
        assert len(writer) == 0


def test_one_layout_into_another(tmp_path, root, names, ours):
    datasets.from_image_folder(root, ours, layout="folder2lmdb")
    caffe, ocr, plain = (str(tmp_path / name) for name in ("caffe", "ocr", "plain"))
    assert datasets.convert(ours, caffe, layout="datum") == 6
    assert datasets.convert(caffe, ocr, layout="ocr") == 6
    with Dataset(ours) as first, Dataset(ocr) as last:
        assert [(image, str(label)) for image, label in first] == [*last]
    with pytest.raises(pylmdb.InvalidParameterError, match="labels"):
        datasets.convert(ocr, plain)
    with Dataset(ours, decode="image", transform=lambda sample: sample[0]) as images:
        datasets.convert(images, plain, exist="extend")
    with Dataset(plain) as dataset:
        assert dataset.keys()[2] == b"2"
        assert dataset[2].shape == (12, 10, 3)
    assert datum.decode(recipes.records(caffe)[b"00000000"])[1] == 0
