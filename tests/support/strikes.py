# SPDX-License-Identifier: MIT
"""Raise exceptions from signal handlers at every point at which Python may raise one.

Python calls a signal handler where the interpreter looks for signals: after a call of C, at the
start of a function, and where a loop goes back.  ``each`` makes SIGINT due before the n-th of
these points by a trace function; the signal is set by the deallocation of an object, because
after that nothing more of the trace function looks for signals.
"""

import concurrent.futures
import ctypes
import dis
import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter

from programs import PATIENCE
from project import ROOT

# the instructions after or in which the interpreter looks for signals
LOOKS = {
    code
    for name, code in dis.opmap.items()
    if name.startswith(("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE", "POP_JUMP_BACKWARD"))
    or name in ("WITH_EXCEPT_START", "FOR_ITER")
}
# Inside of threading.Condition an exception that strikes can leave its lock taken for ever, or be
# replaced by a RuntimeError: Python's own, so nothing is struck there, but only before and after.
# concurrent.futures enters and leaves such conditions.
SPARED = (
    str(ROOT / "tests"),
    threading.__file__,
    os.path.dirname(concurrent.futures.__file__),
    "<frozen importlib",
)
_make_due = ctypes.pythonapi.PyErr_SetInterrupt
_make_due.argtypes, _make_due.restype = [ctypes.py_object], ctypes.c_int


class Struck(KeyboardInterrupt):
    """The exception that the handler raises."""


def _strike(signum, frame):
    raise Struck


class _Fuse:
    """An object that makes SIGINT due when it is deallocated."""


class Trace:
    """Makes SIGINT due at the n-th instruction that looks for it, outside of the tests.

    :ivar where: the line at which that was; None if there were fewer.
    """

    def __init__(self, number):
        self.left, self.where = number, None
        self._fuse = _Fuse()
        self._due = weakref.ref(self._fuse, _make_due)

    def disarm(self):
        """Stop striking."""
        self._due = None

    def __call__(self, frame, event, arg):
        if self.where or frame.f_code.co_filename.startswith(SPARED):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame, event, arg):
        if event == "opcode" and frame.f_code.co_code[frame.f_lasti] in LOOKS:
            self.left -= 1
            if not self.left:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                self._fuse = None  # the last thing: nothing from here on looks for signals
        return self._step


def points(operation):
    """Return the number of points at which ``operation()`` can be struck."""
    trace, before = Trace(0), sys.gettrace()
    trace.disarm()
    sys.settrace(trace)
    try:
        operation()
    finally:
        sys.settrace(before)
    return -trace.left


def each(operation, numbers):
    """Call ``operation()`` for each number, struck at that point; gives ``(number, where, struck)``
    after each.

    Any other exception than the one that has struck goes through.
    """
    for number in numbers:
        trace, lost = Trace(number), []
        struck = False
        before, hook = sys.gettrace(), sys.unraisablehook
        handler = signal.signal(signal.SIGINT, _strike)
        sys.unraisablehook = lambda seen, lost=lost: lost.append(seen.exc_type)
        try:
            sys.settrace(trace)
            try:
                operation()
            finally:
                sys.settrace(before)
        except Struck:
            struck = True
        finally:
            sys.settrace(before)
            signal.signal(signal.SIGINT, handler)
            sys.unraisablehook = hook
            trace.disarm()
        if trace.where is not None:
            yield number, trace.where, struck or Struck in lost


def left(folder):
    """Return what a process must release: descriptors, threads, and the files in a folder."""
    names = sorted(
        os.path.join(place, name)[len(str(folder)) :]
        for place, folders, files in os.walk(folder)
        for name in files + folders
    )
    descriptors = []
    for name in os.listdir("/proc/self/fd"):
        try:
            descriptors.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    threads = len(os.listdir("/proc/self/task"))
    return {"descriptors": sorted(descriptors), "threads": threads, "files": names}


def settled(folder, expected, patience=10.0):
    """Return the resources that are left, when they are the expected ones or ``patience`` seconds
    have passed: a thread that was told to end needs a moment."""
    until = time.monotonic() + patience
    gc.collect()
    while True:
        found = left(folder)
        found["threads"] = max(found["threads"], expected["threads"])  # another may have ended
        if found == expected or time.monotonic() > until:
            return found
        time.sleep(0.001)
        gc.collect()


def difference(found, expected):
    """Return what is left over, and what is missing."""
    names = ("descriptors", "files")
    more, less = (
        {name: sorted((Counter(a[name]) - Counter(b[name])).elements()) for name in names}
        for a, b in ((found, expected), (expected, found))
    )
    return f"left {more}, missing {less}, {found['threads'] - expected['threads']} threads"


class Neighbour:
    """Another process, which opens an environment, writes to it and closes it when it is asked."""

    SOURCE = """\
import sys, pylmdb
for line in sys.stdin:
    with pylmdb.open(line.rstrip("\\n"), subdir=None) as env:
        with env.begin(write=True, timeout=20) as txn:
            txn.put(b"neighbour", b"")
    print("done", flush=True)
"""

    def __init__(self):
        self.process = None

    def _start(self):
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", self.SOURCE]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def writes(self, path):
        """Return True if it gets the writer lock; otherwise it is ended."""
        if self.process is None:
            self._start()
        print(path, file=self.process.stdin, flush=True)
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        if ready and self.process.stdout.readline() == "done\n":
            return True
        self.close()
        return False

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
