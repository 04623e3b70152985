# SPDX-License-Identifier: MIT
"""Several transactions open handles of one database at once: it gets one slot."""

import gc
import sys
import threading

import pytest
from leaks import MEASURE
from programs import in_thread, run

import pylmdb
from pylmdb import lowlevel


@pytest.fixture
def path(tmp_path, lib_version):
    """Return an environment with the databases x (duplicates) and y, closed."""
    path = tmp_path / "env"
    with pylmdb.open(path, lib_version=lib_version) as env:
        env.open_db(b"x", dupsort=True)
        env.open_db(b"y")
    return path


@pytest.fixture
def env(path):
    with pylmdb.open(path) as env:
        yield env


def test_a_reader_and_a_writer_open_one_database(env):
    def open_in_reader():
        with env.begin() as reader:
            return env.open_db(b"x", txn=reader, create=False)

    writer = env.begin(write=True)
    handle = env.open_db(b"x", txn=writer)
    writer.put(b"k", b"1", db=handle)
    theirs = in_thread(open_in_reader)
    writer.put(b"k", b"2", db=theirs)
    writer.put(b"k", b"3", db=env.open_db(b"x"))
    writer.commit()
    with env.begin(db=handle) as txn:
        assert list(txn.cursor().iternext(False)) == [b"1", b"2", b"3"]


def test_an_abort_takes_back_what_was_created_and_nothing_else(env):
    writer = env.begin(write=True)
    there, made = env.open_db(b"y", txn=writer), env.open_db(b"z", txn=writer)
    writer.abort()
    assert made.closed
    assert not there.closed
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=there)
        with pytest.raises(pylmdb.InvalidParameterError):
            txn.put(b"k", b"v", db=made)


def test_an_aborted_child_has_opened_for_its_parent_too(env):
    with env.begin(write=True) as parent:
        with env.begin(parent=parent, write=True) as child:
            handle = env.open_db(b"y", txn=child)
            child.abort()
        parent.put(b"k", b"v", db=handle)
    with env.begin(db=handle) as txn:
        assert txn.get(b"k") == b"v"


def test_an_old_reader_opens_what_a_writer_makes_anew(env):
    def open_in_reader():
        with env.begin() as reader:
            old = env.open_db(b"x", txn=reader, create=False)
            return old, list(reader.cursor(old))

    old = env.open_db(b"x")
    with env.begin(write=True, db=old) as txn:
        txn.put(b"k", b"old")
    writer = env.begin(write=True)
    writer.drop(old)
    new = env.open_db(b"x", txn=writer, integerkey=True)
    theirs, records = in_thread(open_in_reader)
    assert records == [(b"k", b"old")]
    writer.put(b"\1\0\0\0", b"new", db=new)
    writer.commit()
    assert theirs.closed
    again = env.open_db(b"x")
    assert again.flags() == new.flags()
    with env.begin(db=again) as txn:
        assert list(txn.cursor()) == [(b"\1\0\0\0", b"new")]


def test_slots_last_while_a_reader_stays(path):
    with pylmdb.open(path, max_dbs=4) as env:
        y = env.open_db(b"y")
        reader = env.begin(db=y)
        for number in range(60):
            with env.begin(write=True) as txn:
                made = env.open_db(b"%d" % number, txn=txn, dupsort=bool(number % 2))
                txn.put(b"k", b"v", db=made)
            with pytest.raises(pylmdb.InvalidParameterError, match="does not have"):
                reader.get(b"k", db=made)
            with env.begin(write=True) as txn:
                assert txn.get(b"k", db=made) == b"v"
                txn.drop(made)
        assert reader.get(b"k") is None
        assert env.dbs() == [b"x", b"y"]


def test_a_reused_number_opened_by_a_transaction_that_is_aborted(open_env, env_path):
    """Readers that begin later may have the same number as its snapshot."""
    with open_env() as env, env.begin(write=True) as txn:
        other = env.open_db(b"other", txn=txn)
        txn.put(b"k", b"v", db=other)
    env = open_env()
    with env.begin(write=True) as txn:
        gone = env.open_db(b"gone", txn=txn)
    with env.begin(write=True) as txn:
        txn.drop(gone)
    txn = env.begin(write=True)
    other = env.open_db(b"other", txn=txn)
    txn.abort()
    with env.begin() as reader:
        assert reader.get(b"k", db=other) == b"v"


def test_the_name_of_a_dropped_database_is_not_lost(env_path, lib_version):
    """The name stays while a reader exists, because the reader may be comparing it."""
    pytest.importorskip("tracemalloc")  # PyPy does not have it
    run(
        MEASURE
        + """
env, _ = make_env(path, max_dbs=5)
reader = env.begin()
def again():
    db = env.open_db(NAME)
    with env.begin(write=True) as txn:
        txn.drop(db)
measure({"again": again})
""",
        env_path,
        lib_version,
    )


def test_names_of_dropped_databases_can_be_used_again_in_any_order(open_env):
    env = open_env(max_dbs=3)
    reader = env.begin()
    for number in range(60):
        name, text = (b"a", b"b", b"a", b"a longer one")[number % 4], b"%d" % number
        with env.begin(write=True) as txn:
            made = env.open_db(name, txn=txn)
            txn.put(b"k", text, db=made)
            assert env.open_db(name, txn=txn, create=False) == made
        if number == 40:
            reader.abort()
        with env.begin(db=made) as txn:
            assert txn.get(b"k") == text
        assert env.dbs() == [name]
        with env.begin(write=True) as txn:
            txn.drop(made)


DROP_LAST = """
with pylmdb.open(path) as env, env.begin(write=True) as txn:
    txn.drop(env.open_db(b"last", create=False))
    assert not list(txn.cursor())
"""

MISSING = pylmdb.InvalidParameterError

USES = {
    "put": lambda txn, db: [txn.put(b"%d" % i, b"v", db=db) for i in range(3)],
    "append": lambda txn, db: txn.cursor(db).put(b"k", b"v", append=True),
    "delete": lambda txn, db: txn.delete(b"k", db=db),
    "replace": lambda txn, db: txn.replace(b"k", b"v", db),
    "get": lambda txn, db: txn.get(b"k", db=db),
    "cursor": lambda txn, db: list(txn.cursor(db)),
    "stat": lambda txn, db: txn.stat(db),
    "drop": lambda txn, db: txn.drop(db, delete=False),
}


@pytest.mark.parametrize("emptied", [False, True])
@pytest.mark.parametrize("use", USES)
def test_the_last_database_is_dropped_by_another_process(open_env, use, emptied):
    """No record is left in the main database that its own could be compared to."""
    env = open_env()
    db = env.open_db(b"last")
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=db)
    if emptied:
        with env.begin(write=True) as txn:
            txn.drop(db, delete=False)
    run(DROP_LAST, env.path(), 0)
    for _ in range(2):
        with pytest.raises(MISSING), env.begin(write=True) as txn:
            USES[use](txn, db)
    with env.begin(write=True) as txn:
        assert list(txn.cursor()) == []


REPLACE = """
with pylmdb.open(path) as env, env.begin(write=True) as txn:
    txn.drop(env.open_db(b"last", create=False))
    txn.put(b"k", b"12345678", db=env.open_db(b"last", txn=txn, integerdup=True))
"""


@pytest.mark.parametrize("write", [False, True])
def test_a_database_that_another_process_has_dropped_is_not_found(open_env, write):
    env = open_env()
    db = env.open_db(b"last")
    run(DROP_LAST, env.path(), 0)
    with env.begin(write=write) as txn, pytest.raises(pylmdb.NotFoundError):
        env.open_db(b"last", txn=txn, create=False)
    assert db.closed
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=env.open_db(b"last"))
    assert env.dbs() == [b"last"]


def test_a_database_that_another_process_has_dropped_is_made_anew_after_a_use_failed(open_env):
    env = open_env()
    db = env.open_db(b"last")
    run(DROP_LAST, env.path(), 0)
    with pytest.raises(MISSING), env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=db)
    with env.begin(write=True, db=env.open_db(b"last")) as txn:
        txn.put(b"k", b"v")
    assert env.dbs() == [b"last"]


def test_a_database_that_another_process_has_replaced_by_one_with_other_flags(open_env):
    env = open_env()
    db = env.open_db(b"last")
    old = env.begin()
    run(REPLACE, env.path(), 0)
    with env.begin() as txn:
        new = env.open_db(b"last", txn=txn)
        assert new.flags()["integerdup"]
        assert txn.get(b"k", db=new) == b"12345678"
    assert db.closed
    with pytest.raises(pylmdb.Error):
        old.get(b"k", db=new)
    old.abort()


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_a_dropped_database_that_an_older_snapshot_still_opens(env, create, given):
    db = env.open_db(b"y")
    with env.begin(write=True, db=db) as txn:
        txn.put(b"k", b"old")
    old = env.begin()
    with env.begin(write=True) as txn:
        txn.drop(db)
    theirs = env.open_db(b"y", txn=old, create=False)
    assert old.get(b"k", db=theirs) == b"old"
    with env.begin(write=True) as txn:
        if create:
            db = env.open_db(b"y", txn=txn if given else None)
            txn.put(b"k", b"new", db=db)
        else:
            with pytest.raises(pylmdb.NotFoundError):
                env.open_db(b"y", txn=txn if given else None, create=False)
    old.abort()
    assert env.dbs() == ([b"x", b"y"] if create else [b"x"])
    if create:
        with env.begin(db=env.open_db(b"y")) as txn:
            assert txn.get(b"k") == b"new"


def test_a_snapshot_that_is_older_than_a_database_does_not_find_it(env):
    old = env.begin()
    db = env.open_db(b"z")
    with pytest.raises(pylmdb.NotFoundError):
        env.open_db(b"z", txn=old, create=False)
    with env.begin(write=True, db=db) as txn:
        txn.put(b"k", b"v")
    assert env.open_db(b"z") is db
    old.abort()


def test_all_databases_are_dropped_after_a_drop_that_was_aborted(open_env, lib_version):
    if lib_version == 1:
        pytest.skip("the main database is not dropped while named ones are open")
    env = open_env()
    db = env.open_db(b"db")
    txn = env.begin(write=True)
    txn.drop(db)
    txn.abort()
    with env.begin(write=True) as txn:
        txn.drop(env.open_db())
    with env.begin(write=True) as txn:
        for i in range(3):
            with pytest.raises((MISSING, pylmdb.NotFoundError)):
                txn.put(b"%d" % i, b"v", db=env.open_db(b"db", create=False))
    with env.begin() as txn:
        assert list(txn.cursor()) == []


def calls_of(function):
    """Return how many functions of Python and C a call runs."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    gc.collect()
    gc.disable()  # finalizers are functions, too
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


@pytest.mark.parametrize("nested", [False, True])
def test_opening_a_database_does_not_depend_on_the_number_of_others(open_env, nested):
    env = open_env(max_dbs=700)
    with env.begin(write=True) as txn:
        if nested:
            txn = env.begin(parent=txn, write=True)
        for i in range(5):
            env.open_db(b"few%d" % i, txn=txn)
        few = calls_of(lambda: env.open_db(b"one", txn=txn))
        for i in range(600):
            env.open_db(b"many%d" % i, txn=txn)
        assert calls_of(lambda: env.open_db(b"another", txn=txn)) == few
        txn.commit()
    assert len(env.dbs()) == 607


def test_slots_are_used_again_under_new_names(open_env):
    env = open_env(max_dbs=20)
    for i in range(100):
        db = env.open_db(b"db%d" % i)
        with env.begin(write=True) as txn:
            txn.put(b"k", b"%d" % i, db=db)
            assert txn.stat(db).entries == 1
            if i % 3:
                txn.drop(db)
            else:
                txn.abort()
        with env.begin(write=True) as txn:
            if not i % 3:
                txn.drop(db)
    assert env.dbs() == []
    for i in range(20):
        env.open_db(b"db%d" % i)
    with pytest.raises(pylmdb.DbsFullError):
        env.open_db(b"one more")


def test_creations_that_are_aborted_leave_their_slots(open_env):
    env = open_env(max_dbs=10)
    for i in range(50):
        with env.begin(write=True) as txn:
            for j in range(10):
                env.open_db(b"%d-%d" % (i, j), txn=txn)
            txn.abort()
    assert env.dbs() == []


def test_a_handle_that_mdb_dbi_open_has_opened(open_env):
    """Its slot is the one that open_db() finds, so that the database has one root."""
    env = open_env()
    lib, ffi = lowlevel.engine(env).lib, lowlevel.engine(env).ffi
    dbi = ffi.new("MDB_dbi *")
    with env.begin(write=True) as txn:
        assert not lib.mdb_dbi_open(lowlevel.handle(txn), b"db", lib.MDB_CREATE, dbi)
    db = env.open_db(b"db")
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=db)
        out = ffi.new("MDB_stat *")
        assert not lib.mdb_stat(lowlevel.handle(txn), dbi[0], out)
        assert out.ms_entries == 1


def test_opening_a_database_leaves_no_transaction_behind(env):
    assert env.open_db(b"x").flags().dupsort
    assert env.reader_list() == []
    env.set_mapsize(1 << 30)


@pytest.mark.parametrize("given", [False, True])
def test_a_database_is_opened_while_another_thread_ends_a_transaction(env, given):
    """Until what that one has opened and dropped is settled, nothing is opened."""
    lock, opened = env._shared.dbi_lock, threading.Event()
    found = []

    def open_it():
        with env.begin() as txn:
            found.append(env.open_db(b"y", txn=txn if given else None))
        opened.set()

    with lock:
        thread = threading.Thread(target=open_it)
        thread.start()
        assert not opened.wait(0.1)
        assert not found
    thread.join()
    assert found == [env.open_db(b"y")]


def test_a_database_without_a_transaction_is_opened_in_the_innermost_one_of_the_thread(env):
    parent = env.begin(write=True)
    child = env.begin(write=True, parent=parent)
    made = env.open_db(b"made")
    child.put(b"k", b"v", db=made)
    child.abort()
    assert made.closed
    parent.commit()
    assert b"made" not in env.dbs()


def test_a_handle_opened_anew_after_a_drop_that_was_aborted(env):
    """Transactions that are older than the handle have the same database."""
    with env.begin(write=True, db=env.open_db(b"y")) as txn:
        txn.put(b"key", b"value")
    reader = env.begin()
    with env.begin(write=True) as writer:
        writer.drop(env.open_db(b"y", txn=writer))
        writer.abort()
    with env.begin(write=True) as writer:
        handle = env.open_db(b"y", txn=writer)
    assert reader.get(b"key", db=handle) == b"value"
    assert env.open_db(b"y", txn=reader) is handle


def test_an_old_reader_makes_no_second_slot_of_what_a_writer_is_creating(env, path, lib_version):
    """Another process had dropped the database.  Writes through two slots would be lost."""
    reader = env.begin()
    run(DROP_Y, str(path), lib_version)
    writer = env.begin(write=True)
    made = env.open_db(b"y", txn=writer)
    writer.put(b"1", b"", db=made)
    with pytest.raises(pylmdb.NotFoundError):
        env.open_db(b"y", txn=reader, create=False)
    writer.put(b"2", b"", db=env.open_db(b"y", txn=writer))
    writer.commit()
    theirs = env.open_db(b"y", txn=reader)
    assert reader.stat(theirs).entries == 0
    with env.begin(write=True) as txn:
        txn.put(b"3", b"", db=made)
        txn.put(b"4", b"", db=theirs)
        txn.put(b"5", b"", db=made)
    with env.begin(db=made) as txn:
        assert list(txn.cursor().iternext(values=False)) == [b"1", b"2", b"3", b"4", b"5"]


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_readers_open_a_database_that_a_writer_is_making_anew(env, given, kept):
    with env.begin(write=True, db=env.open_db(b"y")) as txn:
        txn.put(b"key", b"value")
    writer = env.begin(write=True)
    writer.drop(env.open_db(b"y", txn=writer))
    made = env.open_db(b"y", txn=writer)
    writer.put(b"key", b"new", db=made)

    def read_old():
        with env.begin() as reader:
            handle = env.open_db(b"y", txn=reader if given else None, create=False)
            return reader.get(b"key", db=handle)

    assert in_thread(read_old) == b"value"
    assert writer.get(b"key", db=made) == b"new"
    if kept:
        writer.commit()
    else:
        writer.abort()
    with env.begin() as reader:
        assert reader.get(b"key", db=env.open_db(b"y")) == (b"new" if kept else b"value")


def replaced_in(writer, env):
    """Replace the database y in a transaction by one with other flags, which gets another number,
    while a reader opens the old one; return the handles to both."""
    writer.drop(env.open_db(b"y", txn=writer))
    made = env.open_db(b"y", txn=writer, dupsort=True)
    writer.put(b"key", b"new", db=made)
    with env.begin() as reader:
        return made, env.open_db(b"y", txn=reader, create=False)


def test_a_number_has_one_slot_that_is_alive(env):
    """Handles that were opened before and after another one of that name end together, so none
    refers to the next database that gets the number."""
    with env.begin(write=True) as writer:
        made, old = replaced_in(writer, env)
    again = env.open_db(b"y")
    assert old.closed
    with env.begin(write=True) as writer:
        number = lowlevel.database_number(again, writer)
        assert lowlevel.database_number(made, writer) == number
        writer.drop(again)
    assert again.closed
    assert made.closed
    for name in (b"1", b"2"):
        db = env.open_db(name)
        with env.begin(write=True, db=db) as writer:
            writer.put(b"key", name)
            with pytest.raises(pylmdb.InvalidParameterError, match="the database handle is dead"):
                writer.get(b"key", db=made)


@pytest.mark.parametrize("again", [True, False])
def test_a_writer_opens_its_own_database_after_a_reader_has_opened_what_it_dropped(env, again):
    writer = env.begin(write=True)
    if again:
        made, _ = replaced_in(writer, env)
        assert writer.get(b"key", db=env.open_db(b"y")) == b"new"
        assert not made.closed
    else:
        writer.drop(env.open_db(b"y", txn=writer))
        with env.begin() as reader:
            env.open_db(b"y", txn=reader, create=False)
        with pytest.raises(pylmdb.NotFoundError):
            env.open_db(b"y", create=False)
        writer.put(b"key", b"new", db=env.open_db(b"y"))
    writer.commit()
    with env.begin(db=env.open_db(b"y")) as reader:
        assert reader.get(b"key") == b"new"


DROP_Y = """
with pylmdb.open(path) as env, env.begin(write=True) as txn:
    txn.drop(env.open_db(b"y", create=False))
"""


def test_a_reader_does_not_retire_a_database_that_a_writer_is_creating(open_env, path, lib_version):
    """It began when the slot had a database that another process had dropped already."""
    env = open_env(path=path, max_dbs=2)
    gone = env.open_db(b"y")
    oldest = env.begin()
    slot = lowlevel.database_number(gone, oldest)
    for number in range(9):  # all other slots
        with env.begin(write=True) as txn:
            made = env.open_db(b"%d" % number, txn=txn)
        with env.begin(write=True) as txn:
            txn.drop(made)
    run(DROP_Y, str(path), lib_version)
    with env.begin() as reader, env.begin() as other:
        with pytest.raises(pylmdb.NotFoundError):
            env.open_db(b"y", txn=other, create=False)
        writer = env.begin(write=True)
        made = env.open_db(b"new", txn=writer)
        assert lowlevel.database_number(made, writer) == slot
        assert gone.closed
        with pytest.raises(pylmdb.NotFoundError):
            env.open_db(b"new", txn=reader, create=False)
        writer.put(b"key", b"value", db=made)
        writer.commit()
    oldest.abort()
    with env.begin() as txn:
        assert txn.get(b"key", db=made) == b"value"
