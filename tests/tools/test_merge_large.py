# SPDX-License-Identifier: MIT
"""Merging values on overflow pages, which are written directly to the file."""

import os
import signal

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merged import content
from programs import finish, start

import pylmdb

PAGE = 4096
# around the largest value that stays on a leaf, ends of pages, and the size of one write
SIZES = [
    *range(1990, 2040, 3),
    *range(PAGE - 40, PAGE + 8, 3),
    *range(2 * PAGE - 30, 2 * PAGE, 5),
    *range(32 * PAGE - 30, 32 * PAGE + 20, 6),
    1_000_000,
]


def value(number, size):
    return (b"%07d." % number * (size // 8 + 1))[:size]


def records(numbers, sizes=SIZES):
    return [(b"%06d" % i, value(i, sizes[i % len(sizes)])) for i in numbers]


def make(path, version, pairs, name=None, **options):
    with pylmdb.open(path, lib_version=version, **options) as env:
        db = env.open_db(name)
        with env.begin(write=True) as txn:
            assert txn.cursor(db).putmulti(pairs, append=True) == (len(pairs), len(pairs))
    return path


def shape(path, name=None):
    """Return the numbers of pages of each kind and of records."""
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        return txn.stat(env.open_db(name, txn, create=False))


@pytest.mark.parametrize("name", [None, b"named"])
def test_the_pages_are_those_that_put_writes(tmp_path, versions, name, monkeypatch):
    monkeypatch.setattr("pylmdb.tools.destination.COMMIT_BYTES", 700_000)
    monkeypatch.setattr("pylmdb.tools.merging._STEP", 300_000)
    count = 4 * len(SIZES)
    sources = [
        make(tmp_path / str(i), versions[i], records(range(i, count, 2)), name) for i in range(2)
    ]
    merged = tmp_path / "merged"
    assert pylmdb.merge(sources, merged) == count
    assert content(merged, name) == records(range(count))
    assert pylmdb.verify(merged).ok
    put = make(tmp_path / "put", max(versions), records(range(count)), name)
    assert shape(merged, name) == shape(put, name)


def test_py_lmdb_reads_and_changes_it(tmp_path, lib_version):
    source = make(tmp_path / "a", lib_version, records(range(100)))
    pylmdb.merge([source], tmp_path / "b")
    with lmdb.open(str(tmp_path / "b"), map_size=1 << 30) as env:
        with env.begin(write=True) as txn:
            assert [*txn.cursor()] == records(range(100))
            for key, _ in records(range(0, 100, 2)):
                assert txn.delete(key)
            for key, old in records(range(1, 100, 2)):
                assert txn.put(key, old[::-1])
        with env.begin() as txn:
            assert [*txn.cursor()] == [(k, v[::-1]) for k, v in records(range(1, 100, 2))]
    assert pylmdb.verify(tmp_path / "b").ok


@pytest.mark.parametrize("writemap", [False, True])
def test_records_after_the_existing_ones(tmp_path, versions, writemap):
    make(tmp_path / "a", versions[0], records(range(200, 400)))
    make(tmp_path / "b", versions[1], records(range(200)))
    with pylmdb.open(tmp_path / "b", writemap=writemap) as env:
        with env.begin(write=True) as txn:  # pages that are free, and used before new ones
            for key, _ in records(range(0, 200, 2)):
                txn.delete(key)
        snapshot = env.begin()
        assert pylmdb.merge([tmp_path / "a"], env) == 200
        assert [*snapshot.cursor()] == records(range(1, 200, 2))
        snapshot.abort()
        with env.begin(write=True) as txn:
            expected = records(range(1, 200, 2)) + records(range(200, 400))
            assert [*txn.cursor()] == expected
            for key, old in expected[::2]:
                txn.put(key, old[:-1] + b"!")
    expected[::2] = [(key, old[:-1] + b"!") for key, old in expected[::2]]
    assert content(tmp_path / "b") == expected
    assert pylmdb.verify(tmp_path / "b").ok


def test_a_fixed_size_that_is_too_small(tmp_path, lib_version):
    make(tmp_path / "a", lib_version, records(range(1000), [9000]))
    with pylmdb.open(tmp_path / "b", map_size=1 << 20, lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            txn.put(b"!", b"kept")
        with pytest.raises(pylmdb.MapFullError):
            pylmdb.merge([tmp_path / "a"], env)
        with env.begin(write=True) as txn:
            assert [*txn.cursor()] == [(b"!", b"kept")]
            txn.put(b"more", b"M" * 100_000)
    assert pylmdb.verify(tmp_path / "b").ok


def test_killed_while_it_writes_into_an_existing_destination(tmp_path, lib_version):
    make(tmp_path / "a", lib_version, records(range(500, 3000), [9000]))
    make(tmp_path / "b", lib_version, records(range(500), [9000]))
    program = """
def stop(done, total):
    print("go", flush=True)
    time.sleep(9)

pylmdb.merge([path], path[:-1] + "b", progress=stop)
"""
    process = start(program, tmp_path / "a", lib_version)
    assert process.stdout.readline() == "go\n"
    os.kill(process.pid, signal.SIGKILL)
    finish(process, -signal.SIGKILL)
    assert content(tmp_path / "b") == records(range(500), [9000])
    assert pylmdb.merge([tmp_path / "a"], tmp_path / "b") == 2500
    assert content(tmp_path / "b") == records(range(3000), [9000])
    assert pylmdb.verify(tmp_path / "b").ok


SOURCE = st.dictionaries(st.integers(0, 40), st.sampled_from([0, 5, 1500, *SIZES]), max_size=12)


@settings(deadline=None, max_examples=40)
@given(sources=st.lists(SOURCE, min_size=1, max_size=4), choice=st.sampled_from(["first", "last"]))
def test_it_is_what_dicts_do(tmp_path_factory, sources, choice):
    folder = tmp_path_factory.mktemp("merge")
    dicts = [
        {b"%02d" % key: value(number, size) for key, size in each.items()}
        for number, each in enumerate(sources)
    ]
    paths = [
        make(folder / str(i), i % 2, sorted(each.items()), map_size=1 << 28)
        for i, each in enumerate(dicts)
    ]
    expected = {}
    for each in dicts if choice == "last" else reversed(dicts):
        expected.update(each)
    pylmdb.merge(paths, folder / "all", choice)
    assert content(folder / "all") == sorted(expected.items())
    assert pylmdb.verify(folder / "all").ok
    if len(paths) > 1:
        pylmdb.merge(paths[1:], paths[0], choice)
        assert content(paths[0]) == sorted(expected.items())
        assert pylmdb.verify(paths[0]).ok
