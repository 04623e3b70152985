# SPDX-License-Identifier: MIT
"""Files are exchanged with the other engine, py-lmdb, and Debian's lmdb-utils."""

import ast
import os
import random
import re
import select
import struct
from pathlib import Path

import lmdb
import pytest
from programs import prelude_for, run, start

import pylmdb

BOTH = [pytest.param(lmdb, pylmdb, id="py-lmdb"), pytest.param(pylmdb, lmdb, id="pylmdb")]
FORMATS = {0: 1, 1: 3}  # LMDB major version: data format
MAGIC = struct.pack("=I", 0xBEEFC0DE)
MAP_SIZE = 64 << 20


# ---- the records that are written and must be read ----

FLAGS = {
    None: {},
    b"plain": {},
    b"dupsort": {"dupsort": True},
    b"dupfixed": {"dupsort": True, "dupfixed": True},
    b"integerdup": {"dupsort": True, "dupfixed": True, "integerdup": True},
    b"integerkey": {"integerkey": True},
    b"integerkey dupsort": {"integerkey": True, "dupsort": True},
    b"reverse_key": {"reverse_key": True},
    b"empty": {},
}


def make_records(name):
    """Records of one database in the order of the keywords it is made with."""
    rng = random.Random(repr(name))
    some = [rng.randbytes(rng.randrange(1, 60)) for _ in range(600)]
    if name == b"empty":
        return []
    if name == b"dupsort":  # the values of the second key have a tree of their own
        return sorted({(b"few", b"0"), (b"few", b"1"), *((b"many", value) for value in some)})
    if name == b"dupfixed":
        return [(key, b"%07d" % n) for key in (b"a", b"b") for n in range(0, 9000, 7)]
    if name == b"integerdup":
        values = rng.sample(range(2**32), 1500)
        return [(key, struct.pack("=I", value)) for key in (b"a", b"b") for value in sorted(values)]
    if name == b"integerkey":
        return [
            (struct.pack("=Q", key), b"v%d" % key) for key in sorted(rng.sample(range(2**62), 1500))
        ]
    if name == b"integerkey dupsort":
        keys = sorted(rng.sample(range(2**32), 100))
        return [(struct.pack("=I", key), b"%d" % n) for key in keys for n in range(3)]
    if name == b"reverse_key":
        return sorted(((key, key[::-1]) for key in set(some)), key=lambda pair: pair[0][::-1])
    sizes = (0, 1, 2000, 4096, 5000, 100_000)  # the last ones on overflow pages
    large = {b"size %06d" % size: rng.randbytes(size) for size in sizes}
    records = {key: key * 3 for key in some}
    return sorted({**records, **large, b"\0": b"\0", b"k" * 511: b""}.items())


EXPECTED = {name: make_records(name) for name in FLAGS}


def write(module, path, lib_version, **options):
    options |= {"map_size": MAP_SIZE, "max_dbs": 16, "lib_version": lib_version}
    with module.open(path, **options) as env:
        dbs = {name: env.open_db(name, **flags) for name, flags in FLAGS.items()}
        with env.begin(write=True) as txn:
            for name, records in EXPECTED.items():
                shuffled = random.Random(1).sample(records, len(records))
                for key, value in shuffled:
                    assert txn.put(key, value, db=dbs[name])


def read(module, path, **options):
    """Return the records of every database, after a check of its flags."""
    found = {}
    with module.open(path, max_dbs=16, map_size=MAP_SIZE, **options) as env, env.begin() as txn:
        for name, flags in FLAGS.items():
            db = env.open_db(name, txn=txn, create=False)
            assert {word for word, is_set in db.flags(txn).items() if is_set} == set(flags)
            found[name] = list(txn.cursor(db))
    # The main database lists the named ones among its own records.
    found[None] = [(k, v) for k, v in found[None] if k.rstrip(b"\0") not in FLAGS]
    return found


def copy(module, path, target, compact):
    """Run in a process of its own, so that a crash fails one test only."""
    name = module.__name__
    program = f"import {name}; {name}.open(path).copy({str(target)!r}, compact={compact})"
    run(program, path, 0, prelude=prelude_for(module))


# ---- the engine follows from the file ----


def test_a_file_is_opened_with_the_engine_that_made_it(lib_version, env_path):
    write(pylmdb, env_path, lib_version)
    with pylmdb.open(env_path) as env:
        assert env.lib_version()[0] == lib_version
        assert env.dbs() == sorted(name for name in FLAGS if name)
    assert read(pylmdb, env_path) == EXPECTED
    assert read(pylmdb, env_path, readonly=True, lock=False) == EXPECTED


def test_new_files_have_the_format_that_every_lmdb_reads(env_path):
    with pylmdb.open(env_path) as env:
        assert env.lib_version()[0] == 0
    page = Path(env_path, "data.mdb").read_bytes()
    assert page[16:24] == MAGIC + struct.pack("=I", 1)


def test_a_contradicting_lib_version_names_both_formats(lib_version, env_path):
    write(pylmdb, env_path, lib_version)
    data = Path(env_path, "data.mdb").read_bytes()
    with pytest.raises((pylmdb.InvalidError, pylmdb.VersionMismatchError)) as caught:
        pylmdb.open(env_path, lib_version=1 - lib_version)
    message = str(caught.value)
    assert re.search(r"\bv?1\b", message), message
    assert re.search(r"\bv?3\b", message), message
    assert "lib_version" in message
    assert Path(env_path, "data.mdb").read_bytes() == data
    assert read(pylmdb, env_path) == EXPECTED


def test_a_contradicting_lib_version_while_the_file_is_open(env, env_path, lib_version):
    with pytest.raises(pylmdb.Error, match=f"lib_version={lib_version}"):
        pylmdb.open(env_path, lib_version=1 - lib_version)
    assert env.stat()["entries"] == 0


@pytest.mark.parametrize("number", [0, 2, 999])
def test_an_unknown_format_names_the_known_ones(lib_version, env_path, number):
    write(pylmdb, env_path, lib_version)
    file = Path(env_path, "data.mdb")
    own, strange = (MAGIC + struct.pack("=I", each) for each in (FORMATS[lib_version], number))
    file.write_bytes(data := file.read_bytes().replace(own, strange))
    with pytest.raises(pylmdb.VersionMismatchError) as caught:
        pylmdb.open(env_path)
    message = str(caught.value)
    assert all(f"v{each}" in message for each in (number, 1, 3)), message
    assert file.read_bytes() == data


JUNK = {
    "random": random.Random(5).randbytes(65_536),
    "zeros": bytes(200_000),  # two pages of zeros can be left by a crash during the creation
    "text": b"Once upon a time\n" * 1000,
    "one byte": b"\0",
    "magic alone": bytes(16) + MAGIC,
    "magic elsewhere": bytes(40) + MAGIC + struct.pack("=I", 1) + bytes(9000),
}


@pytest.mark.parametrize("wanted", [None, 0, 1])
@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("name", JUNK)
def test_junk_is_refused_and_left_as_it_is(tmp_path, name, readonly, wanted):
    file = tmp_path / "data.mdb"
    file.write_bytes(JUNK[name])
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(pylmdb.InvalidError, match=re.escape(str(tmp_path))):
        pylmdb.open(tmp_path, readonly=readonly, lib_version=wanted)
    assert file.read_bytes() == JUNK[name]
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("size", [1, 20, 100, 4095, 4096])
def test_a_file_without_two_meta_pages_is_refused(lib_version, env_path, size):
    write(pylmdb, env_path, lib_version)
    os.truncate(Path(env_path, "data.mdb"), size)
    with pytest.raises(pylmdb.InvalidError):
        pylmdb.open(env_path)


def test_an_empty_file_becomes_an_environment(lib_version, tmp_path):
    (tmp_path / "data.mdb").touch()
    with pytest.raises(pylmdb.Error):
        pylmdb.open(tmp_path, readonly=True, lib_version=lib_version)
    with pylmdb.open(tmp_path, lib_version=lib_version) as env:
        assert env.lib_version()[0] == lib_version
        assert env.stat()["entries"] == 0


def test_directories_and_files_in_each_others_place(lib_version, tmp_path):
    options = {"lib_version": lib_version}
    (tmp_path / "data.mdb").mkdir()
    (tmp_path / "file").write_bytes(b"no directory")
    for path, subdir in ((tmp_path, True), (tmp_path, False), (tmp_path / "file", True)):
        with pytest.raises(pylmdb.Error):
            pylmdb.open(path, subdir=subdir, **options)
    assert (tmp_path / "file").read_bytes() == b"no directory"


# ---- py-lmdb ----


@pytest.mark.parametrize("subdir", [True, False])
@pytest.mark.parametrize(("writer", "reader"), BOTH)
def test_files_of_the_other_binding(lib_version, env_path, writer, reader, subdir):
    write(writer, env_path, lib_version, subdir=subdir, writemap=not subdir)
    assert read(reader, env_path, subdir=subdir, readonly=True) == EXPECTED
    assert subdir or os.path.isfile(env_path + "-lock")


@pytest.mark.parametrize(("writer", "changer"), BOTH)
def test_files_changed_by_the_other_binding(lib_version, env_path, writer, changer):
    write(writer, env_path, lib_version)
    left = {name: records[1::2] for name, records in EXPECTED.items()}
    with changer.open(env_path, max_dbs=16, map_size=MAP_SIZE) as env:
        dbs = {name: env.open_db(name, create=False) for name in FLAGS}
        with env.begin(write=True) as txn:
            for name, records in EXPECTED.items():
                for key, value in records[::2]:
                    assert txn.delete(key, value, db=dbs[name])
            assert txn.put(b"zz new", b"n" * 10_000, db=dbs[b"plain"])
            txn.drop(dbs[b"empty"], delete=False)
    left[b"plain"] = sorted([*left[b"plain"], (b"zz new", b"n" * 10_000)])
    assert read(writer, env_path) == left
    with pylmdb.open(env_path) as env:
        assert env.dbs() == sorted(name for name in FLAGS if name)


@pytest.mark.parametrize(("writer", "copier"), BOTH)
def test_copies_of_files_of_the_other_binding(lib_version, env_path, tmp_path, writer, copier):
    write(writer, env_path, lib_version)
    copies = [(copier, False), (pylmdb, True)]  # py-lmdb 3.0.0 dies in compact copies of dupfixed
    for number, (module, compact) in enumerate(copies):
        target = tmp_path / str(number)
        target.mkdir()
        copy(module, env_path, target, compact)
        assert read(lmdb, str(target)) == read(pylmdb, str(target)) == EXPECTED


# ---- both at once, in two processes ----

PEER = """
import importlib
module = importlib.import_module(NAME)
env = module.open(path, map_size=MAP_SIZE, max_dbs=8, lib_version=lib_version)
print("ready", flush=True)
for line in sys.stdin:
    try:
        answer = eval(line)
        answer = answer if isinstance(answer, (int, str, bytes, tuple, list)) else None
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(repr(answer), flush=True)
"""


class Peer:
    """Another process that has the file open and evaluates expressions."""

    def __init__(self, module, path, lib_version, map_size):
        settings = f"NAME, MAP_SIZE = {module.__name__!r}, {map_size}\n"
        self.process = start(settings + PEER, path, lib_version, prelude_for(module))
        assert self.process.stdout.readline() == "ready\n"

    def send(self, expression):
        print(expression, file=self.process.stdin, flush=True)

    def has_answer(self, seconds):
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def ask(self, expression):
        self.send(expression)
        return self.answer()

    def answer(self):
        assert self.has_answer(60), "no answer"
        return ast.literal_eval(self.process.stdout.readline())

    def end(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(params=[lmdb, pylmdb], ids=["beside py-lmdb", "beside pylmdb"])
def start_peer(request, env_path, lib_version):
    started = []

    def start(map_size=MAP_SIZE):
        started.append(Peer(request.param, env_path, lib_version, map_size))
        return started[-1]

    yield start
    for peer in started:
        peer.end()


def test_a_process_of_py_lmdb_does_not_import_pylmdb(start_peer):
    name, has_pylmdb = start_peer().ask("(module.__name__, 'pylmdb' in sys.modules)")
    assert has_pylmdb == (name == "pylmdb")


def test_our_writer_waits_for_the_other_process(env, start_peer):
    peer = start_peer()
    assert peer.ask("(txn := env.begin(write=True)).put(b'k', b'theirs')") is True
    with pytest.raises(pylmdb.LockTimeoutError):
        env.begin(write=True, timeout=0.3)
    assert env.begin().get(b"k") is None
    peer.ask("txn.commit()")
    with env.begin(write=True, timeout=30) as txn:
        assert txn.get(b"k") == b"theirs"


def test_the_other_process_waits_for_our_writer(env, start_peer):
    peer = start_peer()
    with env.begin(write=True) as txn:
        txn.put(b"k", b"ours")
        peer.send("(txn := env.begin(write=True)).get(b'k')")
        assert not peer.has_answer(0.5)
    assert peer.answer() == b"ours"
    peer.ask("txn.abort()")


def test_both_processes_count_together(env, start_peer):
    peer, count = start_peer(), 200
    peer.ask(
        "exec('def add(env):\\n with env.begin(write=True) as txn: txn.put("
        "bytes(1), str(int(txn.get(bytes(1), bytes([48]))) + 1).encode())', globals())"
    )
    peer.send(f"[add(env) for _ in range({count})] and 1")
    for _ in range(count):
        with env.begin(write=True) as txn:
            txn.put(b"\0", b"%d" % (int(txn.get(b"\0", b"0")) + 1))
    assert peer.answer() == 1
    assert env.begin().get(b"\0") == b"%d" % (2 * count)


def test_many_of_both_count_together(env_path, lib_version):
    """All that wait for the lock are woken."""
    add = (
        "exec('for _ in range(100):\\n with env.begin(write=True) as txn:"
        " txn.put(bytes(1), str(int(txn.get(bytes(1), bytes([48]))) + 1).encode())') or 1"
    )
    peers = []
    try:
        for module in (lmdb, pylmdb, lmdb, pylmdb):
            peers.append(Peer(module, env_path, lib_version, MAP_SIZE))
        for peer in peers:
            peer.send(add)
        assert [peer.answer() for peer in peers] == 4 * [1]
        assert peers[0].ask("env.begin().get(bytes(1))") == b"400"
    finally:
        for peer in peers:
            peer.end()


def test_readers_of_both_processes_are_in_one_table(env, start_peer):
    peer = start_peer()
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    theirs = peer.ask("(reader := env.begin()).id()")
    pid = peer.process.pid
    assert [(row.pid, row.txnid) for row in env.reader_list() if row.pid == pid] == [(pid, theirs)]
    with env.begin() as ours:
        assert ours.id() == theirs
        rows = [line.split() for line in peer.ask("env.readers()").splitlines()]
        assert [str(os.getpid()), str(theirs)] in [[row[0], row[2]] for row in rows]
    assert env.reader_check() == 0


def test_snapshots_hold_while_the_other_process_writes(env, start_peer):
    with env.begin(write=True) as txn:
        for n in range(300):
            txn.put(b"%03d" % n, b"old" * 100)
    peer = start_peer()
    sums = "(sum(v == b'old' * 100 for k, v in {0}.cursor()), {0}.stat()['entries'])"
    assert peer.ask("(reader := env.begin()).id()") == env.begin().id()
    ours = env.begin()
    peer.ask(
        "[[txn.put(b'%03d' % n, b'new' * 100) for n in range(0, 300, 3)] and txn.commit()"
        " for txn in (env.begin(write=True) for _ in range(20))]"
    )
    for _ in range(20):
        with env.begin(write=True) as txn:
            for n in range(1, 300, 3):
                txn.put(b"%03d" % n, b"NEW" * 100)
    assert eval(sums.format("ours")) == peer.ask(sums.format("reader")) == (300, 300)
    ours.abort()
    peer.ask("reader.abort()")
    assert eval(sums.format("env.begin()")) == peer.ask(sums.format("env.begin()")) == (100, 300)


def test_a_killed_process_leaves_neither_slot_nor_lock(env, start_peer):
    peer = start_peer()
    peer.ask("(reader := env.begin()).id()")
    peer.ask("(txn := env.begin(write=True)).put(b'k', b'lost')")
    peer.end()
    with env.begin(write=True, timeout=30) as txn:
        assert txn.get(b"k") is None
    env.reader_check()
    assert peer.process.pid not in [row.pid for row in env.reader_list()]


def test_growth_by_the_other_process_is_adopted(open_env, start_peer):
    env = open_env(map_size=1 << 20)
    peer = start_peer(map_size=32 << 20)
    write_much = "[txn.put(b'%04d' % n, bytes(4000)) for n in range(2000)] and txn.commit()"
    peer.ask(f"[{write_much} for txn in [env.begin(write=True)]]")
    with env.begin() as txn:
        assert txn.get(b"1999") == bytes(4000)
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    assert peer.ask("env.begin().get(b'k')") == b"v"


# ---- Debian's lmdb-utils ----


def parse_dump(text):
    """Return the records of each database in the output of ``mdb_dump``."""
    found = {}
    for section in text.split("VERSION=3\n")[1:]:
        header, _, body = section.partition("HEADER=END\n")
        name = re.search(r"^database=(.*)$", header, re.MULTILINE)
        items = [bytes.fromhex(line) for line in body.partition("DATA=END")[0].splitlines()]
        found[name and name[1].encode()] = list(zip(items[::2], items[1::2], strict=True))
    return found


NAMED = {name: records for name, records in EXPECTED.items() if name}


def test_mdb_dump_reads_our_file(tool, env_path):
    write(pylmdb, env_path, 0)
    assert parse_dump(tool("mdb_dump", "-a", env_path)) == NAMED
    plain = parse_dump(tool("mdb_dump", "-s", "plain", env_path))
    assert plain == {b"plain": EXPECTED[b"plain"]}


def test_we_read_what_mdb_load_made(tool, env_path, tmp_path):
    """Our file, dumped and loaded by these programs, has the same records."""
    write(pylmdb, env_path, 0)
    (tmp_path / "loaded").mkdir()
    tool("mdb_load", tmp_path / "loaded", text=tool("mdb_dump", "-a", env_path))
    loaded = read(pylmdb, str(tmp_path / "loaded"))
    assert {name: records for name, records in loaded.items() if name} == NAMED


def test_mdb_load_writes_into_our_file_while_it_is_open(tool, tmp_path):
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=0) as env:
        with env.begin(write=True) as txn:
            txn.put(b"ours", b"1")
        tool("mdb_load", "-T", path, text="theirs\n2\nback\\5cslash\n\\00\\ff\n")
        expected = [(b"back\\slash", b"\0\xff"), (b"ours", b"1"), (b"theirs", b"2")]
        assert list(env.begin().cursor()) == expected


def test_mdb_stat_counts_as_we_do(tool, env_path):
    write(pylmdb, env_path, 0)
    with pylmdb.open(env_path, map_size=MAP_SIZE) as env, env.begin() as reader:
        text = tool("mdb_stat", "-efa", env_path)
        info = env.info()
        assert f"Map size: {info['map_size']}\n" in text
        assert f"Last transaction ID: {info['last_txnid']}\n" in text
        assert f"Number of pages used: {info['last_pgno'] + 1}\n" in text
        for name in FLAGS:
            stat = reader.stat(env.open_db(name, txn=reader))
            section = text.partition(f"Status of {name.decode() if name else 'Main DB'}\n")[2]
            numbers = [int(line.rpartition(" ")[2]) for line in section.splitlines()[:5]]
            fields = ("depth", "branch_pages", "leaf_pages", "overflow_pages", "entries")
            assert numbers == [stat[field] for field in fields]


def test_mdb_stat_shows_our_reader(tool, env_path):
    with pylmdb.open(env_path, lib_version=0) as env, env.begin() as reader:
        text = tool("mdb_stat", "-r", env_path, codes=(0, 1))  # the program counts this as failure
        rows = [line.split() for line in text.splitlines()]
        assert [str(os.getpid()), str(reader.id())] in [row[::2] for row in rows]


@pytest.mark.parametrize("compact", [False, True])
def test_mdb_copy_and_our_copy(tool, env_path, tmp_path, compact):
    write(pylmdb, env_path, 0)
    for name in "theirs", "ours":
        (tmp_path / name).mkdir()
    tool("mdb_copy", *(["-c"] if compact else []), env_path, tmp_path / "theirs")
    assert read(pylmdb, str(tmp_path / "theirs")) == EXPECTED
    copy(pylmdb, env_path, tmp_path / "ours", compact)
    assert parse_dump(tool("mdb_dump", "-a", tmp_path / "ours")) == NAMED
