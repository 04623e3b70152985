# SPDX-License-Identifier: MIT
"""Run a process that opens an environment and evaluates expressions, with either binding."""

import os
import signal

from programs import prelude_for, start, start_python

import pylmdb


class Program:
    """Run a process that evaluates expressions; ``env`` is the environment once it is opened."""

    SOURCE = """
import importlib
lmdb = importlib.import_module(NAME)
def start():
    global env
    env = lmdb.open(path, sync=False, lib_version=lib_version)
def put(key):
    with env.begin(write=True) as txn:
        return txn.put(key, b"v")
def read():
    global reader
    reader = env.begin()
    return reader.id()
def in_child(expression):
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.write(into, repr(eval(expression)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return eval(os.read(out, 1000))
def in_threads(function, count):
    results = []
    threads = [threading.Thread(target=lambda: results.append(function())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
        while os.path.exists(f"/proc/self/task/{thread.native_id}"):
            time.sleep(0.001)  # it runs what C has to do at the end of a thread
    return results
%s
print("ready", flush=True)
for line in sys.stdin:
    try:
        answer = eval(line)
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(repr(answer), flush=True)
"""

    def __init__(self, path, lib_version, source="", command=(), module=pylmdb):
        source = f"NAME = {module.__name__!r}" + self.SOURCE % source
        prelude = prelude_for(module)
        if command:
            self.process = start_python(prelude + source, path, lib_version, command)
        else:
            self.process = start(source, path, lib_version, prelude)
        self.pid = self.process.pid
        assert self.process.stdout.readline() == "ready\n"
        if command:  # it is the child of the command, which ends with it
            with open(f"/proc/{self.pid}/task/{self.pid}/children") as children:
                self.pid = int(children.read())

    def ask(self, expression):
        print(expression, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, "the program has ended"
        return eval(line)

    def kill(self):
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    def end(self):
        self.kill()
        self.process.communicate()
