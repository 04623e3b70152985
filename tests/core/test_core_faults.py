# SPDX-License-Identifier: MIT
"""Memory runs out in the middle of any call: the call raises, nothing is damaged, nothing leaks.

Each call is repeated: first its first allocation fails, then its second, and so on; if there are
very many, only some of them.  The call raises MemoryError, or an exception for liblmdb's ENOMEM, or
returns the right result.  Afterwards no reference, reader slot or writer lock is left, the data is
unchanged, and the call works.
"""

import pytest
from faults import FAULTS, environment
from leaks import RECORDS
from programs import run

HUNT = (
    FAULTS
    + RECORDS
    + """\
POINTS = 12 * ROUNDS

KEYS = [b"%03d" % i for i in range(70)]
watched = {name: globals()[name] for name in "KEY VALUE DEFAULT INT ARRAY VIEW STRIDED".split()}

def watch(**objects):
    for name, each in objects.items():
        watched[name] = each
        watched["type of " + name] = type(each)
        for attribute in ("_shared", "_slot"):
            value = getattr(each, attribute, None)
            if value is not None:
                watched[name + "." + attribute] = value

def counts():
    return {name: sys.getrefcount(each) for name, each in watched.items()}

def plain(result):
    "What a call returned, without what lives in it."
    if isinstance(result, memoryview):
        return bytes(result)
    if isinstance(result, (list, tuple)):
        return [plain(each) for each in result]
    return None if isinstance(result, (pylmdb.Transaction, pylmdb.Environment)) else result

env, dbs = make_env(path)
dup, fixed, ints = dbs["dup"], dbs["fixed"], dbs["int"]
watch_core()
watch_engines()
gc.collect()
gc.freeze()
txn = cur = None
def begin(**options):
    global txn, cur
    if options is not None:
        txn = env.begin(**options)
        cur = txn.cursor()
        cur.first()
def end():
    global txn, cur
    if txn is not None:
        cur.close(), txn.abort()
    txn = cur = None

def contents(env):
    with env.begin() as txn:
        return [list(txn.cursor(db)) for db in (None, dup, fixed, ints)]

def attempt(call, first, count):
    result = []
    failure, seen = outcome(what, lambda: result.append(call()), first, count)
    return plain(result), failure, seen

# A finalizer cannot raise; but it has nothing else to say than that memory ran out.
odd = []
def unraisable(args):
    if not issubclass(args.exc_type, (MemoryError, pylmdb.Error)):
        odd.append(f"{args.exc_type.__name__}: {args.exc_value}")
sys.unraisablehook = unraisable

def points(total):
    "Which allocations fail: all of them, or the first ones and some of the others."
    if total <= 3 * POINTS:
        return range(total)
    return [*range(POINTS), *range(POINTS, total, total // POINTS)]

def hunt(calls, before=lambda: None, after=lambda: None, retry=False):
    "All calls, with all of their allocations failing; before and after each, before() and after()."
    wrong = []
    for name, call in calls.items():
        before()
        call()
        after()
        before()
        expected, failure, total = attempt(call, -1, 0)
        assert failure is None, (name, failure)
        after()
        gc.collect()
        whole, had = contents(env), counts()
        tries = [(first, count) for first in points(total) for count in (1, 3)]
        for first, count in tries:
            before()
            result, failure, seen = attempt(call, first, count)
            said = f"{name} without allocation {first} to {first + count - 1} of {total}"
            if failure is not None and not isinstance(failure, (MemoryError, pylmdb.Error)):
                wrong.append(f"{said}: {failure!r}")
            elif failure is None and result != expected:
                wrong.append(f"{said}: returned {result!r}, not {expected!r}")
            elif failure is not None and retry and plain([call()]) != expected:
                wrong.append(f"{said}: not the same when it is repeated")
            failed, failure = repr(failure), None
            wrong += {f"{said}: said {text}" for text in odd}
            odd.clear()
            after()
            gc.collect()
            now = counts()
            wrong += [f"{said}: {now[each] - count} references to {each} after {failed}"
                      for each, count in had.items() if now[each] != count]
            had = now
            if env.reader_list():
                wrong.append(f"{said}: left {env.readers()} after {failed}")
            env.begin(write=True, timeout=0).abort()
            found = contents(env)
            if found != whole:
                wrong.append(f"{said}: changed the data, {failed}")
    assert not wrong, "\\n".join(wrong[:40])
"""
)


@pytest.fixture(
    params=[
        (0, "ENGINES"),
        (1, "ENGINES"),
        (1, "CORE"),
        pytest.param((0, "CORE"), marks=pytest.mark.slow),  # it calls both engines by one table
    ],
    ids=["0.9-engines", "1.0-engines", "1.0-core", "0.9-core"],
)
def case(request, core):
    return request.param


@pytest.fixture
def lib_version(case):
    """Return the LMDB release line of new files."""
    return case[0]


@pytest.fixture
def source(case, monkeypatch):
    """Return which code's allocations fail; the environment variables for that are set."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    return case[1]


def hunt(program, path, lib_version, source):
    """Run a program in which allocations fail; exceptions in finalizers are printed on stderr."""
    program = f"{HUNT}what = {source}\n{program}"
    return run(program, path, lib_version, errors=True, imported="ctypes, numpy")


READS = """\
import numpy as np
reads = {
    "get": lambda: txn.get(KEY),
    "get missing": lambda: txn.get(b"missing", DEFAULT) is DEFAULT,
    "get by name": lambda: txn.get(key=b"005", default=None, db=dup),
    "get in two": lambda: (txn.get(b"005", db=dup), txn.get(b"005", db=fixed)),
    "get integer": lambda: txn.get(INT, db=ints),
    "get buffers": lambda: (txn.get(ARRAY), txn.get(STRIDED)),
    "get large": lambda: txn.get(b"large"),
    "get_many": lambda: txn.get_many([KEY, VIEW, STRIDED, b"missing"]),
    "get_many of many": lambda: txn.get_many(KEYS),
    "get_many in": lambda: txn.get_many([INT] * 70, db=ints),
    "has_many": lambda: txn.has_many([KEY, VIEW, STRIDED, b"missing"]),
    "in": lambda: STRIDED in txn,
    "first and last": lambda: (txn.first(), txn.last()),
    "floor and ceiling": lambda: (txn.floor(STRIDED), txn.ceiling(VIEW)),
    "cursor": lambda: txn.cursor().first(),
    "cursor in": lambda: txn.cursor(dup).last(),
    "cursor class": lambda: pylmdb.Cursor(dup, txn).first(),
    "walk": lambda: (cur.last(), cur.prev(), cur.item(), cur.key(), cur.value(), cur.next()),
    "walk over duplicates": lambda: walk(txn.cursor(dup)),
    "set_key": lambda: (cur.set_key(ARRAY), cur.item(), cur.set_key(STRIDED), cur.key()),
    "set_range": lambda: (cur.set_range(VIEW), cur.item()),
    "cursor.get": lambda: (cur.get(KEY), cur.get(b"missing", VALUE)),
    "getmulti": lambda: cur.getmulti([KEY, VIEW, STRIDED, b"missing"]),
    "getmulti of many": lambda: cur.getmulti(KEYS),
    "getmulti keys": lambda: cur.getmulti(KEYS, values=False),
    "getmulti all": lambda: txn.cursor(dup).getmulti([b"005", b"006"], dupdata=True),
    "getmulti fixed": lambda: txn.cursor(fixed).getmulti([b"005", b"006"], True, 4, True),
    "iterate": lambda: (cur.first(), list(cur))[1][:40],
    "iterate some": lambda: (cur.first(), [next(each) for each in [cur.iternext()] * 3])[1],
    "iterate keys": lambda: (cur.last(), list(cur.iterprev(values=False)))[1][:40],
    "iterate over duplicates": lambda: values_of(txn.cursor(dup)),
    "range": lambda: list(txn.range(b"010", b"013")),
    "range of buffers": lambda: list(txn.range(ARRAY, VIEW, reverse=True)),
    "range of a prefix": lambda: list(txn.range(prefix=bytearray(b"01"))),
    "range with options": lambda: list(
        txn.range(ARRAY, VIEW, limit=2, offset=1, include_start=False, include_stop=True)
    ),
    "range in integers": lambda: list(txn.range(None, INT, db=ints)),
    "count": lambda: [txn.count(ARRAY, VIEW, db=db) for db in (None, dup, fixed)],
    "count of a prefix": lambda: txn.count(prefix=bytearray(b"01")),
    "stat": lambda: txn.stat(dup).entries,
    "view": lambda: (bytes(txn.view(KEY)), cur.last(), bytes(cur.view())),
    "get_array": lambda: [txn.get_array(name).sum() for name in NPY],
    "get_array copy": lambda: txn.get_array(NPY[0], copy=True).sum(),
    "take": lambda: txn.take([b"009", b"missing"], "V13", missing="fill")[1].tolist(),
    "range_arrays": lambda: [len(part) for part in txn.range_arrays(b"x", None, "V1")],
    "dup_array": lambda: txn.dup_array(b"005", "V4", db=fixed).tolist(),
}
NPY = [b"0npy%d" % n for n in range(10)]  # more than there are kept
with env.begin(write=True) as txn:
    for n, name in enumerate(NPY):
        txn.put_array(name, np.arange(n))
def walk(cursor):
    cursor.set_key(b"005"), cursor.next_dup(), cursor.last_dup(), cursor.first_dup()
    return cursor.set_key_dup(b"005", b"0055"), cursor.item(), cursor.count()
def values_of(cursor):
    cursor.set_key(b"005")
    return list(cursor.iternext_dup())
watch(env=env, dup=dup, fixed=fixed)
begin()
watched.update({"type of txn": type(txn), "type of cur": type(cur)})
end()
"""


@pytest.mark.parametrize("options", ["", "buffers=True", "write=True", "write=True, buffers=True"])
def test_reads(env_path, lib_version, source, options):
    program = f"hunt(reads, lambda: begin({options}), end, retry=True)"
    hunt(READS + program, env_path, lib_version, source)


WRITES = """\
import numpy as np
STEPS = memoryview(bytes(range(100)))[::3]
ROWS = np.zeros((600, 60), "u1")
APPENDED = [(b"z%04d" % i, b"v" * (9000 if i % 300 == 200 else 100)) for i in range(400)]
SAME_KEYS = [(b"z%04d" % (i // 9), b"%04d" % i) for i in range(1500)]
def reserve():
    with txn.reserve(KEY, 10) as buffer:
        buffer[:] = b"0123456789"
writes = {
    "put": lambda: txn.put(KEY, VALUE),
    "put in": lambda: txn.put(ARRAY, STRIDED, db=dup),
    "put new": lambda: [txn.put(b"new%d" % i, VALUE * 50) for i in range(20)],
    "put large": lambda: txn.put(KEY, b"y" * 100_000),
    "put existing": lambda: txn.put(KEY, VALUE, overwrite=False),
    "put integer": lambda: txn.put(INT, VIEW, db=ints),
    "put strided": lambda: [txn.put(KEY, STEPS, db=db) for db in (None, dup)],
    "put_array": lambda: [txn.put_array(KEY, [1, 2], db=db) for db in (None, dup)],
    "put_arrays": lambda: txn.put_arrays([KEY, b"a new"], np.zeros((2, 4))),
    "reserve": lambda: reserve(),
    "delete": lambda: (txn.delete(VIEW), txn.delete(b"005", b"0055", db=dup)),
    "pop": lambda: (txn.pop(VIEW), txn.pop(b"005", db=dup), txn.pop(b"large")),
    "replace": lambda: (txn.replace(VIEW, VALUE), txn.replace(b"005", VALUE, db=dup)),
    "delete_range": lambda: [txn.delete_range(b"0", db=db) for db in (dup, fixed)],
    "delete_range of large values": lambda: [txn.delete_range(prefix=p) for p in (b"0", b"large")],
    "drop": lambda: txn.drop(dup, False),
    "cursor.put": lambda: (cur.put(VIEW, VALUE), cur.key()),
    "cursor.delete": lambda: (cur.delete(), cur.key(), walk(txn.cursor(dup))),
    "cursor.pop": lambda: (cur.pop(VIEW), txn.cursor(dup).pop(b"005")),
    "cursor.replace": lambda: (cur.replace(VIEW, VALUE), txn.cursor(dup).replace(b"005", VALUE)),
    "putmulti": lambda: cur.putmulti([(VIEW, VALUE), (KEY, STRIDED)] * 20),
    "putmulti append": lambda: cur.putmulti(APPENDED, append=True),
    "putmulti append of an iterator": lambda: cur.putmulti(iter(APPENDED), append=True),
    "putmulti append of values": lambda: txn.cursor(dup).putmulti(SAME_KEYS, append=True),
    "put_arrays append": lambda: txn.put_arrays(np.arange(1 << 20, (1 << 20) + 600), ROWS, db=ints),
    "change while iterating": lambda: change(iter(cur)),
    "child": lambda: child("commit"),
    "child aborted": lambda: child("abort"),
    "child left": lambda: child("id"),
}
def walk(cursor):
    return cursor.set_key(b"005"), cursor.delete(), cursor.key(), cursor.delete(True)
def change(iterator):
    return next(iterator), txn.delete(b"001"), next(iterator), txn.put(b"0015", KEY), next(iterator)
def child(end):
    inner = env.begin(parent=txn, write=True, db=dup)
    inner.put(b"005", KEY), inner.cursor().first(), inner.put(KEY, b"0050", db=fixed)
    getattr(inner, end)()
watch(env=env, dup=dup, fixed=fixed)
"""


def test_writes(env_path, lib_version, source):
    hunt(WRITES + "hunt(writes, lambda: begin(write=True), end)", env_path, lib_version, source)


LIVES = """\
def use(**options):
    with env.begin(**options) as txn:
        return txn.get(b"005"), next(iter(txn.cursor(dup)))
def views():
    txn = env.begin(buffers=True)
    found = txn.get(b"005"), txn.get(b"large")[:10]
    txn.abort()
    assert env.info().pinned == 1
    return [bytes(each) for each in found]
def write(end):
    txn = env.begin(write=True)
    txn.put(KEY, VALUE), txn.put(b"005", b"0055", db=dup)
    return getattr(txn, end)()
def nested():
    with env.begin(write=True) as txn, env.begin(dup, txn, write=True, buffers=True) as child:
        child.put(b"005", b"0055")
def readers():
    with env.begin(write=True) as txn:
        both = [env.begin(parent=txn), env.begin(parent=txn)]
        return [each.get(b"005") for each in both]
def new():
    with env.begin(write=True) as txn:
        env.open_db(NAME, txn)
        txn.abort()
def new_in_child():
    with env.begin(write=True) as txn:
        with env.begin(parent=txn, write=True) as child:
            new = env.open_db(NAME, child, dupsort=True)
            child.put(KEY, VALUE, db=new)
        txn.put(KEY, VALUE, db=new)
        txn.abort()
def another():
    with pylmdb.open(path + "-another", lib_version=lib_version) as another:
        with another.begin(write=True) as txn:
            txn.put(KEY, VALUE)
        view = another.begin(buffers=True).get(KEY)
    return bytes(view)
class Txn(pylmdb.Transaction):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mine = self.get(KEY)
def check():
    gc.collect()
    assert not descriptors(path + "-another") and not maps(path + "-another")
lives = {
    "begin": use,
    "begin in": lambda: use(db=dup, timeout=5),
    "begin buffers": lambda: bytes(use(buffers=True)[0]),
    "begin write": lambda: use(write=True, sync=False),
    "views": views,
    "class": lambda: Txn(env, write=True).mine,
    "commit": lambda: write("commit"),
    "abort": lambda: write("abort"),
    "nested": nested,
    **({"readers": readers} if lib_version else {}),
    "open_db": lambda: env.open_db(b"dup").name,
    "open_db new": new,
    "open_db in child": new_in_child,
    "dbs": env.dbs,
    "another": another,
    "again": lambda: pylmdb.open(path).close(),
    "stat": lambda: (env.stat(), env.info().map_size, env.reader_list(), env.flags()),
}
watch(env=env, dup=dup)
hunt(lives, after=check)
with pylmdb.open(path + "-another") as another, another.begin() as txn:
    assert txn.get(KEY) in (None, VALUE)
"""


def test_lives(env_path, lib_version, source):
    """How environments and transactions begin and end."""
    hunt(LIVES, env_path, lib_version, source)


ITERATORS = """\
ITERATORS = {
    "iternext": lambda: cur.iternext(),
    "iternext keys": lambda: cur.iternext(values=False),
    "iternext values": lambda: cur.iternext(keys=False),
    "iterprev": lambda: (cur.last(), cur.iterprev())[1],
    "iternext_dup": lambda: (sub.set_key(b"005"), sub.iternext_dup())[1],
    "iternext_nodup": lambda: sub.iternext_nodup(),
}
def take(iterator, kept, first=None):
    "The first items; without an allocation, the third is taken a second time."
    found, seen = [], 0
    while len(found) < 6:
        if first is None or len(found) != 2:
            found.append(next(iterator))
        else:
            result, failure, seen = attempt(lambda: next(iterator), first, 1)
            assert failure is None or isinstance(failure, (MemoryError, pylmdb.Error)), failure
            found += result
            first = None
        if kept:
            found[-1:] = [plain(found[-1])]  # the iterator's last pair is free
    return [plain(each) for each in found], seen
wrong = []
for options in ({}, {"buffers": True}, {"write": True}, {"write": True, "buffers": True}):
    for name, make in ITERATORS.items():
        for kept in (False, True):
            begin(**options)
            sub = txn.cursor(dup)
            expected, _ = take(make(), kept)
            for first in range(20):
                end(), begin(**options)
                sub = txn.cursor(dup)
                found, seen = take(make(), kept, first)
                if found != expected:
                    wrong.append(f"{name} {options} {first} of {seen}: {found} {expected}")
                if seen <= first:
                    break
            sub = None
            end()
assert not wrong, "\\n".join(wrong[:20])
"""


def test_an_iterator_goes_on(env_path, lib_version, source):
    """If there is no memory for a record, the next step yields that record."""
    hunt(ITERATORS, env_path, lib_version, source)
