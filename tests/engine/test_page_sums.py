# SPDX-License-Identifier: MIT
"""Files whose pages have checksums (``checksums=True``): each flipped bit, torn write and misplaced
page is found by reads and by the check of the file, and everything else works as without.

PYLMDB_FLIPS is the number of bits in each kind of file, and PYLMDB_SEED chooses them.
"""

import os
import random

import lmdb
import numpy
import pytest
from programs import start

import pylmdb

FLIPS = int(os.environ.get("PYLMDB_FLIPS", "100"))
SEED = int(os.environ.get("PYLMDB_SEED", random.getrandbits(32)))
SIZES = (512, 4096, 65536)
META_END = 176


def fill(env, page_size, seed=1):
    """Write in several transactions, so that all kinds of pages are there, and free pages."""
    rng = random.Random(seed)
    dups = env.open_db(b"dups", dupsort=True)
    fixed = env.open_db(b"fixed", dupsort=True, dupfixed=True)
    sizes = [0, 10, 100, page_size // 3, 2 * page_size + 50]
    for _ in range(4):
        with env.begin(write=True) as txn:
            for _ in range(40):
                txn.put(b"k%04d" % rng.randrange(300), rng.randbytes(rng.choice(sizes)))
            for i in range(200):
                for db in (dups, fixed):
                    txn.put(b"d%d" % (i % 3), b"%04d" % rng.randrange(1500), db=db)
    with env.begin(write=True) as txn:
        many = [(b"m%05d" % n, rng.randbytes(rng.choice(sizes))) for n in range(150)]
        txn.cursor(env.open_db(b"many", txn)).putmulti(many, append=True)


def free_pages(env):
    """Return the numbers in the free list, which liblmdb stores in database 0."""
    ffi, lib = env._use().engine.ffi, env._use().engine.lib
    found, cursor = set(), ffi.new("MDB_cursor **")
    key, data = ffi.new("MDB_val *"), ffi.new("MDB_val *")

    def walk(ptr):
        assert lib.mdb_cursor_open(ptr, 0, cursor) == 0
        while lib.mdb_cursor_get(cursor[0], key, data, lib.MDB_NEXT) == 0:
            numbers = ffi.cast("size_t *", data.mv_data)
            found.update(numbers[i] for i in range(1, numbers[0] + 1))
        lib.mdb_cursor_close(cursor[0])
        return 0

    with env.begin() as txn:
        txn._do(walk)
    return found


class Summed:
    """A file with checksums, its bytes, and which of its pages are in use."""

    def __init__(self, path, page_size):
        self.path, self.page_size = path, page_size
        with pylmdb.open(path, subdir=False, page_size=page_size, checksums=True) as env:
            fill(env, page_size)
            pages = set(range(env.info().last_pgno + 1)) - free_pages(env)
        self.pages, self.data = sorted(pages), path.read_bytes()
        self.file = os.open(path, os.O_RDWR)

    def write(self, at, data):
        os.pwrite(self.file, data, at)

    def flip(self, at, bit):
        self.write(at, bytes([self.data[at] ^ 1 << bit]))

    def restore(self, at, size=1):
        self.write(at, self.data[at : at + size])

    def read(self):
        """Read everything, also the free list."""
        with pylmdb.open(self.path, subdir=False, lock=False) as env:
            with env.begin() as txn:
                for name in [None, *env.dbs(txn)]:
                    db = None if name is None else env.open_db(name, txn, create=False)
                    for _ in txn.cursor(db):
                        pass
            env.info()

    def expect_damage(self, page):
        """Reading and the check find damage, and name a page of the run that has this page."""
        with pytest.raises(
            pylmdb.CorruptedError, match=r"page \d+.* (has a wrong checksum|is damaged)"
        ):
            self.read()
        report = pylmdb.verify(self.path, deep=True)
        assert not report.ok, page
        assert report.checksums or page < 2


@pytest.fixture(params=SIZES)
def summed(request, core, tmp_path):
    found = Summed(tmp_path / "summed", request.param)
    yield found
    os.close(found.file)


def flip_bits(summed, count):
    rng = random.Random(f"{SEED} {summed.page_size}")
    for _ in range(count):
        page = rng.choice(summed.pages)
        at, bit = page * summed.page_size + rng.randrange(summed.page_size), rng.randrange(8)
        summed.flip(at, bit)
        summed.expect_damage(page)
        summed.restore(at)
    summed.read()
    assert pylmdb.verify(summed.path, deep=True).ok


def test_each_flipped_bit_is_found(summed):
    print(f"PYLMDB_SEED={SEED}")
    flip_bits(summed, FLIPS)


@pytest.mark.slow
def test_ten_thousand_flipped_bits_are_found(summed):
    flip_bits(summed, 10_000 if summed.page_size == 4096 else 1000)


def test_each_byte_of_the_meta_pages_is_checked(summed):
    """Magic number, version and page size, too: the file is damaged, not of another kind."""
    rng = random.Random(SEED)
    # the header, what says which kind of file it is, and some of the rest
    ends = [*range(32), *range(48, 56), *range(150, META_END, 3), summed.page_size - 2]
    for page in range(2):
        for at in ends:
            place, bit = page * summed.page_size + at, rng.randrange(8)
            summed.flip(place, bit)
            with pytest.raises(pylmdb.CorruptedError, match=f"page {page} has a wrong checksum"):
                summed.read()
            assert not pylmdb.verify(summed.path).ok
            summed.restore(place)
    summed.read()


def test_torn_and_misplaced_and_missing_pages_are_found(summed):
    size = summed.page_size
    rng = random.Random(SEED)
    whole = [page for page in summed.pages if page > 1]
    for page, other in (rng.sample(whole, 2) for _ in range(30)):
        at = page * size
        new, old = summed.data[at : at + size], summed.data[other * size : (other + 1) * size]
        half = size // 2
        for wrong in (new[:half] + old[half:], old[:half] + new[half:], bytes(size), old):
            if wrong != new:
                summed.write(at, wrong)
                summed.expect_damage(page)
        summed.restore(at, size)
    summed.read()


def test_the_message_names_page_database_and_place(core, tmp_path):
    path = tmp_path / "env"
    with pylmdb.open(path, subdir=False, checksums=True) as env:
        db = env.open_db(b"large")
        with env.begin(db, write=True) as txn:
            txn.put(b"k", b"v" * 20_000)
    data = path.read_bytes()
    at = data.index(b"v" * 10_000)
    page = at // 4096
    path.write_bytes(data[:at] + b"w" + data[at + 1 :])
    expected = rf"page {page}, at byte {page * 4096} of the file, has a wrong checksum"
    with pylmdb.open(path, subdir=False) as env, env.begin() as txn:
        db = env.open_db(b"large", txn)
        cursor = txn.cursor(db)
        for read in (
            lambda: txn.get(b"k", db=db),
            lambda: txn.get_many([b"k"], db=db),
            lambda: list(cursor),
            lambda: txn.replace(b"k", b"x", db=db),
        ):
            with pytest.raises(pylmdb.Error) as raised:
                read()
            if isinstance(raised.value, pylmdb.CorruptedError):
                assert raised.match(expected)
                assert raised.match("the database b'large'")
                assert raised.match("salvage")
            else:
                assert isinstance(raised.value, (pylmdb.ReadonlyError, pylmdb.BadTxnError))
    with pylmdb.open(path, subdir=False) as env, env.begin(buffers=True) as txn:
        db = env.open_db(b"large", txn)
        with pytest.raises(pylmdb.CorruptedError, match=expected):  # before a view is given out
            txn.get(b"k", db=db)


def test_arrays_are_checked_before_they_are_given_out(core, tmp_path):
    path = tmp_path / "env"
    rows = numpy.random.default_rng(1).random((4, 5000))
    keys = [b"%d" % n for n in range(4)]
    with pylmdb.open(path, subdir=False, checksums=True) as env:
        raw = env.open_db(b"raw")
        with env.begin(write=True) as txn:
            txn.put_arrays(keys, rows, db=raw)
            for key, row in zip(keys, rows, strict=True):
                txn.put_array(key, row)
    data = path.read_bytes()
    part = rows[2].tobytes()[800:900]
    assert data.count(part) == 2
    path.write_bytes(data.replace(part, bytes([part[0] ^ 1]) + part[1:]))
    for read in (
        lambda txn, db: txn.get_array(keys[2]),
        lambda txn, db: txn.take(keys, dtype="f8", shape=(5000,), db=db),
        lambda txn, db: txn.get_many(keys, db=db),
    ):
        with pylmdb.open(path, subdir=False) as env, env.begin() as txn:
            db = env.open_db(b"raw", txn)
            assert (txn.get_array(keys[1]) == rows[1]).all()
            with pytest.raises(pylmdb.CorruptedError):
                read(txn, db)


# -- what keeps checksums, and what refuses -------------------------------------------------------


def test_they_are_remembered_and_kept(core, tmp_path):
    path = tmp_path / "env"
    with pylmdb.open(path, checksums=True) as env:
        assert env.checksums
        assert env.lib_version()[0] == 1
        fill(env, 4096)
        with env.begin() as txn:
            model = list(txn.range(prefix=b"k"))
        env.copy(tmp_path / "plain copy")
        env.copy(tmp_path / "compact copy", compact=True)
        env.compact()
        assert env.checksums
    pylmdb.convert(path, tmp_path / "converted", page_size=16384)
    pylmdb.merge([path], tmp_path / "merged")
    assert pylmdb.salvage(path, tmp_path / "salvaged").ok
    for name in ("env", "plain copy", "compact copy", "converted", "merged", "salvaged"):
        report = pylmdb.verify(tmp_path / name, deep=True)
        assert (report.ok, report.checksums) == (True, True), name
        with pylmdb.open(tmp_path / name) as env:
            assert env.checksums
            with env.begin(write=True) as txn:
                assert list(txn.range(prefix=b"k")) == model
                assert txn.put(b"more", b"v" * 9000)
        assert pylmdb.verify(tmp_path / name, deep=True).ok
    pylmdb.convert(path, tmp_path / "old", lib_version=0)
    pylmdb.convert(path, tmp_path / "without", checksums=False)
    for name in ("old", "without"):
        assert not pylmdb.verify(tmp_path / name).checksums
        with pylmdb.open(tmp_path / name) as env:
            assert not env.checksums


def test_they_are_added_to_what_exists(core, tmp_path, lib_version):
    with pylmdb.open(tmp_path / "env", lib_version=lib_version) as env:
        fill(env, 4096)
        with env.begin() as txn:
            model = list(txn.range(prefix=b"k"))
    with pytest.raises(pylmdb.InvalidError, match="have no checksums"):
        pylmdb.open(tmp_path / "env", checksums=True)
    pylmdb.convert(tmp_path / "env", tmp_path / "summed", checksums=True)
    pylmdb.bulk_load(tmp_path / "bulk", [(b"k", b"v" * 9000)], checksums=True)
    pylmdb.dump(tmp_path / "env", tmp_path / "dump")
    pylmdb.load(tmp_path / "dump", tmp_path / "loaded", checksums=True)
    for name in ("summed", "bulk", "loaded"):
        assert pylmdb.verify(tmp_path / name, deep=True).checksums
        with pylmdb.open(tmp_path / name, checksums=True) as env:
            assert env.checksums
    with pylmdb.open(tmp_path / "summed") as env, env.begin() as txn:
        assert list(txn.range(prefix=b"k")) == model


def test_what_excludes_checksums(core, tmp_path):
    with pytest.raises(ValueError, match="lib_version=0"):
        pylmdb.open(tmp_path / "env", checksums=True, lib_version=0)
    with pytest.raises(ValueError, match="writemap"):
        pylmdb.open(tmp_path / "env", checksums=True, writemap=True)
    assert not (tmp_path / "env").exists()
    pylmdb.open(tmp_path / "env", checksums=True).close()
    with pytest.raises(pylmdb.InvalidParameterError, match="leave writemap out"):
        pylmdb.open(tmp_path / "env", writemap=True)


def test_copies_check_what_they_read(core, tmp_path):
    path = tmp_path / "env"
    with pylmdb.open(path, subdir=False, checksums=True) as env, env.begin(write=True) as txn:
        for n in range(200):
            txn.put(b"%05d" % n, b"%05d" % n * 60)
        txn.put(b"large", b"v" * 50_000)
    data = path.read_bytes()
    for wanted in (b"00100" * 50, b"v" * 40_000):
        at = data.index(wanted)
        path.write_bytes(data[:at] + b"?" + data[at + 1 :])
        with pylmdb.open(path, subdir=False) as env:
            for compact in (False, True):
                with pytest.raises(pylmdb.CorruptedError, match="checksum"):
                    env.copy(tmp_path / "copy", compact=compact)
                assert not (tmp_path / "copy").exists()
            with pytest.raises(pylmdb.CorruptedError, match="checksum"):
                env.compact()
            with pytest.raises(pylmdb.CorruptedError, match="checksum"):
                env.backup(tmp_path / "backup")
            assert not (tmp_path / "backup").exists()
        with pytest.raises(pylmdb.CorruptedError, match="checksum"):
            pylmdb.merge([path], tmp_path / "merged")
    result = pylmdb.salvage(path, tmp_path / "salvaged")
    assert not result.ok
    assert result.saved == 200  # all but the large value


def test_other_programs_read_the_file_and_their_writes_are_noticed(core, tmp_path):
    path = tmp_path / "env"
    with pylmdb.open(path, checksums=True) as env:
        fill(env, 4096)
        with env.begin() as txn:
            model = list(txn.range(prefix=b"k"))
    with lmdb.open(str(path), lib_version=1, readonly=True) as env, env.begin() as txn:
        assert [item for item in txn.cursor() if item[0][:1] == b"k"] == model
    with lmdb.open(str(path), lib_version=1) as env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    with pytest.raises(pylmdb.CorruptedError, match=r"page [01] has a wrong checksum"):
        pylmdb.open(path)
    assert not pylmdb.verify(path).ok


def test_commits_of_other_processes_are_checked(core, tmp_path):
    """A page that another process has written again is checked again."""
    path = tmp_path / "env"
    program = """
env = pylmdb.open(path, subdir=False)
for line in sys.stdin:
    with env.begin(write=True) as txn:
        txn.put(b"k", line.encode() * 3000)
    print("done", flush=True)
"""
    with pylmdb.open(path, subdir=False, checksums=True) as env:
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v")
        process = start("import sys\n" + program, str(path), 1)
        for n in range(20):
            process.stdin.write(f"{n}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"
            with env.begin() as txn:
                assert txn.get(b"k") == b"%d\n" % n * 3000
        process.stdin.write("last\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        data = path.read_bytes()
        at = data.index(b"last\n" * 1000)
        with open(path, "r+b") as file:
            file.seek(at + 7000)
            file.write(b"!")
        with env.begin() as txn, pytest.raises(pylmdb.CorruptedError, match="wrong checksum"):
            txn.get(b"k")
        process.communicate()


def test_a_growing_file_and_spilled_pages(core, tmp_path):
    """More than fits into the first map, in one transaction with nested ones."""
    path = tmp_path / "env"
    with pylmdb.open(path, checksums=True, sync=False) as env:
        with env.begin(write=True) as txn:
            for n in range(30):
                txn.put(b"l%03d" % n, b"%03d" % n * 200_000)
            with env.begin(write=True, parent=txn) as child:
                for n in range(3000):
                    child.put(b"%06d" % (n * 7919 % 100_000), b"v" * 500)
            with env.begin(write=True, parent=txn) as child:
                child.put(b"l000", b"w" * 10_000)
                child.abort()
        with env.begin() as txn:
            assert txn.stat().entries == 3030
            assert txn.get(b"l000") == b"000" * 200_000
        assert env.info().map_size > 10 << 20
    assert pylmdb.verify(path, deep=True).ok


def test_deep_says_what_was_read(core, tmp_path, lib_version):
    with (
        pylmdb.open(tmp_path / "env", lib_version=lib_version) as env,
        env.begin(write=True) as txn,
    ):
        txn.put(b"k", b"v" * 3_000_000)
    shallow, deep = (pylmdb.verify(tmp_path / "env", deep=each) for each in (False, True))
    assert shallow.read < 20_000
    assert deep.read >= 3_000_000
    assert deep.ok
    assert not deep.checksums


def test_the_size_of_a_checksum_is_where_lmdb_looks_for_it(core, tmp_path):
    pylmdb.open(tmp_path / "env", subdir=False, checksums=True).close()
    data = (tmp_path / "env").read_bytes()
    assert int.from_bytes(data[4094:4096], "little") == 8
