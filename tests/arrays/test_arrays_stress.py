# SPDX-License-Identifier: MIT
"""Views, arrays and snapshots are kept at random while records, maps and files change.

A value is made of its key and a version, so that whatever is held says itself what it must be:
one version for all that was read in one transaction.
"""

import gc
import os
import random
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
from open_options import at_random, of_a_new_file, of_an_open
from programs import ROUNDS, in_threads

import pylmdb
from pylmdb import arrays

SECONDS = 1.2 * ROUNDS
KEYS = 40
# in leaf pages, at their limit, and on pages of their own
SIZES = [3, 60, 230, 260, 900, 20_000]


def size_of(key):
    return SIZES[key % len(SIZES)]


def content(key, version):
    """Return the value of the record ``key`` in a version."""
    return np.arange(size_of(key), dtype="<i8") * (key + 1) + version


def assert_right(array, key, version):
    assert array.shape == (size_of(key),)
    assert array[0] == version, (key, array[0], version)
    assert np.array_equal(array, content(key, version))


class World:
    """An environment that is written to, closed and opened again, and its readers."""

    def __init__(self, path, seed, **options):
        self.path, self.options = path, options
        self.until = time.monotonic() + SECONDS
        self.version = 0
        self.held = self.writes = self.reopened = 0
        self.lock = threading.Lock()
        self.env = self.open()
        self.seed = seed
        self.write(random.Random(seed))

    def open(self):
        return pylmdb.open(self.path, **self.options)

    def write(self, rng):
        """Commit the next version of everything."""
        version = self.version + 1
        with self.env.begin(write=True) as txn:
            if rng.random() < 0.3:
                txn.drop(self.env.open_db(), delete=False)
            keys = rng.sample(range(KEYS), KEYS)
            for key in keys[:20]:
                txn.put_array(b"a%03d" % key, content(key, version))
            for key in keys[20:]:
                value = arrays.dumps(content(key, version))
                with txn.reserve(b"a%03d" % key, len(value)) as view:
                    view[:] = value
            same = np.arange(KEYS)[:, None] * 7 + np.full((KEYS, 500), version)
            txn.put_arrays(range(KEYS), same, key_format="t%03d")
            txn.put(b"z", bytes(rng.choice([10, 3000, 2_000_000])))
        self.version = version
        self.writes += 1

    def goes_on(self):
        """For its time, and on a slow machine until enough has happened."""
        now = time.monotonic()
        return now < self.until or (min(self.writes, self.held) <= 3 and now < self.until + 50)

    def writer(self):
        rng = random.Random(self.seed)
        while self.goes_on():
            self.write(rng)
            what = rng.random()
            if what < 0.1:
                with self.lock:
                    old, self.env = self.env, self.open()
                    if rng.random() < 0.5:
                        self.env.close()
                        old.close()
                        self.env = self.open()
                old.close()
                self.reopened += 1
            elif what < 0.2:
                self.env.set_mapsize(rng.randrange(64 << 20, 128 << 20))
            elif what < 0.25:
                gc.collect()

    def reader(self, seed):
        """Hold things for a while, and look at them again and again."""
        rng = random.Random(seed)
        held = []
        while self.goes_on():
            with suppress(pylmdb.ClosedError, pylmdb.BusyError):  # closed just now
                held += self.taken(rng)
            for check in rng.sample(held, min(3, len(held))):
                check()
            while len(held) > rng.randrange(1, 30):
                held.pop(rng.randrange(len(held)))
        for check in held:
            check()

    def taken(self, rng):
        """Checks of things that were read now."""
        with self.lock:
            env = self.env
        if rng.random() < 0.3:
            return self.snapshot(env, rng)
        txn = env.begin()
        version = int(txn.take([0], "i8", 500, key_format="t%03d")[0, 0])
        found = []
        for key in rng.sample(range(KEYS), 3):
            array = txn.get_array(b"a%03d" % key)
            view = txn.view(b"a%03d" % key)
            table = txn.take([key], "i8", 500, key_format="t%03d", threads=rng.choice([1, 3]))
            assert (table == version + 7 * key).all()
            found.append(lambda key=key, array=array: assert_right(array, key, version))
            found.append(lambda key=key, v=view: assert_right(arrays.loads(v), key, version))
        rng.choice([txn.abort, txn.commit, lambda: None])()
        self.held += 1
        return found

    def snapshot(self, env, rng):
        snapshot = env.snapshot()
        version = int(np.frombuffer(snapshot[KEYS], "i8")[0])
        key = rng.randrange(KEYS)
        view = snapshot[key]

        def check():
            assert_right(arrays.loads(view), key, version)
            if snapshot.closed:
                return
            numbers = np.arange(KEYS)
            found = snapshot.take(numbers + KEYS, "i8", 500, threads=2)
            assert np.array_equal(found, np.repeat(numbers[:, None] * 7 + version, 500, 1))
            assert_right(arrays.loads(snapshot[key]), key, version)
            assert len(snapshot) == 2 * KEYS + 1
            if rng.random() < 0.3:
                snapshot.close()

        self.held += 1
        return [check]

    def run(self, readers):
        calls = [lambda seed=seed: self.reader(seed) for seed in range(readers)]
        in_threads(self.writer, *calls, timeout=SECONDS + 60)
        self.env.close()


@pytest.mark.parametrize("draw", ["first", "second"])
def test_kept_views_arrays_and_snapshots_stay_unchanged(tmp_path, lib_version, draw):
    choose = at_random(random.SystemRandom())
    options = of_an_open(choose, of_a_new_file(choose, lib_version))
    options.update(max_map_size=1 << 34, max_readers=500)
    print(draw, options)
    world = World(str(tmp_path / "env"), ROUNDS, **options)
    world.run(readers=3)
    assert world.writes > 3
    assert world.held > 3
    gc.collect()
    env = world.open()
    assert env.info()["pinned"] == 0
    assert [row for row in env.reader_list() if row.held_since] == []
    assert os.path.exists(tmp_path / "env")
    env.close()
