# SPDX-License-Identifier: MIT
"""dump and load with files, names, sizes and text that could cause losses."""

import io
import random

import pytest

import pylmdb
from pylmdb.tools import dumping, loading


def fill(env, records, name=None, **flags):
    db = env.open_db(name, **flags) if name else None
    with env.begin(write=True) as txn:
        for key, value in records:
            txn.put(key, value, db=db)


def test_a_dump_does_not_overwrite_its_source(env, env_path):
    fill(env, [(b"k", b"v")])
    with pytest.raises(ValueError, match="is both the source and the destination"):
        pylmdb.dump(env, f"{env_path}/../env/data.mdb")
    assert pylmdb.verify(env_path).ok


def test_a_dump_does_not_overwrite_the_lock_file_of_its_source(env, env_path):
    with pytest.raises(ValueError, match=r"lock\.mdb' is the lock file of the source$"):
        pylmdb.dump(env, f"{env_path}/lock.mdb", overwrite=True)
    fill(env, [(b"k", b"v")])


def test_a_dump_that_cannot_begin_leaves_the_file(env, tmp_path):
    text = tmp_path / "text"
    text.write_text("precious")
    with pytest.raises(pylmdb.NotFoundError):
        pylmdb.dump(env, text, [b"missing"])
    assert text.read_text() == "precious"


def test_a_name_that_would_be_read_as_a_header(env):
    fill(env, [(b"k", b"v")], b"x\nduplicates=1")
    with pytest.raises(pylmdb.InvalidParameterError, match="has a line break"):
        pylmdb.dump(env, io.BytesIO())


class Short(io.RawIOBase):
    """A file whose write() writes a few bytes at a time."""

    def __init__(self):
        self.text = b""

    def writable(self):
        return True

    def write(self, data):
        self.text += bytes(data[:100])
        return min(len(data), 100)


def test_a_file_whose_write_is_partial(env):
    fill(env, [(b"%d" % i, b"v" * i) for i in range(500)])
    short, whole = Short(), io.BytesIO()
    assert pylmdb.dump(env, short) == pylmdb.dump(env, whole) == 500
    assert short.text == whole.getvalue()
    assert not short.closed


def test_large_values_are_written_in_small_batches(env, tmp_path, monkeypatch):
    """A batch is limited in bytes, too: neither side has many large values in memory."""
    fill(env, [(b"%d" % i, b"v" * 100_000) for i in range(10)])
    monkeypatch.setattr(dumping, "_BATCH_SIZE", 300_000)
    monkeypatch.setattr(loading, "_BATCH_SIZE", 300_000)
    for call in (
        lambda progress: pylmdb.dump(env, tmp_path / "text", "all", progress),
        lambda progress: pylmdb.load(tmp_path / "text", tmp_path / "new", None, progress),
    ):
        steps = []
        assert call(lambda done, total, steps=steps: steps.append(done)) == 10
        assert len(steps) >= 5


FLAGS = ["reversekey", "duplicates", "integerkey", "dupfixed", "integerdup", "reversedup"]
NAMES = [b"a", b"", b"x" * 600, b"\xff", b"with space"]


def section(rng):
    """Return a section with any header and records of sizes that do not always fit it."""
    lines = [b"VERSION=3", b"format=bytevalue"]
    if rng.random() < 0.6:
        lines.append(b"database=" + rng.choice(NAMES))
    lines += [f"{flag}=1".encode() for flag in FLAGS if rng.random() < 0.2]
    lines.append(b"HEADER=END")
    keys = rng.choice([[8], [4], [0, 8], [1, 511, 512], [4, 8]])
    values = rng.choice([[8], [4], [0, 8], [1, 511, 3000], [4, 8]])
    key = b"firstkey"
    for _ in range(rng.randrange(150)):
        if rng.random() < 0.6:
            key = rng.randbytes(rng.choice(keys))
        value = rng.randbytes(rng.choice(values))
        lines += [b" " + key.hex().encode(), b" " + value.hex().encode()]
    return b"\n".join([*lines, b"DATA=END\n"])


@pytest.mark.parametrize("append", [False, True], ids=["sorted", "append"])
def test_any_text(tmp_path, lib_version, append):
    """The text is stored in a sound file, or refused with one exception.  Appended records may be
    in any order, and then nothing else is wrong with the file."""
    rng, stored = random.Random(5), 0
    for number in range(30):
        text = b"".join(section(rng) for _ in range(rng.randrange(1, 4)))
        dest = tmp_path / str(number)
        for _ in range(2):
            try:
                pylmdb.load(io.BytesIO(text), dest, append=append, lib_version=lib_version)
                stored += 1
            except pylmdb.PanicError:
                raise
            except pylmdb.Error:
                pass
        if not dest.exists():
            continue
        report = pylmdb.verify(dest)
        wrong = [each.text for each in report.findings if each.severity == "error"]
        order = [text for text in wrong if "not greater" in text or "not less" in text]
        assert wrong == (order if append else [])
    assert stored
