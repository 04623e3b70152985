# SPDX-License-Identifier: MIT
"""merge and convert, with environments of both data formats."""

import os
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merged import add, content, make
from programs import finish, start

import pylmdb
from pylmdb import tools

FLAGS = {
    b"plain": {},
    b"backwards": {"reverse_key": True},
    b"numbers": {"integerkey": True},
    b"several": {"dupsort": True},
    b"fixed": {"dupfixed": True},
    b"twos": {"integerdup": True},
}


def numbered(numbers, text=b"v"):
    return [(b"%06d" % i, text + b"%d" % i) for i in numbers]


def test_interleaved_records(tmp_path, versions):
    sources = [tmp_path / "a", tmp_path / "b"]
    for i, source in enumerate(sources):
        make(source, versions[i], numbered(range(i, 3000, 2)))
    assert pylmdb.merge(sources, tmp_path / "all") == 3000
    assert content(tmp_path / "all") == numbered(range(3000))
    assert sorted(os.listdir(tmp_path)) == ["a", "all", "b"]


@pytest.mark.parametrize("name", [None, b"named"])
@pytest.mark.parametrize("width", [1, 7, 500, 4000])
def test_runs_of_records_between_those_of_other_sources(tmp_path, versions, name, width):
    """Pages that other sources have nothing between are read at once; large values are not."""
    values = [b"", b"v" * 30, b"v" * 900, b"v" * 30, b"v" * 5000]
    pairs = [(b"%06d" % i, values[i % 19 % 5]) for i in range(4000)]
    parts = [[], []]
    for i, pair in enumerate(pairs):
        parts[i // width % 2].append(pair)
    sources = [tmp_path / "a", tmp_path / "b"]
    for source, version, part in zip(sources, versions, parts, strict=True):
        if name is None:
            make(source, version, [(b"1", b"1")], b"000100.")  # named databases in between
            make(source, version, [(b"1", b"1")], b"zzz")
        make(source, version, part, name)
    merged = tmp_path / "all"
    assert pylmdb.merge(sources, merged) == len(pairs) + 2 * (name is None)
    found = content(merged, name)
    names = [b"000100.", b"zzz"] if name is None else [name]
    assert [pair for pair in found if pair[0].rstrip(b"\0") not in names] == pairs
    assert pylmdb.verify(merged).ok
    with pylmdb.open(merged) as env:
        assert env.dbs() == names


def test_equal_keys_at_the_ends_of_pages(tmp_path, lib_version):
    """The last key of a page that another source has, too, is not read at once."""
    sources = [tmp_path / "a", tmp_path / "b"]
    make(sources[0], lib_version, [(b"%06d" % i, b"a" * 100) for i in range(2000)])
    for first in (34, 35, 36, 37, 1999):
        make(sources[1], lib_version, [(b"%06d" % first, b"b")])
    assert pylmdb.merge(sources, tmp_path / "all", "last") == 2000
    found = dict(content(tmp_path / "all"))
    assert [key for key, value in found.items() if value == b"b"] == [
        b"%06d" % i for i in (34, 35, 36, 37, 1999)
    ]
    with pytest.raises(pylmdb.KeyExistsError, match="000034"):
        pylmdb.merge(sources, tmp_path / "none")


def test_databases_keep_their_flags(tmp_path, versions):
    sources = [tmp_path / "a", tmp_path / "b"]
    for i, source in enumerate(sources):
        for name, flags in FLAGS.items():
            values = [i, i + 2] if "dup" in str(flags) else [0]
            pairs = [
                (k.to_bytes(8, "little"), v.to_bytes(8, "little"))
                for k in range(50 + i)
                for v in values
            ]
            make(source, versions[i], pairs, name, **flags)
    pylmdb.merge(sources, tmp_path / "all")
    with pylmdb.open(tmp_path / "all") as env:
        assert env.lib_version()[0] == max(versions)
        assert env.dbs() == sorted(FLAGS)
        for name, flags in FLAGS.items():
            db = env.open_db(name, create=False)
            expected = {*content(sources[0], name), *content(sources[1], name)}
            assert {flag for flag, is_set in db.flags().items() if is_set} >= {*flags}
            with env.begin() as txn:
                found = [*txn.cursor(db)]
                assert txn.stat(db).entries == len(found) == len(expected)
            assert {*found} == expected
            if name in (b"numbers", b"twos"):
                order = [
                    (int.from_bytes(k, "little"), int.from_bytes(v, "little")) for k, v in found
                ]
                assert order == sorted(order)


def test_a_database_that_only_one_source_has(tmp_path, versions):
    make(tmp_path / "a", versions[0], [(b"k", b"1")])
    make(tmp_path / "b", versions[1], [(b"k", b"2")], b"named")
    assert pylmdb.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all") == 2
    assert content(tmp_path / "all", b"named") == [(b"k", b"2")]
    with pylmdb.open(tmp_path / "all") as env:
        assert env.stat().entries == 2  # the record and the database


def test_conflicts(tmp_path, versions):
    sources = [tmp_path / "a", tmp_path / "b"]
    make(sources[0], versions[0], [(b"a", b"1"), (b"same", b"0"), (b"x", b"1")])
    make(sources[1], versions[1], [(b"b", b"2"), (b"same", b"0"), (b"x", b"2")])
    with pytest.raises(pylmdb.KeyExistsError, match=r"b'x' has different values in .*a' and .*b'"):
        pylmdb.merge(sources, tmp_path / "all")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    for choice, kept in (("first", b"1"), ("last", b"2")):
        assert pylmdb.merge(sources, tmp_path / choice, choice) == 4
        found = [(b"a", b"1"), (b"b", b"2"), (b"same", b"0"), (b"x", kept)]
        assert content(tmp_path / choice) == found


def test_an_existing_destination(tmp_path, versions):
    path, source = tmp_path / "a", tmp_path / "b"
    make(path, versions[0], [(b"b", b"1"), (b"d", b"1")])
    make(source, versions[1], [(b"a", b"2"), (b"d", b"2"), (b"z", b"2")])
    before = content(path)
    with pytest.raises(pylmdb.KeyExistsError, match="b'd'"):
        pylmdb.merge([source], path)
    assert content(path) == before, "a merge that fails leaves nothing"
    assert pylmdb.merge([source], path, "first") == 2
    assert content(path) == [(b"a", b"2"), (b"b", b"1"), (b"d", b"1"), (b"z", b"2")]
    assert pylmdb.merge([source], path, "last") == 3
    assert content(path)[2] == (b"d", b"2")
    assert pylmdb.merge([source], path) == 0, "equal records are not a conflict"


def test_records_after_the_existing_ones_are_appended(tmp_path, versions):
    make(tmp_path / "a", versions[0], numbered(range(2000), b"v" * 100))
    make(tmp_path / "b", versions[1], numbered(range(2000, 4000), b"v" * 100))
    with pylmdb.open(tmp_path / "a") as env:
        leaves = env.stat().leaf_pages
        assert pylmdb.merge([tmp_path / "b"], env) == 2000
        assert env.stat().entries == 4000
        # full pages: half-full ones would be twice as many
        assert env.stat().leaf_pages < leaves + 2000 * 118 / 4000 * 1.2


def test_values_of_one_key_are_united(tmp_path, versions):
    make(tmp_path / "a", versions[0], [(b"k", b"%d" % i) for i in (1, 3, 5)], b"d", dupsort=True)
    make(tmp_path / "b", versions[1], [(b"k", b"%d" % i) for i in (3, 4)], b"d", dupsort=True)
    pylmdb.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert content(tmp_path / "all", b"d") == [(b"k", b"%d" % i) for i in (1, 3, 4, 5)]
    pylmdb.merge([tmp_path / "b"], tmp_path / "a")
    assert content(tmp_path / "a", b"d") == content(tmp_path / "all", b"d")


def test_open_environments_and_snapshots(tmp_path, lib_version):
    with pylmdb.open(tmp_path / "a", lib_version=lib_version) as source:
        add(source, numbered(range(10)))
        with pylmdb.open(tmp_path / "b", lib_version=lib_version) as dest:
            assert pylmdb.merge([source], dest) == 10
            with dest.begin() as txn:
                assert [*txn.cursor()] == numbered(range(10))
        with source.begin() as txn:
            assert txn.get(b"000000"), "the source is still open"


def test_single_files(tmp_path, lib_version):
    with pylmdb.open(tmp_path / "a.lmdb", subdir=False, lib_version=lib_version) as env:
        add(env, numbered(range(10)))
    pylmdb.merge([tmp_path / "a.lmdb"], tmp_path / "b.lmdb")
    assert (tmp_path / "b.lmdb").is_file()
    pylmdb.merge([tmp_path / "b.lmdb"], tmp_path / "c", subdir=True)
    assert content(tmp_path / "c") == numbered(range(10))


def test_more_databases_than_are_open_by_default(tmp_path, lib_version):
    with pylmdb.open(tmp_path / "a", max_dbs=300, lib_version=lib_version) as env:
        for i in range(200):
            add(env, [(b"k", b"%d" % i)], b"db%03d" % i)
    assert pylmdb.merge([tmp_path / "a"], tmp_path / "b") == 200
    assert content(tmp_path / "b", b"db199") == [(b"k", b"199")]


def test_what_is_refused(tmp_path, lib_version):
    a = make(tmp_path / "a", lib_version, [(b"12345678", b"v")], b"d", integerkey=True)
    b = make(tmp_path / "b", lib_version, [(b"1234", b"v")], b"d", integerkey=True)
    c = make(tmp_path / "c", lib_version, [(b"k", b"v")], b"d", dupsort=True)
    d = make(tmp_path / "d", lib_version, [(b"d", b"an ordinary record")])
    with pytest.raises(pylmdb.BadValsizeError, match="b'1234'"):
        pylmdb.merge([a, b], tmp_path / "new")
    with pytest.raises(pylmdb.BadValsizeError, match="b'1234'"):
        pylmdb.merge([b], a)
    with pytest.raises(pylmdb.IncompatibleError, match="other flags"):
        pylmdb.merge([a, c], tmp_path / "new")
    with pytest.raises(pylmdb.IncompatibleError, match="other flags"):
        pylmdb.merge([c], a)
    if not lib_version:  # the names of 1.0 are other keys
        with pytest.raises(pylmdb.IncompatibleError):
            pylmdb.merge([a, d], tmp_path / "new")
    with pytest.raises(ValueError, match="both a source and the destination"):
        pylmdb.merge([a, b], tmp_path / "." / "b")
    with pytest.raises(ValueError, match="at least one"):
        pylmdb.merge([], tmp_path / "new")
    with pytest.raises(ValueError, match="on_conflict"):
        pylmdb.merge([a], tmp_path / "new", "newest")
    with pytest.raises(ValueError, match=r"merge: on_conflict .*; did you mean 'first'\?"):
        pylmdb.merge([a], tmp_path / "new", "fist")
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c", "d"]


def test_a_fixed_size_that_is_too_small(tmp_path, lib_version):
    make(tmp_path / "a", lib_version, numbered(range(20000), b"v" * 100))
    with pylmdb.open(tmp_path / "b", map_size=1 << 20, lib_version=lib_version) as env:
        add(env, [(b"kept", b"1")])
        with pytest.raises(pylmdb.MapFullError):
            pylmdb.merge([tmp_path / "a"], env)
        with env.begin() as txn:
            assert [*txn.cursor()] == [(b"kept", b"1")]


def test_progress(tmp_path, lib_version, monkeypatch):
    make(tmp_path / "a", lib_version, numbered(range(1000)))
    calls = []
    pylmdb.merge([tmp_path / "a"], tmp_path / "b", progress=lambda *step: calls.append(step))
    assert calls[-1] == (1000, 1000)
    with pytest.raises(KeyboardInterrupt):
        pylmdb.merge([tmp_path / "a"], tmp_path / "c", progress=interrupt)
    assert not (tmp_path / "c").exists()
    assert pylmdb.merge([tmp_path / "a"], tmp_path / "c", progress=True) == 1000


def interrupt(done, total):
    raise KeyboardInterrupt


def test_portions(tmp_path, versions, monkeypatch):
    """A new environment is committed several times, and is the same."""
    monkeypatch.setattr("pylmdb.tools.destination.COMMIT_BYTES", 10_000)
    monkeypatch.setattr("pylmdb.tools.merging._STEP", 3_000)
    for i, name in enumerate("ab"):
        make(tmp_path / name, versions[i], numbered(range(i, 4000, 3)), b"n")
    pylmdb.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    assert content(tmp_path / "all", b"n") == numbered([i for i in range(4000) if i % 3 != 2])
    with pylmdb.open(tmp_path / "all") as env:
        assert env.info().last_txnid > 3


def test_another_process_creates_the_destination_meanwhile(tmp_path, lib_version):
    make(tmp_path / "a", lib_version, numbered(range(10)))
    taken = tmp_path / "b"
    with pytest.raises(pylmdb.Error, match="created by another process"):
        pylmdb.merge([tmp_path / "a"], taken, progress=lambda *_: make(taken, 0, [(b"mine", b"")]))
    assert content(taken) == [(b"mine", b"")]
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_killed_merge_leaves_no_environment(tmp_path, lib_version):
    make(tmp_path / "a", lib_version, numbered(range(20000), b"v" * 200))
    program = """
def stop(done, total):
    print("go", flush=True)
    time.sleep(9)

pylmdb.merge([path], path + "-out", progress=stop)
"""
    process = start(program, tmp_path / "a", lib_version)
    assert process.stdout.readline() == "go\n"
    os.kill(process.pid, signal.SIGKILL)
    finish(process, -signal.SIGKILL)
    assert not (tmp_path / "a-out").exists()
    assert pylmdb.merge([tmp_path / "a"], tmp_path / "a-out") == 20000


def test_a_truncated_source(tmp_path, lib_version):
    make(tmp_path / "a", lib_version, numbered(range(20000), b"v" * 200))
    data = tmp_path / "a" / "data.mdb"

    def cut(done, total):
        os.truncate(data, 1 << 20)

    tools.merging._STEP, step = 1 << 18, tools.merging._STEP
    try:
        with pytest.raises(pylmdb.CorruptedError):
            pylmdb.merge([tmp_path / "a"], tmp_path / "b", progress=cut)
    finally:
        tools.merging._STEP = step
    assert not (tmp_path / "b").exists()


def test_a_source_is_truncated_at_its_last_record(tmp_path, lib_version, monkeypatch):
    """The zeros that are then read are not written as a record."""
    monkeypatch.setattr("pylmdb.tools.merging._STEP", 1)
    make(tmp_path / "a", lib_version, [(b"last", b"M" * 50_000)])
    data, number = tmp_path / "a" / "data.mdb", 0
    while b"a%d" % number not in data.read_bytes()[:12288]:  # the leaf page is before the value
        number += 1
        make(tmp_path / "a", lib_version, [(b"a%d" % number, b"1")])
    place = data.read_bytes().index(b"M" * 50_000) & -4096

    def cut(done, total):
        if done == number:
            os.truncate(data, place + 4096)

    with pytest.raises(pylmdb.CorruptedError):
        pylmdb.merge([tmp_path / "a"], tmp_path / "b", progress=cut)
    assert not (tmp_path / "b").exists()


KEYS = st.binary(min_size=1, max_size=3)
SOURCE = st.dictionaries(KEYS, st.binary(max_size=2), max_size=20)


@settings(deadline=None, max_examples=60)
@given(sources=st.lists(SOURCE, min_size=1, max_size=5), choice=st.sampled_from(["first", "last"]))
def test_it_is_what_dicts_do(tmp_path_factory, sources, choice):
    folder = tmp_path_factory.mktemp("merge")
    paths = [make(folder / str(i), i % 2, [*each.items()]) for i, each in enumerate(sources)]
    expected = {}
    for each in sources if choice == "last" else reversed(sources):
        expected.update(each)
    pylmdb.merge(paths, folder / "all", choice)
    assert content(folder / "all") == sorted(expected.items())
    if len(paths) > 1:
        pylmdb.merge(paths[1:], paths[0], choice)
        assert content(paths[0]) == sorted(expected.items())


@settings(deadline=None, max_examples=30)
@given(sources=st.lists(st.sets(st.tuples(KEYS, KEYS), max_size=30), min_size=1, max_size=4))
def test_it_is_what_sets_do(tmp_path_factory, sources):
    folder = tmp_path_factory.mktemp("merge")
    paths = [make(folder / str(i), i % 2, each, b"d", dupsort=True)
             for i, each in enumerate(sources)]  # fmt: skip
    pylmdb.merge(paths, folder / "all")
    assert content(folder / "all", b"d") == sorted(set().union(*sources))


# -- convert -------------------------------------------------------------------------


@pytest.mark.parametrize("to", [0, 1])
def test_convert(tmp_path, lib_version, to):
    make(tmp_path / "a", lib_version, numbered(range(100)))
    make(tmp_path / "a", lib_version, [(b"k", b"1"), (b"k", b"2")], b"d", dupsort=True)
    assert pylmdb.convert(tmp_path / "a", tmp_path / "b", to) == 102
    with pylmdb.open(tmp_path / "b") as env:
        assert env.lib_version()[0] == to
    assert content(tmp_path / "b", b"d") == [(b"k", b"1"), (b"k", b"2")]
    with pytest.raises(pylmdb.Error, match=r"b': File exists.*does not exist"):
        pylmdb.convert(tmp_path / "a", tmp_path / "b", to)


def test_a_key_that_is_too_long_for_the_format(tmp_path):
    make(tmp_path / "a", 1, [(b"k" * 600, b"v")])
    with pytest.raises(pylmdb.BadValsizeError, match=r"^convert: the main database of .*kkk"):
        pylmdb.convert(tmp_path / "a", tmp_path / "b", 0)
    assert not (tmp_path / "b").exists()


def test_one_source_or_database_is_refused(tmp_path):
    """Its characters would be taken for paths, and its bytes for names."""
    with pytest.raises(TypeError, match=r"merge: sources must be a list, not one str; .*\['a'\]"):
        pylmdb.merge("a", tmp_path / "all")
    with pylmdb.open(tmp_path / "a") as env:
        with pytest.raises(TypeError, match="sources must be a list, not one Environment"):
            pylmdb.merge(env, tmp_path / "all")
        with pytest.raises(TypeError, match="databases must be a list, not one bytes"):
            pylmdb.merge([env], tmp_path / "all", databases=b"d")
    assert not (tmp_path / "all").exists()
