# SPDX-License-Identifier: MIT
"""Read transactions, cursors and iterators begun before fork() go on in the child with the same
snapshot, and those of the parent are not disturbed.
"""

import pytest
from programs import run

SETUP = """\
env = pylmdb.open(path, lib_version=lib_version, sync=False)
db = env.open_db(b"named")
dups = env.open_db(b"dups", dupsort=True)
def fill(value):
    with env.begin(write=True) as txn:
        for i in range(500):
            txn.put(b"%03d" % i, value)
            txn.put(b"n%03d" % i, value, db=db)
        for i in range(3):
            for j in range((1, 2, 3000)[i]):
                txn.put(b"%d" % i, b"%05d" % j, db=dups)
def churn():
    for i in range(6):
        fill(b"churn%d" % i * 10)
        with env.begin(write=True) as txn:
            txn.drop(dups, delete=False)
fill(b"old")
reader = env.begin()
"""


def test_every_read_works_in_the_child(env_path, lib_version):
    run(
        SETUP
        + """
views, in_named = env.begin(buffers=True), env.begin(db=db)
cursor, named_cursor = reader.cursor(), in_named.cursor()
closed = reader.cursor()
closed.close()
assert cursor.set_key(b"003") and named_cursor.first()
churn()
def child():
    assert not reader.closed and not cursor.closed and closed.closed
    assert cursor.key() == b"003" and cursor.next() and cursor.item() == (b"004", b"old")
    assert raised_by(closed.key) is pylmdb.ClosedError
    assert named_cursor.item() == (b"n000", b"old") and named_cursor.db.name == b"named"
    assert in_named.get(b"n007") == b"old" and in_named.get(b"007") is None
    assert reader.get(b"000") == b"old" and reader.get(b"n000", db=db) == b"old"
    assert bytes(reader.view(b"000")) == b"old" == bytes(views.get(b"001"))
    assert reader.get_many([b"000", b"x"]) == [b"old", None]
    assert reader.stat().entries == 502 and reader.stat(dups).entries == 3003
    assert len(list(reader.range(b"100", b"200"))) == 100
    assert env.dbs(reader) == [b"dups", b"named"]
    assert env.open_db(b"named", txn=reader).name == b"named"
    assert reader.cursor(dups).set_range_dup(b"2", b"02000")
    assert raised_by(reader.put, b"000", b"x") is pylmdb.ReadonlyError
    pids = [(row.pid, row.txnid) for row in env.reader_list()]
    assert (os.getpid(), reader.id()) in pids and (os.getppid(), reader.id()) in pids, pids
    view = views.get(b"002")
    for txn in (reader, in_named, views):
        txn.abort()
        assert txn.closed and raised_by(txn.get, b"000") is pylmdb.ClosedError
    churn()
    assert view == b"old"
    del view
    gc.collect()
    assert os.getpid() not in [row.pid for row in env.reader_list()]
    env.close()
assert in_child(child) == 0
assert reader.get(b"000") == b"old" and cursor.item() == (b"003", b"old")
assert (os.getpid(), reader.id()) in [(row.pid, row.txnid) for row in env.reader_list()]
""",
        env_path,
        lib_version,
    )


POSITIONS = (
    SETUP
    + """
import itertools
def cursors_of(txn):
    main, with_dups = (lambda: txn.cursor()), (lambda: txn.cursor(dups))
    made = []
    def add(cursor, *moves):
        for name, *args in moves:
            getattr(cursor, name)(*args)
        made.append(cursor)
    add(main())
    add(main(), ("first",))
    add(main(), ("set_key", b"250"))
    add(main(), ("set_range", b"2505"))
    add(main(), ("set_key", b"nothing"))
    add(main(), ("last",), ("next",))
    add(main(), ("first",), ("prev",))
    add(main(), ("get", b"499"), ("key",))
    for key in (b"0", b"1", b"2"):
        add(with_dups(), ("set_key", key))
        add(with_dups(), ("set_key", key), ("last_dup",))
        add(with_dups(), ("set_key", key), ("last_dup",), ("next_dup",))
        add(with_dups(), ("set_key", key), ("next_dup",), ("prev_dup",))
    add(with_dups(), ("set_key_dup", b"2", b"01500"))
    add(with_dups(), ("set_range_dup", b"2", b"01500x"), ("next",))
    add(with_dups(), ("set_range_dup", b"2", b"99999"))
    add(with_dups(), ("last",), ("next",))
    return made
def iterators_of(txn):
    made = []
    for name in ("iternext", "iterprev", "iternext_nodup", "iterprev_nodup"):
        for steps in (0, 1, 3):
            for cursor in (txn.cursor(), txn.cursor(dups)):
                made.append(getattr(cursor, name)())
                list(itertools.islice(made[-1], steps))
    for name in ("iternext_dup", "iterprev_dup"):
        cursor = txn.cursor(dups)
        cursor.set_key_dup(b"2", b"01500")
        made.append(getattr(cursor, name)())
        next(made[-1])
    return made
def outcome(function):
    try:
        return function()
    except pylmdb.Error as error:
        return type(error)
def go_on(cursors, iterators):
    seen = []
    for cursor, move in zip(cursors, itertools.cycle(moves)):
        seen.append((cursor.item(), outcome(cursor.count)))
        for name in move:
            seen.append((name, outcome(getattr(cursor, name)), cursor.item()))
    return seen, [list(iterator) for iterator in iterators]
all_moves = "next prev next_dup prev_dup next_nodup prev_nodup first_dup last_dup".split()
for first in all_moves:
    moves = [[first, "next"], [first, "prev", "prev"]]
    with env.begin() as txn:
        expected = go_on(cursors_of(txn), iterators_of(txn))
        cursors, iterators = cursors_of(txn), iterators_of(txn)
        COMMITS
        def child():
            found = go_on(cursors, iterators)
            for a, b in zip(found[0], expected[0]):
                assert a == b, (first, a, b)
            assert found == expected
        assert in_child(child) == 0, first
        assert go_on(cursors, iterators) == expected
    fill(b"old")
"""
)


@pytest.mark.parametrize("commits", ["pass", "churn()"])
def test_cursors_and_iterators_go_on_where_they_were(env_path, lib_version, commits):
    """The parent continues from the same positions; its records are the right ones."""
    run(POSITIONS.replace("COMMITS", commits), env_path, lib_version)


STORIES = {
    "the child keeps the snapshot when the parent lets it go": """
go, used = os.pipe(), os.pipe()
cursor = reader.cursor()
cursor.first()
churn()
def child():
    assert reader.get(b"000") == b"old"
    os.write(used[1], b"x")
    os.read(go[0], 1)
    assert cursor.item() == (b"000", b"old")
    assert [v for k, v in cursor if k.isdigit()] == [b"old"] * 500
pid = start_child(child)
os.read(used[0], 1)
reader.abort()
churn()
os.write(go[1], b"x")
assert wait_for(pid) == 0
""",
    "the parent has let it go before": """
go = os.pipe()
cursor = reader.cursor()
cursor.first()
iterator = cursor.iternext()
def child():
    os.read(go[0], 1)
    for _ in range(2):
        for use in (lambda: reader.get(b"000"), cursor.item, cursor.next, lambda: next(iterator)):
            assert raised_by(use) is pylmdb.ForkedError, raised_by(use)
    assert os.getpid() not in [row.pid for row in env.reader_list()]
    with env.begin() as txn:
        assert txn.get(b"000") != b"old"
    reader.abort()
    assert raised_by(reader.get, b"000") is pylmdb.ClosedError
pid = start_child(child)
reader.abort()
churn()
os.write(go[1], b"x")
assert wait_for(pid) == 0
""",
    "grandchildren": """
cursor = reader.cursor()
cursor.set_key(b"400")
churn()
def grandchild():
    assert reader.get(b"000") == b"old" and cursor.item() == (b"400", b"old")
def child():
    assert in_child(grandchild) == 0
    churn()
    grandchild()
    cursor.next()
    assert in_child(lambda: [churn(), cursor.prev(), grandchild()]) == 0
    assert cursor.item() == (b"401", b"old")
assert in_child(child) == 0
grandchild()
""",
    "another process is writing": """
with Rival(path, lib_version) as rival:
    churn()
    assert rival.ask("hold") == "holds"
    def child():
        assert raised_by(reader.get, b"000") is pylmdb.ForkedError
        rival.ask("drop")
        assert reader.get(b"000") == b"old"
    assert in_child(child) == 0
""",
    "the child itself is writing": """
churn()
def child():
    with env.begin(write=True) as txn:
        txn.put(b"mine", b"x")
        assert reader.get(b"000") == b"old" and reader.get(b"mine") is None
assert in_child(child) == 0
""",
    "with blocks that the parent has entered": """
churn()
def child():
    with reader:
        pass
    assert reader.closed
    assert raised_by(reader.commit) is pylmdb.ClosedError
def other():
    reader.commit()
    assert reader.closed
def third():
    reader.abort()
    reader.abort()
    assert raised_by(reader.get, b"000") is pylmdb.ClosedError
for each in (child, other, third):
    assert in_child(each) == 0
assert reader.get(b"000") == b"old"
""",
    "the environment is closed in the child": """
cursor = reader.cursor()
def child():
    env.close()
    assert raised_by(reader.get, b"000") is pylmdb.ClosedError
    assert raised_by(cursor.first) is pylmdb.ClosedError
def other():
    assert reader.get(b"000") == b"old"
    env.close()
    assert reader.closed and cursor.closed
assert in_child(child) == 0
assert in_child(other) == 0
""",
    "the data file is replaced": """
other = pylmdb.open(path + ".other", lib_version=lib_version)
other.close()
def child():
    os.replace(path + ".other/data.mdb", path + "/data.mdb")
    os.unlink(path + "/lock.mdb")
    assert raised_by(reader.get, b"000") is pylmdb.ForkedError
assert in_child(child) == 0
assert reader.get(b"000") == b"old"
""",
    "a database is dropped": """
cursor = reader.cursor(db)
cursor.first()
with env.begin(write=True) as txn:
    txn.drop(db)
def child():
    assert reader.get(b"000") == b"old"
    assert cursor.closed and raised_by(cursor.item) is pylmdb.ClosedError
assert in_child(child) == 0
""",
    "another thread is in the middle of an operation": """
inside, leave = threading.Event(), threading.Event()
def keys():
    yield b"000"
    inside.set()
    leave.wait(10)
    yield b"001"
def read():
    assert reader.get_many(keys()) == [b"old", b"old"]
thread = threading.Thread(target=read)
thread.start()
inside.wait(10)
churn()
def child():
    assert reader.get(b"000") == b"old"
    reader.abort()
assert in_child(child) == 0
leave.set()
thread.join()
""",
    "fork in the middle of an operation": """
def keys():
    yield b"000"
    global pid
    pid = os.fork()
    yield b"001"
pid = None
try:
    found = reader.get_many(keys())
except pylmdb.Error as error:
    found = error
if not pid:
    try:
        assert isinstance(found, pylmdb.Error) or found == [b"old", b"old"]
        assert reader.get(b"000") == b"old"
        os._exit(0)
    finally:
        os._exit(1)
assert found == [b"old", b"old"] and wait_for(pid) == 0
""",
    "an interrupt at any point of the first use, and then another fork": """
import strikes
churn()
def grandchild():
    assert reader.get(b"000") == b"old"
    pids = [row.pid for row in env.reader_list() if row.txnid == reader.id()]
    assert pids.count(os.getpid()) == 1, pids
def child(number):
    env.begin().abort()  # the environment is opened before
    struck = [*strikes.each(lambda: reader.get(b"000"), [number])]
    assert in_child(grandchild) == 0 and reader.get(b"000") == b"old", struck
    os._exit(0 if struck else LAST)
LAST, number = 77, 1
while (status := in_child(child, number)) == 0:
    number += 1
assert status == LAST and number > 20, (status, number)
""",
    "many threads of the child begin at once": """
sys.setswitchinterval(1e-6)
cursor = reader.cursor()
cursor.set_key(b"250")
churn()
def child():
    def use():
        for _ in range(20):
            assert reader.get(b"000") == b"old" and cursor.item() == (b"250", b"old")
    in_threads(*[use] * 6)
    assert [row.pid for row in env.reader_list()].count(os.getpid()) == 1
for _ in range(10):
    assert in_child(child) == 0
""",
}


@pytest.mark.parametrize("story", STORIES)
def test_stories(story, env_path, lib_version):
    run(SETUP + STORIES[story], env_path, lib_version)


def test_without_a_lock_file_the_snapshot_must_be_the_last(env_path, lib_version):
    run(
        SETUP
        + """
reader.abort()
env.close()
env = pylmdb.open(path, lock=False)
db, dups = env.open_db(b"named"), env.open_db(b"dups", dupsort=True)
txn = env.begin()
cursor = txn.cursor()
cursor.set_key(b"250")
def child():
    assert txn.get(b"000") == b"old" and cursor.next() and cursor.key() == b"251"
def refused():
    try:
        txn.get(b"000")
    except pylmdb.ForkedError as error:
        assert "lock=False" in str(error), error
    else:
        raise AssertionError("no slot keeps the snapshot")
    assert raised_by(cursor.next) is pylmdb.ForkedError
assert in_child(child) == 0
fill(b"new")
assert in_child(refused) == 0
assert txn.get(b"000") == b"old"
""",
        env_path,
        lib_version,
    )


def test_a_child_that_never_reads_leaves_the_reader_table_alone(env_path, lib_version):
    run(
        SETUP
        + """
cursor = reader.cursor()
cursor.first()
with Rival(path, lib_version) as rival:
    before = rival.reader_pids()
    go, gone = os.pipe(), os.pipe()
    def child():
        assert not reader.closed and not cursor.closed
        repr(reader), reader.write, cursor.close(), reader.abort()
        os.write(gone[1], b"x")
        os.read(go[0], 1)
    pid = start_child(child)
    os.read(gone[0], 1)
    assert rival.reader_pids() == before
    os.write(go[1], b"x")
    assert wait_for(pid) == 0
    rival.ask("check")
    assert rival.reader_pids() == before
assert cursor.item() == (b"000", b"old")
""",
        env_path,
        lib_version,
    )
