# SPDX-License-Identifier: MIT
"""Every public operation on every kind of ended object, and with ended objects in every argument
position, raises the documented exception.

The operations are found by introspection; one that is missing in the tables below fails a test.
"""

import copy
import pickle
import types

import pytest
from dropped import free
from numpy_if_any import lacks_numpy, np

import pylmdb

# What a call may need besides the object itself is taken from `live`: env, txn (a write
# transaction), reader, db (a dupsort database), cursor.

ENVIRONMENT = {
    "begin": lambda env, live: env.begin(),
    "begin write": lambda env, live: env.begin(write=True),
    "backup": lambda env, live: env.backup(live.file),
    "checksums": lambda env, live: env.checksums,
    "copy": lambda env, live: env.copy(live.folder),
    "copyfd": lambda env, live: env.copyfd(live.file.fileno()),
    "copy_db": lambda env, live: env.copy_db(b"db", b"copy"),
    "rename_db": lambda env, live: env.rename_db(b"db", b"new"),
    "wait": lambda env, live: env.wait(timeout=0),
    "dbs": lambda env, live: env.dbs(),
    "flags": lambda env, live: env.flags(),
    "info": lambda env, live: env.info(),
    "lib_version": lambda env, live: env.lib_version(),
    "max_key_size": lambda env, live: env.max_key_size(),
    "max_readers": lambda env, live: env.max_readers(),
    "open_db": lambda env, live: env.open_db(),
    "open_db named": lambda env, live: env.open_db(b"db"),
    "path": lambda env, live: env.path(),
    "reader_check": lambda env, live: env.reader_check(),
    "reader_list": lambda env, live: env.reader_list(),
    "readers": lambda env, live: env.readers(),
    "set_flags": lambda env, live: env.set_flags(sync=True),
    "set_mapsize": lambda env, live: env.set_mapsize(1 << 24),
    "compact": lambda env, live: env.compact(),
    "snapshot": lambda env, live: env.snapshot(),
    "warm": lambda env, live: env.warm(),
    "stat": lambda env, live: env.stat(),
    "sync": lambda env, live: env.sync(),
    "sync forced": lambda env, live: env.sync(True),
    "writer": lambda env, live: env.writer(),
    "__reduce__": lambda env, live: pickle.dumps(env),
}
TRANSACTION = {
    "commit": lambda txn, live: txn.commit(),
    "count": lambda txn, live: txn.count(b"k"),
    "delete_range": lambda txn, live: txn.delete_range(b"k"),
    "cursor": lambda txn, live: txn.cursor(),
    "delete": lambda txn, live: txn.delete(b"k"),
    "drop": lambda txn, live: txn.drop(live.db),
    "get": lambda txn, live: txn.get(b"k"),
    "get_many": lambda txn, live: txn.get_many([b"k"]),
    "__contains__": lambda txn, live: b"k" in txn,
    "has_many": lambda txn, live: txn.has_many([b"k"]),
    "has_many array": lambda txn, live: txn.has_many(np.arange(3)),
    "first": lambda txn, live: txn.first(),
    "last": lambda txn, live: txn.last(),
    "floor": lambda txn, live: txn.floor(b"k"),
    "ceiling": lambda txn, live: txn.ceiling(b"k"),
    "view": lambda txn, live: txn.view(b"k"),
    "put_array": lambda txn, live: txn.put_array(b"k", np.arange(3)),
    "get_array": lambda txn, live: txn.get_array(b"k"),
    "reserve": lambda txn, live: txn.reserve(b"k", 3).__enter__(),
    "take": lambda txn, live: txn.take([b"k"], "u1"),
    "range_arrays": lambda txn, live: txn.range_arrays(None, None, "u1"),
    "dup_array": lambda txn, live: txn.dup_array(b"k", "u1"),
    "put_arrays": lambda txn, live: txn.put_arrays([b"k"], np.zeros((1, 3))),
    "id": lambda txn, live: txn.id(),
    "next_id": lambda txn, live: txn.next_id(),
    "pop": lambda txn, live: txn.pop(b"k"),
    "put": lambda txn, live: txn.put(b"k", b"v"),
    "put if_value": lambda txn, live: txn.put(b"k", b"v", if_value=b"old"),
    "range": lambda txn, live: txn.range(),
    "range reverse": lambda txn, live: txn.range(b"a", b"b", reverse=True),
    "replace": lambda txn, live: txn.replace(b"k", b"v"),
    "stat": lambda txn, live: txn.stat(),
}
CURSOR = {
    "count": lambda cur, live: cur.count(),
    "delete": lambda cur, live: cur.delete(),
    "delete all": lambda cur, live: cur.delete(True),
    "first": lambda cur, live: cur.first(),
    "first_dup": lambda cur, live: cur.first_dup(),
    "get": lambda cur, live: cur.get(b"k"),
    "getmulti": lambda cur, live: cur.getmulti([b"k"]),
    "getmulti of pages": lambda cur, live: cur.getmulti([b"k"], True, 4, True),
    "item": lambda cur, live: cur.item(),
    "iternext": lambda cur, live: cur.iternext(),
    "iternext_dup": lambda cur, live: cur.iternext_dup(),
    "iternext_nodup": lambda cur, live: cur.iternext_nodup(),
    "iterprev": lambda cur, live: cur.iterprev(),
    "iterprev_dup": lambda cur, live: cur.iterprev_dup(),
    "iterprev_nodup": lambda cur, live: cur.iterprev_nodup(),
    "key": lambda cur, live: cur.key(),
    "last": lambda cur, live: cur.last(),
    "last_dup": lambda cur, live: cur.last_dup(),
    "next": lambda cur, live: cur.next(),
    "next_dup": lambda cur, live: cur.next_dup(),
    "next_nodup": lambda cur, live: cur.next_nodup(),
    "pop": lambda cur, live: cur.pop(b"k"),
    "prev": lambda cur, live: cur.prev(),
    "prev_dup": lambda cur, live: cur.prev_dup(),
    "prev_nodup": lambda cur, live: cur.prev_nodup(),
    "put": lambda cur, live: cur.put(b"k", b"v"),
    "putmulti": lambda cur, live: cur.putmulti([(b"k", b"v")]),
    "range": lambda cur, live: cur.range(),
    "range prefix": lambda cur, live: cur.range(prefix=b"k"),
    "replace": lambda cur, live: cur.replace(b"k", b"v"),
    "set_key": lambda cur, live: cur.set_key(b"k"),
    "set_key_dup": lambda cur, live: cur.set_key_dup(b"k", b"v"),
    "set_range": lambda cur, live: cur.set_range(b"k"),
    "set_range of nothing": lambda cur, live: cur.set_range(b""),
    "set_range_dup": lambda cur, live: cur.set_range_dup(b"k", b"v"),
    "value": lambda cur, live: cur.value(),
    "view": lambda cur, live: cur.view(),
    "array": lambda cur, live: cur.array(),
    "_iter_from": lambda cur, live: cur._iter_from(b"k", False),
    "__iter__": lambda cur, live: iter(cur),
}
DATABASE = {"flags": lambda db, live: db.flags()}
CALLS = {
    pylmdb.Environment: ENVIRONMENT,
    pylmdb.Transaction: TRANSACTION,
    pylmdb.Cursor: CURSOR,
    pylmdb.Database: DATABASE,
}
# What a dead object still answers.
ALLOWED = {
    pylmdb.Environment: {"close", "closed", "readonly"},
    pylmdb.Transaction: {"abort", "closed", "write", "env"},
    pylmdb.Cursor: {"close", "closed", "db", "txn"},
    pylmdb.Database: {"closed", "name"},
}


@pytest.mark.parametrize("cls", CALLS)
def test_no_public_operation_is_missing_in_the_table(env, cls):
    with env.begin() as txn:
        some = {
            pylmdb.Environment: env,
            pylmdb.Transaction: txn,
            pylmdb.Cursor: txn.cursor(),
            pylmdb.Database: env.open_db(),
        }[cls]
        found = {name for name in dir(some) if not name.startswith("_")}
    tried = {name.split()[0] for name in CALLS[cls] if not name.startswith("_")}
    assert found - ALLOWED[cls] == tried


@pytest.fixture
def live(env, tmp_path):
    """Everything alive, in the environment that the dead objects come from."""
    folder = tmp_path / "copy"
    folder.mkdir()
    db = env.open_db(b"db", dupsort=True)
    with env.begin(db, write=True) as txn:
        txn.put(b"k", b"1")
        txn.put(b"k", b"2")
    with open(tmp_path / "file", "wb") as file:
        live = types.SimpleNamespace(env=env, db=db, folder=folder, file=file, open=[])
        yield live
    for txn in live.open:
        txn.abort()


def another(live, open_env, tmp_path):
    """Return a second environment, which can be closed while `live` stays."""
    env = open_env(tmp_path / "another")
    return env, env.open_db(b"db", dupsort=True)


def revived(cls, *args):
    """Make an object with __new__, without __init__."""
    return cls.__new__(cls, *args)


class Subclass(pylmdb.Environment):
    """Forgets to call its base class."""

    def __init__(self):
        pass


def ended(txn, how):
    getattr(txn, how)()
    return txn


def after(action, value):
    action()
    return value


# state -> (live, second environment and its database) -> the dead object
DEAD_ENVIRONMENTS = {
    "closed": lambda live, env, db: after(env.close, env),
    "left": lambda live, env, db: after(lambda: env.__exit__(None, None, None), env),
    "never initialised": lambda live, env, db: revived(pylmdb.Environment),
    "subclass that forgets": lambda live, env, db: Subclass(),
}
DEAD_TRANSACTIONS = {
    "committed": lambda live, env, db: ended(env.begin(write=True), "commit"),
    "aborted": lambda live, env, db: ended(env.begin(write=True), "abort"),
    "reader aborted": lambda live, env, db: ended(env.begin(), "abort"),
    "reader committed": lambda live, env, db: ended(env.begin(buffers=True), "commit"),
    "environment closed": lambda live, env, db: (_txn := env.begin(write=True), env.close())[0],
    "reader, environment closed": lambda live, env, db: (_txn := env.begin(), env.close())[0],
    "parent ended": lambda live, env, db: (
        parent := env.begin(write=True),
        _child := env.begin(parent=parent, write=True),
        parent.abort(),
    )[1],
    "never initialised": lambda live, env, db: revived(pylmdb.Transaction, env),
}
DEAD_CURSORS = {
    "closed": lambda live, env, db: (c := env.begin(db).cursor(), c.close())[0],
    "transaction aborted": lambda live, env, db: (
        c := env.begin(db, write=True).cursor(),
        c.txn.abort(),
    )[0],
    "transaction committed": lambda live, env, db: (
        c := env.begin(db, write=True).cursor(),
        c.first(),
        c.txn.commit(),
    )[0],
    "environment closed": lambda live, env, db: (_c := env.begin(db).cursor(), env.close())[0],
    "database dropped": lambda live, env, db: (
        c := env.begin(db, write=True).cursor(),
        c.txn.drop(db),
        live.open.append(c.txn),
    )[0],
    "never initialised": lambda live, env, db: revived(pylmdb.Cursor, db, env.begin(db)),
}
DEAD_DATABASES = {
    "environment closed": lambda live, env, db: after(env.close, db),
    "main, environment closed": lambda live, env, db: (env.open_db(), env.close())[0],
    "dropped": lambda live, env, db: (txn := env.begin(write=True), txn.drop(db), txn.commit(), db)[
        3
    ],
    "creation aborted": lambda live, env, db: (
        txn := env.begin(write=True),
        _new := env.open_db(b"new", txn),
        txn.abort(),
    )[1],
    "never initialised": lambda live, env, db: revived(pylmdb.Database),
}
DEAD = {
    pylmdb.Environment: DEAD_ENVIRONMENTS,
    pylmdb.Transaction: DEAD_TRANSACTIONS,
    pylmdb.Cursor: DEAD_CURSORS,
    pylmdb.Database: DEAD_DATABASES,
}


def make_dead(cls, state, live, open_env, tmp_path):
    return DEAD[cls][state](live, *another(live, open_env, tmp_path))


STATES = [(cls, state) for cls in DEAD for state in DEAD[cls]]


@pytest.mark.parametrize(("cls", "state"), STATES, ids=lambda part: getattr(part, "__name__", part))
def test_every_operation_on_every_dead_object(live, open_env, tmp_path, cls, state):
    dead = make_dead(cls, state, live, open_env, tmp_path)
    assert issubclass(pylmdb.ClosedError, pylmdb.Error)
    wrong = {}
    for name, call in CALLS[cls].items():
        try:
            wrong[name] = repr(call(dead, live))
        except pylmdb.ClosedError as error:
            if "closed/deleted/dropped" not in str(error):
                wrong[name] = str(error)
        except Exception as error:
            if not lacks_numpy(error):
                wrong[name] = repr(error)
    assert wrong == {}
    with live.env.begin() as reader:
        assert list(reader.range(db=live.db)) == [(b"k", b"1"), (b"k", b"2")]


@pytest.mark.parametrize(
    ("cls", "state"),
    [pair for pair in STATES if hasattr(pair[0], "__enter__")],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_a_dead_object_cannot_be_entered(live, open_env, tmp_path, cls, state):
    dead = make_dead(cls, state, live, open_env, tmp_path)
    with pytest.raises(pylmdb.ClosedError):
        dead.__enter__()


@pytest.mark.parametrize(("cls", "state"), STATES, ids=lambda part: getattr(part, "__name__", part))
def test_what_a_dead_object_still_answers(live, open_env, tmp_path, cls, state):
    dead = make_dead(cls, state, live, open_env, tmp_path)
    assert dead.closed is True
    assert isinstance(repr(dead), str)
    for name in ALLOWED[cls]:
        value = getattr(dead, name)
        if callable(value):
            for _ in range(3):
                assert value() is None
    if hasattr(cls, "__exit__"):
        assert not dead.__exit__(None, None, None)
    assert dead.closed is True
    if cls in (pylmdb.Transaction, pylmdb.Cursor):
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                make(dead)
    del dead


# -- in argument positions -------------------------------------------------------------------------


def home(dead, live):
    """Return the environment of a transaction, also of one that was never begun."""
    return dead.env or live.env


TAKES = {
    pylmdb.Environment: {
        "Transaction(env)": lambda dead, live: pylmdb.Transaction(dead),
        "Transaction(env, write)": lambda dead, live: pylmdb.Transaction(dead, write=True),
    },
    pylmdb.Transaction: {
        "begin(parent)": lambda dead, live: home(dead, live).begin(parent=dead, write=True),
        "copy(txn)": lambda dead, live: home(dead, live).copy(live.folder, compact=True, txn=dead),
        "copyfd(txn)": lambda dead, live: home(dead, live).copyfd(live.file.fileno(), True, dead),
        "dbs(txn)": lambda dead, live: home(dead, live).dbs(dead),
        "open_db(txn)": lambda dead, live: home(dead, live).open_db(b"db", dead),
        "open_db(txn), new": lambda dead, live: home(dead, live).open_db(b"other", dead),
        "Cursor(txn)": lambda dead, live: pylmdb.Cursor(home(dead, live).open_db(), dead),
    },
}


@pytest.mark.parametrize(
    ("cls", "state"),
    [pair for pair in STATES if pair[0] in TAKES],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_dead_environments_and_transactions_as_arguments(live, open_env, tmp_path, cls, state):
    dead = make_dead(cls, state, live, open_env, tmp_path)
    for name, call in TAKES[cls].items():
        with pytest.raises(pylmdb.ClosedError):
            pytest.fail(f"{name} gave {call(dead, live)!r}")


@pytest.mark.parametrize("state", DEAD_TRANSACTIONS)
def test_dead_transactions_in_another_environment(live, open_env, tmp_path, state):
    dead = make_dead(pylmdb.Transaction, state, live, open_env, tmp_path)
    for call in (
        lambda: live.env.begin(parent=dead, write=True),
        lambda: live.env.copy(live.folder, compact=True, txn=dead),
        lambda: live.env.dbs(dead),
        lambda: live.env.open_db(b"db", dead),
        lambda: pylmdb.Cursor(live.db, dead),
    ):
        with pytest.raises((pylmdb.ClosedError, pylmdb.InvalidParameterError)):
            call()
    live.env.begin(write=True).abort()


@pytest.mark.parametrize("state", DEAD_DATABASES)
def test_dead_databases_as_arguments(live, open_env, tmp_path, state):
    dead = make_dead(pylmdb.Database, state, live, open_env, tmp_path)
    home = getattr(dead, "_env", None)
    for env in (live.env, home):
        if env is None or env.closed:
            continue
        txn = env.begin(write=True)
        for call in (
            lambda txn=txn: txn.cursor(dead),
            lambda txn=txn: txn.delete(b"k", db=dead),
            lambda txn=txn: txn.drop(dead),
            lambda txn=txn: txn.drop(dead, delete=False),
            lambda txn=txn: txn.get(b"k", db=dead),
            lambda txn=txn: txn.get_many([b"k"], db=dead),
            lambda txn=txn: txn.view(b"k", db=dead),
            lambda txn=txn: txn.put_array(b"k", np.arange(3), db=dead),
            lambda txn=txn: txn.reserve(b"k", 3, db=dead).__enter__(),
            lambda txn=txn: txn.take([b"k"], "u1", db=dead),
            lambda txn=txn: txn.range_arrays(None, None, "u1", db=dead),
            lambda txn=txn: txn.dup_array(b"k", "u1", db=dead),
            lambda txn=txn: txn.put_arrays([b"k"], np.zeros((1, 3)), db=dead),
            lambda env=env: env.snapshot(dead),
            lambda env=env: env.warm([b"k"], db=dead),
            lambda txn=txn: txn.pop(b"k", dead),
            lambda txn=txn: txn.put(b"k", b"v", db=dead),
            lambda txn=txn: txn.range(db=dead),
            lambda txn=txn: txn.replace(b"k", b"v", dead),
            lambda txn=txn: txn.stat(dead),
            lambda txn=txn: pylmdb.Cursor(dead, txn),
            lambda env=env: env.begin(dead),
            lambda env=env, txn=txn: env.begin(dead, parent=txn, write=True),
        ):
            with pytest.raises((pylmdb.ClosedError, pylmdb.InvalidParameterError)):
                call()
        txn.abort()
        env.begin(write=True).abort()


# -- iterators and repetition ---------------------------------------------------------------------


@pytest.mark.parametrize("end", ["abort", "commit", "close env", "close cursor", "drop"])
@pytest.mark.parametrize("started", [False, True])
def test_iterators_of_dead_cursors(live, end, started):
    txn = live.env.begin(live.db, write=True)
    cursor = txn.cursor()
    cursor.first()
    iterators = [
        make()
        for make in (
            cursor.iternext, cursor.iterprev, cursor.iternext_dup, cursor.iterprev_dup,
            cursor.iternext_nodup, cursor.iterprev_nodup, cursor.range,
        )
    ]  # fmt: skip
    if started:
        for iterator in iterators:
            next(iterator, None)
            cursor.first()
    {
        "abort": txn.abort,
        "commit": txn.commit,
        "close env": live.env.close,
        "close cursor": cursor.close,
        "drop": lambda: txn.drop(live.db),
    }[end]()
    for iterator in iterators:
        with pytest.raises(pylmdb.ClosedError):
            next(iterator)
    txn.abort()


def test_initialised_twice(live, tmp_path):
    env, db = live.env, live.db
    with env.begin(db, write=True) as txn:
        cursor = txn.cursor()
        cursor.first()
        for again in (
            lambda: env.__init__(tmp_path / "other"),
            lambda: txn.__init__(env),
            lambda: txn.__init__(env, write=True),
            lambda: cursor.__init__(db, txn),
            lambda: db.__init__(env, b"other", None),
        ):
            with pytest.raises(pylmdb.Error):
                again()
        assert cursor.item() == (b"k", b"1")
        assert txn.get(b"k") == b"1"
        assert db.name == b"db"
    assert not (tmp_path / "other").exists()
    for dead, again in (
        (txn, lambda: txn.__init__(env)),
        (cursor, lambda: cursor.__init__(db, env.begin())),
    ):
        with pytest.raises(pylmdb.Error):
            again()
        assert dead.closed
    env.close()
    with pytest.raises(pylmdb.Error):
        env.__init__(tmp_path / "other")
    assert env.closed


def test_initialised_after_a_failure(live, tmp_path):
    env = pylmdb.Environment.__new__(pylmdb.Environment)
    with pytest.raises(pylmdb.Error):
        env.__init__(tmp_path / "missing", create=False)
    assert env.closed
    env.close()
    with pytest.raises(pylmdb.ClosedError):
        env.begin()
    txn = pylmdb.Transaction.__new__(pylmdb.Transaction, live.env)
    with live.env.begin(write=True), pytest.raises(pylmdb.BusyError):
        txn.__init__(live.env, write=True)
    assert txn.closed
    live.env.begin(write=True).abort()


def test_objects_whose_init_never_ran_are_freed_without_an_error(live):
    for make in (
        lambda: pylmdb.Environment.__new__(pylmdb.Environment),
        lambda: pylmdb.Transaction.__new__(pylmdb.Transaction, live.env),
        lambda: pylmdb.Cursor.__new__(pylmdb.Cursor, live.db, live.env.begin()),
        lambda: pylmdb.Database.__new__(pylmdb.Database),
    ):
        for _ in range(100):
            make()
    free([])
    assert live.env.reader_list() == []
    live.env.begin(write=True).abort()
