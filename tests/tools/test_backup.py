# SPDX-License-Identifier: MIT
"""Backups: what they hold, where they are written to, and what is refused."""

import io
import itertools
import json
import os
import pickle
import stat
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

import programs
import pytest
from backed_up import contents, fill, make_chain, records, refuses

import pylmdb
from pylmdb._environment import zstd
from pylmdb.tools.restoring import Backup

ZSTD = [None, "zstd"] if any(zstd.modules()) else [None]


@pytest.fixture
def chain(env, tmp_path):
    """A full backup and three increments."""
    return make_chain(env, tmp_path)


# -- what is there ------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ZSTD)
def test_a_full_backup(env, tmp_path, compression):
    fill(env, 0, 3000)
    before = datetime.now(timezone.utc)
    made = env.backup(tmp_path / "b", compression=compression)
    assert made.is_full
    assert made.parent is made.from_txnid is None
    assert made.txnid == env.info().last_txnid
    assert before - timedelta(seconds=1) <= made.time <= datetime.now(timezone.utc)
    assert made.size == os.stat(tmp_path / "b").st_size
    assert made.path == str(tmp_path / "b")
    assert made.page_size == env.stat().psize
    assert made.stored == made.used == made.pages - env.info().free_pages
    assert (made.size < made.used * made.page_size) == (compression is not None)
    assert pylmdb.restore(tmp_path / "b", tmp_path / "new") == made
    assert contents(tmp_path / "new") == records(0, 3000)
    report = pylmdb.verify(tmp_path / "new")
    assert report.ok, report
    assert (report.txnid, report.used) == (made.txnid, made.used)
    assert not report.leaked


def test_increments_have_what_changed(chain, env, tmp_path):
    assert [each.is_full for each in chain] == [True, False, False, False]
    for before, each in itertools.pairwise(chain):
        assert each.parent == before.identity
        assert each.chain == before.chain
        assert each.from_txnid == before.txnid < each.txnid
        assert 0 < each.stored < each.used
    assert len({each.identity for each in chain}) == 4
    with env.begin(write=True) as txn:
        txn.put(b"000000", b"other")
    small = env.backup(tmp_path / "small", since=chain[-1])
    assert small.stored < 10
    assert pylmdb.restore([*chain, small], tmp_path / "new") == small
    assert contents(tmp_path / "new") == {**records(0, 4000), b"000000": b"other"}


def test_an_increment_without_changes(env, tmp_path):
    fill(env, 0, 10)
    first = env.backup(tmp_path / "1")
    second = env.backup(tmp_path / "2", since=first)
    assert second.stored == 0
    assert second.txnid == first.txnid
    pylmdb.restore([first, second], tmp_path / "new")
    assert contents(tmp_path / "new") == records(0, 10)


def test_an_empty_environment(open_env, tmp_path):
    env = open_env(tmp_path / "empty")
    made = env.backup(tmp_path / "b")
    assert (made.txnid, made.used) == (0, 2)
    pylmdb.restore(made, tmp_path / "new")
    assert contents(tmp_path / "new") == {}
    fill(env, 0, 10)
    later = env.backup(tmp_path / "later", since=made)
    pylmdb.restore([made, later], tmp_path / "newer")
    assert contents(tmp_path / "newer") == records(0, 10)


def test_free_pages_are_not_stored(env, tmp_path):
    fill(env, 0, 5000)
    with env.begin(write=True) as txn:
        txn.drop(env.open_db(txn=txn), delete=False)
    fill(env, 0, 1)
    made = env.backup(tmp_path / "b")
    assert made.used < 20 < made.pages
    pylmdb.restore(made, tmp_path / "new", subdir=False)
    assert contents(tmp_path / "new") == records(0, 1)
    found = os.stat(tmp_path / "new")
    assert found.st_size == made.pages * made.page_size
    assert found.st_blocks * 512 < found.st_size / 2


def test_a_restored_environment_goes_on(chain, tmp_path):
    pylmdb.restore(chain[:2], tmp_path / "new")
    with pylmdb.open(tmp_path / "new") as env:
        assert env.info().last_txnid == chain[1].txnid
        fill(env, 2000, 2100)
        branch = env.backup(tmp_path / "branch", since=chain[1])
    pylmdb.restore([*chain[:2], branch], tmp_path / "again")
    assert contents(tmp_path / "again") == records(0, 2100)


def test_an_increment_is_right_after_another_history(env, open_env, tmp_path):
    """The numbers of transactions and pages are the same as in the backup, and pages are not."""
    fill(env, 0, 500)
    full = env.backup(tmp_path / "full")
    pylmdb.restore(full, tmp_path / "other")
    with env.begin(write=True) as txn:
        txn.put(b"000100", b"x" * 106)
    later = env.backup(tmp_path / "later", since=full)
    with open_env(tmp_path / "other") as other:
        with other.begin(write=True) as txn:
            txn.put(b"000100", b"y" * 106)
        assert other.info().last_txnid == later.txnid
        branch = other.backup(tmp_path / "branch", since=later)
    pylmdb.restore([full, later, branch], tmp_path / "new")
    assert contents(tmp_path / "new")[b"000100"] == b"y" * 106


def test_a_backup_after_the_environment_was_compacted(env, tmp_path):
    fill(env, 0, 2000)
    first = env.backup(tmp_path / "1")
    fill(env, 0, 100, 90)
    env.compact()
    for i in range(5):
        fill(env, 2000, 2001 + i)
    second = env.backup(tmp_path / "2", since=first)
    pylmdb.restore([first, second], tmp_path / "new")
    assert contents(tmp_path / "new") == {
        **records(0, 2005), **records(0, 100, 90)
    }  # fmt: skip
    assert pylmdb.verify(tmp_path / "new").ok


def test_it_is_one_snapshot_while_others_write(env, tmp_path):
    """Each transaction changes two records, which must agree."""
    done = threading.Event()

    def write():
        number = 0
        while not done.is_set():
            number += 1
            with env.begin(write=True) as txn:
                for name in (b"left", b"right"):
                    txn.put(name, b"%d" % number + b"x" * 5000)

    fill(env, 0, 2000)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        made = [env.backup(tmp_path / "0")]
        for i in range(1, 6):
            made.append(env.backup(tmp_path / str(i), since=made[-1]))
    finally:
        done.set()
        programs.join(thread)
    for i in range(6):
        pylmdb.restore(made[: i + 1], tmp_path / f"new{i}")
        assert pylmdb.verify(tmp_path / f"new{i}").ok
        found = contents(tmp_path / f"new{i}")
        assert found.get(b"left") == found.get(b"right")


def test_inside_a_write_transaction_it_has_the_last_commit(env, tmp_path):
    fill(env, 0, 10)
    with env.begin(write=True) as txn:
        txn.put(b"key", b"value")
        env.backup(tmp_path / "b")
    pylmdb.restore(tmp_path / "b", tmp_path / "new")
    assert contents(tmp_path / "new") == records(0, 10)


@pytest.mark.parametrize("options", [{"readonly": True}, {"writemap": True}, {"subdir": False}])
def test_other_ways_to_open(open_env, tmp_path, options):
    path = tmp_path / "e"
    subdir = options.get("subdir", True)
    with open_env(path, subdir=subdir) as env:
        fill(env, 0, 100)
    with open_env(path, **options) as env:
        env.backup(tmp_path / "b")
    pylmdb.restore(tmp_path / "b", tmp_path / "new")
    assert contents(tmp_path / "new") == records(0, 100)


def test_without_a_lock_file(open_env, tmp_path):
    with open_env(tmp_path / "e") as env:
        fill(env, 0, 100)
    os.unlink(tmp_path / "e" / "lock.mdb")
    with pylmdb.open(tmp_path / "e", readonly=True, lock=False) as env:
        env.backup(tmp_path / "b")
    assert os.listdir(tmp_path / "e") == ["data.mdb"]
    pylmdb.restore(tmp_path / "b", tmp_path / "new")
    assert contents(tmp_path / "new") == records(0, 100)


@pytest.mark.parametrize("options", [{"lib_version": 0}, {"lib_version": 1}, {"checksums": True}])
def test_commits_meanwhile_without_a_lock_file(tmp_path, options):
    """No reader table keeps the pages of the snapshot, so they would be of other transactions."""
    with pylmdb.open(tmp_path / "e", lock=False, **options) as env:
        fill(env, 0, 30_000)
        for commits in (1, 20):

            def write(done, total, commits=commits):
                for i in range(commits):
                    fill(env, 0, 3000, size=100 + i)

            with pytest.raises(pylmdb.BusyError, match=r"committed meanwhile.*lock=False"):
                env.backup(tmp_path / "b", progress=write)
        with env.begin(write=True) as txn:
            txn.put(b"not", b"committed")
            env.backup(tmp_path / "b")
    pylmdb.restore(tmp_path / "b", tmp_path / "new")
    assert len(contents(tmp_path / "new")) == 30_000


def test_in_a_forked_child(env, tmp_path):
    fill(env, 0, 100)
    with env.begin() as txn:
        assert programs.in_child(env.backup, tmp_path / "b") == 0
        assert txn.stat().entries == 100
    pylmdb.restore(tmp_path / "b", tmp_path / "new")
    assert contents(tmp_path / "new") == records(0, 100)


def test_a_child_that_is_forked_meanwhile_leaves_the_file_alone(env, tmp_path):
    fill(env, 0, 100)

    def fork(done, total):
        assert programs.in_child(int) == 0

    env.backup(tmp_path / "b", progress=fork)
    assert pylmdb.backup_info(tmp_path / "b", check=True).is_full


# -- where it is written to -----------------------------------------------------------------


class Plain:
    """A file that has only what is needed."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data


class Short(io.RawIOBase):
    """A raw file that writes less than it is given."""

    def __init__(self):
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        part = bytes(data[:1000])
        self.data += part
        return len(part)


@pytest.mark.parametrize("kind", [Plain, Short])
def test_to_a_file_object(env, tmp_path, kind):
    fill(env, 0, 300)
    file = kind()
    made = env.backup(file)
    assert made.path is None
    assert made.size == len(file.data)
    pylmdb.restore(io.BytesIO(file.data), tmp_path / "new")
    assert contents(tmp_path / "new") == records(0, 300)


def test_through_a_pipe(env, tmp_path):
    fill(env, 0, 3000)
    end, begin = os.pipe()

    def write():
        with open(begin, "wb") as pipe:
            env.backup(pipe.fileno(), compression=ZSTD[-1])

    thread = threading.Thread(target=write)
    thread.start()
    with open(end, "rb") as pipe:
        pylmdb.restore(pipe, tmp_path / "new")
    programs.join(thread)
    assert contents(tmp_path / "new") == records(0, 3000)
    assert sorted(os.listdir(tmp_path / "new")) == ["data.mdb", "lock.mdb"]


def test_since_an_open_file(env, tmp_path):
    fill(env, 0, 300)
    first, second = io.BytesIO(b"before"), io.BytesIO()
    first.seek(0, os.SEEK_END)
    env.backup(first)
    first.seek(6)
    fill(env, 300, 400)
    assert not env.backup(second, since=first).is_full
    first.seek(6)
    second.seek(0)
    pylmdb.restore([first, second], tmp_path / "new")
    assert contents(tmp_path / "new") == records(0, 400)


def test_a_backup_appears_when_it_is_complete(env, tmp_path):
    fill(env, 0, 3000)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "b").write_bytes(b"old")
    seen = []

    def look(done, total):
        seen.append((done, total, (folder / "b").read_bytes() == b"old"))

    made = env.backup(folder / "b", overwrite=True, progress=look)
    assert seen[-1] == (made.used, made.used, True)
    assert os.listdir(folder) == ["b"]
    assert pylmdb.backup_info(folder / "b") == made


def test_a_file_that_exists_is_kept(env, tmp_path):
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(pylmdb.PathExistsError, match="overwrite=True replaces it"):
        env.backup(tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"old"
    with pytest.raises(pylmdb.PathNotFoundError):
        env.backup(tmp_path / "missing" / "b")
    for name in ("data.mdb", "lock.mdb"):
        with pytest.raises(ValueError, match="source"):
            env.backup(os.path.join(env.path(), name), overwrite=True)
    made = env.backup(tmp_path / "b", overwrite=True)
    with pytest.raises(pylmdb.InvalidParameterError, match="is the backup that since= names"):
        env.backup(tmp_path / "b", since=made, overwrite=True)


def test_permissions(env, tmp_path):
    fill(env, 0, 10)
    os.chmod(os.path.join(env.path(), "data.mdb"), 0o640)
    made = env.backup(tmp_path / "b")
    assert stat.S_IMODE(os.stat(tmp_path / "b").st_mode) == 0o640
    pylmdb.restore(made, tmp_path / "new")
    assert stat.S_IMODE(os.stat(tmp_path / "new" / "data.mdb").st_mode) == 0o640
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o750
    pylmdb.restore(io.BytesIO((tmp_path / "b").read_bytes()), tmp_path / "private", subdir=False)
    assert stat.S_IMODE(os.stat(tmp_path / "private").st_mode) == 0o600


# -- how it ends ----------------------------------------------------------------------------


def test_a_limit_of_time(env, tmp_path):
    fill(env, 0, 3000)
    with pytest.raises(pylmdb.LockTimeoutError, match=r"'.*' was not complete within 0 seconds"):
        env.backup(tmp_path / "b", max_seconds=0)
    assert not os.path.exists(tmp_path / "b")
    assert [each for each in os.listdir(tmp_path) if "tmp" in each] == []
    assert env.info().num_readers <= 1
    env.backup(tmp_path / "b", max_seconds=3600)


@pytest.mark.skipif(sys.maxsize < 2**32, reason="the file is larger than the address space")
def test_max_seconds_of_a_file_that_says_it_is_long(tmp_path):
    """A hostile file can be sparse; its pages were counted one byte of the bitmap at a time."""
    with pylmdb.open(tmp_path / "env", lib_version=0) as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")
        size = env.info().page_size
    pages, last_page = 2**30, 16 + 24 + 2 * 48
    with open(tmp_path / "env" / "data.mdb", "r+b") as file:
        for meta in (0, size):
            file.seek(meta + last_page)
            file.write((pages - 1).to_bytes(8, sys.byteorder))
        try:
            file.truncate(pages * size)
        except OSError:
            pytest.skip("the file system has no sparse files of this size")
    with pylmdb.open(tmp_path / "env") as env:
        before = time.thread_time()
        with pytest.raises(pylmdb.LockTimeoutError):
            env.backup(tmp_path / "b", max_seconds=0)
        assert time.thread_time() - before < 1


def test_an_exception_of_progress(env, tmp_path):
    fill(env, 0, 3000)
    before = sorted(os.listdir(tmp_path))

    def fail(done, total):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        env.backup(tmp_path / "b", progress=fail)
    assert sorted(os.listdir(tmp_path)) == before
    env.backup(tmp_path / "b")
    with pytest.raises(ZeroDivisionError):
        pylmdb.restore(tmp_path / "b", tmp_path / "new", progress=fail)
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "b"])


def test_the_environment_is_closed_meanwhile(env, tmp_path):
    fill(env, 0, 30_000)
    with pytest.raises(pylmdb.ClosedError):
        env.backup(tmp_path / "b", progress=lambda *_: env.close())
    assert not os.path.exists(tmp_path / "b")
    with pytest.raises(pylmdb.ClosedError):
        env.backup(tmp_path / "b")


def test_the_snapshot_is_released_before_the_file_is_complete(env, open_env, tmp_path):
    fill(env, 0, 100)

    class Watching(io.BytesIO):
        def flush(self):
            busy.append([each for each in env.reader_list() if each.txnid is not None])

    busy: list[object] = []
    env.backup(Watching())
    assert busy
    assert busy[-1] == []


def test_a_data_file_that_was_truncated(env, tmp_path):
    fill(env, 0, 30_000)
    data_file = os.path.join(env.path(), "data.mdb")
    size = os.stat(data_file).st_size
    with pytest.raises(pylmdb.CorruptedError):
        env.backup(tmp_path / "b", progress=lambda *_: os.truncate(data_file, size // 8 * 5))
    assert not os.path.exists(tmp_path / "b")
    assert [each for each in os.listdir(tmp_path) if "tmp" in each] == []


FULL_DISK = """
import resource
env = pylmdb.open(path, lib_version=lib_version)
with env.begin(write=True) as txn:
    for i in range(3000):
        txn.put(b"%06d" % i, b"v" * 100)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = 200_000
made = env.backup(path + ".whole")
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for call in (lambda: env.backup(path + ".b"), lambda: pylmdb.restore(made, path + ".new")):
    try:
        call()
    except pylmdb.DiskError as error:
        assert error.errno, error
    else:
        raise AssertionError("it fits")
folder = os.path.dirname(path)
assert sorted(os.listdir(folder)) == sorted(
    [os.path.basename(path), os.path.basename(path) + ".whole"]
), os.listdir(folder)
with env.begin() as txn:
    assert txn.stat().entries == 3000
"""


def test_a_full_disk(tmp_path, lib_version):
    programs.run(FULL_DISK, tmp_path / "e", lib_version)


# -- what is refused ------------------------------------------------------------------------


def test_since_another_environment(chain, open_env, tmp_path):
    with open_env(tmp_path / "other") as other:
        fill(other, 0, 10)
        refuses(
            lambda: other.backup(tmp_path / "b", since=chain[-1]),
            pylmdb.InvalidParameterError,
            r"has transaction 4, and the environment is at 1: .* leave out since=",
        )
    version = {1: 1, 3: 0}[chain[0].format]
    with pylmdb.open(tmp_path / "third", lib_version=version) as other:
        refuses(
            lambda: other.backup(tmp_path / "b", since=chain[-1]),
            pylmdb.InvalidParameterError,
            "format",
        )


def test_since_something_else(env, tmp_path):
    file = tmp_path / "text"
    file.write_text("no backup")
    refuses(lambda: env.backup(tmp_path / "b", since=file), pylmdb.InvalidError, "is not a backup")
    (tmp_path / "empty").touch()
    refuses(lambda: pylmdb.backup_info(tmp_path / "empty"), pylmdb.InvalidError, "is empty")
    refuses(lambda: pylmdb.backup_info(tmp_path), pylmdb.InvalidError, "not a regular file")
    os.mkfifo(tmp_path / "pipe")
    refuses(lambda: pylmdb.backup_info(tmp_path / "pipe"), pylmdb.InvalidError, "regular file")
    refuses(
        lambda: env.backup(tmp_path / "b", since=tmp_path / "none"),
        pylmdb.PathNotFoundError,
        "does not exist",
    )
    refuses(lambda: env.backup(tmp_path / "b", compression="gzip"), ValueError, "'zstd'")
    made = env.backup(io.BytesIO())
    refuses(
        lambda: env.backup(tmp_path / "b", since=made),
        pylmdb.InvalidParameterError,
        "does not know its path",
    )
    first = env.backup(tmp_path / "b")
    env.backup(tmp_path / "b", overwrite=True)
    refuses(
        lambda: env.backup(tmp_path / "c", since=first),
        pylmdb.InvalidParameterError,
        "is another backup",
    )


# -- what is known of a backup ----------------------------------------------------------------


def test_backup_info(chain, tmp_path):
    for i, each in enumerate(chain):
        for check in (False, True):
            assert pylmdb.backup_info(tmp_path / f"{i}.backup", check=check) == each
        assert pylmdb.backup_info(each) == each
        assert pickle.loads(pickle.dumps(each)) == each
        fields = json.loads(json.dumps(each.as_dict()))
        assert fields["txnid"] == each.txnid
        assert datetime.fromisoformat(fields["time"]) == each.time
        assert f"transaction {each.txnid}" in str(each)
    assert "increment since transaction 1" in str(chain[1])
    with open(tmp_path / "0.backup", "rb") as file:
        found = pylmdb.backup_info(file)
    assert isinstance(found, Backup)
    assert found.identity == chain[0].identity


def test_the_documented_layout(chain, tmp_path):
    """Read a file by what docs/how-to/backup.md says, and nothing else."""
    import struct
    from hashlib import sha256

    xxhash = pytest.importorskip("xxhash")

    data = (tmp_path / "1.backup").read_bytes()
    magic, version, form, size, _order, word, kind = struct.unpack_from("<8sHHIBBB", data)
    start, end, pages, time = struct.unpack_from("<QQQQ", data, 24)
    assert (magic, version, kind, word) == (b"\x89LMDB\r\n\x1a", 1, 1, struct.calcsize("P"))
    assert (form, size, start, end) == (chain[1].format, chain[1].page_size, 1, 2)
    assert time == (chain[1].time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(
        microseconds=1
    )
    assert data[56:72].hex() == chain[0].chain
    seed = int.from_bytes(data[56:64], "little")
    assert data[72:104].hex() == chain[0].identity
    whole, at, used, stored = sha256(data[:104]), 104, 0, 0
    while data[at : at + 4] == b"PAGE":
        count, there, codec, _length = struct.unpack_from("<IIIQ", data, at + 4)
        lists = data[at : at + 24 + 25 * count]
        whole.update(lists)
        numbers = struct.unpack_from(f"<{count}Q", lists, 24)
        hashes = [lists[24 + 8 * count + 16 * i :][:16] for i in range(count)]
        kept = lists[-count:]
        assert sum(kept) == there
        assert codec == 0
        assert max(numbers) < pages
        at += len(lists)
        for number, digest, has in zip(numbers, hashes, kept, strict=True):
            if has:
                found = xxhash.xxh3_128_digest(data[at : at + size], seed=seed)
                assert found == digest, number
                at += size
        used, stored = used + count, stored + there
    whole.update(data[at : at + 32])
    assert struct.unpack_from("<4sxxxxQQQ", data, at) == (b"DONE", used, stored, len(data))
    assert data[at + 32 :] == whole.digest() == bytes.fromhex(chain[1].identity)


def test_without_zstd(env, tmp_path, monkeypatch):
    fill(env, 0, 100)
    made = env.backup(tmp_path / "b", compression=ZSTD[-1])
    monkeypatch.setattr(zstd, "modules", lambda: (None, None))
    calls = [lambda: env.backup(tmp_path / "c", compression="zstd")]
    if ZSTD[-1]:
        calls.append(lambda: pylmdb.restore(made, tmp_path / "new"))
    for call in calls:
        with pytest.raises(ImportError, match="pip install zstandard"):
            call()
    assert pylmdb.backup_info(made) == made
    assert not os.path.exists(tmp_path / "c")
    assert not os.path.exists(tmp_path / "new")
