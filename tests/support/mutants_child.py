# SPDX-License-Identifier: MIT
"""Open and use damaged files, one after the other, and print the number of each.

The mode is read, write, writemap, verify (which uses what verify() passes), merge or salvage.  The
process may be killed by its own operations; the last printed number names the mutant.  It also ends
after an exception that is not pylmdb's, and after a mutant that uses too much processor time.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import struct
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random

import mutants
import mutants_merged
import mutants_salvaged
import mutants_verified
from mutants import refused
from open_options import at_random, of_an_open

import pylmdb

MANY = 3000  # records that a walk may see at most, in a file with fewer
MAP_SIZE = 1 << 22
LARGEST_FILE = 1 << 26
PATIENCE = 60  # seconds of the processor for one mutant: the slowest take a few, with sanitizers


def keys(rng: Random) -> list[bytes]:
    made = [b"key%04d" % rng.randrange(260), b"large0", b"large1", b"only", b"", b"zz"]
    made += [b"%c%02d" % (rng.choice(b"dfi"), rng.randrange(12)) for _ in range(3)]
    made += [struct.pack("=Q", rng.randrange(160)), rng.randbytes(rng.randrange(1, 40))]
    return made


def values(name: bytes | None, rng: Random) -> bytes:
    if name in (b"fixed", b"integers"):
        return struct.pack("=Q", rng.randrange(400))
    if name == b"dups":
        return b"value%05d" % rng.randrange(900)
    return rng.randbytes(rng.choice([1, 10, 100, 1000, 2500, 9000]))


def walk(cursor: pylmdb.Cursor, rng: Random) -> None:
    for iterator in ("iternext", "iterprev", "iternext_nodup", "iterprev_nodup"):
        with refused():
            for item in islice(getattr(cursor, iterator)(True, True), MANY):
                bytes(item[0]), bytes(item[1])
    for key in keys(rng):
        for method in ("set_key", "set_range", "get"):
            with refused():
                getattr(cursor, method)(key)
                if method != "get" and cursor.key():
                    cursor.value()
                    for move in ("next", "prev_dup", "last_dup", "prev", "next_nodup", "first_dup"):
                        getattr(cursor, move)()
        with refused():
            if cursor.set_key(key):
                cursor.count()
        with refused():
            cursor.set_range_dup(key, b"value00100")
    with refused():
        cursor.last()
        cursor.prev()
    with refused():
        list(cursor.getmulti(keys(rng), dupdata=True))
    with refused():
        list(cursor.getmulti(keys(rng), dupdata=True, dupfixed_bytes=8))


def each_database(env: pylmdb.Environment, use: Callable[[bytes | None, object], None]) -> None:
    names: list[bytes | None] = [None, *mutants.DATABASES]
    with refused():
        names += [name for name in env.dbs()[:20] if name not in names]
    for name in names:
        with refused():
            use(name, env.open_db(name) if name is None else env.open_db(name, create=False))


def read(env: pylmdb.Environment, rng: Random) -> None:
    def use(name: bytes | None, db: object) -> None:
        for buffers in (False, True):
            with refused(), env.begin(buffers=buffers) as txn:
                txn.stat(db)
                with refused():
                    walk(txn.cursor(db), rng)
        with env.begin() as txn:
            for key in keys(rng):
                with refused():
                    txn.get(key, db=db)
                with refused():
                    txn.count(key, rng.choice([None, key + b"5", b"zz"]), db=db)
            with refused():
                txn.get_many(keys(rng), db=db)
            with refused():
                txn.has_many(keys(rng), db=db)
            for reverse in (False, True):
                with refused():
                    list(txn.range(offset=rng.randrange(1000), limit=1000, reverse=reverse, db=db))
            for find, key in ((txn.floor, keys(rng)[0]), (txn.ceiling, keys(rng)[0])):
                with refused():
                    find(key, db)
            with refused():
                txn.last(db)
        with refused():
            env.warm(keys(rng), db=db)
        with refused():
            env.warm(stop=b"zzz", db=db)

    with refused():
        env.warm()
    each_database(env, use)
    with tempfile.TemporaryDirectory() as folder:
        for compact in (True, False):
            with refused():
                env.copy(Path(folder, f"copy{compact:d}"), compact=compact)


def change(txn: pylmdb.Transaction, name: bytes | None, db: object, rng: Random) -> None:
    for _ in range(rng.randrange(1, 30)):
        key = rng.choice(keys(rng))
        kind = rng.randrange(11)
        with refused():
            if kind < 4:
                txn.put(key, values(name, rng), db=db)
            elif kind < 6:
                txn.delete(key, db=db)
            elif kind == 6:
                txn.replace(key, values(name, rng), db)
            elif kind == 7:
                cursor = txn.cursor(db)
                if cursor.set_range(key):
                    for _ in range(rng.randrange(1, 40)):
                        cursor.delete(dupdata=rng.random() < 0.2)
            elif kind == 8:
                cursor = txn.cursor(db)  # deleted records may be under it
                cursor.set_range(rng.choice(keys(rng)))
                txn.delete_range(key, rng.choice([None, rng.choice(keys(rng)), b"zz"]), db=db)
                cursor.next()
            elif kind == 9:
                txn.cursor(db).put(b"zz" + rng.randbytes(4), values(name, rng), append=True)
            else:
                walk(txn.cursor(db), rng)
    if rng.random() < 0.1:
        with refused():
            txn.drop(db, delete=rng.random() < 0.5)


def write(env: pylmdb.Environment, rng: Random) -> None:
    for _ in range(3):
        with refused(), env.begin(write=True, timeout=5) as txn:

            def use(name: bytes | None, db: object, txn: pylmdb.Transaction = txn) -> None:
                if rng.random() < 0.25 and not env.flags().writemap:
                    with env.begin(write=True, parent=txn) as child:
                        change(child, name, db, rng)
                else:
                    change(txn, name, db, rng)

            each_database(env, use)
    read(env, rng)


def run(path: Path, lib_version: int, mode: str, seed: int) -> None:
    rng = Random(~seed)
    if mode == "verify":
        mutants_verified.run(path, rng)
        return
    if mode == "merge":
        mutants_merged.run(path, rng)
        return
    if mode == "salvage":
        mutants_salvaged.run(path)
        return
    options = of_an_open(at_random(Random(f"options {seed}")), {"subdir": False})
    # Without the guard, a read past the file's end ends the process.
    options.update(map_size=MAP_SIZE, sync=False, guard=False, writemap=mode == "writemap")
    with refused(), pylmdb.open(path, lib_version=lib_version, **options) as env:
        (read if mode == "read" else write)(env, rng)
    if path.stat().st_size > LARGEST_FILE:
        raise AssertionError("the file has grown without bound")


def limit_time() -> None:
    """Let SIGXCPU end this process unless it is called again in time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = int(used.ru_utime + used.ru_stime) + 1 + PATIENCE
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))


def main(healthy_path: str, lib_version: int, mode: str, first: int, count: int) -> None:
    """Use mutants of a healthy file."""
    healthy = Path(healthy_path).read_bytes()
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.register(signal.SIGXCPU, chain=True)  # which shows where it hangs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.mdb")
        for seed in range(first, first + count):
            print(seed, flush=True)
            limit_time()
            path.write_bytes(mutants.mutant(healthy, lib_version, seed))
            run(path, lib_version, mode, seed)
            path.unlink()
    print("done", flush=True)
