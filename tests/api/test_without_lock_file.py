# SPDX-License-Identifier: MIT
"""``lock=False``: the snapshots of this process stay as they are while it writes."""

import gc
import os
import random
import threading

import pytest
from leaks import MEASURE
from programs import in_threads, run

import pylmdb

KINDS = {"0.9": {"lib_version": 0}, "1.0": {"lib_version": 1}}
KINDS["checksums"] = {"lib_version": 1, "checksums": True}
KEYS = [b"%04d" % n for n in range(300)]


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def env(request, tmp_path):
    options = {"lock": False, "sync": False, "max_spare_txns": 1, **request.param}
    with pylmdb.open(tmp_path / "env", **options) as env:
        write(env, 0)
        yield env
    assert pylmdb.verify(tmp_path / "env", deep=True).ok


def write(env, number):
    """Store the same value for all keys."""
    with env.begin(write=True) as txn:
        for key in KEYS:
            txn.put(key, b"%06d" % number * 20)


def number_in(txn):
    """The number that was stored; all records must have it."""
    records = [*txn.cursor()]
    assert [key for key, _ in records] == KEYS
    (value,) = {value for _, value in records}
    return int(value[:6])


def test_each_snapshot_stays(env):
    pick, held = random.Random(1), []
    for number in range(1, 120):
        for _ in range(pick.randrange(4)):
            txn = env.begin()
            held.append((txn, txn.view(KEYS[number]), number - 1))
        for _ in range(pick.randrange(min(4, len(held) + 1))):
            held.pop(pick.randrange(len(held)))[0].abort()
        write(env, number)
        for txn, view, expected in pick.sample(held, min(3, len(held))):
            assert number_in(txn) == expected
            assert int(bytes(view[:6])) == expected
    for txn, view, expected in held:
        assert number_in(txn) == expected
        txn.abort()
        assert int(bytes(view[:6])) == expected, "a view keeps its snapshot"


def test_pages_are_used_again(env):
    """Also those that old readers kept, when these have ended."""
    for begin in env.begin, lambda: env.begin().view(KEYS[0]):
        held = [begin() for _ in range(50)]
        for number in range(20):
            write(env, number)
        del held
        used = env.info().used
        for number in range(200):
            write(env, number)
            env.begin().abort()
        assert env.info().used <= used + 30 * env.stat().psize


def test_readers_are_listed(env):
    with env.begin() as txn:
        pages = env.info().used
        write(env, 1)
        view = env.begin().view(KEYS[0])
        write(env, 2)
        rows = [row for row in env.reader_list() if row.txnid is not None]
        rows.sort(key=lambda row: row.txnid)
        assert [row.txnid for row in rows] == [txn.id(), txn.id() + 1]
        assert {(row.pid, row.own) for row in rows} == {(os.getpid(), True)}
        assert [row.held_since is None for row in rows] == [True, False]
        assert 0 < rows[0].pages < pages
        assert sorted(line.split()[2] for line in env.readers().splitlines()) == [
            "-", str(txn.id()), str(txn.id() + 1), "txnid"
        ]  # fmt: skip
    del view
    gc.collect()
    assert [row.txnid for row in env.reader_list()] == [None]  # max_spare_txns keeps one idle


def test_readers_of_an_environment_for_reading_are_not_known(env, tmp_path):
    env.close()
    with pylmdb.open(tmp_path / "env", readonly=True, lock=False) as reading, reading.begin():
        assert reading.reader_list() == []
        assert reading.readers() == "(no reader locks)\n"


def test_a_transaction_that_cannot_begin_leaves_no_reader(env_path, lib_version):
    run(
        MEASURE
        + """
with pylmdb.open(path, lib_version=lib_version) as env, env.begin(write=True) as txn:
    txn.put(KEY, bytes(1 << 20))
env = pylmdb.open(path, lock=False)
os.truncate(os.path.join(path, "data.mdb"), 1 << 14)
while True:  # the size of the file is looked at every few milliseconds, until it is too small
    try:
        env.begin().abort()
    except pylmdb.CorruptedError:
        break
measure({"begin": env.begin}, raises=True)
""",
        env_path,
        lib_version,
    )


def test_threads_read_while_one_writes(env):
    stop = threading.Event()

    def read():
        last = 0
        while not stop.is_set():
            with env.begin() as txn:
                number = number_in(txn)
                assert number >= last
                last = number
                assert number_in(txn) == number

    def commit():
        try:
            for number in range(1, 300):
                write(env, number)
        finally:
            stop.set()

    in_threads(read, read, commit)


def test_a_file_that_was_moved_is_copied(env, tmp_path):
    """No transaction can be committed any more, so the copy needs none."""
    (tmp_path / "env" / "data.mdb").rename(tmp_path / "moved")
    env.copy(tmp_path / "copy")
    assert copied(tmp_path / "copy") == 0
    (tmp_path / "moved").rename(tmp_path / "env" / "data.mdb")


def copied(path):
    with pylmdb.open(path, readonly=True, lock=False) as env, env.begin() as txn:
        return number_in(txn)


def dump_and_load(env, path):
    text = path.with_suffix(".dump")
    pylmdb.dump(env, text)
    pylmdb.load(text, path)


WAYS = {
    "copy": lambda env, path: env.copy(path),
    "compact": lambda env, path: env.copy(path, compact=True),
    "dump": dump_and_load,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_copy_has_one_snapshot(env, tmp_path, way):
    stop = threading.Event()

    def commit():
        number = 0
        while not stop.is_set():
            number += 1
            write(env, number)

    def copy():
        try:
            last = 0
            for count in range(30):
                path = tmp_path / f"copy {count}"
                way(env, path)
                number = copied(path)
                assert number >= last
                last = number
                assert pylmdb.verify(path).ok
        finally:
            stop.set()

    in_threads(commit, copy)
