# SPDX-License-Identifier: MIT
"""Threads: read transactions can be passed on, write transactions cannot, and nothing is damaged
or hangs.
"""

from programs import ROUNDS, run
from test_fork import METHODS

SETUP = """\
from concurrent.futures import ThreadPoolExecutor
sys.setswitchinterval(1e-5)
env = pylmdb.open(path, map_size=1 << 26, lib_version=lib_version, sync=False)
with env.begin(write=True) as txn:
    for i in range(200):
        txn.put(b"%03d" % i, b"%03d" % i * 5)
pool = ThreadPoolExecutor(1)
def elsewhere(function, *args, **kwargs):
    return pool.submit(function, *args, **kwargs).result(PATIENCE)
def lock_is_free():
    "Return True if this and another thread get the writer lock."
    env.begin(write=True, timeout=PATIENCE).abort()
    elsewhere(lambda: env.begin(write=True, timeout=PATIENCE).abort())
    return True
"""

SCAN = """\
import lmdb, sys
with lmdb.open(sys.argv[1], max_dbs=10, map_size=1 << 26, readonly=True) as env, env.begin() as txn:
    for key, value in txn.cursor():
        if key[:1] != b"x":  # a named database
            assert value == key * (len(value) // len(key)), (key, value)
    stat, rows = txn.stat(), sum(1 for _ in txn.cursor())
    assert stat["entries"] == rows, (stat, rows)
    last = None
    for key in txn.cursor().iternext(values=False):
        assert last is None or last < key
        last = key
"""


def scan(env_path):
    """Read the whole file with py-lmdb, in a process of its own."""
    run(SCAN, env_path, 0, prelude="")


def test_a_read_transaction_moves_between_threads(env_path, lib_version):
    run(
        SETUP
        + """
txn = elsewhere(env.begin, buffers=True)
cursor = elsewhere(txn.cursor)
assert txn.get(b"001") == b"001" * 5 and cursor.first()
assert elsewhere(lambda: [bytes(key) for key, _ in cursor]) == [b"%03d" % i for i in range(200)]
elsewhere(txn.abort)
dropped.free([])
assert not env.reader_list()
held = [elsewhere(env.begin) for _ in range(10)]
def drop():
    held.clear()
elsewhere(drop)
dropped.free([])
assert not env.reader_list()
""",
        env_path,
        lib_version,
    )


def test_a_write_transaction_raises_in_every_other_thread(env_path, lib_version):
    run(
        SETUP
        + METHODS
        + """
db = env.open_db(b"named")
txn = env.begin(write=True)
cur = txn.cursor()
assert cur.first()
iterator = cur.iternext()
for name, call in methods_of(txn, cur).items():
    if name == "abort":
        continue
    found = elsewhere(raised_by, call)
    assert found is pylmdb.WrongThreadError, (name, found)
assert elsewhere(raised_by, next, iterator) is pylmdb.WrongThreadError
assert elsewhere(raised_by, cur.range) is pylmdb.WrongThreadError
assert raised_by(txn.put, b"000", b"000") is None and cur.first() and next(iterator)
child = env.begin(write=True, parent=txn)
assert elsewhere(raised_by, child.put, b"a", b"a") is pylmdb.WrongThreadError
assert elsewhere(raised_by, child.commit) is pylmdb.WrongThreadError
child.commit()
def leave():
    with txn:
        pass
assert elsewhere(raised_by, leave) is pylmdb.WrongThreadError
assert lock_is_free()
""",
        env_path,
        lib_version,
    )


def test_a_second_writer_on_one_thread_raises_and_on_another_waits(env_path, lib_version):
    run(
        SETUP
        + """
again = pylmdb.open(path)
with env.begin(write=True) as txn:
    for wrong in (env, again):
        assert raised_by(wrong.begin, write=True) is pylmdb.BusyError
        assert raised_by(wrong.begin, write=True, timeout=5) is pylmdb.BusyError
    start = time.monotonic()
    assert elsewhere(raised_by, env.begin, write=True, timeout=0.2) is pylmdb.LockTimeoutError
    assert 0.19 <= time.monotonic() - start
    assert elsewhere(raised_by, env.begin, write=True, timeout=0) is pylmdb.LockTimeoutError
    db = env.open_db(b"mine")
    txn.put(b"k", b"k", db=db)
    waiting = pool.submit(env.begin, write=True)
    time.sleep(0.05)
    assert not waiting.done()
late = waiting.result(PATIENCE)
assert elsewhere(late.get, b"k", db=db) == b"k"
elsewhere(late.commit)
assert lock_is_free()
""",
        env_path,
        lib_version,
    )


def test_a_thread_that_writes_again_and_again_lets_others_write(env_path, lib_version):
    """It enters the gate right after it has left it; still the others enter in between."""
    run(
        """
env = pylmdb.open(path, lib_version=lib_version, map_size=1 << 20)
written = dict.fromkeys(range(3), 0)
together = threading.Barrier(3)
def write(number):
    together.wait()
    while max(written.values()) < 100:
        with env.begin(write=True) as txn:
            txn.put(b"%d" % number, b"v")
        written[number] += 1
threads = [threading.Thread(target=write, args=[number]) for number in written]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert min(written.values()) >= 10, written
""",
        env_path,
        lib_version,
    )


def test_own_copy_while_writing_does_not_wait_for_itself(env_path, lib_version):
    """A plain copy takes the writer lock for a moment."""
    run(
        SETUP
        + """
signal.alarm(10)
with env.begin(write=True) as txn:
    txn.put(b"new", b"new")
    for compact in (True, False):
        target = path + f"-copy{compact}"
        os.mkdir(target)
        assert raised_by(env.copy, target, compact=compact) in (None, pylmdb.BusyError)
assert lock_is_free()
""",
        env_path,
        lib_version,
    )


def test_a_waiting_copy_can_be_interrupted(env_path, lib_version):
    run(
        SETUP
        + """
class Stop(Exception): pass
def stop(*_):
    if os.path.exists(path + "-copy/data.mdb"):  # the copy has begun
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Stop
signal.signal(signal.SIGALRM, stop)
os.mkdir(path + "-copy")
with Rival(path, lib_version) as rival:
    assert rival.ask("hold") == "holds"
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    assert raised_by(env.copy, path + "-copy") is Stop
    assert rival.ask("drop") == "dropped"
assert lock_is_free()
""",
        env_path,
        lib_version,
    )


def test_abort_while_another_thread_is_refused(env_path, lib_version):
    """A refused operation marks the transaction as busy; an end meanwhile is not lost."""
    run(
        SETUP
        + f"ROUNDS = {400 * ROUNDS}\n"
        + """
sys.setswitchinterval(1e-6)
current, stop = [None], threading.Event()
def meddle():
    while not stop.is_set():
        txn = current[0]
        if txn is not None:
            raised_by(txn.get, b"000")
threads = [threading.Thread(target=meddle, daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
for round in range(ROUNDS):
    txn = env.begin(write=True, timeout=2)
    current[0] = txn
    txn.put(b"%03d" % (round % 200), b"%03d" % (round % 200))
    txn.abort()
stop.set()
for thread in threads:
    thread.join()
assert lock_is_free()
""",
        env_path,
        lib_version,
    )


def test_two_threads_in_one_transaction_and_cursor(env_path, lib_version):
    """They take turns or get an exception.  All reads are right, and the file is sound."""
    run(
        SETUP
        + f"ROUNDS = {300 * ROUNDS}\n"
        + """
import random
sys.setswitchinterval(1e-6)
reader = env.begin()
shared_cursor = reader.cursor()
write_txn = [env.begin(write=True)]
write_cursor = [write_txn[0].cursor()]
def read():
    rnd = random.Random()
    for _ in range(ROUNDS):
        key = b"%03d" % rnd.randrange(200)
        assert reader.get(key) == key * 5
        if shared_cursor.set_key(key):
            k, v = shared_cursor.item()
            assert v == b"" or v == k * 5, (k, v)
        shared_cursor.next()
        for k, v in reader.range(b"100", b"103"):
            assert v == k * 5
def meddle():
    for round in range(ROUNDS):
        for call in (
            lambda: write_txn[0].put(b"bad", b"bad!"), lambda: write_cursor[0].next(),
            lambda: write_txn[0].commit(), lambda: write_cursor[0].put(b"bad", b"bad!"),
            lambda: write_cursor[0].close() if round % 7 == 0 else None,
        ):
            found = raised_by(call)
            assert found in (None, pylmdb.WrongThreadError, pylmdb.ClosedError), found
def write():
    for round in range(ROUNDS):
        txn = write_txn[0]
        for i in range(3):
            key = b"%03d" % ((round * 7 + i) % 300)
            txn.put(key, key * (1 + round % 9))
        try:
            cursor = write_cursor[0]
            if cursor.set_range(b"050"):
                key = cursor.key()
                if key:
                    cursor.put(key, key * 2)
        except pylmdb.ClosedError:
            pass
        txn.commit() if round % 3 else txn.abort()
        txn = write_txn[0] = env.begin(write=True)
        write_cursor[0] = txn.cursor()
write_txn[0].abort()
def writer():
    write_txn[0] = env.begin(write=True)
    write_cursor[0] = write_txn[0].cursor()
    write()
    write_txn[0].abort()
in_threads(writer, read, read, meddle, meddle)
reader.abort()
assert lock_is_free()
with env.begin() as txn:
    assert txn.get(b"bad") is None
""",
        env_path,
        lib_version,
    )
    scan(env_path)


def test_close_during_everything(env_path, lib_version):
    """close() does not wait, and every call in another thread finishes or raises Error."""
    run(
        f"ROUNDS = {15 * ROUNDS}\n"
        + SETUP
        + """
env.close()
sys.setswitchinterval(1e-6)
def attempt(round, what):
    env = pylmdb.open(path, map_size=1 << 26, lib_version=lib_version, sync=False)
    ready = threading.Barrier(len(what) + 1)
    def loop(body):
        ready.wait()
        try:
            while True:
                body(env)
        except pylmdb.Error as error:
            if not isinstance(error, pylmdb.ClosedError):
                assert env.closed, error
    def close():
        ready.wait()
        time.sleep(0.003)
        env.close()
    in_threads(close, *[lambda body=body: loop(body) for body in what])
    assert env.closed
def reads(env):
    with env.begin() as txn:
        found = txn.get(b"005")
        assert found == b"005" * 5, found
        for key, value in txn.range(b"000", b"999"):
            assert value == key * 5, (key, value)
def writes(env):
    with env.begin(write=True) as txn:
        with env.begin(write=True, parent=txn) as child:
            cursor = child.cursor()
            cursor.put(b"005", b"005" * 5)
            cursor.close()
def views(env):
    with env.begin(buffers=True) as txn:
        view = txn.get(b"005")
    assert view == b"005" * 5
def looks(env):
    env.stat(), env.info(), env.max_key_size(), env.readers(), env.sync(), env.open_db(b"x")
    repr(env), env.reader_check(), env.flags(), env.max_readers(), env.dbs()
def resizes(env):
    try:
        env.set_mapsize(1 << 26)
    except pylmdb.Error as error:
        if env.closed:
            raise
def copies(env):
    with open(os.devnull, "wb") as file:
        env.copyfd(file.fileno(), compact=True)
        env.copyfd(file.fileno())
for round in range(ROUNDS):
    attempt(round, [reads, writes, writes, views, looks, copies])
for round in range(2):
    attempt(round, [looks, resizes, copies])
dropped.free([])
assert not descriptors(path) and not maps(path), (descriptors(path), maps(path))
""",
        env_path,
        lib_version,
    )
    scan(env_path)


def test_close_from_another_thread_while_the_owner_holds_the_writer_lock(env_path, lib_version):
    """The owner unlocks after the file was closed; that must not affect the locks it takes next."""
    run(
        SETUP
        + f"ROUNDS = {60 * ROUNDS}\n"
        + """
env.close()
def own(mask, rounds):
    if mask:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    for round in range(rounds):
        env = pylmdb.open(path, lib_version=lib_version, map_size=1 << 26, sync=False)
        txn = env.begin(write=True)
        txn.put(b"000", b"000")
        closer = threading.Thread(target=env.close)
        closer.start()
        if round % 2:
            sum(range(2000))
        closer.join()
        assert txn.closed and env.closed
        if mask:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        other = pylmdb.open(path + "-other", map_size=1 << 20, lib_version=lib_version)
        other.begin(write=True, timeout=5).abort()
        other.close()
in_threads(lambda: own(False, ROUNDS))
in_threads(lambda: own(True, 2))
pylmdb.open(path).begin(write=True, timeout=5).abort()
""",
        env_path,
        lib_version,
    )


def test_begin_that_waits_ends_when_the_environment_closes(env_path, lib_version):
    run(
        SETUP
        + """
again = pylmdb.open(path)
txn = again.begin(write=True)
waiting = pool.submit(raised_by, env.begin, write=True)
time.sleep(0.1)
assert not waiting.done()
env.close()
assert waiting.result(PATIENCE) is pylmdb.ClosedError
txn.put(b"k", b"k")
txn.commit()
env = pylmdb.open(path)
with Rival(path, lib_version) as rival:
    assert rival.ask("hold") == "holds"
    waiting = pool.submit(raised_by, env.begin, write=True)
    time.sleep(0.1)
    env.close()
    assert waiting.result(PATIENCE) is pylmdb.ClosedError
again.close()
assert not descriptors(path)
""",
        env_path,
        lib_version,
    )


def test_a_thread_that_ends_with_its_transaction_open(env_path, lib_version):
    """The lock is released, and a new thread with the same ident does not own it."""
    run(
        SETUP
        + f"ROUNDS = {10 * ROUNDS}\n"
        + """
with Rival(path, lib_version) as rival:
    for round in range(ROUNDS):
        kept = []
        def forget():
            kept.append(env.begin(write=True))
            kept.append(threading.get_ident())
            kept.append(kept[0].cursor())
            kept[0].put(b"lost", b"lost")
        thread = threading.Thread(target=forget)
        thread.start()
        thread.join()
        def same_ident():
            if threading.get_ident() == kept[1]:
                assert raised_by(kept[0].put, b"k", b"k") in (
                    pylmdb.ClosedError, pylmdb.WrongThreadError)
        in_threads(same_ident)
        assert rival.can_write()
        assert lock_is_free()
        assert raised_by(kept[0].put, b"k", b"k") is pylmdb.ClosedError
        assert raised_by(kept[0].commit) is pylmdb.ClosedError
with env.begin() as txn:
    assert txn.get(b"lost") is None
""",
        env_path,
        lib_version,
    )


def test_a_suspended_generator_is_dropped_in_another_thread(env_path, lib_version):
    run(
        SETUP
        + f"ROUNDS = {20 * ROUNDS}\n"
        + """
def records():
    with env.begin(write=True) as txn:
        txn.put(b"gen", b"gen")
        yield from txn.cursor()
def start():
    generator = records()
    next(generator)
    return generator
with Rival(path, lib_version) as rival:
    for round in range(ROUNDS):
        generator = elsewhere(start)
        if round % 2:
            loop = [generator]
            loop.append(loop)
            del loop
        del generator
        gc.collect()
        assert lock_is_free()
        if round % 5 == 0:
            assert rival.can_write()
    with ThreadPoolExecutor(4) as many:
        held = list(many.map(lambda _: env.begin(), range(20)))
        del held
        for _ in range(ROUNDS):
            dropped.free([many.submit(start).result()])
            assert lock_is_free()
assert not env.reader_list()
""",
        env_path,
        lib_version,
    )


def test_asyncio_tasks_that_are_cancelled(env_path, lib_version):
    run(
        SETUP
        + """
import asyncio
def slow(i):
    with env.begin(write=True, timeout=5) as txn:
        time.sleep(0.01)
        txn.put(b"%03d" % i, b"%03d" % i)
async def task(i):
    await asyncio.to_thread(slow, i)
async def in_task(i):
    with env.begin(write=True, timeout=5) as txn:
        txn.put(b"async", b"async")
        await asyncio.sleep(1)
async def main():
    tasks = [asyncio.create_task(task(i)) for i in range(10)]
    await asyncio.sleep(0.03)
    for each in tasks[::2]:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    one = asyncio.create_task(in_task(0))
    await asyncio.sleep(0.1)
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    with env.begin(write=True, timeout=3) as txn:
        txn.put(b"after", b"after")
    two = asyncio.create_task(in_task(0))
    await asyncio.sleep(0.01)
    return two
asyncio.run(main())
assert lock_is_free()
with env.begin() as txn:
    assert txn.get(b"async") is None and txn.get(b"after") == b"after"
""",
        env_path,
        lib_version,
    )


def test_map_size_and_copy_among_readers_and_writers(env_path, lib_version):
    run(
        SETUP
        + f"SECONDS = {0.6 * ROUNDS}\n"
        + """
until = time.monotonic() + SECONDS
def going():
    return time.monotonic() < until
def read():
    while going():
        try:
            with env.begin() as txn:
                for key, value in txn.cursor():
                    assert value == key * 5, (key, value)
        except pylmdb.ClosedError:
            pass  # set_mapsize ends read transactions
def write():
    i = 0
    while going():
        i += 1
        try:
            with env.begin(write=True) as txn:
                txn.put(b"%05d" % (i % 5000), b"%05d" % (i % 5000) * 5)
        except pylmdb.MapFullError:  # readers keep old pages, and the map is not larger yet
            time.sleep(0.01)
def resize():
    size = 1 << 26
    while going():
        size += 1 << 20
        try:
            env.set_mapsize(size)
        except pylmdb.Error as error:
            assert "open" in str(error), error
        time.sleep(0.005)
def copy():
    i = 0
    while going():
        i += 1
        target = f"{path}-copy{i}"
        os.mkdir(target)
        env.copy(target, compact=bool(i % 2))
        with pylmdb.open(target) as copied, copied.begin() as txn:
            for key, value in txn.cursor():
                assert value == key * 5
in_threads(read, read, write, write, resize, copy)
assert lock_is_free() and not env.reader_list()
""",
        env_path,
        lib_version,
    )
    scan(env_path)
