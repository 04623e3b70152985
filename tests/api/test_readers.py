# SPDX-License-Identifier: MIT
"""The reader table: readers, the pages that they keep, and slots of dead processes."""

import os
import random

import pytest
from programs import PRELUDE, finish, run, start

import pylmdb
from pylmdb import lowlevel


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "env")


def test_a_reader_keeps_pages(path, lib_version):
    with pylmdb.open(path, lib_version=lib_version) as env:
        with env.begin(write=True) as txn:
            txn.put(b"k", bytes(40_000))
        reader = env.begin()
        assert [row.pages for row in env.reader_list()] == [0]
        for _ in range(3):
            with env.begin(write=True) as txn:
                txn.put(b"k", bytes(40_000))
        (row,) = env.reader_list()
        assert (row.pid, row.txnid) == (os.getpid(), reader.id())
        assert row.pages >= 3 * 10
        fresh = env.begin()
        kept = {row.txnid: row.pages for row in env.reader_list()}
        assert kept[reader.id()] > kept[fresh.id()] + 20
        reader.abort()
        fresh.abort()
        assert env.reader_list() == []


def test_slots_are_used_again_in_any_order(open_env):
    env = open_env(max_readers=40)
    pick, live, most = random.Random(1), [], 0
    for _ in range(1000):
        if live and (len(live) == 40 or pick.random() < 0.5):
            live.pop(pick.randrange(len(live))).abort()
        else:
            live.append(env.begin())
        most = max(most, len(live))
        assert env.info()["num_readers"] == most
        assert len(env.reader_list()) == len(live)
    live += [env.begin() for _ in range(40 - len(live))]
    with pytest.raises(pylmdb.ReadersFullError):
        env.begin()
    live.pop(7).abort()
    env.begin().abort()


@pytest.mark.parametrize("compact", [False, True])
def test_a_copy_uses_the_slot_of_an_idle_reader(tmp_path, path, lib_version, compact):
    with pylmdb.open(path, lib_version=lib_version, max_readers=1, max_spare_txns=1) as env:
        env.begin().abort()
        assert len(env.reader_list()) == 1
        env.copy(tmp_path / "copy", compact=compact)
        full = "copy: the reader table is full; max_readers limits it to 1 read transactions"
        with env.begin(), pytest.raises(pylmdb.ReadersFullError, match=full):
            env.copy(tmp_path / "another", compact=compact)
    assert not (tmp_path / "another").exists()


@pytest.mark.parametrize("flag", ["", "reversekey", "duplicates"])
def test_an_environment_is_opened_while_no_slot_is_left(tmp_path, path, lib_version, flag):
    """Also if another program has made a main database with flags."""
    header = f"VERSION=3\nformat=print\ntype=btree\n{flag and flag + '=1'}\nHEADER=END\n"
    (tmp_path / "text").write_text(header.replace("\n\n", "\n") + " az\n old\nDATA=END\n")
    pylmdb.load(tmp_path / "text", path, lib_version=lib_version)
    with pylmdb.open(path, max_readers=2) as env:
        held = [env.begin() for _ in range(2)]
        run(
            """
env = pylmdb.open(path)
assert len(env.reader_list()) == 2
try:
    env.begin()
except pylmdb.ReadersFullError:
    pass
else:
    raise AssertionError("a third reader")
with env.begin(write=True) as txn:
    for key in b"cy", b"by", b"bz", b"az":
        txn.put(key, b"new")
""",
            path,
            lib_version,
        )
        held.pop().abort()
        with env.begin() as txn:
            found = [*txn.cursor()]
    order = [b"by", b"cy", b"az", b"bz"] if flag == "reversekey" else [b"az", b"by", b"bz", b"cy"]
    expected = [(key, b"new") for key in order]
    if flag == "duplicates":
        expected.insert(1, (b"az", b"old"))
    assert found == expected


def test_many_databases_are_opened_while_no_slot_is_left(path, lib_version):
    """There is room for all that the file has, also in a transaction."""
    with pylmdb.open(path, lib_version=lib_version, max_readers=1, max_dbs=200) as env:
        with env.begin(write=True) as txn:
            for number in range(200):
                env.open_db(b"%d" % number, txn)
        with env.begin():
            run(
                """
env = pylmdb.open(path)
with env.begin(write=True) as txn:
    for number in range(200):
        txn.put(b"key", b"", db=env.open_db(b"%d" % number, txn, create=False))
""",
                path,
                lib_version,
            )
        assert pylmdb.verify(path).databases[-1].entries == 1


@pytest.mark.parametrize("lacking", [2, 40], ids=["free pages", "pages in use"])
def test_a_short_file_is_opened_while_no_slot_is_left(path, lib_version, lacking):
    """It may lack free pages at its end.  If it lacks others, no transaction can begin."""
    with pylmdb.open(path, lib_version=lib_version, max_readers=1) as env:
        for key in b"a", b"b", b"c":
            with env.begin(write=True) as txn:
                txn.put(key, bytes(20 * env.stat().psize))
        with env.begin(write=True) as txn:
            txn.delete(b"c")
        with env.begin(write=True) as txn:
            txn.put(b"d", b"")
        size = os.path.getsize(path + "/data.mdb")
        with env.begin():
            os.truncate(path + "/data.mdb", size - lacking * env.stat().psize)
            run(
                f"""
try:
    env = pylmdb.open(path)
    assert len(env.reader_list()) == 1
    env.begin(write=True).abort()
except pylmdb.CorruptedError as error:
    assert {lacking} == 40 and "was cut short" in str(error), error
else:
    assert {lacking} == 2
""",
                path,
                lib_version,
            )


def test_slots_that_another_process_has_freed_are_used_again(path, lib_version):
    other = start(
        """
env = pylmdb.open(path, lib_version=lib_version)
readers = [env.begin() for _ in range(20)]
print("reads", flush=True)
input()
for each in readers:
    each.abort()
print("ended", flush=True)
input()
""",
        path,
        lib_version,
    )
    with pylmdb.open(path, lib_version=lib_version) as env:
        assert other.stdout.readline() == "reads\n"
        first = env.begin()
        assert env.info()["num_readers"] == 21
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "ended\n"
        more = [env.begin() for _ in range(20)]
        assert env.info()["num_readers"] == 21
        assert len(env.reader_list()) == 1 + len(more)
        other.stdin.write("\n")
        assert finish(other) == ""
        for each in (first, *more):
            each.abort()


DEAD = (
    PRELUDE
    + """
import subprocess
def reader_that_dies():
    source = "import sys, os, signal, pylmdb;" \\
        "txn = pylmdb.open(sys.argv[1]).begin(); os.kill(os.getpid(), signal.SIGKILL)"
    child = subprocess.run([sys.executable, "-c", source, path])
    assert child.returncode == -signal.SIGKILL
"""
)


def test_dead_readers_are_cleared_at_open(path, lib_version):
    run(
        """
first = subprocess.Popen([sys.executable, "-c", "import sys, pylmdb; "
    f"env = pylmdb.open(sys.argv[1], lib_version={lib_version}); print(1, flush=True); input()",
    path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
first.stdout.readline()  # keeps the reader table from being made anew
for _ in range(3):
    reader_that_dies()
env = pylmdb.open(path)
assert env.reader_list() == [], env.readers()
assert env.reader_check() == 0
first.communicate(b"\\n")
""",
        path,
        lib_version,
        prelude=DEAD,
    )


def test_dead_readers_make_room_when_slots_run_out(path, lib_version):
    run(
        """
env = pylmdb.open(path, max_readers=3, lib_version=lib_version)
with env.begin(write=True) as txn:
    txn.put(b"k", b"v")
living = env.begin()
for _ in range(2):
    reader_that_dies()
more = [env.begin(), env.begin()]
assert all(txn.get(b"k") == b"v" for txn in [living, *more])
try:
    env.begin()
except pylmdb.ReadersFullError:
    pass
else:
    raise AssertionError("a fourth reader")
""",
        path,
        lib_version,
        prelude=DEAD,
    )


# -- dead readers and new pages -------------------------------------------------------------------

READER = """
env = pylmdb.open(path)
reader = env.begin()
print("reads", flush=True)
sys.stdin.readline()
"""


def killed_reader(path, lib_version):
    """Start a process that begins to read, and kill it."""
    reader = start(READER, path, lib_version)
    assert reader.stdout.readline() == "reads\n"
    reader.kill()
    reader.communicate()


OPTIONS = {
    "a fixed map": {"map_size": 16 << 20},
    "a map as large as can be": {"map_size": 1 << 40},
    "a map that grows": {},
    "a writable map": {"map_size": 16 << 20, "writemap": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_pages_that_dead_readers_keep_are_used_again(open_env, env_path, lib_version, options):
    env = open_env(sync=False, **options)

    def rewrite():
        with env.begin(write=True) as txn:
            for n in range(100):
                txn.put(b"%06d" % n, bytes(100))

    rewrite()
    killed_reader(env_path, lib_version)
    for _ in range(1000):
        rewrite()
    assert env.reader_list() == []
    assert env.info().used < 2 << 20


@pytest.mark.parametrize("depth", [0, 1])
def test_the_dead_are_cleared_before_the_map_is_full(open_env, env_path, lib_version, depth):
    """Also when the reader died in the middle of the transaction, and at its last page."""
    env = open_env(map_size=4 << 20, sync=False)
    with env.begin(write=True) as txn:
        txn.put(b"large", bytes(2 << 20))

    reader = start(READER, env_path, lib_version)
    assert reader.stdout.readline() == "reads\n"
    for key in (b"large", b"other"):  # pages of the last commit but one can be used again
        with env.begin(write=True) as txn:
            txn.put(b"other", b"v")
            assert txn.delete(key)
    with env.begin(write=True) as txn:
        child = env.begin(parent=txn, write=True) if depth else txn
        child.put(b"small", bytes(10_000))
        reader.kill()
        reader.communicate()
        child.put(b"large again", bytes(2 << 20))
        if depth:
            child.commit()
    assert env.begin().get(b"large again") == bytes(2 << 20)
    assert env.info().used <= 4 << 20


def test_the_living_keep_what_they_read(open_env, env_path, lib_version):
    """Also after many checks, and while other readers die."""
    env = open_env(sync=False)
    with env.begin(write=True) as txn:
        for n in range(200):
            txn.put(b"%03d" % n, b"old" * 100)
    living = start(
        READER + "print({v for k, v in reader.cursor()} == {b'old' * 100})", env_path, lib_version
    )
    assert living.stdout.readline() == "reads\n"
    number = [row.pid for row in env.reader_list()]
    killed_reader(env_path, lib_version)
    for _ in range(100):
        with env.begin(write=True) as txn:
            for n in range(200):
                txn.put(b"%03d" % n, b"new" * 100)
    assert [row.pid for row in env.reader_list()] == number == [living.pid]
    living.stdin.write("\n")
    assert finish(living) == "True\n"


def test_slots_of_the_dead_are_cleared_when_liblmdb_begins_a_reader(
    open_env, env_path, lib_version
):
    env = open_env(max_readers=2)
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    living = env.begin()
    killed_reader(env_path, lib_version)
    engine = lowlevel.engine(env)
    out = engine.ffi.new("MDB_txn **")
    begin, native = engine.lib.mdb_txn_begin, lowlevel.handle(env)
    assert begin(native, engine.ffi.NULL, engine.lib.MDB_RDONLY, out) == 0
    engine.lib.mdb_txn_abort(out[0])
    assert living.get(b"k") == b"v"
    assert len(env.reader_list()) == 1


def test_a_look_at_the_environment_is_no_reader(env):
    with env.begin(), env.begin(), env.begin():
        for _ in range(3):
            assert env.info().num_readers == 3
            assert len(env.reader_list()) == 3
    assert env.info().num_readers == 3, "so many were used at once"
    with env.begin(), env.begin(), env.begin(), env.begin():
        assert env.info().num_readers == 4
