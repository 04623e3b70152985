# SPDX-License-Identifier: MIT
"""What the logger ``pylmdb`` gets, and that nothing is written without a handler."""

import asyncio
import contextlib
import logging
import queue
import sys
import threading

import pytest
from programs import Rival, in_thread, occupy, raised_by, run
from test_readers import killed_reader

import pylmdb
import pylmdb.aio
from pylmdb import datasets
from pylmdb._base import log
from pylmdb._base.new_files import temporary_name
from pylmdb._base.temporary_names import is_temporary
from pylmdb._core_rules import writer_gate
from pylmdb._environment import reader_watch
from pylmdb.tools import sources

LOGGER = logging.getLogger("pylmdb")


class Handler(logging.Handler):
    """Collects records, and calls a function before."""

    def __init__(self):
        super().__init__()
        self.records, self.before = queue.Queue(), lambda: None

    def emit(self, record):
        self.before()
        self.records.put(record)

    def texts(self, level):
        """The messages of a level so far."""
        records = [self.records.get() for _ in range(self.records.qsize())]
        return [record.getMessage() for record in records if record.levelno == level]


@pytest.fixture
def handler():
    handler, level = Handler(), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    yield handler
    LOGGER.removeHandler(handler)
    LOGGER.setLevel(level)


@pytest.mark.parametrize("timeout", [None, 20])
def test_a_long_wait_for_another_thread(env, env_path, handler, monkeypatch, timeout):
    """It is logged once, while the thread waits."""
    monkeypatch.setattr(writer_gate, "LONG_WAIT", 0.12)  # more than two slices
    begin = threading.Thread(target=lambda: env.begin(write=True, timeout=timeout).abort())
    with env.begin(write=True):
        begin.start()
        text = handler.records.get(timeout=20).getMessage()
        begin.join(0.12)
    begin.join()
    assert text == (
        f"{env_path}: begin has waited 0.12 s for the writer lock, which another thread has"
    )
    assert handler.records.empty()


def test_a_short_wait_is_not_logged(env, handler):
    with env.begin(write=True):
        found = in_thread(lambda: raised_by(env.begin, write=True, timeout=0.1))
    assert found is pylmdb.LockTimeoutError
    assert handler.records.empty()


def test_a_long_wait_for_another_process(env_path, lib_version):
    out = run(
        """
import logging
from pylmdb._core_rules import writer_gate
writer_gate.LONG_WAIT = 0
env = pylmdb.open(path, lib_version=lib_version)
rival = Rival(path, lib_version)
rival.ask("hold")
class Handler(logging.Handler):
    def emit(self, record):
        print(record.levelname, record.getMessage().replace(path, "PATH"))
        rival.ask("drop")
logging.basicConfig(level="INFO", handlers=[Handler()])
with rival:
    env.begin(write=True).abort()
""",
        env_path,
        lib_version,
    )
    assert out == "INFO PATH: begin has waited 0 s for the writer lock, which another process has\n"


def cleared(path):
    return [f"{path}: reader slots of dead processes that were cleared: 1"]


def test_a_long_wait_of_a_task(env, env_path, handler, monkeypatch):
    """For another task of the loop, and for another thread, for which a worker thread waits."""
    monkeypatch.setattr(writer_gate, "LONG_WAIT", 0.12)

    aenv = pylmdb.aio.wrap(env)

    async def begin():
        async with aenv.begin(write=True):
            pass

    async def next_record():
        return (await asyncio.to_thread(handler.records.get, timeout=20)).getMessage()

    async def main():
        texts = []
        async with aenv.begin(write=True):
            task = asyncio.create_task(begin())
            texts.append(await next_record())
        await task
        with env.begin(write=True):
            task = asyncio.create_task(begin())
            texts.append(await next_record())
        await task
        return texts

    text = f"{env_path}: begin has waited 0.12 s for the writer lock, which another %s has"
    assert asyncio.run(main()) == [text % "task", text % "thread"]
    assert handler.records.empty()


def test_dead_readers_that_are_cleared_by_an_open(open_env, env_path, lib_version, handler):
    """Another process has the file open: the first process to open it begins a new reader table."""
    with Rival(env_path, lib_version) as rival:
        assert rival.ask("put", "k", "v") == "put"
        killed_reader(env_path, lib_version)
        open_env()
    assert handler.texts(logging.INFO) == cleared(env_path)


def test_dead_readers_that_are_cleared_by_reader_check(env, env_path, lib_version, handler):
    env.begin(write=True).abort()
    killed_reader(env_path, lib_version)
    assert (env.reader_check(), env.reader_check()) == (1, 0)
    assert handler.texts(logging.INFO) == cleared(env_path)


def commit(txn):
    txn.commit()


def abort(txn):
    txn.abort()


def leave(txn):
    with contextlib.suppress(ZeroDivisionError), txn:
        raise ZeroDivisionError


def test_dead_readers_that_a_write_transaction_clears(env, env_path, lib_version, handler):
    """They are logged after its end."""
    env.begin(write=True).abort()
    killed_reader(env_path, lib_version)
    with env.begin(write=True) as txn:  # so that the reader's snapshot is an old one
        txn.put(b"k", b"v")
    txn = env.begin(write=True)
    txn.put(b"k", bytes(1 << 20))
    assert handler.records.empty()
    txn.commit()
    assert handler.texts(logging.INFO) == cleared(env_path)


def test_dead_readers_whose_slots_are_needed(open_env, env_path, lib_version, handler):
    env = open_env(max_readers=1)
    env.begin(write=True).abort()
    killed_reader(env_path, lib_version)
    env.begin().abort()
    assert handler.texts(logging.INFO) == cleared(env_path)


@pytest.mark.parametrize("end", [commit, abort, leave])
def test_a_map_that_grows_in_place(env, env_path, handler, end):
    """It is logged once for each write transaction, after its end."""
    size = env.info()["map_size"]
    for factor in 1, 2:
        txn = env.begin(write=True)
        for i in range(3 * factor):
            txn.put(b"%d" % i, bytes(size))
        assert handler.records.empty()
        end(txn)
        assert env.info()["map_size"] > 3 * factor * size
        assert handler.texts(logging.INFO) == [
            f"{env_path}: the memory map has grown in place to {env.info()['map_size']} bytes"
        ]


def test_an_environment_under_a_temporary_name_logs_nothing(tmp_path, handler, lib_version):
    """Its user has never seen that name.  An existing destination grows under its own."""
    records = [(b"%d" % i, bytes(1 << 20)) for i in range(40)]
    with pylmdb.open(tmp_path / "source", lib_version=lib_version) as source:
        with source.begin(write=True) as txn:
            txn.cursor().putmulti(records)
        assert "has grown in place" in handler.texts(logging.INFO)[0]
        pylmdb.dump(source, tmp_path / "text")
        pylmdb.convert(source, tmp_path / "converted")
        pylmdb.merge([source], tmp_path / "merged", subdir=False)
        source.copy(tmp_path / "copy", compact=True)
    pylmdb.load(tmp_path / "text", tmp_path / "loaded")
    pylmdb.bulk_load(tmp_path / "sorted", reversed(records), memory="8 MiB")
    with datasets.Writer(tmp_path / "samples") as writer:
        writer.append(bytes(1 << 20))
    with datasets.Writer(tmp_path / "samples", exist="replace") as writer:
        for _, value in records:
            writer.append(value)
    assert handler.texts(logging.INFO) == []
    pylmdb.bulk_load(tmp_path / "samples", records, memory="8 MiB")
    names = {text.partition(": ")[0] for text in handler.texts(logging.INFO)}
    assert names == {str(tmp_path / "samples")}


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        (b"/a/env.tmp-0123456789abcdef", True),
        (b"/a/env/data.mdb.tmp-0123456789abcdef", True),
        (b"/a/env.tmp-0123456789abcdef-shard", True),
        (b"/a.tmp-0123456789abcdef/env", False),
        (b"/a/env.tmp-0123456789abcdeg", False),
        (b"/a/env.tmp-0123", False),
        (b"/a.tmp-/0123456789abcdef", False),
        (b"/a/env", False),
    ],
)
def test_what_a_temporary_name_is(name, is_one):
    assert is_temporary(name) == is_one
    assert is_temporary(temporary_name(b"/nowhere/env"))


def test_a_handler_that_fails_does_not_end_a_commit(env, handler, monkeypatch):
    seen = []
    monkeypatch.setattr("threading.excepthook", lambda args: seen.append(args.exc_type))
    handler.before = lambda: 1 / 0
    with env.begin(write=True) as txn:
        txn.put(b"k", bytes(env.info()["map_size"]))
    assert seen == [ZeroDivisionError]
    with env.begin() as txn:
        assert txn.get(b"k")


def test_slow_readers(open_env, env_path, handler, monkeypatch):
    monkeypatch.setattr(reader_watch, "_LONGEST", 0.01)
    reported = queue.Queue()
    env = open_env(on_slow_reader=reported.put, slow_reader=(1, None))
    with env.begin() as reader:
        for _ in range(3):
            with env.begin(write=True) as txn:
                txn.put(b"k", b"v")
        slow = reported.get(timeout=20)
        assert handler.texts(logging.WARNING) == [
            f"{env_path}: a slow reader in process {slow.pid} keeps the snapshot {reader.id()}"
        ]


def test_a_handler_that_fails_does_not_end_the_watch(open_env, handler, monkeypatch):
    monkeypatch.setattr(reader_watch, "_LONGEST", 0.01)
    monkeypatch.setattr("threading.excepthook", lambda seen: seen.exc_type is ZeroDivisionError)
    handler.before = lambda: 1 / 0
    reported = queue.Queue()
    env = open_env(on_slow_reader=reported.put, slow_reader=(0, None))
    with env.begin():
        with env.begin(write=True) as txn:
            txn.put(b"k", b"v")
        assert reported.get(timeout=20).own


def test_a_handler_can_use_the_environment(open_env, env_path, lib_version, handler):
    """It is not called from itself."""
    env = open_env()
    calls = []

    def use():
        calls.append(None)
        killed_reader(env_path, lib_version)
        with pylmdb.open(env_path) as again, again.begin(write=True) as txn:
            txn.put(b"log", b"line")
        assert env.reader_check() == 1

    handler.before = use
    killed_reader(env_path, lib_version)
    assert env.reader_check() == 1
    assert len(calls) == 1
    with env.begin() as txn:
        assert txn.get(b"log") == b"line"


def test_a_handler_that_closes_the_environment(open_env, env_path, lib_version, handler):
    env = open_env(max_readers=1)
    env.begin(write=True).abort()
    killed_reader(env_path, lib_version)
    handler.before = env.close
    with pytest.raises(pylmdb.ClosedError):
        env.begin()
    assert handler.texts(logging.INFO) == cleared(env_path)
    with open_env() as again, again.begin(write=True, timeout=0) as txn:
        txn.put(b"k", b"v")


def test_a_handler_that_interrupts_the_begin(open_env, env_path, lib_version, handler):
    """No transaction stays open."""

    def interrupt():
        raise KeyboardInterrupt

    env = open_env(max_readers=1)
    env.begin(write=True).abort()
    killed_reader(env_path, lib_version)
    handler.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        env.begin()
    handler.before = lambda: None
    assert env.reader_list() == []
    env.begin().abort()


def test_nothing_is_written_without_a_handler(env_path, lib_version):
    """run() fails if anything is written to stderr."""
    run(
        """
from pylmdb._base import log
assert "logging" not in sys.modules or not sys.modules["logging"].getLogger().handlers
log.log(log.WARNING, "nobody listens")
import logging
log.log(log.WARNING, "nobody listens")
assert not logging.getLogger("pylmdb").handlers
""",
        env_path,
        lib_version,
    )


def test_logging_is_not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "logging")
    log.log(log.WARNING, "nobody listens")
    assert "logging" not in sys.modules
    assert (log.INFO, log.WARNING) == (logging.INFO, logging.WARNING)


def test_a_map_that_is_moved(open_env, env_path, handler):
    env = open_env(sync=False)
    end = occupy(env)
    try:
        for i in range(8):
            with env.begin(write=True) as txn:
                txn.put(b"%d" % i, bytes(20 << 20))
        texts = handler.texts(logging.INFO)
    finally:
        end()
    moved = f"{env_path}: the memory map was moved to another address to grow"
    assert moved in texts
    assert all(text == moved or "has grown in place to" in text for text in texts)


def test_a_file_that_is_read_without_a_lock(monkeypatch, handler):
    def opens(lock):
        if lock:
            raise pylmdb.LockFileError("open: no permission")

    monkeypatch.setattr(sources, "_is_writable", lambda path: False)
    said = []
    assert sources.open_unlocked_if_safe("file", opens, said.append) is None
    assert handler.texts(logging.WARNING) == said
    assert said[0].startswith("'file' is read without a lock")
