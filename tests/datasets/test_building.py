# SPDX-License-Identifier: MIT
"""build(): records of many workers become one data set, or nothing is left."""

from concurrent.futures import ThreadPoolExecutor

import makers
import pytest
from programs import run

import pylmdb
from pylmdb._base import new_files as _new_files
from pylmdb.datasets import Dataset, build, building


@pytest.fixture
def pool():
    with ThreadPoolExecutor(3) as pool:
        yield pool


def records(path):
    with pylmdb.open(path, readonly=True, create=False) as env, env.begin() as txn:
        return [*txn.cursor()]


@pytest.mark.parametrize("func", [makers.one, makers.three, makers.some])
@pytest.mark.parametrize("shards", [None, 1, 7, 1000])
def test_records(tmp_path, pool, func, shards):
    wanted = []
    for item in range(100):
        wanted += [func(item)] if func is makers.one else func(item)
    done = []
    count = build(range(100), func, tmp_path / "set", 2, pool, shards,
                  progress=lambda *each: done.append(each))  # fmt: skip
    assert count == len(wanted)
    assert records(tmp_path / "set") == sorted(wanted)
    assert done[-1] == (100, 100)
    assert [*tmp_path.iterdir()] == [tmp_path / "set"]


def test_shards_that_stay(tmp_path, pool):
    build(iter(range(100)), makers.one, tmp_path / "set", None, pool, 3, False, False)
    assert sorted(each.name for each in (tmp_path / "set").iterdir()) == [
        f"shard-0000{i}.lmdb" for i in range(3)
    ]
    dataset = Dataset(tmp_path / "set")
    assert [*dataset] == [b"value %d" % i for i in range(100)]
    assert dataset.keys() == [b"%05d" % i for i in range(100)]
    assert [*tmp_path.iterdir()] == [tmp_path / "set"]


@pytest.mark.parametrize("merge", [True, False])
def test_what_new_files_are_like(tmp_path, pool, merge):
    options = {"executor": pool, "shards": 2, "merge": merge, "progress": False}
    build(range(9), makers.one, tmp_path / "set", page_size=8192, checksums=True, **options)
    files = [tmp_path / "set"] if merge else [*(tmp_path / "set").iterdir()]
    for file in files:
        with pylmdb.open(file, readonly=True) as env:
            assert (env.info().page_size, env.checksums, env.lib_version()[0]) == (8192, True, 1)
    with pytest.raises(ValueError, match="page_size must be a power of two"):
        build(range(9), makers.one, tmp_path / "no", page_size=1000, **options)
    with pytest.raises(ValueError, match="checksums=True needs the format of LMDB"):
        build(range(9), makers.one, tmp_path / "no", lib_version=0, checksums=True, **options)
    assert [*tmp_path.iterdir()] == [tmp_path / "set"]


@pytest.mark.parametrize("merge", [True, False])
def test_no_items(tmp_path, pool, merge):
    assert build([], makers.one, tmp_path / "set", executor=pool, merge=merge, progress=False) == 0
    assert len(Dataset(tmp_path / "set")) == 0


def test_a_part_is_written_in_batches(tmp_path, pool, monkeypatch):
    monkeypatch.setattr(building, "_BATCH_BYTES", 5000)
    build(range(99, -1, -1), makers.some, tmp_path / "set", executor=pool, shards=2, progress=False)
    wanted = [each for item in range(100) for each in makers.some(item)]
    assert records(tmp_path / "set") == sorted(wanted)


def test_records_that_meet(tmp_path, pool):
    for merge in (True, False):
        path = tmp_path / f"same-{merge}"
        count = build(range(10), makers.same, path, executor=pool, merge=merge, shards=1,
                      progress=False)  # fmt: skip
        assert count == 1
    for shards in (1, 2):
        with pytest.raises(pylmdb.KeyExistsError, match="key"):
            build(range(2), makers.clash, tmp_path / "clash", executor=pool, shards=shards,
                  progress=False)  # fmt: skip
    assert {*tmp_path.iterdir()} == {tmp_path / "same-True", tmp_path / "same-False"}


@pytest.mark.parametrize(
    ("func", "error"),
    [(makers.fail, ZeroDivisionError), (makers.nothing, TypeError), (lambda _: b"ab", TypeError),
     (lambda _: [b"ab"], (TypeError, ValueError)), (lambda _: (b"k", "text"), TypeError)],
    ids=["raises", "None", "bytes", "no pairs", "text"],
)  # fmt: skip
def test_a_failure_leaves_nothing(tmp_path, pool, func, error):
    (tmp_path / "scratch").mkdir()
    for scratch in (None, tmp_path / "scratch"):
        with pytest.raises(error):
            build(range(100), func, tmp_path / "set", executor=pool, scratch=scratch,
                  progress=False)  # fmt: skip
        assert [*tmp_path.iterdir()] == [tmp_path / "scratch"]
        assert [*(tmp_path / "scratch").iterdir()] == []


def test_where_something_is(tmp_path, pool):
    (tmp_path / "set").symlink_to(tmp_path / "nowhere")
    with pytest.raises(pylmdb.PathExistsError):
        build([], makers.one, tmp_path / "set", executor=pool)
    for wrong in ({"workers": 0}, {"shards": 0}):
        with pytest.raises(pylmdb.InvalidParameterError, match="at least one"):
            build([], makers.one, tmp_path / "other", executor=pool, **wrong)
    with pytest.raises(pylmdb.PathNotFoundError):
        build([], makers.one, tmp_path / "no" / "where", executor=pool)


def test_a_scratch_directory_on_another_disk(tmp_path, pool, monkeypatch):
    """There may be no other disk here, so its refusal is made up."""
    replace = building.os.replace

    def refuse(place, path):
        if str(place).startswith(str(tmp_path / "scratch")):
            raise OSError(building.errno.EXDEV, "another disk")
        replace(place, path)

    copied, put_in_place = [], _new_files.put_in_place

    def put(fd, name, place, *mode):
        copied.append(place)
        put_in_place(fd, name, place, *mode)

    monkeypatch.setattr(building.os, "replace", refuse)
    monkeypatch.setattr(_new_files, "put_in_place", put)
    (tmp_path / "scratch").mkdir()
    build(range(100), makers.one, tmp_path / "set", executor=pool, scratch=tmp_path / "scratch",
          progress=False)  # fmt: skip
    assert records(tmp_path / "set") == [makers.one(i) for i in range(100)]
    assert [*(tmp_path / "scratch").iterdir()] == []
    assert copied
    assert all(b"shard-" in path for path in copied)


def test_shards_that_stay_are_on_the_disk(tmp_path, pool, monkeypatch):
    """Their names are flushed before the directory gets its name, and then that name."""
    dest, flushed = tmp_path / "set", []
    monkeypatch.setattr(building, "fsync_path", lambda path: flushed.append((path, dest.exists())))
    build(range(100), makers.one, dest, executor=pool, merge=False, progress=False)
    (_, before), last = flushed
    assert not before
    assert last == (str(tmp_path), True)


PROCESSES = """
import functools, makers
from concurrent.futures import BrokenExecutor
from pylmdb.datasets import Dataset, build
from pylmdb.datasets import Writer, to_dask_array, to_dask_bag

def check(count=100):
    assert [*Dataset(path)] == [b"value %d" % i for i in range(count)]
    assert not [name for name in os.listdir(os.path.dirname(path)) if name.startswith("env.tmp-")]

if __name__ == "__main__":
"""

STORIES = {
    "processes": """
    assert build(range(100), makers.one, path, workers=2, progress=False) == 100
    check()
""",
    "a process dies": """
    func = functools.partial(makers.dying, os.path.dirname(path))
    assert build(range(100), func, path, workers=2, merge=False, progress=False) == 100
    assert os.path.exists(path + "/../died")
    check()
""",
    "processes die again and again": """
    for shards in (4, 100):
        try:
            build(range(100), makers.deadly, path, workers=2, shards=shards, progress=False)
        except BrokenExecutor:
            pass
        else:
            raise AssertionError
        assert os.listdir(os.path.dirname(path)) == []
""",
    "Dask": """
    import numpy as np
    from distributed import Client, LocalCluster
    with LocalCluster(2, 1, processes=True, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            pool = client.get_executor()
            assert build(range(100), makers.one, path, executor=pool, merge=False,
                         shards=5, progress=False) == 100
            check()
            bag = to_dask_bag(Dataset(path))
            assert bag.npartitions == 5
            assert bag.map(len).compute() == [len(b"value %d" % i) for i in range(100)]
            assert to_dask_bag(Dataset(path)[::-1], 3).compute()[0] == b"value 99"
            table = np.arange(60.0).reshape(20, 3)
            with pylmdb.open(path + "-a") as env, env.begin(write=True) as txn:
                txn.put_arrays(range(20), table, key_format="%03d")
            array = to_dask_array(Dataset(path + "-a", dtype="f8", shape=3), 4)
            assert array.shape == (20, 3) and array.numblocks == (4, 1)
            assert np.array_equal(array.compute(), table)
            assert float(array.sum().compute()) == table.sum()
            with Writer(path + "-b") as writer:
                for row in table:
                    writer.append(row)
            for options in ({}, {"dtype": "f8", "shape": 3}):
                array = to_dask_array(Dataset(path + "-b", **options), 4)
                assert array.shape == (20, 3) and array.dtype == np.float64
                assert np.array_equal(array.compute(), table)
            with Writer(path + "-c") as writer:
                for row in (*table, np.arange(3)):
                    writer.append(row)
            assert to_dask_bag(Dataset(path)[:0]).compute() == []
            for fails in (lambda: to_dask_array(Dataset(path)),
                          lambda: to_dask_array(Dataset(path + "-b")[:0]),
                          lambda: to_dask_array(Dataset(path + "-b", transform=len)),
                          lambda: to_dask_array(Dataset(path + "-c")).compute()):
                try:
                    fails()
                except pylmdb.InvalidParameterError:
                    pass
                else:
                    raise AssertionError
""",
}


@pytest.mark.parametrize("story", STORIES)
def test_in_processes(story, tmp_path):
    program = PROCESSES + STORIES[story]
    run(program, tmp_path / "env", 0, errors=story == "Dask")
