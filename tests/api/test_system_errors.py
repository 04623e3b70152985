# SPDX-License-Identifier: MIT
"""Paths that the system refuses: the exception names the path, the reason and what to do."""

import errno
import io
import os
import subprocess
import sys

import numpy as np
import pytest

import pylmdb
from pylmdb import datasets
from pylmdb._core_rules.system_errors import Explained

LONG = "x" * 300
REASON = (
    "a name in it is too long; choose a shorter name (most file systems allow 255 bytes)"
    " [File name too long]"
)


@pytest.fixture
def files(tmp_path, monkeypatch, lib_version):
    """Change to a folder with an environment, a data set, a backup and a dump."""
    monkeypatch.chdir(tmp_path)
    with pylmdb.open("env", lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v")
        env.backup("backup")
        pylmdb.dump(env, "text")
    with datasets.Writer("samples") as writer:
        writer.append(np.zeros((2, 2, 3), np.uint8))
    return sorted(os.listdir())


WRITES = {
    "open": lambda path: pylmdb.open(path),
    "open a file": lambda path: pylmdb.open(path, subdir=False),
    "temporary": lambda path: pylmdb.open(path, temporary=True),
    "Map": lambda path: pylmdb.Map(path),
    "copy": lambda path: pylmdb.open("env").copy(path),
    "backup": lambda path: pylmdb.open("env").backup(path),
    "dump": lambda path: pylmdb.dump("env", path),
    "dump over": lambda path: pylmdb.dump("env", path, overwrite=True),
    "load": lambda path: pylmdb.load("text", path),
    "convert": lambda path: pylmdb.convert("env", path),
    "merge": lambda path: pylmdb.merge(["env"], path),
    "bulk_load": lambda path: pylmdb.bulk_load(path, [(b"k", b"v")]),
    "restore": lambda path: pylmdb.restore("backup", path),
    "salvage": lambda path: pylmdb.salvage("env", path),
    "Writer": lambda path: datasets.Writer(path),
    "Writer, replacing": lambda path: datasets.Writer(path, exist="replace"),
    "build": lambda path: datasets.build([1], str, path),
    "to_npz": lambda path: datasets.to_npz("samples", path),
    "to_memmap": lambda path: datasets.to_memmap("samples", path),
    "to_image_folder": lambda path: datasets.to_image_folder("samples", path),
}
READS = {
    "open": lambda path: pylmdb.open(path, readonly=True),
    "since": lambda path: pylmdb.open("env").backup("new", since=path),
    "load": lambda path: pylmdb.load(path, "new"),
    "convert": lambda path: pylmdb.convert(path, "new"),
    "merge": lambda path: pylmdb.merge([path], "new"),
    "restore": lambda path: pylmdb.restore(path, "new"),
    "backup_info": lambda path: pylmdb.backup_info(path),
    "verify": lambda path: pylmdb.verify(path),
    "salvage": lambda path: pylmdb.salvage(path, "new"),
    "from_npz": lambda path: datasets.from_npz(path, "new"),
    "from_memmap": lambda path: datasets.from_memmap(path, "new"),
    "from_image_list": lambda path: datasets.from_image_list(path, "new"),
}
CALLS = {f"write: {name}": call for name, call in WRITES.items()}
CALLS |= {f"read: {name}": call for name, call in READS.items()}


@pytest.mark.parametrize("name", CALLS)
def test_a_name_that_is_too_long(files, name):
    with pytest.raises(pylmdb.PathError) as caught:
        CALLS[name](LONG)
    text = str(caught.value)
    assert f": {LONG!r} cannot be " in text or f"{os.getcwd()}/{LONG}' cannot be " in text
    assert text.endswith(REASON)
    assert caught.value.errno == caught.value.code == errno.ENAMETOOLONG
    assert os.path.basename(caught.value.filename) == LONG
    assert sorted(os.listdir()) == files


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("dump", lambda: pylmdb.dump("env", "/dev/full")),
        ("backup", lambda: pylmdb.open("env").backup("/dev/full")),
        ("to_npz", lambda: datasets.to_npz("samples", "/dev/full")),
    ],
)
def test_a_full_disk(files, name, call):
    with pytest.raises(pylmdb.DiskError) as caught:
        call()
    assert str(caught.value) == (
        f"{name}: '/dev/full' cannot be written: the disk is full; make room on the disk"
        " [No space left on device]"
    )
    assert caught.value.errno == errno.ENOSPC


def test_a_copy_to_a_full_disk_names_its_descriptor(files):
    with open("/dev/full", "wb") as full:
        number, env = full.fileno(), pylmdb.open("env")
        with pytest.raises(pylmdb.DiskError, match=f"^copy: descriptor {number} cannot be written"):
            env.copyfd(number)


def test_commands_print_one_line(files):
    """Also if standard output is full."""
    program = [sys.executable, "-m", "pylmdb"]
    with open("/dev/full", "wb") as full:
        scan = subprocess.run(
            [*program, "scan", "env"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert scan.returncode == 1
    assert scan.stderr == (
        "pylmdb scan: the disk is full; make room on the disk [No space left on device]\n"
    )
    info = subprocess.run([*program, "info", LONG], stderr=subprocess.PIPE, text=True, check=False)
    assert (info.returncode, info.stderr) == (
        1, f"pylmdb info: {LONG!r} cannot be opened: {REASON}\n",
    )  # fmt: skip


def test_an_error_of_the_callers_code_is_not_replaced(files):
    own = PermissionError(errno.EACCES, "my own", "elsewhere")

    def refuse(*_args):
        raise own

    with pytest.raises(PermissionError) as caught:
        pylmdb.dump("env", "new", progress=refuse)
    assert caught.value is own

    class Full(io.BytesIO):
        def write(self, data):
            raise own

    with pytest.raises(PermissionError) as caught:
        pylmdb.dump("env", Full())
    assert caught.value is own


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "full", "another"),
        OSError(errno.ENOSPC, "full"),
        BrokenPipeError(errno.EPIPE, "broken", "path"),
        ValueError("path"),
    ],
)
def test_what_is_not_explained(failure):
    with pytest.raises(type(failure)) as caught, Explained("dump", "path"):
        raise failure
    assert caught.value is failure


def test_a_file_without_permission(files):
    if not os.getuid():
        pytest.skip("root may read every file")
    os.chmod("text", 0)
    with pytest.raises(pylmdb.ReadonlyError, match=r"^load: 'text' cannot be read: .* permission"):
        pylmdb.load("text", "new")
