# SPDX-License-Identifier: MIT
"""A record of the main database that describes a named database cannot be written or deleted as
a record: the error says why, and the transaction goes on.
"""

import io
from concurrent.futures import Future

import numpy as np
import pytest

import pylmdb
from pylmdb import tools

ROUTES = {
    "put": lambda txn, name: txn.put(name, b"value"),
    "put of a bytearray": lambda txn, name: txn.put(bytearray(name), b"value"),
    "put of an array with a step": lambda txn, name: txn.put(name, np.arange(9)[::2]),
    "put of no value": lambda txn, name: txn.put(name, b""),
    "put of a large value": lambda txn, name: txn.put(name, bytes(100_000)),
    "delete": lambda txn, name: txn.delete(name),
    "delete of a value": lambda txn, name: txn.delete(name, b"value"),
    "delete of an empty value": lambda txn, name: txn.delete(name, b""),
    "replace": lambda txn, name: txn.replace(name, b"value"),
    "pop": lambda txn, name: txn.pop(name),
    "reserve": lambda txn, name: _enter(txn.reserve(name, 8)),
    "put_array": lambda txn, name: txn.put_array(name, np.arange(3)),
    "put_arrays": lambda txn, name: txn.put_arrays([b"a", name, b"z"], np.arange(3)),
    "cursor.put": lambda txn, name: txn.cursor().put(name, b"value"),
    "cursor.putmulti": lambda txn, name: txn.cursor().putmulti([(name, b"value")]),
    "cursor.putmulti of many": lambda txn, name: txn.cursor().putmulti(
        [(b"a%d" % n, b"") for n in range(50)] + [(name, b"value")]
    ),
    "cursor.replace": lambda txn, name: txn.cursor().replace(name, b"value"),
    "cursor.pop": lambda txn, name: txn.cursor().pop(name),
    "cursor.delete": lambda txn, name: _at(txn, name).delete(),
    "cursor.delete of all values": lambda txn, name: _at(txn, name).delete(dupdata=True),
    "delete under an iterator": lambda txn, name: _delete_under_an_iterator(txn),
}
NAME = b"users"
TOLD = r"b'users(\\x00)?' is the name of a named database.*drop\(\).*open_db\(\)"


def _enter(reservation):
    with reservation as view:
        view[:] = bytes(8)


def _at(txn, name):
    cursor = txn.cursor()
    assert cursor.set_key(name)
    return cursor


def _delete_under_an_iterator(txn):
    cursor = txn.cursor()
    for _ in cursor.iternext():
        cursor.delete()


@pytest.fixture
def key(lib_version):
    """Return the key of the database: LMDB 1.0 stores a NUL after names."""
    return NAME + b"\0" * lib_version


@pytest.fixture
def users(env):
    db = env.open_db(NAME)
    with env.begin(db, write=True) as txn:
        txn.put(b"ada", b"1")
    return db


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("route", ROUTES)
def test_it_is_refused_and_the_transaction_goes_on(env, users, key, route, nested):
    with env.begin(write=True) as txn:
        txn.put(b"before", b"1")
        inner = env.begin(parent=txn, write=True) if nested else txn
        with pytest.raises(pylmdb.IncompatibleError, match=TOLD):
            ROUTES[route](inner, key)
        inner.put(b"behind", b"2")
        if nested:
            inner.commit()
        txn.put(b"later", b"3")
    with env.begin() as txn:
        assert (txn.get(b"behind"), txn.get(b"later")) == (b"2", b"3")
        assert list(txn.range(db=users)) == [(b"ada", b"1")]
    assert env.dbs() == [NAME]
    assert pylmdb.verify(env.path()).ok


def test_a_database_that_the_transaction_has_just_created(env, key):
    with env.begin(write=True) as txn:
        env.open_db(NAME, txn)
        with pytest.raises(pylmdb.IncompatibleError, match=TOLD):
            txn.delete(key)
        with pytest.raises(pylmdb.IncompatibleError, match=TOLD):
            txn.put(key, b"value")
    assert env.dbs() == [NAME]


def test_what_is_no_name_of_a_database_is_a_record(env, users, key):
    with env.begin(write=True) as txn:
        for other in (b"user", b"users2", b"users\0\0"):
            assert txn.put(other, b"1")
            assert txn.delete(other)
        assert txn.put(key, b"1", overwrite=False) is False
        assert txn.put(key, b"1", append=True) is False
        assert txn.put(NAME, b"1", db=users)
        assert txn.delete(NAME, db=users)


def test_drop_deletes_it_and_then_it_is_a_key_like_others(env, users, key):
    with env.begin(write=True) as txn:
        txn.drop(users)
        assert txn.put(key, b"1")
        assert txn.delete(key)


def test_a_read_only_transaction_says_what_it_is(env, users, key):
    with env.begin() as txn, pytest.raises(pylmdb.ReadonlyError):
        txn.delete(key)


def test_long_names_are_cut(env, lib_version):
    name = b"n" * 200
    env.open_db(name)
    with env.begin(write=True) as txn, pytest.raises(pylmdb.IncompatibleError) as caught:
        txn.delete(name + b"\0" * lib_version)
    assert len(str(caught.value)) < 350


def test_a_writer_fails_only_that_operation(env, users, key):
    with env.writer() as writer:
        results: list[Future] = [writer.put(b"a", b"1"), writer.delete(key), writer.put(b"b", b"2")]
    with pytest.raises(pylmdb.IncompatibleError, match=TOLD):
        results[1].result()
    with env.begin() as txn:
        assert (txn.get(b"a"), txn.get(b"b")) == (b"1", b"2")


def test_a_map_of_the_main_database(env, users, key):
    with pylmdb.Map(env) as records:
        for change in (
            lambda: records.update({key: b"1"}), lambda: records.pop(key),
            lambda: records.__delitem__(key), lambda: records.__setitem__(key, b"1"),
        ):  # fmt: skip
            with pytest.raises(pylmdb.IncompatibleError, match=TOLD):
                change()
        records[b"k"] = b"1"
    assert env.dbs() == [NAME]


def test_a_record_of_a_merged_environment(env, users, key, open_env, tmp_path):
    other = open_env(tmp_path / "other")
    with other.begin(write=True) as txn:
        txn.put(key, b"a record")
    with pytest.raises(pylmdb.IncompatibleError, match=TOLD):
        tools.merge([other], env.path(), on_conflict="last")
    assert env.dbs() == [NAME]


def test_a_record_of_a_dump(env, users, key, open_env, tmp_path):
    other = open_env(tmp_path / "other")
    with other.begin(write=True) as txn:
        txn.put(key, b"a record")
    text = io.BytesIO()
    tools.dump(other, text)
    with pytest.raises(pylmdb.IncompatibleError, match=TOLD):
        tools.load(io.BytesIO(text.getvalue()), env.path())
    assert env.dbs() == [NAME]
