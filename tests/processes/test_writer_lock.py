# SPDX-License-Identifier: MIT
"""The writer lock: waits end on signals and timeouts, and the end of a process releases it."""

import pytest
from programs import ROUNDS, run

SETUP = """\
env = pylmdb.open(path, map_size=1 << 24, lib_version=lib_version, sync=False)
class Stop(Exception): pass
def stop(*_): raise Stop
def waits(*signals_after, timeout=None):
    "Seconds that begin() waits, and what it raises."
    start = time.monotonic()
    found = None
    try:
        env.begin(write=True, timeout=timeout).abort()
    except BaseException as error:
        found = type(error)
    return time.monotonic() - start, found
def lock_is_free(seconds=PATIENCE):
    env.begin(write=True, timeout=seconds).abort()
    in_threads(lambda: env.begin(write=True, timeout=seconds).abort())
    return True
def hold_in_thread():
    "A function that ends the transaction which another thread now has open."
    ready, done = threading.Event(), threading.Event()
    def own():
        with env.begin(write=True):
            ready.set()
            done.wait()
    thread = threading.Thread(target=own, daemon=True)
    thread.start()
    ready.wait()
    def end():
        done.set()
        thread.join()
    return end
"""


@pytest.mark.parametrize("holder", ["thread", "process"])
def test_a_wait_ends_on_signals(env_path, lib_version, holder):
    """Ctrl-C works, if a thread or another process has the lock."""
    run(
        SETUP
        + f"HOLDER = {holder!r}\n"
        + """
with Rival(path, lib_version) as rival:
    end = hold_in_thread() if HOLDER == "thread" else lambda: rival.ask("drop")
    HOLDER == "process" and rival.ask("hold")
    for timeout in (None, 20):
        killer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        killer.start()
        seconds, found = waits(timeout=timeout)
        assert found is KeyboardInterrupt, (seconds, found)
        killer.join()
    signal.signal(signal.SIGALRM, lambda *_: None)  # a handler that does not raise
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    seconds, found = waits(timeout=0.3)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert found is pylmdb.LockTimeoutError and 0.29 < seconds, (seconds, found)
    end()
    assert rival.can_write() and lock_is_free()
""",
        env_path,
        lib_version,
    )


def test_timeouts_are_kept(env_path, lib_version):
    run(
        SETUP
        + """
with Rival(path, lib_version) as rival:
    for end in (hold_in_thread(), lambda: rival.ask("drop")):
        for timeout in (0, 0.01, 0.12, 0.3):
            seconds, found = waits(timeout=timeout)
            assert found is pylmdb.LockTimeoutError, found
            assert timeout - 0.002 <= seconds, (timeout, seconds)
        end()
        if env is not None:
            assert waits(timeout=0)[1] is None and waits(timeout=float("inf"))[1] is None
        rival.ask("hold")
    rival.ask("drop")
    for wrong in (-1, float("nan"), -0.001):
        assert waits(timeout=wrong)[1] is ValueError
    for wrong in ("1", b"", [], object()):
        assert waits(timeout=wrong)[1] is TypeError, wrong
    rival.ask("hold")
    rival.tell("drop")
    assert waits(timeout=PATIENCE)[1] is None
    assert rival.answer() == "dropped"
""",
        env_path,
        lib_version,
    )


def test_a_timeout_names_the_environment_and_what_has_the_lock(env_path, lib_version):
    run(
        SETUP
        + """
def refusal(timeout):
    try:
        env.begin(write=True, timeout=timeout)
    except pylmdb.LockTimeoutError as error:
        return str(error)
begin = f"begin: the writer lock of {path!r} was not free within "
own = "(timeout=); another thread of this process has it; end its write transaction, or wait longer"
lock = f"{path}/lock.mdb"
other = (
    f"(timeout=); another process has it; 'fuser -v' lists the processes that have {lock!r} open;"
    " end the write transaction there, or wait longer"
)
end = hold_in_thread()
assert refusal(0) == f"{begin}0 seconds {own}", refusal(0)
assert refusal(0.1) == f"{begin}0.1 seconds {own}", refusal(0.1)
end()
with Rival(path, lib_version) as rival:
    rival.ask("hold")
    assert refusal(0) == f"{begin}0 seconds {other}", refusal(0)
    assert refusal(1) == f"{begin}1 second {other}", refusal(1)
""",
        env_path,
        lib_version,
    )


STORM = """\
class Storm(BaseException): pass
armed = False
struck = written = 0
def strike(_, frame):
    # Python has dropped a view and calls its end, which has not begun: what is raised there is
    # ignored, and it cannot be ended again (the core in C has no such moment)
    entering = frame.f_code.co_name == "end" and frame.f_lineno == frame.f_code.co_firstlineno
    if armed and not entering:
        raise Storm
signal.signal(signal.SIGALRM, strike)
def storm(body, rounds, interval):
    "Run ``body`` until the handler's exception has struck it often, anywhere in it."
    global armed, struck, written
    signal.setitimer(signal.ITIMER_REAL, interval, interval)
    round = 0
    try:
        while round < rounds or struck < 30:
            round += 1
            try:
                try:
                    armed = True
                    body(round)
                    armed = False
                    written += 1
                except Storm:
                    armed = False
                    struck += 1
            except Storm:  # it struck again before it was disarmed
                armed = False
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
"""


@pytest.mark.parametrize("interval", [0.0007, 0.0017])
def test_a_storm_of_interrupts_leaves_nothing_behind(env_path, lib_version, interval):
    """An exception of a signal handler is raised anywhere in begin, put and commit.

    It strikes finalizers too; Python then prints it on stderr."""
    run(
        SETUP
        + STORM
        + f"ROUNDS, INTERVAL = {2500 * ROUNDS}, {interval}\n"
        + """
def body(round):
    with env.begin(write=True, timeout=2) as txn:
        txn.put(b"count", b"%d" % round)
        with env.begin(write=True, parent=txn) as child:
            child.put(b"child", b"%d" % round)
with Rival(path, lib_version) as rival:
    storm(body, ROUNDS, INTERVAL)
    assert written > 20, (struck, written)
    assert lock_is_free()
    assert rival.can_write()
with env.begin() as txn:
    assert txn.get(b"count") == txn.get(b"child"), (txn.get(b"count"), txn.get(b"child"))
env.close()
gc.collect()
pylmdb.open(path).close()  # finishes what a finalizer that was struck has left
assert not descriptors(path), "a count was lost: the environment is not closed"
""",
        env_path,
        lib_version,
        errors=True,
    )


def test_a_storm_of_interrupts_among_readers(env_path, lib_version):
    run(
        SETUP
        + STORM
        + f"ROUNDS = {2500 * ROUNDS}\n"
        + """
with env.begin(write=True) as txn:
    for i in range(50):
        txn.put(b"%d" % i, b"v" * 50)
def body(round):
    with env.begin(buffers=bool(round % 2)) as txn:
        view = txn.get(b"1")
        cursor = txn.cursor()
        cursor.first(), cursor.next()
        cursor.close()
body(0)  # imports modules, which takes longer than a round
storm(body, ROUNDS, 0.0004)
gc.collect()
assert struck > 20 and written > 20, (struck, written)
assert len(env.reader_list()) == 0, env.readers()
assert env.info()["pinned"] == 0
env.close()
pylmdb.open(path).close()  # finishes what a finalizer that was struck has left
assert not descriptors(path), "a count was lost: the environment is not closed"
""",
        env_path,
        lib_version,
        errors=True,
    )


def test_a_storm_of_interrupts_while_waiting(env_path, lib_version):
    run(
        SETUP
        + STORM
        + f"ROUNDS = {30 * ROUNDS}\n"
        + """
def body(round):
    env.begin(write=True)
    raise AssertionError("got it")
with Rival(path, lib_version) as rival:
    end = hold_in_thread()
    for owner in ("thread", "process"):
        storm(body, ROUNDS, 0.002)
        end()
        assert rival.can_write() and lock_is_free()
        assert rival.ask("hold") == "holds"
        end = lambda: rival.ask("drop")
    end()
    assert rival.can_write() and lock_is_free()
env.close()
assert not descriptors(path)
""",
        env_path,
        lib_version,
        errors=True,
    )


def test_a_killed_writer_never_blocks_the_next(env_path, lib_version):
    run(
        SETUP
        + f"ROUNDS = {4 * ROUNDS}\n"
        + """
for round in range(ROUNDS):
    with Rival(path, lib_version) as rival:
        assert rival.ask("hold") == "holds"
        seconds, found = waits(timeout=0.05)
        assert found is pylmdb.LockTimeoutError
        threading.Timer(0.1 if round % 2 else 0, rival.process.kill).start()
        assert waits(timeout=PATIENCE)[1] is None
        assert lock_is_free()
    with env.begin(write=True) as txn:
        txn.put(b"%d" % round, b"x")
assert env.stat().entries == ROUNDS
""",
        env_path,
        lib_version,
    )


def test_a_waiter_that_is_killed_leaves_no_trace(env_path, lib_version):
    run(
        SETUP
        + """
with env.begin(write=True) as txn:
    txn.put(b"k", b"v")
    with Rival(path, lib_version) as rival:
        rival.tell("try", 10)
        time.sleep(0.15)
        rival.kill()
assert lock_is_free()
with Rival(path, lib_version) as rival:
    assert rival.can_write()
""",
        env_path,
        lib_version,
    )


def test_without_a_lock_file_writers_of_one_process_stay_apart(tmp_path, lib_version):
    run(
        """
env = pylmdb.open(path, map_size=1 << 24, lock=False, lib_version=lib_version, sync=False)
again = pylmdb.open(path, lock=False)
def add(env):
    for _ in range(200):
        with env.begin(write=True) as txn:
            count = int(txn.get(b"count", b"0"))
            if count % 10 == 0:
                time.sleep(0)
            txn.put(b"count", b"%d" % (count + 1))
in_threads(*[lambda env=env: add(env) for env in (env, env, again, again)])
with env.begin(write=True) as txn:
    assert txn.get(b"count") == b"800"
    assert raised_by(again.begin, write=True) is pylmdb.BusyError
    found = []
    in_threads(lambda: found.append(raised_by(again.begin, write=True, timeout=0.05)))
    assert found == [pylmdb.LockTimeoutError]
held = []
in_threads(lambda: held.append(env.begin(write=True)))
held.clear()
again.begin(write=True, timeout=PATIENCE).abort()
""",
        tmp_path / "env",
        lib_version,
    )


@pytest.mark.parametrize("owner_does", ["sleep", "wait", "read", "block_in_c", "spin"])
def test_a_write_transaction_collected_elsewhere_frees_the_lock(env_path, lib_version, owner_does):
    """It frees the lock in this and for another process while the thread of its owner is busy with
    something else."""
    run(
        SETUP
        + f"OWNER, ROUNDS = {owner_does!r}, {3 * ROUNDS}\n"
        + """
r, w = os.pipe()
def idle(done):
    if OWNER == "sleep":
        while not done.is_set():
            time.sleep(5 if done.wait(0) else 0.5)
    elif OWNER == "wait":
        done.wait()
    elif OWNER == "read":
        os.read(r, 1)
    elif OWNER == "block_in_c":
        import select
        select.poll().register(r) or select.select([r], [], [])
        os.read(r, 1)
    else:
        while not done.is_set():
            pass
with Rival(path, lib_version) as rival:
    for round in range(ROUNDS):
        held, ready, done = [], threading.Event(), threading.Event()
        def own():
            txn = env.begin(write=True)
            txn.put(b"lost", b"lost")
            held.append(txn)
            if round % 2:
                held.append(held)  # only the collector finds it
            del txn
            ready.set()
            idle(done)
        thread = threading.Thread(target=own, daemon=True)
        thread.start()
        assert ready.wait(PATIENCE)
        assert not rival.can_write(0.02)
        if round % 2:
            del held, own
            gc.collect()
        else:
            held.clear()
        assert rival.can_write(), "another process cannot write"
        assert lock_is_free()
        done.set()
        os.write(w, b"x")
        thread.join(PATIENCE)
        assert not thread.is_alive()
        if OWNER not in ("read", "block_in_c"):
            os.read(r, 1)
with env.begin() as txn:
    assert txn.get(b"lost") is None
""",
        env_path,
        lib_version,
    )


ORPHAN = """\
def orphan(in_owner=lambda: None, on_the_way=lambda: None, before=lambda: None):
    "Drop a write transaction while its thread lives on; returns how to end that thread."
    held, ready, done = [], threading.Event(), threading.Event()
    def own():
        before()
        held.append(env.begin(write=True))
        in_owner()
        ready.set()
        done.wait()
    thread = threading.Thread(target=own, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    on_the_way()
    held.clear()
    def end():
        done.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return end
real_time = range(signal.SIGRTMIN, signal.SIGRTMAX + 1)
"""


@pytest.mark.parametrize("when", ["from_the_start", "later"])
def test_user_handlers_for_all_real_time_signals(env_path, lib_version, when):
    """They keep working, are not called for our signals, and do not delay the release of a lock."""
    run(
        SETUP
        + ORPHAN
        + f"WHEN = {when!r}\n"
        + """
calls = []
def install():
    for number in real_time:
        signal.signal(number, lambda number, frame: calls.append(number))
if WHEN == "later":
    orphan()()
    assert lock_is_free()
install()
with Rival(path, lib_version) as rival:
    for _ in range(3):
        end = orphan()
        assert rival.can_write() and lock_is_free()
        end()
assert calls == [], calls
for number in real_time:
    os.kill(os.getpid(), number)
time.sleep(0.01)
assert calls == list(real_time), calls
""",
        env_path,
        lib_version,
    )


@pytest.mark.parametrize("disposition", ["SIG_DFL", "SIG_IGN"])
def test_real_time_signals_that_the_program_resets(env_path, lib_version, disposition):
    """Libraries that make daemons reset every handler; that must not kill the process."""
    run(
        SETUP
        + ORPHAN
        + f"DISPOSITION = signal.{disposition}\n"
        + """
with Rival(path, lib_version) as rival:
    for _ in range(2):
        end = orphan()
        assert rival.can_write() and lock_is_free()
        end()
        for number in real_time:
            signal.signal(number, DISPOSITION)
""",
        env_path,
        lib_version,
    )


def test_an_owner_that_blocks_signals(env_path, lib_version):
    run(
        SETUP
        + ORPHAN
        + """
def block():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
with Rival(path, lib_version) as rival:
    end = orphan(before=block)
    assert rival.can_write() and lock_is_free()
    end()
    # Blocked after begin: the owner cannot get the signal.  A wait with a timeout raises
    # its exception, and the lock is free when the thread ends or uses LMDB again.
    end = orphan(in_owner=block)
    assert waits(timeout=0.3)[1] in (None, pylmdb.LockTimeoutError)
    end()
    assert rival.can_write() and lock_is_free()
""",
        env_path,
        lib_version,
    )


def test_an_owner_in_system_calls_sees_no_errors(env_path, lib_version):
    """The signal that frees an orphaned lock interrupts no system call of the program."""
    run(
        SETUP
        + f"ROUNDS = {20 * ROUNDS}\n"
        + """
import select, socket
r, w = os.pipe()
a, b = socket.socketpair()
b.settimeout(2)
calls = [
    lambda: os.read(r, 1), lambda: time.sleep(0.02), lambda: select.select([], [], [], 0.02),
    lambda: select.poll().poll(20), lambda: a.recv(1),
    lambda: threading.Lock().acquire(timeout=0.1),
    lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
]
for round in range(ROUNDS):
    held, ready, errors = [], threading.Event(), []
    def own():
        held.append(env.begin(write=True))
        ready.set()
        try:
            calls[round % len(calls)]()
        except BaseException as error:
            errors.append(error)
    thread = threading.Thread(target=own)
    thread.start()
    ready.wait()
    time.sleep(0.002)
    held.clear()
    env.begin(write=True, timeout=PATIENCE).abort()
    os.write(w, b"x"), b.send(b"x")
    thread.join(PATIENCE)
    assert not thread.is_alive() and not errors, errors
""",
        env_path,
        lib_version,
    )


def test_readers_and_orphans_do_not_trip_over_each_other(env_path, lib_version):
    """The owner locks and unlocks the reader table while its orphaned locks are freed."""
    run(
        SETUP
        + f"SECONDS = {0.7 * ROUNDS}\n"
        + """
sys.setswitchinterval(1e-5)
until = time.monotonic() + SECONDS
slot, taken = [], threading.Semaphore(0)
def own():
    while time.monotonic() < until:
        try:
            slot.append(env.begin(write=True, timeout=2))
        except pylmdb.BusyError:
            pass  # not collected yet
        for _ in range(20):
            env.begin().abort()
def drop():
    while time.monotonic() < until:
        slot.clear()
in_threads(own, own, drop, drop)
slot.clear()
with Rival(path, lib_version) as rival:
    assert rival.can_write() and lock_is_free() and not env.reader_list()
""",
        env_path,
        lib_version,
    )
