# SPDX-License-Identifier: MIT
"""Input from non-blocking pipes: reads wait until there is data."""

import io
import os

import pytest

import pylmdb
from pylmdb._base.progress import stoppable
from pylmdb._base.waiting_input import waiting_input


@pytest.fixture
def source(tmp_path, lib_version):
    with pylmdb.open(tmp_path / "env", lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            for i in range(1000):
                txn.put(b"%d" % i, b"v" * 100)
        env.backup(tmp_path / "backup")
        pylmdb.dump(env, tmp_path / "text")
    return tmp_path


CALLS = {
    "text": lambda file, path: pylmdb.load(file, path),
    "backup": lambda file, path: pylmdb.restore(file, path),
}


class Slow(io.RawIOBase):
    """A non-blocking file; the next part is written when a read has found nothing."""

    def __init__(self, data, size):
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._parts = [data[i : i + size] for i in range(0, len(data), size)]
        self.empty = 0

    def fileno(self):
        return self._reading

    def readable(self):
        return True

    def readinto(self, buffer):
        try:
            data = os.read(self._reading, len(buffer))
        except BlockingIOError:
            self.empty += 1
            if self._parts:
                os.write(self._writing, self._parts.pop(0))
            else:
                os.close(self._writing)
            return None
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        if not self.closed:
            os.close(self._reading)
        super().close()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("wrap", [io.BufferedReader, lambda raw: raw], ids=["buffered", "raw"])
def test_a_pipe_that_is_empty_for_a_while(source, name, wrap):
    with Slow((source / name).read_bytes(), 5000) as slow:
        CALLS[name](wrap(slow), source / "new")
        assert slow.empty > 2
    with pylmdb.open(source / "new") as new, pylmdb.open(source / "env") as old:
        assert list(new.begin().cursor()) == list(old.begin().cursor())


def test_a_wait_can_be_stopped():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    class StopError(Exception):
        pass

    def check():
        raise StopError

    with open(reading, "rb") as file, stoppable(check), pytest.raises(StopError):
        waiting_input(file).read(1)
    os.close(writing)


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    with open(tmp_path / "file", "rb") as file:
        assert waiting_input(file) is file
    memory = io.BytesIO()
    assert waiting_input(memory) is memory
