# SPDX-License-Identifier: MIT
"""A Loader that repeats: batches without an end, which wrap, and begin at any sample."""

import json
from itertools import islice, pairwise

import numpy as np
import pytest
from programs import run

import pylmdb
from pylmdb.datasets import Dataset, Loader
from pylmdb.datasets._epochs import block_permutation, permutation

COUNT = 23
SHUFFLES = [False, True, "blocks"]


@pytest.fixture(params=["arrays", "shards", "transform"])
def dataset(request, open_env, tmp_path):
    """Return samples that are their numbers."""
    ends = [0, 9, COUNT] if request.param == "shards" else [0, COUNT]
    for shard, (begin, end) in enumerate(pairwise(ends)):
        with open_env(tmp_path / f"set{shard}") as env, env.begin(write=True) as txn:
            for number in range(begin, end):
                txn.put(b"%03d" % number, np.int64(number).tobytes())
    transform = (lambda sample: sample) if request.param == "transform" else None
    return Dataset(tmp_path / "set*", dtype="i8", transform=transform)


def order_of(shuffle, epoch, seed=0):
    if shuffle == "blocks":
        return block_permutation(COUNT, 256, 16, seed, epoch)
    return permutation(COUNT, seed, epoch) if shuffle else np.arange(COUNT)


def sequence(shuffle, epochs=6):
    return np.concatenate([order_of(shuffle, epoch) for epoch in range(epochs)])


def first(loader, count):
    return [np.asarray(batch).tolist() for batch in islice(loader, count)]


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_batches_wrap(dataset, shuffle):
    for batch_size in (1, 5, COUNT, 40):
        expected = sequence(shuffle)[: 3 * COUNT // batch_size * batch_size]
        for options in ({}, {"prefetch": 0}, {"threads": 3}):
            loader = Loader(dataset, batch_size, shuffle, repeat=True, **options)
            batches = first(loader, len(expected) // batch_size)
            assert batches == expected.reshape(-1, batch_size).tolist()


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_it_begins_at_a_sample(dataset, shuffle):
    for skip in (1, 22, 23, 50):
        loader = Loader(dataset, 5, shuffle, repeat=True, skip=skip)
        assert first(loader, 4) == sequence(shuffle)[skip : skip + 20].reshape(4, 5).tolist()


def test_it_begins_at_a_random_sample(dataset):
    def begin(seed):
        return first(Loader(dataset, 1, seed=seed, repeat=True, skip="random"), 1)[0][0]

    begins = [begin(seed) for seed in range(40)]
    assert begins == [begin(seed) for seed in range(40)]
    assert begins[:5] == [14, 5, 21, 3, 3], "the same on every machine"
    assert len({*begins}) > 10


@pytest.mark.parametrize("drop_last", [False, True])
def test_workers_share_the_sequence(dataset, drop_last):
    """In each epoch each sample comes once, although 3 workers do not divide it."""
    loaders = [
        Loader(dataset, 4, True, rank=rank, world=3, repeat=True, skip=2, drop_last=drop_last)
        for rank in range(3)
    ]
    columns = [np.concatenate(first(loader, 6)) for loader in loaders]
    assert np.array_equal(np.stack(columns, 1).reshape(-1), sequence(True)[2:74])


def test_a_loop_goes_on_after_the_last_one(dataset):
    loader = Loader(dataset, 5, repeat=True)
    batches = first(loader, 3) + first(loader, 4)
    assert batches == (np.arange(35) % COUNT).reshape(7, 5).tolist()
    loader.set_epoch(0)
    assert first(loader, 1) == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_resuming(dataset, shuffle):
    def new():
        return Loader(dataset, 5, shuffle, repeat=True, skip=3)

    loader = new()
    loader.set_epoch(1)
    whole = first(loader, 12)
    assert whole[0] == sequence(shuffle)[COUNT + 3 : COUNT + 8].tolist()
    loader.set_epoch(1)
    first(loader, 7)
    state = json.loads(json.dumps(loader.state_dict()))
    assert (state["epoch"], state["batch"]) == (1, 7)
    other = new()
    other.load_state_dict(state)
    assert first(other, 5) == whole[7:]
    for different in (Loader(dataset, 5, shuffle), Loader(dataset, 5, shuffle, repeat=True)):
        with pytest.raises(pylmdb.InvalidParameterError, match="skip"):
            different.load_state_dict(state)


def test_it_has_no_length(dataset):
    loader = Loader(dataset, 5, repeat=True)
    with pytest.raises(TypeError, match="no length"):
        len(loader)
    assert loader
    assert not Loader(dataset[:0], 5)
    assert "endless batches of 5" in repr(loader)


def test_an_epoch_has_a_snapshot_of_its_own(open_env, tmp_path, lib_version):
    """Old pages can be used again when a loop without an end comes to its next epoch."""
    path = tmp_path / "set"
    with open_env(path) as env, env.begin(write=True) as txn:
        for number in range(4):
            txn.put(b"%d" % number, np.int64(number).tobytes())
    dataset = Dataset(path, dtype="i8")
    batches = iter(Loader(dataset, 2, repeat=True, prefetch=0))
    assert next(batches).tolist() == [0, 1]
    program = """
import numpy as np
with pylmdb.open(path) as env, env.begin(write=True) as txn:
    for number in range(4):
        txn.put(b"%d" % number, np.int64(number + 10).tobytes())
"""
    run(program, str(path), lib_version)
    assert [next(batches).tolist() for _ in range(3)] == [[2, 3], [10, 11], [12, 13]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"skip": 3}, "repeat=True"),
        ({"skip": "random"}, "repeat=True"),
        ({"repeat": True, "skip": -1}, "skip"),
        ({"repeat": True, "skip": "first"}, "skip"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(dataset, options, words):
    with pytest.raises(pylmdb.InvalidParameterError, match=words):
        Loader(dataset, 5, **options)


def test_no_samples_cannot_be_repeated(dataset):
    with pytest.raises(pylmdb.InvalidParameterError, match="no samples"):
        Loader(dataset[:0], 5, repeat=True)
