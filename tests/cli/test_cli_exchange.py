# SPDX-License-Identifier: MIT
"""The command line: import and export of data sets."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from pylmdb import datasets
from pylmdb.cli import main
from pylmdb.datasets.formats import FORMATS


def run(capfd, *argv):
    assert main([str(each) for each in argv]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    return out


@pytest.fixture
def images(tmp_path):
    """Two folders with three images each."""
    rng = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "images" / label).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 256, (8, 9, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / label / f"{i}.png")
    return tmp_path / "images"


def test_images_there_and_back(images, tmp_path, capfd):
    argv = ("import", "images", images, tmp_path / "e")
    assert run(capfd, *argv) == "6 samples\n"
    assert run(capfd, "export", "images", tmp_path / "e", tmp_path / "out") == "6 samples\n"
    found = [sorted(os.walk(folder)) for folder in (images, tmp_path / "out")]
    assert [files for _, _, files in found[0]] == [files for _, _, files in found[1]]
    assert main([str(each) for each in argv]) == 1
    assert "exists" in capfd.readouterr().err


def test_options(images, tmp_path, capfd):
    options = ("--layout", "datum", "--decode", "--resize", "4x5", "--mode", "RGB", "--axes", "CHW",
               "--shuffle", "--seed", "1", "--key-format", "%010d", "--keys", "number")  # fmt: skip
    out = run(capfd, "import", "images", images, tmp_path / "e", "--json", *options)
    assert json.loads(out) == {"samples": 6}
    with datasets.Dataset(tmp_path / "e") as dataset:
        pixels, label = dataset[0]
        assert pixels.shape == (3, 4, 5)
        assert label in (0, 1)
        assert bytes(dataset.keys()[0]) == b"0000000000"


def test_arrays(tmp_path, capfd):
    rows = np.arange(12, dtype="f4").reshape(4, 3)
    np.save(tmp_path / "rows.npy", rows)
    run(capfd, "import", "memmap", tmp_path / "rows.npy", tmp_path / "e")
    run(capfd, "import", "lmdb", tmp_path / "e", tmp_path / "f", "--layout", "numbered")
    run(capfd, "export", "npz", tmp_path / "f", tmp_path / "rows.npz", "--data", "x")
    assert np.array_equal(np.load(tmp_path / "rows.npz")["x"], rows)
    run(capfd, "export", "hdf5", tmp_path / "f", tmp_path / "rows.h5", "--data", "x")
    run(capfd, "import", "hdf5", tmp_path / "rows.h5", tmp_path / "g", "--data", "x")
    run(capfd, "export", "memmap", tmp_path / "g", tmp_path / "again.npy")
    assert np.array_equal(np.load(tmp_path / "again.npy"), rows)


@pytest.mark.parametrize("command", ["import", "export"])
def test_help_names_the_formats(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    for name, each in FORMATS.items():
        assert name in out
        if getattr(each, "load" if command == "import" else "save") is None:
            continue
        with pytest.raises(SystemExit) as ended:
            main([command, name, "--help"])
        assert ended.value.code == 0
        assert each.description.split()[-1] in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [[], ["nope"], ["npz"], ["images", "a", "b", "--resize", "5"]], ids=str
)
def test_wrong_usage(argv, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["import", *argv])
    assert ended.value.code == 2
    assert "usage: pylmdb import" in capsys.readouterr().err
