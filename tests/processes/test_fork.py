# SPDX-License-Identifier: MIT
"""Fork: the child gets its own environment, and the parent is not disturbed."""

import ctypes
import subprocess
import sys

import pytest
from programs import PATIENCE, PRELUDE, ROUNDS, run

SETUP = """\
env = pylmdb.open(path, lib_version=lib_version, max_spare_txns=1)
with env.begin(write=True) as txn:
    for i in range(100):
        txn.put(b"%03d" % i, b"old")
db = env.open_db(b"named")
"""

METHODS = """\
def methods_of(txn, cur):
    db_none = None
    return {
        "get": lambda: txn.get(b"000"),
        "get_many": lambda: txn.get_many([b"000"]),
        "put": lambda: txn.put(b"000", b"x"),
        "delete": lambda: txn.delete(b"000"),
        "pop": lambda: txn.pop(b"000"),
        "replace": lambda: txn.replace(b"000", b"x"),
        "cursor": lambda: txn.cursor(),
        "stat": lambda: txn.stat(),
        "id": lambda: txn.id(),
        "drop": lambda: txn.drop(db),
        "range": lambda: list(txn.range()),
        "count": lambda: txn.count(b"000"),
        "delete_range": lambda: txn.delete_range(b"000"),
        "commit": lambda: txn.commit(),
        "abort": lambda: txn.abort(),
        "nest": lambda: env.begin(parent=txn, write=True),
        "dbs": lambda: env.dbs(txn),
        "open_db": lambda: env.open_db(b"named2", txn=txn),
        "copy": lambda: env.copyfd(1, compact=True, txn=txn),
        **{"cursor." + name: getattr(cur, name) for name in (
            "first last next prev next_dup prev_dup next_nodup prev_nodup first_dup last_dup"
            " key value item count delete iternext iterprev iternext_dup iterprev_dup"
            " iternext_nodup iterprev_nodup").split()},
        "cursor.iter": lambda: next(iter(cur)),
        "cursor.set_key": lambda: cur.set_key(b"000"),
        "cursor.set_range": lambda: cur.set_range(b"000"),
        "cursor.set_key_dup": lambda: cur.set_key_dup(b"000", b"x"),
        "cursor.set_range_dup": lambda: cur.set_range_dup(b"000", b"x"),
        "cursor.get": lambda: cur.get(b"000"),
        "cursor.put": lambda: cur.put(b"000", b"x"),
        "cursor.putmulti": lambda: cur.putmulti([(b"000", b"x")]),
        "cursor.getmulti": lambda: cur.getmulti([b"000"]),
        "cursor.pop": lambda: cur.pop(b"000"),
        "cursor.replace": lambda: cur.replace(b"000", b"x"),
        "cursor.range": lambda: list(cur.range()),
    }
"""


def test_inherited_write_transactions_and_their_cursors_raise_on_every_method(
    env_path, lib_version
):
    """Read transactions, which a child can use, are in test_fork_reads.py."""
    run(
        SETUP
        + METHODS
        + """
def check(txn, cur, iterator):
    env.stat()  # opens afresh; what was inherited stays dead
    assert txn.closed, "closed"
    assert cur.closed, "cursor.closed"
    repr(txn), repr(cur), txn.write
    for name, call in methods_of(txn, cur).items():
        found = raised_by(call)
        assert found is pylmdb.ForkedError, (name, txn.write, found)
    assert raised_by(next, iterator) is pylmdb.ForkedError
    cur.close()
reader, writer = env.begin(), env.begin(write=True)
cursor = writer.cursor()
assert in_child(check, writer, cursor, cursor.iternext()) == 0
if lib_version:
    inner = env.begin(parent=writer)
    cursor = inner.cursor()
    assert in_child(check, inner, cursor, cursor.iternext()) == 0
    inner.abort()
assert writer.put(b"000", b"new") and reader.get(b"000") == b"old"
writer.commit()
""",
        env_path,
        lib_version,
    )


def test_an_inherited_environment_opens_itself_afresh(env_path, lib_version):
    run(
        SETUP
        + """
reader = env.begin()
def child():
    handle = db
    with env.begin() as txn:
        assert txn.get(b"000") == b"old"
        assert txn.get(b"x", db=handle) is None
        pids = [row.pid for row in env.reader_list()]
        assert os.getpid() in pids and os.getppid() in pids, pids
    with env.begin(write=True) as txn:
        txn.put(b"child", b"was here")
        txn.put(b"in", b"named", db=handle)
    again = pylmdb.open(path)
    with again.begin(write=True) as txn:
        assert txn.get(b"child") == b"was here"
    again.close()
    assert env.stat().entries == 102
assert in_child(child) == 0
with env.begin() as txn:
    assert txn.get(b"child") == b"was here" and txn.get(b"in", db=db) == b"named"
assert reader.get(b"child") is None
""",
        env_path,
        lib_version,
    )


ACTIONS = """\
def use():
    with env.begin() as txn:
        assert txn.get(b"000") == b"old"
def read_on():
    assert reader.get(b"000") == b"old" and cursor.next() and reader.get(b"001") == b"old"
def close():
    env.close()
def collect():
    global env, reader, writer, cursor, view, nested
    env = reader = writer = cursor = view = nested = None
    gc.collect()
def reopen_and_close():
    pylmdb.open(path).close()
    env.close()
    pylmdb.open(path).close()
def check_readers():
    env.reader_check()
    env.readers()
def fail_to_write():
    assert raised_by(env.begin, write=True, timeout=0.1) is pylmdb.LockTimeoutError
def leave_with():
    try:
        with writer:
            writer.put(b"000", b"x")
    except pylmdb.ForkedError:
        pass
def grandchild():
    assert in_child(use) == 0
    use()
    assert in_child(collect) == 0
def exit_inside():
    try:
        sys.exit(3)  # as inside `with` blocks that the parent has entered
    except SystemExit:
        for txn in (nested, writer, reader):
            txn.__exit__(*sys.exc_info())
        raise
def execute():
    os.execv(sys.executable, [sys.executable, "-c", "import os"])
def crash():
    os.kill(os.getpid(), signal.SIGKILL)
def leave_at_once():
    os._exit(0)
"""


def test_nothing_that_a_child_does_disturbs_the_parent(env_path, lib_version):
    """A third process checks the parent's writer lock, snapshot and reader slots."""
    run(
        SETUP
        + ACTIONS
        + """
def run_child(action):
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            action()
        except SystemExit:
            raise
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(70)
        sys.exit(0)  # the interpreter's whole end
    return wait_for(pid)
expected = {"exit_inside": 3, "crash": -signal.SIGKILL}
rival = Rival(path, lib_version)
for action in (use, read_on, close, collect, reopen_and_close, check_readers, fail_to_write,
               leave_with, grandchild, exit_inside, execute, crash, leave_at_once):
    reader = env.begin(buffers=True)
    view = reader.get(b"001")
    cursor = reader.cursor()
    assert cursor.first()
    writer = env.begin(write=True)
    nested = env.begin(write=True, parent=writer)
    nested.put(b"mine", action.__name__.encode())
    before = sorted(rival.reader_pids())
    assert os.getpid() in before
    name, status = action.__name__, run_child(action)
    assert status == expected.get(name, 0), (name, status)
    assert not rival.can_write(0.05), name
    rival.ask("check")
    assert sorted(pid for pid in rival.reader_pids() if pid == os.getpid()) == [
        pid for pid in before if pid == os.getpid()], name
    assert reader.get(b"000") == b"old" and cursor.next() and view == b"old", name
    nested.commit()
    writer.commit()
    assert rival.can_write(), name
    assert view == b"old" and reader.get(b"mine") != name.encode(), name
    reader.abort()
    with env.begin() as txn:
        assert txn.get(b"mine") == name.encode(), name
rival.process.stdin.close()
""",
        env_path,
        lib_version,
    )


def test_fork_while_other_threads_hold_every_kind_of_lock(env_path, lib_version):
    """A thread of the parent is inside a call, a transaction or a wait; the child has no such
    thread, waits for none of its locks, and can use the environment."""
    run(
        SETUP
        + f"ROUNDS = {12 * ROUNDS}\n"
        + """
stop = threading.Event()
def read():
    while not stop.is_set():
        with env.begin() as txn:
            list(txn.cursor())
def write():
    while not stop.is_set():
        try:
            with env.begin(write=True, timeout=5) as txn:
                txn.put(b"w", b"x" * 100)
        except pylmdb.LockTimeoutError:
            pass
def share():
    while not stop.is_set():
        pylmdb.open(path).close()
def look():
    while not stop.is_set():
        env.readers(), env.info(), env.open_db(b"named")
threads = [threading.Thread(target=f, daemon=True) for f in (read, write, write, share, look)]
for thread in threads:
    thread.start()
def child():
    with env.begin() as txn:
        assert txn.get(b"000") == b"old"
    with env.begin(write=True, timeout=5) as txn:
        txn.put(b"from", b"child")
    env.close()
    gc.collect()
for round in range(ROUNDS):
    status = in_child(child)
    assert status == 0, (round, status)
stop.set()
for thread in threads:
    thread.join(10)
    assert not thread.is_alive()
with Rival(path, lib_version) as rival:
    assert rival.can_write()
""",
        env_path,
        lib_version,
    )


def test_fork_while_another_thread_opens_and_closes_the_file(env_path, lib_version):
    run(
        f"ROUNDS = {30 * ROUNDS}\n"
        """
pylmdb.open(path, lib_version=lib_version).close()
stop = threading.Event()
def churn():
    while not stop.is_set():
        pylmdb.open(path).close()
thread = threading.Thread(target=churn, daemon=True)
thread.start()
def child():
    with pylmdb.open(path) as env, env.begin(write=True, timeout=5) as txn:
        txn.put(b"k", b"v")
for round in range(ROUNDS):
    status = in_child(child)
    assert status == 0, (round, status)
stop.set()
thread.join()
""",
        env_path,
        lib_version,
    )


def test_threads_of_a_child_open_one_environment(env_path, lib_version):
    """Many threads use the inherited environment at once; closing it frees everything."""
    run(
        SETUP
        + f"ROUNDS = {10 * ROUNDS}\n"
        + """
def child():
    sys.setswitchinterval(1e-6)
    def touch():
        with env.begin() as txn:
            assert txn.get(b"000") == b"old"
    in_threads(*[touch] * 6)
    env.close()
    assert not descriptors(path), descriptors(path)
for round in range(ROUNDS):
    status = in_child(child)
    assert status == 0, (round, status)
""",
        env_path,
        lib_version,
    )


def test_a_fork_hook_that_came_first_sees_a_fresh_environment(env_path, lib_version):
    """Hooks run in the order of registration, so one from before the import runs first."""
    hook = (
        "import os\nseen = []\nenv = reader = None\ndef hook():\n    if env is not None:\n"
        "        with env.begin() as txn:\n            seen.append(txn.get(b'000'))\n"
        "        seen.append(reader.get(b'000'))\n"
        "        seen.extend(row.pid for row in env.reader_list())\n"
        "os.register_at_fork(after_in_child=hook)\n"
    )
    run(
        SETUP
        + """
reader = env.begin()
def child():
    assert seen[:2] == [b"old", b"old"], seen
    with env.begin() as txn:
        assert os.getpid() in [row.pid for row in env.reader_list()]
assert in_child(child) == 0
assert reader.get(b"000") == b"old"
""",
        env_path,
        lib_version,
        prelude=hook + PRELUDE,
    )


@pytest.mark.skipif(not hasattr(ctypes, "PyDLL"), reason="PyPy cannot fork and keep its GIL")
def test_a_fork_that_python_did_not_make(env_path, lib_version):
    """C code that forks runs no Python hook."""
    run(
        SETUP
        + """
import ctypes
libc = ctypes.PyDLL(None)
reader, writer = env.begin(), env.begin(write=True)
writer.put(b"000", b"parent")
pid = libc.fork()
if not pid:
    status = 70
    try:
        assert raised_by(writer.put, b"000", b"child") is pylmdb.ForkedError
        assert raised_by(writer.commit) is pylmdb.ForkedError
        assert reader.get(b"000") == b"old"
        with env.begin() as txn:
            assert txn.get(b"000") == b"old"
            assert os.getpid() in [row.pid for row in env.reader_list()]
        env.close()
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)
assert wait_for(pid) == 0
with Rival(path, lib_version) as rival:
    assert not rival.can_write(0.05)
    writer.commit()
    assert rival.can_write()
with env.begin() as txn:
    assert txn.get(b"000") == b"parent"
""",
        env_path,
        lib_version,
    )


POOLS = """\
import multiprocessing, os, sys
import pylmdb
env = None
def work(i):
    with env.begin() as txn:
        value = txn.get(b"%03d" % (i % 100))
    with env.begin(write=True) as txn:
        txn.put(b"done%03d" % i, b"x")
    return value
def give(given):
    global env
    env = given
if __name__ == "__main__":
    path, lib_version, method = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    env = pylmdb.open(path, lib_version=lib_version)
    with env.begin(write=True) as txn:
        for i in range(100):
            txn.put(b"%03d" % i, b"%d" % i)
    context = multiprocessing.get_context(method)
    with context.Pool(3, give, (env,)) as pool:
        assert pool.map(work, range(120)) == [b"%d" % (i % 100) for i in range(120)]
        pool.close()
        pool.join()
    with env.begin() as txn:
        assert sum(1 for _ in txn.range(prefix=b"done")) == 120
"""


# A process that is started afresh opens the file by itself, so the format does not matter.
@pytest.mark.parametrize(
    ("method", "lib_version"), [("fork", 0), ("fork", 1), ("forkserver", 0), ("spawn", 1)]
)
def test_process_pools(tmp_path, env_path, core, method, lib_version):
    program = tmp_path / "pools.py"
    program.write_text(POOLS)
    done = subprocess.run(
        [sys.executable, str(program), env_path, str(lib_version), method],
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_view_of_the_parent_lives_on_in_both(env_path, lib_version):
    run(
        SETUP.replace(", max_spare_txns=1", "")
        + """
txn = env.begin(buffers=True)
view = txn.get(b"000")
txn.abort()
def child():
    assert view == b"old"
    with env.begin(write=True) as txn:
        txn.put(b"000", b"new")
    env.close()
    assert view == b"old"
for _ in range(5):
    assert in_child(child) == 0
    assert view == b"old"
    with env.begin(write=True) as txn:
        for i in range(100):
            txn.put(b"%03d" % i, b"xyz")
    assert view == b"old"
with Rival(path, lib_version) as rival:
    rival.ask("check")
    assert rival.reader_pids().count(os.getpid()) == 1
    del view
    dropped.free([])
    assert os.getpid() not in rival.reader_pids()
""",
        env_path,
        lib_version,
    )
