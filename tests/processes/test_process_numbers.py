# SPDX-License-Identifier: MIT
"""Processes with one number, as in two containers, share a file: their numbers in the reader
table, slots of dead ones, and the owner of the writer lock.

Some tests make PID namespaces, in which the first process has number 1.  The others have another
process lock the byte of the lock file that belongs to a number, or write into the reader table,
and need no rights.
"""

import os
import shutil
import struct
import subprocess
import time

import lmdb
import pytest
from answering import Program

import pylmdb

# numbers from here on are not process numbers
FIRST = 1 << 30
UNSHARE = ["unshare", "--pid", "--fork", "--kill-child"]

NO_OPEN_FILE_LOCKS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#define REPLACE(name)                                                              \
    int name(int fd, int command, ...)                                             \
    {                                                                              \
        int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, #name); \
        va_list list;                                                              \
        void *argument;                                                            \
        va_start(list, command);                                                   \
        argument = va_arg(list, void *);                                           \
        va_end(list);                                                              \
        if (command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_OFD_GETLK) { \
            errno = EINVAL;                                                        \
            return -1;                                                             \
        }                                                                          \
        return real(fd, command, argument);                                        \
    }
REPLACE(fcntl)
REPLACE(fcntl64)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Return the path of a library that refuses locks of open files."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "there is no C compiler"
    folder = tmp_path_factory.mktemp("no_ofd")
    source, library = folder / "no_ofd.c", folder / "no_ofd.so"
    source.write_text(NO_OPEN_FILE_LOCKS)
    subprocess.check_call([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"])
    return library


@pytest.fixture(params=["locks of the open file", "locks of the process"])
def locks(request, library, monkeypatch):
    """Let the programs of a test use one of the two kinds of locks that Linux has."""
    if request.param == "locks of the process":
        loaded = os.environ.get("LD_PRELOAD", "").split()  # as sanitizers do
        monkeypatch.setenv("LD_PRELOAD", " ".join([*loaded, str(library)]))


@pytest.fixture
def programs(env_path, lib_version):
    """Starts programs that run statements, and ends them all."""
    started = []

    def start_one(source="", command=(), module=pylmdb):
        started.append(Program(env_path, lib_version, source, command, module))
        return started[-1]

    yield start_one
    for program in started:
        program.end()


LOCKER = """
import fcntl
file = open(path + "/lock.mdb", "r+b")
def lock(number):
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
"""


NUMBERS = """
def numbers(path, lib_version):
    with lmdb.open(path, lib_version=lib_version) as env:
        first = [line.split()[0] for line in env.readers().splitlines()]
    return [int(word) for word in first if word.isdigit()]
"""


@pytest.fixture(scope="module")
def numbers():
    """Return a function that tells the numbers in a reader table, as another build of LMDB shows
    them.  It opens the environment in one other process, and closes it."""
    program = Program("", 0, NUMBERS, module=lmdb)
    yield lambda path, lib_version: program.ask(f"numbers({path!r}, {lib_version})")
    program.end()


def places(path, number):
    """Return the offsets of this number in the lock file."""
    with open(os.path.join(path, "lock.mdb"), "rb") as file:
        table = file.read()
    return [
        at for at in range(0, len(table), 4) if struct.unpack_from("=i", table, at)[0] == number
    ]


def slots(path, number):
    """Return the offsets of reader slots with this number."""
    return [at for at in places(path, number) if at % 64 == 8]


def write_number(path, at, number):
    with open(os.path.join(path, "lock.mdb"), "r+b") as file:
        file.seek(at)
        file.write(struct.pack("=i", number))


def make(open_env):
    env = open_env()
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    return env


# -- the number of another process ---------------------------------------------------------------


@pytest.fixture
def crowded(programs, open_env, locks):
    """A reading program.  Another process has locked the byte of its process number, as one in
    another container would."""
    make(open_env)
    program, other = programs(), programs(LOCKER)
    assert other.ask(f"lock({program.pid})") is None
    assert program.ask("start()") is None
    assert program.ask("read()") == 1
    return program


def test_two_of_one_number_have_the_file_open(crowded, open_env, env_path, lib_version, numbers):
    assert crowded.ask("put(b'new')") is True
    assert numbers(env_path, lib_version) == [FIRST]
    wanted = [(crowded.pid, 1)]
    assert [(row.pid, row.txnid) for row in open_env().reader_list()] == wanted
    assert open_env().readers().split()[3:4] == [str(crowded.pid)]
    assert crowded.ask("[(row.pid, row.own) for row in env.reader_list()]") == [(crowded.pid, True)]
    assert [row.own for row in open_env().reader_list()] == [False]


@pytest.mark.parametrize("checker", [lmdb, pylmdb], ids=["py-lmdb", "pylmdb"])
def test_both_bindings_know_whether_a_process_is_alive(
    crowded, programs, env_path, lib_version, checker, numbers
):
    check = programs(module=checker)
    check.ask("start()")
    assert check.ask("env.reader_check()") == 0
    assert numbers(env_path, lib_version) == [FIRST]
    assert crowded.ask("reader.get(b'k')") == b"v"
    crowded.kill()
    assert check.ask("env.reader_check()") == 1
    assert numbers(env_path, lib_version) == []


def test_its_end_leaves_nothing(crowded, programs, env_path, lib_version, numbers):
    assert crowded.ask("env.close()") is None
    assert numbers(env_path, lib_version) == []
    assert crowded.ask("start()") is None
    assert crowded.ask("read()") == 1
    assert crowded.ask("[row.pid for row in env.reader_list()]") == [crowded.pid]
    assert numbers(env_path, lib_version) == [FIRST]


def test_a_child_has_a_number_of_its_own(crowded, env_path, lib_version, numbers):
    rows = "sorted((row.pid == os.getpid(), row.own) for row in env.reader_list())"
    assert crowded.ask(f"in_child('read() and {rows}')") == [(False, False), (True, True)]
    assert crowded.ask("env.reader_check()") == 1  # it ended without closing anything
    assert crowded.ask("reader.get(b'k')") == b"v"
    assert numbers(env_path, lib_version) == [FIRST]


def test_all_threads_have_the_number(crowded, env_path, lib_version, numbers):
    assert crowded.ask("len(txns := in_threads(env.begin, 20))") == 20
    assert numbers(env_path, lib_version) == 21 * [FIRST]
    assert crowded.ask("{(row.pid, row.own) for row in env.reader_list()}") == {(crowded.pid, True)}


def test_the_number_belongs_to_one_lock_file(crowded, env_path, lib_version, numbers):
    other = env_path + "-other"
    opened = f"another := lmdb.open({other!r}, lib_version=lib_version)"
    assert crowded.ask(f"({opened}) and (txn := another.begin()).id()") == 0
    assert numbers(other, lib_version) == [crowded.pid]
    assert numbers(env_path, lib_version) == [FIRST]


def test_many_that_need_another_number_at_once(
    programs, open_env, env_path, lib_version, locks, numbers
):
    make(open_env)
    many, other = [programs() for _ in range(6)], programs(LOCKER)
    for program in many:
        assert other.ask(f"lock({program.pid})") is None
    for program in many:
        print("start() or read()", file=program.process.stdin, flush=True)
    assert [program.process.stdout.readline() for program in many] == 6 * ["1\n"]
    assert sorted(numbers(env_path, lib_version)) == list(range(FIRST, FIRST + 6))
    assert sorted(row.pid for row in open_env().reader_list()) == sorted(p.pid for p in many)
    many[0].kill()
    assert open_env().reader_check() == 1
    assert sorted(row.pid for row in open_env().reader_list()) == sorted(p.pid for p in many[1:])


# -- slots of a dead process -----------------------------------------------------------------------


def test_slots_of_a_dead_process_with_the_same_number_are_cleared(
    programs, open_env, env_path, lib_version, locks, numbers
):
    make(open_env)
    dead, program = programs(), programs()
    dead.ask("start()")
    assert dead.ask("len(txns := [env.begin(), env.begin()])") == 2
    dead.kill()
    for at in slots(env_path, dead.pid):
        write_number(env_path, at, program.pid)
    assert len(slots(env_path, program.pid)) == 2
    program.ask("start()")
    assert program.ask("env.reader_list()") == []
    assert program.ask("read()") == 1
    assert numbers(env_path, lib_version) == [program.pid]


def test_a_number_above_all_others_is_used_again(crowded, programs, env_path, lib_version, numbers):
    crowded.kill()
    program, other = programs(), programs(LOCKER)
    other.ask(f"lock({program.pid})")
    program.ask("start()")
    assert program.ask("env.reader_list()") == []
    program.ask("read()")
    assert numbers(env_path, lib_version) == [FIRST]


def test_a_slot_that_another_build_took_tells_its_own_number(
    crowded, programs, open_env, env_path, lib_version
):
    """The process number that pylmdb stores in a slot stays when other builds use the slot."""
    crowded.kill()
    assert open_env().reader_check() == 1
    peer = programs(module=lmdb)
    peer.ask("start()")
    peer.ask("read()")
    assert [row.pid for row in open_env().reader_list()] == [peer.pid]


def test_another_process_that_calls_itself_by_my_number(crowded, open_env, env_path):
    """A process in another container can have the same number, but it is another process."""
    env = open_env()
    (slot,) = slots(env_path, FIRST)
    (noted,) = [at for at in places(env_path, crowded.pid) if slot < at < slot - 8 + 64]
    write_number(env_path, noted, os.getpid())
    (row,) = env.reader_list()
    assert (row.pid, row.own, row.held_since) == (os.getpid(), False, None)


# -- namespaces ---------------------------------------------------------------------------------


@pytest.fixture
def container(programs):
    """Starts programs that are process 1 in a namespace of their own."""
    tried = (
        shutil.which("unshare")
        and not subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode
    )
    if not tried:
        pytest.skip("making a PID namespace is refused here")

    def start_one(source="", module=pylmdb):
        program = programs(source, UNSHARE, module)
        assert program.ask("os.getpid()") == 1
        return program

    return start_one


def test_containers_share_a_file(container, open_env, env_path, lib_version, locks, numbers):
    make(open_env)
    first, second, third = container(), container(), container()
    for program in (first, second, third):
        assert program.ask("start()") is None
        assert program.ask("read()") == 1
    assert numbers(env_path, lib_version) == [1, FIRST, FIRST + 1]
    assert [row.pid for row in open_env().reader_list()] == [1, 1, 1]
    for n, program in enumerate((first, second, third)):
        owns = [row == n for row in range(3)]
        assert program.ask("[row.own for row in env.reader_list()]") == owns
        assert program.ask(f"put(b'%d' % {n})") is True
        assert program.ask("reader.get(b'0')") is None
    second.kill()
    assert first.ask("env.reader_check()") == 1
    first.kill()
    assert third.ask("env.reader_check()") == 1
    assert numbers(env_path, lib_version) == [FIRST + 1]


@pytest.mark.parametrize("module", [lmdb, pylmdb], ids=["py-lmdb", "pylmdb"])
def test_two_containers_of_which_one_has_another_build(
    container, open_env, env_path, lib_version, module, locks, numbers
):
    make(open_env)
    theirs, ours = container(module=module), container()
    for program in (theirs, ours):
        program.ask("start()")
        assert program.ask("read()") == 1
    assert ours.ask("env.reader_check()") == 0
    assert theirs.ask("env.reader_check()") == 0
    assert numbers(env_path, lib_version) == [1, FIRST]
    theirs.kill()
    assert ours.ask("env.reader_check()") == 1
    assert numbers(env_path, lib_version) == [FIRST]
    ours.kill()
    assert numbers(env_path, lib_version) == [FIRST]
    check = container(module=module)
    check.ask("start()")
    if module is lmdb:  # which does not check by itself
        assert check.ask("env.reader_check()") == 1
    assert numbers(env_path, lib_version) == []


def test_a_container_that_was_killed_and_started_again(container, open_env, env_path, locks):
    env = make(open_env)
    with env.begin(write=True) as txn:
        for n in range(200):
            txn.put(b"%04d" % n, bytes(1000))
    first = container()
    first.ask("start() or read()")
    first.kill()
    again = container()
    again.ask("start()")
    used = env.info().used
    for _ in range(100):
        with env.begin(write=True) as txn:
            for n in range(0, 200, 5):
                txn.put(b"%04d" % n, b"y" * 1000)
    assert env.info().used < 4 * used
    assert env.reader_list() == []


def test_a_container_writes_after_another_was_killed(container, open_env, env_path):
    """A process that never reads must not treat the slots of a dead one as its own."""
    make(open_env)
    first, second = container(), container()
    second.ask("start()")
    first.ask("start() or read()")
    assert [row.own for row in open_env().reader_list()] == [False]
    first.kill()
    size = os.path.getsize(env_path + "/data.mdb")
    assert second.ask("[put(b'k') for _ in range(500)][-1]") is True
    assert second.ask("env.reader_list()") == []
    assert os.path.getsize(env_path + "/data.mdb") <= size + (1 << 19)


# -- the writer lock ----------------------------------------------------------------------------


def word_of(path, at):
    with open(os.path.join(path, "lock.mdb"), "rb") as file:
        return struct.unpack_from("=I", file.read(), at)[0]


def take_lock(holder, path):
    """Let a program take the writer lock; return the offset of its thread's number."""
    thread = holder.ask("threading.get_native_id()")
    before = places(path, thread)
    assert holder.ask("(txn := env.begin(write=True)).put(b'k', b'held')") is True
    return min({*places(path, thread)} - {*before})


def wait_for_waiter(path, at):
    """Wait until a thread waits for the lock whose word is at ``at``; it sets a bit there."""
    until = time.monotonic() + 20
    while not word_of(path, at) >> 31:
        assert time.monotonic() < until, "nobody waits"
        time.sleep(0.001)


def test_one_that_dies_waiting_does_not_free_the_lock(programs, open_env, env_path):
    """The lock stores the number of its owner in the owner's namespace.  Here the owner gets the
    number of the waiting thread, so the kernel would take that thread for the owner."""
    env = make(open_env)
    holder, waiting = programs(), programs()
    holder.ask("start()")
    waiting.ask("start()")
    word = take_lock(holder, env_path)
    print("put(b'waiting')", file=waiting.process.stdin, flush=True)
    wait_for_waiter(env_path, word)
    write_number(env_path, word, waiting.pid - (1 << 31))
    waiting.kill()
    with pytest.raises(pylmdb.LockTimeoutError):
        env.begin(write=True, timeout=0.1)
    write_number(env_path, word, holder.pid - (1 << 31))
    assert holder.ask("txn.commit()") is None
    with env.begin(write=True, timeout=20) as txn:
        assert txn.get(b"k") == b"held"
        assert txn.get(b"waiting") is None


def test_a_container_that_dies_waiting_does_not_free_the_lock(container, open_env, env_path):
    env = make(open_env)
    holder, waiting = container(), container()
    holder.ask("start()")
    waiting.ask("start()")
    word = take_lock(holder, env_path)
    print("put(b'waiting')", file=waiting.process.stdin, flush=True)
    wait_for_waiter(env_path, word)
    waiting.kill()
    with pytest.raises(pylmdb.LockTimeoutError):
        env.begin(write=True, timeout=0.1)
    assert holder.ask("txn.commit()") is None
    assert env.begin().get(b"k") == b"held"
    holder.ask("(txn := env.begin(write=True)) and None")
    holder.kill()  # but its own end releases it
    with env.begin(write=True, timeout=20) as txn:
        txn.put(b"k", b"next")


# -- liblmdb's own calls ------------------------------------------------------------------------


def test_slots_of_threads_end_with_them(programs, open_env, env_path, lib_version, locks, numbers):
    """Without MDB_NOTLS, which libraries that embed pylmdb may leave out."""
    make(open_env).close()
    program = programs("""
from pylmdb import lowlevel
engine = lowlevel.engines()[lib_version]
lib, ffi = engine.lib, engine.ffi
def open_raw():
    global raw
    out = ffi.new("MDB_env **")
    assert not lib.mdb_env_create(out)
    raw = out[0]
    return lib.mdb_env_open(raw, path.encode(), 0, 0o600)
def begin():
    out = ffi.new("MDB_txn **")
    code = lib.mdb_txn_begin(raw, ffi.NULL, lib.MDB_RDONLY, out)
    return code or lib.mdb_txn_abort(out[0]) or 0
""")
    other = programs(LOCKER)
    other.ask(f"lock({program.pid})")
    assert program.ask("open_raw()") == 0
    assert program.ask("begin()") == 0
    assert program.ask("in_threads(begin, 3)") == [0, 0, 0]
    assert numbers(env_path, lib_version) == [FIRST]  # the main thread still runs
    assert program.ask("in_child('in_threads(os.getpid, 1) and 1')") == 1
    assert numbers(env_path, lib_version) == [FIRST]
    assert program.ask("lib.mdb_env_close(raw)") is None
    assert numbers(env_path, lib_version) == []
