# SPDX-License-Identifier: MIT
"""Loader: batches, their order, and the end of a loop."""

import gc
import json
import pickle
import threading
import time

import numpy as np
import pytest
from programs import run

import pylmdb
from pylmdb.datasets import Dataset, Loader

COUNT = 103
TABLE = np.arange(COUNT * 6, dtype="i4").reshape(COUNT, 2, 3)


@pytest.fixture
def make(open_env, tmp_path):
    """Writes an environment of these values under numbers, and closes it."""

    def make(values, name="env", key=b"%05d"):
        path = tmp_path / name
        with open_env(path) as env, env.begin(write=True) as txn:
            for i, value in enumerate(values):
                txn.put(key % i, value)
        return str(path)

    return make


@pytest.fixture(params=["one", "shards", "numbered", "npy", "slice", "transform"])
def dataset(request, make, tmp_path):
    """Return the table as a data set, made in several equivalent ways."""
    raw = {"dtype": "i4", "shape": (2, 3)}
    if request.param == "shards":
        for i, (begin, end) in enumerate(((0, 40), (40, 41), (41, COUNT))):
            make(map(bytes, TABLE[begin:end]), f"shard{i}")
        return Dataset(tmp_path / "shard*", **raw)
    if request.param == "numbered":
        return Dataset(make(map(bytes, TABLE), key=b"%d"), **raw)
    if request.param == "npy":
        return Dataset(make(map(pylmdb.arrays.dumps, TABLE)))
    if request.param == "slice":
        return Dataset(make(map(bytes, [*TABLE[:3], *TABLE[::-1]])), **raw)[:2:-1]
    if request.param == "transform":
        return Dataset(make(map(bytes, TABLE + 1)), transform=lambda each: each - 1, **raw)
    return Dataset(make(map(bytes, TABLE)), **raw)


def loader_threads():
    return [each for each in threading.enumerate() if each.name.startswith("pylmdb-loader")]


def flat(batches):
    """Return the numbers of the samples that come."""
    return [int(sample[0, 0]) // 6 for batch in batches for sample in batch]


# -- batches ------------------------------------------------------------------------------


@pytest.mark.parametrize(("prefetch", "threads"), [(0, 1), (1, 1), (2, 1), (5, 3), (1, 4)])
def test_batches(dataset, prefetch, threads):
    for drop_last in (False, True):
        loader = Loader(dataset, 10, prefetch=prefetch, threads=threads, drop_last=drop_last)
        batches = [*loader]
        assert len(batches) == len(loader) == (10 if drop_last else 11)
        for k, batch in enumerate(batches):
            assert batch.dtype == TABLE.dtype
            assert np.array_equal(batch, TABLE[10 * k : 10 * k + 10])
            assert batch.flags.writeable


@pytest.mark.parametrize("shuffle", [True, "blocks"])
def test_shuffling(dataset, shuffle):
    loader = Loader(dataset, 10, shuffle, threads=2)
    epochs = [flat(loader) for _ in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == [*range(COUNT)]
        assert epoch != [*range(COUNT)]
    assert len({*map(tuple, epochs)}) == 3
    again = Loader(dataset, 10, shuffle)
    assert [flat(again) for _ in range(3)] == epochs
    assert flat(Loader(dataset, 10, shuffle, seed=1)) not in epochs
    again.set_epoch(1)
    assert flat(again) == epochs[1]
    assert flat(again) == epochs[2]


def test_the_order_is_the_same_for_ever(make):
    loader = Loader(Dataset(make([b"%d" % i for i in range(10)])), 10, True, seed=5)
    loader.set_epoch(1)
    assert [*loader] == [[b"%d" % i for i in (7, 6, 1, 8, 5, 4, 2, 0, 3, 9)]]


def test_blocks_stay_near(make):
    dataset = Dataset(make(map(bytes, TABLE)), dtype="i4", shape=(2, 3))
    loader = Loader(dataset, 7, "blocks", block_size=8, mixed_blocks=2)
    numbers = flat(loader)
    assert sorted(numbers) == [*range(COUNT)]
    for begin in range(0, COUNT, 16):
        blocks = {number // 8 for number in numbers[begin : begin + 16]}
        assert len(blocks) <= 3  # the last block of all is short, and shifts the rest
    alone = flat(Loader(dataset, 7, "blocks", block_size=COUNT, mixed_blocks=1))
    assert sorted(alone) == [*range(COUNT)]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_workers_share_an_epoch(dataset, shuffle, drop_last):
    world = 4
    loaders = [
        Loader(dataset, 10, shuffle, drop_last=drop_last, rank=rank, world=world)
        for rank in range(world)
    ]
    for _ in range(2):
        parts = [flat(loader) for loader in loaders]
        assert {*map(len, loaders)} == {2 if drop_last else 3}
        assert {*map(len, parts)} == {20 if drop_last else 26}
        every = [number for part in parts for number in part]
        assert len({*every}) == (80 if drop_last else COUNT)


def test_small_sets(make):
    path = make([])
    assert [*Loader(Dataset(path), 4)] == []
    assert len(Loader(Dataset(path), 4, True, world=2)) == 0
    one = Dataset(make(map(bytes, TABLE[:1]), "1"), dtype="i4", shape=(2, 3))
    assert flat(Loader(one, 100, "blocks", threads=5)) == [0]
    assert [flat(Loader(one, 1, rank=rank, world=3)) for rank in range(3)] == [[0]] * 3
    assert [*Loader(one, 2, drop_last=True)] == []
    assert [*Loader(one[:0], 2)] == []
    assert flat(Loader(one, 10**12)) == [0]


def test_collating(make):
    path = make([b"%d" % i for i in range(5)])

    def sample(value):
        number = int(value)
        return number, float(number), {"a": np.full(2, number), "b": str(number)}, [number]

    first, second = Loader(Dataset(path, transform=sample), 3)
    assert np.array_equal(first[0], [0, 1, 2])
    assert first[1].dtype == np.float64
    assert np.array_equal(first[2]["a"], [[0, 0], [1, 1], [2, 2]])
    assert first[2]["b"] == ["0", "1", "2"]
    assert first[3] == [[0], [1], [2]]
    assert np.array_equal(second[0], [3, 4])
    assert [*Loader(Dataset(path), 3)] == [[b"0", b"1", b"2"], [b"3", b"4"]]
    assert [*Loader(Dataset(path), 3, collate=b"".join)] == [b"012", b"34"]
    mixed = Dataset(path, transform=lambda value: np.zeros(int(value)))
    assert [len(each) for each in next(iter(Loader(mixed, 3)))] == [0, 1, 2]


def test_arrays_of_several_forms_are_lists(make):
    forms = [np.zeros((2, 3)), np.ones((3, 2)), np.zeros((2, 3), "f4"), np.zeros((2, 3), order="F")]
    for name, values in (("same size", [forms[0], forms[1]]), ("other size", [forms[0], forms[2]])):
        loader = Loader(Dataset(make(map(pylmdb.arrays.dumps, values), name)), 2)
        (batch,) = loader
        assert type(batch) is list
        for found, wanted in zip(batch, values, strict=True):
            assert found.dtype == wanted.dtype
            assert np.array_equal(found, wanted)
        assert np.array_equal(next(iter(Loader(loader.dataset, 1))), [values[0]])
    (batch,) = Loader(Dataset(make([pylmdb.arrays.dumps(forms[3])] * 2, "F")), 2)
    assert batch.shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"batch_size": 0}, "batch_size"), ({"shuffle": "block"}, "shuffle"),
        ({"seed": -1}, "seed"), ({"prefetch": -1}, "prefetch"),
        ({"threads": 0}, "threads"), ({"world": 0}, "world"),
        ({"rank": 2, "world": 2}, "rank"), ({"block_size": 0}, "block_size"),
        ({"mixed_blocks": 0}, "mixed_blocks"),
    ],
    ids=str,
)  # fmt: skip
def test_arguments_out_of_range(make, options, name):
    with pytest.raises(pylmdb.InvalidParameterError, match=name):
        Loader(Dataset(make([])), **{"batch_size": 1, **options})


# -- memory -------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [4, 50_000])
def test_a_batch_that_is_kept_is_not_written_to(make, batch_size):
    count = 60 if batch_size == 4 else 150_000
    table = np.arange(count)
    path = make([])
    with pylmdb.open(path) as env, env.begin(write=True) as txn:
        txn.put_arrays(range(count), table)
    dataset = Dataset(path, dtype=table.dtype)
    for keep in (lambda batch: batch, lambda batch: batch[1:], lambda batch: memoryview(batch)[1:]):
        loader = Loader(dataset, batch_size, prefetch=1)
        kept = [keep(batch) for _ in range(4) for batch in loader]
        wanted = [keep(table[i : i + batch_size]) for i in range(0, count, batch_size)] * 4
        assert all(map(np.array_equal, kept, wanted))


# -- resuming -----------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True, "blocks"])
def test_resuming(dataset, shuffle):
    def new():
        return Loader(dataset, 10, shuffle, seed=3, threads=2)

    whole = new()
    epochs = [flat(whole) for _ in range(3)]
    for stop in (0, 1, 7, 11):
        loader = new()
        assert flat(loader) == epochs[0]
        for k, batch in enumerate(loader, 1):
            assert flat([batch]) == epochs[1][10 * (k - 1) : 10 * k]
            if k >= stop:
                break
        state = json.loads(json.dumps(loader.state_dict()))
        assert (state["epoch"], state["batch"]) == (1, max(stop, 1))
        other = new()
        other.load_state_dict(state)
        assert other.state_dict() == loader.state_dict()
        assert flat(other) == epochs[1][10 * max(stop, 1) :]
        assert flat(other) == epochs[2]
        loader.load_state_dict(state)
        assert flat(loader) == epochs[1][10 * max(stop, 1) :]


def test_states_between_epochs(dataset):
    loader = Loader(dataset, 10, True)
    assert (loader.state_dict()["epoch"], loader.state_dict()["batch"]) == (0, 0)
    first = flat(loader)
    state = loader.state_dict()
    assert (state["epoch"], state["batch"]) == (1, 0)
    second = flat(loader)
    assert first != second
    loader.load_state_dict(state)
    assert flat(loader) == second


def test_a_state_of_another_loader_is_refused(dataset):
    loader = Loader(dataset, 10, True, seed=1)
    state = loader.state_dict()
    for other in (
        Loader(dataset, 11, True, seed=1),
        Loader(dataset, 10, True, seed=2),
        Loader(dataset, 10, seed=1),
        Loader(dataset, 10, True, seed=1, rank=1, world=2),
        Loader(dataset[1:], 10, True, seed=1),
    ):
        with pytest.raises(pylmdb.InvalidParameterError, match="the state is of a Loader with"):
            other.load_state_dict(state)
    for wrong in ({"batch": 99}, {"epoch": -1}, {"batch": -1}, {"extra": 1}):
        with pytest.raises(pylmdb.InvalidParameterError):
            loader.load_state_dict({**state, **wrong})
    with pytest.raises(TypeError):
        loader.load_state_dict({**state, "batch": None})
    assert loader.state_dict() == state


def test_resuming_in_another_process(make, lib_version, tmp_path):
    path = make(map(bytes, TABLE))
    loader = Loader(Dataset(path, dtype="i4", shape=(2, 3)), 10, True, seed=9)
    loop = iter(loader)
    taken = [next(loop) for _ in range(4)]
    (tmp_path / "state").write_bytes(pickle.dumps(loader.state_dict()))
    program = """
import pickle
from pylmdb.datasets import Dataset, Loader
loader = Loader(Dataset(path, dtype="i4", shape=(2, 3)), 10, True, seed=9)
loader.load_state_dict(pickle.load(open(path + "/../state", "rb")))
for batch in loader:
    print(*(int(sample[0, 0]) // 6 for sample in batch))
"""
    printed = run(program, path, lib_version)
    assert [*map(int, printed.split())] == flat(loop)
    whole = flat(Loader(loader.dataset, 10, True, seed=9))
    assert [*flat(taken), *map(int, printed.split())] == whole


# -- ends ---------------------------------------------------------------------------------


def held(dataset):
    """Return how many transactions and views of the data set's files exist."""
    return sum(
        env.info().pinned + len(env.reader_list())
        for env in (pylmdb.open(path, readonly=True) for path in dataset.paths)
    )


def leave_by_break(loader):
    for _ in loader:
        break


def leave_by_exception(loader):
    def loop():
        for _ in loader:
            raise LookupError

    with pytest.raises(LookupError):
        loop()


def leave_by_del(loader):
    loop = iter(loader)
    next(loop)
    assert loader_threads()
    del loop


def leave_by_close(loader):
    loop = iter(loader)
    next(loop)
    loop.close()
    assert next(loop, None) is None


def leave_unused(loader):
    iter(loader)


def leave_at_the_end(loader):
    assert sum(1 for _ in loader) == len(loader)


WAYS = [leave_by_break, leave_by_exception, leave_by_del, leave_by_close, leave_unused,
        leave_at_the_end]  # fmt: skip


def test_nothing_is_left(dataset):
    loader = Loader(dataset, 3, True, prefetch=4, threads=3)
    for leave in WAYS * 2:
        leave(loader)
        gc.collect()
        assert loader_threads() == [], leave
        assert held(dataset) == 0, leave


def test_a_loop_holds_snapshots(make):
    dataset = Dataset(make(map(bytes, TABLE)), dtype="i4", shape=(2, 3))
    loop = iter(Loader(dataset, 10))
    next(loop)
    assert held(dataset) > 0
    assert loader_threads()


def test_two_loops_at_once(dataset):
    loader = Loader(dataset, 10, threads=2)
    one, other = iter(loader), iter(loader)
    for k in range(11):
        for loop in (one, other):
            assert np.array_equal(next(loop), TABLE[10 * k : 10 * k + 10])


@pytest.mark.parametrize("prefetch", [0, 1, 4])
@pytest.mark.parametrize("kind", ["raw", "transform"])
def test_errors_come_with_their_batch(make, prefetch, kind):
    values = [*map(bytes, TABLE)]
    options = {"dtype": "i4", "shape": (2, 3)}
    if kind == "raw":
        values[57] = b"short"
    else:
        options["transform"] = lambda each: each if each[0, 0] != 57 * 6 else 1 // 0
    dataset = Dataset(make(values), **options)
    loader = Loader(dataset, 10, prefetch=prefetch, threads=2)
    loop = iter(loader)
    for k in range(5):
        assert np.array_equal(next(loop), TABLE[10 * k : 10 * k + 10])
    error = ZeroDivisionError if kind == "transform" else pylmdb.InvalidParameterError
    with pytest.raises(error):
        next(loop)
    assert loader.state_dict()["batch"] == 5
    assert next(loop, None) is None
    assert loader_threads() == []


def test_batches_are_prepared_ahead_and_no_further(make):
    seen = []
    dataset = Dataset(make([b"%d" % i for i in range(40)]), transform=seen.append)
    loop = iter(Loader(dataset, 2, prefetch=3))
    assert not seen
    next(loop)
    deadline = time.monotonic() + 20
    while len(seen) < 8 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert len(seen) == 8


def test_a_snapshot_shows_one_state(make, lib_version):
    """An epoch does not show what another process commits meanwhile."""
    path = make(map(bytes, TABLE))
    dataset = Dataset(path, dtype="i4", shape=(2, 3))
    loop = iter(Loader(dataset, 1, prefetch=0))
    first = next(loop)
    program = """
import numpy as np
with pylmdb.open(path) as env, env.begin(write=True) as txn:
    txn.put_arrays(range(103), np.full((103, 6), 7, "i4"), key_format="%05d")
"""
    run(program, path, lib_version)
    assert np.array_equal(np.concatenate([first, *loop]), TABLE)
    assert (np.concatenate([*Loader(dataset, 50)]) == 7).all()


def open_paths():
    """Of all Environments that are open in this process."""
    every = (each for each in gc.get_objects() if type(each) is pylmdb.Environment)
    return {each.path() for each in every if not each.closed}


def test_at_most_max_open_shards_are_open(make, tmp_path):
    for i in range(9):
        make(map(bytes, TABLE[i : i + 1]), f"shard{i}")
    dataset = Dataset(tmp_path / "shard*", dtype="i4", shape=(2, 3), max_open=2)
    loop = iter(Loader(dataset, 1, prefetch=0))
    for i in range(9):
        assert np.array_equal(next(loop), TABLE[i : i + 1])
        assert len(open_paths() & {*dataset.paths}) <= 2
    assert np.array_equal(np.concatenate([*Loader(dataset, 9, threads=2)]), TABLE[:9])


def test_a_loader_of_something_else():
    with pytest.raises(TypeError, match="a Loader reads a Dataset, not list"):
        Loader([1, 2, 3], 1)


def test_a_loop_ends_with_its_process(make, lib_version):
    path = make(map(bytes, TABLE))
    program = """
from pylmdb.datasets import Dataset, Loader
loop = iter(Loader(Dataset(path, dtype="i4", shape=(2, 3)), 10, threads=2))
next(loop)
def child():
    assert raised_by(lambda: next(loop)) is pylmdb.ForkedError
assert in_child(child) == 0
assert sum(1 for _ in loop) == 10
loop = iter(Loader(Dataset(path, transform=lambda value: time.sleep(0.001)), 10, threads=2))
next(loop)
begin = time.monotonic()
"""
    run(program, path, lib_version)


def test_in_a_forked_child(make, lib_version):
    path = make(map(bytes, TABLE))
    program = """
import numpy as np
from pylmdb.datasets import Dataset, Loader
loader = Loader(Dataset(path, dtype="i4", shape=(2, 3)), 10, True, threads=2)
loader.set_epoch(1)
wanted = [*loader]
loop = iter(loader)
next(loop)
def child():
    loader.set_epoch(1)
    assert all(map(np.array_equal, loader, wanted))
assert in_child(child) == 0
loop.close()
assert in_child(child) == 0
"""
    run(program, path, lib_version)
