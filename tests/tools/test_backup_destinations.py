# SPDX-License-Identifier: MIT
"""Backups to pipes, to open files and to objects that have only ``write()``."""

import io
import itertools
import os
import threading

import pytest
from programs import PATIENCE

import pylmdb
from pylmdb._base.progress import stoppable


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


def test_a_count_that_cannot_be(env):
    for count in -1, 1 << 20:
        dest = type("Odd", (), {"write": lambda self, data, count=count: count})()
        with pytest.raises(OSError, match=f"write\\(\\) returned {count} for"):
            env.backup(dest)


def test_an_object_that_writes_nothing_ends_at_the_limit(env):
    dest = type("Lazy", (), {"write": lambda self, data: 0})()
    with pytest.raises(pylmdb.LockTimeoutError, match="max_seconds"):
        env.backup(dest, max_seconds=0.1)


def test_nothing_is_written_after_a_failure(env):
    class Failing(io.RawIOBase):
        calls = 0

        def writable(self):
            return True

        def write(self, data):
            self.calls += 1
            raise KeyboardInterrupt

    dest = Failing()
    with pytest.raises(KeyboardInterrupt):
        env.backup(dest)
    assert dest.calls == 1


def test_a_raw_file_that_would_block(env, pipe):
    """A descriptor can be waited for, an object cannot."""
    os.set_blocking(pipe[1], False)
    with env.begin(write=True) as txn:
        txn.put(b"k", bytes(1 << 20))
    with open(pipe[1], "wb", buffering=0, closefd=False) as dest, pytest.raises(BlockingIOError):
        env.backup(dest)


@pytest.fixture
def pipe():
    """The ends of a pipe that nobody reads."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_max_seconds_ends_a_write_to_a_full_pipe(env, pipe, tmp_path):
    with env.begin(write=True) as txn:
        txn.put(b"large", bytes(1 << 20))
    for dest in (pipe[1], f"/dev/fd/{pipe[1]}"):
        with pytest.raises(pylmdb.LockTimeoutError, match=r"within 0\.1 seconds"):
            env.backup(dest, max_seconds=0.1)
        assert [each for each in env.reader_list() if each.txnid is not None] == []


def test_a_write_to_a_full_pipe_can_be_stopped(env, pipe):
    """As a coroutine does that is cancelled."""
    calls = itertools.count()

    def check():
        if next(calls) > 3:
            raise ZeroDivisionError

    with env.begin(write=True) as txn:
        txn.put(b"large", bytes(1 << 20))
    with stoppable(check), pytest.raises(ZeroDivisionError):
        env.backup(pipe[1])


@pytest.mark.parametrize("options", [{}, {"max_seconds": PATIENCE}])
@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_pipe_gets_all_bytes(env, tmp_path, options, is_blocking):
    with env.begin(write=True) as txn:
        txn.put(b"large", os.urandom(3 << 20))
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, is_blocking)
    parts = []
    with open(read_end, "rb") as file:
        reader = threading.Thread(target=lambda: parts.append(file.read()))
        reader.start()
        made = env.backup(write_end, **options)
        os.close(write_end)
        reader.join()
    assert pylmdb.backup_info(io.BytesIO(parts[0]), check=True) == made


@pytest.mark.parametrize("seconds", [-1, float("nan"), "1"])
def test_max_seconds_is_a_number(env, tmp_path, seconds):
    with pytest.raises((ValueError, TypeError), match="backup: max_seconds must be None or") as why:
        env.backup(tmp_path / "b", max_seconds=seconds)
    assert str(why.value).endswith("str" if seconds == "1" else repr(seconds))
