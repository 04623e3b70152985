# SPDX-License-Identifier: MIT
"""The interpreter exits with objects alive, and nothing leaks."""

import gc

import pytest
from programs import ROUNDS, can_write, run

OPEN = """\
env = pylmdb.open(path, map_size=1 << 24, lib_version=lib_version, sync=False)
with env.begin(write=True) as txn:
    for i in range(100):
        txn.put(b"%03d" % i, b"v" * 10)
del txn
"""

ALIVE = {
    "environment": "",
    "reader": "txn = env.begin()",
    "writer": "txn = env.begin(write=True); txn.put(b'lost', b'x')",
    "nested": "txn = env.begin(write=True); child = env.begin(write=True, parent=txn)",
    "cursor": "txn = env.begin(); cur = txn.cursor(); cur.first()",
    "cursor alone": "cur = env.begin(write=True).cursor(); cur.first()",
    "iterator": "it = iter(env.begin().cursor()); next(it)",
    "range": "it = env.begin().range(); next(it)",
    "view": "view = env.begin(buffers=True).get(b'001')",
    "reservation, and all modules": """
txn = env.begin(write=True)
memory = txn.reserve(b'lost', 10).__enter__()
sys.hidden = [txn, memory, [*sys.modules.values()]]; del env, txn, memory""",
    "view of closed": "view = env.begin(buffers=True).get(b'001'); env.close()",
    "array": """
import numpy
array = numpy.frombuffer(env.begin(buffers=True).get(b'001'), 'u1')[2:]""",
    "generator": """
def gen():
    with env.begin(write=True) as txn:
        txn.put(b'lost', b'x')
        yield from txn.cursor()
it = gen(); next(it)""",
    "cycle": """
class Node: pass
node = Node(); node.me = node; node.env = env; node.txn = env.begin(write=True)
node.cur = node.txn.cursor(); node.txn.put(b'lost', b'x'); del node""",
    "cycle that holds the class": """
class Node: pass
node = Node(); node.me = node; node.txn = env.begin(); node.cur = node.txn.cursor()
type(node.txn).node = node; del node""",
    "finalizer": """
class Last:
    def __init__(self): self.env, self.txn = env, env.begin()
    def __del__(self):
        raised_by(self.txn.get, b'001')
        assert raised_by(self.write) in (None, pylmdb.ClosedError)
        self.env.close()
    def write(self):
        with self.env.begin(write=True) as txn: txn.put(b'kept', b'y')
last = Last()""",
    "finalizer in a cycle": """
class Last:
    def __init__(self): self.me, self.env, self.txn = self, env, env.begin(write=True)
    def __del__(self):
        assert raised_by(self.write) in (None, pylmdb.ClosedError)
        self.env.close()
    def write(self):
        self.txn.put(b'kept', b'y'); self.txn.commit()
last = Last()""",
    "exit handler": """
import atexit
txn = env.begin(write=True); txn.put(b'kept', b'x')
def last(): txn.commit(); env.close()
atexit.register(last)""",
    "module attribute": "sys.hidden = (env, env.begin(), env.begin(write=True)); del env",
    "builtins": "import builtins; builtins.hidden = env.begin(write=True).cursor()",
    "thread local": "local = threading.local(); local.txn = env.begin(write=True)",
    "handle": "db = env.open_db(b'named'); db_txn = env.begin(db=db, write=True); del env",
}

END = "\nsys.exit(5)"


@pytest.mark.parametrize("alive", ALIVE)
def test_the_interpreter_ends_with_it_alive(env_path, lib_version, alive):
    run(OPEN + ALIVE[alive] + END, env_path, lib_version, status=5)
    assert can_write(env_path, lib_version)


# What an object in sys does in its deallocation, after the globals of all modules were set to
# None: everything that ends something must still work.
LATE = {
    "close": ("", "env.close"),
    "leave": ("", "env.__exit__"),
    "close, with a reader": ("sys.txn = env.begin()", "env.close"),
    "close, with a writer": ("sys.txn = env.begin(write=True); sys.txn.pop(b'001')", "env.close"),
    "close, with a cursor": ("sys.cur = env.begin().cursor(); sys.cur.first()", "env.close"),
    "close, with a view": ("sys.view = env.begin(buffers=True).get(b'001')", "env.close"),
    "abort": ("txn = env.begin(write=True); txn.put(b'lost', b'x')", "txn.abort"),
    "abort a reader": ("txn = env.begin(); txn.get(b'001')", "txn.abort"),
    "close a cursor": ("cur = env.begin().cursor(); cur.first()", "cur.close"),
    "close a writer": ("w = env.writer(); w.put(b'x', b'y').result()", "w.close"),
    "close a map twice": (
        "map = pylmdb.Map(env); sys.modules_kept = [*sys.modules.values()]",
        "lambda map=map: (map.close(), map.close(), map.closed or 1 / 0)",
    ),
}
LATE_IN_C = {
    "commit": ("txn = env.begin(write=True); txn.put(b'x', b'y')", "txn.commit"),
    "get": ("txn = env.begin()", "lambda: txn.get(b'001') == b'v' * 10 or 1 / 0"),
    "begin": ("", "lambda: env.begin(write=True).abort()"),
    "get after the end": (
        "txn = env.begin(); txn.abort()",
        "lambda f=raised_by, closed=pylmdb.ClosedError: f(txn.get, b'001') is closed or 1 / 0",
    ),
}
DESTRUCTOR = """
class Late:
    def __init__(self, end): self.end = end
    def __del__(self, write=os.write, base=BaseException):
        try: self.end(); write(1, b"done")
        except base as error: write(1, repr(error).encode())
sys.last = Late(%s)
"""


@pytest.mark.parametrize("late", [*LATE, *LATE_IN_C])
def test_a_destructor_at_the_end_of_the_interpreter_ends_it(env_path, lib_version, core, late):
    if late in LATE_IN_C and core != "c":
        pytest.skip("the operations of the core in cffi need their modules")
    begin, end = {**LATE, **LATE_IN_C}[late]
    source = OPEN + begin + DESTRUCTOR % end
    assert run(source, env_path, lib_version).strip() == "done"
    assert can_write(env_path, lib_version)


THREADS = {
    "waits for a thread": """
txn = env.begin(write=True)
spawn(lambda: env.begin(write=True))""",
    "waits for a process": """
rival = Rival(path, lib_version)
assert rival.ask("hold") == "holds"
spawn(lambda: env.begin(write=True))
rival.process.stdin.close()
rival.process.stdout.close()
import atexit, weakref
rival.process.returncode = 0""",
    "has a write transaction": """
def own():
    txn = env.begin(write=True)
    txn.put(b"lost", b"x")
    while True: time.sleep(10)
spawn(own)""",
    "has a cursor of main": """
txn = env.begin()
def use():
    cur = txn.cursor()
    while True: cur.next() or cur.first()
spawn(use)""",
    "reads": """
def use():
    while True:
        with env.begin(buffers=True) as txn:
            for item in txn.cursor(): pass
spawn(use)
spawn(use)""",
    "writes": """
def use():
    while True:
        with env.begin(write=True) as txn:
            txn.put(b"w", b"w")
spawn(use)
spawn(use)""",
    "opens and closes": """
def use():
    while True:
        with pylmdb.open(path) as again: again.stat()
spawn(use)
spawn(use)""",
    "copies": """
def use():
    with open(os.devnull, "wb") as file:
        while True: env.copyfd(file.fileno())
spawn(use)""",
}
SPAWN = """\
def spawn(function):
    threading.Thread(target=function, daemon=True).start()
    time.sleep(0.05)
"""


@pytest.mark.parametrize("thread", THREADS)
def test_the_interpreter_ends_with_a_daemon_thread(env_path, lib_version, thread):
    run(OPEN + SPAWN + THREADS[thread] + END, env_path, lib_version, status=5)
    assert can_write(env_path, lib_version)


def test_what_an_exit_handler_commits_is_there(env_path, lib_version):
    run(OPEN + ALIVE["exit handler"], env_path, lib_version)
    run("with pylmdb.open(path) as env, env.begin() as txn: assert txn.get(b'kept') == b'x'",
        env_path, lib_version)  # fmt: skip


def test_a_thread_that_is_still_writing_is_waited_for(env_path, lib_version):
    """The interpreter waits for threads that are not daemons."""
    run(
        OPEN
        + """
def work():
    time.sleep(0.2)
    with env.begin(write=True) as txn:
        txn.put(b"late", b"x")
    txn = env.begin(write=True)
threading.Thread(target=work).start()
""",
        env_path,
        lib_version,
    )
    run("with pylmdb.open(path) as env, env.begin() as txn: assert txn.get(b'late') == b'x'",
        env_path, lib_version)  # fmt: skip


def test_garbage_cycles_free_locks_and_slots(env_path, lib_version):
    run(
        OPEN
        + f"ROUNDS = {100 * ROUNDS}\n"
        + """
gc.disable()
class Node: pass
for i in range(ROUNDS):
    node = Node()
    node.me, node.env = node, env
    node.txn = env.begin(buffers=bool(i % 2))
    node.cur = node.txn.cursor()
    node.it = iter(node.cur)
    node.item = next(node.it)
    node.writer = env.begin(write=True)
    node.child = env.begin(write=True, parent=node.writer)
    node.child_cur = node.child.cursor()
    del node
    gc.collect()
    assert not env.reader_list()
    env.begin(write=True, timeout=0).abort()
gc.enable()
assert gc.garbage == []
again = pylmdb.open(path)
node = Node()
node.me, node.envs = node, [env, again]
del env, again, node
gc.collect()
assert not descriptors(path)
""",
        env_path,
        lib_version,
    )


def test_reader_slots_after_a_thousand_dropped_transactions(env_path, lib_version):
    run(
        OPEN
        + """
for i in range(1000):
    env.begin()
    txn = env.begin(buffers=True)
    view = txn.get(b"001")
    if i % 2:
        del txn
        assert view == b"v" * 10
    del view
txn = None
assert not env.reader_list(), env.readers()
spare = pylmdb.open(path + "-spare", max_spare_txns=3, lib_version=lib_version)
for i in range(1000):
    held = [spare.begin() for _ in range(i % 6)]
del held
assert len(spare.reader_list()) == 3
spare.close()
many = pylmdb.open(path + "-few", max_readers=4, lib_version=lib_version)
for i in range(300):
    held = [many.begin() for _ in range(4)]
    assert raised_by(many.begin) is pylmdb.ReadersFullError
    del held
assert not many.reader_list()
""",
        env_path,
        lib_version,
    )


def test_exceptions_do_not_keep_transactions(env_path, lib_version):
    run(
        OPEN
        + """
def fail():
    with env.begin(write=True) as txn:
        cur = txn.cursor()
        raise KeyError
for _ in range(50):
    assert raised_by(fail) is KeyError
    for wrong in (b"", b"x" * 5000):
        with env.begin(write=True) as txn:
            assert raised_by(txn.put, wrong, b"v") is pylmdb.BadValsizeError
    del txn
    env.begin(write=True, timeout=0).abort()
assert not env.reader_list()
env.close()
assert not descriptors(path)
""",
        env_path,
        lib_version,
    )


def test_memory_stays_flat(env_path, lib_version):
    run(
        OPEN
        + f"ROUNDS = {3000 * ROUNDS}\n"
        + """
db = env.open_db(b"named")
def cycle(i):
    with env.begin(buffers=bool(i % 2)) as txn:
        cur = txn.cursor()
        cur.first(), cur.item()
        txn.get(b"050")
        list(txn.range(b"010", b"012"))
        raised_by(txn.put, b"k", b"v")
    with env.begin(write=True) as txn:
        txn.put(b"050", b"v" * 10)
        if i % 10 == 0:
            child = env.begin(write=True, parent=txn)
            child.cursor(db).put(b"k", b"v" * 100)
            child.abort()
    if i % 50 == 0:
        pickled = __import__("pickle").loads(__import__("pickle").dumps(env))
        env.readers(), env.info(), env.stat(), repr(pickled)
        dropped = env.open_db(b"drop%d" % (i % 100))
        with env.begin(write=True) as txn:
            txn.drop(dropped)
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4
for i in range(300):
    cycle(i)
gc.collect()
before, objects = rss(), len(gc.get_objects())
for i in range(ROUNDS):
    cycle(i)
gc.collect()
assert len(gc.get_objects()) < objects + 200, (objects, len(gc.get_objects()))
assert rss() < before + 2500, (before, rss())
""",
        env_path,
        lib_version,
    )


@pytest.mark.parametrize("kind", ["transaction", "cursor"])
def test_a_finalizer_that_a_class_is_given_later(env, monkeypatch, kind):
    """It is called once, also if it resurrects its object."""

    def make():
        return env.begin() if kind == "transaction" else env.begin().cursor()

    def finalizer(self):
        seen.append(self)

    seen = []
    gc.collect()  # files that other tests have left
    monkeypatch.setattr(type(make()), "__del__", finalizer, raising=False)
    make(), make()
    gc.collect()
    assert len(seen) == 2
    assert not any(each.closed for each in seen)
    seen.clear()
    gc.collect()
    assert not seen
    assert not env.reader_list()
