# SPDX-License-Identifier: MIT
"""No call loses a reference, an object or native memory, whether it succeeds or raises.

Each call is made a hundred times.  Then the reference counts of all objects that it used must be
exactly as before.  In the C core Python's memory (tracemalloc), the number of objects, and the
memory of malloc() (by glibc's statistics) must not have grown with the number of calls.  So a
single reference or block that is lost in each call is found.
"""

from leaks import MEASURE, OPEN
from programs import run

TRANSACTION = """\
def put_and(method, *args, **kwargs):
    write.put(KEY, VALUE, **kwargs)
    return getattr(write, method)(KEY, *args, **kwargs)
measure({
    "get": lambda: read.get(KEY),
    "get default": lambda: read.get(MISSING, DEFAULT),
    "get by name": lambda: read.get(key=KEY, default=DEFAULT, db=dup),
    "get in one, get in another": lambda: (read.get(KEY, None, dup), read.get(KEY, None, fixed)),
    "get integer": lambda: read.get(INT, db=ints),
    "get bytearray": lambda: read.get(ARRAY),
    "get memoryview": lambda: read.get(VIEW),
    "get strided": lambda: read.get(STRIDED),
    "get large": lambda: read.get(b"large"),
    "get view": lambda: views.get(KEY),
    "get large view": lambda: views.get(b"large"),
    "get slice of view": lambda: bytes(views.get(KEY)[1:3]),
    "get while writing": lambda: write.get(KEY),
    "get copy": lambda: (copies.get(KEY), copies.cursor().item(), copies.get_many(KEYS, DEFAULT)),
    "get_many": lambda: read.get_many([KEY, MISSING, VIEW, ARRAY, STRIDED], DEFAULT),
    "get_many of many": lambda: read.get_many(KEYS, DEFAULT),
    "get_many of none": lambda: read.get_many([]),
    "get_many views": lambda: views.get_many([KEY, MISSING, VIEW], DEFAULT, dup),
    "get_many iterator": lambda: write.get_many(iter(KEYS), db=dup),
    "get_many integers": lambda: read.get_many([INT] * 70, db=ints),
    "get_many large": lambda: read.get_many([b"large", KEY]),
    "has_many": lambda: read.has_many([KEY, MISSING, VIEW, ARRAY, STRIDED, b"large"]),
    "in": lambda: (KEY in read, VIEW in write, MISSING in views),
    "first and last": lambda: (read.first(), read.last(dup), views.first(), write.last()),
    "floor and ceiling": lambda: (read.floor(ARRAY), views.ceiling(VIEW, dup), write.floor(b"0")),
    "put": lambda: write.put(KEY, VALUE),
    "put by name": lambda: write.put(key=KEY, value=VALUE, db=dup, dupdata=False),
    "put buffers": lambda: write.put(ARRAY, VIEW),
    "put strided": lambda: write.put(STRIDED, STRIDED),
    "put existing": lambda: write.put(KEY, VALUE, overwrite=False),
    "delete": lambda: put_and("delete"),
    "delete value": lambda: put_and("delete", VALUE, db=dup),
    "delete missing": lambda: write.delete(MISSING),
    "pop": lambda: put_and("pop"),
    "pop duplicate": lambda: put_and("pop", db=dup),
    "pop missing": lambda: write.pop(MISSING),
    "replace": lambda: write.replace(KEY, VALUE),
    "replace duplicate": lambda: write.replace(KEY, VALUE, dup),
    "replace buffers": lambda: write.replace(ARRAY, VIEW),
    "count": lambda: read.count(b"010", KEY),
    "count of a prefix": lambda: views.count(prefix=bytearray(b"0"), db=dup),
    "delete_range of nothing": lambda: write.delete_range(STRIDED, STRIDED),
    "range": lambda: list(read.range(b"010", KEY)),
    "range of views": lambda: list(views.range(prefix=b"05", reverse=True)),
    "range left": lambda: next(read.range()),
    "range with a limit": lambda: list(read.range(b"0", limit=3, offset=2)),
    "range of no records": lambda: list(views.range(limit=0, include_start=False)),
    "range after an offset": lambda: list(write.range(db=dup, offset=10**9, include_stop=True)),
    "range used up": lambda: [list(each) for each in [read.range(b"0")] * 2],
    "range of buffers": lambda: list(read.range(ARRAY, VIEW)),
    "range of strided": lambda: list(read.range(STRIDED, STRIDED, reverse=True)),
    "range of a prefix": lambda: list(read.range(prefix=ARRAY, keys=False)),
    "range of integers": lambda: list(read.range(INT, INT, db=ints)),
    "range in integers": lambda: list(read.range(INT, db=ints, reverse=True)),
    "range while writing": lambda: list(write.range(b"010", b"020", db=dup)),
    "stat": lambda: write.stat(dup),
    "rest": lambda: (read.id(), repr(read), read.closed, read.write, read.env),
    "cursor": lambda: read.cursor(),
    "cursor of": lambda: write.cursor(db=dup).first(),
    "cursor and db": lambda: (read.cursor().db, read.cursor(dup).db, read.cursor().txn),
    "cursor closed": lambda: read.cursor(dup).close(),
    "with cursor": lambda: write.cursor().__enter__().__exit__(None, None, None),
    "cursor class": lambda: pylmdb.Cursor(dup, read),
})
foreign, dead_txn = other_dbs["dup"], env.begin()
dead_txn.abort()
watch(dead_txn=dead_txn)
never = pylmdb.Transaction.__new__(pylmdb.Transaction, env)
measure(raises=True, calls={
    "get nothing": lambda: read.get(),
    "get too much": lambda: read.get(KEY, DEFAULT, None, VALUE),
    "get unknown name": lambda: read.get(KEY, nonsense=VALUE),
    "get twice": lambda: read.get(KEY, key=KEY),
    "get str": lambda: read.get("key"),
    "get int": lambda: read.get(5, DEFAULT),
    "get empty": lambda: read.get(b""),
    "get width": lambda: read.get(KEY, db=ints),
    "get in something": lambda: read.get(KEY, DEFAULT, DEFAULT),
    "get in foreign": lambda: read.get(KEY, DEFAULT, foreign),
    "get ended": lambda: dead_txn.get(ARRAY, DEFAULT, dup),
    "get never begun": lambda: never.get(ARRAY, DEFAULT, dup),
    "get_many int": lambda: read.get_many([KEY, VIEW, 5], DEFAULT),
    "get_many nothing": lambda: read.get_many(5, DEFAULT),
    "get_many raises": lambda: read.get_many(bomb(KEY, VIEW), DEFAULT),
    "get_many empty": lambda: read.get_many([KEY, VIEW, b""] * 30, DEFAULT),
    "get_many foreign": lambda: read.get_many([KEY], DEFAULT, foreign),
    "get_many width": lambda: views.get_many([INT, KEY], DEFAULT, ints),
    "get_many ended": lambda: dead_txn.get_many([KEY, VIEW]),
    "has_many raises": lambda: read.has_many(bomb(KEY, VIEW)),
    "has_many empty": lambda: read.has_many([KEY, VIEW, b""] * 30),
    "in int": lambda: 5 in read,
    "in empty": lambda: bytearray() in read,
    "in ended": lambda: VIEW in dead_txn,
    "first foreign": lambda: read.first(foreign),
    "floor width": lambda: read.floor(ARRAY, ints),
    "ceiling ended": lambda: dead_txn.ceiling(ARRAY),
    "put key": lambda: write.put(5, VALUE),
    "put value": lambda: write.put(ARRAY, 5),
    "put flag": lambda: write.put(KEY, VALUE, overwrite=Truth()),
    "put empty": lambda: write.put(b"", VIEW),
    "put long": lambda: write.put(KEY * 3000, VALUE),
    "put readonly": lambda: read.put(ARRAY, VIEW),
    "put foreign": lambda: write.put(ARRAY, VIEW, db=foreign),
    "put ended": lambda: dead_txn.put(ARRAY, VIEW),
    "delete key": lambda: write.delete(5, VALUE),
    "delete value": lambda: write.delete(ARRAY, 5),
    "delete readonly": lambda: read.delete(ARRAY, VIEW, dup),
    "delete foreign": lambda: write.delete(ARRAY, VIEW, foreign),
    "pop readonly": lambda: read.pop(ARRAY),
    "pop readonly duplicate": lambda: read.pop(b"005", dup),
    "pop foreign": lambda: write.pop(ARRAY, foreign),
    "pop empty": lambda: write.pop(b"", dup),
    "replace readonly": lambda: read.replace(KEY, VIEW),
    "replace value": lambda: write.replace(ARRAY, 5),
    "replace long": lambda: write.replace(KEY, VALUE * 300, dup),
    "replace width": lambda: write.replace(KEY, VALUE, ints),
    "cursor foreign": lambda: read.cursor(foreign),
    "cursor ended": lambda: dead_txn.cursor(dup),
    "cursor class": lambda: pylmdb.Cursor(dup, DEFAULT),
    "cursor class ended": lambda: pylmdb.Cursor(dup, dead_txn),
    "begun already": lambda: read.__init__(env),
    "count": lambda: read.count(5, KEY),
    "delete_range": lambda: write.delete_range(KEY, prefix=KEY),
    "delete_range readonly": lambda: read.delete_range(KEY),
    "delete_range of databases": lambda: write.delete_range(b"0"),
    "range": lambda: list(read.range(5, KEY)),
    "range to int": lambda: read.range(ARRAY, 5),
    "range of nothing": lambda: read.range(ARRAY, keys=False, values=False),
    "range of prefix and start": lambda: read.range(ARRAY, prefix=VIEW),
    "range of prefix in integers": lambda: read.range(prefix=ARRAY, db=ints),
    "range flag": lambda: read.range(ARRAY, STRIDED, reverse=Truth()),
    "range include flag": lambda: read.range(ARRAY, STRIDED, include_stop=Truth()),
    "range limit": lambda: read.range(ARRAY, STRIDED, limit=-1),
    "range offset": lambda: read.range(ARRAY, STRIDED, offset=1.5),
    "range of prefix and what it includes": lambda: read.range(prefix=VIEW, include_start=False),
    "range of width": lambda: next(read.range(stop=ARRAY, db=ints)),
    "range foreign": lambda: read.range(ARRAY, db=foreign),
    "drop": lambda: write.drop(None),
    "enter ended": lambda: dead_txn.__enter__(),
    "commit ended": lambda: dead_txn.commit(),
})
"""


def test_records(env_path, lib_version):
    run(MEASURE + OPEN + TRANSACTION, env_path, lib_version)


CURSOR = """\
from collections import deque
cur, vcur, wcur = read.cursor(), views.cursor(dup), write.cursor()
dcur, wdup, fcur = read.cursor(dup), write.cursor(dup), read.cursor(fixed)
watch(cur=cur, vcur=vcur, wcur=wcur, dcur=dcur, wdup=wdup, fcur=fcur)
METHODS = "first last next prev next_nodup prev_nodup key value item closed db txn".split()
DUP_METHODS = "first first_dup last_dup next_dup prev_dup count key value item".split()
def walk(cursor, methods):
    for name in methods:
        method = getattr(cursor, name)
        method() if callable(method) else None
def left(iterator, count=2):
    "Takes some items and keeps one of them to the end."
    return [next(iterator, None) for _ in range(count)]
def changed():
    wcur.first()
    iterator = wcur.iternext()
    next(iterator), write.put(KEY, VALUE), next(iterator)
ITERATIONS = [
    f"{name}({flags})" for name in
    ("iternext", "iternext_nodup", "iterprev", "iterprev_nodup", "iternext_dup", "iterprev_dup")
    for flags in ("", "True, False", "False, True", "False, False")
]
calls = {
    "walk": lambda: walk(cur, METHODS),
    "walk over views": lambda: walk(vcur, METHODS),
    "walk while writing": lambda: walk(wcur, METHODS),
    "walk over duplicates": lambda: walk(dcur, DUP_METHODS),
    "walk over views of duplicates": lambda: walk(vcur, DUP_METHODS),
    "set_key": lambda: (cur.set_key(KEY), cur.set_key(ARRAY), cur.set_key(STRIDED)),
    "set_key missing": lambda: (cur.set_key(MISSING), cur.key(), cur.item()),
    "set_range": lambda: (wcur.set_range(KEY), wcur.set_range(VIEW), wcur.set_range(b"")),
    "set_key_dup": lambda: dcur.set_key_dup(ARRAY, VIEW),
    "set_range_dup": lambda: dcur.set_range_dup(key=KEY, value=VALUE),
    "get": lambda: (cur.get(KEY), cur.get(MISSING, DEFAULT), vcur.get(ARRAY, DEFAULT)),
    "get large": lambda: (cur.get(b"large"), cur.item()),
    "getmulti": lambda: cur.getmulti([KEY, MISSING, VIEW]),
    "getmulti of many": lambda: cur.getmulti(KEYS),
    "getmulti of none": lambda: cur.getmulti([]),
    "getmulti keys": lambda: wcur.getmulti([KEY, ARRAY, STRIDED], values=False),
    "getmulti views": lambda: vcur.getmulti([b"005", VIEW, KEY]),
    "getmulti all": lambda: dcur.getmulti([b"005", VIEW, KEY], dupdata=True),
    "getmulti all views": lambda: vcur.getmulti(KEYS, dupdata=True),
    "getmulti pages": lambda: fcur.getmulti(KEYS, True, 4),
    "getmulti fixed": lambda: fcur.getmulti(KEYS, True, 4, True),
    "put": lambda: (wcur.put(KEY, VALUE), wcur.put(ARRAY, VIEW), wcur.put(KEY, KEY, True, False)),
    "putmulti": lambda: wcur.putmulti(PAIRS),
    "putmulti iterator": lambda: wdup.putmulti(iter([(ARRAY, VIEW), (KEY, STRIDED)]), append=False),
    "delete": lambda: (wcur.put(KEY, VALUE), wcur.delete(), wdup.put(KEY, KEY), wdup.delete(True)),
    "pop": lambda: (wcur.put(KEY, VALUE), wcur.pop(KEY), wcur.pop(MISSING), wdup.pop(ARRAY)),
    "replace": lambda: (wcur.replace(KEY, VALUE), wdup.replace(KEY, VIEW)),
    "replace missing": lambda: (wcur.pop(KEY), wcur.replace(KEY, VALUE)),
    "range": lambda: list(cur.range(b"010", KEY)),
    "iterate": lambda: [item for item in cur],
    "iterate and forget": lambda: deque(cur, 0),
    "iterate and forget views": lambda: deque(vcur, 0),
    "iterate over copies": lambda: [item for item in copies.cursor()],
    "iterate views": lambda: [item for item in vcur],
    "iterate while writing": lambda: [item for item in wcur],
    "iterate while changing": changed,
    "_iter_from": lambda: left(cur._iter_from(KEY, True)),
    "repr": lambda: repr(cur),
}
for each in ITERATIONS:
    for name in ("cur", "vcur", "wcur", "dcur"):
        if "_dup" in each and name in ("cur", "wcur"):
            continue
        source = f"lambda: ({name}.first(), left({name}.{each}), list({name}.{each}))"
        calls[f"{name}.{each}"] = eval(source)
measure(calls)
closed, orphan = read.cursor(dup), env.begin().cursor(dup)
closed.close()
orphan.first()
iterator = iter(orphan)
next(iterator)
orphan.txn.abort()
watch(closed=closed, orphan=orphan, iterator=iterator)
never = pylmdb.Cursor.__new__(pylmdb.Cursor, dup, read)
unset = read.cursor(dup)
wrong = {
    "set_key str": lambda: cur.set_key("key"),
    "set_key empty": lambda: cur.set_key(b""),
    "set_key nothing": lambda: cur.set_key(),
    "set_key_dup value": lambda: dcur.set_key_dup(ARRAY, 5),
    "set_key_dup in plain": lambda: cur.set_key_dup(ARRAY, VIEW),
    "get int": lambda: cur.get(5, DEFAULT),
    "get names": lambda: cur.get(KEY, DEFAULT, other=VALUE),
    "getmulti int": lambda: cur.getmulti([KEY, VIEW, 5]),
    "getmulti raises": lambda: cur.getmulti(bomb(KEY, VIEW)),
    "getmulti empty": lambda: cur.getmulti([KEY, VIEW, b""] * 30),
    "getmulti all empty": lambda: dcur.getmulti([KEY, VIEW, b"005", b""], dupdata=True),
    "getmulti flag": lambda: cur.getmulti([KEY], Truth()),
    "getmulti width": lambda: fcur.getmulti(KEYS, True, 3),
    "getmulti width of plain": lambda: cur.getmulti([KEY], True, 4),
    "getmulti fixed plain": lambda: cur.getmulti([KEY, VIEW], True, 4, True),
    "getmulti bad width": lambda: fcur.getmulti(KEYS, True, "4"),
    "getmulti bad flags": lambda: fcur.getmulti(KEYS, False, 4),
    "put value": lambda: wcur.put(ARRAY, 5),
    "put flag": lambda: wcur.put(KEY, VALUE, append=Truth()),
    "put readonly": lambda: cur.put(ARRAY, VIEW),
    "put empty": lambda: wcur.put(b"", VIEW),
    "putmulti item": lambda: wcur.putmulti([(KEY, VALUE), VALUE]),
    "putmulti triple": lambda: wcur.putmulti([(ARRAY, VIEW), (KEY, VALUE, KEY)]),
    "putmulti value": lambda: wcur.putmulti([(ARRAY, VIEW), (ARRAY, 5)]),
    "putmulti raises": lambda: wcur.putmulti(bomb((ARRAY, VIEW))),
    "putmulti nothing": lambda: wcur.putmulti(5),
    "putmulti readonly": lambda: cur.putmulti([(ARRAY, VIEW)]),
    "delete readonly": lambda: (cur.first(), cur.delete()),
    "delete flag": lambda: wcur.delete(Truth()),
    "pop readonly": lambda: cur.pop(ARRAY),
    "pop int": lambda: wcur.pop(5),
    "replace readonly": lambda: cur.replace(ARRAY, VIEW),
    "replace value": lambda: wcur.replace(ARRAY, 5),
    "replace long": lambda: wdup.replace(b"005", VALUE * 300),
    "count of plain": lambda: cur.count(),
    "first_dup unset": lambda: unset.first_dup(),
    "iternext flag": lambda: cur.iternext(Truth(), VALUE),
    "iternext names": lambda: cur.iternext(other=VALUE),
    "opened already": lambda: cur.__init__(dup, read),
    "iterator ended": lambda: next(iterator),
    "enter closed": lambda: closed.__enter__(),
}
for name, broken in {"closed": closed, "ended": orphan, "never": never}.items():
    wrong[f"get {name}"] = lambda broken=broken: broken.get(ARRAY, DEFAULT)
    wrong[f"put {name}"] = lambda broken=broken: broken.put(ARRAY, VIEW)
    wrong[f"next {name}"] = lambda broken=broken: broken.next()
    wrong[f"key {name}"] = lambda broken=broken: broken.key()
    wrong[f"getmulti {name}"] = lambda broken=broken: broken.getmulti([ARRAY])
    wrong[f"putmulti {name}"] = lambda broken=broken: broken.putmulti([(KEY, VALUE)])
    wrong[f"iterate {name}"] = lambda broken=broken: list(broken)
    wrong[f"range {name}"] = lambda broken=broken: list(broken.range())
measure(wrong, raises=True)
"""


def test_cursors(env_path, lib_version):
    run(MEASURE + OPEN + CURSOR, env_path, lib_version)


LIVES = """\
import pickle
env, dbs = make_env(path)
dup = dbs["dup"]
readonly = pylmdb.open(path, readonly=True)
few, few_dbs = make_env(path + "-few", max_readers=2)
some = env.begin(buffers=True)
watch(env=env, dup=dup, readonly=readonly, few=few, other_db=few_dbs["dup"])
watch_types(txn=some, cursor=some.cursor(), iterator=iter(some.cursor()), range=some.range(),
            exporter=some.get(KEY).obj)
del some
class Txn(pylmdb.Transaction):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.me = self
class Cur(pylmdb.Cursor): pass
class Node: pass
def use(txn, end):
    cursor = txn.cursor(dup)
    iterator = iter(cursor)
    item = next(iterator)
    getattr(txn, end)()
def inside(**options):
    with env.begin(**options) as txn:
        txn.get(KEY)
def raising(**options):
    try:
        with env.begin(**options) as txn:
            raise Boom
    except Boom:
        pass
def nested(end, **options):
    with env.begin(write=True) as txn:
        child = env.begin(dup, txn, write=True, **options)
        cursor = child.cursor()
        child.put(KEY, VALUE, db=dup)
        cursor.set_key(KEY)
        new = env.open_db(NAME, child)
        getattr(child, end)() if end else None
        del child
        txn.abort()
def dropped():
    new = env.open_db(NAME)
    with env.begin(write=True) as txn:
        cursor = txn.cursor(new)
        txn.put(KEY, VALUE, db=new)
        txn.drop(new)
def readers():
    with env.begin(write=True) as txn:
        some = [env.begin(parent=txn) for _ in range(3)]
        cursors = [each.cursor() for each in some]
        some[1].get(KEY)
        some[0].abort()
def outliving():
    txn = env.begin(buffers=True)
    view = txn.get(KEY)
    item = next(iter(txn.cursor(dup)))
    txn.abort()
    return bytes(view) + bytes(item[0][1:])
def outliving_all():
    again = pylmdb.open(path)
    with again.begin(buffers=True) as txn:
        view = txn.get(KEY)[1:]
    again.close()
    return bytes(view)
def closed_with_all():
    again = pylmdb.open(path)
    txn, views = again.begin(write=True), again.begin(buffers=True)
    child = again.begin(parent=txn, write=True)
    cursor, item = child.cursor(), next(iter(views.cursor()))
    again.close()
    assert txn.closed and child.closed and views.closed and cursor.closed
def outliving_another():
    another = pylmdb.open(path + "-another", lib_version=lib_version)
    with another.begin(write=True) as txn:
        txn.put(KEY, VALUE)
    view, txn = another.begin(buffers=True).get(KEY), another.begin()
    another.close()
def ended_inside():
    txn = env.begin(write=True)
    txn._do(lambda pointer: txn.abort())
# Made once: each new or changed class takes entries in the interpreter's cache of attributes.
class Odd(pylmdb.Database):
    _slot = property(lambda self: self.txn.abort() or dup._slot)
def found_and_ended():
    odd = Odd.__new__(Odd)
    odd.txn = txn = env.begin()
    assert raised_by(txn.get, KEY, db=odd) is pylmdb.ClosedError
def newer_handle():
    env.open_db(NAME)
    with pylmdb.open(path + "-newer", lib_version=lib_version) as newer:
        newer.open_db(NAME)
    with pylmdb.open(path + "-newer") as newer:
        txn = newer.begin()
        found = newer.open_db(NAME)
        txn.get(KEY, db=found), txn.cursor(found)
def cycle():
    node = Node()
    node.me, node.env, node.txn = node, env, env.begin(buffers=True)
    node.cursor = node.txn.cursor()
    node.iterator = iter(node.cursor)
    node.item = next(node.iterator)
    node.writer = Txn(env, write=True)
    node.child = env.begin(parent=node.writer, write=True)
    del node
    gc.collect(1)
def in_thread():
    def work():
        global kept
        kept = env.begin(write=True)
        kept.put(KEY, VALUE)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert kept.closed
def waited_for():
    def work():
        with env.begin(write=True) as txn: pass
    with env.begin(write=True) as txn:
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.001)
    thread.join()
def timed_out():
    with env.begin(write=True) as txn:
        found = []
        work = lambda: found.append(raised_by(env.begin, write=True, timeout=0))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found == [pylmdb.LockTimeoutError]
measure({
    "begin": lambda: env.begin(),
    "begin by name": lambda: env.begin(db=dup, parent=None, write=False, buffers=True, sync=None),
    "begin and commit": lambda: env.begin().commit(),
    "begin and abort": lambda: env.begin(dup, buffers=True).abort(),
    "with": inside,
    "with views": lambda: inside(buffers=True),
    "with exception": raising,
    "write": lambda: inside(write=True, sync=False, metasync=True, timeout=5),
    "write with exception": lambda: raising(write=True),
    "write left": lambda: env.begin(write=True),
    "use and abort": lambda: use(env.begin(), "abort"),
    "use views and commit": lambda: use(env.begin(buffers=True), "commit"),
    "use and leave": lambda: use(env.begin(write=True), "id"),
    "write, use, commit": lambda: use(env.begin(write=True), "commit"),
    "nested commit": lambda: nested("commit"),
    "nested abort": lambda: nested("abort", buffers=True),
    "nested left": lambda: nested(None),
    "nested, parent ends": lambda: env.begin(parent=env.begin(write=True), write=True),
    "drop": dropped,
    "views": outliving,
    "views of a closed environment": outliving_all,
    "closed with all": closed_with_all,
    "views of another": outliving_another,
    "ended inside": ended_inside,
    **({"found and ended": found_and_ended} if IN_C else {}),
    "newer handle": newer_handle,
    "cycle": cycle,
    "waited for": waited_for,
    "thread": in_thread,
    "timeout": timed_out,
    "class": lambda: pylmdb.Transaction(env, dup).get(KEY),
    "subclass": lambda: Txn(env, write=True).commit(),
    "subclass of cursor": lambda: Cur(dup, env.begin()).first(),
    "never begun": lambda: Txn.__new__(Txn, env),
    "never opened": lambda: Cur.__new__(Cur, dup, env.begin()),
    "never opened environment": lambda: pylmdb.Environment.__new__(pylmdb.Environment),
    "open again": lambda: pylmdb.open(path),
    "open another": lambda: pylmdb.open(path + "-another", lib_version=lib_version).close(),
    "pickle": lambda: pickle.loads(pickle.dumps(env)).close(),
    "pickle a handle": lambda: pickle.loads(pickle.dumps(dup)).flags(),
    "open_db": lambda: (env.open_db(), env.open_db(b"dup"), env.open_db(b"fixed", dupfixed=True)),
    "dbs": lambda: env.dbs(),
    "rest": lambda: (env.stat(), env.info(), env.readers(), env.reader_list(), env.flags()),
    **({"read-only children": readers} if lib_version else {}),
})
dead = env.begin()
dead.abort()
never = pylmdb.Transaction.__new__(pylmdb.Transaction, env)
closed = pylmdb.open(path)
closed.close()
watch(dead=dead, closed=closed)
held = [few.begin(), few.begin()]
dropped()
before = env.begin()
new = env.open_db(NAME)
writer = env.begin(write=True)
child = env.begin(write=True, parent=writer)
watch(writer=writer, child=child)
measure(raises=True, calls={
    "handle of a newer database": lambda: before.get(KEY, DEFAULT, new),
    "begin too much": lambda: env.begin(dup, None, False, False, 5),
    "begin name": lambda: env.begin(dup, other=VALUE),
    "begin db": lambda: env.begin(DEFAULT),
    "begin foreign": lambda: env.begin(few_dbs["dup"]),
    "begin flag": lambda: env.begin(dup, write=Truth()),
    "begin buffers": lambda: env.begin(dup, buffers=Truth()),
    "begin sync": lambda: env.begin(dup, write=True, sync=Truth(), timeout=5),
    "begin timeout": lambda: env.begin(dup, timeout=-1),
    "begin timeout type": lambda: env.begin(dup, timeout="x"),
    "begin parent": lambda: env.begin(dup, DEFAULT),
    "begin ended parent": lambda: env.begin(dup, dead, write=True),
    "begin never begun parent": lambda: env.begin(dup, never, write=True),
    "begin foreign parent": lambda: env.begin(dup, held[0], write=True),
    "begin second child": lambda: env.begin(dup, writer, write=True),
    "begin foreign db in child": lambda: env.begin(few_dbs["dup"], child, write=True),
    "begin second": lambda: env.begin(dup, write=True),
    "begin second in time": lambda: env.begin(dup, write=True, timeout=5),
    "begin readonly": lambda: readonly.begin(write=True),
    "begin in closed": lambda: closed.begin(dup),
    "begin without a slot": lambda: few.begin(buffers=True),
    "class": lambda: pylmdb.Transaction(DEFAULT),
    "class name": lambda: pylmdb.Transaction(env, other=VALUE),
    "subclass": lambda: Txn(env, dup, timeout=-1),
    "subclass of cursor": lambda: Cur(few_dbs["dup"], env.begin()),
    "twice": lambda: env.__init__(path),
    "parent in use": lambda: writer.get(ARRAY, DEFAULT),
    "open other": lambda: pylmdb.open(path, writemap=True),
    "open nothing": lambda: pylmdb.open(path + "/none/none"),
    "open_db": lambda: env.open_db(b"missing", create=False),
    "open_db flags": lambda: env.open_db(b"dup", integerkey=True),
})
child.abort()
writer.abort()
held.clear()
"""


def test_lives(env_path, lib_version):
    """All ways in which a transaction or an environment can end."""
    run(MEASURE + LIVES, env_path, lib_version)
