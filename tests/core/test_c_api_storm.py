# SPDX-License-Identifier: MIT
"""Threads use holds of the C API without the GIL, while others end, close, compact and fork.

The slow test runs for PYLMDB_STORM seconds with each engine: ``make test-all`` gives it more of
them, and ``make sanitize PYLMDB_STORM=60 PYTEST_ARGS="-q -k storm"`` looks for errors of memory.
"""

import os
import random
import sys

import extensions
import pytest
from open_options import at_random, of_a_new_file, of_an_open
from programs import run

SECONDS = int(os.environ.get("PYLMDB_STORM", "5"))

pytestmark = pytest.mark.skipif(
    os.environ.get("PYLMDB_CORE", "c") != "c" or sys.implementation.name != "cpython",
    reason="only the C core has the C API",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capi")
    extensions.capi_user(folder)
    return folder


STORM = """\
import faulthandler, random
sys.path.insert(0, FOLDER)
import capi_user as user
until = time.monotonic() + float(SECONDS)
env = pylmdb.open(path, **OPTIONS)
db = env.open_db(b"db")
with env.begin(db, write=True) as txn:
    for number in range(300):
        txn.put(b"%03d" % number, bytes(random.randrange(3000)))
shared = [env.begin(db)]
ALLOWED = pylmdb.Error, OSError
user.tell(True)

def some(*functions):
    generator = random.Random(threading.get_ident())
    def loop():
        while time.monotonic() < until:
            try:
                generator.choice(functions)(generator)
            except ALLOWED:
                pass
    return loop

def read(generator):
    hold = user.acquire(shared[0])
    try:
        user.read_all(hold)
        user.move(hold, user.open_cursor(hold), 8)
        view = user.view(hold, b"%03d" % generator.randrange(300))
        bytes(view)
    finally:
        user.release(hold)

def read_again(generator):
    txn = env.begin(db)
    holds = [user.acquire(txn) for _ in range(3)]
    txn.abort()
    user.read_all(holds.pop(generator.randrange(3)))
    for hold in holds:
        user.read_all(hold)

def leave(generator):
    txn = env.begin(db, write=True, timeout=1)
    hold = user.acquire(txn)
    user.put(hold, b"lost", b"")
    txn.abort()
    user.release(hold)

def write(generator):
    txn = env.begin(db, write=True, timeout=1)
    hold = user.acquire(txn)
    try:
        user.put(hold, b"%03d" % generator.randrange(300), bytes(generator.randrange(9000)))
        user.delete(hold, b"%03d" % generator.randrange(300))
        user.range(hold, None, None, 1, lambda key, value: True)
    finally:
        user.release(hold)
    txn.commit()

def end(generator):
    shared[0].abort()
    shared[0] = env.begin(db)

def close(generator):
    global env, db
    old, env = env, pylmdb.open(path, **OPTIONS)
    db = env.open_db(b"db")
    shared[0] = env.begin(db)
    old.close()

def compact(generator):
    env.compact()

def fork(generator):
    def child():
        try:
            read(generator)
        except ALLOWED:
            pass
        os._exit(0)
    assert in_child(child) == 0

in_threads(some(read), some(read, read_again), some(write, leave),
           some(end, end, close, compact, fork))
print("done")
"""


@pytest.mark.parametrize("seconds", [1, pytest.param(SECONDS, marks=pytest.mark.slow)])
def test_a_storm(folder, tmp_path, lib_version, seconds):
    choose = at_random(random.SystemRandom())
    options = of_an_open(choose, of_a_new_file(choose, lib_version))
    print(options)
    names = f"FOLDER, SECONDS, OPTIONS = {str(folder)!r}, {seconds}, {options!r}\n"
    assert run(names + STORM, tmp_path / "env", lib_version) == "done\n"
