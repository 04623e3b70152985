# SPDX-License-Identifier: MIT
"""How many named databases may be open: the table grows if max_dbs is left out."""

import os
import threading

import pytest

import pylmdb
from pylmdb._shared import exclusive


@pytest.fixture
def env(open_env):
    return open_env(sync=False)


@pytest.fixture(autouse=True)
def short_wait(monkeypatch):
    """Wait less for transactions that do not end."""
    monkeypatch.setattr(exclusive, "WAIT", 0.05)


def opened(env, count, first=0, txn=None):
    return [env.open_db(b"%d" % i, txn, dupsort=bool(i % 2)) for i in range(first, count)]


def put_all(env, dbs, value=b"v"):
    with env.begin(write=True) as txn:
        for i, db in enumerate(dbs):
            txn.put(b"k", b"%d" % i + value, db=db)


def got_all(env, dbs):
    with env.begin() as txn:
        return [txn.get(b"k", db=db) for db in dbs]


def test_the_table_grows(env):
    dbs = opened(env, 100)
    put_all(env, dbs)
    dbs += opened(env, 700, first=100)
    put_all(env, dbs)
    assert got_all(env, dbs) == [b"%dv" % i for i in range(700)]
    assert env.dbs() == sorted(b"%d" % i for i in range(700))
    with env.begin(write=True) as txn:
        txn.drop(dbs[650])
        child = env.begin(parent=txn, write=True)
        child.put(b"k", b"new", db=dbs[698])
        child.commit()
    assert got_all(env, dbs[698:]) == [b"new", b"699v"]
    assert dbs[650].closed
    assert env.open_db(b"650") is not dbs[650]
    assert pylmdb.verify(env.path()).ok


def test_existing_databases_of_a_reader(env, open_env):
    opened(env, 300)
    env.close()
    reader = open_env(readonly=True)
    assert len({db.name for db in opened(reader, 300)}) == 300
    with pytest.raises(pylmdb.NotFoundError):
        reader.open_db(b"none", create=False)


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("spare", [0, 2])
def test_one_transaction_opens_all_databases_of_the_file(env, open_env, readonly, spare):
    put_all(env, opened(env, 300))
    env.close()
    env = open_env(readonly=readonly, max_spare_txns=spare)
    with env.begin() as txn:
        dbs = opened(env, 300, txn=txn)
        assert [txn.get(b"k", db=db) for db in dbs] == [b"%dv" % i for i in range(300)]
    if not readonly:
        put_all(env, dbs, b"w")
        assert got_all(env, dbs)[298] == b"298w"
        with env.begin(write=True) as txn:
            more = env.open_db(b"more", txn)
            txn.put(b"k", b"v", db=more)
        assert pylmdb.verify(env.path()).ok


def test_databases_are_counted_among_records(env, open_env):
    """Few other records in a row do not end the search, and many do."""
    with env.begin(write=True) as txn:
        for i in range(200):
            env.open_db(b"d%03d" % i, txn) if i < 100 else txn.put(b"d%03d" % i, b"v" * 48)
    opened(env, 300)
    env.close()
    env = open_env()
    with env.begin() as txn:
        assert len({db.name for db in opened(env, 300, txn=txn)}) == 300
    with env.begin(write=True) as txn:
        for i in range(200):
            txn.put(b"!%03d" % i, b"v")
    env.close()
    env = open_env()
    with env.begin() as txn, pytest.raises(pylmdb.DbsFullError) as full:
        opened(env, 300, txn=txn)
    assert "max_dbs=256" in full.value.hint
    assert len(opened(env, 300)) == 300


def test_open_transactions_are_in_the_way(env):
    dbs = opened(env, 128)
    put_all(env, dbs)
    reader = env.begin(db=dbs[5])
    with pytest.raises(pylmdb.DbsFullError, match="a transaction is open in this process") as full:
        env.open_db(b"more")
    assert "max_dbs=256" in full.value.hint
    assert reader.get(b"k") == b"5v"
    view = reader.view(b"k")
    reader.abort()
    with pytest.raises(pylmdb.DbsFullError, match="still pin 1 snapshot"):
        env.open_db(b"more")
    assert bytes(view) == b"5v"
    del view
    more = env.open_db(b"more")
    put_all(env, [*dbs, more], b"w")
    assert got_all(env, [*dbs, more])[-1] == b"128w"


def test_not_in_a_write_transaction(env):
    opened(env, 128)
    with env.begin(write=True) as txn:
        for call in (lambda: env.open_db(b"more", txn), lambda: env.open_db(b"more")):
            with pytest.raises(pylmdb.DbsFullError, match="cannot grow while a transaction") as e:
                call()
            assert "max_dbs=256" in e.value.hint
        txn.put(b"k", b"v")
    env.open_db(b"more")
    assert len(env.dbs()) == 129


def test_a_limit_that_is_given_stays(open_env):
    env = open_env(max_dbs=3)
    opened(env, 3)
    with pytest.raises(pylmdb.DbsFullError, match="max_dbs limits them to 3") as full:
        env.open_db(b"more")
    assert "such as 6" in full.value.hint


def test_idle_readers_and_spare_ones(open_env):
    env = open_env(max_spare_txns=3)
    dbs = opened(env, 100)
    for txn in [env.begin() for _ in range(5)]:
        txn.abort()
    dbs += opened(env, 300, first=100)
    put_all(env, dbs)
    assert got_all(env, dbs)[299] == b"299v"


def test_compact_and_fork_keep_the_room(env):
    dbs = opened(env, 300)
    put_all(env, dbs)
    env.compact()
    assert got_all(env, dbs)[299] == b"299v"
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = 0 if got_all(env, dbs)[299] == b"299v" else 2
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def test_copies_and_renames_make_room(env, open_env, tmp_path):
    dbs = opened(env, 127)
    put_all(env, dbs)
    for i in range(4):
        assert env.copy_db(b"7", b"copy%d" % i) == 1
    other = open_env(tmp_path / "other")
    opened(other, 128)
    assert env.copy_db(b"7", b"copy", other) == 1
    reader = env.begin()
    env.rename_db(b"7", b"renamed")
    reader.abort()
    assert len(env.dbs()) == 131


def test_threads_that_open_and_use_databases(env):
    errors = []

    def work(number):
        try:
            for i in range(80):
                db = None
                while db is None:
                    try:
                        db = env.open_db(b"%d-%d" % (number, i))
                    except pylmdb.DbsFullError:  # another thread was in a transaction for long
                        continue
                with env.begin(write=True) as txn:
                    txn.put(b"k", b"%d" % i, db=db)
                with env.begin() as txn:
                    assert txn.get(b"k", db=db) == b"%d" % i
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(env.dbs()) == 320
