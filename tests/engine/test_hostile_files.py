# SPDX-License-Identifier: MIT
"""Damaged files raise an exception or give data; they never end the process, hang it, or make it
use memory without bound.

Each mutant is opened and used in a child process (``mutants_child.py``).  A failure names the
mutant's seed; the same seed makes the same mutant:

    PYLMDB_MUTANTS_SEED=17 PYLMDB_MUTANTS=1 pytest tests/engine/test_hostile_files.py

PYLMDB_MUTANTS is the number of mutants for each engine and way of using them.
"""

import os
import queue
import random
import signal
import threading
from pathlib import Path

import mutants
import pytest
from data_files import File
from programs import start

import pylmdb

MODES = ["read", "write", "writemap", "verify", "merge", "salvage"]
PATIENCE = 600  # seconds for a mutant that waits; a mutant that computes ends much earlier


@pytest.fixture(params=[0, 1], ids=["0.9", "1.0"])
def version(request):
    return request.param


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """Return a healthy file for each engine."""
    files = {}
    for version in (0, 1):
        folder = tmp_path_factory.mktemp("healthy") / "env"
        mutants.fill(folder, version)
        files[version] = folder / "data.mdb"
    return files


def use(path, version, mode, first, count):
    """Run mutants in a child; return its last line, a seed or that it is done, and the error."""
    program = (
        f"import mutants_child\nmutants_child.main(path, lib_version, {mode!r}, {first}, {count})"
    )
    child = start(program, path, version, imported="mutants_child")
    lines = queue.SimpleQueue()
    last = str(first)

    def listen():
        for line in child.stdout:
            lines.put(line.strip())
        lines.put(None)

    errors = []
    threads = [
        threading.Thread(target=listen, daemon=True),
        threading.Thread(target=lambda: errors.append(child.stderr.read()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        while (line := lines.get(timeout=PATIENCE)) is not None:
            last = line
    except queue.Empty:
        child.send_signal(signal.SIGXCPU)  # and prints where it waits
    child.wait()
    for thread in threads:
        thread.join()
    for stream in (child.stdin, child.stdout, child.stderr):
        stream.close()
    wrong = "it hangs" if child.returncode == -signal.SIGXCPU else f"status {child.returncode}"
    return last, f"{wrong}\n{''.join(errors)[-3000:]}"


def check(path, version, mode, count):
    count = int(os.environ.get("PYLMDB_MUTANTS", count))
    seed = int(os.environ.get("PYLMDB_MUTANTS_SEED", random.SystemRandom().randrange(1 << 40)))
    last, wrong = use(path, version, mode, seed, count)
    assert last == "done", (
        f"PYLMDB_MUTANTS_SEED={last} PYLMDB_MUTANTS=1, of {count} from {seed} on, {mode}: {wrong}"
    )


@pytest.mark.parametrize("mode", MODES)
def test_some_mutants(healthy, version, mode):
    check(healthy[version], version, mode, 15)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_many_mutants(healthy, version, mode):
    check(healthy[version], version, mode, 250 if mode == "merge" else 600)


def test_a_mutant_is_made_again_by_its_seed(healthy, version):
    data = healthy[version].read_bytes()
    made = {mutants.mutant(data, version, 5) for _ in range(2)}
    assert len(made) == 1
    assert made != {data}


# ---- single faults, each of which ended a process or read foreign memory ----


@pytest.fixture
def file_of(open_env, lib_version):
    """Fill an environment, close it, and return its file."""

    def make(fill, **flags):
        with open_env() as env:
            db = env.open_db(b"db", **flags)
            with env.begin(write=True) as txn:
                fill(txn, db)
            path = Path(env.path())
        return File(path, lib_version)

    return make


REFUSED = (pylmdb.CorruptedError, pylmdb.PageNotFoundError)


def refuses(open_env, use, **flags):
    with open_env() as env:
        db = env.open_db(b"db", create=False, **flags)
        for _ in range(2):
            with pytest.raises(REFUSED), env.begin(write=True) as txn:
                use(txn, db)


def test_a_large_value_that_claims_more_than_its_pages(file_of, open_env):
    file = file_of(lambda txn, db: txn.put(b"large", b"x" * 5000, db=db))
    for node in file.node(b"large"):
        file.set("I", node, 9000)
    file.save()
    refuses(open_env, lambda txn, db: txn.get(b"large", db=db))
    refuses(open_env, lambda txn, db: txn.put(b"large", b"y" * 100, db=db))


def test_a_large_value_among_duplicates(file_of, open_env):
    file = file_of(lambda txn, db: txn.put(b"key", b"x" * 40, db=db), dupsort=True)
    for node in file.node(b"key"):
        file.set("I", node, 20000)
        file.set("H", node + 4, 1)
    file.save()
    refuses(open_env, lambda txn, db: txn.put(b"key", b"y", db=db), dupsort=True)


def test_a_sub_page_that_is_not_dirty(file_of, open_env, lib_version):
    """LMDB 0.9 freed a page of another number when it changed such a sub-page."""

    def fill(txn, db):
        for value in b"abc":
            txn.put(b"key", bytes([value]), db=db)

    file = file_of(fill, dupsort=True)
    for node in file.node(b"key"):
        flags = file.value(node) + file.at["flags"]
        file.set("H", flags, file.get("H", flags) & ~0x10)
    file.save()
    assert pylmdb.verify(file.path).ok == (lib_version == 1)
    assert pylmdb.salvage(file.path, file.path / "saved").saved == 3
    if lib_version == 0:
        refuses(open_env, lambda txn, db: txn.delete(b"key", b"b", db=db), dupsort=True)


@pytest.mark.parametrize("kind", [mutants.OVERFLOW, mutants.BRANCH, 0])
def test_a_page_of_another_kind(file_of, open_env, kind):
    def fill(txn, db):
        for i in range(400):
            txn.put(b"%04d" % i, b"v" * 40, db=db)

    file = file_of(fill)
    for node in file.node(b"0200"):
        start = node // mutants.PAGE * mutants.PAGE
        file.set("H", start + file.at["flags"], kind)
    file.save()
    refuses(open_env, lambda txn, db: list(txn.cursor(db)))
    refuses(open_env, lambda txn, db: list(txn.cursor(db).iterprev()))


def test_a_node_outside_its_page(file_of, open_env):
    file = file_of(lambda txn, db: txn.put(b"key", b"value", db=db))
    for node in file.node(b"key"):
        start = node // mutants.PAGE * mutants.PAGE
        file.set("H", start + file.at["nodes"], 0xFFF0)
    file.save()
    for use in (
        lambda txn, db: txn.get(b"key", db=db),
        lambda txn, db: txn.cursor(db).set_range(b"k"),
        lambda txn, db: txn.put(b"key", b"other", db=db),
        lambda txn, db: txn.delete(b"key", db=db),
    ):
        refuses(open_env, use)


# ---- files that are too short ----


def many_pages(txn, db):
    for i in range(2000):
        txn.put(b"%05d" % i, b"v" * 50, db=db)


@pytest.mark.parametrize("pages", [2, 3, -1])
def test_a_file_without_its_last_pages_is_not_opened(file_of, open_env, pages):
    file = file_of(many_pages)
    del file.data[pages * mutants.PAGE :]
    file.save()
    for options in ({}, {"readonly": True}, {"writemap": True}):
        with pytest.raises(pylmdb.CorruptedError):
            open_env(**options)


def test_a_file_that_is_cut_while_it_is_open(file_of, open_env):
    path = file_of(many_pages).path / "data.mdb"
    env = open_env()
    os.truncate(path, path.stat().st_size - mutants.PAGE)
    with pytest.raises(pylmdb.CorruptedError):
        env.begin(write=True)


def test_a_file_whose_last_pages_are_free_may_end_before_them(file_of, open_env):
    def fill(txn, db):
        txn.put(b"key", b"value", db=db)
        txn.put(b"large", b"x" * 50_000, db=db)
        txn.delete(b"large", db=db)

    path = file_of(fill).path / "data.mdb"
    with open_env() as env:
        with env.begin() as txn:
            assert list(txn.cursor(env.open_db(b"db"))) == [(b"key", b"value")]
        with env.begin(write=True) as txn:
            txn.put(b"more", b"data")
        size = path.stat().st_size
    with open_env() as env, env.begin() as txn:
        assert txn.get(b"more") == b"data"
        assert path.stat().st_size >= size


def empty_and_fill(txn, one, two, held):
    cursor = txn.cursor(two)
    assert not held or cursor.last()
    for i in range(75):
        txn.delete(b"%04d" % i, db=one)
    if held:
        list(cursor.iterprev())
    for i in range(60):
        txn.put(b"%04d" % i, b"v", db=two)


@pytest.mark.parametrize("held", [False, True])
def test_a_page_of_two_databases_that_one_gives_up(open_env, lib_version, held):
    with open_env() as env:
        one, two = env.open_db(b"one"), env.open_db(b"two")
        with env.begin(write=True) as txn:
            for i in range(80):
                txn.put(b"%04d" % i, b"v" * 60, db=one)
            txn.put(b"key", b"value", db=two)
        last, path = env.info()["last_txnid"], Path(env.path())
    file = File(path, lib_version)
    (node,) = file.node(b"0079")
    page = node // mutants.PAGE
    for record in file.node(b"two" + bytes(lib_version)):
        file.set("Q", record + 8 + 3 + lib_version + 40, page)
    if lib_version == 0:
        file.set("H", page * mutants.PAGE + file.at["flags"], mutants.LEAF | 0x10)
    else:
        file.set("Q", page * mutants.PAGE + 8, last + 1)
    file.save()
    env = open_env(writemap=True)
    one, two = (env.open_db(name, create=False) for name in (b"one", b"two"))
    with pytest.raises(REFUSED), env.begin(write=True) as txn:
        empty_and_fill(txn, one, two, held)


def free_lists(file):
    """Return the offsets of the free lists of the newest snapshot, the oldest first."""
    nodes = [node for page in file.leaves(file.free_record()) for node in file.nodes(page)]
    return [file.value(node) for node in nodes if file.get("Q", file.value(node)) > 2]


def page_of_another_list(file, one, other):
    """Put a page of another list into a list, which stays in order."""
    theirs = {file.get("Q", other + 8 * i) for i in range(1, file.get("Q", other) + 1)}
    for at in range(one + 16, one + 8 * file.get("Q", one), 8):
        between = range(file.get("Q", at + 8) + 1, file.get("Q", at - 8))
        for page in theirs.intersection(between):
            return file.set("Q", at, page)
    raise AssertionError("the lists do not overlap")


UNSOUND = {
    "a page of another list": page_of_another_list,
    "a page twice": lambda file, one, _: file.set("Q", one + 16, file.get("Q", one + 8)),
    "out of order": lambda file, one, _: file.set("Q", one + 16, file.get("Q", one + 8) + 1),
    "behind the file": lambda file, one, _: file.set("Q", one + 8, 1 << 40),
    "a meta page": lambda file, one, _: file.set("Q", one + 8 * file.get("Q", one), 1),
}


@pytest.mark.parametrize("what", UNSOUND)
def test_a_list_of_free_pages_that_is_none(open_env, lib_version, what):
    """Each list that a transaction takes pages from is checked, also against earlier lists."""
    with open_env() as env:
        with env.begin(write=True) as txn:
            for i in range(400):
                txn.put(b"%03d" % i, b"v" * 6000)  # two pages each
        reader = env.begin()  # so that no list is used for another
        for part in range(4):
            with env.begin(write=True) as txn:
                for i in range(part * 10, 400, 40):
                    txn.delete(b"%03d" % i)
        reader.abort()
        path = Path(env.path())
    file = File(path, lib_version)
    lists = free_lists(file)
    assert len(lists) >= 4
    UNSOUND[what](file, lists[-2], lists[-3])  # the last one is too new to be used
    file.save()
    with open_env() as env:
        for _ in range(2):
            with pytest.raises(pylmdb.CorruptedError), env.begin(write=True) as txn:
                txn.put(b"large", b"w" * 40_000)  # no such run is free: all lists are read
        with env.begin() as txn:
            assert txn.get(b"399") == b"v" * 6000
