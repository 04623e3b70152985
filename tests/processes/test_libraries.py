# SPDX-License-Identifier: MIT
"""An application and three libraries that do not know each other use one file in one process, as
docs/how-to/embedding.md allows it ("Rules for libraries").
"""

import pytest
from programs import run

import pylmdb

CACHE = '''
"""Opens at the first use, and keeps the environment until the process ends."""
import pylmdb

path = env = None

def opened():
    global env
    if env is None:
        env = pylmdb.open(path, map_size=64 << 20, max_dbs=2)
    return env

def put(key, value):
    with opened().begin(opened().open_db(b"cache"), write=True) as txn:
        txn.put(key, value)

def get(key):
    with opened().begin(opened().open_db(b"cache")) as txn:
        return txn.get(key)
'''

REPORTS = '''
"""Opens for each call, only reads, and reads in threads."""
from concurrent.futures import ThreadPoolExecutor
import pylmdb

def total(path, names):
    with pylmdb.open(path, readonly=True, max_dbs=8) as env:
        def count(name):
            db = env.open_db(name, create=False)
            with env.begin(db) as txn:
                return txn.stat().entries
        with ThreadPoolExecutor(4) as threads:
            return sum(threads.map(count, names))
'''

JOURNAL = '''
"""Writes without flushing, in a thread of its own, and what is left when Python exits."""
import atexit, queue, threading
import pylmdb

lines = queue.Queue()

def begin(path):
    global thread
    env = pylmdb.open(path, sync=False, max_map_size=1 << 30)
    thread = threading.Thread(target=write, args=(env, env.open_db(b"journal")), daemon=True)
    thread.start()
    atexit.register(close, env)

def write(env, db):
    while (line := lines.get()) is not None:
        with env.begin(db, write=True) as txn:
            txn.put(b"%06d" % txn.next_id(), line)

def close(env):
    with env.begin(env.open_db(b"journal"), write=True) as txn:
        txn.put(b"end", b"at exit")
    env.close()
'''

APPLICATION = """
sys.path.insert(0, os.path.dirname(path))
import cache, journal, reports
cache.path = path

env = pylmdb.open(path, lib_version=lib_version)
users = env.open_db(b"users")
with env.begin(users, write=True) as txn:
    for number in range(100):
        txn.put(b"%03d" % number, b"user")

journal.begin(path)

def work(name):
    for number in range(20):
        cache.put(b"%s%02d" % (name, number), b"cached")
        journal.lines.put(b"%s %d" % (name, number))
        with env.begin(users) as txn:
            assert txn.get(b"%03d" % number) == b"user"
        assert cache.get(b"%s%02d" % (name, number)) == b"cached"

in_threads(*[lambda name=name: work(name) for name in (b"a", b"b")])

def child():
    "What a library keeps can be used in a forked child."
    assert cache.get(b"a00") == b"cached"
    cache.put(b"child", b"cached")
    with env.begin(users, write=True) as txn:
        txn.put(b"child", b"user")

assert in_child(child) == 0
assert cache.get(b"child") == b"cached"
journal.lines.put(None)
journal.thread.join(PATIENCE)
assert reports.total(path, [b"users", b"cache", b"journal"]) == 101 + 41 + 40

with env.begin(users, write=True):  # a library would wait for its caller
    assert raised_by(cache.put, b"k", b"v") is pylmdb.BusyError
env.close()
cache.put(b"after", b"cached")  # the others have it open
assert cache.get(b"after") == b"cached"
"""


def test_an_application_and_three_libraries(env_path, lib_version, tmp_path):
    for name, text in (("cache", CACHE), ("reports", REPORTS), ("journal", JOURNAL)):
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
    run(APPLICATION, env_path, lib_version)
    with pylmdb.open(env_path) as env:
        for name, key, value in ((b"journal", b"end", b"at exit"), (b"cache", b"after", b"cached")):
            with env.begin(env.open_db(name)) as txn:
                assert txn.get(key) == value


CONFLICTS = {
    "writes": ({"readonly": True}, {}, "readonly=True; it cannot be written to"),
    "writemap": ({}, {"writemap": True}, "writemap=False"),
    "lock": ({}, {"lock": False}, "lock=True"),
    "max_dbs": ({"max_dbs": 2}, {"max_dbs": 3}, "max_dbs=2, which is less than 3"),
}


@pytest.mark.parametrize(("first", "then", "words"), CONFLICTS.values(), ids=CONFLICTS)
def test_options_that_conflict_are_refused(open_env, env_path, first, then, words):
    """The message names the option of the environment that is open; that one is not affected."""
    open_env().close()
    library = open_env(**first)
    with pytest.raises(pylmdb.Error) as caught:
        open_env(**then)
    assert str(caught.value).startswith(f"open: {env_path!r} is open in this process with {words}")
    assert "close it first, or open it with the same options" in str(caught.value)
    library.begin().abort()
    library.close()
    open_env(**then).close()


def test_options_that_conflict_with_those_of_a_view(open_env):
    """The environment is closed, and only the view keeps it open."""
    with open_env() as env:
        with env.begin(write=True) as txn:
            txn.put(b"key", b"value")
        view = env.begin().view(b"key")
    with pytest.raises(pylmdb.Error, match="drop the memoryviews and arrays that keep"):
        open_env(writemap=True)
    assert bytes(view) == b"value"
    del view
    open_env(writemap=True).close()


def test_another_format_is_refused(open_env, env_path, lib_version):
    with open_env(lib_version=lib_version), pytest.raises(pylmdb.Error, match="lib_version="):
        pylmdb.open(env_path, lib_version=1 - lib_version)
