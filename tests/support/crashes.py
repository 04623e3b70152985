# SPDX-License-Identifier: MIT
"""Run a writer that is killed, and compare the file with what it must hold.

The transactions of a writer are numbered, and what each of them does follows from a seed, the
writer and the number.  So a file is compared, record by record, with what its writers' numbers
say: a transaction that is there in part shows, and so does one that is lost.
"""

import contextlib
import functools
import json
import os
import random
import select
import shutil
import signal
import struct
import time

import recorder
from lmdb import verify
from programs import PATIENCE, in_child, wait_for

import pylmdb

# Every way to write, by what a crash may cost.
MODES = {
    "default": {},
    "writemap": {"writemap": True},
    "metasync=False": {"metasync": False},
    "metasync=False, writemap": {"metasync": False, "writemap": True},
    "sync=False": {"sync": False},
    "sync=False, writemap": {"sync": False, "writemap": True},
    "map_async, writemap": {"map_async": True, "writemap": True},
    "lock=False": {"lock": False},
}
DATABASES = (b"left", b"right")
KEYS = 40
SIZES = (0, 10, 100, 100, 700, 1500, 3000, 5000, 20_000)
GROWTH = {"map_size": 1 << 16, "max_map_size": 1 << 30}  # so it is reached early and often


def open_env(path, lib_version, options):
    return pylmdb.open(path, lib_version=lib_version, **GROWTH, **options)


def changes(seed, writer, number):
    """Return the steps of a transaction: (database, key, size), where size None deletes the key.

    No key comes twice.  If a transaction replaces its own large value by a smaller one, liblmdb
    leaves pages behind the value.  That is harmless, but py-lmdb's ``verify`` reports damage.
    """
    chance = random.Random(f"{seed} {writer} {number}")
    for choice in chance.sample(range(KEYS), chance.randrange(1, 10)):
        size = chance.choice(SIZES) * (1 + number // 50)
        name, key = chance.choice(DATABASES), b"%d-%d" % (writer, choice)
        yield name, key, size if chance.random() < 0.7 else None
    for name in DATABASES:
        yield name, b"%d" % writer, 30


def value(key, number, size):
    """Return the value that transaction ``number`` stores; no two transactions store the same."""
    word = b"%d:%s;" % (number, key)
    return (word * (size // len(word) + 1))[:size]


@functools.cache
def _states(seed, writer):
    return [{}]


def state(seed, writer, number):
    """Return the records that a writer's transactions leave: {(database, key): (number, size)}."""
    known = _states(seed, writer)
    while len(known) <= number:
        now = dict(known[-1])
        for name, key, size in changes(seed, writer, len(known)):
            now.pop((name, key), None)
            if size is not None:
                now[name, key] = len(known), size
        known.append(now)
    return known[number]


def write(env, handles, seed, writer, number):
    """Make transaction ``number``."""
    with env.begin(write=True, timeout=PATIENCE) as txn:
        for name, key, size in changes(seed, writer, number):
            if size is None:
                txn.delete(key, db=handles[name])
            else:
                assert txn.put(key, value(key, number, size), db=handles[name])


def contents(env):
    """Return {(database, key): value} of one snapshot."""
    found = {}
    with env.begin() as txn:
        for name in DATABASES:
            with contextlib.suppress(pylmdb.NotFoundError):
                handle = env.open_db(name, txn=txn, create=False)
                found.update(((name, key), data) for key, data in txn.cursor(db=handle))
    return found


def numbers(found):
    """Find the last transaction of every writer from the records."""
    first = DATABASES[0]
    return {
        int(key): int(data.split(b":")[0])
        for (name, key), data in found.items()
        if name == first and b"-" not in key
    }


def compare(found, seed):
    """Raise if a transaction is there in part; return the numbers of the last ones."""
    there = numbers(found)
    wanted = {}
    for writer, number in there.items():
        for (name, key), (by, size) in state(seed, writer, number).items():
            wanted[name, key] = value(key, by, size)
    wrong = sorted(at for at in found.keys() | wanted.keys() if found.get(at) != wanted.get(at))
    assert not wrong, (there, wrong)
    return there


def in_fresh_process(function, *args):
    """Return the result of a function in a process that has opened nothing yet.

    If the function does not return, return (None, status)."""
    answer, mouth = os.pipe()

    def call():
        os.write(mouth, json.dumps(function(*args)).encode())

    status = in_child(call)
    os.close(mouth)
    with open(answer, "rb") as file:
        text = file.read()
    return (json.loads(text), status) if status == 0 else (None, status)


# -- killed processes ---------------------------------------------------------------------


class Writer:
    """Run a process that writes until it is killed, and reports each commit."""

    FORMAT = struct.Struct("I")

    def __init__(self, path, lib_version, options, seed, writer):
        self.place, self.seed, self.writer = (path, lib_version, options), seed, writer
        self.answers, self.mouth = os.pipe()
        self.last = 0
        self.pid = os.fork()
        if not self.pid:
            try:
                os.close(self.answers)
                self._write()
            except BaseException as error:
                print(repr(error), flush=True)
            finally:
                os._exit(70)
        os.close(self.mouth)

    def _write(self):
        self.chance, self.reader = random.Random(), None
        env = open_env(*self.place)
        number = numbers(contents(env)).get(self.writer, 0)
        while True:
            number += 1
            handles = {name: env.open_db(name) for name in DATABASES}
            write(env, handles, self.seed, self.writer, number)
            os.write(self.mouth, self.FORMAT.pack(number))
            env = self._rest(env)

    def _rest(self, env):
        """Work between two transactions; return the environment for the next one."""
        if self.chance.random() < 0.1:  # dies with a reader slot, or without
            self.reader = env.begin() if self.reader is None else self.reader.abort()
        return env

    def hear(self, timeout=0.0):
        """Read the reports of the process; return True if there were any."""
        if not select.select([self.answers], [], [], timeout)[0]:
            return False
        text = os.read(self.answers, 1 << 16)
        if text:
            self.last = self.FORMAT.unpack(text[-self.FORMAT.size :])[0]
        return bool(text)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        status = wait_for(self.pid)
        assert status == -signal.SIGKILL, status
        while self.hear():
            pass
        os.close(self.answers)


class Compactor(Writer):
    """Compact the environment between transactions, unless another process has it open."""

    def _rest(self, env):
        with contextlib.suppress(pylmdb.BusyError):
            env.compact()
        return env


class Visitor(Writer):
    """Open the environment for each transaction."""

    def _rest(self, env):
        env.close()
        return open_env(*self.place)


class Copier(Writer):
    """Copy the environment between transactions."""

    def _rest(self, env):
        folder = f"{env.path()}.copy{self.writer}"
        os.mkdir(folder)
        env.copy(folder, compact=self.chance.random() < 0.5)
        assert look_at_copy(folder, self.place[1], self.seed)[str(self.writer)] >= self.last
        shutil.rmtree(folder)
        return env


def look(path, lib_version, options, seed, quiet, compacts):
    """Check the records after a writer was killed, and that the next writer can write."""
    env = open_env(path, lib_version, options)
    there = compare(contents(env), seed)
    if quiet or options.get("lock", True):
        with env.begin(write=True, timeout=PATIENCE) as txn:
            txn.put(b"another", b"writer")
    if quiet and compacts:
        env.compact()
        assert sorted(os.listdir(path)) == ["data.mdb", "lock.mdb"]
    env.close()
    if quiet:
        problems = verify.verify(path, subdir=True)
        assert problems == [], problems
    return sorted(there.items())


def look_at_copy(path, lib_version, seed):
    """Check a copy that may be unfinished: it is refused, or empty, or complete."""
    try:
        env = open_env(path, lib_version, {})
    except pylmdb.CorruptedError:
        return {}
    with env:
        return {str(writer): last for writer, last in compare(contents(env), seed).items()}


def kill_writers(path, lib_version, options, kills, seed, kinds=(Writer,)):
    """Kill writers at random moments, one of several or all, until ``kills`` were made."""
    chance = random.Random(seed)
    committed = killed = 0
    os.mkdir(path)
    while killed < kills:
        place = os.path.join(path, str(killed))
        there: dict[int, int] = {}
        for _ in range(8):
            count = 1 if options.get("lock") is False else chance.choice([1, 1, 2, 3])
            writers = {
                writer: kinds[writer % len(kinds)](place, lib_version, options, seed, writer)
                for writer in range(min(count, kills - killed))
            }
            while writers:
                if chance.random() < 0.9:  # else it may still be opening
                    assert all(each.hear(PATIENCE) for each in writers.values()), "no one commits"
                time.sleep(chance.choice([0.001, 0.01, 0.05]) * chance.random())
                number = chance.choice(list(writers))
                dead = writers.pop(number)
                dead.kill()
                killed += 1
                for each in writers.values():
                    each.hear()
                known = {
                    writer: max(there.get(writer, 0), each.last)
                    for writer, each in {number: dead, **writers}.items()
                }
                known = {**there, **known}
                copy = f"{place}.copy{number}"
                if os.path.exists(copy):
                    _, status = in_fresh_process(look_at_copy, copy, lib_version, seed)
                    assert status == 0, (seed, killed, status)
                    shutil.rmtree(copy)
                found, status = in_fresh_process(
                    look, place, lib_version, options, seed, not writers, Compactor in kinds
                )
                assert status == 0, (seed, killed, status)
                found = dict(found)
                for writer, last in known.items():
                    now = found.get(writer, 0)
                    assert now >= last, f"seed {seed}: writer {writer} lost {now}..{last}"
                    assert writer in writers or now <= last + 1, (seed, now, last)
                committed += sum(found.values()) - sum(there.values())
                there = found
            if killed >= kills:
                break
    return {"kills": killed, "transactions": committed}


# -- power failures -----------------------------------------------------------------------


def write_recorded(recorder, path, lib_version, options, seed, transactions):
    """Write, and report each commit, until the power fails."""
    recorder.recorder_start(os.fsencode(path + ".log"))
    env = open_env(path, lib_version, options)
    handles = {name: env.open_db(name) for name in DATABASES}
    for number in range(1, transactions + 1):
        write(env, handles, seed, 0, number)
        recorder.recorder_acknowledge(number)
    recorder.recorder_stop()


def look_at_image(path, lib_version, seed):
    """Return what is wrong with a file after a power failure, or its last transaction."""
    try:
        env = open_env(path, lib_version, {"sync": False})
    except pylmdb.Error as error:
        return {"cannot be opened": repr(error)}
    try:
        there = compare(contents(env), seed).get(0, 0)
        env.close()
        problems = verify.verify(path, subdir=True)
        env = open_env(path, lib_version, {"sync": False})
        write(env, {name: env.open_db(name) for name in DATABASES}, seed, 0, there + 1)
        assert compare(contents(env), seed) == {0: there + 1}
        env.close()
        problems += verify.verify(path, subdir=True)
    except Exception as error:
        return {"damaged": repr(error)}
    return {"damaged": problems} if problems else {"last": there}


def fail_power(path, lib_version, seed, images):
    """Check the files that power failures at random moments of a recording leave."""
    chance = random.Random(seed)
    log = list(recorder.events(path + ".log"))
    disk, done = recorder.Disk(), 0
    place = path + ".image"
    for moment in sorted(chance.choices(range(len(log) + 1), k=images)):
        for event in log[done:moment]:
            disk.happen(*event)
        done, in_order = moment, chance.random() < 0.5
        os.makedirs(place)
        with open(os.path.join(place, "data.mdb"), "wb") as file:
            file.write(disk.image(chance, in_order))
        if chance.random() < 0.5:  # the lock file is never flushed
            with open(os.path.join(place, "lock.mdb"), "wb") as file:
                file.write(chance.randbytes(chance.choice([0, 100, 8192, 10_000])))
        found, status = in_fresh_process(look_at_image, place, lib_version, seed)
        shutil.rmtree(place)
        found = found or {"damaged": f"ends the process: {status}"}
        if "last" in found:
            assert found["last"] <= disk.acknowledged + 1, (seed, moment, found)
            found["lost"] = max(0, disk.acknowledged - found.pop("last"))
        yield {"moment": moment, "in_order": in_order, "acknowledged": disk.acknowledged, **found}
