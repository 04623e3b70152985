# SPDX-License-Identifier: MIT
"""Archives, .npy and HDF5 files that claim more than they hold: no memory is allocated and no
loop runs for the claim, and only a few rows of an archive are in memory.
"""

import os
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

import pylmdb
from pylmdb import datasets
from pylmdb.arrays import npy as _npy
from pylmdb.datasets import Dataset

MANY = 9999999999999


def claiming(shape, dtype, data=b""):
    """A .npy file with any shape in its header."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    return _npy.MAGIC + b"\1\0" + len(text).to_bytes(2, "little") + text + data


def archive(path, method=zipfile.ZIP_DEFLATED, **members):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def refused(function, *given, words, **options):
    """In words, and without much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(pylmdb.InvalidParameterError, match=words):
            function(*given, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


CLAIMS = {
    "elements without bytes": ((MANY,), "V0", b"", "elements without data"),
    "rows without bytes": ((MANY, 0), "f8", b"", "elements without data"),
    "more than there is": ((1 << 32,), "f8", bytes(100), "claims|asks for"),
    "more than an array can be": ((1 << 62, 1 << 62), "f8", b"", "shape"),
}


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("data", [None, "x"])
def test_an_archive(tmp_path, claim, data):
    shape, dtype, content, words = CLAIMS[claim]
    archive(tmp_path / "a.npz", x=claiming(shape, dtype, content))
    dest = tmp_path / "dest"
    peak = refused(datasets.from_npz, tmp_path / "a.npz", dest, data=data, words=words)
    assert peak < 16 << 20


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("headers", [True, False])
def test_a_mapped_file(tmp_path, claim, headers):
    shape, dtype, content, words = CLAIMS[claim]
    (tmp_path / "a.npy").write_bytes(claiming(shape, dtype, content))
    peak = refused(
        datasets.from_memmap, tmp_path / "a.npy", tmp_path / "dest", headers=headers, words=words
    )
    assert peak < 16 << 20


def test_a_size_that_no_compression_reaches(tmp_path):
    """The archive's own directory claims it, too."""
    path, content = tmp_path / "a.npz", claiming((1 << 31,), "u1", bytes(100))
    archive(path, x=content)
    real, claimed = len(content).to_bytes(4, "little"), (0xFFFFFFFE).to_bytes(4, "little")
    assert path.read_bytes().count(real) == 2
    path.write_bytes(path.read_bytes().replace(real, claimed))
    for data in (None, "x"):
        dest = tmp_path / str(data)
        peak = refused(datasets.from_npz, path, dest, data=data, words="the file has .* for it")
        assert peak < 16 << 20


def test_rows_of_an_archive_are_read_by_the_block(tmp_path):
    rows = np.zeros((12_000, 1000), "f8")  # 96 MB
    rows[:, 0] = np.arange(len(rows))
    np.savez_compressed(tmp_path / "a.npz", x=rows, y=np.arange(len(rows)))
    assert os.stat(tmp_path / "a.npz").st_size < 1 << 20
    tracemalloc.start()
    count = datasets.from_npz(
        tmp_path / "a.npz", tmp_path / "dest", data="x", commit_every=100, sync=False
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == len(rows)
    assert peak < 40 << 20
    with Dataset(tmp_path / "dest", dtype="f8", shape=1000) as dataset:
        assert np.array_equal(dataset[range(0, 12_000, 500)][:, 0], np.arange(0, 12_000, 500))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 0), (5, 2, 3)])
def test_rows_of_any_shape(tmp_path, monkeypatch, shape, order):
    monkeypatch.setattr("pylmdb.datasets._npz._BLOCK", 100)
    rows = np.asarray(np.random.default_rng(1).random(shape), order=order)
    np.savez(tmp_path / "a.npz", x=rows)
    assert datasets.from_npz(tmp_path / "a.npz", tmp_path / "dest", data="x") == len(rows)
    with Dataset(tmp_path / "dest") as dataset:
        found = [*dataset]
    assert all(np.array_equal(*pair) for pair in zip(found, rows, strict=True))


def test_no_rows(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((0, 3)))
    with pytest.raises(pylmdb.InvalidParameterError, match=r"a\.npz' has no rows$"):
        datasets.from_npz(tmp_path / "a.npz", tmp_path / "dest", data="x")
    assert not (tmp_path / "dest").exists()


def test_a_sample_has_a_limit(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((4, 1 << 18), "f8"))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros((4, 1 << 18), "f8")
    for function, source in ((datasets.from_npz, "a.npz"), (datasets.from_hdf5, "a.h5")):
        for options in ({}, {"data": "x"}):
            dest = tmp_path / f"{source}-{len(options)}"
            words = "bytes; max_sample allows 1000000"
            refused(function, tmp_path / source, dest, words=words, max_sample=1_000_000, **options)
            whole = {"exist": "replace", "max_sample": 1 << 21 if options else 1 << 23}
            assert function(tmp_path / source, dest, **options, **whole) == 4 ** len(options)


def test_other_compressions_are_refused(tmp_path):
    """zipfile unpacks a block of these into whatever it claims."""
    content = claiming((3,), "f8", bytes(24))
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        archive(tmp_path / "a.npz", method, x=content)
        dest = tmp_path / str(method)
        refused(datasets.from_npz, tmp_path / "a.npz", dest, words="compressed with")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_with_a_wrong_checksum(tmp_path, save):
    rows = np.random.default_rng(1).random((300, 1000))
    save(tmp_path / "a.npz", x=rows)
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    crc = zipfile.ZipFile(tmp_path / "a.npz").getinfo("x.npy").CRC.to_bytes(4, "little")
    at = raw.rindex(crc)
    raw[at] ^= 1
    (tmp_path / "a.npz").write_bytes(raw)
    for data in (None, "x"):
        refused(datasets.from_npz, tmp_path / "a.npz", tmp_path / f"{data}", data=data, words="CRC")


# -- HDF5 ---------------------------------------------------------------------------------


def hdf5(tmp_path, shape, dtype="f8", **options):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", shape, dtype, **options)
    assert os.stat(tmp_path / "a.h5").st_size < 1 << 20
    return tmp_path / "a.h5"


@pytest.mark.parametrize("data", [None, "x"])
@pytest.mark.parametrize("shape", [(MANY,), (1 << 28, 3), (MANY, 0)])
def test_data_that_was_never_written(tmp_path, data, shape):
    """HDF5 gives zeros for it, and takes no room."""
    chunks = tuple(min(1024, max(1, each)) for each in shape)
    options = {"chunks": chunks} if 0 not in shape else {"maxshape": (None, None)}
    source = hdf5(tmp_path, shape, **options)
    words = "claims|without data|max_sample"
    peak = refused(datasets.from_hdf5, source, tmp_path / "dest", data=data, words=words)
    assert peak < 16 << 20


def test_one_long_text_among_many_short_ones(tmp_path):
    """Each element of an array of texts has room for the longest text."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        texts = file.create_dataset("x", (20_000,), h5py.string_dtype())
        texts[:] = ["a"] * 20_000
        texts[7] = "b" * 100_000
    peak = refused(
        datasets.from_hdf5, tmp_path / "a.h5", tmp_path / "dest", words="has 8000000000 bytes"
    )
    assert peak < 64 << 20


# -- data sets ----------------------------------------------------------------------------


def test_a_data_set_of_arrays_without_end(tmp_path):
    with pylmdb.open(tmp_path / "env") as env, env.begin(write=True) as txn:
        txn.put(b"k", claiming((MANY,), "V0"))
    with Dataset(tmp_path / "env") as dataset:
        for function, dest in (
            (datasets.to_npz, "a.npz"), (datasets.to_memmap, "a.npy"), (datasets.to_hdf5, "a.h5"),
            (datasets.to_image_folder, "images"),
        ):  # fmt: skip
            refused(function, dataset, tmp_path / dest, words="elements without data")
        refused(lambda: dataset[0], words="elements without data")
