# SPDX-License-Identifier: MIT
"""Transaction: begin and end, and the operations per record."""

import array
import builtins
import contextlib
import copy
import gc
import mmap
import pickle
import threading
import weakref

import pytest
from dropped import free
from numpy_if_any import np
from programs import PATIENCE

import pylmdb
from pylmdb._which_core import NAME


@pytest.fixture
def txn(env):
    """Return a write transaction on the main database."""
    with contextlib.suppress(pylmdb.Error), env.begin(write=True) as txn:
        yield txn


@pytest.fixture
def dup(env):
    """Return a database with duplicates."""
    return env.open_db(b"dup", dupsort=True)


def put_all(txn, records, db=None):
    for key, value in records:
        assert txn.put(key, value, db=db)


# -- life -------------------------------------------------------------------------------


def test_commit_keeps_and_abort_undoes(env):
    txn = env.begin(write=True)
    txn.put(b"kept", b"1")
    txn.commit()
    assert txn.closed
    txn = env.begin(write=True)
    txn.put(b"undone", b"1")
    txn.abort()
    txn.abort()
    with env.begin() as reader:
        assert [key for key, _ in reader.range()] == [b"kept"]


def test_the_with_block_commits_on_success_and_aborts_on_an_exception(env):
    with env.begin(write=True) as txn:
        txn.put(b"kept", b"1")

    def failing():
        with env.begin(write=True) as txn:
            txn.put(b"undone", b"1")
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        failing()
    with env.begin() as reader:
        assert list(reader.range(values=False)) == [b"kept"]


@pytest.mark.parametrize("end", ["commit", "abort"])
@pytest.mark.parametrize("write", [False, True])
def test_leaving_the_with_block_after_an_explicit_end(env, end, write):
    with env.begin(write=write) as txn:
        getattr(txn, end)()
    assert txn.closed


@pytest.mark.parametrize("write", [False, True])
def test_a_second_commit_raises(env, write):
    txn = env.begin(write=write)
    txn.commit()
    with pytest.raises(pylmdb.Error, match="closed/deleted/dropped"):
        txn.commit()
    txn.abort()


def test_dropping_an_unfinished_write_transaction_aborts_it(env):
    txn = [env.begin(write=True)]
    txn[0].put(b"k", b"v")
    with pytest.warns(ResourceWarning):
        free(txn)
    gc.collect()
    with env.begin(write=True) as txn:
        assert txn.get(b"k") is None


def test_dropping_a_reader_frees_its_slot_at_once(env):
    gc.disable()
    try:
        cursor = [env.begin().cursor()]
        assert len(env.reader_list()) == 1
        free(cursor)
        assert env.reader_list() == []
    finally:
        gc.enable()


def test_a_cycle_is_collected(env):
    txn = env.begin(write=True)

    class Holder:
        pass

    holder = Holder()
    holder.txn, holder.me = txn, holder
    gone = weakref.ref(txn)
    del txn, holder
    gc.collect()
    assert gone() is None
    env.begin(write=True).abort()


def test_snapshots(env):
    before = env.begin()
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
        during = env.begin()
    with env.begin() as after:
        assert [t.get(b"k") for t in (before, during, after)] == [None, None, b"v"]


def test_id(env):
    with env.begin(write=True) as txn:
        assert txn.id() == 1
        txn.put(b"k", b"v")
    with env.begin() as reader:
        assert reader.id() == 1


def test_properties_and_repr(env):
    with env.begin() as reader:
        assert reader.env is env
        assert (reader.write, reader.closed) == (False, False)
        assert "read" in repr(reader)
    assert reader.closed
    assert reader.env is env
    assert "ended" in repr(reader)
    with env.begin(write=True) as txn:
        assert txn.write
        assert "write" in repr(txn)


def test_a_second_writer_on_this_thread(env):
    refusal = "^begin: this thread has a write transaction open already and would wait for itself"
    with env.begin(write=True), pytest.raises(pylmdb.BusyError, match=refusal) as caught:
        env.begin(write=True)
    assert isinstance(caught.value, pylmdb.LockError)


def test_a_writer_on_another_thread_waits(env):
    order = []

    def other():
        with env.begin(write=True) as txn:
            order.append(txn.get(b"k"))

    with env.begin(write=True) as txn:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.15)
        assert thread.is_alive()
        txn.put(b"k", b"v")
    thread.join(PATIENCE)
    assert order == [b"v"]


def test_stat_of_databases(env, dup):
    with env.begin(write=True) as txn:
        put_all(txn, [(b"a", b"1"), (b"a", b"2"), (b"b", b"1")], dup)
        assert txn.stat(dup)["entries"] == txn.stat(db=dup).entries == 3
        assert txn.stat()["entries"] == 1
    with env.begin(dup) as reader:
        assert reader.stat().entries == 3


def test_the_transaction_s_database(env, dup):
    with env.begin(dup, write=True) as txn:
        assert txn.put(b"k", b"2")
        assert txn.put(b"k", b"1")
        assert txn.get(b"k") == b"1"
        assert list(txn.range()) == [(b"k", b"1"), (b"k", b"2")]
        assert txn.cursor().db is dup
        assert txn.get(b"k", db=env.open_db()) is None


def test_direct_construction(env, dup):
    with pylmdb.Transaction(env, dup, None, True) as txn:
        assert isinstance(txn, pylmdb.Transaction)
        txn.put(b"k", b"v")
    with pylmdb.Transaction(env, db=dup, buffers=True) as reader:
        assert reader.get(b"k") == b"v"
        assert isinstance(reader.get(b"k"), memoryview)


def test_subclass(env):
    class Counting(pylmdb.Transaction):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.gets = 0

        def get(self, key, default=None, db=None):
            self.gets += 1
            return super().get(key, default, db)

        def double(self, key):
            return self.get(key) * 2

    with Counting(env, write=True) as txn:
        txn.put(b"k", b"v")
        assert txn.double(b"k") == b"vv"
        assert (txn.gets, txn.cursor().txn is txn) == (1, True)
        assert isinstance(txn, Counting)
        assert type(txn).__name__ == "Counting"
    with Counting(env) as reader:
        assert reader.get(b"k") == b"v"


def test_transactions_are_not_copied_or_pickled(env):
    with env.begin() as txn:
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                make(txn)


# -- records -----------------------------------------------------------------------------


def test_get(txn):
    assert txn.get(b"k") is None
    assert txn.get(b"k", b"default") == b"default"
    assert txn.get(b"k", default=7) == 7
    txn.put(b"k", b"")
    assert txn.get(b"k", 7) == b""
    txn.put(b"k", b"x" * 100_000)
    assert txn.get(key=b"k") == b"x" * 100_000


def test_get_many_is_aligned_with_its_input(env, txn, dup):
    put_all(txn, [(b"%d" % n, b"v%d" % n) for n in range(100)])
    keys = [b"7", b"none", b"99", b"7", b"0"]
    expected = [b"v7", None, b"v99", b"v7", b"v0"]
    assert txn.get_many(keys) == expected
    assert txn.get_many(iter(keys)) == expected
    assert txn.get_many([b"x", bytearray(b"1")], default=b"-") == [b"-", b"v1"]
    assert txn.get_many([]) == []
    txn.put(b"k", b"first", db=dup)
    assert txn.get_many([b"k", b"7"], db=dup) == [b"first", None]
    with pytest.raises(TypeError):
        txn.get_many(["7"])
    with pytest.raises(pylmdb.BadValsizeError):
        txn.get_many([b""])


def test_put_and_overwrite(txn):
    assert txn.put(b"k", b"1") is True
    assert txn.put(b"k", b"2") is True
    assert txn.put(b"k", b"3", overwrite=False) is False
    assert txn.get(b"k") == b"2"
    assert txn.put(b"other", b"3", overwrite=False) is True
    assert txn.put(b"k", b"3", dupdata=False) is True
    assert txn.get(b"k") == b"3"


def test_put_in_a_database_with_duplicates(txn, dup):
    assert txn.put(b"k", b"1", db=dup) is True
    assert txn.put(b"k", b"1", db=dup) is True
    assert txn.stat(dup).entries == 1
    assert txn.put(b"k", b"1", dupdata=False, db=dup) is False
    assert txn.put(b"k", b"2", dupdata=False, db=dup) is True
    assert txn.put(b"k", b"3", overwrite=False, db=dup) is False
    assert txn.put(b"k", b"3", True, False, False, dup) is False
    assert list(txn.range(db=dup)) == [(b"k", b"1"), (b"k", b"2")]


def test_append(txn, dup):
    assert txn.put(b"y", b"1", append=True)
    assert txn.put(b"x", b"1", append=True) is False
    assert txn.put(b"z", b"1", append=True)
    assert list(txn.range(b"x", values=False)) == [b"y", b"z"]
    assert txn.put(b"k", b"2", append=True, db=dup)
    assert txn.put(b"k", b"1", append=True, db=dup) is False
    assert txn.put(b"k", b"3", append=True, db=dup)
    assert list(txn.range(db=dup, keys=False)) == [b"2", b"3"]


def test_delete(txn):
    txn.put(b"k", b"v")
    assert txn.delete(b"missing") is False
    assert txn.delete(b"k", b"another value") is True
    assert txn.get(b"k") is None
    assert txn.delete(b"k") is False


def test_delete_in_a_database_with_duplicates(txn, dup):
    put_all(txn, [(b"k", b"0"), (b"k", b"1"), (b"k", b"2"), (b"l", b"1")], dup)
    assert txn.delete(b"k", b"3", db=dup) is False
    assert txn.delete(b"k", b"2" * 2000, db=dup) is False  # too long to be stored there
    assert txn.delete(b"m", b"2" * 2000, db=dup) is False
    assert txn.delete(b"k", b"2", dup) is True
    assert list(txn.range(db=dup)) == [(b"k", b"0"), (b"k", b"1"), (b"l", b"1")]
    assert txn.delete(b"k", db=dup) is True
    assert list(txn.range(db=dup)) == [(b"l", b"1")]
    assert txn.delete(key=b"l", value=None, db=dup) is True
    assert txn.stat(dup).entries == 0


def test_duplicates_are_not_empty(txn, dup):
    with pytest.raises(pylmdb.BadValsizeError):
        txn.put(b"k", b"", db=dup)
    txn.put(b"k", b"1", db=dup)
    with pytest.raises(pylmdb.BadValsizeError):
        txn.put(b"k", b"", db=dup)
    assert list(txn.range(db=dup)) == [(b"k", b"1")]


@pytest.mark.parametrize("buffers", [False, True])
def test_pop_and_replace_return_bytes(env, buffers):
    dup = env.open_db(b"dup", dupsort=True)
    with env.begin(write=True, buffers=buffers) as txn:
        assert txn.pop(b"k") is None
        assert txn.replace(b"k", b"1") is None
        old = txn.replace(b"k", b"2")
        assert (old, type(old)) == (b"1", bytes)
        old = txn.pop(b"k")
        assert (old, type(old)) == (b"2", bytes)
        assert txn.get(b"k") is None
        put_all(txn, [(b"k", b"1"), (b"k", b"2"), (b"k", b"3")], dup)
        assert txn.pop(b"k", dup) == b"1"
        assert txn.replace(b"k", b"9", db=dup) == b"2"
        assert [bytes(v) for v in txn.range(db=dup, keys=False)] == [b"9"]


@pytest.mark.parametrize(
    "call",
    [
        lambda txn: txn.put(b"k", b"w"),
        lambda txn: txn.delete(b"k"),
        lambda txn: txn.pop(b"k"),
        lambda txn: txn.replace(b"k", b"w"),
        lambda txn: txn.drop(txn.env.open_db()),
        lambda txn: txn.cursor().put(b"k", b"w"),
        lambda txn: txn.cursor().putmulti([(b"k", b"w")]),
        lambda txn: txn.cursor().replace(b"k", b"w"),
        lambda txn: txn.cursor().pop(b"k"),
        lambda txn: (c := txn.cursor(), c.first(), c.delete()),
    ],
)
def test_a_reader_writes_nothing(env, call):
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    with env.begin() as reader:
        with pytest.raises(pylmdb.ReadonlyError):
            call(reader)
        assert reader.get(b"k") == b"v"


BUFFERS = {
    "bytearray": lambda: bytearray(b"abcdefgh"),
    "memoryview": lambda: memoryview(b"xxabcdefgh")[2:],
    "array": lambda: array.array("h", b"abcdefgh"),
    "matrix": lambda: np.frombuffer(b"abcdefgh", np.int16).reshape(2, 2),
    "cast": lambda: memoryview(b"abcdefgh").cast("i", [1, 2]),
    "float": lambda: np.frombuffer(b"abcdefgh", np.float64),
    "scalar": lambda: np.frombuffer(b"abcdefgh", np.uint64)[0],
    "zero-dimensional": lambda: np.frombuffer(b"abcdefgh", np.uint64).reshape(()),
}


@pytest.mark.parametrize("name", BUFFERS)
def test_any_contiguous_buffer_by_its_bytes(txn, dup, name):
    given = BUFFERS[name]()
    assert txn.put(given, given)
    assert txn.get(b"abcdefgh") == b"abcdefgh"
    assert txn.get(given) == b"abcdefgh"
    assert txn.get_many([given]) == [b"abcdefgh"]
    cursor = txn.cursor()
    assert cursor.set_key(given)
    assert cursor.set_range(given)
    assert cursor.put(given, given)
    assert txn.replace(given, given) == txn.pop(given) == b"abcdefgh"
    assert txn.put(given, given, db=dup)
    assert txn.cursor(dup).set_key_dup(given, given)
    assert txn.delete(given, given, db=dup)


def test_non_contiguous_arrays_are_stored_in_their_order(txn):
    matrix = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for number, part in enumerate([matrix[:, ::2], matrix.T, matrix[::-1], matrix[0, ::3]]):
        assert txn.put(b"%d" % number, part)
        assert txn.get(b"%d" % number) == part.tobytes()
    assert txn.put(memoryview(b"a-b-c-")[::2], b"v")
    assert txn.get(b"abc") == b"v"


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4", "<i8", "<c16", "S3", "<U5"])
def test_items_of_all_sizes_in_arrays_with_steps(txn, dtype):
    size = np.dtype(dtype).itemsize
    array = np.frombuffer(bytes(i % 120 for i in range(6 * 5 * size)), f"V{size}").view(dtype)
    for part in (array[::2], array[::-1], array[:7:3], array.reshape(6, 5).T, array[:0:2]):
        assert txn.put(b"k", part)
        assert txn.get(b"k") == part.tobytes()


def test_a_memory_mapped_argument(txn, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    with (
        open(tmp_path / "file", "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        assert txn.put(b"k", mapped)
    assert txn.get(b"k") == b"content"


@pytest.mark.parametrize(
    "make", [bytearray, lambda: memoryview(b""), lambda: np.zeros((0, 3))],
    ids=["bytearray", "memoryview", "array"],
)  # fmt: skip
def test_empty_values_of_every_kind(txn, make):
    empty = make()
    assert txn.put(b"k", empty)
    assert txn.get(b"k") == b""
    with pytest.raises(pylmdb.BadValsizeError):
        txn.put(empty, b"v")


CALLS = {
    "get": lambda txn, x: txn.get(x),
    "get_many": lambda txn, x: txn.get_many([x]),
    "put key": lambda txn, x: txn.put(x, b"v"),
    "put value": lambda txn, x: txn.put(b"k", x),
    "delete": lambda txn, x: txn.delete(x),
    "pop": lambda txn, x: txn.pop(x),
    "replace key": lambda txn, x: txn.replace(x, b"v"),
    "replace value": lambda txn, x: txn.replace(b"k", x),
    "range start": lambda txn, x: list(txn.range(x)),
    "range stop": lambda txn, x: list(txn.range(None, x)),
    "range prefix": lambda txn, x: list(txn.range(prefix=x)),
    "set_key": lambda txn, x: txn.cursor().set_key(x),
    "set_range": lambda txn, x: txn.cursor().set_range(x),
    "set_key_dup": lambda txn, x: txn.cursor().set_key_dup(x, b"v"),
    "set_range_dup": lambda txn, x: txn.cursor().set_range_dup(b"k", x),
    "cursor get": lambda txn, x: txn.cursor().get(x),
    "cursor put": lambda txn, x: txn.cursor().put(x, b"v"),
    "cursor pop": lambda txn, x: txn.cursor().pop(x),
    "cursor replace": lambda txn, x: txn.cursor().replace(b"k", x),
    "putmulti": lambda txn, x: txn.cursor().putmulti([(b"k", x)]),
    "getmulti": lambda txn, x: txn.cursor().getmulti([x]),
    "open_db": lambda txn, x: txn.env.open_db(x, txn),
}


@pytest.mark.parametrize("name", CALLS)
def test_str_is_a_type_error_that_says_encode(txn, name):
    with pytest.raises(TypeError, match=r"\.encode\(\)"):
        CALLS[name](txn, "text")
    assert list(txn.range()) == []


@pytest.mark.parametrize("wrong", [7, 1.5, [1], object()], ids=["int", "float", "list", "object"])
@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_buffer_is_a_type_error(txn, name, wrong):
    with pytest.raises(TypeError):
        CALLS[name](txn, wrong)
    assert list(txn.range()) == []


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"delete", "open_db"}))
def test_none_is_no_key(txn, name):
    if name.startswith("range"):
        assert CALLS[name](txn, None) == []
        return
    with pytest.raises(TypeError):
        CALLS[name](txn, None)


def test_many_values_of_a_key_in_a_writable_map(open_env):
    """Pages are taken while those of the values are divided and joined."""
    env = open_env(writemap=True, sync=False)
    db = env.open_db(b"db", dupsort=True)
    values = [b"%05d" % i + b"v" * 90 for i in range(1500)]
    for turn in range(3):
        with env.begin(write=True) as txn:
            for value in values:
                txn.put(b"key", value, db=db)
        for start in range(10):
            with env.begin(write=True) as txn:
                for value in values[start :: 10 + turn]:
                    txn.delete(b"key", value, db=db)
        with env.begin(db=db) as txn:
            left = [v for i, v in enumerate(values) if i % (10 + turn) >= 10]
            assert list(txn.cursor().iternext(False)) == left


def test_what_is_put_and_deleted_in_a_writable_map(open_env):
    env = open_env(writemap=True)
    db = env.open_db(b"db")
    for _ in range(20):
        with env.begin(write=True) as txn:
            txn.put(b"kept", b"1")
            txn.put(b"gone", b"2", db=db)
            txn.delete(b"gone", db=db)
    with env.begin() as txn:
        assert txn.get(b"kept") == b"1"
        assert list(txn.cursor(db)) == []


# -- speed ------------------------------------------------------------------------------


@pytest.mark.skipif(NAME != "c", reason="the core in cffi is not about speed")
def test_small_calls_execute_no_import_statement(env, txn, dup, monkeypatch):
    """An import statement takes longer than most of these calls."""
    put_all(txn, [(b"1", b"a"), (b"2", b"b")])
    put_all(txn, [(b"1", b"a"), (b"1", b"b")], dup)
    cursor = txn.cursor(dup)

    def call_all():
        txn.get(b"1"), txn.view(b"1"), b"1" in txn, txn.get_many([b"1"]), txn.has_many([b"1"])
        txn.first(), txn.last(), txn.floor(b"1"), txn.ceiling(b"1"), txn.id(), txn.stat()
        txn.count(b"1", b"2"), txn.count(prefix=b"1"), txn.next_id(dup), [*txn.range(prefix=b"1")]
        txn.put(b"3", b"c"), txn.put(b"3", b"d", if_value=b"c"), txn.replace(b"3", b"e")
        txn.pop(b"3"), txn.delete(b"3"), txn.delete_range(b"3", b"4"), txn.delete_range(prefix=b"3")
        cursor.set_key(b"1"), cursor.item(), cursor.count(), [*cursor.iternext_dup()]
        cursor.getmulti([b"1"], dupdata=True), cursor.putmulti([(b"1", b"c")]), cursor.delete()
        env.begin(write=True, parent=txn).cursor().txn.commit()
        env.begin().abort()
        env.open_db(b"dup", txn), env.stat(), env.max_key_size(), env.path()

    call_all()
    imported, original = [], builtins.__import__

    def note(name, *args, **kwargs):
        imported.append(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", note)
    call_all()
    monkeypatch.undo()
    assert not imported
