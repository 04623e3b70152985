# SPDX-License-Identifier: MIT
"""Cursor: its saved position among duplicates, after others in its transaction have written."""

import pytest

VALUES = (b"1", b"2", b"3")


@pytest.fixture
def dup(env):
    """Return a database with three values each of the keys a, b and c."""
    db = env.open_db(b"dup", dupsort=True)
    with env.begin(db, write=True) as txn:
        txn.cursor().putmulti([(key, value) for key in (b"a", b"b", b"c") for value in VALUES])
    return db


def test_a_cursor_sees_values_that_its_key_gets_otherwise(env, dup):
    with env.begin(dup, write=True) as txn:
        txn.put(b"x", b"2")
        cursors = [txn.cursor() for _ in range(4)]
        for cursor in cursors:
            assert cursor.set_key(b"x")
        for value in (b"1", b"3"):
            txn.put(b"x", value)
        moves = ("next_dup", "prev_dup", "last_dup", "next")
        for cursor, move in zip(cursors, moves, strict=True):
            assert (cursor.item(), cursor.count()) == ((b"x", b"2"), 3)
            assert getattr(cursor, move)()
        assert [cursor.value() for cursor in cursors] == [b"3", b"1", b"3", b"3"]


def test_a_cursor_among_duplicates_stays_on_its_record(env, dup):
    with env.begin(dup, write=True) as txn:
        cursor = txn.cursor()
        txn.put(b"x", b"1")
        cursor.put(b"x", b"2")
        txn.delete(b"a")
        assert cursor.item() == (b"x", b"2")
        txn.put(b"w", b"1")
        assert not cursor.next_dup()
        txn.put(b"y", b"1")
        assert cursor.next()
        assert cursor.item() == (b"y", b"1")


@pytest.mark.parametrize(
    ("gone", "move", "shown"),
    [
        ((b"b", b"2"), "item", (b"b", b"3")),
        ((b"b", b"2"), "next", (b"b", b"3")),
        ((b"b", b"2"), "next_dup", (b"b", b"3")),
        ((b"b", b"2"), "prev", (b"b", b"1")),
        ((b"b", b"2"), "next_nodup", (b"c", b"1")),
        ((b"b", b"2"), "first_dup", (b"b", b"1")),
        ((b"b",), "item", (b"c", b"1")),
        ((b"b",), "next", (b"c", b"1")),
        ((b"b",), "prev", (b"a", b"3")),
        ((b"b",), "next_dup", (b"", b"")),
        ((b"b",), "last_dup", (b"c", b"3")),
    ],
)
def test_a_cursor_whose_duplicate_is_gone(env, dup, gone, move, shown):
    with env.begin(dup, write=True) as txn:
        cursor = txn.cursor()
        assert cursor.set_key_dup(b"b", b"2")
        assert txn.delete(*gone)
        getattr(cursor, move)()
        assert cursor.item() == shown


def test_a_cursor_after_the_last_duplicate_finds_records_put_there(env, dup):
    with env.begin(dup, write=True) as txn:
        cursor = txn.cursor()
        assert cursor.set_key_dup(b"c", b"3")
        txn.delete(b"c")
        assert cursor.item() == (b"", b"")
        assert not cursor.next()
        assert cursor.prev()
        assert cursor.item() == (b"b", b"3")
