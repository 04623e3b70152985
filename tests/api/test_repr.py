# SPDX-License-Identifier: MIT
"""repr() of public objects, and what notebooks show: they tell what the object is and where it is
at, raise nothing, and change nothing.
"""

import os
import threading

import pytest

import pylmdb
from pylmdb.datasets import Dataset, Loader, Writer


@pytest.fixture
def db(env):
    return env.open_db(b"tags", dupsort=True)


def test_a_database_names_its_flags_and_its_environment(env, db, env_path):
    assert repr(db) == f"<pylmdb.Database b'tags' dupsort of {env_path!r}>"
    assert repr(env.open_db()) == f"<pylmdb.Database main of {env_path!r}>"
    env.close()
    assert repr(db) == f"<pylmdb.Database b'tags' dupsort of {env_path!r} closed>"


def test_a_cursor_shows_its_position(env):
    with env.begin(write=True) as txn:
        txn.put(b"a", b"1")
        txn.put(b"b" * 100, b"2")
        cursor = txn.cursor()
        assert repr(cursor) == "<pylmdb.Cursor of main, no position>"
        cursor.first()
        assert repr(cursor) == "<pylmdb.Cursor of main at b'a'>"
        cursor.next()
        assert repr(cursor) == f"<pylmdb.Cursor of main at {b'b' * 64!r}...>"
        cursor.next()
        assert repr(cursor) == "<pylmdb.Cursor of main, no position>"
    assert repr(cursor) == "<pylmdb.Cursor closed>"


def test_a_cursor_among_duplicates_shows_its_key_while_others_write(env, db):
    with env.begin(db, write=True) as txn:
        for i in range(1000):
            txn.put(b"%03d" % (i % 10), b"%d" % i)
        cursor = txn.cursor()
        cursor.set_key_dup(b"005", b"505")
        for i in range(1000, 2000):
            txn.put(b"005", b"%d" % i)
        assert repr(cursor) == "<pylmdb.Cursor of b'tags' at b'005'>"
        assert cursor.item() == (b"005", b"505")


def test_to_look_at_a_cursor_does_not_change_an_iteration(env):
    """key() would: the caller has had the record then, and the iteration goes on after it."""
    with env.begin(write=True) as txn:
        for key in (b"a", b"b", b"c"):
            txn.put(key, b"v")
        cursor = txn.cursor()
        found = []
        for key, _ in cursor:
            found.append(key)
            if key == b"a":
                cursor.delete()
                assert repr(cursor) == "<pylmdb.Cursor of main at b'b'>"
        assert found == [b"a", b"b", b"c"]


def test_to_look_at_a_cursor_does_not_make_it_begin_there(env):
    with env.begin(write=True) as txn:
        txn.put(b"a", b"1")
        cursor = txn.cursor()
        cursor.put(b"b", b"2")
        assert repr(cursor) == "<pylmdb.Cursor of main at b'b'>"
        assert [*cursor] == [(b"a", b"1"), (b"b", b"2")]


def test_a_cursor_that_cannot_be_used_now_shows_no_position(env):
    shown = []
    with env.begin(write=True) as txn:
        txn.put(b"a", b"1")
        cursor = txn.cursor()
        cursor.first()
        thread = threading.Thread(target=lambda: shown.append(repr(cursor)))
        thread.start()
        thread.join()
        with env.begin(write=True, parent=txn):
            shown.append(repr(cursor))
        shown.append(repr(cursor))
    assert shown == ["<pylmdb.Cursor of main>"] * 2 + ["<pylmdb.Cursor of main at b'a'>"]


def test_an_iteration_shows_its_cursor(env):
    with env.begin(write=True) as txn:
        txn.put(b"a", b"1")
        txn.put(b"b", b"2")
        records = txn.range()
        assert next(records) == (b"a", b"1")
        assert repr(records) == "<pylmdb.RangeIterator of <pylmdb.Cursor of main at b'a'>>"
        assert [*records] == [(b"b", b"2")]
        assert repr(records) == "<pylmdb.RangeIterator ended>"
        steps = txn.cursor().iternext()
        assert next(steps) == (b"a", b"1")
        assert repr(steps) == "<pylmdb.CursorIterator of <pylmdb.Cursor of main at b'a'>>"
    assert repr(steps) == "<pylmdb.CursorIterator of <pylmdb.Cursor closed>>"


def test_a_snapshot_shows_its_database_and_its_transaction(env, db, env_path):
    with env.snapshot(db) as snapshot:
        said = f"<pylmdb.arrays.Snapshot of b'tags' of {env_path!r}, transaction {snapshot.txnid}"
        assert repr(snapshot) == f"{said}, 0 records>"
        env.close()
        assert repr(snapshot) == f"{said}, 0 records>"
    assert repr(snapshot) == f"{said}, closed>"


def test_a_map_shows_its_database_and_its_codecs(env, env_path):
    with pylmdb.Map(env, "prices", key="str", value=(str.encode, bytes.decode)) as prices:
        assert repr(prices) == f"<pylmdb.Map b'prices' of {env_path!r}, str to functions>"
    assert repr(prices) == "<pylmdb.Map closed>"


def test_a_loader_shows_its_place(env_path):
    with Writer(env_path) as writer:
        for _ in range(3):
            writer.append(b"sample")
    loader = Loader(Dataset(env_path), 2)
    of = f"of <pylmdb.datasets.Dataset {env_path!r} 3 samples>>"
    assert repr(loader) == f"<pylmdb.datasets.Loader 2 batches of 2, epoch 0, batch 0, {of}"
    next(iter(loader))
    assert repr(loader) == f"<pylmdb.datasets.Loader 2 batches of 2, epoch 0, batch 1, {of}"


# -- notebooks --------------------------------------------------------------------------


def test_html_escapes_all_text(open_env, tmp_path):
    hostile = "<b>&\udcff"
    env = open_env(str(tmp_path / hostile))
    shown = pylmdb.Map(env, "<i>", key="str")
    for text in (env._repr_html_(), shown._repr_html_()):
        assert hostile not in text
        assert "&lt;b&gt;&amp;" in text
        assert len(text) < 2000
        assert text.encode("utf-8")
    assert "<i>" not in shown._repr_html_()
    assert "&lt;i&gt;" in shown._repr_html_()


def test_html_of_an_environment_says_how_it_is_open(env, env_path):
    text = env._repr_html_()
    size = os.stat(env_path + "/data.mdb").st_size
    for words in (env_path, f"{size:,} bytes", "reading and writing", "liblmdb"):
        assert words in text


def test_html_of_what_is_closed_says_so(env):
    shown = pylmdb.Map(env, key="str")
    env.close()
    assert "closed" in env._repr_html_()
    assert "closed" in shown._repr_html_()
    never = object.__new__(pylmdb.Environment)
    assert "never opened" in never._repr_html_()


def test_what_is_shown_needs_no_reader_slot_and_no_writer_lock(env, release_writer_lock):
    shown = pylmdb.Map(env, key="str")
    before = len(env.reader_list()), env.info().last_txnid
    for thing in (env, shown, env.open_db()):
        assert repr(thing)
    assert env._repr_html_()
    assert shown._repr_html_()
    assert (len(env.reader_list()), env.info().last_txnid) == before
