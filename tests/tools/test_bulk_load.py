# SPDX-License-Identifier: MIT
"""bulk_load: records in any order, sorted in memory and in runs on disk, all or none."""

import itertools
import os
import random
import signal

import numpy as np
import pytest
import strikes
from hypothesis import given, settings
from hypothesis import strategies as st
from merged import add, content, make
from programs import finish, start

import pylmdb
from pylmdb.tools import bulk_loading, sorting

KINDS = {
    "plain": {},
    "backwards": {"reverse_key": True},
    "numbers": {"integerkey": True},
    "several": {"dupsort": True},
    "fixed": {"dupfixed": True},
    "twos": {"integerdup": True, "integerkey": True},
    "back": {"dupsort": True, "reverse_key": True},
}


@pytest.fixture
def little_memory(monkeypatch):
    """Make runs of about 2000 small records, and merge three into one."""
    room = sorting.BATCH_MEMORY + (1 << 20) + (64 << 10)
    monkeypatch.setattr(bulk_loading, "parse_memory", lambda memory: room)
    monkeypatch.setattr(bulk_loading, "_BATCH_SIZE", 50_000)
    monkeypatch.setattr(sorting, "FAN_IN", 3)


def shuffled(count, size=20, seed=1):
    rng = random.Random(seed)
    records = [(b"%08d" % i, rng.randbytes(size)) for i in range(count)]
    rng.shuffle(records)
    return records


# -- order, and runs ---------------------------------------------------------------------


def test_pages_are_full(tmp_path, lib_version):
    records = shuffled(20000)
    assert pylmdb.bulk_load(tmp_path / "e", records, lib_version=lib_version) == 20000
    assert content(tmp_path / "e") == sorted(records)
    with pylmdb.open(tmp_path / "e") as env:
        assert env.lib_version()[0] == lib_version
        assert env.stat().leaf_pages < 20000 * 38 / 4096 * 1.1
    assert pylmdb.verify(tmp_path / "e").ok


def test_runs_on_disk(tmp_path, lib_version, little_memory):
    records = shuffled(25000)
    seen = set()

    def watched():
        for record in records:
            yield record
            seen.update(name.partition(".tmp-")[0] for name in os.listdir(tmp_path))

    assert pylmdb.bulk_load(tmp_path / "e", records) == 25000
    pylmdb.bulk_load(tmp_path / "f", watched(), subdir=False, lib_version=lib_version)
    assert content(tmp_path / "e") == content(tmp_path / "f") == sorted(records)
    assert seen == {"e", "f"}, "runs are beside the destination"
    assert sorted(os.listdir(tmp_path)) == ["e", "f", "f-lock"]


def test_memory_is_what_decides(tmp_path, monkeypatch):
    """4 MiB, of which one is for records as Python objects: no more than 3 MiB in each run."""
    runs = []
    made = sorting.Sorting._make_run
    monkeypatch.setattr(
        sorting.Sorting, "_make_run", lambda *args: runs.append(made(*args)) or runs[-1]
    )
    records = shuffled(10000, 1000)
    pylmdb.bulk_load(tmp_path / "e", records, memory="4 MiB")
    assert len(runs) >= 3
    assert max(run.entries for run in runs) * 1000 < 3 << 20
    pylmdb.bulk_load(tmp_path / "f", records, memory=64 << 20)
    assert content(tmp_path / "e") == content(tmp_path / "f") == sorted(records)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_puts_do(tmp_path, lib_version, kind, little_memory):
    """Keys with long common beginnings, prefixes of others, and zeros at their ends."""
    rng, flags = random.Random(kind), KINDS[kind]
    if "integerkey" in flags:
        keys = [rng.randrange(500).to_bytes(8, "little") for _ in range(6000)]
    else:
        parts = [b"", b"\0", b"\0\0", b"a", b"common-beginning", b"common-beginning\0", b"\xff"]
        keys = [b"k" + b"".join(rng.choices(parts, k=rng.randrange(9))) for _ in range(6000)]
    width = 8 if "integerdup" in flags or "dupfixed" in flags else None
    values = [rng.randbytes(width or rng.randrange(1, 12)) for _ in keys]
    records = [*zip(keys, values, strict=True)]
    make(tmp_path / "puts", lib_version, records, b"d", **flags)
    expected = content(tmp_path / "puts", b"d")
    pylmdb.bulk_load(tmp_path / "e", records, b"d", lib_version=lib_version, **flags)
    assert content(tmp_path / "e", b"d") == expected
    pylmdb.bulk_load(tmp_path / "e", reversed(records), b"d")
    assert pylmdb.verify(tmp_path / "e").ok
    if "dup" in str(flags):
        assert content(tmp_path / "e", b"d") == expected
    else:
        first = dict(reversed(records))
        assert content(tmp_path / "e", b"d") == [(key, first[key]) for key, _ in expected]


KEYS = st.binary(min_size=1, max_size=3)
RECORDS = st.lists(st.tuples(KEYS, st.binary(max_size=2)), max_size=30)


@settings(deadline=None, max_examples=50)
@given(before=RECORDS, records=RECORDS, choice=st.sampled_from(["first", "last"]))
def test_it_is_what_dicts_do(tmp_path_factory, before, records, choice):
    folder = tmp_path_factory.mktemp("bulk")
    pylmdb.bulk_load(folder / "e", before, lib_version=len(before) % 2)
    pylmdb.bulk_load(folder / "e", records, on_conflict=choice)
    expected = dict(before)
    for key, value in records:
        if choice == "last" or key not in expected:
            expected[key] = value
    assert content(folder / "e") == sorted(expected.items())


# -- conflicts ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [10, 5000], ids=["in memory", "in runs"])
def test_conflicts_among_the_records(tmp_path, lib_version, count, little_memory):
    records = [(b"k", b"first"), *shuffled(count), (b"k", b"last"), (b"k", b"last")]
    for choice in ("first", "last"):
        dest = tmp_path / choice
        written = pylmdb.bulk_load(dest, records, on_conflict=choice, lib_version=lib_version)
        assert written == count + 1
        assert content(dest)[-1] == (b"k", choice.encode())
    with pytest.raises(
        pylmdb.KeyExistsError, match=r"key b'k' has different values in the records"
    ):
        pylmdb.bulk_load(tmp_path / "e", records, on_conflict="error", lib_version=lib_version)
    assert sorted(os.listdir(tmp_path)) == ["first", "last"]
    assert pylmdb.bulk_load(tmp_path / "e", records[1:], on_conflict="error") == count + 1


def test_conflicts_with_the_database(env):
    add(env, [(b"b", b"old"), (b"c", b"same")])
    records = [(b"c", b"same"), (b"b", b"new"), (b"a", b"1")]
    with pytest.raises(pylmdb.KeyExistsError, match=r"b'b' .* in the database and in the records"):
        pylmdb.bulk_load(env, records, on_conflict="error")
    with env.begin() as txn:
        assert [*txn.cursor()] == [(b"b", b"old"), (b"c", b"same")]
    assert pylmdb.bulk_load(env, records, on_conflict="first") == 1
    with env.begin() as txn:
        assert txn.get(b"b") == b"old"
    assert pylmdb.bulk_load(env, records) == 3
    with env.begin() as txn:
        assert [*txn.cursor()] == [(b"a", b"1"), (b"b", b"new"), (b"c", b"same")]


# -- arrays --------------------------------------------------------------------------------


def test_a_pair_of_arrays(tmp_path, lib_version, little_memory):
    rng = np.random.default_rng(1)
    numbers = rng.permutation(9000)
    rows = rng.random((9000, 3))[:, :2]
    expected = {int(number): row.tobytes() for number, row in zip(numbers, rows, strict=True)}
    dest, options = tmp_path / "e", {"lib_version": lib_version}
    assert pylmdb.bulk_load(dest, (numbers, rows), b"big", **options) == 9000
    pylmdb.bulk_load(dest, ([*numbers.tolist()], rows), b"native", integerkey=True)
    pylmdb.bulk_load(dest, (numbers, rows), b"text", key_format="%06d")
    pylmdb.bulk_load(dest, ([b"%d" % n for n in numbers], rows), b"bytes")
    table = rng.integers(0, 256, (3000, 16), np.uint8)
    pylmdb.bulk_load(dest, (table, table), b"table")
    forms = {
        b"big": lambda n: n.to_bytes(8, "big"),
        b"native": lambda n: n.to_bytes(8, "little"),
        b"text": lambda n: b"%06d" % n,
        b"bytes": lambda n: b"%d" % n,
    }
    for name, form in forms.items():
        assert dict(content(dest, name)) == {form(n): row for n, row in expected.items()}
    assert dict(content(dest, b"table")) == {row.tobytes(): row.tobytes() for row in table}
    assert pylmdb.verify(dest).ok


def test_integers_of_the_width_that_the_database_has(env):
    db = env.open_db(b"d", integerkey=True)
    add(env, [((7).to_bytes(4, "little"), b"x")], b"d")
    pylmdb.bulk_load(env, (np.array([9, 8]), np.zeros((2, 1), np.uint8)), db)
    with env.begin() as txn:
        keys = [key for key, _ in txn.cursor(db)]
    assert keys == [number.to_bytes(4, "little") for number in (7, 8, 9)]


def test_arrays_that_do_not_fit(tmp_path):
    with pytest.raises(pylmdb.InvalidParameterError, match=r"shape \(2, 1\).* each of 3 keys"):
        pylmdb.bulk_load(tmp_path / "e", (range(3), np.zeros((2, 1))))
    with pytest.raises(pylmdb.InvalidParameterError, match="the key -1 is not an unsigned"):
        pylmdb.bulk_load(tmp_path / "e", (np.arange(3) - 1, np.zeros((3, 1))))
    keys = [b"k"] * 5 + [b""]
    with pytest.raises(pylmdb.BadValsizeError, match="record 5, key b''"):
        pylmdb.bulk_load(tmp_path / "e", (keys, np.zeros((6, 1))))
    assert pylmdb.bulk_load(tmp_path / "e", ([], np.zeros((0, 1)))) == 0


# -- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ((b"k", "v"), r"record 3: value must be bytes, not str; use value.encode\(\)"),
        ((1, b"v"), "record 3: key must be bytes or another buffer, not int"),
        ((b"k",), "record 3 must be a pair of key and value, not a tuple of 1"),
        ([b"k", b"v", b"w"], "record 3 must be a pair of key and value, not a list of 3"),
        (None, "record 3 must be a pair of key and value, not NoneType"),
    ],
)
def test_a_record_that_is_not_a_pair_of_bytes(tmp_path, record, message):
    with pytest.raises(TypeError, match=message):
        pylmdb.bulk_load(tmp_path / "e", [(b"k", b"v")] * 3 + [record])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({b"k": b"v"}, r"an iterable of pairs of key and value, not dict; use its items\(\)"),
        (None, "an iterable of pairs of key and value, not NoneType"),
        (5, "an iterable of pairs of key and value, not int"),
    ],
)
def test_records_that_are_not_pairs(tmp_path, records, message):
    with pytest.raises(TypeError, match=f"bulk_load: records must be {message}"):
        pylmdb.bulk_load(tmp_path / "e", records)
    assert os.listdir(tmp_path) == []


def test_a_record_that_does_not_fit(env):
    db = env.open_db(b"d", dupsort=True)
    for key, value, message in [
        (b"", b"v", "record 2, key b'':.*LMDB has no empty keys"),
        (b"k" * 3000, b"v", "record 2, key b'kk.*key has 3000 bytes"),
        (b"k", b"v" * 3000, "record 2, key b'k':.*value has 3000 bytes; values of the database"),
    ]:
        with pytest.raises(pylmdb.BadValsizeError, match=message):
            pylmdb.bulk_load(env, [(b"a", b"a"), (b"b", b"b"), (key, value)], db)
    with env.begin() as txn:
        assert txn.stat(db).entries == 0


def test_integers_and_values_of_one_width(tmp_path, lib_version):
    four, eight = bytes(4), bytes(8)
    for records, flags in [
        ([(four, b"v"), (eight, b"v")], {"integerkey": True}),
        ([(b"123", b"v")], {"integerkey": True}),
        ([(b"k", b"123")], {"integerdup": True}),
        ([(b"k", four), (b"k", eight)], {"integerdup": True}),
        ([(b"k", b"1"), (b"k", b"22")], {"dupfixed": True}),
    ]:
        with pytest.raises(pylmdb.BadValsizeError, match="key b'"):
            pylmdb.bulk_load(tmp_path / "e", records, b"d", lib_version=lib_version, **flags)
        assert os.listdir(tmp_path) == []


def test_arguments(tmp_path, env):
    with pytest.raises(
        pylmdb.InvalidParameterError, match=r"on_conflict must be one of .*'newest'$"
    ):
        pylmdb.bulk_load(tmp_path / "e", [], on_conflict="newest")
    with pytest.raises(ValueError, match=r"bulk_load: .* not 'lst'; did you mean 'last'\?"):
        pylmdb.bulk_load(tmp_path / "e", [], on_conflict="lst")
    with pytest.raises(TypeError, match="unexpected keyword argument 'dupsrot'"):
        pylmdb.bulk_load(tmp_path / "e", [], dupsrot=True)
    with pytest.raises(pylmdb.InvalidParameterError, match="belongs to another environment"):
        pylmdb.bulk_load(tmp_path / "e", [], env.open_db(b"d"))
    with pytest.raises(pylmdb.IncompatibleError, match="other flags in the destination: none"):
        pylmdb.bulk_load(env, [], b"d", dupsort=True)
    with pytest.raises(TypeError):
        pylmdb.bulk_load(tmp_path / "e", 5)
    assert not (tmp_path / "e").exists()


def test_memory():
    assert sorting.parse_memory("1 GiB") == 1 << 30
    assert sorting.parse_memory("512mib") == 512 << 20
    assert sorting.parse_memory("1.5 GiB") == 3 << 29
    assert sorting.parse_memory(4 << 20) == 4 << 20
    for memory in ("", "1", "1 GB", "-1 GiB", "9" * 30 + "B", True):
        with pytest.raises(pylmdb.InvalidParameterError, match="number of bytes or a text"):
            sorting.parse_memory(memory)
    for memory in (0, -1, "1 MiB", 1 << 70):
        with pytest.raises(pylmdb.InvalidParameterError, match="at least 4 MiB"):
            sorting.parse_memory(memory)
    with pytest.raises(TypeError):
        sorting.parse_memory(1.5)


# -- the iterator --------------------------------------------------------------------------


def test_an_iterator_that_raises(tmp_path, env, little_memory):
    def failing():
        yield from shuffled(5000)
        raise KeyError("mine")

    for dest in (tmp_path / "e", env):
        with pytest.raises(KeyError, match="mine"):
            pylmdb.bulk_load(dest, failing(), b"d")
    assert os.listdir(tmp_path) == ["env"]
    assert sorted(os.listdir(tmp_path / "env")) == ["data.mdb", "lock.mdb"]
    assert env.dbs() == []


def test_an_iterator_that_uses_the_environment(env):
    db = env.open_db(b"d")
    add(env, [(b"%d" % i, b"v") for i in range(10)], b"d")

    def doubled():
        with env.begin(buffers=True) as txn:
            for key, value in txn.cursor(db):
                yield key, value
                yield bytes(key) * 2, value
        with env.begin(write=True) as txn:
            txn.put(b"99", b"older", db=db)

    assert pylmdb.bulk_load(env, doubled(), db) == 20
    with env.begin() as txn:
        assert [*txn.cursor(db)] == sorted((b"%d" % i * n, b"v") for i in range(10) for n in (1, 2))


def test_an_iterator_that_uses_its_buffers_again(tmp_path):
    def records():
        key, value = bytearray(4), bytearray(2)
        for i in range(100):
            key[:], value[:] = b"%04d" % i, b"%02d" % i
            yield key, memoryview(value)

    pylmdb.bulk_load(tmp_path / "e", records())
    assert content(tmp_path / "e") == [(b"%04d" % i, b"%02d" % i) for i in range(100)]


def test_an_iterator_that_closes_the_environment(env):
    def closing():
        yield b"k", b"v"
        env.close()

    with pytest.raises(pylmdb.ClosedError):
        pylmdb.bulk_load(env, closing())


def test_inside_a_write_transaction(env):
    with env.begin(write=True), pytest.raises(pylmdb.Error, match="write transaction open"):
        pylmdb.bulk_load(env, [(b"k", b"v")])


# -- all or none ------------------------------------------------------------------------------


def test_nothing_is_visible_before_the_end(env):
    found = []

    def look(done, total):
        with env.begin() as txn:
            found.append(txn.stat().entries)

    assert pylmdb.bulk_load(env, shuffled(3000), progress=look) == 3000
    assert set(found) == {0}


def test_progress(tmp_path, little_memory):
    steps = []
    pylmdb.bulk_load(tmp_path / "e", shuffled(9000), progress=lambda *step: steps.append(step))
    assert steps[-1] == (18000, 18000)
    assert steps[0][1] == 0
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_interrupts(tmp_path, lib_version, monkeypatch, little_memory):
    """Two runs are made, and merged into one."""
    monkeypatch.setattr(bulk_loading, "_BATCH_SIZE", 1 << 20)
    monkeypatch.setattr(sorting, "FAN_IN", 2)
    table = np.random.default_rng(1).integers(0, 256, (5000, 16), np.uint8)
    records = table, table

    numbers = itertools.count()

    def load():
        pylmdb.bulk_load(tmp_path / f"e{next(numbers)}", records, lib_version=lib_version)

    total = strikes.points(load)
    for number, where, struck in strikes.each(load, range(1, total, total // 25)):
        at = f"strike {number} at {where}"
        assert struck, at
        assert not [name for name in os.listdir(tmp_path) if ".tmp-" in name], at


def test_a_killed_process_leaves_files_for_the_next_to_remove(tmp_path, lib_version):
    program = """
import time

def records():
    for i in range(9000):
        yield b"%d" % i, bytes(1000)
    print("go", flush=True)
    time.sleep(9)

pylmdb.bulk_load(path + "-out", records(), memory="4 MiB")
"""
    process = start(program, tmp_path / "a", lib_version)
    assert process.stdout.readline() == "go\n"
    os.kill(process.pid, signal.SIGKILL)
    finish(process, -signal.SIGKILL)
    assert len([name for name in os.listdir(tmp_path) if ".tmp-" in name]) >= 2
    assert pylmdb.bulk_load(tmp_path / "a-out", [(b"k", b"v")]) == 1
    assert not [name for name in os.listdir(tmp_path) if ".tmp-" in name]


@pytest.mark.parametrize("flags", [{}, {"integerkey": True}, {"dupsort": True}], ids=str)
@pytest.mark.parametrize("where", [1, 2, "last"])
def test_a_signal_ends_the_sort(tmp_path, lib_version, monkeypatch, flags, where):
    """C asks at intervals during the sort.  Here the signal arrives at one of these moments."""
    asked, at = [], where

    def ask(context):
        asked.append(context)
        if len(asked) == at:
            signal.raise_signal(signal.SIGINT)
        return 0

    rng = random.Random(1)
    records = [(rng.randbytes(8), rng.randbytes(4)) for _ in range(100_000)]
    if "dupsort" in flags:
        records = [(key[:1], key + value) for key, value in records]

    def load(name):
        return pylmdb.bulk_load(tmp_path / name, records, b"x", lib_version=lib_version, **flags)

    monkeypatch.setattr(sorting, "_on_sorting", ask)
    monkeypatch.setattr(sorting, "_prepared", set())
    if where == "last":
        at = None
        assert load("whole") == len(records)
        at, asked[:] = len(asked), []
    with pytest.raises(KeyboardInterrupt):
        load("new")
    assert len(asked) == at
    assert [name for name in os.listdir(tmp_path) if name != "whole"] == []


def test_how_often_the_sort_asks(tmp_path, monkeypatch):
    """At least once for each 2**18 entries in each of its passes over them."""
    asked = []
    monkeypatch.setattr(sorting, "_on_sorting", lambda context: asked.append(1) or 0)
    monkeypatch.setattr(sorting, "_prepared", set())
    rng = random.Random(1)
    records = [(rng.randbytes(8), b"") for _ in range(300_000)]
    pylmdb.bulk_load(tmp_path / "new", records)
    # their bytes are read and counted, and they are sorted by each of 8 bytes
    assert len(asked) >= 300_000 * 10 // 2**18
