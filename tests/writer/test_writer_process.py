# SPDX-License-Identifier: MIT
"""writer_process(): many processes put records, one commits; and the death of any of them."""

import gc
import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor

import pytest
from programs import finish, in_child, in_threads, start, start_child, wait_for

import pylmdb
from pylmdb.writer import links

BIG = b"v" * 3_000_000


@pytest.fixture
def writer(env_path, lib_version):
    with pylmdb.writer_process(env_path, lib_version=lib_version) as writer:
        yield writer


def contents(path, db=None):
    with pylmdb.open(path, readonly=True) as env:
        named = None if db is None else env.open_db(db, create=False)
        with env.begin(named) as txn:
            return dict(txn.range())


def put_numbers(writer, name, count=200):
    """Put a record for each number, and one that is replaced by each."""
    for number in range(count):
        writer.put(b"%d/%d" % (name, number), b"%d" % number)
        writer.put(b"%d" % name, b"%d" % number)


def numbers(name, count=200):
    found = {b"%d/%d" % (name, number): b"%d" % number for number in range(count)}
    return {**found, b"%d" % name: b"%d" % (count - 1)}


def wait_until(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


# -- operations ------------------------------------------------------------------------


def test_operations(writer, env_path):
    writer.put(b"a", bytearray(b"1"))
    writer.put(b"a", b"2", overwrite=False)
    writer.put(b"b", memoryview(b"3"))
    writer.delete(b"b")
    writer.delete(b"none")
    writer.put(b"c", b"named", "name")
    writer.put_many([(b"d", b"4"), (b"a", b"5")], overwrite=False)
    writer.put_many(iter([(b"e", b"6")]), b"name")
    writer.flush()
    assert contents(env_path, b"name") == {b"c": b"named", b"e": b"6"}
    found = contents(env_path)
    assert {key: found[key] for key in found if len(key) == 1} == {b"a": b"1", b"d": b"4"}


def test_compare_and_set(writer, env_path):
    writer.put(b"a", b"1", if_value=None)
    writer.put(b"a", b"lost", if_value=None)
    writer.put(b"a", b"2", if_value=bytearray(b"1"))
    writer.put(b"a", b"lost", if_value=b"1")
    writer.put(b"b", b"3", "name", if_value=None)
    writer.flush()
    assert contents(env_path, b"name") == {b"b": b"3"}
    assert contents(env_path)[b"a"] == b"2"
    with pytest.raises(TypeError, match="if_value cannot be combined with overwrite=False"):
        writer.put(b"a", b"4", overwrite=False, if_value=None)
    with pytest.raises(TypeError, match="if_value must be bytes, not str"):
        writer.put(b"a", b"4", if_value="2")
    writer.flush()


def test_a_flush_ends_at_its_timeout(writer, env_path, lib_version):
    """The writer lock is taken; the put is committed later, and no error is lost."""
    writer.put(b"k" * 3000, b"refused")
    program = start(
        "env = pylmdb.open(path)\n"
        "with env.begin(write=True):\n"
        "    print('has it', flush=True); sys.stdin.readline()\n",
        env_path, lib_version,
    )  # fmt: skip
    assert program.stdout.readline() == "has it\n"
    writer.put(b"a", b"1")
    for timeout in (0, 0.05):
        with pytest.raises(pylmdb.LockTimeoutError, match=rf"after {timeout} seconds"):
            writer.flush(timeout)
    writer.put(b"b", b"2")
    link = links._links[writer._address]
    finish(program)
    with pytest.raises(pylmdb.BadValsizeError, match="3000 bytes"):
        writer.flush(timeout=60)
    writer.flush()
    assert links._links[writer._address] is link
    assert contents(env_path) == {b"a": b"1", b"b": b"2"}


def test_a_flush_beside_one_that_waits_ends_at_its_timeout(writer):
    link = links._link_to(writer._address)
    with link.lock, pytest.raises(pylmdb.LockTimeoutError, match=r"flush: writes to '.*' are"):
        writer.flush(timeout=0.02)
    writer.flush(timeout=60)
    for wrong, kind in ((-1, ValueError), ("1", TypeError)):
        with pytest.raises(kind, match="timeout"):
            writer.flush(wrong)


def test_each_process_keeps_its_order(writer, env_path, lib_version):
    """Forked and spawned children, a pool, threads, an unrelated program, and this process."""
    context = multiprocessing.get_context("spawn")
    spawned = context.Process(target=put_numbers, args=(writer, 0))
    spawned.start()
    program = start(
        "import pickle\n"
        "writer = pickle.loads(bytes.fromhex(sys.stdin.readline()))\n"
        "for number in range(200):\n"
        "    writer.put(b'1/%d' % number, b'%d' % number); writer.put(b'1', b'%d' % number)\n",
        env_path, lib_version,
    )  # fmt: skip
    program.stdin.write(pickle.dumps(writer).hex() + "\n")
    program.stdin.flush()
    writer.put(b"2", b"before the fork")
    forked = [start_child(put_numbers, writer, name) for name in (2, 3)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert [*pool.map(put_numbers, [writer] * 6, range(4, 10))] == [None] * 6
    thread = threading.Thread(target=put_numbers, args=(writer, 10))
    thread.start()
    put_numbers(writer, 11)
    thread.join()
    assert [wait_for(pid) for pid in forked] == [0, 0]
    spawned.join()
    assert spawned.exitcode == 0
    finish(program)
    writer.close()
    assert contents(env_path) == {k: v for name in range(12) for k, v in numbers(name).items()}


def test_threads_share_a_connection(writer, env_path):
    writer.put(b"k" * 3000, b"refused")
    link = links._links[writer._address]
    in_threads(*[lambda name=name: (put_numbers(writer, name), writer.put(b"", b"refused"))
                 for name in range(4)])  # fmt: skip
    assert links._links[writer._address] is link
    with pytest.raises(pylmdb.BadValsizeError, match="3000 bytes"):
        writer.flush()
    writer.flush()
    assert contents(env_path) == {k: v for name in range(4) for k, v in numbers(name).items()}


def test_one_that_has_just_connected_is_read_at_the_end(env_path, lib_version):
    """Each child connects, puts a record and is gone while the writer process ends."""
    for _ in range(3):
        writer = pylmdb.writer_process(env_path, lib_version=lib_version)
        children = [start_child(writer.put, b"%d" % number, b"") for number in range(4)]
        writer.close()
        done = [number for number, child in enumerate(children) if wait_for(child) == 0]
        assert {*contents(env_path)} >= {b"%d" % number for number in done}
        os.unlink(os.path.join(env_path, "data.mdb"))


def test_a_small_queue_loses_nothing(env_path, lib_version):
    with pylmdb.writer_process(env_path, max_pending=1, lib_version=lib_version) as writer:
        children = [start_child(put_numbers, writer, name, 50) for name in range(3)]
        assert [wait_for(pid) for pid in children] == [0, 0, 0]
    assert contents(env_path) == {
        k: v for name in range(3) for k, v in numbers(name, 50).items()
    }  # fmt: skip


# -- operations that are refused ----------------------------------------------------------


def test_a_refused_operation_is_told_at_the_flush(writer, env_path):
    writer.put(b"a", b"1")
    writer.put(b"k" * 3000, b"2")
    writer.put(b"", b"3")
    writer.put(b"b", b"4")
    with pytest.raises(pylmdb.BadValsizeError, match="key has 3000 bytes"):
        writer.flush()
    writer.flush()
    assert contents(env_path) == {b"a": b"1", b"b": b"4"}


def test_records_together_are_all_written_or_none(writer, env_path):
    writer.put_many([(b"a", b"1"), (b"", b"2"), (b"b", b"3")])
    writer.put_many([(b"c", b"4")])
    with pytest.raises(pylmdb.BadValsizeError):
        writer.flush()
    assert contents(env_path) == {b"c": b"4"}


def test_records_that_are_not_pairs(writer):
    for records in ({b"k": b"v"}, [(b"k",)], [(b"k", b"v", b"w")], [b"kv"], [1]):
        with pytest.raises(TypeError, match="put_many: record 0 must be a pair of key and value"):
            writer.put_many(records)
    writer.put_many([[b"k", b"v"]])
    writer.flush()


def test_a_thread_that_writes_does_not_wait_for_itself(writer, env_path, lib_version):
    with pylmdb.open(env_path) as env:
        with env.begin(write=True):
            writer.put(b"k", b"v")
            for call in writer.flush, writer.close:
                with pytest.raises(pylmdb.BusyError, match=r"write transaction open.*end it first"):
                    call()
            assert not writer.closed
        writer.flush()
        with (
            env.begin(write=True),
            pytest.raises(pylmdb.BusyError, match="close: this thread"),
            pylmdb.writer_process(env_path, lib_version=lib_version) as another,
        ):
            another.put(b"l", b"v")
        another.close()
    assert contents(env_path) == {b"k": b"v", b"l": b"v"}


def test_what_no_process_was_told_is_told_at_the_end(env_path, lib_version):
    writer = pylmdb.writer_process(env_path, lib_version=lib_version)
    assert in_child(writer.put, b"k" * 3000, b"") == 0
    assert in_child(writer.put, b"a", b"1") == 0
    with pytest.raises(pylmdb.BadValsizeError, match="key has 3000 bytes"):
        writer.close()
    assert writer.closed
    assert contents(env_path) == {b"a": b"1"}


def test_arguments_that_do_not_fit(writer, env_path, tmp_path):
    for arguments in (("a", b""), (b"a", 5), (b"a", b"", 5)):
        with pytest.raises(TypeError):
            writer.put(*arguments)
    with pytest.raises(TypeError):
        writer.put_many([(b"a", b"1"), (b"b", "2")])
    for options, error in (
        ({"max_pending": 0}, ValueError),
        ({"readonly": True}, pylmdb.ReadonlyError),
        ({"colour": 1}, TypeError),
        ({"lib_version": 7}, pylmdb.Error),
    ):
        with pytest.raises(error):
            pylmdb.writer_process(env_path, **options)
    with pytest.raises(pylmdb.PathNotFoundError):
        pylmdb.writer_process(tmp_path / "no" / "new")


# -- death ----------------------------------------------------------------------------------


def test_a_killed_producer_disturbs_no_other(writer, env_path):
    """One is killed between messages, one in the middle of a message, one while it waits."""
    writer.put(b"other", b"1")

    def kill_between():
        writer.put(b"whole", BIG)
        os.kill(os.getpid(), signal.SIGKILL)

    def kill_within():
        writer.put(b"before", b"1")
        link = links._link_to(writer._address)
        link._socket.sendall((1000).to_bytes(8, "big") + b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    def kill_at_the_length():
        link = links._link_to(writer._address)
        link._socket.sendall(b"\0\0")
        os.kill(os.getpid(), signal.SIGKILL)

    for function in (kill_between, kill_within, kill_at_the_length):
        assert in_child(function) == -signal.SIGKILL
    with pylmdb.open(env_path) as env, env.begin(write=True):
        stopped = start_child(put_numbers, writer, 1)
        time.sleep(0.05)
        os.kill(stopped, signal.SIGKILL)
    assert wait_for(stopped) in (0, -signal.SIGKILL)
    writer.put(b"other", b"2")
    writer.flush()
    writer.close()
    found = contents(env_path)
    assert (found[b"other"], found[b"whole"], found[b"before"]) == (b"2", BIG, b"1")
    last = int(found.get(b"1", b"-1"))
    there = {key for key in found if key.startswith(b"1/")}
    assert there == {b"1/%d" % number for number in range(len(there))}
    assert len(there) in (last + 1, last + 2)


def test_an_idle_producer_does_not_keep_it_from_ending(env_path, lib_version):
    writer = pylmdb.writer_process(env_path, lib_version=lib_version)
    connected, (release, go) = os.pipe(), os.pipe()

    def idle():
        writer.put(b"a", b"1")
        os.write(connected[1], b"x")
        os.read(release, 1)
        with pytest.raises(pylmdb.ClosedError, match="has ended"):
            writer.put(b"b", b"2")
        with pytest.raises(pylmdb.ClosedError):
            writer.flush()

    child = start_child(idle)
    os.read(connected[0], 1)
    writer.close()
    os.write(go, b"x")
    assert wait_for(child) == 0
    assert contents(env_path) == {b"a": b"1"}
    for fd in (*connected, release, go):
        os.close(fd)


def test_the_writer_process_is_killed(env_path, lib_version):
    writer = pylmdb.writer_process(env_path, lib_version=lib_version)
    writer.put(b"a", b"1")
    writer.flush()
    os.kill(writer._process.pid, signal.SIGKILL)
    wait_until(lambda: writer._process.poll() is not None)
    for _ in range(2):
        with pytest.raises(pylmdb.ClosedError, match=r"has ended.*last flush"):
            writer.flush()
    with pytest.raises(pylmdb.Error, match=r"exit status -9"):
        writer.close()
    writer.close()
    assert contents(env_path) == {b"a": b"1"}


OWNER = """
writer = pylmdb.writer_process(path, lib_version=lib_version)
for number in range(100):
    writer.put(b"%03d" % number, b"")
print(writer._process.pid, flush=True)
"""


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "raise SystemExit(0)", "os._exit(0)"])
def test_the_end_of_its_owner_ends_it(env_path, lib_version, end):
    program = start(OWNER + end, env_path, lib_version)
    pid = int(finish(program, -9 if "kill" in end else 0, errors=True))

    def is_gone():
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_until(is_gone)
    assert len(contents(env_path)) == 100


def test_signals(writer, env_path):
    """Ctrl-C is for the program, which closes the writer.  SIGTERM ends the writer process."""
    process = writer._process
    os.kill(process.pid, signal.SIGINT)
    put_numbers(writer, 1)
    writer.flush()
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(20) == 0
    with pytest.raises(pylmdb.ClosedError):
        writer.flush()
    assert contents(env_path) == numbers(1)


def test_an_interrupt_in_the_middle_of_a_message(writer, env_path):
    """The half is dropped, and the operations after it are executed after those before it."""
    for number in range(300):
        writer.put(b"a", b"%d" % number)
    link = links._links[writer._address]
    whole = link._socket

    class Interrupted:
        close = whole.close

        def __enter__(self):
            return whole

        def __exit__(self, *exc):
            whole.close()

        def sendall(self, message):
            whole.sendall((1000).to_bytes(8, "big") + b"half")
            raise KeyboardInterrupt

    link._socket = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        writer.put(b"a", b"interrupted")
    for number in range(300, 320):
        writer.put(b"a", b"%d" % number)
    writer.flush()
    assert links._links[writer._address] is not link
    assert contents(env_path) == {b"a": b"319"}


# -- closing ----------------------------------------------------------------------------------


def test_closing(env_path, lib_version):
    writer = pylmdb.writer_process(env_path, lib_version=lib_version)
    pid, folder = writer._process.pid, os.path.dirname(writer._address)
    assert repr(writer) == f"<pylmdb.writer.process.WriterProcess {env_path!r} process {pid}>"
    other = pickle.loads(pickle.dumps(writer))
    other.put(b"a", b"1")

    def fail():
        with writer:
            writer.put(b"k" * 3000, b"", "name")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    writer.close()
    assert writer.closed
    assert repr(writer).endswith("closed>")
    assert not os.path.exists(folder)
    assert contents(env_path)[b"a"] == b"1"
    for operation in (
        lambda: writer.put(b"a", b""),
        lambda: writer.put_many([]),
        lambda: writer.delete(b"a"),
        writer.flush,
        writer.__enter__,
        other.flush,
    ):
        with pytest.raises(pylmdb.ClosedError):
            operation()


def test_a_producer_closes_its_connection_only(writer, env_path):
    def produce():
        with writer:
            writer.put(b"a", b"1")
        assert writer._address not in links._links
        assert contents(env_path) == {b"a": b"1"}
        writer.close()
        writer.put(b"a", b"2")

    assert in_child(produce) == 0
    writer.put(b"b", b"3")
    writer.close()
    assert contents(env_path) == {b"a": b"2", b"b": b"3"}


def test_one_that_is_forgotten(env_path, lib_version):
    writer = pylmdb.writer_process(env_path, lib_version=lib_version)
    process = writer._process
    writer.put(b"a", b"1")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del writer
        gc.collect()
    assert any("was not closed" in str(each.message) for each in told)
    assert process.wait(20) == 0
    assert contents(env_path) == {b"a": b"1"}


def test_a_long_name_of_the_folder_for_temporary_files(env_path, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pylmdb.writer_process(env_path) as writer:
        writer.put(b"a", b"1")
    assert contents(env_path) == {b"a": b"1"}
    assert [*long.iterdir()] == []


def test_a_program_without_an_interpreter(env_path, monkeypatch):
    monkeypatch.setattr("sys.executable", "")
    with pytest.raises(pylmdb.Error, match="no Python interpreter"):
        pylmdb.writer_process(env_path)
