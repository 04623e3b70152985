# SPDX-License-Identifier: MIT
"""Environment.rename_db and copy_db: named databases, in one transaction."""

import asyncio
import subprocess
import sys

import pytest

import pylmdb
from pylmdb import aio
from pylmdb._core_rules import failures

FLAGS = [
    {},
    {"reverse_key": True},
    {"integerkey": True},
    {"dupsort": True},
    {"dupfixed": True},
    {"integerdup": True},
    {"integerkey": True, "integerdup": True},
]


def filled(env, name, flags, count=1000):
    """Make a database with records of every size; returns its records."""
    db = env.open_db(name, **flags)
    has_dups = not {"dupsort", "dupfixed", "integerdup"}.isdisjoint(flags)
    with env.begin(write=True, db=db) as txn:
        for i in range(count):
            key = (i % 300 if has_dups else i).to_bytes(8, sys.byteorder)
            value = i.to_bytes(8, sys.byteorder) if has_dups else b"v" * (i % 5 * (i % 1500))
            txn.put(key, value)
    return records(env, name)


def records(env, name, txn=None):
    if txn is None:
        with env.begin() as reader:
            return records(env, name, reader)
    return list(txn.range(db=env.open_db(name, txn, create=False)))


def run(program, *arguments):
    command = [sys.executable, "-c", "import sys, pylmdb\n" + program, *arguments]
    subprocess.run(command, check=True, timeout=60)


def test_the_message_when_handles_of_old_names_fill_the_table(env):
    """Many renames beside readers that overlap do that now and then; it ends with the readers."""
    db = env.open_db(b"a")
    failure = failures.open_db_error(-30791, b"b", env._use())
    assert isinstance(failure, pylmdb.DbsFullError)
    assert "1 are open, and transactions that are open keep the handles" in str(failure)
    assert "end these transactions, and try again" in failure.hint
    assert not db.closed


# -- rename ------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", FLAGS, ids=repr)
def test_the_records_and_the_flags_have_the_new_name(env, flags):
    env.open_db(b"other")
    before = filled(env, b"old", flags)
    had = env.open_db(b"old").flags()
    env.rename_db(b"old", b"new")
    assert env.dbs() == [b"new", b"other"]
    assert records(env, b"new") == before
    assert env.open_db(b"new").flags() == had
    with env.begin(write=True) as txn:
        txn.drop(env.open_db(b"new"))
    assert env.dbs() == [b"other"]
    assert not pylmdb.verify(env.path()).findings


def test_it_can_be_written_and_reopened_after_a_rename(env, open_env):
    filled(env, b"old", {"dupsort": True}, 10)
    env.rename_db(b"old", b"new")
    db = env.open_db(b"new")
    with env.begin(write=True) as txn:
        txn.put(b"more", b"1", db=db)
    env.rename_db(b"new", b"newer")
    env.close()
    again = open_env()
    assert again.dbs() == [b"newer"]
    assert (b"more", b"1") in records(again, b"newer")


def test_old_handles_are_dead_and_say_so(env):
    before = filled(env, b"old", {}, 10)
    db = env.open_db(b"old")
    reader = env.begin()
    cursor = reader.cursor(db)
    env.rename_db(b"old", b"new")
    assert db.closed
    for use in (lambda: reader.get(b"k", db=db), cursor.first):
        with pytest.raises(pylmdb.Error, match="dropped"):
            use()
    assert records(env, b"old", reader) == before
    with pytest.raises(pylmdb.NotFoundError, match="there are b'new'"):
        env.open_db(b"old", create=False)
    reader.abort()
    env.open_db(b"old")
    assert env.dbs() == [b"new", b"old"]
    assert records(env, b"old") == []
    assert db.closed


def test_a_rename_back_and_to_a_name_that_was_dropped(env):
    before = filled(env, b"a", {}, 10)
    env.rename_db(b"a", b"b")
    env.rename_db(b"b", b"a")
    assert records(env, b"a") == before
    dropped = env.open_db(b"b")
    with env.begin(write=True) as txn:
        txn.drop(dropped)
    env.rename_db(b"a", b"b")
    assert records(env, b"b") == before


def test_many_renames_at_the_limit_of_max_dbs(open_env):
    env = open_env(max_dbs=2)
    env.open_db(b"other")
    before = filled(env, b"0", {}, 10)
    for i in range(60):
        env.rename_db(b"%d" % i, b"%d" % (i + 1))
    assert records(env, b"60") == before


def test_refused_renames_change_nothing(env):
    before = filled(env, b"old", {}, 10)
    db = env.open_db(b"old")
    env.open_db(b"taken")
    key = b"record" + b"\0" * env.lib_version()[0]
    with env.begin(write=True) as txn:
        txn.put(key, b"v")
    number = env.info().last_txnid
    for arguments, cls, text in (
        ((b"none", b"new"), pylmdb.NotFoundError, "no database b'none'"),
        ((b"old", b"taken"), pylmdb.KeyExistsError, "there is a database"),
        ((b"old", b"old"), pylmdb.KeyExistsError, "there is a database"),
        ((b"old", b"record"), pylmdb.IncompatibleError, "is the key of a record"),
        ((b"record", b"new"), pylmdb.IncompatibleError, "is the key of a record"),
        ((b"old", b""), ValueError, "must not be empty"),
        ((b"", b"new"), ValueError, "must not be empty"),
        ((b"old", b"x" * 3000), pylmdb.BadValsizeError, "the name has 3000 bytes"),
        ((b"old", b"a\0b"), pylmdb.InvalidParameterError, "must not contain a NUL byte"),
        ((b"old", "new"), TypeError, "new must be bytes, not str"),
        ((None, b"new"), TypeError, "old must be bytes"),
    ):
        with pytest.raises(cls, match=text):
            env.rename_db(*arguments)
    with env.begin(write=True), pytest.raises(pylmdb.BusyError, match="write transaction open"):
        env.rename_db(b"old", b"new")
    assert not db.closed
    assert records(env, b"old") == before
    assert env.info().last_txnid == number


def test_a_read_only_and_a_closed_environment(env, open_env):
    env.open_db(b"old")
    env.close()
    with pytest.raises(pylmdb.ClosedError):
        env.rename_db(b"old", b"new")
    with pytest.raises(pylmdb.ReadonlyError):
        open_env(readonly=True).rename_db(b"old", b"new")


def test_a_handle_of_another_process_is_not_found(env, lib_version):
    filled(env, b"old", {}, 10)
    db = env.open_db(b"old")
    run("pylmdb.open(sys.argv[1]).rename_db(b'old', b'new')", env.path())
    with env.begin() as txn, pytest.raises(pylmdb.InvalidParameterError, match="does not have"):
        txn.get(b"k", db=db)
    assert len(records(env, b"new")) == 10


def test_the_new_name_was_dropped_by_another_process(env):
    before = filled(env, b"old", {"dupsort": True}, 10)
    stale = env.open_db(b"new", integerkey=True)
    program = """
env = pylmdb.open(sys.argv[1])
with env.begin(write=True) as txn:
    txn.drop(env.open_db(b"new"))
"""
    run(program, env.path())
    env.rename_db(b"old", b"new")
    assert stale.closed
    assert records(env, b"new") == before
    assert env.open_db(b"new").flags().dupsort


# -- copy --------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", FLAGS, ids=repr)
def test_a_copy_in_the_same_environment(env, flags):
    before = filled(env, b"one", flags)
    assert env.copy_db(b"one", b"two") == len(before)
    assert env.dbs() == [b"one", b"two"]
    assert records(env, b"two") == records(env, b"one") == before
    assert env.open_db(b"two").flags() == env.open_db(b"one").flags()
    with env.begin(write=True) as txn:  # they are two databases
        txn.delete(before[0][0], db=env.open_db(b"two"))
    assert records(env, b"one") == before
    assert not pylmdb.verify(env.path()).findings


@pytest.mark.parametrize("flags", FLAGS, ids=repr)
def test_a_copy_to_another_environment(versions, core, tmp_path, flags):
    with (
        pylmdb.open(tmp_path / "a", lib_version=versions[0]) as source,
        pylmdb.open(tmp_path / "b", lib_version=versions[1]) as dest,
    ):
        before = filled(source, b"one", flags)
        dest.open_db(b"zero")
        assert source.copy_db(b"one", b"one", dest) == len(before)
        assert dest.dbs() == [b"one", b"zero"]
        assert records(dest, b"one") == before
        assert dest.open_db(b"one").flags() == source.open_db(b"one").flags()
        assert not pylmdb.verify(dest.path()).findings


def test_an_empty_database_is_copied(env):
    env.open_db(b"one", dupsort=True)
    assert env.copy_db(b"one", b"two") == 0
    assert env.open_db(b"two").flags().dupsort


def test_a_long_key_does_not_fit_and_nothing_is_left(tmp_path, core):
    with (
        pylmdb.open(tmp_path / "a", lib_version=1) as source,
        pylmdb.open(tmp_path / "b", lib_version=0) as dest,
    ):
        with source.begin(write=True, db=source.open_db(b"one")) as txn:
            txn.put(b"a", b"v")
            txn.put(b"k" * 1000, b"v")
        with pytest.raises(pylmdb.BadValsizeError, match="copy_db: key has 1000 bytes"):
            source.copy_db(b"one", b"two", env=dest)
        assert dest.dbs() == []
        assert source.copy_db(b"one", b"two") == 2


def test_refused_copies(env, tmp_path):
    filled(env, b"one", {}, 10)
    env.open_db(b"taken")
    with pylmdb.open(tmp_path / "main", lib_version=0) as other, other.begin(write=True) as txn:
        txn.put(b"record", b"v")
    for arguments, cls, text in (
        ((b"none", b"two"), pylmdb.NotFoundError, "no database b'none'"),
        ((b"one", b"taken"), pylmdb.KeyExistsError, "copy_db: there is a database b'taken'"),
        ((b"one", b"one"), pylmdb.KeyExistsError, "there is a database"),
        ((b"one", b"x" * 3000), pylmdb.BadValsizeError, "the name has 3000 bytes"),
        ((b"one", b""), ValueError, "must not be empty"),
        ((b"one", "two"), TypeError, "new must be bytes, not str"),
        ((b"one", b"two", "path"), TypeError, "env must be an Environment, not str"),
        ((b"one", b"two", other), pylmdb.ClosedError, "closed"),
    ):
        with pytest.raises(cls, match=text):
            env.copy_db(*arguments)
    with env.begin(write=True), pytest.raises(pylmdb.BusyError):
        env.copy_db(b"one", b"two")
    with pylmdb.open(tmp_path / "main") as other:
        with pytest.raises(pylmdb.IncompatibleError, match="is the key of a record"):
            env.copy_db(b"one", b"record", other)
        with other.begin(write=True), pytest.raises(pylmdb.BusyError):
            env.copy_db(b"one", b"two", other)
    readonly = pylmdb.open(tmp_path / "main", readonly=True)
    with readonly, pytest.raises(pylmdb.ReadonlyError):
        env.copy_db(b"one", b"two", readonly)
    assert env.dbs() == [b"one", b"taken"]


def test_a_full_map_leaves_nothing(open_env, tmp_path):
    env = open_env()
    filled(env, b"one", {}, 3000)
    small = open_env(tmp_path / "small", map_size=1 << 18)
    with pytest.raises(pylmdb.MapFullError):
        env.copy_db(b"one", b"two", small)
    assert small.dbs() == []
    small.open_db(b"two")


def test_coroutines(env, tmp_path):
    async def main():
        async with aio.wrap(env) as aenv, aio.wrap(pylmdb.open(tmp_path / "b")) as other:
            await aenv.open_db(b"one")
            await aenv.rename_db(b"one", b"two")
            await aenv.copy_db(b"two", b"three")
            await aenv.copy_db(b"two", b"four", other)
            return await aenv.dbs(), await other.dbs()

    assert asyncio.run(main()) == ([b"three", b"two"], [b"four"])
