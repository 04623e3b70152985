# SPDX-License-Identifier: MIT
"""Temporary names cannot be guessed and follow no link, files of killed processes are removed,
and copies have no wider permissions than their sources.
"""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

import pylmdb
from pylmdb import datasets
from pylmdb._base import new_files as _new_files
from pylmdb.cli import main


def permissions(path):
    return os.stat(path).st_mode & 0o7777


@pytest.fixture
def source(env_path, lib_version):
    """Return an environment of one array, whose files are closed."""
    with pylmdb.open(env_path, lib_version=lib_version) as env, env.begin(write=True) as txn:
        txn.put_array(b"x", np.zeros(3))
    return env_path


# -- names --------------------------------------------------------------------------------


def test_temporary_names_are_random_and_in_the_same_directory(tmp_path):
    place = os.fsencode(tmp_path / "place")
    names = {_new_files.temporary_name(place) for _ in range(100)}
    assert len(names) == 100
    assert {os.path.dirname(name) for name in names} == {os.fsencode(tmp_path)}


def test_the_name_of_a_long_name_is_no_longer(tmp_path):
    with _new_files.replacing(tmp_path / ("x" * 255)) as file:
        file.write(b"content")
    assert os.listdir(tmp_path) == ["x" * 255]


@pytest.mark.parametrize("operation", ["backup", "restore", "merge", "dump"])
def test_errors_name_the_destination(tmp_path, source, monkeypatch, operation):
    made = pylmdb.open(source).backup(tmp_path / "made")
    call = {
        "backup": lambda path: pylmdb.open(source).backup(path),
        "restore": lambda path: pylmdb.restore(made, path),
        "merge": lambda path: pylmdb.merge([source], path),
        "dump": lambda path: pylmdb.dump(source, path),
    }[operation]

    def refuse(*args):
        raise PermissionError(errno.EACCES, "no permission", args[-3])

    monkeypatch.setattr(_new_files.Descriptor, "open", refuse)
    with pytest.raises(pylmdb.ReadonlyError) as caught:
        call(tmp_path / "new")
    place = str(tmp_path / "new")
    assert f": {place!r} cannot be " in str(caught.value)
    assert ": this process has no permission; change the permissions" in str(caught.value)
    assert (caught.value.filename, caught.value.errno) == (place, errno.EACCES)


def test_errors_of_a_rename_name_the_destination(tmp_path, monkeypatch):
    def refuse(old, new):
        raise PermissionError(errno.EPERM, "not permitted", old, None, new)

    monkeypatch.setattr(os, "replace", refuse)
    with (
        pytest.raises(PermissionError) as caught,
        _new_files.replacing(tmp_path / "new") as file,
    ):
        file.write(b"content")
    assert str(caught.value) == f"[Errno {errno.EPERM}] not permitted: '{tmp_path / 'new'}'"
    assert os.listdir(tmp_path) == []


WRITERS = {
    "to_npz": lambda source, dest: datasets.to_npz(source, dest),
    "to_memmap": lambda source, dest: datasets.to_memmap(source, dest),
    "merge": lambda source, dest: pylmdb.merge([source], dest, subdir=False),
    "merge to a directory": lambda source, dest: pylmdb.merge([source], dest, subdir=True),
    "convert": lambda source, dest: pylmdb.convert(source, dest, 1, subdir=False),
    "Writer": lambda source, dest: datasets.Writer(dest, exist="replace", subdir=False).close(),
}


@pytest.mark.parametrize("name", WRITERS)
def test_an_existing_file_under_the_temporary_name_is_not_written_to(
    tmp_path, source, monkeypatch, name
):
    """As if an attacker had guessed the name."""
    victim, dest = tmp_path / "victim", tmp_path / "dest"
    victim.write_text("precious")
    monkeypatch.setattr(_new_files.os, "urandom", bytes)
    os.symlink(victim, os.fsdecode(_new_files.temporary_name(os.fsencode(dest))))
    with pytest.raises(FileExistsError):
        WRITERS[name](source, dest)
    assert victim.read_text() == "precious"
    assert not dest.exists()


def test_a_block_that_raises_leaves_nothing(tmp_path):
    (tmp_path / "old").write_text("old")

    def write():
        with _new_files.replacing(tmp_path / "old") as file:
            file.write(b"new")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "old"


# -- leftovers ----------------------------------------------------------------------------

HOLD = """
import os, sys
from pylmdb._base import new_files as _new_files
new = _new_files.Temporary(os.fsencode(sys.argv[1]))
new.make_environment(sys.argv[2] == "directory", None)
print(os.fsdecode(new.name), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_a_killed_process_left_is_removed(tmp_path, kind):
    place = os.fsencode(tmp_path / "place")
    command = [sys.executable, "-c", HOLD, place, kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        name = process.stdout.readline().strip()
        open(name + b"-lock", "w").close()
        _new_files.temporary_name(place)
        assert os.path.exists(name), "its process is writing it"
        process.kill()
    _new_files.temporary_name(place + b"-other")
    assert os.path.exists(name), "it is of another place"
    _new_files.temporary_name(place)
    assert os.listdir(tmp_path) == []


def test_a_file_of_this_process_is_kept_while_it_is_written(tmp_path):
    for _ in range(2):
        with _new_files.replacing(tmp_path / "a") as first:
            with _new_files.replacing(tmp_path / "a") as second:
                second.write(b"second")
            first.write(b"first")
        assert os.listdir(tmp_path) == ["a"]
        assert (tmp_path / "a").read_bytes() == b"first"


def test_other_names_are_left_alone(tmp_path):
    (tmp_path / "place.tmp-0123456789abcdef").symlink_to("elsewhere")
    for name in ("place.tmp-", "place.tmp-0123456789abcdeg", "place.tmp-0123456789abcdef.txt"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "place.tmp-fedcba9876543210")
    before = sorted(os.listdir(tmp_path))
    _new_files.temporary_name(os.fsencode(tmp_path / "place"))
    kept = [name for name in before if "fedcba" not in name]
    assert [name for name in sorted(os.listdir(tmp_path)) if "fedcba" not in name] == kept


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_left_alone(tmp_path):
    left = tmp_path / "place.tmp-0123456789abcdef"
    left.touch()
    os.chown(left, 12345, 12345)
    _new_files.temporary_name(os.fsencode(tmp_path / "place"))
    assert left.exists()


# -- permissions --------------------------------------------------------------------------


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    umask = os.umask(0o027)
    try:
        _new_files.publish_file(tmp_path / "a", b"1")
        assert permissions(tmp_path / "a") == 0o640
        for mode in (0o600, 0o644, 0o666, 0o444):
            os.chmod(tmp_path / "a", mode)
            _new_files.publish_file(tmp_path / "a", b"2")
            assert permissions(tmp_path / "a") == mode
    finally:
        os.umask(umask)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o400])
def test_a_lock_file_is_as_open_as_the_data_file(source, mode):
    os.unlink(source + "/lock.mdb")
    os.chmod(source + "/data.mdb", mode)
    umask = os.umask(0)
    try:
        pylmdb.open(source, readonly=mode == 0o400).close()
    finally:
        os.umask(umask)
    assert permissions(source + "/lock.mdb") == mode | 0o600


def copied(env, dest, compact=False):
    os.mkdir(dest)
    env.copy(str(dest), compact=compact)


COPIES = {
    "copy": lambda source, dest: copied(pylmdb.open(source), dest),
    "compacting copy": lambda source, dest: copied(pylmdb.open(source), dest, True),
    "the command copy": lambda source, dest: main(["copy", source, str(dest)]),
    "merge": lambda source, dest: pylmdb.merge([source], dest),
    "convert": lambda source, dest: pylmdb.convert(source, dest, 1),
}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_copy_has_the_permissions_of_its_source(tmp_path, source, name, mode):
    os.chmod(source + "/data.mdb", mode)
    dest = tmp_path / "dest"
    COPIES[name](source, dest)
    assert permissions(dest / "data.mdb") == mode
    with pylmdb.open(dest) as env, env.begin() as txn:
        assert txn.get(b"x") is not None
    assert permissions(dest / "lock.mdb") == mode


@pytest.mark.parametrize("name", ["the command copy", "merge", "convert"])
def test_a_new_directory_has_the_permissions_of_that_of_its_source(tmp_path, source, name):
    os.chmod(source, 0o700)
    COPIES[name](source, tmp_path / "dest")
    assert permissions(tmp_path / "dest") == 0o700


def test_a_copy_outside_of_a_private_directory_stays_private(tmp_path, source):
    os.chmod(source, 0o710)
    pylmdb.merge([source], tmp_path / "file", subdir=False)
    assert permissions(tmp_path / "file") == 0o640
    os.mkdir(tmp_path / "open")
    pylmdb.merge([source], tmp_path / "open")
    assert permissions(tmp_path / "open" / "data.mdb") == 0o640


def test_of_several_sources_the_most_private_counts(tmp_path, source, lib_version):
    other = tmp_path / "other"
    with (
        pylmdb.open(other, subdir=False, lib_version=lib_version) as env,
        env.begin(write=True) as txn,
    ):
        txn.put(b"y", b"")
    os.chmod(other, 0o640)
    for sources in ([source, other], [other, source]):
        dest = tmp_path / f"dest{len(os.listdir(tmp_path))}"
        pylmdb.merge(sources, dest, subdir=True)
        assert permissions(dest) == 0o750
        assert permissions(dest / "data.mdb") == 0o640


def test_compact_keeps_the_permissions(source):
    for mode in (0o600, 0o640, 0o666):
        os.chmod(source + "/data.mdb", mode)
        os.chmod(source + "/lock.mdb", mode)
        with pylmdb.open(source) as env:
            env.compact()
        assert permissions(source + "/data.mdb") == mode
        assert permissions(source + "/lock.mdb") == mode
        assert sorted(os.listdir(source)) == ["data.mdb", "lock.mdb"]
