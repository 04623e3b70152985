# SPDX-License-Identifier: MIT
"""Python code that runs inside a call of the core can end what the call uses.

Here it is a weak reference's callback, a finalizer, a subclass, a profile function, or another
thread that gets the GIL.  In the programs below freed memory is overwritten, so that its use is
noticed.
"""

import os

import programs
import pytest

SETUP = """\
import itertools
def open_env():
    return pylmdb.open(path, map_size=1 << 28, lib_version=lib_version, sync=False)
env = open_env()
with env.begin(write=True) as txn:
    txn.put(b"kept", b"data")
    for i in range(50):
        txn.put(b"%03d" % i, b"v%03d" % i)
del txn
def check():
    "The lock is free, no reader is left, the data is as it was."
    gc.collect()
    with open_env() as again:
        assert not again.reader_list(), again.readers()
        again.begin(write=True, timeout=1).abort()
        with again.begin() as txn:
            assert txn.get(b"kept") == b"data" and txn.get(b"lost") is None
        assert not again.reader_list(), again.readers()
def at(name, deed):
    "Do it when the next Python function of that name is called."
    def profile(frame, event, _):
        if event == "call" and frame.f_code.co_name == name:
            sys.setprofile(None)
            deed()
    sys.setprofile(profile)
class Cycle:
    def __init__(self, deed): self.me, self.deed = self, deed
    def __del__(self): self.deed()
def at_call(count, deed, call):
    "call(), in which a profile function does a deed when so many functions were called."
    counter = itertools.count(1)
    def profile(*_):
        if next(counter) == count:
            sys.setprofile(None)
            deed()
    sys.setprofile(profile)
    try:
        return call()
    except pylmdb.ClosedError:
        return None
    finally:
        sys.setprofile(None)
def collecting(count, deed, call):
    "call(), in which a finalizer does its deed when so many objects were made."
    if not hasattr(gc, "set_threshold"):  # PyPy collects when so much memory was taken
        return at_call(count, deed, call)
    gc.collect()
    Cycle(deed)
    gc.set_threshold(count)
    try:
        return call()
    except pylmdb.ClosedError:
        return None
    finally:
        gc.set_threshold(700)
        gc.collect()
BIG = 16 << 20
def during(prepare):
    "A call, until another thread has done its deed while it copied something large."
    for _ in range(20):
        (call, deed, look), order, go = prepare(), [], threading.Lock()
        go.acquire()
        thread = threading.Thread(target=lambda: (go.acquire(), deed(), order.append("deed")))
        thread.start()
        time.sleep(0.002)
        sys.setswitchinterval(100)  # the thread gets the GIL when the call lets it go
        go.release()
        try:
            result = call()
        except pylmdb.ClosedError:
            result = "closed"
        order.append("call")
        sys.setswitchinterval(0.005)
        join(thread)
        look(result)
        if order[0] == "deed":
            return
    assert os.environ["PYLMDB_CORE"] == "cffi", "no thread got the GIL"  # that core keeps it
gc.collect()
if hasattr(gc, "freeze"):
    gc.freeze()
"""

END = """
check()
env.close()
gc.collect()
assert not descriptors(path), "a native environment was lost"
"""


@pytest.fixture(autouse=True)
def overwrite_freed_memory(monkeypatch):
    monkeypatch.setenv("PYTHONMALLOC", "debug")


def run(source, env_path, lib_version):
    """Run a program that must end without an error."""
    programs.run(SETUP + source + END, env_path, lib_version)


def test_the_callback_of_a_dropped_transaction_may_close_or_write(env_path, lib_version):
    run(
        """
def viewed():
    txn = env.begin(buffers=True)
    assert txn.get(b"kept") == b"data"
    return txn
def written(**options):
    txn = env.begin(write=True, **options)
    txn.put(b"lost", b"x")
    return txn
def child():
    parents.append(env.begin(write=True))
    return written(parent=parents[-1])
def open_db():
    "It may still be refused: whose callback it is has not ended yet."
    assert raised_by(env.open_db, b"new") in (None, pylmdb.BusyError, pylmdb.BadTxnError)
def close():
    global env
    env.close()
    env = open_env()
deeds = (close, open_db, lambda: env.begin().abort(), gc.collect)
for make, deed in itertools.product((lambda: env.begin(), viewed, written, child), deeds):
    parents, called, txn = [], [], make()
    reference = weakref.ref(txn, lambda _: (called.append(1), deed()))
    del txn
    gc.collect()
    assert called == [1] and reference() is None
    parents.clear()
    check()
with env.begin(env.open_db(b"new"), write=True) as txn:
    assert txn.put(b"k", b"v") and txn.get(b"k") == b"v"
""",
        env_path,
        lib_version,
    )


def test_a_transaction_that_ends_while_it_begins_is_refused(env_path, lib_version):
    """A subclass may pass itself to a thread or signal handler before it has begun."""
    run(
        """
class T(pylmdb.Transaction): pass
def attempt(env, name, deed, **options):
    txn = T.__new__(T, env)
    at(name, lambda: (txn.abort(), deed()))
    found = raised_by(txn.__init__, env, **options)
    sys.setprofile(None)
    assert found is pylmdb.ClosedError and txn.closed, (name, found)
    for call in (txn.commit, txn.id, txn.cursor):
        assert raised_by(call) is pylmdb.ClosedError
# It waits for another thread's writer.
began, end = threading.Event(), threading.Event()
def hold():
    txn = env.begin(write=True)
    began.set()
    end.wait()
    txn.abort()
thread = threading.Thread(target=hold)
thread.start()
began.wait()
attempt(env, "sleep", end.set, write=True)
join(thread)
check()
# It waits for another process.
with Rival(path, lib_version) as rival:
    assert rival.ask("hold") == "holds"
    attempt(env, "try_begin_writer", lambda: rival.ask("drop"), write=True)
    check()
    assert rival.can_write()
# It is a reader that finds no slot at first.
few = pylmdb.open(path + "-few", max_readers=1, lib_version=lib_version)
reader = few.begin()
attempt(few, "begin_reader", reader.abort)
gc.collect()
assert not few.reader_list()
few.begin().abort()
few.close()
""",
        env_path,
        lib_version,
    )


def test_a_child_may_be_dropped_in_an_operation_of_its_sibling(env_path, core):
    """LMDB 1.0 has siblings.  The dropped ones have no references any more."""
    run(
        """
txn = env.begin(write=True)
txn.put(b"big", b"x" * BIG)
def prepare():
    one, others = env.begin(parent=txn), [env.begin(parent=txn, buffers=True) for _ in range(3)]
    others += [each.cursor() for each in others]
    references, view = [weakref.ref(each) for each in others], others[0].get(b"kept")
    def look(value):
        gc.collect()
        assert all(reference() is None for reference in references)
        assert view == b"data" and value in (b"x" * BIG, None)
        for _ in range(100):
            env.begin(parent=txn).cursor()
        assert one.get(b"kept") == b"data"
        ones.append(one)
    return lambda: one.get(b"big"), others.clear, look
for end in ("abort", "drop", "commit"):
    ones = []
    during(prepare)
    call, deed, look = prepare()
    look(ones[0]._do(lambda _: deed()))
    if end == "abort":
        for one in ones: one.abort()
    elif end == "drop":
        del ones, call, look
txn.commit()
assert all(one.closed for one in ones)
with env.begin() as txn:
    assert txn.get(b"big") == b"x" * BIG
""",
        env_path,
        1,
    )


def test_a_child_may_be_dropped_while_its_parent_ends(env_path, lib_version):
    """It is ended in the code that keeps the tables of database handles, which is Python in the
    cffi core."""
    run(
        """
for end in ("abort", "close", "drop", "commit"):
    parents = [env.begin(write=True)]
    parents[0].put(b"mine", b"x")
    family = [env.begin(write=True, parent=parents[0])]
    family.append(family[0].cursor())
    db = env.open_db(b"new", txn=family[0])
    family[0].put(b"lost", b"x")
    reference, called = weakref.ref(family[0]), []
    at("_settle_handles", lambda: (called.append(1), family.clear()))
    if end == "close":
        env.close()
    elif end == "drop":
        parents.clear()
        family.clear()
        dropped.free([])
    else:
        getattr(parents[0], end)()
    sys.setprofile(None)
    is_seen = end != "drop" or sys.implementation.name == "cpython"  # PyPy profiles no finalizer
    assert called == [1] * (os.environ["PYLMDB_CORE"] == "cffi" and is_seen), (end, called)
    family.clear()
    gc.collect()
    assert reference() is None and db.closed
    if end == "close":
        env = open_env()
    with env.begin() as txn:
        assert txn.get(b"mine") == (b"x" if end == "commit" else None)
        assert raised_by(env.open_db, b"new", txn, create=False) is pylmdb.NotFoundError
    check()
""",
        env_path,
        lib_version,
    )


def test_the_callback_of_the_database_named_last_may_use_or_end(env_path, lib_version):
    """The operation then continues with the database that it was given."""
    run(
        """
dbs = [env.open_db(b"db%d" % i) for i in range(3)]
with env.begin(write=True) as txn:
    for i, db in enumerate(dbs):
        txn.put(b"k", b"%d" % i, db=db)
del db, txn
def drop_last(txn, deed):
    db = pylmdb.Database(env, b"db0", dbs[0]._slot)  # the only handle of its kind
    reference = weakref.ref(db, lambda _: found.append(raised_by(deed, txn)))
    assert txn.get(b"k", db=db) == b"0"
    del db
    dropped.free([])
    return reference
for write in (False, True):
    found, txn = [], env.begin(write=write)
    reference = drop_last(txn, lambda txn: txn.get(b"k", db=dbs[2]))
    assert txn.get(b"k", db=dbs[1]) == b"1"
    assert found in ([None], [pylmdb.BusyError])
    assert [txn.get(b"k", db=db) for db in dbs] == [b"0", b"1", b"2"]
    reference = drop_last(txn, lambda txn: txn.cursor(dbs[2]).first())
    with txn.cursor(dbs[1]) as cur:
        assert cur.first() and cur.item() == (b"k", b"1")
    reference = drop_last(txn, lambda txn: txn.abort())
    assert raised_by(txn.get, b"k", db=dbs[1]) is pylmdb.ClosedError and txn.closed
    check()
with env.begin(write=True) as txn:
    reference = drop_last(txn, lambda txn: txn.put(b"k", b"2", db=dbs[2]))
    assert txn.put(b"k", b"new", db=dbs[1])
with env.begin() as txn:
    assert [txn.get(b"k", db=db) for db in dbs] == [b"0", b"new", b"2"]
""",
        env_path,
        lib_version,
    )


def test_arguments_of_begin_that_close_and_collect_the_environment(env_path, lib_version):
    """The environment is closed then, also if another Environment has the file open."""
    run(
        """
class Trap:
    def act(self):
        env.close()
        gc.collect()
        return False
    __bool__ = act
    def __ge__(self, other): return not self.act()
    def __lt__(self, other): return self.act()
    __gt__ = __lt__
    def __float__(self): return 1.0 + self.act()
options = [
    {"buffers": Trap()}, {"write": Trap()}, {"timeout": Trap()}, {"write": True, "sync": Trap()},
    {"write": True, "metasync": Trap()}, {"write": True, "timeout": Trap()},
]
for shares, each in itertools.product((False, True), options):
    other = open_env() if shares else None
    found = raised_by(env.begin, **each)
    assert found is pylmdb.ClosedError and env.closed, (shares, each, found)
    if shares:
        assert not other.reader_list(), other.readers()
        other.begin(write=True, timeout=1).abort()
        other.close()
    assert not descriptors(path)
    env = open_env()
""",
        env_path,
        lib_version,
    )


def test_a_transaction_that_was_never_begun_has_no_databases(env_path, lib_version, core):
    if core == "cffi":
        return  # its private methods raise AttributeError, which is harmless
    run(
        """
txn = pylmdb.Transaction.__new__(pylmdb.Transaction, env)
assert raised_by(txn._slot_in, None, None) is raised_by(txn._do, print) is pylmdb.ClosedError
assert raised_by(txn._note_dropped, env.open_db()._slot, True) is TypeError
""",
        env_path,
        lib_version,
    )


def test_values_are_whole_while_other_threads_move_the_cursor(env_path, lib_version):
    """In a read transaction threads may share one."""
    run(
        """
sizes = (70_000, 3_000_000)
db = env.open_db(b"big")
with env.begin(write=True) as txn:
    for i in range(20):
        txn.put(b"%02d" % i, bytes([65 + i]) * sizes[i % 2], db=db)
txn = env.begin()
cur = txn.cursor(db)
until = time.monotonic() + 0.7
def move():
    while time.monotonic() < until:
        cur.first()
        while cur.next() and time.monotonic() < until: pass
def copy():
    while time.monotonic() < until:
        for value in (cur.value(), cur.item()[1], next(iter(cur), (b"", b""))[1]):
            if value:
                assert len(value) in sizes and value[:1] * len(value) == value
sys.setswitchinterval(1e-6)
in_threads(move, move, copy)
txn.abort()  # on PyPy, compiled code may keep what was a global variable
""",
        env_path,
        lib_version,
    )


def test_records_are_whole_where_a_finalizer_moves_the_cursor(env_path, lib_version):
    """Up to Python 3.11 the collector runs wherever an object is made."""
    run(
        """
for write in (False, True):
    txn = env.begin(write=write, buffers=True)
    cur = txn.cursor()
    reads = {
        "item": lambda: cur.item(), "iternext": lambda: next(cur.iternext()),
        "iterprev": lambda: next(cur.iterprev()), "getmulti": lambda: cur.getmulti([b"007"])[0],
        "getmulti dupdata": lambda: cur.getmulti([b"007"], True)[0],
    }
    for (name, read), count in itertools.product(reads.items(), range(1, 12)):
        cur.set_key(b"007")
        key, value = collecting(count, lambda: raised_by(cur.set_key, b"031"), read)
        assert b"v" + bytes(key) == value, (name, write, bytes(key), bytes(value))
    del key, value, cur, txn
    check()
""",
        env_path,
        lib_version,
    )


def test_a_cursor_closed_in_its_own_operation_completes_it_or_does_nothing(env_path, lib_version):
    run(
        """
big, small = b"x" * BIG, b"y" * 100_000
calls = {
    "getmulti": lambda cur: cur.getmulti([b"big", b"big2", b"kept"], dupdata=True),
    "replace": lambda cur: cur.replace(b"big", b"new"), "pop": lambda cur: cur.pop(b"big"),
}
def prepare():
    txn = env.begin(write=True)
    txn.put(b"big", big)
    txn.put(b"big2", small)
    cur, call = txn.cursor(), calls[name]
    def look(result):
        assert cur.closed and raised_by(cur.first) is pylmdb.ClosedError
        now = txn.get(b"big")
        if result == "closed":
            assert now == big
        elif name == "getmulti":
            assert result == [(b"big", big), (b"big2", small), (b"kept", b"data")]
        else:
            assert result == big and now == (b"new" if name == "replace" else None)
        txn.abort()
    return lambda: call(cur), cur.close, look
for name in calls:
    during(prepare)
""",
        env_path,
        lib_version,
    )


def test_finalizers_that_close_what_a_call_uses(env_path, lib_version):
    """Up to Python 3.11 the collector runs wherever an object is made."""
    run(
        """
calls = [
    lambda: cur.getmulti([b"%03d" % i for i in range(50)], dupdata=True), lambda: cur.item(),
    lambda: cur.getmulti([b"001", b"002"]), lambda: cur.putmulti([(b"a", b"b")] * 5),
    lambda: cur.pop(b"001"), lambda: cur.replace(b"002", b"x"), lambda: list(cur.iternext()),
    lambda: env.begin(buffers=True).get(b"kept"),
]
deeds = (lambda: cur.close(), lambda: txn.abort(), lambda: env.close())
for call, deed, count in itertools.product(calls, deeds, range(1, 12)):
    txn = env.begin(write=True, buffers=count % 2)
    cur = txn.cursor()
    cur.first(), collecting(count, deed, call), txn.abort()
    assert cur.closed
    if env.closed:
        env = open_env()
""",
        env_path,
        lib_version,
    )


def test_a_cursor_that_is_opened_while_it_is_opened(env_path, lib_version):
    """Code of the db argument opens it.  There is at most one native cursor."""
    run(
        """
db = env.open_db(b"named")
class D(pylmdb.Database):
    @property
    def _slot(self):
        cur.__init__(db, txn)
        return db._slot
    @_slot.setter
    def _slot(self, value): pass
for write in (False, True):
    txn, handle = env.begin(write=write), D.__new__(D)
    cur = pylmdb.Cursor.__new__(pylmdb.Cursor, db, txn)
    found = raised_by(cur.__init__, handle, txn)
    assert found in (pylmdb.Error, pylmdb.BusyError), found  # the outer one, or the inner
    if found is pylmdb.Error:
        assert not cur.closed and not cur.first()
        assert raised_by(cur.__init__, db, txn) is pylmdb.Error
    del cur
    txn.abort()
    check()
""",
        env_path,
        lib_version,
    )


def test_writes_that_a_read_transaction_refuses_leave_its_iterators_alone(env_path, lib_version):
    run(
        """
db = env.open_db(b"named")
txn = env.begin()
writes = [
    lambda: cur.delete(), lambda: txn.put(b"000", b"x"), lambda: txn.delete(b"000"),
    lambda: txn.pop(b"000"), lambda: txn.replace(b"000", b"x"), lambda: txn.drop(db),
    lambda: txn.drop(db, delete=False), lambda: txn.cursor().put(b"000", b"x"),
    lambda: txn.cursor().putmulti([(b"000", b"x")]), lambda: txn.delete_range(b"000"),
]
for iterate in ("iternext", "iternext_nodup", "range"):
    cur = txn.cursor()
    iterator = getattr(cur, iterate)(keys=True, values=True)
    for i, write in enumerate(writes):
        assert next(iterator) == (b"%03d" % i, b"v%03d" % i), i
        assert raised_by(write) is pylmdb.ReadonlyError, (i, raised_by(write))
del cur, iterator, txn
""",
        env_path,
        lib_version,
    )


def test_a_range_refuses_a_step_inside_its_own_step(env_path, lib_version):
    """A finalizer consumes the rest of the range during a step."""
    run(
        """
records = [(b"%03d" % i, b"v%03d" % i) for i in range(6)]
def use_up(found):
    try:
        rest.extend(found)
    except ValueError as error:
        refused.append(str(error))
refused = []
for count, buffers, write, take in itertools.product(range(1, 9), *[(False, True)] * 3):
    found = env.begin(buffers=buffers, write=write).range(b"000", b"006")
    seen, rest = [next(found)], []
    if take:
        seen.append(next(found))
    inside = collecting(count, lambda: use_up(found), lambda: next(found, None))
    seen += [inside] if inside else []
    seen += [*rest, *found]
    assert sorted(tuple(map(bytes, each)) for each in seen) == records, (count, seen)
    assert next(found, None) is None
    del found, seen, inside, rest
assert refused or sys.version_info >= (3, 12)  # which collects garbage between steps
check()
""",
        env_path,
        lib_version,
    )


def test_what_a_call_from_a_native_thread_leaves_open_ends_with_the_call(env_path, lib_version):
    """One native thread calls Python three times; the last two calls come from the destructor of a
    thread-specific value.  For Python each call is another thread.  PyPy does not tell that it
    ends, so there a transaction stays open until it is aborted or dropped."""
    run(
        """
import ctypes
libc, number, key = ctypes.CDLL(None), ctypes.c_ulong(), ctypes.c_uint()
kept, errors = [], []
def end_last():
    if kept and sys.implementation.name == "pypy":
        assert raised_by(env.begin, write=True, timeout=0) is pylmdb.LockTimeoutError
        assert raised_by(kept[-1].commit) is pylmdb.WrongThreadError
        kept[-1].abort()
    assert all(txn.closed for txn in kept), "the last call's is open"
@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
def call(argument):
    try:
        end_last()
        kept.append(env.begin(write=True, timeout=1))
        kept[-1].put(b"lost", b"x")
    except BaseException as error:
        errors.append(repr(error))
    if len(kept) < 3 and not errors:
        libc.pthread_setspecific(key, ctypes.c_void_p(1))
    return 0
assert not libc.pthread_key_create(ctypes.byref(key), call)
for _ in range(2):
    kept.clear()
    assert not libc.pthread_create(ctypes.byref(number), None, call, None)
    assert not libc.pthread_join(number, None)
    assert not errors, errors
    end_last()
    assert len(kept) == 3
    check()
""",
        env_path,
        lib_version,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_inherited_views_are_freed_in_a_forked_child(env_path, lib_version):
    run(
        """
def views():
    return sum(type(each) is memoryview for each in gc.get_objects())
before = views()
txn = env.begin(buffers=True)
view = txn.get(b"kept")
assert views() > before
def child():
    global txn, view
    txn = view = None
    gc.collect()
    assert views() == before, (views(), before)
assert in_child(child) == 0
assert view == b"data" and txn.get(b"000") == b"v000"
del view, txn
""",
        env_path,
        lib_version,
    )
