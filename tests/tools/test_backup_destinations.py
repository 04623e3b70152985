# SPDX-License-Identifier: MIT
"""Backups to open files and to objects that have only ``write()``."""

import io

import pytest

import pylmdb


def test_an_open_file_that_must_not_be_written(tmp_path, lib_version):
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=lib_version) as env:
        made = env.backup(tmp_path / "full")
        for name in ("data.mdb", "lock.mdb"):
            with open(path / name, "r+b") as file:
                for dest in (file, file.fileno(), file.raw):
                    with pytest.raises(ValueError, match="source"):
                        env.backup(dest)
        with open(made.path, "r+b") as file:
            for dest in (file, file.fileno()):
                with pytest.raises(pylmdb.InvalidParameterError, match="since= names"):
                    env.backup(dest, since=made)
        with (
            open(tmp_path / "text", "w") as file,
            pytest.raises(TypeError, match="binary writing"),
        ):
            env.backup(file)
        assert pylmdb.backup_info(made).identity == made.identity
    assert pylmdb.verify(path).ok


def test_an_object_that_writes_less_than_it_is_given(tmp_path, lib_version):
    class Short:
        data = b""

        def write(self, data):
            self.data += data[:1000]
            return len(data[:1000])

    with pylmdb.open(tmp_path / "env", lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            txn.put(b"k", bytes(100_000))
        dest = Short()
        made = env.backup(dest)
    assert len(dest.data) == made.size
    assert pylmdb.backup_info(io.BytesIO(dest.data)).identity == made.identity
