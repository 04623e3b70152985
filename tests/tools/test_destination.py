# SPDX-License-Identifier: MIT
"""The destination of merge, convert and load: odd paths, interrupts, forks."""

import errno
import itertools
import os

import pytest
import strikes

import pylmdb


def make(path, version=0, databases=(), **options):
    with pylmdb.open(path, lib_version=version, **options) as env:
        for db in [None, *(env.open_db(name) for name in databases)]:
            with env.begin(write=True) as txn:
                txn.put(b"k", b"v", db=db)
    return path


@pytest.fixture
def source(tmp_path, lib_version):
    return make(tmp_path / "source", lib_version)


def value(path):
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        return txn.get(b"k")


def test_a_directory_that_exists_is_kept(tmp_path, source):
    """It keeps its mode and its other files."""
    dest = tmp_path / "dest"
    dest.mkdir(mode=0o700)
    (dest / "notes").write_text("mine")
    before = dest.stat()
    assert pylmdb.merge([source], dest) == 1
    assert (dest.stat().st_ino, dest.stat().st_mode) == (before.st_ino, before.st_mode)
    assert sorted(os.listdir(dest)) == ["data.mdb", "notes"]
    assert value(dest) == b"v"


def test_the_current_directory(tmp_path, source, monkeypatch):
    (tmp_path / "dest").mkdir()
    monkeypatch.chdir(tmp_path / "dest")
    pylmdb.merge([source], ".")
    assert os.path.exists("data.mdb"), "it is still the current directory"


@pytest.mark.parametrize("path", ["", b""])
def test_an_empty_path_is_not_the_current_directory(tmp_path, source, monkeypatch, path):
    (tmp_path / "dest").mkdir()
    monkeypatch.chdir(tmp_path / "dest")
    with pylmdb.open(source) as env:
        backup = env.backup(tmp_path / "full")
    for write in (
        lambda: pylmdb.merge([source], path),
        lambda: pylmdb.convert(source, path),
        lambda: pylmdb.restore(backup, path),
        lambda: pylmdb.restore(backup, path, overwrite=True),
    ):
        with pytest.raises(pylmdb.PathNotFoundError, match="must not be empty"):
            write()
    assert os.listdir() == []


@pytest.mark.parametrize("subdir", [True, False], ids=["directory", "file"])
def test_links_are_followed(tmp_path, source, subdir):
    (tmp_path / "real").mkdir()
    (tmp_path / "to-directory").symlink_to("real")
    (tmp_path / "to-nothing").symlink_to("elsewhere")
    for name in ("to-directory", "to-nothing"):
        pylmdb.merge([source], tmp_path / name, subdir=subdir)
        assert (tmp_path / name).is_symlink()
        assert value(tmp_path / name) == b"v"
    assert (tmp_path / "elsewhere").is_dir() == subdir
    assert (tmp_path / "real" / "data.mdb").is_file()


def test_without_a_parent(tmp_path, source):
    with pytest.raises(pylmdb.PathNotFoundError, match="its parent directory does not exist"):
        pylmdb.merge([source], tmp_path / "missing" / "dest")


def test_a_file_system_without_links(tmp_path, source, monkeypatch):
    def refuse(*paths):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    dest = tmp_path / "dest"
    pylmdb.merge([source], dest, subdir=False)
    assert value(dest) == b"v"
    other = tmp_path / "other"
    with pytest.raises(pylmdb.Error, match="created by another process"):
        pylmdb.merge([source], other, subdir=False, progress=lambda *_: other.write_text("mine"))
    assert other.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["dest", "dest-lock", "other", "source"]


def test_other_errors_of_the_system_are_raised_unchanged(tmp_path, source, monkeypatch):
    def refuse(*paths):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="Input/output") as info:
        pylmdb.merge([source], tmp_path / "dest")
    assert info.value.errno == errno.EIO
    assert "meanwhile" not in str(info.value)
    assert os.listdir(tmp_path) == ["source"]


def test_a_forked_child_does_not_touch_the_files_of_its_parent(tmp_path, source):
    """A child that unwinds the call after a fork in ``progress`` leaves the files alone."""
    children = []

    def fork(done, total):
        if not children:
            child = os.fork()
            if not child:
                raise SystemExit(7)
            children.append(os.waitpid(child, 0)[1])

    parent = os.getpid()
    try:
        pylmdb.merge([source], tmp_path / "dest", progress=fork)
    except BaseException:
        if os.getpid() == parent:
            raise
        os._exit(9)
    assert [os.waitstatus_to_exitcode(status) for status in children] == [9]
    assert value(tmp_path / "dest") == b"v"


def test_a_dump_of_many_databases(tmp_path, lib_version):
    names = [b"%03d" % i for i in range(200)]
    make(tmp_path / "a", lib_version, names, max_dbs=200)
    pylmdb.dump(tmp_path / "a", tmp_path / "text")
    for _ in range(2):  # into a new one, and into one that exists
        assert pylmdb.load(tmp_path / "text", tmp_path / "b", lib_version=lib_version) == 201
    with pylmdb.open(tmp_path / "b", lib_version=lib_version) as env:
        assert env.dbs() == names


@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_an_interrupt_anywhere(tmp_path, source, existing):
    """All records are there or none, no file is left, and another writer can write."""
    numbers = itertools.count()

    def prepare():
        nonlocal dest
        dest = tmp_path / f"dest{next(numbers)}"
        if existing:
            pylmdb.open(dest).close()

    def merge():
        pylmdb.merge([source], dest)

    dest = None
    prepare()
    total = strikes.points(merge)
    assert total > 300
    prepare()
    for number, where, struck in strikes.each(merge, range(1, total, 23)):
        at = f"strike {number} at {where}"
        assert struck, at
        assert not [name for name in os.listdir(tmp_path) if ".tmp-" in name], at
        if dest.exists():
            assert value(dest) in ((b"v", None) if existing else (b"v",)), at
            with pylmdb.open(dest) as env, env.begin(write=True, timeout=1) as txn:
                txn.put(b"k", b"w")
        prepare()


TEXT = b"VERSION=3\nformat=print\ntype=btree\n%bHEADER=END\n 12345678\n abcdefgh\nDATA=END\n"
MAIN = ["duplicates", "integerkey", "reversekey", "integerdup"]


@pytest.mark.parametrize("flag", MAIN)
def test_a_main_database_with_flags(tmp_path, lib_version, flag):
    """Programs in C may make one; it is refused if there are records or named databases."""
    text, two = tmp_path / "text", tmp_path / "two"
    flags = b"integerdup=1\nduplicates=1\n" if flag == "integerdup" else f"{flag}=1\n".encode()
    section = TEXT % flags
    text.write_bytes(section)
    two.write_bytes(TEXT % b"database=x\n" + section)
    assert pylmdb.load(text, tmp_path / "a", lib_version=lib_version) == 1
    for version in (0, 1):
        new = tmp_path / f"new{version}"
        assert pylmdb.merge([tmp_path / "a"], new, lib_version=version) == 1
        assert pylmdb.merge([tmp_path / "a"], new) == 0
        assert pylmdb.verify(new).ok
        pylmdb.dump(new, tmp_path / "again", overwrite=True)
        assert f"\n{flag}=1\n".encode() in (tmp_path / "again").read_bytes()
    for databases in ([], [b"named"]):
        other = make(tmp_path / f"other{len(databases)}", lib_version, databases)
        before = (other / "data.mdb").read_bytes()
        with pytest.raises(pylmdb.IncompatibleError, match="the main database has other flags"):
            pylmdb.merge([tmp_path / "a"], other)
        with pytest.raises(pylmdb.IncompatibleError, match="the main database has other flags"):
            pylmdb.load(text, other)
        assert (other / "data.mdb").read_bytes() == before
    with pytest.raises(pylmdb.IncompatibleError, match=r"line \d+: the main database has other"):
        pylmdb.load(two, tmp_path / "b", lib_version=lib_version)
    assert not (tmp_path / "b").exists()


def test_an_environment_in_use_keeps_its_order(tmp_path, env):
    """A load that fails does not change the order of liblmdb."""
    text = tmp_path / "text"
    text.write_bytes(TEXT[:-9] % b"reversekey=1\n")
    with pytest.raises(pylmdb.Error):
        pylmdb.load(text, env)
    with env.begin(write=True) as txn:
        for key in (b"az", b"ba", b"cy"):
            txn.put(key, b"")
    assert pylmdb.verify(env.path()).ok
