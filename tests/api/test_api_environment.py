# SPDX-License-Identifier: MIT
"""Environment: opening to closing, its information, copies, begin; and the module's functions."""

import gc
import os
import threading
import time
import weakref
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from dropped import free
from programs import PATIENCE, Rival

import pylmdb

DATA_VERSIONS = {0: (0, 9, 36), 1: (1, 0, 2)}


# -- life -----------------------------------------------------------------------------


def test_close_is_idempotent_and_the_with_block_closes(open_env):
    with open_env() as env:
        assert not env.closed
    assert env.closed
    env.close()
    env.close()
    assert "closed" in repr(env)


def test_repr(env, env_path):
    assert env_path in repr(env)
    assert "Environment" in repr(env)


def test_close_ends_transactions(env):
    reader = env.begin()
    writer = env.begin(write=True)
    cursor = writer.cursor()
    child = env.begin(parent=writer, write=True)
    env.close()
    assert reader.closed
    assert writer.closed
    assert child.closed
    assert cursor.closed


def test_the_body_s_exception_wins(open_env):
    def body():
        with open_env() as env, env.begin(write=True) as txn:
            txn.put(b"k", b"v")
            env.close()
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        body()


def test_weak_references_and_collection(open_env):
    env = open_env()
    txn = env.begin()
    references = weakref.ref(env), weakref.ref(txn)
    txn.abort()
    del txn
    free([])
    assert references[1]() is None
    env.close()


def test_a_dropped_environment_is_closed(tmp_path, lib_version):
    path = tmp_path / "dropped"
    env = pylmdb.open(path, lib_version=lib_version)
    del env
    gc.collect()
    pylmdb.open(path, max_readers=7, readonly=True).close()


def test_subclass(core, lib_version, env_path):
    class Store(pylmdb.Environment):
        def __init__(self, path, **options):
            super().__init__(path, **options)
            self.note = "mine"

        def fetch(self, key):
            with self.begin() as txn:
                return txn.get(key)

    with Store(env_path, lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v")
            assert txn.env is env
        assert env.fetch(b"k") == b"v"
        assert env.note == "mine"


def test_opening_again_shares(open_env, env_path):
    first, second = open_env(), open_env()
    with first.begin(write=True) as txn:
        txn.put(b"k", b"v")
        with pytest.raises(pylmdb.BusyError):
            second.begin(write=True)
    first.close()
    with second.begin() as txn:
        assert txn.get(b"k") == b"v"


@pytest.mark.parametrize("option", [{"writemap": True}, {"max_dbs": 1000}, {"lock": False}])
def test_opening_again_with_what_cannot_be_shared(open_env, option):
    open_env()
    with pytest.raises(pylmdb.Error, match=next(iter(option))):
        open_env(**option)


def test_deleted_and_made_again_is_another_environment(open_env, env_path, tmp_path):
    first = open_env()
    with first.begin(write=True) as txn:
        txn.put(b"k", b"old")
    os.rename(env_path, tmp_path / "moved")
    second = open_env()
    with second.begin() as txn:
        assert txn.get(b"k") is None
    with first.begin() as txn:
        assert txn.get(b"k") == b"old"


# -- information -------------------------------------------------------------------------


def test_stat_and_info(env):
    assert set(env.stat()) == {
        "psize", "depth", "branch_pages", "leaf_pages", "overflow_pages", "entries"
    }  # fmt: skip
    assert {
        "map_addr", "map_size", "last_pgno", "last_txnid", "max_readers", "num_readers"
    } <= set(env.info())  # fmt: skip
    assert env.info()["last_txnid"] == 0
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v" * 10000)
    assert env.info()["last_txnid"] == 1
    assert env.info().last_pgno >= 4
    found = env.stat()
    assert (found.entries, found["depth"], found["overflow_pages"] >= 3) == (1, 1, True)
    assert found["psize"] == found.psize >= 4096
    with pytest.raises(AttributeError):
        _ = found.nothing


def test_dir_of_statistics_lists_their_fields(env):
    assert {*env.stat(), "keys"} <= {*dir(env.stat())}
    assert {*env.info(), "keys"} <= {*dir(env.info())}


def test_statistics_of_the_core_and_of_the_slow_path_are_equal(env):
    """The C core calls liblmdb, unless the environment is closed or resized: then Python waits."""
    db = env.open_db(b"named")
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v" * 10000)
        txn.put(b"k", b"v", db=db)
    quick = [call() for call in (env.stat, env.info, env.max_key_size, env.max_readers)]
    slow = [env._ask(name) for name in ("stat", "info", "max_key_size", "max_readers")]
    assert quick == slow
    assert [list(each) for each in quick[:2]] == [list(each) for each in slow[:2]]
    assert [type(each) for each in quick] == [pylmdb.types.Stat, pylmdb.types.EnvInfo, int, int]
    env._shared.admitting = False
    assert [env.stat(), env.info(), env.max_key_size(), env.max_readers()] == quick
    assert env._shared.admitting
    quick[0]["entries"] = quick[1]["entries"] = 17
    assert (env.stat().entries, "entries" in env.info()) == (2, False)


def test_free_pages_are_counted_anew_after_each_commit(env, env_path, lib_version):
    def walk():
        return env._ask("free_pages")[1]

    told = []
    for round in range(3):
        with env.begin(write=True) as txn:
            for number in range(100):
                txn.put(b"%d" % number, b"v" * 2000 * (3 - round))
        told += [env.info().free_pages, env.info().free_pages]
        assert told[-2:] == [walk()] * 2
    with Rival(env_path, lib_version) as rival:
        assert rival.ask("put", "17", "v") == "put"
        assert env.info().free_pages == walk()
    assert len(set(told)) > 1


def test_stat_of_a_transaction_is_that_of_its_snapshot(env):
    db = env.open_db(b"named")
    with env.begin() as reader, env.begin(write=True) as txn:
        for number in range(3):
            txn.put(b"%d" % number, b"v", db=db)
        assert [txn.stat(db).entries, txn.stat(db=db)["entries"], txn.stat().entries] == [3, 3, 1]
        assert (reader.stat(db).entries, txn.id() - reader.id()) == (0, 1)
        new = env.open_db(b"new", txn)
        with pytest.raises(pylmdb.Error):
            reader.stat(new)
        with pytest.raises(TypeError):
            txn.stat(b"named")
        with pytest.raises(TypeError):
            txn.stat(other=db)
        with env.begin(write=True, parent=txn):
            for call in (txn.id, txn.stat):
                with pytest.raises(pylmdb.Error, match="child"):
                    call()
    for call in (txn.id, txn.stat, reader.id, reader.stat):
        with pytest.raises(pylmdb.Error):
            call()


def test_last_txnid_grows_by_one_per_database_made(env):
    for number in range(1, 4):
        env.open_db(b"%d" % number)
        assert env.info()["last_txnid"] == number
    env.open_db(b"1")
    env.open_db(None)
    assert env.info()["last_txnid"] == 3


def test_max_key_size_is_exact(env, lib_version):
    size = env.max_key_size()
    assert size == {0: 511, 1: 1978}[lib_version]
    with env.begin(write=True) as txn:
        assert txn.put(b"k" * size, b"v")
        with pytest.raises(pylmdb.BadValsizeError):
            txn.put(b"k" * (size + 1), b"v")
        assert txn.get(b"k" * size) == b"v"


def test_set_flags(env):
    env.set_flags(sync=False, metasync=False, meminit=False, map_async=True)
    flags = env.flags()
    assert (flags.sync, flags.metasync, flags.meminit, flags.map_async) == (
        False, False, False, True
    )  # fmt: skip
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    env.sync(True)
    env.set_flags(sync=True, metasync=True, meminit=True, map_async=False)
    assert env.flags().sync
    env.set_flags()
    assert env.flags().sync
    with pytest.raises(TypeError):
        env.set_flags(True)
    with pytest.raises(TypeError):
        env.set_flags(readonly=True)


def test_set_mapsize(env):
    env.set_mapsize(1 << 25)
    assert env.info()["map_size"] == 1 << 25
    with env.begin(write=True) as txn:
        assert txn.put(b"k", b"v" * (20 << 20))
    with pytest.raises(OverflowError):
        env.set_mapsize(-1)
    with pytest.raises(TypeError):
        env.set_mapsize("7")


def test_readers_text_and_records(env):
    assert env.reader_list() == []
    assert env.readers() == "(no active readers)\n"
    reader = env.begin()
    [row] = env.reader_list()
    assert (row["pid"], row.txnid) == (os.getpid(), reader.id())
    assert str(os.getpid()) in env.readers()
    reader.abort()
    assert env.reader_list() == []
    assert env.reader_check() == 0


def test_version(lib_version):
    assert pylmdb.version() == DATA_VERSIONS[0]
    assert pylmdb.version(lib_version=lib_version) == DATA_VERSIONS[lib_version]
    long = pylmdb.version(subpatch=True, lib_version=lib_version)
    assert long[:3] == DATA_VERSIONS[lib_version]
    assert long[3] in (0, 1)
    with pytest.raises(pylmdb.Error):
        pylmdb.version(lib_version=5)
    assert pylmdb.enable_drop_gil() is None


# -- the file ------------------------------------------------------------------------------


def fill(env):
    dup = env.open_db(b"dup", dupsort=True)
    with env.begin(write=True) as txn:
        for number in range(1000):
            txn.put(b"%05d" % number, b"x" * (number % 700))
            txn.put(b"k", b"%05d" % number, db=dup)
        for number in range(0, 1000, 2):
            txn.delete(b"%05d" % number)


def content(env):
    with env.begin() as txn:
        named = list(txn.range(db=env.open_db(b"dup", txn=txn)))
        return [(k, v) for k, v in txn.range() if k != b"dup" and k != b"dup\0"], named


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("form", [str, os.fsencode, Path])
def test_copy(env, open_env, tmp_path, compact, form):
    fill(env)
    target = tmp_path / "copy"
    target.mkdir()
    env.copy(form(str(target)), compact=compact)
    again = open_env(target)
    assert content(again) == content(env)
    assert len(content(again)[0]) == 500
    assert (again.info()["last_pgno"] < env.info()["last_pgno"]) is compact


@pytest.fixture
def flushed(monkeypatch):
    """Return the files and directories that were flushed."""
    found, fsync = [], os.fsync

    def note(fd):
        found.append(os.readlink(f"/proc/self/fd/{fd}"))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_a_copy_is_on_the_disk_and_so_is_its_name(env, tmp_path, flushed):
    (tmp_path / "copy").mkdir()
    env.copy(str(tmp_path / "copy"))
    assert flushed == [str(tmp_path / "copy" / "data.mdb"), str(tmp_path / "copy")]


@pytest.mark.parametrize("compact", [False, True])
def test_copyfd(env, open_env, tmp_path, compact):
    fill(env)
    with open(tmp_path / "copy", "wb") as file:
        env.copyfd(file.fileno(), compact)
    assert content(open_env(tmp_path / "copy", subdir=False)) == content(env)


def test_copy_through_a_pipe(env, open_env, tmp_path):
    fill(env)
    receiving, sending = os.pipe()
    chunks = []

    def receive():
        with open(receiving, "rb") as pipe:
            chunks.append(pipe.read())

    thread = threading.Thread(target=receive)
    thread.start()
    env.copyfd(sending)
    os.close(sending)
    thread.join()
    (tmp_path / "copy").write_bytes(chunks[0])
    assert content(open_env(tmp_path / "copy")) == content(env)


def test_copy_of_an_older_snapshot(env, open_env, tmp_path):
    fill(env)
    before = content(env)
    reader = env.begin()
    with env.begin(write=True) as txn:
        txn.put(b"late", b"v")
    assert pylmdb.version(True)[3] == 1, "the built-in engines are hardened"
    for number, make in enumerate(
        [
            lambda path: env.copy(path, compact=True, txn=reader),
            lambda path: env.copy(path, True, reader),
        ]
    ):
        target = tmp_path / str(number)
        target.mkdir()
        make(target)
        assert content(open_env(target)) == before
    with open(tmp_path / "file", "wb") as file:
        env.copyfd(file.fileno(), True, reader)
    assert content(open_env(tmp_path / "file")) == before
    assert reader.get(b"late") is None


def test_copy_with_txn_needs_compact(env, tmp_path):
    target = tmp_path / "copy"
    target.mkdir()
    with env.begin() as txn, pytest.raises((TypeError, pylmdb.Error)):
        env.copy(target, txn=txn)
    with pytest.raises(TypeError):
        env.copy(target, compact=True, txn="txn")
    assert os.listdir(target) == []


def test_copy_refuses_bad_targets(env, tmp_path, env_path):
    fill(env)
    with pytest.raises((pylmdb.Error, OSError)):
        env.copy(tmp_path / "missing" / "deeper")
    with pytest.raises((pylmdb.Error, OSError)):
        env.copy(env_path)
    with pytest.raises(ValueError, match="NUL"):
        env.copy("a\0b")
    with pytest.raises(TypeError):
        env.copy(7)
    with pytest.raises(TypeError):
        env.copyfd("7")
    with pytest.raises((pylmdb.Error, OSError, OverflowError)):
        env.copyfd(-1)
    assert len(content(env)[0]) == 500


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("name", ["copy", "copy/"])
def test_a_copy_makes_its_directory(env, open_env, tmp_path, compact, name, flushed):
    fill(env)
    env.copy(f"{tmp_path}/{name}", compact=compact)
    assert os.listdir(tmp_path / "copy") == ["data.mdb"]
    assert str(tmp_path) in flushed
    assert str(tmp_path / "copy") not in flushed, "it had another name until it was complete"
    assert content(open_env(tmp_path / "copy")) == content(env)


def test_the_directory_of_a_copy_is_private_like_its_source(open_env, tmp_path):
    env = open_env(mode=0o700)
    env.copy(tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "copy" / "data.mdb").stat().st_mode & 0o777 == 0o600


def test_a_copy_that_fails_leaves_no_directory(env, tmp_path, env_path):
    fill(env)
    with env.begin(write=True), pytest.raises(pylmdb.BusyError):
        env.copy(tmp_path / "copy")
    with pytest.raises(TypeError, match="txn"):
        env.copy(tmp_path / "copy", compact=True, txn="txn")
    (tmp_path / "file").write_bytes(b"")
    for path in ("file", "file/copy", "missing/copy"):
        with pytest.raises(pylmdb.Error, match="cannot be written"):
            env.copy(tmp_path / path)
    assert sorted(os.listdir(tmp_path)) == [os.path.basename(env_path), "file"]


def test_a_directory_that_another_process_makes_meanwhile_stays(env, tmp_path, monkeypatch):
    fsync, target = os.fsync, tmp_path / "copy"

    def make(fd):
        fsync(fd)
        target.mkdir(exist_ok=True)
        (target / "data.mdb").write_bytes(b"precious")

    monkeypatch.setattr(os, "fsync", make)
    with pytest.raises(pylmdb.Error, match="does not overwrite"):
        env.copy(target)
    assert (target / "data.mdb").read_bytes() == b"precious"
    assert len(os.listdir(tmp_path)) == 2


def test_copy_keeps_an_existing_file(env, tmp_path):
    target = tmp_path / "copy"
    target.mkdir()
    (target / "data.mdb").write_bytes(b"precious")
    with pytest.raises(pylmdb.PathExistsError):
        env.copy(target)
    assert (target / "data.mdb").read_bytes() == b"precious"


# -- waiting for the writer -------------------------------------------------------------------


def test_begin_with_a_timeout(env):
    started = threading.Event()
    release = threading.Event()

    def hold():
        with env.begin(write=True):
            started.set()
            release.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    started.wait(PATIENCE)
    for timeout in (0, 0.1):
        begun = time.monotonic()
        with pytest.raises(pylmdb.LockTimeoutError) as caught:
            env.begin(write=True, timeout=timeout)
        assert timeout <= time.monotonic() - begun
        assert isinstance(caught.value, TimeoutError)
    release.set()
    with env.begin(write=True, timeout=PATIENCE) as txn:
        assert txn.put(b"k", b"v")
    thread.join()


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_negative_timeout(env, timeout):
    with pytest.raises(ValueError, match="timeout"):
        env.begin(write=True, timeout=timeout)


@pytest.mark.parametrize("timeout", [10**400, float("inf"), Fraction(10**6), Decimal(10**6)])
def test_any_number_is_a_timeout(env, timeout):
    with env.begin(write=True, timeout=timeout) as txn:
        assert txn.put(b"k", b"v")


def test_begin_positional_and_keyword_forms(env):
    db = env.open_db(b"db")
    with env.begin(db, None, True, True) as txn:
        txn.put(b"k", b"v")
        assert txn.write
        assert isinstance(txn.get(b"k"), memoryview)
    with env.begin(db=db, parent=None, write=False, buffers=False) as txn:
        assert txn.get(b"k") == b"v"
    with pytest.raises(TypeError):
        env.begin(db, None, True, True, 1.0)


def test_per_transaction_sync_and_metasync(env):
    for sync in (None, True, False):
        for metasync in (None, True, False):
            with env.begin(write=True, sync=sync, metasync=metasync) as txn:
                txn.put(repr((sync, metasync)).encode(), b"")
    assert env.stat()["entries"] == 9
    assert env.flags()["sync"] is True


@pytest.mark.parametrize("sync", [False, True])
def test_sync_of_a_file_opened_for_reading_fails_whatever_sync_was_given(open_env, sync):
    open_env().close()
    env = open_env(readonly=True, sync=sync)
    for arguments in [(), (True,)]:
        with pytest.raises(pylmdb.ReadonlyError):
            env.sync(*arguments)


def test_what_is_installed(core):
    assert ".".join(map(str, pylmdb.version_info)) == pylmdb.__version__
    assert pylmdb.lib_versions() == DATA_VERSIONS
    info = pylmdb.build_info()
    assert info["version"] == pylmdb.__version__
    assert info["core"] == core
    assert info["lib_versions"] == DATA_VERSIONS
    assert (info["c_api"] is None) == (core == "cffi")
    assert info["hardened"]
    assert os.path.isfile(os.path.join(pylmdb.get_include(), "pylmdb.h"))
