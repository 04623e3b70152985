# SPDX-License-Identifier: MIT
"""Records that are appended many at a time: their pages are built and written before the commit
(lib/liblmdb/bulk.c).

Random programs append batches, then change what they have appended in the same transaction, in
every way; what is in the file afterwards is compared with a model, by us, by verify() and by
py-lmdb.
"""

import os
import random
import shutil
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import lmdb
import numpy
import pytest
from programs import ROUNDS, start

import pylmdb
from pylmdb.verify import verify

KINDS = {
    None: {},
    b"plain": {},
    b"numbers": {"integerkey": True},
    b"reverse": {"reverse_key": True},
    b"dups": {"dupsort": True},
    b"fixed": {"dupsort": True, "dupfixed": True},
    b"integers": {"dupsort": True, "dupfixed": True, "integerdup": True},
}
SEED = int(os.environ.get("PYLMDB_SEED", random.getrandbits(32)))


def key_of(kind, number):
    if kind == b"numbers":
        return struct.pack("=Q", number)
    text = b"z%07d" % number  # behind the names of databases
    return text[::-1] if kind == b"reverse" else text


def order(kind):
    """Return the order of a database's keys, as a key for sorted()."""
    if kind == b"numbers":
        return lambda key: struct.unpack("=Q", key)
    return (lambda key: key[::-1]) if kind == b"reverse" else lambda key: key


def value_order(kind):
    if kind == b"integers":
        return lambda value: struct.unpack("=I", value)
    return lambda value: value


class Program:
    """One random program, and the model of what it has stored."""

    def __init__(self, env, rng, sizes):
        self.env, self.rng, self.sizes = env, rng, sizes
        self.counts = [1, 5, 60, 300] if max(sizes) > 10_000 else [1, 5, 60, 400, 1500]
        self.dbs = {kind: env.open_db(kind, **flags) for kind, flags in KINDS.items()}
        self.model = {kind: {} for kind in KINDS}
        self.next = dict.fromkeys(KINDS, 1)

    def value(self, kind):
        rng = self.rng
        if kind in (b"fixed", b"integers"):
            return struct.pack("=I", rng.randrange(1 << 20))
        if kind == b"dups":
            return rng.randbytes(rng.choice([1, 8, 60, 300]))
        return rng.randbytes(rng.choice(self.sizes))

    def is_dup(self, kind):
        return "dupsort" in KINDS[kind]

    def batch(self, kind, count):
        """Return records behind the last one, and put them into the model."""
        records, model = [], self.model[kind]
        while len(records) < count:
            key = key_of(kind, self.next[kind])
            self.next[kind] += self.rng.choice([1, 1, 1, 7])
            if not self.is_dup(kind):
                records.append((key, self.value(kind)))
                model[key] = records[-1][1]
                continue
            number = self.rng.choice([1, 1, 2, 5, 40, 300, 2000 if len(records) < 9 else 1])
            values = {self.value(kind) for _ in range(number)}
            model[key] = values
            records += [(key, value) for value in sorted(values, key=value_order(kind))]
        return records

    def append(self, txn):
        kind = self.rng.choice(list(KINDS))
        records = self.batch(kind, self.rng.choice(self.counts))
        cursor = txn.cursor(self.dbs[kind])
        give = self.rng.choice([list, iter, lambda records: (each for each in records)])
        assert cursor.putmulti(give(records), append=True) == (len(records), len(records))
        assert cursor.item() == records[-1]
        cursor.close()

    def append_arrays(self, txn):
        kind = self.rng.choice([None, b"plain", b"numbers", b"reverse"])
        count, size = self.rng.choice(self.counts), self.rng.choice(self.sizes) or 1
        values = numpy.frombuffer(self.rng.randbytes(count * size), "u1").reshape(count, size)
        keys = [key_of(kind, self.next[kind] + i) for i in range(count)]
        self.next[kind] += count
        self.model[kind].update(zip(keys, map(bytes, values), strict=True))
        keys = numpy.frombuffer(b"".join(keys), "=u8" if kind == b"numbers" else "S8")
        assert txn.put_arrays(keys, values, db=self.dbs[kind]) == count

    def some_key(self, kind):
        """Return a key that is there, most of the time one that was appended lately."""
        keys = list(self.model[kind])
        return self.rng.choice(keys[-200:] if self.rng.random() < 0.7 else keys)

    def change(self, txn):
        for _ in range(self.rng.choice([1, 10, 100])):
            kind = self.rng.choice(list(KINDS))
            if not self.model[kind]:
                continue
            key, db = self.some_key(kind), self.dbs[kind]
            what = self.rng.choice(["put", "delete", "replace", "cursor"])
            if self.is_dup(kind):
                self.change_duplicates(txn, kind, key, what)
            elif what == "put":
                self.model[kind][key] = value = self.value(kind)
                assert txn.put(key, value, db=db)
            elif what == "replace":
                value = self.value(kind)
                assert txn.replace(key, value, db=db) == self.model[kind][key]
                self.model[kind][key] = value
            elif what == "delete":
                assert txn.delete(key, db=db)
                del self.model[kind][key]
            else:
                with txn.cursor(db) as cursor:
                    assert cursor.set_key(key)
                    assert cursor.value() == self.model[kind].pop(key)
                    assert cursor.delete()

    def change_duplicates(self, txn, kind, key, what):
        values, db = self.model[kind][key], self.dbs[kind]
        if what in ("put", "replace"):
            value = self.value(kind)
            assert txn.put(key, value, dupdata=False, db=db) == (value not in values)
            values.add(value)
        elif what == "cursor":
            assert txn.delete(key, db=db)
            del self.model[kind][key]
        else:
            value = self.rng.choice(sorted(values))
            assert txn.delete(key, value, db=db)
            values.remove(value)
            if not values:
                del self.model[kind][key]

    def drop(self, txn):
        kind = self.rng.choice(list(KINDS)[1:])
        txn.drop(self.dbs[kind], delete=False)
        self.model[kind] = {}

    def nested(self, txn):
        saved = {
            kind: {k: v.copy() if isinstance(v, set) else v for k, v in records.items()}
            for kind, records in self.model.items()
        }
        with self.env.begin(write=True, parent=txn) as child:
            self.steps(child, 3)
            if self.rng.random() < 0.5:
                child.abort()
                self.model = saved

    def other_cursor(self, txn):
        """Append while other cursors are on the database's records; they stay there."""
        kind = self.rng.choice([None, b"plain", b"numbers", b"reverse"])
        if not self.model[kind]:
            return
        cursors = [txn.cursor(self.dbs[kind]) for _ in range(3)]
        cursors[0].last(), cursors[1].first(), cursors[2].set_key(self.some_key(kind))
        items = [cursor.item() for cursor in cursors]
        records = self.batch(kind, max(self.counts))
        txn.cursor(self.dbs[kind]).putmulti(records, append=True)
        assert [cursor.item() for cursor in cursors] == items
        rest = self.records(kind)
        assert list(cursors[2]) == rest[rest.index(items[2]) :]
        if len(rest) > len(records) + 1:
            assert cursors[0].prev()
            assert cursors[0].item() == rest[-len(records) - 2]
        for cursor in cursors:
            cursor.close()

    def steps(self, txn, count, nested=True):
        steps = [
            self.append,
            self.append,
            self.append_arrays,
            self.change,
            self.change,
            self.drop,
            self.other_cursor,
        ]
        for _ in range(count):
            self.rng.choice(steps)(txn)
        if self.rng.random() < 0.3:
            self.check(txn)

    def records(self, kind):
        if not self.is_dup(kind):
            return sorted(self.model[kind].items(), key=lambda item: order(kind)(item[0]))
        return [
            (key, value)
            for key in sorted(self.model[kind])
            for value in sorted(self.model[kind][key], key=value_order(kind))
        ]

    def check(self, txn):
        for kind, db in self.dbs.items():
            found = [
                (key, value)
                for key, value in txn.cursor(db)
                if kind is not None or key.rstrip(b"\0") not in KINDS
            ]
            assert found == self.records(kind), kind

    def run(self, transactions):
        reader = self.env.begin()
        for _ in range(transactions):
            saved = {
                kind: {k: v.copy() if isinstance(v, set) else v for k, v in records.items()}
                for kind, records in self.model.items()
            }
            with self.env.begin(write=True) as txn:
                self.steps(txn, self.rng.choice([1, 4, 8]))
                if self.rng.random() < 0.4 and not self.env.flags().get("writemap"):
                    self.nested(txn)
                    self.steps(txn, 2)
                if self.rng.random() < 0.2:
                    txn.abort()
                    self.model = saved
            if self.rng.random() < 0.5:
                reader.abort()
                reader = self.env.begin()
                self.check(reader)
        reader.abort()


def saved_by_py_lmdb(path, lib_version, dbs):
    with lmdb.open(path, max_dbs=16, lib_version=lib_version, readonly=True) as env:
        handles = {kind: env.open_db(kind) for kind in dbs}
        with env.begin() as txn:
            return {kind: list(txn.cursor(handles[kind])) for kind in dbs}


@pytest.mark.parametrize(
    "sizes", [(0, 20, 100), (1, 40, 900, 3000, 20_000)], ids=["small", "large"]
)
@pytest.mark.parametrize(
    "options", [{}, {"writemap": True}, {"map_size": 1 << 27}], ids=["default", "writemap", "fixed"]
)
def test_random_programs_leave_what_the_model_has(open_env, env_path, lib_version, sizes, options):
    rng = random.Random(f"{SEED} {sizes} {options} {lib_version}")
    print(f"PYLMDB_SEED={SEED}")
    page_size = rng.choice([None, 2048, 4096, 16384, 65536 if lib_version else 32768])
    env = open_env(max_dbs=16, sync=False, page_size=page_size, **options)
    program = Program(env, rng, sizes)
    program.run(4 * ROUNDS)
    with env.begin() as txn:
        program.check(txn)
    env.close()
    assert verify(env_path) == []
    found = saved_by_py_lmdb(env_path, lib_version, [kind for kind in KINDS if kind])
    assert found == {kind: program.records(kind) for kind in KINDS if kind}


# -- crashes ------------------------------------------------------------------------------------

KILLED = """
env = pylmdb.open(path, lib_version=lib_version, max_dbs=4, writemap=writemap)
dbs = [None, env.open_db(b"other"), env.open_db(b"dups", dupsort=True)]
tree = env.open_db(b"tree", dupsort=True, dupfixed=True)
count = 0
while True:
    with env.begin(write=True) as txn:
        for db in dbs:
            items = [(b"z%08d" % i, b"%d" % count + b"v" * (i % 5 * 100)) for i in
                     range(count, count + 2000)]
            txn.cursor(db).putmulti(items, append=True)
        values = [(b"%08d" % count, b"%08d" % i) for i in range(2000)]
        txn.cursor(tree).putmulti(values, append=True)
        txn.delete(b"z%08d" % (count + 7))
        txn.put(b"z%08d" % (count + 7), b"w" * 9000)
    count += 2000
    print(count, flush=True)
"""


@pytest.mark.parametrize("writemap", [False, True])
def test_a_killed_process_leaves_whole_transactions(env_path, lib_version, writemap):
    for _ in range(3 * ROUNDS):
        shutil.rmtree(env_path, ignore_errors=True)
        process = start(f"writemap = {writemap}\n" + KILLED, env_path, lib_version)
        reports = [process.stdout.readline() for _ in range(2)]
        time.sleep(random.random() / 20)
        process.kill()
        reports += process.stdout.read().splitlines()
        process.communicate()
        committed = int([each for each in reports if each][-1])
        with pylmdb.open(env_path, lib_version=lib_version, max_dbs=4) as env, env.begin() as txn:
            names = (b"other", b"dups", b"tree")
            counts = {txn.stat(env.open_db(name, txn)).entries for name in names}
            (count,) = counts
            assert count in (committed, committed + 2000)
            assert txn.stat().entries == count + 3
            assert txn.get(b"z%08d" % (count - 1993)) == b"w" * 9000
        assert verify(env_path) == []


def test_nothing_is_visible_before_the_commit_and_an_abort_gives_the_pages_back(env, env_path):
    items = [(b"%08d" % i, b"v" * 100) for i in range(20_000)]
    sizes = []
    for _ in range(3):
        with env.begin(write=True) as txn:
            txn.cursor().putmulti(items, append=True)
            sizes.append(os.stat(os.path.join(env_path, "data.mdb")).st_size)
            with ThreadPoolExecutor() as pool:
                assert pool.submit(lambda: list(env.begin().cursor())).result() == []
            txn.abort()
        assert env.stat().entries == 0
    assert sizes[0] > 2_000_000  # most of it was written
    assert sizes == sizes[:1] * 3


# -- pages ----------------------------------------------------------------------------------------


def leaf_pages(env, items, **options):
    """Return how many leaf pages records take that are appended, all at once and one by one."""
    found = []
    for name in (b"at once", b"one by one"):
        db = env.open_db(name, **options)
        with env.begin(db=db, write=True) as txn:
            if name == b"at once":
                txn.cursor().putmulti(items, append=True)
            else:
                for key, value in items:
                    txn.put(key, value, append=True)
            found.append(txn.stat(db).leaf_pages)
    return found


@pytest.mark.parametrize("size", [0, 8, 33, 100, 777, 2010])
def test_pages_are_as_full_as_those_of_appended_records(open_env, size):
    env = open_env(max_dbs=4)
    at_once, one_by_one = leaf_pages(env, [(b"%08d" % i, bytes(size)) for i in range(3000)])
    assert at_once == one_by_one


def test_the_same_records_make_the_same_file(open_env, tmp_path):
    """What is left of a page has nothing of the page that was in the same memory before."""
    files = []
    for name, other in (("a", b"x"), ("b", b"y")):
        with open_env(tmp_path / name, max_dbs=4) as env:
            dbs = [env.open_db(b"1"), env.open_db(b"2", dupsort=True)]
            with env.begin(write=True) as txn:  # leaves traces in memory
                txn.cursor().putmulti([(b"%05d" % i, other * 90) for i in range(5000)], append=True)
                txn.abort()
            items = [(b"%05d" % (i // 3), b"%07d" % i + b"v" * (i % 99)) for i in range(9000)]
            with env.begin(write=True) as txn:
                txn.cursor(dbs[0]).putmulti(items[::3], append=True)
                txn.cursor(dbs[1]).putmulti(items, append=True)
        files.append((tmp_path / name / "data.mdb").read_bytes())
    assert files[0] == files[1]


def test_values_of_a_key_take_no_more_room_than_they_need(open_env):
    env = open_env(max_dbs=4)
    items = [(b"%08d" % (i // 2), b"%06d" % i) for i in range(20_000)]
    at_once, one_by_one = leaf_pages(env, items, dupsort=True)
    assert at_once <= one_by_one


@pytest.mark.parametrize("width", [1, 2, 3, 8, 200])
def test_values_of_one_width(open_env, env_path, width):
    env = open_env(max_dbs=2)
    db = env.open_db(b"fixed", dupsort=True, dupfixed=True)
    rng = random.Random(width)
    model = {}
    for i in range(2000):
        count = rng.choice([1, 2, 3, 7, 30])
        model[b"%05d" % i] = sorted({rng.randbytes(width) for _ in range(count)})
    with env.begin(db, write=True) as txn:
        items = [(key, value) for key, values in model.items() for value in values]
        assert txn.cursor().putmulti(items, append=True) == (len(items), len(items))
        for key in rng.sample(list(model), 300):
            value = rng.choice(model[key])
            assert txn.delete(key, value)
            assert txn.put(key, value)
    with env.begin(db) as txn:
        cursor = txn.cursor()
        assert list(cursor) == items
        found = cursor.getmulti(list(model), dupdata=True, dupfixed_bytes=width)
        assert [(key, bytes(value)) for key, value in found] == items
    env.close()
    assert verify(env_path) == []


def test_free_pages_are_used_again(env, env_path):
    """A database that is emptied and filled again does not make the file longer each time."""
    items = [(b"%08d" % i, b"v" * 100) for i in range(20_000)]
    db = env.open_db(b"again")
    sizes = []
    for _ in range(8):
        with env.begin(write=True) as txn:
            txn.drop(db, delete=False)
            txn.cursor(db).putmulti(items, append=True)
        sizes.append(os.stat(os.path.join(env_path, "data.mdb")).st_size)
    assert sizes[-1] < 1.05 * sizes[2]
    assert verify(env_path) == []


def pages_after_replacing(env, append):
    """Replace half of the records at random, many times; return how long the file is."""
    rng, keys, count = random.Random(1), [], 0
    for _ in range(20):
        with env.begin(write=True) as txn:
            rng.shuffle(keys)
            for key in keys[len(keys) // 2 :]:
                txn.delete(key)
            del keys[len(keys) // 2 :]
            items = []
            while len(keys) < 500:
                keys.append(b"%08d" % count)
                items.append((keys[-1], bytes(rng.choice([100, 3000]))))
                count += 1
            append(txn.cursor(), items)
    return env.info()["last_pgno"]


def test_free_pages_that_are_not_in_a_row_are_used_again(open_env, tmp_path):
    """The file becomes about as long as with single puts."""

    def put(cursor, items):
        for key, value in items:
            assert cursor.put(key, value, append=True)

    one, other = (open_env(tmp_path / name, sync=False) for name in "ab")
    built = pages_after_replacing(one, lambda cursor, items: cursor.putmulti(items, append=True))
    assert built < 1.15 * pages_after_replacing(other, put)
    one.close()
    assert verify(tmp_path / "a") == []


@pytest.mark.parametrize("kind", ["plain", "large", "dups", "fixed", "tree"])
def test_a_map_that_cannot_grow_is_used_to_its_end(open_env, env_path, kind):
    """Where there is no room at the end of the map, records are put."""
    env = open_env(map_size=1 << 20, max_dbs=2, sync=False)
    options = {"dupsort": kind in ("dups", "fixed", "tree"), "dupfixed": kind == "fixed"}
    db, written, count = env.open_db(b"db", **options), [], 2000
    while count:
        start = len(written)
        if kind in ("dups", "fixed", "tree"):
            per = 3 if kind != "tree" else 1000
            items = [(b"%06d" % (i // per), b"%08d" % i) for i in range(start, start + 3 * count)]
        else:
            value = b"v" * (3000 if kind == "large" else 60)
            items = [(b"%06d" % i, value) for i in range(start, start + count)]
        try:
            with env.begin(db, write=True) as txn:
                assert txn.cursor().putmulti(items, append=True) == (len(items), len(items))
            written += items
        except pylmdb.MapFullError:
            count //= 2
    with env.begin(db) as txn:
        assert list(txn.cursor()) == written
    assert env.info().used > 0.9 * (1 << 20)
    env.close()
    assert verify(env_path) == []


def test_records_behind_a_database_that_is_not_empty_continue_its_last_page(env):
    items = [(b"%08d" % i, b"v" * 50) for i in range(20_000)]
    dbs = [env.open_db(b"all"), env.open_db(b"parts")]
    with env.begin(write=True) as txn:
        txn.cursor(dbs[0]).putmulti(items, append=True)
        for at in range(0, len(items), 500):
            assert txn.cursor(dbs[1]).putmulti(items[at : at + 500], append=True) == (500, 500)
        assert txn.stat(dbs[0]).leaf_pages == txn.stat(dbs[1]).leaf_pages


@pytest.mark.parametrize("append", ["put", "cursor", "list", "iterator"])
def test_a_large_key_with_a_large_value_is_appended(env, env_path, append):
    """In a database with duplicates, and too large together for a node: a tree of its own."""
    size = env.max_key_size()
    items = [(b"%d" % i * size, b"%d" % j * size) for i in range(3) for j in range(i + 1)]
    db = env.open_db(b"dups", dupsort=True)
    with env.begin(write=True) as txn:
        cursor = txn.cursor(db)
        if append in ("list", "iterator"):
            given = items if append == "list" else iter(items)
            assert cursor.putmulti(given, append=True) == (len(items), len(items))
        for key, value in items if append == "put" else []:
            assert txn.put(key, value, append=True, db=db)
        for key, value in items if append == "cursor" else []:
            assert cursor.put(key, value, append=True)
        assert list(txn.cursor(db)) == items
    env.close()
    assert verify(env_path) == []


def test_free_pages_are_taken_beside_changes_in_a_writable_map(open_env, env_path, lib_version):
    """The list of dirty pages is not sorted there, and each page must stay in it."""
    rng = random.Random(1)
    env = open_env(sync=False, writemap=True)
    for number in range(1, 7):
        with env.begin(write=True) as txn:
            for _ in range(300):
                txn.put(b"%08d" % rng.randrange(2000), bytes(rng.choice([9, 900, 9000])))
            for _ in range(300):
                txn.delete(b"%08d" % rng.randrange(2000))
            items = [(b"%08d" % (number * 1000 + 2000 + i), bytes(400)) for i in range(900)]
            assert txn.cursor().putmulti(items, append=True) == (900, 900)
            start = rng.randrange(2000, 2000 + number * 1000)
            txn.delete_range(b"%08d" % start, b"%08d" % (start + 500))
    env.close()
    assert verify(env_path) == []
