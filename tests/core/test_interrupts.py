# SPDX-License-Identifier: MIT
"""Exceptions from signal handlers, in every operation of several steps.

Afterwards the caller has got this exception, the environment works in this and in another process,
and no descriptor, thread or file is left.
"""

import contextlib
import gc
import io
import itertools
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from random import Random

import dropped
import numpy as np
import pytest
import strikes
from strikes import Struck

import pylmdb
from pylmdb._shared import exclusive as _exclusive
from pylmdb.aio.executors import WorkerThread
from pylmdb.datasets import Dataset, Loader, Writer, build, to_memmap, to_npz

COUNT = 20


def fill(env):
    with env.begin(write=True) as txn:
        for i in range(COUNT):
            txn.put(b"%08d" % i, b"%08d" % i * 10)


@pytest.fixture(scope="module")
def neighbour():
    neighbour = strikes.Neighbour()
    yield neighbour
    neighbour.close()


class Scene:
    """A folder with an environment that is open, and what an operation may do in it."""

    def __init__(self, folder, lib_version):
        self.folder, self.lib_version = folder, lib_version
        self.path = folder / "env"
        self.env = pylmdb.open(self.path, lib_version=lib_version, sync=False)
        fill(self.env)
        self.outside = folder.parent / (folder.name + "-out")
        self.outside.mkdir()
        self._numbers = itertools.count()

    def new(self):
        """Return a path at which nothing exists yet."""
        return str(self.outside / f"new{next(self._numbers)}")

    def check(self):
        """Assert that the environment works."""
        with self.env.begin(write=True, timeout=5) as txn:
            assert txn.get(b"%08d" % 3) == b"%08d" % 3 * 10
            txn.put(b"key", b"value")
        with self.env.begin() as txn:
            assert txn.get(b"key") == b"value"


@pytest.fixture
def scene(tmp_path, lib_version, monkeypatch):
    monkeypatch.setattr(_exclusive, "WAIT", 0.003)
    (tmp_path / "scene").mkdir()
    scene = Scene(tmp_path / "scene", lib_version)
    yield scene
    gc.unfreeze()
    if scene.env is not None:
        scene.env.close()
    dropped.freeze()  # or it takes a tenth of a second in each of the tests that follow


def storm(scene, operation, most):
    """Raise the exception in ``operation(scene)``, at so many of its steps, evenly spaced."""
    operation(scene)
    scene.check()
    total = strikes.points(lambda: operation(scene))
    scene.check()  # the first write opens a descriptor of the folder
    dropped.freeze()
    before = strikes.left(scene.folder)
    step = max(1, total // most)
    numbers = range(1 + total % step, total, step)
    for number, where, struck in strikes.each(lambda: operation(scene), numbers):
        at = f"strike {number} of {total} at {where}"
        assert struck, f"{at}: another exception, or none"
        try:
            scene.check()
        except Exception as error:
            raise AssertionError(f"{at}: {error!r}") from error
        found = strikes.settled(scene.folder, before)
        assert found == before, f"{at}: {strikes.difference(found, before)}"


def compact(scene):
    scene.env.compact()


def compact_refused(scene):
    with scene.env.begin(), contextlib.suppress(pylmdb.BusyError):
        scene.env.compact()


def copy(scene):
    path = scene.new()
    os.mkdir(path)
    try:
        scene.env.copy(path)
    except Struck:
        assert os.listdir(path) in ([], ["data.mdb"])
        raise


def copy_compact(scene):
    path = scene.new()
    os.mkdir(path)
    with scene.env.begin() as txn:
        scene.env.copy(path, compact=True, txn=txn)


def copy_to_new_directory(scene):
    path = scene.new()
    try:
        scene.env.copy(path)
    except Struck:
        assert not os.path.exists(path) or os.listdir(path) == ["data.mdb"]
        raise


def rename_db(scene):
    [name] = scene.env.dbs() or [scene.env.open_db(b"a").name]
    scene.env.rename_db(name, b"b" if name == b"a" else b"a")


def copy_db(scene):
    if b"copy" in scene.env.dbs():
        with scene.env.begin(write=True) as txn:
            txn.drop(scene.env.open_db(b"copy"))
    scene.env.open_db(b"a")
    scene.env.copy_db(b"a", b"copy")


def grow_dbs(scene):
    with pylmdb.open(scene.new(), lib_version=scene.lib_version) as env:
        env._shared.grow_dbs(200)
        env.open_db(b"a")


def open_temporary(scene):
    path = scene.new() + "-temporary"
    with pylmdb.open(path, temporary=True, lib_version=scene.lib_version) as env:
        env.open_db(b"a")


def open_and_close(scene):
    env = pylmdb.open(scene.new(), lib_version=scene.lib_version)
    with env, env.begin(write=True) as txn:
        txn.put(b"k", b"v")


def open_again(scene):
    env = pylmdb.open(scene.path, readonly=True)
    env.begin()
    env.close()


def open_and_drop(scene):
    pylmdb.open(scene.new(), lib_version=scene.lib_version)


def set_mapsize(scene):
    small = scene.folder.parent / "small"
    with pylmdb.open(small, map_size=1 << 20, lib_version=scene.lib_version) as env:
        env.set_mapsize(4 << 20)
        env._shared._replace_map(8 << 20)


def write(scene):
    with scene.env.writer() as writer:
        writer.put(b"a", b"b")
        writer.call(lambda txn: txn.put(b"c", b"d"))
        writer.flush()


def write_and_drop(scene):
    writer = scene.env.writer(max_pending=1)
    writer.put(b"a", b"b")
    writer.put(b"c", b"d")


def merge(scene):
    pylmdb.merge([scene.path], scene.new())


def convert(scene):
    pylmdb.convert(scene.path, scene.new(), 1 - scene.lib_version, subdir=False)


def dump_and_load(scene):
    text = io.BytesIO()
    pylmdb.dump(scene.path, text)
    text.seek(0)
    pylmdb.load(text, scene.new())


def load_into(scene):
    text = b"VERSION=3\nformat=print\ntype=btree\nHEADER=END\n loaded\n value\nDATA=END\n"
    pylmdb.load(io.BytesIO(text), scene.env)


def verify(scene):
    assert pylmdb.verify(scene.path).ok


def call_in_a_worker_thread(scene):
    """The thread that runs the write transactions of an event loop."""
    assert WorkerThread().run_blocking(lambda: 3) == 3


def backup(scene):
    first = scene.env.backup(scene.new())
    scene.env.backup(scene.new(), since=first)


def restore(scene):
    first = scene.env.backup(scene.new())
    pylmdb.restore([first, scene.env.backup(scene.new(), since=first)], scene.new())


def restore_over(scene):
    first, path = scene.env.backup(scene.new()), scene.new()
    with pylmdb.open(path, lib_version=scene.lib_version):
        pass
    pylmdb.restore(first, path, overwrite=True)


def write_samples(scene):
    path = scene.new()
    for exist in ("error", "extend", "replace"):
        with Writer(path, exist=exist, lib_version=scene.lib_version) as writer:
            writer.append(np.arange(3))
            writer.flush()
            writer.append(np.arange(3))


def record(item):
    return b"%08d" % item, b"value"


def build_in_threads(scene):
    with ThreadPoolExecutor(1) as executor:
        build(range(8), record, scene.new(), executor=executor, shards=2, progress=False)


def load_batches(scene):
    with Dataset(scene.path, dtype="u1", shape=80, lock=True) as dataset:
        for _ in Loader(dataset, 3, prefetch=2):
            pass


def export(scene):
    with Dataset(scene.path, dtype="u1", shape=80) as dataset:
        to_npz(dataset, scene.new())
        to_memmap(dataset, scene.new())


DATA_SETS = [write_samples, build_in_threads, load_batches, export]
OPERATIONS = [
    compact, compact_refused, copy, copy_compact, copy_to_new_directory, rename_db, copy_db,
    grow_dbs, open_temporary, open_and_close, open_again, open_and_drop,
    set_mapsize, write, write_and_drop, verify, merge, convert, dump_and_load, load_into,
    backup, restore, restore_over, call_in_a_worker_thread, *DATA_SETS,
]  # fmt: skip


def end(scene, neighbour):
    """No temporary file is left, and another process can open the environment."""
    left = os.listdir(scene.outside)
    assert not [name for name in left if "." in name or name.endswith("-temporary")]
    scene.env = scene.env.close()
    assert neighbour.writes(scene.path)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_exception_at_some_points(scene, operation, neighbour):
    storm(scene, operation, 6)
    end(scene, neighbour)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_exception_at_all_points(scene, operation, neighbour):
    storm(scene, operation, 1_000_000)
    end(scene, neighbour)


@pytest.mark.slow
def test_a_timer(scene, neighbour, monkeypatch):
    """The same at random moments, from a timer, for operations without locks of the module
    threading, which cannot be interrupted everywhere (see strikes.py)."""
    # an exception in a finalizer is only printed
    monkeypatch.setattr(sys, "unraisablehook", lambda seen: None)
    random = Random(1)
    armed = False

    def strike(signum, frame):
        if armed:
            raise Struck

    before = signal.signal(signal.SIGALRM, strike)
    try:
        for _ in range(300):
            operation = random.choice([compact, copy, merge, open_and_close])
            try:
                try:
                    armed = True
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 1e-2))
                    operation(scene)
                finally:
                    armed = False
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except Struck:  # also one that is raised just before the timer is stopped
                pass
            scene.check()
    finally:
        signal.signal(signal.SIGALRM, before)
    end(scene, neighbour)
