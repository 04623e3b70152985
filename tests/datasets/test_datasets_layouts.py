# SPDX-License-Identifier: MIT
"""Files of other projects are read as data sets: their layout, their samples, their order."""

import io
import pickle
import re
import struct
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

import pylmdb
from pylmdb.datasets import Dataset, datum, to_image_folder
from pylmdb.datasets.layouts import AUTO
from pylmdb.datasets.layouts.order import index_name

COUNT = 23


def png(i):
    out = io.BytesIO()
    Image.fromarray(np.full((2, 3, 3), i, np.uint8)).save(out, "png")
    return out.getvalue()


def value(i):
    return b"value %d" % i


def npy(array):
    return pylmdb.arrays.dumps(np.asarray(array))


def u64(i):
    return i.to_bytes(8, "big")


# layout, records, samples
RECIPES = {
    "pairs of images and labels": (
        "pairs",
        lambda: [
            *((b"image_%03d" % i, value(i)) for i in range(COUNT)),
            *((b"label_%03d" % i, b"%d" % i) for i in range(COUNT)),
        ],
        lambda i: (value(i), b"%d" % i),
    ),
    "pairs of arrays, not filled up, and a count": (
        "pairs",
        lambda: [
            *((b"img-%d" % (i + 1), npy([i, i])) for i in range(COUNT)),
            *((b"label-%d" % (i + 1), npy(i)) for i in range(COUNT)),
            (b"total", b"23"),
        ],
        lambda i: (np.array([i, i]), i),
    ),
    "pairs in folders": (
        "pairs",
        lambda: [
            *((b"images/%05d" % (i + 7), value(i)) for i in range(COUNT)),
            *((b"labels/%05d" % (i + 7), npy([i])) for i in range(COUNT)),
        ],
        lambda i: (value(i), np.array([i])),
    ),
    "numbered, as OCP": (
        "numbered",
        lambda: [
            *((b"%d" % i, value(i)) for i in range(COUNT)),
            (b"length", pickle.dumps(COUNT, -1)),
        ],
        lambda i: value(i),
    ),
    "numbered, as TAPE": (
        "numbered",
        lambda: [
            *((b"%d" % i, value(i)) for i in range(COUNT)),
            (b"num_examples", pickle.dumps(COUNT)),
        ],
        lambda i: value(i),
    ),
    "numbered, as Uni-Mol": (
        "numbered",
        lambda: [(b"%d" % i, value(i)) for i in range(COUNT)],
        lambda i: value(i),
    ),
    "numbered, count in digits": (
        "numbered",
        lambda: [*((b"%d" % i, value(i)) for i in range(COUNT)), (b"__len__", b"%d" % COUNT)],
        lambda i: value(i),
    ),
    "padded to 8": (
        "padded",
        lambda: [(b"%08d" % i, value(i)) for i in range(COUNT)],
        lambda i: value(i),
    ),
    "padded to 10, from 1, with a record beside": (
        "padded",
        lambda: [*((b"%010d" % i, value(i - 1)) for i in range(1, COUNT + 1)), (b"meta", b"x")],
        lambda i: value(i),
    ),
    "Caffe, Datum": (
        "datum",
        lambda: [
            (b"%08d" % i, datum.encode(np.full((3, 2, 2), i, np.uint8), i)) for i in range(COUNT)
        ],
        lambda i: (np.full((3, 2, 2), i, np.uint8), i),
    ),
    "Caffe, with names": (
        "datum",
        lambda: [
            (b"%08d_n%d.png" % (i, 5 * i), datum.encode(png(i), i, encoded=True))
            for i in range(COUNT)
        ],
        lambda i: (png(i), i),
    ),
    "OCR": (
        "ocr",
        lambda: [
            *((b"image-%09d" % (i + 1), png(i)) for i in range(COUNT)),
            *((b"label-%09d" % (i + 1), f"wörd {i}".encode()) for i in range(COUNT)),
            (b"num-samples", b"%d" % COUNT),
        ],
        lambda i: (png(i), f"wörd {i}"),
    ),
    "OCR, images alone": (
        "ocr",
        lambda: [
            *((b"image-%09d" % (i + 1), png(i)) for i in range(COUNT)),
            (b"num-samples", b"%d" % COUNT),
        ],
        lambda i: png(i),
    ),
    "folder2lmdb": (
        "folder2lmdb",
        lambda: [
            *((b"%d" % i, pickle.dumps((png(i), i))) for i in range(COUNT)),
            (b"__keys__", pickle.dumps([b"%d" % i for i in range(COUNT)])),
            (b"__len__", pickle.dumps(COUNT)),
        ],
        lambda i: (png(i), i),
    ),
    "folder2lmdb, protocol 2": (
        "folder2lmdb",
        lambda: [
            *((b"%d" % i, pickle.dumps((png(i), i), 2)) for i in range(COUNT)),
            (b"__keys__", pickle.dumps([b"%d" % i for i in range(COUNT)][::-1], 2)),
            (b"__len__", pickle.dumps(COUNT, 2)),
        ],
        lambda i: (png(COUNT - 1 - i), COUNT - 1 - i),
    ),
    "integers of 8 bytes": (
        "integers",
        lambda: [(u64(i + 5), value(i)) for i in range(COUNT)],
        lambda i: value(i),
    ),
    "arrays": (
        "padded",
        lambda: [(b"%06d" % i, pylmdb.arrays.dumps(np.arange(i, i + 3))) for i in range(COUNT)],
        lambda i: np.arange(i, i + 3),
    ),
    "any keys": (
        "plain",
        lambda: [(b"key %d" % i, b"of %d" % i) for i in range(COUNT)],
        lambda i: b"of %s" % sorted(b"%d" % n for n in range(COUNT))[i],
    ),
    "any keys of one width, zeros at their end": (
        "plain",
        lambda: [(struct.pack("<Q", i * 1000), value(i)) for i in range(COUNT)],
        lambda i: value(sorted(range(COUNT), key=lambda n: struct.pack("<Q", n * 1000))[i]),
    ),
    "numbers with a gap": (
        "plain",
        lambda: [(b"%08d" % i, value(i)) for i in range(0, 2 * COUNT, 2)],
        lambda i: value(2 * i),
    ),
}


def assert_same(sample, wanted):
    if isinstance(wanted, tuple):
        assert len(sample) == len(wanted)
        for one, other in zip(sample, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, np.ndarray):
        assert sample.dtype == wanted.dtype
        assert np.array_equal(sample, wanted)
        assert sample.flags.writeable
    else:
        assert sample == wanted


def check(dataset, layout, sample):
    assert dataset.layouts == [layout]
    assert len(dataset) == COUNT
    for i in range(COUNT):
        assert_same(dataset[i], sample(i))
    for i, each in enumerate(dataset):
        assert_same(each, sample(i))
    assert_same(tuple(dataset[[7, 0, -1]]), (sample(7), sample(0), sample(COUNT - 1)))
    assert len({*dataset.keys()}) == COUNT


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_layout(recipe, open_env, env_path):
    layout, records, sample = RECIPES[recipe]
    with open_env() as env, env.begin(write=True) as txn:
        for key, each in records():
            txn.put(key, each)
    check(Dataset(env_path), layout, sample)
    check(Dataset(env_path, layout), layout, sample)
    assert Dataset(env_path, decode=None)[3] in ((b"", b""), *_raw(records()))


def _raw(records):
    pairs = dict(records)
    yield from pairs.values()
    for key, each in records:
        if key.startswith((b"image", b"img")):
            yield each, pairs.get(re.sub(b"image|img", b"label", key))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_layout_written_by_py_lmdb(recipe, tmp_path):
    layout, records, sample = RECIPES[recipe]
    path = str(tmp_path / "file.lmdb")
    env = lmdb.open(path, map_size=1 << 24, subdir=False)
    with env, env.begin(write=True) as txn:
        for key, each in records():
            txn.put(key, each)
    with Dataset(path) as dataset:
        check(dataset, layout, sample)


@pytest.mark.parametrize("text", [True, False], ids=["txt", "pkl"])
def test_basicsr(open_env, env_path, text):
    names = [f"{n:03d}/im {n}.b" for n in (3, 1, 2)]
    with open_env() as env, env.begin(write=True) as txn:
        for i, name in enumerate(names):
            txn.put(name.encode(), png(i))
    folder = Path(env_path)
    if text:
        lines = "".join(f"{name}.png (2,3,3) 1\n" for name in names)
        (folder / "meta_info.txt").write_text(lines)
    else:
        meta = {"name": "set", "resolution": ["3_2_2"], "keys": names}
        (folder / "meta_info.pkl").write_bytes(pickle.dumps(meta))
    dataset = Dataset(env_path, decode="image")
    assert dataset.layouts == ["basicsr" if text else "mmsr"]
    assert dataset.keys() == [name.encode() for name in names]
    assert [int(image[0, 0, 0]) for image in dataset] == [0, 1, 2]
    assert dataset[0].shape == (2, 3, 3)


@pytest.mark.parametrize("line", ["", " (1,2,3) 1", "x" * 3000, "\udcff"], ids=repr)
def test_a_sidecar_file_of_basicsr_next_to_another_data_set(open_env, env_path, line):
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"key", b"value")
    text = f"{line}.png (2,3,3) 1\n".encode("utf-8", "surrogateescape")
    Path(env_path, "meta_info.txt").write_bytes(text)
    dataset = Dataset(env_path)
    assert dataset.layouts == ["plain"]
    assert [*dataset] == [b"value"]


def test_an_order_of_its_own(open_env, env_path):
    with open_env() as env:
        index = env.open_db(index_name(None))
        with env.begin(write=True) as txn:
            for i in range(COUNT):
                txn.put(b"%x" % (COUNT - i), value(i))
                txn.put(u64(i), b"%x" % (COUNT - i), db=index)
    check(Dataset(env_path), "order", value)
    with open_env() as env, env.begin(write=True, db=env.open_db(index_name(None))) as txn:
        txn.delete(u64(3))
    with pytest.raises(pylmdb.InvalidParameterError, match="number samples"):
        Dataset(env_path)


def test_native_integers_in_a_named_database(open_env, env_path, lib_version):
    with open_env() as env:
        db = env.open_db(b"named", integerkey=True)
        with env.begin(write=True, db=db) as txn:
            for i in range(COUNT):
                txn.put(struct.pack("=Q", i + 2), value(i))
    dataset = Dataset(env_path, db=b"named")
    check(dataset, "integers", value)
    assert dataset.keys()[0] == struct.pack("=Q", 2)
    dataset.close()
    with open_env() as env, env.begin(write=True, db=env.open_db(b"named")) as txn:
        txn.delete(struct.pack("=Q", 7))
    dataset = Dataset(env_path, db=b"named")
    assert dataset.layouts == ["plain"]
    assert list(dataset) == [value(i) for i in range(COUNT) if i != 5]


def test_named_databases_are_no_samples(open_env, env_path):
    with open_env() as env:
        for name in (b"a", b"m", b"z"):
            env.open_db(name)
        with env.begin(write=True) as txn:
            for i in range(COUNT):
                txn.put(b"k%02d" % i, b"%048d" % i)
    check(Dataset(env_path), "plain", lambda i: b"%048d" % i)


def test_an_empty_one(open_env, env_path):
    open_env()
    dataset = Dataset(env_path)
    assert len(dataset) == 0
    assert list(dataset) == []
    assert dataset.keys() == []
    assert dataset[[]] == []
    with pytest.raises(IndexError, match="no"):
        dataset[0]


def test_a_layout_that_it_has_not(open_env, env_path):
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"key", b"value")
    for layout in set(AUTO) - {"plain"}:
        with pytest.raises(pylmdb.InvalidParameterError, match=layout):
            Dataset(env_path, layout)
    with pytest.raises(pylmdb.InvalidParameterError, match="'auto' or one of"):
        Dataset(env_path, "tfrecord")


def test_duplicates_are_refused(open_env, env_path):
    with open_env() as env:
        env.open_db(b"dup", dupsort=True)
    with pytest.raises(pylmdb.InvalidParameterError, match="duplicates"):
        Dataset(env_path, db=b"dup")


LIES = {
    "more images than there are": [(b"num-samples", b"1000"), (b"image-000000001", b"x")],
    "a count of many digits": [(b"num-samples", b"9" * 90), (b"image-000000001", b"x")],
    "a count of no digits": [(b"length", b"\xff" * 50), (b"0", b"x"), (b"1", b"y")],
    "less than nothing": [(b"length", pickle.dumps(-1)), (b"0", b"x")],
    "a count that is none": [(b"length", pickle.dumps([1])), (b"0", b"x")],
    "numbers beyond all integers": [(b"9" * 40, b"x")],
    "more digits than an integer has": [(b"1" + b"0" * 19, b"x"), (b"9" * 20, b"y")],
    "only the last": [(b"length", b"5"), (b"4", b"x"), (b"0", b"x")],
}


@pytest.mark.parametrize("lie", LIES)
def test_records_that_lie(lie, open_env, env_path):
    with open_env() as env, env.begin(write=True) as txn:
        for key, each in LIES[lie]:
            txn.put(key, each)
    dataset = Dataset(env_path)
    assert 0 < len(dataset) <= len(LIES[lie])
    assert len(list(dataset)) == len(dataset)


def test_a_missing_number_is_named_when_it_is_read(open_env, env_path):
    records = [*(i for i in range(COUNT) if i != 5), COUNT]
    with open_env() as env, env.begin(write=True) as txn:
        for i in records:
            txn.put(b"%08d" % i, value(i))
        txn.put(b"beside", b"")
        txn.put(b"beside 2", b"")
    dataset = Dataset(env_path)
    with pytest.raises(pylmdb.NotFoundError, match=r"00000005.*plain"):
        dataset[5]
    assert Dataset(env_path, "plain")[5] == value(6)


def test_pickled_keys_that_would_run_code_are_refused(open_env, env_path):
    class Evil:
        def __reduce__(self):
            return open, (env_path + "/owned", "w")

    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"__len__", pickle.dumps(1))
        txn.put(b"__keys__", pickle.dumps([Evil()]))
    with pytest.raises(pylmdb.InvalidParameterError, match="asks for"):
        Dataset(env_path)
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"__keys__", pickle.dumps([b"a"]))
        txn.put(b"a", pickle.dumps((Evil(), 1)))
    with pytest.raises(pylmdb.InvalidParameterError, match="asks for"):
        Dataset(env_path)[0]
    assert not Path(env_path, "owned").exists()


@pytest.mark.parametrize("claimed", [10**15, 2**40, 2**63 - 1])
@pytest.mark.parametrize("count_key", [b"num-samples", b"length", None])
def test_a_count_that_the_file_has_no_room_for(open_env, tmp_path, claimed, count_key):
    """Memory is taken for each sample, so the number that the file claims is not believed."""
    path, count = str(tmp_path / "env"), 1009
    image = b"image-%09d" if count_key == b"num-samples" else b"%d"
    start = int(count_key == b"num-samples")
    with open_env(path=path, lock=False) as env, env.begin(write=True) as txn:
        for i in range(start, count - (count_key is not None)):
            txn.put(image % i, b"x")
        txn.put(image % claimed, b"x")
        txn.put(image % (claimed - 1), b"x")
        if count_key is not None:
            txn.put(count_key, b"%d" % (claimed - 1 + (not start)))
        count = txn.stat().entries
    with open(path + "/data.mdb", "r+b") as file:
        metas = file.read(2 * 4096)
        assert struct.pack("<Q", count) in metas
        file.seek(0)
        file.write(metas.replace(struct.pack("<Q", count), struct.pack("<Q", claimed)))
    with pytest.raises(pylmdb.CorruptedError, match=f"claims {claimed} records"):
        Dataset(path, lock=False)


@pytest.mark.parametrize(
    "other", [b"image_5", b"image_x", b"label_05", b"labels_5", b"image", None], ids=repr
)
def test_what_are_no_pairs(open_env, env_path, other):
    """Each key is a sample then."""
    with open_env() as env, env.begin(write=True) as txn:
        for i in range(20):
            txn.put(b"image_%02d" % i, value(i))
            if other is not None or i % 2:
                txn.put(b"label_%02d" % i, value(i))
        if other:
            txn.put(other, b"")
            txn.delete(b"label_19")
    with Dataset(env_path) as dataset:
        assert dataset.layouts == ["plain"]
        assert len(dataset) == (40 if other not in (b"label_05",) else 39) - 10 * (other is None)


def test_labels_of_pairs_that_are_no_names_of_folders(open_env, env_path, tmp_path):
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"image_0", png(0))
        txn.put(b"label_0", b"\xff")
    with pytest.raises(pylmdb.InvalidParameterError, match="a label is bytes"):
        to_image_folder(env_path, tmp_path / "images")
    with Dataset(env_path, transform=lambda pair: (pair[0], pair[1][0])) as dataset:
        to_image_folder(dataset, tmp_path / "images")
    assert (tmp_path / "images" / "255" / "image_0.png").read_bytes() == png(0)
    with Dataset(env_path, decode=None) as dataset:
        assert dataset[0] == (png(0), b"\xff")
