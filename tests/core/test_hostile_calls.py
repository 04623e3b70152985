# SPDX-License-Identifier: MIT
"""Python code that runs inside a call can end or close anything: then the call raises."""

import itertools
import sys

import pytest
from programs import ROUNDS, run

SETUP = """\
class Boom(Exception): pass
env = pylmdb.open(path, map_size=1 << 24, lib_version=lib_version, sync=False)
db = env.open_db(b"db")
dup = env.open_db(b"dup", dupsort=True)
with env.begin(write=True) as txn:
    for i in range(100):
        txn.put(b"%03d" % i, b"v" * 20, db=db)
        txn.put(b"%03d" % (i // 10), b"%04d" % i, db=dup)
def lock_is_free():
    env = pylmdb.open(path)
    env.begin(write=True, timeout=5).abort()
    assert not env.reader_list(), env.readers()
    return True
allowed = (pylmdb.ClosedError, pylmdb.BusyError, pylmdb.BadTxnError, pylmdb.InvalidParameterError)
"""

# What the code of an argument does to the transaction, the cursor or the environment.
DEEDS = """\
def fail(): raise Boom
deeds = {
    "abort": lambda: txn.abort(),
    "commit": lambda: txn.commit(),
    "close cursor": lambda: cur.close(),
    "close env": lambda: env.close(),
    "abort child": lambda: env.begin(write=True, parent=txn).abort(),
    "leave child": lambda: kept.append(env.begin(write=True, parent=txn)),
    "drop": lambda: txn.drop(db),
    "put": lambda: [txn.put(b"%05d" % i, b"x" * 300, db=db) for i in range(200)],
    "delete": lambda: [txn.delete(b"%03d" % i, db=db) for i in range(100)],
    "collect": lambda: gc.collect(),
    "again": lambda: txn.__init__(env, write=True),
    "fail": fail,
}
"""

TRAPS = """\
import numpy as np
gc.freeze()  # or each collection examines the objects of all modules
class Trap:
    "Does its deed when Python asks it for anything."
    def __init__(self, deed): self.deed, self.left = deed, 1
    def act(self):
        if self.left:
            self.left = 0
            self.deed()
    def __bool__(self): self.act(); return True
    def __index__(self): self.act(); return 4
    def __len__(self): self.act(); return 1
    def __iter__(self): self.act(); return iter([b"005", b"006"])
    def __eq__(self, other): self.act(); return False
    def __hash__(self): self.act(); return 1
    def __fspath__(self): self.act(); return "/nonexistent/x"
    def __float__(self): self.act(); return 0.0
    def __ge__(self, other): self.act(); return True
    def __buffer__(self, flags): self.act(); return memoryview(b"005")
def pairs(deed):
    yield b"000", b"w" * 20
    deed()
    yield b"001", b"w" * 20
def keys(deed):
    yield b"000"
    deed()
    yield b"001"
"""

# Each call, with an argument that runs such code; the cursor is cur, on db, of txn.
CALLS = """\
calls = {
    "put dupdata": lambda t: txn.put(b"k", b"v", dupdata=t, db=db),
    "put overwrite": lambda t: txn.put(b"k", b"v", overwrite=t, db=db),
    "put append": lambda t: txn.put(b"zzz", b"v", append=t, db=db),
    "put key": lambda t: txn.put(t, b"v", db=db),
    "put value": lambda t: txn.put(b"k", t, db=db),
    "put db": lambda t: txn.put(b"k", b"v", db=t),
    "get key": lambda t: txn.get(t, db=db),
    "get default": lambda t: txn.get(b"nope", t, db=db),
    "get db": lambda t: txn.get(b"000", db=t),
    "put_array key": lambda t: txn.put_array(t, np.arange(3), db=db),
    "put_array flags": lambda t: txn.put_array(b"k", [1], overwrite=t, append=t, db=db),
    "put_arrays keys": lambda t: txn.put_arrays([b"000", t], np.zeros((2, 3)), db=db),
    "put_arrays flag": lambda t: txn.put_arrays([b"000"], [0], overwrite=t, db=db),
    "take keys": lambda t: txn.take([t, b"001"], "V20", db=db),
    "take threads": lambda t: txn.take([b"001"], "V20", threads=t, db=db),
    "take shape": lambda t: txn.take([b"001"], "V1", (t,), missing="fill", db=db),
    "range_arrays": lambda t: txn.range_arrays(t, t, "V20", db=db),
    "dup_array": lambda t: txn.dup_array(t, "V20", db=db),
    "reserve": lambda t: txn.reserve(t, t, overwrite=t, append=t, db=db).__enter__(),
    "snapshot": lambda t: kept.append(env.snapshot(t)),
    "view key": lambda t: kept.append(txn.view(t, db=db)),
    "get_many": lambda t: txn.get_many(t, db=db),
    "get_many keys": lambda t: txn.get_many(keys(t.act), db=db),
    "get_many key": lambda t: txn.get_many([b"000", t, b"001"], db=db),
    "has_many": lambda t: txn.has_many(t, db=db),
    "has_many keys": lambda t: txn.has_many(keys(t.act), db=db),
    "in": lambda t: t in txn,
    "first": lambda t: txn.first(t),
    "floor": lambda t: txn.floor(t, db),
    "ceiling": lambda t: txn.ceiling(t, db),
    "delete key": lambda t: txn.delete(t, db=db),
    "delete value": lambda t: txn.delete(b"000", t, db=dup),
    "pop": lambda t: txn.pop(t, db=db),
    "replace": lambda t: txn.replace(b"000", t, db=db),
    "drop": lambda t: txn.drop(db, delete=t),
    "range prefix": lambda t: list(txn.range(prefix=t, db=db)),
    "range start": lambda t: list(txn.range(t, db=db)),
    "range numbers": lambda t: list(txn.range(limit=t, offset=t, db=db)),
    "range bounds": lambda t: list(txn.range(t, t, include_start=t, include_stop=t, db=db)),
    "range flags": lambda t: list(txn.range(reverse=t, keys=t, values=t, db=db)),
    "cur put": lambda t: cur.put(b"000", t),
    "cur put flags": lambda t: cur.put(b"000", b"v", t, t, False),
    "cur putmulti": lambda t: cur.putmulti(pairs(t.act)),
    "cur putmulti item": lambda t: cur.putmulti([(b"000", b"v"), (t, t)]),
    "cur putmulti flags": lambda t: cur.putmulti([(b"000", b"v")], t, t, t),
    "cur getmulti": lambda t: cur.getmulti(keys(t.act)),
    "cur getmulti iter": lambda t: cur.getmulti(t),
    "cur getmulti flags": lambda t: cur.getmulti([b"000"], t, None, t, t),
    "cur getmulti width": lambda t: cur.getmulti([b"000"], True, t),
    "cur delete": lambda t: cur.delete(t),
    "cur set_key": lambda t: cur.set_key(t),
    "cur set_range": lambda t: cur.set_range(t),
    "cur set_key_dup": lambda t: cur.set_key_dup(b"000", t),
    "cur get": lambda t: cur.get(t),
    "cur pop": lambda t: cur.pop(t),
    "cur replace": lambda t: cur.replace(b"000", t),
    "cur iternext": lambda t: list(cur.iternext(t, t)),
    "begin buffers": lambda t: kept.append(env.begin(buffers=t)),
    "begin parent": lambda t: kept.append(env.begin(parent=txn, write=t, buffers=t)),
    "begin sync": lambda t: kept.append(env.begin(parent=txn, write=True, sync=t, metasync=t)),
    "begin timeout": lambda t: kept.append(env.begin(parent=txn, write=True, timeout=t)),
    "begin db": lambda t: kept.append(env.begin(t)),
    "open_db": lambda t: env.open_db(b"new", txn, t, t, t, t),
    "open_db name": lambda t: env.open_db(t, txn),
    "open_db txn": lambda t: env.open_db(b"new", t),
    "dbs": lambda t: env.dbs(t),
    "copy": lambda t: env.copy(t, t),
    "copyfd": lambda t: env.copyfd(null.fileno(), t),
    "copyfd txn": lambda t: env.copyfd(null.fileno(), compact=t, txn=txn),
    "set_mapsize": lambda t: env.set_mapsize(t),
    "set_flags": lambda t: env.set_flags(sync=t, metasync=t, meminit=t),
    "sync": lambda t: env.sync(t),
    "open": lambda t: kept.append(pylmdb.open(path, map_size=t)),
    "open path": lambda t: kept.append(pylmdb.open(t)),
    "open flags": lambda t: kept.append(pylmdb.open(path, readonly=t, sync=t, max_dbs=t)),
    "exit": lambda t: txn.__exit__(t, t, t),
    "cursor": lambda t: txn.cursor(t),
    "stat": lambda t: txn.stat(t),
}
null = open(os.devnull, "wb")
def attempt(name, call, deed_name, deed):
    global env, txn, cur, kept, db, dup
    kept = []
    trap = Trap(deed)
    try:
        call(trap)
    except Boom:
        assert deed_name == "fail", (name, deed_name)
    except (pylmdb.Error, TypeError, ValueError, OverflowError, OSError):
        pass
    else:
        assert deed_name != "fail" or trap.left, (name, "swallowed an exception")
    for child in kept:
        if isinstance(child, pylmdb.Transaction):
            child.abort()
    again = [each for each in kept if isinstance(each, pylmdb.Environment)]
    cur.close()
    txn.abort()
    kept = txn = cur = child = call = None
    for each in again:
        each.close()
    if env.closed:
        env = pylmdb.open(path)
    db, dup = env.open_db(b"db"), env.open_db(b"dup", dupsort=True)
def begin(write):
    global txn, cur
    txn = env.begin(write=write)
    cur = txn.cursor(db)
    cur.first()
"""


def test_arguments_that_end_what_they_are_given_to(env_path, lib_version):
    """Each call, with each action in each argument: it returns or raises, and never crashes."""
    run(
        SETUP
        + DEEDS
        + TRAPS
        + CALLS
        + """
for name, call in calls.items():
    for deed_name, deed in deeds.items():
        for write in (True, False):
            begin(write)
            attempt(name, call, deed_name, deed)
            env.begin(write=True, timeout=5).abort()
            assert not env.reader_list(), (name, deed_name, write, env.readers())
assert lock_is_free()
env.close()
gc.collect()
assert not descriptors(path), "a native environment was lost"
""",
        env_path,
        lib_version,
    )


BUFFERS = ["bytearray", "ctypes", *(["__buffer__"] if sys.version_info >= (3, 12) else [])]


@pytest.mark.parametrize("kind", BUFFERS)
def test_buffers_that_change_while_they_are_read(env_path, lib_version, kind):
    run(
        SETUP
        + f"KIND = {kind!r}\n"
        + """
import ctypes
for round in range(30):
    data = bytearray(b"005" if round % 2 else b"x" * 100)
    class Buffer:
        def __buffer__(self, flags):
            data.extend(b"y" * 10000)
            return memoryview(data)
        def __release_buffer__(self, view):
            view.release()
    value = {"bytearray": data, "__buffer__": Buffer()}.get(KIND) if KIND != "ctypes" else (
        ctypes.c_char * len(data)).from_buffer(data)
    with env.begin(write=True) as txn:
        txn.put(b"k", value, db=db)
        txn.put(memoryview(b"k2k2")[::2], value, db=db)
        txn.cursor(db).putmulti([(b"k3", value)])
        expected = bytes(memoryview(data))
        assert txn.get(b"k3", db=db) == expected
        assert txn.get(b"k", db=db) in expected
        assert txn.get(bytearray(b"kk"), db=db) in expected
    if KIND == "bytearray":
        data.extend(b"z")  # no export is left
""",
        env_path,
        lib_version,
    )


def test_initialised_twice(env_path, lib_version):
    """Whatever happens during initialisation, a native transaction or cursor has one owner."""
    run(
        SETUP
        + """
class T(pylmdb.Transaction): pass
class C(pylmdb.Cursor): pass
class E(pylmdb.Environment): pass
class Again:
    def __init__(self, act): self.act = act
    def __bool__(self): self.act(); return False
    def __index__(self): self.act(); return 1 << 24
for write in (False, True):
    t = T.__new__(T, env)
    again = Again(lambda: t.__init__(env, write=write))
    raised_by(t.__init__, env, buffers=again)
    assert t.get(b"000", db=db) == b"v" * 20
    assert raised_by(t.__init__, env) is pylmdb.Error
    c = C.__new__(C, db, t)
    c.__init__(db, t)
    assert raised_by(c.__init__, db, t) is pylmdb.Error and c.first()
    t.abort()
    assert raised_by(t.__init__, env) is pylmdb.Error
    del t, again, c
    assert not env.reader_list(), env.readers()
    env.begin(write=True, timeout=0).abort()
for never in (T.__new__(T, env), C.__new__(C, db, env.begin()), E.__new__(E)):
    repr(never), never.closed
    for name in ("get", "first", "commit", "abort", "close", "begin", "stat", "info", "key"):
        if hasattr(never, name):
            args = (b"k",) if name == "get" else ()
            assert raised_by(getattr(never, name), *args) in (
                (None, pylmdb.ClosedError) if name in ("close", "abort") else (pylmdb.ClosedError,)
            ), (never, name)
del never
def race(round):
    t = T.__new__(T, env)
    barrier = threading.Barrier(3)
    def init():
        barrier.wait()
        raised_by(t.__init__, env)
    in_threads(init, init, init)
sys.setswitchinterval(1e-6)
for round in range(60):
    race(round)
gc.collect()
assert not env.reader_list(), env.readers()
other = path + "-other"
pylmdb.open(other, lib_version=lib_version).close()
e = E.__new__(E)
again = Again(lambda: e.__init__(other))
raised_by(e.__init__, other, map_size=again)
assert e.stat() and raised_by(e.__init__, other) is pylmdb.Error
e.close()
del e, again
assert not descriptors(other), "an environment was opened by one object twice"
""",
        env_path,
        lib_version,
    )


def test_destruction_in_every_order(env_path, lib_version):
    """Any order of dropping, with or without ending first, and as one cycle."""
    names = ["env", "txn", "child", "cursor", "iterator", "view"]
    orders = list(itertools.permutations(range(len(names))))
    chosen = orders[:: max(1, 7 // ROUNDS)]
    run(
        f"ORDERS = {chosen!r}\n"
        """
class Holder: pass
def build(write, round):
    env = pylmdb.open(path, lib_version=lib_version, sync=False)
    txn = env.begin(write=write, buffers=True)
    child = env.begin(write=True, parent=txn) if write else env.begin(buffers=True)
    if write:
        child.put(b"k", b"value")
    cursor = child.cursor()
    iterator = cursor.iternext()
    view = child.get(b"k")
    return [env, txn, child, cursor, iterator, view]
pylmdb.open(path, lib_version=lib_version).close()
with pylmdb.open(path) as env, env.begin(write=True) as txn:
    txn.put(b"k", b"value")
del env, txn
for round, order in enumerate(ORDERS):
    things = build(round % 2, round)
    view = things[5] if round % 3 else None
    if round % 5 == 0:
        things[0].close()
    if round % 4 == 1:
        holder = Holder()
        holder.things, holder.me = [things[i] for i in order], holder
        del things, holder
        gc.collect()
    elif round % 4 == 2:
        for i in order:
            if i < 3:
                (things[i].close if i == 0 else things[i].abort)()
        del things
    else:
        for i in order:
            things[i] = None
    assert view is None or view == b"value"
    del view
    assert not descriptors(path), (round, order)
with pylmdb.open(path) as env:
    env.begin(write=True, timeout=0).abort()
    assert not env.reader_list()
""",
        env_path,
        lib_version,
    )


def test_finalizers_that_call_back_into_the_transaction(env_path, lib_version):
    """The garbage collector runs them at any allocation inside a call."""
    run(
        SETUP
        + f"ROUNDS = {300 * ROUNDS}\n"
        + """
import random
deeds = [
    lambda t, c: t.get(b"000", db=db), lambda t, c: c.close(), lambda t, c: t.abort(),
    lambda t, c: t.put(b"f", b"f", db=db), lambda t, c: t.commit(), lambda t, c: c.next(),
    lambda t, c: env.begin(write=True, parent=t), lambda t, c: t.cursor(db).first(),
    lambda t, c: t.drop(db, delete=False), lambda t, c: env.begin().abort(),
]
class Bomb:
    def __init__(self, *what): self.me, self.what = self, what
    def __del__(self):
        deed, txn, cur = self.what
        found = raised_by(deed, txn, cur)
        assert found is None or issubclass(found, pylmdb.Error), found
rnd = random.Random(1)
for round in range(ROUNDS):
    gc.disable()
    txn = env.begin(write=True)
    cur = txn.cursor(db)
    child = None
    for _ in range(3):
        Bomb(rnd.choice(deeds), txn, txn.cursor(db))
    gc.set_threshold(rnd.randrange(1, 30))
    gc.enable()
    try:
        for i in range(5):
            txn.put(b"%03d" % i, b"v" * 20, db=db)
            cur.set_range(b"003"), cur.item(), txn.get(b"001", db=db), cur.delete()
        if round % 3 == 0:
            child = env.begin(write=True, parent=txn)
            child.put(b"c", b"c", db=db)
            child.commit()
        cur.close()
        txn.commit() if round % 2 else txn.abort()
    except pylmdb.Error:
        pass
    txn = cur = child = None
    gc.collect()
    env.begin(write=True, timeout=5).abort()
gc.set_threshold(700, 10, 10)
assert lock_is_free()
env.close()
gc.collect()
assert not descriptors(path)
""",
        env_path,
        lib_version,
    )


def test_signal_handlers_that_call_back_into_the_transaction(env_path, lib_version):
    run(
        SETUP
        + f"SECONDS = {0.5 * ROUNDS}\n"
        + """
import random
rnd, current, unexpected = random.Random(2), [None, None, None], []
def handler(*_):
    txn, cur, child = current
    if txn is None:
        return
    deed = rnd.choice([
        lambda: txn.get(b"000", db=db), lambda: txn.put(b"s", b"s", db=db), lambda: cur.next(),
        lambda: cur.close(), lambda: txn.abort(), lambda: child and child.abort(),
        lambda: txn.cursor(db).first(), lambda: gc.collect(), lambda: txn.commit(),
    ])
    found = raised_by(deed)
    if found is not None and not issubclass(found, pylmdb.Error):
        unexpected.append(found)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
until = time.monotonic() + SECONDS
while time.monotonic() < until:
    try:
        txn = env.begin(write=True, timeout=5)
        current[:2] = txn, txn.cursor(db)
        for i in range(5):
            txn.put(b"%03d" % i, b"v" * 20, db=db)
            list(txn.range(b"000", b"005", db=db))
        current[2] = env.begin(write=True, parent=txn)
        current[2].put(b"c", b"c", db=db)
        current[2].cursor(db).last()
        current[2].commit()
        txn.commit()
    except pylmdb.ClosedError:
        pass
    except pylmdb.Error as error:
        assert not isinstance(error, pylmdb.LockTimeoutError), error
    if current[0] is not None:
        current[0].abort()
    current[:] = [None] * 3
    txn = None
signal.setitimer(signal.ITIMER_REAL, 0)
assert not unexpected, unexpected
assert lock_is_free()
env.close()
gc.collect()
assert not descriptors(path)
""",
        env_path,
        lib_version,
    )


def test_exceptions_of_user_code_propagate_unchanged(env_path, lib_version):
    run(
        SETUP
        + TRAPS
        + """
boom = Boom("mine", 42)
def fail(): raise boom
txn = env.begin(write=True)
cur = txn.cursor(db)
def both():
    yield b"a", b"1"
    yield b"b", b"2"
    raise boom
for call in (
    lambda: cur.putmulti(both()), lambda: cur.getmulti(keys(fail)),
    lambda: txn.get_many(keys(fail), db=db), lambda: txn.put(b"k", b"v", dupdata=Trap(fail)),
    lambda: env.begin(buffers=Trap(fail)), lambda: env.begin(timeout=Trap(fail), write=True),
    lambda: env.copyfd(Trap(fail)), lambda: env.set_mapsize(Trap(fail)),
    lambda: pylmdb.open(Trap(fail)), lambda: pylmdb.open(path, map_size=Trap(fail)),
    lambda: env.open_db(b"x", txn, dupsort=Trap(fail)), lambda: cur.delete(Trap(fail)),
):
    try:
        call()
    except Boom as error:
        assert error is boom and error.__cause__ is None
    else:
        raise AssertionError("swallowed")
assert txn.get(b"a", db=db) == b"1" and txn.get(b"b", db=db) == b"2"
txn.commit()
try:
    with env.begin(write=True) as txn:
        txn.put(b"lost", b"x")
        raise boom
except Boom as error:
    assert error is boom
with env.begin() as txn:
    assert txn.get(b"lost") is None
assert lock_is_free()
""",
        env_path,
        lib_version,
    )
