# SPDX-License-Identifier: MIT
"""npz archives, memory maps and HDF5 files become data sets, and are made from data sets."""

import io
import os
import pickle
import stat
import zipfile

import h5py
import numpy as np
import pytest

import pylmdb
from pylmdb import datasets
from pylmdb._base import new_files as _new_files
from pylmdb.datasets import Dataset, Writer

ARRAYS = {
    "images": np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4),
    "labels": np.array([3, 1, 4, 1, 5]),
    "group/means": np.linspace(0, 1, 7),
    "scalar": np.float32(2.5),
    "empty": np.zeros((0, 3), np.int16),
    "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "record": np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]),
    "texts": np.array([b"one", b"three"]),
    "flags": np.array([True, False]),
    "nested": np.zeros(2, [("a", "S3"), ("b", [("c", "?", (2,))])]),
}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "packed")


def samples(path, **options):
    with Dataset(path, **options) as dataset:
        return dict(zip(dataset.keys(), dataset, strict=True))


def same(ours, theirs):
    theirs = np.asarray(theirs)
    return (
        ours.dtype == theirs.dtype
        and ours.shape == theirs.shape
        and ours.tobytes() == theirs.tobytes()
    )


# -- npz ------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_and_back(tmp_path, path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    assert datasets.from_npz(tmp_path / "a.npz", path) == len(ARRAYS)
    found = samples(path)
    assert [*found] == [name.encode() for name in ARRAYS]
    assert all(same(found[name.encode()], array) for name, array in ARRAYS.items())
    for compress in (False, True):
        options = {"compress": compress, "overwrite": compress}
        assert datasets.to_npz(path, tmp_path / "b.npz", **options) == len(ARRAYS)
        with np.load(tmp_path / "b.npz") as again:
            assert again.files == [*ARRAYS]
            assert all(same(again[name], array) for name, array in ARRAYS.items())


def test_sources_without_samples(tmp_path, path):
    np.savez(tmp_path / "none.npz")
    np.savez(tmp_path / "a.npz", x=np.zeros((0, 3)))
    np.save(tmp_path / "a.npy", np.zeros((0, 3)))
    h5py.File(tmp_path / "a.h5", "w").close()
    for read, name, options, what in (
        (datasets.from_npz, "none.npz", {}, "arrays"),
        (datasets.from_npz, "a.npz", {"data": "x"}, "rows"),
        (datasets.from_memmap, "a.npy", {}, "rows"),
        (datasets.from_memmap, "a.npy", {"headers": False}, "rows"),
        (datasets.from_hdf5, "a.h5", {}, "HDF5 data sets"),
    ):
        with pytest.raises(pylmdb.InvalidParameterError, match=f"{name}' has no {what}$"):
            read(tmp_path / name, path, **options)
        missing = tmp_path / f"missing-{name}"
        with pytest.raises(pylmdb.PathNotFoundError, match="does not exist") as found:
            read(missing, path, **options)
        assert found.value.filename == str(missing)
    assert not os.path.exists(path)


@pytest.mark.parametrize("layout", ["datum", "folder2lmdb"])
def test_rows_of_an_archive_and_back(tmp_path, path, layout):
    images = np.random.default_rng(1).integers(0, 255, (5, 1, 3, 4), np.uint8)
    np.savez(tmp_path / "a.npz", x=images, y=ARRAYS["labels"][:, None])
    if layout == "folder2lmdb":
        with pytest.raises(TypeError, match="image files"):
            datasets.from_npz(tmp_path / "a.npz", path, data="x", labels="y", layout=layout)
        return
    assert datasets.from_npz(tmp_path / "a.npz", path, data="x", labels="y", layout=layout) == 5
    assert datasets.to_npz(path, tmp_path / "b.npz", data="x", labels="y") == 5
    with np.load(tmp_path / "b.npz") as again:
        assert same(again["x"], images)
        assert again["y"].tolist() == ARRAYS["labels"].tolist()


def archive(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def npy(array, allow_pickle=False):
    out = io.BytesIO()
    np.save(out, array, allow_pickle)
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x05\x06" + bytes(17),
        npy(np.zeros(3)),
        archive(**{"a.txt": b"text"}),
        archive(**{"a.npy": b"no array"}),
        archive(**{"a.npy": npy(np.zeros(3))[:-8]}),
        archive(**{"a.npy": npy(np.array([{}]), True)}),
        archive(**{"a.npy": pickle.dumps(os.system)}),
        archive(**{"a.npy": npy(np.zeros(300))})[:-200],
        archive(**{"a.npy": npy(np.zeros(300))}).replace(bytes(100), b"x" * 100),
    ],
)
def test_what_is_no_archive_of_arrays(tmp_path, path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(pylmdb.InvalidParameterError):
        datasets.from_npz(tmp_path / "a.npz", path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": "none"}, "'none'"),
        ({"data": "scalar"}, "rows"),
        ({"data": "images", "labels": "group/means"}, "as many"),
        ({"data": "images", "labels": "turned"}, "as many"),
        ({"data": "labels", "labels": "images", "layout": "datum"}, "label"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, path, options, words):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    with pytest.raises(pylmdb.InvalidParameterError, match=words):
        datasets.from_npz(tmp_path / "a.npz", path, **options)


def test_a_failed_export_leaves_what_was_there(tmp_path, path):
    with Writer(path) as writer:
        writer.append(np.zeros(3))
        writer.append(np.zeros(4))
    for name, export in (
        ("a.npz", lambda dest, **options: datasets.to_npz(path, dest, data="x", **options)),
        ("a.npy", lambda dest, **options: datasets.to_memmap(path, dest, **options)),
        ("a.h5", lambda dest, **options: datasets.to_hdf5(path, dest, data="x", **options)),
    ):
        dest = tmp_path / name
        with pytest.raises(pylmdb.InvalidParameterError, match="sample 1"):
            export(dest)
        dest.write_bytes(b"old")
        with pytest.raises(pylmdb.PathExistsError, match="exists; overwrite=True replaces it"):
            export(dest)
        with pytest.raises(pylmdb.InvalidParameterError, match="sample 1"):
            export(dest, overwrite=True)
        assert dest.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.h5", "a.npy", "a.npz", "packed"]


def test_samples_that_are_no_arrays(tmp_path, path):
    with Writer(path) as writer:
        writer.append(b"bytes")
    for export in (datasets.to_npz, datasets.to_memmap):
        with pytest.raises(pylmdb.InvalidParameterError, match="must be an array"):
            export(path, tmp_path / "out")
    with (
        Dataset(path, dtype="u1", shape=5) as dataset,
        pytest.raises(pylmdb.InvalidParameterError, match="no label"),
    ):
        datasets.to_memmap(dataset, tmp_path / "out", labels=tmp_path / "labels")


# -- memory maps ----------------------------------------------------------------------


def test_rows_of_a_memory_map_and_back(tmp_path, path):
    rows = np.random.default_rng(1).random((100, 7), np.float32)
    np.save(tmp_path / "a.npy", rows)
    assert datasets.from_memmap(tmp_path / "a.npy", path) == 100
    assert [*samples(path)][:2] == [b"00000000", b"00000001"]
    assert datasets.to_memmap(path, tmp_path / "b.npy") == 100
    again = np.load(tmp_path / "b.npy", mmap_mode="r")
    assert same(again, rows)
    assert again.offset % 64 == 0


def test_labels_of_rows(tmp_path, path):
    images = np.random.default_rng(1).random((6, 2, 3, 4), np.float32)
    np.save(tmp_path / "a.npy", images)
    np.save(tmp_path / "l.npy", np.arange(6, dtype=np.uint8))
    datasets.from_memmap(tmp_path / "a.npy", path, labels=tmp_path / "l.npy", layout="datum")
    assert [label for _, label in samples(path).values()] == [*range(6)]
    datasets.to_memmap(path, tmp_path / "b.npy", labels=tmp_path / "m.npy")
    assert same(np.load(tmp_path / "b.npy"), images)
    assert np.load(tmp_path / "m.npy").tolist() == [*range(6)]


def test_files_without_a_header(tmp_path, path):
    rows = np.arange(12, dtype="<i2").reshape(4, 3)
    rows.tofile(tmp_path / "a.bin")
    options = {"dtype": "<i2", "shape": (4, 3)}
    datasets.from_memmap(tmp_path / "a.bin", path, headers=False, **options)
    with pylmdb.open(path) as env, env.begin() as txn:
        assert txn.get(b"00000002") == rows[2].tobytes()
    with Dataset(path, dtype="<i2", shape=3) as dataset:
        assert datasets.to_memmap(dataset[1:], tmp_path / "b.npy") == 3
    assert same(np.load(tmp_path / "b.npy"), rows[1:])
    with pytest.raises(pylmdb.InvalidParameterError, match="mapped"):
        datasets.from_memmap(tmp_path / "a.bin", path, dtype="<i2", shape=(9, 9))


def test_what_cannot_be_mapped(tmp_path, path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(b"\x93NUMPY\x01\x00 half")
    (tmp_path / "e.npy").write_bytes(b"")
    (tmp_path / "p.npy").write_bytes(pickle.dumps([1]))
    for name in ("a.npz", "o.npy", "b.npy", "e.npy", "p.npy"):
        with pytest.raises(pylmdb.InvalidParameterError):
            datasets.from_memmap(tmp_path / name, path)
    with pytest.raises(pylmdb.PathNotFoundError):
        datasets.from_memmap(tmp_path / "none.npy", path)
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    with pytest.raises(pylmdb.InvalidParameterError, match="headers=False"):
        datasets.from_memmap(tmp_path / "x.npy", path, headers=False, layout="datum")


def test_no_samples(tmp_path, path):
    with Writer(path):
        pass
    assert datasets.to_memmap(path, tmp_path / "a.npy") == 0
    assert np.load(tmp_path / "a.npy").shape == (0,)
    assert datasets.to_npz(path, tmp_path / "a.npz", data="x", labels="y") == 0
    assert datasets.to_hdf5(path, tmp_path / "a.h5", data="x", labels="y") == 0


# -- HDF5 -----------------------------------------------------------------------------

ATTRIBUTES = {
    "": {"title": "all of it", "version": 3},
    "images": {"scale": np.array([1.5, 2.5]), "names": ["a", "ü"], "kind": np.bytes_(b"bytes")},
    "group": {"depth": np.int8(1)},
    "group/nothing": {},
}


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        for name, array in ARRAYS.items():
            file[name] = array
        file.create_group("group/nothing")
        file["words"] = ["one", "zwei Wörter", ""]
        file["word"] = "just one"
        file["soft"] = h5py.SoftLink("/images")
        file["external"] = h5py.ExternalLink("/no/such/file.h5", "/images")
        for name, attributes in ATTRIBUTES.items():
            for key, value in attributes.items():
                file[name or "/"].attrs[key] = value


def test_an_hdf5_file_and_back(tmp_path, path):
    write_hdf5(tmp_path / "a.h5")
    assert datasets.from_hdf5(tmp_path / "a.h5", path) == len(ARRAYS) + 2
    found = samples(path)
    assert all(same(found[name.encode()], array) for name, array in ARRAYS.items())
    assert found[b"words"].tolist() == ["one", "zwei Wörter", ""]
    assert [*found] == sorted(found)
    assert datasets.to_hdf5(path, tmp_path / "b.h5") == len(ARRAYS) + 2
    with h5py.File(tmp_path / "b.h5") as file:
        assert all(same(file[name][()], array) for name, array in ARRAYS.items())
        assert [*file["words"].asstr()] == ["one", "zwei Wörter", ""]
        assert file["word"].asstr()[()] == "just one"
        for name, attributes in ATTRIBUTES.items():
            there = file[name or "/"].attrs
            assert {*there} == {*attributes}
            for key, value in attributes.items():
                assert np.array_equal(there[key], value)


def test_rows_of_an_hdf5_file_and_back(tmp_path, path):
    images = np.random.default_rng(1).integers(0, 255, (500, 3, 40, 40), np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("train/x", data=images, chunks=(7, 3, 40, 40), compression="gzip")
        file["train/y"] = np.arange(500)
    options = {"data": "train/x", "labels": "train/y"}
    assert datasets.from_hdf5(tmp_path / "a.h5", path, layout="datum", **options) == 500
    assert datasets.to_hdf5(path, tmp_path / "b.h5", **options) == 500
    with h5py.File(tmp_path / "b.h5") as file:
        assert same(file["train/x"][()], images)
        assert file["train/y"][()].tolist() == [*range(500)]


def test_the_name_of_the_attributes_is_no_path(tmp_path, path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["__attributes__"] = np.zeros(3)
    with pytest.raises(pylmdb.InvalidParameterError, match="database"):
        datasets.from_hdf5(tmp_path / "a.h5", path)


def test_labels_and_bytes_as_a_tree(tmp_path, path):
    with Writer(path, layout="folder2lmdb") as writer:
        writer.append(b"image", 7)
    datasets.to_hdf5(path, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["0"][()].tobytes() == b"image"
        assert file["0"].attrs["label"] == 7


@pytest.mark.parametrize("kind", ["vlen", "reference", "empty", "external", "virtual", "attribute"])
def test_what_has_no_array(tmp_path, path, kind):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        if kind == "vlen":
            file.create_dataset("x", (2,), h5py.vlen_dtype(np.int32))
        elif kind == "reference":
            file.create_dataset("x", (2,), h5py.ref_dtype)
        elif kind == "empty":
            file["x"] = h5py.Empty("f4")
        elif kind == "external":
            (tmp_path / "secret").write_bytes(bytes(8))
            file.create_dataset("x", (8,), "u1", external=str(tmp_path / "secret"))
        elif kind == "virtual":
            with h5py.File(tmp_path / "secret.h5", "w") as other:
                other["y"] = np.arange(3)
            layout = h5py.VirtualLayout((3,), "i8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "y", (3,))
            file.create_virtual_dataset("x", layout)
        else:
            file["x"] = np.zeros(3)
            file["x"].attrs["none"] = h5py.Empty("f4")
    with pytest.raises(pylmdb.InvalidParameterError, match="array"):
        datasets.from_hdf5(tmp_path / "a.h5", path)


def test_what_is_no_hdf5_file(tmp_path, path):
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (tmp_path / "b.h5").write_bytes(b"text")
    for name in ("a.h5", "b.h5"):
        with pytest.raises(pylmdb.InvalidParameterError, match="is not an HDF5 file"):
            datasets.from_hdf5(tmp_path / name, path)
    with pytest.raises(pylmdb.PathNotFoundError):
        datasets.from_hdf5(tmp_path / "none.h5", path)
    write_hdf5(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "a") as file:
        file["elsewhere"] = h5py.ExternalLink(str(tmp_path / "d.h5"), "/y")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["y"] = np.arange(3)
    for name in ("none", "group", "external", "elsewhere"):
        with pytest.raises(pylmdb.InvalidParameterError, match="no data set"):
            datasets.from_hdf5(tmp_path / "c.h5", path, data=name)


@pytest.mark.parametrize("keys", [[b"a", b"a/b"], [b"\xff"], [b"a\0b"]])
def test_keys_that_are_no_paths(tmp_path, path, keys):
    with Writer(path) as writer:
        for key in keys:
            writer.write(key, np.zeros(3))
    with pytest.raises(pylmdb.InvalidParameterError):
        datasets.to_hdf5(path, tmp_path / "a.h5")


def test_a_file_appears_when_it_is_on_the_disk_and_then_its_name_is(tmp_path, monkeypatch):
    path, flushed = tmp_path / "file", []

    def flush(fd):
        flushed.append((stat.S_ISDIR(os.fstat(fd).st_mode), path.exists()))

    monkeypatch.setattr(os, "fsync", flush)
    _new_files.publish_file(str(path), b"content")
    assert flushed == [(False, False), (True, True)]
    assert path.read_bytes() == b"content"
