# SPDX-License-Identifier: MIT
"""Results of calls other than keys and values.  Checked for types, never run."""

from typing_extensions import assert_type

import pylmdb

env = pylmdb.open("x")

assert_type(env.stat(), pylmdb.types.Stat)
assert_type(env.stat().entries, int)
assert_type(env.stat()["entries"], int)
assert_type(dict(env.stat()), dict[str, int])
assert_type(env.info().map_size, int)
assert_type(env.info()["map_size"], int)
assert_type(env.info()["free_pages"], int | None)
assert_type(env.flags().sync, bool)
assert_type(env.flags()["sync"], bool)
assert_type(env.open_db(b"name"), pylmdb.Database)
assert_type(env.open_db(b"name").flags()["dupsort"], bool)
assert_type(env.dbs(), list[bytes])
assert_type(env.wait(after=3, timeout=1), int)
assert_type(env.copy_db(b"name", b"copy", env=env), int)
env.rename_db(b"name", b"new")
assert_type(env.begin(write=True).put(b"k", b"v", if_value=None), bool)
assert_type(env.begin(write=True).next_id(), int)


def report(reader: pylmdb.types.Reader) -> None:
    print(reader.pid)


pylmdb.open(temporary=True, on_slow_reader=report, slow_reader=(1000, None))
assert_type(env.reader_list()[0]["pid"], int)
assert_type(env.reader_list()[0]["held_since"], float | None)
assert_type(env.begin().stat()["depth"], int)
assert_type(env.begin().count(b"a", prefix=None), int)
assert_type(env.begin(write=True).delete_range(stop=b"b"), int)
assert_type(pylmdb.version(), tuple[int, int, int])
assert_type(pylmdb.version(True), tuple[int, int, int, int])
assert_type(pylmdb.version(subpatch=True, lib_version=1), tuple[int, int, int, int])
assert_type(pylmdb.MapFullError("text").code, int)

# what is imported when it is touched has types, too
modules = pylmdb.aio, pylmdb.arrays, pylmdb.datasets, pylmdb.lowlevel, pylmdb.tools, pylmdb.writer
functions = pylmdb.convert, pylmdb.dump, pylmdb.load, pylmdb.merge, pylmdb.verify
