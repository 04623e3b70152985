# SPDX-License-Identifier: MIT
"""Run programs in processes of their own that need not start Python.

Starting Python and importing pylmdb takes ten times as long as most programs of the tests.
A server does it once.  For each program it forks a child, in which the program is ``__main__`` and
has arguments, streams, variables of the environment and a session of its own.  The child ends as
Python ends: it runs finalizers and flushes its streams.

A request is one byte and five files: a pipe with a line that describes the program, its three
streams, and a pipe for its number and its exit status.  So several processes can send requests by
one socket: a program can start others by the server that has started it.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

import dropped

# -- in the server ---------------------------------------------------------------------------

# In a program: the server that has started it.
STARTED_BY = None
# Nothing stays in the namespace of ``__main__``, where the program runs.
MAIN = "import fork_server; exec(fork_server.next_program())"


def next_program():
    """Return, in a child, the program that it executes; the server ends when its stdin does."""
    global STARTED_BY
    exec(sys.argv[3], {})
    dropped.freeze()
    requests, theirs = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    STARTED_BY = Server(theirs)
    reports = {}  # from a child to the pipe for its exit status
    wakeups, wakeup = socket.socketpair()
    for each in (wakeups, wakeup):
        each.setblocking(False)
    signal.set_wakeup_fd(wakeup.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([requests, wakeups, sys.stdin], [], [])
        if sys.stdin in ready:
            os._exit(0)
        if wakeups in ready:
            wakeups.recv(4096)
            _report_ended(reports)
        if requests not in ready:
            continue
        _, (source, *streams, report), _, _ = socket.recv_fds(requests, 1, 5)
        child = os.fork()
        if not child:
            break
        os.write(report, struct.pack("i", child))
        reports[child] = report
        for each in (source, *streams):
            os.close(each)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in (requests, wakeups, wakeup):
        each.close()
    for each in (report, *reports.values()):
        os.close(each)
    with open(source, "rb") as file:
        return _become(json.loads(file.readline()), streams)


def _report_ended(reports):
    while reports:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        report = reports.pop(child)
        with contextlib.suppress(BrokenPipeError):
            os.write(report, struct.pack("i", os.waitstatus_to_exitcode(status)))
        os.close(report)


def _become(request, streams):
    """Make this process what a new Python is for the program, and return the program."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["variables"])
    sys.argv[:] = ["-c", *(os.fsdecode(word.encode("latin-1")) for word in request["arguments"])]
    del sys.modules["__main__"].fork_server
    return compile(request["source"], "<string>", "exec")


# -- in the tests, and in programs -------------------------------------------------------------


def variables_of_python():
    """Return the variables that matter when Python starts, such as LD_PRELOAD, as pairs."""
    names = ("LD_", "MALLOC_", "PYLMDB_CORE", "PYTHON")
    return tuple(sorted(each for each in os.environ.items() if each[0].startswith(names)))


class Server:
    """Starts programs by a server that takes requests from a socket.

    ``variables`` of the environment are given to the programs besides those of this process.
    """

    def __init__(self, requests, **variables):
        self.variables_of_python = variables_of_python()
        self.variables = variables
        self._requests = requests

    def start(self, source, *arguments, text=True):
        """Start a program, whose streams are pipes, of text or of bytes."""
        request = {
            "source": source,
            "arguments": [os.fsencode(word).decode("latin-1") for word in arguments],
            "variables": {**os.environ, **self.variables},
            "folder": os.getcwd(),
        }
        pipes = [os.pipe() for _ in range(5)]
        (theirs, into), (their_in, our_in), (our_out, their_out), *rest = pipes
        (our_err, their_err), (report, reported) = rest
        given = [theirs, their_in, their_out, their_err, reported]
        socket.send_fds(self._requests, [b"1"], given)
        for each in given:
            os.close(each)
        with open(into, "wb") as file:
            file.write(json.dumps(request).encode() + b"\n")
        return Process(report, our_in, our_out, our_err, text)


class ForkServer(Server):
    """A Python with the given options and variables that has executed ``preparation``."""

    def __init__(self, preparation, *options, **variables):
        import subprocess

        support = os.path.dirname(os.path.abspath(__file__))
        folders = [support, os.environ.get("PYTHONPATH", "")]
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
        requests, ours = socket.socketpair()
        super().__init__(ours, **variables)
        self._owner = os.getpid()
        numbers = [each.fileno() for each in (requests, ours)]
        with requests:
            self._process = subprocess.Popen(
                [sys.executable, *options, "-c", MAIN, *map(str, numbers), preparation],
                # Pipes, as in its children: the streams of Python note that they cannot seek.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **variables},
                pass_fds=numbers,
                start_new_session=True,
            )
        atexit.register(self.close)

    def close(self):
        """End the server; programs that are running go on."""
        atexit.unregister(self.close)
        if os.getpid() != self._owner:  # a child ends
            return
        self._requests.close()
        self._process.communicate()


class Process:
    """A program that a fork server has started: what the tests use of ``subprocess.Popen``."""

    def __init__(self, report, stdin, stdout, stderr, text):
        kind = "" if text else "b"
        self.stdin = os.fdopen(stdin, "w" + kind)
        self.stdout, self.stderr = (os.fdopen(each, "r" + kind) for each in (stdout, stderr))
        self.returncode = None
        self._report = os.fdopen(report, "rb", buffering=0)
        self._readers = []
        self.pid = self._next_report()

    def _next_report(self):
        report = self._report.read(4)
        assert report, "the fork server has ended"
        return struct.unpack("i", report)[0]

    def poll(self):
        """Return the exit status, or minus the number of the signal; None if it is running."""
        return self._status(0)

    def wait(self, timeout=None):
        """Return the exit status as soon as the program has ended."""
        if self._status(timeout) is None:
            self._raise_timeout(timeout)
        return self.returncode

    def _status(self, timeout):
        if self.returncode is None and _wait_readable(self._report, timeout):
            self.returncode = self._next_report()
            self._report.close()
        return self.returncode

    def _raise_timeout(self, timeout):
        import subprocess

        raise subprocess.TimeoutExpired(f"program {self.pid}", timeout)

    def send_signal(self, number):
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """Kill the program."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, input=None, timeout=None):
        """Write the input, wait for the end, and return what is printed to stdout and stderr."""
        until = None if timeout is None else time.monotonic() + timeout
        if not self._readers:
            self._readers = [_Reader(stream) for stream in (self.stdout, self.stderr)]
            with contextlib.suppress(BrokenPipeError), self.stdin:
                if input:
                    self.stdin.write(input)
        for reader in self._readers:
            reader.join(until and max(0, until - time.monotonic()))
            if reader.is_alive():
                self._raise_timeout(timeout)
        self.wait(until and max(0, until - time.monotonic()))
        return tuple(reader.found for reader in self._readers)


class _Reader(threading.Thread):
    """Reads a stream to its end."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.found = stream, None
        self.start()

    def run(self):
        with self.stream:
            self.found = self.stream.read()


def _wait_readable(file, timeout):
    """Return False if nothing can be read within ``timeout`` seconds."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))
