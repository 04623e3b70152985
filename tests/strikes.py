# SPDX-License-Identifier: MIT
"""Exceptions out of signal handlers, at every point at which Python may raise one.

Python calls a signal handler where the interpreter looks for signals: after a call of C, at the
start of a function, and where a loop goes back.  ``each`` makes SIGINT due before the n-th of
these points, for one n after the other, by a trace function; the signal is set by the deallocation
of an object, because after that nothing more of the trace function looks for signals.
"""

import ctypes
import dis
import gc
import os
import signal
import sys
import threading
import weakref
from pathlib import Path

# the instructions after or in which the interpreter looks for signals
LOOKS = {
    code
    for name, code in dis.opmap.items()
    if name.startswith(("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE", "POP_JUMP_BACKWARD"))
    or name in ("WITH_EXCEPT_START", "FOR_ITER")
}
TESTS = str(Path(__file__).parent)
_make_due = ctypes.pythonapi.PyErr_SetInterrupt
_make_due.argtypes, _make_due.restype = [ctypes.py_object], ctypes.c_int


class Struck(BaseException):
    """What the handler raises."""


def _strike(*_):
    raise Struck


class _Fuse:
    """SIGINT is due when it dies."""


class Trace:
    """Makes SIGINT due at the n-th instruction that looks for it, outside of the tests.

    :ivar where: the line at which that was; None if there were fewer.
    """

    def __init__(self, number):
        self.left, self.where = number, None
        self._fuse = _Fuse()
        self._due = weakref.ref(self._fuse, _make_due)

    def disarm(self):
        """Nothing is struck any more."""
        self._due = None

    def __call__(self, frame, event, arg):
        if self.where or frame.f_code.co_filename.startswith((TESTS, "<frozen importlib")):
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


def each(operation, step=1, first=1):
    """Call ``operation()`` again and again, each time struck at a later point, until it is done
    before that; gives ``(number, where, struck)`` after each.

    Any other exception than the one that has struck goes through.
    """
    number = first
    while True:
        trace = Trace(number)
        before, handler, hook = sys.gettrace(), signal.signal(signal.SIGINT, _strike), sys.unraisablehook
        lost = []
        sys.unraisablehook = lambda seen: lost.append(seen.exc_type)
        struck = False
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
        struck = struck or Struck in lost
        if trace.where is None:
            trace.disarm()
            return
        yield number, trace.where, struck
        number += step


def left(folder):
    """What a process has that it must give back: descriptors, threads, and the files in a folder."""
    gc.collect()
    names = sorted(
        os.path.join(place, name)[len(str(folder)):]
        for place, _, files in os.walk(folder) for name in files
    )
    descriptors = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            descriptors[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return {
        "descriptors": sorted(descriptors.values()),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "files": names,
    }
