# SPDX-License-Identifier: MIT
"""The data file is truncated while it is open: calls that return bytes raise, and the process
continues.
"""

import platform
import signal
import sys

import programs
import pytest

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "aarch64"),
    reason="there is no guard elsewhere",
)

SETUP = """
import shutil
KEYS = [b"%05d" % i for i in range(1000)]
def value(key):
    return key * (10 + int(key) % 7 * 200)
def make(name="", **options):
    env = pylmdb.open(path + name, lib_version=lib_version, **options)
    dups = env.open_db(b"dups", dupfixed=True)
    with env.begin(write=True) as txn:
        for key in KEYS:
            txn.put(key, value(key))
            txn.put(key[:3], key, db=dups)
    return env, dups
def cut(env, size):
    os.truncate(env.path() + "/data.mdb", size)
def attempt(call, right):
    "1 if it raises what it should, 0 if the answer is right."
    try:
        found = call()
    except (pylmdb.CorruptedError, pylmdb.BadTxnError):  # it has failed after the first
        return 1
    assert right(found), found
    return 0
"""


def run(source, env_path, lib_version, **options):
    return programs.run(SETUP + source, env_path, lib_version, **options)


@pytest.mark.parametrize("size", [0, 4096, 8192, 100_000])
def test_every_read_raises_or_is_right(env_path, lib_version, size):
    run(
        f"SIZE = {size}\n"
        """
READS = {
    "get": lambda txn, dups, key: attempt(lambda: txn.get(key), lambda v: v == value(key)),
    "get_many": lambda txn, dups, key: attempt(
        lambda: txn.get_many([key]), lambda v: v == [value(key)]),
    "getmulti": lambda txn, dups, key: attempt(
        lambda: txn.cursor().getmulti([key]), lambda v: v == [(key, value(key))]),
    "fixed": lambda txn, dups, key: attempt(
        lambda: bytes(txn.cursor(dups).getmulti([key[:3]], True, 5, True)),
        lambda v: v[:3] == key[:3] and len(v) == 800),
    "set_key": lambda txn, dups, key: attempt(
        lambda: (lambda cursor: cursor.set_key(key) and cursor.item())(txn.cursor()),
        lambda v: v == (key, value(key))),
    "set_range": lambda txn, dups, key: attempt(
        lambda: (lambda cursor: cursor.set_range(key) and cursor.value())(txn.cursor()),
        lambda v: v == value(key)),
    "missing": lambda txn, dups, key: attempt(
        lambda: txn.get(key + b"0", DEFAULT), lambda v: v is DEFAULT),
    "range": lambda txn, dups, key: attempt(
        lambda: list(txn.range(KEYS[1], key, values=False)), lambda v: v == KEYS[1:int(key)]),
    "range in reverse": lambda txn, dups, key: attempt(
        lambda: list(txn.range(key, KEYS[-1], reverse=True, values=False)),
        lambda v: v == KEYS[-2:int(key) - 1 if int(key) else None:-1]),
    "count of a range": lambda txn, dups, key: attempt(
        lambda: txn.count(KEYS[1], key), lambda v: v == max(int(key) - 1, 0)),
    "iterate": lambda txn, dups, key: attempt(
        lambda: [each for each, _ in txn.cursor()], lambda v: v[:-1] == KEYS),
    "reverse": lambda txn, dups, key: attempt(
        lambda: list(txn.cursor().iterprev(values=False)), lambda v: v[:0:-1] == KEYS),
    "count": lambda txn, dups, key: attempt(
        lambda: txn.cursor(dups).set_key(key[:3]), lambda v: v is True),
}
DEFAULT = object()
for name, read in READS.items():
    env, dups = make(name)
    reader = env.begin()
    assert not any(read(reader, dups, key) for key in KEYS[::100])
    cut(env, SIZE)
    raised = sum(read(reader, dups, key) for key in KEYS[::-1])
    assert raised > 900, (name, raised)
    assert attempt(lambda: env.begin(), lambda txn: False)
    assert attempt(lambda: env.begin(write=True), lambda txn: False)
    reader.abort()
    env.close()
""",
        env_path,
        lib_version,
    )


def test_what_writers_copy(env_path, lib_version):
    """Writers copy records for the caller, or to find their position again."""
    run(
        """
COPIES = {
    "get": lambda txn: txn.get(b"large"),
    "pop": lambda txn: txn.pop(b"large"),
    "replace": lambda txn: txn.replace(b"large", b"other"),
    "cursor.pop": lambda txn: txn.cursor().pop(b"large"),
    "cursor.replace": lambda txn: txn.cursor().replace(b"large", b"other"),
    "iterate": lambda txn: list(txn.cursor()),
    "iterate keys": lambda txn: list(txn.cursor().iternext(values=False)),
}
for name, copy in COPIES.items():
    env, dups = make(name)
    with env.begin(write=True) as txn:
        txn.put(b"large", b"x" * 500_000)
    writer = env.begin(write=True)
    assert writer.get(b"large") == b"x" * 500_000
    cut(env, os.path.getsize(env.path() + "/data.mdb") - 250_000)
    assert attempt(lambda: copy(writer), lambda found: False)
    assert attempt(lambda: writer.get(b"large"), lambda found: False)
    writer.abort()
    env.close()
""",
        env_path,
        lib_version,
    )


@pytest.mark.parametrize("writemap", [False, True])
def test_a_writer_commits_nothing(env_path, lib_version, writemap):
    run(
        f"WRITEMAP = {writemap}\n"
        """
env, dups = make(writemap=WRITEMAP)
shutil.copy(path + "/data.mdb", path + ".whole")
writer = env.begin(write=True)
writer.put(b"new", b"v" * 10000)
cut(env, 100_000)
try:
    for key in KEYS:
        writer.put(key, b"other")
        writer.get(key)
    writer.commit()
except (pylmdb.CorruptedError, pylmdb.BadTxnError):
    writer.abort()
else:
    raise AssertionError("committed")
env.close()
shutil.copy(path + ".whole", path + "/data.mdb")
env = pylmdb.open(path)
with env.begin() as txn:
    assert txn.get(b"new") is None and all(txn.get(key) == value(key) for key in KEYS)
""",
        env_path,
        lib_version,
    )


def test_other_environments_go_on(env_path, lib_version):
    run(
        """
env, dups = make()
other, _ = make("-other")
bad = env.begin()
cut(env, 8192)
with other.begin() as good:
    for key in KEYS:
        assert attempt(lambda: bad.get(key), lambda v: False)
        assert good.get(key) == value(key)
bad.abort()
env.close()
os.remove(path + "/data.mdb")
env, dups = make()
with env.begin() as txn:
    assert txn.get(b"00001") == value(b"00001")
""",
        env_path,
        lib_version,
    )


@pytest.mark.parametrize("how", ["view", "no guard"])
def test_what_is_not_guarded_is_as_without(env_path, lib_version, how):
    read = {
        "view": "view = env.begin(buffers=True).get(b'00999'); cut(env, 8192); bytes(view)",
        "no guard": "txn = env.begin(); cut(env, 8192); txn.get(b'00999')",
    }[how]
    source = f"env, dups = make(guard={how == 'view'})\n{read}\n"
    run(source, env_path, lib_version, status=-signal.SIGBUS, errors=True)


def test_an_earlier_handler_gets_the_signals_that_are_not_ours(env_path, lib_version):
    run(
        """
import mmap
with open(path + "-file", "wb+") as file:
    file.truncate(8192)
    other = mmap.mmap(file.fileno(), 8192)
    file.truncate(0)
env, dups = make()
reader = env.begin()
cut(env, 8192)
assert attempt(lambda: reader.get(b"00999"), lambda v: False)
print(other[5000])
""",
        env_path,
        lib_version,
        status=-signal.SIGBUS,
        errors=True,
    )


def test_the_handlers_of_two_engines_do_not_call_each_other_for_ever(env_path, lib_version):
    """The handler that was installed before them is called."""
    said = run(
        """
import faulthandler, mmap
faulthandler.enable(sys.stdout)
with open(path + "-file", "wb+") as file:
    file.truncate(8192)
    other = mmap.mmap(file.fileno(), 8192)
    file.truncate(0)
for i in range(5):
    pylmdb.open(path + "-%d" % i, lib_version=i % 2).close()
print(other[5000])
""",
        env_path,
        lib_version,
        status=-signal.SIGBUS,
        errors=True,
    )
    assert "Bus error" in said


def test_a_truncated_file_stays_truncated_when_the_map_grows(env_path, lib_version):
    """The zeros in place of missing pages stay in a map that is extended at its end."""
    run(
        """
import itertools, mmap
def free_behind(env):
    "How many addresses are free behind a map."
    with open("/proc/self/maps") as file:
        maps = [(line, *(int(end, 16) for end in line.split()[0].split("-"))) for line in file]
    return next(start - end for (line, _, end), (_, start, _) in itertools.pairwise(maps)
                if env.path() + "/data.mdb" in line)
for i in range(20):
    room = mmap.mmap(-1, 1 << 31)  # mostly the map comes to lie below it
    env, dups = make(str(i))
    room.close()
    if free_behind(env) > 1 << 30:
        break
with env.begin(write=True) as txn:
    txn.put(b"large", b"x" * 500_000)
reader, reserved = env.begin(), env.info().reserved
assert reader.get(b"large") == b"x" * 500_000
cut(env, os.path.getsize(env.path() + "/data.mdb") - 250_000)
assert attempt(lambda: reader.get(b"large").count(b"x"), lambda found: False)
env.set_mapsize(reserved + (1 << 30))  # the map does not move: a transaction reads it
assert attempt(lambda: reader.get(b"large").count(b"x"), lambda found: False)
assert attempt(lambda: env.begin(), lambda txn: False)
""",
        env_path,
        lib_version,
    )


def test_begin_notices(env_path, lib_version):
    """Readers check too, before they return views; the file is checked every 10 ms."""
    run(
        """
env = pylmdb.open(path, lib_version=lib_version)
with env.begin(write=True) as txn:
    for i in range(100):
        txn.put(b"%d" % i, bytes(10_000))
env.begin().abort()
os.truncate(path + "/data.mdb", 100_000)
time.sleep(0.05)
for write in (False, True, False):
    try:
        env.begin(write=write)
    except pylmdb.CorruptedError:
        pass
    else:
        raise AssertionError(write)
""",
        env_path,
        lib_version,
    )


def test_widths_on_a_page_that_is_cut_in_its_middle(env_path, lib_version):
    """The rest of the page reads as zeros, without a signal.  So keys seem to have another width
    than those of the database; the file is the reason, and not the caller's key."""
    run(
        """
import importlib.util, struct
pack = struct.Struct("=I").pack
READS = {
    "get": lambda txn: txn.get(pack(7)),
    "range": lambda txn: list(txn.range(None, pack(900))),
    "count": lambda txn: txn.count(pack(7), pack(900)),
    "count up to a key": lambda txn: txn.count(None, pack(900)),
    "set_key": lambda txn: txn.cursor().set_key(pack(7)),
}
if importlib.util.find_spec("numpy"):
    READS["arrays"] = lambda txn: txn.range_arrays(None, pack(900), "S3")
for write in False, True:
    for name, read in READS.items():
        env = pylmdb.open(path + name + str(write), lib_version=lib_version)
        db = env.open_db(b"numbers", integerkey=True)
        with env.begin(db, write=True) as txn:
            for number in range(1000):
                txn.put(pack(number), b"old %d" % number)
        with env.begin(db, write=True) as txn:
            txn.put(pack(0), b"new")  # moves the page of key 0 behind that of the root
        txn = env.begin(db, write=write)
        assert txn.first() == (pack(0), b"new")
        with open(env.path() + "/data.mdb", "rb") as file:
            at = file.read().rindex(pack(0) + b"new")
        cut(env, at // env.info().page_size * env.info().page_size + 200)
        try:
            found = read(txn)
        except pylmdb.CorruptedError:
            pass
        else:
            raise AssertionError((name, write, found))
        txn.abort()
""",
        env_path,
        lib_version,
    )
