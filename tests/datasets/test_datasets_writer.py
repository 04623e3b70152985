# SPDX-License-Identifier: MIT
"""datasets.Writer: batches, order, what exists, threads, errors."""

import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import pylmdb
from pylmdb.datasets import Dataset, Writer, from_memmap


@pytest.fixture
def write(lib_version, env_path):
    """Return a Writer of the engine and core of the test."""

    def make(path=env_path, **options):
        return Writer(path, lib_version=lib_version, **options)

    return make


def records(path, db=None):
    """Return all keys and values, as users of py-lmdb see them."""
    with pylmdb.open(path, readonly=True) as env:
        handle = env.open_db(db, create=False) if db else None
        with env.begin(handle) as txn:
            return dict(txn.range())


def samples(path, **options):
    with Dataset(path, **options) as dataset:
        return list(dataset)


def keys(path):
    with Dataset(path) as dataset:
        return dataset.keys()


def test_numbered_samples_need_no_index(write, env_path):
    with write() as writer:
        assert [writer.append(b"%d" % n) for n in range(300)] == [*range(300)]
        assert len(writer) == 300
    assert records(env_path) == {b"%08d" % n: b"%d" % n for n in range(300)}
    assert samples(env_path) == [b"%d" % n for n in range(300)]


def describe(path):
    with pylmdb.open(path, readonly=True) as env:
        return env.info().page_size, env.checksums


@pytest.mark.parametrize("exist", ["error", "replace"])
def test_what_a_new_file_is_like(env_path, exist):
    with Writer(env_path, exist=exist, page_size=8192, checksums=True) as writer:
        writer.append(b"value")
    assert describe(env_path) == (8192, True)
    with Writer(env_path, exist="extend") as writer:
        writer.append(b"another")
    with pytest.raises(pylmdb.InvalidError, match="has pages of 8192 bytes"):
        Writer(env_path, exist="extend", page_size=4096)
    assert samples(env_path) == [b"value", b"another"]
    assert describe(env_path) == (8192, True)


def test_what_the_file_of_an_import_is_like(env_path, tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((3, 4)))
    from_memmap(tmp_path / "rows.npy", env_path, page_size=8192, checksums=True)
    assert describe(env_path) == (8192, True)


@pytest.mark.parametrize("commit_every", [1, 7, 1000, "auto"])
def test_the_order_of_adding_is_kept(write, env_path, commit_every):
    names = [b"%d" % n for n in np.random.default_rng(1).permutation(100)]
    with write(commit_every=commit_every) as writer:
        for name in names:
            writer.write(name, b"value of " + name)
    assert keys(env_path) == names
    assert samples(env_path) == [b"value of " + name for name in names]


@pytest.mark.parametrize("commit_every", [1, 3, 1000])
def test_an_index_begins_with_the_first_sample_out_of_order(write, env_path, commit_every):
    with write(commit_every=commit_every) as writer:
        for name in (b"b", b"d", b"f"):
            writer.write(name, name)
    assert set(records(env_path)) == {b"b", b"d", b"f"}
    with write(exist="extend", commit_every=commit_every) as writer:
        assert len(writer) == 3
        for name in (b"g", b"e", b"h", b"a"):
            writer.write(name, name)
    assert keys(env_path) == [b"b", b"d", b"f", b"g", b"e", b"h", b"a"]
    with write(exist="extend") as writer:
        assert len(writer) == 7
        writer.write(b"z", b"z")
    assert keys(env_path)[-2:] == [b"a", b"z"]


@pytest.mark.parametrize("commit_every", [1, 1000])
def test_a_key_written_again_keeps_its_place(write, env_path, commit_every):
    with write(commit_every=commit_every) as writer:
        for name, value in [(b"c", b"1"), (b"a", b"2"), (b"c", b"3"), (b"b", b"4"), (b"a", b"5")]:
            writer.write(name, value)
        writer.flush()
        assert len(writer) == 3
    assert keys(env_path) == [b"c", b"a", b"b"]
    assert samples(env_path) == [b"3", b"5", b"4"]


def test_overwriting_a_sample_makes_no_index(write, env_path):
    with write() as writer:
        for name in (b"a", b"b"):
            writer.write(name, b"1")
    with write(exist="extend") as writer:
        writer.write(b"a", b"2")
        writer.write(b"c", b"3")
    assert records(env_path) == {b"a": b"2", b"b": b"1", b"c": b"3"}


@pytest.mark.parametrize("layout", ["numbered", "folder2lmdb", "ocr"])
def test_each_commit_has_the_count_of_its_samples(write, env_path, layout):
    key = {"numbered": b"length", "folder2lmdb": b"__len__", "ocr": b"num-samples"}[layout]
    with write(layout=layout, commit_every=3) as writer:
        for number in range(7):
            writer.append(b"x")
            if number % 3 == 2:
                writer.flush()
                with writer.env.begin() as txn:
                    count = txn.get(key)
                number_of = pickle.loads if layout == "folder2lmdb" else int
                assert number_of(count) == number + 1 == len(writer)


def test_a_named_database(write, env_path):
    for name in (b"left", b"right"):
        with write(db=name, exist="extend") as writer:
            for each in (b"2", b"1"):
                writer.write(each, name + each)
    assert records(env_path, b"left") == {b"1": b"left1", b"2": b"left2"}
    assert samples(env_path, db=b"right") == [b"right2", b"right1"]


def test_values_are_taken_as_they_are_now(write, env_path):
    array, buffer = np.arange(6.0).reshape(2, 3), bytearray(b"before")
    with write() as writer:
        for value in (array, array.T, array[:, ::2], buffer, memoryview(buffer)):
            writer.append(value)
        array[:], buffer[:] = 0, b"after!"
        with pytest.raises(TypeError, match="encode"):
            writer.append("text")
        with pytest.raises(TypeError, match="Python objects"):
            writer.append(np.array([object()]))
        assert len(writer) == 5
    expected = np.arange(6.0).reshape(2, 3)
    with pylmdb.open(env_path) as env, env.begin() as txn:
        found = [txn.get_array(b"%08d" % n) for n in range(3)]
        rest = [txn.get(b"%08d" % n) for n in (3, 4)]
    assert rest == [b"before"] * 2
    for ours, theirs in zip(found, [expected, expected.T, expected[:, ::2]], strict=True):
        assert np.array_equal(ours, theirs)
        assert ours.ctypes.data % 64 == 0, "as put_array() aligns it"


def test_what_exists(write, env_path):
    with write() as writer:
        writer.append(b"old")
    with pytest.raises(pylmdb.PathExistsError, match="extend"):
        write()
    with pytest.raises(pylmdb.InvalidParameterError, match="exist"):
        write(exist="overwrite")
    with write(exist="replace") as writer:
        assert len(writer) == 0
        writer.append(b"new")
        assert samples(env_path) == [b"old"]
    assert samples(env_path) == [b"new"]
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]


@pytest.mark.parametrize("subdir", [True, False])
@pytest.mark.parametrize("exist", ["error", "extend", "replace"])
def test_what_does_not_exist(write, env_path, exist, subdir):
    with write(exist=exist, subdir=subdir) as writer:
        writer.append(b"one")
    assert os.path.isdir(env_path) == subdir
    assert samples(env_path) == [b"one"]
    assert len(os.listdir(os.path.dirname(env_path))) == (1 if subdir else 2)


@pytest.mark.parametrize("subdir", [True, False])
def test_readers_keep_what_is_replaced(write, env_path, subdir):
    with write(subdir=subdir) as writer:
        for n in range(10):
            writer.append(b"old %d" % n)
    with pylmdb.open(env_path, readonly=True) as env, env.begin(buffers=True) as txn:
        with write(exist="replace", subdir=subdir) as writer:
            for n in range(20):
                writer.append(b"new %d" % n)
        assert [bytes(value) for value in txn.cursor().iternext(False)] == [
            b"old %d" % n for n in range(10)
        ]
        assert env.stat().entries == 10
        with env.begin() as again:
            assert again.get(b"00000003") == b"old 3"
        assert samples(env_path)[3] == b"new 3"
    with write(exist="extend", subdir=subdir) as writer:
        assert len(writer) == 20


def test_both_meta_pages_of_a_replacement_know_all(write, env_path):
    """Whichever of them a lock file of other times points to."""
    with write(exist="replace", commit_every=10) as writer:
        for n in range(100):
            writer.append(b"%d" % n)
    with pylmdb.open(env_path) as env, env.begin(write=True) as txn:
        number = txn.id()
        txn.abort()
    assert number == 10 + 1 + 1


def append_and_raise(writer, value):
    with writer:
        writer.append(value)
        writer.flush()
        raise KeyError


def test_a_block_that_raises(write, env_path):
    with pytest.raises(KeyError):
        append_and_raise(write(), b"kept")
    assert samples(env_path) == [b"kept"]
    writer = write(exist="replace")
    with pytest.raises(KeyError):
        append_and_raise(writer, b"not kept")
    assert writer.closed
    assert samples(env_path) == [b"kept"]
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]


def test_what_a_killed_replacement_left_is_removed(write, env_path):
    with write() as writer:
        writer.append(b"old")
    for name in ("data.mdb.tmp-0123456789abcdef", "data.mdb.tmp-0123456789abcdef-lock"):
        with open(os.path.join(env_path, name), "wb") as file:
            file.write(b"half of it")
    with write(exist="replace") as writer:
        writer.append(b"new")
    assert samples(env_path) == [b"new"]
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]


def test_of_two_replacements_the_one_that_is_closed_last_stays(write, env_path):
    first = write(exist="replace")
    first.append(b"first")
    second = write(exist="replace")
    second.append(b"second")
    second.close()
    assert samples(env_path) == [b"second"]
    first.close()
    assert samples(env_path) == [b"first"]
    assert sorted(os.listdir(env_path)) == ["data.mdb", "lock.mdb"]


def test_another_writer_is_noticed(write, env_path):
    writer = write(commit_every=2)
    writer.append(b"1")
    writer.append(b"2")
    writer.flush()
    with pylmdb.open(env_path) as env, env.begin(write=True) as txn:
        txn.put(b"00000002", b"theirs")
    writer.append(b"3")
    with pytest.raises(pylmdb.BusyError, match="another program"):
        writer.flush()
    with pytest.raises(pylmdb.ClosedError, match="failed"):
        writer.append(b"4")
    with pytest.raises(pylmdb.ClosedError):
        writer.close()
    assert records(env_path)[b"00000002"] == b"theirs"


def test_numbers_that_are_taken_are_not_overwritten(write, env_path):
    with write() as writer:
        writer.write(b"00000001", b"here")
    with write(exist="extend") as writer:
        with pytest.raises(pylmdb.InvalidParameterError, match="key_format"):
            writer.append(b"number 1")
        writer.append(b"named", name="other")
    with write(exist="extend", key_format="n%d") as writer:
        writer.append(b"number 2")
    found = {b"00000001": b"here", b"other": b"named", b"n2": b"number 2"}
    assert {key: value for key, value in records(env_path).items() if key in found} == found
    assert keys(env_path) == [b"00000001", b"other", b"n2"]


def append_many(writer):
    for _ in range(100):
        writer.append(bytes(100_000))


def test_a_full_map_raises_and_earlier_batches_stay(write, env_path):
    writer = write(map_size=1 << 20, commit_every=10)
    with pytest.raises(pylmdb.MapFullError):
        append_many(writer)
    with pytest.raises(pylmdb.ClosedError, match="failed"):
        writer.flush()
    with pytest.raises(pylmdb.ClosedError):
        writer.close()
    assert writer.closed
    writer.close()
    with write(exist="extend", map_size=64 << 20) as writer:
        assert len(writer) % 10 == 0


def test_a_key_of_a_wrong_size_is_refused_and_others_are_written(write, env_path):
    with write() as writer:
        writer.append(b"1", name=b"a" * writer.env.max_key_size())
        for key in (b"", b"a" * (writer.env.max_key_size() + 1)):
            with pytest.raises(pylmdb.BadValsizeError):
                writer.write(key, b"2")
            with pytest.raises(pylmdb.BadValsizeError):
                writer.append(b"2", name=key)
        assert writer.append(b"3") == 1
    assert samples(env_path) == [b"1", b"3"]


def test_the_name_of_the_index_is_no_key(write, env_path):
    with write() as writer:
        for name in (b"b", b"a"):
            writer.write(name, name)
        writer.flush()
        with pytest.raises(pylmdb.InvalidParameterError, match="database"):
            writer.write(b"__order__", b"x")
    assert keys(env_path) == [b"b", b"a"]


def test_an_index_that_does_not_fit(write, env_path):
    with write() as writer:
        for name in (b"b", b"a"):
            writer.write(name, name)
    with pylmdb.open(env_path) as env, env.begin(write=True) as txn:
        txn.put(b"c", b"somebody's")
    with pytest.raises(pylmdb.InvalidParameterError, match="drop that database"):
        write(exist="extend")


class Interrupt(BaseException):
    pass


@pytest.mark.parametrize("at", [5, 20])
def test_an_interrupt_leaves_whole_batches(write, env_path, at):
    """In the middle of a sample; the count is that of the samples that are there."""

    def progress(done, total):
        if done == at:
            raise Interrupt

    def add_all(writer):
        with writer:
            for n in range(30):
                writer.append(b"%d" % n)

    with pytest.raises(Interrupt):
        add_all(write(layout="numbered", commit_every=10, progress=progress))
    with write(layout="numbered", exist="extend") as writer:
        count = len(writer)
        assert at - 1 <= count <= at
    assert [found for key, found in records(env_path).items() if key != b"length"] == [
        b"%d" % n for n in sorted(range(count + 1), key=str) if n < at
    ]


@pytest.mark.parametrize("modes", [(0o600, 0o600), (0o440, 0o660), (0o666, 0o622)])
def test_permissions_stay_when_a_file_is_replaced(write, env_path, modes):
    with write() as writer:
        writer.append(b"1")
    paths = [os.path.join(env_path, name) for name in ("data.mdb", "lock.mdb")]
    for path, mode in zip(paths, modes, strict=True):
        os.chmod(path, mode)
    with write(exist="replace") as writer:
        writer.append(b"2")
    assert tuple(os.stat(path).st_mode & 0o7777 for path in paths) == modes


@pytest.mark.parametrize("exist", ["error", "extend", "replace"])
def test_missing_parents_are_not_made(write, tmp_path, exist):
    with pytest.raises(pylmdb.PathNotFoundError):
        write(tmp_path / "no" / "such", exist=exist)
    assert os.listdir(tmp_path) == []


def test_threads_share_a_writer(write, env_path):
    def add(n):
        return writer.append(b"%d" % n), n

    with write(commit_every=50) as writer, ThreadPoolExecutor(8) as pool:
        numbers = dict(pool.map(add, range(2000)))
        assert len(writer) == 2000
    assert sorted(numbers) == [*range(2000)]
    found = samples(env_path)
    assert all(found[number] == b"%d" % n for number, n in numbers.items())


def test_progress(write, env_path):
    seen = []
    with write(progress=lambda done, total: seen.append((done, total)), total=3) as writer:
        for _ in range(3):
            writer.append(b"x")
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_bar(write, env_path, capsys):
    with write(progress=True, total=2) as writer:
        writer.append(b"x")
        writer.append(b"y")
    assert "2/2" in capsys.readouterr().err.replace(".00", "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "caffe2"}, "layout"),
        ({"commit_every": 0}, "commit_every"),
        ({"key_format": "abc"}, "key_format"),
        ({"key_format": "%d%d"}, "key_format"),
        ({"key_format": "%08d", "layout": "ocr"}, "key"),
        ({"db": b"x", "layout": "numbered"}, "main"),
    ],
)
def test_options_that_do_not_fit(write, env_path, options, words):
    with pytest.raises(pylmdb.InvalidParameterError, match=words):
        write(**options)
    assert not os.path.exists(env_path)


def test_a_database_with_duplicates_is_refused(write, env_path):
    with pylmdb.open(env_path, lib_version=None) as env:
        env.open_db(b"dup", dupsort=True)
    with pytest.raises(pylmdb.IncompatibleError, match="dupsort"):
        Writer(env_path, exist="extend", db=b"dup")


def test_after_close_everything_raises(write):
    writer = write()
    writer.close()
    writer.close()
    for operation in (
        lambda: writer.append(b"x"),
        lambda: writer.write(b"k", b"x"),
        writer.flush,
        lambda: writer.env,
        writer.__enter__,
    ):
        with pytest.raises(pylmdb.ClosedError):
            operation()
    assert writer.closed
    assert "closed" in repr(writer)


def test_a_writer_that_is_dropped_warns(write, env_path):
    writer = write(commit_every=2)
    for _ in range(3):
        writer.append(b"x")
    with pytest.warns(ResourceWarning, match="not closed"):
        del writer
    assert len(samples(env_path)) == 2
    assert not [t for t in threading.enumerate() if t.name.startswith("pylmdb-datasets")]


def test_a_writer_may_be_collected_in_its_own_thread(write, env_path):
    writer = write(commit_every=2)
    for _ in range(2):
        writer.append(b"x")
    writer._wait_for_commit()
    with pytest.warns(ResourceWarning, match="not closed"):
        writer._thread.submit(writer.__del__).result()
    assert writer.closed
    assert len(samples(env_path)) == 2


def test_a_writer_stays_where_it_was_made(write):
    with write() as writer, pytest.raises(TypeError, match="pickle"):
        pickle.dumps(writer)


def in_child(writer, pipe):
    for operation in (lambda: writer.append(b"child"), writer.flush, writer.close):
        try:
            operation()
        except pylmdb.ForkedError:
            pipe.send(True)
        else:
            pipe.send(False)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_no_part_in_it(write, env_path):
    context = multiprocessing.get_context("fork")
    with write() as writer:
        writer.append(b"1")
        ours, theirs = context.Pipe()
        child = context.Process(target=in_child, args=(writer, theirs))
        child.start()
        assert [ours.recv() for _ in range(3)] == [True] * 3
        child.join()
        assert child.exitcode == 0
        writer.append(b"2")
    assert samples(env_path) == [b"1", b"2"]
