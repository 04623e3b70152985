# SPDX-License-Identifier: MIT
"""Nested transactions: what a child sees and changes, and what its parent may do meanwhile."""

import gc
import subprocess
import sys
import textwrap
import threading

import pytest
from dropped import free
from programs import PATIENCE

import pylmdb


@pytest.fixture
def parent(env):
    """Return a write transaction with one record."""
    txn = env.begin(write=True)
    txn.put(b"parent", b"1")
    yield txn
    txn.abort()


def keys(txn):
    return list(txn.range(values=False))


def test_a_committed_child(env, parent):
    with env.begin(parent=parent, write=True) as child:
        assert child.get(b"parent") == b"1"
        child.put(b"child", b"1")
        child.delete(b"parent")
    assert keys(parent) == [b"child"]
    parent.commit()
    with env.begin() as reader:
        assert keys(reader) == [b"child"]


def test_an_aborted_child(env, parent):
    child = env.begin(parent=parent, write=True)
    child.put(b"child", b"1")
    child.delete(b"parent")
    child.abort()
    assert keys(parent) == [b"parent"]


def test_a_child_s_changes_go_with_its_parent(env, parent):
    with env.begin(parent=parent, write=True) as child:
        child.put(b"child", b"1")
    parent.abort()
    with env.begin() as reader:
        assert keys(reader) == []


def test_an_exception_in_the_child_s_block(env, parent):
    def failing():
        with env.begin(parent=parent, write=True) as child:
            child.put(b"child", b"1")
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        failing()
    assert keys(parent) == [b"parent"]


PARENT_USES = {
    "get": lambda txn: txn.get(b"k"),
    "get_many": lambda txn: txn.get_many([b"k"]),
    "put": lambda txn: txn.put(b"k", b"v"),
    "delete": lambda txn: txn.delete(b"k"),
    "pop": lambda txn: txn.pop(b"k"),
    "replace": lambda txn: txn.replace(b"k", b"v"),
    "cursor": lambda txn: txn.cursor(),
    "stat": lambda txn: txn.stat(),
    "range": lambda txn: list(txn.range()),
    "drop": lambda txn: txn.drop(txn.env.open_db()),
    "open_db": lambda txn: txn.env.open_db(b"new", txn),
    "second child": lambda txn: txn.env.begin(parent=txn, write=True),
}


@pytest.mark.parametrize("name", PARENT_USES)
def test_the_parent_is_refused_while_its_child_is_open(env, parent, name):
    child = env.begin(parent=parent, write=True)
    with pytest.raises(pylmdb.BadTxnError):
        PARENT_USES[name](parent)
    assert child.put(b"child", b"1")
    child.commit()
    PARENT_USES[name](parent)


def test_the_parent_s_cursor_is_refused_and_then_works_again(env, parent):
    cursor = parent.cursor()
    cursor.first()
    child = env.begin(parent=parent, write=True)
    with pytest.raises(pylmdb.BadTxnError):
        cursor.key()
    child.put(b"child", b"1")
    child.commit()
    assert cursor.key() == b"parent"
    assert list(cursor.iterprev(values=False)) == [b"parent", b"child"]


def test_committing_the_parent_ends_its_child(env, parent):
    child = env.begin(parent=parent, write=True)
    child.put(b"child", b"1")
    grandchild = env.begin(parent=child, write=True)
    parent.commit()
    assert child.closed
    assert grandchild.closed
    with pytest.raises(pylmdb.Error):
        child.put(b"k", b"v")
    with env.begin() as reader:
        assert keys(reader) == [b"parent"]


def test_aborting_the_parent_ends_its_children(env, parent):
    child = env.begin(parent=parent, write=True)
    cursor = child.cursor()
    parent.abort()
    assert child.closed
    assert cursor.closed
    child.abort()
    with env.begin(write=True) as txn:
        assert txn.put(b"k", b"v")


def test_leaving_a_child_s_block_after_its_parent_ended_says_that_writes_are_lost(env):
    def careless():
        parent = env.begin(write=True)
        with env.begin(parent=parent, write=True) as child:
            child.put(b"child", b"1")
            parent.commit()

    with pytest.raises(pylmdb.Error):
        careless()


def test_a_dropped_child_is_aborted(env, parent):
    child = [env.begin(parent=parent, write=True)]
    child[0].put(b"child", b"1")
    with pytest.warns(ResourceWarning):
        free(child)
    gc.collect()
    assert keys(parent) == [b"parent"]


def test_the_end_of_a_child_keeps_the_writer_lock(env, parent):
    env.begin(parent=parent, write=True).commit()
    env.begin(parent=parent, write=True).abort()
    with pytest.raises(pylmdb.BusyError):
        env.begin(write=True)
    caught = []

    def other():
        try:
            env.begin(write=True, timeout=0)
        except pylmdb.LockTimeoutError as error:
            caught.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(PATIENCE)
    assert len(caught) == 1


def test_values_of_a_child_outlive_it(env, parent):
    child = env.begin(parent=parent, write=True, buffers=True)
    value = child.get(b"parent")
    child.put(b"parent", b"2")
    child.abort()
    assert value == b"1"


def test_a_child_of_a_reader(env):
    with env.begin() as reader:
        for write in (False, True):
            with pytest.raises(pylmdb.InvalidParameterError):
                env.begin(parent=reader, write=write)


def test_a_parent_of_another_environment(env, open_env, tmp_path):
    other = open_env(tmp_path / "other")
    with other.begin(write=True) as stranger, pytest.raises(pylmdb.InvalidParameterError):
        env.begin(parent=stranger, write=True)


def test_what_is_no_parent(env):
    for wrong in (env, b"txn", 7):
        with pytest.raises(TypeError):
            env.begin(parent=wrong, write=True)


def test_a_child_on_another_thread(env, parent):
    caught = []

    def other():
        try:
            env.begin(parent=parent, write=True)
        except pylmdb.WrongThreadError as error:
            caught.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(PATIENCE)
    assert len(caught) == 1
    assert parent.get(b"parent") == b"1"


def test_a_read_only_child(env, parent, lib_version):
    if lib_version == 0:
        with pytest.raises(pylmdb.InvalidParameterError):
            env.begin(parent=parent)
        assert parent.put(b"k", b"v")
        return
    with env.begin(parent=parent) as child:
        assert child.write is False
        assert child.get(b"parent") == b"1"
        assert keys(child) == [b"parent"]
        with pytest.raises(pylmdb.ReadonlyError):
            child.put(b"k", b"v")
        with pytest.raises(pylmdb.BadTxnError):
            parent.get(b"parent")
    assert parent.put(b"k", b"v")


def test_more_read_only_children_than_levels(open_env):
    """Children of one parent are not nested in each other, so the limit is not theirs."""
    env = open_env(lib_version=1)
    with env.begin(write=True) as parent:
        children = [env.begin(parent=parent) for _ in range(600)]
        assert children[-1].get(b"key") is None
        for child in children:
            child.abort()


@pytest.mark.parametrize("how", ["ended", "foreign", "reserved"])
def test_which_refusal_comes_first(env, how):
    """An ended transaction is that before all else; then the thread counts, then the rest."""
    txn = env.begin(write=True)
    reservation = txn.reserve(b"key", 10) if how == "reserved" else None
    view = reservation.__enter__() if reservation else None
    child = None if reservation else env.begin(parent=txn, write=True)
    caught = []

    def use():
        try:
            txn.get(b"key")
        except (pylmdb.Error, BufferError) as exception:
            caught.append(type(exception))

    if how == "ended":
        txn.abort()
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    use()
    here = {"ended": pylmdb.ClosedError, "foreign": pylmdb.BadTxnError, "reserved": BufferError}
    elsewhere = pylmdb.ClosedError if how == "ended" else pylmdb.WrongThreadError
    assert caught == [elsewhere, here[how]]
    del view, child
    if reservation:
        reservation.__exit__(None)
    txn.abort()


def test_which_refusal_of_a_parent_comes_first(open_env, tmp_path):
    env, other = open_env(), open_env(str(tmp_path / "other"))
    with other.begin() as reader, pytest.raises(pylmdb.InvalidParameterError, match="read-only"):
        env.begin(parent=reader)
    reader = other.begin()
    reader.abort()
    with pytest.raises(pylmdb.ClosedError):
        env.begin(parent=reader, write=True)


def test_views_of_a_read_only_child_are_copies(open_env):
    env = open_env(lib_version=1)
    with env.begin(write=True) as parent:
        parent.put(b"k", b"before")
        child = env.begin(parent=parent, buffers=True)
        value = child.get(b"k")
        child.abort()
        parent.put(b"k", b"after!")
        assert value == b"before"


def test_nested_transactions_under_writemap(open_env):
    env = open_env(writemap=True)
    with env.begin(write=True) as parent:
        parent.put(b"k", b"v")
        with pytest.raises(pylmdb.Error, match="not possible with writemap=True") as caught:
            env.begin(parent=parent, write=True)
        assert isinstance(caught.value, (pylmdb.BadTxnError, pylmdb.InvalidParameterError))
        assert parent.get(b"k") == b"v"


def test_depth_is_bounded_and_1500_deep_does_not_crash(lib_version, env_path):
    """In a process of its own: what is tested for is a crash."""
    program = textwrap.dedent(
        """
        import sys, pylmdb
        env = pylmdb.open(sys.argv[1], lib_version=int(sys.argv[2]))
        chain = [env.begin(write=True)]
        refusal = None
        for depth in range(1500):
            try:
                chain.append(env.begin(parent=chain[-1], write=True))
            except pylmdb.Error as error:
                refusal = error
                break
            chain[-1].put(b"%d" % depth, b"v")
        assert len(chain) > 100, len(chain)
        assert refusal is None or "nested" in str(refusal), refusal
        if sys.argv[3] == "commit":
            while chain:
                chain.pop().commit()
            assert env.stat()["entries"] > 99
        elif sys.argv[3] == "abort":
            chain[0].abort()
            assert all(txn.closed for txn in chain)
        elif sys.argv[3] == "drop":
            del chain
        elif sys.argv[3] == "close":
            env.close()
            assert all(txn.closed for txn in chain)
        print("fine")
        """
    )
    for end in ("commit", "abort", "drop", "close", "exit"):
        done = subprocess.run(
            [sys.executable, "-c", program, env_path + end, str(lib_version), end],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (0, "fine\n"), (end, done.stderr)


def test_a_child_keeps_its_parent_alive(env):
    child = [env.begin(parent=env.begin(write=True), write=True)]
    gc.collect()
    assert child[0].put(b"k", b"v")
    assert child[0].get(b"k") == b"v"
    child[0].commit()
    with pytest.warns(ResourceWarning):
        free(child)
    gc.collect()
    with env.begin(write=True, timeout=1) as txn:  # the parent was not committed
        assert txn.get(b"k") is None


@pytest.mark.parametrize("move", ["first", "last"])
def test_a_parent_s_cursor_of_a_database_that_was_emptied(env, move):
    """It was at a page that is the root again, and that a child has written since."""
    dbs = [env.open_db(b"%d" % n) for n in range(8)]
    with env.begin(write=True) as txn:
        cursors = [txn.cursor(db) for db in dbs]
        for db, cursor in zip(dbs, cursors, strict=True):
            txn.put(b"a", b"first", db=db)
            assert cursor.set_key(b"a")
            txn.delete(b"a", db=db)
            txn.put(b"b", b"old", db=db)
        with env.begin(parent=txn, write=True) as child:
            for db in dbs:
                child.put(b"b", b"new", db=db)
        for cursor in cursors:
            assert getattr(cursor, move)()
            assert cursor.item() == (b"b", b"new")


@pytest.mark.parametrize("options", [{}, {"dupsort": True}], ids=["plain", "dup"])
def test_a_parent_s_cursor_goes_on_after_a_child(env, parent, options):
    db = env.open_db(b"kept", txn=parent, **options)
    cursor = parent.cursor(db)
    cursor.putmulti([(b"a", b"1"), (b"c", b"3")])
    assert cursor.first()
    with env.begin(parent=parent, write=True) as child:
        child.put(b"b", b"2", db=db)
        child.put(b"0", b"0", db=db)
    assert cursor.item() == (b"a", b"1")
    assert cursor.next()
    assert cursor.item() == (b"b", b"2")
    iterator = cursor.iternext()
    assert next(iterator) == (b"b", b"2")
    with env.begin(parent=parent, write=True) as child:
        child.delete(b"b", db=db)
    assert list(iterator) == [(b"c", b"3")]
