# SPDX-License-Identifier: MIT
"""What can be read of a damaged file is saved in a new one, and what is lost is told."""

import io
import os
import shutil

import mutants
import pytest
import strikes
from damage import PAGE, branch_of, file, healthy, leaf_of, node_of, pointer, with_flags
from data_files import RECORD, File

import pylmdb

__all__ = ["file", "healthy"]


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "saved"


def content(path, name=b"plain"):
    with pylmdb.open(path, readonly=True) as env:
        db = env.open_db(name, create=False) if name else None
        with env.begin() as txn:
            return list(txn.range(db=db))


def keys_on(file, start):
    return [file.key(node) for node in file.nodes(start)]


def salvage(file, dest):
    """Save the file, and compare with what verify() finds in it."""
    file.save()
    result = pylmdb.salvage(file.path, dest)
    assert result.report.findings == pylmdb.verify(file.path).findings
    assert pylmdb.verify(dest).ok
    for saved, found in zip(result.databases, result.report.databases, strict=True):
        named = len(result.databases) - 1 if saved.name is None else 0
        assert (saved.name, saved.damaged) == (found.name, found.damaged)
        assert saved.saved + saved.refused == found.readable - named
    return result, {database.name: database for database in result.databases}


# ---- healthy files ----


def test_a_healthy_file(file, dest):
    result, databases = salvage(file, dest)
    assert result.ok
    assert result.lost == 0
    assert result.saved == sum(each.entries for each in result.databases)
    assert set(databases) == {None, *mutants.DATABASES}
    with pylmdb.open(file.path) as one, pylmdb.open(dest) as other:
        assert one.lib_version() == other.lib_version()
        assert one.dbs() == other.dbs()
        for name in one.dbs():
            assert one.open_db(name).flags() == other.open_db(name).flags()
            assert content(file.path, name) == content(dest, name)
    assert str(result).startswith(
        f"{file.path}/data.mdb: {result.saved:,} records saved to '{dest}', nothing was lost\n"
    )


def test_the_main_database(tmp_path, dest, lib_version):
    """Its own records, its flags, and the single file with its permissions."""
    path = tmp_path / "env"
    text = b"VERSION=3\nformat=print\ntype=btree\nduplicates=1\nHEADER=END\n"
    text += b"".join(b" %d\n %d\n" % (i % 500, i) for i in range(3000)) + b"DATA=END\n"
    pylmdb.load(io.BytesIO(text), path, subdir=False, lib_version=lib_version)
    path.chmod(0o640)
    result = pylmdb.salvage(path, dest)
    assert result.ok
    assert result.databases[0].saved == 3000
    assert dest.stat().st_mode & 0o777 == 0o640
    with pylmdb.open(dest) as env:
        assert env.open_db(None).flags()["dupsort"]
    assert content(dest, None) == content(path, None)


def test_many_databases_and_values_larger_than_a_batch(tmp_path, dest, lib_version):
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=lib_version, max_dbs=300) as env:
        for i in range(300):
            env.open_db(b"%d" % i)
        with env.begin(write=True) as txn:
            txn.put(b"large", bytes(range(256)) * 20_000)
            txn.put(b"empty", b"")
    result = pylmdb.salvage(path, dest)
    assert (result.ok, result.saved, len(result.databases)) == (True, 2, 301)
    with pylmdb.open(dest) as env, env.begin() as txn:
        assert len(env.dbs()) == 300
        assert txn.get(b"large") == bytes(range(256)) * 20_000
        assert txn.get(b"empty") == b""


# ---- damaged pages ----


def test_a_damaged_leaf(file, dest):
    whole, start = content(file.path), leaf_of(file, b"plain")
    gone = keys_on(file, start)
    file.set("Q", start, 7)
    result, databases = salvage(file, dest)
    with pytest.raises(pylmdb.CorruptedError, match=r"can be read with pylmdb.salvage\(\)"):
        content(file.path)
    assert not result.ok
    assert content(dest) == [record for record in whole if record[0] not in gone]
    plain = databases[b"plain"]
    assert (plain.lost, plain.damaged, plain.refused) == (len(gone), 1, 0)
    assert result.lost == len(gone)
    line = f"database b'plain': {plain.saved} of {plain.entries} records saved; damaged pages and"
    assert line in str(result)
    assert repr(result) == f"<pylmdb.SalvageReport {str(result).splitlines()[0]}>"
    assert all(not each.is_partial for each in result.databases if each is not plain)


def test_a_damaged_root(file, dest):
    """Its leaf pages are still there, but so are old ones, and nothing tells them apart."""
    root = branch_of(file, b"plain")
    leaves = len(file.leaves(file.record(b"plain")))
    file.set("H", root + file.at["flags"], 0)
    result, databases = salvage(file, dest)
    plain = databases[b"plain"]
    assert (plain.saved, plain.lost) == (0, plain.entries)
    assert content(dest) == []
    assert result.stray_leaves == leaves
    assert f"pages of records that belong to no database: {leaves}; they are" in str(result)


def test_records_of_free_pages_are_not_saved(file, dest):
    """Pages of deleted records are in the file, too."""
    deleted = {b"key%04d" % i for turn in range(3) for i in range(turn * 50, turn * 50 + 40)}
    assert any(file.node(key) for key in deleted)
    current = {key for key, _ in content(file.path)}
    file.set("Q", leaf_of(file, b"plain"), 7)
    file.set("Q", leaf_of(file, b"plain", 0), 7)
    result, _ = salvage(file, dest)
    assert {key for key, _ in content(dest)} < current
    assert result.stray_leaves == 0  # what belongs to the damaged pages was visited


def test_a_damaged_page_of_the_main_database(file, dest):
    (start,) = file.leaves(file.record())
    file.set("Q", start, 7)
    result, databases = salvage(file, dest)
    assert [*databases] == [None]
    assert databases[None].lost == len(mutants.DATABASES)
    assert result.saved == 0


def test_a_database_whose_record_is_damaged(file, dest):
    file.set("H", file.record(b"plain") + RECORD["flags"], 0x8000)
    _, databases = salvage(file, dest)
    plain = databases[b"plain"]
    assert (plain.saved, plain.lost) == (0, plain.entries)
    assert plain.problem == "its flags 0x8000 are not valid"
    assert databases[b"small"].saved == 1
    with pylmdb.open(dest) as env:
        assert env.dbs() == sorted(mutants.DATABASES.keys() - {b"plain"})


def test_a_damaged_large_value(file, dest):
    whole = content(file.path)
    start, node = with_flags(file, file.record(b"plain"), 1)
    first, key = file.get("Q", file.value(node)), file.key(node)
    file.set("Q", first * PAGE, 0)
    _, databases = salvage(file, dest)
    assert content(dest) == [record for record in whole if record[0] != key]
    assert (databases[b"plain"].lost, databases[b"plain"].damaged) == (1, 1)
    assert start


def test_damaged_duplicates(file, dest):
    """A tree of the values of one key."""
    whole = content(file.path, b"fixed")
    _, node = with_flags(file, file.record(b"fixed"), 6)
    key = file.key(node)
    file.set("Q", file.get("Q", file.value(node) + RECORD["root"]) * PAGE, 0)
    _, databases = salvage(file, dest)
    gone = sum(record[0] == key for record in whole)
    assert content(dest, b"fixed") == [record for record in whole if record[0] != key]
    assert (databases[b"fixed"].lost, databases[b"fixed"].damaged) == (gone, 1)


def test_keys_out_of_order_are_put_in_order(file, dest):
    start = leaf_of(file, b"plain")
    whole = content(file.path)
    a, b = pointer(file, start, 2), pointer(file, start, 3)
    one, other = file.get("H", a), file.get("H", b)
    file.set("H", a, other)
    file.set("H", b, one)
    result, _ = salvage(file, dest)
    assert result.ok
    assert not result.report.ok
    assert content(dest) == whole


def test_a_wrong_count_is_no_loss(file, dest):
    at = file.record(b"plain") + RECORD["entries"]
    file.set("Q", at, file.get("Q", at) + 100)
    result, _ = salvage(file, dest)
    assert result.ok
    assert result.lost == 0


def test_what_lmdb_does_not_take(file, dest):
    """Two records with one key, and integers of another width."""
    leaf = leaf_of(file, b"plain")
    first, second = node_of(file, leaf, 0), node_of(file, leaf, 1)
    size = len(file.key(first))
    assert len(file.key(second)) == size
    file.data[second + 8 : second + 8 + size] = file.key(first)
    numbers = node_of(file, leaf_of(file, b"numbers"), 1)
    file.set("H", numbers + 6, 6)
    file.set("I", numbers, file.get("I", numbers) + 2)
    _, databases = salvage(file, dest)
    assert (databases[b"plain"].refused, databases[b"plain"].lost) == (1, 1)
    assert (databases[b"numbers"].refused, databases[b"numbers"].lost) == (1, 1)
    assert str(databases[b"plain"]).endswith("records saved; read, but not stored: 1")


# ---- meta pages, and the file as a whole ----


def metas(file):
    return [page * PAGE + file.at["nodes"] for page in range(2)]


def test_the_other_meta_page(file, dest):
    newest = file.meta()
    txnid = file.get("Q", newest + 128)
    file.set("I", newest, 0)
    result, _ = salvage(file, dest)
    assert result.report.txnid == txnid - 1
    assert result.saved
    assert content(dest)


def test_the_snapshot_before_the_last_commit(tmp_path, dest, lib_version):
    """The meta page of the last commit is on the disk, and its other pages are not."""
    path = tmp_path / "env"
    for i in range(6):
        with pylmdb.open(path, lib_version=lib_version) as env, env.begin(write=True) as txn:
            txn.put(b"k", b"%d" % i)
    file = File(path, lib_version)
    (start,) = file.leaves(file.record())
    file.data[start : start + PAGE] = bytes(PAGE)
    file.save()
    assert pylmdb.salvage(path, dest).lost == 1
    result = pylmdb.salvage(path, tmp_path / "previous", previous=True)
    assert (result.ok, result.saved) == (True, 1)
    assert content(tmp_path / "previous", None) == [(b"k", b"4")]
    file.set("I", metas(file)[0], 0)
    file.save()
    with pytest.raises(pylmdb.CorruptedError, match="one of its meta pages cannot be used"):
        pylmdb.salvage(path, tmp_path / "another", previous=True)


def test_both_meta_pages(file, dest):
    for at in metas(file):
        file.set("Q", at + 120, 0)
    file.save()
    with pytest.raises(pylmdb.CorruptedError, match="neither of its meta pages can be used; nothi"):
        pylmdb.salvage(file.path, dest)
    assert not dest.exists()


def test_a_file_cut_short(file, dest):
    whole, size = content(file.path), len(file.data)
    del file.data[size * 2 // 3 :]
    file.save()
    with pytest.raises(pylmdb.CorruptedError, match=r"cut short.*pylmdb.salvage\(\)"):
        pylmdb.open(file.path)
    result, _ = salvage(file, dest)
    assert result.saved > 0
    assert result.lost > 0
    assert set(content(dest)) <= set(whole)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", "is empty"), (b"#!/bin/sh\n" * 100, "it is not an LMDB file"), (b"x", "too short")],
)
def test_a_file_that_is_none(tmp_path, dest, data, text):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(pylmdb.InvalidError, match=text):
        pylmdb.salvage(path, dest)
    assert os.listdir(tmp_path) == ["file"]


def test_paths(file, tmp_path, dest):
    with pytest.raises(pylmdb.PathNotFoundError):
        pylmdb.salvage(tmp_path / "nowhere", dest)
    with pytest.raises(pylmdb.PathNotFoundError, match="does not exist"):
        pylmdb.salvage(file.path, tmp_path / "nowhere" / "saved")
    with pytest.raises(pylmdb.Error, match="name a path that does not exist"):
        pylmdb.salvage(file.path, file.path)
    with pytest.raises(pylmdb.InvalidError, match="not a regular file"):
        pylmdb.salvage("/dev/null", dest, subdir=False)
    assert os.listdir(tmp_path) == ["data.mdb"]


# ---- progress, and other processes ----


def test_progress(file, dest):
    calls = []
    pylmdb.salvage(file.path, dest, progress=lambda *counts: calls.append(counts))
    assert calls[-1][0] == calls[-1][1] == pylmdb.verify(file.path).pages


def test_an_exception_undoes_it(file, tmp_path, dest):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pylmdb.salvage(file.path, dest, progress=stop)
    assert os.listdir(tmp_path) == ["data.mdb"]


def test_a_file_that_is_written_to_meanwhile(tmp_path, dest, lib_version):
    with pylmdb.open(tmp_path / "env", lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v")

        def write(done, total):
            with env.begin(write=True) as txn:
                txn.put(b"k", b"%d" % done)

        with pytest.raises(pylmdb.CorruptedError, match="written to while it was read; copy the"):
            pylmdb.salvage(tmp_path / "env", dest, progress=write)
        assert not dest.exists()
        assert pylmdb.salvage(tmp_path / "env", dest).saved == 1


def test_as_dict(file, dest):
    file.set("Q", leaf_of(file, b"plain"), 7)
    result, databases = salvage(file, dest)
    found = result.as_dict()
    assert (found["ok"], found["saved"], found["lost"]) == (False, result.saved, result.lost)
    by_name = {each["name"]: each for each in found["databases"]}
    assert by_name["plain"]["lost"] == databases[b"plain"].lost > 0
    assert found["report"] == result.report.as_dict()


@pytest.mark.slow
def test_an_interrupt_at_any_point(tmp_path, dest, lib_version):
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=lib_version) as env:
        db = env.open_db(b"db")
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v")
            txn.put(b"k", b"v", db=db)

    def salvage():
        pylmdb.salvage(path, dest)

    salvage()
    shutil.rmtree(dest)
    total = strikes.points(salvage)
    assert total > 300
    shutil.rmtree(dest)
    for number, where, struck in strikes.each(salvage, range(1, total, 17)):
        at = f"strike {number} at {where}"
        assert struck, at
        assert {*os.listdir(tmp_path)} <= {"env", "saved"}, at
        if dest.exists():
            assert pylmdb.verify(dest).ok, at
            assert content(dest, b"db") == [(b"k", b"v")], at
            shutil.rmtree(dest)
