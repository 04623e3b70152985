# SPDX-License-Identifier: MIT
"""Dataset: samples by number, parts of a data set, shards, and how samples are decoded."""

import io
import os
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

import pylmdb
from pylmdb.datasets import Dataset, Loader, Writer, datum

TABLE = np.arange(100 * 4, dtype="f4").reshape(100, 4)


@pytest.fixture
def make(open_env, tmp_path):
    """Writes an environment of these records, and closes it."""

    def make(records, name="env", **options):
        path = tmp_path / name
        with open_env(path, **options) as env, env.begin(write=True) as txn:
            for key, value in records:
                txn.put(key, value)
        return str(path)

    return make


def rows(begin=0, end=100):
    return [(b"%05d" % i, TABLE[i].tobytes()) for i in range(begin, end)]


@pytest.fixture
def shards(make, tmp_path):
    """Three shards of 100 samples, in a directory, the second one a file."""
    (tmp_path / "set").mkdir()
    make(rows(0, 30), "set/a.lmdb")
    make(rows(30, 31), "set/b.lmdb", subdir=False)
    make(rows(31, 100), "set/c.lmdb")
    return str(tmp_path / "set")


@pytest.fixture(params=["one", "many"])
def dataset(request, make, shards):
    """Return the table as a data set, in one file and in three."""
    path = make(rows()) if request.param == "one" else shards
    return Dataset(path, dtype="f4", shape=4)


# -- numbers ------------------------------------------------------------------------------


def test_one_sample(dataset):
    for i in (0, 29, 30, 31, 99, -1, -100, np.int64(7), np.uint8(200 - 110)):
        sample = dataset[i]
        assert np.array_equal(sample, TABLE[i])
        assert sample.dtype == np.float32
        assert sample.flags.writeable
    for i in (100, -101, 10**30):
        with pytest.raises(IndexError, match=f"100 samples; sample {i} does not exist"):
            dataset[i]


@pytest.mark.parametrize(
    "numbers",
    [[3], [99, 0, 30, 30, -1], (5, 6), range(90, 10, -7), np.array([], np.int64), [],
     np.array([3, 200 - 150], np.uint8), TABLE[:, 0] > 250],
    ids=["one", "list", "tuple", "range", "empty array", "empty list", "uint8", "mask"],
)  # fmt: skip
def test_many_samples(dataset, numbers):
    found = dataset[numbers]
    wanted = TABLE[np.asarray(numbers, None if len(numbers) else int)]
    assert found.shape == wanted.shape
    assert np.array_equal(found, wanted)
    assert np.array_equal(dataset.__getitems__(numbers), wanted)


@pytest.mark.parametrize(
    "numbers", [[0, 100], [-101], np.array([2**63], np.uint64)], ids=["high", "low", "uint64"]
)
def test_numbers_without_a_sample(dataset, numbers):
    with pytest.raises(IndexError, match="does not exist"):
        dataset[numbers]


@pytest.mark.parametrize(
    "numbers",
    [1.5, "1", None, [1.5], np.zeros((2, 2), int), np.ones(99, bool), [True] * 3, ["a"]],
    ids=["float", "str", "None", "floats", "2-d", "short mask", "bools", "strs"],
)
def test_what_is_no_number(dataset, numbers):
    with pytest.raises(TypeError):
        dataset[numbers]


SLICES = [slice(None), slice(10, 50), slice(-5, None), slice(None, None, -1), slice(90, 10, -7),
          slice(50, 10), slice(25, 35, 2)]  # fmt: skip


@pytest.mark.parametrize("chosen", SLICES, ids=repr)
def test_parts(dataset, chosen):
    part, wanted = dataset[chosen], TABLE[chosen]
    assert type(part) is Dataset
    assert len(part) == len(wanted)
    assert np.array_equal(np.array([*part]).reshape(-1, 4), wanted)
    assert part.keys() == [dataset.keys()[i] for i in range(100)[chosen]]
    for again in SLICES:
        assert np.array_equal(np.array([*part[again]]).reshape(-1, 4), wanted[again])
    if len(part):
        assert np.array_equal(part[[-1, 0]], wanted[[-1, 0]])
        with pytest.raises(IndexError):
            part[len(part)]


def test_split(dataset):
    parts = [dataset.split(rank, 7) for rank in range(7)]
    assert {*map(len, parts)} == {14, 15}
    assert sorted(sample[0] for part in parts for sample in part) == [*TABLE[:, 0]]
    assert np.array_equal(dataset[10:20].split(1, 2)[0], TABLE[11])
    for rank, world in ((7, 7), (-1, 7), (0, 0)):
        with pytest.raises(pylmdb.InvalidParameterError, match="rank"):
            dataset.split(rank, world)


def test_random_split(dataset):
    train, test = dataset.random_split([0.9, 0.1], seed=3)
    assert (len(train), len(test)) == (90, 10)
    numbers = [sample[0] for sample in [*train, *test]]
    assert sorted(numbers) == [*TABLE[:, 0]]
    assert numbers != sorted(numbers)
    again, _ = dataset.random_split([0.9, 0.1], seed=3)
    other, _ = dataset.random_split([0.9, 0.1], seed=4)
    assert again.keys() == train.keys()
    assert other.keys() != train.keys()
    assert np.array_equal(train[5:7][[1]], train[[6]])
    assert [len(part) for part in dataset[:3].random_split([0.5, 0.25])] == [2, 0]
    for fractions in ([0.9, 0.2], [-0.1, 1]):
        with pytest.raises(pylmdb.InvalidParameterError, match="add up to at most 1"):
            dataset.random_split(fractions)


def test_the_random_numbers_are_the_same_for_ever(make):
    """Which numpy makes them does not matter: states of Loaders are kept for months."""
    dataset = Dataset(make([(b"%d" % i, b"") for i in range(10)]))
    (part,) = dataset.random_split([1.0], seed=5)
    assert part.keys() == [b"%d" % i for i in (7, 8, 4, 3, 5, 6, 2, 0, 1, 9)]


# -- samples ------------------------------------------------------------------------------


def image(i):
    out = io.BytesIO()
    Image.fromarray(np.full((3, 2), i, np.uint8)).save(out, "png")
    return out.getvalue()


def test_decoding(make):
    path = make([(b"a", image(7)), (b"b", image(8))])
    assert Dataset(path)[0] == image(7)
    assert Dataset(path, decode=None)[[0, 1]] == [image(7), image(8)]
    pixels = Dataset(path, decode="image")[1]
    assert np.array_equal(pixels, np.full((3, 2), 8, np.uint8))
    assert pixels.flags.writeable
    assert Dataset(path, decode=len)[1] == len(image(8))
    assert Dataset(path, transform=len)[0] == len(image(7))
    assert [*Dataset(path, "plain", lambda view: view.nbytes, lambda size: -size)] == [
        -len(image(7)),
        -len(image(8)),
    ]


def test_a_view_that_a_decoder_keeps_stays_right(make):
    path = make([(b"a", b"x" * 5000)])
    with Dataset(path, decode=lambda view: view) as dataset:
        view = dataset[0]
        assert view.readonly
    dataset.close()
    del dataset
    shutil.rmtree(path)
    assert view == b"x" * 5000


def test_decoding_of_pairs(make):
    text = make([(b"image-%09d" % 1, image(5)), (b"label-%09d" % 1, b"wort"),
                 (b"num-samples", b"1")], "text")  # fmt: skip
    label = make([(b"0", pickle.dumps((image(6), 3))), (b"__keys__", pickle.dumps([b"0"])),
                  (b"__len__", pickle.dumps(1))], "label")  # fmt: skip
    encoded = make([(b"00000000_x", datum.encode(image(7), 4, encoded=True))], "encoded")
    for path, value, second in ((text, 5, "wort"), (label, 6, 3), (encoded, 7, 4)):
        content, other = Dataset(path)[0]
        assert (content, other) == (image(value), second)
        pixels, other = Dataset(path, decode="image")[0]
        assert np.array_equal(pixels, np.full((3, 2), value, np.uint8))
        assert other == second
    assert Dataset(text, decode=None)[0] == (image(5), b"wort")
    assert Dataset(text, decode=len)[0] == (len(image(5)), "wort")


def test_arrays_of_several_forms(make):
    arrays = [np.arange(3), np.ones((2, 2), "f4", order="F"), np.array(5), np.zeros((0, 3))]
    path = make([(b"%d" % i, pylmdb.arrays.dumps(each)) for i, each in enumerate(arrays)])
    for found, wanted in zip(Dataset(path), arrays, strict=True):
        assert np.array_equal(found, wanted)
        assert found.dtype == wanted.dtype
        assert found.flags.writeable
        assert found.base is None or found.base.base is None


def test_values_that_are_not_what_was_said(make):
    path = make([*rows(0, 3), (b"00003", b"short")])
    dataset = Dataset(path, dtype="f4", shape=4)
    for ask in (lambda: dataset[3], lambda: dataset[[3, 1]], lambda: [*dataset]):
        with pytest.raises(pylmdb.InvalidParameterError, match="5 bytes"):
            ask()
    assert np.array_equal(dataset[[2, 0]], TABLE[[2, 0]])
    for decode in ("npy", "datum", "image"):
        with pytest.raises(pylmdb.InvalidParameterError):
            Dataset(path, decode=decode)[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"decode": "jpeg"}, pylmdb.InvalidParameterError),
        ({"decode": 5}, TypeError),
        ({"decode": "npy", "dtype": "f4"}, pylmdb.InvalidParameterError),
        ({"shape": 4}, pylmdb.InvalidParameterError),
        ({"dtype": object}, TypeError),
        ({"dtype": "f4", "shape": -1}, pylmdb.InvalidParameterError),
        ({"max_open": 0}, pylmdb.InvalidParameterError),
        ({"db": b"no such"}, pylmdb.NotFoundError),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(make, options, error):
    path = make(rows(0, 2))
    with pytest.raises(error):
        Dataset(path, **options)


def test_a_sample_that_was_removed(make, open_env, tmp_path):
    path = make(rows(0, 3))
    dataset = Dataset(path)
    dataset.close()
    with open_env(path) as env, env.begin(write=True) as txn:
        txn.delete(b"00001")
    with pytest.raises(pylmdb.NotFoundError, match="00001"):
        dataset[[0, 1]]
    assert dataset[0] == TABLE[0].tobytes()


# -- shards -------------------------------------------------------------------------------


def test_shards_by_directory_pattern_and_list(shards):
    names = [f"{shards}/{name}.lmdb" for name in "abc"]
    for path in (shards, shards + "/*", shards + "/?.lmdb", names, [*map(os.fsencode, names)],
                 [names[0], shards + "/[bc]*"]):  # fmt: skip
        dataset = Dataset(path, dtype="f4", shape=4)
        assert dataset.paths == names
        assert np.array_equal(dataset[range(100)], TABLE)
    back = Dataset(names[::-1], dtype="f4", shape=4)
    assert np.array_equal(back[[0, 69, 70, 99]], TABLE[[31, 30, 0, 29]])


def test_a_relative_path_is_kept_whole(shards, monkeypatch, tmp_path):
    monkeypatch.chdir(shards)
    dataset = pickle.loads(pickle.dumps(Dataset("a.lmdb")))
    monkeypatch.chdir(tmp_path)
    assert dataset[3] == TABLE[3].tobytes()


def test_where_there_is_nothing(tmp_path):
    (tmp_path / "file").write_text("no data base")
    for path in (tmp_path / "no", tmp_path, str(tmp_path / "*"), str(tmp_path / "x*")):
        with pytest.raises(pylmdb.PathNotFoundError):
            Dataset(path)
    with pytest.raises(pylmdb.InvalidParameterError, match="is not an LMDB"):
        Dataset(tmp_path / "file")
    with pytest.raises(pylmdb.PathNotFoundError):
        Dataset([tmp_path / "no"])
    assert len(Dataset([])) == 0
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be counted here")
def test_only_so_many_shards_are_open(make, tmp_path):
    def open_files():
        links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
        return sum(os.path.realpath(each).endswith("data.mdb") for each in links)

    for i in range(9):
        make([(b"key", b"%d" % i)], f"shard-{i}")
    before = open_files()
    dataset = Dataset(str(tmp_path / "shard-*"), max_open=2)
    most = open_files() - before
    for numbers in ([0, 8, 4], [*range(9)], [8, 0]):
        assert dataset[numbers] == [b"%d" % i for i in numbers]
        most = max(most, open_files() - before)
    dataset.close()
    assert open_files() == before
    assert most <= 2
    assert dataset[5] == b"5"


def test_shards_of_several_layouts(make, tmp_path):
    make([], "s0")
    make([(b"num-samples", b"1"), (b"image-000000001", b"x")], "s1")
    make([(b"a", b"y")], "s2")
    assert Dataset([tmp_path / "s0", tmp_path / "s1"])[0] == b"x"
    with pytest.raises(pylmdb.InvalidParameterError, match="several layouts"):
        Dataset([tmp_path / "s0", tmp_path / "s1", tmp_path / "s2"])


def test_it_says_what_it_is(dataset):
    assert repr(dataset).startswith("<pylmdb.datasets.Dataset ")
    assert "100 samples" in repr(dataset)
    assert {*dataset.layouts} == {"padded"}


def test_closing_and_leaving(dataset, open_env):
    with dataset:
        assert np.array_equal(dataset[3], TABLE[3])
    with open_env(dataset.paths[-1], subdir=None) as env:
        assert not env.reader_list()
        assert env.info().pinned == 0
    assert np.array_equal(dataset[3], TABLE[3])


@pytest.mark.parametrize("shape", [(), (3,), (40, 50)], ids=str)
def test_arrays_as_a_writer_stores_them_have_a_dtype(env_path, lib_version, shape):
    arrays = np.random.default_rng(1).random((30, *shape), np.float32)
    with Writer(env_path, lib_version=lib_version) as writer:
        for array in arrays:
            writer.append(array)
    with Dataset(env_path, dtype="f4", shape=shape) as dataset:
        assert dataset[[7, 0, -1]].tobytes() == arrays[[7, 0, -1]].tobytes()
        assert dataset[3].shape == shape
        for shuffle in (False, True):
            batches = [*Loader(dataset, 10, shuffle)]
            assert all(batch.shape == (10, *shape) for batch in batches)
            found = sorted(row.tobytes() for batch in batches for row in batch)
            assert found == sorted(row.tobytes() for row in arrays)
    for dtype, other in (("f8", shape), ("f4", (*shape, 1)), ("i4", shape)):
        with (
            Dataset(env_path, dtype=dtype, shape=other) as dataset,
            pytest.raises(pylmdb.InvalidParameterError, match="float32 and shape"),
        ):
            dataset[[0]]
