# SPDX-License-Identifier: MIT
"""The page size of new files: which sizes a format has, and that everything works with each.

Random programs use other page sizes, too: ``test_model.py``, ``test_bulk.py`` and
``test_verify_healthy.py`` draw one for each run.
"""

import os
import random

import lmdb
import numpy
import pytest

import pylmdb
from pylmdb._shared.options import nearest_page_size

SIZES = [(0, 2048), (0, 16384), (0, 32768), (1, 512), (1, 4096), (1, 16384), (1, 65536)]


@pytest.fixture(params=SIZES, ids=lambda pair: f"{'1.0' if pair[0] else '0.9'}-{pair[1]}")
def sized(request, core):
    """Return the options of a format and a page size."""
    return {"lib_version": request.param[0], "page_size": request.param[1]}


def records(env, count, seed=1):
    """Return sorted records of all sizes that fit."""
    rng = random.Random(seed)
    longest = min(env.max_key_size(), 300)
    sizes = [0, 1, 40, 200, 900, 5000, 70_000]
    keys = {b"%07d" % n + b"k" * rng.randrange(longest - 7) for n in range(count)}
    return [(key, rng.randbytes(rng.choice(sizes))) for key in sorted(keys)]


def test_reads_writes_and_checks(sized, tmp_path):
    path = tmp_path / "env"
    with pylmdb.open(path, sync=False, **sized) as env:
        assert env.info().page_size == env.stat().psize == sized["page_size"]
        model = dict(records(env, 300))
        items = list(model.items())
        random.Random(2).shuffle(items)
        with env.begin(write=True) as txn:
            for key, value in items:
                assert txn.put(key, value)
            for key, _ in items[:60]:
                assert txn.pop(key) == model.pop(key)
        keys = sorted(model)
        with env.begin(write=True) as txn:
            assert txn.count(keys[50], keys[90]) == 40
            assert txn.delete_range(keys[50], keys[90]) == 40
            for key in keys[50:90]:
                del model[key]
        with env.begin() as txn:
            assert list(txn.cursor()) == sorted(model.items())
            assert txn.get_many(keys) == [model.get(key) for key in keys]
            assert [txn.get(key) for key in keys[::-1]] == [model.get(key) for key in keys[::-1]]
        assert pylmdb.verify(path).page_size == sized["page_size"]
        env.compact()
        (tmp_path / "copy").mkdir()
        env.copy(tmp_path / "copy", compact=True)
    for each in (path, tmp_path / "copy"):
        assert pylmdb.verify(each).ok
        with pylmdb.open(each) as env, env.begin() as txn:
            assert env.info().page_size == sized["page_size"]
            assert dict(txn.cursor()) == model


def test_many_records_are_appended_and_the_map_grows(sized, tmp_path):
    path = tmp_path / "env"
    with pylmdb.open(path, sync=False, **sized) as env:
        room = env.max_key_size()
        dups = env.open_db(b"dups", dupsort=True)
        fixed = env.open_db(b"fixed", dupsort=True, dupfixed=True)
        plain = env.open_db(b"plain")
        stored = {
            plain: [(b"%07d" % n, b"v" * (n * 37 % 3000)) for n in range(9000)],
            dups: sorted((b"%05d" % (n % 9), b"%06d" % n + b"d" * (n % (room - 8)))
                         for n in range(3000)),
            fixed: [(b"%05d" % (n // 2500), b"%07d" % n) for n in range(5000)],
        }  # fmt: skip
        for db, items in stored.items():
            with env.begin(db, write=True) as txn:
                assert txn.cursor().putmulti(items, append=True) == (len(items), len(items))
        assert env.info().map_size > 10 << 20
        for db, items in stored.items():
            with env.begin(db) as txn:
                assert list(txn.cursor()) == items
        with env.begin(plain, write=True) as txn:
            for key, _ in stored[plain][::3]:
                assert txn.delete(key)
        assert pylmdb.verify(path).ok


def test_arrays_are_aligned(sized, tmp_path):
    arrays = [numpy.arange(n, dtype="f8") for n in (1, 7, 40, 300, 5000)]
    rows = numpy.arange(64 * 30, dtype="f4").reshape(30, 64)
    with pylmdb.open(tmp_path / "env", sync=False, **sized) as env:
        with env.begin(write=True) as txn:
            for n, array in enumerate(arrays):
                txn.put_array(b"a%d" % n, array)
            assert txn.put_arrays([b"row%02d" % n for n in range(30)], rows) == 30
        with env.begin() as txn:
            for n, array in enumerate(arrays):
                found = txn.get_array(b"a%d" % n)
                assert (found == array).all()
                assert found.flags.aligned
            taken = txn.take([b"row%02d" % n for n in (3, 29, 0)], dtype="f4", shape=(64,))
            assert (taken == rows[[3, 29, 0]]).all()


def test_whole_files(sized, tmp_path):
    """Merge, convert, load and salvage read any page size, and write any."""
    size = sized["page_size"]
    with pylmdb.open(tmp_path / "a", sync=False, **sized) as env:
        model = dict(records(env, 120))
        with env.begin(write=True) as txn:
            txn.cursor().putmulti(sorted(model.items()))
    pylmdb.merge([tmp_path / "a"], tmp_path / "merged", page_size=size)
    pylmdb.convert(tmp_path / "a", tmp_path / "plain")
    pylmdb.dump(tmp_path / "a", tmp_path / "dump")
    pylmdb.load(tmp_path / "dump", tmp_path / "loaded", **sized)
    shuffled = list(model.items())
    random.Random(3).shuffle(shuffled)
    pylmdb.bulk_load(tmp_path / "bulk", shuffled, memory="34 MiB", **sized)
    assert pylmdb.salvage(tmp_path / "a", tmp_path / "salvaged").ok
    for name in ("merged", "plain", "loaded", "bulk", "salvaged"):
        assert pylmdb.verify(tmp_path / name).ok
        with pylmdb.open(tmp_path / name) as env, env.begin() as txn:
            assert dict(txn.cursor()) == model
            assert (env.info().page_size == size) == (name != "plain" or size == os_page_size())
    pylmdb.convert(tmp_path / "plain", tmp_path / "again", page_size=size)
    with pylmdb.open(tmp_path / "again", page_size=size) as env:
        assert env.info().page_size == size


def os_page_size():
    return os.sysconf("SC_PAGESIZE")


def test_other_programs_read_the_file(sized, tmp_path):
    path = tmp_path / "env"
    with pylmdb.open(path, **sized) as env:
        model = dict(records(env, 100))
        with env.begin(write=True) as txn:
            txn.cursor().putmulti(sorted(model.items()))
    with lmdb.open(str(path), lib_version=sized["lib_version"]) as env:
        assert env.stat()["psize"] == sized["page_size"]
        with env.begin(write=True) as txn:
            assert dict(txn.cursor()) == model
            assert txn.put(b"x", b"y")
    assert pylmdb.verify(path).ok


@pytest.mark.parametrize("writemap", [False, True])
def test_another_size_of_an_existing_file_is_refused(sized, tmp_path, writemap):
    path, size = tmp_path / "env", sized["page_size"]
    other = 8192
    pylmdb.open(path, writemap=writemap, **sized).close()
    for _ in range(2):
        with pytest.raises(pylmdb.InvalidError, match=f"pages of {size} bytes, not page_size=8192"):
            pylmdb.open(path, page_size=other)
    with pylmdb.open(path, page_size=size) as env:
        with pytest.raises(pylmdb.InvalidError, match=f"pages of {size} bytes"):
            pylmdb.open(path, page_size=other)
        with env.begin(write=True) as txn:
            assert txn.put(b"k", b"v")
    pylmdb.open(tmp_path / "source").close()
    with pytest.raises(pylmdb.InvalidError, match="not page_size=8192"):
        pylmdb.merge([tmp_path / "source"], path, page_size=other)


@pytest.mark.parametrize("size", [-4096, 0, 1, 256, 1000, 4095, 131072, 2**31 - 1, 2**70])
def test_sizes_that_no_file_can_have(tmp_path, size):
    with pytest.raises(ValueError, match="power of two from 512 to 65536"):
        pylmdb.open(tmp_path / "env", page_size=size)
    assert not (tmp_path / "env").exists()


@pytest.mark.parametrize("size", [512, 1024, 65536])
def test_sizes_that_only_one_format_has(tmp_path, size):
    with pytest.raises(ValueError, match="from 2048 to 32768 in the format"):
        pylmdb.open(tmp_path / "env", lib_version=0, page_size=size)
    with pylmdb.open(tmp_path / "env", page_size=size) as env:
        assert (env.lib_version()[0], env.info().page_size) == (1, size)


@pytest.mark.parametrize(
    ("version", "size", "nearest"),
    [(0, 256, 2048), (0, 4096, 4096), (0, 65536, 32768), (1, 256, 512), (1, 65536, 65536)],
)
def test_the_page_size_of_a_file_that_is_made_of_another_one(version, size, nearest):
    """Other programs make files with pages that pylmdb reads, and does not make."""
    assert nearest_page_size(version, size) == nearest


@pytest.mark.parametrize("value", ["4096", 4096.0])
def test_wrong_types(tmp_path, value):
    with pytest.raises(TypeError, match="page_size must be an integer"):
        pylmdb.open(tmp_path / "env", page_size=value)


@pytest.mark.parametrize("left", ["empty", "zeros", "first", "second", "short"])
def test_an_interrupted_creation_is_completed(sized, tmp_path, left):
    """A file that lacks a meta page is created again, also by a program that names no size."""
    whole, size = tmp_path / "whole", sized["page_size"]
    pylmdb.open(whole, subdir=False, **sized).close()
    data = whole.read_bytes()
    assert len(data) == 2 * size
    begun = {
        "empty": b"", "zeros": bytes(2 * size), "first": data[:size] + bytes(size),
        "second": bytes(size) + data[size:], "short": data[:size],
    }[left]  # fmt: skip
    for options in ({}, sized):
        path = tmp_path / f"begun{len(options)}"
        path.write_bytes(begun)
        options = {"lib_version": sized["lib_version"], **options}
        with pylmdb.open(path, subdir=False, **options) as env:
            with env.begin(write=True) as txn:
                assert txn.put(b"k", b"v" * 10_000)
            assert env.info().page_size == options.get("page_size", os_page_size())
        assert pylmdb.verify(path).ok
