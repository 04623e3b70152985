# SPDX-License-Identifier: MIT
"""Source text that programs that look for leaks share: MEASURE, and OPEN after it.  RECORDS is
part of MEASURE, for programs that look for something else.
"""

RECORDS = """\
# New objects: objects that Python shares may be immortal, or used by other code.
KEY, MISSING = bytes(bytearray(b"050")), bytes(bytearray(b"missing"))
VALUE = bytes(bytearray(b"value of mine"))
INT, NAME, DEFAULT = (5).to_bytes(8, sys.byteorder), bytes(bytearray(b"name")), object()
ARRAY, VIEW = bytearray(b"050"), memoryview(bytes(bytearray(b"050")))
STRIDED = memoryview(bytes(bytearray(b"0.5.0.")))[::2]

def make_env(path, **options):
    env = pylmdb.open(path, map_size=1 << 26, lib_version=lib_version, sync=False, **options)
    dbs = {
        "dup": env.open_db(b"dup", dupsort=True),
        "fixed": env.open_db(b"fixed", dupfixed=True),
        "int": env.open_db(b"int", integerkey=True),
    }
    with env.begin(write=True) as txn:
        for i in range(100):
            txn.put(b"%03d" % i, VALUE)
            txn.put(b"%03d" % (i // 10), b"%04d" % i, db=dbs["dup"])
            txn.put(b"%03d" % (i // 10), b"%04d" % i, db=dbs["fixed"])
            txn.put(i.to_bytes(8, sys.byteorder), VALUE, db=dbs["int"])
        txn.put(b"large", b"x" * 100_000)
    return env, dbs
"""

MEASURE = (
    RECORDS
    + """\
import ctypes, tracemalloc
# The other core is Python and cffi, which fill their own caches for a while.
IN_C = os.environ["PYLMDB_CORE"] == "c"
COUNT = ROUNDS * (60 if IN_C else 24)
class Heap(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]
mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
if mallinfo:
    mallinfo.restype = Heap

class Boom(Exception): pass
class Truth:
    "A flag that raises."
    def __bool__(self): raise Boom
def bomb(*items):
    "Yields items, then raises."
    yield from items
    raise Boom
EXPECTED = (pylmdb.Error, TypeError, ValueError, OverflowError, AttributeError, OSError, Boom)

KEYS = [b"%03d" % i for i in range(90)]  # so many that the GIL is let go
PAIRS = [(key, VALUE) for key in KEYS]
watched = {name: globals()[name] for name in
           "KEY MISSING VALUE INT NAME DEFAULT ARRAY VIEW STRIDED KEYS PAIRS Boom Truth".split()}
# Other code uses these, too, and they are immortal from Python 3.12 on.
common = {"None": None, "True": True, "False": False, "empty bytes": b""}

def watch_types(**objects):
    watched.update(("type of " + name, type(each)) for name, each in objects.items())

def watch(**objects):
    watched.update(objects)
    watch_types(**objects)
    for name, each in objects.items():
        for attribute in ("_shared", "_slot", "db", "main", "gate", "dbi_lock"):
            value = getattr(each, attribute, None)
            if value is not None:
                watch(**{name + "." + attribute: value})

def counts():
    found = {name: sys.getrefcount(each) for name, each in watched.items()}
    return found | {name: sys.getrefcount(each) // (COUNT // 4) for name, each in common.items()}

def sizes():
    return {
        "bytes": tracemalloc.get_traced_memory()[0],
        "objects": 16 * len(gc.get_objects()),
        "native bytes": mallinfo().uordblks if mallinfo else 0,
    }

def repeat(call, times, raises):
    raised = 0
    for _ in range(times):
        try:
            call()
        except EXPECTED:
            raised += 1
    assert raised == (times if raises else 0), f"raised {raised} times"
    gc.collect()

def left_behind(call, raises):
    "What is lost with each call; what is allocated once in a while is not, in one of the rounds."
    # Python keeps up to 2,000 free tuples of a size: so many calls are made at least.
    repeat(call, 5, raises)
    for _ in range(48):
        before, had = counts(), sizes()
        repeat(call, COUNT, raises)
        grown = {name: size - had[name] for name, size in sizes().items()}
        after = counts()
        lost = [f"{after[name] - count} references to {name}"
                for name, count in before.items() if abs(after[name] - count) > (name in common)]
        # The smallest block has 16 bytes.
        lost += [f"{size} {name}" for name, size in grown.items() if IN_C and size >= 8 * COUNT]
        if not lost:
            break
    return lost

def measure(calls, raises=False):
    bad = []
    for name, call in calls.items():
        try:
            bad += [f"{name}: {lost}" for lost in left_behind(call, raises)]
        except BaseException as error:
            bad.append(f"{name}: {error!r}")
    assert not bad, "\\n".join([f"left behind by {COUNT} calls:", *bad])

tracemalloc.start(1)
gc.collect()
gc.freeze()
"""
)

OPEN = """\
env, dbs = make_env(path)
dup, fixed, ints = dbs["dup"], dbs["fixed"], dbs["int"]
other, other_dbs = make_env(path + "-other", max_readers=3)
read, views = env.begin(), env.begin(buffers=True)
write = env.begin(write=True)
copies = other.begin(write=True, buffers=True)
watch(env=env, dup=dup, fixed=fixed, ints=ints, other_db=other_dbs["dup"], read=read, views=views,
      write=write, copies=copies)
watch_types(cursor=read.cursor(), iterator=iter(read.cursor()), exporter=views.get(KEY).obj)
"""
