# SPDX-License-Identifier: MIT
"""Databases by name: their flags as a contract, their handles, listing and dropping."""

import gc
import pickle
import threading
import weakref

import pytest
from programs import PATIENCE

import pylmdb

WORDS = ("reverse_key", "dupsort", "integerkey", "integerdup", "dupfixed")


def flag_words(*names):
    return {word: word in names for word in WORDS}


def keys_of(txn, db=None):
    return list(txn.range(values=False, db=db))


# -- open_db --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), ()),
        (("reverse_key",), ("reverse_key",)),
        (("dupsort",), ("dupsort",)),
        (("integerkey",), ("integerkey",)),
        (("dupfixed",), ("dupsort", "dupfixed")),
        (("dupsort", "dupfixed"), ("dupsort", "dupfixed")),
        (("integerdup",), ("dupsort", "dupfixed", "integerdup")),
        (("integerkey", "integerdup"), ("integerkey", "dupsort", "dupfixed", "integerdup")),
        (("reverse_key", "dupsort"), ("reverse_key", "dupsort")),
    ],
)
def test_flags(env, open_env, given, expected):
    db = env.open_db(b"db", **dict.fromkeys(given, True))
    assert db.flags() == flag_words(*expected)
    assert db.flags(None) == db.flags()
    with env.begin() as txn:
        assert db.flags(txn) == db.flags()
    env.close()
    assert open_env().open_db(b"db").flags() == flag_words(*expected)


def test_positional_order(env):
    with env.begin(write=True) as txn:
        db = env.open_db(b"db", txn, True, True, True, False, False, False)
    assert db.flags() == flag_words("reverse_key", "dupsort")


def test_handles_are_the_same_object(env):
    first = env.open_db(b"db")
    assert env.open_db(b"db") is first
    with env.begin() as txn:
        assert env.open_db(b"db", txn=txn) is first
    assert first.name == b"db"
    assert "b'db'" in repr(first)
    assert not first.closed
    assert isinstance(first, pylmdb.Database)
    assert pylmdb._Database is pylmdb.Database


def test_environments_of_one_file_have_handles_of_their_own(env, open_env, tmp_path):
    other = open_env(env.path())
    handles = [each.open_db(b"db") for each in (env, other, env, other)]
    assert handles[0] is handles[2] is not handles[1] is handles[3]
    with env.begin(write=True) as txn:
        for handle in handles[:2]:
            txn.put(b"k", b"v", db=handle)
    other.close()
    assert [handle.closed for handle in handles] == [False, True] * 2
    assert env.open_db(b"db") is handles[0]


def test_a_handle_that_is_going_is_not_given_out(env):
    """Neither to a callback of a weak reference to it, nor as an object of another class."""
    handle, found = env.open_db(b"db"), []
    watch = weakref.ref(handle, lambda _: found.append(env.open_db(b"db")))
    number = id(handle)
    del handle
    gc.collect()
    assert watch() is None
    assert found == [env.open_db(b"db")]
    assert id(found[0]) != number

    class Own(pylmdb.Database):
        pass

    own = Own(env, b"db", found[0]._slot)
    assert own.flags() == found[0].flags()
    assert env.open_db(b"db") is found[0]
    del found[:]
    gc.collect()
    assert type(env.open_db(b"db")) is pylmdb.Database


def test_a_handle_is_initialised_once(env):
    handle = env.open_db(b"db")
    with pytest.raises(pylmdb.Error, match="opened already"):
        handle.__init__(env, b"other", None)
    assert env.open_db(b"db") is handle
    never = pylmdb.Database.__new__(pylmdb.Database)
    assert never.closed
    assert repr(never) == "<pylmdb.Database never opened>"
    with env.begin() as txn, pytest.raises(pylmdb.ClosedError):
        txn.get(b"k", db=never)


def test_the_main_database(env):
    main = env.open_db()
    assert main.name is None
    assert "main" in repr(main)
    assert main.flags() == flag_words()
    assert env.open_db(None) is main
    assert env.info()["last_txnid"] == 0
    for word in WORDS:
        with pytest.raises(ValueError, match="flags"):
            env.open_db(None, **{word: True})


@pytest.mark.parametrize("word", WORDS)
def test_reopening_with_a_flag_that_it_lacks(env, open_env, word):
    env.open_db(b"plain")
    for again in (env, None):
        if again is None:
            env.close()
            again = open_env()
        with pytest.raises(pylmdb.IncompatibleError):
            again.open_db(b"plain", **{word: True})
        assert again.open_db(b"plain").flags() == flag_words()


def test_reopening_without_flags_takes_it_as_it_is(env):
    db = env.open_db(b"db", dupsort=True)
    assert env.open_db(b"db") is db
    with env.begin(write=True) as txn:
        assert env.open_db(b"db", txn) is db


def test_a_missing_database(env):
    with pytest.raises(pylmdb.NotFoundError):
        env.open_db(b"missing", create=False)
    with env.begin() as txn, pytest.raises(pylmdb.Error):
        env.open_db(b"missing", txn)
    assert env.dbs() == []


@pytest.mark.parametrize("wrong", ["text", 7, 1.5, ["x"]])
def test_names_are_bytes(env, wrong):
    with pytest.raises(TypeError):
        env.open_db(wrong)


@pytest.mark.parametrize("name", [b"a\0b", b"\0a", b"a\0\0"])
def test_nul_in_a_name(env, name):
    with pytest.raises(pylmdb.InvalidParameterError):
        env.open_db(name)
    assert env.dbs() == []


def test_other_buffers_as_names(env):
    assert env.open_db(bytearray(b"db")) is env.open_db(b"db")
    assert env.open_db(memoryview(b"xdb")[1:]) is env.open_db(b"db")
    assert env.dbs() == [b"db"]


def test_names_too_long(env):
    size = env.max_key_size()
    with pytest.raises(pylmdb.BadValsizeError):
        env.open_db(b"n" * (size + 1))
    name = b"n" * (size - 1)
    env.open_db(name)
    assert env.dbs() == [name]


def test_the_empty_name(env, lib_version):
    """The 1.0 format has room for it, 0.9's has not."""
    if lib_version == 0:
        with pytest.raises(pylmdb.BadValsizeError):
            env.open_db(b"")
        assert env.dbs() == []
    else:
        assert env.open_db(b"").name == b""
        assert env.dbs() == [b""]


def test_a_name_as_the_main_database_stores_it(env, lib_version):
    db = env.open_db(b"db")
    with env.begin() as txn:
        [stored] = keys_of(txn)
    assert stored == {0: b"db", 1: b"db\0"}[lib_version]
    assert env.open_db(stored) is db
    if lib_version == 0:
        with pytest.raises(pylmdb.InvalidParameterError):
            env.open_db(b"db\0")


def test_an_ordinary_record_of_that_name(env):
    with env.begin(write=True) as txn:
        txn.put(b"name", b"value")
        txn.put(b"name\0", b"value")
    with pytest.raises(pylmdb.IncompatibleError):
        env.open_db(b"name")
    with env.begin() as txn:
        assert txn.get(b"name") == b"value"


def test_open_db_inside_one_s_own_write_transaction(env):
    with env.begin(write=True) as txn:
        db = env.open_db(b"db")
        assert txn.put(b"k", b"v", db=db)
        child = env.begin(parent=txn, write=True)
        inner = env.open_db(b"inner")
        assert child.put(b"k", b"v", db=inner)
        child.commit()
        assert txn.get(b"k", db=inner) == b"v"
    assert env.dbs() == [b"db", b"inner"]


def test_a_handle_opened_after_a_transaction_began(env):
    reader = env.begin()
    with env.begin(write=True) as txn:
        db = env.open_db(b"db", txn)
        txn.put(b"k", b"v", db=db)
    with pytest.raises(pylmdb.Error):
        reader.get(b"k", db=db)
    reader.abort()
    with env.begin(db) as reader:
        assert reader.get(b"k") == b"v"


def test_an_existing_database_opened_in_the_middle_of_other_transactions(env, open_env):
    env.open_db(b"db")
    env.close()
    env = open_env()
    reader = env.begin()
    with env.begin(write=True) as txn:
        thread = threading.Thread(target=env.open_db, args=(b"db",))
        thread.start()
        thread.join(PATIENCE)
        db = env.open_db(b"db")
        assert reader.get(b"k", db=db) is None
        assert txn.put(b"k", b"v", db=db)
    with env.begin(db) as after:
        assert after.get(b"k") == b"v"


def test_the_creation_is_undone_with_its_transaction(env):
    txn = env.begin(write=True)
    db = env.open_db(b"db", txn)
    txn.put(b"k", b"v", db=db)
    txn.abort()
    assert db.closed
    assert env.dbs() == []
    other = env.open_db(b"other")
    with env.begin(write=True) as txn:
        assert env.open_db(b"db", txn) is not db
        txn.put(b"mine", b"v", db=other)
        for use in (txn.get, txn.pop, txn.delete):
            with pytest.raises(pylmdb.InvalidParameterError):
                use(b"mine", db=db)
    assert db.closed


def test_the_creation_is_undone_with_an_aborted_child_or_parent(env):
    with env.begin(write=True) as txn:
        child = env.begin(parent=txn, write=True)
        gone = env.open_db(b"gone", child)
        child.abort()
        assert gone.closed
        child = env.begin(parent=txn, write=True)
        kept = env.open_db(b"kept", child)
        child.commit()
        assert txn.put(b"k", b"v", db=kept)
    assert env.dbs() == [b"kept"]
    txn = env.begin(write=True)
    child = env.begin(parent=txn, write=True)
    lost = env.open_db(b"lost", child)
    child.commit()
    txn.abort()
    assert lost.closed
    assert env.dbs() == [b"kept"]


def test_a_handle_of_another_environment(env, open_env, tmp_path):
    other = open_env(tmp_path / "other")
    stranger = other.open_db(b"db")
    env.open_db(b"db")
    with env.begin(write=True) as txn:
        for use in (
            lambda: txn.get(b"k", db=stranger),
            lambda: txn.put(b"k", b"v", db=stranger),
            lambda: txn.cursor(stranger),
            lambda: txn.stat(stranger),
            lambda: txn.drop(stranger),
            lambda: txn.range(db=stranger),
            lambda: pylmdb.Cursor(stranger, txn),
            lambda: txn.get_many([b"k"], db=stranger),
            lambda: txn.get(b"k", db=other.open_db()),
        ):
            with pytest.raises(pylmdb.InvalidParameterError):
                use()
    for call in (lambda t: env.open_db(b"db", t), lambda t: env.dbs(t)):
        with other.begin(write=True) as theirs, pytest.raises(pylmdb.InvalidParameterError):
            call(theirs)
    with pytest.raises(pylmdb.InvalidParameterError):
        env.begin(stranger)


@pytest.mark.parametrize("wrong", [b"db", 1, "db", object()])
def test_db_must_be_a_handle(env, wrong):
    with env.begin(write=True) as txn:
        for use in (
            lambda: txn.get(b"k", db=wrong),
            lambda: txn.put(b"k", b"v", db=wrong),
            lambda: txn.cursor(wrong),
            lambda: txn.stat(wrong),
            lambda: txn.drop(wrong),
        ):
            with pytest.raises(TypeError):
                use()
    with pytest.raises(TypeError):
        env.begin(wrong)
    with env.begin(write=True) as txn, pytest.raises(TypeError):
        txn.drop(None)


def test_pickle(env):
    db = env.open_db(b"db", dupsort=True)
    with env.begin(db, write=True) as txn:
        txn.put(b"k", b"v")
    again = pickle.loads(pickle.dumps(db))
    assert again.name == b"db"
    assert again.flags() == db.flags()
    with env.begin() as txn:
        assert txn.get(b"k", db=db) == b"v"
    main = pickle.loads(pickle.dumps(env.open_db()))
    assert main.name is None
    envs = pickle.loads(pickle.dumps((env, db)))
    with envs[0].begin(envs[1]) as txn:
        assert txn.get(b"k") == b"v"
    envs[0].close()


# -- listing and dropping -------------------------------------------------------------------


def test_dbs_lists_exactly_the_named_databases(env):
    names = [b"%03d" % n for n in range(0, 200, 2)]
    with env.begin(write=True) as txn:
        for name in names:
            env.open_db(name, txn)
        for n in range(1, 200, 2):
            txn.put(b"%03d" % n, b"ordinary")
            # as long as the record that describes a database
            txn.put(b"like %03d" % n, bytes(48))
        assert env.dbs(txn) == names
    assert env.dbs() == names
    with env.begin() as reader:
        assert env.dbs(txn=reader) == names
    with env.begin(buffers=True) as reader:
        assert [bytes(name) for name in env.dbs(reader)] == names
        assert all(type(name) is bytes for name in env.dbs(reader))
    with pytest.raises(TypeError):
        env.dbs("txn")


def test_dbs_of_an_older_snapshot(env):
    env.open_db(b"old")
    reader = env.begin()
    env.open_db(b"new")
    assert env.dbs(reader) == [b"old"]
    assert env.dbs() == [b"new", b"old"]


def test_drop_and_delete(env):
    db = env.open_db(b"db")
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=db)
        mine, main = txn.cursor(db), txn.cursor()
        mine.first()
        txn.drop(db)
        assert db.closed
        assert main.first() is False
        for use in (mine.key, mine.first, lambda: txn.get(b"k", db=db), lambda: txn.cursor(db)):
            with pytest.raises(pylmdb.Error):
                use()
        with pytest.raises(pylmdb.InvalidParameterError):
            txn.get(b"k", db=db)
        fresh = env.open_db(b"db", txn)
        assert fresh is not db
        assert txn.get(b"k", db=fresh) is None
        txn.put(b"mine", b"v", db=fresh)
        with pytest.raises(pylmdb.InvalidParameterError):
            txn.get(b"mine", db=db)
    assert env.dbs() == [b"db"]
    with pytest.raises(pylmdb.Error):
        db.flags()


def test_emptying(env):
    db = env.open_db(b"db")
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=db)
        cursor = txn.cursor(db)
        cursor.first()
        txn.drop(db, False)
        assert cursor.key() == b""
        assert not db.closed
        assert txn.put(b"again", b"v", db=db)
        assert cursor.first()
        assert cursor.key() == b"again"
    assert env.dbs() == [b"db"]


@pytest.mark.parametrize("delete", [False, True])
def test_dropping_the_main_database_empties_everything(env, open_env, delete):
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
        txn.put(b"k", b"v", db=env.open_db(b"db", txn))
    env.close()
    env = open_env()
    with env.begin(write=True) as txn:
        txn.drop(env.open_db(), delete=delete)
        assert txn.put(b"k2", b"v")
    assert env.dbs() == []
    with env.begin() as reader:
        assert keys_of(reader) == [b"k2"]


def test_dropping_a_main_database_with_records_of_its_own(open_env):
    """Their keys are not names that end with NUL; this one ends at the end of its page."""
    with open_env() as env:
        with env.begin(write=True) as txn:
            txn.put(b"record", b"x" * 20)
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v" * 5000, db=env.open_db(b"named", txn))
    env = open_env()
    with env.begin(write=True) as txn:
        txn.drop(env.open_db(txn=txn))
        assert txn.stat().entries == 0
    assert env.dbs() == []
    with env.begin(write=True) as txn:
        assert txn.put(b"k", b"v", db=env.open_db(b"named", txn))
    assert env.info().free_pages


def test_dropping_the_main_database_while_named_ones_are_open(env, lib_version):
    db = env.open_db(b"db")
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=db)
    with env.begin(write=True) as txn:
        if lib_version == 1:
            with pytest.raises(pylmdb.DbsBusyError, match=r"drop\(\) the named databases first"):
                txn.drop(env.open_db())
            assert txn.get(b"k", db=db) == b"v"
            txn.drop(db)
        txn.drop(env.open_db())
        with pytest.raises(pylmdb.InvalidParameterError):
            txn.get(b"k", db=db)
    assert db.closed
    assert env.dbs() == []


def test_an_aborted_drop(env):
    db = env.open_db(b"db")
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=db)
    txn = env.begin(write=True)
    txn.drop(db)
    txn.abort()
    assert env.dbs() == [b"db"]
    with env.begin(env.open_db(b"db")) as reader:
        assert reader.get(b"k") == b"v"


def test_a_dropped_slot_is_never_another_database(env):
    stale = env.open_db(b"stale")
    with env.begin(write=True) as txn:
        txn.drop(stale)
    fresh = env.open_db(b"fresh")
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=fresh)
        with pytest.raises(pylmdb.InvalidParameterError):
            txn.get(b"k", db=stale)
