# SPDX-License-Identifier: MIT
"""Every public operation, called wrongly: the class and the text of the exception.

``messages.txt`` has what is expected of each call in CALLS.  It is the same with both cores; lines
that begin with 0.9 or 1.0 are for files of that release.  ``test_closed_objects.py`` has the
operations on ended objects, ``test_open_refused.py`` the paths that cannot be opened, and
``test_api_signatures.py`` missing and unknown arguments.
"""

import asyncio
import errno
import os
import re
import threading
from pathlib import Path

import lmdb
import numpy as np
import pytest

import pylmdb
from pylmdb import Map, aio, datasets, errors

EXPECTED = Path(__file__).with_name("messages.txt")
LONG = b"x" * 6000


class World:
    """An environment with databases of every kind, and what calls need; ``lib`` is pylmdb or
    py-lmdb.  Transactions begin when they are first asked for."""

    def __init__(self, lib, folder, **options):
        self.lib, self.folder, self.options = lib, folder, options
        self.env = lib.open(f"{folder}/e", max_dbs=8, **options)
        self.plain = self.env.open_db(b"plain")
        self.numbers = self.env.open_db(b"numbers", integerkey=True)
        self.dups = self.env.open_db(b"dups", dupsort=True)
        self.fixed = self.env.open_db(b"fixed", dupsort=True, dupfixed=True)
        self.integers = self.env.open_db(b"integers", dupsort=True, dupfixed=True, integerdup=True)
        with self.env.begin(write=True) as txn:
            txn.put(b"apple", b"1")
            txn.put(b"k", b"v", db=self.plain)
            txn.put(b"1234", b"v", db=self.numbers)
            txn.put(b"k", b"1234", db=self.fixed)
            txn.put(b"k", b"1234", db=self.integers)
        with self.env.begin(write=True) as txn:
            self.dropped = self.env.open_db(b"dropped", txn)
        with self.env.begin(write=True) as txn:
            txn.drop(self.dropped)
        self.small = lib.open(f"{folder}/small", map_size=1 << 17, max_dbs=1, max_readers=1,
                              **options)  # fmt: skip
        self.small.open_db(b"one")
        self.other = lib.open(f"{folder}/other", max_dbs=2, **options)
        self.foreign = self.other.open_db(b"plain")
        lib.open(f"{folder}/read", max_dbs=2, **options).close()
        self.closed = lib.open(f"{folder}/closed", **options)
        self.closed.close()
        self.readonly = lib.open(f"{folder}/read", readonly=True, max_dbs=2, **options)
        self.begun = []

    def begin(self, env=None, **options):
        self.begun.append((env or self.env).begin(**options))
        return self.begun[-1]

    @property
    def reader(self):
        return self.begin()

    @property
    def writer(self):
        return self.begin(write=True)

    @property
    def ended(self):
        txn = self.begin()
        txn.abort()
        return txn

    def cursor(self, db=None, write=False):
        return self.begin(write=write).cursor(db)

    def clean(self):
        while self.begun:
            self.begun.pop().abort()

    def close(self):
        self.clean()
        for env in (self.env, self.small, self.other, self.readonly):
            env.close()


def fill(put):
    for i in range(100):
        put(b"%d" % i, b"v" * 5000)


def wait_for_lock(world):
    held, release = threading.Event(), threading.Event()

    def hold():
        with world.env.begin(write=True):
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        world.env.begin(write=True, timeout=0)
    finally:
        release.set()
        thread.join(10)


def with_child(world):
    parent = world.writer
    world.begin(write=True, parent=parent)
    return parent


def record_of(world, key):
    cursor = world.cursor(write=True)
    assert cursor.set_range(key)
    return cursor


def json_map(world):
    with world.env.begin(write=True, db=world.plain) as txn:
        txn.put(b"text", b"not JSON")
    return Map(world.env, db=world.plain, key="str", value="json")


def list_map(world):
    made = Map(world.env, db="lists", key="str", value="json")
    made["k"] = []
    return made


def aio_in(world):
    async def ask():
        async with aio.wrap(world.env).begin() as txn:
            return b"apple" in txn

    return asyncio.run(ask())


# Calls that py-lmdb has, too; what it raises, pylmdb raises, or a subclass.
CALLS = {
    # -- in a read transaction, or a read-only environment
    "put in a read transaction": lambda w: w.reader.put(b"a", b"b"),
    "delete in a read transaction": lambda w: w.reader.delete(b"apple"),
    "pop in a read transaction": lambda w: w.reader.pop(b"apple"),
    "replace in a read transaction": lambda w: w.reader.replace(b"apple", b"2"),
    "drop in a read transaction": lambda w: w.reader.drop(w.plain),
    "cursor.put in a read transaction": lambda w: w.cursor().put(b"a", b"b"),
    "cursor.putmulti in a read transaction": lambda w: w.cursor().putmulti([(b"a", b"b")]),
    "cursor.replace in a read transaction": lambda w: w.cursor().replace(b"apple", b"b"),
    "cursor.pop in a read transaction": lambda w: w.cursor().pop(b"apple"),
    "open_db in a read transaction": lambda w: w.env.open_db(b"new", w.reader),
    "begin(write) of a read-only environment": lambda w: w.readonly.begin(write=True),
    "put in a read-only environment": lambda w: w.begin(w.readonly).put(b"a", b"b"),
    "open_db in a read-only environment": lambda w: w.readonly.open_db(b"new"),
    "sync of a read-only environment": lambda w: w.readonly.sync(),
    # -- sizes
    "put, empty key": lambda w: w.writer.put(b"", b"v"),
    "put, long key": lambda w: w.writer.put(LONG, b"v"),
    "put, long value of dupsort": lambda w: w.writer.put(b"k", LONG, db=w.dups),
    "put, empty value of dupsort": lambda w: w.writer.put(b"k", b"", db=w.dups),
    "put, integerkey of 3 bytes": lambda w: w.writer.put(b"abc", b"v", db=w.numbers),
    "put, integerkey of 8 bytes": lambda w: w.writer.put(b"12345678", b"v", db=w.numbers),
    "put, value of another size": lambda w: w.writer.put(b"k", b"abc", db=w.fixed),
    "put, integerdup of 3 bytes": lambda w: w.writer.put(b"k", b"abc", db=w.integers),
    "get, empty key": lambda w: w.reader.get(b""),
    "get, integerkey of 3 bytes": lambda w: w.reader.get(b"abc", db=w.numbers),
    "delete, empty key": lambda w: w.writer.delete(b""),
    "delete, value of another size": lambda w: w.writer.delete(b"k", b"abc", db=w.fixed),
    "pop, empty key": lambda w: w.writer.pop(b""),
    "replace, long key": lambda w: w.writer.replace(LONG, b"v"),
    "replace, long value of dupsort": lambda w: w.writer.replace(b"k", LONG, db=w.dups),
    "cursor.put, long key": lambda w: w.cursor(write=True).put(LONG, b"v"),
    "cursor.putmulti, long key": lambda w: w.cursor(write=True).putmulti([(LONG, b"v")]),
    "cursor.replace, long key": lambda w: w.cursor(write=True).replace(LONG, b"v"),
    "cursor.pop, empty key": lambda w: w.cursor(write=True).pop(b""),
    "cursor.get, empty key": lambda w: w.cursor().get(b""),
    "cursor.set_key, empty key": lambda w: w.cursor().set_key(b""),
    "cursor.set_range, integerkey": lambda w: w.cursor(w.numbers).set_range(b"abc"),
    "cursor.set_key_dup, size": lambda w: w.cursor(w.fixed).set_key_dup(b"k", b"abc"),
    "cursor.set_range_dup, size": lambda w: w.cursor(w.integers).set_range_dup(b"k", b"abc"),
    "cursor.getmulti, empty key": lambda w: w.cursor().getmulti([b"apple", b""]),
    "cursor.getmulti, integerkey": lambda w: w.cursor(w.numbers).getmulti([b"abc"], dupdata=True),
    # -- databases
    "open_db, missing": lambda w: w.env.open_db(b"nowhere", create=False),
    "open_db of a record": lambda w: w.env.open_db(w.record, create=False),
    "open_db, long name": lambda w: w.env.open_db(LONG),
    "open_db, name with NUL": lambda w: w.env.open_db(b"a\0b"),
    "open_db, str": lambda w: w.env.open_db("plain"),
    "open_db, int": lambda w: w.env.open_db(3),
    "open_db, flags of the main database": lambda w: w.env.open_db(dupsort=True),
    "open_db, other flags": lambda w: w.env.open_db(b"plain", dupsort=True),
    "open_db, too many": lambda w: w.small.open_db(b"two"),
    "put on a database's name": lambda w: w.writer.put(w.name, b"v"),
    "delete of a database's name": lambda w: w.writer.delete(w.name),
    "pop of a database's name": lambda w: w.writer.pop(w.name),
    "replace of a database's name": lambda w: w.writer.replace(w.name, b"v"),
    "cursor.put on a database's name": lambda w: w.cursor(write=True).put(w.name, b"v"),
    "cursor.delete of a database's name": lambda w: record_of(w, b"plain").delete(),
    "begin, db as bytes": lambda w: w.env.begin(db=b"plain"),
    "get, db as str": lambda w: w.reader.get(b"k", db="plain"),
    "cursor, db as bytes": lambda w: w.reader.cursor(b"plain"),
    "stat, db as int": lambda w: w.reader.stat(3),
    "drop, db as bytes": lambda w: w.writer.drop(b"plain"),
    "get, dropped database": lambda w: w.reader.get(b"k", db=w.dropped),
    "begin, dropped database": lambda w: w.env.begin(db=w.dropped),
    # -- other environments
    "get, database of another environment": lambda w: w.reader.get(b"k", db=w.foreign),
    "cursor, database of another environment": lambda w: w.reader.cursor(w.foreign),
    "begin, database of another environment": lambda w: w.env.begin(db=w.foreign),
    "begin, parent of another environment": lambda w: w.env.begin(
        write=True, parent=w.begin(w.other, write=True)
    ),
    # -- types
    "get, str": lambda w: w.reader.get("apple"),
    "get, int": lambda w: w.reader.get(1),
    "put, value as str": lambda w: w.writer.put(b"a", "b"),
    "put, value as list": lambda w: w.writer.put(b"a", []),
    "delete, value as int": lambda w: w.writer.delete(b"a", 1),
    "cursor.put, str": lambda w: w.cursor(write=True).put("a", b"b"),
    "cursor.set_key, str": lambda w: w.cursor().set_key("a"),
    "cursor.set_key, None": lambda w: w.cursor().set_key(None),
    "cursor.putmulti, lists": lambda w: w.cursor(write=True).putmulti([[b"a", b"b"]]),
    "cursor.putmulti, str": lambda w: w.cursor(write=True).putmulti("ab"),
    "cursor.putmulti, int": lambda w: w.cursor(write=True).putmulti(3),
    "cursor.getmulti, bytes": lambda w: w.cursor().getmulti(b"apple"),
    "cursor.getmulti, str": lambda w: w.cursor().getmulti("apple"),
    "begin, parent as int": lambda w: w.env.begin(parent=3),
    "Transaction of int": lambda w: w.lib.Transaction(3),
    "Cursor of int": lambda w: w.lib.Cursor(3, 4),
    "open, path as int": lambda w: w.lib.open(3),
    "open, empty path": lambda w: w.lib.open(""),
    "open, path with NUL": lambda w: w.lib.open("a\0b"),
    "open, map_size as str": lambda w: w.lib.open("new", map_size="1", **w.options),
    "open, map_size as float": lambda w: w.lib.open("new", map_size=1.5, **w.options),
    "open, map_size=-1": lambda w: w.lib.open("new", map_size=-1, **w.options),
    "open, map_size=2**70": lambda w: w.lib.open("new", map_size=2**70, **w.options),
    "open, map_size=2**62": lambda w: w.lib.open("new", map_size=2**62, **w.options),
    "open, max_dbs=-1": lambda w: w.lib.open("new", max_dbs=-1, **w.options),
    "open, max_readers=0": lambda w: w.lib.open("new", max_readers=0, **w.options),
    "open, max_readers as str": lambda w: w.lib.open("new", max_readers="1", **w.options),
    "set_mapsize(-1)": lambda w: w.env.set_mapsize(-1),
    "copy to int": lambda w: w.env.copy(3),
    "copy, parent is missing": lambda w: w.env.copy("missing/copy"),
    "copyfd to a closed descriptor": lambda w: w.env.copyfd(999),
    # -- cursors
    "cursor.count without a position": lambda w: w.cursor(w.dups).count(),
    "cursor.first_dup without a position": lambda w: w.cursor(w.dups).first_dup(),
    "cursor.count without duplicates": lambda w: record_of(w, b"apple").count(),
    "cursor.set_key_dup without duplicates": lambda w: w.cursor().set_key_dup(b"a", b"b"),
    "cursor.getmulti, dupfixed_bytes alone": lambda w: w.cursor(w.fixed).getmulti(
        [b"k"], dupfixed_bytes=4
    ),
    "cursor.getmulti, dupfixed_bytes=-1": lambda w: w.cursor(w.fixed).getmulti(
        [b"k"], dupdata=True, dupfixed_bytes=-1
    ),
    # -- ended, closed, in use
    "get, ended transaction": lambda w: w.ended.get(b"apple"),
    "commit, ended transaction": lambda w: w.ended.commit(),
    "begin, closed environment": lambda w: w.closed.begin(),
    "stat, closed environment": lambda w: w.closed.stat(),
    "get with an open child": lambda w: with_child(w).get(b"apple"),
    "begin, parent that reads": lambda w: w.env.begin(write=True, parent=w.reader),
    # -- limits
    "put, map full": lambda w: fill(w.begin(w.small, write=True).put),
    "cursor.put, map full": lambda w: fill(w.begin(w.small, write=True).cursor().put),
    "begin, readers full": lambda w: [w.begin(w.small), w.begin(w.small)],
}

# Calls of pylmdb alone, or with which py-lmdb does not notice the mistake, waits for itself, or
# leaves an environment that is closed.
OWN_CALLS = {
    # BadTxnError with py-lmdb
    "open_db, ended transaction": lambda w: w.env.open_db(b"x", w.ended),
    "set_mapsize(2**62)": lambda w: w.env.set_mapsize(2**62),
    "open_db, txn of another environment": lambda w: w.env.open_db(b"x", w.begin(w.other)),
    "begin(write) twice in a thread": lambda w: [w.writer, w.writer],
    "begin, timeout over": wait_for_lock,
    "begin, timeout as str": lambda w: w.env.begin(write=True, timeout="2"),
    "begin, timeout=-1": lambda w: w.env.begin(write=True, timeout=-1),
    "cursor.getmulti, dupfixed_bytes=3": lambda w: w.cursor(w.fixed).getmulti(
        [b"k"], dupdata=True, dupfixed_bytes=3
    ),
    "cursor.getmulti, dupfixed_bytes without dupsort": lambda w: w.cursor().getmulti(
        [b"apple"], dupdata=True, dupfixed_bytes=3
    ),
    "put without a value": lambda w: w.writer.put(b"a", None),
    "open, on_slow_reader as int": lambda w: w.lib.open("new", on_slow_reader=3),
    "open, slow_reader as int": lambda w: w.lib.open("new", on_slow_reader=print, slow_reader=3),
    "open, slow_reader without a limit": lambda w: w.lib.open(
        "new", on_slow_reader=print, slow_reader=(None, None)
    ),
    "open, on_slow_reader without locks": lambda w: w.lib.open(
        "new", on_slow_reader=print, lock=False
    ),
    "wait, timeout over": lambda w: w.env.wait(timeout=0),
    "wait in a write transaction": lambda w: [w.writer, w.env.wait()],
    "wait, after as str": lambda w: w.env.wait("1"),
    "wait, timeout=-1": lambda w: w.env.wait(timeout=-1),
    "open without a path": lambda w: w.lib.open(),
    "open, temporary and readonly": lambda w: w.lib.open(temporary=True, readonly=True),
    "open, temporary and create=False": lambda w: w.lib.open(temporary=True, create=False),
    "open, temporary and subdir=False": lambda w: w.lib.open("new", temporary=True, subdir=False),
    "open, temporary in an existing directory": lambda w: w.lib.open("e", temporary=True),
    "open, temporary without a parent": lambda w: w.lib.open("none/new", temporary=True),
    "rename_db, missing": lambda w: w.env.rename_db(b"nowhere", b"new"),
    "rename_db, taken": lambda w: w.env.rename_db(b"plain", b"dups"),
    "rename_db to a record": lambda w: w.env.rename_db(b"plain", b"apple"),
    "rename_db of a record": lambda w: w.env.rename_db(b"apple", b"new"),
    "copy_db of a record": lambda w: w.env.copy_db(b"apple", b"new"),
    "rename_db, long name": lambda w: w.env.rename_db(b"plain", LONG),
    "rename_db, empty name": lambda w: w.env.rename_db(b"plain", b""),
    "rename_db, name with NUL": lambda w: w.env.rename_db(b"plain", b"a\0b"),
    "rename_db, str": lambda w: w.env.rename_db("plain", b"new"),
    "rename_db, None": lambda w: w.env.rename_db(None, b"new"),
    "rename_db of a read-only environment": lambda w: w.readonly.rename_db(b"a", b"b"),
    "rename_db in a write transaction": lambda w: [w.writer, w.env.rename_db(b"plain", b"b")],
    "copy_db, missing": lambda w: w.env.copy_db(b"nowhere", b"new"),
    "copy_db, taken": lambda w: w.env.copy_db(b"plain", b"dups"),
    "copy_db to a record": lambda w: w.env.copy_db(b"plain", b"apple"),
    "copy_db, long name": lambda w: w.env.copy_db(b"plain", LONG),
    "copy_db, too many": lambda w: w.env.copy_db(b"plain", b"two", w.small),
    "copy_db, env as str": lambda w: w.env.copy_db(b"plain", b"new", "path"),
    "copy_db to a read-only environment": lambda w: w.env.copy_db(b"plain", b"new", w.readonly),
    "put, if_value as str": lambda w: w.writer.put(b"a", b"b", if_value="c"),
    "put, if_value and overwrite": lambda w: w.writer.put(
        b"a", b"b", overwrite=False, if_value=b"c"
    ),
    "put, if_value with dupsort": lambda w: w.writer.put(b"a", b"b", db=w.dups, if_value=b"c"),
    "put, if_value in a read transaction": lambda w: w.reader.put(b"a", b"b", if_value=b"c"),
    "put, if_value and empty key": lambda w: w.writer.put(b"", b"b", if_value=b"c"),
    "next_id in a read transaction": lambda w: w.reader.next_id(),
    "next_id of other keys": lambda w: w.writer.next_id(w.plain),
    "view, empty key": lambda w: w.reader.view(b""),
    "get_many, bytes": lambda w: w.reader.get_many(b"apple"),
    "get_many, int": lambda w: w.reader.get_many(3),
    "get_many, str": lambda w: w.reader.get_many(["apple"]),
    "get_many, empty key": lambda w: w.reader.get_many([b"apple", b""]),
    "get_many, integerkey": lambda w: w.reader.get_many([b"1234", b"abc"], db=w.numbers),
    "range, start and prefix": lambda w: w.reader.range(b"a", prefix=b"b"),
    "range, str": lambda w: w.reader.range("a"),
    "range, prefix and include_stop": lambda w: w.reader.range(prefix=b"b", include_stop=True),
    "range, limit=-1": lambda w: w.reader.range(limit=-1),
    "range, offset as float": lambda w: w.reader.range(offset=1.5),
    "range of nothing": lambda w: w.reader.range(keys=False, values=False),
    "range, integerkey": lambda w: w.reader.range(b"abc", db=w.numbers),
    "range, prefix of integerkey": lambda w: w.reader.range(prefix=b"abcd", db=w.numbers),
    "count, start and prefix": lambda w: w.reader.count(b"a", prefix=b"b"),
    "count, str": lambda w: w.reader.count(stop="a"),
    "count, start of integerkey": lambda w: w.reader.count(b"abc", db=w.numbers),
    "count, stop of integerkey": lambda w: w.reader.count(None, b"abc", db=w.numbers),
    "delete_range without bounds": lambda w: w.writer.delete_range(db=w.plain),
    "delete_range, prefix of integerkey": lambda w: w.writer.delete_range(
        prefix=b"abcd", db=w.numbers
    ),
    "delete_range of named databases": lambda w: w.writer.delete_range(b"b", b"p"),
    "delete_range in a read transaction": lambda w: w.reader.delete_range(b"b", b"p"),
    "Map.delete_range without bounds": lambda w: json_map(w).delete_range(),
    "Map.delete_range, integer": lambda w: json_map(w).delete_range(1),
    "Map.count, prefix of integers": lambda w: Map(w.env, "plain", key="int").count(prefix=1),
    "cursor.range, integerkey": lambda w: w.cursor(w.numbers).range(b"abc", reverse=False),
    "in, str": lambda w: "apple" in w.reader,
    "in, empty key": lambda w: b"" in w.reader,
    "in, integerkey": lambda w: b"abc" in w.begin(db=w.numbers),
    "has_many, bytes": lambda w: w.reader.has_many(b"apple"),
    "has_many, integers": lambda w: w.reader.has_many([1, 2]),
    "has_many, empty key": lambda w: w.reader.has_many([b"apple", b""]),
    "has_many, integerkey": lambda w: w.reader.has_many([b"1234", b"abc"], db=w.numbers),
    "has_many, array of empty keys": lambda w: w.reader.has_many(np.array([b""], "S1")),
    "has_many, array of floats": lambda w: w.reader.has_many(np.zeros(2)),
    "floor, str": lambda w: w.reader.floor("apple"),
    "floor, integerkey": lambda w: w.reader.floor(b"abc", w.numbers),
    "ceiling, integerkey": lambda w: w.reader.ceiling(b"abc", w.numbers),
    "first, db as bytes": lambda w: w.reader.first(b"plain"),
    "put_array in a read transaction": lambda w: w.reader.put_array(b"a", np.zeros(3)),
    "put_arrays in a read transaction": lambda w: w.reader.put_arrays([b"a"], np.zeros((1, 3))),
    "put_array, long key": lambda w: w.writer.put_array(LONG, np.zeros(3)),
    "get_array, empty key": lambda w: w.reader.get_array(b""),
    "reserve in a read transaction": lambda w: w.reader.reserve(b"a", 3).__enter__(),
    "reserve with dupsort": lambda w: w.writer.reserve(b"a", 3, db=w.dups).__enter__(),
    "take, missing key": lambda w: w.reader.take([b"none"], "u1", 1),
    "dup_array, empty key": lambda w: w.reader.dup_array(b"", "u1", 1, db=w.fixed),
    "dbs, txn as int": lambda w: w.env.dbs(3),
    "copy, txn without compact": lambda w: w.env.copyfd(1, txn=w.reader),
    "copy in a write transaction": lambda w: [w.writer, w.env.copyfd(1)],
    "compact of a read-only environment": lambda w: w.readonly.compact(),
    "writer of a read-only environment": lambda w: w.readonly.writer(),
    "Map, JSON over other data": lambda w: json_map(w)["text"],
    "Map, JSON over other data, items": lambda w: list(json_map(w).items()),
    "Map, JSON over other data, values": lambda w: list(json_map(w).values()),
    "Map, JSON over a named database": lambda w: dict(Map(w.other, value="json")),
    "Map, a value that JSON cannot store": lambda w: json_map(w).update(a={1}),
    "Map, unknown codec": lambda w: Map(w.env, value="jsn"),
    "Map, database with flags": lambda w: Map(w.env, db=w.dups),
    "Map.increment of a list": lambda w: list_map(w).increment("k"),
    "Map.increment by str": lambda w: list_map(w).increment("k", "1"),
    "Map, limit=-1": lambda w: Map(w.env, db=w.plain).range(limit=-1),
    "Map | int": lambda w: Map(w.env, db=w.plain) | 3,
    "Map, key as int": lambda w: Map(w.env, db=w.plain)[3],
    "Map of a read-only environment": lambda w: Map(w.readonly).update({b"k": b"v"}),
    "Map, flag r": lambda w: Map(w.env, "plain", flag="r").update({b"k": b"v"}),
    "copy to a file": lambda w: (Path("file").touch(), w.env.copy("file")),
    "aio, with": lambda w: aio.wrap(w.env).begin().__enter__(),
    "aio, forgotten await": lambda w: aio.wrap(w.env).begin().get,
    "aio, in": aio_in,
    "aio, for": lambda w: iter(aio.wrap(w.env).begin()),
    "aio, with an environment": lambda w: aio.wrap(w.env).__enter__(),
    "from_images(str)": lambda w: datasets.from_images(["photos"], "packed"),
    "build(lambda)": lambda w: datasets.build(
        [1], lambda item: (b"k", b"v"), "built", workers=1, progress=False
    ),
}


def expected(release):
    """What messages.txt says of a release: name of the call -> class and text."""
    found, name = {}, None
    for line in EXPECTED.read_text().splitlines():
        if line.startswith("    "):
            only, text = re.fullmatch(r"    (?:(0\.9|1\.0) )?(.*)", line).groups()
            if only in (None, release):
                found[name] = text
        elif line:
            name = line
    return found


def outcome(call, world):
    """The class and the text of what a call raises."""
    try:
        result = call(world)
    except Exception as raised:
        text = str(raised).replace(os.strerror(errno.EBUSY), "Device or resource busy")
        text = text.replace(f"{world.folder}/", "")
        return f"{type(raised).__name__}: {re.sub('0x[0-9a-f]+', '0x', text)}", raised
    finally:
        world.clean()
    return f"returned {result!r}", None


@pytest.fixture
def world(core, lib_version, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = World(pylmdb, tmp_path, lib_version=lib_version)
    # 1.0 stores names with a NUL at their end
    made.name, made.record = ((b"plain", b"apple"), (b"plain\0", b"apple"))[lib_version]
    if lib_version:
        with made.env.begin(write=True) as txn:
            txn.put(b"apple\0", b"1")
    yield made
    made.close()


def test_the_class_and_the_text_of_each_wrong_call(world, lib_version):
    said = {name: outcome(call, world)[0] for name, call in {**CALLS, **OWN_CALLS}.items()}
    assert said == expected(("0.9", "1.0")[lib_version])


@pytest.mark.parametrize("lib_version", [0], ids=["0.9"], indirect=True)
def test_what_py_lmdb_raises_is_caught(world, tmp_path):
    """A handler for py-lmdb's class, or for the builtin one that it raises, catches ours."""
    (tmp_path / "theirs").mkdir()
    theirs = World(lmdb, tmp_path / "theirs")
    theirs.name, theirs.record = b"plain", b"apple"
    missed = {}
    for name, call in CALLS.items():
        cls, ours = type(outcome(call, theirs)[1]), outcome(call, world)[1]
        wanted = getattr(errors, cls.__name__) if cls.__module__ == "lmdb" else cls
        if cls is not type(None) and not isinstance(ours, wanted):
            missed[name] = wanted, ours
    theirs.close()
    assert not missed
