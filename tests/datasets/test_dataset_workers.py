# SPDX-License-Identifier: MIT
"""A Dataset in worker processes, however they are started, and in threads."""

import io
import multiprocessing
import pickle
import threading

import numpy as np
import pytest
from programs import run

import pylmdb
from pylmdb.datasets import Dataset, Loader

METHODS = [
    method
    for method in ("forkserver", "spawn")
    if method in multiprocessing.get_all_start_methods()
]

WORKERS = """
import numpy as np
from loading import Workers
from pylmdb.datasets import Dataset, Loader

TABLE = np.arange(3 * 40 * 5).reshape(120, 5)

def make():
    for shard in range(3):
        with pylmdb.open(f"{path}-{shard}", lib_version=lib_version) as env:
            with env.begin(write=True) as txn:
                rows = TABLE[40 * shard : 40 * shard + 40]
                txn.put_arrays(range(40), rows, key_format="%04d")

def check(dataset, method):
    batches = [[5, 119, 5, 0, -1], list(range(30, 90)), [77]] * 4
    with Workers(dataset, method, 2) as workers:
        for epoch in range(2):
            found, pids = workers.epoch(batches)
            for numbers, samples in zip(batches, found):
                assert np.array_equal(np.stack(samples), TABLE[numbers])
            assert os.getpid() not in pids

if __name__ == "__main__":
    make()
    dataset = Dataset(path + "-*", dtype=TABLE.dtype, shape=5)
"""

STORIES = {
    "nothing open": """
    dataset.close()
    check(dataset, method)
""",
    "open before": """
    held = dataset[:50]
    assert np.array_equal(held[49], TABLE[49])
    view = dataset._raw(np.array([3]))[0][0]
    check(dataset, method)
    assert bytes(view) == TABLE[3].tobytes()
    assert np.array_equal(dataset[[119, 1]], TABLE[[119, 1]])
""",
    "one shard open at a time": """
    dataset = Dataset(path + "-*", dtype=TABLE.dtype, shape=5, max_open=1)
    check(dataset, method)
""",
    "written to before and after": """
    env = pylmdb.open(path + "-x", lib_version=lib_version)
    def put(i):
        with env.begin(write=True) as txn:
            txn.put_arrays([i], TABLE[i : i + 1], key_format="%04d")
    for i in range(120):
        put(i)
    dataset = Dataset(path + "-x", dtype=TABLE.dtype, shape=5)
    dataset[3]
    put(5)
    check(dataset, method)
    put(6)
    check(dataset, method)
    env.close()
""",
    "while a Loader reads": """
    batches = iter(Loader(dataset, 7, threads=2))
    assert np.array_equal(next(batches), TABLE[:7])
    check(dataset, method)
    assert np.array_equal(np.concatenate(list(batches)), TABLE[7:])
""",
}


def run_workers(method, story, lib_version, path):
    program = WORKERS + f"    method = {method!r}\n" + STORIES[story]
    run(program, path, lib_version, imported="pylmdb.datasets, loading")


@pytest.mark.parametrize("story", STORIES)
def test_workers(story, lib_version, env_path):
    run_workers("fork", story, lib_version, env_path)


# A process that is started afresh has nothing, so what its parent does matters less; and it opens
# the file by itself, so the format does not matter.
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("story", ["nothing open", "open before"])
def test_workers_that_are_started_afresh(method, story, env_path):
    run_workers(method, story, METHODS.index(method), env_path)


@pytest.fixture
def dataset(open_env, env_path):
    table = np.arange(100 * 3).reshape(100, 3)
    with open_env() as env, env.begin(write=True) as txn:
        txn.put_arrays(range(100), table, key_format="%03d")
    return Dataset(env_path, dtype=table.dtype, shape=3)


def test_a_pickle_is_small_and_good(dataset, open_env):
    part = dataset[90:10:-3]
    raw = pickle.dumps(part)
    assert len(raw) < 1000
    other = pickle.loads(raw)
    assert np.array_equal(np.stack(list(other)), np.stack(list(part)))
    chosen = pickle.loads(pickle.dumps(dataset.random_split([0.5, 0.5])[1]))
    assert np.array_equal(chosen[[0]], dataset.random_split([0.5, 0.5])[1][[0]])


class Recorder(pickle.Unpickler):
    """Records which names of pylmdb a pickle asks for."""

    def find_class(self, module, name):
        found = super().find_class(module, name)
        if module.startswith("pylmdb"):
            self.names[f"{module}.{name}"] = found
        return found


def test_a_pickle_of_an_earlier_version_is_read(dataset):
    """It names these classes and attributes, so they stay where they are."""
    recorder = Recorder(io.BytesIO(pickle.dumps(Loader(dataset, 8))))
    recorder.names = {}
    loader = recorder.load()
    assert {*recorder.names} == {
        "pylmdb.datasets._decoding.Decoder",
        "pylmdb.datasets._shards.Options",
        "pylmdb.datasets._shards.Shards",
        "pylmdb.datasets.dataset.Dataset",
        "pylmdb.datasets.loader.Loader",
    }
    shards, decoder = loader.dataset._shards, loader.dataset._decoder
    assert {*shards.__getstate__()} == {"paths", "options", "layouts", "ends", "sample"}
    assert {*vars(decoder)} == {"sample", "decode", "form"}
    assert {*vars(loader.dataset)} == {"_shards", "_chosen", "_transform", "_decoder", "_is_npy"}
    assert {*vars(loader)} >= {"_dataset", "_collate", "_shuffle", "_seed", "_at", "_next"}


def test_a_pickle_of_a_file_that_has_changed_since(dataset, open_env):
    raw = pickle.dumps(dataset)
    dataset.close()
    with open_env() as env, env.begin(write=True) as txn:
        txn.put(b"100", b"")
    other = pickle.loads(raw)
    with pytest.raises(pylmdb.InvalidParameterError, match="had 100 samples, and now has 101"):
        other[5]


def test_functions_that_do_not_pickle_are_named(dataset):
    other = Dataset(dataset.paths[0], transform=lambda sample: sample)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(other)


def test_threads(dataset):
    wanted = dataset[range(100)]
    wrong = []

    def read(seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            numbers = rng.integers(0, 100, 8)
            if not np.array_equal(dataset[numbers], wanted[numbers]):
                wrong.append(numbers)
            if seed == 0:
                dataset.close()

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
