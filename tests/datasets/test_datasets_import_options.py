# SPDX-License-Identifier: MIT
"""commit_every and progress in every function that makes a data set."""

import inspect

import h5py
import numpy as np
import pytest
from PIL import Image

import pylmdb
from pylmdb import datasets
from pylmdb.datasets import ImageFile

COUNT = 5


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Arguments for each function, up to the path of the data set."""
    folder = tmp_path_factory.mktemp("sources")
    rows = np.arange(COUNT * 3).reshape(COUNT, 3)
    np.save(folder / "rows.npy", rows)
    np.savez(folder / "rows.npz", **{str(number): row for number, row in enumerate(rows)})
    with h5py.File(folder / "rows.h5", "w") as file:
        for number, row in enumerate(rows):
            file[str(number)] = row
    (folder / "images").mkdir()
    with open(folder / "list.txt", "w") as lines:
        for number in range(COUNT):
            Image.new("L", (2, 2)).save(folder / f"images/{number}.png")
            lines.write(f"{folder}/images/{number}.png 3\n")
    with datasets.Writer(folder / "old") as writer:
        for row in rows:
            writer.append(row)
    return {
        "from_images": [ImageFile(f"{folder}/images/{n}.png", str(n)) for n in range(COUNT)],
        "from_image_folder": folder / "images",
        "from_image_list": folder / "list.txt",
        "from_npz": folder / "rows.npz",
        "from_hdf5": folder / "rows.h5",
        "from_memmap": folder / "rows.npy",
        "convert": folder / "old",
    }


NAMES = ["convert", *(name for name in vars(datasets) if name.startswith("from_"))]


@pytest.mark.parametrize("name", NAMES)
def test_each_commits_as_often_as_it_is_told(name, sources, tmp_path):
    options = {"layout": "datum"} if name == "from_image_list" else {}
    commits, calls = [], []
    for every in (1, COUNT):
        path = tmp_path / str(every)
        getattr(datasets, name)(
            sources[name], path, commit_every=every,
            progress=lambda *at: calls.append(at), **options,
        )  # fmt: skip
        with pylmdb.open(path, readonly=True) as env:
            commits.append(env.info().last_txnid)
            assert env.stat().entries == COUNT
    assert commits[0] - commits[1] == COUNT - 1
    assert calls == [(n + 1, COUNT) for n in range(COUNT)] * 2


@pytest.mark.parametrize("name", NAMES)
def test_each_documents_them_once(name):
    function = getattr(datasets, name)
    for option in ("commit_every", "progress"):
        assert option in inspect.signature(function).parameters
        assert function.__doc__.count(f":param {option}:") == 1
