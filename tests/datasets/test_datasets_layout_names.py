# SPDX-License-Identifier: MIT
"""A layout has the same name for writing and for reading."""

import io
import os
import pickle
import pkgutil

import numpy as np
import pytest
from PIL import Image

import pylmdb
from pylmdb import datasets
from pylmdb.datasets import Dataset, Writer, layouts

WRITTEN = ["plain", "datum", "numbered", "folder2lmdb", "ocr", "basicsr", "mmsr", "caffe", "padded"]


def png(i):
    out = io.BytesIO()
    Image.fromarray(np.full((2, 3), i, np.uint8)).save(out, "PNG")
    return out.getvalue()


def write(path, layout, **options):
    labelled = layout in ("datum", "caffe", "folder2lmdb", "ocr")
    with Writer(path, layout=layout, **options) as writer:
        for i in range(12):
            value = np.full((2, 3, 3), i, np.uint8) if layout == "mmsr" else png(i)
            name = f"image {i:02d}" if layout in ("basicsr", "mmsr") else None
            writer.append(value, i if labelled else None, name)


def test_each_layout_is_a_module_of_that_name():
    modules = {each.name for each in pkgutil.iter_modules(layouts.__path__)}
    public = {name for name in modules if not name.startswith("_")}
    assert public == {*layouts.AUTO, "datum"} - {"caffe"}
    assert public >= {layouts.written_name(name) for name in layouts.WRITTEN}


def test_these_are_written():
    assert {*layouts.WRITTEN} == {*WRITTEN}


@pytest.mark.parametrize("layout", WRITTEN)
def test_what_is_written_by_a_name_is_read_by_it(env_path, lib_version, layout):
    write(env_path, layout, lib_version=lib_version)
    with Dataset(env_path) as found, Dataset(env_path, layout) as named:
        assert len(found) == len(named) == 12
        assert [*found] == [*named]
        # and the name of what was found is good for both
        again = found.layouts[0]
        assert Dataset(env_path, again).keys() == found.keys()
        assert layouts.written_name(again) == layouts.written_name(layout)


@pytest.mark.parametrize("names", [("datum", "caffe"), ("basicsr", "mmsr")])
def test_what_is_written_by_one_name_is_read_by_the_other(env_path, names):
    first, second = names
    write(env_path, second)
    with Dataset(env_path, first) as dataset:
        assert len(dataset) == 12


@pytest.mark.parametrize("key_format", [None, "%08d", "%010d", "%d", "i%03d"])
@pytest.mark.parametrize("name", ["datum", "caffe", "padded"])
def test_caffe_s_layout_has_three_names(env_path, key_format, name):
    if name == "padded" and key_format in ("%d", "i%03d"):
        return
    write(env_path, "datum", key_format=key_format)
    with Dataset(env_path, name) as dataset:
        image, label = dataset[7]
        assert (image, label) == (png(7), 7)


def test_the_kind_of_pixels_is_known_by_any_name(env_path, tmp_path):
    """Caffe has the channels first, in the order BGR."""
    pixels = np.zeros((3, 4, 5), np.uint8)
    pixels[0] = 255
    with Writer(env_path, layout="caffe") as writer:
        writer.append(pixels, 1)
    for name in ("auto", "datum", "caffe", "padded"):
        with Dataset(env_path, name) as dataset:
            datasets.to_image_folder(dataset, tmp_path / name)
        assert Image.open(tmp_path / name / "1" / "00000000.png").getpixel((0, 0)) == (0, 0, 255)


def test_values_that_are_no_datum(env_path):
    write(env_path, "plain")
    with pytest.raises(pylmdb.InvalidParameterError, match="does not have the layout 'datum'"):
        Dataset(env_path, "datum")


@pytest.mark.parametrize("layout", ["order", "integers", "pairs"])
def test_layouts_that_are_only_read(env_path, layout):
    with pytest.raises(
        pylmdb.InvalidParameterError, match=f"{layout!r} can be read, but not written; written are"
    ):
        Writer(env_path, layout=layout)


def test_a_name_that_is_none(env_path):
    with pytest.raises(pylmdb.InvalidParameterError, match="'nonsense' is not known; written are"):
        Writer(env_path, layout="nonsense")
    write(env_path, "plain")
    with pytest.raises(pylmdb.InvalidParameterError, match="'nonsense' is not known; it must be"):
        Dataset(env_path, "nonsense")


@pytest.mark.parametrize("layout", ["plain", "datum", "caffe"])
def test_no_samples(env_path, layout):
    Writer(env_path, layout=layout).close()
    assert len(Dataset(env_path, layout)) == 0


def test_numbered_datum_values_of_native_keys(open_env, env_path):
    """Which a Writer does not make."""
    with open_env() as env:
        db, order = env.open_db(b"n", integerkey=True), env.open_db(b"__order__n")
        with env.begin(write=True) as txn:
            for i in range(3):
                key = (7 - i).to_bytes(8, "little")
                txn.put(key, datasets.datum.encode(png(i), i, encoded=True), db=db)
                txn.put(i.to_bytes(8, "big"), key, db=order)
    dataset = pickle.loads(pickle.dumps(Dataset(env_path, db=b"n")))
    assert [label for _, label in dataset] == [0, 1, 2]


@pytest.mark.parametrize("name", ["meta_info.txt", "meta_info.pkl"])
def test_a_pipe_named_like_a_sidecar_file_is_not_waited_for(env_path, name):
    write(env_path, "plain")
    os.mkfifo(os.path.join(env_path, name))
    assert len(Dataset(env_path)) == 12
