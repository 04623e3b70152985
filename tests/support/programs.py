# SPDX-License-Identifier: MIT
"""Run programs of the tests in processes of their own.

What may crash, hang, fork or be killed is a program: ``run`` starts it, waits for
it, and fails the test unless it ends in time, with the status it should have, and
with nothing on stderr (an exception in a finalizer shows there).  A program finds
``path``, ``lib_version`` and the names of this module in its namespace.

Programs import this module.  So it imports in functions what only their parent needs: without
``subprocess`` it takes a quarter less time.
"""

import functools
import os
import re
import signal
import sys
import threading
import time

import dropped  # noqa: F401  (PyPy: gc.collect() as on CPython)
import fork_server
from fork_server import ForkServer, variables_of_python

import pylmdb
from pylmdb import lowlevel

ROUNDS = int(os.environ.get("PYLMDB_ROUNDS", "1"))
# How many times as many random inputs; make test-all tries more.
RANDOM_FACTOR = int(os.environ.get("PYLMDB_MODEL", "1"))
# Seconds after which something hangs, also on a machine that does much else.
PATIENCE = 120

OPTIONS = ("-X", "faulthandler", "-W", "ignore::DeprecationWarning")
PRELUDE = """\
import gc, os, signal, sys, threading, time, weakref
import pylmdb
from programs import *
path, lib_version = sys.argv[1], int(sys.argv[2])
"""
SLOW = re.compile(r"^ *(?:import|from) (numpy|pylmdb\.datasets)\b", re.MULTILINE)
# for programs that use py-lmdb alone
WITHOUT_PYLMDB = """\
import gc, os, signal, sys, threading, time, weakref
path, lib_version = sys.argv[1], int(sys.argv[2])
"""


@functools.cache
def _server(imported, variables_of_python):
    """The Python whose children run programs: it has loaded the engines, and opened nothing."""
    modules = filter(None, ["programs, pylmdb._registry, pylmdb._engine", imported])
    return ForkServer(f"import {', '.join(modules)}; pylmdb._engine.engines()", *OPTIONS)


def start(source, path, lib_version, prelude=PRELUDE, imported=""):
    """Start a program; the caller waits for it.

    ``imported`` are modules that take long to import, by default those of ``SLOW`` that it imports;
    they are there when it starts.

    It gets a new Python if it has a prelude of its own, because nothing is imported before that, or
    if a program starts it that has changed variables that matter when Python starts.
    """
    if prelude is PRELUDE:
        variables = variables_of_python()
        imported = imported or ", ".join(sorted({*SLOW.findall(source)}))
        server = fork_server.STARTED_BY or _server(imported, variables)
        if server.variables_of_python == variables:
            return server.start(PRELUDE + source, path, str(lib_version))
    return start_python(prelude + source, path, lib_version)


def start_python(source, path, lib_version, command=()):
    """Start Python for a program, by a command such as ``unshare``."""
    import subprocess

    environment = dict(os.environ)
    folders = [os.path.dirname(os.path.abspath(__file__)), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    return subprocess.Popen(
        [*command, sys.executable, *OPTIONS, "-c", source, str(path), str(lib_version)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def prelude_for(module):
    """Return the prelude of a program that uses pylmdb, or another binding and not pylmdb."""
    return PRELUDE if module is pylmdb else WITHOUT_PYLMDB


def finish(process, status=0, timeout=PATIENCE, errors=False):
    """Wait for a program, check how it ended, and return what it printed."""
    import subprocess

    __tracebackhide__ = True
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)  # faulthandler shows where it hangs
        out, err = process.communicate()
        raise AssertionError(f"the program hangs; it printed {out!r} and\n{err}") from None
    ended = process.returncode
    assert ended == status, f"status {ended}; it printed {out!r} and\n{err}"
    assert errors or not err, err
    return out


def run(
    source,
    path,
    lib_version,
    status=0,
    timeout=PATIENCE,
    errors=False,
    prelude=PRELUDE,
    imported="",
):
    """Run a program to its end and return what it printed."""
    __tracebackhide__ = True
    return finish(start(source, path, lib_version, prelude, imported), status, timeout, errors)


def occupy(env):
    """Map memory after an environment's map, so that the map cannot grow in place.

    Return a function that unmaps it.
    """
    import ctypes
    import mmap

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    native = lowlevel.engine(env)
    start = native.lib.pylmdb_env_map(lowlevel.handle(env), native.ffi.new("size_t *"))
    end = int(native.ffi.cast("uintptr_t", start)) + env.info().reserved
    size, flags = mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    assert libc.mmap(end, size, mmap.PROT_READ, flags, -1, 0) == end
    return lambda: libc.munmap(end, size)


class Rival:
    """Another process that has the same environment open and executes commands."""

    SOURCE = """\
env = txn = reader = None
print("ready", flush=True)
for line in sys.stdin:
    word, *rest = line.split()
    if env is None:
        env = pylmdb.open(path, lib_version=lib_version)
    if word == "try":
        try:
            with env.begin(write=True, timeout=float(rest[0])) as txn:
                answer = "free"
        except pylmdb.LockTimeoutError:
            answer = "held"
    elif word == "hold":
        txn = env.begin(write=True, timeout=100)
        answer = "holds"
    elif word == "drop":
        txn = txn.abort()
        answer = "dropped"
    elif word == "put":
        with env.begin(write=True, timeout=100) as txn:
            txn.put(rest[0].encode(), rest[1].encode())
        answer = "put"
    elif word == "check":
        answer = str(env.reader_check())
    elif word == "pids":
        answer = ",".join(str(row.pid) for row in env.reader_list()) or "none"
    elif word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print(answer, flush=True)
"""

    def __init__(self, path, lib_version):
        self.process = start(self.SOURCE, path, lib_version)
        assert self.process.stdout.readline() == "ready\n"

    def tell(self, *words):
        """Send a command without waiting for its answer."""
        print(*words, file=self.process.stdin, flush=True)

    def answer(self):
        """Return the answer to the oldest command without an answer."""
        return self.process.stdout.readline().strip()

    def ask(self, *words):
        """Send a command and return its answer."""
        self.tell(*words)
        return self.answer()

    def can_write(self, timeout=PATIENCE):
        """Return True if that process gets the writer lock within ``timeout`` seconds."""
        return self.ask("try", timeout) == "free"

    def reader_pids(self):
        """Return the processes in the reader table, one number for each slot in use."""
        text = self.ask("pids")
        return [] if text == "none" else [int(pid) for pid in text.split(",")]

    def kill(self):
        """Kill the process."""
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] is not None:
            self.process.kill()
        self.process.communicate()


def can_write(path, lib_version):
    """Return True if this process gets the writer lock."""
    with pylmdb.open(path, lib_version=lib_version) as env:
        return raised_by(lambda: env.begin(write=True, timeout=PATIENCE).abort()) is None


def in_child(function, *args):
    """Run ``function`` in a forked child; its exit status (-n: killed by signal n)."""
    return wait_for(start_child(function, *args))


def start_child(function, *args):
    """Fork a child that runs ``function``; ``wait_for`` returns 0 if the function returned."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        status = 70
        try:
            function(*args)
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    return pid


def wait_for(pid):
    """Return the exit status of a child process; end it if it hangs."""
    assert pid > 0, "a child has no child: kill(0) would end all processes of the tests"
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGABRT)
    os.waitpid(pid, 0)
    return "hangs"


def join(thread, timeout=None):
    """Wait until a thread is gone, which for a moment it is not when join() returns.

    Python frees its state then; with PYTHONMALLOC=debug that crashes if the
    interpreter is ending, because then the allocator is another one at times.
    """
    thread.join(timeout)
    while not thread.is_alive() and os.path.exists(f"/proc/self/task/{thread.native_id}"):
        time.sleep(0.0005)


def in_thread(function):
    """Return the result of ``function``, called in another thread."""
    results = []
    in_threads(lambda: results.append(function()))
    return results[0]


def in_threads(*functions, timeout=PATIENCE):
    """Run functions at the same time, each in a thread; re-raise what one of them raised."""
    errors = []

    def call(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(f,), daemon=True) for f in functions]
    for thread in threads:
        thread.start()
    until = time.monotonic() + timeout
    for thread in threads:
        join(thread, max(0.0, until - time.monotonic()))
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]


def raised_by(function, *args, **kwargs):
    """Return the class of the exception that a call raises, or None if it returns."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        return type(error)
    return None


def descriptors(path):
    """Return how many descriptors this process has for files below ``path``."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        found += target.startswith(str(path))
    return found


def maps(path):
    """Return how many maps of files below ``path`` this process has."""
    with open("/proc/self/maps") as file:
        return sum(str(path) in line for line in file)
